--- A process that has no file descriptors left.
local cjson = require "cjson"
local server = require "spec.support.server"
local ws_client = require "spec.support.ws_client"

-- A few calls fill a segment of the log, so that new files are needed.
local MODULE = [[
local stdb = require "stdb"
local t = stdb.types
stdb.table("weight", { { "id", t.u32, primary_key = true }, { "bulk", t.string } })
stdb.reducer("lift", { { "letter", t.string } }, function(ctx, letter)
  ctx.db.weight.id:upsert { id = 1, bulk = letter:rep(6 * 1024 * 1024) }
end)
]]

describe("a server without free file descriptors", function()
  local world, held

  before_each(function()
    world = server.start { module = MODULE, prelude = "ulimit -n 128;", arguments = { "--call-limit", "5000" } }
    held = {}
  end)
  after_each(function()
    for _, connection in ipairs(held) do connection:shut() end -- the next server would inherit them
    world:remove()
  end)

  local function occupy()
    for place = 1, 140 do
      held[place] = assert(ws_client.open { port = world.port })
    end
    world:wait_for "a connection has to wait"
  end

  local function ask(connection, path, body)
    assert(connection:send_request { method = "POST", path = path, body = body,
      headers = { ["Content-Type"] = "application/json", Authorization = "Bearer " .. world:owner_token() } })
    return connection:read_response(server.patience)
  end

  it("pauses to accept, and goes on serving, logging and taking snapshots from its reserve", function()
    local early = assert(ws_client.open { port = world.port })
    assert.equal(200, ask(early, "/v1/database/world/call/lift", '["a"]').status)
    occupy()
    for letter in ("bcdefghijklmn"):gmatch "." do
      assert.equal(200, ask(early, "/v1/database/world/call/lift", cjson.encode { letter }).status)
    end
    local segments = io.popen(("ls '%s' | grep -c wal"):format(world:log_dir()))
    assert.is_true(segments:read "*n" > 1)
    segments:close()
    local answer = ask(early, "/v1/database/world/snapshot", "")
    assert.equal(200, answer.status, answer.body)
    assert.is_true(world:is_running(), world:output())
    early:shut()
  end)

  it("lets those in who had to wait, once others have gone", function()
    occupy()
    local last = held[#held]
    assert(last:send_request { method = "GET", path = "/v1/ping", headers = {} })
    for place = 1, 100 do held[place]:shut() end
    assert.equal(200, last:read_response(server.patience).status)
  end)
end)

describe("a server that was started with few file descriptors and may have more", function()
  it("takes them", function()
    local world = server.start { module = MODULE, prelude = "ulimit -Sn 64;" }
    local held = {}
    for place = 1, 200 do
      held[place] = assert(ws_client.open { port = world.port })
    end
    assert(held[200]:send_request { method = "GET", path = "/v1/ping", headers = {} })
    assert.equal(200, held[200]:read_response(server.patience).status)
    assert.is_nil(world:output():match "has to wait")
    for _, connection in ipairs(held) do connection:shut() end
    world:remove()
  end)
end)
