--- An index as a module uses it: ctx.db.player.id:find(7), :filter { from = 3, to = 9 }.
--
-- Unique indexes have find, get, update, upsert and insert_or_get; all have filter, count and delete.
local use = ...
local blame, bounds, codec, fixed, frozen, lazy, misfit, out, source =
  use "blame", use "bounds", use "codec", use "fixed", use "frozen", use "lazy", use "misfit", use "out", use "source"

local index = {}

local ONLY_UNIQUE = { find = true, get = true, update = true, upsert = true, insert_or_get = true }
local FUNCTIONS = { "find", "get", "update", "upsert", "insert_or_get", "filter", "count", "delete" }

--- key(v1, v2, ...) -> pointer, size: a whole key, written where it stays put.
local function key_writer(path, columns, misfit_key)
  local text = source.new("key " .. path)
  local fail = text:bind(misfit_key, "misfit")
  local size = 0
  for _, column in ipairs(columns) do
    size = size and column.type.size and size + column.type.size
  end
  text:add("return function(%s)", bounds.argument_names(#columns))
  if size then
    local buffer = text:bind(out.buffer(size), "buffer")
    local offset = 0
    for place, column in ipairs(columns) do
      text:add("do local v = v%d %s", place, fixed.settle_text(column.type, "v"))
      text:add("%s end", fixed.write_text(text, column.type, buffer .. " + " .. offset, "v",
        ("%s(%d, v%d)"):format(fail, place, place)))
      offset = offset + column.type.size
    end
    text:add("return %s, %d end", buffer, size)
  else
    text:add "local n, m = 0, 0"
    for place, column in ipairs(columns) do
      text:add("m = %s(n, v%d) if not m then %s(%d, v%d) end n = m", text:bind(codec.key_writer(column.type), "write"),
        place, fail, place, place)
    end
    text:add "return out.at, n end"
  end
  return text:compile()
end

-- Texts with $values for the arguments v1, v2, ..., $row_values for the same columns of `row`, $new_values for those a
-- new row would get, and $walk_values for the arguments and one that is too many.
local UNIQUE = {}

UNIQUE.find = [[
return function(self, $values)
  if vm.in_call == 0 then outside() end
  local at, size = key($values)
  local found = C.stdb_find(vm, place, index, at, size)
  if found == 1 then return (read(vm.row)) end
  if found < 0 then failed() end
  return nil
end]]

UNIQUE.get = [[
return function(self, $values)
  return find(self, $values) or missing($values)
end]]

-- A table of the module's own changes the columns that it names, a row from the database is written whole.
local REPLACE = [[
  local at, size = write_whole(row)
  if not at then misfit(row) end
  if C.stdb_update(vm, place, index, at, size) < 0 then failed() end
  return (read(vm.row))
end]]

UNIQUE.update = [[
return function(self, row)
  if vm.in_call == 0 then outside() end
  if getmetatable(row) ~= label then
    check_names(row)
    row = merge(get(self, $row_values), row)
  end
]] .. REPLACE

UNIQUE.upsert = [[
return function(self, row)
  if vm.in_call == 0 then outside() end
  if type(row) ~= "table" then misfit(row) end
  local stored = find(self, $new_values)
  if stored == nil then return (insert(nil, row)) end
  if getmetatable(row) ~= label then
    check_names(row)
    row = merge(stored, row)
  end
]] .. REPLACE

UNIQUE.insert_or_get = [[
return function(self, row)
  if vm.in_call == 0 then outside() end
  if type(row) ~= "table" then misfit(row) end
  local stored = find(self, $new_values)
  if stored ~= nil then return stored, false end
  return (insert(nil, row)), true
end]]

local WALKS = {}

WALKS.filter = [[
return function(self, $walk_values)
  if vm.in_call == 0 then outside() end
  local reverse = bounds($walk_values)
  local scan = C.stdb_scan_open(vm, place, index, lower, upper, reverse)
  if scan < 0 then failed() end
  owners[scan], owners.open = place, owners.open + 1
  return step, scan
end]]

WALKS.count = [[
return function(self, $walk_values)
  if vm.in_call == 0 then outside() end
  bounds($walk_values)
  if C.stdb_count_range(vm, place, index, lower, upper) < 0 then failed() end
  return vm.count
end]]

WALKS.delete = [[
return function(self, $walk_values)
  if vm.in_call == 0 then outside() end
  bounds($walk_values)
  if C.stdb_delete_range(vm, place, index, lower, upper) < 0 then failed() end
  $one_deleted
  return vm.count
end]]

-- Of a unique index, a whole key says whether there was a row.
local ONE_DELETED = "if v%d ~= nil and (type(v%d) ~= 'table' or getmetatable(v%d) ~= nil) then return vm.count == 1 end"

local function fill(form, columns, is_unique)
  local from_row, new = {}, {}
  for place, column in ipairs(columns) do
    from_row[place] = ("rawget(row, %q)"):format(column.name)
    new[place] = ("or_default(%s, defaults[%d])"):format(from_row[place], place)
  end
  local last = #columns
  return (form:gsub("$(%a[%a_]*)", {
    values = bounds.argument_names(last),
    walk_values = bounds.argument_names(last + 1),
    row_values = table.concat(from_row, ", "),
    new_values = table.concat(new, ", "),
    one_deleted = is_unique and ONE_DELETED:format(last, last, last) or "",
  }))
end

local function or_default(value, default)
  if value == nil then
    return default
  end
  return value
end

--- merge(stored, row): the columns that `row` has go over those of `stored`.
local function merger(made)
  local text = source.new("merge " .. made.name)
  text:add "return function(stored, row)"
  for _, column in ipairs(made.columns) do
    text:add("do local v = rawget(row, %q) if v ~= nil then stored[%q] = v end end", column.name, column.name)
  end
  text:add "return stored end"
  return text:compile()
end

local function shown_key(...)
  local shown = { ... }
  for place = 1, select("#", ...) do
    shown[place] = blame.show(shown[place])
  end
  return table.concat(shown, ", ")
end

--- What an index's texts name beside what belongs to the table's rows: see row_functions() in rows.lua.
local function makers_of(made, declared, number, path, functions)
  local columns, defaults = {}, {}
  for place, column in ipairs(declared.columns) do
    columns[place] = made.columns[column]
    defaults[place] = made.defaults[columns[place].name]
  end
  local function misfit_key(place, value)
    misfit.raise(columns[place].type, value, made.name .. "." .. columns[place].name)
  end
  local function missing(...)
    blame.raise("%s: no row with %s", path, shown_key(...))
  end
  local makers = {
    index = function() return number end,
    key = function() return key_writer(path, columns, misfit_key) end,
    lower = function() return bounds.lower end,
    upper = function() return bounds.upper end,
    bounds = function() return bounds.maker(path, columns, declared.kind, functions().key, misfit_key) end,
    merge = function() return merger(made) end,
    or_default = function() return or_default end,
    defaults = function() return defaults end,
    missing = function() return missing end,
  }
  for _, texts in ipairs { WALKS, declared.unique and UNIQUE or {} } do
    for name, text in pairs(texts) do
      makers[name] = function()
        return source.compile(name .. " " .. path, fill(text, columns, declared.unique), functions())
      end
    end
  end
  return makers
end

local function refuse_member(path, name)
  if ONLY_UNIQUE[name] then
    blame.raise("%s:%s is for unique indexes; this one may find many rows: `for row in %s:filter(...) do`", path, name,
      path)
  end
  blame.raise("%s has no function %s%s", path, blame.key(name), blame.hint(name, FUNCTIONS))
end

--- The index `declared`, at `number` of its table, as a module sees it. `row_functions` are the table's.
function index.new(made, declared, number, row_functions)
  local path = made.name .. "." .. declared.accessor
  local functions
  local makers = makers_of(made, declared, number, path, function() return functions end)
  functions = lazy.members(makers, function(name) return row_functions[name] end)
  local shown = {}
  for _, name in ipairs(FUNCTIONS) do
    shown[name] = makers[name] and function() return functions[name] end
  end
  return frozen.library(lazy.members(shown, function(name) refuse_member(path, name) end), path,
    "for row in " .. path .. ":filter(...) do")
end

return index
