local ffi = require "ffi"
local store = require "spec.support.store"
local core = store.core

describe("pages", function()
    local pages

    before_each(function()
        pages = ffi.new "struct pages"
        core.pages_init(pages)
    end)
    after_each(function() core.pages_deinit(pages) end)

    local function put(text)
        local ref = core.pages_take(pages, #text)
        ffi.copy(store.row_at(pages, ref).data, text, #text)
        return ref
    end

    local function rows()
        local found, ref = {}, ffi.new("uint32_t[1]", store.NONE)
        local row = core.pages_next(pages, ref)
        while row ~= nil do
            found[ref[0]] = store.row_text(row)
            row = core.pages_next(pages, ref)
        end
        return found
    end

    it("keep rows of any size where their references say", function()
        local expected = {}
        for _, size in ipairs { 0, 1, 3, 4, 60, 61, 128, 129, 1000, 16380, 16381, 70000, 2 ^ 24 } do
            local text = ("x"):rep(size)
            expected[put(text)] = text
        end
        assert.same(expected, rows())
        core.pages_check(pages)
    end)

    it("behave like a table under random changes", function()
        local seed = os.time()
        math.randomseed(seed)
        local model, refs = {}, {}
        for step = 1, 20000 do
            if math.random() < (step < 10000 and 0.6 or 0.4) or #refs == 0 then
                local text = tostring(step):rep(math.random(60))
                if math.random(200) == 1 then text = text:rep(1000) end
                local ref = put(text)
                assert.is_nil(model[ref], "seed " .. seed)
                model[ref] = text
                refs[#refs + 1] = ref
            else
                local place = math.random(#refs)
                local ref = refs[place]
                assert.equal(model[ref], store.row_text(store.row_at(pages, ref)), "seed " .. seed)
                refs[place] = refs[#refs]
                refs[#refs] = nil
                model[ref] = nil
                core.pages_free(pages, ref)
            end
        end
        assert.same(model, rows(), "seed " .. seed)
        assert.equal(#refs, tonumber(pages.row_count))
        core.pages_check(pages)
    end)

    it("give memory back when rows go", function()
        local refs = {}
        for idx = 1, 50000 do refs[idx] = put "a row of forty bytes, more or less, in all" end
        local full = tonumber(pages.byte_count)
        for _, ref in ipairs(refs) do core.pages_free(pages, ref) end
        assert.is_true(full > 50000 * 44)
        assert.equal(65536, tonumber(pages.byte_count))
        core.pages_check(pages)
    end)

    it("do not show hidden rows", function()
        local kept, hidden = put "kept", put "hidden"
        core.pages_hide(pages, hidden)
        assert.same({ [kept] = "kept" }, rows())
        assert.equal(1, tonumber(pages.row_count))

        core.pages_show(pages, hidden)
        assert.same({ [kept] = "kept", [hidden] = "hidden" }, rows())
        core.pages_check(pages)
    end)

    it("change a row in place only where the slot is of about its size", function()
        local ref = put(("x"):rep(200))
        assert.is_true(core.pages_fits(pages, ref, 200))
        assert.is_true(core.pages_fits(pages, ref, 100))
        assert.is_false(core.pages_fits(pages, ref, 300))
        assert.is_false(core.pages_fits(pages, ref, 10))
    end)
end)
