--- Views and row-level security in a running server: rows worked out from others, kept up to date like those of a table.
local bsatn = require "spec.support.bsatn"
local client = require "spec.support.client"
local server = require "spec.support.server"
local v1_client = require "spec.support.v1_client"

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types

local Player = stdb.table("player", { public = true,
  { "who", t.identity, primary_key = true }, { "name", t.string, unique = true }, { "party", t.u32, index = true },
  { "level", t.u32, index = true } })

stdb.table("secret", { { "id", t.u32, primary_key = true }, { "text", t.string } })

local Best = t.struct("Best", { { "name", t.string }, { "level", t.u32 } })

stdb.view("me", t.option(Player), function(ctx) return ctx.db.player.who:find(ctx.sender) end)
stdb.view("mates", t.array(Player), function(ctx)
  local own = ctx.db.player.who:find(ctx.sender)
  if not own then return {} end
  return ctx.db.player.party:filter(own.party)
end)
stdb.view("best", { returns = t.array(Best), anonymous = true, primary_key = "name" }, function(ctx)
  local list = {}
  for player in ctx.db.player:iter() do
    if player.level >= 50 then list[#list + 1] = { name = player.name, level = player.level } end
  end
  return list
end)
stdb.view("strong", { returns = t.query(Player), anonymous = true }, function()
  return "SELECT * FROM player WHERE level >= 10"
end)
stdb.view("picky", { returns = t.query(Player) }, function(ctx)
  local own = ctx.db.player.who:find(ctx.sender)
  return ("SELECT * FROM player WHERE party = %d"):format(own and own.party or 0)
end)
stdb.view("leak", { returns = t.array(t.struct("Leak", { { "text", t.string } })), anonymous = true }, function(ctx)
  local list = {}
  for secret in ctx.db.secret:iter() do
    if secret.text == "boom" then error "it went boom" end
    list[#list + 1] = { text = secret.text }
  end
  return list
end)
local Ping = stdb.table("ping", { public = true, event = true, { "text", t.string } })
stdb.view("pings", { returns = t.query(Ping), anonymous = true }, function()
  return "SELECT * FROM ping"
end)
stdb.view("near", { returns = t.array(Player), anonymous = true }, function(ctx)
  return ctx.db.player.level:filter { from = 100, below = 200 }
end)
stdb.view("every", { returns = t.array(Best), anonymous = true }, function(ctx)
  local list = {}
  for level = 1000, 1000 + 5000 do
    for player in ctx.db.player.level:filter(level) do list[#list + 1] = { name = player.name, level = level } end
  end
  return list
end)
stdb.view("slow", t.array(Best), function(ctx)
  local secret = ctx.db.secret.id:find(7)
  while secret and secret.text == "spin" do end
  return {}
end)
stdb.view("same", { returns = t.array(Best), anonymous = true, primary_key = "name" }, function(ctx)
  local list = {}
  for player in ctx.db.player:iter() do list[#list + 1] = { name = "same", level = player.level } end
  return list
end)

stdb.reducer("join", { { "name", t.string }, { "party", t.u32 }, { "level", t.u32 } }, function(ctx, name, party, level)
  ctx.db.player.who:upsert { who = ctx.sender, name = name, party = party, level = level }
end)
stdb.reducer("leave", {}, function(ctx) ctx.db.player.who:delete(ctx.sender) end)
stdb.reducer("whisper", { { "id", t.u32 }, { "text", t.string } }, function(ctx, id, text)
  ctx.db.secret.id:upsert { id = id, text = text }
end)
]]

local rows = bsatn.schema [[
  player = { who: Identity, name: string, party: u32, level: u32 }
  me = { who: Identity, name: string, party: u32, level: u32 }
  mates = { who: Identity, name: string, party: u32, level: u32 }
  strong = { who: Identity, name: string, party: u32, level: u32 }
  picky = { who: Identity, name: string, party: u32, level: u32 }
  best = { name: string, level: u32 }
  same = { name: string, level: u32 }
  every = { name: string, level: u32 }
  near = { who: Identity, name: string, party: u32, level: u32 }
  leak = { text: string }
]]

local function names(list)
  local found = {}
  for place, row in ipairs(list) do found[place] = row.name or row.text end
  table.sort(found)
  return found
end

describe("a view", function()
  local world, ann, ben

  setup(function() world = server.start { module = MODULE } end)
  teardown(function() world:remove() end)
  before_each(function()
    ann, ben = client.connect(world, { rows = rows }), client.connect(world, { rows = rows })
  end)
  after_each(function()
    for _, one in ipairs { ann, ben } do
      one:drop()
      assert.equal(200, world:call("leave", "[]", one.token).status)
    end
  end)

  local function joining(name, party, level)
    return "join", client.arguments("{ name: string, party: u32, level: u32 }", { name = name, party = party, level = level })
  end
  local function join(one, ...) return one:call_changes(joining(...)) end
  local function whisper(one, id, text)
    one:call_changes("whisper", client.arguments("{ id: u32, text: string }", { id = id, text = text }))
  end
  local function first(one, query) return (one:subscribe(1, { query })[1] or { rows = {} }).rows end

  it("shows each caller its own rows, from the first on", function()
    join(ann, "ann", 1, 5)
    join(ben, "ben", 1, 6)
    assert.same({ "ann" }, names(first(ann, "SELECT * FROM me")))
    assert.same({ "ben" }, names(first(ben, "SELECT * FROM me")))
    local again = client.connect(world, { rows = rows, token = ann.token })
    assert.same({ "ann", "ben" }, names(first(again, "SELECT * FROM mates")))
    again:drop()
  end)

  for _, form in ipairs { "v1", "v1.json" } do
    it("is a table to a client of " .. form .. ", whose rows are lists in JSON", function()
      local old = v1_client.connect(world, { protocol = form, rows = rows, token = ann.token })
      local function told(list)
        return form == "v1" and names(list) or list[1] and { list[1][2] } or {}
      end
      join(ann, "ann", 1, 5)
      old:send("SubscribeMulti", { query_strings = { "SELECT * FROM me" }, request_id = 1, query_id = { id = 1 } })
      local changes = old:tables(old:expect("SubscribeMultiApplied").update)
      assert.same({ { "me", { "ann" }, {} } }, { { changes[1].table, told(changes[1].inserts), changes[1].deletes } })
      join(ann, "anne", 1, 5)
      changes = old:tables(old:expect("TransactionUpdateLight").update)
      assert.same({ { "anne" }, { "ann" } }, { told(changes[1].inserts), told(changes[1].deletes) })
      old:send("OneOffQuery", { message_id = form == "v1" and "asked" or "00", query_string = "SELECT * FROM me" })
      local answer = old:expect("OneOffQueryResponse").tables[1]
      assert.same({ "me", { "anne" } }, { answer.table_name, told(old:rows("me", answer.rows)) })
      old:drop()
    end)
  end

  it("changes with what it has looked at, in the update of the call that changed it", function()
    assert.same({}, first(ann, "SELECT * FROM me"))
    local changes = join(ann, "ann", 1, 5)
    assert.same({ { "me", { "ann" }, {} } }, { { changes[1].table, names(changes[1].inserts), names(changes[1].deletes) } })
    changes = join(ann, "anne", 1, 5)
    assert.same({ { "anne" }, { "ann" } }, { names(changes[1].inserts), names(changes[1].deletes) })
    assert.same({}, join(ben, "ben", 2, 1)) -- nobody but ann is ann
    assert.is_true(ann:has_nothing())
  end)

  it("follows an index that it has looked through", function()
    join(ann, "ann", 7, 1)
    assert.same({ "ann" }, names(first(ann, "SELECT * FROM mates")))
    join(ben, "ben", 7, 1)
    assert.same({ "ben" }, names(ann:next_changes()[1].inserts))
    join(ben, "ben", 8, 1)
    assert.same({ "ben" }, names(ann:next_changes()[1].deletes))
  end)

  it("follows a range that it has looked through, at its ends, too", function()
    assert.same({}, first(ben, "SELECT * FROM near"))
    join(ann, "ann", 1, 99)
    join(ann, "ann", 1, 200)
    assert.is_true(ben:has_nothing())
    join(ann, "ann", 1, 100)
    assert.same({ "ann" }, names(ben:next_changes()[1].inserts))
    join(ann, "ann", 1, 199)
    assert.equal(199, ben:next_changes()[1].inserts[1].level)
    join(ann, "ann", 1, 200)
    assert.same({ "ann" }, names(ben:next_changes()[1].deletes))
  end)

  it("may look at thousands of keys", function()
    assert.same({}, first(ben, "SELECT * FROM every"))
    join(ann, "ann", 1, 999)
    assert.is_true(ben:has_nothing())
    for _, level in ipairs { 1000, 6000 } do
      join(ann, "ann", 1, level)
      assert.equal(level, ben:next_changes()[1].inserts[1].level)
    end
    join(ann, "ann", 1, 6001)
    assert.same({ "ann" }, names(ben:next_changes()[1].deletes))
  end)

  it("is refused where its query looks at events, which are not there later", function()
    local why = ben:subscribe_in_vain(1, { "SELECT * FROM pings" })
    assert.truthy(why:find("event table", 1, true), why)
  end)

  it("that is everyone's is worked out once and has a key", function()
    join(ann, "ann", 1, 60)
    assert.same({ "ann" }, names(first(ben, "SELECT * FROM best")))
    join(ann, "ann", 1, 70)
    local changes = ben:next_changes()
    assert.same({ 70, 60 }, { changes[1].inserts[1].level, changes[1].deletes[1].level })
    join(ann, "ann", 1, 20)
    assert.same({ {}, { "ann" } }, { names(ben:next_changes()[1].inserts), { "ann" } })
  end)

  it("can be a query, which may be another one when what it was made from changes", function()
    join(ann, "ann", 1, 10)
    assert.same({ "ann" }, names(first(ben, "SELECT * FROM strong")))
    join(ann, "ann", 1, 9)
    assert.same({ "ann" }, names(ben:next_changes()[1].deletes))
    ben:send_unsubscribe(1)
    ben:expect "UnsubscribeApplied"
    join(ben, "ben", 2, 1)
    assert.same({ "ben" }, names(first(ben, "SELECT * FROM picky")))
    local changes = join(ben, "ben", 1, 1)
    assert.same({ "ann", "ben" }, names(changes[1].inserts))
    assert.same({ "ben" }, names(changes[1].deletes))
  end)

  it("can be asked once, joined, counted and looked through by WHERE like a table", function()
    join(ann, "ann", 1, 60)
    join(ben, "ben", 1, 70)
    assert.same({ "ben" }, names(ann:ask "SELECT * FROM best WHERE level > 65"))
    assert.same({ "ann" }, names(ann:ask "SELECT * FROM me"))
    local answer = world:request { method = "POST", path = "/v1/database/%s/sql", token = world:owner_token(),
      body = "SELECT COUNT(*) AS n FROM best JOIN player ON best.name = player.name" }
    assert.equal(200, answer.status, answer.body)
    assert.truthy(answer.body:find('"rows":[[2]]', 1, true), answer.body)
    answer = world:request { method = "POST", path = "/v1/database/%s/sql", token = world:owner_token(),
      body = "DELETE FROM best" }
    assert.equal(400, answer.status)
    assert.truthy(answer.body:find("is a view", 1, true), answer.body)
  end)

  it("that fails ends its subscriptions with the reason, not the call that it fails on, until the next publish", function()
    whisper(ann, 1, "psst")
    assert.same({ "psst" }, names(first(ben, "SELECT * FROM leak")))
    ben:subscribe(2, { "SELECT * FROM player" })
    whisper(ann, 1, "boom")
    local ended = ben:expect "SubscriptionError"
    assert.equal(1, ended.query_set_id.id)
    assert.truthy(ended.error:find("the view `leak`", 1, true), ended.error)
    assert.truthy(ben:subscribe_in_vain(3, { "SELECT * FROM leak" }):find("the view `leak`", 1, true))
    join(ann, "ann", 1, 1) -- others live on
    assert.same({ "ann" }, names(ben:next_changes()[1].inserts))
    local log = world:request { path = "/v1/database/%s/logs?num_lines=20", token = world:owner_token() }.body
    assert.truthy(log:find("Not shown any more before the next update: `leak`", 1, true), log)
    whisper(ann, 1, "psst")
    world:reload(MODULE .. "\n-- published again")
    assert.same({ "psst" }, names(ben:subscribe(3, { "SELECT * FROM leak" })[1].rows))
  end)

  it("that gives a query of other rows tells the client and the log", function()
    world:reload((MODULE:gsub("SELECT %* FROM player WHERE level >= 10", "SELECT * FROM secret")))
    assert.truthy(ann:subscribe_in_vain(1, { "SELECT * FROM strong" }):find "gives rows of another type")
    local log = world:request({ path = "/v1/database/%s/logs", token = world:owner_token() }).body
    assert.truthy(log:find("the view `strong`: its query gives rows of another type than the view declares", 1, true), log)
  end)

  it("that takes too long is stopped once, and for all callers", function()
    for _, one in ipairs { ann, ben } do assert.same({}, first(one, "SELECT * FROM slow")) end
    ann:send_call("whisper", client.arguments("{ id: u32, text: string }", { id = 7, text = "spin" }))
    for _, one in ipairs { ann, ben } do
      local why = one:expect("SubscriptionError").error
      assert.truthy(why:find("the view `slow`", 1, true), why)
    end
    ann:expect "ReducerResult"
    local cid = client.connect(world)
    assert.truthy(cid:subscribe_in_vain(1, { "SELECT * FROM slow" }):find("the view `slow`", 1, true))
    cid:drop()
    local log = world:request { path = "/v1/database/%s/logs?num_lines=50", token = world:owner_token() }.body
    local _, times = log:gsub('"message":"view was stopped', "%0")
    assert.equal(1, times, log)
    whisper(ann, 7, "psst")
    world:reload(MODULE .. "\n-- published anew")
    assert.same({}, first(ben, "SELECT * FROM slow"))
  end)

  it("with two rows of one key is refused, and ends where it comes to that", function()
    join(ann, "ann", 1, 1)
    assert.equal(1, #first(ben, "SELECT * FROM same"))
    ben:send_call(joining("ben", 1, 2))
    local why = ben:expect "SubscriptionError"
    assert.truthy(why.error:find("same primary key", 1, true), why.error)
    ben:expect "ReducerResult"
  end)

  it("tells what is different when its code changes", function()
    join(ann, "ann", 1, 60)
    join(ben, "ben", 1, 40)
    assert.same({ "ann" }, names(first(ann, "SELECT * FROM best")))
    world:reload((MODULE:gsub("level >= 50", "level < 50")))
    local changes = ann:next_changes()
    assert.same({ { "ben" }, { "ann" } }, { names(changes[1].inserts), names(changes[1].deletes) })
    world:reload(MODULE)
  end)
end)

local FILTERED = [[
local stdb = require "stdb"
local t = stdb.types
stdb.table("member", { public = true, { "id", t.u32, primary_key = true, auto_inc = true },
  { "who", t.identity, index = true }, { "team", t.u32, index = true } })
stdb.table("team", { public = true, { "id", t.u32, primary_key = true }, { "name", t.string },
  { "open", t.bool, index = true } })
stdb.table("note", { public = true, { "id", t.u32, primary_key = true, auto_inc = true }, { "team", t.u32, index = true },
  { "text", t.string } })
stdb.table("whisper", { public = true, event = true, { "to", t.identity, index = true }, { "text", t.string } })
stdb.filter 'SELECT * FROM whisper WHERE "to" = :sender'
stdb.reducer("whisper", { { "to", t.identity }, { "text", t.string } }, function(ctx, to, text)
  ctx.db.whisper:insert { to = to, text = text }
end)
stdb.filter "SELECT * FROM member WHERE who = :sender"
stdb.filter "SELECT team.* FROM team JOIN member ON team.id = member.team"
stdb.filter "SELECT * FROM team WHERE open = true"
stdb.filter "SELECT note.* FROM note JOIN team ON note.team = team.id"

stdb.reducer("found", { { "id", t.u32 }, { "name", t.string }, { "open", t.bool } }, function(ctx, id, name, open)
  ctx.db.team.id:upsert { id = id, name = name, open = open }
end)
stdb.reducer("enter", { { "team", t.u32 } }, function(ctx, team) ctx.db.member:insert { who = ctx.sender, team = team } end)
stdb.reducer("quit", { { "team", t.u32 } }, function(ctx, team)
  for member in ctx.db.member.who:filter(ctx.sender) do
    if member.team == team then ctx.db.member.id:delete(member.id) end
  end
end)
stdb.reducer("write", { { "team", t.u32 }, { "text", t.string } }, function(ctx, team, text)
  ctx.db.note:insert { team = team, text = text }
end)
]]
local filtered_rows = bsatn.schema [[
  member = { id: u32, who: Identity, team: u32 }
  team = { id: u32, name: string, open: bool }
  note = { id: u32, team: u32, text: string }
  whisper = { to: Identity, text: string }
]]

describe("row-level security", function()
  local world, ann, ben, owner

  before_each(function()
    world = server.start { module = FILTERED }
    ann, ben = client.connect(world, { rows = filtered_rows }), client.connect(world, { rows = filtered_rows })
    owner = client.connect(world, { rows = filtered_rows, token = world:owner_token() })
    local found = "{ id: u32, name: string, open: bool }"
    owner:call("found", client.arguments(found, { id = 1, name = "red", open = false }))
    owner:call("found", client.arguments(found, { id = 2, name = "blue", open = false }))
    owner:call("found", client.arguments(found, { id = 3, name = "all", open = true }))
  end)
  after_each(function() world:remove() end)

  local function enter(one, team) return one:call_changes("enter", client.arguments("{ team: u32 }", { team = team })) end
  local function quit(one, team) return one:call_changes("quit", client.arguments("{ team: u32 }", { team = team })) end
  local function write(one, team, text)
    return one:call_changes("write", client.arguments("{ team: u32, text: string }", { team = team, text = text }))
  end

  it("shows each client what its filters select, and the owner all", function()
    enter(ann, 1)
    enter(ben, 2)
    assert.equal(1, #ann:ask "SELECT * FROM member")
    assert.same({ "all", "red" }, names(ann:ask "SELECT * FROM team"))
    assert.same({ "all", "blue" }, names(ben:ask "SELECT * FROM team"))
    assert.equal(2, #owner:ask "SELECT * FROM member")
    assert.equal(3, #owner:ask "SELECT * FROM team")
    local third = client.connect(world, { rows = filtered_rows })
    assert.same({}, third:ask "SELECT * FROM member")
    assert.same({ "all" }, names(third:ask "SELECT * FROM team"))
    assert.same({}, third:subscribe(1, { "SELECT * FROM member" }))
    third:drop()
  end)

  it("holds in WHERE, in joins and in counts: what is not seen is not told by a number either", function()
    enter(ann, 1)
    assert.same({}, ann:ask "SELECT * FROM team WHERE name = 'blue'")
    write(owner, 2, "for blue")
    write(owner, 1, "for red")
    assert.same({ "for red" }, names(ann:ask "SELECT note.* FROM note JOIN team ON note.team = team.id"))
    local answer = world:request { method = "POST", path = "/v1/database/%s/sql", token = ann.token,
      body = "SELECT COUNT(*) AS n FROM note" }
    assert.truthy(answer.body:find('"rows":[[1]]', 1, true), answer.body)
  end)

  it("goes through the filters of the tables that a filter looks at", function()
    write(owner, 2, "secret of blue")
    ann:subscribe(1, { "SELECT * FROM note" })
    enter(ann, 1)
    assert.is_true(ann:has_nothing())
    local changes = enter(ann, 2)
    assert.same({ { "note", { "secret of blue" } } }, { { changes[1].table, names(changes[1].inserts) } })
    changes = quit(ann, 2)
    assert.same({ "secret of blue" }, names(changes[1].deletes))
  end)

  it("tells a row once though several filters select it, and takes it away with the last", function()
    enter(ann, 3)
    ann:subscribe(1, { "SELECT * FROM team" })
    quit(ann, 3)
    assert.is_true(ann:has_nothing())
    owner:call("found", client.arguments("{ id: u32, name: string, open: bool }", { id = 3, name = "all", open = false }))
    assert.same({ "all" }, names(ann:next_changes()[1].deletes))
  end)

  it("lets events through to those whom they concern", function()
    for _, one in ipairs { ann, owner } do one:subscribe(1, { "SELECT * FROM whisper" }) end
    for text, one in pairs { mine = ann, yours = ben } do
      ben:call("whisper", client.arguments("{ to: Identity, text: string }", { to = one.identity, text = text }))
      assert.same({ text }, names(owner:next_changes()[1].events))
    end
    assert.same({ "mine" }, names(ann:next_changes()[1].events))
    assert.is_true(ann:has_nothing())
    assert.same({}, ann:ask "SELECT * FROM whisper")
  end)

  it("is not for reducers", function()
    enter(ann, 1)
    assert.equal("Ok", ben:call("write", client.arguments("{ team: u32, text: string }", { team = 1, text = "x" })).tag)
  end)

  it("is refused at the publish when a filter is none, with its line, and when filters go round", function()
    for _, case in ipairs {
      { 'stdb.filter "SELECT * FROM nowhere"', "no such table: `nowhere`" },
      { 'stdb.filter "SELECT id FROM team"', "filter" },
      { 'stdb.table("safe", { { "id", t.u32 } })\nstdb.filter "SELECT * FROM safe"', "private" },
      { 'stdb.filter "SELECT team.* FROM team JOIN note ON team.id = note.team"', "again" },
    } do
      local said = world:reload(FILTERED .. case[1])
      assert.truthy(said:find(case[2], 1, true), said)
      assert.truthy(said:find("module.lua:%d+"), said)
    end
    enter(ann, 1)
    assert.equal(1, #ann:ask "SELECT * FROM member")
  end)

  it("holds for first rows that are too many to be told at once", function()
    local text = ("x"):rep(60000)
    enter(ann, 1)
    for _ = 1, 20 do write(owner, 1, text) end
    for place = 1, 3 do write(owner, 2, "not for ann" .. place) end
    local told = ann:subscribe(1, { "SELECT * FROM note" })[1].rows
    assert.equal(20, #told)
    for _, row in ipairs(told) do assert.equal(1, row.team) end
  end)

  it("knows after an update of the module how many filters select a row", function()
    enter(ann, 3)
    ann:subscribe(1, { "SELECT * FROM team" })
    ann:subscribe(2, { "SELECT note.* FROM note JOIN team ON note.team = team.id" })
    world:reload(FILTERED .. "-- published again")
    quit(ann, 3)
    assert.is_true(ann:has_nothing())
    owner:call("found", client.arguments("{ id: u32, name: string, open: bool }", { id = 3, name = "all", open = false }))
    assert.same({ "all" }, names(ann:next_changes()[1].deletes))
  end)

  it("is refused where a filter waits for events, which could never be taken back", function()
    local said = world:reload(FILTERED .. [[
stdb.table("ping", { public = true, event = true, { "id", t.u32, primary_key = true } })
stdb.filter "SELECT note.* FROM note JOIN ping ON note.id = ping.id"
]])
    assert.truthy(said:find("event table", 1, true), said)
    assert.truthy(said:find("module.lua:%d+"), said)
  end)

  it("tells each caller the events that its filters select", function()
    world:reload(FILTERED .. [[
stdb.table("ping", { public = true, event = true, { "team", t.u32, index = true }, { "text", t.string } })
stdb.filter "SELECT ping.* FROM ping JOIN team ON ping.team = team.id"
stdb.filter "SELECT * FROM ping WHERE team = 9"
stdb.reducer("ring", { { "team", t.u32 }, { "text", t.string } }, function(ctx, team, text)
  ctx.db.ping:insert { team = team, text = text }
end)
]])
    local schema = bsatn.schema [[ ping = { team: u32, text: string } ]]
    local function ring(team, text)
      assert.equal(200, world:call("ring", ('[%d, "%s"]'):format(team, text), owner.token).status)
    end
    local cid = client.connect(world, { rows = schema })
    assert.same({}, cid:subscribe(1, { "SELECT * FROM ping" }))
    ring(1, "no member")
    assert.is_true(cid:has_nothing())
    enter(cid, 1)
    ring(1, "member")
    assert.same({ "member" }, names(cid:next_changes()[1].events))
    ring(9, "all")
    assert.same({ "all" }, names(cid:next_changes()[1].events))
    assert.is_true(cid:has_nothing())
  end)

  it("disconnects everybody when the filters change", function()
    world:reload(FILTERED .. 'stdb.filter "SELECT * FROM note WHERE team = 3"')
    assert.equal("close", (ann:ending()))
  end)

  it("keeps everybody when the filters stay, and is told by st_row_level_security", function()
    local first, second = FILTERED:match '(stdb.filter [^\n]+\n)(stdb.filter [^\n]+\n)'
    local turned = FILTERED:gsub("stdb.filter [^\n]+\nstdb.filter [^\n]+\n", function() return second .. first end, 1)
    world:reload(turned .. "-- the same in another order")
    enter(ann, 1)
    assert.equal(1, #ann:ask "SELECT * FROM member")
    local answer = world:sql([[SELECT f.sql FROM st_row_level_security f JOIN st_table t ON f.table_id = t.table_id
      WHERE t.table_name = 'member']], world:owner_token())
    assert.truthy(answer.body:find('"rows":[["SELECT * FROM member WHERE who = :sender"]]', 1, true), answer.body)
  end)
end)
