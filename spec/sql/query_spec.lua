--- Queries: what the grammar takes, how literals are read, what is refused in which words, and that evaluation agrees
--- with a plain evaluator in Lua on random rows and predicates.
local bsatn = require("spec.support.bsatn")
local sql = require("spec.support.sql")

local identity = ("0123456789abcdef"):rep(4)

local defaults = { id = 7, name = "ann", level = -3, who = identity, alive = true, x = 1.5, data = "\1\255",
    at = 1763626530123456LL, conn = ("0f"):rep(16), key = "01020304050607080910111213141516", big = "12345678901234567890123",
    small = -128, wide = 2.25, nick = { tag = "none" }, mood = { tag = "Fine" }, span = 5, other = 7 }

describe("a query", function()
    local world

    setup(function()
        world = sql.world {
            { name = "player", key = "id", columns = {
                { "id", "u32" }, { "name", "string" }, { "level", "i16" }, { "who", "Identity" }, { "alive", "bool" },
                { "x", "f32" }, { "data", "bytes" }, { "at", "Timestamp" }, { "conn", "ConnectionId" }, { "key", "Uuid" },
                { "big", "u256" }, { "small", "i8" }, { "wide", "f64" }, { "nick", "option(string)" },
                { "mood", "< 0 Fine: {} | 1 Sad: {} >" }, { "span", "TimeDuration" }, { "other", "u32" } } },
            { name = "secret", private = true, columns = { { "id", "u32" } } },
            { name = "order", columns = { { "select", "u32" } } },
        }
    end)

    local function matches(condition, changes)
        local values = {}
        for key, value in pairs(defaults) do
            values[key] = value
        end
        for key, value in pairs(changes or {}) do
            values[key] = value
        end
        local query = assert(world:compile("SELECT * FROM player WHERE " .. condition))
        return query:matches(world:row("player", values))
    end

    local function assert_all(expected, conditions, changes)
        for _, condition in ipairs(conditions) do
            assert.equal(expected, matches(condition, changes), condition)
        end
    end

    local function assert_refused(expected, text, is_owner)
        local query, found = world:compile(text, { is_owner = is_owner })
        assert.is_nil(query, text)
        assert.equal(expected, found)
    end

    local function assert_where_refused(expected, condition)
        local query, found = world:compile("SELECT * FROM player WHERE " .. condition)
        assert.is_nil(query, condition)
        assert.truthy(found:find(expected, 1, true), condition .. " gave: " .. found)
    end

    describe("text", function()
        it("takes keywords in any case, aliases, quoted names, comments and a semicolon", function()
            for _, text in ipairs {
                "SELECT * FROM player", "select * from player;", "SELECT player.* FROM player",
                'SELECT "player".* FROM "player"',
                "SELECT p.* FROM player AS p WHERE p.id = 1", "SELECT * FROM player p WHERE p.id = 1 AND id = 1",
                'SELECT * FROM "order" WHERE "order"."select" = 1', "SELECT * /* all */ FROM player -- of them\n WHERE TRUE",
                "\n\tSELECT\r\n*\fFROM player WHERE ((id=1)OR(id=2))", "SELECT * FROM player WHERE player.id = 1",
            } do
                assert(world:compile(text))
            end
        end)

        it("is one SELECT of whole rows from one table", function()
            assert_refused("the query is empty", "")
            assert_refused("the query is empty", " -- nothing\n")
            assert_refused("Unsupported: statements other than SELECT, at character 1, near `DELETE`", "DELETE FROM player")
            assert_refused("Unsupported: column lists and functions; a query returns whole rows: SELECT * or SELECT t.*, " ..
                "at character 8, near `id`", "SELECT id FROM player")
            assert_refused("Unsupported: LIMIT without ORDER BY; which rows come first would be left to chance, " ..
                "at character 22, near `limit`", "SELECT * FROM player limit 5")
            assert_refused("Unsupported: ORDER BY without LIMIT; rows come in no particular order, " ..
                "at character 35, near `ORDER`", "SELECT * FROM player WHERE id = 1 ORDER BY id")
            assert_refused("Unsupported: OFFSET in a query of whole rows, at character 42, near `OFFSET`",
                "SELECT * FROM player ORDER BY id LIMIT 5 OFFSET 2")
            assert_refused("Unsupported: GROUP BY; a query returns rows as they are stored, at character 22, near `GROUP`",
                "SELECT * FROM player GROUP BY id")
            assert_refused("Unsupported: tables with commas between them; write JOIN, at character 21, near `,`",
                "SELECT * FROM player, secret")
            assert_refused("Unsupported: Non-inner joins are not supported; write JOIN, at character 24, near `LEFT`",
                "SELECT * FROM player p LEFT JOIN secret")
            assert_refused("Unsupported: several statements at once; send them one by one, at character 23, near `SELECT`",
                "SELECT * FROM player; SELECT * FROM player")
            assert_refused("Unsupported: FROM *; name one table, at character 15, near `*`", "SELECT * FROM *")
        end)

        it("says where it stops making sense", function()
            assert_refused("expected FROM, at character 10, near `player`", "SELECT * player")
            assert_refused("expected the name of a table, at character 14, at the end of the query", "SELECT * FROM")
            assert_refused("expected WHERE or the end of the query, at character 24, near `(`", "SELECT * FROM player p (")
            assert_refused("expected a column, a value or :sender, at character 33, at the end of the query",
                "SELECT * FROM player WHERE id = ")
            assert_refused("expected one of = <> < <= > >=, at character 31, near `id`", "SELECT * FROM player WHERE id id")
            assert_refused("expected AND, OR or a closing parenthesis, at character 35, at the end of the query",
                "SELECT * FROM player WHERE (id = 1")
            assert_refused("a quoted text begins here and does not end, at character 35, near `'`",
                "SELECT * FROM player WHERE name = 'abc")
            assert_refused("a number runs into letters, at character 33, near `12`", "SELECT * FROM player WHERE id = 12ab")
            assert_refused("`größe` is not in scope, at character 45, near `größe`",
                "SELECT * FROM player WHERE name = 'äöü' AND größe = 1")
        end)

        it("is limited in size and depth, not in the number of conditions", function()
            local text = "SELECT * FROM player WHERE " .. ("("):rep(251) .. "id = 1" .. (")"):rep(251)
            local _, found = world:compile(text)
            assert.truthy(found:find("^more than 250 parentheses stand inside each other"), found)
            assert(world:compile("SELECT * FROM player WHERE " .. ("("):rep(250) .. "id = 1" .. (")"):rep(250)))
            _, found = world:compile("SELECT * FROM player" .. (" "):rep(50000))
            assert.equal("the query has 50020 bytes, and 50000 is the most", found)
            local many = assert(world:compile("SELECT * FROM player WHERE id = 0" .. (" OR id = 1"):rep(4000)))
            assert.is_false(many:matches(world:row("player", defaults)))
        end)

        it("is UTF-8", function()
            assert_refused("the query is not UTF-8", "SELECT * FROM player WHERE name = '\255'")
        end)
    end)

    describe("on names", function()
        it("tells words, names and texts apart", function()
            assert_refused("expected the name of a column; one that is a word of SQL stands in double quotes, at "
                .. "character 35, near `from`", "SELECT * FROM player WHERE player.from = 1")
            assert_refused("`Zacharias` is not in scope; a text stands in single quotes, at character 35, near "
                .. '`"Zacharias"`', 'SELECT * FROM player WHERE name = "Zacharias"')
        end)

        it("hints at the nearest one", function()
            assert_refused("`nmae` is not in scope (did you mean `name`?), at character 28, near `nmae`",
                "SELECT * FROM player WHERE nmae = 'x'")
            assert_refused("`plyer` is not in scope (did you mean `player`?), at character 28, near `plyer`",
                "SELECT * FROM player WHERE plyer.id = 1")
            assert_refused("no such table: `playr`. If the table exists, it may be marked private. Did you mean `player`?",
                "SELECT * FROM playr")
        end)

        it("tells a private table apart from a missing one only to the owner", function()
            local template = "no such table: `%s`. If the table exists, it may be marked private."
            assert_refused(template:format "secret", "SELECT * FROM secret")
            assert_refused(template:format "secreq", "SELECT * FROM secreq")
            assert(world:compile("SELECT * FROM secret", { is_owner = true }))
        end)

        it("is case-sensitive and hides a table's name behind its alias", function()
            assert.is_nil((world:compile "SELECT * FROM Player"))
            assert.is_nil((world:compile "SELECT * FROM player WHERE ID = 1"))
            assert.is_nil((world:compile "SELECT * FROM player p WHERE player.id = 1"))
            assert.is_nil((world:compile "SELECT player.* FROM player p"))
        end)
    end)

    describe("literal", function()
        it("is read at the type of the column, quoted or not", function()
            assert_all(true, { "id = 7", "id = '7'", "7 = id", "id = 7e0", "id = 0.7e1", "id = 70e-1", "id = 7.0", "level = -3",
                "level = - 3", "small = -128", "big = 12345678901234567890123", "big = 1.2345678901234567890123e22",
                "name = 'ann'", "x = 1.5", "x = 15e-1", "wide = '2.25'", "alive = TRUE", "alive = 'true'", "TRUE = alive" })
            assert_all(true, { "name = 123", "name = '123'" }, { name = "123" })
            assert_all(true, { "name = 'it''s'" }, { name = "it's" })
        end)

        it("of an identity, connection or bytes is in hex", function()
            assert_all(true, { "who = 0x" .. identity, "who = X'" .. identity .. "'", "who = '0x" .. identity .. "'",
                "who = '" .. identity:upper() .. "'", "conn = 0x" .. ("0f"):rep(16), "data = 0x01ff",
                "data = x'01FF'", "data <> 0x01", "data = '01ff'" })
            assert_all(true, { "data = 0x" }, { data = "" })
        end)

        it("of a timestamp or uuid is quoted", function()
            assert_all(true, { "at = '2025-11-20T08:15:30.123456Z'", "at < '2025-11-20 09:15:31+01:00'",
                "at > '1969-01-01T00:00:00Z'",
                "key = '01020304-0506-0708-0910-111213141516'" })
        end)

        it("that overflows a float is infinite", function()
            assert_all(true, { "x = 1e999", "wide < 1e999" }, { x = math.huge })
            assert_all(true, { "wide = 'NaN'", "wide > 1e999", "wide <> 1" }, { wide = 0 / 0 })
        end)

        it("knows two zeros as one", function()
            for _, zero in ipairs { 0.0, -0.0 } do
                assert_all(true, { "x = 0", "x = -0.0", "x >= 0", "x <= -0.0", "x <= 0.0", "x >= 0.0" }, { x = zero })
                assert_all(false, { "x <> 0", "x < 0", "x > -0.0", "x < 0.0", "x > 0.0" }, { x = zero })
            end
        end)

        it("that is none of its type is refused", function()
            for _, condition in ipairs { "id = -1", "id = 4294967296", "id = 1.5", "id = 'x'", "id = 1e10", "id = 1e-1",
                "id = 0x10", "small = 128", "level = ''", "name = 0x12", "alive = 1", "alive = 'yes'", "who = 5", "who = 0x12",
                "who = 'ann'", "conn = 0x" .. identity, "data = 0x123", "data = 5", "at = 5", "at = 'noon'", "key = 'x'",
                "x = '1.5x'", "x = 'nan(1)'",
                "big = 1e78", "big = 1e999999999999", "id = 1" .. ("0"):rep(100), "x = ''" } do
                assert_where_refused("the value cannot be read as", condition)
            end
            assert_where_refused("Unexpected type: (expected) u32 != bool (inferred)", "id = TRUE")
            assert_where_refused("the value cannot be read as string, at character 35, near `0x12`", "name = 0x12")
        end)

        it("that is out of an integer's range is refused with the range, whatever it is compared by", function()
            local range = "the value cannot be read as %s: it takes whole numbers from %s, at character %d, near `%s`"
            for _, operator in ipairs { "=", "<>", "<", "<=", ">", ">=" } do
                assert_where_refused(range:format("u32", "0 to 4294967295", 32 + #operator, "-19"), "id " .. operator .. " -19")
            end
            assert_where_refused(range:format("i8", "-128 to 127", 36, "128"), "small = 128")
            assert_where_refused(range:format("u256", "0 to 2^256 - 1", 34, "-1"), "big = -1")
            assert_where_refused(range:format("i16", "-32768 to 32767", 36, "1e5"), "level < 1e5")
        end)
    end)

    describe("condition", function()
        it("compares the caller with identities and bytes", function()
            assert.is_true(matches("who = :sender", { who = sql.sender }))
            assert.is_false(matches("who = :sender"))
            assert.is_true(matches(":sender <> who"))
            assert.is_true(matches("data = :sender", { data = bsatn.from_hex(sql.sender):reverse() }))
            assert.is_true(assert(world:compile "SELECT * FROM player WHERE who = :sender").query.depends_on_sender)
            assert.is_false(assert(world:compile "SELECT * FROM player").query.depends_on_sender)
            assert_where_refused("Unexpected type: (expected) u32 != Identity (inferred)", "id = :sender")
            assert_where_refused("the only parameter is :sender", "id = :caller")
        end)

        it("compares columns of one type", function()
            assert_all(true, { "id = other", "id <= other" })
            assert_all(true, { "id > other", "id <> other" }, { other = 6 })
            assert_where_refused("Unexpected type: (expected) u32 != i16 (inferred)", "id = level")
        end)

        it("does not compare what has no order that people agree on", function()
            assert_where_refused("Invalid binary operator `=` for type `", "nick = 'x'")
            assert_where_refused("Invalid binary operator `<` for type `", "mood < 'Fine'")
            assert_where_refused("Invalid binary operator `=` for type `", "span = 5")
        end)

        it("has a column on one side", function()
            assert_where_refused("neither side of `=` is a column", "1 = 1")
            assert_where_refused("neither side of `=` is a column", ":sender = 0x00")
            assert_where_refused("expected one of = <> < <= > >=", "id")
        end)

        it("lacks what SQL has elsewhere, and says what to write", function()
            assert_where_refused("Unsupported: NOT; write the opposite comparison", "NOT id = 1")
            assert_where_refused("Unsupported: IN; write a = 1 OR a = 2", "id IN (1, 2)")
            assert_where_refused("Unsupported: BETWEEN; write a >= 1 AND a <= 2", "id BETWEEN 1 AND 2")
            assert_where_refused("Unsupported: IS", "id IS NULL")
            assert_where_refused("Unsupported: arithmetic", "id + 1 = 2")
            assert_where_refused("Unsupported: arithmetic", "id = 1 + 2")
            assert_where_refused("Unsupported: functions", "lower(name) = 'x'")
            assert_where_refused("Unsupported: subqueries", "(SELECT * FROM player)")
        end)

        it("binds AND closer than OR", function()
            assert.is_true(matches "id = 7 OR id = 1 AND id = 2")
            assert.is_false(matches "(id = 7 OR id = 1) AND id = 2")
            assert.is_true(matches "FALSE OR TRUE AND id = 7")
        end)
    end)

    describe("gives bounds", function()
        local function compile(condition) return assert(world:compile("SELECT * FROM player WHERE " .. condition)) end

        it("that are equalities where only one value is left", function()
            assert.same({ id = "\7\0\0\0", name = "\3\0\0\0ann" },
                compile "id = 7 AND (level > 1 AND name = 'ann')":equalities())
            assert.same({ id = "\7\0\0\0" }, compile "id >= 7 AND id <= 7":equalities())
            assert.same({ alive = "\1" }, compile "alive = TRUE AND TRUE":equalities())
            assert.same({}, compile "id = 7 OR id = 8":equalities())
            assert.same({}, compile "id = other":equalities())
        end)

        it("that are ranges where more are left", function()
            assert.same({ level = "(0100, 0500]" }, compile "level > 1 AND level > -4 AND 5 >= level":ranges())
            assert.same({ level = "[0100, )" }, compile "level >= 1":ranges())
            assert.same({ id = "(, 07000000)" }, compile "id < 7 AND id <= 7":ranges())
            assert.same({}, compile "id <> 7":ranges())
        end)

        it("that hold both zeros of a float", function()
            assert.same({}, compile "x = 0":equalities())
            assert.same({ x = "[00000080, 00000000]" }, compile "x = 0":ranges())
            assert.same({ x = "(00000000, )" }, compile "x > -0.0":ranges())
            assert.same({ x = "(, 00000080)" }, compile "x < 0":ranges())
            assert.same({ x = "\0\0\192\63" }, compile "x = 1.5":equalities())
        end)

        it("that leave nothing when the condition contradicts itself", function()
            for _, condition in ipairs { "id = 1 AND id = 2", "id > 5 AND id < 5", "id > 5 AND id <= 5",
                "id = 1 AND id > 1", "FALSE", "id = 1 AND FALSE", "FALSE OR FALSE", "(id = 1 OR TRUE) AND FALSE" } do
                local query = compile(condition)
                assert.is_true(query.query.never, condition)
                assert.is_false(query:matches(world:row("player", defaults)), condition)
            end
            assert.is_false(compile "id = 1 OR FALSE".query.never)
        end)
    end)
end)

-- Against a plain evaluator --------------------------------------------------------------------------------------

local seed = tonumber(os.getenv "SEED") or os.time()
local samples = {
    { "u8", { 0, 1, 2, 255 } }, { "i16", { -32768, -1, 0, 7, 32767 } }, { "u32", { 0, 1, 70000, 4294967295 } },
    { "f32", { -1.5, -0.0, 0.0, 0.25, 3 } }, { "f64", { -1e300, -0.0, 0.0, 2.5 } }, { "bool", { false, true } },
    { "string", { "", "a", "ab", "b", "it's" } }, { "i64", { -5, 0, 5, 4503599627370496 } },
    { "bytes", { "", "\0", "\0\1", "\1" } },
    { "Identity", { ("00"):rep(31) .. "01", ("01") .. ("00"):rep(31), ("00"):rep(32) } },
    { "u128", { "0", "1", "99999999999999999999" } },
}

local function pick(list) return list[math.random(#list)] end

local function literal(kind, value)
    if kind == "string" then
        return "'" .. value:gsub("'", "''") .. "'"
    elseif kind == "bool" then
        return tostring(value):upper()
    elseif kind == "bytes" then
        return "0x" .. bsatn.to_hex(value)
    elseif kind == "Identity" then
        return "0x" .. value
    elseif kind == "u128" then
        return value
    end
    return ("%.17g"):format(value)
end

--- -1, 0 or 1.
local function order(kind, left, right)
    if kind == "bool" then
        left, right = left and 1 or 0, right and 1 or 0
    elseif kind == "u128" then
        left, right = ("%50s"):format(left), ("%50s"):format(right)
    end
    return left < right and -1 or left > right and 1 or 0
end

local accepts = {
    ["="] = function(found) return found == 0 end, ["<>"] = function(found) return found ~= 0 end,
    ["!="] = function(found) return found ~= 0 end, ["<"] = function(found) return found < 0 end,
    ["<="] = function(found) return found <= 0 end, [">"] = function(found) return found > 0 end,
    [">="] = function(found) return found >= 0 end,
}
local operators = { "=", "<>", "!=", "<", "<=", ">", ">=" }
local mirrored = { ["="] = "=", ["<>"] = "<>", ["!="] = "!=", ["<"] = ">", ["<="] = ">=", [">"] = "<", [">="] = "<=" }

--- A random table: columns in random order, some of them twice so that columns can be compared, some indexed.
local function random_table()
    local columns = { { "id", "u32", index = "BTree", unique = true, values = { 0, 1, 2, 3 } } }
    for place = 1, math.random(3, 8) do
        local kind, values = unpack(pick(samples))
        columns[#columns + 1] = { "c" .. place, kind, index = pick { false, "BTree", "Hash" } or nil, values = values }
    end
    local declared = { name = "t", key = "id", columns = columns, indexes = {} }
    for place = 1, 2 do
        local left, right = pick(columns), pick(columns)
        if left ~= right then
            declared.indexes[#declared.indexes + 1] = { kind = pick { "BTree", "Hash" }, name = "several" .. place,
                columns = { left[1], right[1] } }
        end
    end
    return declared
end

--- Text and evaluator of a random comparison.
local function random_comparison(columns)
    local column, op = pick(columns), pick(operators)
    local name, kind = column[1], column[2]
    local other = pick(columns)
    if other[2] == kind and math.random(3) == 1 then
        return ("%s %s %s"):format(name, op, other[1]), function(row)
            return accepts[op](order(kind, row[name], row[other[1]]))
        end
    end
    local value = pick(column.values)
    local holds = function(row) return accepts[op](order(kind, row[name], value)) end
    if math.random(2) == 1 then
        return ("%s %s %s"):format(literal(kind, value), mirrored[op], name), holds
    end
    return ("%s %s %s"):format(name, op, literal(kind, value)), holds
end

local function random_condition(columns, depth)
    local roll = math.random(10)
    if depth == 0 or roll <= 3 then
        return random_comparison(columns)
    elseif roll == 4 then
        local constant = math.random(2) == 1
        return tostring(constant):upper(), function() return constant end
    end
    local texts, parts, is_all = {}, {}, roll <= 8
    for place = 1, math.random(2, 4) do
        local text
        text, parts[place] = random_condition(columns, depth - 1)
        texts[place] = "(" .. text .. ")"
    end
    return table.concat(texts, is_all and " AND " or " OR "), function(row)
        for _, part in ipairs(parts) do
            if part(row) ~= is_all then
                return not is_all
            end
        end
        return is_all
    end
end

local function random_rows(world, columns)
    local rows, encoded = {}, {}
    for id = 0, 29 do
        local row = {}
        for _, column in ipairs(columns) do
            row[column[1]] = pick(column.values)
        end
        row.id = id
        rows[#rows + 1] = row
        encoded[#encoded + 1] = world:row("t", row)
    end
    return rows, encoded
end

describe("evaluation (seed " .. seed .. ")", function()
    setup(function() math.randomseed(seed) end)

    it("agrees with a plain evaluator on every row, directly and through whatever index is chosen", function()
        for _ = 1, 40 do
            local declared = random_table()
            local world = sql.world { declared }
            local rows, encoded = random_rows(world, declared.columns)
            local filled = world:fill("t", encoded)
            for _ = 1, 25 do
                local text, holds = random_condition(declared.columns, math.random(0, 3))
                local query = assert(world:compile("SELECT * FROM t WHERE " .. text))
                local expected, count = {}, 0
                for place, row in ipairs(rows) do
                    assert.equal(holds(row), query:matches(encoded[place]), text)
                    expected[encoded[place]] = holds(row) or nil
                    count = count + (holds(row) and 1 or 0)
                end
                local found = query:run(filled)
                assert.equal(count, #found, text)
                for _, row in ipairs(found) do
                    assert.is_true(expected[row], text)
                end
            end
        end
    end)
end)
