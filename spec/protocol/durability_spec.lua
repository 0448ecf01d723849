local socket = require "socket"
local people = require "spec.support.people"
local server = require "spec.support.server"
local v1_client = require "spec.support.v1_client"
local ws_client = require "spec.support.ws_client"

local SLOW = 0.3

local MODULE = [[
local stdb = require "stdb"
stdb.table("%s", { public = true, { "id", stdb.types.u32 } })
]]

-- Under sanitizers the library that is loaded first is not theirs.
local PRELUDE = [[
export STDB_DISK='%s/disk' LD_PRELOAD='%s/faulty_disk.so' ASAN_OPTIONS="verify_asan_link_order=0:$ASAN_OPTIONS";]]

describe("with a disk that can be told to fail", function()
  local folder, world

  setup(function()
    folder = server.new_folder()
    local code = os.execute(("cc -shared -fPIC -O1 -o %s/faulty_disk.so spec/protocol/faulty_disk.c -ldl"):format(folder))
    assert(code == 0 or code == true)
  end)
  teardown(function() server.remove_folder(folder) end)

  local function set_disk(text)
    server.replace_file(folder .. "/disk", text)
  end

  local function options()
    return { prelude = PRELUDE:format(folder, folder) }
  end

  before_each(function()
    set_disk ""
    world = people.serve(options())
  end)
  after_each(function() world:remove() end)

  --- How long `act` takes.
  local function seconds(act)
    local start = socket.gettime()
    act()
    return socket.gettime() - start
  end

  local function assert_waits(act)
    local took = seconds(act)
    assert.is_true(took >= SLOW * 0.9, "took only " .. took)
  end

  local function assert_does_not_wait(act)
    local took = seconds(act)
    assert.is_true(took < SLOW * 0.7, "took " .. took)
  end

  local function make_slow()
    set_disk("sync_ms " .. SLOW * 1000)
  end

  --- Lets what is being synced get there, so that the next spec line begins with nothing under way.
  local function settle()
    socket.sleep(SLOW * 2.2)
  end

  describe("while it is slow", function()
    it("a call's answer waits for the disk, and does not when the client said so", function()
      local patient, hasty = people.connect(world), people.connect(world, { confirmed = false })
      make_slow()
      assert_waits(function() patient:call(people.call("add_pair", { left = 1, right = 1 })) end)
      settle()
      assert_does_not_wait(function() hasty:call(people.call("add_pair", { left = 2, right = 1 })) end)
    end)

    it("a call of v1 does not wait, unless the client said so", function()
      local function call(ann, left)
        local name, arguments = people.call("add_pair", { left = left, right = 1 })
        ann:send("CallReducer", { reducer = name, args = arguments, request_id = left, flags = 0 })
        assert.equal("Committed", ann:expect("TransactionUpdate").status.tag)
      end
      local hasty = v1_client.connect(world, { protocol = "v1" })
      local patient = v1_client.connect(world, { protocol = "v1", confirmed = true })
      make_slow()
      assert_does_not_wait(function() call(hasty, 1) end)
      settle()
      assert_waits(function() call(patient, 2) end)
    end)

    it("so do updates", function()
      local patient, hasty = people.connect(world), people.connect(world, { confirmed = false })
      local writer = people.connect(world, { confirmed = false })
      patient:subscribe(1, { "SELECT * FROM pair" })
      hasty:subscribe(1, { "SELECT * FROM pair" })
      make_slow()
      assert_waits(function()
        assert_does_not_wait(function()
          writer:call(people.call("add_pair", { left = 1, right = 1 }))
          hasty:next_changes()
        end)
        patient:next_changes()
      end)
    end)

    it("so do the rows of a subscription and of a query that hold what is not on disk yet", function()
      for _, ask in ipairs {
        function(asker) return asker:subscribe(1, { "SELECT * FROM pair" })[1].rows end,
        function(asker) return asker:ask "SELECT * FROM pair" end,
      } do
        local writer, patient = people.connect(world, { confirmed = false }), people.connect(world)
        local hasty = people.connect(world, { confirmed = false })
        make_slow()
        writer:call(people.call("add_pair", { left = 1, right = 1 }))
        assert_does_not_wait(function() assert.equal(1, #ask(hasty)) end)
        assert.is_true(seconds(function() assert.equal(1, #ask(patient)) end) > SLOW / 3)
        set_disk ""
        writer:call(people.call "remove_everybody")
        settle()
      end
    end)

    it("refusals wait for what they may be because of", function()
      local writer, patient = people.connect(world, { confirmed = false }), people.connect(world)
      local old = v1_client.connect(world, { protocol = "v1", confirmed = true })
      local function refuse_old()
        local name, arguments = people.call("refuse", { text = "no" })
        old:send("CallReducer", { reducer = name, args = arguments, request_id = 1, flags = 0 })
        assert.equal("Failed", old:expect("TransactionUpdate").status.tag)
      end
      for place, refuse in ipairs {
        function() assert.equal("Err", patient:call(people.call("refuse", { text = "no" })).tag) end,
        refuse_old,
      } do
        settle()
        make_slow()
        writer:call(people.call("add_pair", { left = place, right = 1 }))
        assert.is_true(seconds(refuse) > SLOW / 3)
      end
    end)

    it("refusals queue behind what waits", function()
      local ann = people.connect(world)
      make_slow()
      assert_waits(function()
        ann:send_call(people.call("add_pair", { left = 1, right = 1 }))
        ann:send_call(people.call("refuse", { text = "no" }))
        ann:send_call("no_such_thing")
        assert.equal("Ok", ann:expect("ReducerResult").result.tag)
      end)
      assert.equal("Err", ann:expect("ReducerResult").result.tag)
      assert.equal("InternalError", ann:expect("ReducerResult").result.tag)
    end)

    it("refusals wait for nothing when nothing is under way, nor do reads of what is on disk", function()
      local ann = people.connect(world)
      settle()
      make_slow()
      assert_does_not_wait(function()
        ann:call(people.call("refuse", { text = "no" }))
        ann:ask "SELECT * FROM pair"
        ann:subscribe(1, { "SELECT * FROM pair" })
      end)
    end)

    it("pings are answered, and clients that do not wait come in", function()
      local ann = people.connect(world)
      make_slow()
      ann:send_call(people.call("add_pair", { left = 1, right = 1 }))
      assert_does_not_wait(function()
        ann.connection:send_frame { opcode = "ping", payload = "hello" }
        assert.equal("pong", ann.connection:receive_frame().opcode)
        people.connect(world, { confirmed = false }):drop()
        assert.equal(200, world:request({ path = "/v1/ping" }).status)
      end)
    end)

    it("many calls share a sync", function()
      local ann = people.connect(world)
      make_slow()
      local took = seconds(function()
        for place = 1, 200 do
          ann:send_call(people.call("add_pair", { left = place, right = 1 }))
        end
        for _ = 1, 200 do
          ann:expect "ReducerResult"
        end
      end)
      assert.is_true(took < SLOW * 10, "took " .. took)
    end)

    it("an HTTP call waits, and so does SQL unless told not to", function()
      make_slow()
      assert.is_true(seconds(function() assert.equal(200, world:call("add_pair", "[1, 1]").status) end) > SLOW / 3)
      assert.is_true(seconds(function() assert.equal(200, world:sql("SELECT * FROM pair").status) end) > SLOW / 3)
      assert_does_not_wait(function()
        assert.equal(200, world:request({ method = "POST", path = "/v1/database/%s/sql?confirmed=false",
          body = "SELECT * FROM pair" }).status)
      end)
    end)

    it("a saved version of the module does its work at once, and is said to be in force when it is on disk", function()
      world:remove()
      world = server.start { module = MODULE:format "first", prelude = options().prelude }
      local from = #world:output() + 1
      set_disk "sync_ms 60000"
      world:save(MODULE:format "second")
      server.wait("the new version", function()
        return world:request({ method = "POST", path = "/v1/database/%s/sql?confirmed=false",
          body = "SELECT * FROM second" }).status == 200
      end)
      socket.sleep(0.02)
      assert.is_nil(world:output():find("in force", from, true))
    end)

    it("a server that stops still answers the calls that wait", function()
      local caller = assert(ws_client.open { port = world.port })
      make_slow()
      caller:send_request { method = "POST", path = "/v1/database/people/call/add_pair", body = "[1, 1]",
        headers = { ["Content-Type"] = "application/json", Authorization = "Bearer " .. world:owner_token() } }
      server.wait("the call to run", function()
        local seen = world:request { method = "POST", path = "/v1/database/%s/sql?confirmed=false",
          body = "SELECT * FROM pair" }
        return seen.body and seen.body:find("[1,1]", 1, true)
      end)
      world:signal_stop()
      assert.equal(200, assert(caller:read_response(server.patience)).status)
      assert.equal(0, world:stop())
    end)
  end)

  for word, reason in pairs { sync_error = "Input/output error", write_error = "No space left on device" } do
    describe(word == "sync_error" and "when a sync fails" or "when it is full", function()
      it("the call is not acknowledged, the server ends and says why, and what was acknowledged is there", function()
        local ann = people.connect(world)
        ann:subscribe(1, { "SELECT * FROM pair" })
        for place = 1, 50 do
          ann:call(people.call("add_pair", { left = place, right = 1 }))
        end
        set_disk(word)
        ann:send_call(people.call("add_person_with_pet", { id = 1, name = "x", kind = { tag = "cat" } }))
        assert.not_equal("timeout", (ann:ending()))
        server.wait("the server's end", function() return not world:is_running() end)
        assert.equal(1, world.exit_code)
        assert.truthy(world:output():find(reason, 1, true), world:output())
        set_disk ""
        world:restart()
        local bob = people.connect(world)
        assert.equal(50, #bob:ask "SELECT * FROM pair")
        assert.equal(#bob:ask "SELECT * FROM person", #bob:ask "SELECT * FROM pet")
        assert.equal("Ok", bob:call(people.call("add_pair", { left = 51, right = 1 })).tag)
      end)
    end)
  end

  it("a version of the module that does not get to the disk is never said to be in force", function()
    world:remove()
    world = server.start { module = MODULE:format "first", prelude = options().prelude }
    assert.truthy(world:reload(MODULE:format "second"):find "new version in force")
    local from = #world:output() + 1
    set_disk "sync_error"
    world:save(MODULE:format "third")
    server.wait("the server's end", function() return not world:is_running() end)
    local said = world:output():sub(from)
    assert.truthy(said:find("Input/output error", 1, true), said)
    assert.is_nil(said:find("in force", 1, true))
  end)

  it("a start on a full disk is refused with the reason", function()
    set_disk "write_error"
    local given = options()
    given.module = people.MODULE
    local code, output = server.refuse(given)
    assert.equal(1, code)
    assert.truthy(output:find("No space left on device", 1, true), output)
  end)
end)
