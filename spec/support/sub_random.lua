--- Subscribers under random transactions: sets of queries come and go, rows are written over one another, and what a
--- client holds has to be what evaluating its queries anew shows.
---
---     local clients = sub_random.clients(world, { {}, { sender = 1 } }, patterns)
---     clients:change_a_set()
---     local changes, replace = sub_random.changes(rows)
---     replace("item", 7, world:row("item", values))
---     world:commit(changes)
---     clients:check()
local assert = require "luassert"

local random = math.random
local SETS_MAX = 4 -- that a client may hold

local sub_random, clients = {}, {}
clients.__index = clients

--- A client for each of `options`, as world:client() takes them; their queries are made by `patterns`, functions without
--- arguments.
function sub_random.clients(world, options, patterns)
  local self = setmetatable({ list = {}, held = {}, patterns = patterns }, clients)
  for place, each in ipairs(options) do
    self.list[place] = world:client(each)
    self.held[place] = {}
  end
  return self
end

local function some_texts(patterns)
  local texts = {}
  for place = 1, random(1, 4) do
    texts[place] = patterns[random(#patterns)]()
  end
  return texts
end

--- One of the clients subscribes to a set it has not, or gives up one it has.
function clients:change_a_set()
  local place, set = random(#self.list), random(SETS_MAX)
  local client, held = self.list[place], self.held[place]
  if held[set] then
    client:unsubscribe(set, random(2) == 1)
    held[set] = nil
  else
    held[set] = some_texts(self.patterns)
    assert(client:subscribe(set, held[set]))
  end
end

local function without_empty(bags)
  local kept = {}
  for name, bag in pairs(bags) do
    kept[name] = next(bag) and bag or nil
  end
  return kept
end

function clients:check()
  for place, client in ipairs(self.list) do
    for set, texts in pairs(self.held[place]) do
      local fresh = without_empty(client:evaluate(texts))
      assert.same(fresh, without_empty(client.bags[set]), table.concat(texts, "\n"))
    end
  end
end

--- Changes for world:commit(), and a function that adds to them: replace(name, key, row) puts a row in place of the one
--- that has the key in `rows`, of each table by its name; nil takes that away.
function sub_random.changes(rows)
  local changes = {}
  return changes, function(name, key, row)
    if rows[name][key] then
      changes[#changes + 1] = { "delete", name, rows[name][key] }
    end
    rows[name][key] = row
    if row then
      changes[#changes + 1] = { "insert", name, row }
    end
  end
end

return sub_random
