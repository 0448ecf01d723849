--- A bank and its books. Each call changes six tables at once, so that half a call is seen.
local stdb = require "stdb"
local t = stdb.types

stdb.table("account", { public = true,
  { "id", t.u32, primary_key = true },
  { "balance", t.i64 },
})

-- The book: what each writer did, in order.
stdb.table("entry", { public = true,
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "writer", t.u32 },
  { "sequence", t.u32 },
  { "payer", t.u32 },
  { "payee", t.u32 },
  { "amount", t.i64 },
  { "checksum", t.u32 },
  indexes = { { name = "by_writer", "writer", "sequence", unique = true } },
})

-- How far each writer is.
stdb.table("writer", { public = true,
  { "id", t.u32, primary_key = true },
  { "sequence", t.u32 },
})

-- One ticket a writer; it is thrown away for the next, but its number is never to be seen again.
stdb.table("ticket", { public = true,
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "writer", t.u32, unique = true },
})

-- Copies of the book: a row in each.
stdb.table("copy", { public = true, { "id", t.u64, primary_key = "hash" }, { "text", t.string } })
stdb.table("count", { public = true, { "id", t.u8, primary_key = true }, { "entries", t.u64 } })

stdb.on.init(function(ctx)
  for id = 0, 99 do
    ctx.db.account:insert { id = id, balance = 1000 }
  end
  ctx.db.count:insert { id = 0, entries = 0 }
end)

stdb.reducer("write", {
  { "writer", t.u32 }, { "sequence", t.u32 }, { "payer", t.u32 }, { "payee", t.u32 }, { "amount", t.i64 },
  { "checksum", t.u32 },
}, function(ctx, writer, sequence, payer, payee, amount, checksum)
  local known = ctx.db.writer.id:find(writer)
  if sequence ~= (known and known.sequence or 0) + 1 then stdb.reject("writer %d skips to %d", writer, sequence) end
  ctx.db.writer.id:upsert { id = writer, sequence = sequence }

  local accounts = ctx.db.account.id
  local from, to = accounts:get(payer), accounts:get(payee)
  from.balance = from.balance - amount
  accounts:update(from)
  to.balance = to.balance + amount
  accounts:update(to)

  local entry = ctx.db.entry:insert {
    writer = writer, sequence = sequence, payer = payer, payee = payee, amount = amount, checksum = checksum,
  }
  ctx.db.copy:insert { id = entry.id, text = writer .. ":" .. sequence .. ":" .. checksum }
  ctx.db.ticket.writer:delete(writer)
  ctx.db.ticket:insert { writer = writer }
  ctx.db.count.id:update { id = 0, entries = ctx.db.count.id:get(0).entries + 1 }
end)
