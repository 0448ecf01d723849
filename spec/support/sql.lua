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
struct sql_caller { uint8_t sender[32]; bool is_owner; };
struct sql_equality { uint16_t column; schema_bytes value; };
struct sql_range {
    uint16_t column; bool has_lower, has_upper, lower_inclusive, upper_inclusive; schema_bytes lower, upper;
};
struct sql_query {
    struct schema_arena arena; const struct schema_table *table; bool depends_on_sender; void *predicate;
    uint32_t equality_count; struct sql_equality *equalities; uint32_t range_count; struct sql_range *ranges; bool never;
};
int sql_query_compile(struct sql_query **query, schema_bytes text, const struct schema_schema *schema,
                      const struct sql_caller *caller, struct schema_diag *diag) __asm__("query_compile");
void sql_query_free(struct sql_query *query) __asm__("query_free");
bool sql_query_matches(const struct sql_query *query, const uint8_t *row) __asm__("query_matches");
void sql_query_run(const struct sql_query *query, const void *table,
                   void (*each)(void *context, const uint8_t *at, size_t size), void *context) __asm__("query_run");

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
    local self = setmetatable({ schema = assert(schema.build { tables = tables }), row_types = {} }, world)
    for _, declared in ipairs(tables) do
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

--- A query, or nil and the refusal.
function world:compile(text, is_owner)
    local out, diag = ffi.new("struct sql_query *[1]"), ffi.new("struct schema_diag")
    local caller = ffi.new("struct sql_caller")
    ffi.copy(caller.sender, bsatn.from_hex(sql.sender):reverse(), 32)
    caller.is_owner = is_owner or false
    local code = core.sql_query_compile(out, bytes(text), self.schema.schema, caller, diag)
    if code ~= 0 then
        assert(out[0] == nil and diag.code == code, "a refusal leaves a query or another code")
        return nil, ffi.string(diag.text), code
    end
    return setmetatable({ query = ffi.gc(out[0], core.sql_query_free), world = self }, query)
end

function query:matches(row)
    return core.sql_query_matches(self.query, ffi.cast("const uint8_t *", row))
end

--- The columns that must be equal to something, by name: the BSATN of the value.
function query:equalities()
    local found = {}
    for place = 0, self.query.equality_count - 1 do
        local equality = self.query.equalities[place]
        found[schema.text_of(self.query.table.columns[equality.column].name)] = schema.text_of(equality.value)
    end
    return found
end

--- The ranges by column name, in the notation "[lower, upper)" with the values in hex.
function query:ranges()
    local found = {}
    for place = 0, self.query.range_count - 1 do
        local range = self.query.ranges[place]
        local lower = range.has_lower and bsatn.to_hex(schema.text_of(range.lower)) or ""
        local upper = range.has_upper and bsatn.to_hex(schema.text_of(range.upper)) or ""
        found[schema.text_of(self.query.table.columns[range.column].name)] = (range.lower_inclusive and "[" or "(") ..
            lower .. ", " .. upper .. (range.upper_inclusive and "]" or ")")
    end
    return found
end

--- A table of the world's schema that holds these rows.
function world:fill(name, rows)
    local filled = ffi.gc(core.sql_table_new(self.schema:table(name)), core.sql_table_free)
    for _, row in ipairs(rows) do
        core.sql_table_restore(filled, bytes(row))
    end
    return filled
end

--- The rows that running the query over a filled table gives, in the order they come.
function query:run(filled)
    local found = {}
    local each = ffi.cast("void (*)(void *, const uint8_t *, size_t)", function(_, at, size)
        found[#found + 1] = ffi.string(at, size)
    end)
    core.sql_query_run(self.query, filled, each, nil)
    each:free()
    return found
end

return sql
