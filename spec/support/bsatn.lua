--- BSATN in plain Lua: a second codec, written from the format's description and not from the core's sources, so
--- that the two can be held against each other. Clients in specs speak through it.
---
--- A type is a table with a `kind`. Types are written in a notation close to the format's own description:
---
---     local types = bsatn.schema [[
---         Point = { x: f32, y: f32 }
---         Shape = < 0 Circle: f32 | 1 Path: [Point] | 2 Nothing: {} >
---         Player = { who: Identity, name: option(string), save: result(bytes, string) }
---     ]]
---     bsatn.encode(types.Shape, { tag = "Circle", value = 2 })  --> string
---     bsatn.decode(types.Shape, text)                           --> value, place behind it
---
--- In Lua a value is
---     integer up to 32 bits, float     number
---     i64 u64 Timestamp TimeDuration   int64_t or uint64_t; a number or decimal text is taken as well
---     i128 u128 i256 u256              decimal text
---     Identity ConnectionId Uuid       hex digits as printed, most significant byte first
---     string, bytes                    string
---     product                          table by field name
---     sum, option, result              { tag = name, value = payload }; no payload: value is nil
---     array                            list
local ffi = require("ffi")

local bsatn = {}

-- Integers ------------------------------------------------------------------------------------------------------

--- Adds `digit` after multiplying by `base`, in bytes, least significant first; false when they overflow.
local function push_digit(bytes, base, digit)
    local carry = digit
    for place = 1, #bytes do
        carry = carry + bytes[place] * base
        bytes[place] = carry % 256
        carry = math.floor(carry / 256)
    end
    return carry == 0
end

local function negate(bytes)
    local carry = 1
    for place = 1, #bytes do
        carry = carry + 255 - bytes[place]
        bytes[place] = carry % 256
        carry = math.floor(carry / 256)
    end
end

local function decimal_to_bytes(text, size, is_signed)
    local sign, digits = text:match("^(%-?)(%d+)$")
    assert(digits, "not a whole number: " .. text)
    local bytes = {}
    for place = 1, size do
        bytes[place] = 0
    end
    for digit in digits:gmatch("%d") do
        assert(push_digit(bytes, 10, tonumber(digit)), text .. " does not fit")
    end
    if sign == "-" then
        negate(bytes)
    end
    local is_negative = is_signed and bytes[size] >= 128
    assert(is_negative == (sign == "-") or digits:match("^0+$"), text .. " does not fit")
    return string.char(unpack(bytes))
end

local function bytes_to_decimal(text, is_signed)
    local bytes = { text:byte(1, #text) }
    local is_negative = is_signed and bytes[#bytes] >= 128
    if is_negative then
        negate(bytes)
    end
    local digits = {}
    repeat
        local rest, any = 0, false
        for place = #bytes, 1, -1 do
            rest = rest * 256 + bytes[place]
            bytes[place] = math.floor(rest / 10)
            rest = rest % 10
            any = any or bytes[place] > 0
        end
        table.insert(digits, 1, tostring(rest))
    until not any
    return (is_negative and "-" or "") .. table.concat(digits)
end

local function number_to_bytes(value, size, is_signed)
    assert(value == math.floor(value), "not a whole number: " .. value)
    local bytes = {}
    local rest = value
    for place = 1, size do
        bytes[place] = rest % 256
        rest = math.floor(rest / 256)
    end
    local is_negative = is_signed and bytes[size] >= 128
    assert(rest == (is_negative and -1 or 0), value .. " does not fit")
    return string.char(unpack(bytes))
end

local function bytes_to_number(text, is_signed)
    local value = 0
    for place = #text, 1, -1 do
        value = value * 256 + text:byte(place)
    end
    if is_signed and text:byte(#text) >= 128 then
        value = value - 256 ^ #text
    end
    return value
end

local function integer_to_bytes(value, size, is_signed)
    if type(value) == "number" then
        return number_to_bytes(value, size, is_signed)
    end
    if type(value) == "cdata" then
        value = tostring(value):gsub("U?LL$", "")
    end
    return decimal_to_bytes(value, size, is_signed)
end

local function bytes_to_integer(text, is_signed)
    if #text < 8 then
        return bytes_to_number(text, is_signed)
    end
    if #text > 8 then
        return bytes_to_decimal(text, is_signed)
    end
    return ffi.cast(is_signed and "const int64_t *" or "const uint64_t *", text)[0]
end

local function from_hex(hex)
    return (hex:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function to_hex(text)
    return (text:gsub(".", function(letter) return string.format("%02x", letter:byte()) end))
end

bsatn.from_hex = from_hex
bsatn.to_hex = to_hex

-- Kinds ---------------------------------------------------------------------------------------------------------

local encoders, decoders = {}, {}

--- The next `size` bytes of the text being read.
local function take(from, size)
    local last = from.at + size - 1
    assert(last <= #from.text, "the bytes end too early")
    local taken = from.text:sub(from.at, last)
    from.at = last + 1
    return taken
end

local function take_u32(from)
    return bytes_to_number(take(from, 4), false)
end

local function add_integer(kind, size, is_signed)
    encoders[kind] = function(out, _, value)
        out[#out + 1] = integer_to_bytes(value, size, is_signed)
    end
    decoders[kind] = function(from)
        return bytes_to_integer(take(from, size), is_signed)
    end
end

for size = 0, 5 do
    add_integer("u" .. 8 * 2 ^ size, 2 ^ size, false)
    add_integer("i" .. 8 * 2 ^ size, 2 ^ size, true)
end
add_integer("Timestamp", 8, true)
add_integer("TimeDuration", 8, true)

--- NaN has many bit patterns; this codec writes the one that most clients do. None is read through the FFI: LuaJIT
--- keeps the types of its values in the bits of NaNs, so a foreign one could turn into nil or worse.
local function add_float(kind, size, ctype, infinity, nan)
    local function is_nan(text)
        local magnitude = text:sub(1, -2) .. string.char(text:byte(-1) % 128)
        return magnitude:reverse() > from_hex(infinity)
    end
    encoders[kind] = function(out, _, value)
        out[#out + 1] = value ~= value and from_hex(nan) or ffi.string(ffi.new(ctype .. "[1]", value), size)
    end
    decoders[kind] = function(from)
        local text = take(from, size)
        return is_nan(text) and 0 / 0 or tonumber(ffi.cast("const " .. ctype .. " *", text)[0])
    end
end

add_float("f32", 4, "float", "7f800000", "0000c07f")
add_float("f64", 8, "double", "7ff0000000000000", "000000000000f87f")

local function add_hex(kind, size)
    encoders[kind] = function(out, _, value)
        assert(#value == 2 * size and not value:find("%X"), kind .. " is " .. 2 * size .. " hex digits")
        out[#out + 1] = from_hex(value):reverse()
    end
    decoders[kind] = function(from)
        return to_hex(take(from, size):reverse())
    end
end

add_hex("Identity", 32)
add_hex("ConnectionId", 16)
add_hex("Uuid", 16)

function encoders.bool(out, _, value)
    assert(type(value) == "boolean", "not a bool")
    out[#out + 1] = value and "\1" or "\0"
end

function decoders.bool(from)
    local byte = take(from, 1):byte()
    assert(byte <= 1, "a bool is 0 or 1")
    return byte == 1
end

function encoders.string(out, _, value)
    assert(type(value) == "string", "not a string")
    out[#out + 1] = number_to_bytes(#value, 4, false)
    out[#out + 1] = value
end

function decoders.string(from)
    return take(from, take_u32(from))
end

encoders.bytes, decoders.bytes = encoders.string, decoders.string

function encoders.array(out, kind, value)
    out[#out + 1] = number_to_bytes(#value, 4, false)
    for _, element in ipairs(value) do
        encoders[kind.element.kind](out, kind.element, element)
    end
end

function decoders.array(from, kind)
    local value = {}
    for place = 1, take_u32(from) do
        value[place] = decoders[kind.element.kind](from, kind.element)
    end
    return value
end

function encoders.product(out, kind, value)
    for _, field in ipairs(kind.fields) do
        local part = value[field.name]
        if part == nil and not (field.type.kind == "product" and #field.type.fields == 0) then
            error("the field " .. field.name .. " is missing")
        end
        encoders[field.type.kind](out, field.type, part)
    end
end

function decoders.product(from, kind)
    local value = {}
    for _, field in ipairs(kind.fields) do
        value[field.name] = decoders[field.type.kind](from, field.type)
    end
    return value
end

local function is_unit(kind)
    return kind.kind == "product" and #kind.fields == 0
end

function encoders.sum(out, kind, value)
    for tag, variant in ipairs(kind.variants) do
        if variant.name == value.tag then
            out[#out + 1] = string.char(tag - 1)
            return encoders[variant.type.kind](out, variant.type, value.value)
        end
    end
    error("there is no variant " .. tostring(value.tag))
end

function decoders.sum(from, kind)
    local variant = assert(kind.variants[take(from, 1):byte() + 1], "unknown tag")
    local payload = decoders[variant.type.kind](from, variant.type)
    if is_unit(variant.type) then
        payload = nil
    end
    return { tag = variant.name, value = payload }
end

-- Codec ---------------------------------------------------------------------------------------------------------

--- The bytes of `value`.
function bsatn.encode(kind, value)
    local out = {}
    encoders[kind.kind](out, kind, value)
    return table.concat(out)
end

--- The value that begins at place `at` (1) of `text`, and the place behind it. Raises on bytes that are none.
function bsatn.decode(kind, text, at)
    local from = { text = text, at = at or 1 }
    local value = decoders[kind.kind](from, kind)
    return value, from.at
end

-- Types ---------------------------------------------------------------------------------------------------------

function bsatn.product(fields)
    return { kind = "product", fields = fields }
end

function bsatn.sum(variants)
    return { kind = "sum", variants = variants }
end

function bsatn.array(element)
    return element.kind == "u8" and { kind = "bytes" } or { kind = "array", element = element }
end

function bsatn.option(some)
    return bsatn.sum { { name = "some", type = some }, { name = "none", type = bsatn.product {} } }
end

function bsatn.result(ok, failure)
    return bsatn.sum { { name = "ok", type = ok }, { name = "err", type = failure } }
end

local schedule_at = bsatn.sum {
    { name = "Interval", type = { kind = "TimeDuration" } },
    { name = "Time", type = { kind = "Timestamp" } },
}

-- Notation ------------------------------------------------------------------------------------------------------

local Parser = {}
Parser.__index = Parser

--- The next token: a word, a number or one character of punctuation. `wanted` makes it an error to be another.
function Parser:take(wanted)
    local token, behind = self.text:match("^%s*([%w_]+)()", self.at)
    if not token then
        token, behind = self.text:match("^%s*(%S)()", self.at)
    end
    assert(token and (not wanted or token == wanted), "expected " .. (wanted or "a token") .. " at " .. self.at)
    self.at = behind
    return token
end

function Parser:sees(token)
    return self.text:match("^%s*(%S)", self.at) == token
end

--- Items up to the closing bracket, with a separator between them.
function Parser:list(closing, separator, item)
    local list = {}
    while not self:sees(closing) do
        if #list > 0 then
            self:take(separator)
        end
        list[#list + 1] = item(#list)
    end
    self:take(closing)
    return list
end

function Parser:member()
    local name = self:take()
    self:take(":")
    return { name = name, type = self:type() }
end

--- Names stand for one table each, filled in when their definition comes: so types may name themselves.
function Parser:named(name)
    if encoders[name] then
        return { kind = name }
    elseif name == "ScheduleAt" then
        return schedule_at
    elseif name == "unit" then
        return bsatn.product {}
    end
    self.names[name] = self.names[name] or {}
    return self.names[name]
end

function Parser:type()
    local token = self:take()
    if token == "{" then
        return bsatn.product(self:list("}", ",", function() return self:member() end))
    elseif token == "<" then
        return bsatn.sum(self:list(">", "|", function(tag)
            self:take(tostring(tag))
            return self:member()
        end))
    elseif token == "[" then
        local element = self:type()
        self:take("]")
        return bsatn.array(element)
    elseif token == "option" or token == "result" then
        self:take("(")
        return bsatn[token](unpack(self:list(")", ",", function() return self:type() end)))
    end
    return self:named(token)
end

--- The named types of a text of definitions. `known` gives names defined elsewhere.
function bsatn.schema(text, known)
    local parser = setmetatable({ text = text, at = 1, names = setmetatable({}, { __index = known }) }, Parser)
    while text:find("%S", parser.at) do
        local name = parser:take()
        parser:take("=")
        local definition = parser:named(name)
        for key, part in pairs(parser:type()) do
            definition[key] = part
        end
    end
    for name, definition in pairs(parser.names) do
        assert(definition.kind, "the type " .. name .. " is not defined")
    end
    return parser.names
end

--- The same from a file of schemas/, by its path from the repository's root.
function bsatn.schema_file(path)
    local file = assert(io.open(path))
    local text = file:read "*a"
    file:close()
    return bsatn.schema(text)
end

--- One type, from its notation.
function bsatn.type(text, known)
    return bsatn.schema("it = " .. text, known).it
end

return bsatn
