--- Finds and runs the module's files. `require` knows the standard library and the files beside the module.
local use = ...
local host = use "host"
local blame, reentry = use "blame", use "reentry"

local loader = {}

local loaded = {}
local LOADING = {}
local running = {} -- the names being loaded, outermost first

local function compile(text, chunk_name, env)
  local chunk, message = host.compile(text, chunk_name)
  if not chunk then
    error(message, 0)
  end
  return setfenv(chunk, env)
end

--- The library files see the sandbox, and in ... the trusted functions behind their names.
local function library_chunk(name)
  local path = "stdlib/" .. name:gsub("%.", "/") .. ".lua"
  local content = host.bundle(path)
  if content then
    return setfenv(assert(loadstring(content)), use("env").new()), use "core"
  end
end

local function module_chunk(name)
  local path = name:gsub("%.", "/")
  local text, chunk_name = host.read(path .. ".lua")
  if not text then
    text, chunk_name = host.read(path .. "/init.lua")
  end
  return text and compile(text, chunk_name, loader.env)
end

local function check_name(name)
  if type(name) ~= "string" then
    blame.raise("require: expected a name, got %s", blame.show(name))
  elseif not (name:match("^[%w_%-][%w_%-%.]*$") and not name:find("..", 1, true) and name:sub(-1) ~= ".") then
    blame.raise("require: %s is no module name: names of files beside the module, with dots for folders",
      blame.show(name))
  end
end

--- What modules have as `require`.
function loader.require(name)
  check_name(name)
  local value = loaded[name]
  if value == LOADING then
    blame.raise("require: `%s` is still being loaded: %s -> %s", name, table.concat(running, " -> "), name)
  elseif value ~= nil then
    return value
  end
  local chunk, core = library_chunk(name)
  chunk = chunk or module_chunk(name)
  if not chunk then
    blame.raise("require: there is no `%s` beside the module", name)
  end
  loaded[name] = LOADING
  running[#running + 1] = name
  local ok, result = reentry.pcall(chunk, core)
  running[#running] = nil
  if not ok then
    loaded[name] = nil
    error(result, 0)
  end
  loaded[name] = result == nil and true or result
  return loaded[name]
end

--- Runs the module's first file.
function loader.run(entry)
  loader.env = use("env").new()
  local text, chunk_name = host.read(entry)
  if not text then
    error(chunk_name or entry .. ": cannot be read", 0)
  end
  compile(text, chunk_name, loader.env)()
end

return loader
