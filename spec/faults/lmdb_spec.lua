--- What LMDB could trip over, and does not.
local cjson = require "cjson"
local server = require "spec.support.server"

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types
stdb.table("weight", { { "id", t.u32, primary_key = true }, { "bulk", t.string } })
stdb.table("mark", { public = true, { "id", t.u32, primary_key = true } })
stdb.reducer("lift", { { "id", t.u32 } }, function(ctx, id)
  ctx.db.mark:insert { id = id }
  ctx.db.weight:insert { id = id, bulk = ("x"):rep(15 * 1024 * 1024) }
end)
]]

describe("LMDB's map", function()
  local world
  before_each(function() world = server.start { module = MODULE, arguments = { "--call-limit", "5000" } } end)
  after_each(function() world:remove() end)

  local function take_snapshot()
    return ("%s/databases/world/snapshots/%020d.snap"):format(world.data_dir, world:take_snapshot())
  end

  local function count_rows()
    return #cjson.decode(world:sql("SELECT * FROM mark").body)[1].rows
  end

  it("grows with what a snapshot holds", function()
    for id = 1, 7 do assert.equal(200, world:call("lift", cjson.encode { id }).status) end
    local path = take_snapshot()
    local file = assert(io.open(path, "rb"))
    assert.is_true(file:seek "end" > 64 * 2 ^ 20) -- what the map begins with
    file:close()
    world:kill()
    world:restart()
    assert.equal(7, count_rows())
  end)

  it("leaves no lock file, and does not look at one", function()
    assert.equal(200, world:call("lift", "[1]").status)
    local path = take_snapshot()
    assert.is_nil(server.read_file(path .. "-lock"))
    server.write_file(path .. "-lock", ("\255"):rep(8192))
    server.write_file(path:match "^(.*)/" .. "/lock.mdb", ("\255"):rep(8192))
    world:kill()
    world:restart()
    assert.truthy(world:output():find "snapshot at offset", world:output())
    assert.equal(1, count_rows())
    take_snapshot()
  end)
end)
