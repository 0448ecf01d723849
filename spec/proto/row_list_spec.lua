local proto = require("spec.support.proto")
local ffi = require("ffi")
local core = proto.core

local function encoded(rows)
    local list = proto.row_list(rows)
    local text = proto.written(function(out) core.row_list_encode(out, list) end)
    assert(#text == tonumber(core.row_list_encoded_size(list)), "the size told is the size written")
    return proto.to_hex(text)
end

local function u32(number)
    return ffi.string(ffi.new("uint32_t[1]", number), 4)
end

local function u64(number)
    return ffi.string(ffi.new("uint64_t[1]", number), 8)
end

describe("a row list", function()
    it("without rows has no offsets and no data", function()
        assert.equal("010000000000000000", encoded({}))
    end)

    it("of one row tells its size", function()
        assert.equal("0004000400000009000000", encoded({ "\9\0\0\0" }))
    end)

    it("tells one size when variable rows happen to be equally long", function()
        assert.equal("000a00140000000100000002000000616102000000020000006262",
            encoded({ "\1\0\0\0\2\0\0\0aa", "\2\0\0\0\2\0\0\0bb" }))
    end)

    it("tells each offset once sizes differ", function()
        assert.equal("01030000000000000000000000090000000000000014000000000000001c000000" ..
            "010000000100000061" .. "0200000003000000626364" .. "0300000000000000",
            encoded({ "\1\0\0\0\1\0\0\0a", "\2\0\0\0\3\0\0\0bcd", "\3\0\0\0\0\0\0\0" }))
    end)

    it("gives the equal rows before the first different one their offsets too", function()
        local want = "\1" .. u32(4) .. u64(0) .. u64(2) .. u64(4) .. u64(6) .. u32(7) .. "aabbccd"

        assert.equal(proto.to_hex(want), encoded({ "aa", "bb", "cc", "d" }))
    end)

    it("counts rows without bytes by their offsets", function()
        assert.equal(proto.to_hex("\1" .. u32(2) .. u64(0) .. u64(0) .. u32(0)), encoded({ "", "" }))
    end)

    it("tells one size up to 65,535 bytes and offsets beyond", function()
        local fits, over = ("x"):rep(65535), ("x"):rep(65536)

        assert.equal(proto.to_hex("\0\255\255" .. u32(65535)), encoded({ fits }):sub(1, 14))
        assert.equal(proto.to_hex("\1" .. u32(1) .. u64(0) .. u32(65536)), encoded({ over }):sub(1, 34))
    end)

    it("begins anew after it is cleared", function()
        local list = proto.row_list({ "a", "bb", "" })
        core.row_list_clear(list)
        core.row_list_add(list, proto.bytes("zz"))

        assert.equal("000200020000007a7a",
            proto.to_hex(proto.written(function(out) core.row_list_encode(out, list) end)))
    end)
end)

describe("an update of rows", function()
    it("puts inserts before deletes", function()
        local inserts, deletes = proto.row_list({ "\1" }), proto.row_list({ "\2" })
        local text = proto.written(function(out) core.row_list_update(out, inserts, deletes) end)

        assert.equal("00" .. "0001000100000001" .. "0001000100000002", proto.to_hex(text))
    end)

    it("of an event table has its events only", function()
        local events = proto.row_list({ "\7" })
        local text = proto.written(function(out) core.row_list_events(out, events) end)

        assert.equal("01" .. "0001000100000007", proto.to_hex(text))
    end)
end)
