--- stdb-lua restore --to: a stopped database goes back, and what came after is kept.
local cjson = require "cjson"
local client = require "spec.support.client"
local program = require "spec.support.program"
local server = require "spec.support.server"
local things = require "spec.support.things"

describe("restore --to", function()
  local world

  before_each(function() world = server.start { module = things.MODULE } end)
  after_each(function() world:remove() end)

  local function add(name)
    world:must_call("add", ('["%s"]'):format(name))
  end

  --- The names of the things in a data directory, or of those that the server has.
  local function names(data_dir)
    local list, output = {}
    if data_dir then
      output = select(2, program.run("sql", "--data-dir", data_dir, "--format", "json", "world", "SELECT * FROM thing"))
    else
      output = world:sql("SELECT * FROM thing").body
    end
    for _, row in ipairs(cjson.decode(output)[1].rows) do list[#list + 1] = row[2] end
    table.sort(list)
    return list
  end

  local function restore(...)
    return program.on(world.data_dir, "restore", ...)
  end

  --- When and at which offset each thing was added.
  local function additions()
    local found = {}
    for _, event in ipairs(program.events(world.data_dir, "--reducer", "add")) do found[event.args.name] = event end
    return found
  end

  it("goes back to an offset, goes on from there, and keeps the abandoned tail readable", function()
    add "lamp"
    world:take_snapshot()
    add "bed"
    world:take_snapshot()
    add "chair"
    world:stop()
    local code, output = restore("--to", tostring(additions().bed.offset))
    assert.equal(0, code, output)
    local aside = assert(output:match "kept in (%S+),")
    local stamp = "abandoned/20%d%d%-%d%d%-%d%dT%d%d%-%d%d%-%d%dZ"
    assert.truthy(aside:find(stamp .. "%-world%-after%-offset%-" .. additions().bed.offset .. "$"), aside)

    world:restart()
    assert.same({ "bed", "lamp" }, names())
    add "door"
    world:kill()
    world:restart()
    assert.same({ "bed", "door", "lamp" }, names())

    assert.same({ "bed", "chair", "lamp" }, names(aside))
    code, output = program.run("check", "--data-dir", aside)
    assert.equal(0, code, output)
    code, output = program.run("check", "--data-dir", world.data_dir)
    assert.equal(0, code, output)
  end)

  it("goes back to a time", function()
    add "lamp"
    add "bed"
    world:kill()
    assert.equal(0, (restore("--to", additions().lamp.time)))
    world:restart()
    assert.same({ "lamp" }, names())
  end)

  it("goes back again and again, also from what it had abandoned", function()
    for _, name in ipairs { "lamp", "bed", "chair" } do add(name) end
    world:stop()
    local offsets = additions()
    local _, output = restore("--to", tostring(offsets.lamp.offset))
    local code = program.run("restore", "--data-dir", output:match "kept in (%S+),", "--to", tostring(offsets.bed.offset))
    assert.equal(0, code)
    assert.same({ "bed", "lamp" }, names(output:match "kept in (%S+),"))
    assert.same({ "lamp" }, names(world.data_dir))
  end)

  it("refuses a running server, what is not kept, and what it cannot understand, and changes nothing", function()
    add "lamp"
    add "bed"
    local code, output = restore("--to", "1")
    assert.equal(1, code)
    assert.truthy(output:find "a server runs on .*nothing was changed", output)
    assert.same({ "bed", "lamp" }, names())
    world:stop()
    local function refused(moment, pattern, exit_code)
      code, output = restore("--to", moment)
      assert.equal(exit_code or 1, code, output)
      assert.truthy(output:find(pattern), output)
    end
    refused("99999", "the log ends with offset %d+")
    refused("2001-01-01T00:00:00Z", "the past is kept from offset 0")
    refused("soon", "neither an offset nor a time", 2)
    assert.is_nil(server.read_file(world.data_dir .. "/abandoned/."))
    world:restart()
    assert.same({ "bed", "lamp" }, names())
  end)

  describe("--live", function()
    local function live(moment, ...)
      local code, output, complaint = program.run("restore", "--server", "http://127.0.0.1:" .. world.port, "--token",
        world:owner_token(), "--live", "--to", tostring(moment), "--database", "world", ...)
      return code, output .. complaint
    end

    it("rolls a running database back, disconnects its clients, and goes on", function()
      add "lamp"
      local offset = additions().lamp.offset
      add "bed"
      assert.truthy(world:reload(things.MODULE .. 'stdb.reducer("later", function() end)\n'):find "in force")
      local ann = client.connect(world)
      local code, output = live(offset)
      assert.equal(0, code, output)
      local message, why, status = ann:next()
      assert.is_nil(message)
      assert.same({ "close", 1001 }, { why, status })
      assert.same({ "lamp" }, names())
      assert.equal(404, world:call("later").status)

      assert.truthy(world:reload(things.MODULE .. 'stdb.reducer("again", function() end)\n'):find "in force")
      assert.equal(200, world:call("again").status)
      add "door"
      world:kill()
      world:restart()
      assert.same({ "door", "lamp" }, names())
      assert.same({ "bed", "lamp" }, names(output:match "kept in (%S+),"))
      code, output = program.run("check", "--data-dir", world.data_dir)
      assert.equal(0, code, output)
    end)

    it("is refused to strangers, and for moments that are not kept, and nobody is disconnected", function()
      add "lamp"
      local ann = client.connect(world)
      local function refused(pattern, exit_code, moment, ...)
        local code, output = live(moment, ...)
        assert.equal(exit_code, code, output)
        assert.truthy(output:find(pattern), output)
      end
      refused("only the owner", 1, 1, "--anonymous")
      refused("the log ends with offset", 1, 99999)
      refused("neither an offset nor a time", 1, "soon")
      refused("already: nothing came after", 0, "9999-01-01T00:00:00Z")
      refused("%-%-data%-dir names a stopped", 2, 1, "--data-dir", world.data_dir)
      assert.equal("Ok", ann:call("add", client.arguments("{ name: string }", { name = "bed" })).tag)
      assert.same({ "bed", "lamp" }, names())
    end)
  end)

  it("has nothing to do when nothing came after", function()
    add "lamp"
    world:stop()
    local code, output = restore("--to", "9999-01-01T00:00:00Z")
    assert.equal(0, code, output)
    assert.truthy(output:find "already: nothing came after that", output)
  end)
end)
