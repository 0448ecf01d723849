--- A small blocking HTTP/1.1 and WebSocket client for specs, on Debian's lua-socket.
--
-- It can be polite, and it can break the protocol on purpose: every frame's bits are the caller's to choose.
--
--     local answer = ws_client.request { port = 3000, method = "POST", path = "/v1/identity", body = "" }
--     local client = assert(ws_client.connect { port = 3000, path = "/v1/database/chat/subscribe",
--                                               protocols = { "v3.bsatn.spacetimedb" } })
--     client:send(bytes)
--     local message = assert(client:receive(2))
--     client:close(1000, "done")
--
-- Every wait has an end: what takes longer than `timeout` seconds (5 when not given) returns nil, "timeout".
local bit = require "bit"
local ffi = require "ffi"
local socket = require "socket"

local byte, char, concat = string.byte, string.char, table.concat
local band, bor, bxor, rshift = bit.band, bit.bor, bit.bxor, bit.rshift

local TIMEOUT = 5

local OPCODES = { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 }
local OPCODE_NAMES = {}
for name, code in pairs(OPCODES) do OPCODE_NAMES[code] = name end

-- Bytes

--- A stream with a buffer: reads exactly as much as asked, and keeps what came early.
local stream = {}
stream.__index = stream

local function open_stream(host, port, timeout)
  local tcp = assert(socket.tcp())
  tcp:settimeout(timeout or TIMEOUT)
  local ok, reason = tcp:connect(host or "127.0.0.1", port)
  if not ok then
    tcp:close()
    return nil, reason
  end
  tcp:setoption("tcp-nodelay", true)
  return setmetatable({ tcp = tcp, early = "" }, stream)
end

--- Waits until `deadline` for more bytes.
function stream:fill(deadline, wanted)
  self.tcp:settimeout(math.max(deadline - socket.gettime(), 0))
  local data, reason, partial = self.tcp:receive(wanted)
  data = data or partial
  if data and #data > 0 then
    self.early = self.early .. data
    return true
  end
  return nil, reason
end

function stream:take(size)
  local taken = self.early:sub(1, size)
  self.early = self.early:sub(size + 1)
  return taken
end

function stream:read(size, deadline)
  while #self.early < size do
    local ok, reason = self:fill(deadline, size - #self.early)
    if not ok then return nil, reason end
  end
  return self:take(size)
end

function stream:read_until(mark, deadline)
  while true do
    local _, last = self.early:find(mark, 1, true)
    if last then return self:take(last) end
    local ok, reason = self:fill(deadline, 1)
    if not ok then return nil, reason end
  end
end

--- Everything until the other side closes.
function stream:read_all(deadline)
  while true do
    local ok, reason = self:fill(deadline, 65536)
    if not ok then return reason == "closed" and self:take(#self.early) or nil, reason end
  end
end

function stream:write(data)
  self.tcp:settimeout(TIMEOUT)
  local sent, reason = self.tcp:send(data)
  if not sent then return nil, reason end
  return true
end

function stream:shut()
  self.tcp:close()
end

-- HTTP

local function request_head(options)
  local lines = {
    ("%s %s HTTP/1.1"):format(options.method or "GET", options.path or "/"),
    "Host: " .. (options.host or "127.0.0.1") .. ":" .. options.port,
  }
  for name, value in pairs(options.headers or {}) do
    lines[#lines + 1] = name .. ": " .. value
  end
  if options.body then lines[#lines + 1] = "Content-Length: " .. #options.body end
  return concat(lines, "\r\n") .. "\r\n\r\n"
end

--- Status, and headers by lower-case name.
local function read_head(from, deadline)
  local head, reason = from:read_until("\r\n\r\n", deadline)
  if not head then return nil, reason end
  local response = { status = tonumber(head:match "^HTTP/1%.%d (%d%d%d)"), headers = {}, head = head }
  for name, value in head:gmatch "\r\n([^:\r\n]+):[ \t]*([^\r\n]*)" do
    response.headers[name:lower()] = value
  end
  return response
end

local function read_chunk(from, deadline)
  local line, reason = from:read_until("\r\n", deadline)
  if not line then return nil, reason end
  local chunk = from:read(tonumber(line, 16), deadline)
  if not chunk or not from:read(2, deadline) then return nil, "timeout" end
  return chunk
end

local function read_chunks(from, deadline)
  local chunks = {}
  repeat
    local chunk, reason = read_chunk(from, deadline)
    if not chunk then return nil, reason end
    chunks[#chunks + 1] = chunk
  until chunk == ""
  return concat(chunks)
end

local function read_body(from, response, deadline)
  local headers = response.headers
  if response.status == 204 or response.status == 101 then return "" end
  if headers["transfer-encoding"] == "chunked" then return read_chunks(from, deadline) end
  if headers["content-length"] then return from:read(tonumber(headers["content-length"]), deadline) end
  return from:read_all(deadline)
end

--- A connection that carries one request after another.
local connection = {}
connection.__index = connection

--- Sends a request: method, path, headers, body.
function connection:send_request(options)
  options.host, options.port = self.host, self.port
  return self.stream:write(request_head(options) .. (options.body or ""))
end

--- Sends any bytes.
function connection:send_raw(data)
  return self.stream:write(data)
end

--- The next response: { status, headers, body, head }. `head_only` for answers to HEAD.
function connection:read_response(timeout, head_only)
  local deadline = socket.gettime() + (timeout or TIMEOUT)
  local response, reason = read_head(self.stream, deadline)
  if not response then return nil, reason end
  if head_only then return response end
  response.body, reason = read_body(self.stream, response, deadline)
  if not response.body then return nil, reason end
  return response
end

--- The head of a response whose body comes in chunks; read these with read_chunk().
function connection:read_head(timeout)
  return read_head(self.stream, socket.gettime() + (timeout or TIMEOUT))
end

--- One chunk of such a body; "" is the last.
function connection:read_chunk(timeout)
  return read_chunk(self.stream, socket.gettime() + (timeout or TIMEOUT))
end

function connection:request(options)
  local ok, reason = self:send_request(options)
  if not ok then return nil, reason end
  return self:read_response(options.timeout, options.method == "HEAD")
end

--- True when the other side closes within the time.
function connection:is_closed(timeout)
  local _, reason = self.stream:read(1, socket.gettime() + (timeout or TIMEOUT))
  return reason == "closed"
end

function connection:shut()
  self.stream:shut()
end

local ws_client = {}

--- Opens a connection for HTTP requests.
function ws_client.open(options)
  local opened, reason = open_stream(options.host, options.port, options.timeout)
  if not opened then return nil, reason end
  return setmetatable({ stream = opened, host = options.host, port = options.port }, connection)
end

--- One request on a connection of its own: host, port, method, path, headers, body, timeout.
function ws_client.request(options)
  local opened, reason = ws_client.open(options)
  if not opened then return nil, reason end
  local response
  response, reason = opened:request(options)
  opened:shut()
  return response, reason
end

-- WebSocket

local function mask_payload(payload, key)
  local size = #payload
  local bytes = ffi.new("uint8_t[?]", size)
  ffi.copy(bytes, payload, size)
  local keys = ffi.new("uint8_t[4]", byte(key, 1, 4))
  for idx = 0, size - 1 do
    bytes[idx] = bxor(bytes[idx], keys[band(idx, 3)])
  end
  return ffi.string(bytes, size)
end

local function size_bytes(size, count)
  local bytes = {}
  for idx = count, 1, -1 do
    bytes[idx] = char(size % 256)
    size = math.floor(size / 256)
  end
  return concat(bytes)
end

--- The bytes of a frame: opcode (name or number), payload, fin, rsv (0 to 7), masked; `size` lies about the size.
function ws_client.frame(options)
  local payload = options.payload or ""
  local size = options.size or #payload
  local opcode = OPCODES[options.opcode or "binary"] or options.opcode
  local masked = options.masked ~= false
  local first = bor(options.fin == false and 0 or 0x80, (options.rsv or 0) * 16, opcode)
  local mask_bit = masked and 0x80 or 0
  local head
  if size < 126 then
    head = char(first, bor(mask_bit, size))
  elseif size < 65536 then
    head = char(first, bor(mask_bit, 126)) .. size_bytes(size, 2)
  else
    head = char(first, bor(mask_bit, 127)) .. size_bytes(size, 8)
  end
  if not masked then return head .. payload end
  local key = options.key or char(math.random(0, 255), math.random(0, 255), math.random(0, 255), math.random(0, 255))
  return head .. key .. mask_payload(payload, key)
end

local client = {}
client.__index = client

--- One message in one frame. Binary unless told otherwise.
function client:send(payload, opcode)
  return self.stream:write(ws_client.frame { payload = payload, opcode = opcode })
end

--- One frame of any shape.
function client:send_frame(options)
  return self.stream:write(ws_client.frame(options))
end

--- One message in frames of at most `size` bytes.
function client:send_fragments(payload, size)
  local frames, at = {}, 1
  repeat
    frames[#frames + 1] = ws_client.frame {
      opcode = at == 1 and "binary" or "continuation",
      payload = payload:sub(at, at + size - 1),
      fin = at + size > #payload,
    }
    at = at + size
  until at > #payload
  return self.stream:write(concat(frames))
end

function client:send_raw(data)
  return self.stream:write(data)
end

local function frame_size(from, second, deadline)
  local size = band(byte(second), 0x7f)
  if size < 126 then return size end
  local bytes, reason = from:read(size == 126 and 2 or 8, deadline)
  if not bytes then return nil, reason end
  size = 0
  for idx = 1, #bytes do size = size * 256 + byte(bytes, idx) end
  return size
end

--- The next frame as it came: { opcode, fin, rsv, masked, payload }; nil, "timeout" or "closed".
function client:receive_frame(timeout)
  local deadline = socket.gettime() + (timeout or TIMEOUT)
  local start, reason = self.stream:read(2, deadline)
  if not start then return nil, reason end
  local first, second = byte(start, 1, 2)
  local size
  size, reason = frame_size(self.stream, start:sub(2), deadline)
  if not size then return nil, reason end
  local payload
  payload, reason = self.stream:read(size, deadline)
  if not payload then return nil, reason end
  return {
    opcode = OPCODE_NAMES[band(first, 15)] or band(first, 15),
    fin = first >= 0x80,
    rsv = band(rshift(first, 4), 7),
    masked = second >= 0x80,
    payload = payload,
  }
end

--- The payload of the oldest pong not yet asked for; waits for it when there is none. Messages must have been received.
function client:receive_pong(timeout)
  if #self.pongs > 0 then return table.remove(self.pongs, 1) end
  local frame, reason = self:receive_frame(timeout)
  if not frame then return nil, reason end
  assert(frame.opcode == "pong", "not a pong but " .. frame.opcode)
  return frame.payload
end

local function close_parts(payload)
  if #payload < 2 then return nil, "" end
  local high, low = byte(payload, 1, 2)
  return high * 256 + low, payload:sub(3)
end

--- The next message: its payload and opcode. Pings are answered (unless `client.silent`), pongs and pings counted.
-- At the end: nil, "close", code, reason for a close frame; nil, "closed" without one; nil, "timeout".
function client:receive(timeout)
  local deadline = socket.gettime() + (timeout or TIMEOUT)
  local parts, opcode = {}, nil
  while true do
    local frame, reason = self:receive_frame(math.max(deadline - socket.gettime(), 0))
    if not frame then return nil, reason end
    if frame.opcode == "close" then
      self.close_payload = frame.payload
      return nil, "close", close_parts(frame.payload)
    elseif frame.opcode == "ping" then
      self.pings[#self.pings + 1] = frame.payload
      if not self.silent then self:send_frame { opcode = "pong", payload = frame.payload } end
    elseif frame.opcode == "pong" then
      self.pongs[#self.pongs + 1] = frame.payload
    else
      parts[#parts + 1] = frame.payload
      opcode = opcode or frame.opcode
      if frame.fin then return concat(parts), opcode end
    end
  end
end

--- Says goodbye: sends a close frame and waits for the answer, as receive() returns it.
function client:close(code, reason, timeout)
  local payload = code and size_bytes(code, 2) .. (reason or "") or ""
  self:send_frame { opcode = "close", payload = payload }
  while true do
    local message, kind, answer_code, answer_reason = self:receive(timeout)
    if not message then
      self:shut()
      return kind, answer_code, answer_reason
    end
  end
end

--- Answers a close frame that receive() has returned.
function client:echo_close()
  return self:send_frame { opcode = "close", payload = self.close_payload or "" }
end

--- True when the other side closes the connection within the time, whatever it sends before.
function client:is_closed(timeout)
  local _, reason = self.stream:read_all(socket.gettime() + (timeout or TIMEOUT))
  return reason == "closed"
end

--- Goes without a word.
function client:shut()
  self.stream:shut()
end

--- Handshake: host, port, path, protocols (a list), headers (added or, with the value false, left out), method,
-- behind (bytes that follow the request at once).
-- Returns the client, with the server's answer in `response`; or nil, the answer; or nil, the reason of the socket.
function ws_client.connect(options)
  local opened, reason = open_stream(options.host, options.port, options.timeout)
  if not opened then return nil, reason end
  local headers = {
    Connection = "Upgrade",
    Upgrade = "websocket",
    ["Sec-WebSocket-Version"] = "13",
    ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==",
    ["Sec-WebSocket-Protocol"] = options.protocols and concat(options.protocols, ", "),
  }
  for name, value in pairs(options.headers or {}) do headers[name] = value or nil end
  opened:write(request_head { host = options.host, port = options.port, method = options.method, path = options.path,
                              headers = headers } .. (options.behind or ""))
  local deadline = socket.gettime() + (options.timeout or TIMEOUT)
  local response
  response, reason = read_head(opened, deadline)
  if not response then
    opened:shut()
    return nil, reason
  end
  if response.status ~= 101 then
    response.body = read_body(opened, response, deadline)
    opened:shut()
    return nil, response
  end
  return setmetatable({ stream = opened, response = response, pings = {}, pongs = {} }, client)
end

--- Seconds, for measuring waits.
ws_client.now = socket.gettime
ws_client.sleep = socket.sleep

return ws_client
