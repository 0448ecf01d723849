--- Module descriptions for specs: written briefly, encoded as RawModuleDefV10, built by the core and read back.
---
---     local player = { name = "player", key = "id", columns = {
---         { "id", "u64", sequence = {} }, { "name", "string", index = "BTree" }, { "score", "i32", default = 0 } } }
---     local built = schema.build { tables = { player }, reducers = { { name = "join", params = { { "name", "string" } } } } }
---     built:table("player").index_count
---
--- Types are in the notation of bsatn.lua, or a number: a reference into the typespace. What the short form cannot say
--- is said by `sections`, which replaces whole sections, and by fields of TableDef in `raw`.
local ffi = require("ffi")
local bsatn = require("spec.support.bsatn")
local meta = require("spec.support.vectors").meta

local core = require "spec.support.core"
local schema = {}
local built = {}
built.__index = built

local bytes, text_of = core.bytes, core.text
schema.text_of = text_of

-- Describing ----------------------------------------------------------------------------------------------------

local function some(value)
    return { tag = "some", value = value }
end

local none = { tag = "none" }

local function option(value)
    return value ~= nil and some(value) or none
end

local function special(field, scalar)
    return { tag = "Product", value = { elements = { { name = some(field), algebraic_type = { tag = scalar } } } } }
end

local specials = {
    Identity = special("__identity__", "U256"),
    ConnectionId = special("__connection_id__", "U128"),
    Timestamp = special("__timestamp_micros_since_unix_epoch__", "I64"),
    TimeDuration = special("__time_duration_micros__", "I64"),
    Uuid = special("__uuid__", "U128"),
    ScheduleAt = { tag = "Sum", value = { variants = {
        { name = some("Interval"), algebraic_type = special("__time_duration_micros__", "I64") },
        { name = some("Time"), algebraic_type = special("__timestamp_micros_since_unix_epoch__", "I64") },
    } } },
    bytes = { tag = "Array", value = { tag = "U8" } },
}

--- A type of bsatn.lua as a value of AlgebraicType.
local function algebraic(kind)
    local function members(list)
        local elements = {}
        for place, member in ipairs(list) do
            elements[place] = { name = some(member.name), algebraic_type = algebraic(member.type) }
        end
        return elements
    end
    if kind.kind == "product" then
        return { tag = "Product", value = { elements = members(kind.fields) } }
    elseif kind.kind == "sum" then
        return { tag = "Sum", value = { variants = members(kind.variants) } }
    elseif kind.kind == "array" then
        return { tag = "Array", value = algebraic(kind.element) }
    end
    return specials[kind.kind] or { tag = kind.kind:sub(1, 1):upper() .. kind.kind:sub(2) }
end

--- The type of bsatn.lua that a declared table's rows have.
function schema.row_type(declared)
    local fields = {}
    for place, column in ipairs(declared.columns) do
        fields[place] = column[1] .. ": " .. column[2]
    end
    return bsatn.type("{ " .. table.concat(fields, ", ") .. " }")
end

--- AlgebraicType of a type's notation or of a reference.
function schema.type(notation)
    if type(notation) == "number" then
        return { tag = "Ref", value = notation }
    end
    return algebraic(bsatn.type(notation))
end

local function elements_of(columns)
    local elements = {}
    for place, column in ipairs(columns) do
        elements[place] = { name = option(column[1]), algebraic_type = schema.type(column[2]) }
    end
    return elements
end

--- The place of a column, from 0.
function schema.place_of(declared, name)
    for place, column in ipairs(declared.columns) do
        if column[1] == name then
            return place - 1
        end
    end
    return 99 -- no such column: for specs of what is refused
end

local function places_of(declared, names)
    local places = {}
    for place, name in ipairs(names) do
        places[place] = schema.place_of(declared, name)
    end
    return places
end

local function index_def(declared, index)
    local places = places_of(declared, index.columns)
    return { source_name = option(index.name), accessor_name = option(index.accessor),
        algorithm = { tag = index.kind, value = index.kind == "Direct" and places[1] or places } }
end

local function unique_def(declared, columns)
    return { source_name = none, data = { tag = "Unique", value = { columns = places_of(declared, columns) } } }
end

local function sequence_def(place, sequence)
    return { source_name = option(sequence.name), column = place, start = option(sequence.start),
        min_value = option(sequence.min), max_value = option(sequence.max), increment = sequence.increment or 1 }
end

local function table_def(declared, ref)
    local def = { source_name = declared.name, product_type_ref = ref, primary_key = {}, indexes = {}, constraints = {},
        sequences = {}, table_type = { tag = "User" }, table_access = { tag = declared.private and "Private" or "Public" },
        default_values = {}, is_event = declared.event or false }
    for place, column in ipairs(declared.columns) do
        local name, is_key = column[1], column[1] == declared.key
        local index = column.index or (is_key or column.unique) and "BTree"
        if index then
            table.insert(def.indexes, index_def(declared, { kind = index, accessor = name, columns = { name } }))
        end
        if is_key or column.unique then
            table.insert(def.constraints, unique_def(declared, { name }))
        end
        if is_key then
            def.primary_key = { place - 1 }
        end
        if column.sequence then
            table.insert(def.sequences, sequence_def(place - 1, column.sequence))
        end
        if column.default ~= nil then
            local value = bsatn.encode(bsatn.type(column[2]), column.default)
            table.insert(def.default_values, { col_id = place - 1, value = value })
        end
    end
    for _, index in ipairs(declared.indexes or {}) do
        table.insert(def.indexes, index_def(declared, index))
    end
    for _, columns in ipairs(declared.unique or {}) do
        table.insert(def.constraints, unique_def(declared, columns))
    end
    for field, value in pairs(declared.raw or {}) do
        def[field] = value
    end
    return def
end

local function reducer_def(declared)
    return { source_name = declared.name, params = { elements = elements_of(declared.params or {}) },
        visibility = { tag = declared.private and "Private" or "ClientCallable" },
        ok_return_type = declared.returns and schema.type(declared.returns) or { tag = "Product", value = { elements = {} } },
        err_return_type = { tag = "String" } }
end

local function lifecycle_def(event, name)
    return { lifecycle_spec = { tag = event }, function_name = name }
end

local function return_type(view)
    local row = { tag = "Ref", value = view.row }
    if view.returns == "option" then
        return { tag = "Sum", value = { variants = { { name = some("some"), algebraic_type = row },
            { name = some("none"), algebraic_type = { tag = "Product", value = { elements = {} } } } } } }
    elseif view.returns == "query" then
        return { tag = "Product", value = { elements = { { name = some("__query__"), algebraic_type = row } } } }
    end
    return { tag = "Array", value = row }
end

--- Schedules { table =, at = <column from 0>, reducer = }, views { name =, returns = "option", row = <ref>, anonymous =,
--- key = } and filters (texts): sections that are there only when they are described.
local function add_views(sections, description)
    for place, given in ipairs(description.schedules or {}) do
        sections.Schedules = sections.Schedules or {}
        sections.Schedules[place] = { source_name = option(given.name), table_name = given.table, schedule_at_col = given.at,
            function_name = given.reducer }
    end
    for place, view in ipairs(description.views or {}) do
        sections.Views, sections.ViewPrimaryKeys = sections.Views or {}, sections.ViewPrimaryKeys or {}
        sections.Views[place] = { source_name = view.name, index = place - 1, is_public = true,
            is_anonymous = view.anonymous or false, params = { elements = elements_of(view.params or {}) },
            return_type = view.type or return_type(view) }
        if view.key then
            table.insert(sections.ViewPrimaryKeys, { view_source_name = view.name, columns = { view.key } })
        end
    end
    for place, sql in ipairs(description.filters or {}) do
        sections.RowLevelSecurity = sections.RowLevelSecurity or {}
        sections.RowLevelSecurity[place] = { sql = sql }
    end
end

--- RawModuleDefV10 as a Lua value: { sections = ... }. Row types are the first of the typespace, in the order of the
--- tables; `types` go behind them.
function schema.describe(description)
    local sections = { Typespace = { types = {} }, Types = {}, Tables = {}, Reducers = {}, LifeCycleReducers = {} }
    for place, declared in ipairs(description.tables or {}) do
        sections.Typespace.types[place] = { tag = "Product", value = { elements = elements_of(declared.columns) } }
        sections.Tables[place] = table_def(declared, place - 1)
    end
    for _, declared in ipairs(description.types or {}) do
        table.insert(sections.Typespace.types, schema.type(declared[2]))
        local ordered = declared.custom_ordering == nil or declared.custom_ordering
        if declared[1] then
            table.insert(sections.Types, { source_name = { scope = declared.scope or {}, source_name = declared[1] },
                ty = #sections.Typespace.types - 1, custom_ordering = ordered })
        end
    end
    add_views(sections, description)
    for place, declared in ipairs(description.reducers or {}) do
        sections.Reducers[place] = reducer_def(declared)
        if declared.on then
            table.insert(sections.LifeCycleReducers, lifecycle_def(declared.on, declared.name))
        end
    end
    local list = {}
    for tag, value in pairs(description.sections or {}) do
        sections[tag] = value
    end
    for _, variant in ipairs(meta.Section.variants) do
        if sections[variant.name] then
            table.insert(list, { tag = variant.name, value = sections[variant.name] })
        end
    end
    return { sections = list }
end

function schema.encode(description)
    return bsatn.encode(meta.RawModuleDefV10, schema.describe(description))
end

-- Building ------------------------------------------------------------------------------------------------------

local subjects = { [0] = "module", "table", "reducer", "type", "view", "filter" }

--- A built schema; or nil, the refusal and { subject, name }.
function schema.build_bytes(def, previous)
    local out, fault, diag = ffi.new("struct schema *[1]"), ffi.new("struct schema_fault"), ffi.new("struct diag")
    local code = core.schema_build(bytes(def), previous and previous.schema or nil, out, fault, diag)
    if code ~= 0 then
        assert(out[0] == nil and code == diag.code, "a refusal leaves a schema or another code")
        return nil, ffi.string(diag.text), { subjects[fault.subject], ffi.string(fault.name) }
    end
    return setmetatable({ schema = ffi.gc(out[0], core.schema_free) }, built)
end

function schema.build(description, previous)
    return schema.build_bytes(schema.encode(description), previous)
end

--- The same schema made of its description and its ids, as a snapshot keeps them.
function built:restored()
    local out, diag = ffi.new("struct schema *[1]"), ffi.new("struct diag")
    local ids = core.written(core.schema_ids_encode, self.schema)
    local code = core.schema_restore(self.schema.def, bytes(ids), out, diag)
    assert(code == 0, code ~= 0 and ffi.string(diag.text))
    return setmetatable({ schema = ffi.gc(out[0], core.schema_free) }, built)
end

--- The struct table_def, or nil.
function built:table(name)
    local found = core.schema_find_table(self.schema, bytes(name))
    return found ~= nil and found or nil
end

--- The struct index_def, or nil.
function built:index(table_name, index_name)
    local found = self:table(table_name)
    for place = 0, found.index_count - 1 do
        if text_of(found.indexes[place].name) == index_name then
            return found.indexes[place]
        end
    end
end

--- The struct view_def, or nil.
function built:view(name)
    local found = core.schema_find_view(self.schema, bytes(name))
    return found ~= nil and found or nil
end

function built:reducer(name)
    local place = core.schema_find_reducer(self.schema, bytes(name))
    return place >= 0 and self.schema.reducers[place] or nil
end

--- The JSON of version 9 or 10.
function built:json(version)
    return core.written(core["schema_print_v" .. version], self.schema)
end

--- A 128-bit number as a double.
function schema.number(value)
    if value.high == -1 then
        return tonumber(ffi.cast("int64_t", value.low))
    end
    return tonumber(value.high) * 2 ^ 64 + tonumber(value.low)
end

-- Migrating -----------------------------------------------------------------------------------------------------

local function step_text(step)
    return core.written(core.migration_step_print, step)
end

--- The steps as texts and whether clients are broken; or nil, the reasons and for each a { subject, name }.
function schema.plan(from, to)
    local arena, plan, diag = ffi.new("struct arena"), ffi.new("struct migration"), ffi.new("struct diag")
    core.arena_init(arena)
    local code = core.migration_plan(arena, from.schema, to.schema, plan, diag)
    local steps, faults = {}, {}
    for place = 0, plan.fault_count - 1 do
        faults[place + 1] = { subjects[plan.faults[place].subject], ffi.string(plan.faults[place].name) }
    end
    for place = 0, plan.step_count - 1 do
        steps[place + 1] = step_text(plan.steps[place])
    end
    core.arena_deinit(arena)
    if code ~= 0 then
        return nil, ffi.string(diag.text), faults
    end
    return steps, plan.breaks_clients
end

return schema
