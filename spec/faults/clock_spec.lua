--- A wall clock that jumps, backwards and forwards, under a server that runs and between its starts.
local cjson = require "cjson"
local client = require "spec.support.client"
local program = require "spec.support.program"
local server = require "spec.support.server"
local things = require "spec.support.things"

local PRELUDE = [[
export STDB_CLOCK='%s/clock' LD_PRELOAD='%s/faulty_clock.so' ASAN_OPTIONS="verify_asan_link_order=0:$ASAN_OPTIONS";]]

local HOUR, DAY = 3600, 86400

describe("with a clock that jumps", function()
  local folder, world

  setup(function()
    folder = server.new_folder()
    local code = os.execute(("cc -shared -fPIC -O1 -o %s/faulty_clock.so spec/faults/faulty_clock.c -ldl"):format(folder))
    assert(code == 0 or code == true)
  end)
  teardown(function() server.remove_folder(folder) end)

  local function set_clock(seconds)
    server.replace_file(folder .. "/clock", tostring(seconds))
  end

  before_each(function()
    set_clock(0)
    world = server.start { module = things.MODULE, prelude = PRELUDE:format(folder, folder) }
  end)
  after_each(function() world:remove() end)

  local function add(name)
    world:must_call("add", cjson.encode { name })
  end

  local function names()
    local list = {}
    for _, row in ipairs(cjson.decode(world:sql("SELECT * FROM thing").body)[1].rows) do list[#list + 1] = row[2] end
    table.sort(list)
    return table.concat(list, " ")
  end

  local function command(name, ...)
    return program.on(world.data_dir, name, ...)
  end

  for name, jump in pairs { ["backwards"] = -30 * DAY, ["forwards"] = 30 * DAY } do
    it("keeps order, connections, snapshots and what it stored, however far it jumps " .. name, function()
      local ann = assert(client.connect(world))
      ann:subscribe(1, { "SELECT * FROM thing" })
      add "before"
      ann:expect "TransactionUpdate"
      world:take_snapshot()
      set_clock(jump)
      add "after"
      ann:expect "TransactionUpdate" -- nobody was taken for idle
      world:take_snapshot()
      add "later"
      ann:expect "TransactionUpdate"
      world:kill()
      world:restart()
      assert.equal("after before later", names())
      set_clock(jump / 2)
      add "again"
      assert.equal("after again before later", names())
      world:stop()
      local code, output = command "check"
      assert.equal(0, code, output)
    end)
  end

  it("gives up no snapshot that it would have kept, when it jumps backwards", function()
    add "one"
    world:take_snapshot()
    set_clock(-30 * DAY)
    for _, text in ipairs { "two", "three", "four" } do
      add(text)
      world:take_snapshot()
    end
    local pipe = io.popen(("ls '%s/databases/world/snapshots' | grep -c snap$"):format(world.data_dir))
    assert.equal(4, pipe:read "*n")
    pipe:close()
  end)

  it("keeps two snapshots and the log behind them, when it jumps forwards past all that is to be kept", function()
    for _, text in ipairs { "one", "two", "three" } do
      add(text)
      world:take_snapshot()
    end
    set_clock(365 * DAY)
    add "four"
    world:take_snapshot()
    add "five"
    world:kill()
    world:restart()
    assert.equal("five four one three two", names())
    local code, output = command "check"
    assert.equal(0, code, output)
    assert.is_true(select(2, output:gsub("rows: whole", "")) >= 2, output)
  end)

  it("prints the log in the order of its offsets, whatever the times say", function()
    add "one"
    set_clock(-HOUR)
    add "two"
    local code, output = command("log", "--format", "json")
    assert.equal(0, code, output)
    local last, one, two = -1
    for line in output:gmatch "[^\n]+" do
      local event = cjson.decode(line)
      assert.is_true(event.offset > last)
      last = event.offset
      if line:find '"one"' then one = event end
      if line:find '"two"' then two = event end
    end
    assert.is_true(one.offset < two.offset)
    assert.is_true(one.timestamp_us > two.timestamp_us)
  end)
end)
