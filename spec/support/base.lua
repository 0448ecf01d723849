--- The lowest layer of the core through the FFI: hashes, numbers, text, maps, the real disk.
local ffi = require "ffi"

local C = require "spec.support.core"

local base = { C = C, bytes = C.bytes, written = C.written }

function base.hex(text) return (text:gsub(".", function(char) return ("%02x"):format(char:byte()) end)) end
function base.unhex(text) return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)) end

local function digest(hash, text)
  local out = ffi.new "uint8_t[32]"
  hash(text, #text, out)
  return base.hex(ffi.string(out, 32))
end

function base.blake3(text) return digest(C.blake3, text) end
function base.keccak256(text) return digest(C.keccak256, text) end
function base.crc32c(text, seed) return C.crc32c(seed or 0, text, #text) end
function base.crc32c_portable(text, seed) return C.crc32c_portable(seed or 0, text, #text) end

function base.u32_bytes(number)
  return ffi.string(ffi.new("uint32_t[1]", number), 4)
end

--- Decimal text to little-endian bytes, or nil.
function base.number_parse(text, size, is_signed)
  local out = ffi.new("uint8_t[?]", size)
  return C.number_parse(base.bytes(text), out, size, is_signed) and ffi.string(out, size) or nil
end

function base.number_print(bytes, is_signed)
  return base.written(C.number_print, bytes, #bytes, is_signed)
end

function base.number_print_hex(bytes, is_signed)
  return base.written(C.number_print_hex, bytes, #bytes, is_signed)
end

function base.nearest(wanted, names)
  local list = ffi.new("bytes[?]", #names)
  for idx, name in ipairs(names) do list[idx - 1] = base.bytes(name) end
  return names[C.text_nearest(base.bytes(wanted), list, #names) + 1]
end

return base
