--- What tools/simulate runs: histories from seeds, as many as wanted.
local points = require "spec.sim.points"
local simulation = require "spec.sim.simulation"

local run = {}

--- One history. Its points, the calls made; and the sentence when something was not as it must be.
function run.history(seed, options)
  local world = simulation.new(seed, options)
  local done, why = xpcall(world.run, function(text)
    return type(text) == "string" and text:find "^seed " and text or ("seed %s: %s"):format(seed, debug.traceback(text))
  end, world)
  world:free()
  return world.points, world.calls, not done and why or nil
end

--- Many; `tell` gets each failure.
function run.histories(first, count, options, tell)
  local all, calls, failures = points.new(), 0, 0
  for seed = first, first + count - 1 do
    local visited, made, why = run.history(seed, options)
    all:add(visited)
    calls = calls + made
    if why then
      failures = failures + 1
      tell(why)
    end
  end
  simulation.forget_modules()
  return all, calls, failures
end

local HELP = [[
Usage: tools/simulate [--seeds N] [--seed S] [--lives N] [--steps N] [--points]

Runs the whole engine on a simulated disk, clock and chance, against a model of what it must do.
  --seeds N   so many histories (default 200)
  --seed S    the first one (default: drawn from the clock); with it and without --seeds that one alone
  --lives N   how often the server starts in each (default 6, and once more to look at it all)
  --steps N   up to so many steps in each life (default 70)
  --points    lists how often each named fault point was visited
A seed that fails fails in the same way again.]]

local function refuse(text)
  io.stderr:write("tools/simulate: ", text, "; see --help\n")
  os.exit(2)
end

local function parse(arguments)
  local options, place = {}, 1
  while arguments[place] do
    local name = arguments[place]:match "^%-%-(%a+)$"
    if name == "help" or arguments[place] == "-h" then
      print(HELP)
      os.exit(0)
    elseif name == "points" then
      options.points = true
    elseif name == "seeds" or name == "seed" or name == "lives" or name == "steps" then
      place = place + 1
      local value = tonumber(arguments[place] or "")
      if not value or value < 0 or value ~= math.floor(value) then refuse("--" .. name .. " needs a whole number") end
      options[name] = value
    else
      refuse("there is no option " .. arguments[place])
    end
    place = place + 1
  end
  return options
end

function run.main(arguments)
  local options = parse(arguments)
  local first, count = options.seed or os.time(), options.seeds or (options.seed and 1 or 200)
  print(("%d histories, the first from seed %d"):format(count, first))
  local visited, calls, failures = run.histories(first, count, options, print)
  if options.points then print(table.concat(visited:lines(), "\n")) end
  local missing = visited:missing()
  if #missing > 0 then print("never visited: " .. table.concat(missing, ", ")) end
  print(("%d calls, %d of %d histories failed"):format(calls, failures, count))
  os.exit(failures == 0 and 0 or 1)
end

if arg and arg[0] and arg[0]:find "spec/sim/run%.lua$" then run.main(arg) end

return run
