--- A database's description (RawModuleDefV10 as JSON, read by cli.json) in a shape that is easy to walk.
local schema = {}

local function some(option)
  return option and option.some
end

-- { Product = … }: the one key and its value.
local function only(value)
  return value.keys[1], value.values[value.keys[1]]
end

local scalars = {
  String = "string", Bool = "bool", I8 = "i8", U8 = "u8", I16 = "i16", U16 = "u16", I32 = "i32", U32 = "u32", I64 = "i64",
  U64 = "u64", I128 = "i128", U128 = "u128", I256 = "i256", U256 = "u256", F32 = "f32", F64 = "f64",
}

local special_products = {
  __identity__ = "identity", __connection_id__ = "connection_id", __timestamp_micros_since_unix_epoch__ = "timestamp",
  __time_duration_micros__ = "duration", __uuid__ = "uuid",
}

local read_type

local function read_fields(list)
  local fields = {}
  for idx, field in ipairs(list) do
    fields[idx] = { name = some(field.name) or ("_" .. (idx - 1)), type = read_type(field.algebraic_type) }
  end
  return fields
end

local function read_product(fields)
  local special = #fields == 1 and special_products[fields[1].name]
  if special then return { kind = special } end
  return { kind = "product", fields = fields }
end

local function read_sum(variants)
  local first, second = variants[1], variants[2]
  if #variants == 2 and first.name == "some" and second.name == "none" then
    return { kind = "option", element = first.type }
  elseif #variants == 2 and first.name == "ok" and second.name == "err" then
    return { kind = "result", ok = first.type, err = second.type }
  elseif #variants == 2 and first.name == "Interval" and second.name == "Time" then
    return { kind = "schedule_at" }
  end
  return { kind = "sum", variants = variants }
end

--- A type: { kind = "u32" }, { kind = "array", element }, { kind = "option", element }, { kind = "result", ok, err },
--- { kind = "product", fields }, { kind = "sum", variants }, { kind = "ref", ref } and the special ones by name.
function read_type(value)
  local name, body = only(value)
  if scalars[name] then return { kind = scalars[name] } end
  if name == "Ref" then return { kind = "ref", ref = tonumber(body.number) } end
  if name == "Product" then return read_product(read_fields(body.elements)) end
  if name == "Sum" then return read_sum(read_fields(body.variants)) end
  if name == "Array" then
    local element = read_type(body)
    return element.kind == "u8" and { kind = "bytes" } or { kind = "array", element = element }
  end
  error("the description has a type this program does not know: " .. tostring(name), 0)
end

schema.read_type = function(value) return read_type(value) end

local function numbers(list)
  local out = {}
  for idx, item in ipairs(list) do out[idx] = tonumber(item.number) end
  return out
end

local function read_index(value)
  local algorithm, columns = only(value.algorithm)
  return {
    name = some(value.source_name), accessor = some(value.accessor_name), algorithm = algorithm:lower(),
    columns = algorithm == "Direct" and { tonumber(columns.number) } or numbers(columns),
  }
end

local function read_table(value, types)
  local one = {
    name = value.source_name, ref = tonumber(value.product_type_ref.number), public = only(value.table_access) == "Public",
    is_event = value.is_event == true, primary_key = numbers(value.primary_key)[1], indexes = {}, uniques = {}, auto_inc = {},
  }
  one.columns = types[one.ref + 1].fields
  for idx, index in ipairs(value.indexes) do one.indexes[idx] = read_index(index) end
  for idx, constraint in ipairs(value.constraints) do
    one.uniques[idx] = { name = some(constraint.source_name), columns = numbers(constraint.data.Unique.columns) }
  end
  for _, sequence in ipairs(value.sequences) do one.auto_inc[tonumber(sequence.column.number)] = true end
  return one
end

-- Where the column of this name stands, counted from 0.
local function place_of(columns, name)
  for idx, column in ipairs(columns) do
    if column.name == name then return idx - 1 end
  end
end

-- Of an option, an array, or a product of one field `__query__`: the row's type, and whether it is a query.
local function read_returns(value)
  local name, body = only(value)
  if name == "Array" then return tonumber(body.Ref.number), false end
  local first = name == "Sum" and body.variants[1] or body.elements[1]
  return tonumber(first.algebraic_type.Ref.number), name == "Product"
end

-- A view in the shape of a table. A query has the key of the table whose rows it gives.
local function read_view(value, read, keys)
  local ref, is_query = read_returns(value.return_type)
  local one = {
    name = value.source_name, ref = ref, public = value.is_public, anonymous = value.is_anonymous, is_event = false,
    columns = read.types[ref + 1].fields, indexes = {}, uniques = {}, auto_inc = {}, is_query = is_query,
  }
  one.primary_key = keys[one.name] and place_of(one.columns, keys[one.name])
  for _, source in ipairs(read.tables) do
    if is_query and not one.primary_key and source.ref == ref then one.primary_key = source.primary_key end
  end
  if one.primary_key then
    local column = one.columns[one.primary_key + 1].name
    one.indexes[1] = {
      name = ("%s_%s_idx_btree"):format(one.name, column), accessor = column, algorithm = "btree",
      columns = { one.primary_key },
    }
    one.uniques[1] = { name = ("%s_%s_key"):format(one.name, column), columns = { one.primary_key } }
  end
  return one
end

local function read_views(sections, read)
  local keys = {}
  for _, value in ipairs(sections.ViewPrimaryKeys or {}) do keys[value.view_source_name] = value.columns[1] end
  for idx, value in ipairs(sections.Views or {}) do read.views[idx] = read_view(value, read, keys) end
end

--- { types = {...}, type_names = { [ref] = name }, tables = {...}, views = {...}, reducers = {...}, filters = {...} };
--- refs and columns count from 0.
function schema.read(json_value)
  local sections = {}
  for _, section in ipairs(json_value.sections) do
    local name, body = only(section)
    sections[name] = body
  end
  local read = { types = {}, type_names = {}, tables = {}, views = {}, reducers = {}, filters = {} }
  for idx, value in ipairs(sections.Typespace.types) do read.types[idx] = read_type(value) end
  for _, value in ipairs(sections.Types or {}) do
    read.type_names[tonumber(value.ty.number)] = value.source_name.source_name
  end
  for idx, value in ipairs(sections.Tables or {}) do read.tables[idx] = read_table(value, read.types) end
  read_views(sections, read)
  local schedules = {}
  for _, value in ipairs(sections.Schedules or {}) do schedules[value.table_name] = value.function_name end
  for _, one in ipairs(read.tables) do one.schedule = schedules[one.name] end
  for idx, value in ipairs(sections.RowLevelSecurity or {}) do read.filters[idx] = value.sql end
  local lifecycle = {}
  for _, value in ipairs(sections.LifeCycleReducers or {}) do
    lifecycle[value.function_name] = only(value.lifecycle_spec)
  end
  for idx, value in ipairs(sections.Reducers or {}) do
    read.reducers[idx] = {
      name = value.source_name, params = read_fields(value.params.elements), lifecycle = lifecycle[value.source_name],
      private = only(value.visibility) == "Private",
    }
  end
  return read
end

--- A type for people: "u32", "option<string>", "Player".
function schema.type_text(read, one)
  if one.kind == "ref" then
    return read.type_names[one.ref] or schema.type_text(read, read.types[one.ref + 1])
  elseif one.kind == "array" or one.kind == "option" then
    return ("%s<%s>"):format(one.kind, schema.type_text(read, one.element))
  elseif one.kind == "result" then
    return ("result<%s, %s>"):format(schema.type_text(read, one.ok), schema.type_text(read, one.err))
  elseif one.kind == "product" or one.kind == "sum" then
    local parts = {}
    for idx, field in ipairs(one.fields or one.variants) do
      parts[idx] = field.name .. ": " .. schema.type_text(read, field.type)
    end
    return (one.kind == "product" and "{%s}" or "<%s>"):format(table.concat(parts, ", "))
  end
  return one.kind
end

return schema
