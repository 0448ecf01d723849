--- What the people who run a server do to it.
local server = require "spec.support.server"

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types
stdb.table("thing", { { "id", t.u32, primary_key = true, auto_inc = true }, { "text", t.string } })
stdb.reducer("add", { { "letters", t.u32 } }, function(ctx, letters) ctx.db.thing:insert { text = ("x"):rep(letters) } end)
]]

describe("a server whose data is deleted while it runs", function()
  for what, name in pairs { ["the folder"] = "", ["a file of its log"] = "/databases/world/log/*.wal" } do
    it("stops before it acknowledges anything else: " .. what, function()
      local world = server.start { module = MODULE }
      world:must_call("add", "[1]")
      os.execute("rm -rf " .. world.data_dir .. name)
      local served, answer = pcall(world.call, world, "add", "[1]")
      assert.is_not.equal(200, served and answer.status)
      server.wait("its end", function() return not world:is_running() end)
      assert.equal(1, world.exit_code)
      assert.matches("stopped, because the log cannot be written: cannot sync /.*%.wal: somebody has deleted it",
        world:output())
      world:remove()
    end)
  end
end)

describe("a server that may write small files only", function()
  it("says so instead of starting", function()
    local code, said = server.refuse { module = MODULE, prelude = "ulimit -f 64;" }
    assert.equal(1, code)
    assert.matches("File too large %(files of this process may not be larger: see `ulimit %-f`%)", said)
  end)
end)
