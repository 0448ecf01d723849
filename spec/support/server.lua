--- stdb-lua as a process of its own, on folders of its own: started, killed, started again.
---
---     local server = server.start { module = [[…]] }        -- or a path, or { ["module.lua"] = …, ["part.lua"] = … }
---     server.port, server.data_dir, server.folder, server.module_path, server.database
---     server:request { method = "POST", path = "/v1/…" }    -- HTTP, with %s in the path for the database
---     server:must_call("add", '["lamp"]')  server:rows("SELECT * FROM thing")  server:take_snapshot()
---     server:kill()  server:restart()  server:stop()
---     server:remove()                                       -- ends it, and deletes its folders
---
--- The program is $STDB_PROGRAM when that is an absolute path, else build/stdb-lua.
local cjson = require "cjson"
local ffi = require "ffi"
local socket = require "socket"
local ws_client = require "spec.support.ws_client"

ffi.cdef [[
int posix_spawn(int *pid, const char *path, const void *actions, const void *attributes, char *const argv[],
                char *const environment[]);
int waitpid(int pid, int *status, int options);
int kill(int pid, int signal);
extern char **environ;
]]

local SIGKILL, SIGTERM, WNOHANG = 9, 15, 1

local server = {}
local Server = {}
Server.__index = Server

--- How long, in seconds, a thing may take that is certain to come.
server.patience = tonumber(os.getenv "STDB_PATIENCE_MS" or 20000) / 1000

local function program()
  local given = os.getenv "STDB_PROGRAM"
  return given and given:sub(1, 1) == "/" and given or "build/stdb-lua"
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read "*a"
  pipe:close()
  return output
end

local function quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

--- What a file holds; nil when it is not there.
function server.read_file(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a"
  if file then
    file:close()
  end
  return text
end

--- The files of a database on the disk: path below its folder -> content, of the log without the room made ahead.
function server.read_database(folder)
  local files = {}
  for path in output_of(("cd %s && find identity log snapshots -type f"):format(quote(folder))):gmatch "%C+" do
    local content = server.read_file(folder .. "/" .. path)
    files[path] = path:find "%.wal$" and content:gsub("%z+$", ("\0"):rep(4096)) or content
  end
  return files
end

--- Writes into the file itself, as simple editors do.
function server.write_file(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

--- Writes beside the file and renames, as careful editors do.
function server.replace_file(path, text)
  server.write_file(path .. ".new~", text)
  assert(os.rename(path .. ".new~", path))
end

function server.new_folder()
  return (output_of "mktemp -d /tmp/stdb-spec-XXXXXX":gsub("\n$", ""))
end

function server.remove_folder(path)
  assert(path:find "^/tmp/stdb%-spec%-%w+$", path)
  os.execute("rm -rf " .. quote(path))
end

--- A folder below `root` with these files, and the path of its module.lua.
local function write_module(root, files)
  local folder = root .. "/world"
  for name, text in pairs(type(files) == "table" and files or { ["module.lua"] = files }) do
    os.execute("mkdir -p " .. quote((folder .. "/" .. name):match "^(.*)/"))
    server.write_file(folder .. "/" .. name, text)
  end
  return folder .. "/module.lua"
end

local function spawn(words)
  local argv = ffi.new("char *[?]", #words + 1)
  for place, word in ipairs(words) do
    argv[place - 1] = ffi.cast("char *", word)
  end
  local pid = ffi.new "int[1]"
  local code = ffi.C.posix_spawn(pid, words[1], nil, nil, argv, ffi.C.environ)
  assert(code == 0, words[1] .. " cannot be started")
  return pid[0]
end

--- Shell words that run before the program takes the shell's place: its output goes into files, it ends with this
--- process, and its notes about running servers stay among the spec's own.
local SHELL = [[exec >"$1/stdout" 2>"$1/stderr"; export XDG_STATE_HOME="$1/state"; %s
shift; exec setpriv --pdeathsig KILL "$@"]]

local function launch(self)
  os.remove(self.root .. "/stderr")
  local words = { "/bin/sh", "-c", SHELL:format(self.prelude or ""), "sh", self.root, program(), "run",
    "--listen-addr", "127.0.0.1:" .. (self.port or 0) }
  if self.names_data_dir then
    words[#words + 1] = "--data-dir"
    words[#words + 1] = self.data_dir
  end
  for _, word in ipairs(self.arguments) do
    words[#words + 1] = word
  end
  words[#words + 1] = self.module_path
  self.pid = spawn(words)
  self.exit_code = nil
  self.is_stopping = nil
end

--- What the program has said on stderr since it was started.
function Server:output()
  return server.read_file(self.root .. "/stderr") or ""
end

--- Notes the end of the process. Returns whether it has ended.
local function reap(self, options)
  if self.exit_code then
    return true
  end
  local status = ffi.new "int[1]"
  if ffi.C.waitpid(self.pid, status, options) ~= self.pid then
    return false
  end
  local signal = status[0] % 128
  self.exit_code = signal == 0 and math.floor(status[0] / 256) % 256 or -signal
  return true
end

--- Calls `look` until it returns something. Raises when that takes too long.
function server.wait(what, look, seconds)
  local deadline = socket.gettime() + (seconds or server.patience)
  repeat
    local found = look()
    if found then
      return found
    end
    socket.sleep(0.004)
  until socket.gettime() > deadline
  error("waited too long for " .. what, 2)
end

--- Waits for a pattern in the output behind place `from`; the place behind it.
function Server:wait_for(pattern, from, seconds)
  return server.wait(pattern .. " in:\n" .. self:output():sub(from or 1), function()
    return select(2, self:output():find(pattern, from or 1))
  end, seconds)
end

local function wait_until_served(self)
  local port = server.wait("the server", function()
    local port = self:output():match "served at http://127%.0%.0%.1:(%d+)"
    assert(port or not reap(self, WNOHANG), "the server did not start:\n" .. self:output())
    return port
  end)
  self.port = tonumber(port)
end

local function new(options)
  local root = server.new_folder()
  local self = setmetatable({ root = root, arguments = options.arguments or {}, prelude = options.prelude }, Server)
  local is_path = type(options.module) == "string" and not options.module:find "\n"
  self.module_path = is_path and options.module or write_module(root, options.module)
  self.folder = self.module_path:match "^(.*)/"
  self.names_data_dir = options.data_dir ~= false
  self.data_dir = options.data_dir or (self.names_data_dir and root .. "/data") or self.folder .. "/.stdb"
  self.port = options.port
  self.database = options.database or "world"
  if self.database ~= "world" or is_path then
    self.arguments = { "--database", self.database, unpack(self.arguments) }
  end
  return self
end

--- A server that is reachable. Options: module; arguments, more of the command line; data_dir, or false to leave
--- the choice to the program; port; database;
--- prelude, shell words that are run in its process before the program.
function server.start(options)
  local self = new(options)
  launch(self)
  wait_until_served(self)
  return self
end

--- Runs a server that is to end by itself: its exit code and output.
function server.refuse(options)
  local self = new(options)
  launch(self)
  server.wait("the server's end", function() return reap(self, WNOHANG) end)
  local code, output = self.exit_code, self:output()
  server.remove_folder(self.root)
  return code, output
end

--- kill -9, and waits until the process is no more.
function Server:kill()
  ffi.C.kill(self.pid, SIGKILL)
  reap(self, 0)
end

--- Asks it to end in order, and waits for nothing.
function Server:signal_stop()
  ffi.C.kill(self.pid, SIGTERM)
  self.is_stopping = true
end

--- Ends it in order; the exit code.
function Server:stop()
  if not self.is_stopping then -- a second signal would end it at once
    self:signal_stop()
  end
  server.wait("the server's end", function() return reap(self, WNOHANG) end)
  return self.exit_code
end

--- Starts it once more, with the same folders and at the same port.
function Server:restart()
  assert(self.exit_code, "it still runs")
  launch(self)
  wait_until_served(self)
end

--- Starts it once more without waiting for anything.
function Server:launch_again()
  assert(self.exit_code, "it still runs")
  launch(self)
end

function Server:is_running()
  return not reap(self, WNOHANG)
end

function Server:remove()
  if not reap(self, WNOHANG) then
    self:kill()
  end
  server.remove_folder(self.root)
end

--- Saves a file of the module in place.
function Server:save(text, name)
  server.write_file(self.folder .. "/" .. (name or "module.lua"), text)
end

--- Saves a module file and waits until the server has put it in force or refused it; what was said about that.
function Server:reload(text, name)
  local from = #self:output() + 1
  self:save(text, name)
  return self:reloaded(from)
end

--- What the server said about the version that was saved when its output ended before place `from`.
function Server:reloaded(from)
  server.wait("the new version", function()
    local said = self:output():sub(from)
    return said:find "new version in force.*\n" or said:find "the old version serves on.*\n"
  end)
  socket.sleep(0.005) -- source lines follow in a second write
  return self:output():sub(from)
end

--- Where the log's files are.
function Server:log_dir()
  return self.data_dir .. "/databases/" .. self.database .. "/log"
end

--- The token of the database's owner.
function Server:owner_token()
  return (server.read_file(self.data_dir .. "/owner-token"):gsub("%s", ""))
end

--- An HTTP request: ws_client's options; "%s" in the path stands for the database. `token` goes into the header.
function Server:request(options)
  local headers = {}
  for name, value in pairs(options.headers or {}) do
    headers[name] = value
  end
  headers.Authorization = options.token and "Bearer " .. options.token or headers.Authorization
  return ws_client.request {
    port = self.port, method = options.method, path = options.path:gsub("%%s", self.database), headers = headers,
    body = options.body, timeout = server.patience,
  }
end

--- Calls a reducer over HTTP with JSON arguments.
function Server:call(name, arguments, token)
  return self:request { method = "POST", path = "/v1/database/%s/call/" .. name, token = token,
    headers = { ["Content-Type"] = "application/json" }, body = arguments or "[]" }
end

function Server:sql(text, token)
  return self:request { method = "POST", path = "/v1/database/%s/sql", token = token, body = text }
end

local function body_of(answer)
  assert(answer.status == 200, answer.body)
  return answer.body
end

--- Calls a reducer that has to succeed.
function Server:must_call(name, arguments, token)
  body_of(self:call(name, arguments, token))
end

--- The rows that the owner is answered with.
function Server:rows(query)
  return cjson.decode(body_of(self:sql(query, self:owner_token())))[1].rows
end

--- The offset of a snapshot that is taken now.
function Server:take_snapshot()
  return cjson.decode(body_of(self:request { method = "POST", path = "/v1/database/%s/snapshot",
    token = self:owner_token(), body = "" })).offset
end

return server
