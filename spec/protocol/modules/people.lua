--- What the protocol specs talk about: people and their pets, notes that belong to whoever wrote them, bells that ring
--- and are gone, and a register of who was here.
local stdb = require "stdb"
local t = stdb.types

local Kind = t.enum("Kind", { "cat", "dog" })

stdb.table("person", { public = true,
  { "id", t.u32, primary_key = true },
  { "name", t.string },
  { "age", t.u8, default = 30, index = true },
})

stdb.table("pet", { public = true,
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "owner", t.u32, index = true },
  { "kind", Kind },
})

-- A set of plain pairs: no key, all rows of one size.
stdb.table("pair", { public = true,
  { "left", t.u16 },
  { "right", t.u16 },
})

stdb.table("note", { public = true,
  { "author", t.identity, index = true },
  { "text", t.string },
})

stdb.table("nothing", { public = true,
  { "id", t.u32 },
})

stdb.table("secret", {
  { "id", t.u32 },
})

stdb.table("bell", { public = true, event = true,
  { "id", t.u32 },
  { "tone", t.string },
})

-- Everybody who came and went, in order. Private: its changes are nobody's business.
stdb.table("visit", {
  { "id", t.u32, primary_key = true, auto_inc = true },
  { "event", t.string },
  { "who", t.identity },
  { "connection", t.connection_id },
})

-- What the hooks are to do: one row, written by `set_mood`.
stdb.table("mood", {
  { "id", t.u8, primary_key = true },
  { "name", t.string },
})

local function mood_is(ctx, name)
  local mood = ctx.db.mood.id:find(0)
  return mood ~= nil and mood.name == name
end

stdb.on.connect(function(ctx)
  if mood_is(ctx, "unfriendly") then
    ctx.db.visit:insert { event = "never seen", who = ctx.sender, connection = ctx.connection_id }
    stdb.reject "nobody may come in"
  end
  ctx.db.visit:insert { event = "connect", who = ctx.sender, connection = ctx.connection_id }
end)

stdb.on.disconnect(function(ctx)
  ctx.db.visit:insert { event = "disconnect", who = ctx.sender, connection = ctx.connection_id }
  if mood_is(ctx, "clumsy") then error "stumbled on the way out" end
end)

stdb.on.init(function(ctx)
  ctx.db.secret:insert { id = 1 }
end)

stdb.reducer("set_mood", { { "name", t.string } }, function(ctx, name)
  ctx.db.mood.id:upsert { id = 0, name = name }
end)

stdb.reducer("add_person", { { "id", t.u32 }, { "name", t.string }, { "age", t.u8 } }, function(ctx, id, name, age)
  if name == "" then stdb.reject "a person has a name" end
  ctx.db.person:insert { id = id, name = name, age = age }
end)

stdb.reducer("rename_person", { { "id", t.u32 }, { "name", t.string } }, function(ctx, id, name)
  ctx.db.person.id:update { id = id, name = name }
end)

stdb.reducer("remove_person", { { "id", t.u32 } }, function(ctx, id)
  if not ctx.db.person.id:find(id) then stdb.reject("nobody has the id %d", id) end
  ctx.db.person.id:delete(id)
end)

stdb.reducer("add_people", { { "first", t.u32 }, { "count", t.u32 } }, function(ctx, first, count)
  for id = first, first + count - 1 do
    ctx.db.person:insert { id = id, name = "person " .. id }
  end
end)

--- A person whose name has this many letters.
stdb.reducer("add_long_name", { { "id", t.u32 }, { "letters", t.u32 } }, function(ctx, id, letters)
  ctx.db.person:insert { id = id, name = ("x"):rep(letters) }
end)

stdb.reducer("remove_everybody", function(ctx)
  for person in ctx.db.person:iter() do
    ctx.db.person:delete(person)
  end
  for pet in ctx.db.pet:iter() do
    ctx.db.pet:delete(pet)
  end
  for pair in ctx.db.pair:iter() do
    ctx.db.pair:delete(pair)
  end
  for note in ctx.db.note:iter() do
    ctx.db.note:delete(note)
  end
end)

--- Both at once: two tables in one transaction.
stdb.reducer("add_person_with_pet", { { "id", t.u32 }, { "name", t.string }, { "kind", Kind } },
  function(ctx, id, name, kind)
    ctx.db.person:insert { id = id, name = name }
    ctx.db.pet:insert { owner = id, kind = kind }
  end)

stdb.reducer("add_pair", { { "left", t.u16 }, { "right", t.u16 } }, function(ctx, left, right)
  ctx.db.pair:insert { left = left, right = right }
end)

--- Takes the pair away and puts it back.
stdb.reducer("replace_pair", { { "left", t.u16 }, { "right", t.u16 } }, function(ctx, left, right)
  ctx.db.pair:delete { left = left, right = right }
  ctx.db.pair:insert { left = left, right = right }
end)

--- Puts the pair in and takes it out again.
stdb.reducer("flash_pair", { { "left", t.u16 }, { "right", t.u16 } }, function(ctx, left, right)
  ctx.db.pair:insert { left = left, right = right }
  ctx.db.pair:delete { left = left, right = right }
end)

stdb.reducer("write_note", { { "text", t.string } }, function(ctx, text)
  ctx.db.note:insert { author = ctx.sender, text = text }
end)

stdb.reducer("ring", { { "id", t.u32 }, { "tone", t.string } }, function(ctx, id, tone)
  ctx.db.bell:insert { id = id, tone = tone }
  if tone == "cracked" then stdb.reject "this bell is cracked" end
end)

stdb.reducer("add_secret", { { "id", t.u32 } }, function(ctx, id)
  ctx.db.secret:insert { id = id }
end)

stdb.reducer("do_nothing", function() end)

stdb.reducer("refuse", { { "text", t.string } }, function(ctx, text)
  ctx.db.pair:insert { left = 666, right = 666 }
  stdb.reject(text)
end)

stdb.reducer("break_down", function(ctx)
  ctx.db.pair:insert { left = 666, right = 666 }
  error "the module's own mistake"
end)

stdb.reducer("spin", function(ctx)
  ctx.db.pair:insert { left = 666, right = 666 }
  while true do end
end)

stdb.reducer("hoard", function()
  local hoard
  while true do
    hoard = { behind = hoard, ("gold"):rep(100) }
  end
end)

--- Takes a while, but less than a call may.
stdb.reducer("dawdle", { { "steps", t.u32 } }, function(ctx, steps)
  local sum = 0
  for step = 1, steps do
    sum = sum + #tostring(step)
  end
  ctx.db.pair:insert { left = sum % 65536, right = 0 }
end)

stdb.reducer("say", { { "text", t.string } }, function(ctx, text)
  ctx.log.error("%s as an error", text)
  ctx.log.warn("%s as a warning", text)
  ctx.log.info("%s as information", text)
  ctx.log.debug("%s for debugging", text)
  ctx.log.trace("%s for tracing", text)
end)
