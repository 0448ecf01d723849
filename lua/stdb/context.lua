--- The context: who calls, when, with what chance, and the tables. A new one for each call, so that one that
-- was kept is known for what it is.
local use = ...
local ffi = require "ffi"
local blame, values, rows, log = use "blame", use "values", use "rows", use "log"
local vm, random = use "vm", use "random"

local setmetatable, tonumber = setmetatable, tonumber
local identity_at, connection_at = values.identity.at, values.connection_id.at
local timestamp_of, from_i64 = values.timestamp.intern, values.from_i64

local connection_words = ffi.cast("uint64_t *", vm.connection_id)

local NAMES = { "sender", "connection_id", "timestamp", "random", "db", "log" }

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

local function refuse(key)
  blame.raise("the context has no field %s%s", blame.key(key), blame.hint(key, NAMES))
end

local meta = {
  __metatable = false,
  __index = function(context, key)
    local call = tonumber(vm.call_number)
    if rawget(context, 1) ~= call or vm.in_call == 0 then
      blame.raise "this context belongs to an earlier call: use the one the reducer was given"
    end
    local read = readers[key]
    if not read then
      refuse(key)
    end
    return (read(call))
  end,
  __newindex = function()
    blame.raise "the context cannot be changed"
  end,
  __tostring = function()
    return "context"
  end,
}

--- The context of the running call.
return function()
  return (setmetatable({ tonumber(vm.call_number) }, meta))
end
