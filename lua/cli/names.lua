--- names: what to say of a name that is none: the nearest one, and some of those there are.
local ffi = require "ffi"

ffi.cdef "int32_t stdb_nearest(const char *wanted, uint32_t wanted_size, const char *names, uint32_t names_size);"

local names = {}

local SHOWN = 10

local function nearest(wanted, known)
  local joined = table.concat(known, "\n")
  local place = ffi.C.stdb_nearest(wanted, #wanted, joined, #joined)
  return place >= 0 and (" Did you mean `%s`?"):format(known[place + 1]) or ""
end

--- " Did you mean `name`? It has: name, other", and at most ten of them; nothing when there are none.
function names.advice(wanted, known)
  if #known == 0 then return "" end
  local rest = #known > SHOWN and (" and %d more"):format(#known - SHOWN) or ""
  return nearest(wanted, known) .. " It has: " .. table.concat(known, ", ", 1, math.min(SHOWN, #known)) .. rest
end

return names
