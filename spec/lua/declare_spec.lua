--- What a module declares: its description, and what is refused while it loads.
local bsatn = require "spec.support.bsatn"
local lua_host = require "spec.support.lua_host"
local meta = require("spec.support.vectors").meta

local HEAD = 'local stdb = require "stdb"\nlocal t = stdb.types\n'

--- The sections of a module's description by name.
local function describe_module(text)
  local module = assert(lua_host.load(HEAD .. text))
  local sections = {}
  for _, section in ipairs(bsatn.decode(meta.RawModuleDefV10, module.def).sections) do
    sections[section.tag] = section.value
  end
  return sections
end

--- The first line of what loading says, without the place, and the line it names.
local function refusal(text)
  local module, message = lua_host.load(HEAD .. text)
  assert.is_nil(module)
  local line, sentence = message:match "^module%.lua:(%d+): ([^\n]*)"
  assert(line, message)
  return sentence, tonumber(line)
end

local function some(value)
  return { tag = "some", value = value }
end

describe("a description", function()
  it("has a table's columns, keys, sequences and defaults", function()
    local sections = describe_module [[
      stdb.table("player_score", { public = true,
        { "id", t.u64, primary_key = true, auto_inc = true },
        { "identity", t.identity, unique = "hash" },
        { "name", t.string, index = true },
        { "score", t.i32, default = -2, index = "btree" },
        indexes = { { name = "by_both", "name", "score" } },
      })]]
    local made = sections.Tables[1]
    assert.equal("player_score", made.source_name)
    assert.same({ 0 }, made.primary_key)
    assert.equal("Public", made.table_access.tag)
    assert.equal("User", made.table_type.tag)
    assert.is_false(made.is_event)
    assert.same({
      { source_name = some "player_score_id_idx_btree", accessor_name = some "id",
        algorithm = { tag = "BTree", value = { 0 } } },
      { source_name = some "player_score_identity_idx_hash", accessor_name = some "identity",
        algorithm = { tag = "Hash", value = { 1 } } },
      { source_name = some "player_score_name_idx_btree", accessor_name = some "name",
        algorithm = { tag = "BTree", value = { 2 } } },
      { source_name = some "player_score_score_idx_btree", accessor_name = some "score",
        algorithm = { tag = "BTree", value = { 3 } } },
      { source_name = some "player_score_name_score_idx_btree", accessor_name = some "by_both",
        algorithm = { tag = "BTree", value = { 2, 3 } } },
    }, made.indexes)
    assert.same({ { source_name = some "player_score_id_key", data = { tag = "Unique", value = { columns = { 0 } } } },
      { source_name = some "player_score_identity_key", data = { tag = "Unique", value = { columns = { 1 } } } } },
      made.constraints)
    assert.equal("player_score_id_seq", made.sequences[1].source_name.value)
    assert.equal("1", made.sequences[1].increment)
    assert.equal("none", made.sequences[1].start.tag)
    assert.same({ { col_id = 3, value = "\254\255\255\255" } }, made.default_values)
    assert.same({ source_name = { scope = {}, source_name = "PlayerScore" }, ty = 0, custom_ordering = true },
      sections.Types[1])
    assert.equal("Product", sections.Typespace.types[1].tag)
    assert.same(some "identity", sections.Typespace.types[1].value.elements[2].name)
  end)

  it("has private tables unless they are public, and event tables", function()
    local sections = describe_module [[
      stdb.table("a", { { "x", t.u8 } })
      stdb.table("b", { event = true, public = true, { "x", t.u8, index = "direct" } })]]
    assert.equal("Private", sections.Tables[1].table_access.tag)
    assert.is_true(sections.Tables[2].is_event)
    assert.same({ tag = "Direct", value = 0 }, sections.Tables[2].indexes[1].algorithm)
    assert.same({}, sections.Tables[1].primary_key)
  end)

  it("has reducers in order, hooks as private ones with their event", function()
    local sections = describe_module [[
      stdb.reducer("go", { { "to", t.string }, { "fast", t.bool } }, function() end)
      stdb.on.connect(function() end)
      stdb.on.init(function() end)
      stdb.reducer("stop", function() end)]]
    local names = {}
    for place, reducer in ipairs(sections.Reducers) do
      names[place] = reducer.source_name .. " " .. reducer.visibility.tag
    end
    assert.same({ "go ClientCallable", "client_connected Private", "init Private", "stop ClientCallable" }, names)
    assert.same({ { lifecycle_spec = { tag = "OnConnect" }, function_name = "client_connected" },
      { lifecycle_spec = { tag = "Init" }, function_name = "init" } }, sections.LifeCycleReducers)
    assert.same(some "fast", sections.Reducers[1].params.elements[2].name)
    assert.equal("String", sections.Reducers[1].err_return_type.tag)
    assert.same({ elements = {} }, sections.Reducers[1].ok_return_type.value)
  end)

  it("keeps names as they are", function()
    local sections = describe_module 'stdb.table("MyTable", { { "myColumn", t.u8 } }) stdb.reducer("doIt", function() end)'
    assert.equal("None", sections.CaseConversionPolicy.tag)
    assert.same({ { tag = "Table", value = { source_name = "MyTable", canonical_name = "MyTable" } },
      { tag = "Function", value = { source_name = "doIt", canonical_name = "doIt" } } }, sections.ExplicitNames.entries)
  end)

  it("names structs and enums once and refers to them", function()
    local sections = describe_module [[
      local Point = t.struct("Point", { { "x", t.f32 } })
      local Shape = t.enum("Shape", { { "Dot", Point }, "Nothing" })
      local Row = stdb.table("thing", { { "at", Point }, { "shapes", t.array(Shape) }, { "maybe", t.option(Shape) } })
      stdb.reducer("put", { { "row", Row } }, function() end)]]
    assert.same({ "Point", "Shape", "Thing" }, { sections.Types[1].source_name.source_name,
      sections.Types[2].source_name.source_name, sections.Types[3].source_name.source_name })
    local columns = sections.Typespace.types[3].value.elements
    assert.same({ tag = "Ref", value = 0 }, columns[1].algebraic_type)
    assert.same({ tag = "Array", value = { tag = "Ref", value = 1 } }, columns[2].algebraic_type)
    assert.same({ tag = "Sum", value = { variants = {
      { name = some "some", algebraic_type = { tag = "Ref", value = 1 } },
      { name = some "none", algebraic_type = { tag = "Product", value = { elements = {} } } },
    } } }, columns[3].algebraic_type)
    assert.same({ tag = "Ref", value = 2 }, sections.Reducers[1].params.elements[1].algebraic_type)
  end)

  it("writes special types as clients know them", function()
    local sections = describe_module [[
      stdb.table("all", { { "a", t.identity }, { "b", t.connection_id }, { "c", t.timestamp }, { "d", t.duration },
        { "e", t.uuid }, { "f", t.bytes }, { "g", t.result(t.u8, t.string) }, { "h", t.schedule_at }, { "i", t.unit } })]]
    local function field(column)
      local element = sections.Typespace.types[1].value.elements[column].algebraic_type.value.elements[1]
      return element.name.value .. " " .. element.algebraic_type.tag
    end
    assert.equal("__identity__ U256", field(1))
    assert.equal("__connection_id__ U128", field(2))
    assert.equal("__timestamp_micros_since_unix_epoch__ I64", field(3))
    assert.equal("__time_duration_micros__ I64", field(4))
    assert.equal("__uuid__ U128", field(5))
    local elements = sections.Typespace.types[1].value.elements
    assert.same({ tag = "Array", value = { tag = "U8" } }, elements[6].algebraic_type)
    assert.equal("ok", elements[7].algebraic_type.value.variants[1].name.value)
    assert.equal("Interval", elements[8].algebraic_type.value.variants[1].name.value)
    assert.same({ elements = {} }, elements[9].algebraic_type.value)
  end)
end)

describe("loading refuses", function()
  local cases = {
    { 'stdb.table("a", { { "x", t.u33 } })', "stdb.types has no type `u33`; did you mean `u32`?" },
    { 'stdb.table("a", { { "x" } })', "a.x: expected a type, got nil" },
    { 'stdb.table("a", { { "x", "u8" } })', 'a.x: expected a type, got string "u8"' },
    { 'stdb.table("a", { { "x", t.u8 }, { "x", t.u8 } })', "a: the column `x` is there twice" },
    { 'stdb.table("a", { "x" })', 'a: column 1: expected { "name", type }, got string "x"' },
    { 'stdb.table("a")', "a: expected a table of columns, got nil" },
    { 'stdb.table("a", { pubic = true })', "a has no option `pubic`; did you mean `public`?" },
    { 'stdb.table("a", { { "x", t.u8, primary = true } })', "a.x has no option `primary`" },
    { 'stdb.table("a", { { "x", t.u8, index = "tree" } })',
      'a.x: `index` is true, "btree", "hash" or "direct", got string "tree"' },
    { 'stdb.table("a", { { "x", t.unit, primary_key = true } })', "a.x: a column of type unit cannot be a key" },
    { 'stdb.table("a", { { "x", t.option(t.array(t.u8)), index = true } })',
      "a.x: a column of type option(array(u8)) cannot be a key" },
    { 'stdb.table("a", { { "x", t.u8, auto_inc = 5 } })', "a.x: auto_inc is `true` or { start = 1000, step = 10 }, got 5" },
    { 'stdb.table("a", { { "x", t.u8, auto_inc = { strat = 5 } } })',
      "a.x: auto_inc has no option `strat`; did you mean `start`?" },
    { 'stdb.table("a", { { "x", t.u8, auto_inc = { start = 1.5 } } })', "1.5 is not a whole number that fits i128" },
    { 'stdb.table("a", { { "x", t.i8, index = "direct" } })',
      "a.x: a direct index is for u8 to u64 and enums without payload, not for i8" },
    { 'stdb.table("a", { { "x", t.u8, primary_key = true }, { "y", t.u8, primary_key = true } })',
      "a.y: the table's primary key is `x` already" },
    { 'stdb.table("a", { { "x", t.string, auto_inc = true } })',
      "a.x: auto_inc is for columns of whole numbers, not for string" },
    { 'stdb.table("a", { { "x", t.u8, default = 300 } })', "a.x: default: expected u8 (0 to 255), got 300" },
    { 'stdb.table("a", { { "x", t.u8, default = 3, unique = true } })', "a.x: a key or a generated column has no default" },
    { 'stdb.table("a", { { "x", t.u8 }, indexes = { { "z" } } })', "a: index 1: a has no column `z`" },
    { 'stdb.table("a", { { "x", t.u8, index = true }, indexes = { { "x" } } })',
      "a.x: there already is an index of this name" },
    { 'stdb.table("a", { x = t.u8 })', 'a: expected a list, got the key `x`: write { "x", type }' },
    { 'stdb.table("a", { { "x", t.u8 }, nil, { "y", t.u8 } })', "a: column 2 is nil" },
    { 'stdb.table("a", { { "x", t.u8, "index" } })', 'a.x: expected { "name", type }, got string "index" behind it' },
    { 'stdb.table("a", { { "x", t.u8 }, indexes = { by_x = { "x" } } })',
      'a: indexes: expected a list, got the key `by_x`: write { name = "by_x", "column", ... }' },
    { 'stdb.table("a", { { "x", t.u8 }, indexes = { { "x", nil, "x" } } })', "a: index 1: column 2 is nil" },
    { 'stdb.table("a", { { "x", t.u8 }, indexes = { { "x", unique = "hash" } } })',
      'a: index 1: `unique` is true or false, got string "hash"' },
    { 'stdb.table("user data", { { "x", t.u8 } })',
      "the table `user data`: a name has letters, digits and underscores, and does not begin with a digit" },
    { 'stdb.reducer("a", { x = t.u8 }, function() end)', 'a: expected a list, got the key `x`: write { "x", type }' },
    { 'stdb.reducer("a", { { "x", t.u8, default = 3 } }, function() end)', "a.x: a parameter has no option `default`" },
    { 't.struct("V", { x = t.u8 })', 'V: expected a list, got the key `x`: write { "x", type }' },
    { 't.enum("E", { A = t.u8 })', 'E: expected a list, got the key `A`: write { "A", type }' },
    { 't.enum("E", { "A", nil, "B" })', "E: variant 2 is nil" },
    { 'stdb.reducer("a", {}, 5)', "a: expected a function, got 5" },
    { 'stdb.reducer("a", { { "x", 5 } }, function() end)', "a.x: expected a type, got 5" },
    { 'stdb.reducer("init", {}, function() end)', "`init` is the server's own call: declare it with stdb.on.init(function)" },
    { 'stdb.on.conect(function() end)', "stdb.on has no hook `conect`; did you mean `connect`?" },
    { 'stdb.tabel("a", {})', "stdb has no function `tabel`; did you mean `table`?" },
    { 't.enum("E", {})', "E: expected a list of 1 to 256 variants, got a table" },
    { 't.enum("E", { "A", "A" })', "E: the variant `A` is there twice" },
    { 'local E = t.enum("E", { "Red" }) local x = E.Rad', "E has no variant `Rad`; did you mean `Red`?" },
    { 't.u8.size = 4', "the type u8 cannot be changed" },
    { 't.u9 = t.u8', "stdb.types cannot be changed (`u9`)" },
    { 'local V = t.struct("V", { { "x", t.u8 } }) V { y = 1 }', "V has no field `y`" },
    { 'stdb.reject "no"', "stdb.reject belongs into a reducer or a view" },
    { 'local x = math.random()', "chance belongs to a call: random can be used only inside a reducer" },
  }
  for _, case in ipairs(cases) do
    it(case[2], function()
      local sentence, line = refusal("\n" .. case[1])
      assert.equal(case[2], sentence)
      assert.equal(4, line)
    end)
  end

  it("two things of one name, naming the first", function()
    local two = {
      ['stdb.table("a", { { "x", t.u8 } })'] = "the table `a` is declared twice: first at module.lua:3",
      ['stdb.reducer("a", function() end)'] = "the reducer `a` is declared twice: first at module.lua:3",
      ['stdb.on.init(function() end)'] = "the reducer `init` is declared twice: first at module.lua:3",
      ['t.struct("A", { { "x", t.u8 } })'] = "the type `A` is declared twice: first at module.lua:3",
    }
    for text, expected in pairs(two) do
      local sentence, line = refusal(text .. "\n" .. text)
      assert.equal(expected, sentence)
      assert.equal(4, line)
    end
  end)

  it("a table whose rows would be called like another type", function()
    local sentence, line = refusal 't.enum("Player", { "A" })\nstdb.table("player", { { "x", t.u8 } })'
    assert.equal("player: clients will know its rows as the type `Player`, and there is one already: module.lua:3", sentence)
    assert.equal(4, line)
  end)

  it("an index called like a table's function", function()
    local sentence = refusal 'stdb.table("a", { { "count", t.u8, index = true } })'
    assert.truthy(sentence:find("this is the name of a function of every table", 1, true))
    assert(lua_host.load(HEAD .. 'stdb.table("a", { { "count", t.u8 }, indexes = { { name = "by_count", "count" } } })'))
  end)

  it("types that nest too deep", function()
    local sentence = refusal "local deep = t.u8 for _ = 1, 100 do deep = t.array(deep) end"
    assert.equal("array: types nest at most 48 deep", sentence)
  end)

  it("types that name one before twice, again and again", function()
    for text, who in pairs {
      ['local s = t.u64 for i = 1, 40 do s = t.struct("S" .. i, { { "a", s }, { "b", s } }) end'] = "S16",
      ['local s = t.u64 for i = 1, 40 do s = t.product { { "a", s }, { "b", s } } end'] = "product",
      ["local s = t.u64 for i = 1, 40 do s = t.result(s, s) end"] = "result",
    } do
      assert.equal(who .. ": the type has more than 65536 parts, all that is inside it counted", (refusal(text)))
    end
  end)

  it("an index over too many columns", function()
    for _, count in ipairs { 17, 40, 250 } do
      local sentence, line = refusal(([[
local made, index = {}, {}
for i = 1, %d do made[i], index[i] = { "c" .. i, t.u8 }, "c" .. i end
made.indexes = { index }
stdb.table("a", made)]]):format(count))
      assert.equal("a: index 1: an index has 16 columns at most", sentence)
      assert.equal(6, line)
    end
  end)
end)

describe("require", function()
  it("finds files beside the module, once each", function()
    assert(lua_host.load {
      ["module.lua"] = 'local a, b = require "rules", require "rules" assert(a == b and a.x == 1 and require "empty" == true)',
      ["rules.lua"] = "return { x = 1 }", ["empty.lua"] = "",
    })
  end)

  it("names the way round when files require each other", function()
    local _, message = lua_host.load { ["module.lua"] = 'require "a"', ["a.lua"] = 'require "b"', ["b.lua"] = 'require "a"' }
    assert.truthy(message:find("b.lua:1: require: `a` is still being loaded: a -> b -> a", 1, true), message)
  end)

  it("tries again after a failure that was caught", function()
    assert(lua_host.load {
      ["module.lua"] = 'for _ = 1, 2 do local ok, why = pcall(require, "bad") assert(not ok and why:find "oops", why) end',
      ["bad.lua"] = 'error "oops"',
    })
  end)

  it("takes names of files beside the module only", function()
    for _, name in ipairs { "../x", "a/b", "..", "", ".a", "a.", "a..b", "/etc/passwd", "stdb.boot", "ffi", "jit", "io" } do
      local module, message = lua_host.load(("require %q"):format(name))
      assert.is_nil(module)
      assert.truthy(message:find "^module%.lua:1: require: ", message)
    end
  end)
end)
