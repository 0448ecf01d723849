--- The commands that read a data directory by themselves: log, sql about the past, and check, beside a running server
--- and after it.
local client = require "spec.support.client"
local cjson = require "cjson"
local program = require "spec.support.program"
local server = require "spec.support.server"
local things = require "spec.support.things"

local MODULE = things.MODULE .. [[
stdb.table("note", { { "text", t.string } })

stdb.reducer("remember", { { "text", t.string } }, function(ctx, text)
  ctx.db.note:insert { text = text }
end)
]]

-- Some megabytes of log a call: a segment is full after few.
local HEAVY = [[
local stdb = require "stdb"
local t = stdb.types

stdb.table("weight", { { "id", t.u32, primary_key = true }, { "bulk", t.string } })

stdb.reducer("lift", { { "letter", t.string } }, function(ctx, letter)
  ctx.db.weight.id:upsert { id = 1, bulk = letter:rep(6 * 1024 * 1024) }
end)
]]

local LATER = things.weighed(MODULE)

local function find(list, field, value)
  for _, one in ipairs(list) do
    if one[field] == value then return one end
  end
end

local function flip_byte(path, place)
  local file = assert(io.open(path, "r+b"))
  local at = file:seek(place < 0 and "end" or "set", place)
  local byte = file:read(1):byte()
  file:seek("set", at)
  file:write(string.char((byte + 64) % 256))
  file:close()
end

local function files(world, folder, ending)
  local dir = ("%s/databases/%s/%s"):format(world.data_dir, world.database, folder)
  local pipe = io.popen(("ls '%s' | grep '%s$'"):format(dir, ending))
  local paths = {}
  for name in pipe:lines() do paths[#paths + 1] = dir .. "/" .. name end
  pipe:close()
  return paths
end

local function put_snapshot(world, path)
  local dir = world.data_dir .. "/databases/world/snapshots"
  os.execute(("mkdir -p '%s' && cp '%s' '%s/'"):format(dir, path, dir))
end

describe("history", function()
  local world

  local function run(...) return program.on(world.data_dir, ...) end
  local function output_of(...) return program.output_on(world.data_dir, ...) end
  local function events(...) return program.events(world.data_dir, ...) end

  before_each(function()
    world = server.start { module = MODULE }
  end)

  after_each(function()
    world:remove()
  end)

  describe("log", function()
    it("shows each transaction with who caused it, its arguments and what it changed, while the server runs", function()
      local ann = client.connect(world)
      assert.equal("Ok", ann:call("add", client.arguments("{ name: string }", { name = "lamp" })).tag)

      local output = output_of("log", "--rows")
      local short = ann.identity:sub(1, 12)
      assert.truthy(output:find("^ +0  %d+%-%d%d%-%d%dT[%d:.]+Z  %x+  %- +%x+@0  publish\n"), output)
      assert.truthy(output:find(short .. "  %x+  %x+@0  connect\n"), output)
      local added = '  %x+  %x+@0  add {"name":"lamp"}  thing %+1\n  %+ thing {"id":1,"name":"lamp"}\n'
      assert.truthy(output:find(short .. added), output)
      assert.truthy(output:find("reserve [%w_]+ up to 4097\n"), output)
    end)

    it("prints everything as JSON lines, deleted and inserted rows too", function()
      world:must_call("add", '["lamp"]')
      world:must_call("rename", '[1,"torch"]')
      local event = assert(find(events(), "reducer", "rename"))
      assert.same({ id = 1, name = "torch" }, event.args)
      assert.same({ { table = "thing", deletes = { { id = 1, name = "lamp" } }, inserts = { { id = 1, name = "torch" } } } },
        event.changes)
      assert.equal(64, #event.module)
      assert.equal(64, #event.caller)
      assert.equal("publish", events()[1].kind)
      assert.same({ "module.lua" }, events()[1].files)
    end)

    it("shows only what was asked for", function()
      world:must_call("add", '["lamp"]')
      world:must_call("remember", '["to switch it off"]')
      world:must_call("add", '["bed"]')
      local all = events()
      local note = find(all, "reducer", "remember")

      assert.equal(2, #events("--reducer", "add"))
      assert.same({ note }, events("--table", "note"))
      assert.same({ note }, events("--from", tostring(note.offset), "--to", tostring(note.offset)))
      assert.same({ note }, events("--since", note.time, "--until", note.time, "--reducer", "remember"))
      assert.equal(3, #events("--caller", note.caller:sub(1, 20)))
      assert.equal(0, #events("--caller", "00"))
      local code, _, complaint = program.run("log", "--data-dir", world.data_dir, "--caller", "ann")
      assert.same({ 2, "stdb-lua log: --caller takes hex digits, not ann\n" }, { code, complaint })
      assert.same({ note }, events("--connection", note.connection, "--kind", "call"))
      assert.equal(3, #events("--connection", note.connection:sub(1, 10)))
      assert.equal(3, #events("--kind", "call"))
      assert.equal(1, #events("--kind", "publish"))
      assert.equal(0, #events("--since", "9999-01-01T00:00:00Z"))
      assert.equal(0, #events("--until", "2001-01-01T00:00:00Z"))
    end)

    it("reads each record by the schema that was in force then", function()
      world:must_call("add", '["lamp"]')
      assert.truthy(world:reload(LATER):find "in force")
      world:must_call("add", '["bed"]')
      world:kill()

      local adds = events("--reducer", "add")
      assert.same({ id = 1, name = "lamp" }, adds[1].changes[1].inserts[1])
      assert.same({ id = 2, name = "bed", weight = 5 }, adds[2].changes[1].inserts[1])
      assert.not_equal(adds[1].module, adds[2].module)
      local publishes = events("--kind", "publish")
      assert.equal(0, adds[1].published_at)
      assert.same({ publishes[2].offset, publishes[2].module }, { adds[2].published_at, adds[2].module })
      assert.truthy(output_of("log", "--reducer", "add"):find(publishes[2].module:sub(1, 8) .. "@" ..
        publishes[2].offset .. "  add", 1, true))
    end)

    it("refuses what it cannot understand, and what is behind the end", function()
      local code, output = run("log", "--from", "1x")
      assert.equal(2, code)
      assert.truthy(output:find "%-%-from takes an offset", output)
      code, output = run("log", "--since", "yesterday")
      assert.equal(2, code)
      assert.truthy(output:find "%-%-since takes a time like", output)
      code, output = run("log", "--kind", "miracle")
      assert.equal(2, code)
      assert.truthy(output:find "%-%-kind is call, connect", output)
      code, output = run("log", "--from", "99999")
      assert.equal(1, code)
      assert.truthy(output:find "the log ends at offset %d+", output)
      code, output = run("log", "--database", "nowhere")
      assert.equal(1, code)
      assert.truthy(output:find "no database nowhere .*which has: world", output)
    end)
  end)

  describe("sql about the past", function()
    local function rows_at(moment, query)
      local output = output_of("sql", "--format", "json", "--as-of", tostring(moment), "world", query)
      local rows = cjson.decode(output)[1].rows
      if world:is_running() then
        local answer = world:request { method = "POST", path = "/v1/database/%s/sql", token = world:owner_token(),
          body = ("%s AS OF '%s';"):format(query, moment) }
        assert.equal(200, answer.status, answer.body)
        assert.same(rows, cjson.decode(answer.body)[1].rows)
      end
      return rows
    end

    it("answers as of an offset or a time, from a snapshot or from the log's beginning, under the schema of then", function()
      world:must_call("add", '["lamp"]')
      world:take_snapshot()
      world:must_call("rename", '[1,"torch"]')
      assert.truthy(world:reload(LATER):find "in force")
      world:must_call("add", '["bed"]')
      world:take_snapshot()
      world:must_call("remember", '["to sleep"]')

      local all = events()
      local function offset_of(reducer) return find(all, "reducer", reducer).offset end
      local all_things, notes = "SELECT * FROM thing", "SELECT * FROM note"
      assert.same({}, rows_at(0, all_things))
      assert.same({ { 1, "lamp" } }, rows_at(offset_of "add", all_things))
      assert.same({ { 1, "lamp" } }, rows_at(offset_of "rename" - 1, all_things))
      assert.same({ { 1, "torch" } }, rows_at(offset_of "rename", all_things))
      assert.same({ { 1, "torch" } }, rows_at(find(all, "reducer", "rename").time, all_things))
      assert.same({ { 2, "bed", 5 } }, rows_at(all[#all].offset, all_things .. " WHERE name = 'bed'"))
      assert.same({}, rows_at(offset_of "remember" - 1, notes))
      world:kill()
      assert.same({ { "to sleep" } }, rows_at(offset_of "remember", notes))
      assert.truthy(output_of("sql", "--as-of", tostring(offset_of "add"), "world", all_things):find '1 +| "lamp"\n')
    end)

    it("says what is kept, and where the log ends", function()
      local function refusal(moment)
        local code, output = run("sql", "--as-of", moment, "world", "SELECT * FROM thing")
        assert.equal(1, code, output)
        return output
      end
      assert.truthy(refusal("2001-01-01T00:00:00Z"):find "the past is kept from offset 0 %(20%d%d%-.*Z%) on")
      assert.truthy(refusal("123456"):find "the log ends with offset %d+")
      assert.truthy(refusal("9999-01-01T00:00:00Z"):find "still to come")
      assert.truthy(refusal("soon"):find "neither an offset nor a time")
      assert.truthy(select(2, run("sql", "--as-of", "0", "world", "SELECT * FROM nothing")):find "no such table")
    end)

    local function ask(body, token, parameters)
      return world:request { method = "POST", path = "/v1/database/%s/sql" .. (parameters or ""), token = token, body = body }
    end

    it("is answered by the server for the owner alone, by a clause or a parameter", function()
      world:must_call("add", '["lamp"]')
      local offset = find(events(), "reducer", "add").offset
      world:must_call("rename", '[1,"torch"]')
      local last = events()[#events()].offset
      local query = "SELECT * FROM thing"
      local function rows(answer)
        assert.equal(200, answer.status, answer.body)
        return cjson.decode(answer.body)[1].rows
      end
      for _ = 1, 2 do
        assert.same({ { 1, "lamp" } }, rows(ask(query .. " WHERE id = 1 as of " .. offset, world:owner_token())))
        assert.same({ { 1, "lamp" } }, rows(ask(query, world:owner_token(), "?as_of=" .. offset)))
        assert.same({ { 1, "torch" } }, rows(ask(query, world:owner_token(), "?as_of=" .. last)))
      end
      assert.same({ { 1, "torch" } }, rows(ask(query, world:owner_token())))
      assert.equal(last + 2, events()[#events()].offset, "only the question about now is in the log")

      local function refusal(status, ...)
        local answer = ask(...)
        assert.equal(status, answer.status, answer.body)
        return answer.body
      end
      assert.truthy(refusal(403, query .. " AS OF 1", nil):find "only the database's owner")
      assert.truthy(refusal(400, query .. " AS OF 1", world:owner_token(), "?as_of=1"):find "said twice")
      assert.truthy(refusal(400, query .. " AS OF 1.5", world:owner_token()):find "neither an offset nor a time")
      assert.truthy(refusal(400, query .. " AS OF ''", world:owner_token()):find "neither an offset nor a time")
      assert.truthy(refusal(400, query, world:owner_token(), "?as_of=" .. ("9"):rep(70)):find "is an offset or a time")
      assert.truthy(refusal(400, query, world:owner_token(), "?as_of=" .. ("9"):rep(20)):find "neither")
      assert.truthy(refusal(404, query, world:owner_token(), "?as_of=123456"):find "the log ends with offset %d+")
      assert.truthy(refusal(404, query .. " AS OF '2001-01-01T00:00:00Z'", world:owner_token()):find "kept from offset 0")
      assert.truthy(refusal(400, "SELECT * FROM thing WHERE AS OF 1", world:owner_token()):find "at character")
    end)

    it("is the command's too, from the server or from the directory, newest state included", function()
      world:must_call("add", '["lamp"]')
      world:must_call("rename", '[1,"torch"]')
      local offset = find(events(), "reducer", "add").offset
      local function from_server(...)
        return select(2, program.run("sql", "--server", "http://127.0.0.1:" .. world.port, "--token", world:owner_token(),
          "--format", "json", ...))
      end
      local answer = from_server("--as-of", tostring(offset), "world", "SELECT * FROM thing")
      assert.same({ { 1, "lamp" } }, cjson.decode(answer)[1].rows)
      world:stop()
      local output = output_of("sql", "--format", "json", "world", "SELECT * FROM thing")
      assert.same({ { 1, "torch" } }, cjson.decode(output)[1].rows)
    end)

    it("goes back to an older snapshot, or the log's beginning, when one is damaged", function()
      world:must_call("add", '["lamp"]')
      local offset = world:take_snapshot()
      world:must_call("add", '["bed"]')
      flip_byte(files(world, "snapshots", "snap")[1], 9000)
      assert.same({ { 1, "lamp" }, { 2, "bed" } }, rows_at(offset + 1, "SELECT * FROM thing"))
    end)
  end)

  it("finds a time without reading the log before it", function()
    world:remove()
    world = server.start { module = HEAVY, arguments = { "--memory-limit", "512", "--call-limit", "5000" } }
    for letter = 1, 13 do world:must_call("lift", ('["%s"]'):format(string.char(64 + letter))) end
    world:take_snapshot()
    world:must_call("lift", '["Z"]')
    local lifts = events("--reducer", "lift")
    local before, last = lifts[#lifts - 1].time, lifts[#lifts].time
    assert.truthy(#files(world, "log", "wal") > 1)
    flip_byte(files(world, "log", "wal")[1], 30 * 1024 * 1024)

    assert.equal(1, (run("log")))
    assert.equal(last, events("--reducer", "lift", "--since", last)[1].time)
    assert.equal(1, #events("--reducer", "lift", "--since", last))
    assert.truthy(output_of("sql", "--format", "json", "--as-of", last, "world", "SELECT * FROM weight"):find "ZZZ")
    assert.truthy(output_of("sql", "--format", "json", "--as-of", before, "--data-dir", world.data_dir, "world",
      "SELECT * FROM weight"):find "MMM")
  end)

  describe("of which the beginning has been given up", function()
    local kept

    before_each(function()
      world:remove()
      local limits = { "--keep-size", "1", "--memory-limit", "512", "--call-limit", "5000" }
      world = server.start { module = HEAVY, arguments = limits }
      for round = 1, 4 do
        for turn = 1, 3 do world:must_call("lift", ('["%s"]'):format(string.char(64 + round * 3 + turn))) end
        world:take_snapshot()
      end
      server.wait("the log's beginning to go", function() return not files(world, "log", "wal")[1]:find "0000000000.wal$" end)
      kept = tonumber(files(world, "snapshots", "snap")[1]:match "(%d+)%.snap$")
    end)

    it("begins with the oldest snapshot, and says so when asked for more", function()
      assert.equal(kept, events()[1].offset)
      assert.truthy(events()[1].module:find "^%x+$")
      for _, words in ipairs { { "log", "--from", "0" }, { "sql", "--as-of", "1", "world", "SELECT * FROM weight" } } do
        local code, output = run(unpack(words))
        assert.equal(1, code, output)
        assert.truthy(output:find("the past is kept from offset " .. kept .. " %(20.*Z%) on"), output)
      end
      assert.equal(1, #cjson.decode(output_of("sql", "--format", "json", "--as-of", tostring(kept), "world",
        "SELECT * FROM weight WHERE id = 1"))[1].rows)
    end)

    it("is undone from there on only: what may be gone is not left out in silence", function()
      for _, selection in ipairs { "since 2001-01-01T00:00:00Z", "from 0" } do
        local answer = world:request { method = "POST", path = "/v1/database/%s/undo", token = world:owner_token(),
          body = selection .. " reducer lift" }
        assert.equal(404, answer.status, answer.body)
        assert.truthy(answer.body:find("the past is kept from offset " .. kept .. " %(20.*Z%) on"), answer.body)
      end
      assert.equal(kept, events("--since", "2001-01-01T00:00:00Z")[1].offset)
    end)

    it("is checked from there on", function()
      local output = output_of("check")
      assert.truthy(output:find("replay     from the snapshot at offset " .. kept, 1, true), output)
      assert.truthy(output:find "equals the snapshot\n.*All is well", output)
    end)
  end)

  describe("check", function()
    local function make_history()
      world:must_call("add", '["lamp"]')
      world:take_snapshot()
      world:must_call("add", '["bed"]')
      assert.truthy(world:reload(LATER):find "in force")
      world:must_call("rename", '[1,"torch"]')
      world:take_snapshot()
      world:kill()
      world:restart()
      world:must_call("add", '["door"]')
    end

    it("finds nothing wrong beside a running server, nor after it was killed", function()
      make_history()
      local output = output_of("check")
      assert.equal(2, select(2, output:gsub("rows: whole\n", "")), output)
      assert.equal(2, select(2, output:gsub("equals the snapshot\n", "")), output)
      assert.truthy(output:find "tables     2 with 3 rows: indexes, constraints and sequences hold\nAll is well", output)
      world:kill()
      assert.truthy(output_of("check"):find "All is well")
    end)

    it("names a damaged snapshot, and goes on with the rest", function()
      make_history()
      world:stop()
      local path = files(world, "snapshots", "snap")[1]
      flip_byte(path, 9000)
      local code, output = run("check")
      assert.equal(1, code, output)
      assert.truthy(output:find(path, 1, true), output)
      assert.equal(1, select(2, output:gsub("WRONG", "")), output)
      assert.equal(1, select(2, output:gsub("equals the snapshot\n", "")), output)
    end)

    it("names a damaged log and the byte", function()
      make_history()
      world:stop()
      local path = files(world, "log", "wal")[1]
      flip_byte(path, server.read_file(path):find("torch", 1, true))
      local code, output = run("check")
      assert.equal(1, code, output)
      assert.truthy(output:find("WRONG log        " .. path, 1, true), output)
    end)

    it("goes on behind a fault, names all of them, and what each has cost", function()
      for _, name in ipairs { "lamp", "bed", "door", "sofa" } do world:must_call("add", ('["%s"]'):format(name)) end
      world:take_snapshot()
      for _, name in ipairs { "desk", "lens", "rack" } do world:must_call("add", ('["%s"]'):format(name)) end
      world:take_snapshot()
      world:must_call("add", '["vase"]')
      world:stop()
      local path = files(world, "log", "wal")[1]
      local content = server.read_file(path)
      for _, name in ipairs { "bed", "lens" } do flip_byte(path, content:find(name .. ".*" .. name) - 1) end
      flip_byte(files(world, "snapshots", "snap")[2], 5000)
      local code, output = run("check")
      assert.equal(1, code, output)
      assert.equal(4, select(2, output:gsub("WRONG", "")), output)
      local named = "WRONG log        [^\n]*is damaged[^\n]*; records %d+ to %d+ are lost"
      assert.equal(2, select(2, output:gsub(named, "")), output)
      assert.truthy(output:find "WRONG snapshot   at offset %d+: [^\n]*the block at byte 0", output)
      assert.truthy(output:find "WRONG replay     there is no whole snapshot that the log's end could be reached from", output)
      assert.truthy(output:find "ok    replay     from the snapshot at offset %d+", output)
      assert.truthy(output:find "4 things are wrong", output)
    end)

    it("names the snapshot of another database", function()
      make_history()
      world:stop()
      local own = files(world, "snapshots", "snap")
      local other = server.start { module = MODULE }
      finally(function() other:remove() end)
      put_snapshot(other, own[1])
      local code, output = program.on(other.data_dir, "check")
      assert.equal(1, code, output)
      assert.truthy(output:find "is the snapshot of another database", output)
    end)

    it("names what a snapshot says that the log does not", function()
      -- The same database goes two ways: the snapshot of one is put beside the log of the other.
      world:must_call("add", '["lamp"]')
      world:stop()
      local copy, taken = world.root .. "/copy", world.root .. "/taken"
      os.execute(("cp -r '%s' '%s'"):format(world.data_dir, copy))
      world:restart()
      world:must_call("add", '["bed"]')
      local offset = world:take_snapshot()
      world:stop()
      local name = files(world, "snapshots", "snap")[1]:match "[^/]+$"
      os.execute(("mv '%s' '%s' && mv '%s' '%s'"):format(world.data_dir, taken, copy, world.data_dir))
      world:restart()
      world:must_call("add", '["chair"]')
      world:must_call("add", '["door"]')
      world:stop()
      put_snapshot(world, taken .. "/databases/world/snapshots/" .. name)

      local code, output = run("check")
      assert.equal(1, code, output)
      assert.truthy(output:find("at offset " .. offset .. " is not what the log amounts to", 1, true), output)
      assert.truthy(output:find 'table `thing` lacks the row {"id":%d+,"name":"chair"}', output)
    end)

    it("by the server verifies its memory, too, while calls go on", function()
      make_history()
      for number = 1, 100 do world:must_call("remember", ('["%d"]'):format(number)) end
      local path = os.getenv "STDB_PROGRAM" or "build/stdb-lua"
      local command = "%s check --server 127.0.0.1:%d --token '%s' world 2>&1; printf '\\n%%d' $?"
      local function check(token)
        return io.popen(command:format(path, world.port, token or world:owner_token()))
      end
      local pipe = check()
      for number = 1, 30 do world:must_call("add", ('["late %d"]'):format(number)) end
      local output, code = pipe:read("*a"):match "^(.*)\n(%d+)$"
      pipe:close()
      assert.equal("0", code, output)
      assert.truthy(output:find "ok    memory     at offset %d+ equals what the log amounts to", output)
      assert.truthy(output:find "ok    memory     %d+ rows looked up in every index\nAll is well", output)
      pipe = check(client.connect(world).token)
      output, code = pipe:read("*a"):match "^(.*)\n(%d+)$"
      pipe:close()
      assert.equal("1", code)
      assert.truthy(output:find "only the database's owner may have it checked", output)
    end)

    it("is asked of a server by the database's name, or of a directory by its path, and not of both", function()
      for _, words in ipairs { { "--data-dir", world.data_dir, "world" }, { "--database", "world", "--token", "x" } } do
        local code, output, complaint = program.run("check", unpack(words))
        assert.same({ 2, "" }, { code, output })
        assert.truthy(complaint:find("either a running server verifies DATABASE, or --data-dir", 1, true), complaint)
      end
      local code, _, complaint = program.run("check", "world", "--server=127.0.0.1:1")
      assert.equal(1, code)
      assert.truthy(complaint:find "127%.0%.0%.1:1", complaint)
    end)

    it("by the server names what is wrong on its disk, and the server goes on", function()
      make_history()
      flip_byte(files(world, "snapshots", "snap")[1], 9000)
      local answer = world:request { method = "POST", path = "/v1/database/%s/check", token = world:owner_token(), body = "" }
      assert.equal(200, answer.status, answer.body)
      local report = cjson.decode(answer.body)
      assert.equal(1, report.faults)
      assert.truthy(table.concat(report.lines, "\n"):find "WRONG snapshot   at offset %d+: .* is damaged", answer.body)
      world:must_call("add", '["window"]')
    end)

    it("names a directory that holds no database", function()
      local code, output = program.on(world.folder, "check")
      assert.equal(1, code)
      assert.truthy(output:find "there is no database in", output)
    end)

    it("names the data directory inside the folder that was given", function()
      os.execute(("mkdir -p '%s/.stdb' && cp -r '%s/databases' '%s/.stdb'"):format(world.folder, world.data_dir, world.folder))
      for _, command in ipairs { "check", "list" } do
        local code, output = program.on(world.folder, command)
        assert.equal(1, code)
        assert.truthy(output:find(("there is no database in %s, but in %s/.stdb: --data-dir %s/.stdb"):format(world.folder,
          world.folder, world.folder), 1, true), output)
      end
    end)
  end)
end)
