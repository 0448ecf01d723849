--- A rollback that is cut short, at every step of it: the old state opens, or the new one.
local ffi = require "ffi"
local server = require "spec.support.server"
local sim = require "spec.support.sim"
local wal = require "spec.support.wal"

local core = require "spec.support.core"

local MODULE = [[
local stdb = require "stdb"
stdb.table("thing", { public = true, { "id", stdb.types.u64, primary_key = true }, { "name", stdb.types.string } })
stdb.reducer("add", { { "id", stdb.types.u64 } }, function(ctx, id) ctx.db.thing:insert { id = id, name = "it" } end)
]]

local DIR, ASIDE = "data/databases/world", "../../abandoned/now/databases/world"

--- The files of a real database of some records and two snapshots: path below its folder -> content.
local function make_files()
  local world = server.start { module = MODULE }
  for id = 1, 6 do
    world:must_call("add", ("[%d]"):format(id))
    if id % 2 == 0 and id < 6 then world:take_snapshot() end
  end
  world:stop()
  local files = server.read_database(world.data_dir .. "/databases/world")
  world:remove()
  return files
end

local function disk_with(files, seed)
  local disk = wal.disk(seed)
  for path, content in pairs(files) do disk:set(DIR .. "/" .. path, content) end
  return disk
end

local diag = ffi.new "struct diag"

local function plan(disk, offset)
  local progress = ffi.new "struct progress"
  local rollback = ffi.new("struct rollback", { sim.C.disk_sim_disk(disk.sim), DIR, progress })
  local code = core.rollback_plan(rollback, ffi.new("struct moment", false, offset), diag)
  assert.equal(0, code, ffi.string(diag.text))
  return rollback, progress
end

--- What is there now, once what was committed is finished.
local function opened(disk, files)
  local handle = sim.C.disk_sim_disk(disk.sim)
  assert.equal(0, core.swap_finish(handle, DIR, diag), ffi.string(diag.text))
  assert.equal(files.identity, disk:get(DIR .. "/identity"))
  return (plan(disk, 1))
end

describe("a rollback", function()
  local files, offset = nil, 9

  lazy_setup(function() files = make_files() end)

  local function roll_back(disk)
    local rollback, progress = plan(disk, offset)
    local code = core.rollback_run(rollback, ASIDE, diag)
    return code, rollback, progress
  end

  --- How many snapshots and bytes of log there are, by folder.
  local function survey(disk)
    local count = 0
    for path in pairs(files) do
      local name = path:match "^snapshots/(.*)$"
      if name and disk:get(DIR .. "/" .. path) then count = count + 1 end
    end
    return count
  end

  it("ends in the new state, and moves the later snapshots and the old log aside", function()
    local disk = disk_with(files)
    local old = plan(disk, 1).log_end
    assert.equal(0, (roll_back(disk)), ffi.string(diag.text))
    assert.equal(offset + 1, tonumber(opened(disk, files).log_end))
    assert.is_true(old > offset + 1)
    assert.equal(1, survey(disk))
    local aside = "data/databases/world/" .. ASIDE
    assert.equal(files["log/00000000000000000000.wal"], disk:get(aside .. "/log/00000000000000000000.wal"))
    assert.equal(files.identity, disk:get(aside .. "/identity"))
  end)

  local function changes(disk)
    local sum = 0
    for _, call in ipairs { "write", "sync", "truncate", "reserve", "rename", "remove", "make_dir", "dir_sync" } do
      sum = sum + disk:count(call)
    end
    return sum
  end

  local function cut_everywhere(cut, restart)
    local outcomes, uncut = { old = 0, new = 0 }, disk_with(files)
    local whole = tonumber(plan(uncut, 1).log_end)
    assert.equal(0, (roll_back(uncut)))
    for step = 1, changes(uncut) do
      collectgarbage() -- disks are large
      local disk = disk_with(files, step)
      local rollback, progress = plan(disk, offset)
      cut(disk, step)
      local code = core.rollback_run(rollback, ASIDE, diag)
      assert.is_not_nil(progress)
      restart(disk)
      local now = opened(disk, files)
      local log_end = tonumber(now.log_end)
      local outcome = log_end == whole and "old" or log_end == offset + 1 and "new"
      assert.truthy(outcome, ("cut at step %d it ends at offset %d"):format(step, log_end))
      assert.is_true(code ~= 0 or outcome == "new")
      assert.equal(outcome == "new" and 1 or 2, survey(disk))
      outcomes[outcome] = outcomes[outcome] + 1
      -- Whatever it was, it can be done again.
      if outcome == "old" then
        assert.equal(0, (roll_back(disk)), ffi.string(diag.text))
        assert.equal(offset + 1, tonumber(opened(disk, files).log_end))
      end
    end
    assert.is_true(outcomes.old > 5 and outcomes.new > 5, outcomes.old .. " old, " .. outcomes.new .. " new")
  end

  it("leaves the old state or the new one wherever the power is cut", function()
    cut_everywhere(function(disk, step) disk:cut_power_at(step) end, function(disk) disk:restart() end)
  end)

  it("leaves the old state or the new one whichever call the disk refuses", function()
    cut_everywhere(function(disk, step) disk:fail("changes", step) end, function(disk) disk:kill() end)
  end)
end)
