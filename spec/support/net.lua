--- What the specs of src/net stand on: the core's tokens by FFI, and the echo engine as a process.
-- All specs share one space of C names, so those here have a prefix.
local ffi = require "ffi"
local ws_client = require "spec.support.ws_client"

ffi.cdef [[
typedef struct net_bytes { const uint8_t *at; size_t size; } net_bytes;
typedef struct net_buf { uint8_t *data; size_t size; size_t capacity; } net_buf;
typedef struct net_identity { uint8_t at[32]; } net_identity;
struct net_diag { int32_t code; char text[1500]; };
struct net_claims {
  char issuer[129], subject[129];
  net_identity who;
  int64_t issued_at;
  bool expires;
  int64_t expires_at;
  net_bytes payload;
  net_buf storage;
};
struct net_token_keys;
const void *net_disk_real(void) __asm__("disk_real");
int32_t net_token_keys_open(struct net_token_keys **keys, const void *disk, const char *dir, struct net_diag *diag)
  __asm__("token_keys_open");
void net_token_keys_free(struct net_token_keys *keys) __asm__("token_keys_free");
net_bytes net_token_keys_public_pem(const struct net_token_keys *keys) __asm__("token_keys_public_pem");
void net_token_mint(const struct net_token_keys *keys, net_buf *token, net_identity *who) __asm__("token_mint");
int32_t net_token_verify(const struct net_token_keys *keys, net_bytes token, struct net_claims *claims,
                         struct net_diag *diag) __asm__("token_verify");
void net_token_resign(const struct net_token_keys *keys, const struct net_claims *claims, int64_t seconds,
                      net_buf *token) __asm__("token_resign");
void net_token_sign(const struct net_token_keys *keys, net_bytes payload, net_buf *token) __asm__("token_sign");
void net_token_claims_deinit(struct net_claims *claims) __asm__("token_claims_deinit");
void net_identity_print(net_buf *out, const net_identity *value) __asm__("identity_print");
void net_base64url_encode(net_buf *out, net_bytes from) __asm__("base64url_encode");
bool net_base64url_decode(net_buf *out, net_bytes text) __asm__("base64url_decode");
void net_buf_deinit(net_buf *buf) __asm__("buf_deinit");

int net_pipe(int fds[2]) __asm__("pipe");
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
local core = ffi.load(os.getenv "STDB_CORE" or "build/libstdb-core.so")

local net = { core = core, client = ws_client }

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

--- A view of a string, good while the caller holds the string.
function net.bytes(text)
  return ffi.new("net_bytes", ffi.cast("const uint8_t *", text), #text)
end

--- Calls `fill` with a buffer; what it wrote, as a string.
function net.collect(fill)
  local buf = ffi.new "net_buf"
  fill(buf)
  local text = ffi.string(buf.data, buf.size)
  core.net_buf_deinit(buf)
  return text
end

-- Tokens

local keys = {}
keys.__index = keys

--- The keys of a folder; nil and the sentence when they cannot be had.
function net.open_keys(dir)
  local out, diag = ffi.new "struct net_token_keys *[1]", ffi.new "struct net_diag"
  local code = core.net_token_keys_open(out, core.net_disk_real(), dir, diag)
  if code ~= 0 then return nil, ffi.string(diag.text) end
  return setmetatable({ handle = ffi.gc(out[0], core.net_token_keys_free) }, keys)
end

function keys:mint()
  local who = ffi.new "net_identity"
  local token = net.collect(function(buf) core.net_token_mint(self.handle, buf, who) end)
  return token, net.collect(function(buf) core.net_identity_print(buf, who) end)
end

--- Signs a payload of any content.
function keys:sign(payload)
  return net.collect(function(buf) core.net_token_sign(self.handle, net.bytes(payload), buf) end)
end

--- The claims as a table, or nil and the sentence.
function keys:verify(token)
  local claims, diag = ffi.new "struct net_claims", ffi.new "struct net_diag"
  local code = core.net_token_verify(self.handle, net.bytes(token), claims, diag)
  if code ~= 0 then return nil, ffi.string(diag.text) end
  local result = {
    issuer = ffi.string(claims.issuer),
    subject = ffi.string(claims.subject),
    identity = net.collect(function(buf) core.net_identity_print(buf, claims.who) end),
    issued_at = tonumber(claims.issued_at),
    expires_at = claims.expires and tonumber(claims.expires_at) or nil,
    payload = ffi.string(claims.payload.at, claims.payload.size),
  }
  core.net_token_claims_deinit(claims)
  return result
end

--- A token for the same claims that lives `seconds`.
function keys:resign(token, seconds)
  local claims, diag = ffi.new "struct net_claims", ffi.new "struct net_diag"
  assert(core.net_token_verify(self.handle, net.bytes(token), claims, diag) == 0)
  local resigned = net.collect(function(buf) core.net_token_resign(self.handle, claims, seconds, buf) end)
  core.net_token_claims_deinit(claims)
  return resigned
end

function keys:public_pem()
  local pem = core.net_token_keys_public_pem(self.handle)
  return ffi.string(pem.at, pem.size)
end

-- The echo engine

local function spawn(path, args)
  local input, output = ffi.new "int[2]", ffi.new "int[2]"
  assert(C.net_pipe(input) == 0 and C.net_pipe(output) == 0)
  local argv = ffi.new("const char *[?]", #args + 2)
  argv[0] = path
  for idx, arg in ipairs(args) do argv[idx] = arg end
  local pid = C.net_fork()
  if pid == 0 then
    C.net_dup2(input[0], 0)
    C.net_dup2(output[1], 1)
    C.net_close(input[1])
    C.net_close(output[0])
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

--- Starts spec/net/echo_engine.c: { ping_interval_us, idle_timeout_us, keys_dir }. Its port is in `port`.
function net.start_engine(options)
  options = options or {}
  local dir = options.keys_dir or net.make_dir()
  local path = os.getenv "STDB_ECHO" or "build/echo-engine"
  local pid, input, output = spawn(path, {
    dir, "127.0.0.1:0", tostring(options.ping_interval_us or 0), tostring(options.idle_timeout_us or 0),
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
