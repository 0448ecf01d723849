--- What a module may say about itself, what the core makes of it, and what it refuses in which words.
local cjson = require("cjson")
local bsatn = require("spec.support.bsatn")
local schema = require("spec.support.schema")

local function player(changes)
    local declared = { name = "player", key = "id", columns = {
        { "id", "u64", sequence = {} },
        { "who", "Identity", unique = true },
        { "name", "string", index = "BTree" },
        { "score", "i32", default = 0 },
        { "alive", "bool" },
    } }
    for key, value in pairs(changes or {}) do
        declared[key] = value
    end
    return declared
end

local function columns(...)
    return { tables = { { name = "t", columns = { ... } } } }
end

--- Builds and returns the refusal.
local function refusal(description)
    local built, text, fault = schema.build(description)
    assert.is_nil(built)
    return text, fault
end

local function assert_refused(expected, description)
    local text = refusal(description)
    assert.truthy(text:find(expected, 1, true), "got: " .. text)
end

describe("a schema", function()
    local built
    before_each(function()
        built = assert(schema.build { tables = { player() }, reducers = {
            { name = "start", on = "Init" },
            { name = "join", params = { { "name", "string" }, { "at", "{ x: f32, y: f32 }" } } },
        } })
    end)

    it("gives tables, indexes and sequences ids from 4097 on", function()
        local found = built:table("player")
        assert.equal(4097, found.id)
        assert.same({ 4098, 4099, 4100 }, { found.indexes[0].id, found.indexes[1].id, found.indexes[2].id })
        assert.equal(4101, found.sequences[0].id)
        assert.equal(4102, built.schema.next_id)
    end)

    it("knows where columns are until the first of variable size", function()
        local found = built:table("player")
        local offsets = {}
        for place = 0, found.column_count - 1 do
            offsets[place + 1] = found.columns[place].offset
        end
        assert.same({ 0, 8, 40, -1, -1 }, offsets)
    end)

    it("names indexes that have no name and marks those under a unique constraint", function()
        assert.is_true(built:index("player", "player_id_idx_btree").unique)
        assert.is_true(built:index("player", "player_who_idx_btree").unique)
        assert.is_false(built:index("player", "player_name_idx_btree").unique)
        assert.equal("name", schema.text_of(built:index("player", "player_name_idx_btree").accessor))
    end)

    it("keeps the primary key, the access and the default values", function()
        local found = built:table("player")
        assert.equal(0, found.primary_key)
        assert.equal(0, found.access)
        assert.is_true(found.columns[3].has_default)
        assert.equal("\0\0\0\0", schema.text_of(found.columns[3].default_value))
        assert.is_false(found.columns[4].has_default)
    end)

    it("makes lifecycle reducers private and leaves others callable", function()
        assert.is_true(built:reducer("start").is_private)
        assert.equal(0, built:reducer("start").lifecycle)
        assert.is_false(built:reducer("join").is_private)
        assert.equal(-1, built:reducer("join").lifecycle)
        assert.equal(0, built.schema.lifecycle[0])
        assert.equal(-1, built.schema.lifecycle[1])
    end)

    it("does not find what is not there", function()
        assert.is_nil(built:table("players"))
        assert.is_nil(built:reducer("leave"))
    end)

    it("can be empty", function()
        assert.equal(0, assert(schema.build {}).schema.table_count)
    end)

    it("follows references into the typespace", function()
        local described = columns({ "at", 1 }, { "n", "u8" })
        described.types = { { "Point", "{ x: f32, y: f32 }" } }
        assert.equal(8, assert(schema.build(described)):table("t").columns[1].offset)
    end)

    it("takes a unique constraint over several columns, in any order", function()
        local described = columns({ "a", "u8" }, { "b", "string" })
        described.tables[1].indexes = { { kind = "BTree", accessor = "by_a_b", columns = { "a", "b" } } }
        described.tables[1].unique = { { "b", "a" } }
        assert.is_true(assert(schema.build(described)):index("t", "t_a_b_idx_btree").unique)
    end)

    it("takes names that SQL reserves and letters beyond ASCII", function()
        local described = { tables = { { name = "order", columns = { { "größe", "u8" }, { "select", "u8" } } } } }
        assert(assert(schema.build(described)):table("order"))
    end)

    it("takes letters and digits of any script, and nothing that is none or hides", function()
        for _, name in ipairs { "größe", "имя", "名前", "x٣", "_" } do
            assert(schema.build(columns({ name, "u8" })), name)
        end
        local strange = { "a\194\160b", "zero\226\128\139width", "🙂", "a–b", "٣x", "\204\136a" } -- no-break, zero width, ...
        for _, name in ipairs(strange) do
            assert.is_nil((schema.build(columns({ name, "u8" }))), name)
        end
    end)

    it("takes a name in one form only, so that what looks the same is the same", function()
        assert(schema.build(columns({ "caf\195\169", "u8" })))
        assert_refused("a field is named `cafe\204\129` with letters and accents apart: a name is written in Unicode's form " ..
            "NFC", columns({ "cafe\204\129", "u8" }))
    end)

    it("takes keys of every fixed kind, strings, bytes and enums", function()
        local kinds = { "u8", "i256", "f64", "bool", "string", "bytes", "Identity", "ConnectionId", "Timestamp",
            "TimeDuration", "Uuid", "< 0 Red: {} | 1 Green: {} >", "option(f32)", "option(option(string))" }
        for _, kind in ipairs(kinds) do
            assert(schema.build(columns({ "k", kind, index = "BTree" })))
            assert(schema.build(columns({ "k", kind, index = "Hash" })))
        end
    end)
end)

describe("a sequence", function()
    local function sequence(kind, declared)
        return assert(schema.build(columns({ "n", kind, sequence = declared }))):table("t").sequences[0]
    end

    it("counts from one to what its column holds", function()
        local found = sequence("u8", {})
        assert.same({ 1, 1, 255, 1 }, { schema.number(found.start), schema.number(found.min), schema.number(found.max),
            schema.number(found.increment) })
        assert.equal(127, schema.number(sequence("i8", {}).max))
        assert.equal(2 ^ 63, schema.number(sequence("i64", {}).max)) -- 2^63 - 1, as near as a double comes
    end)

    it("has its limits cut to the column", function()
        local found = sequence("u16", { start = 7, min = -5, max = 1000000 })
        assert.same({ 7, 0, 65535 }, { schema.number(found.start), schema.number(found.min), schema.number(found.max) })
    end)

    it("counts downwards below zero, or from the top", function()
        local found = sequence("i8", { increment = -1 })
        assert.same({ -1, -128, -1 }, { schema.number(found.start), schema.number(found.min), schema.number(found.max) })
        assert.equal(255, schema.number(sequence("u8", { increment = -1 }).start))
    end)

    it("is refused on columns that do not count, twice on one column, and when it cannot start", function()
        assert_refused("only integers count", columns({ "n", "string", sequence = {} }))
        assert_refused("does not start between its limits", columns({ "n", "u8", sequence = { start = 300 } }))
        assert_refused("has the increment 0", columns({ "n", "u8", sequence = { increment = 0 } }))
        local twice = columns({ "n", "u8" })
        local def = { source_name = { tag = "none" }, column = 0, start = { tag = "none" }, min_value = { tag = "none" },
            max_value = { tag = "none" }, increment = 1 }
        twice.tables[1].raw = { sequences = { def, def } }
        assert_refused("column `n` has two sequences", twice)
    end)
end)

describe("ids", function()
    it("stay with their names and are never given again", function()
        local a, b = { name = "a", columns = { { "x", "u8", index = "BTree" } } }, { name = "b", columns = { { "x", "u8" } } }
        local first = assert(schema.build { tables = { a, b } })
        local second = assert(schema.build({ tables = { b } }, first))
        local third = assert(schema.build({ tables = { a, b, { name = "c", columns = { { "x", "u8" } } } } }, second))
        assert.same({ 4097, 4099 }, { first:table("a").id, first:table("b").id })
        assert.equal(4099, second:table("b").id)
        assert.equal(4099, third:table("b").id)
        assert.equal(4100, third:table("a").id)
        assert.equal(4101, third:index("a", "a_x_idx_btree").id)
        assert.equal(4102, third:table("c").id)
    end)
end)

describe("a description is refused when", function()
    it("two tables have one name, saying which", function()
        local text, fault = refusal { tables = { player(), player() } }
        assert.truthy(text:find("^table `player`: a table is named `player`, and so is another"), text)
        assert.same({ "table", "player" }, fault)
    end)

    it("a name is malformed", function()
        assert_refused("a table has an empty name", { tables = { { name = "", columns = {} } } })
        assert_refused("a name begins with a letter", { tables = { { name = "1st", columns = {} } } })
        assert_refused("letters, digits and underscores only", columns({ "a b", "u8" }))
        assert_refused("is not valid UTF-8", columns({ "a\255", "u8" }))
        assert_refused("belong to the system", { tables = { { name = "st_table", columns = {} } } })
        assert_refused("has a name of 2000 bytes", { tables = { { name = ("x"):rep(2000), columns = {} } } })
    end)

    it("columns share a name or have none", function()
        assert_refused("two fields named `a`", columns({ "a", "u8" }, { "a", "u8" }))
        assert_refused("its column 1 has no name", columns({ nil, "u8" }))
    end)

    it("a row type is missing or no product", function()
        local described = columns({ "a", "u8" })
        described.tables[1].raw = { product_type_ref = 7 }
        assert_refused("its row type is not in the typespace", described)
        described.tables[1].raw = { product_type_ref = 1 }
        described.types = { { "Color", "< 0 Red: {} >" } }
        assert_refused("not a product", described)
    end)

    it("an index cannot be", function()
        assert_refused("cannot be the key of an index", columns({ "a", "option([u16])", index = "BTree" }))
        assert_refused("cannot be the key of an index", columns({ "a", "[u16]", index = "Hash" }))
        assert_refused("cannot be the key of an index", columns({ "a", "{ x: u8 }", index = "BTree" }))
        assert_refused("cannot be the key of a direct index", columns({ "a", "i32", index = "Direct" }))
        local described = columns({ "a", "u8" })
        local table_of = described.tables[1]
        table_of.indexes = { { kind = "BTree", columns = { "nope" } } }
        assert_refused("names column number 100, and the table has 1", described)
        table_of.indexes = { { kind = "BTree", columns = {} } }
        assert_refused("names no column", described)
        table_of.indexes = { { kind = "BTree", columns = { "a", "a" } } }
        assert_refused("names the column `a` twice", described)
        table_of.indexes = { { kind = "BTree", columns = { "a" } }, { kind = "BTree", columns = { "a" } } }
        assert_refused("an index is named `t_a_idx_btree`, and so is another", described)
        table_of.indexes = { { kind = "BTree", accessor = "a", columns = { "a" } },
            { kind = "Hash", accessor = "a", columns = { "a" } } }
        assert_refused("two of its indexes have the accessor `a`", described)
    end)

    it("a unique constraint has no index or a primary key no constraint", function()
        local described = columns({ "a", "u8" })
        described.tables[1].unique = { { "a" } }
        assert_refused("the unique constraint `t_a_key` has no index over its columns", described)
        described = columns({ "a", "u8", index = "BTree" })
        described.tables[1].raw = { primary_key = { 0 } }
        assert_refused("its primary key `a` has no unique constraint", described)
        described.tables[1].raw = { primary_key = { 0, 0 } }
        assert_refused("its primary key has 2 columns", described)
    end)

    it("a default value does not belong", function()
        local described = columns({ "a", "u16" })
        local function default(value) return { col_id = 0, value = value } end
        described.tables[1].raw = { default_values = { default("\1") } }
        assert_refused("is no value of its type, u16", described)
        described.tables[1].raw = { default_values = { default("\1\2\3") } }
        assert_refused("is no value of its type, u16", described)
        described.tables[1].raw = { default_values = { default("\1\2"), default("\1\2") } }
        assert_refused("column `a` has two default values", described)
        assert_refused("which a unique column cannot have", columns({ "a", "u8", unique = true, default = 1 }))
        assert_refused("which an auto_inc column cannot have", columns({ "a", "u8", sequence = {}, default = 1 }))
    end)

    it("types are recursive, unknown, misordered or named twice", function()
        local text, fault = refusal { types = { { "Loop", 0 } } }
        assert.truthy(text:find("type `Loop`: type 0 contains itself", 1, true), text)
        assert.same({ "type", "Loop" }, fault)
        assert_refused("type `Far`", { types = { { "Far", 9 } } })
        assert_refused("`a` stands after `b`", { types = { { "P", "{ b: u8, a: u8 }", custom_ordering = false } } })
        assert_refused("two types have this name", { types = { { "P", "{ a: u8 }" }, { "P", "{ b: u8 }" } } })
    end)

    it("a few references come to millions of parts", function()
        local types = { { "T0", "{ a: u8, b: u8 }" } }
        local list = { schema.type("{ a: u8, b: u8 }") }
        for level = 1, 30 do
            local both = {}
            for place, name in ipairs { "a", "b" } do
                both[place] = { name = { tag = "some", value = name }, algebraic_type = { tag = "Ref", value = level - 1 } }
            end
            list[level + 1] = { tag = "Product", value = { elements = both } }
        end
        assert_refused("parts", { types = types, sections = { Typespace = { types = list } } })
    end)

    it("reducers are not as reducers are", function()
        local text, fault = refusal { reducers = { { name = "go" }, { name = "go" } } }
        assert.equal("reducer `go`: two reducers have this name", text)
        assert.same({ "reducer", "go" }, fault)
        assert_refused("returns nothing or an error text", { reducers = { { name = "go", returns = "u8" } } })
        local function go(...) return { reducers = { { name = "go", params = { ... } } } } end
        assert_refused("two parameters named `a`", go({ "a", "u8" }, { "a", "u8" }))
        assert_refused("its parameter 1 has no name", go { nil, "u8" })
        assert_refused("the second to run on init", { reducers = { { name = "a", on = "Init" }, { name = "b", on = "Init" } } })
        assert_refused("can have no parameters", { reducers = {
            { name = "a", on = "OnConnect", params = { { "x", "u8" } } } } })
        assert_refused("there is no such reducer", { sections = { LifeCycleReducers = {
            { lifecycle_spec = { tag = "Init" }, function_name = "gone" } } } })
    end)

    it("it needs what this version lacks, naming it", function()
        local procedure = { source_name = "p", params = { elements = {} }, return_type = { tag = "U8" },
            visibility = { tag = "Private" } }
        assert_refused("does not run procedures yet", { sections = { Procedures = { procedure } } })
        assert_refused("does not run HTTP handlers yet", { sections = { HttpHandlers = { { source_name = "x" } } } })
        assert_refused("does not run submodules yet", { sections = { Submodules = {
            { namespace = "n", module = { sections = {} } } } } })
        assert(schema.build { sections = { Procedures = {}, Views = {}, Schedules = {}, RowLevelSecurity = {},
            HttpHandlers = {}, HttpRoutes = {}, ViewPrimaryKeys = {}, Submodules = {} } })
    end)

    it("it renames things", function()
        assert_refused("the module renames `a` to `b`", { sections = { ExplicitNames = { entries = {
            { tag = "Table", value = { source_name = "a", canonical_name = "b" } } } } } })
        assert_refused("changed to snake_case", { sections = { CaseConversionPolicy = { tag = "SnakeCase" } } })
        assert(schema.build { sections = { CaseConversionPolicy = { tag = "None" }, ExplicitNames = { entries = {} } } })
    end)

    it("its bytes are cut anywhere, or go on", function()
        local def = schema.encode { tables = { player() }, reducers = { { name = "start", on = "Init" } } }
        for size = 0, #def - 1 do
            assert.is_nil((schema.build_bytes(def:sub(1, size))), "cut to " .. size .. " bytes")
        end
        local _, text = schema.build_bytes(def .. "x")
        assert.equal("the description is followed by 1 bytes that belong to nothing", text)
    end)

    it("a section stands twice or is unknown", function()
        local _, text = schema.build_bytes(bsatn.encode(bsatn.type("u32"), 1) .. "\99")
        assert.equal("the description has a section of unknown kind 99", text)
        _, text = schema.build_bytes(bsatn.encode(bsatn.type("u32"), 2) .. "\2\0\0\0\0\2\0\0\0\0")
        assert.equal("the description has its section Tables twice", text)
    end)
end)

describe("the JSON of a schema", function()
    local built
    before_each(function()
        built = assert(schema.build {
            tables = { player(), { name = "event", event = true, private = true, columns = { { "at", 2 } } } },
            types = { { "Point", "{ x: f32, y: f32 }" } },
            reducers = { { name = "start", on = "Init" }, { name = "join", params = { { "name", "string" } } } },
        })
    end)

    it("has in version 9 everything by name, tables sorted", function()
        local json = cjson.decode(built:json(9))
        assert.same({ "event", "player" }, { json.tables[1].name, json.tables[2].name })
        local found = json.tables[2]
        assert.same({ some = "player_id_idx_btree" }, found.indexes[1].name)
        assert.same({ BTree = { 0 } }, found.indexes[1].algorithm)
        assert.same({ some = "player_id_key" }, found.constraints[1].name)
        assert.same({ Unique = { columns = { 0 } } }, found.constraints[1].data)
        assert.same({ some = "player_id_seq" }, found.sequences[1].name)
        assert.same({ none = {} }, found.schedule)
        assert.same({ { ColumnDefaultValue = { table = "player", col_id = 3, value = "00000000" } } }, json.misc_exports)
        assert.same({ some = { Init = {} } }, json.reducers[1].lifecycle)
        assert.same({ none = {} }, json.reducers[2].lifecycle)
        assert.same({ { name = { scope = {}, name = "Point" }, ty = 2, custom_ordering = true } }, json.types)
    end)

    it("has the keys of version 9 in the order of the official one, without spaces", function()
        local declared = { name = "t", key = "a", columns = { { "a", "u8", sequence = {} } } }
        local text = assert(schema.build { tables = { declared } }):json(9)
        assert.equal('{"typespace":{"types":[{"Product":{"elements":[{"name":{"some":"a"},"algebraic_type":{"U8":[]}}]}}]},' ..
            '"tables":[{"name":"t","product_type_ref":0,"primary_key":[0],"indexes":[{"name":{"some":"t_a_idx_btree"},' ..
            '"accessor_name":{"some":"a"},"algorithm":{"BTree":[0]}}],' ..
            '"constraints":[{"name":{"some":"t_a_key"},"data":{"Unique":{"columns":[0]}}}],"sequences":[{"name":' ..
            '{"some":"t_a_seq"},"column":0,"start":{"none":[]},"min_value":{"none":[]},"max_value":{"none":[]},' ..
            '"increment":1}],"schedule":{"none":[]},"table_type":{"User":[]},"table_access":{"Public":[]}}],' ..
            '"reducers":[],"types":[],"misc_exports":[],"row_level_security":[]}', text)
    end)

    it("has in version 10 the sections that are not empty, and explicit names", function()
        local json = cjson.decode(built:json(10))
        local tags = {}
        for place, section in ipairs(json.sections) do
            tags[place] = next(section)
        end
        assert.same({ "Typespace", "Types", "Tables", "Reducers", "LifeCycleReducers", "ExplicitNames" }, tags)
        local tables = json.sections[3].Tables
        assert.same({ "player", "event" }, { tables[1].source_name, tables[2].source_name })
        assert.is_true(tables[2].is_event)
        assert.same({ Private = {} }, tables[2].table_access)
        assert.same({ { col_id = 3, value = "00000000" } }, tables[1].default_values)
        assert.same({ { Table = { source_name = "player", canonical_name = "player" } },
            { Table = { source_name = "event", canonical_name = "event" } },
            { Function = { source_name = "start", canonical_name = "start" } },
            { Function = { source_name = "join", canonical_name = "join" } } }, json.sections[6].ExplicitNames.entries)
        assert.same({ Private = {} }, json.sections[4].Reducers[1].visibility)
        assert.same({ ClientCallable = {} }, json.sections[4].Reducers[2].visibility)
    end)

    it("has in version 10 of an empty module two sections", function()
        local text = assert(schema.build {}):json(10)
        assert.equal('{"sections":[{"Typespace":{"types":[]}},{"ExplicitNames":{"entries":[]}}]}', text)
    end)
end)
