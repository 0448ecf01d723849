#!lua name=bulk
-- The same players as bulk.lua: a string key with the packed columns for each.
-- luacheck: globals redis struct

local LAYOUT = "<fffic0" -- x, y, z, health, name

local function each(action)
  return function(_, args)
    for id = 0, args[1] - 1 do
      action("player:" .. id, id)
    end
    return 1
  end
end

redis.register_function("insert", each(function(key, id)
  redis.call("SET", key, struct.pack(LAYOUT, id, 0, 0, 100, "player_name_0016"))
end))

redis.register_function("update", each(function(key)
  local player = redis.call("GET", key)
  local x, y, z, health = struct.unpack("<fffi", player)
  redis.call("SET", key, struct.pack(LAYOUT, x + 1, y, z, health - 1, player:sub(17)))
end))

redis.register_function("get", each(function(key)
  assert(struct.unpack("<fffi", redis.call("GET", key)))
end))

redis.register_function("scan", each(function(key)
  assert(struct.unpack("<fffi", redis.call("GET", key)))
end))

redis.register_function("delete", each(function(key)
  redis.call("DEL", key)
end))
