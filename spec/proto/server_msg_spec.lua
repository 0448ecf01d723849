local proto = require("spec.support.proto")
local ffi = require("ffi")
local json = require("cjson")
local core, bytes = proto.core, proto.bytes

--- The rows of a BsatnRowList vector.
local function rows_of(list)
    local data, rows = proto.from_hex(list.rowsData.bytes), {}
    if list.sizeHint.tag == "FixedSize" then
        for at = 1, #data, list.sizeHint.value do
            rows[#rows + 1] = data:sub(at, at + list.sizeHint.value - 1)
        end
        return rows
    end
    local starts = list.sizeHint.value
    for place, start in ipairs(starts) do
        rows[place] = data:sub(start + 1, tonumber(starts[place + 1] or #data))
    end
    return rows
end

local function put_query_rows(out, rows)
    proto.put_u32(out, #rows.tables)
    for _, single in ipairs(rows.tables) do
        proto.put_sized(out, single.table)
        core.row_list_encode(out, proto.row_list(rows_of(single.rows)))
    end
end

local function put_element(out, element)
    if element.tag == "EventTable" then
        core.row_list_events(out, proto.row_list(rows_of(element.value.events)))
        return
    end
    local inserts, deletes = rows_of(element.value.inserts), rows_of(element.value.deletes)
    core.row_list_update(out, proto.row_list(inserts), proto.row_list(deletes))
end

local function put_update(out, update)
    proto.put_u32(out, #update.querySets)
    for _, set in ipairs(update.querySets) do
        proto.put_u32(out, set.querySetId.id)
        proto.put_u32(out, #set.tables)
        for _, changed in ipairs(set.tables) do
            proto.put_sized(out, changed.tableName)
            proto.put_u32(out, #changed.rows)
            for _, element in ipairs(changed.rows) do
                put_element(out, element)
            end
        end
    end
end

local function micros(timestamp)
    return ffi.new("int64_t", tonumber(timestamp.__timestamp_micros_since_unix_epoch__))
end

local write = {}

function write.SubscribeApplied(out, value)
    core.server_msg_subscribe_applied(out, value.requestId, value.querySetId.id)
    put_query_rows(out, value.rows)
end

function write.UnsubscribeApplied(out, value)
    local rows = value.rows.some
    core.server_msg_unsubscribe_applied(out, value.requestId, value.querySetId.id, rows ~= nil)
    if rows then
        put_query_rows(out, rows)
    end
end

function write.SubscriptionError(out, value)
    local request_id = value.requestId.some and ffi.new("uint32_t[1]", value.requestId.some) or nil
    core.server_msg_subscription_error(out, request_id, value.querySetId.id, bytes(value.error))
end

function write.TransactionUpdate(out, value)
    core.server_msg_transaction_update(out)
    put_update(out, value)
end

function write.OneOffQueryResult(out, value)
    if value.result.err then
        core.server_msg_one_off_error(out, value.requestId, bytes(value.result.err))
        return
    end
    core.server_msg_one_off_ok(out, value.requestId)
    put_query_rows(out, value.result.ok)
end

function write.ReducerResult(out, value)
    core.server_msg_reducer_ok(out, value.requestId, micros(value.timestamp))
    put_update(out, value.result.value.transactionUpdate)
end

function write.ProcedureResult(out, value)
    core.server_msg_procedure_error(out, value.requestId, bytes(value.status.value))
end

--- Reducers here return nothing and procedures do not exist, so these are never sent.
local never_sent = {
    ["v2.server.ReducerResult.ok-ret"] = true,
    ["v2.server.ReducerResult.OkEmpty"] = true,
    ["v2.server.ProcedureResult.returned-u32"] = true,
}

local function vectors()
    local file = assert(io.open("spec/sats/wire_vectors.json"))
    local found = {}
    for _, vector in ipairs(json.decode(file:read("*a"))) do
        if vector.type == "v2.ServerMessage" and not never_sent[vector.name] then
            found[#found + 1] = vector
        end
    end
    file:close()
    return found
end

describe("a server message", function()
    for _, vector in ipairs(vectors()) do
        it("is the bytes that the official client reads: " .. vector.name, function()
            local text = proto.written(function(out) write[vector.value.tag](out, vector.value.value) end)

            assert.equal(vector.hex, proto.to_hex(text))
        end)
    end

    it("greets with identity, connection id and token", function()
        local who, connection = ffi.new("identity"), ffi.new("connection_id")
        who.at[0], who.at[31], connection.at[0] = 1, 0xc2, 2
        local text = proto.written(function(out)
            core.server_msg_initial_connection(out, who, connection, bytes("tok"))
        end)

        assert.equal("00" .. "01" .. ("00"):rep(30) .. "c2" .. "02" .. ("00"):rep(15) .. "03000000746f6b",
            proto.to_hex(text))
    end)

    it("names the request that a refused subscription came with", function()
        local text = proto.written(function(out)
            core.server_msg_subscription_error(out, ffi.new("uint32_t[1]", 9), 3, bytes("no"))
        end)

        assert.equal("03" .. "00" .. "09000000" .. "03000000" .. "020000006e6f", proto.to_hex(text))
    end)

    it("wraps a reducer's own error as a string inside a blob", function()
        local text = proto.written(function(out) core.server_msg_reducer_err(out, 8, 0, bytes("hi")) end)

        assert.equal("06" .. "08000000" .. ("00"):rep(8) .. "02" .. "06000000" .. "02000000" .. "6869",
            proto.to_hex(text))
    end)

    it("tells an internal error as a plain string", function()
        local text = proto.written(function(out) core.server_msg_reducer_internal_error(out, 8, -1, bytes("hi")) end)

        assert.equal("06" .. "08000000" .. ("ff"):rep(8) .. "03" .. "02000000" .. "6869", proto.to_hex(text))
    end)
end)
