--- The core's wire layer for specs: client messages, server messages and row lists, as Lua strings.
local ffi = require("ffi")

-- All specs share one FFI, so structs and the functions of lower layers have names of this file's own.
ffi.cdef [[
typedef struct proto_bytes { const uint8_t *at; size_t size; } proto_bytes;
struct proto_diag { int code; char text[1500]; };
struct proto_buf { uint8_t *data; size_t size; size_t capacity; };
struct proto_reader { const uint8_t *at; const uint8_t *end; bool failed; };
struct proto_identity { uint8_t at[32]; };
struct proto_connection_id { uint8_t at[16]; };
struct proto_client_msg {
    int kind; uint32_t request_id; uint32_t query_set_id; uint32_t query_count;
    struct proto_reader queries; bool send_dropped_rows; proto_bytes text; proto_bytes args;
};
struct proto_row_list {
    struct proto_buf rows; struct proto_buf offsets; uint32_t count; uint32_t size; bool mixed;
};

void proto_buf_init(struct proto_buf *buf) __asm__("buf_init");
void proto_buf_deinit(struct proto_buf *buf) __asm__("buf_deinit");
void proto_buf_grow(struct proto_buf *buf, size_t room) __asm__("buf_grow");

int client_msg_decode(struct proto_reader *from, struct proto_client_msg *msg, struct proto_diag *diag);

void row_list_init(struct proto_row_list *list);
void row_list_deinit(struct proto_row_list *list);
void row_list_clear(struct proto_row_list *list);
void row_list_add(struct proto_row_list *list, proto_bytes row);
void row_list_encode(struct proto_buf *out, const struct proto_row_list *list);
size_t row_list_encoded_size(const struct proto_row_list *list);
void row_list_update(struct proto_buf *out, const struct proto_row_list *inserts, const struct proto_row_list *deletes);
void row_list_events(struct proto_buf *out, const struct proto_row_list *events);

void server_msg_initial_connection(struct proto_buf *out, const struct proto_identity *who,
                                   const struct proto_connection_id *connection, proto_bytes token);
void server_msg_subscription_error(struct proto_buf *out, const uint32_t *request_id, uint32_t query_set_id,
                                   proto_bytes text);
void server_msg_one_off_error(struct proto_buf *out, uint32_t request_id, proto_bytes text);
void server_msg_procedure_error(struct proto_buf *out, uint32_t request_id, proto_bytes text);
void server_msg_reducer_ok(struct proto_buf *out, uint32_t request_id, int64_t timestamp_us);
void server_msg_reducer_err(struct proto_buf *out, uint32_t request_id, int64_t timestamp_us, proto_bytes text);
void server_msg_reducer_internal_error(struct proto_buf *out, uint32_t request_id, int64_t timestamp_us,
                                       proto_bytes text);
void server_msg_subscribe_applied(struct proto_buf *out, uint32_t request_id, uint32_t query_set_id);
void server_msg_unsubscribe_applied(struct proto_buf *out, uint32_t request_id, uint32_t query_set_id, bool with_rows);
void server_msg_one_off_ok(struct proto_buf *out, uint32_t request_id);
void server_msg_transaction_update(struct proto_buf *out);
]]

local core = ffi.load(os.getenv("STDB_CORE") or "build/libstdb-core.so")
local proto = { core = core }

function proto.from_hex(hex)
    return (hex:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end))
end

function proto.to_hex(text)
    return (text:gsub(".", function(letter) return string.format("%02x", letter:byte()) end))
end

--- A Lua string as the core's view of bytes; the string must outlive the call.
function proto.bytes(text)
    return ffi.new("proto_bytes", ffi.cast("const uint8_t *", text), #text)
end

--- What `write` appends to a fresh buffer.
function proto.written(write)
    local out = ffi.new("struct proto_buf")
    core.proto_buf_init(out)
    write(out)
    local text = ffi.string(out.data, out.size)
    core.proto_buf_deinit(out)
    return text
end

--- Appends raw bytes, as the engine does between the parts of a message.
function proto.put(out, text)
    core.proto_buf_grow(out, #text)
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
    local from, msg, diag = ffi.new("struct proto_reader"), ffi.new("struct proto_client_msg"), ffi.new("struct proto_diag")
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
    local list = ffi.gc(ffi.new("struct proto_row_list"), core.row_list_deinit)
    core.row_list_init(list)
    for _, row in ipairs(rows) do
        core.row_list_add(list, proto.bytes(row))
    end
    return list
end

return proto
