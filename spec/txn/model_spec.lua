local store = require "spec.support.store"
local transactions = require "spec.support.txn"

local tables = {
    { name = "player", columns = { { "id", "u32" }, { "name", "string" }, { "score", "u8" } },
        indexes = { { "id", kind = "hash", unique = true }, { "name", kind = "btree", unique = true }, { "score" } } },
    { name = "thing", columns = { { "label", "string" }, { "slot", "u8" } },
        indexes = { { "slot", kind = "direct", unique = true }, { "label", kind = "hash" } } },
    { name = "note", columns = { { "text", "string" }, { "stars", "u8" } }, indexes = { { "stars" } } },
    { name = "shout", columns = { { "text", "string" } }, event = true },
}
local uniques = { player = { "id", "name" }, thing = { "slot" }, note = {}, shout = {} }

local function random_text()
    local text = string.char(96 + math.random(6))
    return math.random(12) == 1 and text:rep(math.random(400)) or text
end

local makers = {
    player = function() return { id = math.random(12), name = random_text(), score = math.random(4) } end,
    thing = function() return { label = random_text(), slot = math.random(12) } end,
    note = function() return { text = random_text(), stars = math.random(3) } end,
    shout = function() return { text = random_text() } end,
}

--- Tables as sets of row bytes, changed the plain way.
local function copy(state)
    local fresh = {}
    for name, rows in pairs(state) do
        fresh[name] = {}
        for bytes, values in pairs(rows) do fresh[name][bytes] = values end
    end
    return fresh
end

--- The row that holds the same unique value, if one does; `except` may.
local function rival(rows, name, values, except)
    for _, column in ipairs(uniques[name]) do
        for bytes, other in pairs(rows) do
            if bytes ~= except and other[column] == values[column] then return bytes end
        end
    end
end

local function holder(rows, column, values)
    for bytes, other in pairs(rows) do
        if other[column] == values[column] then return bytes end
    end
end

local function model_insert(rows, name, bytes, values)
    if rows[bytes] then return true end
    if rival(rows, name, values) then return false end
    rows[bytes] = values
    return true
end

local function model_update(rows, name, column, bytes, values)
    local old = holder(rows, column, values)
    if not old or rival(rows, name, values, old) then return false end
    rows[old] = nil
    rows[bytes] = values
    return true
end

local function random_member(rows)
    local list = {}
    for bytes in pairs(rows) do list[#list + 1] = bytes end
    table.sort(list)
    return #list > 0 and list[math.random(#list)] or nil
end

--- What differs between two sets of rows, as a commit would tell it.
local function difference(before, after)
    local changes = {}
    for name in pairs(after) do
        local deletes, inserts = {}, {}
        for bytes in pairs(before[name]) do if not after[name][bytes] then deletes[#deletes + 1] = bytes end end
        for bytes in pairs(after[name]) do if not before[name][bytes] then inserts[#inserts + 1] = bytes end end
        table.sort(deletes)
        table.sort(inserts)
        if #deletes + #inserts > 0 then changes[name] = { deletes = deletes, inserts = inserts } end
    end
    return changes
end

local function sorted(changes)
    for _, net in pairs(changes) do
        table.sort(net.deletes)
        table.sort(net.inserts)
    end
    return changes
end

local function one_change(world, txn, state)
    local name = tables[math.random(#tables)].name
    local rows, values = state[name], makers[name]()
    local bytes = world:table(name):row(values)
    local dice = math.random(10)
    if dice <= 4 then
        assert.equal(model_insert(rows, name, bytes, values), txn:insert(name, bytes) ~= nil)
    elseif dice <= 7 and #uniques[name] > 0 then
        local index = math.random(#uniques[name])
        assert.equal(model_update(rows, name, uniques[name][index], bytes, values), txn:update(name, index, bytes) ~= nil)
    else
        local chosen = random_member(rows)
        if chosen then
            assert(txn:delete(name, chosen))
            rows[chosen] = nil
        end
    end
end

local function check_state(world, state)
    world:check()
    for name, rows in pairs(state) do
        local found, expected = {}, {}
        for _, bytes in ipairs(world:table(name):rows()) do found[bytes] = true end
        for bytes in pairs(rows) do expected[bytes] = true end
        assert.same(expected, found)
    end
end

--- Random transactions against the model; a second world follows by what the log would hold.
local function run(rounds)
    local world, follower = store.world(tables), store.world(tables)
    local txn = transactions.new(world)
    local state = { player = {}, thing = {}, note = {}, shout = {} }
    for _ = 1, rounds do
        local before = copy(state)
        txn:begin()
        for _ = 1, math.random(0, 25) do one_change(world, txn, state) end
        check_state(world, state)
        if math.random(4) == 1 then
            txn:abort()
            state = before
        else
            local changes, encoded = txn:commit()
            assert.same(difference(before, state), sorted(changes))
            state.shout = {}
            if encoded then assert(transactions.replay(follower, encoded)) end
        end
        check_state(world, state)
    end
    check_state(follower, state)
    txn:free()
    world:free()
    follower:free()
end

describe("transactions", function()
    it("do what plain sets of rows do, whatever happens, and their log repeats it", function()
        local seed = os.time() % 100000
        math.randomseed(seed)
        local fine, why = xpcall(run, debug.traceback, 250)
        assert(fine, ("seed %d: %s"):format(seed, tostring(why)))
    end)
end)
