--- Joins, orders and events kept up to date: single cases by hand, and random transactions after each of which every
--- query is evaluated anew.
local sub = require "spec.support.sub"
local sub_random = require "spec.support.sub_random"
local count = sub.count

local item = { name = "item", key = "id", indexes = { { "zone" }, { "score" }, { "zone", "score" } },
  columns = { { "id", "u32" }, { "zone", "u32" }, { "score", "u32" }, { "label", "string" } } }
local zone = { name = "zone", indexes = { { "id", kind = "Hash" }, { "owner" }, { "next" } },
  columns = { { "id", "u32" }, { "owner", "u32" }, { "next", "u32" } } }
local ping = { name = "ping", event = true, columns = { { "zone", "u32" }, { "word", "u32" } } }
local tables = { item, zone, ping }

local ERR_OUT_OF_TIME = 301

local function an_item(id, zone_id, score, label)
  return { id = id, zone = zone_id or 0, score = score or 0, label = label or "thing" }
end

local world, client

before_each(function()
  world = sub.world(tables)
  client = world:client()
end)
after_each(function() world:free() end)

local function rows_of(name, list)
  local bag = {}
  for _, values in ipairs(list) do
    local row = world:row(name, values)
    bag[row] = (bag[row] or 0) + 1
  end
  return bag
end

describe("a live join", function()
  local function subscribe(text)
    assert(client:subscribe(1, { text }))
  end

  it("shows a row for each partner, and counts as partners come and go", function()
    subscribe "SELECT item.* FROM item JOIN zone ON item.zone = zone.id"
    world:commit { { "insert", "item", an_item(1, 7) } }
    assert.same(0, count(client.bags[1].item))

    world:commit { { "insert", "zone", { id = 7, owner = 1, next = 0 } },
      { "insert", "zone", { id = 7, owner = 2, next = 0 } } }
    assert.same(2, count(client.bags[1].item))

    world:commit { { "delete", "zone", { id = 7, owner = 1, next = 0 } } }
    assert.same(1, count(client.bags[1].item))
  end)

  it("says nothing when a row loses one partner and wins another", function()
    world:commit { { "insert", "item", an_item(1, 7) }, { "insert", "zone", { id = 7, owner = 1, next = 0 } } }
    subscribe "SELECT item.* FROM item JOIN zone ON item.zone = zone.id"

    assert.same({}, world:commit { { "delete", "zone", { id = 7, owner = 1, next = 0 } },
      { "insert", "zone", { id = 7, owner = 2, next = 0 } } })
  end)

  it("takes back a row whose both sides change at once", function()
    world:commit { { "insert", "item", an_item(1, 7) }, { "insert", "zone", { id = 7, owner = 1, next = 0 } } }
    subscribe "SELECT zone.* FROM item JOIN zone ON item.zone = zone.id WHERE item.score = 0"

    world:commit { { "delete", "item", an_item(1, 7) }, { "insert", "item", an_item(1, 8) },
      { "delete", "zone", { id = 7, owner = 1, next = 0 } }, { "insert", "zone", { id = 8, owner = 1, next = 0 } } }

    assert.same(rows_of("zone", { { id = 8, owner = 1, next = 0 } }), client.bags[1].zone)
  end)

  it("finds partners that came and went in the same commit through what is demanded of the other table", function()
    world:commit { { "insert", "zone", { id = 7, owner = 5, next = 0 } } }
    subscribe "SELECT item.* FROM item JOIN zone ON item.zone = zone.id WHERE zone.owner = 5"

    assert.same({}, world:commit { { "insert", "item", an_item(1, 7) },
      { "delete", "zone", { id = 7, owner = 5, next = 0 } } })
  end)

  it("joins a table with itself", function()
    world:commit { { "insert", "zone", { id = 1, owner = 0, next = 2 } } }
    subscribe "SELECT b.* FROM zone a JOIN zone b ON a.next = b.id WHERE a.owner = 0"

    world:commit { { "insert", "zone", { id = 2, owner = 0, next = 2 } } }

    assert.same({ [world:row("zone", { id = 2, owner = 0, next = 2 })] = 2 }, client.bags[1].zone)
  end)

  it("is left out of the first rows while one of its tables is empty", function()
    world:commit { { "insert", "item", an_item(1, 7) } }
    assert.same({}, client:subscribe(1, { "SELECT item.* FROM item JOIN zone ON item.zone = zone.id" }).tables)
  end)

  it("brings events whose partners are there, and never takes them back", function()
    world:commit { { "insert", "zone", { id = 7, owner = 5, next = 0 } } }
    subscribe "SELECT ping.* FROM ping JOIN zone ON ping.zone = zone.id WHERE zone.owner = 5"

    local deliveries = world:commit { { "insert", "ping", { zone = 7, word = 1 } },
      { "insert", "ping", { zone = 8, word = 2 } } }

    local element = deliveries[1].update.query_sets[1].tables[1].rows[1]
    assert.equal("EventTable", element.tag)
    assert.equal(8, #element.value.events.rows_data)
    assert.same({}, world:commit { { "delete", "zone", { id = 7, owner = 5, next = 0 } } })
    assert.same({}, world:commit { { "insert", "ping", { zone = 7, word = 1 } } })
  end)

  it("meets with an event the partners of its own commit", function()
    subscribe "SELECT ping.* FROM ping JOIN zone ON ping.zone = zone.id"

    assert.equal(1, #world:commit { { "insert", "ping", { zone = 7, word = 1 } },
      { "insert", "zone", { id = 7, owner = 5, next = 0 } } })
  end)

  it("ends alone, with its set, when a commit makes too many pairs for it", function()
    local changes = {}
    for id = 1, 3000 do
      changes[#changes + 1] = { "insert", "item", an_item(id, 1) }
      changes[#changes + 1] = { "insert", "zone", { id = 1, owner = id, next = 0 } }
    end
    subscribe "SELECT item.* FROM item JOIN zone ON item.zone = zone.id"
    assert(client:subscribe(2, { "SELECT * FROM item WHERE id = 1" }))
    local other = world:client()
    assert(other:subscribe(9, { "SELECT * FROM zone", "SELECT item.* FROM item JOIN zone ON item.zone = zone.id" }))

    local deliveries, endings = world:commit(changes)

    assert.equal(1, #deliveries)
    assert.equal(1, count(client.bags[2].item))
    table.sort(endings, function(left, right) return left.set < right.set end)
    assert.same({ 1, 9 }, { endings[1].set, endings[2].set })
    assert.truthy(endings[1].reason:find "more pairs")
    assert.equal(1, world:query_count())
  end)

  it("is refused when its first rows, worked out on the spot, would take too many pairs", function()
    local changes = {}
    for id = 1, 6000 do
      changes[#changes + 1] = { "insert", "item", an_item(id, 1) }
      changes[#changes + 1] = { "insert", "zone", { id = 1, owner = id, next = 0 } }
    end
    world:commit(changes)

    local _, reason, code = client:subscribe(1, { "SELECT * FROM item WHERE id = 1",
      "SELECT item.* FROM item JOIN zone ON item.zone = zone.id WHERE item.score > zone.owner" })

    assert.equal(ERR_OUT_OF_TIME, code)
    assert.truthy(reason:find "was stopped", reason)
    assert.equal(0, world:query_count())
    assert(client:subscribe(1, { "SELECT * FROM item WHERE id = 1" }))
  end)

  it("ends likewise when there are too many partners to tell whom a change concerns", function()
    local changes = {}
    for id = 1, 2500 do
      changes[#changes + 1] = { "insert", "item", an_item(id, 1) }
      changes[#changes + 1] = { "insert", "zone", { id = 1, owner = id, next = 0 } }
    end
    subscribe "SELECT item.* FROM item JOIN zone ON item.zone = zone.id WHERE zone.owner > 5"
    assert(client:subscribe(2, { "SELECT zone.* FROM item JOIN zone ON item.id = zone.owner WHERE item.score = 0" }))

    local _, endings = world:commit(changes)

    assert.equal(1, #endings)
    assert.equal(1, endings[1].set)
    assert.equal(2500, count(client.bags[2].zone))
  end)

  it("is not asked when what it demands of the other table is demanded by others only", function()
    for owner = 1, 500 do
      assert(client:subscribe(owner, {
        "SELECT item.* FROM item JOIN zone ON item.zone = zone.id WHERE zone.owner = " .. owner,
        "SELECT zone.* FROM item JOIN zone ON item.zone = zone.id WHERE item.score > 5 AND zone.owner = " .. owner }))
    end
    world:commit { { "insert", "zone", { id = 7, owner = 33, next = 0 } } }
    local before = world:offer_count()

    local deliveries = world:commit { { "insert", "item", an_item(1, 7, 9) }, { "insert", "item", an_item(2, 8, 9) } }

    assert.equal(2, world:offer_count() - before)
    assert.same({ 33 }, { tonumber(deliveries[1].update.query_sets[1].query_set_id.id) })
  end)

  it("ends with the index it looks partners up by", function()
    subscribe "SELECT item.* FROM item JOIN zone ON item.zone = zone.id"
    local without = { name = "item", key = "id", columns = item.columns }

    local endings = world:migrate { without, zone, ping }

    assert.equal(1, #endings)
    assert.truthy(endings[1].reason:find "index")
  end)
end)

local function changes_of_deletes(inserts)
  local deletes = {}
  for place, change in ipairs(inserts) do
    deletes[place] = { "delete", change[2], change[3] }
  end
  return deletes
end

describe("a live order", function()
  it("shows the first rows, brings the successor of one that leaves, and takes out who is overtaken", function()
    local changes = {}
    for id = 1, 200 do
      changes[id] = { "insert", "item", an_item(id, 0, id * 10) }
    end
    world:commit(changes)
    assert(client:subscribe(1, { "SELECT * FROM item ORDER BY score DESC LIMIT 2" }))
    assert.same(rows_of("item", { an_item(200, 0, 2000), an_item(199, 0, 1990) }), client.bags[1].item)

    world:commit { { "delete", "item", an_item(200, 0, 2000) } }
    assert.same(rows_of("item", { an_item(199, 0, 1990), an_item(198, 0, 1980) }), client.bags[1].item)

    world:commit { { "insert", "item", an_item(300, 0, 1985) } }
    assert.same(rows_of("item", { an_item(199, 0, 1990), an_item(300, 0, 1985) }), client.bags[1].item)

    assert.same({}, world:commit { { "insert", "item", an_item(301, 0, 5) }, { "delete", "item", an_item(1, 0, 10) } })
  end)

  it("decides between equal ones by their bytes", function()
    world:commit { { "insert", "item", an_item(3, 0, 1) }, { "insert", "item", an_item(2, 0, 1) } }
    assert(client:subscribe(1, { "SELECT * FROM item ORDER BY score LIMIT 2" }))

    world:commit { { "insert", "item", an_item(1, 0, 1) } }

    assert.same(rows_of("item", { an_item(1, 0, 1), an_item(2, 0, 1) }), client.bags[1].item)
  end)

  it("is not asked about rows behind its end, wherever that moves", function()
    local changes = {}
    for id = 1, 200 do
      changes[id] = { "insert", "item", an_item(id, 0, id * 10) }
    end
    world:commit(changes)
    assert(client:subscribe(1, { "SELECT * FROM item ORDER BY score LIMIT 1" }))
    local function asked(change)
      local before = world:offer_count()
      world:commit { change }
      return world:offer_count() - before
    end

    assert.equal(0, asked { "insert", "item", an_item(300, 0, 3000) })
    assert.equal(1, asked { "insert", "item", an_item(301, 0, 3) })
    world:commit(changes_of_deletes(changes))
    world:commit { { "delete", "item", an_item(301, 0, 3) } }
    assert.same(rows_of("item", { an_item(300, 0, 3000) }), client.bags[1].item)
    assert.equal(1, asked { "delete", "item", an_item(300, 0, 3000) })
  end)

  it("is shared by those who ask the same, whenever they ask", function()
    local late = world:client()
    assert(client:subscribe(1, { "SELECT * FROM item ORDER BY score LIMIT 1" }))
    world:commit { { "insert", "item", an_item(2, 0, 5) } }
    assert(late:subscribe(1, { "SELECT * FROM item ORDER BY score LIMIT 1" }))

    world:commit { { "insert", "item", an_item(1, 0, 4) } }

    assert.equal(1, world:query_count())
    assert.same(rows_of("item", { an_item(1, 0, 4) }), client.bags[1].item)
    assert.same(client.bags[1].item, late.bags[1].item)
  end)

  it("is refused when it would keep too many rows", function()
    local rows, reason = client:subscribe(1, { "SELECT * FROM item ORDER BY score LIMIT 10001" })
    assert.is_nil(rows)
    assert.truthy(reason:find("10000", 1, true))
  end)

  it("is refused over events, which are not kept", function()
    local rows, reason = client:subscribe(1, { "SELECT * FROM ping ORDER BY word LIMIT 1" })
    assert.is_nil(rows)
    assert.truthy(reason:find("event table `ping`", 1, true))
  end)

  it("ends when its table's rows change their form", function()
    world:commit { { "insert", "item", an_item(1, 0, 5) } }
    assert(client:subscribe(1, { "SELECT * FROM item ORDER BY score LIMIT 1" }))
    local columns = { unpack(item.columns) }
    columns[#columns + 1] = { "height", "u32", default = 7 }

    local endings = world:migrate { { name = "item", key = "id", indexes = item.indexes, columns = columns }, zone, ping }

    assert.equal(1, #endings)
    assert.equal(0, world:query_count())
  end)

  it("outlives a change of the schema", function()
    world:commit { { "insert", "item", an_item(1, 0, 5) } }
    assert(client:subscribe(1, { "SELECT * FROM item ORDER BY score LIMIT 1" }))

    assert.same({}, world:migrate { ping, zone, item, { name = "more", columns = { { "x", "u32" } } } })
    world:commit { { "insert", "item", an_item(2, 0, 4) } }

    assert.same(rows_of("item", { an_item(2, 0, 4) }), client.bags[1].item)
  end)
end)

describe("live queries under random transactions", function()
  local seed = tonumber(os.getenv "STDB_SEED") or os.time()
  local random = math.random

  local function demand(of)
    local kinds = {
      item = {
        function() return "item.score > " .. random(0, 9) end,
        function() return ("item.id = %d OR item.score = %d"):format(random(0, 20), random(0, 9)) end,
        function() return ("item.zone = %d"):format(random(0, 5)) end,
        function() return "item.label <> 'l1'" end,
      },
      zone = {
        function() return "zone.owner = " .. random(0, 3) end,
        function() return ("zone.owner >= %d AND zone.owner < %d"):format(random(0, 3), random(0, 4)) end,
        function() return ("zone.id = %d OR zone.next = %d"):format(random(0, 5), random(0, 5)) end,
      },
    }
    return kinds[of][random(#kinds[of])]()
  end

  local function where(sides)
    local parts = {}
    for _, side in ipairs(sides) do
      if random(2) == 1 then
        parts[#parts + 1] = "(" .. demand(side) .. ")"
      end
    end
    return #parts > 0 and " WHERE " .. table.concat(parts, " AND ") or ""
  end

  local function order()
    local ways = { "score", "score DESC", "zone, score", "zone DESC, score DESC", "label, score DESC", "zone, label DESC" }
    return (" ORDER BY %s LIMIT %d"):format(ways[random(#ways)], random(0, 12))
  end

  local patterns = {
    function() return "SELECT item.* FROM item JOIN zone ON item.zone = zone.id" .. where { "item", "zone" } end,
    function() return "SELECT zone.* FROM item JOIN zone ON item.zone = zone.id" .. where { "item", "zone" } end,
    function() return "SELECT zone.* FROM zone JOIN item ON item.zone = zone.id" .. where { "item", "zone" } end,
    function() return "SELECT item.* FROM zone JOIN item ON item.id = zone.next" .. where { "item", "zone" } end,
    function() return "SELECT item.* FROM zone JOIN item ON item.score = zone.owner WHERE item.zone > zone.id" end,
    function() return "SELECT a.* FROM zone a JOIN zone b ON a.next = b.id WHERE a.owner = " .. random(0, 3) end,
    function() return "SELECT b.* FROM zone a JOIN zone b ON a.next = b.id WHERE a.id < b.owner" end,
    function() return "SELECT b.* FROM zone a JOIN zone b ON a.next = b.id WHERE a.owner = b.owner" end,
    function() return "SELECT * FROM item" .. order() end,
    function() return "SELECT * FROM item" .. where { "item" } .. order() end,
    function() return "SELECT * FROM item WHERE zone = " .. random(0, 5) .. order() end,
    function() return "SELECT * FROM zone ORDER BY owner DESC, next LIMIT " .. random(1, 5) end,
    function() return "SELECT * FROM item" .. where { "item" } end,
  }

  --- `spread`: how many items there may be.
  local function some_changes(rows, spread)
    local changes, replace = sub_random.changes(rows)
    local remove_share = random(3)
    for _ = 1, random(1, 10) == 1 and 60 or random(1, 6) do
      local remove = random(4) <= remove_share
      if random(2) == 1 then
        local id = random(0, spread)
        local values = an_item(id, random(0, 5), random(0, 9), "l" .. random(0, 3))
        replace("item", id, not remove and world:row("item", values) or nil)
      else
        local row = world:row("zone", { id = random(0, 5), owner = random(0, 3), next = random(0, 5) })
        replace("zone", row, not remove and row or nil)
      end
    end
    return changes
  end

  for _, spread in ipairs { 20, 300 } do
    it(("show after each what evaluating them anew shows, among %d rows, seed %d"):format(spread, seed), function()
      math.randomseed(seed)
      local clients, rows = sub_random.clients(world, { {}, {}, {}, {} }, patterns), { item = {}, zone = {} }
      for _ = 1, 250 do
        if random(3) == 1 then
          clients:change_a_set()
        end
        local _, endings = world:commit(some_changes(rows, spread))
        assert.same({}, endings)
        clients:check()
      end
    end)
  end
end)
