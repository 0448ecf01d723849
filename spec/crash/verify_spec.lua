--- tools/verify against this build: kills under load, at starts, in the middle of snapshots, retention and reloads.
local program = require "spec.support.program"
local server = require "spec.support.server"

local function verify(...)
  local words = { "tools/verify" }
  for _, word in ipairs { ... } do words[#words + 1] = "'" .. word .. "'" end
  local pipe = io.popen(table.concat(words, " ") .. ' 2>&1; echo "exit $?"')
  local output, code = pipe:read("*a"):match "^(.*)exit (%d+)\n$"
  pipe:close()
  return tonumber(code), output
end

describe("kill -9", function()
  local folder

  setup(function() folder = server.new_folder() end)
  teardown(function() server.remove_folder(folder) end)

  it("loses nothing acknowledged and leaves nothing half there, 20 times under load and more beside it", function()
    local seed = os.getenv "STDB_SEED" or tostring(os.time())
    local code, output = verify("--cycles", "20", "--seconds", "0.25", "--seed", seed)
    print((output:gsub("\n$", "")))
    assert.equal(0, code, output)
    assert.is_true(tonumber(output:match "(%d+) orders acknowledged") > 20 * 20)
  end)

  it("leaves a database that another run of the verifier goes on with", function()
    assert.equal(0, (verify("--cycles", "2", "--seconds", "0.1", "--dir", folder .. "/bank")))
    local code, output = verify("--cycles", "1", "--seconds", "0.1", "--dir", folder .. "/bank")
    assert.equal(0, code, output)
  end)
end)

describe("the verifier", function()
  -- A run that drew what the run before it drew would kill at once with this one, again and again: see "reads the records".
  local SEED = "7664"
  local folder

  setup(function()
    folder = server.new_folder()
    assert.equal(0, (verify("--cycles", "1", "--seconds", "0.1", "--seed", SEED, "--dir", folder)))
  end)
  teardown(function() server.remove_folder(folder) end)

  local function verify_with(line)
    local path = folder .. "/ledger"
    local before = server.read_file(path)
    server.write_file(path, before .. line .. "\n")
    local code, output = verify("--cycles", "1", "--seconds", "0.1", "--dir", folder)
    server.write_file(path, before)
    return code, output
  end

  it("calls an acknowledged order lost that the database does not have", function()
    local code, output = verify_with "a 3 1000000 8000001 8000002"
    assert.equal(1, code, output)
    assert.truthy(output:find("writer 3's order 1000000 was acknowledged or shown", 1, true), output)
  end)

  --- The newest of the owner's remarks that is not undone.
  local function kept_remark()
    local newest
    for number in server.read_file(folder .. "/ledger"):gmatch "\nr (%d+)" do
      newest = tonumber(number) % 3 > 0 and number or newest
    end
    return newest
  end

  it("reads the records of statements and of undos", function()
    local runs = 0
    repeat
      assert.equal(0, (verify("--cycles", "1", "--disk", "honest", "--kind", "load", "--dir", folder)))
      runs = runs + 1
    until runs == 20 or #program.events(folder .. "/server/data", "--kind", "undo") > 0
    assert.is_true(runs < 20, "nothing has been undone in all the time")
    assert.is_true(#program.events(folder .. "/server/data", "--kind", "sql") > 0)
  end)

  it("calls an acknowledged statement lost that the database knows nothing of, and so with an undo", function()
    local code, output = verify_with "r 1000000"
    assert.equal(1, code, output)
    assert.truthy(output:find "remark %d+ was acknowledged or shown, and is not there: lost", output)
    code, output = verify_with("u " .. kept_remark())
    assert.equal(1, code, output)
    assert.truthy(output:find "remark %d+ is there, and its undo was acknowledged", output)
  end)

  it("sees when a number of a sequence is acknowledged twice", function()
    local code, output = verify_with "a 3 1 8000001 8000002\na 4 1 8000001 8000003"
    assert.equal(1, code, output)
    assert.truthy(output:find("was given out twice", 1, true), output)
  end)

  it("says what is wrong with its options, and that there is no program", function()
    for words, complaint in pairs {
      [{ "--cycles", "none" }] = "--cycles takes a whole number from 1, not none",
      [{ "--kind", "flood" }] = "there is no kind flood",
      [{ "--quickly" }] = "there is no option --quickly",
      [{ "--seed" }] = "--seed needs a value",
      [{ "--program", "/nowhere/stdb-lua" }] = "there is no program at /nowhere/stdb-lua",
    } do
      local code, output = verify(unpack(words))
      assert.equal(2, code, output)
      assert.truthy(output:find(complaint, 1, true), output)
    end
  end)
end)
