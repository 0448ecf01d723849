--- Garden: everybody grows crops on plots of their own, and sells what is ripe. Crops grow while nobody is there.
--
-- Shows what runs by itself: a schedule that ticks, views that are worked out for whoever looks, a filter that keeps
-- letters private, and an event that is told and not stored.
local stdb = require "stdb"
local t = stdb.types

local Crop = t.enum("Crop", { "radish", "pumpkin" })
local RIPE = { radish = 3, pumpkin = 10 }  -- ticks until it is
local PRICE = { radish = 2, pumpkin = 9 }
local PLOTS = 4                            -- that one may have

local Plot = stdb.table("plot", {
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "owner", t.identity, index = true },
  { "crop", Crop },
  { "age", t.u32, default = 0 },
  { "ripe", t.bool, default = false, index = true },
})

local Purse = stdb.table("purse", { public = true,
  { "owner", t.identity, primary_key = true },
  { "coins", t.u64, default = 0, index = true },
})

stdb.table("letter", { public = true,
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "sender", t.identity, index = true },
  { "receiver", t.identity, index = true },
  { "text", t.string },
})

-- Rows of an event table go to those who listen, and are gone.
stdb.table("sale", { public = true, event = true,
  { "owner", t.identity },
  { "crop", Crop },
  { "coins", t.u64 },
})

-- One row: the weather. A garden whose server was away has grown all the same when it is back.
local Season = stdb.table("season", { schedule = { reducer = "grow", missed = "catch_up" },
  { "id", t.u64, primary_key = true },
  { "at", t.schedule_at },
})

-- Nobody reads the letters of others, whatever they ask.
stdb.filter "SELECT * FROM letter WHERE sender = :sender"
stdb.filter "SELECT * FROM letter WHERE receiver = :sender"

-- Plots are private; this is how their owners see them.
stdb.view("my_plots", { returns = t.array(Plot), primary_key = "id" }, function(ctx)
  return ctx.db.plot.owner:filter(ctx.sender)
end)

stdb.view("rich", { returns = t.query(Purse), anonymous = true }, function()
  return "SELECT * FROM purse WHERE coins >= 100"
end)

stdb.on.init(function(ctx)
  ctx.db.season:insert { id = 1, at = stdb.every { seconds = 1 } }
end)

stdb.reducer("grow", { { "season", Season } }, function(ctx)
  for plot in ctx.db.plot.ripe:filter(false) do
    plot.age = plot.age + 1
    plot.ripe = plot.age >= RIPE[plot.crop]
    ctx.db.plot.id:update(plot)
  end
end)

stdb.reducer("plant", { { "crop", Crop } }, function(ctx, crop)
  if ctx.db.plot.owner:count(ctx.sender) >= PLOTS then stdb.reject "all your plots are taken" end
  ctx.db.plot:insert { owner = ctx.sender, crop = crop }
end)

stdb.reducer("sell", { { "plot", t.u64 } }, function(ctx, id)
  local plot = ctx.db.plot.id:find(id)
  if not plot or plot.owner ~= ctx.sender then stdb.reject "that is no plot of yours" end
  if not plot.ripe then stdb.reject "it is not ripe" end
  local coins = PRICE[plot.crop]
  local purse = ctx.db.purse.owner:insert_or_get { owner = ctx.sender }
  purse.coins = purse.coins + coins
  ctx.db.purse.owner:update(purse)
  ctx.db.plot.id:delete(id)
  ctx.db.sale:insert { owner = ctx.sender, crop = plot.crop, coins = coins }
end)

stdb.reducer("write", { { "to", t.identity }, { "text", t.string } }, function(ctx, to, text)
  if text == "" then stdb.reject "an empty letter" end
  ctx.db.letter:insert { sender = ctx.sender, receiver = to, text = text }
end)
