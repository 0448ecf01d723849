--- Runs modules in spec/host/host_driver.c, a process of its own: signals and faults are not for busted's.
local host = {}

local core = os.getenv("STDB_CORE") or "build/libstdb-core.so"
local driver = core:match("^(.*)/[^/]*$") .. "/host_driver"

-- Under AddressSanitizer freed memory is kept for a while; a spec that looks at the memory wants little of that.
local ASAN = "ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64:$ASAN_OPTIONS"

local function quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

local function write_file(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

--- A new folder with these files: { ["module.lua"] = text }.
function host.folder(files)
  local pipe = assert(io.popen("mktemp -d"))
  local folder = pipe:read("*l")
  pipe:close()
  for name, text in pairs(files) do
    os.execute("mkdir -p " .. quote((folder .. "/" .. name):match("^(.*)/")))
    write_file(folder .. "/" .. name, text)
  end
  return folder
end

--- What the driver prints for a module (its text, or a table of files), and whether it ended in order.
function host.run(module, ...)
  local folder = host.folder(type(module) == "table" and module or { ["module.lua"] = module })
  local words = { ASAN, "timeout 60", quote(driver) }
  local arguments = { ... }
  local limits = {}
  while arguments[1] and arguments[1]:find("^%a+=%d+$") do
    limits[#limits + 1] = quote(table.remove(arguments, 1))
  end
  words[#words + 1] = table.concat(limits, " ")
  words[#words + 1] = quote(folder)
  for idx = 1, #arguments do
    words[#words + 1] = quote(arguments[idx])
  end
  local pipe = assert(io.popen("exec 2>&1; env " .. table.concat(words, " ") .. "; echo \"exit $?\""))
  local output = pipe:read("*a")
  pipe:close()
  os.execute("rm -rf " .. quote(folder))
  local text, code = output:match("^(.*)exit (%d+)\n$")
  return text, code == "0"
end

--- The number behind a word of the driver's, the last one: "memory: 3072".
function host.number(output, word)
  return tonumber(output:match(".*" .. word .. ": ([%d.]+)"))
end

return host
