--- SELECT against SQLite: random tables, indexes, rows and queries on what both know, and the same rows come out.
local cjson = require("cjson")
local sql = require("spec.support.sql")

local seed = tonumber(os.getenv "SEED") or os.time()
local WORLDS, QUERIES = 25, 40

local function pick(list) return list[math.random(#list)] end

local words = { "", "a", "ab", "b", "it's", "zebra" }
local kinds = { "i32", "u16", "i64", "string" }

local function random_value(kind)
    if kind == "string" then
        return pick(words)
    elseif kind:sub(1, 1) == "u" then
        return math.random(0, 6)
    end
    return math.random(-4, 6)
end

local function literal(value)
    return type(value) == "string" and "'" .. value:gsub("'", "''") .. "'" or tostring(value)
end

local function random_table(name)
    local columns = { { "id", "u32" } }
    for place = 1, math.random(2, 4) do
        columns[place + 1] = { "c" .. place, pick(kinds), index = pick { false, "BTree", "Hash" } or nil }
    end
    local declared = { name = name, key = "id", columns = columns, indexes = {} }
    if math.random(2) == 1 then
        declared.indexes[1] = { kind = pick { "BTree", "Hash" }, name = name .. "_both", columns = { "c1", "c2" } }
    end
    return declared
end

local function random_rows(declared)
    local rows = {}
    for id = 1, pick { 0, 3, 12, 40 } do
        local row = { id = id }
        for place = 2, #declared.columns do
            row[declared.columns[place][1]] = random_value(declared.columns[place][2])
        end
        rows[id] = row
    end
    return rows
end

-- Queries ---------------------------------------------------------------------------------------------------------

local function columns_of(sources)
    local found = {}
    for _, source in ipairs(sources) do
        for _, column in ipairs(source.declared.columns) do
            found[#found + 1] = { name = source.name .. "." .. column[1], kind = column[2] }
        end
    end
    return found
end

local function partner_of(column, columns)
    local fitting = {}
    for _, other in ipairs(columns) do
        if other.kind == column.kind and other ~= column then
            fitting[#fitting + 1] = other
        end
    end
    return pick(fitting)
end

local function random_condition(columns, depth)
    local roll = math.random(10)
    if depth > 0 and roll > 4 then
        local parts = {}
        for place = 1, math.random(2, 3) do
            parts[place] = "(" .. random_condition(columns, depth - 1) .. ")"
        end
        return table.concat(parts, roll > 6 and " AND " or " OR ")
    end
    local column, op = pick(columns), pick { "=", "=", "=", "<>", "<", "<=", ">", ">=" }
    local partner = roll == 1 and partner_of(column, columns)
    return ("%s %s %s"):format(column.name, op, partner and partner.name or literal(random_value(column.kind)))
end

local function random_from(tables)
    local sources, text = {}, {}
    for place = 1, pick { 1, 1, 2, 2, 3, 4 } do
        local declared = pick(tables)
        local source = { declared = declared, name = "t" .. place }
        local before = columns_of(sources)
        sources[place] = source
        text[place] = declared.name .. " AS " .. source.name
        if place > 1 then
            local column = pick(columns_of { source })
            local partner = partner_of(column, before)
            text[place] = "JOIN " .. text[place] .. (partner and (" ON %s = %s"):format(column.name, partner.name) or
                (" ON %s.id = t1.id"):format(source.name))
        end
    end
    return sources, table.concat(text, " ")
end

local function random_where(columns)
    return math.random(3) > 1 and " WHERE " .. random_condition(columns, math.random(0, 2)) or ""
end

--- Names of columns that, together, no two rows share: an order by all of them leaves nothing to chance.
local function ids_of(sources)
    local names = {}
    for place, source in ipairs(sources) do
        names[place] = source.name .. ".id" .. pick { "", " DESC" }
    end
    return names
end

local function random_end(order)
    local text = " ORDER BY " .. table.concat(order, ", ") .. " LIMIT " .. math.random(0, 12)
    return math.random(2) == 1 and text .. " OFFSET " .. math.random(0, 4) or text
end

local function random_plain(sources, from)
    local columns, items = columns_of(sources), {}
    for place = 1, math.random(1, 4) do
        items[place] = pick(columns).name
    end
    local text = ("SELECT %s FROM %s%s"):format(table.concat(items, ", "), from, random_where(columns))
    if math.random(2) == 1 then
        return text, text, false
    end
    local order = ids_of(sources)
    if math.random(2) == 1 then
        table.insert(order, 1, pick(columns).name .. pick { "", " DESC" })
    end
    text = text .. random_end(order)
    return text, text, true
end

--- Ours gives 0 for a SUM of nothing, SQLite nothing.
local function random_function(columns)
    local column = pick(columns)
    local name = column.kind == "string" and pick { "MIN", "MAX", "COUNT" } or pick { "SUM", "MIN", "MAX", "AVG", "COUNT" }
    local text = ("%s(%s)"):format(name, column.name)
    return text, name == "SUM" and ("COALESCE(%s, 0)"):format(text) or text
end

local function random_grouped(sources, from)
    local columns, groups, ours, theirs = columns_of(sources), {}, {}, {}
    for place = 1, math.random(0, 2) do
        groups[place] = pick(columns).name
        ours[place], theirs[place] = groups[place], groups[place]
    end
    ours[#ours + 1], theirs[#theirs + 1] = "COUNT(*)", "COUNT(*)"
    for _ = 1, math.random(0, 3) do
        ours[#ours + 1], theirs[#theirs + 1] = random_function(columns)
    end
    local rest = (" FROM %s%s"):format(from, random_where(columns))
    local is_ordered = #groups > 0 and math.random(2) == 1
    if #groups > 0 then
        rest = rest .. " GROUP BY " .. table.concat(groups, ", ")
    end
    if is_ordered then
        rest = rest .. random_end(groups)
    end
    return "SELECT " .. table.concat(ours, ", ") .. rest, "SELECT " .. table.concat(theirs, ", ") .. rest, is_ordered
end

--- Ours, SQLite's, and whether the order of rows is part of the answer.
local function random_query(tables)
    local sources, from = random_from(tables)
    return (math.random(3) == 1 and random_grouped or random_plain)(sources, from)
end

-- Both answers, in one spelling -------------------------------------------------------------------------------------

local function spell(value)
    if type(value) == "table" then -- an option
        return value[1] == 1 and "null" or spell(value[2])
    elseif value == cjson.null then
        return "null"
    end
    return type(value) == "number" and ("%.10g"):format(value) or "'" .. value .. "'"
end

local function bag_of(rows, is_ordered)
    local bag = {}
    for place, row in ipairs(rows) do
        local cells = {}
        for cell, value in ipairs(row) do
            cells[cell] = spell(value)
        end
        bag[place] = table.concat(cells, "|")
    end
    if not is_ordered then
        table.sort(bag)
    end
    return bag
end

local function creation(declared, rows)
    local names, lines = {}, {}
    for place, column in ipairs(declared.columns) do
        names[place] = column[1] .. (column[2] == "string" and " TEXT" or " INTEGER")
    end
    lines[1] = ("CREATE TABLE %s (%s);"):format(declared.name, table.concat(names, ", "))
    for place, row in ipairs(rows) do
        local values = {}
        for cell, column in ipairs(declared.columns) do
            values[cell] = literal(row[column[1]])
        end
        lines[place + 1] = ("INSERT INTO %s VALUES (%s);"):format(declared.name, table.concat(values, ", "))
    end
    return table.concat(lines, "\n")
end


local function count_items(query)
    local items, depth, count = query:match "^SELECT (.-) FROM ", 0, 1
    for letter in items:gmatch "[(),]" do
        depth = depth + (letter == "(" and 1 or letter == ")" and -1 or 0)
        count = count + (letter == "," and depth == 0 and 1 or 0)
    end
    return count
end

--- SQLite's answers to a script and queries: a list of rows for each.
local function ask_sqlite(script, queries)
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    file:write(".bail on\nBEGIN;\n", script, "\nCOMMIT;\n")
    for _, query in ipairs(queries) do
        if not query:find "^SELECT" then
            file:write(query, ";\nSELECT '#';\n")
            goto continue
        end
        local columns = {}
        for place = 1, count_items(query) do
            columns[place] = "v" .. place
        end
        file:write(("WITH q(%s) AS (%s) "):format(table.concat(columns, ", "), query),
            ("SELECT json_array(%s) FROM q; SELECT '#';\n"):format(table.concat(columns, ", ")))
        ::continue::
    end
    file:close()
    local pipe = assert(io.popen("sqlite3 < " .. name .. " 2>&1"))
    local answers, rows = {}, {}
    for line in pipe:lines() do
        if line == "#" then
            answers[#answers + 1], rows = rows, {}
        else
            rows[#rows + 1] = cjson.decode(line)
        end
    end
    pipe:close()
    os.remove(name)
    return answers
end

-- Changes ----------------------------------------------------------------------------------------------------------

local function random_insert(declared, next_id)
    local names, values = {}, {}
    for place, column in ipairs(declared.columns) do
        local at = math.random(place)
        table.insert(names, at, column[1])
        table.insert(values, at, literal(place == 1 and next_id or random_value(column[2])))
    end
    return ("INSERT INTO %s (%s) VALUES (%s)"):format(declared.name, table.concat(names, ", "), table.concat(values, ", "))
end

local function random_update(declared, columns)
    local assignments, used = {}, {}
    for _ = 1, math.random(1, 2) do
        local column = declared.columns[math.random(2, #declared.columns)]
        if not used[column[1]] then
            used[column[1]] = true
            assignments[#assignments + 1] = column[1] .. " = " .. literal(random_value(column[2]))
        end
    end
    return ("UPDATE %s SET %s%s"):format(declared.name, table.concat(assignments, ", "), random_where(columns))
end

local function random_change(declared, next_id)
    local columns = columns_of { { declared = declared, name = declared.name } }
    local roll = math.random(5)
    if roll <= 2 then
        return random_insert(declared, next_id)
    elseif roll <= 4 then
        return random_update(declared, columns)
    end
    return ("DELETE FROM %s WHERE %s"):format(declared.name, random_condition(columns, 1))
end

--- Random tables, filled here, and the script that fills SQLite's.
local function random_world()
    local tables, script, encoded = {}, {}, {}
    for place, name in ipairs { "one", "two", "three" } do
        tables[place] = random_table(name)
    end
    local world = sql.world(tables)
    for place, declared in ipairs(tables) do
        local rows = random_rows(declared)
        script[place], encoded[declared.name] = creation(declared, rows), {}
        for number, row in ipairs(rows) do
            encoded[declared.name][number] = world:row(declared.name, row)
        end
    end
    return world, world:fill(encoded), tables, table.concat(script, "\n")
end

local function rows_of(world, filled, query) return cjson.decode((assert(world:ask(query, filled))))[1].rows end

describe("SQL against SQLite (seed " .. seed .. ")", function()
    setup(function() math.randomseed(seed) end)

    it("SELECT gives the same rows", function()
        for _ = 1, WORLDS do
            local world, filled, tables, script = random_world()
            local ours, theirs, ordered = {}, {}, {}
            for place = 1, QUERIES do
                ours[place], theirs[place], ordered[place] = random_query(tables)
            end
            local answers = ask_sqlite(script, theirs)
            assert.equal(QUERIES, #answers)
            for place, query in ipairs(ours) do
                local found = rows_of(world, filled, query)
                assert.same(bag_of(answers[place], ordered[place]), bag_of(found, ordered[place]), query)
            end
        end
    end)

    it("INSERT, UPDATE and DELETE leave the same rows", function()
        for _ = 1, WORLDS do
            local world, filled, tables, script = random_world()
            local statements = {}
            for place = 1, QUERIES, 2 do
                local declared, names = pick(tables), {}
                for cell, column in ipairs(declared.columns) do
                    names[cell] = declared.name .. "." .. column[1]
                end
                statements[place] = random_change(declared, 1000 + place)
                statements[place + 1] = ("SELECT %s FROM %s"):format(table.concat(names, ", "), declared.name)
            end
            local answers = ask_sqlite(script, statements)
            assert.equal(#statements, #answers)
            for place = 1, #statements, 2 do
                assert(world:change(statements[place], filled))
                local found = rows_of(world, filled, statements[place + 1])
                assert.same(bag_of(answers[place + 1]), bag_of(found), statements[place])
            end
        end
    end)
end)
