local ffi = require "ffi"
local store = require "spec.support.store"
local core = store.core

describe("foresight", function()
  local world, player

  before_each(function()
    world = store.world { { name = "player", columns = { { "id", "u32" }, { "level", "u32" }, { "name", "string" } },
      indexes = { { "id", kind = "hash", unique = true }, { "level", kind = "btree" }, { "name", kind = "hash" } } } }
    player = world:table("player")
  end)
  after_each(function() world:free() end)

  local function learn(foresight, index, key, args)
    core.foresight_learn(foresight, player:index(index), store.bytes(key), store.bytes(args))
  end

  local function offsets(foresight)
    local list = {}
    for place = 1, foresight.hint_count do
      list[place] = foresight.hints[place - 1].offset
    end
    return list
  end

  it("remembers where in the arguments a key stood, once", function()
    local foresight = ffi.new("struct foresight")
    learn(foresight, 1, "ABCD", "\1\2\3ABCD\9")
    learn(foresight, 1, "EFGH", "\7\7\7EFGH\9")
    learn(foresight, 1, "\7EFG", "\7\7\7EFGH\9")
    assert.same({ 3, 2 }, offsets(foresight))
  end)

  it("learns nothing from a key that stands nowhere in the arguments", function()
    local foresight = ffi.new("struct foresight")
    learn(foresight, 1, "ABCD", "")
    learn(foresight, 1, "ABCD", "ABC")
    learn(foresight, 1, "ABCD", "ABXCD")
    assert.same({}, offsets(foresight))
  end)

  it("is for indexes that find a key by its hash, with keys of one size", function()
    local foresight = ffi.new("struct foresight")
    learn(foresight, 2, "ABCD", "ABCD")
    learn(foresight, 3, "\4\0\0\0ABCD", "\4\0\0\0ABCD")
    assert.same({}, offsets(foresight))
  end)

  it("keeps no more than four places", function()
    local foresight = ffi.new("struct foresight")
    local args = "AAAABBBBCCCCDDDDEEEE"
    for key in args:gmatch("....") do
      learn(foresight, 1, key, args)
    end
    assert.same({ 0, 4, 8, 12 }, offsets(foresight))
  end)

  it("watches the first call of a reducer and then few", function()
    local foresight = ffi.new("struct foresight")
    local watched = {}
    for number = 1, 130 do
      watched[#watched + 1] = core.foresight_watches(foresight) and number or nil
    end
    assert.same({ 1, 65, 129 }, watched)
  end)

  it("asks for what may not be there, by arguments that may be shorter, and changes nothing", function()
    local foresight = ffi.new("struct foresight")
    learn(foresight, 1, "ABCD", "..ABCD")
    local function ask()
      for _, args in ipairs { "", "..ABC", "..ABCD", "..\1\0\0\0", "..\2\0\0\0...." } do
        core.foresight_ask_entries(foresight, store.bytes(args))
        core.foresight_ask_rows(foresight, store.bytes(args))
      end
    end
    ask()
    player:restore(player:row { id = 1, level = 2, name = "ann" })
    ask()
    assert.is_truthy(player:find(1, { 1 }))
    assert.is_nil(player:find(1, { 2 }))
  end)
end)
