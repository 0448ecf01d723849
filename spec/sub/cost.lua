--- What a commit costs beside live queries that it does not touch: 10 of them, 1,000 and 10,000, of every kind.
---
---     luajit spec/sub/cost.lua [ROUNDS [COMMITS]]
---
--- Printed are the best of the rounds in nanoseconds a commit, from the rows that changed to nobody to be told, and
--- the ratio of the last to the first. Nothing is asserted: a machine at work gives any number.
local sub = require "spec.support.sub"

local rounds = tonumber(arg and arg[1]) or 7
local sizes = { 10, 1000, 10000 }

local item = { name = "item", key = "id", indexes = { { "zone" } },
  columns = { { "id", "u32" }, { "zone", "u32" }, { "score", "u32" }, { "label", "string" } } }
local zone = { name = "zone", key = "id", indexes = { { "owner" } }, columns = { { "id", "u32" }, { "owner", "u32" } } }
local UNTOUCHED = 1000000
local commits = tonumber(arg and arg[2]) or 2000

local kinds = {
  { "equality", function(n) return "SELECT * FROM item WHERE zone = " .. n end },
  { "one of three", function(n)
    return ("SELECT * FROM item WHERE zone = %d OR zone = %d OR id = %d"):format(n, n + 1, n)
  end },
  { "range", function(n)
    return ("SELECT * FROM item WHERE score >= %d AND score < %d"):format(n * 10, n * 10 + 500)
  end },
  { "half range", function(n) return ("SELECT * FROM item WHERE score < %d"):format(n) end },
  { "text range", function(n)
    return ("SELECT * FROM item WHERE label > 'a%05d' AND label < 'a%05d'"):format(n, n + 5)
  end },
  { "join", function(n) return "SELECT item.* FROM item JOIN zone ON item.zone = zone.id WHERE zone.owner = " .. n end },
  { "join, both", function(n)
    return ("SELECT item.* FROM item JOIN zone ON item.zone = zone.id WHERE zone.owner = %d AND item.score > 5"):format(n)
  end },
  { "top of some", function(n) return ("SELECT * FROM item WHERE zone = %d ORDER BY score DESC LIMIT 10"):format(n) end },
  { "top of all", function(n)
    return ("SELECT * FROM item WHERE id <> %d ORDER BY score LIMIT 10"):format(UNTOUCHED + n * 1000)
  end },
}

--- A few rows, so that windows are full and joins have partners: of the row that changes, none that is asked for.
local function fill(world)
  local changes = { { "insert", "zone", { id = UNTOUCHED, owner = UNTOUCHED } } }
  for id = 1, 150 do
    changes[#changes + 1] = { "insert", "item", { id = id, zone = 0, score = id, label = "thing" } }
  end
  world:commit(changes)
end

local function measure(text_of, count)
  local world, client_texts = sub.world { item, zone }, {}
  fill(world)
  for n = 1, count do
    client_texts[n] = text_of(n)
  end
  assert(world:client():subscribe(1, client_texts))
  local best = math.huge
  for round = 1, rounds do
    local row = { id = UNTOUCHED + round, zone = UNTOUCHED, score = UNTOUCHED, label = "zebra" }
    best = math.min(best, world:time_publish({ { "insert", "item", row } }, commits) / commits)
  end
  world:free()
  return best * 1e9
end

print(("%-14s %10s %10s %10s %8s"):format("ns a commit", sizes[1], sizes[2], sizes[3], "ratio"))
for _, kind in ipairs(kinds) do
  local cost = {}
  for place, count in ipairs(sizes) do
    cost[place] = measure(kind[2], count)
  end
  print(("%-14s %10.0f %10.0f %10.0f %8.2f"):format(kind[1], cost[1], cost[2], cost[3], cost[3] / cost[1]))
end

-- A join and a window that a commit does touch, beside evaluating them anew.
local function measure_touched(text)
  local world, changes = sub.world { item, zone }, {}
  for id = 1, 20000 do
    changes[id] = { "insert", "item", { id = id, zone = id % 100, score = id, label = "thing" } }
  end
  for id = 0, 99 do
    changes[#changes + 1] = { "insert", "zone", { id = id, owner = id % 10 } }
  end
  world:commit(changes)
  local client = world:client()
  assert(client:subscribe(1, { text }))
  client.put_by = {} -- updates are not followed: those that are timed go to nobody
  local best, anew = math.huge, math.huge
  for round = 1, rounds do
    local row = { id = UNTOUCHED + round, zone = 7, score = 0, label = "zebra" }
    best = math.min(best, world:time_publish({ { "insert", "item", row } }, 1) * 1e9)
    local begin = os.clock()
    client:evaluate { text }
    anew = math.min(anew, (os.clock() - begin) * 1e9)
    world:commit { { "delete", "item", row } }
  end
  world:free()
  return best, anew
end

print(("\n%-14s %10s %10s %8s"):format("ns a commit", "kept", "anew", "ratio"))
for _, kind in ipairs {
  { "join", "SELECT zone.* FROM item JOIN zone ON item.zone = zone.id WHERE zone.owner = 7 AND item.score < 100" },
  { "top", "SELECT * FROM item ORDER BY score LIMIT 10" },
} do
  local kept, anew = measure_touched(kind[2])
  print(("%-14s %10.0f %10.0f %8.0f"):format(kind[1], kept, anew, anew / kept))
end
