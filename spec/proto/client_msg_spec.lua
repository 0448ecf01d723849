local proto = require("spec.support.proto")
local json = require("cjson")

local ERR_BAD_MESSAGE = 101

local function vectors(kind)
    local file = assert(io.open("spec/sats/wire_vectors.json"))
    local found = {}
    for _, vector in ipairs(json.decode(file:read("*a"))) do
        if vector.type == kind then
            found[#found + 1] = vector
        end
    end
    file:close()
    return found
end

local function call_bytes(name, args)
    local function sized(text)
        local size = #text
        return string.char(size % 256, math.floor(size / 256), 0, 0) .. text
    end
    return "\3\9\0\0\0\0" .. sized(name) .. sized(args)
end

describe("a client message", function()
    for _, vector in ipairs(vectors("v2.ClientMessage")) do
        it("decodes from the bytes of the official client: " .. vector.name, function()
            local want = vector.value.value
            local seen, left = proto.decode(proto.from_hex(vector.hex))

            assert.equal(vector.value.tag, seen.kind)
            assert.equal(want.requestId, seen.request_id)
            assert.equal(0, left)
            if want.querySetId then
                assert.equal(want.querySetId.id, seen.query_set_id)
            end
            assert.same(want.queryStrings or {}, seen.queries)
            assert.equal(type(want.flags) == "table" and want.flags.tag == "SendDroppedRows", seen.send_dropped_rows)
            assert.equal(want.reducer or want.procedure or want.queryString or "", seen.text)
            assert.equal(want.args and want.args.bytes or "", proto.to_hex(seen.args))
        end)
    end

    it("asks for the dropped rows by the flag of Unsubscribe", function()
        local seen = proto.decode("\1" .. "\5\0\0\0" .. "\2\0\0\0" .. "\1")

        assert.is_true(seen.send_dropped_rows)
        assert.equal(2, seen.query_set_id)
    end)

    it("carries the text of a one-off query", function()
        local seen = proto.decode("\2" .. "\7\0\0\0" .. "\8\0\0\0SELECT 1")

        assert.equal("OneOffQuery", seen.kind)
        assert.equal("SELECT 1", seen.text)
    end)

    it("leaves the next message of a v3 payload in the reader", function()
        local second = call_bytes("move", "\1\2")
        local payload = call_bytes("say", "hi") .. second
        local first, left = proto.decode(payload)

        assert.equal("say", first.text)
        assert.equal(#second, left)
        assert.equal("move", proto.decode(payload:sub(-left)).text)
    end)

    it("is refused when it is empty", function()
        local seen, reason, code = proto.decode("")

        assert.is_nil(seen)
        assert.equal(ERR_BAD_MESSAGE, code)
        assert.equal("the message is empty", reason)
    end)

    it("is refused when its tag is unknown", function()
        local _, reason = proto.decode("\5\0\0\0\0")

        assert.equal("no client message has the tag 5", reason)
    end)

    it("is refused at every length short of its own", function()
        for _, vector in ipairs(vectors("v2.ClientMessage")) do
            local whole = proto.from_hex(vector.hex)
            for size = 1, #whole - 1 do
                local seen, _, code = proto.decode(whole:sub(1, size))
                assert.is_nil(seen, vector.name .. " cut to " .. size)
                assert.equal(ERR_BAD_MESSAGE, code)
            end
        end
    end)

    it("is refused when a call sets a flag", function()
        assert.is_nil(proto.decode("\3\9\0\0\0" .. "\1" .. "\1\0\0\0x" .. "\0\0\0\0"))
    end)

    it("is refused when Unsubscribe has an unknown flag", function()
        assert.is_nil(proto.decode("\1\5\0\0\0\2\0\0\0\2"))
    end)

    it("is refused when a name or a query is not UTF-8", function()
        assert.is_nil(proto.decode(call_bytes("a\255", "")))
        assert.is_nil(proto.decode("\2" .. "\7\0\0\0" .. "\2\0\0\0\192\128"))
        assert.is_nil(proto.decode("\0\1\0\0\0\2\0\0\0" .. "\1\0\0\0" .. "\1\0\0\0\255"))
    end)

    it("is refused at once when it promises more queries than it holds", function()
        assert.is_nil(proto.decode("\0\1\0\0\0\2\0\0\0" .. "\255\255\255\255" .. "\1\0\0\0x"))
    end)
end)
