--- SATS-JSON both ways: what is printed, what is taken, what is refused and where.
local bsatn = require("spec.support.bsatn")
local sats = require("spec.support.sats")
local vectors = require("spec.support.vectors")

local point = "{ x: f32, y: f32 }"
local shape = "< 0 Circle: f32 | 1 Rect: { x: i32, y: i32 } | 2 Label: string | 3 Nothing: {} >"
local hundred = { who = "c200" .. ("00"):rep(29) .. "64", connection = ("00"):rep(15) .. "64" }

-- A second writer of SATS-JSON, for values of bsatn.lua ---------------------------------------------------------

local function quote(text)
    return '"' .. text:gsub('[%c"\\]', function(letter) return string.format("\\u%04x", letter:byte()) end) .. '"'
end

--- Decimal text of up to 256 bits as hex, by long division.
local function decimal_to_hex(text)
    local sign, digits = text:match("^(%-?)(%d+)$")
    local hex = {}
    repeat
        local quotient, rest = {}, 0
        for digit in digits:gmatch("%d") do
            rest = rest * 10 + tonumber(digit)
            quotient[#quotient + 1] = math.floor(rest / 16)
            rest = rest % 16
        end
        table.insert(hex, 1, string.format("%x", rest))
        digits = table.concat(quotient):gsub("^0+", "")
    until digits == ""
    return sign .. "0x" .. table.concat(hex)
end

--- The unsigned number that big-endian hex digits say, in decimal.
local function hex_to_decimal(hex)
    local bytes = bsatn.from_hex(hex):reverse()
    return (bsatn.decode(bsatn.type("u128"), bytes))
end

local write

local function write_list(parts, opening, closing)
    return opening .. table.concat(parts, ",") .. closing
end

--- `{"name":inner}` or `[inner]`.
local function write_wrapped(name, inner, style)
    return style == "typed" and '{"' .. name .. '":' .. inner .. "}" or "[" .. inner .. "]"
end

local writers = {}

function writers.product(kind, value, style)
    local parts = {}
    for place, field in ipairs(kind.fields) do
        local part = write(field.type, value and value[field.name], style)
        parts[place] = style == "typed" and quote(field.name) .. ":" .. part or part
    end
    if style == "typed" and #parts > 0 then
        return write_list(parts, "{", "}")
    end
    return write_list(parts, "[", "]")
end

function writers.sum(kind, value, style)
    for tag, variant in ipairs(kind.variants) do
        if variant.name == value.tag then
            local payload = write(variant.type, value.value, style)
            return style == "typed" and "{" .. quote(variant.name) .. ":" .. payload .. "}"
                or "[" .. tag - 1 .. "," .. payload .. "]"
        end
    end
end

function writers.array(kind, value, style)
    local parts = {}
    for place, element in ipairs(value) do
        parts[place] = write(kind.element, element, style)
    end
    return write_list(parts, "[", "]")
end

function writers.bytes(_, value) return quote(bsatn.to_hex(value)) end
function writers.string(_, value) return quote(value) end
function writers.f32(_, value) return string.format("%.9g", value) end
function writers.f64(_, value) return string.format("%.17g", value) end
function writers.u256(_, value) return quote(decimal_to_hex(value)) end
writers.i256 = writers.u256
function writers.Identity(_, value, style) return write_wrapped("__identity__", quote("0x" .. value), style) end
function writers.ConnectionId(_, value, style) return write_wrapped("__connection_id__", hex_to_decimal(value), style) end
function writers.Uuid(_, value, style) return write_wrapped("__uuid__", hex_to_decimal(value), style) end
function writers.Timestamp(_, value, style)
    return write_wrapped("__timestamp_micros_since_unix_epoch__", value, style)
end
function writers.TimeDuration(_, value, style) return write_wrapped("__time_duration_micros__", value, style) end

function write(kind, value, style)
    local writer = writers[kind.kind]
    return writer and writer(kind, value, style) or tostring(value)
end

-- Helpers -------------------------------------------------------------------------------------------------------

local function encode(notation, value)
    return bsatn.encode(bsatn.type(notation), value)
end

--- What `json` becomes, in hex; raises the refusal.
local function parse(notation, json)
    return bsatn.to_hex(assert(sats.parse(sats.type(notation), json)))
end

local function refusal(notation, json)
    local text, reason = sats.parse(sats.type(notation), json)
    assert.is_nil(text, "was taken: " .. json)
    return reason
end

local function takes(notation, value, json)
    assert.are.equal(bsatn.to_hex(encode(notation, value)), parse(notation, json), json)
end

local function prints(notation, value, typed, untyped)
    local kind, text = sats.type(notation), encode(notation, value)
    assert.are.equal(typed, sats.print(kind, text, "typed"))
    assert.are.equal(untyped or typed, sats.print(kind, text, "untyped"))
    assert.are.equal(bsatn.to_hex(text), parse(notation, typed))
    assert.are.equal(bsatn.to_hex(text), parse(notation, untyped or typed))
end

describe("SATS-JSON", function()
    describe("output", function()
        it("prints integers of up to 128 bits as bare numbers", function()
            prints("u8", 255, "255")
            prints("i16", -3, "-3")
            prints("u64", "18446744073709551615", "18446744073709551615")
            prints("i64", "-9223372036854775808", "-9223372036854775808")
            prints("u128", "340282366920938463463374607431768211455", "340282366920938463463374607431768211455")
            prints("i128", "-1", "-1")
        end)

        it("prints 256-bit integers as hex strings without leading zeros", function()
            prints("u256", "0", '"0x0"')
            prints("u256", "43981", '"0xabcd"')
            prints("i256", "-1", '"-0x1"')
            prints("i256", "-57896044618658097711785492504343953926634992332820282019728792003956564819968",
                '"-0x8' .. ("0"):rep(63) .. '"')
        end)

        it("prints floats as short as they read back, each for its own width", function()
            prints("f32", 0.1, "0.1")
            prints("f64", 0.1, "0.1")
            prints("f64", 1 / 3, "0.3333333333333333")
            prints("f64", 0, "0")
            prints("f64", -0.0, "-0")
        end)

        it("prints what is no number as null", function()
            for _, value in ipairs { 0 / 0, math.huge, -math.huge } do
                assert.are.equal("null", sats.print(sats.type("f32"), encode("f32", value), "typed"))
                assert.are.equal("null", sats.print(sats.type("f64"), encode("f64", value), "untyped"))
            end
        end)

        it("escapes what a JSON string cannot hold and nothing else", function()
            prints("string", 'a"b\\c\n\r\t\b\f\0\31é€🎲\127', '"a\\"b\\\\c\\n\\r\\t\\b\\f\\u0000\\u001fé€🎲\127"')
        end)

        it("names fields and variants when typed and counts them when not", function()
            prints(point, { x = 1, y = 2.5 }, '{"x":1,"y":2.5}', "[1,2.5]")
            prints(shape, { tag = "Circle", value = 2 }, '{"Circle":2}', "[0,2]")
            prints(shape, { tag = "Rect", value = { x = 1, y = -1 } }, '{"Rect":{"x":1,"y":-1}}', "[1,[1,-1]]")
            prints(shape, { tag = "Nothing" }, '{"Nothing":[]}', "[3,[]]")
            prints("unit", {}, "[]")
        end)

        it("prints options and results as the sums they are", function()
            prints("option(u8)", { tag = "some", value = 7 }, '{"some":7}', "[0,7]")
            prints("option(u8)", { tag = "none" }, '{"none":[]}', "[1,[]]")
            prints("result(u8, string)", { tag = "ok", value = 1 }, '{"ok":1}', "[0,1]")
            prints("result(u8, string)", { tag = "err", value = "no" }, '{"err":"no"}', '[1,"no"]')
        end)

        it("prints bytes as hex and other arrays as arrays", function()
            prints("bytes", "\0\1\255", '"0001ff"')
            prints("bytes", "", '""')
            prints("[u16]", { 1, 2 }, "[1,2]")
            prints("[u16]", {}, "[]")
            prints("[bytes]", { "\1", "" }, '["01",""]')
        end)

        it("prints the special types by their structure", function()
            prints("Identity", hundred.who, '{"__identity__":"0xc200' .. ("00"):rep(29) .. '64"}',
                '["0xc200' .. ("00"):rep(29) .. '64"]')
            prints("ConnectionId", hundred.connection, '{"__connection_id__":100}', "[100]")
            prints("Uuid", hundred.connection, '{"__uuid__":100}', "[100]")
            prints("Timestamp", 123, '{"__timestamp_micros_since_unix_epoch__":123}', "[123]")
            prints("ScheduleAt", { tag = "Interval", value = 5 }, '{"Interval":{"__time_duration_micros__":5}}',
                "[0,[5]]")
        end)

        it("leaves out what stands apart, and tells where it belongs", function()
            local notation = bsatn.type "{ name: string, list: [{ gap: {}, unit: {} }], behind: u8 }"
            local kind = sats.type(notation)
            local apart = kind.fields[1].type.element.fields[0].type
            local item = { gap = {}, unit = {} }
            local text = bsatn.encode(notation, { name = "a", list = { item, item }, behind = 7 })
            local printed, places = sats.print_around(kind, text, "typed", apart)
            assert.are.equal('{"name":"a","list":[{"gap":,"unit":[]},{"gap":,"unit":[]}],"behind":7}', printed)
            local first = printed:find('"gap":', 1, true) + 5
            assert.are.same({ first, printed:find('"gap":', first, true) + 5 }, places)
        end)
    end)

    describe("written by another", function()
        for _, vector in ipairs(vectors.load()) do
            local nonfinite = vector.name:find("nan$") or vector.name:find("inf$")
            local recursive = vector.name == "sum.recursive" or vector.name:find("^meta")
            if vector.value ~= nil and not nonfinite and not recursive then
                it("becomes the bytes of the official client: " .. vector.name, function()
                    local kind = sats.type(vector.type)
                    for _, style in ipairs { "typed", "untyped" } do
                        local json = write(vector.type, vector.value, style)
                        local text = assert(sats.parse(kind, json))
                        assert.are.equal(bsatn.to_hex(vector.bytes), bsatn.to_hex(text), json)
                    end
                end)
            end
        end
    end)

    describe("input", function()
        it("takes fields in any order", function()
            local notation = "{ a: u8, b: { c: u8, d: [string] }, e: option(u8) }"
            local value = { a = 1, b = { c = 2, d = { "x]", "}" } }, e = { tag = "some", value = 3 } }
            takes(notation, value, '{"a":1,"b":{"c":2,"d":["x]","}"]},"e":{"some":3}}')
            takes(notation, value, '{"e":{"some":3},"b":{"d":["x]","}"],"c":2},"a":1}')
            takes(notation, value, ' { "b" : {"d":[ "x]" , "}" ] , "c" : 2 } , "a":1,"e" :[0,3] } ')
        end)

        it("takes every spelling of a sum", function()
            local circle = { tag = "Circle", value = 2 }
            for _, json in ipairs { '{"Circle":2}', '{"0":2}', '["Circle",2]', "[0,2]", '["0",2]' } do
                takes(shape, circle, json)
            end
            takes(shape, { tag = "Nothing" }, '{"Nothing":[]}')
            takes(shape, { tag = "Nothing" }, '{"Nothing":{}}')
            takes(shape, { tag = "Nothing" }, "[3,[]]")
        end)

        it("takes a bare number for the place of a variant, whatever variants are called", function()
            local digits = bsatn.sum { { name = "1", type = bsatn.type("u8") }, { name = "0", type = bsatn.type("u8") } }
            local kind = sats.type(digits)
            assert.are.equal("\1\7", sats.parse(kind, '{"0":7}'))
            assert.are.equal("\0\7", sats.parse(kind, "[0,7]"))
        end)

        it("takes null for none only", function()
            takes("option(u8)", { tag = "none" }, "null")
            takes("[option(u8)]", { { tag = "none" }, { tag = "some", value = 1 } }, '[null,{"some":1}]')
            assert.are.equal("expected u8, found null", refusal("u8", "null"))
            assert.are.equal("expected f64, found null", refusal("f64", "null"))
        end)

        it("takes bytes as hex of either case and as numbers", function()
            takes("bytes", "\0\1\255", '"0001Ff"')
            takes("bytes", "\0\1\255", "[0,1,255]")
            takes("bytes", "", "[]")
        end)

        it("takes an identity four ways", function()
            for _, json in ipairs { '{"__identity__":"0x%s"}', '["0x%s"]', '"0x%s"', '"%s"' } do
                takes("Identity", hundred.who, json:format(hundred.who))
            end
            takes("ConnectionId", hundred.connection, '"' .. hundred.connection .. '"')
        end)

        it("takes a sign, either case and leading zeros in 256-bit integers", function()
            takes("u256", "43981", '"0x00ABcd"')
            takes("i256", "-43981", '"-0x0abcd"')
            takes("i256", "1", '"+0x1"')
        end)

        it("takes escapes and surrogate pairs in strings and names", function()
            takes("string", 'é€🎲"\\/\b\f\n\r\t', '"\\u00e9\\u20AC\\ud83c\\udfb2\\"\\\\\\/\\b\\f\\n\\r\\t"')
            takes("string", "\0", '"\\u0000"')
            takes("{ x: u8 }", { x = 1 }, '{"\\u0078":1}')
        end)

        it("takes floats as any number and rounds them once", function()
            takes("f32", 16777217, "16777217")
            takes("f64", 1.5e300, "1.5E+300")
            takes("f64", 0.1, "0.1")
            takes("f64", -0.0, "-0")
            takes("f32", 0.1, "0.1000000014901161193847656250000000000000000000000000000000000000001")
        end)

        it("takes any white space and nothing else around words", function()
            takes("[u8]", "\1\2", "\r\n\t [ 1 ,\n2 ] ")
            assert.is_truthy(refusal("u8", "\v1"))
        end)
    end)

    describe("refusal", function()
        local call = "{ name: string, pos: { x: f32, y: f32 }, tags: [option(u8)], shape: " .. shape .. " }"

        it("says the path, what was expected and what was found", function()
            local cases = {
                { '["a",{"x":"1","y":2},[],[0,1]]', "pos.x: expected f32, found a string" },
                { '{"name":1}', "name: expected string, found a number" },
                { '{"pos":{"y":true,"x":1},"name":""}', "pos.y: expected f32, found a bool" },
                { '["",[1,2],[null,[0,300]],[0,1]]', "tags[1].some: expected u8, found 300" },
                { '["",[1,2],[],{"Circle":[]}]', "shape.Circle: expected f32, found an array" },
                { '["",[1,2],{},0]', "tags: expected array<option<u8>>, found an object" },
                { "[", "name: expected string, found the end of the text" },
                { "[!", "name: expected string, found something that is not JSON" },
            }
            for _, case in ipairs(cases) do
                assert.are.equal(case[2], refusal(call, case[1]))
            end
        end)

        it("names fields that are unknown, missing or there twice", function()
            local text = "{x: f32, y: f32}"
            assert.are.equal('there is no "z" in ' .. text, refusal(point, '{"x":1,"z":2}'))
            assert.are.equal("y: it is missing", refusal(point, '{"x":1}'))
            assert.are.equal("x: it is missing", refusal(point, '{"y":1}'))
            assert.are.equal("x: it is missing", refusal(point, "{}"))
            assert.are.equal("x: it is there twice", refusal(point, '{"x":1,"x":1,"y":2}'))
            assert.are.equal("y: it is there twice", refusal(point, '{"y":1,"y":1,"x":2}'))
        end)

        it("names the first value that is missing in an array, and counts those that are too many", function()
            assert.are.equal("y: it is missing", refusal(point, "[1]"))
            assert.are.equal("x: it is missing", refusal(point, "[]"))
            assert.are.equal("expected 2 values, found more", refusal(point, "[1,2,3]"))
            assert.are.equal("expected 0 values, found more", refusal("unit", "[1]"))
        end)

        it("refuses a bare string for an enum, and what names no variant", function()
            local color = "< 0 Red: {} | 1 Green: {} >"
            assert.are.equal("expected (Red | Green), found a string", refusal(color, '"Red"'))
            assert.are.equal('there is no variant "Blue" in (Red | Green)', refusal(color, '{"Blue":[]}'))
            for _, json in ipairs { "[2,[]]", "[-1,[]]", "[0.0,[]]", '["00",[]]', "[0]", "{}", "[]", '{"Red":[],"Green":[]}',
                                    "[0,[],1]", "[null,[]]", '{"0x0":[]}', '{"256":[]}', '{"":[]}' } do
                assert.is_truthy(refusal(color, json))
            end
        end)

        it("refuses numbers that do not fit or are not whole", function()
            assert.are.equal("expected u8, found 256", refusal("u8", "256"))
            assert.are.equal("expected u8, found -1", refusal("u8", "-1"))
            assert.are.equal("expected i8, found 128", refusal("i8", "128"))
            assert.are.equal("expected u32, found 1.0", refusal("u32", "1.0"))
            assert.are.equal("expected u64, found 1e3", refusal("u64", "1e3"))
            assert.are.equal("expected f32, found 1e39", refusal("f32", "1e39"))
            assert.are.equal("expected f64, found -1e999", refusal("f64", "-1e999"))
            assert.is_truthy(refusal("u128", ("9"):rep(5000)):find("…$"))
            for _, json in ipairs { "01", "1.", ".5", "-", "+1", "1e", "0x1", "--1", "1 2", "NaN", "Infinity" } do
                assert.is_truthy(refusal("f64", json))
            end
        end)

        it("refuses 256-bit integers that are not a hex string", function()
            for _, json in ipairs { "1", '"1"', '"0x"', '"-0x1"', '"0xg"', '"x1"', '"0x1' .. ("0"):rep(64) .. '"', '""',
                                    '"0X1"', '"0x-1"' } do
                assert.is_truthy(refusal("u256", json))
            end
        end)

        it("refuses strings that are not Unicode or not JSON", function()
            for _, json in ipairs { '"\\ud83c"', '"\\udfb2"', '"\\ud83c\\u0041"', '"\\ud83cx"', '"\\u12"', '"\\x41"', '"',
                                    '"a', '"\\', '"\n"', '"\1"', '"\255"', '"\xed\xa0\x80"', '"\xc0\x80"', "'a'" } do
                assert.is_truthy(refusal("string", json))
            end
            assert.are.equal("the JSON text is broken at byte 7: half of a surrogate pair",
                refusal("string", '"\\ud83c"'))
        end)

        it("refuses bytes that are not pairs of hex digits or small numbers", function()
            for _, json in ipairs { '"0"', '"0g"', '"0x00"', "[256]", "[-1]", '["00"]', "{}" } do
                assert.is_truthy(refusal("bytes", json))
            end
        end)

        it("refuses text behind the value, and broken punctuation", function()
            assert.are.equal("the JSON text is broken at byte 2: there is more text behind the value",
                refusal("u8", "1 x"))
            for _, json in ipairs { "[1,2", "[1 2]", "[1,,2]", "[1,2,]", "[,1,2]", '{"x":1,"y":2', '{"x":1 "y":2}',
                                    '{"x":1,"y":2,}', '{"y":2,"x":1,}', '{"y":2 3,"x":1}', '{"y":,"x":1}', "{x:1,y:2}",
                                    '{"y":[,"x":1}', '{"y":{]},"x":1}', '{"y":"', '{"y":2', '{"x"1,"y":2}', "", " " } do
                assert.is_truthy(refusal(point, json))
            end
        end)

        it("refuses more empty elements than a value may hold", function()
            local rows = "[[" .. ("[],"):rep(40000) .. "[]]" .. ",[" .. ("[],"):rep(40000) .. "[]]]"
            assert.are.equal("[1][25535]: more than 65536 elements that hold nothing", refusal("[[unit]]", rows))
        end)

        it("finds the end of any depth without recursion", function()
            local deep = '{"y":' .. ("["):rep(100000) .. ("]"):rep(100000) .. ',"x":1}'
            assert.are.equal("y: expected f32, found an array", refusal(point, deep))
            assert.is_truthy(refusal(point, ("["):rep(100000)))
        end)
    end)
end)
