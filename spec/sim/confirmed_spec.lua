--- What a confirmed client is told on a simulated disk, where nothing is synced before the spec says so: never of what
--- a crash could still undo. Clients that are not confirmed are told at once.
local messages = require "spec.support.messages"
local server_sim = require "spec.support.server_sim"
local sim = require "spec.support.sim"
local Model = require "spec.sim.model"

local MODULE = "spec/sim/module.lua"
local OPTIONS = { segment_size = 4096, log_bytes = 1e9, interval_us = 1e15, keep_us = 0, keep_bytes = 1 }
local HASTY, PATIENT, STRANGER = 0, 1, 2

describe("beside changes that are not on disk yet", function()
  local server, connections, changes

  local function connect(number, confirmed, last_byte)
    connections = connections + 1
    server:connect(number, ("\0"):rep(31) .. (last_byte or "\0"), ("%016d"):format(connections),
      { protocol = "v3", confirmed = confirmed })
  end

  local function turn() server:step "turn" end
  local function sync()
    while server:step "log" do end
  end

  --- The tags of what has come, those of results with what they are.
  local function told(number)
    local tags = {}
    for _, frame in ipairs(server_sim.frames(server:receive(number))) do
      for _, message in ipairs(messages.of_frame(frame)) do
        local result = type(message.value.result) == "table" and " " .. message.value.result.tag or ""
        tags[#tags + 1] = message.tag .. result
      end
    end
    return tags
  end

  local function call(number, reducer, ...)
    server:post(number, messages.client("CallReducer",
      { request_id = 1, flags = 0, reducer = reducer, args = Model.arguments(reducer, { ... }) }))
  end
  local function change()
    changes = changes + 1
    call(HASTY, "put_pair", changes, 1)
  end
  local function ask(number, tag, content)
    content.request_id = 1
    server:post(number, messages.client(tag, content))
  end

  before_each(function()
    connections, changes = 0, 0
    server = server_sim.new(sim.disk(7), 7)
    server:set_clock(1700000000000000, 1)
    assert.equal(server_sim.OK, server:open(MODULE, OPTIONS))
    connect(HASTY, false)
    connect(PATIENT, true)
    turn()
    sync()
    told(HASTY)
    told(PATIENT)
  end)
  after_each(function() server:free() end)

  --- Both ask while a change is under way.
  local function assert_only_hasty_is_told(wanted, act)
    change()
    turn()
    assert.same({ "ReducerResult Ok" }, told(HASTY))
    act(HASTY)
    act(PATIENT)
    turn()
    assert.same({ wanted }, told(HASTY))
    assert.same({}, told(PATIENT))
    sync()
    assert.same({ wanted }, told(PATIENT))
  end

  it("a refusal by a reducer waits for them, since it may be because of them", function()
    assert_only_hasty_is_told("ReducerResult InternalError", function(number) call(number, "open", 7, 6) end)
    assert_only_hasty_is_told("ReducerResult Err", function(number) call(number, "close", 30) end)
  end)

  it("so do refusals of what was never run", function()
    assert_only_hasty_is_told("ReducerResult InternalError", function(number) call(number, "annotate", 1, "text") end)
    assert_only_hasty_is_told("SubscriptionError", function(number)
      ask(number, "Subscribe", { query_set_id = { id = 1 }, query_strings = { "SELECT * FROM nothing" } })
    end)
    assert_only_hasty_is_told("OneOffQueryResult err",
      function(number) ask(number, "OneOffQuery", { query_string = "SELECT * FROM nothing" }) end)
  end)

  it("a greeting waits for the greeted one's own coming", function()
    connect(3, false)
    connect(4, true)
    turn()
    assert.same({ "InitialConnection" }, told(3))
    assert.same({}, told(4))
    sync()
    assert.same({ "InitialConnection" }, told(4))
  end)

  it("who is not let in hears so when they are", function()
    change()
    connect(STRANGER, false, "\187")
    connect(STRANGER + 1, true, "\187")
    turn()
    assert.equal("drop", server:ending(STRANGER))
    assert.is_nil(server:ending(STRANGER + 1))
    sync()
    assert.equal("drop", server:ending(STRANGER + 1))
  end)

  it("whom a new version of the module sends away goes when that is on disk", function()
    local path = os.tmpname()
    local module, other = assert(io.open(MODULE)), assert(io.open(path, "w"))
    other:write((module:read("*a"):gsub("local VERSION = 1", "local VERSION = 2", 1)))
    module:close()
    other:close()
    assert.equal(server_sim.OK, server:publish(path), server:text())
    os.remove(path)
    assert.equal(1001, server:ending(HASTY))
    assert.is_nil(server:ending(PATIENT))
    sync()
    assert.equal(1001, server:ending(PATIENT))
  end)

  it("and with all on disk nobody waits", function()
    call(PATIENT, "close", 30)
    ask(PATIENT, "OneOffQuery", { query_string = "SELECT * FROM nothing" })
    turn()
    assert.same({ "ReducerResult Err", "OneOffQueryResult err" }, told(PATIENT))
  end)
end)
