--- Views at work: when they run, what subscriptions over them see, what a publish does to them, and what st_view* tell.
local cjson = require "cjson"
local bsatn = require "spec.support.bsatn"
local client = require "spec.support.client"
local program = require "spec.support.program"
local server = require "spec.support.server"

local HEAD = [[
local stdb = require "stdb"
local t = stdb.types

local Piece = stdb.table("piece", { public = true, { "id", t.u32, primary_key = true }, { "owner", t.identity, index = true },
  { "kind", t.string, index = true }, { "level", t.u32, index = true }, { "alive", t.bool, default = true } })
local Badge = stdb.table("badge", { public = true, { "piece", t.u32, primary_key = true }, { "rank", t.u32, index = true } })
stdb.table("vault", { { "id", t.u32, primary_key = true }, { "owner", t.identity, index = true } })
local Item = t.struct("Item", { { "id", t.u32 }, { "owner", t.identity } })
local Total = t.struct("Total", { { "n", t.u32 } })

stdb.reducer("put", { { "piece", Piece } }, function(ctx, piece) ctx.db.piece.id:upsert(piece) end)
stdb.reducer("take", { { "id", t.u32 } }, function(ctx, id) ctx.db.piece.id:delete(id) end)
stdb.reducer("award", { { "piece", t.u32 }, { "rank", t.u32 } }, function(ctx, piece, rank)
  ctx.db.badge.piece:upsert { piece = piece, rank = rank }
end)
stdb.reducer("strip", { { "piece", t.u32 } }, function(ctx, piece) ctx.db.badge.piece:delete(piece) end)
stdb.reducer("lock_up", { { "id", t.u32 } }, function(ctx, id) ctx.db.vault:insert { id = id, owner = ctx.sender } end)
]]

local MODULE = HEAD .. [[
stdb.view("elves", { returns = t.array(Piece), anonymous = true, primary_key = "id" }, function(ctx)
  print "elves ran"
  return ctx.db.piece.kind:filter "elf"
end)
stdb.view("notable", { returns = t.array(Piece), anonymous = true, primary_key = "id" }, function(ctx)
  print "notable ran"
  local found = {}
  for row in ctx.db.piece.kind:filter "king" do found[#found + 1] = row end
  for row in ctx.db.piece.level:filter(99) do
    if row.kind ~= "king" then found[#found + 1] = row end
  end
  return found
end)
stdb.view("own", { returns = t.array(Piece), primary_key = "id" }, function(ctx)
  print "own ran"
  return ctx.db.piece.owner:filter(ctx.sender)
end)
stdb.view("twice", { returns = t.array(Total), anonymous = true }, function(ctx)
  local n = ctx.db.piece:count()
  return { { n = n }, { n = n } }
end)
stdb.view("second_hand", { returns = t.query(Piece), anonymous = true }, function() return "SELECT * FROM elves" end)
stdb.view("total", { returns = t.array(Total), anonymous = true }, function(ctx) return { { n = ctx.db.piece:count() } } end)
stdb.view("safe", { returns = t.array(Item) }, function(ctx) return ctx.db.vault.owner:filter(ctx.sender) end)
stdb.view("decorated", { returns = t.query(Piece), anonymous = true }, function()
  return "SELECT piece.* FROM piece JOIN badge ON piece.id = badge.piece WHERE piece.alive = true AND badge.rank > 2"
end)
stdb.view("ranks", { returns = t.query(Badge), anonymous = true }, function()
  return "SELECT badge.* FROM piece JOIN badge ON piece.id = badge.piece WHERE piece.level >= 5"
end)
stdb.view("odd", { returns = t.query(Piece), anonymous = true }, function()
  return "SELECT * FROM piece WHERE (kind = 'orc' OR kind = 'elf') AND level <> 1 AND (alive = true)"
end)
]]

local PIECE = "{ id: u32, owner: Identity, kind: string, level: u32, alive: bool }"
local rows = bsatn.schema(([[
  piece = %s
  elves = %s
  notable = %s
  own = %s
  decorated = %s
  odd = %s
  badge = { piece: u32, rank: u32 }
  ranks = { piece: u32, rank: u32 }
  total = { n: u32 }
  twice = { n: u32 }
  safe = { id: u32, owner: Identity }
]]):format(PIECE, PIECE, PIECE, PIECE, PIECE, PIECE))

local function ids(list)
  local found = {}
  for place, row in ipairs(list) do found[place] = row.id or row.piece or row.n end
  table.sort(found)
  return found
end

--- What a client was told, as { { table, ids that came, ids that went }, … }.
local function told(changes)
  local found = {}
  for place, change in ipairs(changes) do found[place] = { change.table, ids(change.inserts), ids(change.deletes) } end
  return found
end

describe("a view at work", function()
  local world, ann, ben

  before_each(function()
    world = server.start { module = MODULE }
    ann, ben = client.connect(world, { rows = rows }), client.connect(world, { rows = rows })
  end)
  after_each(function() world:remove() end)

  local function put(one, id, kind, level, alive)
    local piece = { id = id, owner = one.identity, kind = kind, level = level or 1, alive = alive ~= false }
    return told(one:call_changes("put", client.arguments("{ piece: " .. PIECE .. " }", { piece = piece })))
  end
  local function take(one, id) return told(one:call_changes("take", client.arguments("{ id: u32 }", { id = id }))) end
  local function award(one, piece, rank)
    return told(one:call_changes("award", client.arguments("{ piece: u32, rank: u32 }", { piece = piece, rank = rank })))
  end
  local function strip(one, piece)
    return told(one:call_changes("strip", client.arguments("{ piece: u32 }", { piece = piece })))
  end
  local function first(one, set, query) return ids((one:subscribe(set, { query })[1] or { rows = {} }).rows) end
  local function next_told(one) return told(one:next_changes()) end
  local function owner_rows(text)
    return world:rows(text)
  end
  local function runs_of(view)
    local log = world:request({ path = "/v1/database/%s/logs", token = world:owner_token() }).body
    return select(2, log:gsub(view .. " ran", ""))
  end

  it("is worked out once for all who ask, and again only when what it has looked at changes", function()
    put(ann, 1, "elf")
    assert.same({ 1 }, first(ann, 1, "SELECT * FROM elves"))
    assert.same({ 1 }, first(ben, 1, "SELECT * FROM elves WHERE level = 1"))
    assert.equal(1, #owner_rows "SELECT * FROM elves")
    put(ann, 2, "orc")
    award(ann, 1, 1)
    assert.equal(1, runs_of "elves")
    assert.same({ { "elves", { 3 }, {} } }, put(ann, 3, "elf", 2))
    assert.equal(2, runs_of "elves")
    assert.is_true(ben:has_nothing())
  end)

  it("that has looked through several indexes runs again for a change in either", function()
    put(ann, 1, "king")
    put(ann, 2, "elf", 99)
    assert.same({ 1, 2 }, first(ann, 1, "SELECT * FROM notable"))
    assert.same({ { "notable", { 3 }, {} } }, put(ann, 3, "orc", 99))
    assert.same({ { "notable", {}, { 1 } } }, put(ann, 1, "pawn"))
    put(ann, 4, "pawn", 98)
    assert.equal(3, runs_of "notable")
  end)

  it("that counts rows tells when there are more or fewer, and nothing when one is replaced", function()
    assert.same({ 0 }, first(ann, 1, "SELECT * FROM total"))
    assert.same({ { "total", { 1 }, { 0 } } }, put(ann, 1, "elf"))
    assert.same({}, put(ann, 1, "orc"))
    assert.same({ { "total", { 0 }, { 1 } } }, take(ann, 1))
  end)

  it("gives equal rows once, and by a query no rows of another view", function()
    assert.same({ 0 }, first(ann, 1, "SELECT * FROM twice"))
    assert.same({ { "twice", { 1 }, { 0 } } }, put(ann, 1, "elf"))
    local refusal = ann:subscribe_in_vain(2, { "SELECT * FROM second_hand" })
    assert.truthy(refusal:find("the view `second_hand`: no such table: `elves`", 1, true), refusal)
    assert.truthy(ann:subscribe_in_vain(2, { "SELECT * FROM twyce" }):find("Did you mean `twice`?", 1, true))
  end)

  it("goes on for those who stay when somebody else leaves", function()
    local again = client.connect(world, { rows = rows, token = ann.token })
    for _, one in ipairs { ann, ben, again } do
      first(one, 1, "SELECT * FROM own")
      first(one, 2, "SELECT * FROM elves")
    end
    ann:close()
    assert.same({ { "own", { 1 }, {} }, { "elves", { 1 }, {} } }, put(again, 1, "elf"))
    assert.same({ { "elves", { 1 }, {} } }, next_told(ben))
    ben:close()
    assert.same({ { "own", {}, { 1 } }, { "elves", {}, { 1 } } }, take(again, 1))
  end)

  it("gives to strangers what it has found in private tables, to each their own", function()
    for id, one in ipairs { ann, ben } do
      assert.equal("Ok", one:call("lock_up", client.arguments("{ id: u32 }", { id = id })).tag)
    end
    assert.is_nil(ann:ask "SELECT * FROM vault")
    assert.same({ 1 }, ids(ann:ask "SELECT * FROM safe"))
    assert.same({ 2 }, ids(ben:ask "SELECT * FROM safe"))
    local third = world:sql "SELECT * FROM safe"
    assert.same({}, cjson.decode(third.body)[1].rows)
  end)

  it("given by a query joins, takes the rows of either side, and has conditions on both", function()
    put(ann, 1, "elf", 5)
    put(ann, 2, "orc", 4)
    award(ann, 1, 3)
    assert.same({ 1 }, first(ann, 1, "SELECT * FROM decorated"))
    assert.same({ 1 }, first(ann, 2, "SELECT * FROM ranks"))
    assert.same({ 1, 2 }, first(ann, 3, "SELECT * FROM odd"))
    assert.same({ { "decorated", { 2 }, {} } }, award(ann, 2, 9))
    assert.same({ { "ranks", { 1 }, { 1 } }, { "decorated", {}, { 1 } } }, (function()
      local changes = award(ann, 1, 2)
      table.sort(changes, function(left, right) return left[1] > right[1] end)
      return changes
    end)())
    put(ann, 2, "orc", 6, false)
    assert.same({ { 1, 2 }, {}, { 1 } },
      { ids(ann:ask "SELECT * FROM ranks"), ids(ann:ask "SELECT * FROM decorated"), ids(ann:ask "SELECT * FROM odd") })
  end)

  it("is joined with a view or a table by a live query, with conditions on both, and every step is told", function()
    put(ann, 1, "elf", 5)
    put(ann, 2, "elf", 1)
    award(ann, 1, 1)
    for set, query in ipairs {
      "SELECT own.* FROM own JOIN elves ON own.id = elves.id WHERE own.level > 2 AND elves.alive = true",
      "SELECT elves.* FROM elves JOIN badge ON elves.id = badge.piece WHERE elves.owner = :sender",
      "SELECT badge.* FROM own JOIN badge ON own.id = badge.piece",
    } do
      assert.same({ 1 }, first(ann, set, query))
    end
    assert.same({ { "own", { 2 }, {} } }, put(ann, 2, "elf", 3))
    assert.same({ { "own", {}, { 1 } }, { "elves", { 1 }, { 1 } } }, put(ann, 1, "elf", 5, false))
    assert.same({ { "elves", { 2 }, {} }, { "badge", { 2 }, {} } }, award(ann, 2, 7))
    assert.same({ { "elves", {}, { 2 } }, { "badge", {}, { 2 } } }, strip(ann, 2))
    assert.same({}, put(ben, 3, "elf", 9))
    award(ben, 3, 1)
    assert.is_true(ann:has_nothing())
    assert.same({ { "elves", {}, { 1 } }, { "badge", {}, { 1 } } }, take(ann, 1))
  end)

  it("stays as it is when another is added, and by its new code looks at other things from the publish on", function()
    put(ann, 1, "elf")
    assert.same({ 1 }, first(ann, 1, "SELECT * FROM elves"))
    local wider = MODULE .. 'stdb.view("high", { returns = t.array(Piece), anonymous = true }, ' ..
      'function(ctx) return ctx.db.piece.level:filter(7) end)'
    world:reload(wider)
    assert.same({ { "elves", { 2 }, {} } }, put(ann, 2, "elf"))
    world:reload((wider:gsub('filter "elf"', 'filter "orc"')))
    assert.same({ { "elves", {}, { 1, 2 } } }, next_told(ann))
    local before = runs_of "elves"
    assert.same({}, put(ann, 3, "elf"))
    assert.equal(before, runs_of "elves")
    assert.same({ { "elves", { 4 }, {} } }, put(ann, 4, "orc"))
  end)

  it("that goes, or has another key, disconnects everybody", function()
    local without_total = MODULE:gsub('stdb.view%("total".-\n', "")
    local without_key = without_total:gsub(', primary_key = "id" }', " }", 1)
    for _, version in ipairs { without_total, without_key } do
      local said = world:reload(version)
      assert.truthy(said:find "clients were disconnected", said)
      assert.equal("close", (ann:ending()))
      ann = client.connect(world, { rows = rows })
    end
  end)

  it("that fails in a new version ends its subscriptions with the reason, and a repaired version brings it back", function()
    put(ann, 1, "elf")
    first(ann, 1, "SELECT * FROM elves")
    first(ann, 2, "SELECT * FROM piece")
    world:reload((MODULE:gsub('print "elves ran"', 'error "no elves today"')))
    local ended = ann:expect "SubscriptionError"
    assert.equal(1, ended.query_set_id.id)
    assert.same({ { "piece", { 2 }, {} } }, put(ann, 2, "elf"))
    world:reload(MODULE)
    assert.same({ 1, 2 }, first(ann, 3, "SELECT * FROM elves"))
  end)

  it("is worked out anew after a restart: what it gives is not kept", function()
    put(ann, 1, "elf")
    assert.same({ 1 }, first(ann, 1, "SELECT * FROM elves"))
    assert.same({ 1 }, first(ann, 2, "SELECT * FROM own"))
    world:kill()
    world:restart()
    assert.equal(1, runs_of "own")
    local again = client.connect(world, { rows = rows, token = ann.token })
    assert.same({ 1 }, first(again, 1, "SELECT * FROM elves"))
    assert.same({ 1 }, first(again, 2, "SELECT * FROM own"))
    assert.same({ { "elves", { 2 }, {} }, { "own", { 2 }, {} } }, put(again, 2, "elf"))
  end)

  it("has no part in the log, where only what changes tables stands, and who comes and goes", function()
    first(ann, 1, "SELECT * FROM elves")
    for _ = 1, 2 do put(ann, 1, "elf") end -- the second is the same row again
    take(ann, 7)
    assert.equal(1, #owner_rows "SELECT * FROM elves")
    world:kill()
    local _, log = program.run("log", "--data-dir", world.data_dir, "--format", "json")
    local kinds = {}
    for line in log:gmatch "[^\n]+" do
      local kind = cjson.decode(line).kind
      kinds[kind] = (kinds[kind] or 0) + 1
    end
    assert.same({ publish = 1, connect = 3, disconnect = 1, call = 1 }, kinds)
    assert.is_nil(log:find "elves")
  end)

  it("stands in st_view with its columns, and in st_view_sub with who looks at it", function()
    assert.same({ { "elves", true, true }, { "own", true, false } }, owner_rows [[SELECT view_name, is_public, is_anonymous
      FROM st_view WHERE view_name = 'elves' OR view_name = 'own' ORDER BY view_name]])
    assert.same({ { "id" }, { "owner" } }, owner_rows([[SELECT c.col_name FROM st_view_column c JOIN st_view v
      ON c.view_id = v.view_id WHERE v.view_name = 'safe' ORDER BY c.col_pos]]))
    assert.same({}, owner_rows "SELECT * FROM st_view_param")
    assert.same({}, owner_rows "SELECT * FROM st_view_sub")
    first(ann, 1, "SELECT * FROM own")
    first(ann, 2, "SELECT * FROM own WHERE level = 1")
    for _, one in ipairs { ann, ben } do first(one, 3, "SELECT * FROM elves") end
    local uses = owner_rows([[SELECT v.view_name, s.num_subscribers, s.has_subscribers, s.identity, a.bytes
      FROM st_view_sub s JOIN st_view v ON s.view_id = v.view_id JOIN st_view_arg a ON s.arg_id = a.id
      ORDER BY v.view_name, s.num_subscribers]])
    local shown = {}
    for place, use in ipairs(uses) do shown[place] = { use[1], use[2], use[3], use[5] } end
    assert.same({ "elves", 1, true, "" }, shown[1])
    assert.same({ "elves", 1, true, "" }, shown[2])
    assert.same({ "own", 2, true }, { shown[3][1], shown[3][2], shown[3][3] })
    assert.equal(64, #shown[3][4])
    assert.equal(3, #shown)
    assert.equal("0x" .. ann.identity, uses[3][4])
    ann:close()
    ben:close()
    server.wait("both to be gone", function()
      return owner_rows("SELECT COUNT(*) AS n FROM st_view_sub WHERE has_subscribers = true")[1][1] == 0
    end)
    server.wait("both views to be let go of", function() return #owner_rows "SELECT * FROM st_view_sub" == 0 end)
  end)
end)
