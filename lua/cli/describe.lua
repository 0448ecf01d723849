--- stdb-lua describe: a database's tables, views and reducers, from a running server or a module file.
local json = require "cli.json"
local names = require "cli.names"
local misuse = require "cli.misuse"
local schema = require "cli.schema"
local server = require "cli.server"

local function column_notes(one, position)
  local notes = {}
  if one.primary_key == position then notes[#notes + 1] = "primary key" end
  for _, unique in ipairs(one.uniques) do
    local is_own = #unique.columns == 1 and unique.columns[1] == position
    if is_own and one.primary_key ~= position then notes[#notes + 1] = "unique" end
  end
  for _, index in ipairs(one.indexes) do
    if #index.columns == 1 and index.columns[1] == position then notes[#notes + 1] = index.algorithm .. " index" end
  end
  if one.auto_inc[position] then notes[#notes + 1] = "auto-increment" end
  return #notes > 0 and "  -- " .. table.concat(notes, ", ") or ""
end

local function is_unique(one, index)
  for _, unique in ipairs(one.uniques) do
    if table.concat(unique.columns, ",") == table.concat(index.columns, ",") then return true end
  end
  return false
end

-- An index over several columns; the others are told beside their column.
local function print_wide_index(one, index)
  local columns = {}
  for idx, position in ipairs(index.columns) do columns[idx] = one.columns[position + 1].name end
  local unique = is_unique(one, index) and "unique " or ""
  print(("  %s%s index over %s"):format(unique, index.algorithm, table.concat(columns, ", ")))
end

local function print_columns(read, one)
  for idx, column in ipairs(one.columns) do
    print(("  %s: %s%s"):format(column.name, schema.type_text(read, column.type), column_notes(one, idx - 1)))
  end
  for _, index in ipairs(one.indexes) do
    if #index.columns > 1 then print_wide_index(one, index) end
  end
end

local function print_table(read, one)
  local access = one.public and " (public)" or " (private)"
  local schedule = one.schedule and ("  -- each row runs %s when its time has come"):format(one.schedule) or ""
  print(("table %s%s%s%s"):format(one.name, access, one.is_event and " (event)" or "", schedule))
  print_columns(read, one)
end

local function print_view(read, one)
  print(("view %s%s"):format(one.name, one.anonymous and "  -- the same for everyone" or "  -- to each caller their own"))
  print_columns(read, one)
end

local function print_reducer(read, one)
  local params = {}
  for idx, param in ipairs(one.params) do params[idx] = param.name .. ": " .. schema.type_text(read, param.type) end
  print(("reducer %s(%s)%s"):format(one.name, table.concat(params, ", "), one.private and "  -- runs by itself" or ""))
end

-- Each thing that has a name, with how it is printed, in the order of printing.
local function named_things(read)
  local things = {}
  for _, kind in ipairs { { read.tables, print_table }, { read.views, print_view }, { read.reducers, print_reducer } } do
    for _, one in ipairs(kind[1]) do
      things[#things + 1] = { name = one.name, print = function() kind[2](read, one) end }
    end
  end
  return things
end

local function print_all(read)
  for _, thing in ipairs(named_things(read)) do thing.print() end
  for _, sql in ipairs(read.filters) do print("filter " .. sql) end
end

local function print_one(read, name)
  local known = {}
  for place, thing in ipairs(named_things(read)) do
    if thing.name == name then return thing.print() end
    known[place] = thing.name
  end
  error(("There is no table, view or reducer `%s`.%s"):format(name, names.advice(name, known)), 0)
end

-- A file, or a database on a server.
local function fetch(host, options, subject)
  if not subject:find "%.lua$" and not subject:find "[/.]" then return (server.new(host, options):schema(subject)) end
  local text, message = host.describe(subject)
  if not text then error(message, 0) end
  return json.decode(text)
end

return {
  arguments = "DATABASE|MODULE [NAME]",
  about = "Shows the tables, views and reducers of a running database, or of a module's file (a path that ends in .lua\n" ..
    "or names a folder), or the one with this name.",
  options = server.with_options {
    { "--json", false, "the raw description, as official tools read it" },
  },
  positionals = { 1, 2 },
  run = function(host, options, positionals)
    local subject, name = positionals[1], positionals[2]
    if options.json and name then misuse "--json shows the whole description: leave out the name" end
    local value = fetch(host, options, subject)
    if options.json then
      print(json.pretty(value))
    elseif name then
      print_one(schema.read(value), name)
    else
      print_all(schema.read(value))
    end
    return 0
  end,
}
