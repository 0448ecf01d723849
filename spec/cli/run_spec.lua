--- What `stdb-lua run` makes of its arguments, and of the files it watches.
local program = require "spec.support.program"
local server = require "spec.support.server"

local MODULE = [[
local stdb = require "stdb"
stdb.table("thing", { public = true, { "id", stdb.types.u32, primary_key = true, auto_inc = true } })
stdb.reducer("add", function(ctx) ctx.db.thing:insert { id = 0 } end)
stdb.reducer("one", function() end)
stdb.on.init(function(ctx) ctx.db.thing:insert { id = 0 } end)
]]

describe("a run", function()
  local world

  after_each(function()
    if world then world:remove() end
    world = nil
  end)

  --- The name under which a module at this path is served.
  local function name_of(path)
    world = server.start { module = path, database = "given" }
    local arguments = world.arguments
    world:stop()
    os.execute(("rm -r '%s'"):format(world.data_dir))
    world.arguments = {}
    world:restart()
    world.arguments = arguments
    return world:output():match "database `([^`]+)`"
  end

  local folder

  before_each(function() folder = server.new_folder() end)
  after_each(function() server.remove_folder(folder) end)

  local function put(path, text)
    os.execute(("mkdir -p '%s'"):format((folder .. "/" .. path):match "^(.*)/"))
    server.write_file(folder .. "/" .. path, text or MODULE)
    return folder .. "/" .. path
  end

  it("calls the database like the module's folder", function()
    put "My Game/module.lua"
    assert.equal("my-game", name_of(folder .. "/My Game"))
  end)

  it("calls the database like a file that is not called module.lua", function()
    assert.equal("space-v2", name_of(put "any/Space.v2.lua"))
  end)

  it("calls the database like a link, not like the folder behind it", function()
    put "release-42/module.lua"
    os.execute(("ln -s release-42 '%s/current'"):format(folder))
    assert.equal("current", name_of(folder .. "/current"))
  end)

  it("begins no new database beside others under a name that nobody gave", function()
    world = server.start { module = put "game/module.lua" }
    local data_dir, name = world.data_dir, world.database
    world:stop()
    local code, _, complaint = program.run("run", "--data-dir", data_dir, put "renamed/module.lua")
    assert.equal(1, code)
    assert.truthy(complaint:find(("there is no database renamed in %s, which has: %s; --database NAME goes on with one, "
      .. "--database renamed makes another"):format(data_dir, name), 1, true), complaint)
    world:restart()
  end)

  it("refuses paths that are empty or too long for the system", function()
    local path = put "a/module.lua"
    for _, dir in ipairs { "", ("/abc"):rep(1200) } do
      local code, _, complaint = program.run("run", "--data-dir", dir, path)
      assert.equal(2, code)
      assert.truthy(complaint:find "ERROR the path of the data directory is %a+", complaint)
    end
    assert.equal(2, (program.run("run", ("/abc"):rep(1200))))
  end)

  it("refuses addresses that are none by the usage's exit code", function()
    local path = put "a/module.lua"
    for _, address in ipairs { "", "3000", "127.0.0.1:99999", "127.0.0.1:-1", ":http" } do
      local code, _, complaint = program.run("run", "--data-dir", folder .. "/data", "--listen-addr", address, path)
      assert.equal(2, code)
      assert.truthy(complaint:find("`" .. address .. "`", 1, true), complaint)
    end
  end)

  it("refuses a module that is no plain file", function()
    os.execute(("mkfifo '%s/pipe.lua'"):format(folder))
    local code, _, complaint = program.run("run", "--data-dir", folder .. "/data", folder .. "/pipe.lua")
    assert.equal(1, code)
    assert.truthy(complaint:find "pipe%.lua is not a plain file", complaint)
  end)

  it("comes up again after an init that counted up", function()
    world = server.start { module = MODULE }
    world:stop()
    world:restart()
    assert.equal(200, world:call("add").status)
    local rows = world:sql("SELECT * FROM thing").body:match '"rows":(%b[])'
    assert.truthy(rows:find "^%[%[1%],%[%d+%]%]$", rows)
  end)

  it("begins anew after an init that counted up and failed", function()
    local data_dir = folder .. "/data"
    local failing = MODULE:gsub(" end%)\n$", " error 'not today' end)\n")
    assert.equal(1, (server.refuse { module = failing, data_dir = data_dir }))
    world = server.start { module = MODULE, data_dir = data_dir }
    assert.truthy(world:sql("SELECT * FROM thing").body:find('"rows":[[1]]', 1, true))
  end)

  it("notices the edit of a file behind a link, and another target of the link", function()
    put "game/one/module.lua"
    put("game/two/module.lua", MODULE .. 'stdb.reducer("two", function() end)\n')
    os.execute(("ln -s one/module.lua '%s/game/module.lua'"):format(folder))
    world = server.start { module = folder .. "/game/module.lua" }
    local from = #world:output() + 1
    server.write_file(folder .. "/game/one/module.lua", MODULE .. 'stdb.reducer("three", function() end)\n')
    world:reloaded(from)
    assert.equal(200, world:call("three").status)
    from = #world:output() + 1
    os.execute(("cd '%s/game' && ln -s two/module.lua link && mv -T link module.lua"):format(folder))
    world:reloaded(from)
    assert.equal(200, world:call("two").status)
  end)

  it("tries a version again that was refused, when it is saved once more", function()
    local without = 'require("stdb").reducer("other", function() end)\n'
    world = server.start { module = MODULE }
    assert.truthy(world:reload(without):find "the old version serves on: .* `thing` cannot be removed: it holds 1 row")
    assert.equal(200, world:sql("DELETE FROM thing", world:owner_token()).status)
    assert.truthy(world:reload(without):find "new version in force")
    assert.equal(200, world:call("other").status)
    local another = 'local stdb = require "stdb"\nstdb.table("thing", { { "text", stdb.types.string } })\n'
    assert.truthy(world:reload(another):find "new version in force") -- the table is another now, for it was gone
  end)

  it("notices the edit of a file in a folder that was replaced by another", function()
    world = server.start { module = { ["module.lua"] = MODULE .. 'require "part.rules"\n', ["part/rules.lua"] = "return 1\n" } }
    local function replace(text)
      local from = #world:output() + 1
      local command = "cd '%s' && mkdir new && printf '%%s' '%s' >new/rules.lua && mv part old && mv new part && rm -r old"
      os.execute(command:format(world.folder, text))
      return world:reloaded(from)
    end
    assert.truthy(replace("return 2"):find "new version in force")
    assert.truthy(replace("return ("):find "part/rules.lua:1: ")
    assert.truthy(world:reload("return 3\n", "part/rules.lua"):find "new version in force")
  end)
end)
