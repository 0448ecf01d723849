--- stdb-lua generate: client code for a module, from its file or a running server.
local json = require "cli.json"
local misuse = require "cli.misuse"
local schema = require "cli.schema"
local server = require "cli.server"

local languages = { typescript = "generate.typescript" }

local function shell_quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function make_folder(path)
  local code = os.execute(("mkdir -p -- %s 2>/dev/null"):format(shell_quote(path)))
  if code ~= 0 then error(path .. ": the folder cannot be made", 0) end
end

local function read_file(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

-- A file that is as it would become is left alone, so that build tools see no change.
local function write_file(path, text)
  if read_file(path) == text then return false end
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return true
end

-- The generator's own files that it no longer writes: those of tables and reducers that are gone. They would go on
-- naming types that are gone, too.
local function remove_others(dir, files, header)
  local kept = {}
  for _, file in ipairs(files) do kept[dir .. "/" .. file.path] = true end
  local pipe = io.popen(("cd -- %s && find . -maxdepth 2 -type f"):format(shell_quote(dir)))
  for name in pipe:lines() do
    local path = dir .. "/" .. name:gsub("^%./", "")
    if not kept[path] and (read_file(path) or ""):sub(1, #header) == header then
      assert(os.remove(path))
      print("removed " .. path)
    end
  end
  pipe:close()
end

local function describe(host, options)
  if options.module_path then
    local text, message = host.describe(options.module_path)
    if not text then error(message, 0) end
    return json.decode(text)
  end
  return (server.new(host, options):schema(options.database))
end

return {
  arguments = "",
  about = "Writes client code that the official packages accept as it is. Takes the tables, views and reducers\n" ..
    "from a module's file, or from a database on a running server.",
  options = server.with_options {
    { "--lang", "LANGUAGE", "typescript" },
    { "--out-dir", "DIR", "where the files go" },
    { "--module-path", "MODULE", "the module: a file, or a folder with a module.lua (default: this folder)" },
    { "--database", "NAME", "take it from this database of a running server instead" },
  },
  positionals = { 0, 0 },
  run = function(host, options)
    local language = options.lang or misuse "--lang is needed: typescript"
    local generator = languages[language] or misuse("--lang %s is not known; there is: typescript", language)
    local dir = options.out_dir or misuse "--out-dir is needed: where the files go"
    if not options.database then options.module_path = options.module_path or "." end
    local files, header = require(generator).generate(schema.read(describe(host, options)))
    make_folder(dir .. "/types")
    local written = 0
    for _, file in ipairs(files) do
      if write_file(dir .. "/" .. file.path, file.text) then
        written = written + 1
        print("wrote " .. dir .. "/" .. file.path)
      end
    end
    remove_others(dir, files, header)
    print(("%d files, %d of them changed"):format(#files, written))
    return 0
  end,
}
