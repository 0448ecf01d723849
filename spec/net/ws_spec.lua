local memory = require "spec.support.memory"
local net = require "spec.support.net"

local ECHO_ID = ("ec"):rep(32)

--- Messages of one v3 payload cannot be told apart without decoding; the echo engine's are known.
local function body(message)
  assert.equal("\0", message:sub(1, 1))
  return message:sub(2)
end

local function receive(client, timeout)
  local message, reason, code, text = client:receive(timeout or 5)
  assert(message, ("%s %s %s"):format(reason, code, text))
  return body(message)
end

--- Connects and takes the greeting.
local function greeted(engine, options)
  local client, reason = engine:connect(options)
  assert(client, type(reason) == "table" and reason.body or reason)
  return client, receive(client)
end

describe("WebSocket handshake", function()
  local engine

  setup(function() engine = net.start_engine() end)
  teardown(function() assert.equal(0, engine:stop()) end)

  local function refused(options)
    local client, answer = engine:connect(options)
    assert.is_nil(client)
    assert.equal("table", type(answer), tostring(answer))
    return answer
  end

  it("names the chosen subprotocol and who the client is", function()
    local client, greeting = greeted(engine)
    local headers = client.response.headers
    assert.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", headers["sec-websocket-accept"])
    assert.equal("v3.bsatn.spacetimedb", headers["sec-websocket-protocol"])
    assert.is_nil(headers["sec-websocket-extensions"])
    local keys = assert(net.open_keys(engine.keys_dir))
    local claims = assert(keys:verify(headers["spacetime-identity-token"]))
    assert.equal(headers["spacetime-identity"], claims.identity)
    local who, connection, protocol, confirmed = greeting:match "^hello (%x+) (%x+) (%w+) (%w+)$"
    assert.equal(claims.identity, who)
    assert.equal(32, #connection)
    assert.equal("v3", protocol)
    assert.equal("true", confirmed)
    client:close(1000)
  end)

  it("prefers v3 to v2, however the client orders them", function()
    local v2, v3 = "v2.bsatn.spacetimedb", "v3.bsatn.spacetimedb"
    for _, case in ipairs { { { v3, v2 }, v3 }, { { v2, v3 }, v3 }, { { v2 }, v2 }, { { "v1.bsatn.spacetimedb", v2 }, v2 },
                            { { "http", "chat", v2, v3 }, v3 } } do
      local client, greeting = greeted(engine, { protocols = case[1] })
      assert.equal(case[2], client.response.headers["sec-websocket-protocol"])
      assert.truthy(greeting:find(case[2]:sub(1, 2), 1, true))
      client:close(1000)
    end
  end)

  it("does without the extensions that browsers offer", function()
    local headers = { ["Sec-WebSocket-Extensions"] = "permessage-deflate; client_max_window_bits" }
    local client = greeted(engine, { headers = headers })
    assert.is_nil(client.response.headers["sec-websocket-extensions"])
    client:close(1000)
  end)

  it("takes the database's identity for its name", function()
    local client = greeted(engine, { path = "/v1/database/" .. ECHO_ID .. "/subscribe" })
    client:close(1000)
  end)

  it("knows a client by the token in its header or in the query", function()
    local client = greeted(engine)
    local who = client.response.headers["spacetime-identity"]
    local token = client.response.headers["spacetime-identity-token"]
    client:close(1000)
    for _, options in ipairs { { query = "?token=" .. token }, { headers = { Authorization = "Bearer " .. token } } } do
      local again, greeting = greeted(engine, options)
      assert.equal(who, again.response.headers["spacetime-identity"])
      assert.equal(token, again.response.headers["spacetime-identity-token"])
      assert.equal(who, greeting:match "^hello (%x+)")
      again:close(1000)
    end
  end)

  it("lets a client choose its connection id and whether it waits for the disk", function()
    local id = "0123456789abcdef0123456789ABCDEF"
    local query = "?connection_id=" .. id .. "&confirmed=false&compression=Gzip&light=true"
    local client, greeting = greeted(engine, { query = query })
    assert.equal(id:lower() .. " v3 false", greeting:match "^hello %x+ (.*)$")
    client:close(1000)
  end)

  it("ignores parameters that it does not know", function()
    greeted(engine, { query = "?color=red&confirmed=true&compression=None" }):close(1000)
  end)

  it("refuses bad parameters", function()
    for _, query in ipairs {
      "?compression=gzip", "?compression=", "?confirmed=yes", "?light=1", "?connection_id=xyz",
      "?connection_id=" .. ("0"):rep(32), "?connection_id=" .. ("1"):rep(31),
    } do
      assert.equal(400, refused { query = query }.status, query)
    end
  end)

  it("refuses bad credentials first of all", function()
    assert.equal(401, refused { query = "?token=a.b.c" }.status)
    assert.equal(401, refused { query = "?token=a.b.c&compression=gzip" }.status)
    assert.equal(400, refused { headers = { Authorization = "nothing" } }.status)
    local answer = refused { path = "/v1/database/none/subscribe?token=x" }
    assert.equal(401, answer.status)
    assert.truthy(answer.body:match "Invalid token")
  end)

  it("refuses databases that are not there", function()
    local answer = refused { path = "/v1/database/none/subscribe" }
    assert.equal(404, answer.status)
    assert.equal("`none` not found", answer.body)
    assert.equal(64, #answer.headers["spacetime-identity"])
    assert.equal("No such database.", refused { path = "/v1/database/" .. ("1"):rep(64) .. "/subscribe" }.body)
    assert.equal(400, refused { path = "/v1/database/No_Name/subscribe" }.status)
    assert.equal(404, refused { path = "/v1/elsewhere" }.status)
  end)

  it("refuses what is no WebSocket of this kind", function()
    assert.equal(400, refused { protocols = { "v4.bsatn.spacetimedb" } }.status)
    assert.equal(400, refused { headers = { ["Sec-WebSocket-Protocol"] = false } }.status)
    assert.equal(400, refused { protocols = { "/http", "v3.bsatn.spacetimedb" } }.status)
    assert.equal(400, refused { protocols = { ("x"):rep(200), "v3.bsatn.spacetimedb" } }.status)
    assert.equal(400, refused { headers = { ["Sec-WebSocket-Version"] = "8" } }.status)
    assert.equal(400, refused { headers = { ["Sec-WebSocket-Version"] = false } }.status)
    assert.equal(400, refused { headers = { ["Sec-WebSocket-Key"] = false } }.status)
    assert.equal(400, refused { headers = { ["Sec-WebSocket-Key"] = ("k"):rep(300) } }.status)
    assert.equal(426, refused { headers = { Connection = "close" } }.status)
    assert.equal(426, refused { headers = { Upgrade = false } }.status)
    assert.equal(405, refused { method = "POST" }.status)
  end)

  it("may follow ordinary requests on one connection", function()
    local connection = net.client.open { port = engine.port }
    assert.equal(200, assert(connection:request { path = "/v1/ping" }).status)
    assert.equal(200, assert(connection:request { path = "/v1/database/echo/names" }).status)
    connection:send_raw("GET /v1/database/echo/subscribe HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n"
      .. "Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      .. "Sec-WebSocket-Protocol: v2.bsatn.spacetimedb\r\n\r\n")
    assert.equal(101, assert(connection:read_head()).status)
    connection:shut()
  end)

  it("ends without a word when the engine turns the client away", function()
    for _ = 1, 3 do
      local client = assert(engine:connect { path = "/v1/database/shut/subscribe" })
      local message, reason = client:receive(5)
      assert.is_nil(message)
      assert.equal("closed", reason)
      client:shut()
    end
  end)

  it("survives clients that go at any moment", function()
    for _ = 1, 30 do
      local client = assert(engine:connect())
      client:send "big 100000"
      client:shut()
    end
    greeted(engine):close(1000)
  end)
end)

for _, protocol in ipairs { "v3", "v2" } do
  describe("WebSocket " .. protocol, function()
    local engine, client

    setup(function() engine = net.start_engine() end)
    teardown(function() assert.equal(0, engine:stop()) end)
    before_each(function() client = greeted(engine, { protocol = protocol }) end)
    after_each(function() client:shut() end)

    local function echoes(payload)
      client:send(payload)
      assert.is_true(payload == receive(client))
    end

    local function ends_with(code, pattern)
      local message, kind, got, reason = client:receive(5)
      while message do message, kind, got, reason = client:receive(5) end
      assert.equal("close", kind)
      assert.equal(code, got)
      if pattern then assert.truthy(reason:match(pattern), reason) end
    end

    local function ends_silently()
      local message, kind = client:receive(8)
      while message do message, kind = client:receive(8) end
      assert.equal("closed", kind)
    end

    it("pings right after connecting, with nothing in it", function()
      assert.same({ "" }, client.pings)
    end)

    it("carries messages of every size there and back", function()
      for _, size in ipairs { 0, 1, 124, 125, 126, 127, 1000, 65535, 65536, 65537, 200000, 3000000 } do
        echoes(("x"):rep(size))
      end
    end)

    it("sends whole, unmasked frames without reserved bits", function()
      for _, size in ipairs { 10, 1000, 100000 } do
        client:send("big " .. size)
        local frame = assert(client:receive_frame())
        assert.same({ "binary", true, 0, false, size + 1 },
          { frame.opcode, frame.fin, frame.rsv, frame.masked, #frame.payload })
      end
    end)

    it("sends a payload of more than 256 KiB in fragments, and answers pings between them", function()
      client:send "big 90000000"
      client:send_frame { opcode = "ping", payload = "between" }
      local opcodes, size, pongs = {}, 0, 0
      repeat
        local frame = assert(client:receive_frame(20))
        if frame.opcode == "pong" then
          pongs = pongs + 1
        else
          opcodes[#opcodes + 1], size = frame.opcode, size + #frame.payload
          assert.is_true(#frame.payload <= 262144)
        end
      until frame.opcode ~= "pong" and frame.fin
      assert.equal(90000001, size)
      assert.equal("binary", opcodes[1])
      for place = 2, #opcodes do assert.equal("continuation", opcodes[place]) end
      assert.equal(1, pongs)
      echoes "whole again"
    end)

    it("puts fragments together, with pings between them", function()
      local payload = ("0123456789"):rep(5000)
      client:send_fragments(payload, 777)
      assert.is_true(payload == receive(client))
      client:send_frame { payload = "one ", fin = false }
      client:send_frame { opcode = "ping", payload = "between" }
      client:send_frame { opcode = "continuation", payload = "two", fin = false }
      client:send_frame { opcode = "continuation", payload = "" }
      assert.equal("one two", receive(client))
      assert.equal("between", client:receive_pong())
    end)

    it("takes frames that come byte by byte", function()
      local frame = net.client.frame { payload = "slowly" }
      for at = 1, #frame do
        client:send_raw(frame:sub(at, at))
        net.client.sleep(0.001)
      end
      assert.equal("slowly", receive(client))
    end)

    it("takes many frames at once", function()
      local frames = {}
      for idx = 1, 5000 do frames[idx] = net.client.frame { payload = ("%05d"):format(idx), key = "\0\0\0\0" } end
      client:send_raw(table.concat(frames))
      local got = {}
      while #table.concat(got) < 25000 do got[#got + 1] = receive(client) end
      local at = 0
      for number in table.concat(got):gmatch "%d%d%d%d%d" do
        at = at + 1
        assert.equal(at, tonumber(number))
      end
      assert.equal(5000, at)
    end)

    it("tells the pings of clients apart that send them byte by byte, all at once", function()
      local clients, frames = {}, {}
      for idx = 1, 20 do
        clients[idx] = greeted(engine)
        frames[idx] = net.client.frame { opcode = "ping", payload = string.char(64 + idx):rep(125 - idx) }
      end
      for at = 1, 131 do
        for idx, each in ipairs(clients) do each:send_raw(frames[idx]:sub(at, at)) end
      end
      for idx, each in ipairs(clients) do
        each:send "x"
        receive(each)
        assert.equal(string.char(64 + idx):rep(125 - idx), each:receive_pong())
        each:close(1000)
      end
    end)

    it("answers pings with their payload", function()
      client:send_frame { opcode = "ping", payload = ("p"):rep(125) }
      client:send "x"
      receive(client)
      assert.equal(("p"):rep(125), client:receive_pong())
    end)

    it("sends messages of own and shared parts", function()
      client:send "shared 3"
      local expected = { "0 shared part!", "1 shared part!", "2 shared part!" }
      if protocol == "v3" then
        assert.equal(table.concat(expected), receive(client))
      else
        for _, message in ipairs(expected) do assert.equal(message, receive(client)) end
      end
    end)

    it("holds back what waits for the disk, and what comes after it", function()
      client:send "hold first"
      client:send "second"
      assert.same({ nil, "timeout" }, { client:receive(0.3) })
      client:send "sync"
      local got = receive(client)
      if got == "first" then got = got .. receive(client) end
      assert.equal("firstsecond", got)
    end)

    it("holds back nothing from those who did not ask for it", function()
      local hasty = greeted(engine, { protocol = protocol, query = "?confirmed=false" })
      hasty:send "hold now"
      assert.equal("now", receive(hasty))
      hasty:close(1000)
    end)

    it("answers a close frame with the same code", function()
      local kind, code = client:close(1000, "done")
      assert.same({ "close", 1000 }, { kind, code })
    end)

    it("ends when a close frame without a code comes", function()
      local kind, code = client:close()
      assert.equal("close", kind)
      assert.is_nil(code)
    end)

    it("closes with code and reason when the engine says so, after what was said before", function()
      local frame = net.client.frame
      client:send_raw(frame { payload = "last words" } .. frame { payload = "close 1011 because of this" })
      assert.equal("last words", receive(client))
      ends_with(1011, "^because of this$")
      client:echo_close()
      assert.truthy(client:is_closed(2))
    end)

    it("cuts a close reason at 123 bytes without breaking a character", function()
      client:send("close 1011 " .. ("é"):rep(100))
      local _, kind, code, reason = client:receive(5)
      assert.equal("close", kind)
      assert.equal(1011, code)
      assert.equal(("é"):rep(61), reason)
    end)

    it("waits a quarter of a second for the echo of its close frame, and hears nothing else", function()
      client:send "close 1001 bye"
      ends_with(1001)
      local start = net.client.now()
      client:send "still there?"
      assert.truthy(client:is_closed(2))
      local waited = net.client.now() - start
      assert.truthy(waited > 0.15 and waited < 1, waited)
    end)

    it("ends without a word when the engine drops the client", function()
      client:send "drop"
      ends_silently()
    end)

    it("closes on text frames", function()
      client:send("hello", "text")
      ends_with(1011, "text frames")
    end)

    it("leaves empty messages to the engine", function()
      echoes ""
    end)

    it("drops a client whose message is over 32 MiB", function()
      client:send_frame { payload = "", size = 32 * 1024 * 1024 + 1 }
      client:send_raw(("x"):rep(100))
      ends_silently()
    end)

    it("drops a client whose fragments are over 32 MiB together", function()
      client:send_frame { payload = ("x"):rep(20 * 1024 * 1024), fin = false, key = "\0\0\0\0" }
      client:send_frame { opcode = "continuation", payload = "", size = 13 * 1024 * 1024 }
      client:send_raw(("x"):rep(100))
      ends_silently()
    end)

    it("takes a message of just 32 MiB", function()
      local payload = ("x"):rep(32 * 1024 * 1024)
      client:send_frame { payload = payload, key = "\0\0\0\0" }
      assert.is_true(payload == receive(client, 20))
    end)

    it("ends on frames that break the rules", function()
      local cases = {
        { rsv = 4, payload = "x" }, { rsv = 1, payload = "x" },
        { opcode = 3, payload = "x" }, { opcode = 11, payload = "x" },
        { opcode = "continuation", payload = "x" }, { opcode = "ping", payload = "x", fin = false },
        { opcode = "ping", payload = ("x"):rep(126) },
      }
      for _, case in ipairs(cases) do
        local other = greeted(engine, { protocol = protocol })
        other:send_frame(case)
        assert.truthy(other:is_closed(2))
        other:shut()
      end
    end)

    it("closes when 16,384 frames wait for the engine", function()
      local frame = net.client.frame { payload = "x", key = "\0\0\0\0" }
      client:send "sleep 700"
      net.client.sleep(0.05)
      client:send_raw(frame:rep(16390))
      ends_with(1013, "waiting")
    end)

    it("drops a client for which 16,384 messages wait", function()
      for _ = 1, 40 do client:send "flood 1000 1000" end
      net.client.sleep(0.4)
      ends_silently()
    end)

    it("drops a client for which 64 MiB wait", function()
      client:send "flood 100 1000000"
      net.client.sleep(0.4)
      ends_silently()
    end)

    it("gets a message of any size through", function()
      client:send "big 90000000"
      assert.equal(90000000, #receive(client, 20))
      echoes "still alive"
    end)
  end)
end

describe("Packing", function()
  local engine

  setup(function() engine = net.start_engine() end)
  teardown(function() assert.equal(0, engine:stop()) end)

  it("puts the messages of a turn into one payload on v3", function()
    local client = greeted(engine)
    local expected = {}
    for number = 0, 999 do expected[#expected + 1] = tostring(number) end
    client:send "many 1000"
    assert.equal(table.concat(expected), receive(client))
    client:close(1000)
  end)

  it("gives every message a frame on v2", function()
    local client = greeted(engine, { protocol = "v2" })
    client:send "many 1000"
    for number = 0, 999 do assert.equal(tostring(number), receive(client)) end
    client:close(1000)
  end)

  it("begins a new payload at 512 KiB, and lets a larger message go alone", function()
    local client = greeted(engine)
    local frames = {}
    for idx, size in ipairs { 300000, 300000, 200000, 600000, 10, 524288 } do
      frames[idx] = net.client.frame { payload = "big " .. size }
    end
    client:send_raw(table.concat(frames))
    local sizes, total = {}, 0
    while total < 1924298 do
      local size = #receive(client)
      sizes[#sizes + 1], total = size, total + size
    end
    for _, size in ipairs(sizes) do assert.truthy(size <= 524288 or size == 600000, size) end
    client:close(1000)
  end)
end)

describe("A message that many clients are sent", function()
  it("is in memory once, however slowly they take it", function()
    local engine = net.start_engine()
    local clients, before = {}, engine:resident_peak()
    for number = 1, 30 do
      clients[number] = greeted(engine)
      clients[number]:send "large 25000000"
    end
    for _, client in ipairs(clients) do client:send "here" end
    for _, client in ipairs(clients) do
      assert.equal(25000000, #receive(client, 20))
      assert.equal("here", receive(client))
    end
    assert.is_true(engine:resident_peak() - before < 400e6, engine:resident_peak() - before)
    for _, client in ipairs(clients) do client:close(1000) end
    assert.equal(0, engine:stop())
  end)
end)

describe("A client for which 64 MiB wait to be processed", function()
  it("is read again when the engine has caught up, though nothing else happens then", function()
    local engine = net.start_engine { sweep_us = 3600e6 } -- nothing else wakes the server
    local client = greeted(engine)
    local frame = net.client.frame { payload = "quiet" .. (" "):rep(2 ^ 20), key = "\0\0\0\0" }
    client:send "gather 67108864"
    assert(client:send_raw(frame:rep(96)))
    client:send "here"
    assert.equal("here", receive(client))
    client:close(1000)
    assert.equal(0, engine:stop())
  end)
end)

describe("Time", function()
  local engine

  setup(function() engine = net.start_engine { ping_interval_us = 150000, idle_timeout_us = 400000 } end)
  teardown(function() assert.equal(0, engine:stop()) end)

  it("brings pings, which keep a client that answers them", function()
    local client = greeted(engine)
    local _, reason = client:receive(1.2)
    assert.equal("timeout", reason)
    assert.truthy(#client.pings >= 5, #client.pings)
    client:send "here"
    assert.equal("here", receive(client))
    client:close(1000)
  end)

  it("ends a client that is not heard of, without a word", function()
    local client = greeted(engine)
    client.silent = true
    local start = net.client.now()
    local message, reason = client:receive(5)
    assert.is_nil(message)
    assert.equal("closed", reason)
    local waited = net.client.now() - start
    assert.truthy(waited > 0.25 and waited < 1, waited)
    assert.truthy(#client.pings <= 2, #client.pings)
  end)

  it("keeps a client that takes a long message, though it says nothing meanwhile", function()
    local patient = net.start_engine { ping_interval_us = 300000, idle_timeout_us = 1000000 }
    local quick = greeted(patient)
    quick:send "large 90000000" -- it is made now, and is at hand when the slow one asks
    assert.equal(90000000, #receive(quick, 20))
    local slow = greeted(patient)
    slow:send "large 90000000"
    repeat
      local frame = assert(slow:receive_frame(5))
      net.client.sleep(0.008)
    until frame.fin and frame.opcode == "continuation"
    slow:send "here"
    assert.equal("here", receive(slow))
    assert.equal(0, patient:stop())
  end)

  it("keeps a client that sends anything at all", function()
    local client = greeted(engine)
    client.silent = true
    for _ = 1, 12 do
      client:send "x"
      assert.equal("x", receive(client))
      net.client.sleep(0.1)
    end
    client:close(1000)
  end)
end)

describe("Connections on which nothing happens", function()
  local engine

  before_each(function() engine = net.start_engine() end)
  after_each(function() assert.equal(0, engine:stop()) end)

  -- What each of so many connections has the server hold, after `use` of each.
  local function held_by_each(count, use)
    greeted(engine):close(1000) -- pays for what all of them share
    local before = memory.of_process(engine.pid)
    local clients = {}
    for idx = 1, count do clients[idx] = greeted(engine) end
    if use then
      for _, client in ipairs(clients) do use(client) end
    end
    local held = before and (memory.of_process(engine.pid) - before) / count
    for _, client in ipairs(clients) do client:close(1000) end
    return held
  end

  it("hold less than 8 KiB of memory", function()
    local held = held_by_each(400)
    if held then assert.truthy(held < 8192, held) end
  end)

  it("do not hold on to the room that a long message took", function()
    local text = ("0123456789"):rep(12000)
    local held = held_by_each(60, function(client)
      client:send_fragments(text, 30000)
      assert.is_true(text == receive(client))
    end)
    if held then assert.truthy(held < 30000, held) end
  end)
end)

describe("Stopping the server", function()
  it("says goodbye to those who are connected", function()
    local engine = net.start_engine()
    local client = greeted(engine)
    local other = net.client.open { port = engine.port }
    assert.equal(200, assert(other:request { path = "/v1/ping" }).status)
    assert.equal(0, engine:stop())
    local _, kind, code = client:receive(2)
    assert.same({ "close", 1001 }, { kind, code })
    assert.truthy(other:is_closed(2))
  end)
end)
