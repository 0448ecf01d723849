--- Where values are written before C gets them: one growing buffer, and small ones of fixed size.
--
-- Nothing in here runs the module's code, so nobody can come in between while a buffer is half full.
local use = ...
local ffi = require "ffi"
local source, blame = use "source", use "blame"

local FIRST = 65536
local MAX = 64 * 1024 * 1024 -- far above what a message or a row may be

-- A struct of 16 bytes, which LuaJIT takes for a constant: its fields are loads from a known address.
local out = ffi.new("struct { uint8_t *at; uint32_t size; }")
local anchors = {}

local function grow(size)
  if size > MAX then
    blame.raise("a value takes at most %d MiB", MAX / 1024 / 1024)
  end
  local larger = math.max(FIRST, 2 * out.size, size)
  local bytes = ffi.new("uint8_t[?]", larger)
  ffi.copy(bytes, out.at, out.size)
  out.at, out.size, anchors.out = bytes, larger, bytes
end
grow(FIRST)

source.share("out", out)
--- room(n, size): the pointer to offset `n` of the buffer, with room for `size` bytes there. Good until the
-- next room().
local room = source.compile("out", [[
return function(n, size)
  if n + size > out.size then
    grow(n + size)
  end
  return out.at + n
end]], { grow = grow })
source.share("room", room)

return {
  bytes = out,
  room = room,

  --- Memory for values of a fixed size, kept for as long as the VM lives.
  buffer = function(size)
    local bytes = ffi.new("uint8_t[?]", math.max(size, 1))
    anchors[#anchors + 1] = bytes
    return ffi.cast("uint8_t *", bytes)
  end,
}
