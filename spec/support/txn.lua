--- Transactions of the core for specs, on a world of spec/support/store.lua.
---
---     local txn = transactions.new(world)
---     txn:begin()
---     txn:insert("player", { id = 1, name = "ann" })  --> the row as stored, or nil and why not
---     txn:commit()                                     --> { player = { deletes = { rows }, inserts = { rows } } }
local ffi = require("ffi")
local store = require("spec.support.store")

-- The FFI cannot be called back with a struct: a 128-bit number comes as the two registers it is in.
ffi.cdef "typedef void txn_reserve_halves(void *context, uint32_t sequence_id, uint64_t low, int64_t high);"

local core, diag = store.core, store.diag
local transactions = {}
local txn = {}
txn.__index = txn

function transactions.new(world, limits)
    limits = limits or {}
    local self = setmetatable({ world = world }, txn)
    self.limits = ffi.new("struct txn_limits", limits.rows or 1e9, limits.bytes or 1e12)
    self.pointer = core.txn_new(world.store, self.limits)
    return self
end

function txn:free()
    core.txn_free(self.pointer)
    if self.on_reserve then
        self.on_reserve:free()
    end
end

--- Calls `reserve(sequence_id, reserved)` for each batch.
function txn:watch_reservations(reserve)
    self.on_reserve = ffi.cast("txn_reserve_halves *", function(_, id, low) reserve(id, tonumber(low)) end)
    core.txn_on_reserve(self.pointer, ffi.cast("txn_reserve_fn *", self.on_reserve), nil)
end

function txn:begin()
    core.txn_begin(self.pointer)
end

-- A reservation calls back into Lua, which must not happen out of a compiled trace.
local function outcome(table, code, ref)
    if code ~= 0 then
        return store.refused(code)
    end
    return table:row_at(ref[0]), ref[0]
end

--- Takes values or the row's bytes.
local function row_of(table, row)
    return type(row) == "string" and row or table:row(row)
end

function txn:insert(name, row)
    local table, ref = self.world:table(name), ffi.new("uint32_t[1]")
    local text = row_of(table, row)
    return outcome(table, core.txn_insert(self.pointer, table.pointer, store.bytes(text), ref, diag), ref)
end

function txn:trim()
    core.txn_trim(self.pointer)
end

--- Updates by the index at this place, from 1.
function txn:update(name, index, row)
    local table, ref = self.world:table(name), ffi.new("uint32_t[1]")
    local text = row_of(table, row)
    return outcome(table,
        core.txn_update(self.pointer, table.pointer, table:index(index), store.bytes(text), ref, diag), ref)
end
jit.off(txn.insert)
jit.off(txn.update)

function txn:delete(name, row)
    local table = self.world:table(name)
    local ref = core.table_find_equal(table.pointer, store.bytes(row_of(table, row)))
    if ref == store.NONE then
        return nil, "no such row"
    end
    return self:delete_at(name, ref)
end

function txn:delete_at(name, ref)
    return store.refused(core.txn_delete(self.pointer, self.world:table(name).pointer, ref, diag))
end

function txn:row_at(name, ref)
    local row = core.txn_row_at(self.pointer, self.world:table(name).pointer, ref)
    return row ~= nil and store.row_text(row) or nil
end

local function texts(list, count)
    local rows = {}
    for place = 0, count - 1 do
        rows[place + 1] = ffi.string(list[place].at, list[place].size)
    end
    return rows
end

local function table_name(self, pointer)
    for name in pairs(self.world.declared) do
        if self.world:table(name).pointer == pointer then
            return name
        end
    end
end

--- The net changes by table, what the log would keep of them, and the tables' ids in the delta's order.
function txn:commit()
    local delta = core.txn_commit(self.pointer)
    local changes, ids, encoded = {}, {}, nil
    if delta ~= nil then
        for place = 0, delta.table_count - 1 do
            local net = delta.tables[place]
            changes[table_name(self, net.table)] = { deletes = texts(net.deletes, net.delete_count),
                inserts = texts(net.inserts, net.insert_count) }
            ids[place + 1] = net.table_id
        end
        encoded = core.written(core.delta_encode, delta)
    end
    core.txn_end(self.pointer)
    return changes, encoded, ids
end

function txn:abort()
    core.txn_abort(self.pointer)
end

--- Applies what the log has kept to the tables of another world.
function transactions.replay(world, encoded)
    return store.refused(core.delta_apply(world.store, store.bytes(encoded), nil, nil, diag))
end

return transactions
