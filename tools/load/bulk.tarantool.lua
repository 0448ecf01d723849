-- The same players as bulk.lua, as stored functions. Usage: tarantool bulk.tarantool.lua PORT DIR WAL_MODE
-- luacheck: globals box insert update get scan delete memory

box.cfg {
  work_dir = arg[2],
  wal_mode = arg[3],
  memtx_memory = 2147483648,
  log_level = "warn",
}

local player = box.schema.space.create("player", {
  format = { { "id", "unsigned" }, { "x", "number" }, { "y", "number" }, { "z", "number" }, { "health", "integer" },
    { "name", "string" } },
})
local index = player:create_index("id", { type = "hash", parts = { "id" } })
box.schema.user.grant("guest", "read,write,execute", "universe")

local float = require("ffi").typeof "float"

function insert(count)
  box.begin()
  for id = 0, count - 1 do
    player:insert { id, float(id), float(0), float(0), 100, "player_name_0016" }
  end
  box.commit()
end

function update(count)
  box.begin()
  for id = 0, count - 1 do
    local found = index:get(id)
    index:update(id, { { "=", 2, float(found[2] + 1) }, { "=", 5, found[5] - 1 } })
  end
  box.commit()
end

function get(count)
  local health = 0
  for id = 0, count - 1 do
    health = health + index:get(id)[5]
  end
end

function scan(count)
  local found = 0
  for _, tuple in player:pairs() do
    if tuple[5] ~= 0 then found = found + 1 end
  end
  assert(found == count)
end

function delete(count)
  box.begin()
  for id = 0, count - 1 do
    index:delete(id)
  end
  box.commit()
end

function memory()
  return box.slab.info().arena_used
end

-- Last: whoever can connect finds all of it.
box.cfg { listen = "127.0.0.1:" .. arg[1] }
