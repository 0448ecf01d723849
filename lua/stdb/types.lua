--- Types: what a column, an argument or a field can be.
--
-- A module holds types as locked handles. Trusted code works on what is behind them:
--   { kind, name, size, ... }   size: of every value in BSATN, nil when values differ in size
-- `sum` covers enums and results: { variants = { { name, type } }, is_plain = no variant has a payload }.
local use = ...
local blame, frozen = use "blame", use "frozen"
local values = use "times" -- all of them, the times among them

local types = {}

-- C refuses deeper ones (TYPE_DEPTH_MAX); a row type and the special types take some of it.
local DEPTH_MAX = 48
local VARIANTS_MAX = 256
-- Types that name one before twice grow without end in few words: TYPE_PARTS_MAX.
local PARTS_MAX = 65536

local behind = setmetatable({}, { __mode = "k" })
local define -- set by define.lua: names of structs and enums are collected there

local function variant_value(sum, name, payload)
  return (setmetatable({ tag = name, value = payload }, sum.meta))
end

--- `Shape.Circle` builds, `Color.Red` is "Red", `Shape.Empty` is the variant without payload.
local function read_variant(sum, key)
  local place = sum.place_of[key]
  if not place then
    blame.raise("%s has no variant %s%s", sum.name, blame.key(key), blame.hint(key, sum.names))
  end
  if sum.is_plain then
    return key
  end
  if types.is_unit(sum.variants[place + 1].type) then
    return (variant_value(sum, key, nil))
  end
  return sum.makers[place + 1]
end

local handle_meta = {
  __metatable = false,
  __tostring = function(handle)
    return behind[handle].name
  end,
  __newindex = function(handle)
    blame.raise("the type %s cannot be changed", behind[handle].name)
  end,
  __index = function(handle, key)
    local type_ = behind[handle]
    if type_.kind ~= "sum" then
      blame.raise("the type %s has no field %s", type_.name, blame.key(key))
    end
    return (read_variant(type_, key))
  end,
  __call = function(handle, fields)
    local type_ = behind[handle]
    if type_.kind ~= "product" or type(fields) ~= "table" then
      blame.raise("the type %s cannot be called", type_.name)
    end
    local stranger = types.stranger(type_, fields)
    if stranger ~= nil then
      blame.raise("%s has no field %s%s", type_.name, blame.key(stranger), blame.hint(stranger, type_.names))
    end
    return (setmetatable(fields, type_.meta))
  end,
}

local function handle(type_)
  local made = setmetatable({}, handle_meta)
  behind[made] = type_
  type_.handle = made
  return made
end

blame.teach(function(value)
  return behind[value] and "the type " .. behind[value].name
end)

--- What is behind a handle; `what`, and `part` of it, name it in the error for anything else.
function types.of(given, what, part)
  local type_ = behind[given]
  if type_ and type_.kind ~= "query" then
    return type_
  end
  what = part and what .. "." .. part or what
  if type_ then
    blame.raise("%s: a query is what a view returns; it cannot be stored or sent", what)
  end
  blame.raise("%s: expected a type, got %s", what, blame.show(given))
end

--- What a view returns: what is behind t.option(row), t.array(row) or t.query(row); nil for anything else.
function types.returned(given)
  local type_ = behind[given]
  local row = type_ and (type_.some or type_.element or type_.rows)
  return row and row.kind == "product" and row.named and type_ or nil, row
end

function types.is_unit(type_)
  return type_.kind == "product" and #type_.fields == 0
end

--- Notes that the type `outer` has one of `inner` in it; returns it. `what` names it in errors.
local function nest(what, outer, inner)
  outer.depth, outer.parts = math.max(outer.depth, inner.depth + 1), outer.parts + inner.parts
  if outer.depth > DEPTH_MAX then
    blame.raise("%s: types nest at most %d deep", what, DEPTH_MAX)
  elseif outer.parts > PARTS_MAX then
    blame.raise("%s: the type has more than %d parts, all that is inside it counted", what, PARTS_MAX)
  end
  return outer
end

local function check_name(name)
  if type(name) ~= "string" or name == "" then
    blame.raise("a type's name: expected a text, got %s", blame.show(name))
  end
end

--- Refuses what ipairs passes over without a word: what stands behind a hole, and names in a list that has no options.
-- `form` is how the thing of a name is written.
function types.check_list(list, owner, kind, form, has_options)
  local count = 0
  for place in ipairs(list) do
    count = place
  end
  for key, value in next, list do
    if type(key) == "number" and (key < 1 or key > count or key % 1 ~= 0) then
      blame.raise("%s: %s %d is nil", owner, kind, count + 1)
    elseif type(key) ~= "number" and not (has_options and not behind[value]) then
      local written = type(key) == "string" and ": write " .. form:format(key) or ""
      blame.raise("%s: expected a list, got the key %s%s", owner, blame.key(key), written)
    end
  end
end

--- Of { "name", type } itself: a column's options are looked at by who knows them, anything else has none.
local function check_field(given, owner, kind)
  for key, value in next, given do
    if type(key) == "number" and key ~= 1 and key ~= 2 then
      blame.raise("%s.%s: expected { \"name\", type }, got %s behind it", owner, given[1], blame.show(value))
    elseif type(key) ~= "number" and kind ~= "column" then
      blame.raise("%s.%s: a %s has no option %s", owner, given[1], kind, blame.key(key))
    end
  end
end

--- The checked list of { "name", type } pairs of a product, a table's columns or a reducer's parameters.
function types.fields(list, owner, kind)
  if type(list) ~= "table" or behind[list] then
    blame.raise("%s: expected a list of { \"name\", type }, got %s", owner, blame.show(list))
  end
  types.check_list(list, owner, kind, "{ %q, type }", kind == "column")
  local fields, place_of = {}, {}
  for place, given in ipairs(list) do
    if type(given) ~= "table" or behind[given] or type(given[1]) ~= "string" or given[1] == "" then
      blame.raise("%s: %s %d: expected { \"name\", type }, got %s", owner, kind, place, blame.show(given))
    end
    local name = given[1]
    if place_of[name] then
      blame.raise("%s: the %s `%s` is there twice", owner, kind, name)
    end
    check_field(given, owner, kind)
    place_of[name] = place - 1
    fields[place] = { name = name, type = types.of(given[2], owner, name), given = given }
  end
  return fields
end

--- A product of checked fields. `noun` is what a field is called in messages about its values.
function types.product_of(fields, name, label, noun)
  local product = { kind = "product", fields = fields, named = name, size = 0, depth = 1, parts = 1 }
  product.names, product.place_of, product.name = {}, {}, label
  for place, field in ipairs(fields) do
    product.names[place] = field.name
    product.place_of[field.name] = place
    nest(label, product, field.type)
    product.size = product.size and field.type.size and product.size + field.type.size
  end
  product.meta = frozen.fields(label, noun, product.names)
  return product
end

local function sum_of(variants, name, label)
  local sum = { kind = "sum", variants = variants, named = name, name = label, depth = 1, parts = 1, is_plain = true }
  sum.place_of, sum.names, sum.makers = {}, {}, {}
  for place, variant in ipairs(variants) do
    sum.place_of[variant.name] = place - 1
    sum.names[place] = variant.name
    sum.makers[place] = function(value)
      return (variant_value(sum, variant.name, value))
    end
    nest(name or "result", sum, variant.type)
    sum.is_plain = sum.is_plain and types.is_unit(variant.type)
  end
  sum.size = sum.is_plain and 1 or nil
  sum.meta = frozen.fields(label, "field", { "tag", "value" })
  return sum
end

local function scalar(name, size, extra)
  local type_ = { kind = name, name = name, size = size, depth = 1, parts = 1 }
  for key, value in pairs(extra or {}) do
    type_[key] = value
  end
  return handle(type_)
end

local function integer(name, size, low, high)
  return scalar(name, size, { is_integer = true, low = low, high = high })
end

local all = {
  bool = scalar("bool", 1),
  u8 = integer("u8", 1, 0, 255),
  u16 = integer("u16", 2, 0, 65535),
  u32 = integer("u32", 4, 0, 4294967295),
  u64 = integer("u64", 8),
  i8 = integer("i8", 1, -128, 127),
  i16 = integer("i16", 2, -32768, 32767),
  i32 = integer("i32", 4, -2147483648, 2147483647),
  i64 = integer("i64", 8),
  f32 = scalar("f32", 4),
  f64 = scalar("f64", 8),
  string = scalar("string"),
  bytes = scalar("bytes"),
  schedule_at = scalar("schedule_at", 9),
}
for _, name in ipairs { "identity", "connection_id", "uuid", "timestamp", "duration", "u128", "i128", "u256", "i256" } do
  local kind = values[name]
  all[name] = scalar(name, kind.size, { value = kind, is_integer = kind.widen ~= nil })
end

local unit = types.product_of({}, nil, "unit", "field")
all.unit = handle(unit)

function all.array(element)
  local inner = types.of(element, "array")
  local array = { kind = "array", name = "array(" .. inner.name .. ")", element = inner, depth = 1, parts = 1 }
  return handle(nest("array", array, inner))
end

function all.option(some)
  local inner = types.of(some, "option")
  local option = { kind = "option", name = "option(" .. inner.name .. ")", some = inner, depth = 1, parts = 1 }
  return handle(nest("option", option, inner))
end

function all.result(ok, err)
  local left, right = types.of(ok, "result"), types.of(err, "result")
  local label = ("result(%s, %s)"):format(left.name, right.name)
  local sum = sum_of({ { name = "ok", type = left }, { name = "err", type = right } }, nil, label)
  sum.is_plain, sum.size = false, nil
  return handle(sum)
end

--- Not a type of values: a view that returns it gives the text of a query for such rows.
function all.query(rows)
  local inner = types.of(rows, "query")
  return handle { kind = "query", name = "query(" .. inner.name .. ")", rows = inner, depth = 1, parts = 1 }
end

function all.product(list)
  return handle(types.product_of(types.fields(list, "product", "field"), nil, "product", "field"))
end

function all.struct(name, list)
  check_name(name)
  local product = types.product_of(types.fields(list, name, "field"), name, name, "field")
  define.type(product)
  return handle(product)
end

local function variant_of(given, owner, place)
  if type(given) == "string" and given ~= "" then
    return { name = given, type = unit }
  elseif type(given) == "table" and not behind[given] and type(given[1]) == "string" and given[1] ~= "" then
    return { name = given[1], type = given[2] == nil and unit or types.of(given[2], owner .. "." .. given[1]) }
  end
  blame.raise("%s: variant %d: expected \"Name\" or { \"Name\", type }, got %s", owner, place, blame.show(given))
end

function all.enum(name, list)
  check_name(name)
  if type(list) == "table" and not behind[list] then
    types.check_list(list, name, "variant", "{ %q, type }")
  end
  if type(list) ~= "table" or behind[list] or #list == 0 or #list > VARIANTS_MAX then
    blame.raise("%s: expected a list of 1 to %d variants, got %s", name, VARIANTS_MAX, blame.show(list))
  end
  local variants, seen = {}, {}
  for place, given in ipairs(list) do
    local variant = variant_of(given, name, place)
    if seen[variant.name] then
      blame.raise("%s: the variant `%s` is there twice", name, variant.name)
    end
    seen[variant.name] = true
    variants[place] = variant
  end
  local sum = sum_of(variants, name, name)
  define.type(sum)
  return handle(sum)
end

--- A name in `value` that is no field of the product, nil when there is none. Raw: runs no module code.
function types.stranger(product, value)
  for key in next, value do
    if not product.place_of[key] then
      return key
    end
  end
end

--- A handle for a type made elsewhere: the row of a table.
types.handle = handle

--- What modules see as stdb.types.
types.all = frozen.names(all, "stdb.types", "type")

function types.attach(definitions)
  define = definitions
end

return types
