--- stdb-lua undo: what some records changed is taken back by one transaction, unless others have built on it.
local client = require "spec.support.client"
local bsatn = require "spec.support.bsatn"
local cjson = require "cjson"
local program = require "spec.support.program"
local server = require "spec.support.server"
local things = require "spec.support.things"

local MODULE = things.MODULE .. [[
stdb.table("note", { public = true, { "text", t.string } })
stdb.table("sound", { public = true, event = true, { "text", t.string } })

stdb.reducer("drop", { { "id", t.u64 } }, function(ctx, id)
  ctx.db.thing.id:delete(id)
end)
stdb.reducer("swap", {}, function(ctx)
  local one, other = ctx.db.thing.id:find(1).name, ctx.db.thing.id:find(2).name
  ctx.db.thing.id:update { id = 1, name = "" }
  ctx.db.thing.id:update { id = 2, name = one }
  ctx.db.thing.id:update { id = 1, name = other }
end)
stdb.reducer("write", { { "text", t.string } }, function(ctx, text)
  ctx.db.note:insert { text = text }
  ctx.db.sound:insert { text = text }
end)
stdb.reducer("wipe", {}, function(ctx)
  for note in ctx.db.note:iter() do ctx.db.note:delete(note) end
end)
]]

local LATER = things.weighed(MODULE)

describe("undo", function()
  local world, command

  local function rows(name)
    local found = world:rows("SELECT * FROM " .. name)
    table.sort(found, function(left, right) return left[1] < right[1] end)
    return found
  end

  local function events(...)
    return program.events(world.data_dir, ...)
  end

  --- The offset of the newest call of this reducer, or newest record of this kind.
  local function offset_of(name)
    local found = events(name == "undo" and "--kind" or "--reducer", name)
    return found[#found].offset
  end

  local function ask(selection, parameters, token)
    local answer = world:request { method = "POST", path = "/v1/database/%s/undo" .. (parameters or ""), body = selection,
      token = token or world:owner_token() }
    return answer.status, answer.body:sub(1, 1) == "{" and cjson.decode(answer.body) or answer.body
  end

  local function undo(selection, parameters)
    local status, answer = ask(selection, parameters)
    assert.equal(200, status, type(answer) == "string" and answer or cjson.encode(answer))
    return answer
  end

  before_each(function()
    world = server.start { module = MODULE }
    command = program.for_server(world)
  end)

  after_each(function()
    world:remove()
  end)

  it("takes back inserts, updates and deletes of a call, and leaves a record of its own", function()
    world:must_call("add", '["lamp"]')
    world:must_call("rename", '[1,"torch"]')
    local renamed = offset_of "rename"
    local answer = undo("offset " .. renamed)
    assert.same({ { table = "thing", from = { id = 1, name = "torch" }, to = { id = 1, name = "lamp" } } }, answer.changes)
    assert.same({ { 1, "lamp" } }, rows "thing")

    world:must_call("drop", "[1]")
    undo("offset " .. offset_of "drop")
    assert.same({ { 1, "lamp" } }, rows "thing")
    undo("offset " .. offset_of "add", "?skip_conflicts=false")
    assert.same({}, rows "thing")

    local records = events("--kind", "undo")
    assert.equal(3, #records)
    assert.equal(answer.offset, records[1].offset)
    assert.equal("offset " .. renamed, records[1].selection)
    assert.equal(events("--kind", "publish")[1].caller, records[1].caller)
    assert.same({ { table = "thing", deletes = { { id = 1, name = "torch" } }, inserts = { { id = 1, name = "lamp" } } } },
      records[1].changes)
    world:must_call("add", '["bed"]')
    assert.same({ { 2, "bed" } }, rows "thing", "sequences are not taken back")
    world:kill()
    world:restart()
    assert.same({ { 2, "bed" } }, rows "thing")
    assert.equal(0, (program.run("check", "--data-dir", world.data_dir)))
    assert.equal(1, (program.run("replay", "--data-dir", world.data_dir, tostring(records[1].offset))))
  end)

  it("takes back what one caller did in a window, as one transaction that subscribers are told of", function()
    local ann = client.connect(world)
    local bob = client.connect(world, { rows = { thing = bsatn.type "{ id: u64, name: string }",
      note = bsatn.type "{ text: string }" } })
    local function ann_calls(name, notation, values)
      assert.equal("Ok", ann:call(name, client.arguments(notation, values)).tag)
    end
    ann_calls("add", "{ name: string }", { name = "lamp" })
    local from = offset_of "add" + 1
    world:must_call("add", '["bed"]')
    ann_calls("add", "{ name: string }", { name = "door" })
    ann_calls("rename", "{ id: u64, name: string }", { id = 1, name = "torch" })
    ann_calls("rename", "{ id: u64, name: string }", { id = 1, name = "candle" })
    ann_calls("add", "{ name: string }", { name = "passing" })
    ann_calls("drop", "{ id: u64 }", { id = 4 })
    ann_calls("write", "{ text: string }", { text = "hello" })
    bob:subscribe(1, { "SELECT * FROM thing", "SELECT * FROM note" })

    local answer = undo(("from %d caller %s"):format(from, ann.identity:sub(1, 16)))
    assert.equal(3, #answer.changes)
    assert.equal(1, answer.event_rows)
    assert.same({ { 1, "lamp" }, { 2, "bed" } }, rows "thing")
    assert.same({}, rows "note")
    local told = {}
    for _, change in ipairs(bob:changes(bob:expect "TransactionUpdate")) do told[change.table] = change end
    assert.equal(1, #told.thing.inserts)
    assert.equal("lamp", told.thing.inserts[1].name)
    assert.equal(2, #told.thing.deletes)
    assert.equal(1, #told.note.deletes)
  end)

  it("stops at rows that others have changed later, and lists who did and when", function()
    world:must_call("add", '["lamp"]')
    world:must_call("add", '["bed"]')
    local first = events("--reducer", "add")[1].offset
    local ann = client.connect(world)
    assert.equal("Ok", ann:call("rename", client.arguments("{ id: u64, name: string }", { id = 1, name = "torch" })).tag)
    local rename = events("--reducer", "rename")[1]
    local before = rows "thing"

    local status, answer = ask(("from %d reducer add"):format(first))
    assert.equal(409, status)
    assert.is_equal(cjson.null, answer.offset)
    assert.same({ { table = "thing", left = { id = 1, name = "lamp" }, now = { id = 1, name = "torch" },
      offset = rename.offset, time = rename.time, caller = ann.identity, what = "rename" } }, answer.conflicts)
    assert.equal(1, #answer.changes)
    assert.same(before, rows "thing")
    assert.equal(0, #events("--kind", "undo"))

    undo(("from %d reducer add"):format(first), "?skip_conflicts=true")
    assert.same({ { 1, "torch" } }, rows "thing")
  end)

  it("counts what others did in between, but not what they have put back", function()
    local ann = client.connect(world)
    local function ann_renames(name)
      local arguments = client.arguments("{ id: u64, name: string }", { id = 1, name = name })
      assert.equal("Ok", ann:call("rename", arguments).tag)
    end
    world:must_call("add", '["lamp"]')
    ann_renames "torch"
    world:must_call("rename", '[1,"fire"]')
    world:must_call("rename", '[1,"torch"]')
    local selection = ("from %d caller %s"):format(offset_of "add", ann.identity)
    assert.same({ id = 1, name = "lamp" }, undo(selection, "?dry_run=true").changes[1].to)

    world:must_call("rename", '[1,"fire"]')
    local between = offset_of "rename"
    ann_renames "ash"
    local status, answer = ask(selection)
    assert.equal(409, status)
    assert.equal(between, answer.conflicts[1].offset)
    assert.same({ id = 1, name = "ash" }, answer.conflicts[1].now)
    assert.same({ { 1, "ash" } }, rows "thing")
  end)

  it("undoes an undo, which brings everything back", function()
    world:must_call("add", '["lamp"]')
    world:must_call("add", '["bed"]')
    world:must_call("swap", "[]")
    assert.same({ { 1, "bed" }, { 2, "lamp" } }, rows "thing")
    local swap = offset_of "swap"
    undo("offset " .. swap)
    assert.same({ { 1, "lamp" }, { 2, "bed" } }, rows "thing")
    assert.equal(409, (ask("offset " .. swap)))
    undo("offset " .. offset_of "undo")
    assert.same({ { 1, "bed" }, { 2, "lamp" } }, rows "thing")
    undo("offset " .. swap)
    assert.same({ { 1, "lamp" }, { 2, "bed" } }, rows "thing")
  end)

  it("knows rows without a key by all they hold", function()
    world:must_call("write", '["one"]')
    world:must_call("write", '["two"]')
    world:must_call("wipe", "[]")
    undo("offset " .. offset_of "wipe")
    assert.same({ { "one" }, { "two" } }, rows "note")
    undo("offset " .. offset_of "write")
    assert.same({ { "one" } }, rows "note")
  end)

  it("is refused where a unique value has been taken meanwhile", function()
    world:must_call("add", '["lamp"]')
    world:must_call("drop", "[1]")
    local drop = offset_of "drop"
    world:must_call("add", '["lamp"]')
    local status, text = ask("offset " .. drop)
    assert.equal(409, status)
    assert.truthy(text:find 'thing {"id":1,"name":"lamp"} cannot come back: .*name.*lamp', text)
    assert.same({ { 2, "lamp" } }, rows "thing")
  end)

  it("is refused where a table has got another shape since", function()
    world:must_call("add", '["lamp"]')
    local add = offset_of "add"
    assert.truthy(world:reload(LATER):find "in force")
    local status, text = ask("offset " .. add)
    assert.equal(400, status)
    assert.truthy(text:find "table `thing` has another shape since the publish at offset %d+", text)
    world:must_call("add", '["bed"]')
    undo("offset " .. offset_of "add")
    assert.same({ { 1, "lamp", 5 } }, rows "thing")
  end)

  it("is the owner's alone, and refuses what it cannot understand", function()
    world:must_call("add", '["lamp"]')
    local stranger = cjson.decode(world:request { method = "POST", path = "/v1/identity", body = "" }.body).token
    local status, text = ask("offset 1", "", stranger)
    assert.equal(403, status)
    assert.truthy(text:find "only the database's owner", text)
    local function refusal(expected, selection, parameters)
      local code, body = ask(selection, parameters)
      assert.equal(expected, code, body)
      return body
    end
    assert.truthy(refusal(400, ""):find "offset, from or since is missing")
    assert.truthy(refusal(400, "caller c200"):find "offset, from or since is missing")
    assert.truthy(refusal(400, "offset 1x"):find "an offset is a whole number, not 1x")
    assert.truthy(refusal(400, "since yesterday"):find "a time is like .*not yesterday")
    assert.truthy(refusal(400, "from 0 caller xyz!"):find "xyz! is not 4 to 64 hex digits")
    assert.truthy(refusal(400, "from 0 nonsense 1"):find "not nonsense")
    assert.truthy(refusal(400, "from 0 caller c200"):find "c200 begins more than one caller")
    assert.truthy(refusal(400, ("x"):rep(2000)):find "1000 bytes at most")
    assert.truthy(refusal(400, "offset 1", "?dry_run=perhaps"):find "dry_run")
    assert.truthy(refusal(404, "offset 4711"):find "the log ends at offset %d+")
    assert.same({}, undo("offset 0").changes)
    assert.same({ { 1, "lamp" } }, rows "thing")
  end)

  it("is a command that shows what it would do, does it, and says what a stopped database needs", function()
    world:must_call("add", '["lamp"]')
    world:must_call("rename", '[1,"torch"]')
    local offset = tostring(offset_of "rename")
    local code, output = command("undo", "world", "--offset", offset, "--dry-run")
    assert.equal(0, code)
    assert.equal('- thing { "id": 1, "name": "torch" }\n+ thing { "id": 1, "name": "lamp" }\n' ..
      "1 row would be changed. Nothing was.\n", output)
    assert.same({ { 1, "torch" } }, rows "thing")
    code, output = command("undo", "world", "--offset", offset)
    assert.equal(0, code)
    assert.truthy(output:find "1 row changed by the transaction at offset %d+; undo it with %-%-offset %d+%.\n$", output)
    assert.same({ { 1, "lamp" } }, rows "thing")
    code, output = command("undo", "world", "--offset", offset)
    assert.equal(1, code)
    assert.truthy(output:find "! thing .* was changed by others: offset %d+, 20.*, by c200%x+, undo: now ", output)
    assert.truthy(output:find "nothing was changed", output)
    local _, complaint
    code, _, complaint = command("undo", "world")
    assert.equal(2, code)
    assert.truthy(complaint:find("say where to begin: --offset, --from or --since", 1, true), complaint)
    world:stop()
    code, _, complaint = command("undo", "world", "--offset", offset)
    assert.equal(1, code)
    assert.truthy(complaint:find "Is the server running%? Start one with: stdb%-lua run", complaint)
  end)
end)
