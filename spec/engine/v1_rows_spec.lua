--- What clients of v1 are shown of large tables: worked out beside the engine, once for all who ask at one moment. On a
--- server without sockets, where it can be counted.
local v1_sim = require "spec.support.v1_sim"

local COUNT = 10000 -- more than is shown on the spot
local ALL, EVEN = "SELECT * FROM thing", "SELECT * FROM thing WHERE id <> 3"

describe("first rows of v1", function()
  local world

  before_each(function()
    world = v1_sim.world()
    world:call("fill", { first = 1, last = COUNT })
  end)
  after_each(function() world:remove() end)

  local function made() return world.server:v1_lists_shown() end

  --- The sizes of the lists that a client is shown of thing, whose texts are right.
  local function shown(number, update)
    local sizes = {}
    for place, query in ipairs(world:lists(number, "thing", update)) do
      sizes[place] = #query.inserts + #query.deletes
      for _, row in ipairs(query.inserts) do assert(row[2] == ('thing "%d"'):format(row[1])) end
    end
    return sizes
  end

  local function applied(number)
    local message = world:await(number)[1]
    assert.equal("SubscribeMultiApplied", message.tag)
    return message.value
  end

  for _, form in ipairs { "v1", "v1.json" } do
    it("are made once for all who ask for them at one moment in " .. form, function()
      for number = 1, 6 do world:connect(number, form) end
      local ids = {}
      for number = 1, 6 do ids[number] = world:ask(number, ALL) end
      world:turn()
      for number = 1, 6 do
        local value = applied(number)
        assert.same({ ids[number], ids[number] }, { value.request_id, value.query_id.id })
        assert.same({ COUNT }, shown(number, value.update))
      end
      assert.equal(form == "v1" and 0 or 1, made()) -- in bytes they are what they were
    end)
  end

  it("are made once for each query, whatever else a client asks for, in which order and by which message", function()
    for number = 1, 5 do world:connect(number, "v1.json") end
    world:ask(1, ALL, EVEN)
    world:ask(2, EVEN, ALL)
    world:ask(3, "SELECT * FROM other", EVEN)
    world:post(4, "SubscribeSingle", { query = ALL, request_id = 9, query_id = { id = 9 } })
    world:post(5, "Subscribe", { query_strings = { ALL }, request_id = 9 })
    world:turn()
    assert.same({ COUNT, COUNT - 1 }, shown(1, applied(1).update))
    assert.same({ COUNT - 1, COUNT }, shown(2, applied(2).update))
    assert.same({ COUNT - 1 }, shown(3, applied(3).update))
    local single, whole = world:await(4)[1], world:await(5)[1]
    assert.same({ "SubscribeApplied", "InitialSubscription" }, { single.tag, whole.tag })
    assert.same({ COUNT }, shown(4, { tables = { single.value.rows.table_rows } }))
    assert.same({ COUNT }, shown(5, whole.value.database_update))
    assert.equal(2, made())
  end)

  it("are shared by those who come and those who go", function()
    for number = 1, 3 do world:connect(number, "v1.json") end
    local id = world:ask(1, ALL)
    world:turn()
    assert.same({ COUNT }, shown(1, applied(1).update))
    world:ask(2, ALL)
    world:post(1, "UnsubscribeMulti", { request_id = 1, query_id = { id = id } })
    world:ask(3, ALL)
    world:turn()
    local gone = world:await(1)[1]
    assert.equal("UnsubscribeMultiApplied", gone.tag)
    assert.same({ COUNT }, shown(1, gone.value.update))
    assert.same({ COUNT }, shown(2, applied(2).update))
    assert.same({ COUNT }, shown(3, applied(3).update))
    assert.equal(2, made()) -- for the first alone, then for all three
  end)

  it("are not made any more for a client that has gone, but for those who asked for the same", function()
    local asked = 300 -- by one client: far more than are made while it asks
    for number = 1, 3 do world:connect(number, "v1.json") end
    for place = 1, asked do world:ask(1, "SELECT * FROM thing WHERE id <> " .. place) end
    world:ask(2, "SELECT * FROM thing WHERE id <> " .. asked)
    world.server:disconnect(1)
    world:ask(3, ALL)
    world:turn()
    assert.same({ COUNT - 1 }, shown(2, applied(2).update))
    assert.same({ COUNT }, shown(3, applied(3).update))
    assert(made() < asked, made() .. " lists were made")
  end)

  it("are of one moment for each, and what commits bring follows once", function()
    for number = 1, 4 do world:connect(number, number % 2 == 0 and "v1" or "v1.json") end
    world:ask(1, ALL)
    world:ask(2, ALL)
    world:turn()
    world:add(COUNT + 1, 3)
    world:ask(3, ALL)
    world:ask(4, ALL)
    world:turn()
    world:add(COUNT + 2, 4)
    for number = 1, 4 do
      local messages = world:await(number, number <= 2 and 3 or 2)
      local first = world:lists(number, "thing", messages[1].value.update)[1].inserts
      assert.equal(number <= 2 and COUNT or COUNT + 1, #first)
      local told = {}
      for place = 2, #messages do told[place - 1] = world:things(number, messages[place].value.update)[1][1] end
      assert.same(number <= 2 and { COUNT + 1, COUNT + 2 } or { COUNT + 2 }, told)
    end
    assert.equal(2, made())
  end)

  it("are not kept for who comes when all have been told", function()
    world:connect(1, "v1.json")
    world:connect(2, "v1.json")
    for number = 1, 2 do assert.same({ COUNT }, shown(number, world:subscribe(number, ALL).update)) end
    assert.equal(2, made())
  end)

  it("go to others when one of those who asked goes", function()
    for number = 1, 3 do world:connect(number, "v1.json") end
    for number = 1, 3 do world:ask(number, ALL) end
    world:turn()
    world.server:disconnect(1)
    world:turn()
    for number = 2, 3 do assert.same({ COUNT }, shown(number, applied(number).update)) end
    assert.equal(1, made())
  end)
end)
