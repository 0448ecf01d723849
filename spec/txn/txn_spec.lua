local heap = require "spec.support.memory"
local store = require "spec.support.store"
local transactions = require "spec.support.txn"

local player = { name = "player", columns = { { "id", "u32" }, { "name", "string" }, { "score", "i32" } },
    indexes = { { "id", kind = "hash", unique = true }, { "name", kind = "btree", unique = true }, { "score" } } }
local note = { name = "note", columns = { { "text", "string" }, { "stars", "u8" } }, indexes = { { "stars" } } }
local shout = { name = "shout", columns = { { "id", "u64" }, { "text", "string" } }, event = true,
    indexes = { { "id", unique = true } }, sequences = { { "id" } } }

describe("a transaction", function()
    local world, txn, ann, bob

    local function row(name, values) return world:table(name):row(values) end

    before_each(function()
        world = store.world { player, note, shout }
        txn = transactions.new(world)
        ann, bob = { id = 1, name = "ann", score = 10 }, { id = 2, name = "bob", score = 20 }
        txn:begin()
        txn:insert("player", ann)
        txn:insert("player", bob)
        txn:commit()
        txn:begin()
    end)
    after_each(function()
        txn:free()
        world:check()
        world:free()
    end)

    it("reads its own writes", function()
        local carl = txn:insert("player", { id = 3, name = "carl", score = 5 })
        local older = txn:update("player", 1, { id = 1, name = "ann", score = 11 })
        txn:delete("player", bob)
        local players = world:table "player"
        assert.equal(carl, players:find(2, { "carl" }))
        assert.same({ carl, older }, players:walk(3, {}, {}))
        assert.is_nil(players:find(1, { 2 }))
        assert.equal(2, players:count())
    end)

    it("tells what it changed, and nothing else", function()
        local carl = txn:insert("player", { id = 3, name = "carl", score = 5 })
        local older = txn:update("player", 1, { id = 1, name = "ann", score = 11 })
        txn:delete("player", bob)
        assert.same({ player = { deletes = { row("player", ann), row("player", bob) }, inserts = { carl, older } } },
            { player = { deletes = (txn:commit()).player.deletes, inserts = { carl, older } } })
    end)

    it("brings everything back when it is aborted", function()
        local players = world:table "player"
        local before = players:rows()
        txn:insert("player", { id = 3, name = "carl", score = 5 })
        txn:update("player", 1, { id = 1, name = "zoe", score = 99 })
        txn:update("player", 2, { id = 7, name = "bob", score = 99 })
        txn:delete("player", { id = 1, name = "zoe", score = 99 })
        txn:insert("player", { id = 2, name = "ann", score = 0 })
        txn:abort()

        assert.same(before, players:rows())
        assert.equal(row("player", ann), players:find(2, { "ann" }))
        assert.equal(row("player", bob), players:find(1, { 2 }))
        world:check()
    end)

    it("leaves a row as it was that must move while the table is full", function()
        local players = world:table "player"
        local pages = players.pointer.pages
        local vacant = pages.first_vacant
        pages.first_vacant = 2 ^ 18 - 1 -- as if all page numbers were in use
        local long = { id = 1, name = ("ann"):rep(500), score = 11 }
        local _, why = txn:update("player", 1, long)
        assert.equal("table `player` is full", why)
        for place, key in ipairs { { 1 }, { "ann" } } do assert.equal(row("player", ann), players:find(place, key)) end
        assert.same({ row("player", ann) }, players:walk(3, { 10 }, { 10 }))
        world:check()
        local older = { id = 1, name = "ann", score = 11 }
        assert(txn:update("player", 1, older))
        assert.same({ player = { deletes = { row("player", ann) }, inserts = { row("player", older) } } }, (txn:commit()))

        pages.first_vacant = vacant
        txn:begin()
        assert(txn:update("player", 1, long))
        assert.same({ player = { deletes = { row("player", older) }, inserts = { row("player", long) } } }, (txn:commit()))
    end)

    it("swaps two unique values when both rows leave first", function()
        txn:delete("player", ann)
        txn:delete("player", bob)
        assert(txn:insert("player", { id = 1, name = "bob", score = 10 }))
        assert(txn:insert("player", { id = 2, name = "ann", score = 20 }))
        txn:abort()
        assert.equal(row("player", ann), world:table("player"):find(1, { 1 }))
    end)

    it("refuses a second row of one key in its place, and says which", function()
        local _, why = txn:insert("player", { id = 3, name = "bob", score = 1 })
        assert.equal("Unique constraint violation 'player_name_btree' in table 'player': column(s): 'name' value: \"bob\"",
            why)
        _, why = txn:update("player", 1, { id = 1, name = "bob", score = 1 })
        assert.matches("value: \"bob\"$", why)
        assert.same({}, (txn:commit()))
    end)

    it("names a long value by its beginning, on one line", function()
        local wide = store.world { { name = "page", columns = { { "id", "u32" }, { "title", "string" }, { "hash", "bytes" },
            { "nick", "option(string)" } }, indexes = { { "id", unique = true }, { "title", unique = true },
            { "hash", unique = true }, { "nick", unique = true } } } }
        local writer = transactions.new(wide)
        local function page(id, changes)
            local values = { id = id, title = "t" .. id, hash = "h" .. id, nick = { tag = "some", value = "n" .. id } }
            for key, value in pairs(changes) do values[key] = value end
            return values
        end
        local function refusal(changes)
            writer:begin()
            assert(writer:insert("page", page(1, changes)))
            local _, why = writer:insert("page", page(2, changes))
            writer:abort()
            return why:match "column%(s%): (.*)$"
        end
        assert.equal([['title' value: "two\nlines"]], refusal { title = "two\nlines" })
        assert.equal("'title' value: \"" .. ("x"):rep(100) .. "\"", refusal { title = ("x"):rep(100) })
        assert.equal("'title' value: \"" .. ("x"):rep(100) .. "\" and 999900 bytes more", refusal { title = ("x"):rep(1e6) })
        assert.equal("'title' value: \"x" .. ("é"):rep(49) .. "\" and 1902 bytes more",
            refusal { title = "x" .. ("é"):rep(1000) })
        assert.equal("'hash' value: \"" .. ("ff"):rep(100) .. "\" and 5 bytes more", refusal { hash = ("\255"):rep(105) })
        assert.equal("'nick' value: [0,\"" .. ("x"):rep(100) .. "\"] and 900 bytes more",
            refusal { nick = { tag = "some", value = ("x"):rep(1000) } })
        writer:free()
        wide:free()
    end)

    it("refuses to update what is not there or cannot be told apart", function()
        local _, why = txn:update("player", 1, { id = 9, name = "nobody", score = 1 })
        assert.equal("table `player` has no row to update with id = 9", why)
        _, why = txn:update("player", 3, ann)
        assert.equal("the index `player_score_btree` is not unique: it cannot say which row to update", why)
    end)

    it("refuses bytes that are no row of the table", function()
        local good = row("player", ann)
        local _, why = txn:insert("player", good .. "x")
        assert.equal("a row of table `player` has 1 bytes too many", why)
        assert.is_nil((txn:insert("player", good:sub(1, -2))))
        assert.is_nil((txn:insert("player", "")))
        assert.is_nil((txn:insert("player", good:gsub("ann", "\255nn"))))
        assert.same({}, (txn:commit()))
    end)

    it("takes an equal row for the one that is there", function()
        local _, first = txn:insert("note", { text = "hi", stars = 1 })
        local _, second = txn:insert("note", { text = "hi", stars = 1 })
        assert.equal(first, second)
        assert(txn:insert("player", ann))
        assert.same({ note = { deletes = {}, inserts = { row("note", { text = "hi", stars = 1 }) } } }, (txn:commit()))
    end)

    it("forgets rows that came and went, or went and came back", function()
        txn:insert("player", { id = 3, name = "carl", score = 5 })
        txn:delete("player", { id = 3, name = "carl", score = 5 })
        txn:delete("player", ann)
        txn:insert("player", ann)
        txn:update("player", 1, { id = 2, name = "bob", score = 0 })
        txn:update("player", 1, bob)
        local changes, encoded = txn:commit()
        assert.same({}, changes)
        assert.is_nil(encoded)
    end)

    it("forgets a row that came back by updates through two indexes", function()
        txn:update("player", 2, { id = 7, name = "ann", score = 10 })
        txn:update("player", 1, { id = 7, name = "eve", score = 10 })
        assert(txn:insert("player", ann))
        assert.same({ player = { deletes = {}, inserts = { row("player", { id = 7, name = "eve", score = 10 }) } } },
            (txn:commit()))
    end)

    it("forgets hundreds of rows that went and came back", function()
        for id = 10, 400 do txn:insert("player", { id = id, name = "p" .. id, score = id }) end
        txn:commit()
        txn:begin()
        for id = 10, 400 do txn:delete("player", { id = id, name = "p" .. id, score = id }) end
        for id = 400, 10, -1 do
            txn:insert("player", { id = id, name = "p" .. id, score = id % 100 == 0 and 1 or id })
        end
        local changes = txn:commit().player
        assert.equal(4, #changes.deletes)
        assert.equal(4, #changes.inserts)
    end)

    it("moves a row that no longer fits its slot", function()
        local long = { id = 1, name = ("ann"):rep(5000), score = 10 }
        local stored, ref = txn:update("player", 1, long)
        assert.equal(row("player", long), stored)
        assert.equal(stored, world:table("player"):find(1, { 1 }))
        assert(txn:delete_at("player", ref))
        txn:abort()
        assert.equal(row("player", ann), world:table("player"):find(1, { 1 }))
    end)

    it("tells when a row it deleted is asked for by reference", function()
        local _, ref = txn:insert("player", ann)
        assert.equal(row("player", ann), txn:row_at("player", ref))
        txn:delete("player", ann)
        assert.is_nil(txn:row_at("player", ref))
        local _, why = txn:delete_at("player", ref)
        assert.equal("the row of table `player` has been deleted already", why)
    end)

    it("gives no reference again before its end", function()
        local refs = {}
        for round = 1, 50 do
            local _, ref = txn:insert("note", { text = "n", stars = round })
            assert.is_nil(refs[ref])
            refs[ref] = true
            txn:delete("note", { text = "n", stars = round })
        end
        assert.same({}, (txn:commit()))
        assert.equal(0, world:table("note"):count())
    end)

    it("gives the room of rows back at its end", function()
        local function churn()
            for number = 1, 2000 do txn:insert("note", { text = "note " .. number, stars = 1 }) end
            txn:commit()
            txn:begin()
            for number = 1, 2000 do txn:delete("note", { text = "note " .. number, stars = 1 }) end
            txn:commit()
            txn:begin()
        end
        churn()
        local memory = world:table("note"):memory()
        for _ = 1, 5 do churn() end
        assert.equal(memory, world:table("note"):memory())
    end)

    it("lists its tables by their ids", function()
        txn:insert("shout", { id = 0, text = "hey" })
        txn:insert("note", { text = "hi", stars = 1 })
        txn:delete("player", bob)
        local _, _, ids = txn:commit()
        assert.equal(3, #ids)
        assert.is_true(ids[1] < ids[2] and ids[2] < ids[3])
    end)

    it("shows rows of event tables to itself and its delta only", function()
        local heard = txn:insert("shout", { id = 0, text = "hey" })
        local shouts = world:table "shout"
        assert.equal(heard, shouts:find(1, { 1 }))
        assert.same({ shout = { deletes = {}, inserts = { heard } } }, (txn:commit()))
        assert.equal(0, shouts:count())
        assert.is_nil(shouts:find(1, { 1 }))
    end)

    it("makes no more changes than it may", function()
        txn:abort()
        local small = transactions.new(world, { rows = 2, bytes = 100 })
        small:begin()
        local _, why = small:insert("note", { text = ("x"):rep(200), stars = 1 })
        assert.equal("the transaction changes more than 100 bytes", why)
        assert(small:insert("note", { text = "a", stars = 1 }))
        assert(small:delete("player", ann))
        _, why = small:delete("player", bob)
        assert.equal("the transaction makes more than 2 changes", why)
        small:abort()
        small:free()
        txn:begin()
    end)

    it("counts what it takes away as what it brings, since the log keeps both", function()
        local function player_of(id, letter) return { id = id, name = letter:rep(30), score = 0 } end
        for id, letter in ipairs { "a", "b", "c" } do assert(txn:insert("player", player_of(id + 10, letter))) end
        txn:commit()

        local small = transactions.new(world, { rows = 100, bytes = 100 })
        small:begin()
        assert(small:delete("player", player_of(11, "a")))
        assert(small:delete("player", player_of(12, "b")))
        local _, why = small:delete("player", player_of(13, "c"))
        assert.equal("the transaction changes more than 100 bytes", why)
        small:abort()

        small:begin()
        assert(small:update("player", 1, player_of(11, "x")))
        _, why = small:update("player", 1, player_of(12, "y"))
        assert.equal("the transaction changes more than 100 bytes", why)
        small:abort()
        small:free()
        txn:begin()
    end)

    it("does not count what it was refused", function()
        local pages = world:table("player").pointer.pages
        local vacant = pages.first_vacant
        local small = transactions.new(world, { rows = 100, bytes = 2000 })
        txn:abort()
        small:begin()
        pages.first_vacant = 2 ^ 18 - 1 -- as if all page numbers were in use: no row can move
        for _ = 1, 200 do
            local _, why = small:update("player", 1, { id = 1, name = ("ann"):rep(500), score = 11 })
            assert.equal("table `player` is full", why)
        end
        pages.first_vacant = vacant
        assert(small:update("player", 1, { id = 1, name = ("ann"):rep(500), score = 11 }))
        small:abort()
        small:free()
        txn:begin()
    end)

    it("does not update a row that was found and is gone", function()
        local players = world:table "player"
        local _, why
        assert.equal(row("player", ann), players:find(1, { 1 }))
        txn:delete("player", ann)
        _, why = txn:update("player", 1, { id = 1, name = "ann", score = 11 })
        assert.equal("table `player` has no row to update with id = 1", why)

        txn:insert("player", { id = 3, name = "carl", score = 5 })
        assert.is_string(players:find(1, { 3 }))
        txn:abort()
        txn:begin()
        _, why = txn:update("player", 1, { id = 3, name = "carl", score = 6 })
        assert.equal("table `player` has no row to update with id = 3", why)
    end)

    it("leaves its memory to the next one, and what none has needed is given back", function()
        local count, size = 20000, 200
        local function player_of(id, score) return { id = id, name = ("%05d"):format(id) .. ("x"):rep(size), score = score } end
        local function change_all(score)
            for id = 101, 100 + count do assert(txn:update("player", 1, player_of(id, score))) end
            txn:commit()
        end
        for id = 101, 100 + count do assert(txn:insert("player", player_of(id, 0))) end
        txn:commit()
        txn:trim()
        txn:trim()
        local before = heap.allocated()

        txn:begin()
        change_all(1)
        txn:trim()
        assert.is_true(heap.allocated() > before + count * size)
        txn:begin()
        change_all(2)
        txn:trim()
        assert.is_true(heap.allocated() > before + count * size)
        txn:trim()
        assert.is_true(heap.allocated() < before + 2 ^ 20)
        txn:begin()
        change_all(3)
        txn:begin()
    end)
end)
