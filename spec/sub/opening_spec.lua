--- First rows that are worked out beside the engine: what they show, what comes behind them, and who shares them.
local sub = require "spec.support.sub"
local count, names_of = sub.count, sub.names_of

local item = { name = "item", key = "id", indexes = { { "zone" }, { "score" } },
  columns = { { "id", "u32" }, { "zone", "u32" }, { "score", "u32" }, { "label", "string" } } }
local zone = { name = "zone", indexes = { { "id", kind = "Hash" }, { "owner" } },
  columns = { { "id", "u32" }, { "owner", "u32" } } }
local nothing = { name = "nothing", columns = { { "id", "u32" } } }

local ROWS = 20000

local function an_item(id, label)
  return { id = id, zone = id % 50, score = id % 1000, label = label or ("l" .. id % 7) }
end

describe("a subscription to much", function()
  local world, client

  setup(function()
    world = sub.world { item, zone, nothing }
    local changes = {}
    for id = 1, ROWS do
      changes[id] = { "insert", "item", an_item(id) }
    end
    for id = 0, 49 do
      changes[#changes + 1] = { "insert", "zone", { id = id, owner = id % 5 } }
    end
    world:commit(changes)
  end)
  teardown(function() world:free() end)

  before_each(function() client = world:client() end)
  after_each(function() client:drop() end)

  local texts = {
    "SELECT * FROM zone",
    "SELECT * FROM item",
    "SELECT * FROM nothing",
    "SELECT * FROM item WHERE label = 'l3' OR label = 'l5'",
    "SELECT * FROM item WHERE id = 77",
    "SELECT item.* FROM item JOIN zone ON item.zone = zone.id WHERE zone.owner = 2 OR zone.owner = 3",
    "SELECT zone.* FROM item JOIN zone ON item.zone = zone.id WHERE item.score > 10",
    "SELECT * FROM item ORDER BY score DESC LIMIT 5",
    "SELECT * FROM item WHERE label <> 'l1' AND score < 500 AND FALSE",
    "SELECT * FROM item WHERE label <> 'l1' AND score <> 500",
  }

  it("shows what it would show on the spot, in the order asked for", function()
    local started = assert(client:begin(1, texts))
    started.work()
    local rows = started.finish()

    assert.same({ "zone", "item", "item", "item", "item", "zone", "item", "item", "item" }, names_of(rows))
    assert.same(client:evaluate(texts), client.bags[1])
  end)

  it("shows one moment, and brings what happens meanwhile behind it", function()
    local started = assert(client:begin(1, texts))
    world:commit { { "delete", "item", an_item(3) }, { "insert", "item", an_item(3, "l5") },
      { "insert", "item", an_item(ROWS + 1) }, { "delete", "zone", { id = 2, owner = 2 } } }
    started.work()
    world:commit { { "delete", "item", an_item(ROWS + 1) }, { "insert", "zone", { id = 2, owner = 2 } } }
    started.finish()

    assert.same(client:evaluate(texts), client.bags[1])
    world:commit { { "delete", "item", an_item(3, "l5") }, { "insert", "item", an_item(3) } }
    assert.same(client:evaluate(texts), client.bags[1])
  end)

  it("shares its rows with others that ask while no commit touches the query", function()
    local other, late, latest = world:client(), world:client(), world:client()
    local first = assert(client:begin(1, { "SELECT * FROM item" }))
    local second = assert(other:begin(1, { "SELECT * FROM item" }))
    assert.is_nil(second.batch)
    world:commit { { "insert", "item", an_item(ROWS + 5) } }
    local third = assert(late:begin(1, { "SELECT * FROM item" }))
    first.work()
    third.work()
    local fourth = assert(latest:begin(1, { "SELECT * FROM item" }))
    assert.is_nil(fourth.batch)

    local _, shared = first.finish()
    local _, also_shared = second.finish()
    local _, own = third.finish()
    local _, also_own = fourth.finish()
    assert.same(own, also_own)

    assert.same(shared, also_shared)
    assert.not_same(shared, own)
    assert.same(client.bags[1], other.bags[1])
    assert.same(client.bags[1], late.bags[1])
    world:commit { { "delete", "item", an_item(ROWS + 5) } }
    assert.equal(ROWS, count(late.bags[1].item))
    other:drop()
    late:drop()
    latest:drop()
  end)

  it("may end before its rows are there", function()
    local started = assert(client:begin(1, { "SELECT * FROM item" }))
    assert(client:unsubscribe(1))
    assert.equal(0, world:query_count())
    started.work()
    assert.equal(1, #started.finish().tables)
  end)

  it("is refused when it would put too many rows in order without an index, and says which index helps", function()
    local many = {}
    for id = 1, 120 do
      many[id] = ("SELECT * FROM item WHERE id <> %d ORDER BY label LIMIT 1"):format(id)
    end
    local rows, reason = client:subscribe(1, many)

    assert.is_nil(rows)
    assert.truthy(reason:find("add an index", 1, true))
    assert.equal(0, world:query_count())
    assert(client:subscribe(1, { many[1], many[2], (many[3]:gsub("label", "score")) }))
  end)

  it("is answered on the spot when it is small, whatever the table's size", function()
    local many = {}
    for id = 1, 3000 do
      many[id] = "SELECT * FROM item WHERE id = " .. id
    end
    assert.is_nil(client:begin(1, many))
    assert.equal(3000, count(client.bags[1].item))
  end)
end)
