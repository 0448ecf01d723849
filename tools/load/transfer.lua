--- Accounts and transfers between them: the workload of tools/bench.
local stdb = require "stdb"
local t = stdb.types

local OPENING_BALANCE = 1000000000

stdb.table("account", { public = true,
  { "id",      t.u32, primary_key = "hash" },
  { "balance", t.i64 },
})

stdb.reducer("seed", { { "count", t.u32 } }, function(ctx, count)
  for id = 0, count - 1 do
    ctx.db.account:insert { id = id, balance = OPENING_BALANCE }
  end
end)

stdb.reducer("transfer", { { "from", t.u32 }, { "to", t.u32 }, { "amount", t.i64 } }, function(ctx, from, to, amount)
  if from == to or amount <= 0 then stdb.reject "nothing to transfer" end
  local accounts = ctx.db.account.id
  local payer, payee = accounts:find(from), accounts:find(to)
  if not payer or not payee then stdb.reject "no such account" end
  if payer.balance < amount then stdb.reject "not enough money" end
  payer.balance = payer.balance - amount
  payee.balance = payee.balance + amount
  accounts:update(payer)
  accounts:update(payee)
end)
