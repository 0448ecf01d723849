--- Says why a value does not fit its type. The codecs only find out that it does not; looking for the place
-- is done here, slowly, once something is wrong. Never runs the module's code.
local use = ...
local blame, values, types, codec = use "blame", use "values", use "types", use "codec"

local type, rawget, format = type, rawget, string.format

local explain

local function expected(path, what, value)
  return format("%s: expected %s, got %s", path, what, blame.show(value))
end

local function explain_integer(type_, value, path)
  if type_.value and type_.value.bytes[value] then
    return nil
  end
  local fits
  if type_.value then
    fits = type_.value.widen(value)
  elseif type_.low then
    local number = values.integer(value)
    fits = number >= type_.low and number <= type_.high and math.floor(number) == number
  else
    fits = type_.kind == "u64" and values.to_u64(value) or type_.kind == "i64" and values.to_i64(value)
  end
  if fits then
    return nil
  end
  if type(value) == "number" and type_.low and math.floor(value) == value then
    return expected(path, format("%s (%d to %d)", type_.name, type_.low, type_.high), value)
  end
  return expected(path, type_.name, value)
end

local function explain_array(type_, value, path)
  if type(value) ~= "table" or getmetatable(value) == false then
    return expected(path, type_.name, value)
  end
  local count = type_.element.kind == "option" and rawget(value, "n") or #value
  if not codec.is_count(count) then
    return expected(path .. ".n", "the number of elements", count)
  end
  for place = 1, count do
    local why = explain(type_.element, rawget(value, place), format("%s[%d]", path, place))
    if why then
      return why
    end
  end
end

local function explain_product(type_, value, path)
  if type(value) ~= "table" or getmetatable(value) == false then
    return expected(path, type_.name, value)
  end
  for _, field in ipairs(type_.fields) do
    local why = explain(field.type, rawget(value, field.name), path .. "." .. field.name)
    if why then
      local stranger = rawget(value, field.name) == nil and types.stranger(type_, value)
      return stranger and format("%s has no field %s%s", path, blame.key(stranger), blame.hint(stranger, type_.names))
        or why
    end
  end
end

local function explain_sum(type_, value, path)
  local tag, payload = value, nil
  if type(value) == "table" then
    tag, payload = rawget(value, "tag"), rawget(value, "value")
  end
  local place = type(tag) == "string" and type_.place_of[tag]
  if not place then
    local what = #type_.names <= 8 and format("%s (%s)", type_.name, table.concat(type_.names, ", ")) or type_.name
    local hint = type(tag) == "string" and blame.hint(tag, type_.names) or ""
    return expected(path, what, type(value) == "table" and tag or value) .. hint
  end
  local inner = type_.variants[place + 1].type
  if types.is_unit(inner) then
    return payload ~= nil and expected(path .. "." .. tag, "no value", payload) or nil
  end
  return explain(inner, payload, path .. "." .. tag)
end

local function explain_option(type_, value, path)
  if value == nil or value == values.none then
    return nil
  elseif type_.some.kind ~= "option" then
    return explain(type_.some, value, path)
  elseif type(value) ~= "table" then
    return expected(path, type_.name .. " as nil or { some = value }", value)
  end
  return explain(type_.some, rawget(value, "some"), path .. ".some")
end

local lua_types = { bool = "boolean", string = "string", bytes = "string", f32 = "number", f64 = "number" }

--- The sentence about the first place where `value` is no `type_`, or nil when it fits.
function explain(type_, value, path)
  local kind = type_.kind
  if lua_types[kind] then
    return type(value) ~= lua_types[kind] and expected(path, type_.name, value) or nil
  elseif type_.is_integer then
    return explain_integer(type_, value, path)
  elseif kind == "schedule_at" then
    local name = values.kind_name(value)
    return name ~= "duration" and name ~= "timestamp" and expected(path, "a duration or a timestamp", value) or nil
  elseif type_.value then
    return values.kind_name(value) ~= kind and expected(path, type_.name, value) or nil
  elseif kind == "array" then
    return explain_array(type_, value, path)
  elseif kind == "option" then
    return explain_option(type_, value, path)
  elseif kind == "sum" then
    return explain_sum(type_, value, path)
  end
  return explain_product(type_, value, path)
end

local misfit = { explain = explain }

--- Raises what is wrong with `value`.
function misfit.raise(type_, value, path)
  blame.raise(explain(type_, value, path) or path .. ": the value does not fit its type")
end

return misfit
