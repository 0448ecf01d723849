--- Checking, measuring and ordering of values in bytes.
local bsatn = require("spec.support.bsatn")
local sats = require("spec.support.sats")

local function encode(notation, value)
    return bsatn.encode(bsatn.type(notation), value)
end

local function refusal(notation, hex)
    local used, reason = sats.check(sats.type(notation), bsatn.from_hex(hex))
    assert.is_nil(used, "was taken: " .. hex)
    return reason
end

describe("bsatn_check", function()
    it("says how much of the input the value takes", function()
        assert.are.equal(4, sats.check(sats.type("u32"), "abcdefgh"))
        assert.are.equal(7, sats.check(sats.type("string"), encode("string", "abc") .. "tail"))
        assert.are.equal(0, sats.check(sats.type("unit"), ""))
    end)

    it("refuses input that is too short", function()
        assert.are.equal("the bytes end inside u32", refusal("u32", "000000"))
        assert.are.equal("the bytes end inside string", refusal("string", "000000"))
        assert.are.equal("the bytes end inside string", refusal("string", "0400000061"))
        assert.are.equal("the bytes end inside array<u16>", refusal("[u16]", "020000000100"))
        assert.are.equal("the bytes end inside array<string>", refusal("[string]", "ffffffff00000000"))
        assert.are.equal("the bytes end inside option<u8>", refusal("option(u8)", ""))
        assert.are.equal("the bytes end inside Identity", refusal("Identity", "00"))
    end)

    it("refuses unknown tags, bools beyond 1 and bad UTF-8", function()
        assert.are.equal("there is no variant 2, the type has 2", refusal("option(u8)", "0200"))
        assert.are.equal("a bool is 0 or 1, not 2", refusal("bool", "02"))
        assert.are.equal("the string is not valid UTF-8", refusal("string", "02000000c080"))
        assert.are.equal("the string is not valid UTF-8", refusal("string", "03000000eda080"))
    end)

    it("says where", function()
        local notation = "{ a: u8, pos: [{ name: string, on: option(bool) }] }"
        assert.are.equal("pos[1].on.some: a bool is 0 or 1, not 7", refusal(notation, "00" .. "02000000"
            .. "00000000" .. "01" .. "00000000" .. "0007"))
        assert.are.equal("[1]: a bool is 0 or 1, not 2", refusal("[bool]", "020000000102"))
    end)

    it("says which field it is that the bytes end in", function()
        assert.are.equal("b: the bytes end inside u32", refusal("{ a: u8, b: u32 }", "0100"))
        assert.are.equal("pos.y: the bytes end inside f32", refusal("{ name: string, pos: { x: f32, y: f32 } }",
            "00000000" .. "00000000" .. "000000"))
        assert.are.equal("who: the bytes end inside Identity", refusal("{ who: Identity, name: string }", "00"))
    end)

    it("cuts a path that is too long at its outer end", function()
        local name = ("n"):rep(200)
        local reason = refusal("{ outer: { " .. name .. ": { inner" .. name .. ": bool } } }", "02")
        assert.is_truthy(reason:find("^…%.innern+: a bool is 0 or 1, not 2$"))
    end)

    it("bounds elements that cost no bytes, in all", function()
        assert.are.equal(4, sats.check(sats.type("[unit]"), bsatn.from_hex("00000100")))
        assert.are.equal("more than 65536 elements that hold nothing", refusal("[unit]", "01000100"))
        assert.are.equal("[1]: more than 65536 elements that hold nothing",
            refusal("[[unit]]", "02000000" .. "00000100" .. "01000000"))
    end)

    it("takes plain types of any bytes and asks only for their size", function()
        local kind = sats.type("{ a: u8, b: f64, who: Identity, at: Timestamp }")
        assert.is_true(kind.plain)
        assert.are.equal(49, kind.fixed_size)
        assert.are.equal(49, sats.check(kind, ("\255"):rep(49)))
        assert.is_nil(sats.check(kind, ("\255"):rep(48)))
    end)
end)

-- Random types and values ---------------------------------------------------------------------------------------

local seed = tonumber(os.getenv("SEED")) or os.time()

local numbers = { "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "u128", "i128", "u256", "i256", "f32", "f64" }
local sizes = { u8 = 1, i8 = 1, u16 = 2, i16 = 2, u32 = 4, i32 = 4, u64 = 8, i64 = 8, f32 = 4, f64 = 8, u128 = 16,
                i128 = 16, u256 = 32, i256 = 32 }

local function random_members(count, depth, random_type)
    local members = {}
    for place = 1, count do
        members[place] = { name = "f" .. place, type = random_type(depth - 1) }
    end
    return members
end

local function random_type(depth)
    local choice = math.random(depth > 0 and 10 or 5)
    if choice <= 3 then
        return { kind = numbers[math.random(#numbers)] }
    elseif choice <= 5 then
        return { kind = choice == 4 and "bool" or "string" }
    elseif choice <= 7 then
        return bsatn.product(random_members(math.random(0, 3), depth, random_type))
    elseif choice <= 9 then
        return bsatn.sum(random_members(math.random(1, 3), depth, random_type))
    end
    return bsatn.array(random_type(depth - 1))
end

--- Few different bytes and lengths, so that equal values and equal beginnings happen.
local function random_bytes(size)
    local bytes = {}
    for place = 1, size do
        bytes[place] = string.char(({ 0, 1, 127, 128, 255 })[math.random(5)])
    end
    return table.concat(bytes)
end

local function random_text()
    local letters = {}
    for place = 1, ({ 0, 1, 2, 7, 8, 9, 12 })[math.random(7)] do
        letters[place] = ({ "a", "b", "\0", "\127" })[math.random(4)]
    end
    return table.concat(letters)
end

local random_value

local function random_list(element, count)
    local parts = {}
    for place = 1, count do
        parts[place] = random_value(element)
    end
    return encode("u32", count) .. table.concat(parts)
end

function random_value(kind)
    if sizes[kind.kind] then
        return random_bytes(sizes[kind.kind])
    elseif kind.kind == "bool" then
        return string.char(math.random(0, 1))
    elseif kind.kind == "string" or kind.kind == "bytes" then
        return encode("string", random_text())
    elseif kind.kind == "array" then
        return random_list(kind.element, math.random(0, 3))
    elseif kind.kind == "sum" then
        local tag = math.random(#kind.variants)
        return string.char(tag - 1) .. random_value(kind.variants[tag].type)
    end
    local parts = {}
    for place, field in ipairs(kind.fields) do
        parts[place] = random_value(field.type)
    end
    return table.concat(parts)
end

-- The order again, over values that bsatn.lua decodes -----------------------------------------------------------

local function order(left, right)
    return left < right and -1 or left > right and 1 or 0
end

--- Wide integers compare as numbers: by sign, then size, then digits.
local function order_decimals(left, right)
    local left_negative, right_negative = left:sub(1, 1) == "-", right:sub(1, 1) == "-"
    if left_negative ~= right_negative then
        return left_negative and -1 or 1
    end
    local by_size = #left ~= #right and order(#left, #right) or order(left, right)
    return left_negative and -by_size or by_size
end

--- IEEE total order by sign, then by the bits of the magnitude, most significant byte first.
local function order_floats(left, right)
    local left_bits, right_bits = left:reverse(), right:reverse()
    local left_negative, right_negative = left_bits:byte(1) >= 128, right_bits:byte(1) >= 128
    if left_negative ~= right_negative then
        return left_negative and -1 or 1
    end
    local by_bits = order(left_bits, right_bits)
    return left_negative and -by_bits or by_bits
end

local order_values

local function order_lists(kinds, left, right)
    for place = 1, math.min(#left, #right) do
        local found = order_values(kinds(place), left[place], right[place])
        if found ~= 0 then
            return found
        end
    end
    return order(#left, #right)
end

local function fields_of(kind, value)
    local list = {}
    for place, field in ipairs(kind.fields) do
        list[place] = value[field.name]
    end
    return list
end

local function tag_of(kind, value)
    for tag, variant in ipairs(kind.variants) do
        if variant.name == value.tag then
            return tag, variant.type
        end
    end
end

function order_values(kind, left, right)
    if kind.kind:find("^[ui]%d+$") then
        return sizes[kind.kind] > 8 and order_decimals(left, right) or order(left, right)
    elseif kind.kind == "f32" or kind.kind == "f64" then
        return order_floats(bsatn.encode(kind, left), bsatn.encode(kind, right))
    elseif kind.kind == "bool" then
        return order(left and 1 or 0, right and 1 or 0)
    elseif kind.kind == "array" then
        return order_lists(function() return kind.element end, left, right)
    elseif kind.kind == "product" then
        return order_lists(function(place) return kind.fields[place].type end, fields_of(kind, left),
            fields_of(kind, right))
    elseif kind.kind == "sum" then
        local left_tag, payload = tag_of(kind, left)
        local right_tag = tag_of(kind, right)
        if left_tag ~= right_tag or (payload.kind == "product" and #payload.fields == 0) then
            return order(left_tag, right_tag)
        end
        return order_values(payload, left.value, right.value)
    end
    return order(left, right) -- strings: LuaJIT compares their bytes
end

--- NaN has more bit patterns than bsatn.lua keeps, so floats are drawn without it.
local function has_nan(kind, text)
    return bsatn.encode(kind, (bsatn.decode(kind, text))) ~= text
end

describe("random values (SEED=" .. seed .. ")", function()
    local function for_each_type(count, visit)
        math.randomseed(seed)
        for _ = 1, count do
            local kind = random_type(3)
            visit(kind, sats.type(kind))
        end
    end

    it("are valid, of the size that both codecs say, and refused when cut", function()
        for_each_type(300, function(kind, core_kind)
            for _ = 1, 10 do
                local text = random_value(kind)
                assert.are.equal(#text, assert(sats.check(core_kind, text .. "tail")))
                assert.are.equal(#text, sats.size(core_kind, text))
                assert.are.equal(#text + 1, select(2, bsatn.decode(kind, text)))
                if #text > 0 then
                    assert.is_nil(sats.check(core_kind, text:sub(1, math.random(0, #text - 1))))
                end
            end
        end)
    end)

    it("never break the core when their bytes are changed, and are measured alike when still valid", function()
        for_each_type(300, function(kind, core_kind)
            for _ = 1, 20 do
                local text = random_value(kind)
                local place = math.random(1, math.max(#text, 1))
                local changed = text:sub(1, place - 1) .. random_bytes(1) .. text:sub(place + 1)
                local used = sats.check(core_kind, changed)
                if used then
                    assert.are.equal(used, sats.size(core_kind, changed))
                end
            end
        end)
    end)

    it("order as their meaning does, and prefixes never contradict", function()
        for_each_type(400, function(kind, core_kind)
            local exact = sats.core.bsatn_prefix_is_exact(core_kind)
            for _ = 1, 20 do
                local left, right = random_value(kind), random_value(kind)
                if not has_nan(kind, left) and not has_nan(kind, right) then
                    local found = sats.compare(core_kind, left, right)
                    local wanted = order_values(kind, (bsatn.decode(kind, left)), (bsatn.decode(kind, right)))
                    local about = sats.type_text(core_kind) .. " " .. bsatn.to_hex(left) .. " " .. bsatn.to_hex(right)
                    assert.are.equal(wanted, order(found, 0), about)
                    assert.are.equal(-wanted, order(sats.compare(core_kind, right, left), 0), about)

                    local left_prefix, right_prefix = sats.prefix(core_kind, left), sats.prefix(core_kind, right)
                    if wanted ~= 0 then
                        assert.is_true(wanted < 0 and left_prefix <= right_prefix
                            or wanted > 0 and left_prefix >= right_prefix, about)
                    end
                    assert.is_true(not exact or (left_prefix == right_prefix) == (wanted == 0), about)
                end
            end
        end)
    end)

    it("compare equal exactly when their bytes are equal", function()
        for_each_type(300, function(kind, core_kind)
            for _ = 1, 20 do
                local left, right = random_value(kind), random_value(kind)
                assert.are.equal(left == right, sats.compare(core_kind, left, right) == 0)
            end
        end)
    end)
end)

describe("order", function()
    local function ascends(notation, values)
        local kind = sats.type(notation)
        for place = 2, #values do
            local left, right = encode(notation, values[place - 1]), encode(notation, values[place])
            assert.is_true(sats.compare(kind, left, right) < 0, notation .. " " .. place)
            assert.is_true(sats.prefix(kind, left) <= sats.prefix(kind, right), notation .. " " .. place)
        end
    end

    it("is numeric for numbers", function()
        ascends("i8", { -128, -1, 0, 1, 127 })
        ascends("i64", { "-9223372036854775808", -1, 0, "9223372036854775807" })
        ascends("u64", { 0, 256, "9223372036854775808", "18446744073709551615" })
        ascends("i128", { "-170141183460469231731687303715884105728", "-18446744073709551616", "-1", "0", "256" })
        ascends("i256", { "-2", "-1", "0", "1", "340282366920938463463374607431768211456" })
    end)

    it("gives every float a place", function()
        ascends("f64", { -math.huge, -1, -0.0, 0, 5e-324, 1, math.huge, 0 / 0 })
        ascends("f32", { -math.huge, -1.5, -1, -0.0, 0, 1, math.huge, 0 / 0 })
    end)

    it("goes by bytes for strings, shorter first", function()
        ascends("string", { "", "\0", "a", "a\0", "aaaaaaaa", "aaaaaaaab", "ab", "é" })
    end)

    it("goes field by field, element by element, tag before payload", function()
        ascends("{ a: u8, b: i8 }", { { a = 0, b = 1 }, { a = 1, b = -1 }, { a = 1, b = 0 } })
        ascends("[i16]", { {}, { -1 }, { -1, 0 }, { 0 } })
        local some = { tag = "some", value = 0 }
        ascends("option(u8)", { some, { tag = "some", value = 255 }, { tag = "none" } })
    end)

    it("makes exact prefixes of what fits 64 bits", function()
        for notation, exact in pairs {
            u8 = true, i64 = true, f64 = true, bool = true, Timestamp = true, unit = true, string = false, bytes = false,
            u128 = false, Identity = false, ["< 0 A: {} | 1 B: {} >"] = true, ["option(u8)"] = false,
            ["{ a: u8, b: u8 }"] = false, ["{ a: u32 }"] = true,
        } do
            assert.are.equal(exact, sats.core.bsatn_prefix_is_exact(sats.type(notation)), notation)
        end
    end)
end)
