--- A module with views and row-level security, and what each of its clients must see of it: worked out from all rows,
--- without any of the server's means.
---
---     local model = derivation_model.new()
---     derivation_model.module(version)                 --> the module's text
---     model:change(tables)                             --  { item = { put = { row }, gone = { id } }, … }
---     model:rows(query, who, is_owner, version)        --> the bag of a query of derivation_model.queries, as bytes
---
--- A version is { floor, from, to, hides }: numbers in its views' code, and whether it filters one more table.
local bsatn = require "spec.support.bsatn"

local derivation_model = {}
local Model = {}
Model.__index = Model

derivation_model.tables = { "item", "member", "team", "note" }
derivation_model.types = bsatn.schema [[
  item = { id: u32, owner: Identity, team: u32, level: u32 }
  member = { id: u32, who: Identity, team: u32 }
  team = { id: u32, open: bool }
  note = { id: u32, team: u32, grade: u32 }
  census = { level: u32, count: u32 }
]]
derivation_model.change_type = bsatn.type [[{
  item: [{ id: u32, owner: Identity, team: u32, level: u32 }], item_gone: [u32],
  member: [{ id: u32, who: Identity, team: u32 }], member_gone: [u32],
  team: [{ id: u32, open: bool }], team_gone: [u32],
  note: [{ id: u32, team: u32, grade: u32 }], note_gone: [u32] }]]

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types
local id = { "id", t.u32, primary_key = true }
local team = { "team", t.u32, index = true }

local Item = stdb.table("item", { public = true, id, { "owner", t.identity, index = true }, team,
  { "level", t.u32, index = true } })
local Member = stdb.table("member", { public = true, id, { "who", t.identity, index = true }, team })
local Team = stdb.table("team", { public = true, id, { "open", t.bool, index = true } })
local Note = stdb.table("note", { public = true, id, team, { "grade", t.u32, index = true } })
local Level = t.struct("Level", { { "level", t.u32 }, { "count", t.u32 } })

stdb.filter "SELECT * FROM member WHERE who = :sender"
stdb.filter "SELECT team.* FROM team JOIN member ON team.id = member.team"
stdb.filter "SELECT * FROM team WHERE open = true"
stdb.filter "SELECT note.* FROM note JOIN team ON note.team = team.id"
stdb.filter "SELECT * FROM note WHERE grade >= 9"
if $hides then stdb.filter "SELECT * FROM item WHERE level >= 3" end

stdb.view("best", t.option(Item), function(ctx)
  local best
  for item in ctx.db.item.owner:filter(ctx.sender) do
    if item.level >= $floor and (not best or item.id < best.id) then best = item end
  end
  return best
end)
stdb.view("mine", { returns = t.array(Item), primary_key = "id" }, function(ctx)
  return ctx.db.item.owner:filter(ctx.sender)
end)
stdb.view("near", { returns = t.array(Item), anonymous = true }, function(ctx)
  return ctx.db.item.level:filter { from = $from, below = $to }
end)
stdb.view("census", { returns = t.array(Level), anonymous = true, primary_key = "level" }, function(ctx)
  local counts, list = {}, {}
  for item in ctx.db.item:iter() do counts[item.level] = (counts[item.level] or 0) + 1 end
  for level, count in pairs(counts) do list[#list + 1] = { level = level, count = count } end
  return list
end)
stdb.view("strong", { returns = t.query(Item), anonymous = true, primary_key = "id" }, function()
  return "SELECT * FROM item WHERE level >= $floor"
end)
stdb.view("crew", { returns = t.query(Item) }, function()
  return "SELECT item.* FROM item JOIN member ON item.team = member.team WHERE member.who = :sender"
end)
stdb.view("picky", { returns = t.query(Item) }, function(ctx)
  local least
  for member in ctx.db.member.who:filter(ctx.sender) do
    if not least or member.team < least then least = member.team end
  end
  return "SELECT * FROM item WHERE " .. (least and "team = " .. least or "FALSE")
end)

local function put(rows, index)
  for _, row in ipairs(rows) do index:upsert(row) end
end
local function delete(ids, index)
  for _, gone in ipairs(ids) do index:delete(gone) end
end
stdb.reducer("change", {
  { "item", t.array(Item) }, { "item_gone", t.array(t.u32) }, { "member", t.array(Member) }, { "member_gone", t.array(t.u32) },
  { "team", t.array(Team) }, { "team_gone", t.array(t.u32) }, { "note", t.array(Note) }, { "note_gone", t.array(t.u32) } },
  function(ctx, item, item_gone, member, member_gone, team, team_gone, note, note_gone)
    local db = ctx.db
    delete(item_gone, db.item.id) delete(member_gone, db.member.id) delete(team_gone, db.team.id) delete(note_gone, db.note.id)
    put(item, db.item.id) put(member, db.member.id) put(team, db.team.id) put(note, db.note.id)
  end)
]]

function derivation_model.module(version)
  return (MODULE:gsub("%$(%w+)", function(name) return tostring(version[name]) end))
end

function derivation_model.new()
  return setmetatable({ item = {}, member = {}, team = {}, note = {} }, Model)
end

function Model:change(tables)
  for name, changes in pairs(tables) do
    for _, id in ipairs(changes.gone) do self[name][id] = nil end
    for _, row in ipairs(changes.put) do self[name][row.id] = row end
  end
end

-- What there is to see --------------------------------------------------------------------------------------------

local function select(rows, passes)
  local found = {}
  for _, row in pairs(rows) do
    if passes(row) then found[#found + 1] = row end
  end
  return found
end

local function has(rows, column, value)
  return #select(rows, function(row) return row[column] == value end) > 0
end

--- Rows of the left side, as often as they have partners.
local function join(left, left_column, right, right_column)
  local found = {}
  for _, row in pairs(left) do
    for _, other in pairs(right) do
      if row[left_column] == other[right_column] then found[#found + 1] = row end
    end
  end
  return found
end

local function everything() return true end

--- What a caller sees by the name of a table or a view. `eye` is { model, who, is_owner, version }.
local see = {}

function see.member(eye)
  return select(eye.model.member, function(row) return eye.is_owner or row.who == eye.who end)
end
function see.team(eye)
  local members = see.member(eye)
  return select(eye.model.team, function(row) return eye.is_owner or row.open or has(members, "team", row.id) end)
end
function see.note(eye)
  local teams = see.team(eye)
  return select(eye.model.note, function(row) return eye.is_owner or row.grade >= 9 or has(teams, "id", row.team) end)
end
function see.item(eye)
  return select(eye.model.item, function(row) return eye.is_owner or not eye.version.hides or row.level >= 3 end)
end
function see.mine(eye)
  return select(eye.model.item, function(row) return row.owner == eye.who end)
end
function see.best(eye)
  local own = select(see.mine(eye), function(row) return row.level >= eye.version.floor end)
  table.sort(own, function(left, right) return left.id < right.id end)
  return { own[1] }
end
function see.near(eye)
  return select(eye.model.item, function(row) return row.level >= eye.version.from and row.level < eye.version.to end)
end
function see.census(eye)
  local counts, list = {}, {}
  for _, row in pairs(eye.model.item) do counts[row.level] = (counts[row.level] or 0) + 1 end
  for level, count in pairs(counts) do list[#list + 1] = { level = level, count = count } end
  return list
end
function see.strong(eye)
  return select(eye.model.item, function(row) return row.level >= eye.version.floor end)
end
local function teams_of(eye)
  return select(eye.model.member, function(row) return row.who == eye.who end)
end
function see.crew(eye)
  local own = teams_of(eye)
  return select(eye.model.item, function(row) return has(own, "team", row.team) end)
end
function see.picky(eye)
  local least = math.huge
  for _, row in ipairs(teams_of(eye)) do least = math.min(least, row.team) end
  return select(eye.model.item, function(row) return row.team == least end)
end

-- Queries ---------------------------------------------------------------------------------------------------------

local function whole(name, row_type)
  return { text = "SELECT * FROM " .. name, table = name, row = row_type or name,
    rows = function(eye) return see[name](eye) end }
end

local function where(name, condition, row_type, passes)
  return { text = ("SELECT * FROM %s WHERE %s"):format(name, condition), table = name, row = row_type,
    rows = function(eye) return select(see[name](eye), passes) end }
end

local function joined(row_type, left, left_column, right, right_column, condition, passes)
  local text = ("SELECT %s.* FROM %s JOIN %s ON %s.%s = %s.%s"):format(left, left, right, left, left_column, right,
    right_column)
  return { text = text .. (condition and " WHERE " .. condition or ""), table = left, row = row_type,
    rows = function(eye)
      return join(see[left](eye), left_column, select(see[right](eye), passes or everything), right_column)
    end }
end

local function top(name, row_type, order, limit, is_before)
  local text = ("SELECT * FROM %s ORDER BY %s LIMIT %d"):format(name, order, limit)
  return { text = text, table = name, row = row_type,
    rows = function(eye)
      local rows = see[name](eye)
      table.sort(rows, is_before)
      return { unpack(rows, 1, math.min(limit, #rows)) }
    end }
end

derivation_model.queries = {
  whole "item", whole "member", whole "team", whole "note", whole "census",
  whole("best", "item"), whole("mine", "item"), whole("near", "item"), whole("strong", "item"), whole("crew", "item"),
  whole("picky", "item"),
  where("strong", "level > 5", "item", function(row) return row.level > 5 end),
  where("mine", "level = 4", "item", function(row) return row.level == 4 end),
  where("note", "grade > 4", "note", function(row) return row.grade > 4 end),
  joined("note", "note", "team", "team", "id"),
  joined("item", "item", "team", "member", "team"),
  joined("item", "item", "team", "team", "id", "team.open = true", function(row) return row.open end),
  joined("item", "mine", "id", "strong", "id"),
  joined("note", "note", "team", "item", "team"),
  top("note", "note", "grade DESC, id", 3, function(left, right)
    return left.grade > right.grade or (left.grade == right.grade and left.id < right.id)
  end),
  top("strong", "item", "id", 2, function(left, right) return left.id < right.id end),
}

function Model:rows(query, who, is_owner, version)
  local bag = {}
  for _, row in ipairs(query.rows { model = self, who = who, is_owner = is_owner, version = version }) do
    local bytes = bsatn.encode(derivation_model.types[query.row], row)
    bag[bytes] = (bag[bytes] or 0) + 1
  end
  return bag
end

return derivation_model
