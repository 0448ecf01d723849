--- What statements that change rows may cost.
local sql = require "spec.support.sql"

local ROWS, TEXT = 100, ("x"):rep(10000)

describe("a statement that changes rows", function()
    local world, filled

    before_each(function()
        world = sql.world {
            { name = "keyed", key = "id", columns = { { "id", "u32" }, { "stars", "u32" }, { "text", "string" } } },
            { name = "plain", columns = { { "id", "u32" }, { "stars", "u32" }, { "text", "string" } } },
        }
        local rows = { keyed = {}, plain = {} }
        for id = 1, ROWS do
            for name, list in pairs(rows) do list[id] = world:row(name, { id = id, stars = id % 2, text = TEXT }) end
        end
        filled = world:fill(rows)
    end)

    local function count(query)
        return tonumber(assert(world:ask("SELECT COUNT(*) AS n FROM " .. query, filled)):match '"rows":%[%[(%d+)')
    end

    it("takes four bytes of memory for each of them, however large they are", function()
        local limits = { bytes_max = 4 * ROWS }
        for _, name in ipairs { "keyed", "plain" } do
            assert.same({ 0, 0, ROWS }, world:change("UPDATE " .. name .. " SET stars = 7", filled, limits))
            assert.equal(ROWS, count(name .. " WHERE stars = 7 AND text = '" .. TEXT .. "'"))
            assert.same({ 0, ROWS, 0 }, world:change("DELETE FROM " .. name, filled, limits))
            assert.equal(0, count(name))
        end
    end)

    it("is refused as a whole when that is too much, or the time is over before the last is changed", function()
        for _, statement in ipairs { "UPDATE keyed SET stars = 7", "UPDATE plain SET stars = 7", "DELETE FROM keyed" } do
            local _, refusal = world:change(statement, filled, { bytes_max = 4 * ROWS - 1 })
            assert.truthy(refusal:find("needs more than 0 MiB of memory", 1, true), refusal)
            _, refusal = world:change(statement, filled, { time_max_us = -1 })
            assert.truthy(refusal:find "^the statement ran longer than", refusal)
        end
        assert.equal(ROWS / 2, count "keyed WHERE stars = 1")
        assert.equal(ROWS / 2, count "plain WHERE stars = 1")
    end)
end)
