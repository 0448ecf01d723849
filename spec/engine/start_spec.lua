local people = require "spec.support.people"
local server = require "spec.support.server"

local GOOD = [[
local stdb = require "stdb"
stdb.table("thing", { public = true, { "id", stdb.types.u32, primary_key = true } })
stdb.reducer("add", { { "id", stdb.types.u32 } }, function(ctx, id) ctx.db.thing:insert { id = id } end)
]]

describe("a start", function()
  --- The output of a start that must end with an exit code.
  local function refused(code, options)
    local exit_code, output = server.refuse(options)
    assert.equal(code, exit_code, output)
    return output
  end

  describe("with a module that", function()
    local HEAD = 'local stdb = require "stdb"\nlocal t = stdb.types\n'
    local modules = {
      ["does not parse"] = { HEAD .. "stdb.table(\n", "module.lua:%d+: " },
      ["describes two tables of one name"] = {
        HEAD .. 'stdb.table("a", { { "id", t.u32 } })\nstdb.table("a", { { "id", t.u32 } })\n', "module.lua:4: .*`a`",
      },
      ["declares two reducers of one name"] = {
        HEAD .. 'stdb.reducer("a", function() end)\nstdb.reducer("a", function() end)\n', "module.lua:4: .*`a`",
      },
      ["uses an unknown type"] = { HEAD .. 'stdb.table("a", { { "id", t.u33 } })\n', "module.lua:3: .*u33" },
      ["uses no type at all"] = { HEAD .. 'stdb.table("a", { { "id" } })\n', "module.lua:3: " },
      ["gives a column twice"] = { HEAD .. 'stdb.table("a", { { "id", t.u32 }, { "id", t.u32 } })\n', "module.lua:3: .*id" },
      ["gives a table a name that the protocol keeps"] = {
        HEAD .. 'stdb.table("st_a", { { "id", t.u32 } })\n', "module.lua:3: .*st_a",
      },
      ["gives a table a name that is none"] = { HEAD .. 'stdb.table("a b", { { "id", t.u32 } })\n', "module.lua:3: .*[aA] b" },
      ["raises while it loads"] = { HEAD .. 'error "out of coffee"\n', "module.lua:3: out of coffee" },
      ["raises something that is no text"] = { HEAD .. "error({})\n", "table" },
      ["never finishes loading"] = { HEAD .. "while true do end\n", "%S" },
      ["takes all memory while it loads"] = { HEAD .. "local a while true do a = { a, ('x'):rep(100) } end\n", "%S" },
      ["requires what is not there"] = { HEAD .. 'require "nothing"\n', "module.lua:3: .*nothing" },
      ["requires a file that does not parse"] = {
        { ["module.lua"] = 'require "part"\n', ["part.lua"] = "local function\n" }, "part.lua:%d+: ",
      },
      ["is not Lua but bytecode"] = { "\27LJ\2\n\0\n", "%S" },
      ["is not text"] = { ("\255\254\0\1"):rep(10) .. "\n", "%S" },
    }
    for what, case in pairs(modules) do
      it(what .. " is refused with one clear sentence", function()
        local output = refused(1, { module = case[1] })
        local sentence = output:match "^[^\n]*"
        assert.truthy(sentence:find(case[2]), output)
        assert.truthy(sentence:find "ERROR", output)
        assert.is_nil(output:find("stdb/", 1, true), output) -- the trusted Lua's own files are nobody's business
      end)
    end

    it("raises shows the source lines around the place", function()
      local output = refused(1, { module = HEAD .. "-- before\nerror 'here'\n-- after\n" })
      assert.truthy(output:find "3 | %-%- before\n" and output:find "4 | error 'here'\n" and output:find "5 | %-%- after")
    end)

    it("fails in init is refused, and a repaired one begins anew", function()
      local data_dir = server.new_folder()
      local bad = GOOD .. 'stdb.on.init(function(ctx) ctx.db.thing:insert { id = 1 } error "not today" end)\n'
      assert.truthy(refused(1, { module = bad, data_dir = data_dir }):find "not today")
      local world = server.start { module = GOOD, data_dir = data_dir }
      assert.truthy(world:sql("SELECT * FROM thing").body:find('"rows":[]', 1, true))
      world:remove()
      server.remove_folder(data_dir)
    end)
  end)

  it("without a module at the place is refused", function()
    assert.truthy(refused(1, { module = "/tmp/no-such-module.lua" }):find("/tmp/no-such-module.lua", 1, true))
  end)

  it("with a database name that is none is refused with the usage's exit code", function()
    assert.truthy(refused(2, { module = GOOD, database = "No Name" }):find("No Name", 1, true))
  end)

  it("with options that are none is refused with the usage's exit code", function()
    assert.truthy(refused(2, { module = GOOD, arguments = { "--sparkle" } }):find("--sparkle", 1, true))
    assert.truthy(refused(2, { module = GOOD, arguments = { "--call-limit", "soon" } }):find("soon", 1, true))
  end)

  describe("beside another server", function()
    local world

    setup(function() world = people.serve() end)
    teardown(function() world:remove() end)

    local function other_is_well()
      assert.equal(200, world:call("do_nothing").status)
    end

    it("in the same data directory is refused", function()
      local output = refused(1, { module = GOOD, data_dir = world.data_dir })
      assert.truthy(output:find(world.data_dir, 1, true), output)
      assert.truthy(output:find("another", 1, true), output)
      other_is_well()
    end)

    it("at the same port is refused", function()
      local output = refused(1, { module = GOOD, port = world.port })
      assert.truthy(output:find(tostring(world.port), 1, true), output)
      assert.truthy(output:find("another program", 1, true), output)
      other_is_well()
    end)
  end)

  it("at an address that is none is refused with the usage's exit code", function()
    for _, address in ipairs { "nowhere", "127.0.0.1:99999", "127.0.0.1:", "999.1.1.1:0" } do
      assert.is_true(#refused(2, { module = GOOD, arguments = { "--listen-addr", address } }) > 0)
    end
  end)

  it("where nothing can be written is refused with the place", function()
    local folder = server.new_folder()
    server.write_file(folder .. "/file", "")
    local output = refused(1, { module = GOOD, data_dir = folder .. "/file/data" })
    assert.truthy(output:find(folder .. "/file", 1, true), output)
    server.remove_folder(folder)
  end)

  it("where writing is not permitted is refused with the place and the reason", function()
    local folder = server.new_folder()
    os.execute("chmod 555 " .. folder)
    -- Root may write anywhere, unless it has given that up.
    local output = refused(1, { module = GOOD, data_dir = folder .. "/data",
      prelude = [[root=$1; shift; [ "$(id -u)" -ne 0 ] || set -- setpriv --bounding-set=-all "$@"; set -- "$root" "$@";]] })
    assert.truthy(output:find(folder, 1, true), output)
    assert.truthy(output:find("Permission denied", 1, true), output)
    os.execute("chmod 755 " .. folder)
    server.remove_folder(folder)
  end)

  it("with the private key missing is refused, and nothing is lost when it is back", function()
    local world = people.serve()
    local ann = people.connect(world)
    world:stop()
    local path = world.data_dir .. "/keys/id_ecdsa"
    assert(os.rename(path, path .. ".away"))
    local output = refused(1, { module = people.MODULE, data_dir = world.data_dir, database = "people" })
    assert.truthy(output:find("id_ecdsa is missing", 1, true), output)
    assert(os.rename(path .. ".away", path))
    world:restart()
    local again = people.connect(world, { token = ann.token })
    assert.equal(ann.identity, again.identity)
    world:remove()
  end)

  it("with a damaged log is refused with file and place, and changes nothing", function()
    local world = people.serve()
    local ann = people.connect(world)
    for place = 1, 20 do
      ann:call(people.call("add_pair", { left = place, right = 1 }))
    end
    world:stop()
    local path = world:log_dir() .. "/00000000000000000000.wal"
    local log = server.read_file(path)
    local place = math.floor(#log:gsub("%z+$", "") / 2)
    local damaged = log:sub(1, place - 1) .. string.char((log:byte(place) + 1) % 256) .. log:sub(place + 1)
    server.write_file(path, damaged)
    local output = refused(1, { module = people.MODULE, data_dir = world.data_dir, database = "people" })
    assert.truthy(output:find("00000000000000000000.wal", 1, true), output)
    assert.equal(damaged, server.read_file(path))
    server.write_file(path, log)
    world:restart()
    assert.equal(20, #people.connect(world):ask "SELECT * FROM pair")
    world:remove()
  end)

  it("with a log that ends in a torn record cuts it and says so", function()
    local world = people.serve()
    local ann = people.connect(world)
    for place = 1, 20 do
      ann:call(people.call("add_pair", { left = place, right = 1 }))
    end
    world:kill()
    local path = world:log_dir() .. "/00000000000000000000.wal"
    local log = server.read_file(path)
    local used = #(log:gsub("%z+$", ""))
    -- The record of the last call is the last thing in the file: half of it is gone, as if it had never been synced.
    server.write_file(path, log:sub(1, used - 20) .. ("\0"):rep(#log - used + 20))
    world:restart()
    assert.truthy(world:output():find "WARN", world:output())
    assert.equal(19, #people.connect(world):ask "SELECT * FROM pair")
    world:remove()
  end)

  it("with a module that does not fit the stored data is refused with the reason", function()
    local world = server.start { module = GOOD }
    assert.equal(200, world:call("add", "[7]").status)
    world:stop()
    world:save((GOOD:gsub("u32", "string")))
    world:launch_again()
    server.wait("the refusal", function() return not world:is_running() end)
    assert.equal(1, world.exit_code)
    assert.truthy(world:output():find "does not fit .*: table `thing`: .*u32.*string", world:output())
    world:save(GOOD)
    world:restart()
    assert.truthy(world:sql("SELECT * FROM thing").body:find("[[7]]", 1, true))
    world:remove()
  end)

  it("keeps its data beside the module, where git ignores them, and is named like the module's folder", function()
    local world = server.start { module = GOOD, data_dir = false }
    assert.equal(200, world:call("add", "[7]").status)
    assert.truthy(world:output():find("database `world` is served", 1, true))
    assert.truthy(server.read_file(world.folder .. "/.stdb/.gitignore"):find("*", 1, true))
    assert.equal(0, world:stop())
    world.module_path = world.folder -- a folder stands for the module.lua in it
    world:restart()
    assert.truthy(world:sql("SELECT * FROM thing").body:find("[[7]]", 1, true))
    world:remove()
  end)

  it("takes up the numbers that init gave out", function()
    local counting = GOOD .. [[
      stdb.table("coin", { public = true, { "id", stdb.types.u32, primary_key = true, auto_inc = true } })
      local function mint(ctx) ctx.db.coin:insert {} end
      stdb.on.init(function(ctx) mint(ctx) mint(ctx) end)
      stdb.reducer("mint", mint)
    ]]
    local world = server.start { module = counting }
    for _ = 1, 3 do
      assert.equal(200, world:call("mint").status)
      assert.equal(200, world:sql("SELECT * FROM coin").status) -- comes only when the call is on disk
      world:kill()
      world:restart()
    end
    local rows = require("cjson").decode(world:sql("SELECT * FROM coin").body)[1].rows
    assert.equal(5, #rows)
    world:remove()
  end)

  for _, loop in ipairs { "pairs(numbers)", "next, numbers" } do
    it("finds each reducer where it was, also when a loop over " .. loop .. " has declared them", function()
      local world = server.start { module = ([[
        local stdb = require "stdb"
        stdb.table("said", { public = true, { "text", stdb.types.string } })
        local numbers = { one = 1, two = 2, three = 3, four = 4, five = 5, six = 6, [7] = 7, [true] = 8 }
        for word, number in LOOP do
          word = tostring(word)
          stdb.reducer("say_" .. word, function(ctx) ctx.db.said:insert { text = word .. number } end)
        end
      ]]):gsub("LOOP", loop) }
      for _ = 1, 5 do
        assert.equal(200, world:call("say_three").status)
        assert.truthy(world:sql("SELECT * FROM said").body:find('"rows":[["three3"]]', 1, true))
        world:kill()
        world:restart()
      end
      world:remove()
    end)
  end

  it("takes up a changed module, with its new tables", function()
    local world = server.start { module = GOOD }
    assert.equal(200, world:call("add", "[7]").status)
    world:stop()
    world:save(GOOD .. 'stdb.table("other", { public = true, { "id", stdb.types.u32 } })\n')
    world:restart()
    assert.truthy(world:sql("SELECT * FROM thing").body:find("[[7]]", 1, true))
    assert.equal(200, world:sql("SELECT * FROM other").status)
    world:remove()
  end)
end)
