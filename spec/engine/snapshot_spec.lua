--- Snapshots of a running database: taken beside the writers, loaded at the start, given up when they are old.
local client = require "spec.support.client"
local server = require "spec.support.server"
local ws_client = require "spec.support.ws_client"

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types

stdb.table("thing", { public = true,
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "name", t.string, unique = true },
  { "weight", t.i32, index = true },
})

stdb.table("visit", { public = true, { "who", t.identity, primary_key = true }, { "times", t.u32 } })

stdb.reducer("add", { { "first", t.u32 }, { "count", t.u32 } }, function(ctx, first, count)
  for number = first, first + count - 1 do
    ctx.db.thing:insert { name = "thing " .. number, weight = number % 10 }
  end
end)

stdb.reducer("change", { { "id", t.u64 }, { "weight", t.i32 } }, function(ctx, id, weight)
  ctx.db.thing.id:update { id = id, weight = weight }
end)

stdb.on.connect(function(ctx)
  ctx.db.visit.who:upsert { who = ctx.sender, times = 1 }
end)

stdb.on.disconnect(function(ctx)
  ctx.db.visit.who:delete(ctx.sender)
end)
]]

local rows = require("spec.support.bsatn").schema [[
    thing = { id: u64, name: string, weight: i32 }
    visit = { who: u256, times: u32 }
]]

local function add(first, count)
  return "add", client.arguments("{ first: u32, count: u32 }", { first = first, count = count })
end

local function change(id, weight)
  return "change", client.arguments("{ id: u64, weight: i32 }", { id = id, weight = weight })
end

local function folder(world, name)
  return ("%s/databases/%s/%s"):format(world.data_dir, world.database, name)
end

local function files(path)
  local pipe = io.popen(("ls '%s' 2>/dev/null"):format(path))
  local names = {}
  for name in pipe:lines() do names[#names + 1] = name end
  pipe:close()
  return names
end

local function snapshots(world)
  local names = {}
  for _, name in ipairs(files(folder(world, "snapshots"))) do
    if name:find "%.snap$" then names[#names + 1] = name end
  end
  return names
end

local function flip_byte(path, place)
  local file = assert(io.open(path, "r+b"))
  file:seek("set", place)
  local byte = file:read(1):byte()
  file:seek("set", place)
  file:write(string.char((byte + 128) % 256))
  file:close()
end

describe("a snapshot", function()
  local world

  local function start(...)
    world = server.start { module = MODULE, arguments = { ... } }
  end

  local function connect()
    return client.connect(world, { rows = rows })
  end

  local function take()
    return world:request { method = "POST", path = "/v1/database/%s/snapshot", token = world:owner_token(), body = "" }
  end

  after_each(function()
    if world then world:remove() end
    world = nil
  end)

  it("is taken on demand, and the next start loads it and replays only what came after", function()
    start()
    local ann = connect()
    assert.equal("Ok", ann:call(add(1, 2000)).tag)
    local answer = take()
    assert.equal(200, answer.status, answer.body)
    assert.equal(1, #snapshots(world))
    assert.equal("Ok", ann:call(change(7, 777)).tag)
    assert.equal("Ok", ann:call(add(5000, 1)).tag)

    world:kill()
    world:restart()

    assert.truthy(world:output():find "snapshot at offset %d+ and %d+ transactions")
    local ben = connect()
    assert.equal(2001, #ben:ask "SELECT * FROM thing")
    assert.equal(777, ben:ask("SELECT * FROM thing WHERE id = 7")[1].weight)
    assert.equal(200, #ben:ask "SELECT * FROM thing WHERE weight = 3")
  end)

  it("holds sequences, so that no number is given out twice", function()
    start()
    local ann = connect()
    assert.equal("Ok", ann:call(add(1, 10)).tag)
    assert.equal(200, take().status)
    world:kill()
    world:restart()
    local ben = connect()
    assert.equal("Ok", ben:call(add(100, 1)).tag)
    local given = ben:ask "SELECT * FROM thing WHERE name = 'thing 100'"
    assert.is_true(tonumber(given[1].id) > 10)
  end)

  it("knows who was connected: those who did not come back are disconnected at the start", function()
    start()
    local ann = connect()
    assert.equal(200, take().status)
    assert.equal(1, #ann:ask "SELECT * FROM visit")
    world:kill()
    world:restart()
    local ben = connect()
    assert.equal(1, #ben:ask "SELECT * FROM visit") -- ben alone
  end)

  it("is refused to everybody but the owner", function()
    start()
    local answer = world:request { method = "POST", path = "/v1/database/%s/snapshot", body = "" }
    assert.equal(403, answer.status)
    assert.equal(0, #snapshots(world))
  end)

  it("that is damaged is passed over for the one before, and said", function()
    start()
    local ann = connect()
    assert.equal("Ok", ann:call(add(1, 500)).tag)
    assert.equal(200, take().status)
    assert.equal("Ok", ann:call(add(1000, 500)).tag)
    assert.equal(200, take().status)
    local names = snapshots(world)
    assert.equal(2, #names)
    world:kill()
    flip_byte(folder(world, "snapshots") .. "/" .. names[2], 20000)

    world:restart()

    assert.truthy(world:output():find(names[2], 1, true), world:output())
    assert.equal(1000, #connect():ask "SELECT * FROM thing")
  end)

  it("is taken by itself after enough log, and what is too old or too much is given up behind it", function()
    start("--snapshot-every", "1", "--keep-size", "1")
    local ann = connect()
    local most = 0
    for round = 0, 29 do
      assert.equal("Ok", ann:call(add(round * 5000, 5000)).tag)
      most = math.max(most, #snapshots(world))
    end
    server.wait("snapshots", function() return #snapshots(world) >= 2 end)
    assert.is_true(most <= 4, most .. " snapshots at once")
    server.wait("the oldest segment to go", function()
      return files(folder(world, "log"))[1] ~= ("0"):rep(20) .. ".wal"
    end)

    world:kill()
    world:restart()

    assert.truthy(world:output():find "snapshot at offset", world:output())
    assert.equal(150000, #connect():ask "SELECT * FROM thing")
  end)

  it("does not stand in the way of calls, nor of an orderly end in the middle of it", function()
    start()
    local ann = connect()
    for round = 0, 9 do assert.equal("Ok", ann:call(add(round * 10000, 10000)).tag) end
    local asking = assert(ws_client.open { port = world.port })
    asking:send_request { method = "POST", path = ("/v1/database/%s/snapshot"):format(world.database), body = "",
      headers = { Authorization = "Bearer " .. world:owner_token() } }
    for id = 1, 50 do assert.equal("Ok", ann:call(change(id, -id)).tag) end
    assert.equal(0, world:stop())
    world:restart()
    local ben = connect()
    assert.equal(100000, #ben:ask "SELECT * FROM thing")
    assert.equal(50, #ben:ask "SELECT * FROM thing WHERE weight < 0")
  end)
end)
