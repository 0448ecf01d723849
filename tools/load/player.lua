--- A million players of 40 bytes: what tools/bench recovery fills, changes and starts again.
local stdb = require "stdb"
local t = stdb.types

stdb.table("player", { public = true,
  { "id",    t.u32, primary_key = "hash" },
  { "x",     t.f32 },
  { "y",     t.f32 },
  { "z",     t.f32 },
  { "hp",    t.u32 },
  { "level", t.u32 },
  { "xp",    t.u64 },
  { "gold",  t.i64 },
})

stdb.reducer("seed", { { "count", t.u32 } }, function(ctx, count)
  for id = 0, count - 1 do
    ctx.db.player:insert { id = id, x = id % 1000, y = id % 777, z = 0, hp = 100, level = 1, xp = id * 3, gold = 1000 }
  end
end)

--- The one call that the load generator makes: a player moves and earns something.
stdb.reducer("transfer", { { "from", t.u32 }, { "to", t.u32 }, { "amount", t.i64 } }, function(ctx, from, to, amount)
  local player = ctx.db.player.id:find(from)
  player.x = to % 1000
  player.gold = player.gold + amount
  ctx.db.player.id:update(player)
end)
