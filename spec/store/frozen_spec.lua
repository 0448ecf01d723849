local store = require "spec.support.store"
local transactions = require "spec.support.txn"

local tables = {
    { name = "player", columns = { { "id", "u32" }, { "name", "string" }, { "score", "u8" } },
        indexes = { { "id", kind = "hash", unique = true }, { "score" } } },
    { name = "note", columns = { { "text", "string" } } },
    { name = "shout", columns = { { "text", "string" } }, event = true },
}
local names = { "player", "note", "shout" }

local function all_rows(world)
    local rows = {}
    for _, name in ipairs(names) do
        rows[name] = world:table(name):rows()
        table.sort(rows[name])
    end
    return rows
end

local function check_view(view)
    for name, expected in pairs(view.rows) do
        local rows = view.frozen:rows(name)
        table.sort(rows)
        assert.same(expected, rows)
        assert.equal(#expected, view.frozen:count(name))
    end
end

-- Random transactions -------------------------------------------------------------------------------------------

--- Mostly short; now and then a row of a block of its own.
local function random_text()
    local dice = math.random(40)
    return string.char(96 + math.random(26)):rep(dice == 1 and math.random(20000, 90000) or dice)
end

--- `added` counts the columns that migrations have added.
local function random_row(name, added)
    if name ~= "player" then
        return { text = random_text() }
    end
    local row = { id = math.random(300), name = random_text(), score = math.random(4) }
    for place = 1, added do row["more" .. place] = math.random(9) end
    return row
end

local function tables_with(added)
    local columns, defaults = { { "id", "u32" }, { "name", "string" }, { "score", "u8" } }, {}
    for place = 1, added do
        columns[3 + place] = { "more" .. place, "u16" }
        defaults["more" .. place] = place
    end
    return { { name = "player", columns = columns, indexes = tables[1].indexes, defaults = defaults }, tables[2],
        tables[3] }
end

local function random_change(world, txn, added)
    local name, dice = names[math.random(#names)], math.random(10)
    if dice <= 5 then
        txn:insert(name, random_row(name, added))
    elseif dice <= 8 and name == "player" then
        txn:update(name, 1, random_row(name, added))
    else
        local rows = world:table(name):rows()
        if #rows > 0 then assert(txn:delete(name, rows[math.random(#rows)])) end
    end
end

local function random_transaction(world, txn, added)
    local before = all_rows(world)
    txn:begin()
    for _ = 1, math.random(0, 30) do random_change(world, txn, added) end
    if math.random(3) > 1 then
        txn:commit()
        return
    end
    txn:abort()
    assert.same(before, all_rows(world))
end

--- Up to four views at a time, which end in any order.
local function change_views(world, views)
    if #views < 4 and math.random(3) == 1 then
        views[#views + 1] = { frozen = world:freeze(), rows = all_rows(world) }
    elseif #views > 0 and math.random(4) == 1 then
        table.remove(views, math.random(#views)).frozen:drop()
    end
    for _, view in ipairs(views) do check_view(view) end
end

local function run(rounds)
    local world, views, added = store.world(tables), {}, 0
    local txn = transactions.new(world)
    for round = 1, rounds do
        random_transaction(world, txn, added)
        if round % 60 == 0 then
            added = added + 1
            assert(world:migrate(tables_with(added)))
        end
        change_views(world, views)
        world:check()
    end
    txn:free()
    world:free()
    for _, view in ipairs(views) do
        check_view(view)
        view.frozen:drop()
    end
end

-- Memory and threads -------------------------------------------------------------------------------------------

local notes = { name = "note", columns = { { "id", "u32" }, { "text", "string" } },
    indexes = { { "id", unique = true } }, sequences = { { "id" } } }

local function resident_bytes()
    local file = assert(io.open("/proc/self/statm"))
    local pages = file:read("*a"):match("^%d+ (%d+)")
    file:close()
    return tonumber(pages) * 4096
end

describe("a frozen view", function()
    it("shows its moment whatever is written, and whichever view ends first", function()
        local seed = os.time() % 100000
        math.randomseed(seed)
        local fine, why = xpcall(run, debug.traceback, 200)
        assert(fine, ("seed %d: %s"):format(seed, tostring(why)))
    end)

    it("can be read on other threads while the tables are written", function()
        local core = os.getenv("STDB_CORE") or "build/libstdb-core.so"
        local driver = core:match("^(.*)/[^/]*$") .. "/frozen_driver"
        local seed = os.time()
        local pipe = assert(io.popen(("%s %d 100 2>&1"):format(driver, seed)))
        local output = pipe:read("*a")
        pipe:close()
        assert.equal("100 views showed their moment\n", output, "seed " .. seed)
    end)

    it("gives all memory back, before the tables or after them", function()
        local function live(view_goes_first)
            local world = store.world { notes }
            local table = world:table "note"
            local row = table:row { id = 1, text = ("x"):rep(10000000) }
            table:restore(row)
            local view = world:freeze()
            assert(table:erase(row))
            table:restore(row)
            assert.is_true(view:memory() > #row)
            if view_goes_first then view:drop() end
            world:free()
            if not view_goes_first then view:drop() end
        end
        live(true)
        collectgarbage()
        local before = resident_bytes()
        for round = 1, 8 do live(round % 2 == 0) end
        collectgarbage()
        assert.is_true(resident_bytes() - before < 30e6)
    end)

    describe("of a small world", function()
        local world, txn
        before_each(function()
            world = store.world { notes }
            txn = transactions.new(world)
        end)
        after_each(function()
            txn:free()
            world:check()
            world:free()
        end)

        local function write(change)
            txn:begin()
            change()
            txn:commit()
        end

        it("holds no memory until the pages it shows are changed", function()
            write(function()
                for id = 1, 5000 do txn:insert("note", { id = id, text = ("x"):rep(100) }) end
            end)
            local view, pages = world:freeze(), tonumber(world:table("note").pointer.pages.count)
            assert.is_true(pages > 5)
            assert.equal(0, view:memory())

            write(function() assert(txn:update("note", 1, { id = 1, text = ("y"):rep(100) })) end)
            assert.equal(65536, view:memory())
            write(function() assert(txn:update("note", 1, { id = 2, text = ("y"):rep(100) })) end)
            assert.equal(65536, view:memory())

            write(function()
                for id = 1, 5000 do assert(txn:update("note", 1, { id = id, text = ("z"):rep(100) })) end
            end)
            assert.equal(65536 * pages, view:memory())
            view:drop()
        end)

        it("costs a copy of a page only while it lives", function()
            write(function() txn:insert("note", { id = 1, text = "before" }) end)
            local function first_page() return tostring(world:table("note").pointer.pages.pages[0]) end
            local place = first_page()

            world:freeze():drop()
            write(function() assert(txn:update("note", 1, { id = 1, text = "beyond" })) end)
            assert.equal(place, first_page())

            local view = world:freeze()
            write(function() assert(txn:update("note", 1, { id = 1, text = "behind" })) end)
            assert.not_equal(place, first_page())
            view:drop()
        end)

        describe("that is passed", function()
            local view

            local function place_of(number) return tostring(world:table("note").pointer.pages.pages[number]) end
            local function change(id)
                write(function() assert(txn:update("note", 1, { id = id, text = ("y"):rep(40000) })) end)
            end

            before_each(function()
                write(function()
                    for id = 1, 4 do txn:insert("note", { id = id, text = ("x"):rep(40000) }) end
                end)
                view = world:freeze()
            end)
            after_each(function() view:drop() end)

            it("shows its moment once more, and holds nothing then", function()
                local rows = view:rows "note"
                for id = 1, 4 do change(id) end
                local place, memory = 0, view:memory()
                for row in view:pass "note" do
                    place = place + 1
                    assert.equal(rows[place], row)
                    assert.equal(memory * (5 - place) / 4, view:memory())
                end
                assert.equal(4, place)
                assert.equal(0, view:memory())
                assert.same({}, view:rows "note")
            end)

            it("costs no copy of what lies behind", function()
                local passed = view:pass "note"
                local first, second = place_of(0), place_of(1)
                passed()
                passed()
                change(1)
                assert.equal(first, place_of(0))
                change(2)
                assert.not_equal(second, place_of(1))
            end)

            it("leaves memory to the next copies", function()
                local passed = view:pass "note"
                local left = place_of(0)
                change(1)
                passed()
                passed()
                change(3)
                change(4)
                assert.is_true(left == place_of(2) or left == place_of(3))
            end)
        end)

        it("keeps large rows that the table has let go", function()
            local text = ("large"):rep(100000)
            write(function() txn:insert("note", { id = 1, text = text }) end)
            local view = world:freeze()
            local row = world:table("note"):rows()[1]
            write(function() assert(txn:delete("note", row)) end)
            assert.equal(0, world:table("note"):count())
            assert.same({ row }, view:rows "note")
            assert.is_true(view:memory() >= #text)
            view:drop()
        end)

        it("is not touched by what replay writes", function()
            local table = world:table "note"
            local first, second = table:row { id = 1, text = "first" }, table:row { id = 2, text = "second" }
            table:restore(first)
            local view = world:freeze()
            table:restore(second)
            local later = world:freeze()
            assert(table:erase(first))
            assert.same({ first }, view:rows "note")
            assert.same({ first, second }, later:rows "note")
            assert.same({ second }, table:rows())
            view:drop()
            later:drop()
        end)

        it("remembers how far sequences were reserved", function()
            local reserved
            txn:watch_reservations(function(_, value) reserved = value end)
            local function draw(count)
                write(function()
                    for _ = 1, count do assert(txn:insert("note", { id = 0, text = "drawn" })) end
                end)
                return { view = world:freeze(), reserved = reserved }
            end
            local early, late = draw(1), draw(10000)
            assert.equal(early.reserved, early.view:sequence("note", 1))
            assert.equal(late.reserved, late.view:sequence("note", 1))
            assert.is_true(late.reserved > 10000)
            early.view:drop()
            late.view:drop()
        end)
    end)
end)
