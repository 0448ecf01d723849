--- stdb-lua list: the databases of a running server that are ours, or those in a data directory.
local json = require "cli.json"
local server = require "cli.server"

local function get(running, path)
  local status, answer = running:request("GET", path)
  if status ~= 200 then error(answer, 0) end
  return json.decode(answer)
end

local function on_server(host, options)
  local running, names = server.new(host, options), {}
  for _, identity in ipairs(get(running, "/v1/identity/" .. running:identity() .. "/databases").identities) do
    names[#names + 1] = get(running, ("/v1/database/%s/names"):format(identity)).names[1] .. "  " .. identity
  end
  table.sort(names)
  return names
end

return {
  arguments = "",
  about = "Shows the databases that are yours on a running server, with their identities; with --data-dir those in a\n"
    .. "directory, by name.",
  options = server.with_options {
    { "--data-dir", "DIR", "those in this data directory; a server may run on it" },
  },
  positionals = { 0, 0 },
  run = function(host, options)
    local names, message
    if options.data_dir then
      names, message = host.databases(options.data_dir)
    else
      names = on_server(host, options)
    end
    if not names then
      io.stderr:write(message, "\n")
      return 1
    end
    for _, name in ipairs(names) do print(name) end
    return 0
  end,
}
