--- A value of every type, from JSON into a row and out again.
local stdb = require "stdb"
local t = stdb.types

local Color = t.enum("Color", { "Red", "Green" })
local Shape = t.enum("Shape", { { "Circle", t.f32 }, { "Square", t.u8 }, { "Nothing" } })
local Point = t.struct("Point", { { "x", t.i32 }, { "y", t.i32 } })

local COLUMNS = {
  { "a_bool", t.bool },
  { "an_i8", t.i8 }, { "a_u8", t.u8 },
  { "an_i16", t.i16 }, { "a_u16", t.u16 },
  { "an_i32", t.i32 }, { "a_u32", t.u32 },
  { "an_i64", t.i64 }, { "a_u64", t.u64 },
  { "an_i128", t.i128 }, { "a_u128", t.u128 },
  { "an_i256", t.i256 }, { "a_u256", t.u256 },
  { "an_f32", t.f32 }, { "an_f64", t.f64 },
  { "text", t.string }, { "some_bytes", t.bytes },
  { "who", t.identity }, { "connection", t.connection_id },
  { "at", t.timestamp }, { "span", t.duration },
  { "maybe", t.option(t.string) }, { "color", Color }, { "shape", Shape },
  { "place", Point }, { "places", t.array(Point) }, { "numbers", t.array(t.u16) },
}

stdb.table("everything", { public = true, unpack(COLUMNS) })

stdb.reducer("put", COLUMNS, function(ctx, ...)
  local row = {}
  for place, column in ipairs(COLUMNS) do
    row[column[1]] = select(place, ...)
  end
  for old in ctx.db.everything:iter() do
    ctx.db.everything:delete(old)
  end
  ctx.db.everything:insert(row)
end)

stdb.table("known", { public = true, { "who", t.identity } })

stdb.reducer("know", { { "who", t.identity } }, function(ctx, who)
  ctx.db.known:insert { who = who }
end)

-- Ten widths of numbers that count by themselves.
for name, type in pairs {
  u8 = t.u8, i8 = t.i8, u16 = t.u16, i16 = t.i16, u32 = t.u32, i32 = t.i32, u64 = t.u64, i64 = t.i64,
  u128 = t.u128, i128 = t.i128,
} do
  stdb.table("count_" .. name, { public = true,
    { "id", type, primary_key = true, auto_inc = true },
    { "label", t.string },
  })
  stdb.reducer("add_" .. name, { { "id", type }, { "label", t.string } }, function(ctx, id, label)
    local row = ctx.db["count_" .. name]:insert { id = id, label = label }
    assert(ctx.db["count_" .. name].id:get(row.id).label == label)
  end)
end
