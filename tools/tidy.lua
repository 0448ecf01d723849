--- Watches what a compiler does not: that includes follow src/LAYERS, that foreign headers stay behind their
--- fences, and that the places src/README.md names are there. Usage: luajit tools/tidy.lua [ROOT]
local root = arg[1] or "."
local complaints = {}

local function complain(...)
  complaints[#complaints + 1] = string.format(...)
end

local function read(path)
  local file = assert(io.open(root .. "/" .. path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function list(pattern)
  local pipe = io.popen(("cd '%s' && ls %s 2>/dev/null"):format(root, pattern))
  local paths = {}
  for path in pipe:lines() do paths[#paths + 1] = path end
  pipe:close()
  return paths
end

-- Folder -> its line: a folder may include itself and those of smaller lines.
local function read_layers()
  local rank, layers = 0, {}
  for line in read("src/LAYERS"):gmatch "[^\n]+" do
    if not line:find "^#" then
      rank = rank + 1
      for folder in line:gmatch "%S+" do layers[folder] = rank end
    end
  end
  return layers
end

-- Where a foreign library may be named.
local fences = {
  ["libwebsockets.h"] = "^src/net/", ["uv.h"] = "^src/cli/", ["lmdb.h"] = "^src/snap/", ["curl/curl.h"] = "^src/cli/script%.c$",
  ["lua.h"] = "^src/host/", ["lauxlib.h"] = "^src/host/", ["lualib.h"] = "^src/host/", ["luajit.h"] = "^src/host/",
}
local allowed_besides = {
  ["src/net/server.c"] = { ["uv.h"] = true },
  ["src/cli/script.c"] = { ["lua.h"] = true, ["lauxlib.h"] = true, ["lualib.h"] = true },
  ["src/cli/script_data.h"] = { ["lua.h"] = true },
  ["src/cli/script_data.c"] = { ["lauxlib.h"] = true },
}

local function check_include(path, layers, own)
  for kind, name in read(path):gmatch '#include ([<"])([^>"]+)[>"]' do
    local folder = kind == '"' and name:match "^([^/]+)/"
    if folder and not layers[folder] then
      complain("%s: %s is of no known folder", path, name)
    elseif folder and folder ~= own and layers[folder] >= layers[own] then
      complain("%s: %s stands beside or above it (src/LAYERS)", path, name)
    end
    local fence = fences[name] or (name:find "^openssl/" and "^src/net/token")
    if fence and not path:find(fence) and not (allowed_besides[path] or {})[name] then
      complain("%s: %s belongs behind %s", path, name, fence)
    end
  end
end

-- Rows of the README's table name a file and a function: `engine/turn.c` · `turn_run`.
local function check_readme()
  local found = 0
  for file, name in read("src/README.md"):gmatch "`([%w_]+/[%w_]+%.c)` · `([%w_]+)`" do
    found = found + 1
    local is_there, text = pcall(read, "src/" .. file)
    if not is_there then
      complain("src/README.md: there is no src/%s", file)
    elseif not text:find("[%s%*]" .. name .. "%(") then
      complain("src/README.md: src/%s has no %s", file, name)
    end
  end
  if found == 0 then complain "src/README.md: the way of a call names no functions" end
end

local layers = read_layers()
for _, path in ipairs(list "src/*/*.c src/*/*.h") do
  check_include(path, layers, path:match "^src/([^/]+)/")
end
check_readme()

for _, text in ipairs(complaints) do io.stderr:write(text, "\n") end
os.exit(#complaints == 0 and 0 or 1)
