--- Writes client bindings for the npm package `spacetimedb` from a description (cli.schema's shape).
--
-- A view is to clients what a table is. What the package needs (read from its own type definitions, 2.x): columns in
-- wire order, since order and types decide decoding; the wire name of each table and reducer; one primary key column;
-- unique columns marked as such, since that decides whether an index has `find` or `filter`; every index as a B-tree,
-- since its client cache knows no other. Columns and accessors are camelCase, types PascalCase; a column whose stored
-- name differs carries it, for queries.
local typescript = {}

-- The version that the package compares with the oldest it understands.
local PROTOCOL_VERSION = "2.0.0"

local HEADER = [[
// Written by `stdb-lua generate`. Changes here are lost with the next run: change the module instead.

/* eslint-disable */
/* tslint:disable */
]]

-- No name begins with a digit.
local function camel_case(name)
  local text = name:gsub("[-_]+", "_"):gsub("_(%w)", function(letter) return letter:upper() end)
  return ((text:sub(1, 1):lower() .. text:sub(2)):gsub("^%d", "_%0"))
end

local function pascal_case(name)
  local text = camel_case(name)
  return text:sub(1, 1):upper() .. text:sub(2)
end

-- Two names that TypeScript would know as one.
local function check_distinct(what, list, convert)
  local seen = {}
  for _, one in ipairs(list) do
    local name = convert(one.name)
    if seen[name] then
      error(("%s `%s` and `%s` would both be called %s: rename one of them"):format(what, seen[name], one.name, name), 0)
    end
    seen[name] = one.name
  end
end

local function quote(text)
  return "'" .. text:gsub("[\\']", "\\%0") .. "'"
end

-- A property name that is not an identifier is quoted.
local function property(name)
  return name:find "^[%a_$][%w_$]*$" and name or quote(name)
end

local scalars = {
  string = "string", bool = "bool", i8 = "i8", u8 = "u8", i16 = "i16", u16 = "u16", i32 = "i32", u32 = "u32", i64 = "i64",
  u64 = "u64", i128 = "i128", u128 = "u128", i256 = "i256", u256 = "u256", f32 = "f32", f64 = "f64", bytes = "byteArray",
  identity = "identity", connection_id = "connectionId", timestamp = "timestamp", duration = "timeDuration",
  uuid = "uuid", schedule_at = "scheduleAt",
}

-- One generation: the description and what has been noticed on the way.
local writer = {}
writer.__index = writer

-- The builder of a type, as TypeScript. `used` collects the named types it mentions.
function writer:type(one, used, indent)
  local scalar = scalars[one.kind]
  if scalar then return "__t." .. scalar .. "()" end
  if one.kind == "ref" then return self:ref(one.ref, used, indent) end
  if one.kind == "option" or one.kind == "array" then
    return ("__t.%s(%s)"):format(one.kind, self:type(one.element, used, indent))
  elseif one.kind == "result" then
    return ("__t.result(%s, %s)"):format(self:type(one.ok, used, indent), self:type(one.err, used, indent))
  elseif one.kind == "product" and #one.fields == 0 then
    return "__t.unit()"
  end
  self.nameless = self.nameless + 1
  local name = "Nameless" .. self.nameless
  if one.kind == "product" then return self:object(name, one.fields, used, indent) end
  return self:enum(name, one.variants, used, indent)
end

function writer:ref(ref, used, indent)
  local name = self.names[ref]
  if not name then return self:type(self.read.types[ref + 1], used, indent) end
  used[name] = true
  return name
end

-- A field that mentions a named type is a getter: types may stand in any order, and in circles.
function writer:field(name, one, used, indent, suffix)
  local mentioned = {}
  local text = self:type(one, mentioned, indent)
  for mention in pairs(mentioned) do used[mention] = true end
  if next(mentioned) == nil then return ("%s%s: %s%s,\n"):format(indent, property(name), text, suffix or "") end
  return ("%sget %s() {\n%s  return %s%s;\n%s},\n"):format(indent, property(name), indent, text, suffix or "", indent)
end

-- The fields of a product, or the variants of a sum, one a line.
function writer:fields(list, convert, used, indent, suffix_of)
  local parts = {}
  check_distinct("fields", list, convert)
  for idx, field in ipairs(list) do
    parts[idx] = self:field(convert(field.name), field.type, used, indent, suffix_of and suffix_of(field, idx - 1))
  end
  return table.concat(parts)
end

function writer:object(name, fields, used, indent)
  return ("__t.object(%s, {\n%s%s})"):format(quote(name), self:fields(fields, camel_case, used, indent .. "  "), indent)
end

function writer:enum(name, variants, used, indent)
  return ("__t.enum(%s, {\n%s%s})"):format(quote(name), self:fields(variants, pascal_case, used, indent .. "  "), indent)
end

local function sorted_keys(set)
  local keys = {}
  for key in pairs(set) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function import_types(used, path)
  local names = sorted_keys(used)
  if #names == 0 then return "" end
  return ("import { %s } from '%s';\n"):format(table.concat(names, ", "), path)
end

-- types.ts: every named type, ascending by name.
function writer:types_file()
  local parts, refs = {}, {}
  for ref in pairs(self.names) do refs[#refs + 1] = ref end
  table.sort(refs, function(left, right) return self.names[left] < self.names[right] end)
  for _, ref in ipairs(refs) do
    local name, one = self.names[ref], self.read.types[ref + 1]
    local body
    if one.kind == "product" then
      body = self:object(name, one.fields, {}, "")
    elseif one.kind == "sum" then
      body = self:enum(name, one.variants, {}, "")
    else
      body = self:type(one, {}, "")
    end
    parts[#parts + 1] = ("export const %s = %s;\nexport type %s = __Infer<typeof %s>;\n"):format(name, body, name, name)
  end
  local import = "import {\n  t as __t,\n  type Infer as __Infer,\n} from 'spacetimedb';\n"
  return HEADER .. (#parts > 0 and import or "export {};\n") .. "\n" .. table.concat(parts, "\n")
end

-- Types that the package takes for no keys. A table with such a primary key has none to clients: they see a row that
-- changes go and come.
local KEYLESS = { bytes = true, f32 = true, f64 = true, option = true }

local function primary_key(one)
  local position = one.primary_key
  return position and not KEYLESS[one.columns[position + 1].type.kind] and position or nil
end

-- The unique constraints that the package can express: over one column, and of enums only the primary key.
local function unique_columns(one)
  local columns = {}
  for _, constraint in ipairs(one.uniques) do
    local column = constraint.columns[1]
    local kind = one.columns[column + 1].type.kind
    local is_known = not KEYLESS[kind] and (kind ~= "ref" or column == one.primary_key)
    if #constraint.columns == 1 and is_known then columns[column] = constraint.name end
  end
  return columns
end

-- <table>_table.ts: the row.
function writer:table_file(one)
  local used = {}
  local unique = unique_columns(one)
  local columns = self:fields(one.columns, camel_case, used, "  ", function(column, position)
    local stored = camel_case(column.name) ~= column.name and (".name(%s)"):format(quote(column.name)) or ""
    return (primary_key(one) == position and ".primaryKey()" or unique[position] and ".unique()" or "") .. stored
  end)
  return HEADER .. "import { t as __t } from 'spacetimedb';\n" .. import_types(used, "./types") ..
    ("\nexport default __t.row({\n%s});\n"):format(columns)
end

-- <reducer>_reducer.ts: the parameters.
function writer:reducer_file(one)
  local used = {}
  local params = self:fields(one.params, camel_case, used, "  ")
  local import = params:find "__t%." and "import { t as __t } from 'spacetimedb';\n" or ""
  return HEADER .. import .. import_types(used, "./types") .. ("\nexport default {\n%s};\n"):format(params)
end

local function column_list(one, positions)
  local names = {}
  for idx, position in ipairs(positions) do names[idx] = quote(camel_case(one.columns[position + 1].name)) end
  return table.concat(names, ", ")
end

local function table_entry(one)
  local lines = { ("  %s: __table({\n    name: %s,\n"):format(property(camel_case(one.name)), quote(one.name)) }
  lines[#lines + 1] = "    indexes: [\n"
  for _, index in ipairs(one.indexes) do
    lines[#lines + 1] = ("      { accessor: %s, name: %s, algorithm: 'btree', columns: [%s] },\n"):format(
      quote(camel_case(index.accessor or index.name)), quote(index.name), column_list(one, index.columns))
  end
  lines[#lines + 1] = "    ],\n    constraints: [\n"
  local unique = unique_columns(one)
  for position in ipairs(one.columns) do
    if unique[position - 1] then
      lines[#lines + 1] = ("      { name: %s, constraint: 'unique', columns: [%s] },\n"):format(quote(unique[position - 1]),
        column_list(one, { position - 1 }))
    end
  end
  lines[#lines + 1] = "    ],\n"
  if one.is_event then lines[#lines + 1] = "    event: true,\n" end
  lines[#lines + 1] = ("  }, %sRow),\n"):format(pascal_case(one.name))
  return table.concat(lines)
end

local INDEX_IMPORTS = [[
import {
  DbConnectionBuilder as __DbConnectionBuilder,
  DbConnectionImpl as __DbConnectionImpl,
  SubscriptionBuilderImpl as __SubscriptionBuilderImpl,
  convertToAccessorMap as __convertToAccessorMap,
  makeQueryBuilder as __makeQueryBuilder,
  procedures as __procedures,
  reducerSchema as __reducerSchema,
  reducers as __reducers,
  schema as __schema,
  table as __table,
  type DbConnectionConfig as __DbConnectionConfig,
  type ErrorContextInterface as __ErrorContextInterface,
  type EventContextInterface as __EventContextInterface,
  type QueryBuilder as __QueryBuilder,
  type ReducerEventContextInterface as __ReducerEventContextInterface,
  type RemoteModule as __RemoteModule,
  type SubscriptionEventContextInterface as __SubscriptionEventContextInterface,
  type SubscriptionHandleImpl as __SubscriptionHandleImpl,
} from 'spacetimedb';
]]

local INDEX_END = [[
const proceduresSchema = __procedures();

/** What the module looks like from outside, for types and at run time. */
const REMOTE_MODULE = {
  versionInfo: {
    cliVersion: '%s' as const,
  },
  tables: tablesSchema.schemaType.tables,
  reducers: reducersSchema.reducersType.reducers,
  ...proceduresSchema,
} satisfies __RemoteModule<
  typeof tablesSchema.schemaType,
  typeof reducersSchema.reducersType,
  typeof proceduresSchema
>;

/** The module's tables; each is also the start of a query. */
export const tables: __QueryBuilder<typeof tablesSchema.schemaType> = __makeQueryBuilder(tablesSchema.schemaType);

/** The module's reducers. */
export const reducers = __convertToAccessorMap(reducersSchema.reducersType.reducers);

/** The context of callbacks, whatever caused them. */
export type EventContext = __EventContextInterface<typeof REMOTE_MODULE>;
/** The context of callbacks that a reducer caused. */
export type ReducerEventContext = __ReducerEventContextInterface<typeof REMOTE_MODULE>;
/** The context of callbacks about subscriptions. */
export type SubscriptionEventContext = __SubscriptionEventContextInterface<typeof REMOTE_MODULE>;
/** The context of callbacks about errors. */
export type ErrorContext = __ErrorContextInterface<typeof REMOTE_MODULE>;
/** A subscription in force. */
export type SubscriptionHandle = __SubscriptionHandleImpl<typeof REMOTE_MODULE>;

/** Prepares a subscription. */
export class SubscriptionBuilder extends __SubscriptionBuilderImpl<typeof REMOTE_MODULE> {}

/** Prepares a connection. */
export class DbConnectionBuilder extends __DbConnectionBuilder<DbConnection> {}

/** A connection to the database, typed by its module. */
export class DbConnection extends __DbConnectionImpl<typeof REMOTE_MODULE> {
  /** Where a connection begins. */
  static builder = (): DbConnectionBuilder => {
    return new DbConnectionBuilder(
      REMOTE_MODULE,
      (config: __DbConnectionConfig<typeof REMOTE_MODULE>) => new DbConnection(config)
    );
  };

  /** Where a subscription begins. */
  override subscriptionBuilder = (): SubscriptionBuilder => {
    return new SubscriptionBuilder(this);
  };
}
]]

function writer:index_file(tables, reducers)
  local parts = { HEADER, INDEX_IMPORTS, "\n" }
  for _, one in ipairs(reducers) do
    parts[#parts + 1] = ("import %sReducer from './%s_reducer';\n"):format(pascal_case(one.name), one.name)
  end
  for _, one in ipairs(tables) do
    parts[#parts + 1] = ("import %sRow from './%s_table';\n"):format(pascal_case(one.name), one.name)
  end
  parts[#parts + 1] = "\nexport * from './types';\n\nconst tablesSchema = __schema({\n"
  for _, one in ipairs(tables) do parts[#parts + 1] = table_entry(one) end
  parts[#parts + 1] = "});\n\nconst reducersSchema = __reducers(\n"
  for _, one in ipairs(reducers) do
    parts[#parts + 1] = ("  __reducerSchema(%s, %sReducer),\n"):format(quote(one.name), pascal_case(one.name))
  end
  parts[#parts + 1] = ");\n\n" .. INDEX_END:format(PROTOCOL_VERSION)
  return table.concat(parts)
end

-- types/reducers.ts: the parameters as types.
local function reducer_types_file(reducers)
  local imports, types = {}, {}
  for idx, one in ipairs(reducers) do
    local name = pascal_case(one.name)
    imports[idx] = ("import type %sReducer from '../%s_reducer';\n"):format(name, one.name)
    types[idx] = ("export type %sParams = __InferTypeOfParams<typeof %sReducer>;\n"):format(name, name)
  end
  if #reducers == 0 then return HEADER .. "export {};\n" end
  local import = "import type { InferTypeOfParams as __InferTypeOfParams } from 'spacetimedb';\n"
  return HEADER .. import .. table.concat(imports) .. "\n" .. table.concat(types)
end

-- Gives the named types below this one their names.
function writer:reach(one)
  if one.kind == "ref" then
    local name = self.read.type_names[one.ref]
    if name and self.names[one.ref] then return end
    self.names[one.ref] = name and pascal_case(name)
    self.reached[#self.reached + 1] = name and { name = name }
    self:reach(self.read.types[one.ref + 1])
  end
  for _, part in pairs { one.element, one.ok, one.err } do self:reach(part) end
  for _, field in ipairs(one.fields or one.variants or {}) do self:reach(field.type) end
end

local function chosen(list, keep)
  local out = {}
  for _, one in ipairs(list) do
    if keep(one) then out[#out + 1] = one end
  end
  table.sort(out, function(left, right) return left.name < right.name end)
  return out
end

--- The files of a module's bindings: a list of { path, text }, and what each of them begins with.
--- Private tables, lifecycle and private reducers are left out, and the types that only they use: clients cannot reach
--- them.
---@param read table what cli.schema.read returns
function typescript.generate(read)
  local self = setmetatable({ read = read, names = {}, reached = {}, nameless = 0 }, writer)
  local relations = {}
  for _, one in ipairs(read.tables) do relations[#relations + 1] = one end
  for _, one in ipairs(read.views) do relations[#relations + 1] = one end
  local tables = chosen(relations, function(one) return one.public end)
  local reducers = chosen(read.reducers, function(one) return not one.private and not one.lifecycle end)
  for _, one in ipairs(tables) do self:reach { kind = "ref", ref = one.ref } end
  for _, one in ipairs(reducers) do self:reach { kind = "product", fields = one.params } end
  check_distinct("tables", tables, pascal_case)
  check_distinct("reducers", reducers, pascal_case)
  check_distinct("types", self.reached, pascal_case)
  local files = {
    { path = "index.ts", text = self:index_file(tables, reducers) },
    { path = "types.ts", text = self:types_file() },
    { path = "types/reducers.ts", text = reducer_types_file(reducers) },
  }
  for _, one in ipairs(tables) do files[#files + 1] = { path = one.name .. "_table.ts", text = self:table_file(one) } end
  for _, one in ipairs(reducers) do
    files[#files + 1] = { path = one.name .. "_reducer.ts", text = self:reducer_file(one) }
  end
  return files, HEADER
end

return typescript
