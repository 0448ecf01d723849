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

local v1 = bsatn.schema [[
    ClientMessage = < 0 CallReducer: CallReducer | 1 Subscribe: Subscribe | 2 OneOffQuery: OneOffQuery
                    | 3 SubscribeSingle: SubscribeSingle | 4 SubscribeMulti: SubscribeMulti | 5 Unsubscribe: Unsubscribe
                    | 6 UnsubscribeMulti: Unsubscribe | 7 CallProcedure: CallProcedure >
    CallReducer = { reducer: string, args: bytes, request_id: u32, flags: u8 }
    Subscribe = { query_strings: [string], request_id: u32 }
    OneOffQuery = { message_id: bytes, query_string: string }
    SubscribeSingle = { query: string, request_id: u32, query_id: QueryId }
    SubscribeMulti = { query_strings: [string], request_id: u32, query_id: QueryId }
    Unsubscribe = { request_id: u32, query_id: QueryId }
    CallProcedure = { procedure: string, args: bytes, request_id: u32, flags: u8 }
    QueryId = { id: u32 }

    ServerMessage = < 0 InitialSubscription: InitialSubscription | 1 TransactionUpdate: TransactionUpdate
                    | 2 TransactionUpdateLight: TransactionUpdateLight | 3 IdentityToken: IdentityToken
                    | 4 OneOffQueryResponse: OneOffQueryResponse | 5 SubscribeApplied: SubscribeApplied
                    | 6 UnsubscribeApplied: SubscribeApplied | 7 SubscriptionError: SubscriptionError
                    | 8 SubscribeMultiApplied: SubscribeMultiApplied | 9 UnsubscribeMultiApplied: SubscribeMultiApplied
                    | 10 ProcedureResult: ProcedureResult >
    InitialSubscription = { database_update: DatabaseUpdate, request_id: u32,
                            total_host_execution_duration: TimeDuration }
    TransactionUpdate = { status: UpdateStatus, timestamp: Timestamp, caller_identity: Identity,
                          caller_connection_id: ConnectionId, reducer_call: ReducerCallInfo,
                          energy_quanta_used: { quanta: u128 }, total_host_execution_duration: TimeDuration }
    UpdateStatus = < 0 Committed: DatabaseUpdate | 1 Failed: string | 2 OutOfEnergy: {} >
    ReducerCallInfo = { reducer_name: string, reducer_id: u32, args: bytes, request_id: u32 }
    TransactionUpdateLight = { request_id: u32, update: DatabaseUpdate }
    IdentityToken = { identity: Identity, token: string, connection_id: ConnectionId }
    OneOffQueryResponse = { message_id: bytes, error: option(string),
                            tables: [{ table_name: string, rows: BsatnRowList }],
                            total_host_execution_duration: TimeDuration }
    SubscribeApplied = { request_id: u32, total_host_execution_duration_micros: u64, query_id: QueryId,
                         rows: { table_id: u32, table_name: string, table_rows: TableUpdate } }
    SubscribeMultiApplied = { request_id: u32, total_host_execution_duration_micros: u64, query_id: QueryId,
                              update: DatabaseUpdate }
    SubscriptionError = { total_host_execution_duration_micros: u64, request_id: option(u32), query_id: option(u32),
                          table_id: option(u32), error: string }
    ProcedureResult = { status: ProcedureStatus, timestamp: Timestamp, total_host_execution_duration: TimeDuration,
                        request_id: u32 }
    ProcedureStatus = < 0 Returned: bytes | 1 OutOfEnergy: {} | 2 InternalError: string >
    DatabaseUpdate = { tables: [TableUpdate] }
    TableUpdate = { table_id: u32, table_name: string, num_rows: u64, updates: [CompressableQueryUpdate] }
    CompressableQueryUpdate = < 0 Uncompressed: QueryUpdate | 1 Brotli: bytes | 2 Gzip: bytes >
    QueryUpdate = { deletes: BsatnRowList, inserts: BsatnRowList }
    BsatnRowList = { size_hint: RowSizeHint, rows_data: bytes }
    RowSizeHint = < 0 FixedSize: u16 | 1 RowOffsets: [u64] >
]]

--- Types as data, and the description of a module.
vectors.meta = bsatn.schema [[
    AlgebraicType = < 0 Ref: u32 | 1 Sum: SumType | 2 Product: ProductType | 3 Array: AlgebraicType | 4 String: {}
                    | 5 Bool: {} | 6 I8: {} | 7 U8: {} | 8 I16: {} | 9 U16: {} | 10 I32: {} | 11 U32: {} | 12 I64: {}
                    | 13 U64: {} | 14 I128: {} | 15 U128: {} | 16 I256: {} | 17 U256: {} | 18 F32: {} | 19 F64: {} >
    SumType = { variants: [NamedType] }
    ProductType = { elements: [NamedType] }
    NamedType = { name: option(string), algebraic_type: AlgebraicType }
    Typespace = { types: [AlgebraicType] }

    RawModuleDefV10 = { sections: [Section] }
    Section = < 0 Typespace: Typespace | 1 Types: [TypeDef] | 2 Tables: [TableDef] | 3 Reducers: [ReducerDef]
              | 4 Procedures: [ProcedureDef] | 5 Views: [ViewDef] | 6 Schedules: [ScheduleDef]
              | 7 LifeCycleReducers: [LifeCycleDef] | 8 RowLevelSecurity: [{ sql: string }]
              | 9 CaseConversionPolicy: CasePolicy | 10 ExplicitNames: ExplicitNames
              | 11 HttpHandlers: [{ source_name: string }] | 12 HttpRoutes: [HttpRouteDef]
              | 13 ViewPrimaryKeys: [ViewPkDef] | 14 Submodules: [Submodule] >
    TypeDef = { source_name: ScopedName, ty: u32, custom_ordering: bool }
    ScopedName = { scope: [string], source_name: string }
    TableDef = { source_name: string, product_type_ref: u32, primary_key: [u16], indexes: [IndexDef],
                 constraints: [ConstraintDef], sequences: [SequenceDef], table_type: TableType,
                 table_access: TableAccess, default_values: [DefaultValue], is_event: bool }
    TableType = < 0 System: {} | 1 User: {} >
    TableAccess = < 0 Public: {} | 1 Private: {} >
    IndexDef = { source_name: option(string), accessor_name: option(string), algorithm: IndexAlgorithm }
    IndexAlgorithm = < 0 BTree: [u16] | 1 Hash: [u16] | 2 Direct: u16 >
    ConstraintDef = { source_name: option(string), data: < 0 Unique: { columns: [u16] } > }
    SequenceDef = { source_name: option(string), column: u16, start: option(i128), min_value: option(i128),
                    max_value: option(i128), increment: i128 }
    DefaultValue = { col_id: u16, value: bytes }
    ReducerDef = { source_name: string, params: ProductType, visibility: Visibility, ok_return_type: AlgebraicType,
                   err_return_type: AlgebraicType }
    Visibility = < 0 Private: {} | 1 ClientCallable: {} >
    ProcedureDef = { source_name: string, params: ProductType, return_type: AlgebraicType, visibility: Visibility }
    ViewDef = { source_name: string, index: u32, is_public: bool, is_anonymous: bool, params: ProductType,
                return_type: AlgebraicType }
    ScheduleDef = { source_name: option(string), table_name: string, schedule_at_col: u16, function_name: string }
    LifeCycleDef = { lifecycle_spec: < 0 Init: {} | 1 OnConnect: {} | 2 OnDisconnect: {} >, function_name: string }
    CasePolicy = < 0 None: {} | 1 SnakeCase: {} >
    ExplicitNames = { entries: [< 0 Table: NameMapping | 1 Function: NameMapping | 2 Index: NameMapping >] }
    NameMapping = { source_name: string, canonical_name: string }
    HttpRouteDef = { handler_function: string, method: < 0 Any: {} | 1 Method: HttpMethod >, path: string }
    HttpMethod = < 0 Get: {} | 1 Head: {} | 2 Post: {} | 3 Put: {} | 4 Delete: {} | 5 Connect: {} | 6 Options: {}
                 | 7 Trace: {} | 8 Patch: {} | 9 Extension: string >
    ViewPkDef = { view_source_name: string, columns: [string] }
    Submodule = { namespace: string, module: RawModuleDefV10 }
]]

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
