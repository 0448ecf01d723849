--- stdb-lua fork, resume, list and delete: several databases behind one server.
local cjson = require "cjson"
local bsatn = require "spec.support.bsatn"
local client = require "spec.support.client"
local program = require "spec.support.program"
local server = require "spec.support.server"

-- Balances always sum up to 1000.
local BANK = [[
local stdb = require "stdb"
local t = stdb.types
stdb.table("account", { public = true, { "id", t.u32, primary_key = true }, { "balance", t.i64 } })
stdb.table("visit", { { "number", t.u64, primary_key = true, auto_inc = true }, { "what", t.string } })
stdb.on.init(function(ctx)
  for id = 1, 10 do ctx.db.account:insert { id = id, balance = 100 } end
end)
stdb.on.disconnect(function(ctx) ctx.db.visit:insert { what = "gone" } end)
stdb.reducer("transfer", { { "from", t.u32 }, { "to", t.u32 }, { "amount", t.i64 } }, function(ctx, from, to, amount)
  ctx.db.account.id:update { id = from, balance = ctx.db.account.id:find(from).balance - amount }
  ctx.db.account.id:update { id = to, balance = ctx.db.account.id:find(to).balance + amount }
end)
--MORE
]]

local CLOCK = [[
local stdb = require "stdb"
local t = stdb.types
local Beat = stdb.table("beat", { schedule = "run_beat",
  { "id", t.u64, primary_key = true, auto_inc = true }, { "at", t.schedule_at } })
stdb.table("tick", { public = true, { "id", t.u64, primary_key = true, auto_inc = true } })
stdb.reducer("run_beat", { { "row", Beat } }, function(ctx) ctx.db.tick:insert {} end)
stdb.on.init(function(ctx) ctx.db.beat:insert { at = stdb.every { milliseconds = 20 } } end)
]]

local LATER = BANK:gsub("%-%-MORE", 'stdb.reducer("later", function() end)')
local ROWS = bsatn.schema "account = { id: u32, balance: i64 }"
local TRANSFER = "{ from: u32, to: u32, amount: i64 }"

describe("with several databases", function()
  local world, options

  local function start()
    world = server.start(options or { module = BANK })
    return world
  end

  before_each(function() options = nil end)
  after_each(function() world:remove() end)

  local function run(command, ...)
    local code, output, complaint = program.run(command, "--server", "http://127.0.0.1:" .. world.port, "--token",
      world:owner_token(), ...)
    return code, output .. complaint
  end

  local function ask(database, method, path, body, token)
    return world:request { method = method, path = ("/v1/database/%s%s"):format(database, path), body = body,
      token = token, headers = { ["Content-Type"] = body and "application/json" } }
  end

  local function transfer(database, from, to, amount)
    local answer = ask(database, "POST", "/call/transfer", ("[%d,%d,%d]"):format(from, to, amount))
    assert.equal(200, answer.status, answer.body)
  end

  local function balances(database)
    local answer = ask(database, "POST", "/sql", "SELECT * FROM account")
    assert.equal(200, answer.status, answer.body)
    local list, sum = {}, 0
    for _, row in ipairs(cjson.decode(answer.body)[1].rows) do list[row[1]], sum = row[2], sum + row[2] end
    assert.equal(1000, sum)
    return list
  end

  local function fork(name, from)
    local code, output = run("fork", from or "world", name)
    assert.equal(0, code, output)
    return tonumber(output:match "as of offset (%d+)"), output
  end

  describe("a fork", function()
    it("has the same rows, goes its own way, and both survive kill -9", function()
      start()
      transfer("world", 1, 2, 30)
      local ann = client.connect(world, { rows = ROWS })
      fork "copy"
      assert.same(balances "world", balances "copy")
      assert.equal(200, ask("copy", "GET", "").status)

      local bob = client.connect(world, { rows = ROWS, database = "copy" })
      local tables = bob:subscribe(1, { "SELECT * FROM account WHERE id = 1" })
      assert.equal(70, tonumber(tables[1].rows[1].balance))
      assert.equal("Ok", bob:call("transfer", client.arguments(TRANSFER, { from = 1, to = 2, amount = 7 })).tag)
      assert.equal("Ok", ann:call("transfer", client.arguments(TRANSFER, { from = 3, to = 2, amount = 9 })).tag)
      local here, there = balances "world", balances "copy"
      assert.same({ 70, 139, 91 }, { here[1], here[2], here[3] })
      assert.same({ 63, 137, 100 }, { there[1], there[2], there[3] })

      world:kill()
      world:restart()
      assert.truthy(world:output():find "also served, as published last: copy")
      assert.same(here, balances "world")
      assert.same(there, balances "copy")
      transfer("copy", 1, 2, 1)
      transfer("world", 1, 2, 1)
      for _, name in ipairs { "world", "copy" } do
        local code, output = program.run("check", "--data-dir", world.data_dir, "--database", name)
        assert.equal(0, code, output)
      end
    end)

    it("is the original at one offset, also while that is written to", function()
      start()
      local ann = client.connect(world)
      local pipe = io.popen(("%s fork --server http://127.0.0.1:%d --token %s world copy 2>&1"):format(program.path(),
        world.port, world:owner_token()))
      local count = 0
      repeat
        count = count + 1
        local from = count % 10 + 1
        local arguments = client.arguments(TRANSFER, { from = from, to = 11 - from, amount = count })
        assert.equal("Ok", ann:call("transfer", arguments).tag)
      until count == 5000 or count % 50 == 0 and ask("copy", "GET", "/identity").status == 200
      local offset = tonumber(pipe:read "*a":match "as of offset (%d+)")
      pipe:close()
      local code, output = program.run("sql", "--data-dir", world.data_dir, "--format", "json", "--as-of", tostring(offset - 1),
        "world", "SELECT * FROM account")
      assert.equal(0, code, output)
      local then_ = {}
      for _, row in ipairs(cjson.decode(output)[1].rows) do then_[row[1]] = row[2] end
      assert.same(then_, balances "copy")
    end)

    it("sees those leave who were connected to the original", function()
      start()
      client.connect(world)
      fork "copy"
      for name, count in pairs { copy = 1, world = 0 } do
        local answer = ask(name, "POST", "/sql", "SELECT * FROM visit", world:owner_token())
        assert.equal(count, #cjson.decode(answer.body)[1].rows, answer.body)
      end
    end)

    it("serves the version it was made with, until another is published to it", function()
      start()
      fork "copy"
      assert.truthy(world:reload(LATER):find "in force")
      assert.equal(200, ask("world", "POST", "/call/later", "[]").status)
      assert.equal(404, ask("copy", "POST", "/call/later", "[]").status)
      world:stop()
      world.arguments = { "--database", "copy" }
      world:restart()
      assert.equal(200, ask("copy", "POST", "/call/later", "[]").status)
      assert.equal(200, ask("world", "POST", "/call/later", "[]").status)
    end)

    it("is made of a stopped server's database, too, and of a fork", function()
      start()
      transfer("world", 1, 2, 30)
      world:kill()
      for _, names in ipairs { { "world", "copy" }, { "copy", "third" } } do
        local code, output, complaint = program.run("fork", "--data-dir", world.data_dir, unpack(names))
        assert.equal(0, code, output .. complaint)
      end
      world:restart()
      assert.equal(70, balances "third"[1])
      transfer("third", 1, 2, 10)
      assert.equal(70, balances "copy"[1])
    end)

    it("has its schedules paused until they are resumed, for good", function()
      start()
      fork "copy"
      local path = world.data_dir .. "/databases/copy/schedules-paused"
      assert.truthy(server.read_file(path))
      assert.equal(403, ask("copy", "POST", "/resume", "").status)
      assert.truthy(select(2, run("resume", "copy")):find "run from now on")
      assert.is_nil(server.read_file(path))
      assert.truthy(select(2, run("resume", "copy")):find "not paused")
      assert.truthy(select(2, run("resume", "world")):find "not paused")
    end)

    it("runs nothing by its timetable while that is paused", function()
      options = { module = CLOCK }
      start()
      fork "copy"
      local function ticks(database)
        return #cjson.decode(ask(database, "POST", "/sql", "SELECT * FROM tick").body)[1].rows
      end
      local before, here = ticks "copy", ticks "world"
      server.wait("the original's ticks", function() return ticks "world" > here + 5 end)
      assert.equal(before, ticks "copy")
      world:kill()
      world:restart()
      here = ticks "world"
      server.wait("the original's ticks", function() return ticks "world" > here + 5 end)
      assert.equal(before, ticks "copy")
      assert.equal(0, (run("resume", "copy")))
      server.wait("the fork's ticks", function() return ticks "copy" > before + 2 end)
    end)

    it("is refused to strangers, under a name that is taken or none, and while a server runs on the directory", function()
      start()
      fork "copy"
      local function refused(pattern, ...)
        local code, output = run(...)
        assert.equal(1, code, output)
        assert.truthy(output:find(pattern), output)
      end
      refused("only the owner", "fork", "--anonymous", "world", "other")
      refused("there is a database copy already", "fork", "world", "copy")
      refused("there is a database world already", "fork", "world", "world")
      for _, name in ipairs { "a/b", "../x", "A", ("a"):rep(64) } do
        refused("cannot be a database's name", "fork", "world", name)
      end
      assert.equal(2, (run("fork", "world", "")))
      refused("`nothing` not found", "fork", "nothing", "other")
      local code, output, complaint = program.run("fork", "--data-dir", world.data_dir, "world", "other")
      assert.equal(1, code, output)
      assert.truthy(complaint:find "a server runs on", complaint)
      assert.equal("copy\nworld\n", select(2, program.run("list", "--data-dir", world.data_dir)))
    end)
  end)

  it("list shows those that are the caller's", function()
    start()
    fork "copy"
    local code, output = run "list"
    assert.equal(0, code, output)
    assert.truthy(output:find "^copy  c200%x+\nworld  c200%x+\n$", output)
  end)

  it("delete ends one, keeps its data, and frees its name", function()
    start()
    fork "copy"
    local ann, bob = client.connect(world), client.connect(world, { database = "copy" })
    transfer("copy", 1, 2, 1)
    assert.equal(2, (run("delete", "copy")))
    assert.equal(403, ask("copy", "DELETE", "").status)
    local code, output = run("delete", "--yes", "copy")
    assert.equal(0, code, output)
    local message, why, status = bob:next()
    assert.is_nil(message)
    assert.same({ "close", 1001 }, { why, status })
    assert.equal(404, ask("copy", "GET", "").status)
    local aside = world.data_dir .. "/" .. output:match "is in (%S+) of"
    code, output = program.run("check", "--data-dir", aside)
    assert.equal(0, code, output)
    assert.truthy(select(2, run("delete", "--yes", "world")):find "was started for")

    fork "copy"
    assert.equal(100, balances "copy"[1])
    assert.equal("Ok", ann:call("transfer", client.arguments(TRANSFER, { from = 1, to = 2, amount = 1 })).tag)
    world:kill()
    world:restart()
    assert.equal(100, balances "copy"[1])
  end)

  it("one that cannot be opened is told, and the others are served", function()
    start()
    fork "copy"
    world:stop()
    server.write_file(world.data_dir .. "/databases/copy/identity", "nonsense\n")
    world:restart()
    assert.truthy(world:output():find "copy is not served: .*identity does not hold a database's identity")
    transfer("world", 1, 2, 1)
  end)

  describe("on a disk that fails for one", function()
    local folder

    setup(function()
      folder = server.new_folder()
      local code = os.execute(("cc -shared -fPIC -O1 -o %s/faulty_disk.so spec/protocol/faulty_disk.c -ldl"):format(folder))
      assert(code == 0 or code == true)
    end)
    teardown(function() server.remove_folder(folder) end)

    local function set_disk(text) server.replace_file(folder .. "/disk", text) end

    before_each(function()
      set_disk ""
      options = { module = BANK, prelude = ([[
export STDB_DISK='%s/disk' LD_PRELOAD='%s/faulty_disk.so' ASAN_OPTIONS="verify_asan_link_order=0:$ASAN_OPTIONS";]]):format(
        folder, folder) }
    end)

    for _, names in ipairs { { "copy", "world" }, { "world", "copy" } } do
      local failing, other = unpack(names)
      it(failing .. " stops, and " .. other .. " serves on", function()
        start()
        fork "copy"
        local ann, bob = client.connect(world, { database = failing }), client.connect(world, { database = other })
        set_disk("sync_error\nonly " .. failing .. "\n")
        ann:send_call("transfer", client.arguments(TRANSFER, { from = 1, to = 2, amount = 1 }))
        local message, why = ann:next()
        assert.is_nil(message)
        assert.equal("close", why)
        assert.equal("Ok", bob:call("transfer", client.arguments(TRANSFER, { from = 1, to = 2, amount = 1 })).tag)
        assert.equal(404, ask(failing, "GET", "").status)
        world:wait_for(failing .. ": stopped, because the log cannot be written")
        assert.equal(1, world:stop())
        set_disk ""
        world:restart()
        balances(failing) -- with the call that was not acknowledged, or without
        assert.equal(99, balances(other)[1])
      end)
    end

    it("all in turn, the process ends", function()
      start()
      fork "copy"
      local clients = { client.connect(world, { database = "copy" }), client.connect(world) }
      set_disk "sync_error\n"
      for _, one in ipairs(clients) do
        one:send_call("transfer", client.arguments(TRANSFER, { from = 1, to = 2, amount = 1 }))
      end
      server.wait("the end", function() return not world:is_running() end)
      assert.equal(1, world.exit_code)
    end)
  end)
end)
