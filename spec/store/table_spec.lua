local store = require "spec.support.store"

local word = { name = "word", columns = { { "text", "string" }, { "length", "u32" } }, indexes = { { "length" } } }

describe("a table", function()
    local world, words
    before_each(function()
        world = store.world { word }
        words = world:table "word"
    end)
    after_each(function() world:free() end)

    it("without a unique index finds equal rows all the same", function()
        local row = words:row { text = "abc", length = 3 }
        assert.is_false(words:has(row))
        words:restore(row)
        words:restore(words:row { text = "abd", length = 3 })
        assert.is_true(words:has(row))

        assert(words:erase(row))
        assert.is_false(words:has(row))
        words:check()
    end)

    it("refuses to erase a row that is not there", function()
        local _, why = words:erase(words:row { text = "nobody", length = 6 })
        assert.equal("a row to delete from table `word` is not there", why)
    end)

    it("is told what is wrong with it, instead of being stopped for it", function()
        for number = 1, 50 do words:restore(words:row { text = "word " .. number, length = number }) end
        assert.same({}, (words:inspect(7)))
        assert.equal(8, select(2, words:inspect(7)))
        local row = words:row { text = "word 9", length = 9 }
        local ref = words:ref_of(row)
        words:spoil_index(0, row)
        local faults = words:inspect(7)
        assert.equal(2, #faults)
        assert.matches("table `word`: it has 50 rows, and its index `word_length%S*` has 49", faults[1])
        assert.matches('table `word`: the row is missing in the index `word_length%S*` {"text":"word 9","length":9}', faults[2])
        words:mend_index(0, ref)
        assert.same({}, (words:inspect()))
    end)

    it("holds rows larger than a page", function()
        local rows = {}
        for number = 1, 20 do
            rows[number] = words:row { text = tostring(number):rep(number * 20000), length = number }
            words:restore(rows[number])
        end
        words:check()
        assert.same({ rows[20] }, words:walk(1, { 20 }, { 20 }))
        for number = 1, 20 do assert(words:erase(rows[number])) end
        assert.equal(0, words:count())
        words:check()
    end)

    it("keeps what it held through random changes", function()
        local seed = os.time()
        math.randomseed(seed)
        local model = {}
        for _ = 1, 5000 do
            local text = ("x"):rep(math.random(0, 5)) .. math.random(0, 400)
            local row = words:row { text = text, length = #text }
            assert.equal(model[row] ~= nil, words:has(row), "seed " .. seed)
            if model[row] then
                assert(words:erase(row))
                model[row] = nil
            else
                words:restore(row)
                model[row] = true
            end
        end
        local found = {}
        for _, row in ipairs(words:rows()) do found[row] = true end
        assert.same(model, found, "seed " .. seed)
        words:check()
    end)
end)
