#!lua name=transfer
-- The same accounts and transfers as transfer.lua, as Redis functions: a string key an account.
-- luacheck: globals redis

local function seed(_, args)
  for id = 0, args[1] - 1 do
    redis.call("SET", "account:" .. id, 1000000000)
  end
  redis.call("SET", "accounts", args[1])
  return 1
end

local function transfer(keys, args)
  local from, to, amount = keys[1], keys[2], tonumber(args[1])
  if from == to or amount <= 0 then return redis.error_reply("nothing to transfer") end
  local payer, payee = redis.call("GET", from), redis.call("GET", to)
  if not payer or not payee then return redis.error_reply("no such account") end
  if tonumber(payer) < amount then return redis.error_reply("not enough money") end
  redis.call("DECRBY", from, args[1])
  redis.call("INCRBY", to, args[1])
  return 1
end

local function sum()
  local total = 0
  for id = 0, redis.call("GET", "accounts") - 1 do
    total = total + redis.call("GET", "account:" .. id)
  end
  return total
end

redis.register_function("seed", seed)
redis.register_function("transfer", transfer)
redis.register_function("sum", sum)
