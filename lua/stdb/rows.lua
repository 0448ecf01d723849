--- Tables as a module uses them in a running transaction: ctx.db.player:insert{...}, :iter(), :count(),
-- :delete(row), and its indexes (see index.lua) as ctx.db.player.id.
--
-- Each function of each table is a text of its own, made at its first use. A row crosses as BSATN by pointers that are
-- made once.
local use = ...
local blame, codec, frozen, lazy, misfit, out, source, types =
  use "blame", use "codec", use "frozen", use "lazy", use "misfit", use "out", use "source", use "types"

local clear = require "table.clear"

local rows = {}

source.share("failed", blame.failed)
source.share("outside", blame.outside)

-- Which table each open scan belongs to: a scan is a number, and a module could hand one table's number to
-- another table's iterator, which would read its rows by the wrong layout. `open` counts them.
local owners = { open = 0 }
source.share("owners", owners)

--- Forgets the scans of the last call that were left before their end.
function rows.forget_scans()
  if owners.open ~= 0 then
    clear(owners)
    owners.open = 0
  end
end

-- write(row) -> pointer, size, or nil when the row does not fit.
local WRITE_FIXED = [[
return function(row)
  if write(buffer, row) then return buffer, size end
end]]

local WRITE_VARIABLE = [[
return function(row)
  local size = write(0, row)
  if size then return out.at, size end
end]]

local function row_writer(made, defaults)
  local write = codec.product_writer(made.row, defaults)
  local size = made.row.size
  return source.compile("write " .. made.name, size and WRITE_FIXED or WRITE_VARIABLE, {
    write = write, size = size, buffer = size and out.buffer(size),
  })
end

local function refuse_stranger(made, row)
  local stranger = types.stranger(made.row, row)
  if stranger ~= nil then
    blame.raise("%s has no column %s%s", made.name, blame.key(stranger), blame.hint(stranger, made.row.names))
  end
end

-- Tables of more columns than this are looked through in a loop.
local UNROLLED_MAX = 32

--- check_names(row): a row that came from the database told its strange names when they were assigned; a table of
-- the module's own is looked through. Without a loop, which would break the traces of those who insert.
local function name_checker(made, misfit_row)
  local text = source.new("names " .. made.name)
  local columns, stranger = text:bind(made.row.place_of, "columns"), text:bind(function(row)
    refuse_stranger(made, row)
  end, "stranger")
  text:add("return function(row) if type(row) ~= 'table' then %s(row) end", text:bind(misfit_row, "misfit"))
  if #made.columns > UNROLLED_MAX then
    text:add("for key in next, row do if not %s[key] then %s(row) end end", columns, stranger)
  else
    text:add(source.check_keys("row", columns, #made.columns, stranger .. "(row)"))
  end
  text:add "end"
  return text:compile()
end

-- The texts of a table's functions. What they name and is not common is made by row_functions().
local TEXTS = {}

TEXTS.insert = [[
return function(self, row)
  if vm.in_call == 0 then outside() end
  if getmetatable(row) ~= label then check_names(row) end
  local at, size = write(row)
  if not at then misfit(row) end
  if C.stdb_insert(vm, place, at, size) < 0 then failed() end
  return (read(vm.row))
end]]

TEXTS.delete = [[
return function(self, row)
  if vm.in_call == 0 then outside() end
  local at, size = write(row)
  if not at then misfit(row) end
  local deleted = C.stdb_delete_row(vm, place, at, size)
  if deleted < 0 then failed() end
  return deleted == 1
end]]

TEXTS.count = [[
return function(self)
  if vm.in_call == 0 then outside() end
  if C.stdb_count(vm, place) < 0 then failed() end
  return vm.count
end]]

-- A generic `for` hands the scan back at every step, so that no closure is made.
TEXTS.step = [[
return function(scan)
  if vm.in_call == 0 then outside() end
  if owners[scan] ~= place then lost() end
  local found = C.stdb_scan_next(vm, scan)
  if found == 1 then return (read(vm.row)) end
  if found < 0 then failed() end
  owners[scan], owners.open = nil, owners.open - 1
  return nil
end]]

TEXTS.iter = [[
return function(self)
  if vm.in_call == 0 then outside() end
  local scan = C.stdb_scan_open(vm, place, -1, nil, nil, 0)
  if scan < 0 then failed() end
  owners[scan], owners.open = place, owners.open + 1
  return step, scan
end]]

local MEMBERS = { "insert", "delete", "count", "iter" }

local function lost()
  blame.raise "this loop is over: write `for row in table:iter() do` for each walk"
end

--- A copy with the values that a new row gets for what was left out.
local function completed(row, defaults)
  local copy = {}
  for name, default in pairs(defaults) do
    copy[name] = default
  end
  for name, value in next, row do
    copy[name] = value
  end
  return copy
end

--- What belongs to a table's rows, for its own texts and those of its indexes, by the names that texts have for it.
local function row_functions(made, place)
  local function raise_misfit(row)
    if type(row) ~= "table" then
      blame.raise("%s: expected a row { column = value, ... }, got %s%s", made.name, blame.show(row),
        row == nil and "; with a colon: " .. made.name .. ":insert { ... }" or "")
    end
    misfit.raise(made.row, completed(row, made.defaults), made.name)
  end
  local functions
  local makers = {
    place = function() return place end,
    label = function() return "stdb." .. made.name end,
    misfit = function() return raise_misfit end,
    lost = function() return lost end,
    check_names = function() return name_checker(made, raise_misfit) end,
    write = function() return row_writer(made, made.defaults) end, -- for new rows
    write_whole = function() return row_writer(made) end, -- for rows that are there: a column left out is a mistake
    read = function() return codec.reader(made.row) end,
  }
  for name, text in pairs(TEXTS) do
    makers[name] = function() return source.compile(name .. " " .. made.name, text, functions) end
  end
  functions = lazy.members(makers, function() return nil end)
  return functions
end

-- What is looked for at a table and is a function of its indexes; true: of unique ones.
local OF_INDEXES = { find = true, get = true, update = true, upsert = true, insert_or_get = true, filter = false }

local function refuse_index_function(made, name)
  for _, index in ipairs(made.indexes) do
    if index.unique or not OF_INDEXES[name] then
      blame.raise("%s:%s is a function of an index: %s.%s:%s", made.name, name, made.name, index.accessor, name)
    end
  end
  blame.raise("%s:%s is a function of an index, and %s has none for it: declare a column with `%s = true`", made.name,
    name, made.name, OF_INDEXES[name] and "primary_key" or "index")
end

--- The nearest index of a table for a name that is none: a column without index is worth saying so.
local function refuse_member(made, makers, key)
  if made.row.place_of[key] then
    blame.raise("%s.%s: the column has no index; declare it with `index = true`, or look through %s:iter()", made.name,
      key, made.name)
  elseif OF_INDEXES[key] ~= nil then
    refuse_index_function(made, key)
  end
  local names = {}
  for name in pairs(makers) do
    names[#names + 1] = name
  end
  table.sort(names)
  blame.raise("%s has no index %s%s", made.name, blame.key(key), blame.hint(key, names))
end

local function new_table(made, place)
  local functions, makers = row_functions(made, place), {}
  for _, name in ipairs(MEMBERS) do
    makers[name] = function() return functions[name] end
  end
  for index_place, index in ipairs(made.indexes) do
    makers[index.accessor] = function() return use("index").new(made, index, index_place - 1, functions) end
  end
  local members = lazy.members(makers, function(key) refuse_member(made, makers, key) end)
  return frozen.library(members, made.name, "for row in " .. made.name .. ":iter() do")
end

--- Makes ctx.db of the declared tables.
function rows.bind(tables)
  local makers, names = {}, {}
  for place, made in ipairs(tables) do
    makers[made.name] = function() return new_table(made, place - 1) end
    names[place] = made.name
  end
  table.sort(names)
  local members = lazy.members(makers, function(key)
    blame.raise("db has no table %s%s", blame.key(key), blame.hint(key, names))
  end)
  rows.db = frozen.library(members, "db")
end

return rows
