--- Chat: people with names, saying things.
local stdb = require "stdb"
local t = stdb.types

stdb.table("user", { public = true,
  { "identity", t.identity, primary_key = true },
  { "name", t.option(t.string) },
  { "online", t.bool },
})

stdb.table("message", { public = true,
  { "sender", t.identity },
  { "sent", t.timestamp },
  { "text", t.string },
})

stdb.reducer("set_name", { { "name", t.string } }, function(ctx, name)
  if name == "" then stdb.reject "Names must not be empty" end
  ctx.db.user.identity:update { identity = ctx.sender, name = name }
end)

stdb.reducer("send_message", { { "text", t.string } }, function(ctx, text)
  if text == "" then stdb.reject "Messages must not be empty" end
  ctx.db.message:insert { sender = ctx.sender, sent = ctx.timestamp, text = text }
end)

stdb.on.connect(function(ctx)
  ctx.db.user.identity:upsert { identity = ctx.sender, online = true }
end)

stdb.on.disconnect(function(ctx)
  ctx.db.user.identity:update { identity = ctx.sender, online = false }
end)
