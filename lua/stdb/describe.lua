--- What was declared, as BSATN of a RawModuleDefV10: the form that official tools exchange.
local TYPE_TAGS = {
  string = 4, bool = 5, i8 = 6, u8 = 7, i16 = 8, u16 = 9, i32 = 10, u32 = 11, i64 = 12, u64 = 13, i128 = 14, u128 = 15,
  i256 = 16, u256 = 17, f32 = 18, f64 = 19,
}
local TAG_REF, TAG_SUM, TAG_PRODUCT, TAG_ARRAY = 0, 1, 2, 3
local SECTIONS = {
  typespace = 0, types = 1, tables = 2, reducers = 3, views = 5, schedules = 6, lifecycles = 7, filters = 8,
  case_policy = 9, explicit_names = 10, view_keys = 13,
  policies = 200, -- ours
}
local INDEX_TAGS = { btree = 0, hash = 1, direct = 2 }
local HOOK_TAGS = { init = 0, connect = 1, disconnect = 2 }

-- The special types are ordinary products of one field with a name that clients know.
local SPECIAL = {
  identity = { "__identity__", "u256" },
  connection_id = { "__connection_id__", "u128" },
  timestamp = { "__timestamp_micros_since_unix_epoch__", "i64" },
  duration = { "__time_duration_micros__", "i64" },
  uuid = { "__uuid__", "u128" },
}

local function u8(value)
  return string.char(value)
end

local function u16(value)
  return string.char(value % 256, math.floor(value / 256))
end

local function u32(value)
  return u16(value % 65536) .. u16(math.floor(value / 65536))
end

local function sized(text)
  return u32(#text) .. text
end

local function some(bytes)
  return u8(0) .. bytes
end

local NONE = "\1"

--- An array of things, each encoded by `encode(thing, place)`.
local function list(things, encode)
  local parts = { u32(#things) }
  for place, thing in ipairs(things) do
    parts[place + 1] = encode(thing, place)
  end
  return table.concat(parts)
end

local algebraic

--- Fields and variants are encoded alike: an optional name and a type.
local function named(field)
  return some(sized(field.name)) .. algebraic(field.type)
end

local function named_list(tag, fields)
  return u8(tag) .. list(fields, named)
end

local function scalar(name)
  return u8(TYPE_TAGS[name])
end

local function special(name)
  local field = SPECIAL[name]
  return u8(TAG_PRODUCT) .. u32(1) .. some(sized(field[1])) .. scalar(field[2])
end

local UNIT = u8(TAG_PRODUCT) .. u32(0)

local function two_variants(first_name, first, second_name, second)
  return u8(TAG_SUM) .. u32(2) .. some(sized(first_name)) .. first .. some(sized(second_name)) .. second
end

--- The structure of a type, a named one written out.
local function structure(type_)
  local kind = type_.kind
  if TYPE_TAGS[kind] then
    return scalar(kind)
  elseif SPECIAL[kind] then
    return special(kind)
  elseif kind == "bytes" then
    return u8(TAG_ARRAY) .. scalar("u8")
  elseif kind == "array" then
    return u8(TAG_ARRAY) .. algebraic(type_.element)
  elseif kind == "option" then
    return two_variants("some", algebraic(type_.some), "none", UNIT)
  elseif kind == "schedule_at" then
    return two_variants("Interval", special("duration"), "Time", special("timestamp"))
  elseif kind == "sum" then
    return named_list(TAG_SUM, type_.variants)
  end
  return named_list(TAG_PRODUCT, type_.fields)
end

--- A type where it is used: a named one by its place in the typespace.
function algebraic(type_)
  return type_.ref and u8(TAG_REF) .. u32(type_.ref) or structure(type_)
end

local function column_list(columns)
  return list(columns, function(place)
    return u16(place - 1)
  end)
end

local function index(made)
  local columns = made.kind == "direct" and u16(made.columns[1] - 1) or column_list(made.columns)
  return some(sized(made.name)) .. some(sized(made.accessor)) .. u8(INDEX_TAGS[made.kind]) .. columns
end

local function constraints(made)
  local unique = {}
  for _, each in ipairs(made.indexes) do
    if each.unique then
      unique[#unique + 1] = each
    end
  end
  return list(unique, function(each)
    return some(sized(each.constraint)) .. u8(0) .. column_list(each.columns)
  end)
end

local function optional(bytes)
  return bytes and some(bytes) or NONE
end

--- Its numbers are bytes of an i128 already.
local function sequence(made)
  local ONE = "\1" .. ("\0"):rep(15)
  return some(sized(made.name)) .. u16(made.column) .. optional(made.start) .. optional(made.min) .. optional(made.max)
    .. (made.step or ONE)
end

local USER_TABLE, PUBLIC, PRIVATE = u8(1), u8(0), u8(1)

local function table_def(made)
  return sized(made.name)
    .. u32(made.row.ref)
    .. column_list({ made.primary_key })
    .. list(made.indexes, index)
    .. constraints(made)
    .. list(made.sequences, sequence)
    .. USER_TABLE
    .. (made.is_public and PUBLIC or PRIVATE)
    .. list(made.default_bytes, function(default)
      return u16(default.column) .. sized(default.bytes)
    end)
    .. u8(made.is_event and 1 or 0)
end

local HIDDEN, CALLABLE = u8(0), u8(1)

local function reducer_def(reducer)
  return sized(reducer.name)
    .. list(reducer.params, named)
    .. (reducer.hook and HIDDEN or CALLABLE)
    .. UNIT
    .. scalar("string")
end

--- The row is a named type, so that `algebraic` names it.
local function returns(view)
  if view.returns.kind == "query" then
    return u8(TAG_PRODUCT) .. u32(1) .. some(sized "__query__") .. algebraic(view.row)
  end
  return structure(view.returns)
end

local function view_def(view)
  local PUBLIC_VIEW, NO_PARAMETERS = u8(1), u32(0)
  return sized(view.name) .. u32(view.number) .. PUBLIC_VIEW .. u8(view.is_anonymous and 1 or 0) .. NO_PARAMETERS
    .. returns(view)
end

local function view_key(view)
  return sized(view.name) .. list({ view.primary_key }, sized)
end

local function schedule_def(made)
  return some(sized(made.name .. "_sched")) .. sized(made.name) .. u16(made.schedule.column - 1)
    .. sized(made.schedule.reducer)
end

local function policy(made)
  return sized(made.name) .. u8(1)
end

--- Those of `things` that `keep` returns true for.
local function chosen(things, keep)
  local kept = {}
  for _, thing in ipairs(things) do
    kept[#kept + 1] = keep(thing) and thing or nil
  end
  return kept
end

local function type_def(type_)
  local CUSTOM_ORDERING = u8(1) -- the order of fields is the module's, not the alphabet's
  return u32(0) .. sized(type_.named) .. u32(type_.ref) .. CUSTOM_ORDERING
end

local function hook_def(reducer)
  return u8(HOOK_TAGS[reducer.hook]) .. sized(reducer.name)
end

--- A name means one thing everywhere: tools shall not rewrite them.
local function explicit_names(declared)
  local names = {}
  for _, made in ipairs(declared.tables) do
    names[#names + 1] = u8(0) .. sized(made.name) .. sized(made.name)
  end
  for _, reducer in ipairs(declared.reducers) do
    names[#names + 1] = u8(1) .. sized(reducer.name) .. sized(reducer.name)
  end
  for _, view in ipairs(declared.views) do
    names[#names + 1] = u8(1) .. sized(view.name) .. sized(view.name)
  end
  return list(names, function(bytes)
    return bytes
  end)
end

local NO_CASE_POLICY = u8(0)

local function has_schedule(made)
  return made.schedule ~= nil
end

local function catches_up(made)
  return made.schedule and made.schedule.catches_up
end

local function has_key(view)
  return view.primary_key ~= nil
end

local function is_hook(reducer)
  return reducer.hook ~= nil
end

--- BSATN of RawModuleDefV10. What few modules have is left out when it is empty.
local function module(declared)
  local sections = {
    { SECTIONS.typespace, list(declared.types, structure) },
    { SECTIONS.types, list(declared.types, type_def) },
    { SECTIONS.tables, list(declared.tables, table_def) },
    { SECTIONS.reducers, list(declared.reducers, reducer_def) },
    { SECTIONS.lifecycles, list(chosen(declared.reducers, is_hook), hook_def) },
    { SECTIONS.case_policy, NO_CASE_POLICY },
    { SECTIONS.explicit_names, explicit_names(declared) },
  }
  local function add(tag, things, encode)
    if #things > 0 then
      sections[#sections + 1] = { tag, list(things, encode) }
    end
  end
  add(SECTIONS.views, declared.views, view_def)
  add(SECTIONS.view_keys, chosen(declared.views, has_key), view_key)
  add(SECTIONS.schedules, chosen(declared.tables, has_schedule), schedule_def)
  add(SECTIONS.filters, declared.filters, sized)
  add(SECTIONS.policies, chosen(declared.tables, catches_up), policy)
  return list(sections, function(section)
    return u8(section[1]) .. section[2]
  end)
end

return { module = module, type = algebraic }
