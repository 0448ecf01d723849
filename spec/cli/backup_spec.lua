--- stdb-lua backup and restore FILE: a database in one file, made while it is written to.
local ffi = require "ffi"
local cjson = require "cjson"
local client = require "spec.support.client"
local program = require "spec.support.program"
local server = require "spec.support.server"
local snap = require "spec.support.snap"

-- The sum of all balances never changes, and each transfer leaves an entry.
local BANK = [[
local stdb = require "stdb"
local t = stdb.types
stdb.table("account", { public = true, { "id", t.u32, primary_key = true }, { "balance", t.i64 } })
stdb.table("entry", { { "id", t.u64, primary_key = true, auto_inc = true }, { "amount", t.i64 } })
stdb.on.init(function(ctx)
  for id = 1, 10 do ctx.db.account:insert { id = id, balance = 100 } end
end)
stdb.table("bulk", { { "id", t.u32, primary_key = true }, { "text", t.string } })
stdb.reducer("fill", { { "id", t.u32 } }, function(ctx, id)
  for part = 1, 20 do ctx.db.bulk:insert { id = id * 100 + part, text = (id .. "x"):rep(20000) } end
end)
stdb.reducer("transfer", { { "from", t.u32 }, { "to", t.u32 }, { "amount", t.i64 } }, function(ctx, from, to, amount)
  local payer, payee = ctx.db.account.id:find(from), ctx.db.account.id:find(to)
  ctx.db.account.id:update { id = from, balance = payer.balance - amount }
  payee = ctx.db.account.id:find(to)
  ctx.db.account.id:update { id = to, balance = payee.balance + amount }
  ctx.db.entry:insert { amount = amount }
end)
]]

local TRANSFER = client.arguments

describe("a backup", function()
  local world, folder

  before_each(function()
    world = server.start { module = BANK }
    folder = server.new_folder()
  end)

  after_each(function()
    world:remove()
    server.remove_folder(folder)
  end)

  local function transfer(from, to, amount)
    world:must_call("transfer", ("[%d,%d,%d]"):format(from, to, amount))
  end

  local function run(...)
    local code, output, complaint = program.run(...)
    return code, output .. complaint
  end

  local function backup(path, ...)
    return run("backup", "--server", "http://127.0.0.1:" .. world.port, "--token", world:owner_token(), "world", path, ...)
  end

  local function restore(path, dir, ...)
    return run("restore", "--data-dir", folder .. "/" .. dir, path, ...)
  end

  --- The rows of a table in a data directory, sorted; as of an offset when one is given.
  local function rows(data_dir, name, offset, database)
    local words = { "sql", "--data-dir", data_dir, "--format", "json", database or "world", "SELECT * FROM " .. name }
    if offset then words[#words + 1], words[#words + 2] = "--as-of", tostring(offset) end
    local code, output = run(unpack(words))
    assert.equal(0, code, output)
    local found = cjson.decode(output)[1].rows
    table.sort(found, function(left, right) return left[1] < right[1] end)
    return found
  end

  local function sum(list)
    local total = 0
    for _, row in ipairs(list) do total = total + row[2] end
    return total
  end

  --- What a folder holds: every file's path and content.
  local function contents(dir)
    local found, pipe = {}, io.popen(("cd '%s' 2>/dev/null && find . -type f -not -name lock"):format(dir))
    for path in pipe:lines() do found[path] = server.read_file(dir .. "/" .. path) end
    pipe:close()
    return found
  end

  it("made under load is the state at one offset, and a server starts from it", function()
    local one = client.connect(world)
    local pipe = io.popen(("%s backup --server http://127.0.0.1:%d --token %s world %s/file 2>&1; echo; echo end"):format(
      program.path(), world.port, world:owner_token(), folder))
    local count = 0
    while not server.read_file(folder .. "/file") and count < 5000 do
      count = count + 1
      local arguments = TRANSFER("{ from: u32, to: u32, amount: i64 }",
        { from = count % 10 + 1, to = (count + 3) % 10 + 1, amount = count % 7 })
      assert.equal("Ok", one:call("transfer", arguments).tag)
    end
    local output = pipe:read "*a"
    pipe:close()
    local offset = tonumber(output:match "world at offset (%d+) is in")
    assert.truthy(offset, output)
    for _ = 1, 3 do transfer(1, 2, 5) end

    local code, said = restore(folder .. "/file", "new")
    assert.equal(0, code, said)
    local copy = folder .. "/new"
    assert.equal(1000, sum(rows(copy, "account")))
    assert.same(rows(world.data_dir, "account", offset - 1), rows(copy, "account"))
    assert.same(rows(world.data_dir, "entry", offset - 1), rows(copy, "entry"))
    code, said = run("check", "--data-dir", copy)
    assert.equal(0, code, said)

    local second = server.start { module = BANK, data_dir = copy }
    finally(function() second:remove() end)
    local entries = #rows(copy, "entry")
    assert.equal(200, second:call("transfer", "[1,2,5]").status)
    second:kill()
    second:restart()
    assert.equal(entries + 1, #rows(copy, "entry"))
    assert.equal(1000, sum(rows(copy, "account")))
  end)

  it("of some megabytes comes whole, however it was cut into pieces on its way", function()
    for id = 1, 5 do assert.equal(200, world:call("fill", ("[%d]"):format(id)).status) end
    local code, output = backup(folder .. "/file")
    assert.equal(0, code, output)
    assert.is_true(#server.read_file(folder .. "/file") > 4e6)
    code, output = restore(folder .. "/file", "new")
    assert.equal(0, code, output)
    assert.same(rows(world.data_dir, "bulk"), rows(folder .. "/new", "bulk"))
    world:stop()
    assert.equal(0, (run("backup", "--data-dir", world.data_dir, "world", folder .. "/second")))
    assert.equal(#server.read_file(folder .. "/file"), #server.read_file(folder .. "/second"))
  end)

  it("of a stopped server holds its newest state, also after it was killed", function()
    transfer(1, 2, 30)
    world:kill()
    local code, output = run("backup", "--data-dir", world.data_dir, "world", folder .. "/file")
    assert.equal(0, code, output)
    assert.equal(0, (restore(folder .. "/file", "new")))
    assert.same(rows(world.data_dir, "account"), rows(folder .. "/new", "account"))
    code, output = run("backup", "--data-dir", world.data_dir, "world", folder .. "/file")
    assert.equal(1, code)
    assert.truthy(output:find "never written over", output)
  end)

  it("is made for the owner alone, of a database that is there", function()
    local code, output = backup(folder .. "/file", "--anonymous")
    assert.equal(1, code)
    assert.truthy(output:find "only the database's owner", output)
    code, output = run("backup", "--server", "http://127.0.0.1:" .. world.port, "nothing", folder .. "/file")
    assert.equal(1, code)
    assert.truthy(output:find "`nothing` not found", output)
    code, output = run("backup", "--data-dir", world.data_dir, "world", folder .. "/file")
    assert.equal(1, code)
    assert.truthy(output:find "a server runs on", output)
    assert.same({}, contents(folder))
  end)

  it("comes in the place of a database only with --replace, which keeps that one aside", function()
    assert.equal(0, (backup(folder .. "/file")))
    transfer(1, 2, 30)
    local function into_place(...)
      return run("restore", "--data-dir", world.data_dir, folder .. "/file", ...)
    end
    local code, output = into_place "--replace"
    assert.equal(1, code)
    assert.truthy(output:find "a server runs on", output)
    world:stop()
    local before = contents(world.data_dir)
    code, output = into_place()
    assert.equal(1, code)
    assert.truthy(output:find "%-%-replace puts the backup in its place", output)
    assert.same(before, contents(world.data_dir))

    code, output = into_place "--replace"
    assert.equal(0, code, output)
    local aside = output:match "is kept in (%S+)%."
    assert.same({ 1, 70 }, rows(aside, "account")[1])
    world:restart()
    assert.truthy(world:sql("SELECT * FROM account WHERE id = 1").body:find("[1,100]", 1, true))
    transfer(1, 2, 1)
  end)

  it("is not mixed with what lies in a folder without a database", function()
    assert.equal(0, (backup(folder .. "/file")))
    os.execute(("mkdir -p '%s/new/databases/world/log' && touch '%s/new/databases/world/log/newest'"):format(folder, folder))
    local code, output = restore(folder .. "/file", "new")
    assert.equal(1, code)
    assert.truthy(output:find "holds files already, and no database", output)
  end)

  it("becomes another database beside its own only as a fork", function()
    assert.equal(0, (backup(folder .. "/file")))
    world:stop()
    local function beside(...)
      return run("restore", "--data-dir", world.data_dir, "--database", "copy", folder .. "/file", ...)
    end
    local code, output = beside()
    assert.equal(1, code)
    assert.truthy(output:find "already, as world; %-%-fork", output)
    assert.equal(0, (beside "--fork"))
    assert.equal(1000, sum(rows(world.data_dir, "account", nil, "copy")))
    local function identity(name) return server.read_file(("%s/databases/%s/identity"):format(world.data_dir, name)) end
    assert.not_equal(identity "world", identity "copy")
  end)

  it("that is cut short, damaged, foreign or of another version is refused, and nothing is changed", function()
    assert.equal(0, (backup(folder .. "/file")))
    world:stop()
    local whole = server.read_file(folder .. "/file")
    local before = contents(world.data_dir)
    local function refused(content, pattern)
      server.write_file(folder .. "/bad", content)
      for _, words in ipairs { { "--data-dir", world.data_dir, "--replace" }, { "--data-dir", folder .. "/none" } } do
        local code, output = run("restore", folder .. "/bad", unpack(words))
        assert.equal(1, code, output)
        assert.truthy(output:find(pattern), output)
        assert.equal(1, select(2, output:gsub("\n", "")))
      end
      assert.same(before, contents(world.data_dir))
      assert.same({}, contents(folder .. "/none"))
    end
    local function flip(place)
      return whole:sub(1, place - 1) .. string.char((whole:byte(place) + 1) % 256) .. whole:sub(place + 1)
    end
    refused("", "only the beginning of one")
    refused(whole:sub(1, 159), "only the beginning of one")
    refused(whole:sub(1, 160), "is cut short or has grown")
    refused(whole:sub(1, -2), "is cut short or has grown")
    refused(whole .. "x", "is cut short or has grown")
    refused(("a poem\n"):rep(100), "is not a backup of a database")
    refused(flip(20), "first 160 bytes do not match")
    refused(flip(5000), "is damaged: it does not match its checksum")
    refused(flip(#whole), "is damaged: it does not match its checksum")
    local head = ffi.new("uint8_t[160]")
    ffi.copy(head, whole, 160)
    head[8] = 2
    ffi.cast("uint32_t *", head + 156)[0] = snap.core.crc32c(0, head, 156)
    refused(ffi.string(head, 160) .. whole:sub(161), "written by another version: its format is 2")
    assert.truthy(select(2, run("restore", folder .. "/nowhere")):find "No such file")
  end)
end)
