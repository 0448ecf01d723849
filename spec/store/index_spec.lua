local store = require "spec.support.store"

--- -1, 0 or 1 for lists of column values, as far as both go.
local function order(left, right)
    for place = 1, math.min(#left, #right) do
        local a, b = left[place], right[place]
        if type(a) == "boolean" then
            a, b = a and 1 or 0, b and 1 or 0
        elseif type(a) == "table" then
            a, b = a.tag, b.tag
        end
        if a ~= b then return a < b and -1 or 1 end
    end
    return 0
end

local words = { "", "a", "ab", "abcdefgh", "abcdefghi", "abcdefghij", "b", "caf\195\169", "zz" }
-- Most begin alike, few do not: a stem that is made, shortened, and looked for by what stands before and behind it.
local function path()
    if math.random(40) == 1 then return words[math.random(#words)] .. ("players/of/the/north"):sub(1, math.random(20)) end
    return "players/of/the/" .. (math.random(2) == 1 and "north/" or "northern-sea/") .. math.random(300)
end

local kinds = {
    u8 = function() return math.random(0, 20) end,
    u32 = function() return math.random(0, 300) end,
    i32 = function() return math.random(-150, 150) end,
    u64 = function() return 2ULL ^ math.random(0, 3) * 1000000007ULL * math.random(0, 90) end,
    f32 = function() return math.random(-40, 40) / 4 end,
    string = function() return words[math.random(#words)] .. (math.random(3) == 1 and math.random(9) or "") end,
    bool = function() return math.random(2) == 1 end,
    ["< 0 a: unit | 1 b: unit | 2 c: unit >"] = function() return { tag = ("abc"):sub((math.random(3))):sub(1, 1) } end,
}

--- A table beside a plain Lua list of its rows, changed at random.
local Pair = {}
Pair.__index = Pair

local function pair_of(columns, index)
    local declared = { name = "t", columns = { unpack(columns) }, indexes = { index } }
    table.insert(declared.columns, { "serial", "u32" })
    local world = store.world { declared }
    return setmetatable({ world = world, table = world:table "t", columns = columns, index = index, rows = {},
        serial = 0 }, Pair)
end

function Pair:key(values)
    local key = {}
    for place, name in ipairs(self.index) do key[place] = values[name] end
    return key
end

function Pair:random_key(count)
    local key = {}
    for place = 1, count do
        for _, column in ipairs(self.columns) do
            if column[1] == self.index[place] then key[place] = (column[3] or kinds[column[2]])() end
        end
    end
    return key
end

function Pair:is_taken(key)
    for _, row in ipairs(self.rows) do
        if order(row.key, key) == 0 then return true end
    end
    return false
end

function Pair:add()
    self.serial = self.serial + 1
    local values = { serial = self.serial }
    for _, column in ipairs(self.columns) do values[column[1]] = (column[3] or kinds[column[2]])() end
    local key = self:key(values)
    if self.index.unique and self:is_taken(key) then return end
    local bytes = self.table:row(values)
    table.insert(self.rows, { key = key, bytes = bytes })
    self.table:restore(bytes)
end

function Pair:drop()
    if #self.rows == 0 then return end
    local row = table.remove(self.rows, math.random(#self.rows))
    assert(self.table:erase(row.bytes))
end

--- The model's answer to a walk: rows by their bytes, and their keys in order.
function Pair:expected(lower, upper)
    local found = {}
    for _, row in ipairs(self.rows) do
        local low, high = order(row.key, lower), order(row.key, upper)
        if (#lower == 0 or low > 0 or (low == 0 and not lower.exclusive)) and
            (#upper == 0 or high < 0 or (high == 0 and not upper.exclusive)) then
            found[row.bytes] = true
        end
    end
    return found
end

function Pair:check_walk(lower, upper, reverse)
    local rows = assert(self.table:walk(1, lower, upper, reverse))
    local found, last = {}, nil
    for _, bytes in ipairs(rows) do
        local key = self:key(self.table:values(bytes))
        assert.is_nil(found[bytes])
        found[bytes] = true
        if last then assert.is_true(order(last, key) * (reverse and -1 or 1) <= 0) end
        last = key
    end
    assert.same(self:expected(lower, upper), found)
end

function Pair:random_bound()
    local bound = self:random_key(math.random(0, #self.index))
    bound.exclusive = math.random(3) == 1
    return bound
end

function Pair:check()
    self.table:check()
    for _ = 1, 20 do
        local key = self:random_key(#self.index)
        local found = self.table:find(1, key)
        assert.equal(self:is_taken(key), found ~= nil)
        if found then assert.equal(0, order(key, self:key(self.table:values(found)))) end
        self:check_walk(key, key)
    end
    if self.index.kind == "hash" then return end
    self:check_walk({}, {}, false)
    self:check_walk({}, {}, true)
    for _ = 1, 20 do self:check_walk(self:random_bound(), self:random_bound(), math.random(2) == 1) end
end

local function live(columns, index)
    local pair = pair_of(columns, index)
    for _, growth in ipairs { 0.9, 0.5, 0.1, 0.7, 0.02 } do
        for _ = 1, 400 do
            if math.random() < growth then pair:add() else pair:drop() end
        end
        pair:check()
    end
    pair.world:free()
end

local enum = "< 0 a: unit | 1 b: unit | 2 c: unit >"
local shapes = {
    { "a number", { { "a", "u32" } }, { "a" } },
    { "a signed number", { { "a", "i32" } }, { "a" } },
    { "a wide number", { { "a", "u64" } }, { "a" } },
    { "a float", { { "a", "f32" } }, { "a" } },
    { "a string", { { "a", "string" } }, { "a" } },
    { "strings that begin alike", { { "a", "string", path } }, { "a" } },
    { "strings that begin alike, and a number", { { "a", "string", path }, { "b", "u8" } }, { "a", "b" } },
    { "a string behind a string", { { "a", "string" }, { "b", "string" } }, { "b" } },
    { "a number behind a string", { { "a", "string" }, { "b", "u32" } }, { "b" } },
    { "a number and a string", { { "a", "u8" }, { "b", "string" } }, { "a", "b" } },
    { "numbers side by side", { { "a", "u8" }, { "b", "i32" }, { "c", "bool" } }, { "a", "b", "c" } },
    { "columns out of order", { { "a", "u8" }, { "b", "string" }, { "c", "i32" } }, { "b", "c", "a" } },
    { "a few values many times", { { "a", "u8" } }, { "a" } },
    { "an enum", { { "a", enum } }, { "a" } },
}

local function with(index, kind, unique)
    return { kind = kind, unique = unique, unpack(index) }
end

for _, kind in ipairs { "btree", "hash" } do
    describe(kind == "btree" and "a B-tree index" or "a hash index", function()
        for _, shape in ipairs(shapes) do
            for _, unique in ipairs { false, true } do
                it(("over %s%s answers like a list of rows"):format(shape[1], unique and ", unique," or ""), function()
                    local seed = os.time() % 100000
                    math.randomseed(seed)
                    local fine, why = xpcall(live, debug.traceback, shape[2], with(shape[3], kind, unique))
                    assert(fine, ("seed %d: %s"):format(seed, tostring(type(why) == "table" and why.message or why)))
                end)
            end
        end
    end)
end

describe("a direct index", function()
    for _, type in ipairs { "u8", "u32", "u64", enum } do
        it(("over %s answers like a list of rows"):format(type), function()
            math.randomseed(os.time())
            live({ { "a", type } }, with({ "a" }, "direct", true))
        end)
    end

    it("holds the largest value beside the smallest", function()
        local world = store.world { { name = "t", columns = { { "a", "u64" } },
            indexes = { { "a", kind = "direct", unique = true } } } }
        local t = world:table "t"
        local largest = 0xffffffffffffffffULL
        for _, value in ipairs { 0ULL, 1ULL, largest, largest - 1 } do t:restore(t:row { a = value }) end
        t:check()
        assert.same({ t:row { a = largest }, t:row { a = largest - 1 } }, t:walk(1, { 1ULL, exclusive = true }, {}, true))
        assert.same({}, t:walk(1, { largest, exclusive = true }, {}))
        assert.same({}, t:walk(1, {}, { 0ULL, exclusive = true }))
        world:free()
    end)
end)

describe("an index", function()
    it("of hashes refuses what is not a whole key", function()
        local world = store.world { { name = "t", columns = { { "a", "u32" }, { "b", "u32" } },
            indexes = { { "a", "b", kind = "hash" } } } }
        local _, why = world:table("t"):walk(1, { 1 }, { 1 })
        assert.equal("the index `t_a_b_hash` is a hash index: it finds rows by their whole key, not by a part or a range",
            why)
        world:free()
    end)

    it("takes one of many equal keys out without looking at the others", function()
        for _, kind in ipairs { "btree", "hash" } do
            local world = store.world { { name = "t", columns = { { "team", "u8" }, { "id", "u32" } },
                indexes = { { "team", kind = kind }, { "id", kind = "hash", unique = true } } } }
            local t = world:table "t"
            local rows = {}
            for id = 1, 30000 do
                rows[id] = t:row { team = 7, id = id }
                t:restore(rows[id])
            end
            local began = os.clock()
            for id = 1, 30000 do assert(t:erase(rows[id])) end
            assert.is_true(os.clock() - began < 5)
            t:check()
            world:free()
        end
    end)

    it("costs little memory beside its rows", function()
        local world = store.world { { name = "player", columns = { { "id", "u32" }, { "x", "f32" }, { "y", "f32" },
            { "z", "f32" }, { "health", "i32" }, { "name", "string" } },
            indexes = { { "id", kind = "hash", unique = true } } } }
        local t = world:table "player"
        local row = t:row { id = 0, x = 1, y = 2, z = 3, health = 100, name = "a name of sixtee" }:sub(5)
        local id = require("ffi").new "uint32_t[1]"
        for number = 1, 100000 do
            id[0] = number
            t:restore(require("ffi").string(id, 4) .. row)
        end
        assert.is_true(t:memory() / 100000 <= 57)
        t:check()
        world:free()
    end)
end)
