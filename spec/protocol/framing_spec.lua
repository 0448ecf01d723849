local people = require "spec.support.people"
local client = require "spec.support.client"
local messages = require "spec.support.messages"
local server = require "spec.support.server"
local ws_client = require "spec.support.ws_client"

local MESSAGE_MAX = 32 * 1024 * 1024

describe("a connection's frames", function()
  local world

  setup(function() world = people.serve() end)
  teardown(function() world:remove() end)

  local function call_message(request_id, reducer, values)
    local name, arguments = people.call(reducer, values)
    return messages.client("CallReducer", { request_id = request_id, flags = 0, reducer = name, args = arguments })
  end

  --- Sends a payload and tells how the connection ends.
  local function ending_after(protocol, payload, opcode)
    local ann = people.connect(world, { protocol = protocol })
    ann.connection:send(payload, opcode)
    local why, code, reason = ann:ending()
    ann:drop()
    return why, code, reason
  end

  after_each(function()
    local bob = people.connect(world)
    assert.equal("Ok", bob:call(people.call "remove_everybody").tag) -- and so: the server lives on
    bob:drop()
  end)

  it("begin with an empty ping from the server", function()
    local connection = assert(client.open(world))
    local first = connection:receive_frame()
    connection:shut()
    assert.same({ "ping", "" }, { first.opcode, first.payload })
  end)

  it("from the server are not masked, and start with the byte for no compression", function()
    local connection = assert(client.open(world))
    connection:receive_frame()
    local greeting = connection:receive_frame()
    connection:shut()
    assert.is_false(greeting.masked)
    assert.equal("binary", greeting.opcode)
    assert.equal(0, greeting.payload:byte(1))
  end)

  it("of a client's ping come back as a pong with the same payload", function()
    local ann = people.connect(world)
    ann.connection:send_frame { opcode = "ping", payload = "are you there?" }
    assert.is_true(ann:has_nothing())
    assert.equal("are you there?", ann.connection:receive_pong()) -- before that answer, or behind it
    ann:drop()
  end)

  it("may come in pieces, with control frames between them", function()
    local ann = people.connect(world)
    local message = call_message(5, "add_pair", { left = 1, right = 2 })
    ann.connection:send_frame { payload = message:sub(1, 3), fin = false }
    ann.connection:send_frame { opcode = "ping", payload = "between" }
    ann.connection:send_frame { opcode = "continuation", payload = message:sub(4, 10), fin = false }
    ann.connection:send_frame { opcode = "continuation", payload = message:sub(11) }
    assert.equal(5, ann:expect("ReducerResult").request_id)
    assert.equal("between", ann.connection:receive_pong())
    ann:drop()
  end)

  it("may come one byte at a time", function()
    local ann = people.connect(world)
    for letter in ws_client.frame({ payload = call_message(6, "add_pair", { left = 1, right = 2 }) }):gmatch "." do
      ann.connection:send_raw(letter)
    end
    assert.equal(6, ann:expect("ReducerResult").request_id)
    ann:drop()
  end)

  it("hold one message in v2, and what follows it in the frame is ignored", function()
    local ann = people.connect(world, { protocol = "v2" })
    ann.connection:send(call_message(1, "add_pair", { left = 1, right = 2 }) .. call_message(2, "do_nothing") .. "\255")
    assert.equal(1, ann:expect("ReducerResult").request_id)
    assert.is_true(ann:has_nothing())
    ann:drop()
  end)

  it("hold any number of messages in v3, taken one after the other", function()
    local ann = people.connect(world, { protocol = "v3" })
    local batch = {}
    for place = 1, 500 do
      batch[place] = call_message(place, "add_pair", { left = place, right = 0 })
    end
    ann.connection:send(table.concat(batch))
    for place = 1, 500 do
      assert.equal(place, ann:expect("ReducerResult").request_id)
    end
    assert.equal(500, #ann:ask "SELECT * FROM pair")
    ann:drop()
  end)

  it("from the server hold one message each in v2, and may hold more in v3", function()
    for protocol, most in pairs { v2 = 1, v3 = 200 } do
      local ann = people.connect(world, { protocol = protocol })
      for place = 1, 200 do
        ann:send_call(people.call("add_pair", { left = place, right = 0 }))
      end
      local seen = 0
      while seen < 200 do
        local count = #messages.of_frame(assert(ann.connection:receive()))
        assert.is_true(count >= 1 and count <= most)
        seen = seen + count
      end
      ann:drop()
    end
  end)

  it("of a v3 batch take effect up to the message that does not decode", function()
    local why, code = ending_after("v3", call_message(1, "add_pair", { left = 9, right = 9 }) .. "\99")
    assert.same({ "close", 1011 }, { why, code })
    local bob = people.connect(world)
    assert.same({ { left = 9, right = 9 } }, bob:ask "SELECT * FROM pair")
    bob:drop()
  end)

  it("that do not decode end the connection with 1011 and a reason", function()
    local undecodable = {
      ["an unknown tag"] = "\5\1\0\0\0",
      ["a tag and nothing else"] = "\3",
      ["a cut message"] = call_message(1, "add_pair", { left = 1, right = 2 }):sub(1, -2),
      ["a length beyond the end"] = "\0\1\0\0\0\1\0\0\0\255\255\255\255",
      ["a string longer than the message"] = "\2\1\0\0\0\255\255\255\127hello",
      ["text that is not UTF-8"] = messages.client("OneOffQuery", { request_id = 1, query_string = "\255\254" }),
      ["flags of a call"] = "\3\1\0\0\0\1\10\0\0\0do_nothing\0\0\0\0",
    }
    for what, payload in pairs(undecodable) do
      for _, protocol in ipairs { "v2", "v3" } do
        local why, code, reason = ending_after(protocol, payload)
        assert.same({ "close", 1011 }, { why, code }, what)
        assert.is_true(#reason > 0 and #reason <= 123, what)
      end
    end
  end)

  it("without anything in them end the connection with 1011", function()
    for _, protocol in ipairs { "v2", "v3" } do
      local why, code = ending_after(protocol, "")
      assert.same({ "close", 1011 }, { why, code })
    end
  end)

  it("of text end the connection with 1011", function()
    for _, protocol in ipairs { "v2", "v3" } do
      local why, code = ending_after(protocol, call_message(1, "do_nothing"), "text")
      assert.same({ "close", 1011 }, { why, code })
    end
  end)

  it("that break WebSocket's own rules end the connection, with 1002 or without a word", function()
    local message = call_message(1, "add_pair", { left = 1, right = 1 })
    local broken = {
      ["a reserved opcode"] = { payload = message, opcode = 3 },
      ["reserved bits"] = { payload = message, rsv = 4 },
      ["a continuation of nothing"] = { payload = message, opcode = "continuation" },
      ["a ping in pieces"] = { payload = "ping", opcode = "ping", fin = false },
      ["a ping of more than 125 bytes"] = { payload = ("p"):rep(126), opcode = "ping" },
    }
    for what, frame in pairs(broken) do
      local ann = people.connect(world)
      ann.connection:send_frame(frame)
      local why, code = ann:ending(3)
      assert.is_true(why == "closed" or why == "close" and code == 1002, what)
      ann:drop()
    end
    local bob = people.connect(world)
    assert.same({}, bob:ask "SELECT * FROM pair")
    bob:drop()
  end)

  it("may be as large as 32 MiB together", function()
    local ann = people.connect(world, { protocol = "v2" })
    local message = call_message(1, "add_pair", { left = 3, right = 2 })
    ann.connection:send(message .. ("\0"):rep(MESSAGE_MAX - #message))
    assert.equal(1, ann:expect("ReducerResult").request_id)
    ann:drop()
  end)

  it("beyond 32 MiB end the connection without a close frame, in one piece or in many", function()
    local message = call_message(1, "add_pair", { left = 3, right = 3 })
    local whole = ws_client.frame { payload = message .. ("\0"):rep(MESSAGE_MAX + 1 - #message) }
    local half = ("\0"):rep(MESSAGE_MAX / 2 + 1)
    local halves = ws_client.frame { payload = half, fin = false }
      .. ws_client.frame { payload = half, opcode = "continuation" }
    for _, frames in ipairs { whole, halves } do
      local ann = people.connect(world, { protocol = "v2" })
      ann.connection:send_raw(frames)
      assert.equal("closed", ann:ending())
      ann:drop()
    end
    local bob = people.connect(world)
    assert.same({}, bob:ask "SELECT * FROM pair WHERE \"right\" = 3")
    bob:drop()
  end)

  it("are refused with 1013 when more than 16,384 wait for their turn", function()
    local ann = people.connect(world)
    local spin = ws_client.frame { payload = call_message(1, "spin") }
    local nothing = ws_client.frame { payload = call_message(2, "do_nothing") }
    ann.connection:send_raw(spin:rep(10) .. nothing:rep(17000))
    local why, code = ann:ending()
    ann:drop()
    assert.same({ "close", 1013 }, { why, code })
  end)

  it("end with the client's close frame, which comes back", function()
    local ann = people.connect(world)
    local why, code = ann:close()
    assert.same({ "close", 1000 }, { why, code })
  end)
end)

describe("a client that does not read", function()
  it("is dropped without a close frame when more than 64 MiB wait for it, and nobody else notices", function()
    local world = people.serve()
    local deaf, ann = people.connect(world), people.connect(world)
    deaf:subscribe(1, { "SELECT * FROM person" })
    for id = 1, 100 do
      assert.equal("Ok", ann:call(people.call("add_long_name", { id = id, letters = 1000000 })).tag)
    end
    assert.equal("closed", deaf:ending())
    assert.equal(1, #ann:ask "SELECT * FROM person WHERE id = 100")
    world:remove()
  end)
end)

describe("a frame that asks for a lot", function()
  local FRAME_COSTS_MAX = 768 * 1024 -- kB; what it asks for comes to more
  local world, ann

  before_each(function()
    world = people.serve()
    ann = people.connect(world, { confirmed = false })
  end)

  after_each(function() world:remove() end)

  local function peak()
    return tonumber(server.read_file("/proc/" .. world.pid .. "/status"):match "VmHWM:%s*(%d+)")
  end

  --- The frame's last message adds the person 0.
  local function costs(frame)
    local before = peak()
    local name, arguments = people.call("add_person", { id = 0, name = "end", age = 1 })
    ann.connection:send(frame ..
      messages.client("CallReducer", { request_id = 0, flags = 0, reducer = name, args = arguments }))
    local bob = people.connect(world)
    server.wait("the end of the frame", function() return #bob:ask "SELECT * FROM person WHERE id = 0" == 1 end)
    bob:drop()
    return peak() - before
  end

  it("in answers takes no more memory than may wait for one client", function()
    assert.equal("Ok", ann:call(people.call("add_long_name", { id = 1, letters = 1000000 })).tag)
    local query = messages.client("OneOffQuery", { request_id = 1, query_string = "SELECT * FROM person" })
    assert.is_true(costs(query:rep(1200)) < FRAME_COSTS_MAX)
  end)

  it("in answers behind subscriptions takes no more memory than may wait behind those", function()
    assert.equal("Ok", ann:call(people.call("add_long_name", { id = 1, letters = 1000000 })).tag)
    assert.equal("Ok", ann:call(people.call("add_people", { first = 10, count = 9000 })).tag)
    local query = messages.client("OneOffQuery",
      { request_id = 1, query_string = "SELECT * FROM person WHERE id = 1" })
    local parts = {}
    for set = 1, 40 do
      parts[set] = messages.client("Subscribe", { request_id = set, query_set_id = { id = set },
        query_strings = { "SELECT * FROM person WHERE id > " .. set } }) .. query:rep(30)
    end
    local before = peak()
    ann.connection:send(table.concat(parts))
    ann:ending()
    assert.is_true(peak() - before < FRAME_COSTS_MAX)
    local bob = people.connect(world)
    assert.equal(1, #bob:ask "SELECT * FROM person WHERE id = 1")
    bob:drop()
  end)

  for size, case in pairs { small = { listeners = 20, letters = 800, times = 25000 }, -- a copy for each listener
                            large = { listeners = 2, letters = 100000, times = 4500 } } do -- shared by all of them
    it(("in %s changes takes no more memory than may wait for those who hear of them"):format(size), function()
      local listeners = {}
      for place = 1, case.listeners do
        listeners[place] = people.connect(world, { confirmed = false })
        listeners[place]:subscribe(1, { "SELECT * FROM person" })
      end
      local function message(name, arguments)
        return messages.client("CallReducer", { request_id = 1, flags = 0, reducer = name, args = arguments })
      end
      local there_and_gone = message(people.call("add_long_name", { id = 1, letters = case.letters })) ..
        message(people.call("remove_person", { id = 1 }))
      assert.is_true(costs(there_and_gone:rep(case.times)) < FRAME_COSTS_MAX)
      for _, listener in ipairs(listeners) do
        listener:drop()
      end
    end)
  end
end)
