--- An index as a module uses it: ctx.db.player.id:find(7), :filter { from = 3, to = 9 }.
--
-- Unique indexes have find, get, update, upsert and insert_or_get; all have filter, count and delete.
local use = ...
local blame, bounds, codec, fixed, frozen, misfit, out, source =
  use "blame", use "bounds", use "codec", use "fixed", use "frozen", use "misfit", use "out", use "source"

local index = {}

local ONLY_UNIQUE = { find = true, get = true, update = true, upsert = true, insert_or_get = true }
local FUNCTIONS = { "find", "get", "update", "upsert", "insert_or_get", "filter", "count", "delete" }

--- Bindings of both, for one text.
local function with(some, more)
  local both = {}
  for name, value in pairs(some) do
    both[name] = value
  end
  for name, value in pairs(more) do
    both[name] = value
  end
  return both
end

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
local UNIQUE = [[
local function find(self, $values)
  if vm.in_call == 0 then outside() end
  local at, size = key($values)
  local found = C.stdb_find(vm, place, index, at, size)
  if found == 1 then return (read()) end
  if found < 0 then failed() end
  return nil
end

local function get(self, $values)
  return find(self, $values) or missing($values)
end

-- A table of the module's own changes the columns that it names, a row from the database is written whole.
local function replace(row)
  local at, size = write(row)
  if not at then misfit(row) end
  if C.stdb_update(vm, place, index, at, size) < 0 then failed() end
  return (read())
end

local function update(self, row)
  if vm.in_call == 0 then outside() end
  if getmetatable(row) ~= label then
    check_names(row)
    row = merge(get(self, $row_values), row)
  end
  return (replace(row))
end

local function upsert(self, row)
  if vm.in_call == 0 then outside() end
  if type(row) ~= "table" then misfit(row) end
  local stored = find(self, $new_values)
  if stored == nil then return (insert(nil, row)) end
  if getmetatable(row) ~= label then
    check_names(row)
    row = merge(stored, row)
  end
  return (replace(row))
end

local function insert_or_get(self, row)
  if vm.in_call == 0 then outside() end
  if type(row) ~= "table" then misfit(row) end
  local stored = find(self, $new_values)
  if stored ~= nil then return stored, false end
  return (insert(nil, row)), true
end

return { find = find, get = get, update = update, upsert = upsert, insert_or_get = insert_or_get }]]

local WALKS = [[
local function filter(self, $walk_values)
  if vm.in_call == 0 then outside() end
  local reverse = bounds($walk_values)
  local scan = C.stdb_scan_open(vm, place, index, lower, upper, reverse)
  if scan < 0 then failed() end
  owners[scan], owners.open = place, owners.open + 1
  return step, scan
end

local function count(self, $walk_values)
  if vm.in_call == 0 then outside() end
  bounds($walk_values)
  if C.stdb_count_range(vm, place, index, lower, upper) < 0 then failed() end
  return vm.count
end

local function delete(self, $walk_values)
  if vm.in_call == 0 then outside() end
  bounds($walk_values)
  if C.stdb_delete_range(vm, place, index, lower, upper) < 0 then failed() end
  $one_deleted
  return vm.count
end

return { filter = filter, count = count, delete = delete }]]

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

--- The index `declared`, at `number` of its table, as a module sees it. `functions` are the table's: see rows.lua.
function index.new(made, declared, number, functions)
  local path = made.name .. "." .. declared.accessor
  local columns, defaults = {}, {}
  for place, column in ipairs(declared.columns) do
    columns[place] = made.columns[column]
    defaults[place] = made.defaults[columns[place].name]
  end
  local function misfit_key(place, value)
    misfit.raise(columns[place].type, value, made.name .. "." .. columns[place].name)
  end

  local key = key_writer(path, columns, misfit_key)
  local bindings = with(functions, {
    index = number,
    key = key,
    lower = bounds.lower,
    upper = bounds.upper,
    bounds = bounds.maker(path, columns, declared.kind, key, misfit_key),
  })
  local members = source.compile("index " .. path, fill(WALKS, columns, declared.unique), bindings)
  if declared.unique then
    bindings = with(bindings, {
      write = functions.write_whole,
      merge = merger(made),
      or_default = or_default,
      defaults = defaults,
      missing = function(...)
        blame.raise("%s: no row with %s", path, shown_key(...))
      end,
    })
    members = with(members, source.compile("index " .. path, fill(UNIQUE, columns, true), bindings))
  end
  setmetatable(members, {
    __index = function(_, name)
      if ONLY_UNIQUE[name] then
        blame.raise("%s:%s is for unique indexes; this one may find many rows: `for row in %s:filter(...) do`", path, name,
          path)
      end
      blame.raise("%s has no function %s%s", path, blame.key(name), blame.hint(name, FUNCTIONS))
    end,
  })
  return frozen.library(members, path)
end

return index
