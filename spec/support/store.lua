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

local core = require "spec.support.core"
local diag = ffi.new("struct diag")
local store = { core = core, bytes = core.bytes, diag = diag, NONE = 0xffffffff }
local world, stored, frozen = {}, {}, {}
world.__index, stored.__index, frozen.__index = world, stored, frozen

local SIZE_MASK = 2 ^ 28 - 1

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
    return ffi.cast("struct row *", page + bit.band(ref, 0x3fff) * 4)
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

--- Puts these tables in force, as a first schema or in place of the one before: true, or nil, why not and the name
--- of what stands against it.
function world:migrate(tables)
    local schema, plan = ffi.new("struct schema *[1]"), ffi.new("struct migration")
    local fault, arena = ffi.new("struct schema_fault"), ffi.new("struct arena")
    core.arena_init(arena)
    local code = core.schema_build(store.bytes(describe(tables)), self.store.schema, schema, fault, diag)
    if code == 0 and self.store.schema ~= nil then
        code = core.migration_plan(arena, self.store.schema, schema[0], plan, diag)
    end
    if code == 0 then
        code = core.store_migrate(self.store, schema[0], plan, fault, diag)
    end
    if code ~= 0 then
        core.schema_free(schema[0])
    else
        self.declared = {}
        for _, declared in ipairs(tables) do
            self.declared[declared.name] = declared
        end
    end
    core.arena_deinit(arena)
    if code ~= 0 then
        return nil, ffi.string(diag.text), ffi.string(fault.name)
    end
    return true
end

function store.world(tables)
    local self = setmetatable({ store = ffi.new("struct store") }, world)
    core.store_init(self.store)
    assert(self:migrate(tables))
    return self
end

function world:free()
    core.store_deinit(self.store)
end

function world:table(name)
    local pointer = core.store_find_named(self.store, store.bytes(name))
    return pointer ~= nil and setmetatable({ pointer = pointer, type = row_type(self.declared[name]),
        declared = self.declared[name] }, stored) or nil
end

function world:check()
    for place = 0, self.store.table_count - 1 do
        core.table_check(self.store.tables[place])
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
    return setmetatable({ pointer = core.store_freeze(self.store), places = places }, frozen)
end

function frozen:drop()
    core.frozen_drop(self.pointer)
    self.pointer = nil
end

function frozen:count(name)
    return tonumber(core.frozen_row_count(self.pointer, self.places[name]))
end

--- How far the table's sequence at this place, from 1, was reserved.
function frozen:sequence(name, place)
    return tonumber(core.frozen_sequence(self.pointer, self.places[name], place - 1).low)
end

function frozen:memory()
    return tonumber(core.frozen_memory(self.pointer))
end

--- All rows of a table in the order of pages.
function frozen:rows(name)
    local rows, ref = {}, ffi.new("uint32_t[1]", store.NONE)
    while true do
        local row = core.frozen_next(self.pointer, self.places[name], ref)
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
    core.table_restore(self.pointer, store.bytes(row))
end

function stored:erase(row)
    return store.refused(core.table_erase(self.pointer, store.bytes(row), diag))
end

function stored:has(row)
    return core.table_find_equal(self.pointer, store.bytes(row)) ~= store.NONE
end

function stored:count()
    return tonumber(self.pointer.pages.row_count)
end

function stored:memory()
    return tonumber(core.table_memory(self.pointer))
end

function stored:check()
    core.table_check(self.pointer)
end

--- What is wrong with the table, looked at so many rows at a time; and how many times it was looked at.
function stored:inspect(count)
    local faults, steps, ref = {}, 0, ffi.new("uint32_t[1]", store.NONE)
    local fault = ffi.cast("void (*)(void *, const char *)", function(_, text) faults[#faults + 1] = ffi.string(text) end)
    local goes_on
    repeat
        goes_on = core.table_inspect(self.pointer, ref, count or 1000, fault, nil)
        steps = steps + 1
    until not goes_on
    fault:free()
    return faults, steps
end

function stored:ref_of(row)
    return core.table_find_equal(self.pointer, store.bytes(row))
end

--- Takes a row out of one index alone, as no change does; and puts it there.
function stored:spoil_index(place, row)
    core.index_remove(self.pointer.indexes[place], self:ref_of(row))
end

function stored:mend_index(place, ref)
    core.index_add(self.pointer.indexes[place], ref)
end

function stored:row_at(ref)
    return store.row_text(store.row_at(self.pointer.pages, ref))
end

--- All rows in the order of pages.
function stored:rows()
    local rows, ref = {}, ffi.new("uint32_t[1]", store.NONE)
    while true do
        local row = core.pages_next(self.pointer.pages, ref)
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
    local ref = core.index_find(self:index(index), store.bytes(self:probe(index, values)))
    return ref ~= store.NONE and self:row_at(ref) or nil
end

--- Rows between bounds { values..., exclusive = true }; {} is open. nil and why not when the index cannot tell.
function stored:walk(index, lower, upper, reverse)
    local kept = {}
    local function bound(values)
        local key = self:probe(index, values)
        kept[#kept + 1] = key
        return ffi.new("struct index_bound", store.bytes(key), #values, not values.exclusive)
    end
    local refs = ffi.new("struct buf")
    core.buf_init(refs)
    local code = core.index_collect(self:index(index), bound(lower), bound(upper), reverse or false, refs, diag)
    local rows = {}
    for place = 0, tonumber(refs.size) / 4 - 1 do
        rows[place + 1] = self:row_at(ffi.cast("uint32_t *", refs.data)[place])
    end
    core.buf_deinit(refs)
    if code ~= 0 then
        return store.refused(code)
    end
    return rows
end

return store
