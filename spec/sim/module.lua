--- The module that the simulator runs: tables of every kind of index, and reducers that change several of them, that
--- refuse half-way, stumble, or change nothing. spec/sim/model.lua says the same in its own words.
---
--- The first line is replaced for later versions: 2 gives accounts a note, 3 adds a table, and 4 fits no stored row.
local VERSION = 1

local stdb = require "stdb"
local t = stdb.types

local account = { public = true,
  { "id", t.u32, primary_key = true },
  { "balance", VERSION == 4 and t.string or t.i64, index = true },
}
if VERSION >= 2 then account[#account + 1] = { "note", t.string, default = "none" } end
stdb.table("account", account)

stdb.table("entry", { public = true,
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "writer", t.u32 },
  { "number", t.u32 },
  { "text", t.string },
  indexes = { { name = "by_writer", "writer", "number", unique = true } },
})

-- One ticket a holder; it is thrown away for the next, but its number is never to be seen again.
stdb.table("ticket", { public = true,
  { "id", t.u64, primary_key = "hash", auto_inc = true },
  { "holder", t.u32, unique = true },
})

-- A set of plain pairs: no key.
stdb.table("pair", { public = true, { "x", t.u16 }, { "y", t.u16 } })

stdb.table("item", { public = true,
  { "id", t.u32, primary_key = "hash" },
  { "shelf", t.u8, index = "hash" },
  { "weight", t.i32, index = true },
  { "label", t.string },
})

stdb.table("online", { public = true, { "connection", t.connection_id, primary_key = true }, { "who", t.identity } })
stdb.table("tally", { public = true, { "id", t.u8, primary_key = true }, { "calls", t.u64 }, { "goodbyes", t.u64 } })

local Reminder = stdb.table("reminder", { public = true, schedule = "run_reminder",
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "at", t.schedule_at },
  { "x", t.u16 },
})

if VERSION >= 3 then
  stdb.table("extra", { public = true,
    { "id", t.u64, primary_key = true, auto_inc = true },
    { "writer", t.u32, index = true },
  })
end

local function add_to_tally(ctx, column)
  local tally = ctx.db.tally.id:get(0)
  tally[column] = tally[column] + 1
  ctx.db.tally.id:update(tally)
end

stdb.on.init(function(ctx)
  for id = 0, 9 do
    ctx.db.account:insert { id = id, balance = 100 }
  end
  ctx.db.tally:insert { id = 0, calls = 0, goodbyes = 0 }
end)

--- Identities that begin with bb are not let in; what they changed before that is nothing.
stdb.on.connect(function(ctx)
  ctx.db.online:insert { connection = ctx.connection_id, who = ctx.sender }
  if tostring(ctx.sender):sub(1, 2) == "bb" then stdb.reject "nobody may come in" end
end)

stdb.on.disconnect(function(ctx)
  ctx.db.online.connection:delete(ctx.connection_id)
  add_to_tally(ctx, "goodbyes")
end)

stdb.reducer("open", { { "id", t.u32 }, { "balance", t.i64 } }, function(ctx, id, balance)
  ctx.db.account:insert { id = id, balance = balance }
end)

stdb.reducer("close", { { "id", t.u32 } }, function(ctx, id)
  if not ctx.db.account.id:find(id) then stdb.reject("nobody has the account %d", id) end
  ctx.db.account.id:delete(id)
end)

stdb.reducer("transfer", { { "payer", t.u32 }, { "payee", t.u32 }, { "amount", t.i64 } },
  function(ctx, payer, payee, amount)
    local accounts = ctx.db.account.id
    local from = accounts:get(payer)
    from.balance = from.balance - amount
    accounts:update(from)
    local to = accounts:get(payee)
    to.balance = to.balance + amount
    accounts:update(to)
    add_to_tally(ctx, "calls")
    if accounts:get(payer).balance < 0 then stdb.reject("account %d has too little", payer) end
  end)

stdb.reducer("write", { { "writer", t.u32 }, { "number", t.u32 }, { "text", t.string } },
  function(ctx, writer, number, text)
    ctx.db.ticket.holder:delete(writer)
    ctx.db.ticket:insert { holder = writer }
    ctx.db.entry:insert { writer = writer, number = number, text = text }
    if VERSION >= 3 then ctx.db.extra:insert { writer = writer } end
    add_to_tally(ctx, "calls")
  end)

--- Entries of a writer below a number: a range of a unique index over two columns.
stdb.reducer("forget", { { "writer", t.u32 }, { "number", t.u32 } }, function(ctx, writer, number)
  ctx.db.entry.by_writer:delete(writer, { below = number })
end)

stdb.reducer("put_pair", { { "x", t.u16 }, { "y", t.u16 } }, function(ctx, x, y)
  ctx.db.pair:insert { x = x, y = y }
end)

stdb.reducer("drop_pair", { { "x", t.u16 }, { "y", t.u16 } }, function(ctx, x, y)
  ctx.db.pair:delete { x = x, y = y }
end)

--- There and back again: nothing has changed.
stdb.reducer("flash_pair", { { "x", t.u16 }, { "y", t.u16 } }, function(ctx, x, y)
  if ctx.db.pair:delete { x = x, y = y } then
    ctx.db.pair:insert { x = x, y = y }
  else
    ctx.db.pair:insert { x = x, y = y }
    ctx.db.pair:delete { x = x, y = y }
  end
end)

stdb.reducer("stock", {
  { "first", t.u32 }, { "count", t.u8 }, { "shelf", t.u8 }, { "weight", t.i32 }, { "label", t.string },
}, function(ctx, first, count, shelf, weight, label)
  for id = first, first + count - 1 do
    ctx.db.item:insert { id = id, shelf = shelf, weight = weight + id, label = label }
  end
  add_to_tally(ctx, "calls")
end)

stdb.reducer("clear_shelf", { { "shelf", t.u8 } }, function(ctx, shelf)
  ctx.db.item.shelf:delete(shelf)
end)

stdb.reducer("lighten", { { "least", t.i32 }, { "most", t.i32 } }, function(ctx, least, most)
  ctx.db.item.weight:delete { from = least, to = most }
end)

--- Refuses an empty label, but only when all is done.
stdb.reducer("relabel", { { "shelf", t.u8 }, { "label", t.string } }, function(ctx, shelf, label)
  for item in ctx.db.item.shelf:filter(shelf) do
    item.label = label
    ctx.db.item.id:update(item)
  end
  if label == "" then stdb.reject "a label has at least one letter" end
end)

stdb.reducer("stumble", { { "shelf", t.u8 } }, function(ctx, shelf)
  ctx.db.item.shelf:delete(shelf)
  add_to_tally(ctx, "calls")
  error "the module's own mistake"
end)

stdb.reducer("remind", { { "at", t.i64 }, { "x", t.u16 } }, function(ctx, at, x)
  ctx.db.reminder:insert { at = stdb.timestamp(at), x = x }
end)

--- Every third one fails: then its row is gone all the same, and nothing else has happened.
stdb.reducer("run_reminder", { { "row", Reminder } }, function(ctx, row)
  ctx.db.pair:insert { x = row.x, y = 9 }
  add_to_tally(ctx, "calls")
  if row.x % 3 == 0 then error "the reminder's own mistake" end
end)

if VERSION >= 2 then
  stdb.reducer("annotate", { { "id", t.u32 }, { "note", t.string } }, function(ctx, id, note)
    ctx.db.account.id:update { id = id, note = note }
  end)
end
