local base = require "spec.support.base"
local ffi = require "ffi"
local C = base.C

describe("disk", function()
  local disk, diag, dir, out = C.disk_real(), ffi.new "struct diag", nil, ffi.new "struct disk_file *[1]"

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    assert.equal(0, disk.make_dir(disk.self, dir .. "/deep/down/", diag))
  end)

  after_each(function() os.execute("rm -rf '" .. dir .. "'") end)

  local function open(name)
    assert.equal(0, disk.open(disk.self, dir .. "/" .. name, true, out, diag), ffi.string(diag.text))
    return out[0]
  end

  local function content(name)
    local code
    local text = base.written(function(buf) code = C.disk_read_whole(disk, dir .. "/" .. name, buf, diag) end)
    return code == 0 and text or nil
  end

  it("makes a folder that is there already", function()
    assert.equal(0, disk.make_dir(disk.self, dir .. "/deep", diag))
  end)

  it("refuses a folder where a file stands, naming it", function()
    disk.close(disk.self, open "file")
    assert.equal(401, disk.make_dir(disk.self, dir .. "/file", diag))
    assert.matches("cannot make the folder " .. dir .. "/file: ", ffi.string(diag.text), 1, true)
  end)

  it("writes, reads to the end, cuts and reserves zeros", function()
    local file, done, size = open "a", ffi.new "size_t[1]", ffi.new "uint64_t[1]"
    assert.equal(0, disk.write_at(disk.self, file, 2, "hello", 5, diag))
    local bytes = ffi.new "char[100]"
    assert.equal(0, disk.read_at(disk.self, file, 0, bytes, 100, done, diag))
    assert.equal("\0\0hello", ffi.string(bytes, done[0]))
    assert.equal(0, disk.truncate(disk.self, file, 4, diag))
    assert.equal(0, disk.reserve(disk.self, file, 100000, diag))
    assert.equal(0, disk.sync(disk.self, file, diag))
    assert.equal(0, disk.size(disk.self, file, size, diag))
    assert.equal(100000, tonumber(size[0]))
    disk.close(disk.self, file)
    assert.equal("\0\0he" .. ("\0"):rep(99996), content "a")
  end)

  it("replaces a file as a whole", function()
    assert.equal(0, C.disk_write_whole(disk, dir .. "/a", base.bytes "a long old text", diag))
    assert.equal(0, C.disk_write_whole(disk, dir .. "/a", base.bytes "new", diag))
    assert.equal("new", content "a")
    assert.is_nil(content "a.new")
  end)

  it("syncs no file that was deleted, because what stands there is lost", function()
    local file = open "a"
    assert.equal(0, disk.write_at(disk.self, file, 0, "hello", 5, diag))
    assert.equal(0, disk.sync(disk.self, file, diag))
    os.remove(dir .. "/a")
    assert.equal(401, disk.sync(disk.self, file, diag))
    assert.equal("cannot sync " .. dir .. "/a: somebody has deleted it", ffi.string(diag.text))
    disk.close(disk.self, file)
  end)

  it("names what it cannot open", function()
    assert.is_nil(content "absent")
    assert.equal("cannot open " .. dir .. "/absent: No such file or directory", ffi.string(diag.text))
  end)

  it("lists plain names in byte order", function()
    for _, name in ipairs { "b", "a", "B", "10", "9" } do disk.close(disk.self, open(name)) end
    local names = {}
    local found = ffi.cast("void (*)(void *, const char *)", function(_, name) names[#names + 1] = ffi.string(name) end)
    local list = disk.list
    jit.off(true, true)
    assert.equal(0, list(disk.self, dir, found, nil, diag))
    found:free()
    assert.same({ "10", "9", "B", "a", "b", "deep" }, names)
  end)

  it("locks a file against everybody else and says who holds it", function()
    local path, first = dir .. "/lock", ffi.new "struct disk_file *[1]"
    assert.equal(0, disk.lock(disk.self, path, first, diag))
    assert.equal(403, disk.lock(disk.self, path, out, diag))
    assert.matches(path .. " is in use by another process %(process %d+%)", ffi.string(diag.text))
    disk.close(disk.self, first[0])
    assert.equal(0, disk.lock(disk.self, path, out, diag))
    disk.close(disk.self, out[0])
  end)
end)
