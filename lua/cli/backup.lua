--- stdb-lua backup: a database in one file, from a running server or from a stopped one's data directory.
local json = require "cli.json"
local server = require "cli.server"

local MAGIC, HEAD_SIZE, AROUND = "STDBBACK", 160, 160 + 16

--- A little-endian number that a double holds.
local function number_at(text, place)
  local value = 0
  for idx = place + 7, place, -1 do value = value * 256 + text:byte(idx) end
  return value
end

--- Takes the pieces of an answer: a backup goes into the file, anything else is a refusal.
local function taker(host, file)
  local taken = { size = 0, head = "", refusal = {} }
  return taken, function(piece)
    taken.head = taken.head .. piece:sub(1, HEAD_SIZE - #taken.head)
    if taken.head:sub(1, #MAGIC) ~= MAGIC:sub(1, #taken.head) then
      taken.refusal[#taken.refusal + 1] = piece
      return
    end
    assert(file:write(piece))
    taken.size = taken.size + #piece
    local whole = #taken.head == HEAD_SIZE and number_at(taken.head, 73) + AROUND or 0
    host.meter("receiving the backup", taken.size, whole)
  end
end

local function receive(host, options, database, path)
  local file = assert(io.open(path .. ".part", "wb"))
  local taken, take = taker(host, file)
  local status, _, cut = server.new(host, options):request("POST", ("/v1/database/%s/backup"):format(server.escape(database)),
    "", nil, take)
  local stored, complaint = file:close()
  if status ~= 200 then return nil, table.concat(taken.refusal) end
  if cut then return nil, "the server has gone: " .. cut end
  if not stored then return nil, complaint end
  return host.backup_finish(path)
end

local function from_server(host, options, database, path)
  local begun, message = host.backup_begin(path)
  if not begun then return nil, message end
  local worked, about, refusal = pcall(receive, host, options, database, path)
  if not worked or not about then host.backup_abandon(path) end
  if not worked then error(about, 0) end
  return about, refusal
end

return {
  arguments = "DATABASE FILE",
  about = "Writes all of a database into one file: its tables, its module, its identity, as they are at one moment. A\n"
    .. "running server goes on meanwhile; only the owner may ask it. `stdb-lua restore FILE` makes a database of it.",
  options = server.with_options {
    { "--data-dir", "DIR", "take it from the data directory of a stopped server" },
  },
  positionals = { 2, 2 },
  run = function(host, options, positionals)
    local database, path = positionals[1], positionals[2]
    local about, message
    if options.data_dir then
      about, message = host.backup_write(options.data_dir, database, path)
    else
      about, message = from_server(host, options, database, path)
    end
    if not about then
      io.stderr:write(message, "\n")
      return 1
    end
    about = json.decode(about)
    print(("%s at offset %s is in %s (%.1f MB)"):format(about.name, about.offset.number, path, about.size.number / 1e6))
    return 0
  end,
}
