local store = require "spec.support.store"
local transactions = require "spec.support.txn"

local player = { name = "player", columns = { { "id", "u32" }, { "name", "string" } },
    indexes = { { "id", unique = true } } }
local shout = { name = "shout", columns = { { "text", "string" } }, event = true }

describe("a delta in the log", function()
    local world, follower, encoded

    before_each(function()
        world, follower = store.world { player, shout }, store.world { player, shout }
        local txn = transactions.new(world)
        txn:begin()
        for id = 1, 100 do txn:insert("player", { id = id, name = ("x"):rep(id) }) end
        txn:insert("shout", { text = "hey" })
        local _
        _, encoded = txn:commit()
        txn:free()
    end)
    after_each(function()
        follower:check()
        world:free()
        follower:free()
    end)

    it("makes the same tables, without rows of event tables", function()
        assert(transactions.replay(follower, encoded))
        assert.same(world:table("player"):rows(), follower:table("player"):rows())
        assert.equal(0, follower:table("shout"):count())
    end)

    it("is refused when it does not fit the tables", function()
        assert(transactions.replay(follower, encoded))
        local _, why = transactions.replay(follower, encoded)
        assert.equal("a logged row of table `player` cannot be put there: " ..
          "an earlier row has the same key in `player_id_btree`", why)
    end)

    it("is refused wherever it is cut off", function()
        for size = 0, #encoded - 1, 7 do
            local fresh = store.world { player, shout }
            local _, why = transactions.replay(fresh, encoded:sub(1, size))
            assert.is_string(why)
            fresh:check()
            fresh:free()
        end
    end)

    it("is refused with bytes behind its end, unknown tables and rows to delete that are not there", function()
        local _, why = transactions.replay(follower, "\0\0\0\0x")
        assert.equal("a logged change has 1 bytes too many", why)
        _, why = transactions.replay(follower, "\1\0\0\0\9\0\0\0\0\0\0\0\0\0\0\0")
        assert.equal("a logged change names the unknown table 9", why)
        _, why = transactions.replay(follower, "\1\0\0\0\1\16\0\0\1\0\0\0\0\0\0\0" .. "\7\0\0\0\0\0\0\0")
        assert.equal("a row to delete from table `player` is not there", why)
    end)
end)
