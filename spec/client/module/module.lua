--- What the official client's specs talk to: a little of everything that crosses the wire.
local stdb = require "stdb"
local t = stdb.types

local Shape = t.enum("Shape", { { "circle", t.f32 }, { "square", t.f32 }, { "nothing" } })
local Point = t.struct("Point", { { "x", t.f64 }, { "y", t.f64 } })

stdb.table("player", { public = true,
  { "id", t.u32, primary_key = true },
  { "name", t.string, index = true },
  { "best_score", t.i64, default = 0 },
  { "title", t.option(t.string) },
})

stdb.table("event_row", { public = true,
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "owner", t.identity, index = true },
  { "at", t.timestamp },
  { "shape", Shape },
  { "path", t.array(Point) },
  { "blob", t.bytes },
  { "wide", t.u256 },
  { "small", t.i8 },
})

stdb.table("secret", {
  { "id", t.u32, primary_key = true },
})

stdb.reducer("put_player", { { "id", t.u32 }, { "name", t.string }, { "best_score", t.i64 }, { "title", t.option(t.string) } },
  function(ctx, id, name, best_score, title)
    local player = ctx.db.player.id:find(id)
    if not player then
      ctx.db.player:insert { id = id, name = name, best_score = best_score, title = title }
      return
    end
    player.name, player.best_score, player.title = name, best_score, title
    ctx.db.player.id:update(player)
  end)

stdb.reducer("delete_player", { { "id", t.u32 } }, function(ctx, id)
  if not ctx.db.player.id:delete(id) then stdb.reject("nobody has the id %d", id) end
end)

stdb.reducer("add_players", { { "first", t.u32 }, { "count", t.u32 } }, function(ctx, first, count)
  for id = first, first + count - 1 do
    ctx.db.player:insert { id = id, name = "player " .. id, best_score = id * 10 }
  end
end)

stdb.reducer("add_event",
  { { "shape", Shape }, { "path", t.array(Point) }, { "blob", t.bytes }, { "wide", t.u256 }, { "small", t.i8 } },
  function(ctx, shape, path, blob, wide, small)
    ctx.db.event_row:insert {
      owner = ctx.sender, at = ctx.timestamp, shape = shape, path = path, blob = blob, wide = wide, small = small,
    }
  end)

stdb.reducer("crash", {}, function(ctx)
  ctx.db.player:insert { id = 4000000, name = "never seen" }
  local nothing = nil
  return nothing.field
end)

stdb.reducer("spin", {}, function()
  while true do end
end)
