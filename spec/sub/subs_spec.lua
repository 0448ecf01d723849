local sub = require("spec.support.sub")
local sub_random = require("spec.support.sub_random")
local count, names_of = sub.count, sub.names_of

local ERR_BAD_SQL, ERR_NOT_FOUND, ERR_TOO_LARGE, ERR_BUSY = 105, 106, 303, 304

local item = { name = "item", key = "id",
    columns = { { "id", "u32" }, { "kind", "u32" }, { "owner", "Identity" }, { "label", "string" } } }
local note = { name = "note", columns = { { "about", "u32" }, { "words", "string" } } }
local secret = { name = "secret", private = true, columns = { { "word", "string" } } }
local ping = { name = "ping", event = true, columns = { { "origin", "u32" } } }

--- An identity by its least significant byte.
local function identity(sender)
    return ("%064x"):format(sender)
end

local function an_item(id, kind, owner, label)
    return { id = id, kind = kind or 0, owner = identity(owner or 0), label = label or "thing" }
end

describe("subscriptions", function()
    local world

    before_each(function() world = sub.world { item, note, secret, ping } end)
    after_each(function() world:free() end)

    describe("when a client subscribes", function()
        it("show the rows that match now, a list for each query in its order", function()
            world:commit { { "insert", "item", an_item(1, 7) }, { "insert", "item", an_item(2, 8) },
                { "insert", "note", { about = 1, words = "hi" } } }
            local client = world:client()

            local rows = client:subscribe(5, { "SELECT * FROM note", "SELECT * FROM item WHERE kind = 8",
                "SELECT * FROM item" })

            assert.same({ "note", "item", "item" }, names_of(rows))
            assert.equal(1, count(client.bags[5].note))
            assert.equal(3, count(client.bags[5].item))
        end)

        it("leave out a query on an empty table and keep one that matches nothing", function()
            world:commit { { "insert", "item", an_item(1) } }

            local rows = world:client():subscribe(1, { "SELECT * FROM note", "SELECT * FROM item WHERE id = 99" })

            assert.same({ "item" }, names_of(rows))
            assert.equal("RowOffsets", rows.tables[1].rows.size_hint.tag)
        end)

        it("accept a set without queries", function()
            assert.same({}, names_of(world:client():subscribe(1, {})))
        end)

        it("count equal texts once, whatever space is around them", function()
            world:commit { { "insert", "item", an_item(1) } }
            local client = world:client()

            local rows = client:subscribe(1, { "SELECT * FROM item", "  SELECT * FROM item\n" })

            assert.same({ "item" }, names_of(rows))
            assert.equal(1, world:query_count())
        end)

        it("read every public table that keeps rows for SELECT * FROM *", function()
            world:commit { { "insert", "item", an_item(1) }, { "insert", "note", { about = 1, words = "" } },
                { "insert", "secret", { word = "x" } } }

            assert.same({ "item", "note" }, names_of(world:client():subscribe(1, { "select *\nfrom *" })))
            assert.same({ "item", "note", "secret" },
                names_of(world:client({ owner = true }):subscribe(1, { "SELECT * FROM *" })))
        end)

        it("keep all of a set or nothing", function()
            local client = world:client()

            local rows, reason, code = client:subscribe(1, { "SELECT * FROM item", "SELECT * FROM nothing" })

            assert.is_nil(rows)
            assert.truthy(reason:find("nothing", 1, true))
            assert.equal(ERR_NOT_FOUND, code)
            assert.equal(0, world:query_count())
            assert.same({}, world:commit { { "insert", "item", an_item(1) } })
            assert.truthy(client:subscribe(1, { "SELECT * FROM item" }))
        end)

        it("keep what another client holds when a set is refused", function()
            local holder = world:client()
            holder:subscribe(1, { "SELECT * FROM item" })
            world:client():subscribe(1, { "SELECT * FROM item", "no query" })

            world:commit { { "insert", "item", an_item(1) } }

            assert.equal(1, count(holder.bags[1].item))
        end)

        it("refuse a set id that is in use and leave the set alone", function()
            local client = world:client()
            client:subscribe(3, { "SELECT * FROM item" })

            local _, _, code = client:subscribe(3, { "SELECT * FROM note" })

            assert.equal(ERR_BUSY, code)
            assert.equal(1, world:query_count())
        end)

        it("refuse a blank text and one beyond 50,000 bytes", function()
            local _, _, blank = world:client():subscribe(1, { "  " })
            local _, _, long = world:client():subscribe(1, { "SELECT * FROM item WHERE label = '" ..
                ("x"):rep(50000) .. "'" })

            assert.equal(ERR_BAD_SQL, blank)
            assert.equal(ERR_TOO_LARGE, long)
        end)

        it("refuse more than 10,000 queries of one client", function()
            local texts, client = {}, world:client()
            for id = 1, 10000 do
                texts[id] = "SELECT * FROM item WHERE id = " .. id
            end

            assert.truthy(client:subscribe(1, texts))
            local _, _, code = client:subscribe(2, { "SELECT * FROM note" })

            assert.equal(ERR_TOO_LARGE, code)
            assert.equal(10000, world:query_count())
        end)

        it("refuse to read more rows than the caller's limit, even where others read them already", function()
            world:commit { { "insert", "item", an_item(1) }, { "insert", "item", an_item(2) },
                { "insert", "item", an_item(3) } }
            assert(world:client():subscribe(1, { "SELECT * FROM item" }))

            local client = world:client({ row_limit = 2 })
            local _, reason, code = client:subscribe(1, { "SELECT * FROM item WHERE id = 1", "SELECT * FROM item" })

            assert.equal(ERR_TOO_LARGE, code)
            assert.truthy(reason:find "row_limit is 2", reason)
            assert(client:subscribe(1, { "SELECT * FROM item WHERE id = 1" }))
            assert.equal(2, world:query_count())
        end)

        it("hide a private table from all but the owner, even when the owner asks with the same text", function()
            local text = { "SELECT * FROM secret" }

            assert.truthy(world:client({ owner = true }):subscribe(1, text))
            local _, _, code = world:client():subscribe(1, text)

            assert.equal(ERR_NOT_FOUND, code)
        end)
    end)

    describe("when rows change", function()
        it("bring an insert, a change and a delete to who holds the row", function()
            local client = world:client()
            client:subscribe(1, { "SELECT * FROM item WHERE kind = 1" })

            world:commit { { "insert", "item", an_item(1, 1, 0, "a") } }
            world:commit { { "delete", "item", an_item(1, 1, 0, "a") }, { "insert", "item", an_item(1, 1, 0, "b") } }

            assert.same({ [world:row("item", an_item(1, 1, 0, "b"))] = 1 }, client.bags[1].item)
            world:commit { { "delete", "item", an_item(1, 1, 0, "b") } }
            assert.same({}, client.bags[1].item)
        end)

        it("tell a row that stops matching as deleted and one that begins as inserted", function()
            local one, two = world:client(), world:client()
            one:subscribe(1, { "SELECT * FROM item WHERE kind = 1" })
            two:subscribe(1, { "SELECT * FROM item WHERE kind > 1" })
            world:commit { { "insert", "item", an_item(1, 1) } }

            world:commit { { "delete", "item", an_item(1, 1) }, { "insert", "item", an_item(1, 2) } }

            assert.equal(0, count(one.bags[1].item))
            assert.equal(1, count(two.bags[1].item))
        end)

        it("reach nobody whose queries they do not touch", function()
            world:client():subscribe(1, { "SELECT * FROM note", "SELECT * FROM item WHERE kind = 2",
                "SELECT * FROM item WHERE id > 100", "SELECT * FROM item WHERE FALSE" })

            assert.same({}, world:commit { { "insert", "item", an_item(1, 1) } })
        end)

        it("come once for each query that has them, never merged", function()
            local client = world:client()
            client:subscribe(1, { "SELECT * FROM item", "SELECT * FROM item WHERE id = 1" })
            client:subscribe(2, { "SELECT * FROM item" })

            local update = world:commit({ { "insert", "item", an_item(1) } })[1].update

            assert.equal(2, #update.query_sets)
            assert.equal(2, #update.query_sets[1].tables[1].rows)
            assert.equal(1, #update.query_sets[2].tables[1].rows)
        end)

        it("come to a client in one update, sets by id and tables by name", function()
            local client = world:client()
            client:subscribe(9, { "SELECT * FROM note", "SELECT * FROM item" })
            client:subscribe(2, { "SELECT * FROM note" })

            local deliveries = world:commit { { "insert", "item", an_item(1) },
                { "insert", "note", { about = 1, words = "hi" } } }

            assert.equal(1, #deliveries)
            local sets = deliveries[1].update.query_sets
            assert.equal(2, sets[1].query_set_id.id)
            assert.equal(9, sets[2].query_set_id.id)
            assert.equal("item", sets[2].tables[1].table_name)
            assert.equal("note", sets[2].tables[2].table_name)
        end)

        it("come as one set to a client that is told by table, the same whatever its sets are called", function()
            local ann, bob = world:client({ by_table = true }), world:client({ by_table = true })
            ann:subscribe(9, { "SELECT * FROM note" })
            ann:subscribe(12, { "SELECT * FROM item" })
            ann:subscribe(30, { "SELECT * FROM note", "SELECT * FROM item WHERE id = 1" })
            bob:subscribe(1, { "SELECT * FROM item", "SELECT * FROM note" })
            bob:subscribe(2, { "SELECT * FROM item WHERE id = 1" })
            bob:subscribe(3, { "SELECT * FROM note" })

            local deliveries = world:commit { { "insert", "item", an_item(1) },
                { "insert", "note", { about = 1, words = "hi" } } }

            assert.same(deliveries[1].update, deliveries[2].update)
            local sets = deliveries[1].update.query_sets
            assert.equal(1, #sets)
            assert.equal(0, sets[1].query_set_id.id)
            local tables = sets[1].tables
            assert.same({ "item", "note" }, { tables[1].table_name, tables[2].table_name })
            assert.same({ 2, 2 }, { #tables[1].rows, #tables[2].rows })
        end)

        it("of an event table come as events and are never kept", function()
            local client = world:client()
            client:subscribe(1, { "SELECT * FROM ping", "SELECT * FROM ping WHERE origin = 4" })

            local update = world:commit({ { "insert", "ping", { origin = 3 } } })[1].update

            assert.equal("EventTable", update.query_sets[1].tables[1].rows[1].tag)
            assert.equal(1, #update.query_sets[1].tables[1].rows)
            assert.same({}, names_of(world:client():subscribe(1, { "SELECT * FROM ping" })))
        end)

        it("mean to :sender what each client's own identity says", function()
            local ann, bob, text = world:client({ sender = 1 }), world:client({ sender = 2 }),
                { "SELECT * FROM item WHERE owner = :sender" }
            ann:subscribe(1, text)
            bob:subscribe(1, text)

            world:commit { { "insert", "item", an_item(1, 0, 1) }, { "insert", "item", an_item(2, 0, 1) },
                { "insert", "item", an_item(3, 0, 2) } }

            assert.equal(2, world:query_count())
            assert.equal(2, count(ann.bags[1].item))
            assert.equal(1, count(bob.bags[1].item))
        end)
    end)

    describe("with one query held by many", function()
        it("are one query, and a large update is one buffer for all", function()
            local clients = {}
            for place = 1, 20 do
                clients[place] = world:client({ sender = place })
                clients[place]:subscribe(place, { "SELECT * FROM item" })
            end
            assert.equal(1, world:query_count())

            local deliveries = world:commit { { "insert", "item", an_item(1, 0, 0, ("x"):rep(5000)) } }

            assert.equal(20, #deliveries)
            for _, delivery in ipairs(deliveries) do
                assert.same({ deliveries[1].shared[1] }, delivery.shared)
            end
        end)

        it("hand a small update out as plain bytes", function()
            world:client():subscribe(1, { "SELECT * FROM item" })

            assert.same({}, world:commit({ { "insert", "item", an_item(1) } })[1].shared)
        end)

        it("put small and large updates of one client in order", function()
            local client = world:client()
            client:subscribe(1, { "SELECT * FROM item WHERE id = 1", "SELECT * FROM item WHERE id = 2", "SELECT * FROM item",
                "SELECT * FROM note" })

            local delivery = world:commit({ { "insert", "item", an_item(1) }, { "insert", "note", { about = 1, words = "" } },
                { "insert", "item", an_item(2, 0, 0, ("x"):rep(5000)) } })[1]

            assert.equal(2, #delivery.shared)
            assert.equal(4, count(client.bags[1].item))
            assert.equal(1, count(client.bags[1].note))
        end)

        it("stay for the others when one lets go", function()
            local clients = {}
            for place = 1, 10 do
                clients[place] = world:client()
                clients[place]:subscribe(1, { "SELECT * FROM item", "SELECT * FROM item WHERE id = " .. place % 3 })
            end
            clients[1]:drop()
            clients[10]:drop()
            clients[5]:unsubscribe(1)

            assert.equal(7, #world:commit { { "insert", "item", an_item(1) } })
        end)
    end)

    describe("when a client unsubscribes", function()
        it("end, and the id may be used again", function()
            local client = world:client()
            client:subscribe(1, { "SELECT * FROM item" })
            assert.is_true(client:unsubscribe(1))

            assert.same({}, world:commit { { "insert", "item", an_item(1) } })
            assert.equal(0, world:query_count())
            client:subscribe(1, { "SELECT * FROM item" })
            assert.equal(1, count(client.bags[1].item))
        end)

        it("give back the rows of the set when asked, also those that another set still has", function()
            world:commit { { "insert", "item", an_item(1, 5) }, { "insert", "item", an_item(2, 6) } }
            local client = world:client()
            client:subscribe(1, { "SELECT * FROM item WHERE kind = 5" })
            client:subscribe(2, { "SELECT * FROM item" })

            local rows = client:unsubscribe(1, true)

            assert.same({ "item" }, names_of(rows))
            assert.equal(1, #world:commit { { "insert", "item", an_item(3, 5) } })
            assert.equal(3, count(client.bags[2].item))
        end)

        it("refuse an id that is not in use", function()
            local _, _, code = world:client():unsubscribe(4)

            assert.equal(ERR_NOT_FOUND, code)
        end)
    end)

    describe("when the schema changes", function()
        it("go on where their tables live on", function()
            local client = world:client()
            client:subscribe(1, { "SELECT * FROM item WHERE id = 1", "SELECT * FROM item", "SELECT * FROM item WHERE id > 5" })
            local more = { name = "more", columns = { { "x", "u32" } } }

            assert.same({}, world:migrate { more, ping, secret, note, item })
            world:commit { { "insert", "item", an_item(1) }, { "insert", "item", an_item(6) } }

            assert.equal(4, count(client.bags[1].item))
        end)

        it("end the sets whose table has gone, each with the reason, and no others", function()
            local one, two = world:client(), world:client()
            one:subscribe(1, { "SELECT * FROM note", "SELECT * FROM item", "SELECT * FROM note WHERE about = 1" })
            one:subscribe(2, { "SELECT * FROM item" })
            two:subscribe(7, { "SELECT * FROM note" })

            local endings = world:migrate { item, secret, ping }

            assert.equal(2, #endings)
            table.sort(endings, function(left, right) return left.set < right.set end)
            assert.equal(one, endings[1].client)
            assert.equal(1, endings[1].set)
            assert.truthy(endings[1].reason:find("note", 1, true))
            assert.equal(two, endings[2].client)
            assert.equal(1, #world:commit { { "insert", "item", an_item(1) } })
            assert.equal(1, world:query_count())
        end)
    end)

    describe("that a commit does not touch are not asked", function()
        local function texts_of(number, text_of)
            local texts = {}
            for place = 1, number do
                texts[place] = text_of(place)
            end
            return texts
        end

        --- How many queries one row more is put to, and how many clients hear of it.
        local function asked(texts, change)
            local client = world:client()
            assert(client:subscribe(1, texts))
            local before = world:offer_count()
            local deliveries = #world:commit { change }
            return world:offer_count() - before, deliveries
        end

        it("when they demand another value", function()
            assert.same({ 0, 0 }, { asked(texts_of(1000, function(id)
                return "SELECT * FROM item WHERE id = " .. id
            end), { "insert", "item", an_item(5000) }) })
        end)

        it("when they demand one of several other values", function()
            assert.same({ 1, 1 }, { asked(texts_of(1000, function(id)
                return ("SELECT * FROM item WHERE id = %d OR kind = %d OR (id = %d AND label = 'x')")
                    :format(id, id, id + 1000)
            end), { "insert", "item", an_item(5000, 700) }) })
        end)

        it("when they demand another range", function()
            assert.same({ 2, 2 - 1 }, { asked(texts_of(1000, function(id)
                return ("SELECT * FROM item WHERE kind >= %d AND kind < %d AND label <> 'y'"):format(id * 10, id * 10 + 20)
            end), { "insert", "item", an_item(1, 5005) }) })
        end)

        it("when they demand more, or less, than the row has", function()
            assert.same({ 0, 0 }, { asked(texts_of(1000, function(id)
                return ("SELECT * FROM item WHERE kind > %d"):format(id + 100)
            end), { "insert", "item", an_item(1, 100) }) })
        end)
    end)
end)

describe("subscriptions under random transactions", function()
    local seed = tonumber(os.getenv("STDB_SEED")) or os.time()
    local random = math.random

    local patterns = {
        function() return "SELECT * FROM item" end,
        function() return 'SELECT * FROM "item"' end,
        function() return "SELECT * FROM note" end,
        function() return "SELECT * FROM item WHERE id = " .. random(0, 20) end,
        function() return "SELECT * FROM item WHERE kind = " .. random(0, 4) end,
        function() return ("SELECT * FROM item WHERE kind = %d AND id = %d"):format(random(0, 4), random(0, 20)) end,
        function() return ("SELECT * FROM item WHERE kind = %d AND label = 'l%d'"):format(random(0, 4), random(0, 3)) end,
        function() return ("SELECT * FROM item WHERE id > %d AND id <= %d"):format(random(0, 20), random(0, 20)) end,
        function() return ("SELECT * FROM item WHERE kind = %d OR id = %d"):format(random(0, 4), random(0, 20)) end,
        function() return ("SELECT * FROM item WHERE kind <> %d"):format(random(0, 4)) end,
        function() return ("SELECT * FROM item WHERE id = %d OR id = %d OR id = %d")
            :format(random(0, 20), random(0, 20), random(0, 20)) end,
        function() return ("SELECT * FROM item WHERE (kind = %d OR kind = %d) AND id < %d")
            :format(random(0, 4), random(0, 4), random(0, 20)) end,
        function() return ("SELECT * FROM item WHERE kind >= %d AND (id > %d OR label = 'l%d')")
            :format(random(0, 4), random(0, 20), random(0, 3)) end,
        function() return ("SELECT * FROM item WHERE label >= 'l%d' AND label < 'l%d' OR kind < %d AND kind > %d")
            :format(random(0, 3), random(0, 3), random(0, 4), random(0, 4)) end,
        function() return ("SELECT * FROM item WHERE id <> %d OR kind = %d"):format(random(0, 20), random(0, 4)) end,
        function() return "SELECT * FROM item WHERE owner = :sender" end,
        function() return ("SELECT * FROM item WHERE owner = :sender AND kind = %d"):format(random(0, 4)) end,
        function() return ("SELECT * FROM item WHERE kind = 1 AND kind = %d"):format(random(1, 2)) end,
        function() return ("SELECT * FROM note WHERE words = 'w%d'"):format(random(0, 3)) end,
        function() return ("SELECT * FROM note WHERE about < %d"):format(random(0, 9)) end,
    }

    --- Rows of both tables as Lua knows them: by key for item, as a set for note.
    local function some_changes(world, rows)
        local changes, replace = sub_random.changes(rows)
        for _ = 1, random(1, 6) do
            local id, remove = random(0, 20), random(3) == 1
            if random(3) > 1 then
                local row = an_item(id, random(0, 4), random(0, 2), "l" .. random(0, 3))
                replace("item", id, not remove and world:row("item", row) or nil)
            else
                local row = world:row("note", { about = id % 10, words = "w" .. random(0, 3) })
                replace("note", row, not remove and row or nil)
            end
        end
        return changes
    end

    it("show after every commit what evaluating the queries anew shows, seed " .. seed, function()
        math.randomseed(seed)
        local world, rows = sub.world { item, note }, { item = {}, note = {} }
        local senders = { { sender = 1 }, { sender = 2 }, { sender = 0 }, { sender = 1 }, { sender = 2 }, { sender = 0 } }
        local clients = sub_random.clients(world, senders, patterns)

        for _ = 1, 400 do
            if random(3) == 1 then
                clients:change_a_set()
            end
            world:commit(some_changes(world, rows))
            clients:check()
        end

        world:free()
    end)
end)
