--- What a commit brings to clients of v1, made once for all who are brought the same: on a server without sockets, where
--- it can be counted.
local v1_sim = require "spec.support.v1_sim"

local SMALL, LARGE = 10, 5000

describe("an update of v1", function()
  local world

  before_each(function() world = v1_sim.world() end)
  after_each(function() world:remove() end)

  local function connect(number, protocol, ...)
    world:connect(number, protocol)
    world:subscribe(number, ...)
  end

  --- A commit of somebody else's: how many updates, and how many lists of rows, were made for it.
  local function commit(id, letters)
    local updates, lists = world.server:v1_updates(), world.server:v1_lists_told()
    world:add(id, letters)
    return world.server:v1_updates() - updates, world.server:v1_lists_told() - lists
  end

  local function told(number)
    local _, read = world:receive(number)
    return read[1] and world:things(number, read[1].value.update) or "nothing"
  end

  for _, letters in ipairs { SMALL, LARGE } do
    it(("is made once a form for all who are brought the same, of %d letters"):format(letters), function()
      for number = 1, 7 do connect(number, number <= 4 and "v1" or "v1.json", "SELECT * FROM thing", "SELECT * FROM other") end
      for id = 1, 3 do
        assert.equal(2, (commit(id, letters)))
        assert.same({ { id, letters } }, world:told_alike(1, 2, 3, 4))
        assert.same({ { id, letters } }, world:told_alike(5, 6, 7))
      end
    end)

    it(("is made of what was made for others of %d letters, whatever else they are brought"):format(letters),
      function()
        local all, few, one = "SELECT * FROM thing", "SELECT * FROM thing WHERE id < 10", "SELECT * FROM thing WHERE id = 1"
        connect(1, "v1.json", all, few)
        connect(2, "v1.json", few, all)
        connect(3, "v1.json", one, "SELECT * FROM other", all)
        local updates, lists = commit(1, letters)
        local is_small = letters == SMALL -- then what has equal rows is equal, whichever queries they come from
        assert.equal(is_small and 2 or 3, updates)
        assert.equal(is_small and 2 or 4, lists)
        assert.same({ { 1, letters }, { 1, letters } }, told(1))
        assert.same({ { 1, letters }, { 1, letters } }, told(2))
        assert.same({ { 1, letters }, { 1, letters } }, told(3))
        updates, lists = commit(20, letters)
        assert.equal(2, updates)
        assert.equal(2, lists)
        assert.same({ { 20, letters } }, world:told_alike(1, 2))
        assert.same({ { 20, letters } }, told(3))
      end)
  end

  it("is the same for those who came to the same queries on other ways", function()
    connect(1, "v1", "SELECT * FROM thing", "SELECT * FROM other")
    connect(2, "v1", "SELECT * FROM other WHERE id = 99", "SELECT * FROM other")
    world:subscribe(2, "SELECT * FROM thing")
    connect(3, "v1", "SELECT * FROM *")
    assert.equal(2, (commit(1, LARGE))) -- `*` is written with other words
    assert.same({ { 1, LARGE } }, world:told_alike(1, 2))
    assert.same({ { 1, LARGE } }, world:told_alike(3))
  end)

  it("is made for each who is brought something else", function()
    connect(1, "v1", "SELECT * FROM thing")
    connect(2, "v1", "SELECT * FROM thing", "SELECT * FROM thing WHERE id < 10")
    connect(3, "v1", "SELECT * FROM other")
    connect(4, "v1", "SELECT * FROM other WHERE id > 10")
    assert.equal(3, (commit(1, LARGE)))
    assert.same({ { { 1, LARGE } }, { { 1, LARGE }, { 1, LARGE } }, {}, "nothing" },
      { told(1), told(2), told(3), told(4) })
  end)

  it("tells equal bytes of two tables apart", function()
    connect(1, "v1.json", "SELECT * FROM below", "SELECT * FROM other")
    world:call("minus_one", {})
    local _, read = world:receive(1)
    local update = read[1].value.update
    assert.same({ { -1 } }, world:lists(1, "below", update)[1].inserts)
    assert.same({ { 4294967295 } }, world:lists(1, "other", update)[1].inserts)
  end)

  it("stands in the answer to who made the commit, and is shared by all others", function()
    for number = 1, 3 do connect(number, "v1.json", "SELECT * FROM thing") end
    world:post(1, "CallReducer",
      { reducer = "add", args = world:arguments("add", { id = 1, letters = LARGE }), request_id = 7, flags = 0 })
    world:turn()
    assert.equal(1, world.server:v1_updates())
    assert.equal(1, world.server:v1_lists_told())
    local _, read = world:receive(1)
    assert.equal("TransactionUpdate", read[1].tag)
    assert.equal(7, read[1].value.reducer_call.request_id)
    assert.same({ { 1, LARGE } }, world:things(1, read[1].value.status.Committed))
    assert.same({ { 1, LARGE } }, world:told_alike(2, 3))
  end)
end)
