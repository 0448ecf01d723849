local ffi = require "ffi"
local snap = require "spec.support.snap"
local store = require "spec.support.store"

local player = { name = "player", columns = { { "id", "u32" } }, indexes = { { "id", unique = true } },
    sequences = { { "id" } } }

local function u32(number)
    return ffi.string(ffi.new("uint32_t[1]", number), 4)
end

local function ids_text(next_id, ids)
    local text = { u32(next_id), u32(#ids) }
    for place, entry in ipairs(ids) do text[place + 2] = u32(entry[1]) .. u32(#entry[2]) .. entry[2] end
    return table.concat(text)
end

describe("the ids kept beside a schema", function()
    local world, kept
    before_each(function()
        world = store.world { player }
        kept = { { 4097, "player" }, { 4098, "player_id_btree" }, { 4099, "player_id_seq" } }
    end)
    after_each(function() world:free() end)

    local function refused(text)
        local ok, why, code = snap.restore_schema(world, text)
        assert.same({ nil, snap.CORRUPT }, { ok, code })
        return why
    end

    it("are those of its tables, indexes and sequences, by name", function()
        assert.equal(ids_text(4100, kept), snap.encode_ids(world))
    end)

    it("come back in any order, whatever they are", function()
        local text = ids_text(7000, { { 6999, "player_id_seq" }, { 5000, "player" }, { 4097, "player_id_btree" } })
        assert.same({ 5000, 4097, 6999, next = 7000 }, assert(snap.restore_schema(world, text)))
    end)

    it("are refused when they are others", function()
        assert.truthy(refused(ids_text(4100, { kept[1], kept[2] })):find "not one for each name")
        kept[2] = { 4098, "another" }
        assert.truthy(refused(ids_text(4100, kept)):find "`player_id_btree` has none")
        kept[2] = kept[1]
        assert.truthy(refused(ids_text(4100, kept)):find "twice")
        kept[2] = { 4097, "player_id_btree" }
        assert.truthy(refused(ids_text(4100, kept)):find "twice")
        for _, id in ipairs { 0, 4096, 4100, 2 ^ 32 - 1 } do
            kept[2] = { id, "player_id_btree" }
            assert.truthy(refused(ids_text(4100, kept)):find "out of range")
        end
    end)

    it("are refused when their list is cut or goes on", function()
        local text = ids_text(4100, kept)
        for size = 0, #text - 1 do refused(text:sub(1, size)) end
        refused(text .. "\0")
    end)
end)
