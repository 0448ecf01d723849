--- Which changes of a module keep the data, in which steps, and which are refused with every reason.
local schema = require("spec.support.schema")

local function item(changes, ...)
    local declared = { name = "item", key = "id", columns = { { "id", "u32" }, { "name", "string" }, ... } }
    for key, value in pairs(changes or {}) do
        declared[key] = value
    end
    return declared
end

--- The plan from one list of tables to another.
local function plan(from, to)
    local before = assert(schema.build { tables = from })
    local after = assert(schema.build({ tables = to }, before))
    return schema.plan(before, after)
end

local function assert_plan(steps, breaks_clients, from, to)
    local found, breaks = plan(from, to)
    assert.same(steps, found, breaks)
    assert.equal(breaks_clients, breaks)
end

local function assert_refused(reasons, from, to)
    local found, text = plan(from, to)
    assert.is_nil(found)
    assert.equal(reasons, text)
end

describe("a migration", function()
    it("has no steps when nothing that is stored changes", function()
        assert_plan({}, false, { item() }, { item() })
    end)

    it("adds tables and keeps clients", function()
        assert_plan({ "add table `other`" }, false, { item() }, { item(), { name = "other", columns = {} } })
    end)

    it("removes tables first and breaks clients", function()
        assert_plan({ "remove table `old`", "add table `new`" }, true, { { name = "old", columns = {} } },
            { { name = "new", columns = {} } })
    end)

    it("adds columns at the end with a default and breaks clients", function()
        assert_plan({ "add column `level` to table `item`" }, true, { item() }, { item({}, { "level", "u8", default = 1 }) })
        assert_plan({ "add columns `a`, `b` to table `item`" }, true, { item() },
            { item({}, { "a", "u8", default = 1 }, { "b", "string", default = "" }) })
    end)

    it("rebuilds indexes, constraints and sequences and keeps clients", function()
        local steps = { "rebuild the indexes of table `item`" }
        local indexed = item { indexes = { { kind = "Hash", accessor = "name", columns = { "name" } } } }
        assert_plan(steps, false, { item() }, { indexed })
        assert_plan(steps, false, { indexed }, { item() })
        local unique = item { indexes = indexed.indexes, unique = { { "name" } } }
        assert_plan(steps, false, { indexed }, { unique })
        assert_plan(steps, false, { unique }, { indexed })
        local counted = { name = "item", key = "id", columns = { { "id", "u32", sequence = {} }, { "name", "string" } } }
        assert_plan(steps, false, { item() }, { counted })
        assert_plan(steps, false, { counted }, { item() })
    end)

    it("changes access either way and keeps clients", function()
        assert_plan({ "make table `item` private" }, false, { item() }, { item { private = true } })
        assert_plan({ "make table `item` public" }, false, { item { private = true } }, { item() })
    end)

    it("takes variants at the end of a sum and keeps clients", function()
        local function with(kind) return { item({}, { "kind", kind }) } end
        local steps = { "change column types of table `item`" }
        assert_plan(steps, false, with "< 0 Red: {} >", with "< 0 Red: {} | 1 Green: {} >")
        assert_plan(steps, false, with "[< 0 Dot: {} >]", with "[< 0 Dot: {} | 1 Circle: f32 >]")
        assert_plan(steps, false, with "{ a: < 0 Red: {} > }", with "{ a: < 0 Red: {} | 1 Green: {} > }")
    end)

    it("lets the columns of an event table change at will, breaking clients", function()
        local function hit(column) return { { name = "hit", event = true, columns = { column } } } end
        assert_plan({ "change column types of table `hit`" }, true, hit { "a", "u8" }, hit { "b", "string" })
    end)

    it("does several things to one table", function()
        local steps = { "add column `level` to table `item`", "rebuild the indexes of table `item`",
            "make table `item` private" }
        assert_plan(steps, true, { item() }, { item({ private = true }, { "level", "u8", default = 1, index = "BTree" }) })
    end)
end)

describe("a migration of what is not stored", function()
    local function described(changes)
        local given = { tables = { { name = "job", key = "id", columns = { { "id", "u64" }, { "at", "ScheduleAt" } } } },
            types = { { "Pair", "{ a: u8, b: u8 }" } },
            reducers = { { name = "run", params = { { "row", 0 } } }, { name = "walk", params = { { "row", 0 } } } } }
        for key, value in pairs(changes or {}) do
            given[key] = value
        end
        return given
    end

    local function assert_steps(steps, breaks_clients, from, to)
        local before = assert(schema.build(described(from)))
        local found, breaks = schema.plan(before, assert(schema.build(described(to), before)))
        assert.same(steps, found, breaks)
        assert.equal(breaks_clients, breaks)
    end

    local function scheduled(reducer)
        return { schedules = { { table = "job", at = 1, reducer = reducer } } }
    end

    local function viewed(changes)
        local view = { name = "mine", returns = "array", row = 0 }
        for key, value in pairs(changes or {}) do
            view[key] = value
        end
        return { views = { view } }
    end

    it("gives a table a schedule, takes it away or changes it, and keeps clients", function()
        local steps = { "change the schedule of table `job`" }
        assert_steps(steps, false, {}, scheduled "run")
        assert_steps(steps, false, scheduled "run", {})
        assert_steps(steps, false, scheduled "run", scheduled "walk")
        assert_steps({}, false, scheduled "run", scheduled "run")
    end)

    it("adds views and keeps clients, and what else it does with views breaks them", function()
        assert_steps({ "add view `mine`" }, false, {}, viewed())
        assert_steps({ "remove view `mine`" }, true, viewed(), {})
        assert_steps({ "change view `mine`" }, true, viewed(), viewed { anonymous = true })
        assert_steps({ "change view `mine`" }, true, viewed(), viewed { key = "id" })
        assert_steps({ "change view `mine`" }, true, viewed { row = 1 }, viewed { row = 0 })
        assert_steps({}, false, viewed(), viewed { returns = "option" })
    end)

    it("changes filters and breaks clients, unless they stand in another order only", function()
        local steps = { "change the filters of row-level security" }
        assert_steps(steps, true, {}, { filters = { "a" } })
        assert_steps(steps, true, { filters = { "a", "b" } }, { filters = { "a" } })
        assert_steps({}, false, { filters = { "a", "b" } }, { filters = { "b", "a" } })
    end)
end)

describe("a migration is refused when", function()
    it("a column is removed, renamed, moved or has no default", function()
        assert_refused("table `item`: column `name` may not be removed or renamed: keep it, or copy the rows to a table of "
            .. "another name", { item() },
            { { name = "item", key = "id", columns = { { "id", "u32" } } } })
        assert_refused("table `item`: column `id` may not move; new columns go to the end\n" ..
            "table `item`: column `name` may not move; new columns go to the end", { item() },
            { { name = "item", key = "id", columns = { { "name", "string" }, { "id", "u32" } } } })
        assert_refused("table `item`: the new column `level` needs a default value for the rows that are there", { item() },
            { item({}, { "level", "u8" }) })
    end)

    it("a column changes its type", function()
        local function with(kind) return { item({}, { "kind", kind }) } end
        assert_refused("table `item`: column `kind` may not change its type from u8 to u16: add a column of another name at "
            .. "the end", with "u8", with "u16")
        for _, other in ipairs { "< 0 Green: {} >", "< 0 Red: u8 >" } do
            assert.is_nil((plan(with "< 0 Red: {} >", with(other))))
        end
        assert.is_nil((plan(with "< 0 Red: {} | 1 Green: {} >", with "< 0 Red: {} >")))
        assert.is_nil((plan(with "{ a: u8 }", with "{ a: u8, b: u8 }")))
        assert.is_nil((plan(with "{ a: u8 }", with "{ b: u8 }")))
    end)

    it("a table becomes an event table or ceases to be one", function()
        assert_refused("table `item`: it may not become an event table: declare a table of another name",
            { item() }, { item { event = true } })
        assert_refused("table `item`: it may not cease to be an event table: declare a table of another name",
            { item { event = true } }, { item() })
    end)

    it("several things are wrong, naming all of them and what each is about", function()
        local _, _, faults = plan({ item(), { name = "log", columns = {} } },
            { { name = "log", event = true, columns = {} }, item({}, { "level", "u8" }, { "size", "u8" }) })
        assert.same({ { "table", "log" }, { "table", "item" }, { "table", "item" } }, faults)
        assert_refused("table `item`: the new column `level` needs a default value for the rows that are there\n" ..
            "table `log`: it may not become an event table: declare a table of another name",
            { item(), { name = "log", columns = {} } },
            { item({}, { "level", "u8" }), { name = "log", event = true, columns = {} } })
    end)
end)
