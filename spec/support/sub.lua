--- Subscriptions on a store of their own: a world of tables, commits and clients that keep what they are told.
---
---     local world = sub.world { { name = "item", key = "id", columns = { { "id", "u32" }, { "kind", "u32" } } } }
---     local client = world:client()
---     client:subscribe(1, { "SELECT * FROM item" })
---     world:commit { { "insert", "item", { id = 1, kind = 2 } } }
---     client.bags[1].item --> { [row bytes] = count }
local ffi = require("ffi")
local bsatn = require("spec.support.bsatn")
local messages = require("spec.support.messages")
local schema = require("spec.support.schema")

local core = require "spec.support.core"
local sub = {}
local world, client = {}, {}
world.__index, client.__index = world, client

local ROWREF_NONE = 0xffffffff

local bytes = core.bytes

--- How many rows a bag holds; nil is an empty one.
function sub.count(bag)
    local total = 0
    for _, times in pairs(bag or {}) do
        total = total + times
    end
    return total
end

--- The tables of QueryRows, one for each list of rows, in their order.
function sub.names_of(rows)
    local names = {}
    for place, single in ipairs(rows.tables) do
        names[place] = single.table
    end
    return names
end

local function address(pointer)
    return tonumber(ffi.cast("uintptr_t", ffi.cast("const void *", pointer)))
end

local diag = ffi.new("struct diag")

local function must(code)
    assert(code == 0, code ~= 0 and ffi.string(diag.text))
end

-- Schemas -------------------------------------------------------------------------------------------------------

--- Indexes over some columns, { "zone" } or { "zone", "score", kind = "Hash" }, as schema.lua wants them.
local function describe_tables(tables)
    local described = {}
    for place, declared in ipairs(tables) do
        described[place] = setmetatable({ indexes = {} }, { __index = declared })
        for position, index in ipairs(declared.indexes or {}) do
            local name = ("%s_index_%d"):format(declared.name, position)
            described[place].indexes[position] = { name = name, accessor = name, kind = index.kind or "BTree", columns = index }
        end
    end
    return schema.encode { tables = described }
end

-- Worlds --------------------------------------------------------------------------------------------------------

--- Puts these tables in force, as a first schema or in place of the one before.
local function migrate(self, tables)
    local made, fault, plan = ffi.new("struct schema *[1]"), ffi.new("struct schema_fault"), ffi.new("struct migration")
    local arena = ffi.new("struct arena")
    core.arena_init(arena)
    must(core.schema_build(bytes(describe_tables(tables)), self.store.schema, made, fault, diag))
    if self.store.schema ~= nil then
        must(core.migration_plan(arena, self.store.schema, made[0], plan, diag))
    end
    must(core.store_migrate(self.store, made[0], plan, nil, diag))
    core.arena_deinit(arena)
    self.row_types = {}
    for _, declared in ipairs(tables) do
        self.row_types[declared.name] = schema.row_type(declared)
    end
end

function sub.world(tables)
    local self = setmetatable({ store = ffi.new("struct store"), subs = core.subs_new(), clients = {} }, world)
    core.store_init(self.store)
    migrate(self, tables)
    self.limits = ffi.new("struct txn_limits", 1000000, 1000000000)
    self.txn = core.txn_new(self.store, self.limits)
    return self
end

--- Lets all clients go and checks that no query is left.
function world:free()
    for _, each in pairs(self.clients) do
        each:drop()
    end
    assert(self:query_count() == 0, "a query outlives its holders")
    core.subs_free(self.subs)
    core.txn_free(self.txn)
    core.store_deinit(self.store)
end

function world:query_count()
    return core.subs_query_count(self.subs)
end

--- How often a changed row was put to a query.
function world:offer_count()
    return tonumber(core.subs_offer_count(self.subs))
end

function world:row(name, values)
    return bsatn.encode(self.row_types[name], values)
end

local function change(self, kind, name, row)
    local stored = core.store_find_named(self.store, bytes(name))
    assert(stored ~= nil, "no table " .. name)
    if kind == "insert" then
        must(core.txn_insert(self.txn, stored, bytes(row), ffi.new("uint32_t[1]"), diag))
        return
    end
    local ref = core.table_find_equal(stored, bytes(row))
    assert(ref ~= ROWREF_NONE, "the row to delete is there")
    must(core.txn_delete(self.txn, stored, ref, diag))
end

--- A list that fills with the sets that end: { client = …, set = …, reason = … }; and the callback, to be freed.
function world:listen_for_endings()
    local endings = {}
    return endings, ffi.cast("subs_ended_fn *", function(_, subscriber, query_set_id, reason)
        local of = self.clients[address(subscriber)]
        of.bags[query_set_id] = nil
        endings[#endings + 1] = { client = of, set = query_set_id, reason = ffi.string(reason.text) }
    end)
end

--- Callbacks from C must not come out of compiled traces.
local function publish(self, delta, deliver, ended)
    core.subs_publish(self.subs, self.store, delta, deliver, ended, nil)
end
jit.off(publish)

--- Commits changes { "insert" | "delete", table, row values or bytes } and lets every client concerned apply its
--- update. Returns the updates as { client = …, update = …, parts = …, size = … } in the order delivered, and the sets
--- that ended.
function world:commit(changes)
    core.txn_begin(self.txn)
    for _, each in ipairs(changes) do
        local row = each[3]
        change(self, each[1], each[2], type(row) == "string" and row or self:row(each[2], row))
    end
    local deliveries = {}
    local deliver = ffi.cast("subs_deliver_fn *", function(_, subscriber, parts, part_count)
        deliveries[#deliveries + 1] = self.clients[address(subscriber)]:receive(parts, part_count)
    end)
    local endings, ended = self:listen_for_endings()
    local delta = core.txn_commit(self.txn)
    if delta ~= nil then
        publish(self, delta, deliver, ended)
    end
    core.txn_end(self.txn)
    deliver:free()
    ended:free()
    return deliveries, endings
end

--- The time that publishing one delta `count` times takes, in seconds, with updates thrown away.
function world:time_publish(changes, count)
    core.txn_begin(self.txn)
    for _, each in ipairs(changes) do
        change(self, each[1], each[2], self:row(each[2], each[3]))
    end
    local ignore = ffi.cast("subs_deliver_fn *", function() end)
    local delta = core.txn_commit(self.txn)
    local begin = os.clock()
    for _ = 1, count do
        publish(self, delta, ignore, nil)
    end
    local seconds = os.clock() - begin
    core.txn_end(self.txn)
    ignore:free()
    return seconds
end

local function recompile(self, ended)
    core.subs_recompile(self.subs, self.store.schema, ended, nil)
end
jit.off(recompile)

--- Changes the schema; returns what ended: { client = …, set = …, reason = … }.
function world:migrate(tables)
    migrate(self, tables)
    local endings, ended = self:listen_for_endings()
    recompile(self, ended)
    ended:free()
    return endings
end

-- Clients -------------------------------------------------------------------------------------------------------

--- A client; `sender` is the last byte of its identity. One that is told `by_table` has what it is told in bag 0.
function world:client(options)
    options = options or {}
    local self_client = setmetatable({ world = self, bags = {}, subscriber = ffi.new("struct subscriber"),
        caller = ffi.new("struct query_caller") }, client)
    self_client.caller.sender.at[0] = options.sender or 0
    self_client.caller.is_owner = options.owner or false
    self_client.caller.row_limit = options.row_limit or 0
    core.subscriber_init(self_client.subscriber)
    self_client.subscriber.by_table = options.by_table or false
    self_client.bags[0] = options.by_table and {} or nil
    self.clients[address(self_client.subscriber)] = self_client
    return self_client
end

local function sized_strings(texts)
    local out = {}
    for place, text in ipairs(texts) do
        out[place] = bsatn.encode(bsatn.type("string"), text)
    end
    return table.concat(out)
end

local function add_to(bag, row, count)
    local total = (bag[row] or 0) + count
    assert(total >= 0, "a row is deleted that was never there")
    bag[row] = total > 0 and total or nil
end

--- Rows per table of QueryRows.
local function bags_of(rows)
    local bags = {}
    for _, single in ipairs(rows.tables) do
        bags[single.table] = bags[single.table] or {}
        for _, row in ipairs(messages.rows(single.rows)) do
            add_to(bags[single.table], row, 1)
        end
    end
    return bags
end

local function read_rows(out)
    local text = ffi.string(out.data, out.size)
    local rows, behind = bsatn.decode(messages.types.QueryRows, text)
    assert(behind == #text + 1, "nothing stands behind the rows")
    return rows
end

--- `opening`: where rows that are on their way go, or nil. Returns the answer's buffer, or nil, the reason and its code.
local function request(self, set, texts, opening)
    local strings = sized_strings(texts)
    local queries = ffi.new("struct reader")
    queries.at = ffi.cast("const uint8_t *", strings)
    queries["end"] = queries.at + #strings
    local out = ffi.gc(ffi.new("struct buf"), core.buf_deinit)
    core.buf_init(out)
    local code = core.subs_subscribe(self.world.subs, self.subscriber, self.caller, self.world.store, set, queries, #texts,
        out, opening, diag)
    if code ~= 0 then
        assert(out.size == 0, "a refusal leaves nothing behind")
        return nil, ffi.string(diag.text), code
    end
    return out
end

--- Subscribes; returns the QueryRows, or nil, the reason and its code.
function client:subscribe(set, texts)
    local out, reason, code = request(self, set, texts, nil)
    if not out then
        return nil, reason, code
    end
    local rows = read_rows(out)
    self.bags[set] = bags_of(rows)
    return rows
end

local function text_of_part(part)
    if part.shared ~= nil then
        return ffi.string(part.shared.data, part.shared.size), address(part.shared)
    end
    return ffi.string(part.inline_bytes.at, part.inline_bytes.size)
end

--- Subscribes and lets rows that take long come later: until finish() is called on what this returns, updates are put
--- by. nil when all rows are there. `batch` is to be worked on; nil when others work on the same rows.
function client:begin(set, texts)
    local opening = ffi.new("struct opening *[1]")
    local out = assert(request(self, set, texts, opening))
    if opening[0] == nil then
        self.bags[set] = bags_of(read_rows(out))
        return nil
    end
    assert(out.size == 0, "rows that are on their way stand nowhere else")
    self.put_by = self.put_by or {}
    local batch = core.subs_take_batch(self.world.subs, self.world.store)
    local started = { opening = opening[0], batch = batch ~= nil and batch or nil }
    function started.work()
        core.first_rows_work(batch, ffi.new("bool[1]"))
        core.first_rows_finish(batch)
    end
    --- Returns the QueryRows and the addresses of shared buffers.
    function started.finish()
        assert(core.opening_is_ready(opening[0]), "the rows are there")
        must(core.opening_check(opening[0], diag))
        local count, pieces, shared = core.opening_part_count(opening[0]), {}, {}
        local parts = ffi.new("struct update_part[?]", count)
        core.opening_parts(opening[0], parts)
        for place = 0, count - 1 do
            pieces[#pieces + 1], shared[#shared + 1] = text_of_part(parts[place])
        end
        core.opening_free(opening[0])
        local text = table.concat(pieces)
        local rows, behind = bsatn.decode(messages.types.QueryRows, text)
        assert(behind == #text + 1, "nothing stands behind the rows")
        self.bags[set] = bags_of(rows)
        local updates = self.put_by
        self.put_by = nil
        for _, update in ipairs(updates) do
            self:apply(update)
        end
        return rows, shared
    end
    return started
end

--- Unsubscribes; returns the rows it had when asked to, or true.
function client:unsubscribe(set, with_rows)
    local out = ffi.gc(ffi.new("struct buf"), core.buf_deinit)
    core.buf_init(out)
    local code = core.subs_unsubscribe(self.world.subs, self.subscriber, self.world.store, set, with_rows and out or nil,
        nil, diag)
    if code ~= 0 then
        return nil, ffi.string(diag.text), code
    end
    self.bags[set] = nil
    return with_rows and read_rows(out) or true
end

function client:drop()
    core.subs_drop(self.world.subs, self.subscriber)
    self.world.clients[address(self.subscriber)] = nil
end

local function apply_element(bag, element)
    local changed = 0
    if element.tag == "EventTable" then
        return #messages.rows(element.value.events)
    end
    for _, row in ipairs(messages.rows(element.value.deletes)) do
        add_to(bag, row, -1)
        changed = changed + 1
    end
    for _, row in ipairs(messages.rows(element.value.inserts)) do
        add_to(bag, row, 1)
        changed = changed + 1
    end
    return changed
end

--- Applies an update and checks its form: sets and tables ascend, and nothing in it is empty.
function client:apply(update)
    local last_set = -1
    assert(#update.query_sets > 0, "an update without sets is not sent")
    for _, set in ipairs(update.query_sets) do
        assert(set.query_set_id.id > last_set, "sets ascend by id")
        last_set = set.query_set_id.id
        local bags, last_table = assert(self.bags[last_set], "the set is subscribed"), ""
        assert(#set.tables > 0, "a set without tables is not sent")
        for _, changed in ipairs(set.tables) do
            assert(changed.table_name > last_table, "tables ascend by name")
            last_table = changed.table_name
            bags[last_table] = bags[last_table] or {}
            for _, element in ipairs(changed.rows) do
                assert(apply_element(bags[last_table], element) > 0, "a query that a commit does not touch is not sent")
            end
        end
    end
end

function client:receive(parts, part_count)
    local pieces, shared = {}, {}
    for i = 0, part_count - 1 do
        pieces[#pieces + 1], shared[#shared + 1] = text_of_part(parts[i])
    end
    local text = table.concat(pieces)
    local update, behind = bsatn.decode(messages.types.TransactionUpdate, text)
    assert(behind == #text + 1, "nothing stands behind the update")
    if self.put_by then
        table.insert(self.put_by, update)
    else
        self:apply(update)
    end
    return { client = self, update = update, shared = shared, size = #text }
end

--- What the same queries show now, evaluated anew, in the form of `bags`: spelled otherwise, they share nothing with
--- those that are live.
function client:evaluate(texts)
    local fresh, spelled = self.world:client(), {}
    for place, text in ipairs(texts) do
        spelled[place] = text:gsub("^SELECT", "select")
    end
    fresh.caller = self.caller
    local rows = assert(fresh:subscribe(1, spelled))
    fresh:drop()
    return bags_of(rows)
end

return sub
