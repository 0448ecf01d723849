--- How many columns a terminal needs for a text: combining marks take none, most of East Asia's characters two.
local ffi = require "ffi"

ffi.cdef [[
int wcwidth(int32_t code);
char *setlocale(int category, const char *locale);
]]

local LC_CTYPE = 0
ffi.C.setlocale(LC_CTYPE, "C.UTF-8")

-- The number of a character.
local function code_of(char)
  local first = char:byte()
  local code = first < 0x80 and first or first < 0xE0 and first % 0x20 or first < 0xF0 and first % 0x10 or first % 0x08
  for idx = 2, #char do code = code * 64 + char:byte(idx) % 64 end
  return code
end

---@param text string UTF-8
---@return integer
return function(text)
  if not text:find "[\128-\255]" then return #text end
  local width = 0
  for char in text:gmatch "[%z\1-\127\192-\255][\128-\191]*" do
    width = width + math.max(ffi.C.wcwidth(code_of(char)), 0)
  end
  return width
end
