--- pairs as modules have it. While a module loads it goes in the order of the keys: what a loop declares then stands in
-- the same place each time the module is loaded, and calls in the log and rows of schedules find the reducer they mean.
-- Later it is Lua's own: reducers are compiled around it.
local next, sort, type = next, table.sort, type

local ordered = {}

local is_loading = true

--- From now on pairs is Lua's own.
function ordered.close()
  is_loading = false
end

local RANKS = { number = 1, string = 2, boolean = 3 }

local function is_before(left, right)
  local left_rank, right_rank = RANKS[type(left)], RANKS[type(right)]
  if left_rank ~= right_rank then
    return left_rank < right_rank
  end
  if left_rank == RANKS.boolean then
    return left and not right
  end
  return left < right
end

--- The keys that have an order, and behind them those that have none.
local function keys_of(target)
  local keys, others = {}, {}
  for key in next, target do
    local list = RANKS[type(key)] and keys or others
    list[#list + 1] = key
  end
  sort(keys, is_before)
  for _, key in ipairs(others) do
    keys[#keys + 1] = key
  end
  return keys
end

--- What goes on the way is not met; what comes is met another time.
local function walk(target)
  local keys, place = keys_of(target), 0
  return function()
    local key, value
    repeat
      place = place + 1
      key = keys[place]
      value = rawget(target, key)
    until key == nil or value ~= nil
    return key, value
  end
end

function ordered.pairs(target)
  if is_loading and type(target) == "table" then
    return walk(target)
  end
  return pairs(target)
end

return ordered
