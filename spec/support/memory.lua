--- What the process holds of the heap, for specs about what is given back.
local ffi = require "ffi"

ffi.cdef [[
struct mallinfo_sizes { size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost; };
struct mallinfo_sizes mallinfo2(void);
size_t __sanitizer_get_current_allocated_bytes(void);
]]

local memory = {}

local function sanitizer_bytes()
  return tonumber(ffi.C.__sanitizer_get_current_allocated_bytes())
end

--- Bytes that are allocated by C in this process. LuaJIT's own memory is elsewhere.
function memory.allocated()
  local sanitized, bytes = pcall(sanitizer_bytes)
  if sanitized then return bytes end
  local sizes = ffi.C.mallinfo2()
  return tonumber(sizes.uordblks + sizes.hblkhd)
end

--- The same after all is freed that earlier specs have left to Lua's collector: it must not go while something is measured.
function memory.settled()
  collectgarbage()
  collectgarbage() -- what the first one has finalized
  return memory.allocated()
end

--- Bytes that another process holds, without mapped files; nil where sanitizers hold more than the program does.
function memory.of_process(pid)
  if pcall(sanitizer_bytes) then return nil end
  local file = assert(io.open(("/proc/%d/status"):format(pid)))
  local kilobytes = file:read("*a"):match "RssAnon:%s*(%d+) kB"
  file:close()
  return tonumber(kilobytes) * 1024
end

return memory
