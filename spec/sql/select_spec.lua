--- SELECT of the whole grammar: what comes out, in what order, what of many rows; and what is refused in which words.
local cjson = require("cjson")
local sql = require("spec.support.sql")

describe("a SELECT", function()
    local world, rows

    setup(function()
        world = sql.world {
            { name = "player", key = "id", columns = { { "id", "u32" }, { "guild", "u32", index = "BTree" },
                { "name", "string" }, { "gold", "i64" }, { "x", "f32" }, { "mood", "option(string)" } } },
            { name = "guild", key = "id", columns = { { "id", "u32" }, { "name", "string" } } },
            { name = "city", columns = { { "guild", "u32" }, { "name", "string" } } },
            { name = "wide", columns = { { "a", "u256" }, { "b", "i128" } } },
            { name = "secret", private = true, columns = { { "id", "u32" } } },
        }
        local players = {}
        for id, of in ipairs { { 1, "ann", 5, 0.0 }, { 1, "ben", -2, -0.0 }, { 2, "cat", 7, 1.5 }, { 3, "dan", 0, 2.5 } } do
            players[id] = world:row("player", { id = id, guild = of[1], name = of[2], gold = of[3], x = of[4],
                mood = { tag = "none" } })
        end
        rows = world:fill {
            player = players,
            guild = { world:row("guild", { id = 1, name = "red" }), world:row("guild", { id = 2, name = "blue" }) },
            city = { world:row("city", { guild = 1, name = "Rome" }), world:row("city", { guild = 1, name = "Oslo" }),
                world:row("city", { guild = 2, name = "Bonn" }) },
            wide = { world:row("wide", { a = "1", b = "-3" }), world:row("wide", { a = "2", b = "1" }) },
        }
    end)

    local function answer(text, options)
        return cjson.decode((assert(world:ask(text, rows, options))))[1]
    end

    local function rows_of(text) return answer(text).rows end

    local function names_of(text)
        local names = {}
        for place, element in ipairs(answer(text).schema.elements) do
            names[place] = element.name.some
        end
        return names
    end

    local function types_of(text)
        local types = {}
        for place, element in ipairs(answer(text).schema.elements) do
            types[place] = next(element.algebraic_type)
        end
        return types
    end

    local function assert_refused(expected, text, options)
        local found, refusal = world:ask(text, rows, options)
        assert.is_nil(found, text)
        assert.equal(expected, refusal)
    end

    it("gives columns in the order they are asked for, under the names they are given", function()
        assert.same({ { "ann", 1 }, { "ben", 2 } }, rows_of "SELECT name, id FROM player WHERE guild = 1 ORDER BY id")
        assert.same({ "who", "id", "gold" }, names_of "SELECT name AS who, p.id, gold FROM player p")
        assert.same({ "String", "U32" }, types_of "SELECT name AS who, id FROM player")
        assert.same({ "guild", "name" }, names_of "SELECT c.* FROM city c JOIN guild g ON c.guild = g.id")
        assert.same({ "guild", "name", "id", "name" }, names_of "SELECT * FROM city c JOIN guild g ON c.guild = g.id")
        assert_refused("Unsupported: * beside columns; name the columns, or take all of them, at character 9, near `,`",
            "SELECT *, id FROM player")
        assert_refused("Unsupported: * beside columns; name the columns, or take all of them, at character 16, near `FROM`",
            "SELECT id, p.* FROM player p")
        assert_refused("`nam` is not in scope (did you mean `name`?), at character 8, near `nam`", "SELECT nam FROM player")
        assert_refused("Unsupported: arithmetic; a query gives columns as they are, at character 11, near `+`",
            "SELECT id + 1 FROM player")
    end)

    it("joins any number of tables", function()
        assert.same({ { "ann", "Oslo" }, { "ann", "Rome" }, { "ben", "Oslo" }, { "ben", "Rome" }, { "cat", "Bonn" } },
            rows_of("SELECT p.name, c.name FROM player p JOIN guild g ON p.guild = g.id JOIN city c ON c.guild = g.id " ..
                "ORDER BY p.name, c.name"))
        assert.equal(4 * 2 * 3, #rows_of "SELECT p.id FROM player p JOIN guild g JOIN city c")
        assert_refused("`c` is not in scope, at character 52, near `c`",
            "SELECT p.id FROM player p JOIN guild g ON g.name = c.name JOIN city c")
        assert_refused("a statement joins 16 tables at most, at character 196, near `guild`",
            "SELECT a.id FROM guild a" .. (" JOIN guild"):rep(16))
    end)

    it("counts rows", function()
        assert.same({ { 4 } }, rows_of "SELECT COUNT(*) AS n FROM player")
        assert.same({ "U64" }, types_of "SELECT COUNT(*) AS n FROM player")
        assert.same({ "n" }, names_of "SELECT COUNT(*) n FROM player")
        assert.same({ "count" }, names_of "SELECT count(*) FROM player")
        assert.same({ { 0 } }, rows_of "SELECT COUNT(*) AS n FROM player WHERE id > 100")
        assert.same({ { 5 } }, rows_of "SELECT COUNT(*) AS n FROM player p JOIN city c ON p.guild = c.guild")
    end)

    it("adds, compares and averages columns in types that hold the result", function()
        assert.same({ { 10, -2, 7, 2.5, 4 } }, (function()
            local found = rows_of "SELECT SUM(gold), MIN(gold), MAX(gold), AVG(gold), COUNT(gold) FROM player"
            for place = 2, 4 do
                found[1][place] = found[1][place][2]
            end
            return found
        end)())
        assert.same({ "I128", "U64", "F64", "U256", "I256" },
            types_of "SELECT SUM(gold), SUM(guild), SUM(x), SUM(a), SUM(b) FROM player JOIN wide")
        assert.same({ { "0x3", "-0x2" } }, rows_of "SELECT SUM(a), SUM(b) FROM wide")
        assert.same({ { { 0, -1 } } }, rows_of "SELECT AVG(b) FROM wide")
        assert_refused("SUM does not take a column of type `string`, at character 8, near `SUM`",
            "SELECT SUM(name) FROM player")
        assert_refused("a column of type `option<string>` has no order, at character 12, near `mood`",
            "SELECT MIN(mood) FROM player")
        assert_refused("Unsupported: this function; there are COUNT, SUM, MIN, MAX and AVG, at character 8, near `lower`",
            "SELECT lower(name) FROM player")
    end)

    it("says that a function of no rows has no value", function()
        assert.same({ { 0, { 1, {} }, { 1, {} } } }, rows_of "SELECT SUM(gold), MAX(name), AVG(x) FROM player WHERE FALSE")
        assert.same({}, rows_of "SELECT guild, MAX(name) FROM player WHERE FALSE GROUP BY guild")
    end)

    it("gathers rows of equal columns", function()
        assert.same({ { 1, 2, "ann" }, { 2, 1, "cat" }, { 3, 1, "dan" } },
            rows_of "SELECT guild, COUNT(*) AS n, MIN(name) FROM player GROUP BY guild ORDER BY guild")
        assert.same({ { "red", 3 }, { "blue", 7 } },
            rows_of("SELECT g.name, SUM(p.gold) AS total FROM player p JOIN guild g ON p.guild = g.id GROUP BY g.name, g.id " ..
                "ORDER BY g.id"))
        assert.same({ { 0, 2 } }, rows_of "SELECT x, COUNT(*) AS n FROM player GROUP BY x ORDER BY n DESC LIMIT 1")
        assert.same({ { 1 }, { 2 }, { 3 } }, rows_of "SELECT guild FROM player GROUP BY guild ORDER BY guild")
        assert_refused("`name` differs among the rows of a group; add it to GROUP BY, or take MIN or MAX of it, " ..
            "at character 15, near `name`", "SELECT guild, name FROM player GROUP BY guild")
        assert_refused("`name` differs among the rows of a group; add it to GROUP BY, or take MIN or MAX of it, " ..
            "at character 8, near `name`", "SELECT name, COUNT(*) AS n FROM player")
        assert_refused("`gold` differs among the rows of a group; order by what the query gives, at character 50, near `gold`",
            "SELECT guild FROM player GROUP BY guild ORDER BY gold")
        assert_refused("* does not go with GROUP BY; name the columns, at character 8, near `*`",
            "SELECT * FROM player GROUP BY guild")
    end)

    it("orders by columns and by what it gives, and stops after a number of rows", function()
        assert.same({ { "cat" }, { "ann" } }, rows_of "SELECT name FROM player ORDER BY gold DESC LIMIT 2")
        assert.same({ { "dan" }, { "ben" } }, rows_of "SELECT name FROM player ORDER BY gold DESC LIMIT 2 OFFSET 2")
        assert.same({ { 1, 2 } }, rows_of "SELECT guild, COUNT(*) AS n FROM player GROUP BY guild ORDER BY n DESC LIMIT 1")
        assert.same({ { 4, "dan" } }, rows_of "SELECT id, name AS who FROM player ORDER BY who DESC LIMIT 1")
        assert.equal(2, #rows_of "SELECT * FROM player LIMIT 2")
        assert.equal(1, #rows_of "SELECT * FROM player LIMIT 2 OFFSET 3")
        assert.same({}, rows_of "SELECT * FROM player LIMIT 0")
        assert.same({}, rows_of "SELECT * FROM player ORDER BY id LIMIT 0")
        assert.same({ { 1 } }, rows_of "SELECT id FROM player WHERE x = 0 ORDER BY x, id LIMIT 1")
        assert_refused("expected a whole number, at character 28, near `1.5`", "SELECT * FROM player LIMIT 1.5")
        assert_refused("expected the end of the query, at character 30, near `WHERE`",
            "SELECT * FROM player LIMIT 1 WHERE id = 1")
    end)

    it("is explained with the tables in the order they are read, and the indexes used", function()
        local players, guilds = {}, {}
        for id = 1, 200 do
            players[id] = world:row("player", { id = id, guild = id % 20, name = "x", gold = 0, x = 0,
                mood = { tag = "none" } })
            guilds[id] = world:row("guild", { id = id, name = "x" })
        end
        local filled = world:fill { player = players, guild = guilds }
        local function explain(text)
            local lines = {}
            for place, row in ipairs(cjson.decode((assert(world:ask("EXPLAIN " .. text, filled))))[1].rows) do
                lines[place] = row[1]
            end
            return lines
        end
        local joined = " FROM player p JOIN guild g ON p.guild = g.id"
        assert.same({
            "guild (g): look up in index guild_id_idx_btree: id = a value, keep what passes the condition; " ..
                "about 1 rows so far, of 200 in the table",
            "for each, player (p): look up in index player_guild_idx_btree: guild = g.id, keep what passes the condition; " ..
                "about 20 rows so far, of 200 in the table",
            "gather rows of equal p.name", "order by n descending", "stop after 5" },
            explain("SELECT p.name, COUNT(*) AS n" .. joined .. " WHERE g.id = 2 GROUP BY p.name ORDER BY n DESC LIMIT 5"))
        assert.same({ "player: look up in index player_guild_idx_btree: a range of guild, keep what passes the condition; " ..
            "about 60 rows so far, of 200 in the table" }, explain "SELECT * FROM player WHERE guild > 3")
        assert.truthy(explain("SELECT p.id FROM player p JOIN guild g ON p.name = g.name")[2]
            :find("for each, .*: read all rows once into a hash table, look up name = .%.name"))
        assert.same({ { "the condition holds for no row: nothing is read" } },
            rows_of "EXPLAIN SELECT * FROM player WHERE FALSE")
        assert.truthy(explain("SELECT name FROM city WHERE name > 'a'")[1]:find("^city: read all rows, keep what passes"))
        assert_refused("Unsupported: EXPLAIN of SET and SHOW; there is nothing to explain, at character 9, near `SHOW`",
            "EXPLAIN SHOW row_limit")
    end)

    it("is explained with the hash index that would have helped if it had an order", function()
        local own = sql.world { { name = "star", columns = { { "id", "u32", index = "Hash" }, { "x", "u32" }, { "y", "u32" } },
            indexes = { { kind = "Hash", accessor = "x_y", columns = { "x", "y" } } } } }
        local filled = own:fill { star = { own:row("star", { id = 1, x = 1, y = 1 }) } }
        local function access(condition)
            return assert(own:ask("EXPLAIN SELECT * FROM star WHERE " .. condition, filled)):match "star: (.-), keep"
        end
        assert.equal("look up in index star_id_idx_hash: id = a value", access "id = 1")
        for _, condition in ipairs { "id > 1", "id >= 1 AND id < 9 AND y > 2" } do
            assert.equal("read all rows, since hash index star_id_idx_hash finds no ranges", access(condition))
        end
        for _, condition in ipairs { "x > 2", "x = 1 AND y > 2" } do
            assert.equal("read all rows, since hash index star_x_y_idx_hash finds no ranges", access(condition))
        end
        for _, condition in ipairs { "y > 1", "id <> 1", "x = 1" } do
            assert.equal("read all rows", access(condition))
        end
    end)

    it("with an order and a limit walks an index that has the order, and reads no more than it gives", function()
        local players = {}
        for id = 1, 1000 do
            players[id] = world:row("player", { id = id, guild = id % 10, name = "x", gold = id, x = id,
                mood = { tag = "none" } })
        end
        local filled = world:fill { player = players }
        local function first_of(text, limits)
            return cjson.decode((assert(world:ask(text, filled, limits))))[1].rows
        end
        assert.same({ { "player: walk index player_id_idx_btree, downwards; about 3 rows so far, of 1000 in the table" },
            { "stop after 3" } }, first_of "EXPLAIN SELECT id FROM player ORDER BY id DESC LIMIT 3")
        assert.same({ { 1000 }, { 999 }, { 998 } },
            first_of("SELECT id FROM player ORDER BY id DESC LIMIT 3", { rows_max = 255, estimate_max = 3 }))
        assert.same({ { 6 }, { 7 } },
            first_of("SELECT id AS n FROM player WHERE id > 5 ORDER BY n LIMIT 2", { rows_max = 255 }))
        assert.same({ { 0 }, { 0 } },
            first_of("SELECT guild FROM player ORDER BY guild LIMIT 2 OFFSET 7", { rows_max = 255 }))
        assert.same({ { 10 } }, first_of "SELECT id FROM player WHERE guild = 0 ORDER BY guild, id LIMIT 1")
    end)

    it("shows a private table to the owner alone, and tells nobody else that there is one", function()
        assert_refused("no such table: `secret`. If the table exists, it may be marked private.", "SELECT * FROM secret")
        assert_refused("no such table: `secret`. If the table exists, it may be marked private.",
            "SELECT p.id FROM player p JOIN secret s ON p.id = s.id")
        assert.same({}, answer("SELECT * FROM secret", { is_owner = true }).rows)
    end)

    it("is stopped by what it costs, in words that say what", function()
        local many = {}
        for id = 1, 2000 do
            many[id] = world:row("city", { guild = id, name = "x" })
        end
        local filled = world:fill { city = many }
        local function refusal(text, limits) return select(2, world:ask(text, filled, limits)) end
        local bomb = "SELECT COUNT(*) AS n FROM city a JOIN city b JOIN city c JOIN city d"
        assert.equal("the statement looked at more than 100000 rows and was stopped: narrow it by columns that have an index",
            refusal(bomb, { rows_max = 100000 }))
        assert.truthy(refusal(bomb, { time_max_us = 20000 })
            :find "^the statement ran longer than 20 ms and was stopped after %d+ rows")
        for _, text in ipairs { "SELECT a.guild FROM city a JOIN city b", "SELECT guild FROM city ORDER BY name",
            "SELECT guild, COUNT(*) AS n FROM city GROUP BY guild",
            "SELECT a.guild FROM city a JOIN city b ON a.name = b.name" } do
            assert.equal("the statement needs more than 0 MiB of memory and was stopped: take fewer rows at once, "
                .. "by WHERE or LIMIT, or fewer columns",
                refusal(text, { bytes_max = 20000 }), text)
        end
        assert.equal("the statement would look at about 2000 rows, and the database's row_limit is 1000: narrow it by " ..
            "columns that have an index", refusal("SELECT * FROM city", { estimate_max = 1000 }))
        assert.is_nil(refusal("SELECT name FROM city ORDER BY guild LIMIT 10", { bytes_max = 20000 }))
    end)
end)
