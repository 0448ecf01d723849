local store = require "spec.support.store"

local function player(changes)
    local declared = { name = "player", columns = { { "id", "u32" }, { "name", "string" } },
        indexes = { { "id", kind = "btree", unique = true } } }
    for key, value in pairs(changes or {}) do declared[key] = value end
    return declared
end

local with_score = { columns = { { "id", "u32" }, { "name", "string" }, { "score", "i64" }, { "title", "string" } },
    defaults = { score = 7, title = "rookie" } }
local note = { name = "note", columns = { { "text", "string" } } }

describe("a migration", function()
    local world, ann, bob
    before_each(function()
        world = store.world { player() }
        local players = world:table "player"
        ann, bob = players:row { id = 1, name = "ann" }, players:row { id = 2, name = "bob" }
        players:restore(ann)
        players:restore(bob)
    end)
    after_each(function()
        world:check()
        world:free()
    end)

    it("gives rows the defaults of added columns", function()
        assert(world:migrate { player(with_score) })
        local players = world:table "player"
        local found = players:values(players:find(1, { 2 }))
        assert.equal("bob", found.name)
        assert.equal("rookie", found.title)
        assert.equal(7, tonumber(found.score))
        assert.equal(2, players:count())
    end)

    it("adds tables and removes empty ones", function()
        assert(world:migrate { note, player() })
        world:table("note"):restore(world:table("note"):row { text = "hi" })
        local _, why, about = world:migrate { player() }
        assert.equal("table `note` cannot be removed: it holds 1 row; delete it first", why)
        assert.equal("note", about)
        assert.is_true(world:table("note"):has(world:table("note"):row { text = "hi" }))

        assert(world:table("note"):erase(world:table("note"):row { text = "hi" }))
        assert(world:migrate { player() })
        assert.is_nil(world:table "note")
        assert.equal(bob, world:table("player"):find(1, { 2 }))
    end)

    it("builds new indexes from the rows", function()
        local by_name = { "name", kind = "hash", unique = true }
        assert(world:migrate { player { indexes = { by_name, { "id", kind = "direct", unique = true } } } })
        local players = world:table "player"
        assert.equal(ann, players:find(1, { "ann" }))
        assert.equal(ann, players:find(2, { 1 }))
    end)

    it("changes nothing when a new unique index would have duplicates", function()
        local players = world:table "player"
        players:restore(players:row { id = 3, name = "ann" })
        local _, why, about = world:migrate { note, player { indexes = { { "id", unique = true },
            { "name", kind = "hash", unique = true } } } }
        assert.equal("player", about)
        assert.equal('`name` of table `player` cannot be unique: more than one row holds "ann"; '
            .. "change or delete all of them but one first", why)
        assert.is_nil(world:table "note")
        assert.equal(3, world:table("player"):count())
        assert.equal(ann, world:table("player"):find(1, { 1 }))
    end)

    it("refuses a sequence over values that rows hold", function()
        local _, why = world:migrate { player { sequences = { { "id" } } } }
        assert.equal("column `id` of table `player` cannot count up by itself: rows hold values of its range; "
            .. "give it another `min` or `max`", why)
        assert(world:migrate { player { sequences = { { "id", min = 100, start = 100 } } } })
    end)

    it("refuses a float as a key while a row holds NaN or minus zero in it", function()
        local function point(indexed)
            local indexes = { { "id", unique = true }, indexed and { "x" } or nil }
            return { name = "point", columns = { { "id", "u32" }, { "x", "f64" } }, indexes = indexes }
        end
        assert(world:migrate { player(), point(false) })
        local points = world:table "point"
        for why, x in pairs { NaN = 0 / 0, ["minus zero"] = -1 / (1 / 0) } do
            local row = points:row { id = 1, x = x }
            points:restore(row)
            local _, refusal = world:migrate { player(), point(true) }
            assert.equal("column `x` of table `point` cannot be a key: a row holds " .. why .. " in it", refusal)
            assert(points:erase(row))
        end
        points:restore(points:row { id = 1, x = 2 })
        assert(world:migrate { player(), point(true) })
        assert.equal(1, #world:table("point"):walk(2, { 2 }, { 2 }))
    end)

    it("lets an enum grow by variants with content, and indexes behind it follow", function()
        local few, more = "< 0 a: unit | 1 b: unit >", "< 0 a: unit | 1 b: unit | 2 c: string >"
        local function item(kind, index)
            return { name = "item", columns = { { "kind", kind }, { "id", "u32" } },
                indexes = { { "id", unique = true, kind = index } } }
        end
        for _, index in ipairs { "btree", "hash" } do
            assert(world:migrate { player(), item(few, index) })
            local items = world:table "item"
            local row = items:row { kind = { tag = "b" }, id = 5 }
            items:restore(row)
            assert(world:migrate { player(), item(more, index) })

            items = world:table "item"
            items:restore(items:row { kind = { tag = "c", value = "new" }, id = 6 })
            assert.equal(row, items:find(1, { 5 }))
            assert.equal("new", items:values(items:find(1, { 6 })).kind.value)
            world:check()
            for _, each in ipairs(items:rows()) do assert(items:erase(each)) end
            assert(world:migrate { player() })
        end
    end)
end)
