--- The core's wire layer for specs: client messages, server messages and row lists, as Lua strings.
local ffi = require("ffi")

local core = require "spec.support.core"
local proto = { core = core, bytes = core.bytes, written = core.written }

function proto.from_hex(hex)
    return (hex:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end))
end

function proto.to_hex(text)
    return (text:gsub(".", function(letter) return string.format("%02x", letter:byte()) end))
end

--- Appends raw bytes, as the engine does between the parts of a message.
function proto.put(out, text)
    core.buf_grow(out, #text)
    ffi.copy(out.data + out.size, text, #text)
    out.size = out.size + #text
end

function proto.put_u32(out, number)
    proto.put(out, ffi.string(ffi.new("uint32_t[1]", number), 4))
end

function proto.put_sized(out, text)
    proto.put_u32(out, #text)
    proto.put(out, text)
end

local function text_of(view)
    return ffi.string(view.at, view.size)
end

local kinds = { [0] = "Subscribe", "Unsubscribe", "OneOffQuery", "CallReducer", "CallProcedure" }

local function queries_of(msg)
    local found, at = {}, msg.queries.at
    for _ = 1, msg.query_count do
        local size = ffi.cast("const uint32_t *", at)[0]
        found[#found + 1] = ffi.string(at + 4, size)
        at = at + 4 + size
    end
    assert(at == msg.queries["end"], "the checked strings fill the view")
    return found
end

--- Decodes one message from the front of `payload`: the message as a table and the bytes left, or nil and the reason.
function proto.decode(payload)
    local from, msg, diag = ffi.new("struct reader"), ffi.new("struct client_msg"), ffi.new("struct diag")
    from.at = ffi.cast("const uint8_t *", payload)
    from["end"] = from.at + #payload
    if core.client_msg_decode(from, msg, diag) ~= 0 then
        return nil, ffi.string(diag.text), diag.code
    end
    local seen = { kind = kinds[msg.kind], request_id = msg.request_id, query_set_id = msg.query_set_id,
        queries = queries_of(msg), send_dropped_rows = msg.send_dropped_rows,
        text = text_of(msg.text), args = text_of(msg.args) }
    return seen, tonumber(from["end"] - from.at)
end

--- A row list of the core with these rows; freed with the collector.
function proto.row_list(rows)
    local list = ffi.gc(ffi.new("struct row_list"), core.row_list_deinit)
    core.row_list_init(list)
    for _, row in ipairs(rows) do
        core.row_list_add(list, proto.bytes(row))
    end
    return list
end

return proto
