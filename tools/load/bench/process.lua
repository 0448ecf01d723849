--- Processes, ports and files: what tools/bench does to the machine, and undoes when it ends.
local ffi = require "ffi"
local socket = require "socket"

ffi.cdef [[
int posix_spawn(int *pid, const char *path, const void *actions, const void *attributes, char *const argv[],
                char *const environment[]);
int waitpid(int pid, int *status, int options);
int kill(int pid, int signal);
unsigned getuid(void);
extern char **environ;
]]

local PATIENCE_S = 30
local WNOHANG = 1

local process = { SIGQUIT = 3, SIGKILL = 9, SIGTERM = 15 }

local running = {}

--- Ends the benchmark, or the part of it that can be left out, with a sentence.
function process.refuse(...)
  error({ text = string.format(...) }, 0)
end

function process.quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

local function line_of(words)
  local quoted = {}
  for place, word in ipairs(words) do quoted[place] = process.quote(word) end
  return table.concat(quoted, " ")
end

--- Runs a command, given as words, to its end; its output.
function process.run(words, input)
  local pipe = assert(io.popen(("{ %s; } %s 2>&1; echo \"exit $?\""):format(line_of(words),
    input and "<" .. process.quote(input) or "</dev/null")))
  local output, code = pipe:read("*a"):match "^(.*)exit (%d+)\n$"
  pipe:close()
  if code ~= "0" then process.refuse("%s failed: %s", words[1], output) end
  return output
end

function process.output_of(command)
  local pipe = assert(io.popen(command .. " 2>/dev/null"))
  local text = pipe:read "*a"
  pipe:close()
  return (text:gsub("%s+$", ""))
end

function process.has(program)
  return process.output_of("command -v " .. program) ~= ""
end

function process.is_root()
  return ffi.C.getuid() == 0
end

--- Starts a program whose output goes to the file `log`; its pid.
function process.start(words, log)
  local line = ("exec %s >>%s 2>&1"):format(line_of(words), process.quote(log))
  local argv, pid = ffi.new("char *[4]"), ffi.new "int[1]"
  for place, word in ipairs { "/bin/sh", "-c", line } do argv[place - 1] = ffi.cast("char *", word) end
  assert(ffi.C.posix_spawn(pid, "/bin/sh", nil, nil, argv, ffi.C.environ) == 0)
  running[pid[0]] = true
  return pid[0]
end

function process.lives(pid)
  if running[pid] and ffi.C.waitpid(pid, nil, WNOHANG) ~= 0 then running[pid] = nil end
  return running[pid] ~= nil
end

function process.stop(pid, signal)
  if not process.lives(pid) then return end
  ffi.C.kill(pid, signal or process.SIGKILL)
  ffi.C.waitpid(pid, nil, 0)
  running[pid] = nil
end

function process.stop_all()
  for pid in pairs(running) do process.stop(pid, process.SIGTERM) end
end

function process.free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return tonumber(port)
end

--- Whether the program has come to listen at the port; false when it ends first.
function process.wait_for_port(pid, port)
  local deadline = socket.gettime() + PATIENCE_S
  repeat
    local connection = socket.connect("127.0.0.1", port)
    if connection then
      connection:close()
      return process.lives(pid) -- else somebody else has taken the port
    end
    socket.sleep(0.01)
  until not process.lives(pid) or socket.gettime() > deadline
  return false
end

--- Asks again and again until the answer matches; servers that still load refuse, or let wait.
function process.ask_until(port, question, pattern)
  local deadline = socket.gettime() + PATIENCE_S
  repeat
    local connection = socket.tcp()
    local answer = ""
    if connection:connect("127.0.0.1", port) then
      connection:setoption("tcp-nodelay", true)
      connection:send(question)
      connection:settimeout(PATIENCE_S)
      repeat
        local byte, reason = connection:receive(1)
        answer = answer .. (byte or "")
      until answer:find(pattern) or answer:find "LOADING" or reason
    end
    connection:close()
    if answer:find(pattern) then return end
    socket.sleep(0.0005)
  until socket.gettime() > deadline
  process.refuse("port %d gave no answer to %s", port, question)
end

--- Memory of a process in bytes, its own, without mapped files.
function process.memory(pid)
  local file = assert(io.open("/proc/" .. pid .. "/status"))
  local kilobytes = file:read("*a"):match "RssAnon:%s*(%d+)"
  file:close()
  return tonumber(kilobytes) * 1024
end

process.sleep, process.time = socket.sleep, socket.gettime

function process.read_file(path)
  local file = io.open(path)
  local text = file and file:read "*a"
  if file then file:close() end
  return text
end

function process.write_file(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

return process
