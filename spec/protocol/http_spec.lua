local cjson = require "cjson"
local people = require "spec.support.people"
local server = require "spec.support.server"
local ws_client = require "spec.support.ws_client"

local JSON = { ["Content-Type"] = "application/json" }

local function rows_of(response)
  assert.equal(200, response.status)
  assert.equal("application/json", response.headers["content-type"])
  return cjson.decode(response.body)[1].rows
end

describe("over HTTP", function()
  local world

  setup(function() world = people.serve() end)
  teardown(function() world:remove() end)
  before_each(function() assert.equal(200, world:call("remove_everybody").status) end)

  describe("a call", function()
    it("takes its arguments in a list or by name, and answers 200 with nothing", function()
      local first = world:call("add_person", '[1, "ann", 30]')
      local second = world:call("add_person", '{"age": 40, "id": 2, "name": "ben"}')
      assert.same({ 200, "", 200, "" }, { first.status, first.body, second.status, second.body })
      assert.same({ { 1, "ann", 30 }, { 2, "ben", 40 } }, rows_of(world:sql "SELECT * FROM person"))
    end)

    it("tells how long it took, and who called", function()
      local response = world:call("do_nothing")
      assert.truthy(response.headers["spacetime-execution-duration-micros"]:find "^%d+$")
      assert.equal(64, #response.headers["spacetime-identity"])
      assert.truthy(response.headers["spacetime-identity-token"])
    end)

    it("comes from the identity of its token", function()
      local first = world:call("write_note", '["hello"]')
      local token = first.headers["spacetime-identity-token"]
      local second = world:call("write_note", '["again"]', token)
      assert.equal(first.headers["spacetime-identity"], second.headers["spacetime-identity"])
      local ann = people.connect(world, { token = token })
      assert.equal(2, #ann:ask "SELECT * FROM note WHERE author = :sender")
      ann:drop()
    end)

    it("that the reducer refuses answers 530 with its words, and changes nothing", function()
      local response = world:call("refuse", '["not today"]')
      assert.same({ 530, "not today" }, { response.status, response.body })
      assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
      assert.same({}, rows_of(world:sql "SELECT * FROM pair"))
    end)

    it("that runs into a bug answers 530 without the module's inner life", function()
      local response = world:call("break_down")
      assert.equal(530, response.status)
      assert.is_nil(response.body:find("mistake", 1, true))
      assert.same({}, rows_of(world:sql "SELECT * FROM pair"))
    end)

    it("of an unknown reducer answers 404", function()
      local response = world:call("no_such_thing")
      assert.equal(404, response.status)
      assert.truthy(response.body:find "^no such reducer")
    end)

    it("of a lifecycle reducer answers 400", function()
      for _, name in ipairs { "init", "client_connected", "client_disconnected" } do
        assert.equal(400, world:call(name).status, name)
      end
    end)

    it("with arguments that do not fit answers 400 and says so", function()
      for _, arguments in ipairs {
        "[]", '[1, "ann"]', '[1, "ann", 30, 4]', '["1", "ann", 30]', '[1, "ann", 256]', '[-1, "ann", 30]',
        '[1.5, "ann", 30]', '{"id": 1, "name": "ann"}', '{"id": 1, "name": "ann", "age": 3, "size": 4}',
        '{"id": 1, "id": 1, "name": "ann", "age": 3}', '[1, "ann", 30] more', "[1", "hello", "", "1", "null",
        '[1, null, 30]', ("["):rep(10000),
      } do
        local response = world:call("add_person", arguments)
        assert.equal(400, response.status, arguments)
        assert.truthy(response.body:find "^invalid arguments", arguments)
      end
      assert.same({}, rows_of(world:sql "SELECT * FROM person"))
    end)

    it("names the argument that does not fit, whether they are counted or named", function()
      for arguments, problem in pairs {
        ["[]"] = "argument `id`: it is missing",
        ['[1, "ann"]'] = "argument `age`: it is missing",
        ['{"id": 1, "name": "ann"}'] = "argument `age`: it is missing",
        ['[1, "ann", 256]'] = "argument `age`: expected u8, found 256",
        ['{"age": 1, "id": 1, "name": null}'] = "argument `name`: expected string, found null",
        ['{"id": 1, "id": 1, "name": "ann", "age": 3}'] = "argument `id`: it is there twice",
        ['{"id": 1, "nam": "ann"}'] = 'there is no "nam" in {id: u32, name: string, age: u8}',
        ['[1, "ann", 30, 4]'] = "expected 3 values, found more",
      } do
        assert.equal("invalid arguments for reducer add_person: " .. problem, world:call("add_person", arguments).body)
      end
    end)

    it("needs the content type for JSON: 400 without one, 415 with another", function()
      local path = "/v1/database/%s/call/do_nothing"
      assert.equal(400, world:request({ method = "POST", path = path, body = "[]" }).status)
      for _, other in ipairs { "text/plain", "application/json; charset=utf-8", "application/JSON5" } do
        assert.equal(415,
          world:request({ method = "POST", path = path, body = "[]", headers = { ["Content-Type"] = other } }).status, other)
      end
    end)

    it("with a body that is no UTF-8 answers 400, with one over 2 MiB 413", function()
      assert.equal(400, world:call("refuse", '["\255"]').status)
      assert.equal(413, world:call("refuse", '["' .. ("x"):rep(2100000) .. '"]').status)
    end)

    it("to another method than POST answers 405, to another database 404", function()
      assert.equal(405, world:request({ path = "/v1/database/%s/call/do_nothing" }).status)
      local strange = { method = "POST", path = "/v1/database/nobody/call/do_nothing", headers = JSON, body = "[]" }
      assert.equal(404, world:request(strange).status)
    end)
  end)

  describe("SQL", function()
    it("answers with the columns, the rows as lists, and what it took", function()
      world:call("add_person", '[1, "ann", 30]')
      local response = world:sql "SELECT * FROM person"
      assert.truthy(response.headers["spacetime-execution-duration-micros"])
      local results = cjson.decode(response.body)
      assert.equal(1, #results)
      assert.is_number(results[1].total_duration_micros)
      assert.same({ rows_inserted = 0, rows_deleted = 0, rows_updated = 0 }, results[1].stats)
      assert.same({ { 1, "ann", 30 } }, results[1].rows)
      assert.same({ elements = {
        { name = { some = "id" }, algebraic_type = { U32 = {} } },
        { name = { some = "name" }, algebraic_type = { String = {} } },
        { name = { some = "age" }, algebraic_type = { U8 = {} } },
      } }, results[1].schema)
    end)

    it("filters", function()
      world:call("add_people", "[1, 100]")
      assert.equal(11, #rows_of(world:sql "SELECT * FROM person WHERE id >= 10 AND (id <= 19 OR name = 'person 77')"))
      assert.same({}, rows_of(world:sql "SELECT * FROM person WHERE id > 100"))
    end)

    it("that is none, names nothing, or may not be seen answers 400 with the reason", function()
      for _, text in ipairs {
        "", "Hello", "SELECT", "SELECT * FROM nobody", "SELECT * FROM secret", "SELECT * FROM person WHERE nothing = 1",
        "SELECT * FROM person WHERE id = 'x'", "SELECT * FROM person; SELECT * FROM pet", ("("):rep(40000),
      } do
        local response = world:sql(text)
        assert.equal(400, response.status, text)
        assert.is_true(#response.body > 0)
      end
    end)

    it("shows private tables to the owner", function()
      assert.same({ { 1 } }, rows_of(world:sql("SELECT * FROM secret", world:owner_token())))
    end)

    it("sees what was called before it", function()
      for id = 1, 20 do
        world:call("add_person", ('[%d, "x", 1]'):format(id))
        assert.equal(id, #rows_of(world:sql "SELECT * FROM person"))
      end
    end)
  end)

  describe("the schema", function()
    local function schema(version)
      local response = world:request { path = "/v1/database/%s/schema?version=" .. version }
      assert.equal(200, response.status)
      return cjson.decode(response.body)
    end

    it("comes in version 9, with tables sorted by name", function()
      local def = schema(9)
      local names = {}
      for place, made in ipairs(def.tables) do
        names[place] = made.name
      end
      assert.same({ "bell", "mood", "note", "nothing", "pair", "person", "pet", "secret", "visit" }, names)
      local person = def.tables[6]
      assert.same({ { 0 }, { Public = {} }, { User = {} } },
        { person.primary_key, person.table_access, person.table_type })
      assert.same({ Private = {} }, def.tables[8].table_access)
      local lifecycles = {}
      for _, reducer in ipairs(def.reducers) do
        if reducer.lifecycle.some then
          lifecycles[reducer.name] = next(reducer.lifecycle.some)
        end
      end
      assert.same({ init = "Init", client_connected = "OnConnect", client_disconnected = "OnDisconnect" }, lifecycles)
    end)

    it("comes in version 10, in sections", function()
      local sections = {}
      for _, section in ipairs(schema(10).sections) do
        local name, content = next(section)
        sections[name] = content
      end
      assert.truthy(sections.Typespace and sections.Types and sections.Tables and sections.Reducers
        and sections.LifeCycleReducers and sections.ExplicitNames)
      for _, made in ipairs(sections.Tables) do
        assert.equal(made.source_name == "bell", made.is_event)
      end
      for _, reducer in ipairs(sections.Reducers) do
        if reducer.source_name == "add_pair" then
          assert.same({ elements = {
            { name = { some = "left" }, algebraic_type = { U16 = {} } },
            { name = { some = "right" }, algebraic_type = { U16 = {} } },
          } }, reducer.params)
        end
      end
    end)

    it("comes in no other version, and not without one", function()
      for _, query in ipairs { "", "?version=8", "?version=11", "?version=nine", "?version=" } do
        assert.equal(400, world:request({ path = "/v1/database/%s/schema" .. query }).status, query)
      end
    end)
  end)

  describe("the database", function()
    it("tells about itself", function()
      local info = cjson.decode(world:request({ path = "/v1/database/%s" }).body)
      local id = world:request({ path = "/v1/database/%s/identity" }).body
      assert.truthy(id:find "^%x+$" and #id == 64)
      assert.equal(id:gsub("^0+", ""), info.database_identity.__identity__:gsub("^0x", ""))
      local owner = people.connect(world, { token = world:owner_token() })
      owner:drop()
      assert.equal(owner.identity, (info.owner_identity.__identity__:gsub("^0x", "")))
      assert.truthy(info.initial_program:find "^0x%x+$")
      assert.same({ names = { "people" } }, cjson.decode(world:request({ path = "/v1/database/%s/names" }).body))
    end)

    it("tells the time", function()
      local answer = world:request { path = "/v1/database/%s/unstable/timestamp" }
      assert.same({ 200, "application/json" }, { answer.status, answer.headers["content-type"] })
      local micros = tonumber(answer.body:match '^{"__timestamp_micros_since_unix_epoch__":(%d+)}$')
      assert.is_true(math.abs(micros / 1e6 - os.time()) < 3600, answer.body)
      assert.equal(404, world:request({ path = "/v1/database/nobody/unstable/timestamp" }).status)
    end)

    it("that is not there answers 404, with a name as with an identity", function()
      for _, path in ipairs { "", "/identity", "/names", "/schema?version=9", "/logs" } do
        assert.equal(404, world:request({ path = "/v1/database/nobody" .. path }).status, path)
      end
      local response = world:request { path = "/v1/database/" .. ("0"):rep(64) }
      assert.equal(404, response.status)
      assert.truthy(response.body:find "^No such database")
    end)
  end)

  describe("the log", function()
    local function lines(query, token)
      local response = world:request { path = "/v1/database/%s/logs" .. query, token = token or world:owner_token() }
      assert.equal(200, response.status)
      assert.equal("application/x-ndjson", response.headers["content-type"])
      local list = {}
      for line in response.body:gmatch "[^\n]+" do
        list[#list + 1] = cjson.decode(line)
      end
      return list
    end

    it("is the owner's alone", function()
      assert.equal(403, world:request({ path = "/v1/database/%s/logs" }).status)
    end)

    it("has a line for everything the module says, with level, reducer, file and line", function()
      local now = os.time()
      assert.equal(200, world:call("say", '["moo"]').status)
      local levels = {}
      for _, line in ipairs(lines "?num_lines=5") do
        levels[#levels + 1] = line.level .. ": " .. line.message
        assert.same({ "say", "people.lua" }, { line["function"], line.filename })
        assert.is_true(line.line_number > 0 and math.abs(line.ts / 1e6 - now) < 60)
      end
      assert.same({
        "Error: moo as an error", "Warn: moo as a warning", "Info: moo as information", "Debug: moo for debugging",
        "Trace: moo for tracing",
      }, levels)
    end)

    it("has refusals and bugs with the reducer's name", function()
      world:call("refuse", '["not today"]')
      world:call("break_down")
      local last = lines "?num_lines=2"
      assert.equal("refuse", last[1]["function"])
      assert.truthy(last[1].message:find("not today", 1, true))
      assert.same({ "Error", "break_down", "people.lua" }, { last[2].level, last[2]["function"], last[2].filename })
      assert.truthy(last[2].message:find("the module's own mistake", 1, true))
    end)

    it("keeps to one line each, whatever is said", function()
      world:call("say", [=[["a\n{\"level\":\"Error\",\"message\":\"forged\"}\nb\u0000\u001b[31m"]]=])
      local last = lines "?num_lines=5"
      assert.equal("a\n{\"level\":\"Error\",\"message\":\"forged\"}\nb\0\27[31m as an error", last[1].message)
    end)

    it("cuts a line at 4 KiB", function()
      world:call("say", '["' .. ("ä"):rep(5000) .. '"]')
      assert.is_true(#lines("?num_lines=5")[1].message <= 4096)
    end)

    it("gives as many of its last lines as are wanted, all of them when nothing is said", function()
      world:call("say", '["moo"]')
      assert.equal(1, #lines "?num_lines=1")
      assert.equal("", world:request({ path = "/v1/database/%s/logs?num_lines=0", token = world:owner_token() }).body)
      local all = lines ""
      assert.equal(#all, #lines "?num_lines=1000000")
      assert.is_true(#all > 5)
      assert.equal(400, world:request({ path = "/v1/database/%s/logs?num_lines=many", token = world:owner_token() }).status)
    end)

    it("gives its last lines whole when there are very many", function()
      for place = 1, 60 do
        world:call("say", ('["%d %s"]'):format(place, ("x"):rep(place * 60)))
      end
      local last = lines "?num_lines=250"
      assert.equal(250, #last)
      assert.truthy(last[1].message:find "^11 x+ as an error$")
      assert.truthy(last[250].message:find "^60 x+ for tracing$")
    end)

    it("can be followed, from a number of lines or from now on", function()
      for query, expected in pairs { ["?follow=true"] = "", ["?follow=true&num_lines=1"] = "before for tracing" } do
        world:call("say", '["before"]')
        local follower = assert(ws_client.open { port = world.port })
        follower:send_request { path = "/v1/database/people/logs" .. query,
          headers = { Authorization = "Bearer " .. world:owner_token() } }
        assert.equal(200, follower:read_head().status)
        local text = expected == "" and "" or follower:read_chunk()
        assert.truthy(text:find(expected, 1, true))
        world:call("say", '["news"]')
        assert.truthy(assert(follower:read_chunk()):find "news as an error")
        follower:shut()
      end
    end)

    it("that is followed ends with the server", function()
      local other = people.serve()
      local follower = assert(ws_client.open { port = other.port })
      follower:send_request { path = "/v1/database/people/logs?follow=true",
        headers = { Authorization = "Bearer " .. other:owner_token() } }
      assert.equal(200, follower:read_head().status)
      other:stop()
      local chunk
      repeat
        chunk = follower:read_chunk(server.patience)
      until chunk == nil or chunk == ""
      assert.equal("", chunk)
      follower:shut()
      other:remove()
    end)
  end)

  it("the server pings, tells its health, and answers preflights for any origin", function()
    local ping = world:request { path = "/v1/ping" }
    assert.same({ 200, "" }, { ping.status, ping.body })
    local health = cjson.decode(world:request({ path = "/v1/health" }).body)
    assert.same({ { 0 }, true }, { health.nodes, health.schedulable })
    local preflight = world:request { method = "OPTIONS", path = "/v1/identity/websocket-token", headers = {
      Origin = "http://localhost:5173", ["Access-Control-Request-Method"] = "POST",
      ["Access-Control-Request-Headers"] = "authorization",
    } }
    assert.equal(200, preflight.status)
    assert.equal("*", preflight.headers["access-control-allow-origin"])
    assert.truthy(preflight.headers["access-control-allow-headers"]:find "authorization")
    assert.equal("*", world:call("do_nothing").headers["access-control-allow-origin"])
  end)

  it("a client that goes during a call leaves the call whole and nobody behind", function()
    local before = #people.visits(world)
    local rude = assert(ws_client.open { port = world.port })
    rude:send_request { method = "POST", path = "/v1/database/people/call/dawdle", headers = JSON, body = "[100000]" }
    ws_client.sleep(0.01)
    rude.stream.tcp:setoption("linger", { on = true, timeout = 0 })
    rude:shut()
    server.wait("both hooks", function()
      local visits = people.visits(world)
      return #visits >= before + 4 and visits[before + 2]:find "^disconnect"
        or #visits >= before + 4 and visits[before + 3]:find "^disconnect"
    end)
  end)
end)

describe("every type", function()
  local world

  setup(function() world = server.start { module = "spec/protocol/modules/types.lua", database = "types" } end)
  teardown(function() world:remove() end)

  local VALUES = [=[{
    "a_bool": true, "an_i8": -128, "a_u8": 255, "an_i16": -32768, "a_u16": 65535, "an_i32": -2147483648,
    "a_u32": 4294967295, "an_i64": -9223372036854775808, "a_u64": 18446744073709551615,
    "an_i128": -170141183460469231731687303715884105728, "a_u128": 340282366920938463463374607431768211455,
    "an_i256": "-0x1f", "a_u256": "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "an_f32": 0.1, "an_f64": 1e300, "text": "tab\t \"quoted\" ü", "some_bytes": "00ff10",
    "who": ["0xc200483152d642c7d402de06cacc36dcb0c2a1f2bbeb8e7d5a673f2435cca975"], "connection": {"__connection_id__": 7},
    "at": {"__timestamp_micros_since_unix_epoch__": 1700000000000000}, "span": [-5],
    "maybe": {"some": "yes"}, "color": {"Green": []}, "shape": {"Circle": 1.5},
    "place": {"x": 1, "y": -1}, "places": [{"x": 1, "y": 2}, [3, 4]], "numbers": [1, 2, 65535]
  }]=]

  local AS_ROW = table.concat({
    "true", "-128", "255", "-32768", "65535", "-2147483648", "4294967295", "-9223372036854775808", "18446744073709551615",
    "-170141183460469231731687303715884105728", "340282366920938463463374607431768211455", '"-0x1f"',
    '"0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"', "0.1", "1e+300", [["tab\t \"quoted\" ü"]],
    '"00ff10"', '["0xc200483152d642c7d402de06cacc36dcb0c2a1f2bbeb8e7d5a673f2435cca975"]', "[7]", "[1700000000000000]", "[-5]",
    '[0,"yes"]', "[1,[]]", "[0,1.5]", "[1,-1]", "[[1,2],[3,4]]", "[1,2,65535]",
  }, ",")

  it("goes in as JSON and comes out of SQL unharmed", function()
    local response = world:call("put", VALUES)
    assert.equal("", response.body)
    assert.equal(200, response.status)
    local row = world:sql("SELECT * FROM everything").body:match '"rows":%[%[(.*)%]%],"total_duration'
    assert.equal(AS_ROW, row)
  end)

  it("of an identity goes in in four spellings", function()
    local id = "0xc200483152d642c7d402de06cacc36dcb0c2a1f2bbeb8e7d5a673f2435cca975"
    for _, spelling in ipairs {
      '[["%s"]]', '[{"__identity__": "%s"}]', '{"who": ["%s"]}', '{"who": {"__identity__": "%s"}}',
    } do
      local response = world:call("know", spelling:format(id))
      assert.equal("", response.body)
      assert.equal(200, response.status)
    end
    assert.same({ { { id } } }, rows_of(world:sql "SELECT * FROM known"))
  end)

  it("that counts by itself counts from 1, and refuses a number that is taken", function()
    for _, width in ipairs { "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "u128", "i128" } do
      for place = 1, 3 do
        local response = world:call("add_" .. width, ('[0, "number %d"]'):format(place))
        assert.equal(200, response.status, response.body)
      end
      assert.same({ { 1, "number 1" }, { 2, "number 2" }, { 3, "number 3" } },
        rows_of(world:sql("SELECT * FROM count_" .. width)))
      assert.equal(530, world:call("add_" .. width, '[2, "again"]').status)
      assert.equal(200, world:call("add_" .. width, '[100, "far"]').status)
      assert.equal(200, world:call("add_" .. width, '[0, "number 4"]').status)
      assert.equal(1, #rows_of(world:sql("SELECT * FROM count_" .. width .. " WHERE id = 4")))
    end
  end)
end)
