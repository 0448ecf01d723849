--- Queries of two tables, and of the first rows in an order: which are taken, and that they give what a plain loop gives.
local sql = require("spec.support.sql")

describe("a query with a join", function()
    local world

    setup(function()
        world = sql.world {
            { name = "player", key = "id", columns = {
                { "id", "u32" }, { "guild", "u32", index = "BTree" }, { "name", "string" }, { "x",
                    "f32", index = "BTree" } } },
            { name = "guild", key = "id", columns = { { "id", "u32" }, { "name", "string" }, { "x",
                "f32", index = "BTree" } } },
            { name = "visit", event = true, columns = { { "guild", "u32" } } },
            { name = "secret", private = true, columns = { { "id", "u32", index = "BTree" } } },
        }
    end)

    local function assert_refused(expected, text, options)
        local query, found = world:compile(text, options)
        assert.is_nil(query, text)
        assert.equal(expected, found)
    end

    local joined = "SELECT p.* FROM player p JOIN guild g ON p.guild = g.id"

    it("says which table's rows come out", function()
        assert.equal(0, assert(world:compile(joined)).query.join.output)
        assert.equal(1, assert(world:compile "SELECT guild.* FROM player p JOIN guild ON guild.id = guild").query.join.output)
        assert_refused("Unsupported: SELECT * with a join; a query returns rows of one table: SELECT t.*, " ..
            "at character 8, near `*`",
            "SELECT * FROM player p JOIN guild g ON p.guild = g.id")
        assert_refused("`q` is not in scope, at character 8, near `q`",
            "SELECT q.* FROM player p JOIN guild g ON p.guild = g.id")
    end)

    it("joins two tables by an equality of two columns", function()
        for _, text in ipairs { "SELECT p.* FROM player p INNER JOIN guild g ON (g.id = p.guild)",
            "SELECT p.* FROM player p JOIN guild g WHERE p.guild = g.id",
            "SELECT p.* FROM player p JOIN player q ON p.guild = q.id" } do
            assert(world:compile(text))
        end
        assert_refused("the tables are joined by nothing: write ON a.x = b.y, at character 26, near `JOIN`",
            "SELECT p.* FROM player p JOIN guild g WHERE p.guild < g.id")
        assert_refused("Unsupported: ON that is not one equality of two columns; put the rest into WHERE, at character 50, " ..
            "near `>`", "SELECT p.* FROM player p JOIN guild g ON p.guild > g.id")
        assert_refused("Unsupported: more than two tables, at character 57, near `JOIN`",
            joined .. " JOIN guild h ON g.id = h.id")
        assert_refused("`guild` is named twice; give one of them another name with AS, at character 32, near `guild`",
            "SELECT guild.* FROM guild JOIN guild ON guild.id = guild.id")
        assert_refused("no such table: `secret`. If the table exists, it may be marked private.",
            "SELECT p.* FROM player p JOIN secret s ON p.id = s.id")
    end)

    it("takes a column without its table where only one has it", function()
        assert(world:compile(joined .. " WHERE guild = 1"))
        assert_refused("`name` is ambiguous: write `p.name` or `g.name`, at character 63, near `name`",
            joined .. " WHERE name = 'x'")
        assert_refused("`gild` is not in scope (did you mean `guild`?), at character 63, near `gild`",
            joined .. " WHERE gild = 1")
    end)

    it("sorts conditions by the side they look at", function()
        local query = assert(world:compile(joined .. " WHERE p.name = 'ann' AND g.name > 'a' AND p.id > g.id AND p.guild < 9"))
        local ann, bob = world:row("player", { id = 5, guild = 1, name = "ann", x = 0 }),
            world:row("player", { id = 1, guild = 1, name = "bob", x = 0 })
        local guild = world:row("guild", { id = 1, name = "b", x = 0 })
        assert.is_true(query:side_matches(0, ann))
        assert.is_false(query:side_matches(0, bob))
        assert.is_true(query:side_matches(1, guild))
        assert.is_true(query:pair_matches(ann, guild))
        assert.is_false(query:pair_matches(bob, guild))
        assert.equal(1, query.query.join.columns[0])
        assert.equal(0, query.query.join.columns[1])
        assert.equal(1, query.query.join.sides[0].equality_count)
        assert.equal(1, query.query.join.sides[0].range_count)
        assert.equal(1, query.query.join.sides[1].range_count)
    end)

    it("gives nothing when a condition contradicts itself", function()
        for _, condition in ipairs { "FALSE", "p.id = 1 AND p.id = 2", "g.id = 1 AND g.id > 1" } do
            assert.is_true(assert(world:compile(joined .. " WHERE " .. condition)).query.never)
        end
    end)

    it("is subscribed only with an index on both join columns, and never looks up an event table", function()
        assert(world:compile(joined, { subscribed = true }))
        assert(world:compile("SELECT g.* FROM visit v JOIN guild g ON v.guild = g.id", { subscribed = true }))
        assert_refused("Subscriptions require indexes on join columns: add one on `name` of table `player`, " ..
            "at character 26, near `JOIN`", "SELECT p.* FROM player p JOIN guild g ON p.name = g.name", { subscribed = true })
        assert_refused(
            "Subscriptions require indexes on join columns, and those cannot be floats, at character 26, near `JOIN`",
            "SELECT p.* FROM player p JOIN guild g ON p.x = g.x", { subscribed = true })
        assert_refused("Subscriptions require indexes on join columns: say with ON a.x = b.y what joins the tables, " ..
            "at character 26, near `JOIN`", "SELECT p.* FROM player p JOIN guild g", { subscribed = true })
        assert_refused("an event table holds no rows to look up: put it in front of JOIN, at character 25, near `JOIN`",
            "SELECT g.* FROM guild g JOIN visit v ON v.guild = g.id", { subscribed = true })
    end)

    it("chooses the equality that has indexes among several", function()
        local query = assert(world:compile("SELECT p.* FROM player p JOIN guild g ON p.name = g.name WHERE p.guild = g.id",
            { subscribed = true }))
        assert.equal(1, query.query.join.columns[0])
    end)

    it("gives a row once for each partner", function()
        local rows = world:fill {
            player = { world:row("player", { id = 1, guild = 1, name = "ann", x = 0 }) },
            guild = { world:row("guild", { id = 1, name = "a", x = 0 }), world:row("guild",
                { id = 2, name = "b", x = -0.0 }) },
        }
        assert.equal(1, #assert(world:compile(joined)):run(rows))
        assert.equal(2, #assert(world:compile "SELECT p.* FROM player p JOIN guild g ON p.x = g.x"):run(rows))
    end)

    it("stops when its budget is used up, and says which", function()
        local many = {}
        for id = 1, 600 do
            many[id] = world:row("player", { id = id, guild = 1, name = "x", x = id })
        end
        local rows = world:fill { player = many }
        local query = assert(world:compile "SELECT p.* FROM player p JOIN player q ON p.guild = q.guild")
        local found, refusal = query:run(rows, { rows_max = 1000 })
        assert.is_nil(found)
        assert.equal("the statement looked at more than 1000 rows and was stopped: narrow it by columns " ..
            "that have an index", refusal)
        found, refusal = assert(world:compile "SELECT p.* FROM player p JOIN player q ON p.name = q.name"):run(rows,
            { bytes_max = 1000 })
        assert.is_nil(found)
        assert.truthy(refusal:find("^the statement needs more than 0 MiB of memory and was stopped"), refusal)
        found, refusal = query:run(rows, { time_max_us = -1 })
        assert.is_nil(found)
        assert.truthy(refusal:find("^the statement ran longer than"), refusal)
    end)
end)

describe("a query with an order and a limit", function()
    local world, rows

    setup(function()
        world = sql.world { { name = "t", key = "id", columns = { { "id", "u32" }, { "score", "i32" }, { "nick",
            "option(string)" } } } }
        local encoded = {}
        for id, score in ipairs { 5, -1, 7, 5, 9, 0 } do
            encoded[id] = world:row("t", { id = id, score = score, nick = { tag = "none" } })
        end
        rows = world:fill("t", encoded)
    end)

    local function ids(text)
        local found = {}
        for place, row in ipairs(assert(world:compile(text)):run(rows)) do
            found[place] = row:byte()
        end
        return found
    end

    it("gives the first rows in that order, level ones by their bytes", function()
        assert.same({ 2, 6, 1, 4 }, ids "SELECT * FROM t ORDER BY score LIMIT 4")
        assert.same({ 5, 3, 1 }, ids "SELECT * FROM t ORDER BY score DESC LIMIT 3")
        assert.same({ 5, 3, 4, 1, 6, 2 }, ids "SELECT t.* FROM t ORDER BY t.score DESC, id DESC LIMIT 100")
        assert.same({ 3, 1 }, ids "SELECT * FROM t WHERE score < 9 ORDER BY score DESC LIMIT 2")
        assert.same({}, ids "SELECT * FROM t ORDER BY score LIMIT 0")
    end)

    it("orders by what has an order", function()
        local _, refusal = world:compile "SELECT * FROM t ORDER BY nick LIMIT 3"
        assert.equal("a column of type `option<string>` has no order, at character 26, near `nick`", refusal)
        _, refusal = world:compile "SELECT * FROM t ORDER BY score LIMIT -1"
        assert.equal("expected a whole number, at character 38, near `-`", refusal)
    end)
end)

local seed = tonumber(os.getenv "SEED") or os.time()

local function pick(list) return list[math.random(#list)] end

--- The rows of `left` once for each row of `right` that has the same value, in any order.
local function plain_join(left, right, column, other, accepts)
    local bag = {}
    for _, one in ipairs(left) do
        for _, two in ipairs(right) do
            if one.values[column] == two.values[other] and accepts(one.values, two.values) then
                bag[#bag + 1] = one.encoded
            end
        end
    end
    table.sort(bag)
    return bag
end

describe("joining (seed " .. seed .. ")", function()
    setup(function() math.randomseed(seed) end)

    local function random_table(name)
        local columns = { { "id", "u16" } }
        for _, column in ipairs { "a", "b" } do
            columns[#columns + 1] = { column, "u16", index = pick { false, "BTree", "Hash" } or nil }
        end
        return { name = name, key = "id", columns = columns }
    end

    local function random_rows(world, name)
        local rows, encoded = {}, {}
        for id = 1, math.random(0, 60) do
            local values = { id = id, a = math.random(0, 5), b = math.random(0, 20) }
            rows[id] = { values = values, encoded = world:row(name, values) }
            encoded[id] = rows[id].encoded
        end
        return rows, encoded
    end

    it("gives what two nested loops give, whatever indexes there are", function()
        for _ = 1, 60 do
            local world = sql.world { random_table "t", random_table "u" }
            local left, left_encoded = random_rows(world, "t")
            local right, right_encoded = random_rows(world, "u")
            local filled = world:fill { t = left_encoded, u = right_encoded }
            for _ = 1, 6 do
                local column, other, bound = pick { "id", "a", "b" }, pick { "id", "a", "b" }, math.random(0, 20)
                local condition, accepts = unpack(pick {
                    { "TRUE", function() return true end },
                    { "u.b < " .. bound, function(_, two) return two.b < bound end },
                    { "t.a = " .. bound % 6, function(one) return one.a == bound % 6 end },
                    { "t.b < u.b OR t.a = u.a", function(one, two) return one.b < two.b or one.a == two.a end },
                    { "t.a = u.a AND u.b >= " .. bound, function(one, two) return one.a == two.a and two.b >= bound end },
                })
                local text = ("SELECT t.* FROM t JOIN u ON t.%s = u.%s WHERE %s"):format(column, other, condition)
                local found = assert(world:compile(text)):run(filled)
                table.sort(found)
                assert.same(plain_join(left, right, column, other, accepts), found, text)
            end
        end
    end)
end)
