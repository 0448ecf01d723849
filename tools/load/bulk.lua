--- A million players, changed in bulk: each reducer is one call and one transaction.
local stdb = require "stdb"
local t = stdb.types

stdb.table("player", { public = true,
  { "id",     t.u32, primary_key = "hash" },
  { "x",      t.f32 },
  { "y",      t.f32 },
  { "z",      t.f32 },
  { "health", t.i32 },
  { "name",   t.string },
})

local COUNT = { { "count", t.u32 } }

stdb.reducer("insert", COUNT, function(ctx, count)
  for id = 0, count - 1 do
    ctx.db.player:insert { id = id, x = id, y = 0, z = 0, health = 100, name = "player_name_0016" }
  end
end)

stdb.reducer("update", COUNT, function(ctx, count)
  local players = ctx.db.player.id
  for id = 0, count - 1 do
    local player = players:find(id)
    player.x, player.health = player.x + 1, player.health - 1
    players:update(player)
  end
end)

stdb.reducer("get", COUNT, function(ctx, count)
  local players = ctx.db.player.id
  local health = 0
  for id = 0, count - 1 do
    health = health + players:find(id).health
  end
  if health == 0 then stdb.reject "nobody is alive" end
end)

stdb.reducer("scan", COUNT, function(ctx, count)
  local found = 0
  for player in ctx.db.player:iter() do
    if player.health ~= 0 then found = found + 1 end
  end
  if found ~= count then stdb.reject("found %d players of %d", found, count) end
end)

stdb.reducer("delete", COUNT, function(ctx, count)
  local players = ctx.db.player.id
  for id = 0, count - 1 do
    players:delete(id)
  end
end)

--- For subscriptions beside calls: the one call that the load generator makes.
stdb.reducer("transfer", { { "from", t.u32 }, { "to", t.u32 }, { "amount", t.i64 } }, function(ctx, from, to)
  local player = ctx.db.player.id:find(from)
  player.x = to
  ctx.db.player.id:update(player)
end)
