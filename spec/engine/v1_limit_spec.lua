--- What is more than one message of v1 can hold, with a limit that is lower than the true one.
local v1_sim = require "spec.support.v1_sim"

local LIMIT, SMALL, LARGE = 4000, 10, 3000
local ALL, FEW = "SELECT * FROM thing", "SELECT * FROM thing WHERE id < 10"

for _, form in ipairs { "v1", "v1.json" } do
  describe("a message of " .. form .. " that would be too large", function()
    local world

    before_each(function() world = v1_sim.world(LIMIT) end)
    after_each(function() world:remove() end)

    local function connect(number, ...)
      world:connect(number, form)
      world:subscribe(number, ...)
    end

    local function told(number)
      local _, read = world:receive(number)
      return read[1] and world:things(number, read[1].value.update)
    end

    it("closes those whom a commit of somebody else's would bring it, and nobody else", function()
      connect(1, ALL, FEW)
      connect(2, ALL)
      connect(3, ALL, FEW)
      connect(4, FEW)
      world:add(1, LARGE)
      assert.same({ { 1, LARGE } }, told(2))
      assert.same({ { 1, LARGE } }, told(4))
      for _, number in ipairs { 1, 3 } do
        assert.is_nil(told(number))
        assert.equal(1011, world.server:ending(number))
      end
      world:add(20, SMALL)
      assert.same({ { 20, SMALL } }, told(2))
      world.server:disconnect(1)
      world:turn()
      assert.equal("gone", world.server:ending(1))
      world:add(21, SMALL)
      assert.same({ { 21, SMALL } }, told(2))
    end)

    it("closes who made the commit, which stands, and others are told of it", function()
      connect(1, ALL, FEW)
      connect(2, ALL)
      world:post(1, "CallReducer",
        { reducer = "add", args = world:arguments("add", { id = 1, letters = LARGE }), request_id = 7, flags = 0 })
      world:post(1, "CallReducer",
        { reducer = "add", args = world:arguments("add", { id = 2, letters = SMALL }), request_id = 8, flags = 0 })
      world:turn()
      assert.is_nil(told(1))
      assert.equal(1011, world.server:ending(1))
      assert.same({ { 1, LARGE } }, told(2))
      assert.equal(1, #world.server:rows "thing") -- what it sent after that does not count
    end)

    it("closes a client whose first rows are on their way, and what waits for them goes", function()
      world:call("fill", { first = 100, last = 10000 })
      connect(1, FEW, "SELECT * FROM thing WHERE id < 11")
      connect(2, FEW)
      world:ask(1, "SELECT * FROM thing WHERE text <> ''")
      world:turn()
      world:add(1, LARGE)
      assert.equal(1011, world.server:ending(1))
      assert.same({ { 1, LARGE } }, told(2))
      world.server:disconnect(1)
      world:turn()
      assert.equal("gone", world.server:ending(1))
    end)

    it("refuses a subscription and closes: its queries may have been told of what was never shown", function()
      world:add(1, LARGE)
      world:add(2, LARGE)
      world:connect(1, form)
      world:ask(1, ALL)
      local answer = world:await(1)[1]
      assert.equal("SubscriptionError", answer.tag)
      assert.equal("these rows are more than one message can hold", answer.value.error)
      assert.equal(1011, world.server:ending(1))
    end)

    it("refuses a subscription whose rows come late in the same way, one by one", function()
      world:call("fill", { first = 1, last = 10000 })
      for number = 1, 3 do
        world:connect(number, form)
        world:ask(number, ALL)
      end
      for number = 1, 3 do
        assert.equal("SubscriptionError", world:await(number)[1].tag)
        assert.equal(1011, world.server:ending(number))
      end
    end)

    it("closes who asks once for too much", function()
      world:add(1, LARGE)
      world:add(2, LARGE)
      world:connect(1, form)
      world:post(1, "OneOffQuery", { message_id = "x", query_string = ALL })
      world:turn()
      assert.equal(0, #world:receive(1))
      assert.equal(1011, world.server:ending(1))
    end)
  end)
end
