--- Joins and orders over the wire: what a client is shown, told of, and refused.
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
end)
