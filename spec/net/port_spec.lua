local ffi = require "ffi"
local net = require "spec.support.net"

local core = net.core

describe("port", function()
  local port

  before_each(function() port = core.port_new(core.memory_free, nil) end)
  after_each(function() core.port_free(port) end)

  local function post(text, kind)
    core.port_post(port, kind or 1, nil, net.bytes(text))
  end

  local function receive(timeout_us)
    local posts, blocks = {}, core.port_receive(port, timeout_us or 0)
    local block = blocks
    while block ~= nil do
      local at = 0
      while at < tonumber(block.used) do
        assert.equal(0, at % 8)
        local found = ffi.cast("struct post *", block.data + at)
        posts[#posts + 1] = ffi.string(found.data, found.size)
        at = bit.band(at + 16 + found.size + 7, bit.bnot(7))
      end
      block = block.next
    end
    core.port_done(port, blocks)
    return posts
  end

  it("hands posts over in order, all that were flushed", function()
    local seed = os.time()
    math.randomseed(seed)
    for _ = 1, 30 do
      local expected = {}
      for idx = 1, math.random(0, 200) do
        expected[idx] = ("x"):rep(math.random(0, 3) == 0 and math.random(0, 100000) or math.random(0, 60)) .. idx
        post(expected[idx])
        if math.random(0, 20) == 0 then core.port_flush(port) end
      end
      core.port_flush(port)
      assert.same(expected, receive(), "seed " .. seed)
    end
  end)

  it("keeps posts to itself until they are flushed", function()
    post "one"
    assert.same({}, receive())
    core.port_flush(port)
    assert.same({ "one" }, receive())
    assert.same({}, receive())
  end)

  it("carries posts larger than its blocks", function()
    local large = ("large"):rep(1000000)
    post "before"
    post(large)
    post "after"
    core.port_flush(port)
    local posts = receive()
    assert.equal(3, #posts)
    assert.is_true(posts[2] == large)
  end)

  it("waits no longer than told", function()
    local start = net.client.now()
    assert.same({}, receive(50000))
    local waited = net.client.now() - start
    assert.truthy(waited > 0.04 and waited < 1, waited)
  end)

  it("does not wait once after an interruption", function()
    core.port_interrupt(port)
    local start = net.client.now()
    receive(2000000)
    assert.truthy(net.client.now() - start < 1)
    receive(30000)
    assert.truthy(net.client.now() - start > 0.025)
  end)

  local function send(needs)
    local packet = ffi.cast("struct packet *", core.memory_new(256))
    packet.needs = needs
    core.port_send(port, packet)
  end

  local function take()
    local taken, packet = {}, core.port_take(port)
    while packet ~= nil do
      local next_packet = packet.next
      taken[#taken + 1] = tonumber(packet.needs)
      core.packet_free(packet)
      packet = next_packet
    end
    return taken
  end

  it("hands packets over in order, all that were flushed", function()
    send(1)
    send(2)
    assert.same({}, take())
    core.port_send_flush(port)
    send(3)
    core.port_send_flush(port)
    send(4)
    assert.same({ 1, 2, 3 }, take())
    core.port_send_flush(port)
    assert.same({ 4 }, take())
  end)

  it("tells how far the log is durable", function()
    assert.equal(0, tonumber(core.port_durable(port)))
    core.port_set_durable(port, 77)
    assert.equal(77, tonumber(core.port_durable(port)))
  end)

  describe("wakes net", function()
    local woken, wake, quiet

    before_each(function()
      woken, quiet = 0, port
      wake = ffi.cast("void (*)(void *)", function() woken = woken + 1 end)
      port = core.port_new(wake, nil)
    end)
    after_each(function()
      core.port_free(port)
      port = quiet
      wake:free()
    end)

    local function wakes(action, ...)
      woken = 0
      action(...)
      return woken
    end

    local function flush(...)
      for _, needs in ipairs { ... } do send(needs) end
      core.port_send_flush(port)
    end

    local function set_durable(offset) core.port_set_durable(port, offset) end

    it("when one of the packets may leave, and once until it has looked", function()
      set_durable(5)
      assert.equal(1, wakes(flush, 9, 5, 8))
      assert.equal(0, wakes(flush, 0))
      take()
      assert.equal(1, wakes(flush, 0))
    end)

    it("not for packets that all wait for the disk, but when the disk comes nearer", function()
      set_durable(5)
      assert.equal(0, wakes(flush, 6, 9))
      assert.equal(1, wakes(set_durable, 6))
      take()
      assert.equal(1, wakes(set_durable, 9))
    end)

    it("not for what the disk has done when no packet waits for it", function()
      assert.equal(0, wakes(set_durable, 5))
      flush(0, 5)
      take()
      assert.equal(0, wakes(set_durable, 6))
    end)
  end)

  it("frees what nobody has taken", function()
    post "left"
    core.port_flush(port)
    post "open"
    send(1)
    core.port_send_flush(port)
    send(2)
  end)
end)
