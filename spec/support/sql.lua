--- Queries for specs: compiled against a schema of spec.support.schema, asked about rows, run over a table.
---
---     local world = sql.world { { name = "t", columns = { { "a", "u8" } } } }
---     local query = assert(world:compile "SELECT * FROM t WHERE a = 1")
---     query:matches(world:row("t", { a = 1 }))
local ffi = require("ffi")
local bsatn = require("spec.support.bsatn")
local schema = require("spec.support.schema")

-- All specs share one FFI, so structs have names of this file's own. A callback takes the two halves of a `bytes`,
-- which is how the calling convention passes it.
ffi.cdef [[
struct sql_caller { uint8_t sender[32]; bool is_owner; const void *catalog; uint64_t row_limit; };
struct sql_equality { uint16_t column; schema_bytes value; };
struct sql_range {
    uint16_t column; bool has_lower, has_upper, lower_inclusive, upper_inclusive; schema_bytes lower, upper;
};
struct sql_filter {
    void *predicate; uint32_t equality_count; struct sql_equality *equalities; uint32_t range_count;
    struct sql_range *ranges; uint32_t gate_count; struct sql_range *gates; bool never;
};
struct sql_join {
    const struct schema_table *tables[2]; uint16_t columns[2]; uint32_t output; struct sql_filter sides[2]; void *pair;
};
struct sql_order { uint16_t column; bool descending; };
struct sql_query {
    struct schema_arena arena; const struct schema_table *table; bool depends_on_sender; bool never;
    struct sql_filter filter; struct sql_join *join; uint32_t order_count; struct sql_order *order; uint64_t limit;
    void *relation;
};
struct sql_budget {
    uint64_t rows_max, bytes_max; int64_t time_max_us; uint64_t estimate_max; struct schema_diag *diag;
    uint64_t rows, bytes; int64_t start_us; int code;
};
struct sql_store { const struct schema_schema *schema; uint32_t table_count; void **tables;
    uint32_t derived_count; void **derived; };
int sql_query_compile(struct sql_query **query, schema_bytes text, const struct schema_schema *schema,
                      const struct sql_caller *caller, int use, struct schema_diag *diag) __asm__("query_compile");
void sql_query_free(struct sql_query *query) __asm__("query_free");
bool sql_query_matches(const struct sql_query *query, const uint8_t *row) __asm__("query_matches");
bool sql_query_side_matches(const struct sql_query *query, uint32_t side, const uint8_t *row)
    __asm__("query_side_matches");
bool sql_query_pair_matches(const struct sql_query *query, const uint8_t *left, const uint8_t *right)
    __asm__("query_pair_matches");
int sql_query_run(const struct sql_query *query, const struct sql_store *store, struct sql_budget *budget,
                  bool (*each)(void *context, const uint8_t *at, size_t size), void *context) __asm__("query_run");
void sql_budget_begin(struct sql_budget *budget) __asm__("budget_begin");

struct sql_place { const struct sql_store *store; struct sql_caller caller; const void *system; int64_t start_us; };
struct sql_statement {
    struct schema_arena arena; int kind; bool explains; void *select; const void *change; uint64_t row_limit;
};
struct sql_counts { uint64_t inserted, deleted, updated; };
struct sql_txn_limits { uint64_t rows_max, bytes_max; };
void *sql_txn_new(struct sql_store *store, const struct sql_txn_limits *limits) __asm__("txn_new");
void sql_txn_free(void *txn) __asm__("txn_free");
void sql_txn_begin(void *txn) __asm__("txn_begin");
const void *sql_txn_commit(void *txn) __asm__("txn_commit");
void sql_txn_abort(void *txn) __asm__("txn_abort");
int sql_change_run(const void *change, void *txn, struct sql_budget *budget, struct sql_counts *counts)
    __asm__("change_run");
int sql_statement_compile(struct sql_statement **statement, schema_bytes text, const struct schema_schema *schema,
                          const struct sql_caller *caller, const void *system, struct schema_diag *diag)
    __asm__("statement_compile");
void sql_statement_free(struct sql_statement *statement) __asm__("statement_free");
int sql_answer_read(struct schema_buf *out, const void *statement, const struct sql_place *place,
                    struct sql_budget *budget, int64_t *duration_us);

void *sql_table_new(const struct schema_table *def) __asm__("table_new");
void sql_table_free(void *table) __asm__("table_free");
void sql_table_restore(void *table, schema_bytes row) __asm__("table_restore");
]]

local core = ffi.load(os.getenv("STDB_CORE") or "build/libstdb-core.so")
local sql = {}
local world, query = {}, {}
world.__index, query.__index = world, query

local function bytes(text)
    return ffi.new("schema_bytes", ffi.cast("const uint8_t *", text), #text)
end

--- The caller's identity in every spec, as it is printed.
sql.sender = ("c2"):rep(32)

function sql.world(tables)
    local self = setmetatable({ schema = assert(schema.build { tables = tables }), row_types = {}, names = {} }, world)
    for number, declared in ipairs(tables) do
        self.names[number] = declared.name
        local fields = {}
        for place, column in ipairs(declared.columns) do
            fields[place] = column[1] .. ": " .. column[2]
        end
        self.row_types[declared.name] = bsatn.type("{ " .. table.concat(fields, ", ") .. " }")
    end
    return self
end

function world:row(name, values)
    return bsatn.encode(self.row_types[name], values)
end

local function caller_of(options)
    local caller = ffi.new("struct sql_caller")
    ffi.copy(caller.sender, bsatn.from_hex(sql.sender):reverse(), 32)
    caller.is_owner = options.is_owner or false
    return caller
end

local function budget_of(limits, diag)
    local budget = ffi.new("struct sql_budget", { rows_max = limits.rows_max or 1e15, bytes_max = limits.bytes_max or 1e15,
        time_max_us = limits.time_max_us or 1e15, estimate_max = limits.estimate_max or 0, diag = diag })
    core.sql_budget_begin(budget)
    return budget
end

--- Carries an INSERT, UPDATE or DELETE out on filled tables; how many rows were inserted, deleted and updated. Or nil
--- and the refusal: nothing has changed then.
function world:change(text, filled, options)
    local out, diag = ffi.new("struct sql_statement *[1]"), ffi.new("struct schema_diag")
    local code = core.sql_statement_compile(out, bytes(text), self.schema.schema, caller_of { is_owner = true }, nil, diag)
    if code ~= 0 then
        return nil, ffi.string(diag.text), code
    end
    local txn = core.sql_txn_new(filled.store, ffi.new("struct sql_txn_limits", { 1e6, 1e8 }))
    local counts = ffi.new("struct sql_counts")
    core.sql_txn_begin(txn)
    code = core.sql_change_run(out[0].change, txn, budget_of(options or {}, diag), counts)
    if code == 0 then
        core.sql_txn_commit(txn)
    else
        core.sql_txn_abort(txn)
    end
    core.sql_txn_free(txn)
    core.sql_statement_free(out[0])
    if code ~= 0 then
        return nil, ffi.string(diag.text), code
    end
    return { tonumber(counts.inserted), tonumber(counts.deleted), tonumber(counts.updated) }
end

--- What /sql answers to a SELECT or EXPLAIN about filled tables, as JSON; or nil and the refusal.
function world:ask(text, filled, options)
    options = options or {}
    local out, diag = ffi.new("struct sql_statement *[1]"), ffi.new("struct schema_diag")
    local caller = caller_of(options)
    local code = core.sql_statement_compile(out, bytes(text), self.schema.schema, caller, nil, diag)
    if code ~= 0 then
        return nil, ffi.string(diag.text), code
    end
    local answer, duration = ffi.new("struct schema_buf"), ffi.new("int64_t[1]")
    code = core.sql_answer_read(answer, out[0], ffi.new("struct sql_place", { filled.store, caller }),
        budget_of(options, diag), duration)
    local text_of_answer = ffi.string(answer.data, answer.size)
    core.schema_buf_deinit(answer)
    core.sql_statement_free(out[0])
    if code ~= 0 then
        return nil, ffi.string(diag.text), code
    end
    return text_of_answer
end

--- A query, or nil and the refusal. Options: is_owner, subscribed.
function world:compile(text, options)
    options = options or {}
    local out, diag = ffi.new("struct sql_query *[1]"), ffi.new("struct schema_diag")
    local code = core.sql_query_compile(out, bytes(text), self.schema.schema, caller_of(options),
        options.subscribed and 1 or 0, diag)
    if code ~= 0 then
        assert(out[0] == nil and diag.code == code, "a refusal leaves a query or another code")
        return nil, ffi.string(diag.text), code
    end
    return setmetatable({ query = ffi.gc(out[0], core.sql_query_free), world = self }, query)
end

local function row_at(row) return ffi.cast("const uint8_t *", row) end

function query:matches(row)
    return core.sql_query_matches(self.query, row_at(row))
end

--- Of a join: side is 0 or 1.
function query:side_matches(side, row)
    return core.sql_query_side_matches(self.query, side, row_at(row))
end

function query:pair_matches(left, right)
    return core.sql_query_pair_matches(self.query, row_at(left), row_at(right))
end

--- The columns that must be equal to something, by name: the BSATN of the value.
function query:equalities()
    local found = {}
    for place = 0, self.query.filter.equality_count - 1 do
        local equality = self.query.filter.equalities[place]
        found[schema.text_of(self.query.table.columns[equality.column].name)] = schema.text_of(equality.value)
    end
    return found
end

--- Through which ranges a matching row comes: { "column [lower, upper)", … } with the values in hex; none for any row.
function query:gates()
    local found, filter = {}, self.query.filter
    for place = 0, filter.gate_count - 1 do
        local gate = filter.gates[place]
        found[place + 1] = ("%s %s%s, %s%s"):format(schema.text_of(self.query.table.columns[gate.column].name),
            gate.lower_inclusive and "[" or "(", gate.has_lower and bsatn.to_hex(schema.text_of(gate.lower)) or "",
            gate.has_upper and bsatn.to_hex(schema.text_of(gate.upper)) or "", gate.upper_inclusive and "]" or ")")
    end
    return found
end

--- The ranges by column name, in the notation "[lower, upper)" with the values in hex.
function query:ranges()
    local found = {}
    for place = 0, self.query.filter.range_count - 1 do
        local range = self.query.filter.ranges[place]
        local lower = range.has_lower and bsatn.to_hex(schema.text_of(range.lower)) or ""
        local upper = range.has_upper and bsatn.to_hex(schema.text_of(range.upper)) or ""
        found[schema.text_of(self.query.table.columns[range.column].name)] = (range.lower_inclusive and "[" or "(") ..
            lower .. ", " .. upper .. (range.upper_inclusive and "]" or ")")
    end
    return found
end

--- The world's tables, holding these rows: by table name, or of one table.
function world:fill(rows_of, rows)
    if rows then
        rows_of = { [rows_of] = rows }
    end
    local count = #self.names
    local filled = { store = ffi.new("struct sql_store", { self.schema.schema, count }), tables = {},
        list = ffi.new("void *[?]", count) }
    for place, name in ipairs(self.names) do
        local one = ffi.gc(core.sql_table_new(self.schema:table(name)), core.sql_table_free)
        filled.tables[place], filled.list[place - 1] = one, one
        for _, row in ipairs(rows_of[name] or {}) do
            core.sql_table_restore(one, bytes(row))
        end
    end
    filled.store.tables = filled.list
    return filled
end

--- The rows that running the query over filled tables gives, in the order they come; or nil and the refusal when the
--- budget, a table of rows_max, bytes_max and time_max_us, is used up.
function query:run(filled, limits)
    local found = {}
    local each = ffi.cast("bool (*)(void *, const uint8_t *, size_t)", function(_, at, size)
        found[#found + 1] = ffi.string(at, size)
        return true
    end)
    local budget, diag
    if limits then
        diag = ffi.new("struct schema_diag")
        budget = budget_of(limits, diag)
    end
    local code = core.sql_query_run(self.query, filled.store, budget, each, nil)
    each:free()
    if code ~= 0 then
        return nil, ffi.string(diag.text), code
    end
    return found
end

return sql
