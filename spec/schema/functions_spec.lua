--- Schedules, views and filters: what a module may say of them, what the core makes of it, and how it is printed.
local cjson = require("cjson")
local schema = require("spec.support.schema")

local function reminder(changes)
    local declared = { name = "reminder", key = "id", private = true, columns = {
        { "id", "u64", sequence = {} }, { "at", "ScheduleAt" }, { "text", "string" } } }
    for key, value in pairs(changes or {}) do
        declared[key] = value
    end
    return declared
end

local function with_schedule(changes)
    local described = { tables = { reminder() }, reducers = { { name = "remind", params = { { "row", 0 } } } },
        schedules = { { table = "reminder", at = 1, reducer = "remind" } } }
    for key, value in pairs(changes or {}) do
        described[key] = value
    end
    return described
end

local player = { name = "player", key = "id", columns = { { "id", "u32" }, { "name", "string" }, { "tags", "[u16]" } } }

local function with_view(view)
    return { tables = { player }, views = { view } }
end

local function refusal(described)
    local built, text, fault = schema.build(described)
    assert.is_nil(built)
    return text, fault
end

local function assert_refused(expected, described)
    assert.equal(expected, (refusal(described)))
end

describe("a schedule", function()
    it("ties a table to a reducer, which becomes private, and has an id and a name", function()
        local built = assert(schema.build(with_schedule()))
        local found = built.schema.schedules[0]
        assert.same({ 1, 0, 0, 1, false }, { built.schema.schedule_count, found.table, found.reducer, found.at_column,
            found.catches_up })
        assert.equal("reminder_sched", schema.text_of(found.name))
        assert.equal(built.schema.next_id - 1, found.id)
        assert.equal(0, built:table("reminder").schedule)
        assert.is_true(built:reducer("remind").is_private)
        assert.equal(-1, assert(schema.build { tables = { player } }):table("player").schedule)
    end)

    it("keeps its id", function()
        local first = assert(schema.build(with_schedule()))
        local second = assert(schema.build(with_schedule { tables = { reminder(), player } }, first))
        assert.equal(first.schema.schedules[0].id, second.schema.schedules[0].id)
    end)

    it("runs a reducer for several tables of one row type", function()
        local described = with_schedule { tables = { reminder(), reminder { name = "alarm" } } }
        described.schedules[2] = { table = "alarm", at = 1, reducer = "remind" }
        assert.equal(2, assert(schema.build(described)).schema.schedule_count)
    end)

    it("catches up with missed ticks when its module says so", function()
        local policies = { { table = "reminder", catches_up = true } }
        local def = schema.encode(with_schedule())
        local ours = "\200\1\0\0\0" .. "\8\0\0\0reminder\1"
        local count = string.char(def:byte(1) + 1)
        local built = assert(schema.build_bytes(count .. def:sub(2) .. ours))
        assert.equal(policies[1].catches_up, built.schema.schedules[0].catches_up)
        local _, text = schema.build_bytes(count .. def:sub(2) .. "\200\1\0\0\0" .. "\4\0\0\0clock\1")
        assert.truthy(text:find("SchedulePolicies", 1, true), text)
        _, text = schema.build_bytes(count .. def:sub(2) .. "\200\1\0\0\0" .. "\5\0\0\0clock\1")
        assert.equal("table `clock`: it says what to do with missed ticks, and has no schedule", text)
    end)

    it("is refused without table, reducer, time, key or row, and twice on a table", function()
        local function schedule(change)
            local given = { table = "reminder", at = 1, reducer = "remind" }
            for key, value in pairs(change) do
                given[key] = value
            end
            return with_schedule { schedules = { given } }
        end
        assert_refused("table `clock`: it has a schedule, and there is no such table", schedule { table = "clock" })
        assert_refused("table `reminder`: its schedule runs `gone`, and there is no such reducer",
            schedule { reducer = "gone" })
        assert_refused("table `reminder`: its schedule takes the time from column `text`, which is string and not a " ..
            "ScheduleAt", schedule { at = 2 })
        assert_refused("table `reminder`: its schedule names column number 10, and the table has 3", schedule { at = 9 })
        assert_refused("table `reminder`: it has a schedule, and so needs a primary key of type u64", with_schedule {
            tables = { reminder { key = "text" } } })
        assert_refused("table `reminder`: it has a schedule, but the rows of an event table do not stay", with_schedule {
            tables = { reminder { event = true } } })
        local wrong_row = "table `reminder`: its schedule runs the reducer `remind`, which has to take one argument: the row"
        assert_refused(wrong_row, with_schedule { reducers = { { name = "remind" } } })
        assert_refused(wrong_row, with_schedule { reducers = { { name = "remind", params = { { "row", "u64" } } } } })
        assert_refused(wrong_row, with_schedule { reducers = { { name = "remind", on = "Init" } } })
        local twice = with_schedule()
        twice.schedules[2] = { table = "reminder", at = 1, reducer = "remind", name = "other" }
        assert_refused("table `reminder`: it has two schedules", twice)
        local text, fault = refusal(with_schedule { schedules = { { table = "reminder", at = 1, reducer = "remind",
            name = "reminder_id_key" } } })
        assert.truthy(text:find("a schedule is named `reminder_id_key`, and so is another", 1, true), text)
        assert.same({ "table", "reminder" }, fault)
    end)

    it("is printed in both versions", function()
        local built = assert(schema.build(with_schedule()))
        local nine, ten = cjson.decode(built:json(9)), cjson.decode(built:json(10))
        assert.same({ some = { name = { some = "reminder_sched" }, reducer_name = "remind", scheduled_at_column = 1 } },
            nine.tables[1].schedule)
        local by_tag = {}
        for _, section in ipairs(ten.sections) do
            by_tag[next(section)] = select(2, next(section))
        end
        assert.same({ { source_name = { some = "reminder_sched" }, table_name = "reminder", schedule_at_col = 1,
            function_name = "remind" } }, by_tag.Schedules)
        assert.same({ Private = {} }, by_tag.Reducers[1].visibility)
    end)
end)

describe("a view", function()
    it("has rows as a table has, with an id, access and kind", function()
        for place, kind in ipairs { "option", "array", "query" } do
            local is_query = kind == "query"
            local view = { name = "mine", returns = kind, row = 0, anonymous = is_query }
            local built = assert(schema.build(with_view(view)))
            local found = built:view("mine")
            assert.equal(place - 1, found.kind)
            assert.equal(is_query, found.is_anonymous)
            assert.equal("mine", schema.text_of(found.rows.name))
            local rows = found.rows
            assert.same({ 3, 0, -1, 0 }, { rows.column_count, rows.access, rows.schedule, rows.type_ref })
            assert.is_true(rows.id > built:table("player").id)
            assert.is_nil(built:table("mine"))
        end
    end)

    it("keeps its id and that of its key", function()
        local view = { name = "mine", returns = "array", row = 0, key = "name" }
        local first = assert(schema.build(with_view(view)))
        local second = assert(schema.build({ tables = { player, reminder() }, views = { view } }, first))
        assert.equal(first:view("mine").rows.id, second:view("mine").rows.id)
        assert.equal(first:view("mine").rows.indexes[0].id, second:view("mine").rows.indexes[0].id)
    end)

    it("has the primary key that is declared, with a unique index, or a query that of its table", function()
        local keyed = assert(schema.build(with_view { name = "mine", returns = "array", row = 0, key = "name" })):view("mine")
        assert.equal(1, keyed.rows.primary_key)
        assert.equal(1, keyed.rows.index_count)
        assert.equal("mine_name_idx_btree", schema.text_of(keyed.rows.indexes[0].name))
        assert.is_true(keyed.rows.indexes[0].unique)
        assert.equal(-1, assert(schema.build(with_view { name = "v", returns = "array", row = 0 })):view("v").rows.primary_key)
        assert.equal(0, assert(schema.build(with_view { name = "v", returns = "query", row = 0 })):view("v").rows.primary_key)
    end)

    it("is refused with parameters, other returns, a key that is none, and a name that is taken", function()
        local function view(change)
            local given = { name = "mine", returns = "array", row = 0 }
            for key, value in pairs(change) do
                given[key] = value
            end
            return with_view(given)
        end
        assert_refused("view `mine`: a view takes no parameters", view { params = { { "a", "u8" } } })
        local returns = "view `mine`: a view returns an option or an array of rows, or a query for them, and a row is a " ..
            "named type"
        assert_refused(returns, view { type = { tag = "U8" } })
        assert_refused(returns, view { type = { tag = "Ref", value = 0 } })
        assert_refused(returns, view { type = { tag = "Array", value = { tag = "U8" } } })
        assert_refused("view `mine`: its row type is not in the typespace", view { row = 9 })
        assert_refused("view `mine`: its primary key `nope` is no column of its rows", view { key = "nope" })
        assert_refused("view `mine`: its primary key `tags` is array<u16>, which cannot be a key", view { key = "tags" })
        assert_refused("view `player`: a view is named `player`, and so is another table, view, index, constraint, sequence "
            .. "or schedule", view { name = "player" })
        assert_refused("view `st_x`: names that begin with `st_` belong to the system", view { name = "st_x" })
        local described = view {}
        described.reducers = { { name = "mine" } }
        assert_refused("view `mine`: there is a reducer of this name", described)
        described = with_view { name = "mine", returns = "array", row = 0 }
        described.sections = { ViewPrimaryKeys = { { view_source_name = "other", columns = { "id" } } } }
        local text, fault = refusal(described)
        assert.equal("view `other`: it is to have a primary key, and there is no such view", text)
        assert.same({ "view", "other" }, fault)
    end)

    it("is printed in both versions", function()
        local built = assert(schema.build(with_view { name = "mine", returns = "option", row = 0, key = "id" }))
        local returns = { Sum = { variants = { { name = { some = "some" }, algebraic_type = { Ref = 0 } },
            { name = { some = "none" }, algebraic_type = { Product = { elements = {} } } } } } }
        local ten = {}
        for _, section in ipairs(cjson.decode(built:json(10)).sections) do
            ten[next(section)] = select(2, next(section))
        end
        assert.same({ { source_name = "mine", index = 0, is_public = true, is_anonymous = false, params = { elements = {} },
            return_type = returns } }, ten.Views)
        assert.same({ { view_source_name = "mine", columns = { "id" } } }, ten.ViewPrimaryKeys)
        assert.same({ Function = { source_name = "mine", canonical_name = "mine" } }, ten.ExplicitNames.entries[2])
        assert.same({ { View = { name = "mine", index = 0, is_public = true, is_anonymous = false,
            params = { elements = {} }, return_type = returns } } }, cjson.decode(built:json(9)).misc_exports)
    end)
end)

describe("filters of row-level security", function()
    it("are kept as they were written, and printed in both versions", function()
        local sql = "SELECT * FROM player WHERE name = :sender"
        local built = assert(schema.build { tables = { player }, filters = { sql, "x" } })
        assert.equal(2, built.schema.filter_count)
        assert.equal(sql, schema.text_of(built.schema.filters[0]))
        assert.same({ { sql = sql }, { sql = "x" } }, cjson.decode(built:json(9)).row_level_security)
        assert.truthy(built:json(10):find('{"RowLevelSecurity":[{"sql":"' .. sql .. '"},{"sql":"x"}]}', 1, true))
    end)

    it("are refused empty, naming which", function()
        local text, fault = refusal { filters = { "x", "" } }
        assert.equal("filter `2`: it is empty", text)
        assert.same({ "filter", "2" }, fault)
    end)
end)

describe("a schema that is restored", function()
    it("has the ids of its schedules and views, which its description alone would not give", function()
        local view = { name = "mine", returns = "array", row = 0, key = "id" }
        local first = assert(schema.build { tables = { player }, views = { { name = "old", returns = "array", row = 0 } } })
        local described = with_schedule { tables = { reminder(), player }, views = { view } }
        local second = assert(schema.build(described, first))
        local restored = second:restored()
        assert.equal(second.schema.schedules[0].id, restored.schema.schedules[0].id)
        assert.equal(second:view("mine").rows.id, restored:view("mine").rows.id)
        assert.equal(second:view("mine").rows.indexes[0].id, restored:view("mine").rows.indexes[0].id)
        assert.equal(second.schema.next_id, restored.schema.next_id)
        assert.not_equal(restored:view("mine").rows.id, assert(schema.build(described)):view("mine").rows.id)
    end)
end)

describe("the sections of version 10", function()
    it("stand in the official order", function()
        local described = with_schedule { views = { { name = "mine", returns = "array", row = 0, key = "id" } },
            filters = { "x" } }
        table.insert(described.reducers, { name = "start", on = "Init" })
        local tags = {}
        for place, section in ipairs(cjson.decode(assert(schema.build(described)):json(10)).sections) do
            tags[place] = next(section)
        end
        assert.same({ "Typespace", "Tables", "Reducers", "Views", "ViewPrimaryKeys", "Schedules", "LifeCycleReducers",
            "RowLevelSecurity", "ExplicitNames" }, tags)
    end)

    it("are refused cut anywhere", function()
        local def = schema.encode(with_schedule { views = { { name = "mine", returns = "array", row = 0, key = "id" } },
            filters = { "x" } })
        for size = 0, #def - 1 do
            assert.is_nil((schema.build_bytes(def:sub(1, size))), "cut to " .. size .. " bytes")
        end
    end)
end)
