local ffi = require "ffi"
local net = require "spec.support.net"

ffi.cdef [[
struct net_post { uint32_t size; int32_t kind; void *to; uint8_t data[]; };
struct net_block { struct net_block *next; size_t used, capacity; uint8_t data[]; };
struct net_packet { struct net_packet *next; int32_t kind; void *to; uint64_t needs; };
struct net_port;
struct net_port *net_port_new(void (*wake_net)(void *context), void *context) __asm__("port_new");
void net_port_free(struct net_port *port) __asm__("port_free");
void net_port_post(struct net_port *port, int32_t kind, void *to, net_bytes data) __asm__("port_post");
void net_port_flush(struct net_port *port) __asm__("port_flush");
struct net_packet *net_port_take(struct net_port *port) __asm__("port_take");
uint64_t net_port_durable(struct net_port *port) __asm__("port_durable");
struct net_block *net_port_receive(struct net_port *port, int64_t timeout_us) __asm__("port_receive");
void net_port_done(struct net_port *port, struct net_block *blocks) __asm__("port_done");
void net_port_send(struct net_port *port, struct net_packet *packet) __asm__("port_send");
void net_port_send_flush(struct net_port *port, bool wake) __asm__("port_send_flush");
void net_port_interrupt(struct net_port *port) __asm__("port_interrupt");
void net_port_set_durable(struct net_port *port, uint64_t durable) __asm__("port_set_durable");
void net_packet_free(struct net_packet *packet) __asm__("packet_free");
void *net_memory_new(size_t size) __asm__("memory_new");
void net_wake_nobody(void *context) __asm__("memory_free");
]]

local core = net.core

describe("port", function()
  local port

  before_each(function() port = core.net_port_new(core.net_wake_nobody, nil) end)
  after_each(function() core.net_port_free(port) end)

  local function post(text, kind)
    core.net_port_post(port, kind or 1, nil, net.bytes(text))
  end

  local function receive(timeout_us)
    local posts, blocks = {}, core.net_port_receive(port, timeout_us or 0)
    local block = blocks
    while block ~= nil do
      local at = 0
      while at < tonumber(block.used) do
        assert.equal(0, at % 8)
        local found = ffi.cast("struct net_post *", block.data + at)
        posts[#posts + 1] = ffi.string(found.data, found.size)
        at = bit.band(at + 16 + found.size + 7, bit.bnot(7))
      end
      block = block.next
    end
    core.net_port_done(port, blocks)
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
        if math.random(0, 20) == 0 then core.net_port_flush(port) end
      end
      core.net_port_flush(port)
      assert.same(expected, receive(), "seed " .. seed)
    end
  end)

  it("keeps posts to itself until they are flushed", function()
    post "one"
    assert.same({}, receive())
    core.net_port_flush(port)
    assert.same({ "one" }, receive())
    assert.same({}, receive())
  end)

  it("carries posts larger than its blocks", function()
    local large = ("large"):rep(1000000)
    post "before"
    post(large)
    post "after"
    core.net_port_flush(port)
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
    core.net_port_interrupt(port)
    local start = net.client.now()
    receive(2000000)
    assert.truthy(net.client.now() - start < 1)
    receive(30000)
    assert.truthy(net.client.now() - start > 0.025)
  end)

  local function send(needs)
    local packet = ffi.cast("struct net_packet *", core.net_memory_new(256))
    packet.needs = needs
    core.net_port_send(port, packet)
  end

  local function take()
    local taken, packet = {}, core.net_port_take(port)
    while packet ~= nil do
      local next_packet = packet.next
      taken[#taken + 1] = tonumber(packet.needs)
      core.net_packet_free(packet)
      packet = next_packet
    end
    return taken
  end

  it("hands packets over in order, all that were flushed", function()
    send(1)
    send(2)
    assert.same({}, take())
    core.net_port_send_flush(port, false)
    send(3)
    core.net_port_send_flush(port, true)
    send(4)
    assert.same({ 1, 2, 3 }, take())
    core.net_port_send_flush(port, true)
    assert.same({ 4 }, take())
  end)

  it("tells how far the log is durable", function()
    assert.equal(0, tonumber(core.net_port_durable(port)))
    core.net_port_set_durable(port, 77)
    assert.equal(77, tonumber(core.net_port_durable(port)))
  end)

  it("frees what nobody has taken", function()
    post "left"
    core.net_port_flush(port)
    post "open"
    send(1)
    core.net_port_send_flush(port, true)
    send(2)
  end)
end)
