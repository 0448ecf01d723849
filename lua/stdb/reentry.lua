--- Counts how deep the module has called back into itself through native functions.
--
-- Plain recursion ends in an ordinary error, but a callback of gsub or a coroutine inside a coroutine takes
-- native stack, and that ends in a fault. So all of those count, and refuse before it comes to that.
--
-- The depth is `base`, that of the running coroutine's start, plus `native`, what has been entered since. No
-- coroutine yields while `native` is above zero, so it begins and goes on with zero. Errors skip the way
-- out of a function; they end in pcall, xpcall or resume, which put back what they found.
local use = ...
local blame = use "blame"

local DEPTH_MAX = 190

local reentry = {}

local base, native = 0, 0

local function enter()
  if base + native >= DEPTH_MAX then
    blame.raise("callbacks and coroutines nest too deep (%d)", DEPTH_MAX)
  end
  native = native + 1
end

local function leave_to(saved, ...)
  native = saved
  return ...
end

--- Begins a call anew.
function reentry.reset()
  base, native = 0, 0
end

--- Wraps a native function that may call back.
function reentry.counted(native_function)
  return function(...)
    local saved = native
    enter()
    return leave_to(saved, native_function(...))
  end
end

local pcall, xpcall, create, resume = pcall, xpcall, coroutine.create, coroutine.resume

function reentry.pcall(...)
  return leave_to(native, pcall(...))
end

--- The handler runs on top of what failed, so it counts.
function reentry.xpcall(action, handler, ...)
  local saved = native
  return leave_to(saved, xpcall(action, function(message)
    enter()
    return handler(message)
  end, ...))
end

local function back_to(saved_base, saved_native, ...)
  base, native = saved_base, saved_native
  return ...
end

--- Refuses what is no coroutine before it counts: whoever catches an error puts back `native` alone.
function reentry.resume(routine, ...)
  if type(routine) ~= "thread" then
    blame.raise("bad argument #1 to 'resume': expected a coroutine, got %s", blame.show(routine))
  end
  local saved_base, saved_native = base, native
  enter()
  base, native = base + native, 0
  return back_to(saved_base, saved_native, resume(routine, ...))
end

local function or_raise(ok, ...)
  if not ok then
    error((...), 0)
  end
  return ...
end

function reentry.wrap(body)
  local routine = create(body)
  return function(...)
    return or_raise(reentry.resume(routine, ...))
  end
end

return reentry
