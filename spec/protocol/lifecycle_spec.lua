local people = require "spec.support.people"
local client = require "spec.support.client"
local server = require "spec.support.server"

describe("connecting", function()
  local world

  before_each(function() world = people.serve() end)
  after_each(function() world:remove() end)

  --- What the hooks have written about everybody but those who look here, oldest first.
  local function visits_of(...)
    local wanted = {}
    for _, connection_id in ipairs { ... } do
      wanted[connection_id] = true
    end
    local found = {}
    for _, visit in ipairs(people.visits(world)) do
      local event, connection_id = visit:match "^(%S+) (%x+)$"
      if wanted[connection_id] then
        found[#found + 1] = event
      end
    end
    return found
  end

  --- Waits until the hooks have written so much about a connection.
  local function wait_for_visits(count, connection_id)
    return server.wait("the disconnect hook", function()
      local visits = visits_of(connection_id)
      return #visits >= count and visits
    end)
  end

  it("runs the connect hook before the client is greeted, with its identity and connection", function()
    local ann = people.connect(world)
    local owner = people.connect(world, { token = world:owner_token() })
    local visit = owner:ask("SELECT * FROM visit")[1]
    ann:drop()
    owner:drop()
    assert.same({ id = visit.id, event = "connect", who = ann.identity, connection = ann.connection_id }, visit)
  end)

  it("and going runs the disconnect hook once, however the client goes", function()
    local ways = {
      function(ann) ann:close() end,
      function(ann) ann:drop() end,
      function(ann) ann.connection:send "\255" ann:ending() end,
      function(ann) ann.connection.stream.tcp:setoption("linger", { on = true, timeout = 0 }) ann:drop() end,
    }
    for _, leave in ipairs(ways) do
      local ann = people.connect(world)
      leave(ann)
      assert.same({ "connect", "disconnect" }, wait_for_visits(2, ann.connection_id))
    end
  end)

  it("that the hook refuses ends without a close frame and without a message", function()
    local inside = people.connect(world)
    inside:call(people.call("set_mood", { name = "unfriendly" }))
    for _, protocol in ipairs { "v2", "v3" } do
      local connection = assert(client.open(world, { protocol = protocol, query = { connection_id = ("ab"):rep(16) } }))
      local message, why = client.over(connection):next()
      assert.is_nil(message)
      assert.equal("closed", why)
      connection:shut()
    end
    inside:call(people.call("set_mood", { name = "friendly" }))
    assert.same({}, visits_of(("ab"):rep(16))) -- nor is the disconnect hook run
    inside:drop()
  end)

  it("that the hook refuses gives HTTP callers 403 with the module's words", function()
    local inside = people.connect(world)
    inside:call(people.call("set_mood", { name = "unfriendly" }))
    for _, response in ipairs { world:call("do_nothing"), world:sql "SELECT * FROM person" } do
      assert.same({ 403, "nobody may come in" }, { response.status, response.body })
    end
    inside:call(people.call("set_mood", { name = "friendly" }))
    assert.equal(200, world:call("do_nothing").status)
    inside:drop()
  end)

  it("over HTTP runs both hooks around calls and SQL, each time as another connection, also when they fail", function()
    local before = #people.visits(world)
    assert.equal(200, world:call("do_nothing").status)
    assert.equal(530, world:call("break_down").status)
    assert.equal(404, world:call("no_such_thing").status)
    assert.equal(200, world:sql("SELECT * FROM person").status)
    assert.equal(400, world:sql("nonsense").status)
    local events, connections, count = {}, {}, 0
    local all = people.visits(world)
    for place = before + 1, #all do
      local event, connection_id = all[place]:match "^(%S+) (%x+)$"
      connections[connection_id] = (connections[connection_id] or "") .. event .. " "
      events[#events + 1] = event
    end
    for _, seen in pairs(connections) do
      if seen == "connect disconnect " then
        count = count + 1
      end
    end
    assert.is_true(count >= 5, table.concat(events, " "))
  end)

  it("and a disconnect hook that fails changes nothing, and the client is gone all the same", function()
    local ann, inside = people.connect(world), people.connect(world)
    inside:call(people.call("set_mood", { name = "clumsy" }))
    ann:close()
    server.wait("the failure in the log", function() return world:output():find("stumbled on the way out", 1, true) end)
    assert.same({ "connect" }, visits_of(ann.connection_id)) -- rolled back
    inside:call(people.call("set_mood", { name = "friendly" }))
    world:kill()
    world:restart()
    assert.same({ "connect", "disconnect" }, visits_of(inside.connection_id))
    assert.same({ "connect" }, visits_of(ann.connection_id)) -- and not tried again
  end)

  it("before a kill -9 is followed by the disconnect hook at the next start, once", function()
    local ann, bob = people.connect(world), people.connect(world)
    bob:close()
    wait_for_visits(2, bob.connection_id)
    world:kill()
    for _ = 1, 2 do
      world:restart()
      assert.same({ "connect", "disconnect" }, visits_of(ann.connection_id))
      assert.same({ "connect", "disconnect" }, visits_of(bob.connection_id))
      world:kill()
    end
    world:restart()
  end)

  it("before an orderly end is followed by the disconnect hook there, and by a close frame that says so", function()
    local ann = people.connect(world)
    assert.equal(0, world:stop())
    local why, code = ann:ending()
    assert.same({ "close", 1001 }, { why, code })
    world:restart()
    assert.same({ "connect", "disconnect" }, visits_of(ann.connection_id))
  end)

  it("a hundred times at once, and going, leaves everybody counted once", function()
    local clients = {}
    for place = 1, 100 do
      clients[place] = people.connect(world)
    end
    for place = 1, 100 do
      if place % 2 == 0 then
        clients[place]:drop()
      else
        clients[place]:close()
      end
    end
    for place = 1, 100 do
      assert.same({ "connect", "disconnect" }, wait_for_visits(2, clients[place].connection_id))
    end
  end)

  it("is forgotten with a call in flight, and the call happens wholly or not at all", function()
    for place = 1, 20 do
      local ann = people.connect(world)
      ann:send_call(people.call("add_person_with_pet", { id = 1000 + place, name = "gone", kind = { tag = "cat" } }))
      ann:drop()
      wait_for_visits(2, ann.connection_id)
    end
    local bob = people.connect(world)
    assert.equal(#bob:ask "SELECT * FROM person", #bob:ask "SELECT * FROM pet")
    bob:drop()
  end)
end)
