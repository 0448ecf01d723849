--- What happens to a database that nobody serves: bits rot, files are cut, lost, swapped. It must be refused with a
--- sentence, or what was acknowledged must be there to the last row; after a refusal nothing has changed on disk.
local rot = {}

local function names_like(simulation, pattern)
  local names = {}
  for _, name in ipairs(simulation.disk:names()) do
    if name:find(pattern) then names[#names + 1] = name end
  end
  return names
end

local function flip(simulation, name, first, last)
  local size = #simulation.disk:get(name)
  last = math.min(last or size, size)
  if first > last then return nil end
  local byte = first + simulation:draw(last - first + 1) - 1
  simulation.disk:flip(name, (byte - 1) * 8 + simulation:draw(8) - 1)
  return true
end

--- How much of a segment is written, at least: behind it are zeros.
local function written(text) return #(text:match "^(.-)%z*$") end

local SEGMENT, SNAPSHOT = "%.wal$", "%.snap$"

--- Each does something to the disk and returns the point's name, or nil when there is nothing to do it to.
local ways = {
  function(simulation)
    local names = names_like(simulation, SEGMENT)
    return flip(simulation, simulation:pick(names), 1, 64) and "rot in a segment's header"
  end,
  function(simulation)
    local name = simulation:pick(names_like(simulation, SEGMENT))
    return flip(simulation, name, 65, written(simulation.disk:get(name))) and "rot in a record"
  end,
  function(simulation)
    local names = names_like(simulation, SEGMENT)
    local name = names[#names]
    return flip(simulation, name, 65, written(simulation.disk:get(name))) and "rot in the last segment"
  end,
  function(simulation)
    local names = names_like(simulation, SEGMENT)
    local name = names[#names]
    return flip(simulation, name, written(simulation.disk:get(name)) + 1) and "rot behind the log's end"
  end,
  function(simulation)
    return flip(simulation, "db/log/newest", 1) and "rot in the name of the newest segment"
  end,
  function(simulation)
    local names = names_like(simulation, SNAPSHOT)
    return #names > 0 and flip(simulation, names[#names], 1) and "rot in the newest snapshot"
  end,
  function(simulation)
    local names = names_like(simulation, SNAPSHOT)
    return #names > 1 and flip(simulation, names[1], 1) and "rot in an older snapshot"
  end,
  function(simulation) return flip(simulation, "db/identity", 1) and "rot in the identity" end,
  function(simulation)
    local names = names_like(simulation, "module_logs/")
    return #names > 0 and flip(simulation, names[1], 1) and "rot in the module's log"
  end,
  function(simulation)
    local names = names_like(simulation, SNAPSHOT)
    if #names == 0 then return nil end
    local text = simulation.disk:get(names[#names])
    simulation.disk:set(names[#names], text:sub(1, simulation:draw(#text) - 1))
    return "half a snapshot"
  end,
  function(simulation)
    local names = names_like(simulation, SEGMENT)
    if #names < 2 then return nil end -- the last one ends where it ends
    local name = names[simulation:draw(#names - 1)]
    local text = simulation.disk:get(name)
    simulation.disk:set(name, text:sub(1, simulation:draw(written(text)) - 1))
    return "half a segment"
  end,
  function(simulation)
    simulation.disk:set(simulation:pick(names_like(simulation, SEGMENT)), nil)
    return "missing segment"
  end,
  function(simulation)
    local names = names_like(simulation, SNAPSHOT)
    if #names == 0 then return nil end
    simulation.disk:set(simulation:pick(names), nil)
    return "missing snapshot"
  end,
  function(simulation)
    simulation.disk:set("db/identity", nil)
    return "missing identity"
  end,
  function(simulation)
    local names = names_like(simulation, SEGMENT)
    if #names < 2 then return nil end
    local place = simulation:draw(#names - 1)
    local one, other = simulation.disk:get(names[place]), simulation.disk:get(names[place + 1])
    simulation.disk:set(names[place], other)
    simulation.disk:set(names[place + 1], one)
    return "swapped segments"
  end,
  function(simulation)
    simulation.disk:set("db/snapshots/00000000000000000007.snap.new", "the beginning of something")
    return "leftover of a snapshot"
  end,
}

local function remember(disk)
  local files = {}
  for _, name in ipairs(disk:names()) do files[name] = disk:get(name) end
  return files
end

local function restore(disk, files)
  for _, name in ipairs(disk:names()) do
    if not files[name] then disk:set(name, nil) end
  end
  for name, text in pairs(files) do
    if disk:get(name) ~= text then disk:set(name, text) end
  end
end

--- What is another now, by name; false for what is gone.
local function find_spoiled(disk, files)
  local spoiled = {}
  for name, text in pairs(files) do
    local now = disk:get(name)
    if now ~= text then spoiled[name] = now or false end
  end
  for _, name in ipairs(disk:names()) do
    if not files[name] then spoiled[name] = disk:get(name) end
  end
  return spoiled
end

--- What was spoiled is as before, where the database has not changed it since.
local function mend(disk, files, spoiled)
  for name, text in pairs(spoiled) do
    if (disk:get(name) or false) == text then disk:set(name, files[name]) end
  end
end

--- Takes away the spoiled snapshots that are still there.
function rot.clean(simulation)
  for name, text in pairs(simulation.spoiled) do
    if text and simulation.disk:get(name) == text then simulation.disk:set(name, nil) end
  end
end

--- In a database that has been stopped in an orderly way.
function rot.spoil(simulation)
  local files = remember(simulation.disk)
  local way = simulation:pick(ways)(simulation)
  if not way then return end
  local spoiled = find_spoiled(simulation.disk, files)
  simulation.points:visit(way)
  simulation.way = way
  if simulation:open(true) then
    simulation.points:visit "survived rot"
    if way == "rot in the newest snapshot" or way == "half a snapshot" then
      simulation.points:visit "older snapshot loaded"
    end
    simulation.server:close()
    if way:find "snapshot" and simulation:chance(0.5) then
      for name, text in pairs(spoiled) do simulation.spoiled[name] = text end
    else
      mend(simulation.disk, files, spoiled)
    end
  else
    simulation:hold(#simulation.why > 0, "refused without a word")
    simulation.points:visit "refused after rot"
    restore(simulation.disk, files)
  end
  simulation.disk:kill()
  simulation.way = nil
end

return rot
