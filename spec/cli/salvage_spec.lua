--- `stdb-lua salvage`: what it makes of whole and of damaged databases.
local cjson = require "cjson"
local program = require "spec.support.program"
local server = require "spec.support.server"

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types
require "part"

stdb.table("thing", {
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "name", t.string, unique = true },
})

stdb.table("note", { { "text", t.string } })

stdb.reducer("add", { { "name", t.string } }, function(ctx, name) ctx.db.thing:insert { name = name } end)
stdb.reducer("drop", { { "id", t.u64 } }, function(ctx, id) ctx.db.thing.id:delete(id) end)
stdb.reducer("rename", { { "id", t.u64 }, { "name", t.string } }, function(ctx, id, name)
  ctx.db.thing.id:update { id = id, name = name }
end)
stdb.reducer("remember", { { "text", t.string } }, function(ctx, text) ctx.db.note:insert { text = text } end)
]]

describe("salvage", function()
  local world, out

  before_each(function()
    world = server.start { module = { ["module.lua"] = MODULE, ["part.lua"] = "return 1\n" } }
    out = world.root .. "/out"
  end)
  after_each(function() world:remove() end)

  local function call(name, ...)
    world:must_call(name, cjson.encode { ... })
  end

  local function salvage(to)
    return program.on(world.data_dir, "salvage", to or out)
  end

  --- The rows of a table by the value of a column, and the marks of those that have one.
  local function read_rows(name, column)
    local rows, marks = {}, {}
    for line in (server.read_file(("%s/tables/%s.jsonl"):format(out, name)) or ""):gmatch "[^\n]+" do
      local entry = cjson.decode(line)
      rows[entry.row[column]] = entry.row
      marks[entry.row[column]] = entry.written_behind_loss_at
    end
    return rows, marks
  end

  local function path_of(folder, ending, place)
    local pipe = io.popen(("ls '%s/databases/world/%s' | grep '%s$'"):format(world.data_dir, folder, ending))
    local names = {}
    for name in pipe:lines() do names[#names + 1] = name end
    pipe:close()
    return ("%s/databases/world/%s/%s"):format(world.data_dir, folder, names[place < 0 and #names or place])
  end

  local function damage(path, place)
    local content = server.read_file(path)
    server.write_file(path, content:sub(1, place) .. string.char((content:byte(place + 1) + 1) % 256) .. content:sub(place + 2))
  end

  --- Damages the last record that holds a text.
  local function damage_record(text)
    local path = path_of("log", "wal", 1)
    damage(path, server.read_file(path):match(".*()" .. text))
  end

  it("writes the tables and the module of a whole database, and loses nothing", function()
    call("add", "lamp")
    world:take_snapshot()
    call("add", "bed")
    call("remember", "tea\n")
    local code, output = salvage()
    assert.equal(0, code, output)
    assert.truthy(output:find "3 rows are in .*; nothing was lost", output)
    local rows, marks = read_rows("thing", "name")
    assert.equal(1, rows.lamp.id)
    assert.equal(2, rows.bed.id)
    assert.same({}, marks)
    assert.truthy(read_rows("note", "text")["tea\n"])
    assert.equal(MODULE, server.read_file(out .. "/module/module.lua"))
    assert.equal("return 1\n", server.read_file(out .. "/module/part.lua"))
    world:stop()
    assert.equal(0, salvage(out .. "2"))
  end)

  it("marks what was written behind a lost record, and changes nothing in the database", function()
    for _, name in ipairs { "lamp", "bed", "sofa" } do call("add", name) end
    call("rename", 1, "torch")
    call("drop", 3)
    call("add", "vase")
    call("rename", 2, "lamp")
    world:stop()
    damage_record "torch"
    local before = server.read_file(path_of("log", "wal", 1))
    local code, output = salvage()
    assert.equal(1, code, output)
    assert.equal(before, server.read_file(path_of("log", "wal", 1)))
    local rows, marks = read_rows("thing", "name")
    assert.is_nil(rows.sofa) -- deleted behind the loss
    assert.equal(4, rows.vase.id)
    assert.is_number(marks.vase)
    assert.equal(2, rows.lamp.id) -- in place of the first, whose new name is what was lost
    assert.is_number(marks.lamp)
    assert.is_nil(rows.bed)
    local report = server.read_file(out .. "/report.txt")
    assert.truthy(report:find "LOST the log: .*is damaged", report)
    assert.truthy(report:find "LOST records %d+ to %d+ are lost", report)
  end)

  it("goes back to a snapshot that is whole, and to the log behind it", function()
    call("add", "lamp")
    world:take_snapshot()
    call("add", "bed")
    world:take_snapshot()
    call("add", "sofa")
    world:stop()
    damage(path_of("snapshots", "snap", 2), 5000)
    local code, output = salvage()
    assert.equal(1, code, output)
    local rows, marks = read_rows("thing", "name")
    assert.truthy(rows.lamp and rows.bed and rows.sofa)
    assert.same({}, marks)
    assert.truthy(output:find "LOST the snapshot at offset %d+ is of no use: .*the block at byte 0", output)
  end)

  it("needs no log where a snapshot is whole", function()
    call("add", "lamp")
    world:take_snapshot()
    world:stop()
    os.execute(("rm -r '%s'"):format(world:log_dir()))
    local code, output = salvage()
    assert.equal(1, code, output)
    assert.truthy(read_rows("thing", "name").lamp)
  end)

  it("needs no identity where the rest says whose it is", function()
    call("add", "lamp")
    world:stop()
    server.write_file(world.data_dir .. "/databases/world/identity", "what is left of it")
    local code, output = salvage()
    assert.equal(1, code, output)
    assert.truthy(output:find "LOST the database's identity", output)
    assert.truthy(read_rows("thing", "name").lamp)
  end)

  it("writes into no folder that holds something", function()
    assert.equal(0, (salvage()))
    local code, output = salvage()
    assert.equal(1, code)
    assert.truthy(output:find "holds something already", output)
  end)
end)
