--- Types: what is worked out about them, their spelling, their bytes, references.
local ffi = require("ffi")
local bsatn = require("spec.support.bsatn")
local sats = require("spec.support.sats")
local meta = require("spec.support.vectors").meta

local VARIABLE = -1
local special = { IDENTITY = 1, CONNECTION_ID = 2, TIMESTAMP = 3, TIME_DURATION = 4, UUID = 5, OPTION = 6, RESULT = 7,
                  SCHEDULE_AT = 8 }

--- A type from a value of AlgebraicType, unresolved.
local function decode(value)
    return assert(sats.decode_type(bsatn.encode(meta.AlgebraicType, value)))
end

local function ref(place)
    return { tag = "Ref", value = place }
end

local function product(...)
    local elements = {}
    for place, kind in ipairs { ... } do
        elements[place] = { name = { tag = "none" }, algebraic_type = kind }
    end
    return { tag = "Product", value = { elements = elements } }
end

local function array(kind)
    return { tag = "Array", value = kind }
end

describe("a type", function()
    it("knows its size when all its values have one", function()
        for notation, size in pairs {
            u8 = 1, f64 = 8, i256 = 32, bool = 1, unit = 0, Identity = 32, ScheduleAt = 9, string = VARIABLE,
            ["[u8]"] = VARIABLE, ["option(u8)"] = VARIABLE, ["option(unit)"] = 1, ["result(u32, f32)"] = 5,
            ["{ a: u8, b: { c: u32 } }"] = 5, ["{ a: u8, b: string }"] = VARIABLE, ["< 0 A: {} | 1 B: {} >"] = 1,
        } do
            assert.are.equal(size, sats.type(notation).fixed_size, notation)
        end
    end)

    it("is plain when any bytes of its size are a value", function()
        for notation, plain in pairs {
            u64 = true, f32 = true, unit = true, Uuid = true, ["{ a: i8, b: Timestamp }"] = true, bool = false,
            string = false, ScheduleAt = false, ["{ a: bool }"] = false, ["[u8]"] = false,
            ["< 0 A: {} | 1 B: {} >"] = false,
        } do
            assert.are.equal(plain, sats.type(notation).plain, notation)
        end
    end)

    it("is plain as a sum only when every tag byte is taken", function()
        local variants = {}
        for tag = 1, 256 do
            variants[tag] = { name = "V" .. tag, type = bsatn.product {} }
        end
        assert.is_true(sats.type(bsatn.sum(variants)).plain)
        variants[256] = nil
        assert.is_false(sats.type(bsatn.sum(variants)).plain)
    end)

    it("knows the shortest value", function()
        for notation, size in pairs { string = 4, ["[u32]"] = 4, ["option(u32)"] = 1, ["{ a: string, b: u8 }"] = 5 } do
            assert.are.equal(size, sats.type(notation).min_size, notation)
        end
    end)

    it("is special by its shape alone", function()
        for notation, which in pairs {
            Identity = "IDENTITY", ConnectionId = "CONNECTION_ID", Timestamp = "TIMESTAMP", Uuid = "UUID",
            TimeDuration = "TIME_DURATION", ScheduleAt = "SCHEDULE_AT", ["option(u8)"] = "OPTION",
            ["result(u8, string)"] = "RESULT", ["{ __identity__: u256 }"] = "IDENTITY",
            ["< 0 some: u8 | 1 none: {} >"] = "OPTION",
        } do
            assert.are.equal(special[which], tonumber(sats.type(notation).special), notation)
        end
        for _, notation in ipairs {
            "{ __identity__: u128 }", "{ identity: u256 }", "{ __uuid__: u128, b: u8 }", "< 0 none: {} | 1 some: u8 >",
            "< 0 some: u8 | 1 none: u8 >", "< 0 Some: u8 | 1 None: {} >", "< 0 ok: u8 >",
            "< 0 Interval: i64 | 1 Time: i64 >", "< 0 Time: Timestamp | 1 Interval: TimeDuration >",
        } do
            assert.are.equal(0, tonumber(sats.type(notation).special), notation)
        end
    end)

    it("made by the core is the one that its description makes", function()
        for place, notation in ipairs { "Identity", "ConnectionId", "Timestamp", "TimeDuration", "Uuid" } do
            local made, described = sats.core.type_special(place), sats.type(notation)
            assert.is_true(sats.core.type_equal(made, described))
            for _, fact in ipairs { "special", "plain", "fixed_size", "min_size", "depth" } do
                assert.are.equal(tostring(described[fact]), tostring(made[fact]), notation .. " " .. fact)
            end
        end
        local schedule_at = sats.core.type_special(special.SCHEDULE_AT)
        assert.is_true(sats.core.type_equal(schedule_at, sats.type("ScheduleAt")))
        assert.are.equal(sats.type("ScheduleAt").depth, schedule_at.depth)
        assert.is_true(sats.core.type_equal(sats.core.type_bytes(), sats.type("bytes")))
        assert.is_true(sats.core.type_equal(sats.core.type_unit(), sats.type("unit")))
    end)

    it("equals another by structure and names", function()
        local one = sats.type("{ a: [u8], b: option(string) }")
        assert.is_true(sats.core.type_equal(one, sats.type("{ a: [u8], b: option(string) }")))
        for _, other in ipairs { "{ a: [u8], c: option(string) }", "{ a: [i8], b: option(string) }", "{ a: [u8] }",
                                 "{ b: option(string), a: [u8] }", "u8" } do
            assert.is_false(sats.core.type_equal(one, sats.type(other)), other)
        end
    end)

    it("prints for people", function()
        for notation, text in pairs {
            u32 = "u32", bytes = "array<u8>", unit = "{}", Identity = "Identity", ScheduleAt = "ScheduleAt",
            ["option([string])"] = "option<array<string>>", ["result(u8, string)"] = "result<u8, string>",
            ["{ x: f32, y: f32 }"] = "{x: f32, y: f32}", ["< 0 A: u8 | 1 B: {} >"] = "(A: u8 | B)",
        } do
            assert.are.equal(text, sats.type_text(sats.type(notation)))
        end
        assert.are.equal("{type 3, u8}", sats.type_text(decode(product(ref(3), { tag = "U8" }))))
    end)

    it("prints as the JSON of schemas", function()
        for notation, json in pairs {
            u64 = '{"U64":[]}', string = '{"String":[]}', unit = '{"Product":{"elements":[]}}',
            bytes = '{"Array":{"U8":[]}}',
            ["{ id: u32 }"] = '{"Product":{"elements":[{"name":{"some":"id"},"algebraic_type":{"U32":[]}}]}}',
            ["< 0 A: {} >"] = '{"Sum":{"variants":[{"name":{"some":"A"},"algebraic_type":{"Product":{"elements":[]}}}]}}',
        } do
            assert.are.equal(json, sats.type_json(sats.type(notation)))
        end
        assert.are.equal('{"Product":{"elements":[{"name":{"none":[]},"algebraic_type":{"Ref":3}}]}}',
            sats.type_json(decode(product(ref(3)))))
    end)
end)

describe("the description of a type", function()
    local function refusal(hex)
        local kind, reason = sats.decode_type(bsatn.from_hex(hex))
        assert.is_nil(kind)
        return reason
    end

    it("is refused when it ends early, at every byte", function()
        local text = sats.describe("{ a: [option(u8)], b: < 0 X: {} | 1 Y: string > }")
        assert.are.equal(#text, select(2, sats.decode_type(text)))
        for size = 0, #text - 1 do
            assert.is_nil(sats.decode_type(text:sub(1, size)))
        end
    end)

    it("is refused for unknown tags, bad names and too many variants", function()
        assert.are.equal("a type has the unknown tag 20", refusal("14"))
        assert.are.equal("the name in a type has the unknown option tag 2", refusal("0201000000" .. "02" .. "0707"))
        assert.are.equal("a name in a type is not valid UTF-8", refusal("0201000000" .. "0001000000ff" .. "07"))
        assert.are.equal("a sum type has 257 variants, more than 256",
            refusal("0101010000" .. ("010200000000"):rep(257)))
        assert.are.equal("the description of a type ends too early", refusal("02ffffffff" .. "0107"))
    end)

    it("is refused when it is nested too deeply", function()
        assert.is_truthy(sats.decode_type(("\3"):rep(63) .. "\7"))
        assert.are.equal("types are nested deeper than 64 levels", refusal(("03"):rep(64) .. "07"))
        assert.are.equal("types are nested deeper than 64 levels", refusal(("03"):rep(100000)))
    end)

    it("keeps nothing of the bytes it was read from", function()
        local text = sats.describe("{ name: u8 }")
        local memory = ffi.new("uint8_t[?]", #text, text)
        local from = ffi.new("struct reader", memory, memory + #text)
        local found, diag = ffi.new("const struct type *[1]"), ffi.new("struct diag")
        local arena = ffi.new("struct arena")
        sats.core.arena_init(arena)
        assert.are.equal(0, sats.core.type_decode(arena, from, found, diag))
        ffi.fill(memory, #text, 0xff)
        assert.are.equal("{name: u8}", sats.type_text(found[0]))
        sats.core.arena_deinit(arena)
    end)
end)

describe("type_resolve", function()
    local function resolve(value, ...)
        local typespace = {}
        for place, member in ipairs { ... } do
            typespace[place] = decode(member)
        end
        return sats.resolve(decode(value), typespace)
    end

    it("puts in the place of each reference what it names", function()
        local kind = assert(resolve(array(ref(1)), { tag = "U8" }, product(ref(0), ref(0))))
        assert.are.equal("array<{u8, u8}>", sats.type_text(kind))
        assert.is_true(kind.element.plain)
    end)

    it("finds special types behind references", function()
        local some = { tag = "Sum", value = { variants = {
            { name = { tag = "some", value = "some" }, algebraic_type = ref(0) },
            { name = { tag = "some", value = "none" }, algebraic_type = ref(1) },
        } } }
        assert.are.equal("option<u8>", sats.type_text(assert(resolve(some, { tag = "U8" }, product()))))
    end)

    it("refuses references to nothing and to themselves", function()
        local _, reason = resolve(ref(7), { tag = "U8" })
        assert.are.equal("type 7 is used but the typespace has only 1 types", reason)
        _, reason = resolve(ref(0), ref(0))
        assert.are.equal("type 0 contains itself; a column cannot hold such a type", reason)
        _, reason = resolve(ref(0), array(ref(1)), product({ tag = "U8" }, ref(0)))
        assert.are.equal("type 0 contains itself; a column cannot hold such a type", reason)
    end)

    it("refuses what is deep or large only once its references are replaced", function()
        local chain, doubling = {}, {}
        for place = 1, 70 do
            chain[place] = array(ref(place))
            doubling[place] = product(ref(place), ref(place))
        end
        chain[71], doubling[71] = { tag = "U8" }, { tag = "U8" }
        local _, reason = resolve(ref(0), unpack(chain))
        assert.are.equal("types are nested deeper than 64 levels", reason)
        _, reason = resolve(ref(41), unpack(doubling))
        assert.are.equal("the type has more than 65536 parts", reason)
        assert.is_truthy(resolve(ref(7), unpack(chain)))
        _, reason = resolve(ref(6), unpack(chain))
        assert.are.equal("types are nested deeper than 64 levels", reason)
    end)
end)
