-- The same players as player.lua. Usage: tarantool player.tarantool.lua PORT DIR WAL_MODE CONSOLE_PORT
-- luacheck: globals box seed transfer

box.cfg {
  work_dir = arg[2],
  wal_mode = arg[3],
  net_msg_max = 8192,
  readahead = 1048576,
  memtx_memory = 1073741824,
  log_level = "warn",
}

local player = box.schema.space.create("player", { if_not_exists = true,
  format = { { "id", "unsigned" }, { "x", "number" }, { "y", "number" }, { "z", "number" }, { "hp", "unsigned" },
    { "level", "unsigned" }, { "xp", "unsigned" }, { "gold", "integer" } },
})
player:create_index("id", { type = "hash", parts = { "id" }, if_not_exists = true })
box.schema.user.grant("guest", "read,write,execute", "universe", nil, { if_not_exists = true })

function seed(count)
  box.begin()
  for id = 0, count - 1 do
    player:insert { id, id % 1000, id % 777, 0, 100, 1, id * 3, 1000 }
  end
  box.commit()
end

function transfer(from, to, amount)
  player:update(from, { { "=", 2, to % 1000 }, { "+", 8, amount } })
end

-- Last: whoever can connect finds all of it.
box.cfg { listen = "127.0.0.1:" .. arg[1] }
require("console").listen("127.0.0.1:" .. arg[4])
