local base = require "spec.support.base"
local ffi = require "ffi"
local C = base.C

local function pointer(number) return ffi.cast("void *", number) end
local function number(value) return value ~= nil and tonumber(ffi.cast("uintptr_t", value)) or nil end

describe("map", function()
  it("behaves like a table under random changes", function()
    local seed = os.time()
    math.randomseed(seed)
    local map, model = ffi.new "struct map", {}
    C.map_init(map)
    for _ = 1, 20000 do
      local key, value = ("key %d"):format(math.random(300)):rep(math.random(2)), math.random(1, 2 ^ 30)
      if math.random(2) == 1 then
        assert.equal(model[key], number(C.map_put(map, base.bytes(key), pointer(value))), "seed " .. seed)
        model[key] = value
      else
        assert.equal(model[key], number(C.map_remove(map, base.bytes(key))), "seed " .. seed)
        model[key] = nil
      end
      assert.equal(model[key], number(C.map_find(map, base.bytes(key))), "seed " .. seed)
    end

    local place, count = ffi.new "uint32_t[1]", 0
    local entry = C.map_next(map, place)
    while entry ~= nil do
      assert.equal(model[ffi.string(entry.key, entry.key_size)], number(entry.value), "seed " .. seed)
      count = count + 1
      entry = C.map_next(map, place)
    end
    assert.equal(map.count, count)
    for key in pairs(model) do
      assert.is_not_nil(number(C.map_find(map, base.bytes(key))))
      count = count - 1
    end
    assert.equal(0, count)
    C.map_deinit(map)
  end)

  it("takes the empty key", function()
    local map = ffi.new "struct map"
    C.map_init(map)
    assert.is_nil(number(C.map_find(map, base.bytes "")))
    C.map_put(map, base.bytes "", pointer(7))
    assert.equal(7, number(C.map_remove(map, base.bytes "")))
    C.map_deinit(map)
  end)
end)

describe("diag", function()
  local diag

  before_each(function() diag = ffi.new "struct diag" end)

  it("holds a code and a sentence", function()
    assert.equal(401, C.diag_set(diag, 401, "%s: %s", "a.txt", "gone"))
    assert.equal("a.txt: gone", ffi.string(diag.text))
    assert.equal("the disk refused", ffi.string(C.err_text(401)))
  end)

  it("puts a circumstance in front", function()
    C.diag_set(diag, 401, "gone")
    assert.equal(401, C.diag_note(diag, "opening %s: ", "a.txt"))
    assert.equal("opening a.txt: gone", ffi.string(diag.text))
  end)

  it("cuts at a character, never inside one", function()
    for before = 0, 3 do
      C.diag_set(diag, 401, "%s", ("a"):rep(before) .. ("\226\130\172"):rep(600))
      local text = ffi.string(diag.text)
      assert.is_true(#text > 1490 and #text < 1500)
      assert.is_true(C.text_is_utf8(base.bytes(text)))
      C.diag_note(diag, "%s", ("b"):rep(before + 1))
      text = ffi.string(diag.text)
      assert.is_true(C.text_is_utf8(base.bytes(text)))
      assert.equal(("b"):rep(before + 1), text:sub(1, before + 1))
    end
  end)
end)
