--- Joins and orders over the wire: what a client is shown, told of, and refused.
local messages = require "spec.support.messages"
local people = require "spec.support.people"

local ANN, BEN, CAT = { id = 1, name = "ann", age = 30 }, { id = 2, name = "ben", age = 40 },
  { id = 3, name = "cat", age = 50 }

describe("a live query", function()
  local world, ann, bob

  setup(function() world = people.serve() end)
  teardown(function() world:remove() end)

  before_each(function()
    ann, bob = people.connect(world), people.connect(world)
    bob:call(people.call "remove_everybody")
  end)
  after_each(function()
    ann:drop()
    bob:drop()
  end)

  local function add(person)
    bob:call(people.call("add_person", person))
  end

  it("over two tables shows rows of one, once for each partner, and follows both", function()
    bob:call(people.call("add_person_with_pet", { id = 1, name = "ann", kind = { tag = "dog" } }))
    local person = { id = 1, name = "ann", age = 30 }
    assert.same({ { table = "person", rows = { person } } },
      ann:subscribe(1, { "SELECT person.* FROM person JOIN pet ON person.id = pet.owner" }))

    bob:call(people.call("rename_person", { id = 1, name = "anna" }))
    assert.same({ { set = 1, table = "person", inserts = { { id = 1, name = "anna", age = 30 } }, deletes = { person } } },
      ann:next_changes())

    bob:call(people.call("remove_person", { id = 1 }))
    assert.same({ { set = 1, table = "person", inserts = {}, deletes = { { id = 1, name = "anna", age = 30 } } } },
      ann:next_changes())
  end)

  it("over two tables brings the events whose partners are there", function()
    add(ANN)
    assert.same({}, ann:subscribe(1, { "SELECT bell.* FROM bell JOIN person ON bell.id = person.id WHERE person.age > 20" }))
    bob:call(people.call("ring", { id = 2, tone = "low" }))
    bob:call(people.call("ring", { id = 1, tone = "high" }))
    assert.same({ { set = 1, table = "bell", events = { { id = 1, tone = "high" } } } }, ann:next_changes())
  end)

  it("in an order shows the first rows, and the successor of one that goes", function()
    add(CAT)
    add(ANN)
    add(BEN)
    assert.same({ { table = "person", rows = { BEN, CAT } } },
      ann:subscribe(1, { "SELECT * FROM person ORDER BY age DESC LIMIT 2" }))

    bob:call(people.call("remove_person", { id = 3 }))
    assert.same({ { set = 1, table = "person", inserts = { ANN }, deletes = { CAT } } }, ann:next_changes())

    add { id = 9, name = "baby", age = 1 }
    assert.is_true(ann:has_nothing())
  end)

  it("is refused without an index to find partners by, and leaves the client's other sets alone", function()
    ann:subscribe(1, { "SELECT * FROM person" })
    ann:send_subscribe(2, { "SELECT pair.* FROM person JOIN pair ON person.id = pair.left" })
    local refusal = ann:expect "SubscriptionError"
    assert.equal(2, refusal.query_set_id.id)

    add(ANN)
    assert.same({ { set = 1, table = "person", inserts = { ANN }, deletes = {} } }, ann:next_changes())
  end)

  describe("with very many rows", function()
    local COUNT = 30000

    before_each(function()
      bob:call(people.call("add_people", { first = 1, count = COUNT }))
    end)

    local function rows_in(list)
      local rows = {}
      for _, row in ipairs(messages.rows(list)) do
        rows[row] = true
      end
      return rows
    end

    --- Applies TransactionUpdates until the row that ends the story has come.
    local function follow(client, rows, last_name)
      local is_over = false
      while not is_over do
        for _, set in ipairs(client:expect("TransactionUpdate").query_sets) do
          for _, element in ipairs(set.tables[1].rows) do
            for _, row in ipairs(messages.rows(element.value.deletes)) do
              assert(rows[row], "a row is taken back that was never shown")
              rows[row] = nil
            end
            for _, row in ipairs(messages.rows(element.value.inserts)) do
              rows[row] = true
              is_over = is_over or row:find(last_name, 1, true)
            end
          end
        end
      end
    end

    it("shows one moment and then all that follows, while others go on", function()
      ann:send_subscribe(1, { "SELECT * FROM person" })
      for id = 1, 40 do
        bob:call(people.call("rename_person", { id = id, name = "renamed " .. id }))
      end
      bob:call(people.call("rename_person", { id = 41, name = "the end" }))

      local rows = rows_in(ann:expect("SubscribeApplied").rows.tables[1].rows)
      local shown = 0
      for _ in pairs(rows) do
        shown = shown + 1
      end
      assert.equal(COUNT, shown)
      follow(ann, rows, "the end")

      ann:send_subscribe(2, { "select * from person" })
      assert.same(rows_in(ann:expect("SubscribeApplied").rows.tables[1].rows), rows)
    end)

    it("is answered before what its client asked for after it", function()
      local first = ann:send_subscribe(1, { "SELECT * FROM person" })
      local second = ann:send_subscribe(2, { "SELECT * FROM person WHERE id = 1" })
      ann:send("CallReducer", { flags = 0, reducer = "rename_person",
        args = select(2, people.call("rename_person", { id = 1, name = "anna" })) })
      local third = ann:send("Unsubscribe", { query_set_id = { id = 1 }, flags = { tag = "SendDroppedRows" } })

      assert.equal(first, ann:expect("SubscribeApplied").request_id)
      assert.equal(second, ann:expect("SubscribeApplied").request_id)
      local update = ann:expect("ReducerResult").result.value.transaction_update
      assert.same({ 1, 2 }, { update.query_sets[1].query_set_id.id, update.query_sets[2].query_set_id.id })
      local gone = ann:expect "UnsubscribeApplied"
      assert.equal(third, gone.request_id)
      assert.equal(COUNT, #messages.rows(gone.rows.value.tables[1].rows))
    end)

    it("is answered to all who ask at once, from the same rows", function()
      local clients = {}
      for place = 1, 5 do
        clients[place] = people.connect(world)
        clients[place]:send_subscribe(1, { "SELECT * FROM person" })
      end
      for _, client in ipairs(clients) do
        assert.equal(COUNT, #messages.rows(client:expect("SubscribeApplied").rows.tables[1].rows))
        client:drop()
      end
    end)

    it("may lose its client before it is answered", function()
      local eve = people.connect(world)
      eve:send_subscribe(1, { "SELECT * FROM person" })
      eve:drop()
      bob:call(people.call("rename_person", { id = 1, name = "anna" }))
      ann:subscribe(1, { "SELECT * FROM person WHERE id = 1" })
    end)
  end)
end)
