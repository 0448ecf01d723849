--- The core's types and codecs for specs: types from the notation of bsatn.lua, values and JSON as Lua strings.
local ffi = require("ffi")
local bsatn = require("spec.support.bsatn")
local meta = require("spec.support.vectors").meta

local core = require "spec.support.core"
local view = core.bytes
local sats = { core = core, view = view, written = core.written }

-- Types ---------------------------------------------------------------------------------------------------------

-- Types of the specs live until the process ends.
local arena = ffi.new("struct arena")
core.arena_init(arena)

local tag_of = {
    string = "String", bool = "Bool", f32 = "F32", f64 = "F64", i8 = "I8", u8 = "U8", i16 = "I16", u16 = "U16",
    i32 = "I32", u32 = "U32", i64 = "I64", u64 = "U64", i128 = "I128", u128 = "U128", i256 = "I256", u256 = "U256",
}

local wrapped = {
    Identity = { "__identity__", "U256" },
    ConnectionId = { "__connection_id__", "U128" },
    Timestamp = { "__timestamp_micros_since_unix_epoch__", "I64" },
    TimeDuration = { "__time_duration_micros__", "I64" },
    Uuid = { "__uuid__", "U128" },
}

local algebraic

local function named(list)
    local members = {}
    for place, member in ipairs(list) do
        members[place] = { name = { tag = "some", value = member.name }, algebraic_type = algebraic(member.type) }
    end
    return members
end

--- A type of bsatn.lua as a value of AlgebraicType.
function algebraic(kind)
    if kind.kind == "product" then
        return { tag = "Product", value = { elements = named(kind.fields) } }
    elseif kind.kind == "sum" then
        return { tag = "Sum", value = { variants = named(kind.variants) } }
    elseif kind.kind == "array" then
        return { tag = "Array", value = algebraic(kind.element) }
    elseif kind.kind == "bytes" then
        return { tag = "Array", value = { tag = "U8" } }
    elseif wrapped[kind.kind] then
        local name, tag = unpack(wrapped[kind.kind])
        return { tag = "Product", value = { elements = {
            { name = { tag = "some", value = name }, algebraic_type = { tag = tag } },
        } } }
    end
    return { tag = assert(tag_of[kind.kind], kind.kind) }
end

sats.algebraic = algebraic

--- The bytes of a type as data.
function sats.describe(kind)
    return bsatn.encode(meta.AlgebraicType, algebraic(type(kind) == "string" and bsatn.type(kind) or kind))
end

--- A type from its bytes, as type_decode() leaves it; or nil and the refusal.
function sats.decode_type(text)
    local from = ffi.new("struct reader", ffi.cast("const uint8_t *", text), ffi.cast("const uint8_t *", text) + #text)
    local found, diag = ffi.new("const struct type *[1]"), ffi.new("struct diag")
    if core.type_decode(arena, from, found, diag) ~= 0 then
        return nil, ffi.string(diag.text)
    end
    return found[0], tonumber(from.at - ffi.cast("const uint8_t *", text))
end

--- `kind` with the references into the list `typespace` replaced; or nil and the refusal.
function sats.resolve(kind, typespace)
    local space = ffi.new("const struct type *[?]", math.max(#typespace, 1), typespace)
    local resolved, diag = ffi.new("const struct type *[1]"), ffi.new("struct diag")
    if core.type_resolve(arena, space, #typespace, kind, resolved, diag) ~= 0 then
        return nil, ffi.string(diag.text)
    end
    return resolved[0]
end

--- The core's type for a type of bsatn.lua, or for its notation.
function sats.type(kind)
    return assert(sats.resolve(assert(sats.decode_type(sats.describe(kind))), {}))
end

function sats.type_text(kind)
    return sats.written(function(out) core.type_print(out, kind) end)
end

function sats.type_json(kind)
    return sats.written(function(out) core.type_print_json(out, kind) end)
end

-- Values --------------------------------------------------------------------------------------------------------

--- How many bytes of `text` are a value; or nil and the refusal.
function sats.check(kind, text)
    local used, diag = ffi.new("size_t[1]"), ffi.new("struct diag")
    if core.bsatn_check(kind, view(text), used, diag) ~= 0 then
        return nil, ffi.string(diag.text)
    end
    return tonumber(used[0])
end

function sats.size(kind, text)
    return tonumber(core.bsatn_size(kind, ffi.cast("const uint8_t *", text)))
end

function sats.compare(kind, left, right)
    return core.bsatn_compare(kind, ffi.cast("const uint8_t *", left), ffi.cast("const uint8_t *", right))
end

function sats.prefix(kind, text)
    return core.bsatn_prefix(kind, ffi.cast("const uint8_t *", text))
end

-- JSON ----------------------------------------------------------------------------------------------------------

local styles = { typed = 0, untyped = 1 }

function sats.print(kind, text, style)
    return sats.written(function(out) core.json_print(out, kind, view(text), styles[style]) end)
end

--- The JSON without the values of `apart`, and the places where they belong, counted from 0.
function sats.print_around(kind, text, style, apart)
    local printed
    local places = sats.written(function(places)
        printed = sats.written(function(out)
            core.json_print_around(out, kind, view(text), styles[style], apart, places)
        end)
    end)
    local list, at = {}, ffi.cast("const size_t *", places)
    for place = 1, #places / ffi.sizeof "size_t" do list[place] = tonumber(at[place - 1]) end
    return printed, list
end

--- The bytes of the value that `json` says; or nil and the refusal.
function sats.parse(kind, json)
    local code, diag = nil, ffi.new("struct diag")
    local text = sats.written(function(out) code = core.json_parse(kind, view(json), out, diag) end)
    if code ~= 0 then
        assert(text == "", "a refused text left bytes behind")
        return nil, ffi.string(diag.text)
    end
    return text
end

return sats
