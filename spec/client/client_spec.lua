--- The official npm clients, today's and older ones, against build/stdb-lua. Each line that a Node program tells is
--- one spec here.
local cjson = require "cjson"

local folder = "spec/client"

local function run(command)
  local pipe = io.popen(("cd %s && { %s; } 2>&1; echo \"exit $?\""):format(folder, command))
  local output = pipe:read "*a"
  pipe:close()
  local text, code = output:match "^(.*)exit (%d+)\n$"
  return tonumber(code), text
end

-- Everything the programs need: packages as the lock file has them, bindings from our own generator, one bundle each.
local function prepare()
  local program = os.getenv "STDB_PROGRAM" or "../../build/stdb-lua"
  local code, text = run(table.concat({
    "mkdir -p build",
    "{ [ node_modules/.package-lock.json -nt package-lock.json ] || npm install --no-save --no-audit --no-fund; }",
    program .. " generate --lang typescript --module-path module --out-dir build/module_bindings",
    program .. " generate --lang typescript --module-path types_module --out-dir build/types_bindings",
    program .. " generate --lang typescript --module-path views_module --out-dir build/views_bindings",
    "npx tsc -p .",
    "cd ../../examples/chat/web",
    "{ [ node_modules/.package-lock.json -nt package-lock.json ] || npm install --no-save --no-audit --no-fund; }",
    "npm run build",
    "cd ../../../spec/client",
    "npx vite build --logLevel error",
  }, " && "))
  if code ~= 0 then error("the client specs cannot be built:\n" .. text, 0) end
end

local function tell(program)
  local code, text = run("node build/" .. program .. ".mjs")
  local told = 0
  for line in text:gmatch "[^\n]+" do
    local is_told, sentence = pcall(cjson.decode, line)
    if is_told and type(sentence) == "table" and sentence.name then
      told = told + 1
      it(sentence.name, function()
        if sentence.error then error(sentence.error, 0) end
      end)
    end
  end
  it("runs to its end", function()
    assert.equal(0, code, text)
    assert.is_true(told > 0, text)
  end)
end

prepare()

describe("the official client", function()
  tell "official_client"
end)

describe("the official client, with every type,", function()
  tell "types_client"
end)

describe("an official client of 1.x", function()
  tell "v1_clients"
end)

describe("the official client, with views, schedules and row filters,", function()
  tell "views_client"
end)

describe("the chat page in a browser", function()
  tell "chat_page"
end)
