local store = require "spec.support.store"
local transactions = require "spec.support.txn"

local function counter(type, sequence)
    return { name = "item", columns = { { "name", "string" }, { "id", type } },
        indexes = { { "id", kind = "btree", unique = true } }, sequences = { sequence } }
end

describe("a sequence", function()
    local world, txn

    local function with(type, sequence)
        sequence = sequence or {}
        sequence[1] = "id"
        world = store.world { counter(type, sequence) }
        txn = transactions.new(world)
        txn:begin()
    end

    local function draw(id)
        local row, why = txn:insert("item", { name = id and "given" or "drawn", id = id or 0 })
        if not row then return nil, why end
        return tonumber(tostring(world:table("item"):values(row).id):match "^%-?%d+")
    end

    after_each(function()
        txn:free()
        world:check()
        world:free()
    end)

    it("fills a zero with the next value", function()
        with "u32"
        assert.same({ 1, 2, 3 }, { draw(), draw(), draw() })
    end)

    --- Gives the running sequence other limits.
    local function change(sequence)
        sequence[1] = "id"
        txn:commit()
        assert(world:migrate { counter("u32", sequence) })
        txn:begin()
    end

    it("goes on where it stood when its limits change, or at its own start when that lies further on", function()
        with "u32"
        assert.same({ 1, 2 }, { draw(), draw() })
        change { max = 1000000 }
        assert.equal(3, draw())
        change { min = 100 } -- inside of what is reserved
        assert.equal(4097, draw())
        change { min = 50000 }
        assert.equal(50000, draw())
    end)

    it("leaves out the rest of its batch when its step changes", function()
        with "u32"
        assert.equal(1, draw())
        local reserved = {}
        txn:watch_reservations(function(_, value) reserved[#reserved + 1] = value end)
        change { increment = 10 }
        assert.equal(4097, draw())
        assert.same({ 4097 + 40960 }, reserved)
    end)

    it("counts the other way only where no row is", function()
        with "u32"
        draw()
        txn:commit()
        local _, why = world:migrate { counter("u32", { "id", increment = -1 }) }
        assert.equal("column `id` of table `item` cannot count up by itself: rows hold values of its range; "
            .. "give it another `min` or `max`", why)
        txn:begin()
    end)

    it("is not moved by values given to it", function()
        with "u32"
        assert.same({ 1, 3 }, { draw(), draw(3) })
        assert.equal(2, draw())
        local _, why = draw()
        assert.matches("value: 3$", why)
        assert.equal(4, draw())
    end)

    it("stays advanced when its transaction is aborted", function()
        with "u32"
        draw()
        txn:abort()
        txn:begin()
        assert.equal(2, draw())
    end)

    it("reserves a batch before it uses one of it", function()
        with "u32"
        local reserved = {}
        txn:watch_reservations(function(_, value) reserved[#reserved + 1] = value end)
        assert.equal(1, draw())
        assert.same({ 4097 }, reserved)
        for _ = 2, 4096 do draw() end
        assert.same({ 4097 }, reserved)
        assert.equal(4097, draw())
        assert.same({ 4097, 8193 }, reserved)
    end)

    it("goes on behind the reserved batch after a restart", function()
        with "u32"
        local id
        txn:watch_reservations(function(sequence) id = sequence end)
        draw()
        assert.is_true(store.core.store_restore_sequence(world.store, id, { 4097, 0 }))
        assert.is_false(store.core.store_restore_sequence(world.store, id + 1000, { 4097, 0 }))
        assert.equal(4097, draw())
    end)

    it("ends with the last value its column holds", function()
        with "u8"
        for _ = 1, 255 do draw() end
        local _, why = draw()
        assert.equal("the sequence `item_id_seq` of table `item` has no value left", why)
    end)

    it("counts down and by steps", function()
        with("i32", { start = 5, min = -4, max = 5, increment = -3 })
        assert.same({ 5, 2, -1, -4 }, { draw(), draw(), draw(), draw() })
        assert.is_nil((draw()))
    end)

    it("reaches beyond 64 bits", function()
        with("i128", { start = "18446744073709551615", increment = 1 })
        assert.equal("18446744073709551615", world:table("item"):values(txn:insert("item", { name = "", id = 0 })).id)
        assert.equal("18446744073709551616", world:table("item"):values(txn:insert("item", { name = "", id = 0 })).id)
    end)

    it("fills a zero in updates, too", function()
        world = store.world { { name = "item", columns = { { "key", "u8" }, { "version", "u64" } },
            indexes = { { "key", unique = true } }, sequences = { { "version" } } } }
        txn = transactions.new(world)
        txn:begin()
        local items = world:table "item"
        assert.equal(1, tonumber(items:values(txn:insert("item", { key = 5, version = 0 })).version))
        assert.equal(2, tonumber(items:values(txn:update("item", 1, { key = 5, version = 0 })).version))
    end)

    it("moves a row that stood under the key zero when it fills that in an update", function()
        with "u32"
        local items = world:table "item"
        items:restore(items:row { name = "old", id = 0 })
        assert.is_truthy(txn:update("item", 1, { name = "new", id = 0 }))
        assert.is_nil(items:find(1, { 0 }))
        assert.equal("new", items:values(items:find(1, { 1 })).name)
        txn:abort()
        assert.equal("old", items:values(items:find(1, { 0 })).name)
        txn:begin()
    end)
end)
