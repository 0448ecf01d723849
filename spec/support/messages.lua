--- The messages of the v2 and v3 protocols, and what frames are made of: what a client in a spec needs.
local bsatn = require("spec.support.bsatn")

local messages = {}

messages.types = bsatn.schema [[
    ClientMessage = < 0 Subscribe: Subscribe | 1 Unsubscribe: Unsubscribe | 2 OneOffQuery: OneOffQuery
                    | 3 CallReducer: CallReducer | 4 CallProcedure: CallProcedure >
    Subscribe = { request_id: u32, query_set_id: QuerySetId, query_strings: [string] }
    QuerySetId = { id: u32 }
    Unsubscribe = { request_id: u32, query_set_id: QuerySetId, flags: UnsubscribeFlags }
    UnsubscribeFlags = < 0 Default: {} | 1 SendDroppedRows: {} >
    OneOffQuery = { request_id: u32, query_string: string }
    CallReducer = { request_id: u32, flags: u8, reducer: string, args: bytes }
    CallProcedure = { request_id: u32, flags: u8, procedure: string, args: bytes }

    ServerMessage = < 0 InitialConnection: InitialConnection | 1 SubscribeApplied: SubscribeApplied
                    | 2 UnsubscribeApplied: UnsubscribeApplied | 3 SubscriptionError: SubscriptionError
                    | 4 TransactionUpdate: TransactionUpdate | 5 OneOffQueryResult: OneOffQueryResult
                    | 6 ReducerResult: ReducerResult | 7 ProcedureResult: ProcedureResult >
    InitialConnection = { identity: Identity, connection_id: ConnectionId, token: string }
    SubscribeApplied = { request_id: u32, query_set_id: QuerySetId, rows: QueryRows }
    QueryRows = { tables: [SingleTableRows] }
    SingleTableRows = { table: string, rows: BsatnRowList }
    UnsubscribeApplied = { request_id: u32, query_set_id: QuerySetId, rows: option(QueryRows) }
    SubscriptionError = { request_id: option(u32), query_set_id: QuerySetId, error: string }
    TransactionUpdate = { query_sets: [QuerySetUpdate] }
    QuerySetUpdate = { query_set_id: QuerySetId, tables: [TableUpdate] }
    TableUpdate = { table_name: string, rows: [TableUpdateRows] }
    TableUpdateRows = < 0 PersistentTable: PersistentTableRows | 1 EventTable: EventTableRows >
    PersistentTableRows = { inserts: BsatnRowList, deletes: BsatnRowList }
    EventTableRows = { events: BsatnRowList }
    OneOffQueryResult = { request_id: u32, result: result(QueryRows, string) }
    ReducerResult = { request_id: u32, timestamp: Timestamp, result: ReducerOutcome }
    ReducerOutcome = < 0 Ok: ReducerOk | 1 OkEmpty: {} | 2 Err: bytes | 3 InternalError: string >
    ReducerOk = { ret_value: bytes, transaction_update: TransactionUpdate }
    ProcedureResult = { status: ProcedureStatus, timestamp: Timestamp, total_host_execution_duration: TimeDuration,
                        request_id: u32 }
    ProcedureStatus = < 0 Returned: bytes | 1 InternalError: string >
    BsatnRowList = { size_hint: RowSizeHint, rows_data: bytes }
    RowSizeHint = < 0 FixedSize: u16 | 1 RowOffsets: [u64] >
]]

--- One client message as bytes: messages.client("OneOffQuery", { request_id = 1, query_string = "…" }).
function messages.client(tag, value)
    return bsatn.encode(messages.types.ClientMessage, { tag = tag, value = value })
end

--- The server messages of one uncompressed frame, in order; v2 puts one in a frame, v3 any number.
function messages.of_frame(frame)
    assert(frame:byte(1) == 0, "the frame is compressed")
    local list, at = {}, 2
    while at <= #frame do
        list[#list + 1], at = bsatn.decode(messages.types.ServerMessage, frame, at)
    end
    return list
end

--- The rows of a BsatnRowList, each as its bytes, split as the hint says.
function messages.rows(row_list)
    local data, hint = row_list.rows_data, row_list.size_hint
    local rows = {}
    if hint.tag == "FixedSize" then
        for first = 1, #data, hint.value do
            rows[#rows + 1] = data:sub(first, first + hint.value - 1)
        end
        return rows
    end
    for place, offset in ipairs(hint.value) do
        local behind = hint.value[place + 1] or #data
        rows[place] = data:sub(tonumber(offset) + 1, tonumber(behind))
    end
    return rows
end

--- The rows of a BsatnRowList as values of a row type.
function messages.decode_rows(row_list, row_type)
    local values = {}
    for place, row in ipairs(messages.rows(row_list)) do
        local value, behind = bsatn.decode(row_type, row)
        assert(behind == #row + 1, "the row is longer than its type")
        values[place] = value
    end
    return values
end

return messages
