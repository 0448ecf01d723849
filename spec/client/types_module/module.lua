--- Every type there is, as a column, as an argument and, where it can be one, as a key: for the official client.
local stdb = require "stdb"
local t = stdb.types

local Color = t.enum("Color", { "Red", "Green", "Blue" })
local Shape = t.enum("Shape", {
  { "Circle", t.f32 }, { "Rect", t.product { { "w", t.f64 }, { "h", t.f64 } } }, "Nothing",
  { "Many", t.array(t.option(Color)) },
})
local Point = t.struct("Point", { { "x", t.f32 }, { "y", t.f32 } })
local Deep = t.struct("Deep", {
  { "at", Point }, { "path", t.array(Point) }, { "shapes", t.array(Shape) }, { "maybe", t.option(Point) },
})

--- A column of each type, which is also an argument. Both sides of the result are of one type, since the client writes
-- errors by the type of what went well.
local ALL = {
  { "bool", t.bool }, { "u8", t.u8 }, { "i8", t.i8 }, { "u16", t.u16 }, { "i16", t.i16 }, { "u32", t.u32 }, { "i32", t.i32 },
  { "u64", t.u64 }, { "i64", t.i64 }, { "u128", t.u128 }, { "i128", t.i128 }, { "u256", t.u256 }, { "i256", t.i256 },
  { "f32", t.f32 }, { "f64", t.f64 }, { "string", t.string }, { "bytes", t.bytes }, { "identity", t.identity },
  { "connection", t.connection_id }, { "uuid", t.uuid }, { "timestamp", t.timestamp }, { "duration", t.duration },
  { "schedule_at", t.schedule_at }, { "unit", t.unit }, { "color", Color }, { "shape", Shape }, { "point", Point },
  { "deep", Deep }, { "option", t.option(t.string) }, { "result", t.result(t.string, t.string) }, { "list", t.array(t.i64) },
  { "lists", t.array(t.array(t.string)) }, { "products", t.array(t.product { { "a", t.u8 } }) },
}

local columns = { public = true, { "id", t.u32, primary_key = true } }
local parameters = { { "id", t.u32 } }
for _, column in ipairs(ALL) do
  columns[#columns + 1], parameters[#parameters + 1] = column, column
end
local everything = stdb.table("everything", columns)

local function row_of(id, ...)
  local row = { id = id }
  for place, column in ipairs(ALL) do
    row[column[1]] = (select(place, ...))
  end
  return row
end

-- As many arguments as columns, and one argument that is a whole row.
stdb.reducer("insert_everything", parameters, function(ctx, id, ...)
  ctx.db.everything:insert(row_of(id, ...))
end)
stdb.reducer("update_everything", { { "row", everything } }, function(ctx, row)
  ctx.db.everything.id:update(row)
end)
stdb.reducer("delete_everything", { { "id", t.u32 } }, function(ctx, id)
  ctx.db.everything.id:delete(id)
end)

-- A table a key type: `key` is found by the client's own index, too, and `second` makes an update seen.
local KEYS = {
  { "bool", t.bool }, { "u8", t.u8 }, { "i8", t.i8 }, { "u16", t.u16 }, { "i16", t.i16 }, { "u32", t.u32 }, { "i32", t.i32 },
  { "u64", t.u64 }, { "i64", t.i64 }, { "u128", t.u128 }, { "i128", t.i128 }, { "u256", t.u256 }, { "i256", t.i256 },
  { "f32", t.f32 }, { "f64", t.f64 }, { "string", t.string }, { "bytes", t.bytes }, { "identity", t.identity },
  { "connection", t.connection_id }, { "uuid", t.uuid }, { "timestamp", t.timestamp }, { "duration", t.duration },
  { "color", Color }, { "option", t.option(t.string) },
}
for _, key in ipairs(KEYS) do
  local name, type_ = "by_" .. key[1], key[2]
  local row = stdb.table(name, { public = true, { "key", type_, primary_key = true }, { "second", t.u8 } })
  stdb.reducer("put_" .. name, { { "row", row } }, function(ctx, given)
    ctx.db[name].key:upsert(given)
  end)
  stdb.reducer("delete_" .. name, { { "key", type_ } }, function(ctx, given)
    if not ctx.db[name].key:delete(given == nil and stdb.none or given) then stdb.reject("no such key") end
  end)
end

stdb.table("pair", { public = true,
  { "left", t.u8 }, { "right", t.string }, { "n", t.u32, auto_inc = { start = 100, step = 5 } },
  indexes = { { name = "both", "left", "right", unique = true } } })
stdb.reducer("put_pair", { { "left", t.u8 }, { "right", t.string } }, function(ctx, left, right)
  ctx.db.pair:insert { left = left, right = right }
end)

stdb.table("bell", { public = true, event = true, { "id", t.u32, primary_key = true, auto_inc = true }, { "shape", Shape } })
stdb.reducer("ring", { { "shape", Shape } }, function(ctx, shape)
  if ctx.db.bell:count() > 0 then stdb.reject "a bell rings on" end
  ctx.db.bell:insert { shape = shape }
  ctx.db.bell:insert { shape = shape }
end)
