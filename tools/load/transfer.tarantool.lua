-- The same accounts and transfers as transfer.lua, as stored functions of Tarantool.
-- Usage: tarantool transfer.tarantool.lua PORT DIR WAL_MODE
-- luacheck: globals box seed transfer sum

-- More messages at once than calls are in flight, so that one sync serves many; a larger read buffer likewise.
box.cfg {
  work_dir = arg[2],
  wal_mode = arg[3],
  net_msg_max = 8192,
  readahead = 1048576,
  log_level = "warn",
}

local account = box.schema.space.create("account", {
  format = { { "id", "unsigned" }, { "balance", "integer" } },
})
account:create_index("id", { type = "hash", parts = { "id" } })
box.schema.user.grant("guest", "read,write,execute", "universe")

function seed(count)
  box.begin()
  for id = 0, count - 1 do
    account:insert { id, 1000000000 }
  end
  box.commit()
end

local index = account.index.id

function transfer(from, to, amount)
  if from == to or amount <= 0 then error("nothing to transfer") end
  local payer, payee = index:get(from), index:get(to)
  if not payer or not payee then error("no such account") end
  if payer[2] < amount then error("not enough money") end
  box.begin()
  index:update(from, { { "-", 2, amount } })
  index:update(to, { { "+", 2, amount } })
  box.commit()
end

function sum()
  local total = 0
  for _, tuple in account:pairs() do
    total = total + tuple[2]
  end
  return total
end

-- Last: whoever can connect finds all of it.
box.cfg { listen = "127.0.0.1:" .. arg[1] }
