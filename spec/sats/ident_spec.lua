--- Identities, connection ids, timestamps and UUIDs as text.
local ffi = require("ffi")
local bsatn = require("spec.support.bsatn")
local sats = require("spec.support.sats")

local core, view = sats.core, sats.view

local function identity_text(value)
    return sats.written(function(out) core.identity_print(out, value) end)
end

local function of_claims(issuer, subject)
    return identity_text(core.identity_of_claims(view(issuer), view(subject)))
end

local function parse_identity(text)
    local value = ffi.new("identity")
    return core.identity_parse(view(text), value) and bsatn.to_hex(ffi.string(value.at, 32)) or nil
end

local function parse_connection_id(text)
    local value = ffi.new("connection_id")
    return core.connection_id_parse(view(text), value) and value or nil
end

describe("an identity", function()
    it("follows from issuer and subject", function()
        assert.are.equal("c200483152d642c7d402de06cacc36dcb0c2a1f2bbeb8e7d5a673f2435cca975",
            of_claims("localhost", "6d4b5430-00cf-4a99-932c-ad2d07bab841"))
        assert.are.equal("c20035600353a2e93544d898c6ed0eac323e200c0468300f22958f8b472a265d", of_claims("localhost", "alice"))
        assert.are.equal("c200dd8457624d8d2ae0e975ca80d4965031976fc916cc7f0556de5c14f6894b",
            of_claims("https://auth.example.com", "user|1"))
        assert.are.equal("c200c6a82c0a8cdd0838b71b061dd261787a91d2d261b92ce6737309727403be", of_claims("issuer", "client"))
    end)

    it("is printed with the last byte of the wire first", function()
        local printed = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        assert.are.equal("1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100", parse_identity(printed))
        local value = ffi.new("identity")
        core.identity_parse(view(printed), value)
        assert.are.equal(printed, identity_text(value))
    end)

    it("is read from 64 digits of either case, with or without 0x", function()
        local digits = ("0123456789abcdef"):rep(4)
        assert.are.equal(parse_identity(digits), parse_identity("0x" .. digits:upper()))
        for _, text in ipairs { "", "0x", digits:sub(2), digits .. "0", digits:sub(1, 63) .. "g", "0X" .. digits,
                                "0x0x" .. digits:sub(3), " " .. digits:sub(2) } do
            assert.is_nil(parse_identity(text), text)
        end
    end)
end)

describe("a connection id", function()
    it("is read and printed as 32 digits without a prefix", function()
        local value = assert(parse_connection_id("00112233445566778899AABBCCDDEEFF"))
        assert.are.equal("ffeeddccbbaa99887766554433221100", bsatn.to_hex(ffi.string(value.at, 16)))
        assert.are.equal("00112233445566778899aabbccddeeff",
            sats.written(function(out) core.connection_id_print(out, value) end))
        assert.is_nil(parse_connection_id("0x112233445566778899aabbccddeeff"))
        assert.is_nil(parse_connection_id("00112233445566778899aabbccddeef"))
    end)

    it("is none when it is zero", function()
        for text, none in pairs { [("0"):rep(32)] = true, ["1" .. ("0"):rep(31)] = false, [("0"):rep(31) .. "1"] = false } do
            assert.are.equal(none, core.connection_id_is_none(parse_connection_id(text)))
        end
    end)
end)

describe("a timestamp", function()
    local function print(micros)
        return sats.written(function(out) core.timestamp_print(out, micros) end)
    end

    local function parse(text)
        local micros = ffi.new("int64_t[1]")
        return core.timestamp_parse(view(text), micros) and micros[0] or nil
    end

    it("prints with six digits of a second, in UTC", function()
        assert.are.equal("1970-01-01T00:00:00.000000Z", print(0))
        assert.are.equal("1969-12-31T23:59:59.999999Z", print(-1))
        assert.are.equal("2023-11-14T22:13:20.000000Z", print(1700000000000000LL))
        assert.are.equal("2026-11-20T08:15:30.123456Z", print(1795162530123456LL))
        assert.are.equal("9999-12-31T23:59:59.999999Z", print(253402300799999999LL))
        assert.are.equal("0000-01-01T00:00:00.000000Z", print(-62167219200000000LL))
    end)

    it("reads T or a space, Z or an offset, up to six digits of a second", function()
        for text, micros in pairs {
            ["1970-01-01T00:00:00Z"] = 0,
            ["1970-01-01 00:00:00Z"] = 0,
            ["1970-01-01T00:00:00.1Z"] = 100000,
            ["1970-01-01T00:00:00.000001Z"] = 1,
            ["1970-01-01T02:00:00+02:00"] = 0,
            ["1969-12-31T18:30:00-05:30"] = 0,
            ["1969-12-31T23:59:59.999999Z"] = -1,
        } do
            assert.are.equal(micros, tonumber(parse(text)), text)
        end
    end)

    it("knows leap years", function()
        for _, year in ipairs { "2024", "2000", "1600", "0000" } do
            assert.is_truthy(parse(year .. "-02-29T00:00:00Z"), year)
        end
        for _, year in ipairs { "2023", "1900", "2100" } do
            assert.is_nil(parse(year .. "-02-29T00:00:00Z"), year)
        end
        assert.are.equal(86400e6, tonumber(parse("2024-03-01T00:00:00Z") - parse("2024-02-29T00:00:00Z")))
    end)

    it("refuses what is no moment or no timestamp", function()
        for _, text in ipairs {
            "", "2024", "2024-01-01", "2024-01-01T00:00Z", "2024-01-01T00:00:00", "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z", "2024-01-00T00:00:00Z", "2024-01-32T00:00:00Z", "2024-04-31T00:00:00Z",
            "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:60Z", "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00.1234567Z", "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00+02:60",
            "2024-01-01T00:00:00+0200", "2024-01-01T00:00:00Zx", "24-01-01T00:00:00Z", "2024-1-01T00:00:00Z",
            " 2024-01-01T00:00:00Z", "2024-01-01t00:00:00Z", "+2024-01-01T00:00:00Z", "2024-01-01T00:00:0aZ",
        } do
            assert.is_nil(parse(text), text)
        end
    end)

    it("prints and reads every moment that 64 bits hold, and no other", function()
        local last, first = 9223372036854775807LL, -9223372036854775807LL - 1
        for _, micros in ipairs { last, first, 253402300800000000LL, -62167219200000001LL } do
            assert.are.equal(micros, parse(print(micros)))
        end
        assert.are.equal("+294247-01-10T04:00:54.775807Z", print(last))
        assert.is_nil(parse("+294247-01-10T04:00:54.775808Z"))
        assert.are.equal("-290308-12-21T19:59:05.224192Z", print(first))
        assert.is_nil(parse("-290308-12-21T19:59:05.224191Z"))
        assert.is_nil(parse("+999999-01-01T00:00:00Z"))
    end)
end)

describe("a uuid", function()
    local text = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6"

    local function parse(from)
        local at = ffi.new("uint8_t[16]")
        return core.uuid_parse(view(from), at) and at or nil
    end

    it("is the reverse of its text on the wire", function()
        local at = assert(parse(text))
        assert.are.equal("f66b1ec9a00065a7d041ec7dae4f1df8", bsatn.to_hex(ffi.string(at, 16)))
        assert.are.equal(text, sats.written(function(out) core.uuid_print(out, at) end))
        assert.is_truthy(parse(text:upper()))
    end)

    it("is refused in any other shape", function()
        for _, from in ipairs { "", text:gsub("-", ""), text .. "0", text:sub(2), "{" .. text .. "}", text:gsub("f", "g"),
                                "f81d4fae7-dec-41d0-a765-00a0c91e6bf6", "f81d4fae_7dec_41d0_a765_00a0c91e6bf6" } do
            assert.is_nil(parse(from), from)
        end
    end)
end)
