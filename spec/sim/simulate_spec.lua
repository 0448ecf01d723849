--- The whole engine in a simulated world, against a model: see simulation.lua. tools/simulate runs more of it.
local plants = require "spec.sim.plants"
local run = require "spec.sim.run"
local simulation = require "spec.sim.simulation"

--- The sanitizers are slow: they look at fewer histories, which need not meet everything.
local is_sanitized = (os.getenv "STDB_CORE" or ""):find "sanitize" ~= nil
local histories = tonumber(os.getenv "STDB_SEEDS") or (is_sanitized and 20 or 200)

describe("the engine in a simulated world", function()
  it("is what the model is, through crashes, restarts and every named fault", function()
    local failures = {}
    local visited, calls, failed = run.histories(1, histories, {}, function(why) failures[#failures + 1] = why end)
    print(("sim: %d calls in %d histories; visits of each point:"):format(calls, histories))
    print(table.concat(visited:lines(), "\n"))
    assert.equal(0, failed, failures[1])
    assert.is_true(calls > 30 * histories)
    if histories >= 200 then assert.same({}, visited:missing()) end
  end)

  --- The same history again and again, with trouble at the n-th opportunity of its second life until there is none
  --- left; then the next history, until there were enough opportunities.
  local function sweep(enough, ready, step)
    local opportunities, seed = 0, 0
    repeat
      local nth, before, after = 1, nil, nil
      seed = seed + 1
      repeat
        local _, _, why = run.history(seed, { lives = 2, steps = 60, trouble = function(world)
          before = world.disk:strike_count()
          if world.life == 2 then ready(world.disk, nth) end
        end, plant = { ended = function(world) after = world.disk:strike_count() end } })
        assert.is_nil(why)
        nth = nth + (is_sanitized and 5 or 1) * step
      until after == before
      opportunities = opportunities + nth
    until opportunities > enough
    simulation.forget_modules()
  end

  it("survives a power cut at any call that changes something", function()
    sweep(80, function(disk, nth) disk:cut_power_at(nth) end, 1)
  end)

  it("survives the end of its process at any call that changes something", function()
    sweep(80, function(disk, nth) disk:kill_at(nth) end, 2)
  end)

  it("survives an error in any call", function()
    for _, fault in ipairs { "EIO", "ENOSPC" } do
      sweep(200, function(disk, nth) disk:fail("any", nth, fault) end, 11)
    end
  end)

  it("does the same for the same seed, at every checkpoint", function()
    local function trace(seed)
      local lines = {}
      local _, _, why = run.history(seed, { trace = lines })
      assert.is_nil(why)
      return lines
    end
    local line_count = 0
    for seed = 301, is_sanitized and 302 or 306 do
      local lines = trace(seed)
      assert.same(lines, trace(seed))
      line_count = line_count + #lines
    end
    assert.is_true(line_count > 20)
    assert.are_not.same(trace(301), trace(302))
    simulation.forget_modules()
  end)
end)

local function says_one_of(why, sentences)
  for _, sentence in ipairs(sentences) do
    if why:find(sentence, 1, true) then return true end
  end
  return false
end

describe("the simulation", function()
  for name, plant in pairs(plants) do
    it("catches " .. name, function()
      local why
      for seed = 1, 20 do
        local _
        _, _, why = run.history(seed, { plant = plant })
        if why then break end
      end
      simulation.forget_modules()
      assert.is_string(why)
      assert.is_true(says_one_of(why, plant.says), why)
    end)
  end
end)
