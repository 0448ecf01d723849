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

--- function(at, row) -> true or nil: writes the fields of a part of a product of fixed size.
local function fixed_part_writer(name, part, offset, rest, defaults)
  local text = source.new("write " .. name)
  text:add('return function(at, row) if type(row) ~= "table" then return nil end')
  for _, field in ipairs(part) do
    take_field(text, field, defaults)
    text:add("%s end", fixed.write_text(text, field.type, "at + " .. offset, "v", "return nil"))
    offset = offset + field.type.size
  end
  text:add("return %s end", rest and text:bind(rest, "rest") .. "(at, row)" or "true")
  return text:compile(), offset
end

--- function(n, row) -> n or nil: writes the fields of a part of a product of any size.
local function part_writer(name, part, rest, defaults)
  local text = source.new("write " .. name)
  text:add('return function(n, row) if type(row) ~= "table" then return nil end local p')
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
  text:add("return %s end", rest and text:bind(rest, "rest") .. "(n, row)" or "n")
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
      rest = fixed_part_writer(product.name, parts[place], offsets[place], rest, defaults)
    else
      rest = part_writer(product.name, parts[place], rest, defaults)
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
    text:add("return %s end", rest and text:bind(rest, "rest") .. "(at, row)"
      or "setmetatable(row, " .. text:bind(product.meta, "meta") .. "), at")
    rest = text:compile()
  end
  return rest
end

-- Arrays, options, sums -----------------------------------------------------------------------------------------

local function array_writer(type_)
  local element = type_.element
  local text = source.new("write array")
  -- An array of options may have holes: then `n` says how many elements there are.
  text:add [[
return function(n, list)
  if type(list) ~= "table" or kind_name(list) then return nil end
  local count = rawget(list, "n") or #list
  if type(count) ~= "number" or not (count >= 0 and count <= 4294967295 and floor(count) == count) then return nil end]]
  text.head[1] = "local kind_name = common.kind_name\n" .. (text.head[1] or "")
  if element.size then
    text:add("local p = room(n, 4 + count * %d) cast(word, p).u32 = count p = p + 4", element.size)
    text:add("for place = 1, count do local v = rawget(list, place)")
    text:add(fixed.write_text(text, element, "p", "v", "return nil"))
    text:add("p = p + %d end return n + 4 + count * %d end", element.size, element.size)
  else
    text:add("cast(word, room(n, 4)).u32 = count n = n + 4 local write = %s", text:bind(codec.writer(element), "write"))
    text:add "for place = 1, count do n = write(n, rawget(list, place)) if not n then return nil end end return n end"
  end
  return text:compile()
end
