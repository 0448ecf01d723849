--- Values to BSATN and back, by functions that are written for each type.
--
-- Values of a fixed size are written at a pointer; others into the growing buffer of out.lua at an offset, and
-- the writer returns the offset behind them. A writer answers nil when the value does not fit, and no more:
-- misfit.lua finds out why. Readers trust their bytes, which C has checked.
--
-- Writers look at values with rawget() and never call into the module: its code would find the buffers half
-- full and fill them again.
local use = ...
local ffi = require "ffi"
local source, fixed, types, out = use "source", use "fixed", use "types", use "out"

local codec = {}

local FIELDS_A_PART = 15 -- a part's function stays below LuaJIT's 60 upvalues

--- The fields in parts that are small enough for a function each.
local function parts_of(fields)
  local parts = { {} }
  for place, field in ipairs(fields) do
    local part = math.floor((place - 1) / FIELDS_A_PART) + 1
    parts[part] = parts[part] or {}
    table.insert(parts[part], field)
  end
  return parts
end

--- The size of the run of fixed-size fields that begins at `place`.
local function run_size(fields, place)
  local size = 0
  while fields[place] and fields[place].type.size do
    size = size + fields[place].type.size
    place = place + 1
  end
  return size
end

-- Handles and values of ours look like empty tables: their metatable, which shows as false, tells them apart.
local NO_TABLE = 'type(%s) ~= "table" or getmetatable(%s) == false'

-- Products: writing -------------------------------------------------------------------------------------------

local function take_field(text, field, defaults)
  text:add("do local v = rawget(row, %q)", field.name)
  local default = defaults and defaults[field.name]
  if default ~= nil then
    text:add("if v == nil then v = %s end", text:bind(default, "default"))
  end
end

local STRING_WRITE = [[
  if type(v) ~= "string" then return nil end
  local size = #v
  local p = room(n, size + 4)
  cast(word, p).u32 = size
  copy(p + 4, v, size)
  n = n + 4 + size]]

local function write_variable(text, type_)
  if type_.kind == "string" or type_.kind == "bytes" then
    text:add(STRING_WRITE)
  else
    text:add("n = %s(n, v) if not n then return nil end", text:bind(codec.writer(type_), "write"))
  end
end

--- What a product's table must not be. One that lacks a field fails for that soon enough.
local function refusal(product, defaults)
  for _, field in ipairs(product.fields) do
    if field.type.kind ~= "option" and not (defaults and defaults[field.name] ~= nil) then
      return 'if type(row) ~= "table" then return nil end'
    end
  end
  return "if " .. NO_TABLE:format("row", "row") .. " then return nil end"
end

--- function(at, row) -> true or nil: writes the fields of a part of a product of fixed size.
local function fixed_part_writer(product, part, offset, rest, defaults)
  local text = source.new("write " .. product.name)
  text:add("return function(at, row) " .. refusal(product, defaults))
  for _, field in ipairs(part) do
    take_field(text, field, defaults)
    text:add("%s end", fixed.write_text(text, field.type, "at + " .. offset, "v", "return nil"))
    offset = offset + field.type.size
  end
  text:add("return %s end", rest and "(" .. text:bind(rest, "rest") .. "(at, row))" or "true")
  return text:compile(), offset
end

--- function(n, row) -> n or nil: writes the fields of a part of a product of any size.
local function part_writer(product, part, rest, defaults)
  local text = source.new("write " .. product.name)
  text:add("return function(n, row) " .. refusal(product, defaults) .. " local p")
  local offset, size
  for place, field in ipairs(part) do
    if not field.type.size then
      offset = nil
      take_field(text, field, defaults)
      write_variable(text, field.type)
      text:add "end"
    else
      if not offset then
        offset, size = 0, run_size(part, place)
        text:add("p = room(n, %d) n = n + %d", size, size)
      end
      take_field(text, field, defaults)
      text:add("%s end", fixed.write_text(text, field.type, "p + " .. offset, "v", "return nil"))
      offset = offset + field.type.size
    end
  end
  text:add("return %s end", rest and "(" .. text:bind(rest, "rest") .. "(n, row))" or "n")
  return text:compile()
end

--- Writes a product. `defaults` are values for absent fields, by name. For a product of fixed size:
-- function(at, row) -> true or nil, else function(n, row) -> n or nil.
function codec.product_writer(product, defaults)
  local parts, offsets, offset = parts_of(product.fields), {}, 0
  for place, part in ipairs(parts) do
    offsets[place] = offset
    offset = offset + run_size(part, 1)
  end
  local rest
  for place = #parts, 1, -1 do
    if product.size then
      rest = fixed_part_writer(product, parts[place], offsets[place], rest, defaults)
    else
      rest = part_writer(product, parts[place], rest, defaults)
    end
  end
  return rest
end

-- Products: reading -------------------------------------------------------------------------------------------

local STRING_READ = [[
  do local size = cast(word, at).u32
  row[%q] = string_at(at + 4, size)
  at = at + (4 + size) end]]

--- Opens the row: the fields of the first run, and a place for each of the others, so that it never grows.
local function open_row(text, product)
  local entries, offset, is_run = {}, 0, true
  for place, field in ipairs(product.fields) do
    is_run = is_run and field.type.size ~= nil and place <= FIELDS_A_PART
    local value = is_run and fixed.read_text(text, field.type, "at + " .. offset) or "false"
    offset = is_run and offset + field.type.size or offset
    entries[place] = ("[%q] = %s"):format(field.name, value)
  end
  text:add("local row = { %s }", table.concat(entries, ", "))
  return offset
end

local function read_fields(text, part, is_first, first_offset)
  local offset = is_first and first_offset or 0
  local in_first_run = is_first
  for _, field in ipairs(part) do
    if field.type.size and not in_first_run then
      text:add("row[%q] = %s", field.name, fixed.read_text(text, field.type, "at + " .. offset))
      offset = offset + field.type.size
    elseif not field.type.size then
      in_first_run = false
      if offset > 0 then
        text:add("at = at + %d", offset)
        offset = 0
      end
      if field.type.kind == "string" or field.type.kind == "bytes" then
        text:add(STRING_READ, field.name)
      else
        text:add("row[%q], at = %s(at)", field.name, text:bind(codec.reader(field.type), "read"))
      end
    end
  end
  if offset > 0 then
    text:add("at = at + %d", offset)
  end
end

--- function(at) -> row, at: reads a product.
function codec.product_reader(product)
  local parts = parts_of(product.fields)
  local rest
  for place = #parts, 1, -1 do
    local text = source.new("read " .. product.name)
    local offset = 0
    if place == 1 then
      text:add "return function(at)"
      offset = open_row(text, product)
    else
      text:add "return function(at, row)"
    end
    read_fields(text, parts[place], place == 1, offset)
    if rest then
      text:add("row, at = %s(at, row)", text:bind(rest, "rest"))
    else
      text:add("setmetatable(row, %s)", text:bind(product.meta, "meta"))
    end
    text:add "return row, at end"
    rest = text:compile()
  end
  return rest
end

-- Arrays, options, sums -----------------------------------------------------------------------------------------

local ARRAY_OPEN = [[
return function(n, list)
  if ]] .. NO_TABLE:format("list", "list") .. [[ then return nil end
  local count = %s
  if not integer_count(count) then return nil end]]

local function array_writer(type_)
  local element = type_.element
  local text = source.new("write array")
  -- An array of options may have holes, so `n` says how many elements there are.
  text:add((ARRAY_OPEN:gsub("integer_count", text:bind(codec.is_count, "is_count"))),
    element.kind == "option" and 'rawget(list, "n") or #list' or "#list")
  if element.size then
    text:add("local p = room(n, 4 + count * %d) cast(word, p).u32 = count p = p + 4", element.size)
    text:add("for place = 1, count do local v = rawget(list, place)")
    text:add(fixed.write_text(text, element, "p", "v", "return nil"))
    text:add("p = p + %d end return n + 4 + count * %d end", element.size, element.size)
  else
    text:add("cast(word, room(n, 4)).u32 = count n = n + 4")
    text:add("for place = 1, count do n = %s(n, rawget(list, place)) if not n then return nil end end return n end",
      text:bind(codec.writer(element), "write"))
  end
  return text:compile()
end

function codec.is_count(count)
  return type(count) == "number" and count >= 0 and count <= 4294967295 and math.floor(count) == count
end

local function array_reader(type_)
  local element = type_.element
  local text = source.new("read array")
  text:add "return function(at) local count = cast(word, at).u32 local list = {} at = at + 4"
  if element.kind == "option" then
    text:add "list.n = count"
  end
  if element.size then
    text:add("for place = 1, count do list[place] = %s at = at + %d end",
      fixed.read_text(text, element, "at"), element.size)
  else
    text:add("for place = 1, count do list[place], at = %s(at) end", text:bind(codec.reader(element), "read"))
  end
  text:add "return list, at end"
  return text:compile()
end

-- An option is its value or nil, which may be written as stdb.none. An option of an option would be nil twice over, so
-- it is { some = value }.

local function option_writer(type_)
  local text = source.new("write option")
  text:add [[
return function(n, v)
  local p = room(n, 1)
  if v == nil or v == none then cast(word, p).u8 = 1 return n + 1 end
  cast(word, p).u8 = 0]]
  if type_.some.kind == "option" then
    text:add 'if type(v) ~= "table" then return nil end v = rawget(v, "some")'
  end
  text:add("return (%s(n + 1, v)) end", text:bind(codec.writer(type_.some), "write"))
  return text:compile()
end

local function option_reader(type_)
  local text = source.new("read option")
  text:add "return function(at) if cast(word, at).u8 == 1 then return nil, at + 1 end local v"
  text:add("v, at = %s(at + 1)", text:bind(codec.reader(type_.some), "read"))
  text:add(type_.some.kind == "option" and "return { some = v }, at end" or "return v, at end")
  return text:compile()
end

--- What to do with each variant's payload, by its tag: a function, or false where there is none.
local function by_tag(sum, coder)
  local coders = {}
  for place, variant in ipairs(sum.variants) do
    coders[place - 1] = not types.is_unit(variant.type) and coder(variant.type)
  end
  return coders
end

local function sum_writer(type_)
  return source.compile("write sum", [[
return function(n, v)
  local tag, payload = v, nil
  if type(v) == "table" then tag, payload = rawget(v, "tag"), rawget(v, "value") end
  local place = places[tag]
  if not place then return nil end
  cast(word, room(n, 1)).u8 = place
  local write = writers[place]
  if write then return (write(n + 1, payload)) end
  return payload == nil and n + 1 or nil
end]], { places = type_.place_of, writers = by_tag(type_, codec.writer) })
end

local function sum_reader(type_)
  local names = {}
  for place, variant in ipairs(type_.variants) do
    names[place - 1] = variant.name
  end
  return source.compile("read sum", [[
return function(at)
  local place = cast(word, at).u8
  local read = readers[place]
  local v
  at = at + 1
  if read then v, at = read(at) end
  return setmetatable({ tag = names[place], value = v }, meta), at
end]], { names = names, readers = by_tag(type_, codec.reader), meta = type_.meta })
end

-- Any type ------------------------------------------------------------------------------------------------------

local function string_writer()
  local text = source.new("write string")
  text:add "return function(n, v)"
  text:add(STRING_WRITE)
  text:add "return n end"
  return text:compile()
end

local function string_reader()
  return source.compile("read string", [[
return function(at)
  local size = cast(word, at).u32
  return string_at(at + 4, size), at + (4 + size)
end]], {})
end

local function fixed_to_writer(type_)
  local text = source.new("write " .. type_.name)
  text:add("return function(n, v) local p = room(n, %d)", type_.size)
  text:add(fixed.write_text(text, type_, "p", "v", "return nil"))
  text:add("return n + %d end", type_.size)
  return text:compile()
end

local function fixed_to_reader(type_)
  local text = source.new("read " .. type_.name)
  text:add("return function(at) return %s, at + %d end", fixed.read_text(text, type_, "at"), type_.size)
  return text:compile()
end

local variable_writers = {
  string = string_writer, bytes = string_writer, array = array_writer, option = option_writer, sum = sum_writer,
  product = codec.product_writer,
}
local variable_readers = {
  string = string_reader, bytes = string_reader, array = array_reader, option = option_reader, sum = sum_reader,
  product = codec.product_reader,
}

--- Remembers what was made for a type.
local function once(make)
  local made = {}
  return function(type_)
    made[type_] = made[type_] or make(type_)
    return made[type_]
  end
end

--- function(n, value) -> n or nil
codec.writer = once(function(type_)
  return type_.size and fixed_to_writer(type_) or variable_writers[type_.kind](type_)
end)

--- function(n, value) -> n or nil, for a value that is looked for in an index
codec.key_writer = once(function(type_)
  local settle, write = fixed.settle_text(type_, "v"), codec.writer(type_)
  return settle == "" and write
    or source.compile("key " .. type_.name, "return function(n, v) " .. settle .. " return (write(n, v)) end",
      { write = write })
end)

--- function(at) -> value, at
codec.reader = once(function(type_)
  return type_.size and fixed_to_reader(type_) or variable_readers[type_.kind](type_)
end)

--- function(at, value) -> true or nil, for products of a fixed size
codec.fixed_writer = once(codec.product_writer)

--- function(at) -> value, at, for products of a fixed size
codec.fixed_reader = once(codec.product_reader)

--- The BSATN of a value as a string, nil when it does not fit.
function codec.encode(type_, value)
  local size = codec.writer(type_)(0, value)
  return size and ffi.string(out.bytes.at, size)
end

--- The value behind valid BSATN.
function codec.decode(type_, bytes)
  return (codec.reader(type_)(ffi.cast("const uint8_t *", bytes)))
end

return codec
