local people = require "spec.support.people"
local bsatn = require "spec.support.bsatn"
local messages = require "spec.support.messages"

describe("a call", function()
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

  --- The tag and text of a refused call. That it changed nothing is seen here, too.
  local function refusal(reducer, arguments)
    local before = #bob:ask "SELECT * FROM pair"
    local result = ann:call(reducer, arguments)
    assert.equal(before, #bob:ask "SELECT * FROM pair")
    assert.is_true(bob:has_nothing())
    if result.tag == "Err" then
      return result.tag, (bsatn.decode(bsatn.type "string", result.value))
    end
    return result.tag, result.value
  end

  it("that succeeds answers Ok without a value, and with nothing to show without query sets", function()
    local request_id = ann:send_call(people.call "do_nothing")
    local answer = ann:expect "ReducerResult"
    assert.equal(request_id, answer.request_id)
    assert.same({ tag = "Ok", value = { ret_value = "", transaction_update = { query_sets = {} } } }, answer.result)
  end)

  it("that succeeds has exactly the bytes that the protocol gives it", function()
    ann:drop()
    ann = people.connect(world, { protocol = "v2" })
    ann:send("CallReducer", { request_id = 8, flags = 0, reducer = "do_nothing", args = "" })
    local frame = assert(ann.connection:receive())
    assert.equal("00" .. "06" .. "08000000", bsatn.to_hex(frame:sub(1, 6)))
    assert.equal("00" .. "00000000" .. "00000000", bsatn.to_hex(frame:sub(15)))
  end)

  it("carries the time at which it was accepted", function()
    local before = os.time()
    ann:send_call(people.call "do_nothing")
    local seconds = tonumber(ann:expect("ReducerResult").timestamp) / 1e6
    assert.is_true(seconds >= before and seconds < before + 60)
  end)

  it("echoes any request id", function()
    for _, request_id in ipairs { 0, 7, 7, 4294967295 } do
      ann:send("CallReducer", { request_id = request_id, flags = 0, reducer = "do_nothing", args = "" })
      assert.equal(request_id, ann:expect("ReducerResult").request_id)
    end
  end)

  it("that the reducer refuses answers Err with the text, and is rolled back", function()
    assert.same({ "Err", "not today" }, { refusal(people.call("refuse", { text = "not today" })) })
    assert.same({ "Err", "größer als 3 €" }, { refusal(people.call("refuse", { text = "größer als 3 €" })) })
  end)

  it("that runs into a bug answers InternalError without the module's inner life, and is rolled back", function()
    local tag, text = refusal(people.call "break_down")
    assert.equal("InternalError", tag)
    assert.is_true(#text > 0)
    assert.is_nil(text:find("mistake", 1, true))
    assert.is_nil(text:find(".lua", 1, true))
  end)

  it("that runs into a bug leaves the bug's place and text in the log", function()
    ann:call(people.call "break_down")
    local log = world:request({ path = "/v1/database/%s/logs?num_lines=3", token = world:owner_token() }).body
    assert.truthy(log:find("the module's own mistake", 1, true))
    assert.truthy(log:find("people.lua", 1, true))
  end)

  it("that violates a unique key is refused and changes nothing", function()
    ann:call(people.call("add_person", { id = 1, name = "ann", age = 4 }))
    local result = ann:call(people.call("add_person", { id = 1, name = "bob", age = 5 }))
    assert.not_equal("Ok", result.tag)
    assert.same({ { id = 1, name = "ann", age = 4 } }, ann:ask "SELECT * FROM person")
  end)

  it("that never ends is stopped, and the next one runs", function()
    assert.equal("InternalError", (refusal(people.call "spin")))
    assert.equal("Ok", ann:call(people.call("add_pair", { left = 1, right = 1 })).tag)
  end)

  it("that takes all memory is stopped, and the next one runs", function()
    assert.equal("InternalError", (refusal(people.call "hoard")))
    assert.equal("Ok", ann:call(people.call("add_pair", { left = 2, right = 1 })).tag)
  end)

  it("of an unknown reducer answers InternalError", function()
    local tag, text = refusal("no_such_thing")
    assert.equal("InternalError", tag)
    assert.truthy(text:find "^no such reducer")
  end)

  it("of a lifecycle reducer answers InternalError", function()
    for _, name in ipairs { "init", "client_connected", "client_disconnected" } do
      assert.equal("InternalError", (refusal(name)), name)
    end
  end)

  it("with arguments that do not decode answers InternalError and names the reducer and the argument", function()
    for arguments, problem in pairs {
      [""] = "argument `id`: the bytes end inside u32",
      ["\1\0"] = "argument `id`: the bytes end inside u32",
      ["\1\0\0\0\5\0\0\0ab"] = "argument `name`: the bytes end inside string",
      ["\1\0\0\0\1\0\0\0\255\7"] = "argument `name`: the string is not valid UTF-8",
      ["\1\0\0\0\1\0\0\0a"] = "argument `age`: the bytes end inside u8",
    } do
      local tag, text = refusal("add_person", arguments)
      assert.equal("InternalError", tag)
      assert.equal("invalid arguments for reducer add_person: " .. problem, text)
    end
  end)

  it("with bytes behind its arguments succeeds", function()
    local name, arguments = people.call("add_pair", { left = 4, right = 4 })
    assert.equal("Ok", ann:call(name, arguments .. "more").tag)
    assert.equal(1, #ann:ask "SELECT * FROM pair WHERE \"left\" = 4")
  end)

  it("of a procedure answers InternalError, with no time and no duration", function()
    local request_id = ann:send("CallProcedure", { flags = 0, procedure = "do_nothing", args = "" })
    assert.same({
      status = { tag = "InternalError", value = "no such procedure" }, timestamp = 0LL,
      total_host_execution_duration = 0LL, request_id = request_id,
    }, ann:expect "ProcedureResult")
  end)

  it("that is refused leaves the connection open", function()
    for _ = 1, 3 do
      refusal(people.call("refuse", { text = "no" }))
      refusal("no_such_thing")
      refusal("add_person", "")
      refusal(people.call "break_down")
    end
    assert.is_true(ann:has_nothing())
  end)

  it("that fails tells nobody but its caller", function()
    bob:subscribe(1, { "SELECT * FROM pair" })
    ann:subscribe(1, { "SELECT * FROM pair" })
    for _, reducer in ipairs { "break_down", "spin" } do
      ann:call(reducer)
      assert.is_true(bob:has_nothing())
    end
  end)

  it("reads its own writes, and its auto-increment numbers go up", function()
    local pets = {}
    for id = 1, 3 do
      ann:call(people.call("add_person_with_pet", { id = id, name = "owner", kind = { tag = "cat" } }))
      pets[id] = ann:ask("SELECT * FROM pet WHERE owner = " .. id)[1].id
    end
    assert.is_true(pets[1] < pets[2] and pets[2] < pets[3])
  end)

  it("sees as sender the identity that its client was told", function()
    ann:call(people.call("write_note", { text = "mine" }))
    assert.same({ { author = ann.identity, text = "mine" } }, ann:ask "SELECT * FROM note")
  end)

  it("after a thousand in flight is answered in order", function()
    for place = 1, 1000 do
      ann:send("CallReducer", { request_id = place, flags = 0, reducer = "add_pair",
        args = bsatn.encode(bsatn.type "{ left: u16, right: u16 }", { left = place, right = 1 }) })
    end
    for place = 1, 1000 do
      assert.equal(place, ann:expect("ReducerResult").request_id)
    end
  end)

  it("is answered alike in v2 and v3", function()
    local answers = {}
    for _, protocol in ipairs { "v2", "v3" } do
      local eve = people.connect(world, { protocol = protocol })
      local answer = {}
      for _, message in ipairs {
        { "add_pair", "\1\0\2\0" }, { "refuse", "\2\0\0\0no" }, { "no_such_thing", "" }, { "break_down", "" },
      } do
        local result = eve:call(message[1], message[2])
        answer[#answer + 1] = bsatn.encode(messages.types.ReducerOutcome, result):gsub("error %x+", "error …")
      end
      answers[#answers + 1] = answer
      eve:drop()
    end
    assert.same(answers[1], answers[2])
  end)
end)
