--- Writes files as one C source: a table of names and bytes that src/host/bundle.h declares. Lua goes in as the
-- bytecode of the LuaJIT that runs this, which is the one the program is linked with: a VM that is made after a
-- killed call or for a new version of a module would spend most of its time on parsing.
-- Usage: luajit tools/embed.lua OUT ROOT FILE...
local out_path, root = arg[1], arg[2]
if not (out_path and root) then
  io.stderr:write("usage: luajit tools/embed.lua OUT ROOT FILE...\n")
  os.exit(2)
end

--- "lua/stdb/boot.lua" is the chunk "stdb/boot". Lines stay known: errors name them.
local function compile(name, text)
  local chunk_name = "=" .. name:gsub("^lua/", ""):gsub("%.lua$", "")
  return string.dump(assert(loadstring(text, chunk_name)))
end

local parts = { '#include "host/bundle.h"\n\n' }
local entries = {}
for idx = 3, #arg do
  local file = assert(io.open(arg[idx], "rb"))
  local text = file:read("*a")
  file:close()
  local name = arg[idx]:sub(#root + 2)
  if name:find "%.lua$" then
    text = compile(name, text)
  end
  local bytes = {}
  for at = 1, #text do
    bytes[at] = text:byte(at)
  end
  parts[#parts + 1] = ("static const uint8_t file_%d[] = { %s };\n"):format(idx, table.concat(bytes, ","))
  entries[#entries + 1] = ('    { "%s", { file_%d, %d } },\n'):format(name, idx, #text)
end
parts[#parts + 1] = "\nconst struct bundle_file bundle_files[] = {\n" .. table.concat(entries) .. "};\n"
parts[#parts + 1] = ("const uint32_t bundle_file_count = %d;\n"):format(#entries)

os.execute(("mkdir -p '%s'"):format(out_path:match("^(.*)/[^/]*$") or "."))
local out = assert(io.open(out_path, "wb"))
out:write(table.concat(parts))
out:close()
