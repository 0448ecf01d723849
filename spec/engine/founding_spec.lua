--- A database that is put in the place of another and cut short, at every step of it: it is the old one or the new one.
local ffi = require "ffi"
local server = require "spec.support.server"
local sim = require "spec.support.sim"
local wal = require "spec.support.wal"

local core = require "spec.support.core"
local diag = ffi.new "struct diag"

local MODULE = [[
local stdb = require "stdb"
stdb.table("thing", { public = true, { "id", stdb.types.u64, primary_key = true } })
stdb.reducer("add", { { "id", stdb.types.u64 } }, function(ctx, id) ctx.db.thing:insert { id = id } end)
]]

local DIR, ASIDE = "data/databases/world", "../../abandoned/now/databases/world"
local NEW = ("\7"):rep(32)

--- The files of a real database with a snapshot: path below its folder -> content; and the snapshot's offset.
local function make_files()
  local world = server.start { module = MODULE }
  world:must_call("add", "[1]")
  local offset = world:take_snapshot()
  world:stop()
  local files = server.read_database(world.data_dir .. "/databases/world")
  world:remove()
  return files, offset
end

describe("a founding", function()
  local files, offset, snapshot

  lazy_setup(function()
    files, offset = make_files()
    snapshot = files[("snapshots/%020d.snap"):format(offset)]
  end)

  local function disk_with(old, seed)
    local disk = wal.disk(seed)
    for path, content in pairs(old) do disk:set(DIR .. "/" .. path, content) end
    disk:set("backup", "head" .. snapshot)
    return disk
  end

  local function found(disk, aside)
    local handle = sim.C.disk_sim_disk(disk.sim)
    local calls = ffi.cast("const struct disk *", handle)
    local file, progress = ffi.new "struct disk_file *[1]", ffi.new "struct progress"
    assert.equal(0, calls.open(calls.self, "backup", false, file, diag))
    local founding = ffi.new("struct founding", { disk = handle, dir = DIR, from = file[0], position = 4, size = #snapshot,
      offset = offset, schedules_paused = true, progress = progress })
    ffi.copy(founding.database, NEW, 32)
    local code = core.founding_run(founding, aside, diag)
    calls.close(calls.self, file[0])
    return code, progress
  end

  --- "old" or "new" when all files are that.
  local function opened(disk, old)
    local handle = sim.C.disk_sim_disk(disk.sim)
    assert.equal(0, core.swap_finish(handle, DIR, diag), ffi.string(diag.text))
    local function get(path) return disk:get(DIR .. "/" .. path) end
    if get "identity" == ("07"):rep(32) .. "\n" then
      assert.truthy(get "schedules-paused")
      assert.truthy(get(("log/%020d.wal"):format(offset)))
      assert.is_nil(get "log/00000000000000000000.wal")
      local snaps = ffi.new("struct snap_options", { disk = handle, dir = DIR .. "/snapshots" })
      assert.equal(0, core.snap_verify(snaps, offset, diag), ffi.string(diag.text))
      for path, content in pairs(old) do assert.equal(content, get(ASIDE .. "/" .. path)) end
      return "new"
    end
    for path, content in pairs(old) do assert.equal(content, get(path)) end
    assert.equal(old.identity, get "identity")
    return "old"
  end

  local function changes(disk)
    local sum = 0
    for _, call in ipairs { "write", "sync", "truncate", "reserve", "rename", "remove", "make_dir", "dir_sync" } do
      sum = sum + disk:count(call)
    end
    return sum
  end

  for what, is_there in pairs { ["in the place of another"] = true, ["in a new folder"] = false } do
    it(what .. " leaves the old state or the new one wherever the power is cut", function()
      local old, aside = is_there and files or {}, is_there and ASIDE or nil
      local uncut, outcomes = disk_with(old), { old = 0, new = 0 }
      assert.equal(0, (found(uncut, aside)), ffi.string(diag.text))
      assert.equal("new", opened(uncut, old))
      for step = 1, changes(uncut) do
        collectgarbage() -- disks are large
        local disk = disk_with(old, step)
        disk:cut_power_at(step)
        local code = found(disk, aside)
        disk:restart()
        local outcome = opened(disk, old)
        assert.is_true(code ~= 0 or outcome == "new")
        outcomes[outcome] = outcomes[outcome] + 1
        if outcome == "old" then
          assert.equal(0, (found(disk, aside)), ffi.string(diag.text))
          assert.equal("new", opened(disk, old))
        end
      end
      assert.is_true(outcomes.old > 5 and outcomes.new > 5, outcomes.old .. " old, " .. outcomes.new .. " new")
    end)
  end
end)
