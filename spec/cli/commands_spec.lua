--- The commands that talk to a server, as people type them.
local program = require "spec.support.program"
local server = require "spec.support.server"

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types

local Color = t.enum("Color", { "Red", "Green" })

stdb.table("entry", { public = true,
  { "id", t.u32, primary_key = true, auto_inc = true },
  { "text", t.string },
  { "maybe", t.option(t.string) },
  { "big", t.i128 },
  { "who", t.identity },
  { "connection", t.connection_id },
  { "color", Color },
  { "at", t.timestamp },
})
stdb.table("both", { { "left", t.u8 }, { "right", t.u8, unique = true }, indexes = { { "left", "right", unique = true } } })

local parameters = {
  { "text", t.string }, { "maybe", t.option(t.string) }, { "big", t.i128 }, { "who", t.identity },
  { "connection", t.connection_id }, { "color", Color }, { "at", t.timestamp },
}
stdb.reducer("add", parameters, function(ctx, text, maybe, big, who, connection, color, at)
  ctx.db.entry:insert {
    text = text, maybe = maybe, big = big, who = who, connection = connection, color = color, at = at,
  }
end)
stdb.reducer("say", { { "text", t.string } }, function(ctx, text) ctx.log.warn("%s", text) end)
stdb.reducer("chat", { { "text", t.string } }, function(ctx, text) ctx.log.info("%s", text) end)
stdb.reducer("fail", function() error "a mistake" end)
stdb.reducer("refuse", { { "text", t.string } }, function(_, text) stdb.reject(text) end)
stdb.reducer("clear", function(ctx) for row in ctx.db.entry:iter() do ctx.db.entry:delete(row) end end)
]]

local WHO = ("c2"):rep(32)
local CONNECTION = "000102030405060708090a0b0c0d0e0f"

describe("a command", function()
  local world, stdb

  setup(function()
    world = server.start { module = MODULE }
    stdb = program.for_server(world)
  end)
  teardown(function() world:remove() end)
  before_each(function() assert.equal(0, (stdb("call", "world", "clear"))) end)

  local function add(text, maybe, big, color)
    return stdb("call", "world", "add", text or "a", maybe or "null", big or "1", WHO, CONNECTION, color or "Red",
      "1700000000000000")
  end

  --- The cells of the only row of `entry`, as the command prints them.
  local function only_row()
    local code, output = stdb("sql", "world", "SELECT * FROM entry")
    assert.equal(0, code)
    local lines = {}
    for line in output:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(3, #lines, output)
    local cells = {}
    for cell in (lines[3] .. " |"):gmatch " (.-) +|" do cells[#cells + 1] = cell end
    return cells, lines
  end

  describe("asked for help", function()
    for _, name in ipairs { "run", "call", "sql", "logs", "describe", "generate" } do
      it("tells what `" .. name .. "` takes, and ends well", function()
        local code, output = program.run(name, "--help")
        assert.equal(0, code)
        assert.truthy(output:find("^Usage: stdb%-lua " .. name), output)
        assert.truthy(output:find("--help", 1, true), output)
      end)
    end
  end)

  it("that is none is refused with the list of those there are", function()
    local code, _, complaint = program.run "sing"
    assert.equal(2, code)
    assert.truthy(complaint:find "sing" and complaint:find "describe", complaint)
  end)

  it("with too few or too many arguments, or with an option that is none, is refused by the usage's exit code", function()
    local misuses = { { "sql", "world" }, { "logs" }, { "describe", "a", "b", "c" }, { "call", "world" },
      { "sql", "--sparkle" }, { "sql", "--format", "xml", "world", "SELECT" }, { "logs", "--level", "loud", "world" },
      { "generate" }, { "describe", "" }, { "call", "..", "add" }, { "undo", "world", "--reducer", "add" } }
    for _, words in ipairs(misuses) do
      local code, _, complaint = program.run(unpack(words))
      assert.equal(2, code, complaint)
      assert.truthy(complaint:find("Try: stdb-lua " .. words[1] .. " --help", 1, true), complaint)
    end
  end)

  it("without a server says so and how to start one", function()
    local code, _, complaint = program.run("sql", "--server", "127.0.0.1:1", "world", "SELECT * FROM entry")
    assert.equal(1, code)
    assert.truthy(complaint:find "127%.0%.0%.1:1" and complaint:find "stdb%-lua run", complaint)
  end)

  describe("that calls", function()
    it("takes texts without quotes, whatever they look like", function()
      for _, text in ipairs { "plain", "[1,2]", "{}", "null", "7", 'say "hi" and "bye"', "", " ", "-5", "Ü中", "a\\b" } do
        assert.equal(0, (add(text)))
        assert.equal('"' .. text:gsub('[\\"]', "\\%0") .. '"', only_row()[2])
        assert.equal(0, (stdb("call", "world", "clear")))
      end
    end)

    it("takes a text in quotes as JSON", function()
      assert.equal(0, (add [["tab\there"]]))
      assert.equal([["tab\there"]], only_row()[2])
    end)

    it("takes what begins with two dashes behind a lone --", function()
      assert.equal(2, (stdb("call", "world", "say", "--loud")))
      assert.equal(0, (stdb("call", "world", "say", "--", "--loud")))
    end)

    it("takes an option as null, as its value, or spelled out", function()
      local cases = {
        ["null"] = "(none = ())", ["Ann"] = '(some = "Ann")', ['"null"'] = '(some = "null")',
        ['{"some":"Bob"}'] = '(some = "Bob")', ['{"none":[]}'] = "(none = ())", ["{}"] = '(some = "{}")',
      }
      for given, printed in pairs(cases) do
        assert.equal(0, (add("a", given)))
        assert.equal(printed, only_row()[3])
        assert.equal(0, (stdb("call", "world", "clear")))
      end
    end)

    it("takes negative and very large numbers, bare ids, names of variants and moments as numbers", function()
      assert.equal(0, (add("a", "null", "-170141183460469231731687303715884105728", "Green")))
      local cells = only_row()
      assert.equal("-170141183460469231731687303715884105728", cells[4])
      assert.equal("0x" .. WHO, cells[5])
      assert.equal("0x" .. CONNECTION, cells[6])
      assert.equal("(Green = ())", cells[7])
      assert.equal("2023-11-14T22:13:20.000000Z", cells[8])
    end)

    it("says what does not fit, and calls nothing", function()
      local code, _, complaint = add("a", "null", "many")
      assert.equal(1, code)
      assert.truthy(complaint:find("add: argument `big`: expected i128, got many", 1, true), complaint)
      code, _, complaint = add("a", "null", "1", "Mauve")
      assert.equal(1, code)
      assert.truthy(complaint:find("add: argument `color`: expected Color (Red, Green), got Mauve", 1, true), complaint)
      code, _, complaint = add("a", "null", "1.5")
      assert.equal(1, code)
      assert.truthy(complaint:find("for reducer add: argument `big`: expected i128, found", 1, true), complaint)
      code, _, complaint = stdb("call", "world", "add", "a")
      assert.equal(2, code)
      assert.truthy(complaint:find "7 arguments %(text, maybe, big", complaint)
      code, _, complaint = stdb("call", "world", "dance")
      assert.equal(1, code)
      assert.truthy(complaint:find "`dance`" and complaint:find "say", complaint)
      assert.truthy(stdb("call", "nowhere", "add") == 1)
    end)

    it("names a reducer that was meant, and those there are", function()
      local code, output, complaint = stdb("call", "world", "sya", "x")
      assert.same({ 1, "" }, { code, output })
      local advice = "No such reducer `sya` for database `world`. Did you mean `say`? It has: add, say, chat, fail"
      assert.truthy(complaint:find(advice, 1, true), complaint)
      complaint = select(3, stdb("call", "world", "entirely_else"))
      assert.truthy(complaint:find "database `world`%. It has: ", complaint)
    end)

    it("tells a refusal in the module's own words", function()
      local code, output, complaint = stdb("call", "world", "refuse", "not on Sundays")
      assert.same({ 1, "", "not on Sundays\n" }, { code, output, complaint })
    end)
  end)

  describe("that asks", function()
    it("prints columns that stand below one another, wide characters counted as terminals do", function()
      add "abcd"
      add "中文"
      local _, output = stdb("sql", "world", "SELECT * FROM entry")
      local bars = {}
      for line in output:gmatch "[^\n]+" do
        local before = line:match '^(.-"[^"]*" *)|'
        if before then bars[#bars + 1] = #before - (before:find "中" and 2 or 0) end
      end
      assert.equal(2, #bars)
      assert.equal(bars[1], bars[2])
    end)

    it("prints no control characters of a text", function()
      add "\27[31mred\nline"
      assert.equal([["\u001b[31mred\nline"]], only_row()[2])
    end)

    it("prints the server's own JSON on demand", function()
      add()
      local code, output = stdb("sql", "world", "SELECT * FROM entry", "--format", "json")
      assert.equal(0, code)
      assert.truthy(output:find '^%[{"schema"', output)
    end)

    it("tells why a question is none", function()
      local code, output, complaint = stdb("sql", "world", "SELECT * FROM nothing")
      assert.equal(1, code)
      assert.equal("", output)
      assert.truthy(complaint:find "no such table: `nothing`", complaint)
    end)

    it("says how many rows a statement has changed", function()
      local function ask(text) return select(2, stdb("sql", "world", text)) end
      assert.equal("2 rows inserted\n", ask 'INSERT INTO both ("left", "right") VALUES (1, 201), (2, 202)')
      assert.equal("1 row updated\n", ask 'UPDATE both SET "left" = 3 WHERE "right" = 201')
      assert.equal("2 rows deleted\n", ask 'DELETE FROM both WHERE "right" > 200')
      assert.equal("no row changed\n", ask 'DELETE FROM both WHERE "right" > 200')
      assert.equal("set\n", ask "SET row_limit = 0")
    end)

    it("sees private tables as the owner only", function()
      assert.equal(0, (stdb("sql", "world", "SELECT * FROM both")))
      assert.equal(1, (stdb("sql", "world", "SELECT * FROM both", "--anonymous")))
    end)
  end)

  describe("that shows the log", function()
    it("prints the last lines, those of a level, or JSON", function()
      stdb("call", "world", "fail")
      stdb("call", "world", "say", "first")
      stdb("call", "world", "chat", "second")
      stdb("call", "world", "say", "third")
      local _, output = stdb("logs", "world", "--num-lines", "2")
      assert.truthy(output:find "^[^\n]*INFO: chat [^\n]*second\n[^\n]*WARN: say [^\n]*third\n$", output)
      _, output = stdb("logs", "world", "--level", "warn")
      assert.truthy(output:find "ERROR: fail .*a mistake.*WARN: say .*first.*third" and not output:find "second", output)
      _, output = stdb("logs", "world", "--level", "warn", "--format", "json", "--num-lines", "2")
      assert.truthy(output:find '^{"level":"Warn"[^\n]*third"}\n$', output)
      _, output = stdb("logs", "world", "--level-exact", "info")
      assert.truthy(output:find "second" and not output:find "WARN" and not output:find "ERROR", output)
      assert.equal(2, (stdb("logs", "world", "--level-exact", "info", "--level", "warn")))
    end)

    it("prints what the database itself says without a place", function()
      local _, output = stdb("logs", "world")
      assert.truthy(output:find "^[^ ]+ INFO: add table `%w+`\n", output)
    end)

    it("lets no control characters through, and shows lines as lines", function()
      stdb("call", "world", "say", "\27[31mred\nline")
      local _, output = stdb("logs", "world", "--num-lines", "1")
      assert.truthy(output:find("?[31mred\n    line", 1, true), output)
      stdb("call", "world", "say", "left\tright")
      _, output = stdb("logs", "world", "--num-lines", "1")
      assert.truthy(output:find("left\tright", 1, true), output)
    end)

    it("is not needed beside the server's terminal, which shows what modules say and refuse", function()
      local from = #world:output() + 1
      stdb("call", "world", "say", "one\ntwo")
      stdb("call", "world", "refuse", "not today")
      world:wait_for("refused: not today\n", from)
      assert.equal("  warn say module.lua:27: one\n    two\n  info refuse: refused: not today\n",
        (world:output():sub(from)))
    end)

    it("is the owner's alone", function()
      local code, output, complaint = stdb("logs", "world", "--anonymous")
      assert.same({ 1, "" }, { code, output })
      assert.truthy(complaint:find "owner", complaint)
    end)

    it("refuses levels, formats and numbers that are none", function()
      assert.equal(2, (stdb("logs", "world", "--level", "loud")))
      assert.equal(2, (stdb("logs", "world", "--format", "xml")))
      assert.equal(2, (stdb("logs", "world", "--num-lines", "few")))
    end)
  end)

  it("that describes says the same of a file and of a server", function()
    local _, of_server = stdb("describe", "world")
    local _, of_file = stdb("describe", world.module_path)
    assert.equal(of_server, of_file)
    assert.truthy(of_file:find("table entry (public)\n  id: u32  -- primary key, btree index, auto-increment\n", 1, true))
    assert.truthy(of_file:find("  unique btree index over left, right\n", 1, true), of_file)
    assert.truthy(of_file:find("reducer say(text: string)\n", 1, true), of_file)
  end)
end)

describe("describing", function()
  it("one table, view or reducer leaves out the others, and names the nearest when there is none", function()
    local folder = server.new_folder()
    local path = folder .. "/module.lua"
    local text = { 'local stdb = require "stdb"\nlocal t = stdb.types\n',
      'local Dog = stdb.table("dog", { { "id", t.u64, primary_key = true } })\nstdb.view("pack", t.array(Dog), print)\n' }
    for number = 1, 20 do text[#text + 1] = ('stdb.reducer("bark_%02d", {}, print)\n'):format(number) end
    server.write_file(path, table.concat(text))
    for name, shown in pairs {
      dog = "table dog (private)\n  id: u64  -- primary key, btree index\n",
      bark_07 = "reducer bark_07()\n",
      pack = "view pack  -- to each caller their own\n  id: u64\n",
    } do
      assert.equal(shown, (select(2, program.run("describe", path, name))))
    end
    local code, _, complaint = program.run("describe", path, "dig")
    server.write_file(path, 'require "stdb"')
    local of_nothing = select(3, program.run("describe", path, "dig"))
    server.remove_folder(folder)
    assert.equal(1, code)
    local advice = "There is no table, view or reducer `dig`. Did you mean `dog`? It has: dog, pack, bark_01"
    assert.truthy(complaint:find(advice, 1, true), complaint)
    assert.truthy(complaint:find "bark_08 and 12 more\n$", complaint)
    assert.truthy(of_nothing:find "There is no table, view or reducer `dig`%.\n$", of_nothing)
  end)
end)

describe("describing a file", function()
  it("tells of schedules, views and filters", function()
    local folder = server.new_folder()
    local path = folder .. "/module.lua"
    server.write_file(path, [[
      local stdb = require "stdb"
      local t = stdb.types
      local job = stdb.table("job", { public = true, schedule = "run",
        { "id", t.u64, primary_key = true }, { "at", t.schedule_at } })
      stdb.reducer("run", { { "job", job } }, print)
      stdb.view("next", { returns = t.query(job), anonymous = true }, print)
      stdb.view("mine", t.array(job), print)
      stdb.filter "SELECT * FROM job"]])
    local _, output = program.run("describe", path)
    server.remove_folder(folder)
    assert.equal([[
table job (public)  -- each row runs run when its time has come
  id: u64  -- primary key, btree index
  at: schedule_at
view next  -- the same for everyone
  id: u64  -- primary key, btree index
  at: schedule_at
view mine  -- to each caller their own
  id: u64
  at: schedule_at
reducer run(job: Job)  -- runs by itself
filter SELECT * FROM job
]], output)
  end)

  it("refuses what a server would refuse, filters among it", function()
    local folder = server.new_folder()
    local path = folder .. "/module.lua"
    server.write_file(path, 'local stdb = require "stdb"\n\nstdb.filter "SELECT * FROM job"\n')
    local code, output, complaint = program.run("describe", path)
    server.remove_folder(folder)
    assert.same({ 1, "" }, { code, output })
    assert.truthy(complaint:find "module%.lua:3: [^\n]*job", complaint)
  end)
end)

describe("a followed log", function()
  it("shows what comes and ends when the server does", function()
    local world = server.start { module = MODULE }
    local command = "XDG_STATE_HOME=%s/state %s logs world --follow --server 127.0.0.1:%d 2>&1; echo \"exit $?\""
    local follower = io.popen(command:format(world.root, program.path(), world.port))
    assert.truthy(follower:read "*l")
    assert.equal(200, world:call("say", '["hear, hear"]').status)
    local line
    repeat line = follower:read "*l" until not line or line:find "hear, hear"
    assert.truthy(line)
    assert.equal(0, world:stop())
    assert.truthy(follower:read("*a"):find "exit 0\n$")
    follower:close()
    world:remove()
  end)
end)
