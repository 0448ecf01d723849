--- SQL over HTTP and in one-off queries: changes by the owner, who hears of them and what the log keeps, variables,
--- system tables, and what is whose to do.
local cjson = require "cjson"
local bsatn = require "spec.support.bsatn"
local client = require "spec.support.client"
local program = require "spec.support.program"
local server = require "spec.support.server"

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types

local Mood = t.enum("Mood", { "fine", "sad" })

stdb.table("item", { public = true,
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "name", t.string, unique = true },
  { "weight", t.u32, default = 7, index = true },
})

stdb.table("log", { public = true,
  { "who", t.identity },
  { "at", t.timestamp },
  { "mood", Mood },
  { "data", t.bytes },
})

stdb.table("plain", { { "a", t.u32 }, { "b", t.u32 } })

stdb.reducer("fill", { { "count", t.u32 } }, function(ctx, count)
  for i = 1, count do ctx.db.plain:insert { a = i, b = i % 3 } end
end)
]]

describe("SQL over HTTP", function()
  local world, owner

  setup(function()
    world = server.start { module = MODULE }
    owner = world:owner_token()
  end)
  teardown(function() world:remove() end)
  before_each(function()
    for _, name in ipairs { "item", "log", "plain" } do assert.equal(200, world:sql("DELETE FROM " .. name, owner).status) end
  end)

  local function answer(text, token)
    local response = world:sql(text, token or owner)
    assert.equal(200, response.status, response.body)
    return cjson.decode(response.body)[1]
  end

  local function rows_of(text, token) return answer(text, token).rows end

  local function stats_of(text)
    local found = answer(text)
    assert.same({ {}, {} }, { found.schema.elements, found.rows })
    return { found.stats.rows_inserted, found.stats.rows_deleted, found.stats.rows_updated }
  end

  local function assert_refused(expected, text, token)
    local response = world:sql(text, token or owner)
    assert.equal(400, response.status)
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    assert.equal(expected, response.body)
  end

  describe("INSERT", function()
    it("takes the columns in any order, several rows at once, and numbers what is 0", function()
      assert.same({ 2, 0, 0 }, stats_of "INSERT INTO item (weight, id, name) VALUES (1, 500, 'five'), (2, 0, 'six')")
      local rows = rows_of "SELECT id, name, weight FROM item ORDER BY weight"
      assert.same({ 500, "five", 1 }, rows[1])
      assert.same({ "six", 2 }, { rows[2][2], rows[2][3] })
      assert.is_true(rows[2][1] > 0 and rows[2][1] ~= 500)
    end)

    it("leaves out columns that have a default or are numbered, and no others", function()
      assert.same({ 1, 0, 0 }, stats_of "INSERT INTO item (name) VALUES ('lamp')")
      assert.same({ { "lamp", 7 } }, rows_of "SELECT name, weight FROM item")
      assert_refused("INSERT wants a value for each column, and `name` is not among them, at character 13, near `item`",
        "INSERT INTO item (id) VALUES (0)")
      assert_refused("`nam` is not in scope (did you mean `name`?), at character 19, near `nam`",
        "INSERT INTO item (nam) VALUES ('x')")
      assert_refused("the column stands here twice, at character 25, near `name`",
        "INSERT INTO item (name, name) VALUES ('x', 'y')")
      assert_refused("there are 1 columns and 2 values, at character 32, near `(`",
        "INSERT INTO item (name) VALUES ('x', 'y')")
    end)

    it("reads values at the types of their columns, others as JSON in quotes", function()
      assert.same({ 1, 0, 0 }, stats_of [[INSERT INTO log (who, at, mood, data)
        VALUES (:sender, '2026-11-20T08:15:30Z', '{"sad": []}', 0x0aff)]])
      local row = rows_of("SELECT * FROM log")[1]
      assert.same({ { 1763626530000000 + 365 * 86400 * 1000000 }, { 1, {} }, "0aff" }, { row[2], row[3], row[4] })
      assert.same({ { 1 } }, rows_of "SELECT COUNT(*) AS n FROM log WHERE who = :sender")
      assert_refused("a value of type (fine | sad) is written as 'JSON in quotes', at character 47, near `1`",
        "INSERT INTO log (mood, who, at, data) VALUES (1, :sender, '2026-11-20T08:15:30Z', 0x)")
    end)

    it("of an identical row changes nothing, and of another with a taken key is refused as a whole", function()
      assert.same({ 1, 0, 0 }, stats_of "INSERT INTO plain (a, b) VALUES (1, 2)")
      assert.same({ 0, 0, 0 }, stats_of "INSERT INTO plain (a, b) VALUES (1, 2)")
      assert.equal(1, #rows_of "SELECT * FROM plain")
      stats_of "INSERT INTO item (id, name) VALUES (9, 'lamp')"
      assert_refused("Unique constraint violation 'item_name_idx_btree' in table 'item': column(s): 'name' value: \"lamp\"",
        "INSERT INTO item (name) VALUES ('chair'), ('lamp')")
      assert.same({ { "lamp" } }, rows_of "SELECT name FROM item")
    end)
  end)

  describe("UPDATE and DELETE", function()
    before_each(function() stats_of "INSERT INTO item (id, name, weight) VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)" end)

    it("change the rows that match, and say how many", function()
      assert.same({ 0, 0, 2 }, stats_of "UPDATE item SET weight = 9 WHERE id >= 2")
      assert.same({ { 1, 1 }, { 2, 9 }, { 3, 9 } }, rows_of "SELECT id, weight FROM item ORDER BY id")
      assert.same({ 0, 0, 1 }, stats_of "UPDATE item i SET id = 10, name = 'x' WHERE i.name = 'a'")
      assert.same({ 0, 1, 0 }, stats_of "DELETE FROM item WHERE item.id = 10")
      assert.same({ 0, 2, 0 }, stats_of "DELETE FROM item")
      assert.same({ 0, 0, 0 }, stats_of "DELETE FROM item")
    end)

    it("change each row once, whatever it becomes", function()
      world:call("fill", "[1000]")
      assert.same({ 0, 0, 1000 }, stats_of "UPDATE plain SET b = 5 WHERE b < 9")
      assert.same({ { 1000, 5, 5 } }, (function()
        local row = rows_of("SELECT COUNT(*), MIN(b), MAX(b) FROM plain")[1]
        return { { row[1], row[2][2], row[3][2] } }
      end)())
    end)

    it("count the rows that matched, also when some become equal to each other and are one from then on", function()
      assert.same({ 3, 0, 0 }, stats_of "INSERT INTO plain (a, b) VALUES (1, 1), (2, 1), (3, 1), (2, 1)")
      assert.same({ 0, 0, 3 }, stats_of "UPDATE plain SET a = 9")
      assert.same({ { 9, 1 } }, rows_of "SELECT * FROM plain")
      assert.same({ 0, 0, 1 }, stats_of "UPDATE plain SET a = 9")
    end)

    it("are refused as a whole when one row is", function()
      assert_refused("Unique constraint violation 'item_name_idx_btree' in table 'item': column(s): 'name' value: \"x\"",
        "UPDATE item SET name = 'x'")
      assert.same({ { 3 } }, rows_of "SELECT COUNT(*) AS n FROM item WHERE weight <= 3")
      assert_refused("the column stands here twice, at character 29, near `weight`",
        "UPDATE item SET weight = 1, weight = 2")
      assert_refused("Unsupported: a column as the new value; SET takes values, at character 26, near `id`",
        "UPDATE item SET weight = id")
      assert_refused("Unsupported: RETURNING; ask for the rows with SELECT, at character 18, near `RETURNING`",
        "DELETE FROM item RETURNING id")
    end)

    it("are explained without being carried out", function()
      assert.same({ { "item: look up in index item_id_idx_btree: id = a value, keep what passes the condition; " ..
        "about 1 rows so far, of 3 in the table" }, { "delete what was found" } },
        rows_of "EXPLAIN DELETE FROM item WHERE id = 1")
      assert.same({ { "insert 1 row into item" } }, rows_of "EXPLAIN INSERT INTO item (name) VALUES ('z')")
      assert.equal(3, #rows_of "SELECT * FROM item")
    end)
  end)

  describe("is for others than the owner", function()
    it("to read public tables only", function()
      local words = "only the database's owner may change it by SQL, at character 1, near "
      for _, text in ipairs { "INSERT INTO item (name) VALUES ('x')", "UPDATE item SET name = 'x'", "DELETE FROM nothing",
        "SET row_limit = 1" } do
        local response = world:request { method = "POST", path = "/v1/database/%s/sql", body = text }
        assert.same({ 400, words .. "`" .. text:match "^%u+" .. "`" }, { response.status, response.body })
      end
      local response = world:request { method = "POST", path = "/v1/database/%s/sql", body = "SELECT * FROM plain" }
      assert.equal("no such table: `plain`. If the table exists, it may be marked private.", response.body)
    end)

    it("within the row limit that the owner has set, also after a restart", function()
      local function ask(text) return world:request { method = "POST", path = "/v1/database/%s/sql", body = text } end
      assert.same({}, rows_of "SHOW row_limit")
      stats_of "SET row_limit = 2"
      stats_of "SET row_limit TO 3"
      stats_of "INSERT INTO item (name) VALUES ('a'), ('b'), ('c'), ('d')"
      local words = "the statement would look at about 4 rows, and the database's row_limit is 3: narrow it by columns that " ..
        "have an index"
      assert.same({ 400, words }, { ask("SELECT * FROM item").status, ask("SELECT * FROM item").body })
      assert.equal(200, ask("SELECT * FROM item WHERE id = 1").status)
      assert.equal(4, #rows_of "SELECT * FROM item")
      for _, protocol in ipairs { "v2", "v3" } do
        local ann = client.connect(world, { protocol = protocol })
        assert.equal(words, ann:subscribe_in_vain(1, { "SELECT * FROM item WHERE id = 1", "SELECT * FROM item" }))
        ann:subscribe(1, { "SELECT * FROM item WHERE id = 1" })
        ann:drop()
      end
      world:stop()
      world:restart()
      assert.same({ { "row_limit", { 8, 3 } } }, rows_of "SHOW row_limit")
      assert.equal(words, ask("SELECT * FROM item").body)
      stats_of "SET row_limit = 0"
      assert.equal(200, ask("SELECT * FROM item").status)
      assert_refused("`speed` is no variable: there is `row_limit`, at character 6, near `speed`", "SHOW speed")
      assert_refused("the value cannot be read as u64: it takes whole numbers from 0 to 2^64 - 1, at character 17, " ..
        "near `'many'`", "SET row_limit = 'many'")
    end)
  end)

  it("tells subscribers what it changed, and keeps its words in the log", function()
    local ann = client.connect(world, { rows = bsatn.schema [[item = { id: u64, name: string, weight: u32 }]] })
    ann:subscribe(1, { "SELECT * FROM item" })
    stats_of "INSERT INTO item (id, name) VALUES (77, 'bell')"
    local changes = ann:next_changes()
    assert.equal("bell", changes[1].inserts[1].name)
    ann:drop()
    local _, output, complaint = program.run("log", "--data-dir", world.data_dir, "--kind", "sql", "--format", "json")
    assert.truthy(output:find("INSERT INTO item (id, name) VALUES (77, 'bell')", 1, true), output .. complaint)
  end)

  it("is one statement, not too long, and stopped when it costs too much", function()
    assert_refused("Unsupported: several statements at once; send them one by one, at character 19, near `DELETE`",
      "DELETE FROM item; DELETE FROM item")
    assert_refused("the query is empty", "")
    assert_refused("the query has 50001 bytes, and 50000 is the most", ("x"):rep(50001))
    local bomb = "SELECT COUNT(*) AS n FROM st_column a JOIN st_column b JOIN st_column c JOIN st_column d JOIN st_column e"
    local response = world:request { method = "POST", path = "/v1/database/%s/sql", body = bomb }
    assert.equal(400, response.status)
    assert.truthy(response.body:find "^the statement .* and was stopped")
  end)

  it("reads system tables, which say what the database is", function()
    assert.same({ { "item", "user", "public", { 0, { 0 } } } },
      rows_of "SELECT table_name, table_type, table_access, table_primary_key FROM st_table WHERE table_name = 'item'")
    assert.same({ { 20 } }, rows_of "SELECT COUNT(*) AS n FROM st_table WHERE table_type = 'system'")
    assert.same({ { "id", 0 }, { "name", 1 }, { "weight", 2 } }, rows_of([[SELECT c.col_name, c.col_pos FROM st_column c
      JOIN st_table t ON c.table_id = t.table_id WHERE t.table_name = 'item' ORDER BY c.col_pos]]))
    assert.same({ { "item_id_idx_btree", { 1, { { 0 } } } }, { "item_name_idx_btree", { 1, { { 1 } } } },
      { "item_weight_idx_btree", { 1, { { 2 } } } } }, rows_of([[SELECT i.index_name, i.index_algorithm FROM st_index i
      JOIN st_table t ON i.table_id = t.table_id WHERE t.table_name = 'item' ORDER BY i.index_name]]))
    assert.same({ { 2 } }, rows_of "SELECT COUNT(*) AS n FROM st_constraint")
    assert.same({ { "item_id_seq", 0 } }, rows_of "SELECT sequence_name, col_pos FROM st_sequence")
    local ann = client.connect(world)
    assert.same({ { 1 } }, rows_of "SELECT COUNT(*) AS n FROM st_client")
    assert.truthy(ann:subscribe_in_vain(1, { "SELECT * FROM st_client" }):find "asked once, not subscribed to")
    ann:drop()
    local module = rows_of("SELECT program_kind, program_bytes FROM st_module")[1]
    assert.equal(1, module[1])
    assert.is_true(#module[2] > 100)
    local response = world:request { method = "POST", path = "/v1/database/%s/sql",
      body = "SELECT program_bytes FROM st_module" }
    assert.same({ { "" } }, cjson.decode(response.body)[1].rows)
    for _, text in ipairs { "DELETE FROM st_table", "INSERT INTO st_var (name, value) VALUES ('x', '{}')" } do
      assert.truthy(world:sql(text, owner).body:find "is a system table: it shows the database as it is and cannot be changed")
    end
    response = world:request { method = "POST", path = "/v1/database/%s/sql", body = "SELECT * FROM st_connection_credentials" }
    assert.equal("no such table: `st_connection_credentials`. If the table exists, it may be marked private.", response.body)
    assert.same({}, rows_of "SELECT * FROM st_connection_credentials")
  end)

  it("asks about the past with all it has, and does not change it", function()
    stats_of "INSERT INTO item (id, name, weight) VALUES (1, 'a', 4), (2, 'b', 5)"
    local before = os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() - 3600)
    local _, output = program.run("log", "--data-dir", world.data_dir, "--kind", "sql", "--format", "json")
    local offset = output:match '.*"offset":(%d+)'
    stats_of "DELETE FROM item"
    assert.same({ { 9 } }, rows_of("SELECT SUM(weight) AS n FROM item AS OF " .. offset))
    assert.same({ { 20 } }, rows_of("SELECT COUNT(*) FROM st_table WHERE table_type = 'system' AS OF " .. offset))
    assert_refused("the past cannot be changed: SELECT is for it", "DELETE FROM item AS OF " .. offset)
    assert.equal(404, world:sql("SELECT * FROM item AS OF '" .. before .. "'", owner).status)
  end)

  it("comes in one-off queries too, to be read", function()
    stats_of "INSERT INTO item (id, name, weight) VALUES (5, 'x', 1), (6, 'y', 1)"
    local ann = client.connect(world, { rows = bsatn.schema [[item = { weight: u32, n: u64 }]] })
    assert.same({ { 1, 2 } }, (function()
      local row = ann:ask("SELECT weight, COUNT(*) AS n FROM item GROUP BY weight")[1]
      return { { tonumber(row.weight), tonumber(row.n) } }
    end)())
    ann:drop()
  end)
end)
