--- The context: who calls, when, with what chance, and the tables. A new one for each call, so that one that
-- was kept is known for what it is. That of a view has less: what a view returns depends on the tables, and at most on
-- who looks.
local use = ...
local ffi = require "ffi"
local blame, values, rows, log = use "blame", use "values", use "rows", use "log"
local vm, random, source = use "vm", use "random", use "source"

local setmetatable, tonumber, ipairs = setmetatable, tonumber, ipairs
local identity_at, connection_at = values.identity.at, values.connection_id.at
local timestamp_of, from_i64 = values.timestamp.intern, values.from_i64

local connection_words = ffi.cast("uint64_t *", vm.connection_id)

-- The sender and the time are looked up once in a call, when they are first asked for.
local sender, sender_call
local timestamp, timestamp_call

local readers = {}

function readers.sender(call)
  if sender_call ~= call then
    sender, sender_call = identity_at(vm.sender), call
  end
  return sender
end

function readers.timestamp(call)
  if timestamp_call ~= call then
    timestamp, timestamp_call = timestamp_of(from_i64(vm.timestamp_us)), call
  end
  return timestamp
end

--- nil when nobody is connected: the call came from the server itself.
function readers.connection_id()
  if connection_words[0] ~= 0 or connection_words[1] ~= 0 then
    return (connection_at(vm.connection_id))
  end
end

function readers.random()
  return random
end

function readers.db()
  return rows.db
end

function readers.log()
  return log.levels
end

local INDEX = [[
return function(context, key)
  local call = tonumber(vm.call_number)
  if rawget(context, 1) ~= call or vm.in_call == 0 then late() end
  local read = readers[key]
  if not read then refuse(key) end
  return (read(call))
end]]

local function late()
  blame.raise "this context belongs to an earlier call: use the one the function was given"
end

--- The metatable of contexts with these fields. Each kind has a text of its own, so that its traces know it.
local function new_meta(label, names)
  local some_readers = {}
  for _, name in ipairs(names) do
    some_readers[name] = readers[name]
  end
  local function refuse(key)
    blame.raise("the context%s has no field %s%s", label, blame.key(key), blame.hint(key, names))
  end
  return {
    __metatable = false,
    __index = source.compile("context", INDEX, { readers = some_readers, late = late, refuse = refuse }),
    __newindex = function()
      blame.raise "the context cannot be changed"
    end,
    __tostring = function()
      return "context"
    end,
  }
end

local call_meta = new_meta("", { "sender", "connection_id", "timestamp", "random", "db", "log" })
local view_meta = new_meta(" of a view", { "sender", "db", "log" })
local anonymous_meta = new_meta(" of an anonymous view", { "db", "log" })

local context = {}

--- The context of the running call.
function context.of_call()
  return (setmetatable({ tonumber(vm.call_number) }, call_meta))
end

--- The context of the running view.
function context.of_view(is_anonymous)
  return (setmetatable({ tonumber(vm.call_number) }, is_anonymous and anonymous_meta or view_meta))
end

return context
