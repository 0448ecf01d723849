#!lua name=player
-- The same players as player.lua: a string key with the packed columns for each.
-- luacheck: globals redis struct

local LAYOUT = "<fffIIi8i8" -- x, y, z, hp, level, xp, gold

local function seed(_, args)
  for id = 0, args[1] - 1 do
    redis.call("SET", "account:" .. id, struct.pack(LAYOUT, id % 1000, id % 777, 0, 100, 1, id * 3, 1000))
  end
  return 1
end

local function transfer(keys, args)
  local _, y, z, hp, level, xp, gold = struct.unpack(LAYOUT, redis.call("GET", keys[1]))
  redis.call("SET", keys[1], struct.pack(LAYOUT, #keys[2], y, z, hp, level, xp, gold + tonumber(args[1])))
  return 1
end

redis.register_function("seed", seed)
redis.register_function("transfer", transfer)
