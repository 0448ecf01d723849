local ffi = require "ffi"
local base = require "spec.support.base"
local sim = require "spec.support.sim"

local OK, NOT_FOUND, DISK, IN_USE = 0, 106, 401, 403

--- The calls of the disk's interface on a simulated disk. They return the code, after what they give.
local function calls_of(disk)
  local interface = ffi.cast("const struct disk *", disk.sim ~= nil and sim.C.disk_sim_disk(disk.sim))
  local diag = ffi.new "struct diag"
  local calls = {}
  function calls.open(path, create)
    local out = ffi.new "struct disk_file *[1]"
    return interface.open(interface.self, path, create or false, out, diag), out[0]
  end
  function calls.lock(path)
    local out = ffi.new "struct disk_file *[1]"
    return interface.lock(interface.self, path, out, diag), out[0]
  end
  function calls.read(file, offset, size)
    local out, done = ffi.new("uint8_t[?]", size), ffi.new "size_t[1]"
    local code = interface.read_at(interface.self, file, offset, out, size, done, diag)
    return code, ffi.string(out, done[0])
  end
  function calls.write(file, offset, text) return interface.write_at(interface.self, file, offset, text, #text, diag) end
  function calls.text() return ffi.string(diag.text) end
  setmetatable(calls, { __index = function(_, name)
    return function(...)
      local arguments = { ... }
      if name == "close" then return interface.close(interface.self, arguments[1]) end
      arguments[#arguments + 1] = diag
      return interface[name](interface.self, unpack(arguments))
    end
  end })
  return calls
end

--- A file with this content, stored, its name too.
local function stored(disk, path, content)
  local calls = calls_of(disk)
  local _, file = calls.open(path, true)
  assert.equal(OK, calls.write(file, 0, content))
  assert.equal(OK, calls.sync(file))
  assert.equal(OK, calls.dir_sync(path:match "^(.*)/"))
  return calls, file
end

--- Does something on many disks, cuts the power, and counts what is found behind it.
local function outcomes(prepare, act, look)
  local counts = {}
  for seed = 1, 200 do
    local disk = sim.disk(seed)
    local calls, file = prepare(disk)
    act(calls, file, disk)
    calls.close(file)
    disk:restart()
    local found = look(disk)
    counts[found] = (counts[found] or 0) + 1
  end
  return counts
end

describe("simulated disk", function()
  it("keeps what was synced, and the names of synced folders", function()
    local counts = outcomes(function(disk) return stored(disk, "d/file", "hello") end, function() end,
      function(disk) return disk:get "d/file" end)
    assert.same({ hello = 200 }, counts)
  end)

  it("keeps, loses or tears what was not synced", function()
    local old, new = ("o"):rep(1024), ("n"):rep(1024)
    local function kind_of(part) return part:find "o" and (part:find "n" and "torn" or "old") or "new" end
    local counts = outcomes(function(disk) return stored(disk, "d/file", old) end,
      function(calls, file) calls.write(file, 0, new) end,
      function(disk)
        local content = disk:get "d/file"
        return kind_of(content:sub(1, 512)) .. " " .. kind_of(content:sub(513))
      end)
    for _, way in ipairs { "old old", "new new", "old new", "new old" } do
      assert.is_true((counts[way] or 0) > 5, way)
    end
    assert.is_true((counts["torn new"] or 0) + (counts["torn old"] or 0) + (counts["new torn"] or 0) > 5)
  end)

  it("loses writes between two syncs in any order", function()
    local counts = outcomes(function(disk) return stored(disk, "d/file", ("0"):rep(1024)) end,
      function(calls, file)
        calls.write(file, 0, "1")
        calls.write(file, 512, "2")
        calls.write(file, 0, "3")
      end,
      function(disk) return disk:get("d/file"):sub(1, 1) .. disk:get("d/file"):sub(513, 513) end)
    for _, way in ipairs { "00", "10", "30", "02", "12", "32" } do assert.is_true((counts[way] or 0) > 0, way) end
  end)

  it("keeps or loses names of folders that were not synced", function()
    local counts = outcomes(function(disk) return stored(disk, "d/old", "old") end,
      function(calls)
        local _, file = calls.open("d/new", true)
        calls.write(file, 0, "new")
        calls.sync(file)
        calls.close(file)
        calls.remove "d/old"
      end,
      function(disk) return (disk:get "d/old" or "-") .. " " .. (disk:get "d/new" or "-") end)
    for _, way in ipairs { "old -", "old new", "- new", "- -" } do assert.is_true((counts[way] or 0) > 0, way) end
  end)

  it("never leaves half a rename", function()
    local counts = outcomes(function(disk)
      stored(disk, "d/file", "old")
      return stored(disk, "d/file.new", "new")
    end, function(calls) calls.rename("d/file.new", "d/file") end,
      function(disk) return disk:get "d/file" .. " " .. (disk:get "d/file.new" or "-") end)
    assert.is_true(counts["old new"] > 0 and counts["new -"] > 0)
    assert.equal(200, counts["old new"] + counts["new -"])
  end)

  it("loses nothing when only the process is killed, and stores nothing by it", function()
    local disk = sim.disk(1)
    local calls, file = stored(disk, "d/file", "old")
    calls.write(file, 0, "new")
    disk:kill()
    assert.equal("new", disk:get "d/file")
    assert.equal(DISK, (calls.read(file, 0, 3)))
    calls.close(file)
    local seen = {}
    for seed = 1, 40 do
      disk = sim.disk(seed)
      calls, file = stored(disk, "d/file", "old")
      calls.write(file, 0, "new")
      calls.close(file)
      disk:kill()
      disk:restart()
      seen[disk:get "d/file"] = true
    end
    assert.is_true(seen.old and seen.new)
  end)

  it("takes for stored what a failed sync did not store", function()
    local counts = outcomes(function(disk) return stored(disk, "d/file", "old") end,
      function(calls, file, disk)
        calls.write(file, 0, "new")
        disk:fail("sync", 1)
        assert.equal(DISK, calls.sync(file))
        assert.equal(OK, calls.sync(file))
        assert.equal("new", disk:get "d/file")
      end,
      function(disk) return disk:get "d/file" end)
    assert.is_true(counts.old > 5 and counts.new > 5)
  end)

  it("fails the call it was told to fail, and says why", function()
    local disk = sim.disk(1)
    local calls, file = stored(disk, "d/file", "hello")
    disk:fail("write", 2, "ENOSPC")
    assert.equal(OK, calls.write(file, 0, "a"))
    assert.equal(DISK, calls.write(file, 0, "b"))
    assert.matches("cannot write d/file: .*the disk is full", calls.text())
    assert.equal(OK, calls.write(file, 0, "c"))
    disk:fail("any", 1, "EIO", true)
    assert.equal(DISK, calls.sync(file))
    assert.equal(DISK, (calls.open "d/file"))
    calls.close(file)
  end)

  it("fails by chance, and the same way for the same seed", function()
    local function run(seed)
      local disk, codes = sim.disk(seed), {}
      local calls, file = stored(disk, "d/file", "hello")
      disk:fail_often("write", 0.3)
      for idx = 1, 100 do codes[idx] = calls.write(file, 0, "x") end
      calls.close(file)
      return table.concat(codes, " ")
    end
    assert.equal(run(7), run(7))
    assert.not_equal(run(7), run(8))
  end)

  it("is full when it is full", function()
    local disk = sim.disk(1)
    local calls, file = stored(disk, "d/file", "hello")
    disk:set_capacity(100)
    assert.equal(OK, calls.reserve(file, 100))
    assert.equal(DISK, calls.reserve(file, 101))
    assert.equal(DISK, calls.write(file, 99, "ab"))
    assert.equal(OK, calls.write(file, 98, "ab"))
    calls.close(file)
  end)

  it("refuses everything between the cut and the return of power", function()
    local disk = sim.disk(1)
    local calls, file = stored(disk, "d/file", "hello")
    disk:cut_power_at(2)
    assert.equal(OK, calls.write(file, 0, "a"))
    assert.equal(DISK, calls.write(file, 0, "b"))
    assert.is_true(disk:has_crashed())
    assert.equal(DISK, (calls.read(file, 0, 1)))
    assert.matches("the power was cut", calls.text())
    calls.close(file)
    disk:restart()
    assert.equal(OK, (calls.open "d/file"))
  end)

  it("locks a file once, until it is closed or the process ends", function()
    local disk = sim.disk(1)
    local calls = calls_of(disk)
    local _, first = calls.lock "d/lock"
    assert.equal(IN_USE, (calls.lock "d/lock"))
    calls.close(first)
    local code, second = calls.lock "d/lock"
    assert.equal(OK, code)
    disk:kill()
    code, first = calls.lock "d/lock"
    assert.equal(OK, code)
    calls.close(second)
    assert.equal(IN_USE, (calls.lock "d/lock"))
    calls.close(first)
  end)

  it("keeps a removed file for those who have it open", function()
    local disk = sim.disk(1)
    local calls, file = stored(disk, "d/file", "hello")
    assert.equal(OK, calls.remove "d/file")
    assert.equal(NOT_FOUND, (calls.open "d/file"))
    local _, text = calls.read(file, 0, 10)
    assert.equal("hello", text)
    calls.close(file)
  end)

  it("counts what it is asked", function()
    local disk = sim.disk(1)
    local _, file = stored(disk, "d/file", "hello")
    calls_of(disk).close(file)
    assert.equal(1, disk:count "write")
    assert.equal(1, disk:count "dir_sync")
    assert.equal(0, disk:count "rename")
  end)

  it("serves whole small files as the real one does", function()
    local disk = sim.disk(1)
    local calls = calls_of(disk)
    local interface = ffi.cast("const struct disk *", sim.C.disk_sim_disk(disk.sim))
    local diag = ffi.new "struct diag"
    assert.equal(OK, calls.make_dir "d")
    assert.equal(OK, base.C.disk_write_whole(interface, "d/small", base.bytes "content", diag))
    disk:restart()
    assert.equal("content", disk:get "d/small")
  end)
end)
