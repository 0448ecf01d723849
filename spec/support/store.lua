--- Tables of the core for specs: a store with a schema, rows as Lua values or as their bytes.
---
---     local world = store.world { { name = "player", columns = { { "id", "u32" }, { "name", "string" } },
---                                   indexes = { { "id", kind = "btree", unique = true } } } }
---     local player = world:table("player")
---     player:restore(player:row { id = 1, name = "ann" })
---     player:find(1, { 1 })  --> the row's bytes
local ffi = require("ffi")
local bsatn = require("spec.support.bsatn")
local meta = require("spec.support.vectors").meta

-- All specs share one FFI, so structs and functions have names of this file's own.
ffi.cdef [[
typedef struct store_bytes { const uint8_t *at; size_t size; } store_bytes;
struct store_diag { int code; char text[1500]; };
struct store_buf { uint8_t *data; size_t size; size_t capacity; };
struct store_arena { void *block; size_t used; };
struct store_fault { int subject; char name[128]; };
struct store_migration { uint32_t step_count; void *steps; bool breaks_clients; };
struct store_row { uint32_t head; uint8_t data[]; };
struct store_bound { store_bytes key; uint32_t column_count; bool inclusive; };
struct store_pages {
    void **pages; uint32_t count; uint32_t capacity; uint32_t first_vacant;
    uint64_t row_count; uint64_t byte_count; uint32_t *roomy; void *notes;
};
struct store_table { const void *def; struct store_pages pages; uint32_t index_count; void **indexes; };
struct store_store {
    void *schema; uint32_t table_count; struct store_table **tables; uint32_t derived_count; struct store_table **derived;
};

void store_buf_init(struct store_buf *buf) __asm__("buf_init");
void store_buf_deinit(struct store_buf *buf) __asm__("buf_deinit");
void store_arena_init(struct store_arena *arena) __asm__("arena_init");
void store_arena_deinit(struct store_arena *arena) __asm__("arena_deinit");
int store_schema_build(store_bytes def, const void *previous, void **schema, struct store_fault *fault,
                       struct store_diag *diag) __asm__("schema_build");
void store_schema_free(void *schema) __asm__("schema_free");
int store_migration_plan(struct store_arena *arena, const void *from, const void *to, struct store_migration *plan,
                         struct store_diag *diag) __asm__("migration_plan");

void store_pages_init(struct store_pages *pages) __asm__("pages_init");
void store_pages_deinit(struct store_pages *pages) __asm__("pages_deinit");
uint32_t store_pages_take(struct store_pages *pages, size_t size) __asm__("pages_take");
void store_pages_free(struct store_pages *pages, uint32_t ref) __asm__("pages_free");
bool store_pages_fits(const struct store_pages *pages, uint32_t ref, size_t size) __asm__("pages_fits");
void store_pages_hide(struct store_pages *pages, uint32_t ref) __asm__("pages_hide");
void store_pages_show(struct store_pages *pages, uint32_t ref) __asm__("pages_show");
struct store_row *store_pages_next(const struct store_pages *pages, uint32_t *ref) __asm__("pages_next");
void store_pages_check(const struct store_pages *pages) __asm__("pages_check");

void store_store_init(struct store_store *store) __asm__("store_init");
void store_store_deinit(struct store_store *store) __asm__("store_deinit");
int store_store_migrate(struct store_store *store, void *schema, const struct store_migration *plan,
                        struct store_diag *diag) __asm__("store_migrate");
struct store_table *store_store_find_named(const struct store_store *store, store_bytes name)
    __asm__("store_find_named");
/* A 128-bit number goes in two registers, low half first. */
bool store_restore_sequence_halves(struct store_store *store, uint32_t sequence_id, uint64_t low, int64_t high)
    __asm__("store_restore_sequence");

uint64_t store_table_memory(const struct store_table *table) __asm__("table_memory");
uint32_t store_table_find_equal(const struct store_table *table, store_bytes row) __asm__("table_find_equal");
void store_table_restore(struct store_table *table, store_bytes row) __asm__("table_restore");
int store_table_erase(struct store_table *table, store_bytes row, struct store_diag *diag) __asm__("table_erase");
void store_index_add(void *index, uint32_t ref) __asm__("index_add");
void store_index_remove(void *index, uint32_t ref) __asm__("index_remove");
bool store_table_inspect(const struct store_table *table, uint32_t *ref, uint32_t count,
                         void (*fault)(void *context, const char *text), void *context) __asm__("table_inspect");
void store_table_check(const struct store_table *table) __asm__("table_check");

void *store_store_freeze(struct store_store *store) __asm__("store_freeze");
void store_frozen_drop(void *frozen) __asm__("frozen_drop");
uint32_t store_frozen_table_count(const void *frozen) __asm__("frozen_table_count");
uint64_t store_frozen_row_count(const void *frozen, uint32_t table) __asm__("frozen_row_count");
const struct store_row *store_frozen_next(const void *frozen, uint32_t table, uint32_t *ref) __asm__("frozen_next");
struct store_number128 { uint64_t low; int64_t high; };
struct store_number128 store_frozen_sequence(const void *frozen, uint32_t table, uint32_t place)
    __asm__("frozen_sequence");
uint64_t store_frozen_memory(const void *frozen) __asm__("frozen_memory");

uint32_t store_index_find(const void *index, store_bytes key) __asm__("index_find");
int store_index_collect(const void *index, struct store_bound lower, struct store_bound upper, bool reverse,
                        struct store_buf *out, struct store_diag *diag) __asm__("index_collect");
uint64_t store_index_count(const void *index) __asm__("index_count");
]]

local core = ffi.load(os.getenv("STDB_CORE") or "build/libstdb-core.so")
local diag = ffi.new("struct store_diag")
local store = { core = core, diag = diag, NONE = 0xffffffff }
local world, stored, frozen = {}, {}, {}
world.__index, stored.__index, frozen.__index = world, stored, frozen

local SIZE_MASK = 2 ^ 28 - 1

function store.bytes(text)
    return ffi.new("store_bytes", ffi.cast("const uint8_t *", text), #text)
end

--- nil and the sentence when a call of the core has refused.
function store.refused(code)
    if code ~= 0 then
        return nil, ffi.string(diag.text), code
    end
    return true
end

--- The row behind a reference.
function store.row_at(pages, ref)
    local page = ffi.cast("uint8_t *", pages.pages[bit.rshift(ref, 14)])
    return ffi.cast("struct store_row *", page + bit.band(ref, 0x3fff) * 4)
end

function store.row_text(row)
    return ffi.string(row.data, row.head % (SIZE_MASK + 1))
end

-- Describing ----------------------------------------------------------------------------------------------------

local scalars = { bool = "Bool", i8 = "I8", u8 = "U8", i16 = "I16", u16 = "U16", i32 = "I32", u32 = "U32", i64 = "I64",
    u64 = "U64", i128 = "I128", u128 = "U128", i256 = "I256", u256 = "U256", f32 = "F32", f64 = "F64", string = "String" }

local function some(value)
    return { tag = "some", value = value }
end

local function algebraic(kind)
    local function members(list)
        local named = {}
        for place, member in ipairs(list) do
            named[place] = { name = some(member.name), algebraic_type = algebraic(member.type) }
        end
        return named
    end
    if kind.kind == "product" then
        return { tag = "Product", value = { elements = members(kind.fields) } }
    elseif kind.kind == "sum" then
        return { tag = "Sum", value = { variants = members(kind.variants) } }
    elseif kind.kind == "array" then
        return { tag = "Array", value = algebraic(kind.element) }
    elseif kind.kind == "bytes" then
        return { tag = "Array", value = { tag = "U8" } }
    end
    return { tag = assert(scalars[kind.kind], kind.kind) }
end

local function row_type(declared)
    local fields = {}
    for place, column in ipairs(declared.columns) do
        fields[place] = column[1] .. ": " .. column[2]
    end
    return bsatn.type("{ " .. table.concat(fields, ", ") .. " }")
end

local function column_place(declared, name)
    for place, column in ipairs(declared.columns) do
        if column[1] == name then
            return place - 1
        end
    end
    error("no column " .. name)
end

local algorithms = { btree = "BTree", hash = "Hash", direct = "Direct" }

local function describe_index(def, declared, index)
    local places, kind = {}, index.kind or "btree"
    for place, name in ipairs(index) do
        places[place] = column_place(declared, name)
    end
    local name = declared.name .. "_" .. table.concat(index, "_") .. "_" .. kind
    table.insert(def.indexes, { source_name = some(name), accessor_name = some(name),
        algorithm = { tag = algorithms[kind], value = kind == "direct" and places[1] or places } })
    if index.unique then
        table.insert(def.constraints, { source_name = some(name .. "_key"),
            data = { tag = "Unique", value = { columns = places } } })
    end
end

local function describe_table(declared, ref)
    local def = { source_name = declared.name, product_type_ref = ref, primary_key = {}, indexes = {}, constraints = {},
        sequences = {}, table_type = { tag = "User" }, table_access = { tag = "Public" }, default_values = {},
        is_event = declared.event or false }
    for _, index in ipairs(declared.indexes or {}) do
        describe_index(def, declared, index)
    end
    local none = { tag = "none" }
    for _, sequence in ipairs(declared.sequences or {}) do
        local function bound(name) return sequence[name] and some(sequence[name]) or none end
        table.insert(def.sequences, { source_name = some(declared.name .. "_" .. sequence[1] .. "_seq"),
            column = column_place(declared, sequence[1]), start = bound("start"), min_value = bound("min"),
            max_value = bound("max"), increment = sequence.increment or 1 })
    end
    for name, value in pairs(declared.defaults or {}) do
        local place = column_place(declared, name)
        table.insert(def.default_values, { col_id = place,
            value = bsatn.encode(row_type(declared).fields[place + 1].type, value) })
    end
    return def
end

local function describe(tables)
    local types, defs = {}, {}
    for place, declared in ipairs(tables) do
        types[place] = algebraic(row_type(declared))
        defs[place] = describe_table(declared, place - 1)
    end
    return bsatn.encode(meta.RawModuleDefV10, { sections = {
        { tag = "Typespace", value = { types = types } }, { tag = "Tables", value = defs } } })
end

-- Worlds --------------------------------------------------------------------------------------------------------

--- Puts these tables in force, as a first schema or in place of the one before: true, or nil and why not.
function world:migrate(tables)
    local schema, plan = ffi.new("void *[1]"), ffi.new("struct store_migration")
    local fault, arena = ffi.new("struct store_fault"), ffi.new("struct store_arena")
    core.store_arena_init(arena)
    local code = core.store_schema_build(store.bytes(describe(tables)), self.store.schema, schema, fault, diag)
    if code == 0 and self.store.schema ~= nil then
        code = core.store_migration_plan(arena, self.store.schema, schema[0], plan, diag)
    end
    if code == 0 then
        code = core.store_store_migrate(self.store, schema[0], plan, diag)
    end
    if code ~= 0 then
        core.store_schema_free(schema[0])
    else
        self.declared = {}
        for _, declared in ipairs(tables) do
            self.declared[declared.name] = declared
        end
    end
    core.store_arena_deinit(arena)
    return store.refused(code)
end

function store.world(tables)
    local self = setmetatable({ store = ffi.new("struct store_store") }, world)
    core.store_store_init(self.store)
    assert(self:migrate(tables))
    return self
end

function world:free()
    core.store_store_deinit(self.store)
end

function world:table(name)
    local pointer = core.store_store_find_named(self.store, store.bytes(name))
    return pointer ~= nil and setmetatable({ pointer = pointer, type = row_type(self.declared[name]),
        declared = self.declared[name] }, stored) or nil
end

function world:check()
    for place = 0, self.store.table_count - 1 do
        core.store_table_check(self.store.tables[place])
    end
end

-- Frozen views --------------------------------------------------------------------------------------------------

--- The tables as they are now, whatever happens to the world. To be dropped.
function world:freeze()
    local places = {}
    for place = 0, self.store.table_count - 1 do
        for name in pairs(self.declared) do
            if self:table(name).pointer == self.store.tables[place] then
                places[name] = place
            end
        end
    end
    return setmetatable({ pointer = core.store_store_freeze(self.store), places = places }, frozen)
end

function frozen:drop()
    core.store_frozen_drop(self.pointer)
    self.pointer = nil
end

function frozen:count(name)
    return tonumber(core.store_frozen_row_count(self.pointer, self.places[name]))
end

--- How far the table's sequence at this place, from 1, was reserved.
function frozen:sequence(name, place)
    return tonumber(core.store_frozen_sequence(self.pointer, self.places[name], place - 1).low)
end

function frozen:memory()
    return tonumber(core.store_frozen_memory(self.pointer))
end

--- All rows of a table in the order of pages.
function frozen:rows(name)
    local rows, ref = {}, ffi.new("uint32_t[1]", store.NONE)
    while true do
        local row = core.store_frozen_next(self.pointer, self.places[name], ref)
        if row == nil then
            return rows
        end
        rows[#rows + 1] = store.row_text(row)
    end
end

-- Tables --------------------------------------------------------------------------------------------------------

function stored:row(values)
    return bsatn.encode(self.type, values)
end

function stored:values(row)
    return (bsatn.decode(self.type, row))
end

function stored:restore(row)
    core.store_table_restore(self.pointer, store.bytes(row))
end

function stored:erase(row)
    return store.refused(core.store_table_erase(self.pointer, store.bytes(row), diag))
end

function stored:has(row)
    return core.store_table_find_equal(self.pointer, store.bytes(row)) ~= store.NONE
end

function stored:count()
    return tonumber(self.pointer.pages.row_count)
end

function stored:memory()
    return tonumber(core.store_table_memory(self.pointer))
end

function stored:check()
    core.store_table_check(self.pointer)
end

--- What is wrong with the table, looked at so many rows at a time; and how many times it was looked at.
function stored:inspect(count)
    local faults, steps, ref = {}, 0, ffi.new("uint32_t[1]", store.NONE)
    local fault = ffi.cast("void (*)(void *, const char *)", function(_, text) faults[#faults + 1] = ffi.string(text) end)
    local goes_on
    repeat
        goes_on = core.store_table_inspect(self.pointer, ref, count or 1000, fault, nil)
        steps = steps + 1
    until not goes_on
    fault:free()
    return faults, steps
end

function stored:ref_of(row)
    return core.store_table_find_equal(self.pointer, store.bytes(row))
end

--- Takes a row out of one index alone, as no change does; and puts it there.
function stored:spoil_index(place, row)
    core.store_index_remove(self.pointer.indexes[place], self:ref_of(row))
end

function stored:mend_index(place, ref)
    core.store_index_add(self.pointer.indexes[place], ref)
end

function stored:row_at(ref)
    return store.row_text(store.row_at(self.pointer.pages, ref))
end

--- All rows in the order of pages.
function stored:rows()
    local rows, ref = {}, ffi.new("uint32_t[1]", store.NONE)
    while true do
        local row = core.store_pages_next(self.pointer.pages, ref)
        if row == nil then
            return rows
        end
        rows[#rows + 1] = store.row_text(row)
    end
end

--- The BSATN of leading columns of an index (counted from 1).
function stored:probe(index, values)
    local parts = {}
    for place, value in ipairs(values) do
        local column = column_place(self.declared, self.declared.indexes[index][place])
        parts[place] = bsatn.encode(self.type.fields[column + 1].type, value)
    end
    return table.concat(parts)
end

function stored:index(place)
    return self.pointer.indexes[place - 1]
end

function stored:find(index, values)
    local ref = core.store_index_find(self:index(index), store.bytes(self:probe(index, values)))
    return ref ~= store.NONE and self:row_at(ref) or nil
end

--- Rows between bounds { values..., exclusive = true }; {} is open. nil and why not when the index cannot tell.
function stored:walk(index, lower, upper, reverse)
    local kept = {}
    local function bound(values)
        local key = self:probe(index, values)
        kept[#kept + 1] = key
        return ffi.new("struct store_bound", store.bytes(key), #values, not values.exclusive)
    end
    local refs = ffi.new("struct store_buf")
    core.store_buf_init(refs)
    local code = core.store_index_collect(self:index(index), bound(lower), bound(upper), reverse or false, refs, diag)
    local rows = {}
    for place = 0, tonumber(refs.size) / 4 - 1 do
        rows[place + 1] = self:row_at(ffi.cast("uint32_t *", refs.data)[place])
    end
    core.store_buf_deinit(refs)
    if code ~= 0 then
        return store.refused(code)
    end
    return rows
end

return store
