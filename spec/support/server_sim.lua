--- A server on a simulated disk, without sockets, threads, clock or chance (spec/sim/engine_sim.h), as specs want to
--- speak of it. The FFI leads into another Lua state, that of the module: what calls it is not compiled.
local ffi = require "ffi"
local C = require("spec.support.core").beside "libengine-sim.so"

local Server = {}
Server.__index = Server

local server_sim = { OK = 0, NOT_FOUND = 106, MIGRATION = 207, DISK = 401, CORRUPT = 402, IN_USE = 403 }
local protocols = { ["v1.json"] = 0, v1 = 1, v2 = 2, v3 = 3 }
local steps = { turn = 0, log = 1, snapshot = 2, aside = 3 }

function server_sim.new(disk, seed)
  return setmetatable({ at = ffi.gc(C.server_sim_new(disk.sim, seed), C.server_sim_free), disk = disk }, Server)
end

--- Before the disk goes.
function Server:free()
  C.server_sim_free(ffi.gc(self.at, nil))
  self.at = nil
end

function Server:set_clock(wall_us, monotonic_us) C.server_sim_set_clock(wall_us, monotonic_us) end

--- The code, 0 when it serves. Options: segment_size, log_bytes, interval_us, keep_us, keep_bytes.
function Server:open(module_path, options)
  local given = ffi.new "struct server_sim_options"
  given.module_path, given.segment_size = module_path, options.segment_size
  given.checkpoints = { options.log_bytes, options.interval_us, options.keep_us, options.keep_bytes }
  return C.server_sim_open(self.at, given)
end

function Server:close() C.server_sim_close(self.at) end
function Server:step(what) return C.server_sim_step(self.at, steps[what]) end
function Server:publish(module_path) return C.server_sim_publish(self.at, module_path) end
function Server:text() return ffi.string(C.server_sim_text(self.at)) end
function Server:durable() return tonumber(C.server_sim_durable(self.at)) end
function Server:failures() return C.server_sim_failures(self.at) end

--- Options: protocol, confirmed.
function Server:connect(number, who, connection, options)
  C.server_sim_connect(self.at, number, who, connection, protocols[options.protocol], options.confirmed)
end

function Server:post(number, frame) C.server_sim_post(self.at, number, frame, #frame) end
function Server:disconnect(number) C.server_sim_disconnect(self.at, number) end

local size = ffi.new "size_t[1]"

--- The WebSocket frames that may leave now: see frames().
function Server:receive(number)
  local data = C.server_sim_receive(self.at, number, size)
  return ffi.string(data, size[0])
end

--- nil while it lives, else "gone", "drop" or a close code.
function Server:ending(number)
  local code = C.server_sim_ending(self.at, number)
  if code == 0 then return nil end
  return code == 1 and "drop" or code == 2 and "gone" or code
end

function Server:v1_updates() return tonumber(C.server_sim_v1_updates(self.at)) end
function Server:v1_lists_told() return tonumber(C.server_sim_v1_lists_told(self.at)) end
function Server:v1_lists_shown() return tonumber(C.server_sim_v1_lists_shown(self.at)) end
function Server:limit_v1_messages(size_max) C.server_sim_limit_v1_messages(size_max) end
function Server:release_early(early) C.server_sim_release_early(self.at, early) end
function Server:ask_snapshot() C.server_sim_ask_snapshot(self.at) end
function Server:ask_undo(selection) C.server_sim_ask_undo(self.at, selection) end
function Server:asked_status() return C.server_sim_asked_status(self.at) end

local function split(data)
  if data == nil then return nil end
  local rows, at, last = {}, 0, tonumber(size[0])
  while at < last do
    local count = ffi.cast("const uint32_t *", data + at)[0]
    rows[#rows + 1] = ffi.string(data + at + 4, count)
    at = at + 4 + count
  end
  return rows
end

--- The rows of a table, as bytes; nil when there is none.
function Server:rows(name) return split(C.server_sim_rows(self.at, name, size)) end
--- The same through an index, by its place from 0.
function Server:index_rows(name, place) return split(C.server_sim_index_rows(self.at, name, place, size)) end
function Server:next_value(name) return tonumber(C.server_sim_next_value(self.at, name)) end
function Server:identity() return ffi.string(C.server_sim_identity(self.at)) end
function Server:check_tables() C.server_sim_check_tables(self.at) end
--- The faults on the disk, and the first one's line.
function Server:audit()
  local faults = C.server_sim_audit(self.at)
  return faults, faults > 0 and self:text() or nil
end

function Server:spoil_index(name, place) return C.server_sim_spoil_index(self.at, name, place) end
function Server:spoil_sequence(name, value) C.server_sim_spoil_sequence(self.at, name, value) end
function Server:spoil_row(name) C.server_sim_spoil_row(self.at, name) end
--- True when db/log.copy is the log without its last records.
function Server:copy_log(without) return C.server_sim_copy_log(self.at, without) == server_sim.OK end

for _, method in pairs(Server) do
  if type(method) == "function" then jit.off(method) end
end

--- The payloads of WebSocket frames as they leave a server, not masked.
function server_sim.frames(text)
  local list, at, pieces = {}, 1, {}
  while at <= #text do
    local length, head = text:byte(at + 1), 2
    if length == 126 then
      length, head = text:byte(at + 2) * 256 + text:byte(at + 3), 4
    elseif length == 127 then
      length, head = 0, 10
      for place = at + 2, at + 9 do length = length * 256 + text:byte(place) end
    end
    local first = text:byte(at)
    assert(first % 0x80 <= 2 and (first % 0x80 == 0) == (#pieces > 0), "a frame without a message")
    pieces[#pieces + 1] = text:sub(at + head, at + head + length - 1)
    if first >= 0x80 then list[#list + 1], pieces = table.concat(pieces), {} end
    at = at + head + length
  end
  return list
end

return server_sim
