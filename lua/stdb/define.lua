--- What a module declares while it loads: tables, reducers, hooks, views, filters, named types, each with where that
-- was.
local use = ...
local blame, types, codec, misfit, values = use "blame", use "types", use "codec", use "misfit", use "times"
local host = use "host"

local PARAMS_MAX = 40 -- a reducer's arguments are locals of one function
local KEY_COLUMNS_MAX = 16 -- SCHEMA_KEY_COLUMNS_MAX

local define = {}

local declared = { tables = {}, reducers = {}, types = {}, views = {}, filters = {}, positions = {} }
define.declared = declared

local is_open = true
local tables_by_name, reducers_by_name, types_by_name, views_by_name = {}, {}, {}, {}

--- After loading nothing more may be declared.
function define.close()
  is_open = false
end

local function check_open(what)
  if not is_open then
    blame.raise("%s can be declared only while the module loads", what)
  end
end

local function check_name(what, name)
  if type(name) ~= "string" or name == "" then
    blame.raise("a %s's name: expected a text, got %s", what, blame.show(name))
  elseif name:find "^%d" or name:find "[^%w_\128-\255]" then
    blame.raise("the %s `%s`: a name has letters, digits and underscores, and does not begin with a digit", what, name)
  end
end

local function note_position(subject)
  local file, line = blame.position(4) -- behind this function and the one of stdb that asks
  declared.positions[subject] = { file = file or host.entry, line = line or 0 }
end

--- Notes where a thing was declared; refuses the second of a name.
local function take_name(what, name, taken, thing)
  if taken[name] then
    local first = declared.positions[what .. " " .. name]
    blame.raise("the %s `%s` is declared twice: first at %s:%d", what, name, first.file, first.line)
  end
  taken[name] = thing
  note_position(what .. " " .. name)
end

-- Named types -----------------------------------------------------------------------------------------------------

local function add_type(type_)
  take_name("type", type_.named, types_by_name, type_)
  type_.ref = #declared.types
  declared.types[type_.ref + 1] = type_
end

--- A struct or an enum: types.lua hands them in.
function define.type(type_)
  check_open("the type `" .. type_.named .. "`")
  add_type(type_)
end
types.attach(define)

-- Columns ---------------------------------------------------------------------------------------------------------

local COLUMN_OPTIONS = { "primary_key", "unique", "index", "auto_inc", "default" }
local INDEX_KINDS = { btree = true, hash = true, direct = true }
local DIRECT = { u8 = true, u16 = true, u32 = true, u64 = true }

local known_of = {} -- the names of each list of options, as a set

local function known_names(allowed)
  local known = {}
  for _, name in ipairs(allowed) do
    known[name] = true
  end
  known_of[allowed] = known
  return known
end

local function check_options(given, allowed, owner, is_listed)
  local known = known_of[allowed] or known_names(allowed)
  for key in next, given do
    if not known[key] and not (is_listed and type(key) == "number") then
      blame.raise("%s has no option %s%s", owner, blame.key(key), blame.hint(key, allowed))
    end
  end
end

local function check_flag(owner, option, value)
  if value ~= nil and type(value) ~= "boolean" then
    blame.raise("%s: `%s` is true or false, got %s", owner, option, blame.show(value))
  end
  return value == true
end

--- An option that is true or the name of an index kind; gives the kind or nil.
local function index_kind(owner, option, given)
  if given == nil or given == false then
    return nil
  end
  local kind = given == true and "btree" or given
  if not INDEX_KINDS[kind] then
    blame.raise('%s: `%s` is true, "btree", "hash" or "direct", got %s', owner, option, blame.show(given))
  end
  return kind
end

local KEY_KINDS = { bool = true, string = true, bytes = true, f32 = true, f64 = true }

local function can_be_key(type_)
  while type_.kind == "option" do
    type_ = type_.some
  end
  return type_.is_integer or type_.value or KEY_KINDS[type_.kind] or type_.kind == "sum" and type_.is_plain
end

local function check_key(owner, column, kind)
  local type_ = column.type
  if not can_be_key(type_) then
    blame.raise("%s: a column of type %s cannot be a key", owner, type_.name)
  elseif kind == "direct" and not (DIRECT[type_.kind] or type_.kind == "sum") then
    blame.raise("%s: a direct index is for u8 to u64 and enums without payload, not for %s", owner, type_.name)
  end
end

local RESERVED = { insert = true, iter = true, count = true, delete = true }

local function add_index(made, index)
  local owner = made.name .. "." .. index.accessor
  if RESERVED[index.accessor] then
    blame.raise("%s: this is the name of a function of every table; give the index another: "
      .. "indexes = { { name = \"by_%s\", \"%s\" } }", owner, index.accessor, made.columns[index.columns[1]].name)
  end
  for _, place in ipairs(index.columns) do
    check_key(owner, made.columns[place], index.kind)
  end
  local names = {}
  for position, place in ipairs(index.columns) do
    names[position] = made.columns[place].name
  end
  local columns = table.concat(names, "_")
  index.name = ("%s_%s_idx_%s"):format(made.name, columns, index.kind)
  index.constraint = index.unique and ("%s_%s_key"):format(made.name, columns) or nil
  for _, other in ipairs(made.indexes) do
    if other.accessor == index.accessor or other.name == index.name then
      blame.raise("%s: there already is an index of this %s", owner,
        other.accessor == index.accessor and "name" or "kind on these columns")
    end
  end
  table.insert(made.indexes, index)
end

local function add_column_index(made, column, place)
  local owner = made.name .. "." .. column.name
  local given = column.given
  local primary = index_kind(owner, "primary_key", given.primary_key)
  local unique = index_kind(owner, "unique", given.unique)
  local plain = index_kind(owner, "index", given.index)
  if primary then
    if made.primary_key then
      blame.raise("%s: the table's primary key is `%s` already", owner, made.columns[made.primary_key].name)
    end
    made.primary_key = place
  end
  if primary or unique or plain then
    -- `unique = true, index = "hash"` says both: unique, and how.
    local kind = type(given.primary_key) == "string" and primary or type(given.unique) == "string" and unique or plain
      or primary or unique
    add_index(made, { accessor = column.name, columns = { place }, kind = kind, unique = (primary or unique) ~= nil })
  end
end

local function add_default(made, column, place)
  local owner = made.name .. "." .. column.name
  local default = column.given.default
  if default == nil then
    return
  elseif column.given.primary_key or column.given.unique or column.given.auto_inc then
    blame.raise("%s: a key or a generated column has no default", owner)
  end
  local bytes = codec.encode(column.type, default)
  if not bytes then
    misfit.raise(column.type, default, owner .. ": default")
  end
  made.defaults[column.name] = codec.decode(column.type, bytes) -- a copy: the module may change its own
  table.insert(made.default_bytes, { column = place - 1, bytes = bytes })
end

local SEQUENCE_OPTIONS = { "start", "min", "max", "step" }

local function add_sequence(made, column, place)
  local owner = made.name .. "." .. column.name
  local auto_inc = column.given.auto_inc
  if auto_inc == nil or auto_inc == false then
    return
  elseif not column.type.is_integer then
    blame.raise("%s: auto_inc is for columns of whole numbers, not for %s", owner, column.type.name)
  elseif auto_inc ~= true and (type(auto_inc) ~= "table" or getmetatable(auto_inc) == false) then
    blame.raise("%s: auto_inc is `true` or { start = 1000, step = 10 }, got %s", owner, blame.show(auto_inc))
  end
  made.defaults[column.name] = 0 -- C puts the next value where it finds zero
  local sequence = { name = ("%s_%s_seq"):format(made.name, column.name), column = place - 1 }
  if auto_inc ~= true then
    check_options(auto_inc, SEQUENCE_OPTIONS, owner .. ": auto_inc")
    for option, given in pairs(auto_inc) do
      sequence[option] = values.i128.bytes[values.i128.make(given)]
    end
  end
  table.insert(made.sequences, sequence)
end

local INDEX_OPTIONS = { "name", "kind", "unique" }

local function add_table_index(made, given, number)
  local owner = ("%s: index %d"):format(made.name, number)
  if type(given) ~= "table" then
    blame.raise('%s: expected { name = "by_name", "column", ... }, got %s', owner, blame.show(given))
  end
  types.check_list(given, owner, "column", "%q", true)
  check_options(given, INDEX_OPTIONS, owner, true)
  local columns = {}
  for position, name in ipairs(given) do
    local place = made.row.place_of[name]
    if not place then
      blame.raise("%s: %s has no column %s%s", owner, made.name, blame.key(name), blame.hint(name, made.row.names))
    end
    columns[position] = place
  end
  if #columns == 0 then
    blame.raise("%s: names no column", owner)
  elseif #columns > KEY_COLUMNS_MAX then
    blame.raise("%s: an index has %d columns at most", owner, KEY_COLUMNS_MAX)
  end
  local kind = index_kind(owner, "kind", given.kind) or "btree"
  local accessor = given.name or table.concat(given, "_")
  check_name("index", accessor)
  if kind == "direct" and #columns > 1 then
    blame.raise("%s: a direct index has one column", owner)
  end
  add_index(made, { accessor = accessor, columns = columns, kind = kind, unique = check_flag(owner, "unique", given.unique) })
end

-- Tables ----------------------------------------------------------------------------------------------------------

local TABLE_OPTIONS = { "public", "event", "indexes", "schedule" }

--- PlayerScore for player_score: what the row's type is called.
local function pascal_case(name)
  return (name:gsub("_*([^_]+)", function(part)
    return part:sub(1, 1):upper() .. part:sub(2)
  end))
end

local function row_type_name(table_name)
  local name = pascal_case(table_name)
  local first = declared.positions["type " .. name]
  if first and not tables_by_name[table_name] then
    blame.raise("%s: clients will know its rows as the type `%s`, and there is one already: %s:%d", table_name, name,
      first.file, first.line)
  end
  return name
end

-- Schedules -------------------------------------------------------------------------------------------------------

local SCHEDULE_OPTIONS = { "reducer", "at", "missed" }
local MISSED = { skip = false, catch_up = true }

--- The place of the column that says when: the one of type schedule_at, or the one that `at` names.
local function find_at_column(made, owner, at)
  local found
  for place, column in ipairs(made.columns) do
    if column.type.kind == "schedule_at" and (at == nil or at == column.name) then
      if found then
        blame.raise("%s: which column says when? { reducer = ..., at = \"%s\" }", owner, made.columns[found].name)
      end
      found = place
    end
  end
  if not found and at ~= nil then
    blame.raise("%s: `at` names a column of type schedule_at, got %s%s", owner, blame.key(at),
      blame.hint(at, made.row.names))
  end
  return found or blame.raise("%s: a column of type schedule_at has to say when", owner)
end

--- `schedule = "reducer"`, or { reducer = "reducer", at = "column", missed = "catch_up" }.
local function add_schedule(made, given)
  local owner = made.name .. ": schedule"
  if given == nil then
    return
  elseif type(given) == "string" then
    given = { reducer = given }
  elseif type(given) ~= "table" then
    blame.raise("%s: expected the name of a reducer, got %s", owner, blame.show(given))
  end
  check_options(given, SCHEDULE_OPTIONS, owner)
  check_name("reducer", given.reducer)
  local missed = given.missed == nil and "skip" or given.missed
  if MISSED[missed] == nil then
    blame.raise('%s: `missed` is "skip" or "catch_up", got %s', owner, blame.show(missed))
  end
  local key = made.columns[made.primary_key]
  if made.is_event then
    blame.raise("%s: the rows of an event table do not stay until their time", owner)
  elseif not key or key.type.kind ~= "u64" then
    blame.raise('%s: needs a primary key of type u64: { "id", t.u64, primary_key = true, auto_inc = true }', owner)
  end
  made.schedule = {
    reducer = given.reducer, column = find_at_column(made, owner, given.at), catches_up = MISSED[missed],
  }
end

--- Declares a table; returns the type of its rows.
function define.table(name, given)
  check_name("table", name)
  check_open("the table `" .. name .. "`")
  if type(given) ~= "table" then
    blame.raise("%s: expected a table of columns, got %s", name, blame.show(given))
  end
  local columns = types.fields(given, name, "column")
  check_options(given, TABLE_OPTIONS, name, true)
  local made = {
    name = name, columns = columns, indexes = {}, sequences = {}, defaults = {}, default_bytes = {},
    is_public = check_flag(name, "public", given.public), is_event = check_flag(name, "event", given.event),
  }
  made.row = types.product_of(columns, row_type_name(name), name, "column")
  take_name("table", name, tables_by_name, made)
  add_type(made.row)
  for place, column in ipairs(columns) do
    check_options(column.given, COLUMN_OPTIONS, name .. "." .. column.name, true)
    add_column_index(made, column, place)
    add_sequence(made, column, place)
    add_default(made, column, place)
  end
  if given.indexes ~= nil and type(given.indexes) ~= "table" then
    blame.raise("%s: `indexes` is a list, got %s", name, blame.show(given.indexes))
  end
  types.check_list(given.indexes or {}, name .. ": indexes", "index", '{ name = %q, "column", ... }')
  for number, index in ipairs(given.indexes or {}) do
    add_table_index(made, index, number)
  end
  add_schedule(made, given.schedule)
  table.insert(declared.tables, made)
  return types.handle(made.row)
end

-- Reducers and hooks ----------------------------------------------------------------------------------------------

local HOOKS = { init = "init", connect = "client_connected", disconnect = "client_disconnected" }
local HOOK_OF = { init = "init", client_connected = "connect", client_disconnected = "disconnect" }

local function check_action(name, action)
  if type(action) ~= "function" then
    blame.raise("%s: expected a function, got %s", name, blame.show(action))
  end
end

local function add_reducer(name, params, action, hook)
  check_action(name, action)
  local fields = types.fields(params, name, "parameter")
  if #fields > PARAMS_MAX then
    blame.raise("%s: a reducer takes at most %d parameters; put them into a struct", name, PARAMS_MAX)
  end
  local reducer = { name = name, params = fields, action = action, hook = hook }
  take_name("reducer", name, reducers_by_name, reducer)
  table.insert(declared.reducers, reducer)
end

--- Declares a reducer. Without parameters the list may be left out.
function define.reducer(name, params, action)
  check_name("reducer", name)
  check_open("the reducer `" .. name .. "`")
  if HOOK_OF[name] then
    blame.raise("`%s` is the server's own call: declare it with stdb.on.%s(function)", name, HOOK_OF[name])
  elseif action == nil and type(params) == "function" then
    params, action = {}, params
  end
  add_reducer(name, params, action)
end

-- Views and filters -----------------------------------------------------------------------------------------------

local VIEW_OPTIONS = { "returns", "anonymous", "primary_key" }

--- How many views there are that are anonymous, or not: official tools number them apart.
local function count_views(is_anonymous)
  local count = 0
  for _, view in ipairs(declared.views) do
    count = count + (view.is_anonymous == is_anonymous and 1 or 0)
  end
  return count
end

--- Declares a view: stdb.view("name", t.array(player), function) or with { returns =, anonymous =, primary_key = }.
function define.view(name, given, action)
  check_name("view", name)
  check_open("the view `" .. name .. "`")
  if types.returned(given) then
    given = { returns = given }
  elseif type(given) ~= "table" or getmetatable(given) == false then
    blame.raise("%s: expected what it returns: t.option(row), t.array(row) or t.query(row), got %s", name,
      blame.show(given))
  end
  check_options(given, VIEW_OPTIONS, name)
  local returns, row = types.returned(given.returns)
  if not returns then
    blame.raise("%s: `returns` is t.option(row), t.array(row) or t.query(row), where a row is that of a table or a "
      .. "struct, got %s", name, blame.show(given.returns))
  end
  local key = given.primary_key
  if key ~= nil and not row.place_of[key] then
    blame.raise("%s: the primary key is a column of its rows, got %s%s", name, blame.key(key), blame.hint(key, row.names))
  elseif key ~= nil then
    check_key(name .. "." .. key, row.fields[row.place_of[key]], "btree")
  end
  check_action(name, action)
  local is_anonymous = check_flag(name, "anonymous", given.anonymous)
  local view = {
    name = name, returns = returns, row = row, primary_key = key, is_anonymous = is_anonymous,
    number = count_views(is_anonymous), action = action,
  }
  take_name("view", name, views_by_name, view)
  table.insert(declared.views, view)
end

--- Declares a query of row-level security.
function define.filter(sql)
  check_open("a filter")
  if type(sql) ~= "string" or sql == "" then
    blame.raise('stdb.filter: expected a query like "SELECT * FROM message WHERE sender = :sender", got %s',
      blame.show(sql))
  end
  table.insert(declared.filters, sql)
  note_position("filter " .. #declared.filters)
end

define.on = {}
for hook, name in pairs(HOOKS) do
  define.on[hook] = function(action)
    check_open("stdb.on." .. hook)
    add_reducer(name, {}, action, hook)
  end
end

return define
