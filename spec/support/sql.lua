--- Queries for specs: compiled against a schema of spec.support.schema, asked about rows, run over a table.
---
---     local world = sql.world { { name = "t", columns = { { "a", "u8" } } } }
---     local query = assert(world:compile "SELECT * FROM t WHERE a = 1")
---     query:matches(world:row("t", { a = 1 }))
local ffi = require("ffi")
local bsatn = require("spec.support.bsatn")
local schema = require("spec.support.schema")

local core = require "spec.support.core"
local sql = {}
local world, query = {}, {}
world.__index, query.__index = world, query

local bytes = core.bytes

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
    local caller = ffi.new("struct query_caller")
    ffi.copy(caller.sender, bsatn.from_hex(sql.sender):reverse(), 32)
    caller.is_owner = options.is_owner or false
    return caller
end

local function budget_of(limits, diag)
    local budget = ffi.new("struct budget", { rows_max = limits.rows_max or 1e15, bytes_max = limits.bytes_max or 1e15,
        time_max_us = limits.time_max_us or 1e15, estimate_max = limits.estimate_max or 0, diag = diag })
    core.budget_begin(budget)
    return budget
end

--- Carries an INSERT, UPDATE or DELETE out on filled tables; how many rows were inserted, deleted and updated. Or nil
--- and the refusal: nothing has changed then.
function world:change(text, filled, options)
    local out, diag = ffi.new("struct statement *[1]"), ffi.new("struct diag")
    local code = core.statement_compile(out, bytes(text), self.schema.schema, caller_of { is_owner = true }, nil, diag)
    if code ~= 0 then
        return nil, ffi.string(diag.text), code
    end
    local txn = core.txn_new(filled.store, ffi.new("struct txn_limits", { 1e6, 1e8 }))
    local counts = ffi.new("struct change_counts")
    core.txn_begin(txn)
    code = core.change_run(out[0].change, txn, budget_of(options or {}, diag), counts)
    if code == 0 then
        core.txn_commit(txn)
    else
        core.txn_abort(txn)
    end
    core.txn_free(txn)
    core.statement_free(out[0])
    if code ~= 0 then
        return nil, ffi.string(diag.text), code
    end
    return { tonumber(counts.inserted), tonumber(counts.deleted), tonumber(counts.updated) }
end

--- What /sql answers to a SELECT or EXPLAIN about filled tables, as JSON; or nil and the refusal.
function world:ask(text, filled, options)
    options = options or {}
    local out, diag = ffi.new("struct statement *[1]"), ffi.new("struct diag")
    local caller = caller_of(options)
    local code = core.statement_compile(out, bytes(text), self.schema.schema, caller, nil, diag)
    if code ~= 0 then
        return nil, ffi.string(diag.text), code
    end
    local answer, duration = ffi.new("struct buf"), ffi.new("int64_t[1]")
    code = core.sql_answer_read(answer, out[0], ffi.new("struct sql_place", { filled.store, caller }),
        budget_of(options, diag), duration)
    local text_of_answer = ffi.string(answer.data, answer.size)
    core.buf_deinit(answer)
    core.statement_free(out[0])
    if code ~= 0 then
        return nil, ffi.string(diag.text), code
    end
    return text_of_answer
end

--- A query, or nil and the refusal. Options: is_owner, subscribed.
function world:compile(text, options)
    options = options or {}
    local out, diag = ffi.new("struct query *[1]"), ffi.new("struct diag")
    local code = core.query_compile(out, bytes(text), self.schema.schema, caller_of(options),
        options.subscribed and 1 or 0, diag)
    if code ~= 0 then
        assert(out[0] == nil and diag.code == code, "a refusal leaves a query or another code")
        return nil, ffi.string(diag.text), code
    end
    return setmetatable({ query = ffi.gc(out[0], core.query_free), world = self }, query)
end

local function row_at(row) return ffi.cast("const uint8_t *", row) end

function query:matches(row)
    return core.query_matches(self.query, row_at(row))
end

--- Of a join: side is 0 or 1.
function query:side_matches(side, row)
    return core.query_side_matches(self.query, side, row_at(row))
end

function query:pair_matches(left, right)
    return core.query_pair_matches(self.query, row_at(left), row_at(right))
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
    for place = 0, filter.gates.count - 1 do
        local gate = filter.gates.ranges[place]
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
    local filled = { store = ffi.new("struct store", { self.schema.schema, count }), tables = {},
        list = ffi.new("struct table *[?]", count) }
    for place, name in ipairs(self.names) do
        local one = ffi.gc(core.table_new(self.schema:table(name)), core.table_free)
        filled.tables[place], filled.list[place - 1] = one, one
        for _, row in ipairs(rows_of[name] or {}) do
            core.table_restore(one, bytes(row))
        end
    end
    filled.store.tables = filled.list
    return filled
end

--- The rows that running the query over filled tables gives, in the order they come; or nil and the refusal when the
--- budget, a table of rows_max, bytes_max and time_max_us, is used up.
function query:run(filled, limits)
    local found = {}
    -- The FFI cannot be called back with a struct: bytes come as the two registers they are in.
    local each = ffi.cast("bool (*)(void *, const uint8_t *, size_t)", function(_, at, size)
        found[#found + 1] = ffi.string(at, size)
        return true
    end)
    local budget, diag
    if limits then
        diag = ffi.new("struct diag")
        budget = budget_of(limits, diag)
    end
    local code = core.query_run(self.query, filled.store, budget, ffi.cast("bool (*)(void *, bytes)", each), nil)
    each:free()
    if code ~= 0 then
        return nil, ffi.string(diag.text), code
    end
    return found
end

return sql
