--- tools/bench measures, reports and saves; it is no measurement here.
local json = require "cjson"
local server = require "spec.support.server"

local build = os.getenv "STDB_BUILD" or "build"

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

describe("tools/bench", function()
  local folder, results

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    os.execute("mkdir -p " .. folder)
    results = folder .. "/results.json"
  end)

  after_each(function() os.execute("rm -rf " .. folder) end)

  --- The exit code and all that was said.
  local function bench(words)
    local command = "PATH=%s:$PATH tools/bench --quick --seconds 0.1 --build %s --dir %s --json %s %s 2>&1; echo \"exit $?\""
    local pipe = io.popen(command:format(folder, build, folder, results, words))
    local output, code = pipe:read("*a"):match "^(.*)exit (%d+)\n$"
    pipe:close()
    return tonumber(code), output
  end

  --- A redis-server that is found before any other.
  local function fake_redis(text)
    write(folder .. "/redis-server", "#!/bin/sh\n" .. text .. "\n")
    os.execute("chmod +x " .. folder .. "/redis-server")
  end

  it("measures transfers, saves them, and compares with what was saved last", function()
    local words = "transfer --systems v3,v2 --case 'even, durable'"
    local code, output = bench(words)
    assert.equal(0, code, output)
    local saved = json.decode(server.read_file(results)).workloads.transfer
    assert.equal(2, #saved.runs)
    assert.is_true(saved.medians["even, durable"].v3.per_second > 0)
    assert.is_true(saved.medians["even, durable"].v2.server_cpu_us >= 0)

    code, output = bench(words)
    assert.equal(0, code, output)
    assert.truthy(output:find "to last")
    assert.truthy(output:match "\nv3 .- %d+%.%d%dx")
  end)

  it("leaves out a peer that is not there or does not start, says so, and runs the rest", function()
    for _, redis in ipairs { "echo v=6.0.16", "echo v=7.0.15; exit 1" } do
      fake_redis(redis)
      local code, output = bench "latency --systems v3,redis --case durable"
      assert.equal(0, code, output)
      assert.truthy(output:find("; Redis is left out", 1, true), output)
      assert.truthy(output:find "\nv3 ")
      assert.is_nil(output:find "\nredis ")
    end
  end)

  it("refuses what it does not know", function()
    local code, output = bench "transfers"
    assert.equal(2, code)
    assert.equal("tools/bench: unknown workload or option: transfers; see --help\n", output)
    code, output = bench "transfer --runs few"
    assert.equal(2, code)
    assert.equal("tools/bench: --runs needs a number, not few\n", output)
  end)
end)
