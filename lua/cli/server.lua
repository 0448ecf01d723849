--- A running server, as the commands see it: where it is, who we are, one request at a time.
local json = require "cli.json"
local misuse = require "cli.misuse"

local server = {}
server.__index = server

--- The options that every command talking to a server has.
server.options = {
  { "--server", "URL", "the server (http://127.0.0.1:3000, or $STDB_SERVER)" },
  { "--token", "TOKEN", "who you are (default: $STDB_TOKEN, or the owner of a server of yours on this machine)" },
  { "--anonymous", false, "be nobody: send no token" },
}

--- Adds a command's own options to the common ones.
function server.with_options(own)
  local all = {}
  for _, option in ipairs(own) do all[#all + 1] = option end
  for _, option in ipairs(server.options) do all[#all + 1] = option end
  return all
end

local function is_here(host)
  return host == "127.0.0.1" or host == "localhost" or host == "[::1]"
end

--- @param host table  what the program lends to commands
--- @param options table  of the command line
function server.new(host, options)
  local url = (options.server or os.getenv "STDB_SERVER" or "http://127.0.0.1:3000"):gsub("/+$", "")
  if not url:find "^%w+://" then url = "http://" .. url end
  local self = setmetatable({ host = host, url = url }, server)
  if not options.anonymous then
    local name, port = url:match "^%w+://([^/]*):(%d+)"
    self.token = options.token or os.getenv "STDB_TOKEN" or (name and is_here(name) and host.token(tonumber(port))) or nil
  end
  return self
end

--- A part of a path. One that is empty, or that every client takes for a way up, names nothing.
function server.escape(text)
  if text == "" or text == "." or text == ".." then misuse("`%s` is no name", text) end
  return (text:gsub("[^%w%-_.~]", function(char) return ("%%%02X"):format(char:byte()) end))
end

--- Raises when the server cannot be reached. With `on_data` the body goes there, and what cut it short is a third result.
--- @return integer status, string body
function server:request(method, path, body, content_type, on_data)
  local headers = {}
  if self.token then headers["Authorization"] = "Bearer " .. self.token end
  if content_type then headers["Content-Type"] = content_type end
  local status, answer, _, cut = self.host.http(method, self.url .. path, headers, body, on_data)
  if not status then
    error(answer .. "\nIs the server running? Start one with: stdb-lua run MODULE", 0)
  end
  return status, answer, cut
end

local BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local function from_base64(text)
  local bits, count, out = 0, 0, {}
  for char in text:gmatch "[%w%-_]" do
    bits, count = bits * 64 + BASE64:find(char, 1, true) - 1, count + 6
    if count >= 8 then
      count = count - 8
      out[#out + 1] = string.char(math.floor(bits / 2 ^ count))
      bits = bits % 2 ^ count
    end
  end
  return table.concat(out)
end

local NO_TOKEN = "this needs a token that names an identity: --token, or a server of yours on this machine\n"
  .. "The owner's is in the server's data directory: --token \"$(cat .stdb/owner-token)\""

--- Who the token says we are, as hex. Raises when there is none.
function server:identity()
  local claims = self.token and self.token:match "^[^.]*%.([^.]*)%."
  local identity = claims and from_base64(claims):match '"hex_identity"%s*:%s*"(%x+)"'
  if not identity then error(NO_TOKEN, 0) end
  return identity
end

--- The schema of a database, decoded, and as text. Raises when there is none.
function server:schema(database)
  local status, text = self:request("GET", "/v1/database/" .. server.escape(database) .. "/schema?version=10")
  if status ~= 200 then error(text, 0) end
  return json.decode(text), text
end

return server
