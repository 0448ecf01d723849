--- The engine on a simulated disk, one fault at a time: what chance would seldom bring together.
local messages = require "spec.support.messages"
local server_sim = require "spec.support.server_sim"
local sim = require "spec.support.sim"
local Model = require "spec.sim.model"

local MODULE = "spec/sim/module.lua"
local OPTIONS = { segment_size = 4096, log_bytes = 1e9, interval_us = 1e15, keep_us = 0, keep_bytes = 1 }

describe("the engine on a simulated disk", function()
  local disk, server, request

  before_each(function()
    disk = sim.disk(7)
    server = server_sim.new(disk, 7)
    server:set_clock(1700000000000000, 1)
    request = 0
  end)

  after_each(function() server:free() end)

  local function open() return server:open(MODULE, OPTIONS) end

  local function connect()
    server:connect(0, ("\0"):rep(32), ("%016d"):format(request), { protocol = "v3", confirmed = true })
  end

  local function put_pair(x)
    request = request + 1
    server:post(0, messages.client("CallReducer",
      { request_id = request, flags = 0, reducer = "put_pair", args = Model.arguments("put_pair", { x, 0 }) }))
    server:step "turn"
    while server:step "log" do end
  end

  --- Each step of a snapshot; `between` is called before the one that comes next.
  local function take_snapshot(between)
    server:ask_snapshot()
    server:step "turn"
    while server:step "log" do end
    local place = 0
    repeat
      place = place + 1
      if between then between(place) end
    until not server:step "snapshot"
    server:step "turn"
    return server:asked_status()
  end

  local function snapshots()
    local names = {}
    for _, name in ipairs(disk:names()) do
      if name:find "%.snap$" then names[#names + 1] = name end
    end
    return names
  end

  local function stop()
    server:close()
    disk:kill()
  end

  it("stays the same database when its maker was killed half-way and the power is cut later", function()
    for nth = 1, 12 do
      local other = sim.disk(nth)
      local life = server_sim.new(other, nth)
      other:kill_at(nth)
      if life:open(MODULE, OPTIONS) == server_sim.OK then life:close() end
      other:kill_after(function() end)
      assert.equal(server_sim.OK, life:open(MODULE, OPTIONS))
      local identity = life:identity()
      other:restart_after(function() life:close() end)
      assert.equal(server_sim.OK, life:open(MODULE, OPTIONS), life:text())
      assert.equal(identity, life:identity())
      life:free()
    end
  end)

  it("refuses an identity in which a bit has changed", function()
    assert.equal(server_sim.OK, open())
    local identity = server:identity()
    stop()
    for bit = 0, 64 * 8 - 1, 3 do
      disk:flip("db/identity", bit)
      if open() == server_sim.OK then -- an upper-case digit
        assert.equal(identity, server:identity())
        stop()
      else
        assert.matches("does not hold a database's identity", server:text())
      end
      disk:flip("db/identity", bit)
    end
    assert.equal(server_sim.OK, open())
  end)

  it("finds nothing wrong with a snapshot taken right after the first publication", function()
    assert.equal(server_sim.OK, open())
    assert.equal(200, take_snapshot())
    stop()
    assert.equal(0, server:audit())
  end)

  it("takes a snapshot away that cannot be read back", function()
    assert.equal(server_sim.OK, open())
    connect()
    put_pair(1)
    assert.equal(200, take_snapshot())
    put_pair(2)
    assert.equal(503, take_snapshot(function(place)
      if place == 3 then disk:fail("read", 2) end
    end))
    assert.equal(1, #snapshots())
    put_pair(3)
    assert.equal(200, take_snapshot())
    assert.equal(2, #snapshots())
    stop()
    assert.equal(0, server:audit())
  end)

  it("keeps two good snapshots, however many damaged ones there are", function()
    assert.equal(server_sim.OK, open())
    connect()
    for x = 1, 3 do
      put_pair(x)
      assert.equal(200, take_snapshot())
    end
    assert.equal(2, #snapshots())
    local names = snapshots()
    disk:set(names[1], disk:get(names[1]):sub(1, 1000))
    put_pair(4)
    assert.equal(200, take_snapshot())
    assert.same({ names[2] }, { snapshots()[1] })
    assert.equal(2, #snapshots())
    put_pair(5)
    assert.equal(200, take_snapshot())
    assert.equal(2, #snapshots())
    stop()
    local newest = snapshots()[2]
    disk:set(newest, disk:get(newest):sub(1, 1000))
    assert.equal(server_sim.OK, open())
    assert.equal(5, #server:rows "pair")
  end)

  it("acknowledges nothing after a failed sync, and says so once", function()
    assert.equal(server_sim.OK, open())
    connect()
    put_pair(1)
    local durable = server:durable()
    disk:fail("sync", 1)
    for x = 2, 5 do put_pair(x) end
    assert.equal(1, server:failures())
    assert.equal(durable, server:durable())
    local told = 0
    for _, frame in ipairs(server_sim.frames(server:receive(0))) do
      for _, message in ipairs(messages.of_frame(frame)) do told = told + (message.tag == "ReducerResult" and 1 or 0) end
    end
    assert.equal(1, told)
  end)

  it("undoes from what is durable, beside its turns, and the undo is there after a power cut", function()
    assert.equal(server_sim.OK, open())
    connect()
    put_pair(1)
    put_pair(2)
    server:post(0, messages.client("CallReducer",
      { request_id = 9, flags = 0, reducer = "put_pair", args = Model.arguments("put_pair", { 3, 0 }) }))
    server:ask_undo "from 0 reducer put_pair"
    server:step "turn"
    assert.is_false(server:step "aside", "the third call is not durable yet")
    while server:step "log" do end
    assert.is_true(server:step "aside")
    assert.is_false(server:step "aside")
    assert.equal(3, #server:rows "pair")
    server:step "turn"
    assert.equal(200, server:asked_status())
    assert.equal(0, #server:rows "pair")
    while server:step "log" do end
    disk:restart_after(function() server:close() end)
    assert.equal(server_sim.OK, open())
    assert.equal(0, #server:rows "pair")
  end)
end)
