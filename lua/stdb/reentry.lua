--- Counts how deep the module has called back into itself through native functions.
--
-- Plain recursion ends in an ordinary error, but a callback of gsub or a coroutine inside a coroutine takes
-- native stack, and that ends in a fault. So all of those count, and refuse before it comes to that.
--
-- The depth is `base`, that of the running coroutine's start, plus `native`, what has been entered since. No
-- coroutine yields while `native` is above zero, so it begins and goes on with zero. Errors skip the way
-- out of a function; they end in pcall, xpcall or resume, which put back what they found.
--
-- A call itself may run in a coroutine of the host's (V4 in host/vm.h), which is none for the module: its base is zero.
local use = ...
local blame = use "blame"

local DEPTH_MAX = 190

local reentry = {}

local base, native = 0, 0
local catchers = 0 -- how many of pcall and xpcall the call is in; of no meaning while a coroutine of the module's runs

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

local function caught(saved_native, saved_catchers, ...)
  native, catchers = saved_native, saved_catchers
  return ...
end

--- Begins a call anew.
function reentry.reset()
  base, native, catchers = 0, 0, 0
end

--- Whether what the call raises now may come to a pcall or an xpcall.
function reentry.may_catch()
  return catchers > 0
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
local yield, running, isyieldable = coroutine.yield, coroutine.running, coroutine.isyieldable

function reentry.pcall(...)
  local saved_native, saved_catchers = native, catchers
  catchers = saved_catchers + 1
  return caught(saved_native, saved_catchers, pcall(...))
end

--- The handler runs on top of what failed, so it counts.
function reentry.xpcall(action, handler, ...)
  local saved_native, saved_catchers = native, catchers
  catchers = saved_catchers + 1
  return caught(saved_native, saved_catchers, xpcall(action, function(message)
    enter()
    return handler(message)
  end, ...))
end

local function back_to(saved_base, saved_native, saved_catchers, ...)
  base, native, catchers = saved_base, saved_native, saved_catchers
  return ...
end

--- Refuses what is no coroutine before it counts: whoever catches an error puts back `native` alone.
function reentry.resume(routine, ...)
  if type(routine) ~= "thread" then
    blame.raise("bad argument #1 to 'resume': expected a coroutine, got %s", blame.show(routine))
  end
  local saved_base, saved_native, saved_catchers = base, native, catchers
  enter()
  base, native = base + native, 0
  return back_to(saved_base, saved_native, saved_catchers, resume(routine, ...))
end

function reentry.yield(...)
  if base == 0 then
    blame.raise "coroutine.yield: no coroutine runs here"
  end
  return yield(...)
end

--- nil outside the module's own coroutines.
function reentry.running()
  return base > 0 and running() or nil
end

function reentry.isyieldable()
  return base > 0 and isyieldable()
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
