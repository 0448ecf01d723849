--- What the specs of src/net stand on: the core's tokens by FFI, and the echo engine as a process.
local ffi = require "ffi"
local ws_client = require "spec.support.ws_client"

-- All specs share one FFI: what others may declare, too, has a name of its own here.
ffi.cdef [[
int net_pipe(int fds[2], int flags) __asm__("pipe2");
int net_fork(void) __asm__("fork");
int net_dup2(int from, int to) __asm__("dup2");
int net_close(int fd) __asm__("close");
long net_read(int fd, void *to, size_t size) __asm__("read");
int net_execv(const char *path, const char *const *argv) __asm__("execv");
int net_kill(int pid, int signal) __asm__("kill");
int net_waitpid(int pid, int *status, int options) __asm__("waitpid");
void net_exit(int status) __asm__("_exit");
char *net_mkdtemp(char *pattern) __asm__("mkdtemp");
]]

local C = ffi.C
local core = require "spec.support.core"

local net = { core = core, bytes = core.bytes, written = core.written, client = ws_client }

--- A new folder, removed with net.remove_dir().
function net.make_dir()
  local pattern = ffi.new("char[32]", "/tmp/stdb-net-XXXXXX")
  assert(C.net_mkdtemp(pattern) ~= nil)
  return ffi.string(pattern)
end

function net.remove_dir(dir)
  assert(dir:match "^/tmp/stdb%-net%-%w+$")
  os.execute("rm -rf " .. dir)
end

-- Tokens

local keys = {}
keys.__index = keys

local function open_handle(dir)
  local out, diag = ffi.new "struct token_keys *[1]", ffi.new "struct diag"
  local code = core.token_keys_open(out, core.disk_real(), dir, diag)
  if code ~= 0 then return nil, ffi.string(diag.text) end
  return ffi.gc(out[0], core.token_keys_free)
end

--- The keys of a folder; nil and the sentence when they cannot be had. What they sign is verified by others of the same
-- folder, which have not seen it before.
function net.open_keys(dir)
  local handle, reason = open_handle(dir)
  if not handle then return nil, reason end
  return setmetatable({ handle = handle, judge = assert(open_handle(dir)) }, keys)
end

function keys:mint()
  local who = ffi.new "identity"
  local token = net.written(function(buf) core.token_mint(self.handle, buf, who) end)
  return token, net.written(function(buf) core.identity_print(buf, who) end)
end

--- Signs a payload of any content.
function keys:sign(payload)
  return net.written(function(buf) core.token_sign(self.handle, net.bytes(payload), buf) end)
end

--- The claims as a table, or nil and the sentence.
function keys:verify(token)
  local claims, diag = ffi.new "struct token_claims", ffi.new "struct diag"
  local code = core.token_verify(self.judge, net.bytes(token), claims, diag)
  if code ~= 0 then return nil, ffi.string(diag.text) end
  local result = {
    issuer = ffi.string(claims.issuer),
    subject = ffi.string(claims.subject),
    identity = net.written(function(buf) core.identity_print(buf, claims.who) end),
    issued_at = tonumber(claims.issued_at),
    expires_at = claims.expires and tonumber(claims.expires_at) or nil,
    payload = ffi.string(claims.payload.at, claims.payload.size),
  }
  core.token_claims_deinit(claims)
  return result
end

--- A token for the same claims that lives `seconds`.
function keys:resign(token, seconds)
  local claims, diag = ffi.new "struct token_claims", ffi.new "struct diag"
  assert(core.token_verify(self.judge, net.bytes(token), claims, diag) == 0)
  local resigned = net.written(function(buf) core.token_resign(self.handle, claims, seconds, buf) end)
  core.token_claims_deinit(claims)
  return resigned
end

function keys:public_pem()
  return core.text(core.token_keys_public_pem(self.handle))
end

-- The echo engine

local CLOSE_ON_EXEC = 0x80000 -- an engine that inherited another's input would keep it from ending

local function spawn(path, args)
  local input, output = ffi.new "int[2]", ffi.new "int[2]"
  assert(C.net_pipe(input, CLOSE_ON_EXEC) == 0 and C.net_pipe(output, CLOSE_ON_EXEC) == 0)
  local argv = ffi.new("const char *[?]", #args + 2)
  argv[0] = path
  for idx, arg in ipairs(args) do argv[idx] = arg end
  local pid = C.net_fork()
  if pid == 0 then
    C.net_dup2(input[0], 0)
    C.net_dup2(output[1], 1)
    C.net_execv(path, argv)
    C.net_exit(127)
  end
  C.net_close(input[0])
  C.net_close(output[1])
  return pid, input[1], output[0]
end

local function read_line(fd)
  local line, byte = {}, ffi.new "char[1]"
  while C.net_read(fd, byte, 1) == 1 and byte[0] ~= 10 do
    line[#line + 1] = string.char(byte[0])
  end
  return table.concat(line)
end

local engine = {}
engine.__index = engine

--- Starts spec/net/echo_engine.c: { ping_interval_us, idle_timeout_us, sweep_us, keys_dir }. Its port is in `port`.
function net.start_engine(options)
  options = options or {}
  local dir = options.keys_dir or net.make_dir()
  local path = os.getenv "STDB_ECHO" or "build/echo-engine"
  local pid, input, output = spawn(path, {
    dir, "127.0.0.1:0", tostring(options.ping_interval_us or 0), tostring(options.idle_timeout_us or 0),
    tostring(options.sweep_us or 0),
  })
  local port = tonumber(read_line(output))
  assert(port, path .. " does not start")
  return setmetatable({ port = port, pid = pid, input = input, output = output, keys_dir = dir }, engine)
end

--- Ends it and returns its exit status: 0 when all went well, sanitizers included.
function engine:stop()
  local status = ffi.new "int[1]"
  C.net_close(self.input)
  C.net_waitpid(self.pid, status, 0)
  C.net_close(self.output)
  net.remove_dir(self.keys_dir)
  return status[0]
end

--- The most memory that it has had until now, in bytes.
function engine:resident_peak()
  local file = assert(io.open(("/proc/%d/status"):format(self.pid)))
  local kibibytes = file:read("*a"):match "VmHWM:%s*(%d+)"
  file:close()
  return tonumber(kibibytes) * 1024
end

--- An HTTP request: method, path, headers, body.
function engine:request(options)
  options.port = self.port
  return ws_client.request(options)
end

--- A WebSocket on the database `echo`: protocol ("v3" or "v2"), query, headers.
function engine:connect(options)
  options = options or {}
  return ws_client.connect {
    port = self.port,
    path = options.path or "/v1/database/echo/subscribe" .. (options.query or ""),
    protocols = options.protocols or { (options.protocol or "v3") .. ".bsatn.spacetimedb" },
    headers = options.headers,
    method = options.method,
  }
end

return net
