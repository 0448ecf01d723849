--- A bank under a verifier's eyes. What each call must leave behind follows from who made it and which it was, so that
--- every table but the last can be worked out from how far each writer is.
local stdb = require "stdb"
local t = stdb.types

local ACCOUNTS, OPENING_BALANCE = 64, 1000
local KEPT = 100   -- entries a writer has in the book; older ones live on in its chain
local CHAIN = 2147483647
local ALARM_EVERY = 8
local HAS_AMOUNT_INDEX = false -- the verifier saves the module with true and false in turn

stdb.table("account", { public = true,
  { "id", t.u32, primary_key = true },
  { "balance", t.i64 },
})

local indexes = {
  { name = "by_writer", "writer", "sequence", unique = true },
  { name = "by_payer", "payer" },
}
if HAS_AMOUNT_INDEX then indexes[#indexes + 1] = { name = "by_amount", "amount" } end

-- The book: what each writer did last, in order.
stdb.table("entry", { public = true,
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "writer", t.u32 },
  { "sequence", t.u32 },
  { "payer", t.u32 },
  { "payee", t.u32 },
  { "amount", t.i64 },
  { "checksum", t.u32 },
  { "note", t.string },
  indexes = indexes,
})

-- How far each writer is; the chain is made of all its checksums so far.
stdb.table("progress", { public = true,
  { "writer", t.u32, primary_key = true },
  { "sequence", t.u32 },
  { "chain", t.u32 },
})

-- One ticket a writer. It is thrown away for the next, but its number is never to be seen again.
stdb.table("ticket", { public = true,
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "writer", t.u32, unique = true },
})

-- How often the alarm of an order has rung.
stdb.table("rung", { public = true,
  { "writer", t.u32 },
  { "sequence", t.u32 },
  { "times", t.u32 },
  indexes = { { name = "by_writer", "writer", "sequence", unique = true } },
})

-- Set with every eighth order; each rings once, a moment later, whatever happens in between.
local alarm = stdb.table("alarm", { public = true, schedule = "ring",
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "at", t.schedule_at },
  { "writer", t.u32 },
  { "sequence", t.u32 },
})

-- What the owner writes and takes back without any reducer.
stdb.table("remark", { public = true,
  { "number", t.u32, primary_key = true },
  { "text", t.string },
})

stdb.on.init(function(ctx)
  for id = 0, ACCOUNTS - 1 do
    ctx.db.account:insert { id = id, balance = OPENING_BALANCE }
  end
end)

local function transfer(accounts, payer, payee, amount)
  local from, to = accounts:get(payer), accounts:get(payee)
  from.balance = from.balance - amount
  accounts:update(from)
  to.balance = to.balance + amount
  accounts:update(to)
end

local ORDER = {
  { "writer", t.u32 }, { "sequence", t.u32 }, { "payer", t.u32 }, { "payee", t.u32 }, { "amount", t.i64 },
  { "checksum", t.u32 }, { "note", t.string },
}

local function write(ctx, writer, sequence, payer, payee, amount, checksum, note)
  local known = ctx.db.progress.writer:find(writer) or { sequence = 0, chain = 0 }
  if sequence ~= known.sequence + 1 then
    stdb.reject("writer %d is at %d and cannot go on with %d", writer, known.sequence, sequence)
  end
  transfer(ctx.db.account.id, payer, payee, amount)
  ctx.db.entry:insert {
    writer = writer, sequence = sequence, payer = payer, payee = payee, amount = amount, checksum = checksum, note = note,
  }
  if sequence > KEPT then ctx.db.entry.by_writer:delete(writer, sequence - KEPT) end
  ctx.db.ticket.writer:delete(writer)
  ctx.db.ticket:insert { writer = writer }
  if sequence % ALARM_EVERY == 0 then
    ctx.db.alarm:insert { at = stdb.after { milliseconds = 20 }, writer = writer, sequence = sequence }
  end
  ctx.db.progress.writer:upsert { writer = writer, sequence = sequence, chain = (known.chain * 31 + checksum) % CHAIN }
end

stdb.reducer("write", ORDER, write)

stdb.reducer("ring", { { "alarm", alarm } }, function(ctx, rings)
  local rung = ctx.db.rung.by_writer
  local known = rung:find(rings.writer, rings.sequence)
  rung:upsert { writer = rings.writer, sequence = rings.sequence, times = (known and known.times or 0) + 1 }
  if rings.sequence > KEPT then rung:delete(rings.writer, { to = rings.sequence - KEPT }) end
end)

--- Does all of it, and takes it back.
stdb.reducer("abandon", ORDER, function(ctx, ...)
  write(ctx, ...)
  stdb.reject "abandoned on purpose"
end)

-- Every index against the table ---------------------------------------------------------------------------------------

local function hold(condition, ...)
  if not condition then stdb.reject(...) end
end

local function audit_unique(entries, entry)
  local by_id = entries.id:find(entry.id)
  hold(by_id and by_id.sequence == entry.sequence, "the primary key does not find entry %d", entry.id)
  local by_writer = entries.by_writer:find(entry.writer, entry.sequence)
  hold(by_writer and by_writer.id == entry.id, "by_writer does not find entry %d", entry.id)
end

--- Each value's rows through the index: as many as the table has, and with this value.
local function audit_index(index, name, column, counts)
  for value, count in pairs(counts) do
    local found = 0
    for entry in index:filter(value) do
      hold(entry[column] == value, "%s finds entry %d for another value", name, entry.id)
      found = found + 1
    end
    hold(found == count, "%s finds %d entries for %d, and there are %d", name, found, value, count)
  end
end

local function count_by(counts, value)
  counts[value] = (counts[value] or 0) + 1
end

stdb.reducer("audit", function(ctx)
  local entries = ctx.db.entry
  local writers, payers, amounts, count = {}, {}, {}, 0
  for entry in entries:iter() do
    audit_unique(entries, entry)
    count_by(writers, entry.writer)
    count_by(payers, entry.payer)
    count_by(amounts, entry.amount)
    count = count + 1
  end
  audit_index(entries.by_writer, "by_writer", "writer", writers)
  audit_index(entries.by_payer, "by_payer", "payer", payers)
  if HAS_AMOUNT_INDEX then audit_index(entries.by_amount, "by_amount", "amount", amounts) end

  hold(entries:count() == count, "the table counts %d entries and shows %d", entries:count(), count)
  hold(entries.id:count { from = 0 } == count, "the primary key holds %d entries of %d", entries.id:count { from = 0 }, count)
  local in_payers = entries.by_payer:count { from = 0 }
  hold(in_payers == count, "by_payer holds %d entries of %d", in_payers, count)
  for ticket in ctx.db.ticket:iter() do
    local by_writer = ctx.db.ticket.writer:find(ticket.writer)
    hold(by_writer and by_writer.id == ticket.id, "the index over writers does not find ticket %d", ticket.id)
  end
end)
