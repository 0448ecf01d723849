--- stdb-lua sql: one question, its answer as a table.
local json = require "cli.json"
local misuse = require "cli.misuse"
local schema = require "cli.schema"
local server = require "cli.server"
local width_of = require "cli.width"

local print_value

local function print_fields(fields, values)
  local parts = {}
  for idx, field in ipairs(fields) do
    parts[idx] = ("%s = %s"):format(field.name, print_value(field.type, values[idx]))
  end
  return "(" .. table.concat(parts, ", ") .. ")"
end

-- Days since 1970 to a date: Howard Hinnant, "chrono-compatible low-level date algorithms".
local function date_of(days)
  days = days + 719468
  local era = math.floor(days / 146097)
  local day = days - era * 146097
  local year = math.floor((day - math.floor(day / 1460) + math.floor(day / 36524) - math.floor(day / 146096)) / 365)
  local rest = day - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local shifted = math.floor((5 * rest + 2) / 153)
  local month = shifted < 10 and shifted + 3 or shifted - 9
  return year + era * 400 + (month <= 2 and 1 or 0), month, rest - math.floor((153 * shifted + 2) / 5) + 1
end

local function print_timestamp(text)
  local micros = tonumber(text)
  local seconds = math.floor(micros / 1e6)
  local days = math.floor(seconds / 86400)
  local rest = seconds - days * 86400
  local year, month, day = date_of(days)
  return ("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ"):format(year, month, day, math.floor(rest / 3600), math.floor(rest / 60) % 60,
    rest % 60, micros - seconds * 1e6)
end

local function print_duration(text)
  return ("%+.6f"):format(tonumber(text) / 1e6)
end

-- A whole number of any size in 32 hex digits: long division by 16, four digits of it at a time.
local function hex_of(decimal)
  local digits = {}
  for place = 32, 1, -1 do
    local rest = 0
    decimal = ("0"):rep(-#decimal % 4) .. decimal
    decimal = decimal:gsub("%d%d%d%d", function(part)
      rest = rest * 10000 + tonumber(part)
      local quotient = math.floor(rest / 16)
      rest = rest % 16
      return ("%04d"):format(quotient)
    end)
    digits[place] = ("%x"):format(rest)
  end
  return table.concat(digits)
end

-- The other way: "-0x1f" becomes "-31". Four decimal digits a limb, the lowest first.
local function decimal_of(hex)
  local sign, digits = hex:match "^(%-?)0x(%x+)$"
  local limbs = { 0 }
  for digit in digits:gmatch "%x" do
    local carry = tonumber(digit, 16)
    for place, limb in ipairs(limbs) do
      limbs[place] = (limb * 16 + carry) % 10000
      carry = math.floor((limb * 16 + carry) / 10000)
    end
    if carry > 0 then limbs[#limbs + 1] = carry end
  end
  local parts = { ("%d"):format(limbs[#limbs]) }
  for place = #limbs - 1, 1, -1 do parts[#parts + 1] = ("%04d"):format(limbs[place]) end
  return sign .. table.concat(parts)
end

-- Values come untyped: products as arrays, sums as [tag, payload].
local printers = {
  string = json.quote,
  u256 = decimal_of,
  i256 = decimal_of,
  bytes = function(value) return "0x" .. value end,
  identity = function(value) return "0x" .. ("0"):rep(66 - #value[1]) .. value[1]:sub(3) end,
  connection_id = function(value) return "0x" .. hex_of(value[1].number) end,
  uuid = function(value)
    return (hex_of(value[1].number):gsub("^(%x%x%x%x%x%x%x%x)(%x%x%x%x)(%x%x%x%x)(%x%x%x%x)", "%1-%2-%3-%4-"))
  end,
  timestamp = function(value) return print_timestamp(value[1].number) end,
  duration = function(value) return print_duration(value[1].number) end,
  schedule_at = function(value)
    local print_moment = value[1].number == "0" and print_duration or print_timestamp
    return print_moment(value[2][1].number)
  end,
  product = function(value, one) return print_fields(one.fields, value) end,
  array = function(value, one)
    local parts = {}
    for idx, item in ipairs(value) do parts[idx] = print_value(one.element, item) end
    return "[" .. table.concat(parts, ", ") .. "]"
  end,
  option = function(value, one)
    if value[1].number == "1" then return "(none = ())" end
    return ("(some = %s)"):format(print_value(one.element, value[2]))
  end,
  result = function(value, one)
    local is_ok = value[1].number == "0"
    return ("(%s = %s)"):format(is_ok and "ok" or "err", print_value(is_ok and one.ok or one.err, value[2]))
  end,
  sum = function(value, one)
    local variant = one.variants[tonumber(value[1].number) + 1]
    return ("(%s = %s)"):format(variant.name, print_value(variant.type, value[2]))
  end,
}

function print_value(one, value)
  local printer = printers[one.kind]
  if printer then return printer(value, one) end
  return json.pretty(value):gsub("\n *", " ")
end

-- A column is no wider: cells that are stand out of line, and the other rows are not filled up to them.
local WIDTH_MAX = 120

local function print_table(result)
  local columns, widths, lines = {}, {}, {}
  for idx, element in ipairs(result.schema.elements) do
    columns[idx] = { name = element.name.some, type = schema.read_type(element.algebraic_type) }
    widths[idx] = width_of(columns[idx].name)
  end
  for row_idx, row in ipairs(result.rows) do
    local cells = {}
    for idx, column in ipairs(columns) do
      cells[idx] = print_value(column.type, row[idx])
      widths[idx] = math.max(widths[idx], math.min(width_of(cells[idx]), WIDTH_MAX))
    end
    lines[row_idx] = cells
  end
  local function write_line(cells)
    local padded = {}
    for idx, cell in ipairs(cells) do padded[idx] = " " .. cell .. (" "):rep(widths[idx] - width_of(cell)) end
    padded[#cells] = cells[#cells] == "" and "" or " " .. cells[#cells]
    print(table.concat(padded, " |"))
  end
  local names, rules = {}, {}
  for idx, column in ipairs(columns) do
    names[idx], rules[idx] = column.name, ("-"):rep(widths[idx] + 2)
  end
  write_line(names)
  print(table.concat(rules, "+"))
  for _, cells in ipairs(lines) do write_line(cells) end
end

-- A statement that changes rows has no columns to show.
local function print_changes(stats)
  local changes = {}
  for _, kind in ipairs { "inserted", "updated", "deleted" } do
    local count = tonumber(stats["rows_" .. kind].number)
    if count > 0 then changes[#changes + 1] = ("%d %s %s"):format(count, count == 1 and "row" or "rows", kind) end
  end
  print(#changes > 0 and table.concat(changes, ", ") or "no row changed")
end

local function print_result(query, result)
  if #result.schema.elements > 0 then return print_table(result) end
  if query:lower():find "^%s*set%s" then return print "set" end
  print_changes(result.stats)
end

local function ask_server(host, options, database, query)
  local path = ("/v1/database/%s/sql"):format(server.escape(database))
  if options.as_of then path = path .. "?as_of=" .. server.escape(options.as_of) end
  local status, answer = server.new(host, options):request("POST", path, query, "text/plain")
  if status == 200 then return answer end
  return nil, answer
end

return {
  arguments = "DATABASE QUERY",
  about = [==[
Runs one SQL statement, and prints a table, or JSON:
  SELECT * | column [AS name], ... | COUNT(*), SUM, MIN, MAX, AVG   FROM table [JOIN table ON a.x = b.y] ...
    [WHERE ...] [GROUP BY column] [ORDER BY column [DESC]] [LIMIT n] [OFFSET n] [AS OF moment]
  INSERT INTO table (column, ...) VALUES (value, ...), ...
  UPDATE table SET column = value, ... [WHERE ...]
  DELETE FROM table [WHERE ...]
  SET row_limit = n       SHOW row_limit       EXPLAIN statement
row_limit is how many rows a query of anybody but the owner may have to look at, from then on; 0 for any number.
A value is read at its column's type; one out of the type's range is refused, in a condition, too.
A table holds no row twice: INSERT counts the rows that came, UPDATE those it found, though some may have become one.
Tables st_table, st_column, st_client and others tell about the database itself. Only the owner changes rows or asks
about the past; `stdb-lua log` shows which moments there are. With --data-dir no server is needed to read.]==],
  options = server.with_options {
    { "--as-of", "MOMENT", "as it was right after the transaction at this offset, or at this time (2026-11-20T08:15:30Z)" },
    { "--data-dir", "DIR", "ask the data directory itself; a server may run on it" },
    { "--format", "FORMAT", "table (default) or json" },
  },
  positionals = { 2, 2 },
  run = function(host, options, positionals)
    local database, query = positionals[1], positionals[2]
    if options.format and options.format ~= "table" and options.format ~= "json" then
      misuse("--format is table or json, not %s", options.format)
    end
    local answer, message
    if options.data_dir then
      answer, message = host.ask(options.data_dir, database, options.as_of, query)
    else
      answer, message = ask_server(host, options, database, query)
    end
    if not answer then
      io.stderr:write(message, "\n")
      return 1
    end
    if options.format == "json" then
      print(answer)
    else
      for _, result in ipairs(json.decode(answer)) do print_result(query, result) end
    end
    return 0
  end,
}
