--- The bytes of the official client, through the codec of the specs and through the core.
local bsatn = require("spec.support.bsatn")
local sats = require("spec.support.sats")
local vectors = require("spec.support.vectors")

local all = vectors.load()

--- What a vector holds, as a list: payloads hold several messages, all others one value.
local function values_of(vector)
    return vector.messages or { vector.value }
end

local function encode_all(vector)
    local parts = {}
    for place, value in ipairs(values_of(vector)) do
        parts[place] = bsatn.encode(vector.type, value)
    end
    return table.concat(parts)
end

local function decode_all(vector)
    local parts, at = {}, 1
    for place = 1, #values_of(vector) do
        parts[place], at = bsatn.decode(vector.type, vector.bytes, at)
    end
    assert.are.equal(#vector.bytes + 1, at)
    return parts
end

--- The core resolves no recursive types, since a column cannot have one.
local function is_recursive(kind, above)
    above = above or {}
    if above[kind] then
        return true
    end
    above[kind] = true
    local found = kind.element ~= nil and is_recursive(kind.element, above)
    for _, member in ipairs(kind.fields or kind.variants or {}) do
        found = found or is_recursive(member.type, above)
    end
    above[kind] = nil
    return found
end

--- The parts of a vector's bytes, one a value, as the core tells them apart.
local function core_parts(vector, kind)
    local parts, at = {}, 1
    for place = 1, #values_of(vector) do
        local rest = vector.bytes:sub(at)
        local used = assert(sats.check(kind, rest))
        parts[place] = rest:sub(1, used)
        at = at + used
    end
    assert.are.equal(#vector.bytes + 1, at)
    return parts
end

local function holds_nonfinite(vector)
    return vector.name:find("nan$") or vector.name:find("inf$")
end

describe("the wire vectors", function()
    it("are all there", function()
        assert.are.equal(187, #all)
    end)

    for _, vector in ipairs(all) do
        it("encode and decode to the byte: " .. vector.name, function()
            assert.are.equal(bsatn.to_hex(vector.bytes), bsatn.to_hex(encode_all(vector)))
            local again = { type = vector.type, messages = decode_all(vector) }
            assert.are.equal(bsatn.to_hex(vector.bytes), bsatn.to_hex(encode_all(again)))
        end)

        if not is_recursive(vector.type) then
            it("are checked and measured by the core: " .. vector.name, function()
                local kind = sats.type(vector.type)
                for _, part in ipairs(core_parts(vector, kind)) do
                    assert.are.equal(#part, sats.size(kind, part))
                    assert.are.equal(0, sats.compare(kind, part, part))
                end
            end)

            it("are refused by the core when their last byte is missing: " .. vector.name, function()
                local kind = sats.type(vector.type)
                for _, part in ipairs(core_parts(vector, kind)) do
                    if #part > 0 then
                        assert.is_nil(sats.check(kind, part:sub(1, -2)))
                    end
                end
            end)
        end

        if not is_recursive(vector.type) and not holds_nonfinite(vector) then
            it("come back from JSON in both styles: " .. vector.name, function()
                local kind = sats.type(vector.type)
                for _, part in ipairs(core_parts(vector, kind)) do
                    for _, style in ipairs { "typed", "untyped" } do
                        local json = sats.print(kind, part, style)
                        assert.are.equal(bsatn.to_hex(part), bsatn.to_hex(assert(sats.parse(kind, json))))
                    end
                end
            end)
        end

        if vector.type == vectors.meta.AlgebraicType then
            it("are types that the core decodes and encodes: " .. vector.name, function()
                local kind, used = assert(sats.decode_type(vector.bytes))
                assert.are.equal(#vector.bytes, used)
                local again = sats.written(function(out) sats.core.type_encode(out, kind) end)
                assert.are.equal(bsatn.to_hex(vector.bytes), bsatn.to_hex(again))
            end)
        end
    end
end)
