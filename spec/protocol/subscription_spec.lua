local people = require "spec.support.people"
local bsatn = require "spec.support.bsatn"
local messages = require "spec.support.messages"

local ANN, BEN = { id = 1, name = "ann", age = 30 }, { id = 2, name = "ben", age = 40 }

describe("a subscription", function()
  local world, ann, bob

  setup(function() world = people.serve() end)
  teardown(function() world:remove() end)

  before_each(function()
    ann, bob = people.connect(world), people.connect(world)
    ann:call(people.call "remove_everybody")
  end)
  after_each(function()
    ann:drop()
    bob:drop()
  end)

  local function add(person)
    return bob:call_changes(people.call("add_person", person))
  end

  describe("begins", function()
    it("with the rows there are, in the order of its queries", function()
      add(ANN)
      add(BEN)
      bob:call(people.call("add_pair", { left = 1, right = 2 }))
      assert.same({
        { table = "pair", rows = { { left = 1, right = 2 } } },
        { table = "person", rows = { ANN, BEN } },
        { table = "person", rows = { BEN } },
      }, ann:subscribe(1, { "SELECT * FROM pair", "SELECT * FROM person", "SELECT * FROM person WHERE age > 35" }))
    end)

    it("without an entry for an empty table, and with an empty one where nothing matches", function()
      add(ANN)
      assert.same({ { table = "person", rows = {} } },
        ann:subscribe(1, { "SELECT * FROM nothing", "SELECT * FROM person WHERE id = 99" }))
    end)

    it("with no queries at all", function()
      assert.same({}, ann:subscribe(1, {}))
    end)

    it("with a query once that is there twice, byte for byte, after trimming", function()
      add(ANN)
      assert.equal(1, #ann:subscribe(1, { "SELECT * FROM person", "  SELECT * FROM person\n", "SELECT * FROM person" }))
      assert.equal(2, #ann:subscribe(2, { "SELECT * FROM person", "select * from person" }))
    end)

    it("under any number, echoed with the request's", function()
      for _, set in ipairs { 0, 4294967295 } do
        local request_id = ann:send_subscribe(set, { "SELECT * FROM person" })
        local applied = ann:expect "SubscribeApplied"
        assert.same({ request_id, set }, { applied.request_id, applied.query_set_id.id })
      end
    end)

    it("with exactly the bytes that the protocol gives it", function()
      bob:call(people.call("add_person", { id = 1, name = "ann", age = 1 }))
      bob:call(people.call("add_person", { id = 2, name = "bo", age = 1 }))
      local eve = people.connect(world, { protocol = "v2" })
      eve:send("Subscribe", { request_id = 1, query_set_id = { id = 2 },
        query_strings = { "SELECT * FROM person WHERE id = 1", "SELECT * FROM person WHERE age = 1" } })
      local frame = assert(eve.connection:receive())
      eve:drop()
      assert.equal("00" .. "01" .. "01000000" .. "02000000" .. "02000000", bsatn.to_hex(frame:sub(1, 14)))
      local one = bsatn.to_hex "\6\0\0\0person" .. "00" .. "0c00" .. "0c000000" .. bsatn.to_hex "\1\0\0\0\3\0\0\0ann\1"
      assert.equal(one, bsatn.to_hex(frame:sub(15, 14 + #one / 2)))
      local two = messages.of_frame(frame)[1].value.rows.tables[2].rows.size_hint
      assert.equal("RowOffsets", two.tag)
      assert.equal(2, #two.value)
      assert.equal(0, tonumber(two.value[1]))
    end)

    it("with every row found by `:sender` for who asks, and no others", function()
      ann:call(people.call("write_note", { text = "by ann" }))
      bob:call(people.call("write_note", { text = "by bob" }))
      assert.same({ { table = "note", rows = { { author = ann.identity, text = "by ann" } } } },
        ann:subscribe(1, { "SELECT * FROM note WHERE author = :sender" }))
      assert.same({ { table = "note", rows = { { author = bob.identity, text = "by bob" } } } },
        bob:subscribe(1, { "SELECT * FROM note WHERE author = :sender" }))
      assert.same({ { set = 1, table = "note", inserts = { { author = bob.identity, text = "more" } }, deletes = {} } },
        bob:call_changes(people.call("write_note", { text = "more" })))
      assert.is_true(ann:has_nothing())
    end)

    it("with the public tables for `SELECT * FROM *`, without event tables", function()
      add(ANN)
      bob:call(people.call("add_pair", { left = 1, right = 2 }))
      local names = {}
      for _, entry in ipairs(ann:subscribe(1, { "SELECT * FROM *" })) do
        names[#names + 1] = entry.table
      end
      table.sort(names)
      assert.same({ "pair", "person" }, names)
    end)

    it("with rows larger than 65,535 bytes", function()
      bob:call(people.call("add_long_name", { id = 5, letters = 70000 }))
      ann:send_subscribe(1, { "SELECT * FROM person" })
      local list = ann:expect("SubscribeApplied").rows.tables[1].rows
      assert.equal("RowOffsets", list.size_hint.tag)
      assert.equal(70009, #list.rows_data)
    end)

    it("with thousands of rows", function()
      bob:call(people.call("add_people", { first = 1, count = 5000 }))
      local rows = ann:subscribe(1, { "SELECT * FROM person" })[1].rows
      assert.equal(5000, #rows)
      assert.equal("person 4711", rows[4711].name)
    end)
  end)

  describe("is told of", function()
    it("inserts, updates and deletes of its rows", function()
      ann:subscribe(1, { "SELECT * FROM person" })
      add(ANN)
      assert.same({ { set = 1, table = "person", inserts = { ANN }, deletes = {} } }, ann:next_changes())
      bob:call(people.call("rename_person", { id = 1, name = "anna" }))
      assert.same({ { set = 1, table = "person", inserts = { { id = 1, name = "anna", age = 30 } }, deletes = { ANN } } },
        ann:next_changes())
      bob:call(people.call("remove_person", { id = 1 }))
      assert.same({ { set = 1, table = "person", inserts = {}, deletes = { { id = 1, name = "anna", age = 30 } } } },
        ann:next_changes())
    end)

    it("rows that come into a condition and leave it, and of no others", function()
      ann:subscribe(1, { "SELECT * FROM person WHERE name = 'ann'" })
      add(BEN)
      add(ANN)
      assert.same({ { set = 1, table = "person", inserts = { ANN }, deletes = {} } }, ann:next_changes())
      bob:call(people.call("rename_person", { id = 1, name = "eve" }))
      assert.same({ { set = 1, table = "person", inserts = {}, deletes = { ANN } } }, ann:next_changes())
      bob:call(people.call("remove_person", { id = 1 }))
      assert.is_true(ann:has_nothing())
    end)

    it("its sets by number and their tables by name, only of those that changed", function()
      ann:subscribe(7, { "SELECT * FROM pet", "SELECT * FROM person", "SELECT * FROM pair" })
      ann:subscribe(3, { "SELECT * FROM pet" })
      ann:subscribe(5, { "SELECT * FROM note" })
      bob:call(people.call("add_person_with_pet", { id = 1, name = "ann", kind = { tag = "dog" } }))
      local seen = {}
      for _, change in ipairs(ann:next_changes()) do
        seen[#seen + 1] = change.set .. " " .. change.table
      end
      assert.same({ "3 pet", "7 person", "7 pet" }, seen)
    end)

    it("a row once for each of its queries that sees it", function()
      ann:subscribe(1, { "SELECT * FROM person", "SELECT * FROM person WHERE age = 30" })
      ann:subscribe(2, { "SELECT * FROM person WHERE id = 1" })
      add(ANN)
      local change = { table = "person", inserts = { ANN }, deletes = {} }
      local expected = {}
      for place, set in ipairs { 1, 1, 2 } do
        expected[place] = { set = set, table = change.table, inserts = change.inserts, deletes = change.deletes }
      end
      assert.same(expected, ann:next_changes())
    end)

    it("one commit in one message", function()
      ann:subscribe(1, { "SELECT * FROM person" })
      bob:call(people.call("add_people", { first = 1, count = 300 }))
      assert.equal(300, #ann:next_changes()[1].inserts)
      assert.is_true(ann:has_nothing())
    end)

    it("nothing when a commit changes nothing", function()
      ann:subscribe(1, { "SELECT * FROM pair" })
      bob:call(people.call("add_pair", { left = 1, right = 2 }))
      ann:next_changes()
      bob:call(people.call("add_pair", { left = 1, right = 2 }))
      bob:call(people.call("replace_pair", { left = 1, right = 2 }))
      bob:call(people.call("flash_pair", { left = 3, right = 4 }))
      bob:call(people.call("flash_pair", { left = 1, right = 2 })) -- insert of an equal row, then its delete
      assert.same({ { set = 1, table = "pair", inserts = {}, deletes = { { left = 1, right = 2 } } } }, ann:next_changes())
      assert.is_true(ann:has_nothing())
    end)

    it("its own client's commits inside the call's answer, and not again", function()
      ann:subscribe(1, { "SELECT * FROM person" })
      assert.same({ { set = 1, table = "person", inserts = { ANN }, deletes = {} } },
        ann:call_changes(people.call("add_person", ANN)))
      assert.is_true(ann:has_nothing())
    end)

    it("a commit of the same user's other connection like anybody's", function()
      local other = people.connect(world, { token = ann.token })
      assert.equal(ann.identity, other.identity)
      ann:subscribe(1, { "SELECT * FROM person" })
      other:call(people.call("add_person", ANN))
      assert.same({ { set = 1, table = "person", inserts = { ANN }, deletes = {} } }, ann:next_changes())
      other:drop()
    end)

    it("what HTTP calls change", function()
      ann:subscribe(1, { "SELECT * FROM person" })
      assert.equal(200, world:call("add_person", '[1, "ann", 30]').status)
      assert.same({ { set = 1, table = "person", inserts = { ANN }, deletes = {} } }, ann:next_changes())
    end)

    it("what its client calls right behind it, and of nothing that it called before", function()
      ann:send_call(people.call("add_person", ANN))
      ann:send_subscribe(1, { "SELECT * FROM person" })
      ann:send_call(people.call("add_person", BEN))
      local first = ann:expect("ReducerResult").result.value
      assert.same({}, ann:changes(first.transaction_update))
      assert.same({ { table = "person", rows = { ANN } } }, ann:tables(ann:expect("SubscribeApplied").rows))
      local second = ann:expect("ReducerResult").result.value
      assert.same({ { set = 1, table = "person", inserts = { BEN }, deletes = {} } }, ann:changes(second.transaction_update))
    end)

    it("every change in the order of the commits, beginning at the state it was shown", function()
      for _ = 1, 20 do
        bob:call(people.call "remove_everybody")
        local eve = people.connect(world)
        for id = 1, 60 do
          bob:send_call(people.call("add_person", { id = id, name = "x", age = 1 }))
        end
        eve:send_subscribe(1, { "SELECT * FROM person" })
        local shown = eve:tables(eve:expect("SubscribeApplied").rows)
        local seen = shown[1] and #shown[1].rows or 0
        for place = 1, seen do
          assert.equal(place, shown[1].rows[place].id)
        end
        while seen < 60 do
          for _, row in ipairs(eve:next_changes()[1].inserts) do
            seen = seen + 1
            assert.equal(seen, row.id)
          end
        end
        for _ = 1, 60 do
          bob:expect "ReducerResult"
        end
        eve:drop()
      end
    end)
  end)

  describe("to an event table", function()
    it("begins without rows and sees events, and events only", function()
      assert.same({}, ann:subscribe(1, { "SELECT * FROM bell" }))
      bob:call(people.call("ring", { id = 1, tone = "ding" }))
      assert.same({ { set = 1, table = "bell", events = { { id = 1, tone = "ding" } } } }, ann:next_changes())
      assert.is_true(ann:has_nothing())
    end)

    it("sees nothing of a call that fails", function()
      ann:subscribe(1, { "SELECT * FROM bell" })
      bob:call(people.call("ring", { id = 1, tone = "cracked" }))
      assert.is_true(ann:has_nothing())
    end)

    it("sees the same event again and again", function()
      ann:subscribe(1, { "SELECT * FROM bell WHERE id = 1" })
      for _ = 1, 3 do
        bob:call(people.call("ring", { id = 1, tone = "dong" }))
        bob:call(people.call("ring", { id = 2, tone = "dong" }))
        assert.equal(1, #ann:next_changes()[1].events)
      end
      assert.is_true(ann:has_nothing())
    end)

    it("gets its own client's events inside the call's answer", function()
      ann:subscribe(1, { "SELECT * FROM bell" })
      assert.same({ { set = 1, table = "bell", events = { { id = 3, tone = "ding" } } } },
        ann:call_changes(people.call("ring", { id = 3, tone = "ding" })))
    end)

    it("leaves nothing behind that a query finds", function()
      bob:call(people.call("ring", { id = 1, tone = "ding" }))
      assert.same({}, ann:ask "SELECT * FROM bell")
      assert.same({}, ann:subscribe(1, { "SELECT * FROM bell" }))
    end)
  end)

  describe("is refused", function()
    it("with the reason and its number, and the connection goes on", function()
      for what, query in pairs {
        ["no SQL"] = "Hello", ["an empty text"] = "", ["a blank text"] = "  \n ",
        ["an unknown table"] = "SELECT * FROM nobody", ["an unknown column"] = "SELECT * FROM person WHERE size = 1",
        ["a wrong type"] = "SELECT * FROM person WHERE id = 'x'",
        ["columns"] = "SELECT id FROM person", ["a change"] = "DELETE FROM person",
        ["a limit"] = "SELECT * FROM person LIMIT 1",
        ["50,001 bytes"] = "SELECT * FROM person WHERE name = '" .. ("x"):rep(50000) .. "'",
      } do
        assert.is_true(#ann:subscribe_in_vain(1, { query }) > 0, what)
      end
      assert.is_true(ann:has_nothing())
    end)

    it("alike for a private table and for one that is not there", function()
      local private = ann:subscribe_in_vain(1, { "SELECT * FROM secret" }):gsub("secret", "T")
      local missing = ann:subscribe_in_vain(1, { "SELECT * FROM nowhere" }):gsub("nowhere", "T")
      assert.equal(missing, private)
    end)

    it("as a whole when one of its queries is wrong", function()
      ann:subscribe_in_vain(1, { "SELECT * FROM person", "SELECT * FROM nobody", "SELECT * FROM pair" })
      add(ANN)
      assert.is_true(ann:has_nothing())
      assert.equal(1, #ann:subscribe(1, { "SELECT * FROM person" })) -- the number is still free
    end)

    it("under a number that is taken; the one that has it goes on", function()
      ann:subscribe(1, { "SELECT * FROM person" })
      ann:subscribe_in_vain(1, { "SELECT * FROM pair" })
      add(ANN)
      assert.same({ { set = 1, table = "person", inserts = { ANN }, deletes = {} } }, ann:next_changes())
    end)
  end)

  describe("ends", function()
    it("without rows by default", function()
      add(ANN)
      ann:subscribe(1, { "SELECT * FROM person" })
      local request_id = ann:send_unsubscribe(1)
      assert.same({ request_id = request_id, query_set_id = { id = 1 }, rows = { tag = "none" } },
        ann:expect "UnsubscribeApplied")
      add(BEN)
      assert.is_true(ann:has_nothing())
    end)

    it("with the rows it had when they are asked for, even when another set has them too", function()
      add(ANN)
      ann:subscribe(1, { "SELECT * FROM person" })
      ann:subscribe(2, { "SELECT * FROM person" })
      add(BEN)
      ann:next_changes()
      ann:send_unsubscribe(1, true)
      local ended = ann:expect "UnsubscribeApplied"
      assert.same({ { table = "person", rows = { ANN, BEN } } }, ann:tables(ended.rows.value))
      bob:call(people.call("remove_person", { id = 2 }))
      assert.same({ { set = 2, table = "person", inserts = {}, deletes = { BEN } } }, ann:next_changes())
    end)

    it("and frees its number", function()
      add(ANN)
      ann:subscribe(1, { "SELECT * FROM person" })
      ann:send_unsubscribe(1)
      ann:expect "UnsubscribeApplied"
      assert.equal(1, #ann:subscribe(1, { "SELECT * FROM person" }))
    end)

    it("with an error when there is none of this number", function()
      for _, set in ipairs { 1, 99 } do
        local request_id = ann:send_unsubscribe(set, true)
        local refusal = ann:expect "SubscriptionError"
        assert.same({ { tag = "some", value = request_id }, set }, { refusal.request_id, refusal.query_set_id.id })
      end
      assert.is_true(ann:has_nothing())
    end)

    it("when its client goes, and nobody else's with it", function()
      ann:subscribe(1, { "SELECT * FROM person" })
      bob:subscribe(1, { "SELECT * FROM person" })
      ann:drop()
      assert.same({ { set = 1, table = "person", inserts = { ANN }, deletes = {} } }, add(ANN))
    end)
  end)

  it("and fifty others see the same", function()
    local clients = {}
    for place = 1, 50 do
      clients[place] = people.connect(world, { protocol = place % 2 == 0 and "v2" or "v3" })
      clients[place]:subscribe(place, { "SELECT * FROM person" })
    end
    add(ANN)
    for place = 1, 50 do
      assert.same({ { set = place, table = "person", inserts = { ANN }, deletes = {} } }, clients[place]:next_changes())
      clients[place]:drop()
    end
  end)
end)

describe("a query asked once", function()
  local world, ann

  setup(function()
    world = people.serve()
    ann = people.connect(world)
    ann:call(people.call("add_person", ANN))
    ann:call(people.call("add_person", BEN))
  end)
  teardown(function() world:remove() end)

  it("answers with one table, empty or not", function()
    assert.same({ ANN, BEN }, ann:ask "SELECT * FROM person")
    assert.same({ BEN }, ann:ask [[SELECT * FROM person WHERE "person"."age" > 30]])
    assert.same({}, ann:ask "SELECT * FROM person WHERE id = 3")
    assert.same({}, ann:ask "SELECT * FROM nothing")
  end)

  it("knows comparisons, AND, OR and parentheses", function()
    assert.same({ ANN }, ann:ask "SELECT * FROM person WHERE (id = 1 OR id = 2) AND name <> 'ben'")
    assert.same({ ANN, BEN }, ann:ask "SELECT * FROM person WHERE age >= 30 AND age <= 40")
    assert.same({ BEN }, ann:ask "SELECT * FROM person WHERE id = 2 OR id = 1 AND age > 30")
  end)

  it("answers an error with its reason, and the connection goes on", function()
    for _, query in ipairs { "", "Hello", "SELECT * FROM nobody", "SELECT * FROM secret" } do
      local rows, reason = ann:ask(query)
      assert.is_nil(rows)
      assert.is_true(#reason > 0)
    end
    assert.is_true(ann:has_nothing())
  end)

  it("shows private tables to the owner alone", function()
    local owner = people.connect(world, { token = world:owner_token() })
    assert.same({ { id = 1 } }, owner:ask "SELECT * FROM secret")
    assert.same({ { table = "secret", rows = { { id = 1 } } } }, owner:subscribe(1, { "SELECT * FROM secret" }))
    ann:call(people.call("add_secret", { id = 2 }))
    assert.same({ { set = 1, table = "secret", inserts = { { id = 2 } }, deletes = {} } }, owner:next_changes())
    owner:drop()
  end)
end)
