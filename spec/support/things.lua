--- A module that keeps named things, for specs about what becomes of rows over time.
local things = {}

--- Reducers and tables of a spec's own go behind it.
things.MODULE = [[
local stdb = require "stdb"
local t = stdb.types

stdb.table("thing", { public = true,
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "name", t.string, unique = true },
  --MORE
})

stdb.reducer("add", { { "name", t.string } }, function(ctx, name)
  ctx.db.thing:insert { name = name }
end)

stdb.reducer("rename", { { "id", t.u64 }, { "name", t.string } }, function(ctx, id, name)
  ctx.db.thing.id:update { id = id, name = name }
end)
]]

--- The module with a column more, which is 5 for the things that are there.
function things.weighed(module)
  return (module:gsub("%-%-MORE", '{ "weight", t.i32, default = 5 },'))
end

return things
