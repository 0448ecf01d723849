--- The wire vectors: bytes made with the official npm package's own serializers, the value that each stands for, and
--- the types they are of, by name.
local cjson = require("cjson")
local bsatn = require("spec.support.bsatn")
local messages = require("spec.support.messages")

local vectors = {}

local samples = bsatn.schema [[
    Color = < 0 Red: {} | 1 Green: {} | 2 Blue: {} >
    Shape = < 0 Circle: f32 | 1 Rect: { x: i32, y: i32 } | 2 Label: string | 3 Nothing: {} >
    Outer = < 0 Inner: Shape | 1 Pair: { a: Color, b: option(Color) } | 2 Many: [Shape] >
    Chain = < 0 End: {} | 1 Link: { v: u8, next: Chain } >
    OneField = { only: u16 }
    Row = { id: u32, name: string }
    Nested = { p: { x: i32, y: i32 }, q: { r: { z: u8 } } }
    BytesAndString = { b: bytes, s: string }
    Everything = { b: bool, i8: i8, u8: u8, i16: i16, u16: u16, i32: i32, u32: u32, i64: i64, u64: u64,
                   i128: i128, u128: u128, i256: i256, u256: u256, f32: f32, f64: f64, s: string, bytes: bytes,
                   who: Identity, conn: ConnectionId, when: Timestamp, dur: TimeDuration, uuid: Uuid,
                   sched: ScheduleAt, opt: option(u32), arr: [i16] }
]]

local v1 = bsatn.schema_file "schemas/messages_v1.types"

--- Types as data, and the description of a module.
vectors.meta = bsatn.schema_file "schemas/module_def.types"

local families = { v1 = v1, v2 = messages.types, meta = vectors.meta }

--- The same type in the notation of bsatn.lua, where array<T> is [T] and brackets are round.
local function notation_of(name)
    local element = name:match("^array<(.+)>$")
    if element then
        return "[" .. notation_of(element) .. "]"
    end
    local some = name:match("^option<(.+)>$")
    if some then
        return "option(" .. notation_of(some) .. ")"
    end
    local ok, failure = name:match("^result<([^,]+),(.+)>$")
    if ok then
        return "result(" .. notation_of(ok) .. ", " .. notation_of(failure) .. ")"
    end
    return (name:gsub("^args", ""))
end

--- The type that the vectors call `name`: "u32", "option<array<u16>>", "args{id:u32}", "v2.ServerMessage".
function vectors.type(name)
    local family, member = name:match("^(%w+)%.(%w+)$")
    if family then
        return assert(families[family][member], name)
    end
    return bsatn.type(notation_of(name), samples)
end

-- Values --------------------------------------------------------------------------------------------------------

local function camel_case(name)
    return (name:gsub("(%w)_(%w)", function(before, letter) return before .. letter:upper() end))
end

local special_floats = { NaN = 0 / 0, inf = math.huge, ["-inf"] = -math.huge, ["-0"] = -0.0 }

local convert = {}

--- A value as the vector file spells it, as bsatn.lua spells it.
function vectors.value(kind, value)
    local converter = convert[kind.kind]
    return converter and converter(kind, value) or value
end

function convert.f64(_, value)
    return special_floats[value] or value
end

convert.f32 = convert.f64

function convert.bytes(_, value)
    return bsatn.from_hex(value.bytes)
end

--- The special products keep their one field in the file: { "__uuid__": "0x…" }, numbers as decimal text.
local function unwrap(_, value)
    return (select(2, next(value)):gsub("^0x", ""))
end

for _, kind in ipairs { "Identity", "ConnectionId", "Uuid", "Timestamp", "TimeDuration" } do
    convert[kind] = unwrap
end

function convert.array(kind, value)
    local list = {}
    for place, element in ipairs(value) do
        list[place] = vectors.value(kind.element, element)
    end
    return list
end

function convert.product(kind, value)
    local fields = {}
    for _, field in ipairs(kind.fields) do
        local part = value[field.name]
        if part == nil then
            part = value[camel_case(field.name)]
        end
        fields[field.name] = vectors.value(field.type, part)
    end
    return fields
end

--- Options and results stand as { "some": x }, other sums as { "tag": name, "value": x }.
function convert.sum(kind, value)
    local tag, payload = value.tag, value.value
    if tag == nil then
        tag, payload = next(value)
    end
    for _, variant in ipairs(kind.variants) do
        if variant.name == tag then
            return { tag = tag, value = vectors.value(variant.type, payload) }
        end
    end
    error("there is no variant " .. tag)
end

-- Vectors -------------------------------------------------------------------------------------------------------

--- Inflating is not what these vectors are about, so the system's gzip does it.
local function gunzip(text)
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    local pipe = assert(io.popen("gzip -dc < " .. path, "r"))
    local plain = pipe:read("*a")
    pipe:close()
    os.remove(path)
    return plain
end

--- The server messages of a payload vector stand behind each other; a frame has one byte more in front, and may be
--- compressed. Here all become plain payloads.
local function payload_of(vector)
    if vector.type == "v3.ServerPayload" then
        return vector.bytes
    end
    local compression, payload = vector.bytes:byte(1), vector.bytes:sub(2)
    assert(compression == 0 or compression == 2, "neither plain nor gzip")
    return compression == 0 and payload or gunzip(payload)
end

--- All vectors, with type and value as in bsatn.lua: { name, type, value, bytes }. A payload vector has `messages`,
--- the list of its values, in place of `value`, and its plain payload as bytes.
function vectors.load()
    local file = assert(io.open("spec/sats/wire_vectors.json", "rb"))
    local list = cjson.decode(file:read("*a"))
    file:close()
    for _, vector in ipairs(list) do
        vector.bytes = bsatn.from_hex(vector.hex)
        if vector.type == "v3.ServerPayload" or vector.type == "ws.ServerFrame" then
            vector.bytes = payload_of(vector)
            vector.type = messages.types.ServerMessage
            vector.messages = convert.array(bsatn.array(vector.type), vector.value)
            vector.value = nil
        else
            vector.type = vectors.type(vector.type)
            vector.value = vectors.value(vector.type, vector.value)
        end
    end
    return list
end

return vectors
