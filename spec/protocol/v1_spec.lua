local client = require "spec.support.client"
local json = require "cjson"
local people = require "spec.support.people"
local v1_client = require "spec.support.v1_client"

local ANN, BEN = { id = 1, name = "ann", age = 30 }, { id = 2, name = "ben", age = 40 }
local NOBODY = "SELECT * FROM person WHERE id = 99"

--- A row of person as the form has it in updates, where fields have no names.
local function in_update(form, person)
  return form == "v1" and person or { person.id, person.name, person.age }
end

for _, form in ipairs { "v1", "v1.json" } do
  describe("a client of " .. form, function()
    local world, ann, bob
    local request_id = 0

    setup(function() world = people.serve() end)
    teardown(function() world:remove() end)
    before_each(function()
      ann, bob = v1_client.connect(world, { protocol = form, rows = people.rows }), people.connect(world)
      bob:call(people.call "remove_everybody")
    end)
    after_each(function()
      ann:drop()
      bob:drop()
    end)

    local function number()
      request_id = request_id + 1
      return request_id
    end

    local function subscribe(query_id, ...)
      ann:send("SubscribeMulti", { query_strings = { ... }, request_id = number(), query_id = { id = query_id } })
      local applied = ann:expect "SubscribeMultiApplied"
      assert.same({ request_id, query_id }, { applied.request_id, applied.query_id.id })
      return ann:tables(applied.update)
    end

    local function refused(query_id, texts)
      ann:send("SubscribeMulti", { query_strings = texts, request_id = number(), query_id = { id = query_id } })
      return ann:expect("SubscriptionError").error
    end

    local function unsubscribe(query_id)
      ann:send("UnsubscribeMulti", { request_id = number(), query_id = { id = query_id } })
      return ann:tables(ann:expect("UnsubscribeMultiApplied").update)
    end

    --- The arguments as the form carries them.
    local function call(reducer, values, list, flags)
      local name, bytes = people.call(reducer, values)
      ann:send("CallReducer", {
        reducer = name, args = form == "v1" and bytes or json.encode(list), request_id = number(), flags = flags or 0,
      })
    end

    local function committed(update)
      return form == "v1" and update.status.tag == "Committed" and update.status.value or update.status.Committed
    end

    local function failure(update)
      return form == "v1" and update.status.tag == "Failed" and update.status.value or update.status.Failed
    end

    it("is told first who it is, and by which token it is known", function()
      local eve = client.connect(world, { token = ann.greeting.token })
      local who = ann.greeting.identity
      assert.equal(form == "v1" and eve.identity or "0x" .. eve.identity, form == "v1" and who or who.__identity__)
      eve:drop()
    end)

    it("gets the rows there are, by table, and the changes after them", function()
      bob:call(people.call("add_person", ANN))
      assert.same({ { table = "person", inserts = { ANN }, deletes = {} } }, subscribe(1, "SELECT * FROM person"))
      bob:call(people.call("add_person", BEN))
      local light = ann:expect "TransactionUpdateLight"
      assert.same({ { table = "person", inserts = { in_update(form, BEN) }, deletes = {} } }, ann:tables(light.update))
      bob:call(people.call("remove_person", { id = 1 }))
      light = ann:expect "TransactionUpdateLight"
      assert.same({ { table = "person", inserts = {}, deletes = { in_update(form, ANN) } } }, ann:tables(light.update))
    end)

    it("gets a table once, with an update for each query that saw something", function()
      subscribe(1, "SELECT * FROM person", "SELECT * FROM pet", "SELECT * FROM person WHERE age > 35", NOBODY)
      bob:call(people.call("add_person", BEN))
      local update = ann:expect("TransactionUpdateLight").update
      assert.equal(1, #update.tables)
      assert.equal(2, tonumber(update.tables[1].num_rows))
      assert.equal(2, #update.tables[1].updates)
    end)

    it("shares a query among its subscriptions: its rows come with the first and go with the last", function()
      bob:call(people.call("add_person", ANN))
      local all = { table = "person", inserts = { ANN }, deletes = {} }
      assert.same({ all }, subscribe(1, "SELECT * FROM person"))
      assert.same({}, subscribe(2, " SELECT * FROM person\n"))
      bob:call(people.call("add_person", BEN))
      assert.equal(1, #ann:tables(ann:expect("TransactionUpdateLight").update))
      assert.same({}, unsubscribe(1))
      bob:call(people.call("remove_person", { id = 2 }))
      ann:expect "TransactionUpdateLight"
      assert.same({ { table = "person", inserts = {}, deletes = { ANN } } }, unsubscribe(2))
    end)

    it("gets the rows of a single query every time", function()
      bob:call(people.call("add_person", ANN))
      subscribe(1, "SELECT * FROM person")
      ann:send("SubscribeSingle", { query = "SELECT * FROM person", request_id = number(), query_id = { id = 2 } })
      local applied = ann:expect "SubscribeApplied"
      assert.equal("person", applied.rows.table_name)
      local shown = ann:tables { tables = { applied.rows.table_rows } }
      assert.same({ { table = "person", inserts = { ANN }, deletes = {} } }, shown)
      ann:send("Unsubscribe", { request_id = number(), query_id = { id = 2 } })
      local gone = ann:expect "UnsubscribeApplied"
      assert.same({ { table = "person", inserts = {}, deletes = {} } }, ann:tables { tables = { gone.rows.table_rows } })
      assert.equal(1, #unsubscribe(1))
    end)

    it("replaces all that it asked for by Subscribe with the next one", function()
      bob:call(people.call("add_person", ANN))
      bob:call(people.call("add_pair", { left = 1, right = 2 }))
      ann:send("Subscribe", { query_strings = { "SELECT * FROM person", "SELECT * FROM pair" }, request_id = number() })
      local first = ann:expect "InitialSubscription"
      assert.equal(request_id, first.request_id)
      assert.equal(2, #ann:tables(first.database_update))
      ann:send("Subscribe", { query_strings = { "SELECT * FROM pair" }, request_id = number() })
      assert.equal(1, #ann:tables(ann:expect("InitialSubscription").database_update))
      bob:call(people.call("add_person", BEN))
      bob:call(people.call("add_pair", { left = 3, right = 4 }))
      local update = ann:tables(ann:expect("TransactionUpdateLight").update)
      assert.equal("pair", update[1].table)
    end)

    it("subscribes to all queries of a request or to none", function()
      ann:send("SubscribeMulti", {
        query_strings = { "SELECT * FROM person", "SELECT * FROM nowhere" }, request_id = number(), query_id = { id = 1 },
      })
      local refusal = ann:expect "SubscriptionError"
      assert.truthy(refusal.error:find("no such table: `nowhere`", 1, true))
      bob:call(people.call("add_person", ANN))
      assert.same({}, subscribe(1, NOBODY)[1].inserts)
    end)

    it("is refused event tables, numbers in use, and numbers that are not", function()
      for _, case in ipairs {
        { "SubscribeMulti", { query_strings = { "SELECT * FROM bell" }, query_id = { id = 1 } }, "event table" },
        { "SubscribeSingle", { query = "SELECT * FROM bell", query_id = { id = 1 } }, "event table" },
        { "SubscribeMulti", { query_strings = { NOBODY }, query_id = { id = 7 } }, "in use" },
        { "UnsubscribeMulti", { query_id = { id = 8 } }, "no such subscription" },
        { "Unsubscribe", { query_id = { id = 7 } }, "no such subscription" },
      } do
        if case[3] == "in use" then subscribe(7, "SELECT * FROM person") end
        case[2].request_id = number()
        ann:send(case[1], case[2])
        local refusal = ann:expect "SubscriptionError"
        assert.truthy(refusal.error:find(case[3], 1, true), refusal.error)
      end
    end)

    it("holds no more subscriptions than a client of v2 may, even of a query that they share", function()
      for query_id = 1, 10000 do subscribe(query_id, NOBODY) end
      assert.truthy(refused(10001, { NOBODY }):find "may hold 10000 subscriptions")
      unsubscribe(1)
      subscribe(10001, NOBODY)
    end)

    it("names no more queries than a client of v2 may: one counts once for each subscription that names it", function()
      local texts = {}
      for id = 1, 2000 do
        texts[id] = ("SELECT * FROM person WHERE id = %d"):format(id % 1000)
      end
      for query_id = 1, 10 do subscribe(query_id, unpack(texts)) end
      assert.truthy(refused(11, { texts[1] }):find "may hold 10000 queries")
      unsubscribe(10)
      subscribe(11, texts[1])
    end)

    describe("with very many rows", function()
      local COUNT = 20000

      before_each(function() bob:call(people.call("add_people", { first = 1, count = COUNT })) end)

      local function send_subscribe(query_id, ...)
        ann:send("SubscribeMulti", { query_strings = { ... }, request_id = number(), query_id = { id = query_id } })
        return request_id
      end

      --- id -> name, of rows with names for their fields or without.
      local function names_in(rows, names)
        for _, row in ipairs(rows) do names[row.id or row[1]] = row.name or row[2] end
        return names
      end

      local function shown(applied) return ann:tables(applied.update) end

      it("is shown one moment and then all that follows, while others go on", function()
        send_subscribe(1, "SELECT * FROM person")
        for id = 1, 40 do
          bob:call(people.call("rename_person", { id = id, name = "renamed " .. id }))
        end
        bob:call(people.call("rename_person", { id = 41, name = "the end" }))

        local rows = shown(ann:expect "SubscribeMultiApplied")[1].inserts
        assert.equal(COUNT, #rows)
        local names = names_in(rows, {})
        while names[41] ~= "the end" do
          local change = ann:tables(ann:expect("TransactionUpdateLight").update)[1]
          local id, name = next(names_in(change.deletes, {}))
          assert.equal(names[id], name)
          names_in(change.inserts, names)
        end
        send_subscribe(2, "select * from person")
        assert.same(names_in(shown(ann:expect "SubscribeMultiApplied")[1].inserts, {}), names)
      end)

      it("is answered in the order in which it asked, and told of changes behind what they change", function()
        local first = send_subscribe(1, "SELECT * FROM person", "SELECT * FROM pet", "SELECT * FROM person WHERE id > 1")
        ann:send("SubscribeSingle", { query = "SELECT * FROM person", request_id = number(), query_id = { id = 2 } })
        local second = request_id
        local third = send_subscribe(3, "SELECT * FROM person WHERE id = 1")
        call("rename_person", { id = 1, name = "anna" }, { 1, "anna" })
        ann:send("Unsubscribe", { request_id = number(), query_id = { id = 2 } })
        local fourth = request_id
        ann:send("UnsubscribeMulti", { request_id = number(), query_id = { id = 1 } })

        local applied = ann:expect "SubscribeMultiApplied"
        assert.equal(first, applied.request_id)
        local sizes = {}
        for place, query in ipairs(shown(applied)) do sizes[place] = #query.inserts end
        table.sort(sizes)
        assert.same({ COUNT - 1, COUNT }, sizes)
        applied = ann:expect "SubscribeApplied"
        assert.equal(second, applied.request_id)
        assert.equal(COUNT, #ann:tables({ tables = { applied.rows.table_rows } })[1].inserts)
        assert.equal(third, ann:expect("SubscribeMultiApplied").request_id)
        assert.equal(2, #ann:tables(committed(ann:expect "TransactionUpdate")))
        assert.equal(fourth, ann:expect("UnsubscribeApplied").request_id)
        local gone = ann:tables(ann:expect("UnsubscribeMultiApplied").update)
        assert.equal(COUNT * 2 - 1, #gone[1].deletes + #gone[2].deletes)
      end)

      it("is shown all of them by Subscribe", function()
        ann:send("Subscribe", { query_strings = { "SELECT * FROM person" }, request_id = number() })
        assert.equal(COUNT, #ann:tables(ann:expect("InitialSubscription").database_update)[1].inserts)
      end)

      it("is refused all of them with one query that is wrong, and asks again", function()
        assert.truthy(refused(1, { "SELECT * FROM person", "SELECT * FROM nowhere" }):find("nowhere", 1, true))
        send_subscribe(1, "SELECT * FROM person")
        assert.equal(COUNT, #shown(ann:expect "SubscribeMultiApplied")[1].inserts)
      end)

      it("may go before it is answered", function()
        local eve = v1_client.connect(world, { protocol = form })
        eve:send("SubscribeMulti", { query_strings = { "SELECT * FROM person" }, request_id = 1, query_id = { id = 1 } })
        eve:drop()
        bob:call(people.call("rename_person", { id = 1, name = "anna" }))
        send_subscribe(1, "SELECT * FROM person")
        assert.equal(COUNT, #shown(ann:expect "SubscribeMultiApplied")[1].inserts)
      end)
    end)

    it("is told of its own call whole, with what it brought", function()
      subscribe(1, "SELECT * FROM person")
      call("add_person", ANN, { 1, "ann", 30 })
      local update = ann:expect "TransactionUpdate"
      assert.same({ { table = "person", inserts = { in_update(form, ANN) }, deletes = {} } }, ann:tables(committed(update)))
      assert.same({ "add_person", request_id }, { update.reducer_call.reducer_name, update.reducer_call.request_id })
      local name, bytes = people.call("add_person", ANN)
      assert.equal("add_person", name)
      assert.equal(form == "v1" and bytes or '[1,"ann",30]', update.reducer_call.args)
      call("add_pair", { left = 1, right = 1 }, { 1, 1 })
      assert.same({}, ann:tables(committed(ann:expect "TransactionUpdate")))
    end)

    it("is not told of a success that it does not want to hear of", function()
      subscribe(1, "SELECT * FROM person")
      call("add_pair", { left = 9, right = 9 }, { 9, 9 }, 1)
      call("add_person", ANN, { 1, "ann", 30 }, 1)
      assert.equal(1, #ann:tables(ann:expect("TransactionUpdateLight").update))
    end)

    it("is told why a call failed, whatever it wants to hear", function()
      call("refuse", { text = "not today" }, { "not today" }, 1)
      local update = ann:expect "TransactionUpdate"
      assert.equal("not today", failure(update))
      assert.equal(request_id, update.reducer_call.request_id)
      call("nothing_like_it", nil, {})
      update = ann:expect "TransactionUpdate"
      assert.truthy(failure(update):find("no such reducer", 1, true))
      assert.equal(4294967295, update.reducer_call.reducer_id)
      call("add_person", { id = 1, name = "x", age = 1 }, { 1 })
      if form == "v1.json" then
        assert.equal("invalid arguments for reducer add_person: argument `name`: it is missing",
          failure(ann:expect "TransactionUpdate"))
      end
    end)

    it("asks once, and is answered under the number of its message", function()
      bob:call(people.call("add_person", ANN))
      local id = form == "v1" and "\1\2" or "0102"
      ann:send("OneOffQuery", { message_id = id, query_string = "SELECT * FROM person" })
      local answer = ann:expect "OneOffQueryResponse"
      assert.equal(id, answer.message_id)
      assert.same({ ANN }, ann:rows("person", answer.tables[1].rows))
      ann:send("OneOffQuery", { message_id = id, query_string = "SELECT * FROM nowhere" })
      answer = ann:expect "OneOffQueryResponse"
      assert.equal(0, #answer.tables)
      local text = form == "v1" and answer.error.value or answer.error.some
      assert.truthy(text:find("no such table: `nowhere`", 1, true))
    end)

    it("may speak in the other form, and is answered in its own", function()
      local name, bytes = people.call("add_person", ANN)
      ann:send_other("CallReducer", {
        reducer = name, args = form == "v1" and '[1,"ann",30]' or bytes, request_id = number(), flags = 0,
      })
      local update = ann:expect "TransactionUpdate"
      assert.truthy(committed(update))
      assert.equal(form == "v1" and bytes or '[1,"ann",30]', update.reducer_call.args)
    end)

    it("is told that there are no procedures", function()
      ann:send("CallProcedure", { procedure = "roll", args = form == "v1" and "" or "[]", request_id = number(), flags = 0 })
      assert.equal(request_id, ann:expect("ProcedureResult").request_id)
    end)

    it("is closed with 1011 when its message does not decode, and the server goes on", function()
      for _, garbage in ipairs {
        { "\255", "binary" }, { "", "binary" }, { "\3\1", "binary" }, { "{", "text" }, { "[]", "text" },
        { '{"Subscribe":{"request_id":1}}', "text" }, { '{"CallReducer":{"reducer":1}}', "text" },
      } do
        local eve = v1_client.connect(world, { protocol = form })
        assert(eve.connection:send(garbage[1], garbage[2]))
        local message, why, code = eve:next()
        assert.same({ nil, "close", 1011 }, { message, why, code })
        eve:drop()
      end
      assert.equal(0, #subscribe(1, "SELECT * FROM nothing"))
    end)
  end)
end

for _, form in ipairs { "v1", "v1.json" } do
  describe("what takes long to be shown to a client of " .. form, function()
    local world
    setup(function() world = people.serve() end)
    teardown(function() world:remove() end)

    local function thread_count()
      local count = 0
      for _ in io.popen("ls /proc/" .. world.pid .. "/task"):lines() do count = count + 1 end
      return count
    end

    it("is worked out on a thread of its own, and what does not is not", function()
      local ann, bob = v1_client.connect(world, { protocol = form, rows = people.rows }), people.connect(world)
      bob:call(people.call("add_people", { first = 1, count = 20000 }))
      local before = thread_count()
      for id, text in ipairs { "SELECT * FROM person WHERE id = 1", "SELECT * FROM person" } do
        ann:send("SubscribeMulti", { query_strings = { text }, request_id = id, query_id = { id = id } })
        ann:expect "SubscribeMultiApplied"
        assert.equal(before + id - 1, thread_count())
      end
      ann:drop()
      bob:drop()
    end)
  end)
end

describe("a client that offers several protocols", function()
  it("gets the newest that both know, whatever it names first", function()
    local world = people.serve()
    for _, case in ipairs {
      { { "v1.json.spacetimedb", "v2.bsatn.spacetimedb" }, "v2.bsatn.spacetimedb" },
      { { "v1.json.spacetimedb", "v1.bsatn.spacetimedb" }, "v1.bsatn.spacetimedb" },
      { { "v1.bsatn.spacetimedb", "v1.json.spacetimedb", "v3.bsatn.spacetimedb" }, "v3.bsatn.spacetimedb" },
      { { "v1.json.spacetimedb" }, "v1.json.spacetimedb" },
    } do
      local connection = assert(client.open(world, { protocols = case[1] }))
      assert.equal(case[2], connection.response.headers["sec-websocket-protocol"])
      connection:shut()
    end
    world:remove()
  end)
end)
