--- Arena: players run over a field and pick up coins; the best scores stay on the board.
--
-- Nothing ticks. How far somebody can have run follows from the time since the last step.
local stdb = require "stdb"
local t = stdb.types

local FIELD = 1000 -- the field is a square of this size
local SPEED = 200  -- distance per second
local REACH = 20   -- a coin this near is picked up
local CELL = 100   -- coins are found by the cells of a grid
local COINS = 50

stdb.table("player", { public = true,
  { "identity", t.identity, primary_key = true },
  { "name", t.string, unique = true },
  { "x", t.f32 },
  { "y", t.f32 },
  { "score", t.u32, default = 0 },
  { "moved", t.timestamp },
})

stdb.table("coin", { public = true,
  { "id", t.u32, primary_key = true, auto_inc = true },
  { "column", t.i32 },
  { "row", t.i32 },
  { "x", t.f32 },
  { "y", t.f32 },
  indexes = { { name = "cell", "column", "row" } },
})

stdb.table("best", { public = true,
  { "name", t.string, primary_key = true },
  { "score", t.u32, index = true },
})

local function distance(a, b)
  return math.sqrt((a.x - b.x) ^ 2 + (a.y - b.y) ^ 2)
end

local function drop_coin(ctx)
  local x, y = ctx.random() * FIELD, ctx.random() * FIELD
  ctx.db.coin:insert { x = x, y = y, column = math.floor(x / CELL), row = math.floor(y / CELL) }
end

local function coins_in_reach(ctx, player)
  local found = {}
  for column = math.floor((player.x - REACH) / CELL), math.floor((player.x + REACH) / CELL) do
    for row = math.floor((player.y - REACH) / CELL), math.floor((player.y + REACH) / CELL) do
      for coin in ctx.db.coin.cell:filter(column, row) do
        if distance(coin, player) <= REACH then found[#found + 1] = coin end
      end
    end
  end
  return found
end

local function note_score(ctx, player)
  local best = ctx.db.best.name:find(player.name)
  if not best or best.score < player.score then
    ctx.db.best.name:upsert { name = player.name, score = player.score }
  end
end

local function leave(ctx)
  ctx.db.player.identity:delete(ctx.sender)
end

stdb.on.init(function(ctx)
  for _ = 1, COINS do drop_coin(ctx) end
end)

stdb.reducer("spawn", { { "name", t.string } }, function(ctx, name)
  if name == "" then stdb.reject "choose a name" end
  if ctx.db.player.name:find(name) then stdb.reject("%s is playing already", name) end
  leave(ctx)
  ctx.db.player:insert {
    identity = ctx.sender, name = name, x = ctx.random(FIELD), y = ctx.random(FIELD), moved = ctx.timestamp,
  }
end)

stdb.reducer("move", { { "x", t.f32 }, { "y", t.f32 } }, function(ctx, x, y)
  local player = ctx.db.player.identity:find(ctx.sender)
  if not player then stdb.reject "spawn first" end
  if not (x >= 0 and x <= FIELD and y >= 0 and y <= FIELD) then stdb.reject "that is off the field" end
  local seconds = (ctx.timestamp - player.moved).seconds
  if distance(player, { x = x, y = y }) > SPEED * seconds then stdb.reject "nobody runs that fast" end

  player.x, player.y, player.moved = x, y, ctx.timestamp
  for _, coin in ipairs(coins_in_reach(ctx, player)) do
    ctx.db.coin.id:delete(coin.id)
    drop_coin(ctx)
    player.score = player.score + 1
  end
  ctx.db.player.identity:update(player)
  note_score(ctx, player)
end)

stdb.reducer("leave", leave)
stdb.on.disconnect(leave)
