--- Views, schedules and row filters, for the official client.
local stdb = require "stdb"
local t = stdb.types

local Soldier = stdb.table("soldier", { public = true, { "id", t.u32, primary_key = true },
  { "owner", t.identity, index = true }, { "name", t.string }, { "strength", t.u32, index = true } })
local General = stdb.table("general", { { "who", t.identity, primary_key = true }, { "name", t.string } })
local Alarm = stdb.table("alarm", { public = true, schedule = "ring", { "id", t.u64, primary_key = true, auto_inc = true },
  { "at", t.schedule_at }, { "text", t.string } })
stdb.table("ringing", { public = true, { "text", t.string, primary_key = true }, { "times", t.u32 } })
local Rank = t.struct("Rank", { { "owner", t.identity }, { "soldiers", t.u32 } })

stdb.filter "SELECT * FROM soldier WHERE owner = :sender"

stdb.view("my_general", t.option(General), function(ctx) return ctx.db.general.who:find(ctx.sender) end)
stdb.view("ranking", { returns = t.array(Rank), anonymous = true, primary_key = "owner" }, function(ctx)
  local ranks, list = {}, {}
  for soldier in ctx.db.soldier:iter() do
    local rank = ranks[soldier.owner]
    if not rank then
      rank = { owner = soldier.owner, soldiers = 0 }
      ranks[soldier.owner], list[#list + 1] = rank, rank
    end
    rank.soldiers = rank.soldiers + 1
  end
  return list
end)
stdb.view("strong", { returns = t.query(Soldier), anonymous = true }, function()
  return "SELECT * FROM soldier WHERE strength >= 10"
end)

stdb.reducer("promote", { { "name", t.string } }, function(ctx, name)
  ctx.db.general.who:upsert { who = ctx.sender, name = name }
end)
stdb.reducer("retire", {}, function(ctx) ctx.db.general.who:delete(ctx.sender) end)
stdb.reducer("enlist", { { "id", t.u32 }, { "name", t.string }, { "strength", t.u32 } }, function(ctx, id, name, strength)
  ctx.db.soldier.id:upsert { id = id, owner = ctx.sender, name = name, strength = strength }
end)
stdb.reducer("dismiss", { { "id", t.u32 } }, function(ctx, id) ctx.db.soldier.id:delete(id) end)

stdb.reducer("ring", { { "alarm", Alarm } }, function(ctx, alarm)
  local ringing = ctx.db.ringing.text:find(alarm.text)
  ctx.db.ringing.text:upsert { text = alarm.text, times = (ringing and ringing.times or 0) + 1 }
end)
stdb.reducer("set_alarm", { { "at", t.schedule_at }, { "text", t.string } }, function(ctx, at, text)
  ctx.db.alarm:insert { at = at, text = text }
end)
stdb.reducer("call_off", { { "text", t.string } }, function(ctx, text)
  for alarm in ctx.db.alarm:iter() do
    if alarm.text == text then ctx.db.alarm.id:delete(alarm.id) end
  end
end)
