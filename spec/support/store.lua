--- Tables of the core for specs: a store with a schema, rows as Lua values or as their bytes.
---
---     local world = store.world { { name = "player", columns = { { "id", "u32" }, { "name", "string" } },
---                                   indexes = { { "id", kind = "btree", unique = true } } } }
---     local player = world:table("player")
---     player:restore(player:row { id = 1, name = "ann" })
---     player:find(1, { 1 })  --> the row's bytes
local ffi = require("ffi")
local bsatn = require("spec.support.bsatn")
local schema = require("spec.support.schema")

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

local algorithms = { btree = "BTree", hash = "Hash", direct = "Direct" }

--- As schema.lua wants it: what stands here by the name of a column stands there with the column.
local function describe_table(declared)
    local described = { name = declared.name, event = declared.event, columns = {}, indexes = {}, unique = {} }
    local column_of = {}
    for place, column in ipairs(declared.columns) do
        column_of[column[1]] = { column[1], column[2], default = declared.defaults and declared.defaults[column[1]] }
        described.columns[place] = column_of[column[1]]
    end
    for _, sequence in ipairs(declared.sequences or {}) do
        column_of[sequence[1]].sequence = sequence
    end
    for place, index in ipairs(declared.indexes or {}) do
        local kind = index.kind or "btree"
        local name = declared.name .. "_" .. table.concat(index, "_") .. "_" .. kind
        described.indexes[place] = { name = name, accessor = name, kind = algorithms[kind], columns = index }
        if index.unique then
            table.insert(described.unique, index)
        end
    end
    return described
end

local function describe(tables)
    local described = {}
    for place, declared in ipairs(tables) do
        described[place] = describe_table(declared)
    end
    return schema.encode { tables = described }
end

-- Worlds --------------------------------------------------------------------------------------------------------

--- Puts these tables in force, as a first schema or in place of the one before: true, or nil, why not and the name
--- of what stands against it.
function world:migrate(tables)
    local made, plan = ffi.new("struct schema *[1]"), ffi.new("struct migration")
    local fault, arena = ffi.new("struct schema_fault"), ffi.new("struct arena")
    core.arena_init(arena)
    local code = core.schema_build(store.bytes(describe(tables)), self.store.schema, made, fault, diag)
    if code == 0 and self.store.schema ~= nil then
        code = core.migration_plan(arena, self.store.schema, made[0], plan, diag)
    end
    if code == 0 then
        code = core.store_migrate(self.store, made[0], plan, fault, diag)
    end
    if code ~= 0 then
        core.schema_free(made[0])
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
    return pointer ~= nil and setmetatable({ pointer = pointer, type = schema.row_type(self.declared[name]),
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

--- An iterator over the rows of a table in the order of pages, which lets go of them (frozen_pass).
function frozen:pass(name)
    local ref = ffi.new("uint32_t[1]", store.NONE)
    return function()
        local row = core.frozen_pass(self.pointer, self.places[name], ref)
        return row ~= nil and store.row_text(row) or nil
    end
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
        local column = schema.place_of(self.declared, self.declared.indexes[index][place])
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
