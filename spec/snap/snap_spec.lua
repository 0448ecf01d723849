local ffi = require "ffi"
local sim = require "spec.support.sim"
local snap = require "spec.support.snap"
local store = require "spec.support.store"

ffi.cdef "int truncate(const char *path, long size);"

local player = { name = "player", columns = { { "id", "u32" }, { "name", "string" } },
    indexes = { { "id", unique = true }, { "name" } }, sequences = { { "id" } } }
local word = { name = "word", columns = { { "text", "string" } } }

local ann = { number = 3, who = ("a"):rep(32), connection = ("c"):rep(16) }
local bob = { number = 9, who = ("b"):rep(32), connection = ("d"):rep(16) }

local function small_world()
    local world = store.world { player, word }
    local players, words = world:table "player", world:table "word"
    for id = 1, 20 do players:restore(players:row { id = id, name = "player " .. id }) end
    words:restore(words:row { text = "a word" })
    store.core.store_restore_sequence(world.store, snap.ids(players)[4], { 4097, 0 })
    return world
end

local function rows_of(world, name)
    local rows = world:table(name):rows()
    table.sort(rows)
    return rows
end

local function assert_same_rows(world, copy, what)
    for name in pairs(world.declared) do
        assert.same(rows_of(world, name), rows_of(copy, name), what)
    end
end

local function is_sanitized()
    ffi.cdef "void __asan_init(void);"
    return (pcall(function() return ffi.C.__asan_init end))
end

local function ids_of(world)
    local ids = {}
    for name in pairs(world.declared) do ids[name] = snap.ids(world:table(name)) end
    return ids
end

local function reserved(world)
    local frozen = world:freeze()
    local value = frozen:sequence("player", 1)
    frozen:drop()
    return value
end

describe("a snapshot", function()
    local world, folder
    before_each(function()
        world, folder = small_world(), snap.folder()
    end)
    after_each(function()
        world:free()
        folder:free()
    end)

    local function refused(offset)
        local ok, why, code = folder:verify(offset or 7)
        assert.is_nil(ok)
        local loaded, load_why, load_code = folder:load(offset or 7, world)
        assert.is_nil(loaded)
        assert.same({ why, code }, { load_why, load_code })
        assert.truthy(why:find(folder:name(offset or 7), 1, true), why)
        return why, code
    end

    it("brings back what it was taken of", function()
        local what = { offset = 7, timestamp = 1700000000000000, publish_offset = 5, last_client = 9,
            clients = { ann, bob }, ticks = { { 5, 2 ^ 40, 1700000000000000 }, { 6, 1, -1 } },
            publish = ("source\0text"):rep(20000), first_hash = ("f"):rep(32) }
        folder:take(world, what)
        assert(folder:verify(7))

        local head, copy = assert(folder:load(7, world))
        what.id = folder.id
        assert.same(what, head)
        assert_same_rows(world, copy)
        assert.same(ids_of(world), ids_of(copy))
        assert.equal(4097, reserved(copy))
        copy:check()
        copy:free()
    end)

    it("is a view of one moment, whatever changes while it is written", function()
        local players, before = world:table "player", rows_of(world, "player")
        local changed = 0
        folder:watch(function()
            if changed == 0 then
                assert(players:erase(players:row { id = 3, name = "player 3" }))
                players:restore(players:row { id = 99, name = "late" })
            end
            changed = changed + 1
            return true
        end)
        folder:take(world, { offset = 7 })
        folder:watch(nil)
        assert.is_true(changed > 0)
        local _, copy = assert(folder:load(7, world))
        assert.same(before, rows_of(copy, "player"))
        copy:free()
    end)

    it("of a database that nothing was published to yet holds no tables", function()
        local empty = store.world {}
        store.core.store_deinit(empty.store)
        folder:take(empty, { offset = 0 })
        assert(folder:verify(0))
        local head, copy = assert(folder:load(0, empty))
        assert.same({ 0, "", {} }, { head.offset, head.publish, head.clients })
        assert.is_true(copy.store.schema == nil)
    end)

    it("keeps ids that its schema alone would not give", function()
        local later = { name = "later", columns = { { "id", "u32" } }, indexes = { { "id", kind = "hash", unique = true } } }
        assert(world:migrate { later, player, word })
        world:table("later"):restore(world:table("later"):row { id = 1 })
        world:table("word"):erase(world:table("word"):row { text = "a word" })
        assert(world:migrate { later, player })

        folder:take(world, { offset = 7 })
        local _, copy = assert(folder:load(7, world))
        assert.same(ids_of(world), ids_of(copy))
        assert.is_true(ids_of(copy).later[1] > ids_of(copy).player[1])
        assert_same_rows(world, copy)

        -- S1: what comes next gets an id that nothing has had.
        assert(world:migrate { later, player, word })
        assert(copy:migrate { later, player, word })
        assert.same(ids_of(world), ids_of(copy))
        copy:free()
    end)

    it("holds rows larger than a page, and many chunks", function()
        local words = world:table "word"
        for number = 1, 60 do words:restore(words:row { text = tostring(number):rep(number * 20000) }) end
        for number = 1, 30000 do words:restore(words:row { text = "a rather short word, number " .. number }) end
        local largest = words:row { text = ("x"):rep(2 ^ 24 - 4) }
        words:restore(largest)
        folder:take(world, { offset = 7 })
        assert(folder:verify(7))
        local _, copy = assert(folder:load(7, world))
        assert.is_true(copy:table("word"):has(largest))
        assert_same_rows(world, copy)
        copy:check()
        copy:free()
    end)

    it("that is cut while it is read through its map is refused, and ends no process", function()
        local words = world:table "word"
        for number = 1, 60000 do words:restore(words:row { text = "a rather short word, number " .. number }) end
        folder:take(world, { offset = 7 })
        local whole = snap.read_file(folder:name(7))
        local function cut_at(rows)
            snap.write_file(folder:name(7), whole)
            folder:watch(function(done)
                if done > rows then ffi.C.truncate(folder:name(7), 8192) end
                return true
            end)
        end
        for _, rows in ipairs { 0, 1000, 30000 } do
            for _, work in ipairs { "verify", "load" } do
                cut_at(rows)
                local ok, why, code = folder[work](folder, 7, world)
                assert.same({ nil, snap.CORRUPT }, { ok, code })
                assert.truthy(why:find("was cut while it was read", 1, true), why)
            end
        end
        folder:watch(nil)
        snap.write_file(folder:name(7), whole)
        assert(folder:verify(7))
    end)

    it("tells how far it is, and stops when it is told to", function()
        local words = world:table "word"
        for number = 1, 30000 do words:restore(words:row { text = "a rather short word, number " .. number }) end
        local function each_step(work)
            local last = -1
            folder:watch(function(done, all)
                assert.equal(30021, all)
                assert.is_true(done >= last and done <= all)
                last = done
                return true
            end)
            assert(work())
            assert.equal(30021, last)
            folder:watch(function(done) return done < 10000 end)
            local ok, why, code = work()
            assert.same({ nil, snap.BUSY }, { ok, code })
            assert.truthy(why:find "was stopped$", why)
            folder:watch(nil)
        end
        each_step(function() return folder:write(world, { offset = 7 }) end)
        assert.is_nil(snap.read_file(folder:name(7) .. ".new"))
        folder:take(world, { offset = 7 })
        each_step(function() return folder:verify(7) end)
        each_step(function()
            local head, copy, code = folder:load(7, world)
            if head then copy:free() end
            return head, copy, code
        end)
    end)

    it("tells from its label whose it is and of when", function()
        folder:take(world, { offset = 7, timestamp = 1234567 })
        local label = assert(folder:peek(7))
        label.content_size = nil
        assert.same({ offset = 7, timestamp = 1234567, rows = 21, id = folder.id }, label)
    end)

    it("is refused whole when a row stands behind its checksum in vain", function()
        folder:take(world, { offset = 7 })
        local content = snap.read_file(folder:name(7))
        local at = assert(content:find("player 17", 1, true))
        snap.write_file(folder:name(7), snap.reseal(content:sub(1, at - 1) .. "P" .. content:sub(at + 1)))
        local why, code = refused()
        assert.equal(snap.CORRUPT, code)
        assert.truthy(why:find("chunk 0 of table `player`: it does not match its checksum", 1, true), why)
    end)

    it("is refused when a value beside the rows is not what was written", function()
        for _, value in ipairs { "publish record", ("f"):rep(32), ("a"):rep(32) } do
            folder:take(world, { offset = 7, publish = "the publish record", first_hash = ("f"):rep(32),
                clients = { ann } })
            local content = snap.read_file(folder:name(7))
            local at = assert(content:find(value, 1, true))
            snap.write_file(folder:name(7), snap.reseal(content:sub(1, at - 1) .. "~" .. content:sub(at + 1)))
            local why, code = refused()
            assert.equal(snap.CORRUPT, code)
            assert.truthy(why:find "its value `%w+` does not match its checksum", why)
        end
    end)

    it("that was cut is refused at every length", function()
        folder:take(world, { offset = 7 })
        local content = snap.read_file(folder:name(7))
        for size = 0, #content - 1, 97 do
            snap.write_file(folder:name(7), content:sub(1, size))
            local ok, why, code = folder:verify(7)
            assert.same({ nil, snap.CORRUPT }, { ok, code }, size)
            assert.truthy(why:find(folder:name(7), 1, true), why)
        end
        snap.write_file(folder:name(7), content:sub(1, -2))
        refused()
        snap.write_file(folder:name(7), content .. "\0")
        refused()
    end)

    it("with a piece missing or doubled inside is refused", function()
        folder:take(world, { offset = 7 })
        local content = snap.read_file(folder:name(7))
        snap.write_file(folder:name(7), content:sub(1, 4096) .. content:sub(8193))
        refused()
        snap.write_file(folder:name(7), content:sub(1, 8192) .. content:sub(4097))
        refused()
    end)

    it("whose blocks were changed together with their sums is refused", function()
        folder:take(world, { offset = 7 })
        local content = snap.read_file(folder:name(7))
        snap.write_file(folder:name(7), snap.reseal(content:sub(1, 4095) .. "\1" .. content:sub(4097), true))
        local why = refused()
        assert.truthy(why:find("its list of checksums does not match its own", 1, true), why)
    end)

    it("of another database, of a newer version or of another offset is refused", function()
        folder:take(world, { offset = 7 })
        local ok, why, code = folder:load(7, world, ("o"):rep(16))
        assert.same({ nil, snap.IN_USE }, { ok, code })
        assert.equal(folder:name(7) .. " is the snapshot of another database", why)

        local content = snap.read_file(folder:name(7))
        snap.write_file(folder:name(8), content)
        why = refused(8)
        assert.truthy(why:find("the snapshot at offset 7", 1, true), why)

        local label_at = #content - snap.LABEL_SIZE
        snap.write_file(folder:name(7),
            snap.reseal(content:sub(1, label_at + 8) .. "\2" .. content:sub(label_at + 10)))
        why, code = refused()
        assert.equal(snap.NEWER_FORMAT, code)
        assert.equal(folder:name(7) .. " was written by a newer version: its format is 2, and 1 is the newest known here",
            why)
    end)

    it("is refused when the file is something else, or not there", function()
        assert(folder:write(world, { offset = 1 }))
        for _, content in ipairs { "", "hello", ("\0"):rep(100000), ("text "):rep(50000) } do
            snap.write_file(folder:name(7), content)
            local why, code = refused()
            assert.equal(snap.CORRUPT, code)
            assert.truthy(why:find "is not a snapshot", why)
        end
        os.remove(folder:name(7))
        assert.equal(snap.NOT_FOUND, select(2, refused()))
    end)

    it("is listed once it has its name, and leftovers are removed", function()
        assert.same({}, folder:list())
        folder:take(world, { offset = 20 })
        folder:take(world, { offset = 3 })
        assert(folder:write(world, { offset = 30 }))
        snap.write_file(folder.path .. "/notes.txt", "somebody's")
        snap.write_file(folder.path .. "/12.snap", "no name of ours")
        assert.same({ 3, 20 }, folder:offsets())
        assert.truthy(snap.read_file(folder:name(30) .. ".new"))
        assert.same({ 3, 20 }, folder:list())
        assert.is_nil(snap.read_file(folder:name(30) .. ".new"))
        assert.equal("somebody's", snap.read_file(folder.path .. "/notes.txt"))

        assert.is_nil(folder:publish(30))
        assert(folder:remove(3))
        assert.same({ 20 }, folder:list())
        assert.equal(snap.NOT_FOUND, select(3, folder:remove(3)))
    end)

    it("takes the place of an unfinished one, and of one at the same offset", function()
        assert(folder:write(world, { offset = 1 }))
        snap.write_file(folder:name(7) .. ".new", ("rest of an earlier attempt"):rep(10000))
        folder:take(world, { offset = 7, publish = "first" })
        folder:take(world, { offset = 7, publish = "second" })
        local head, copy = assert(folder:load(7, world))
        assert.equal("second", head.publish)
        copy:free()
    end)

    it("that cannot be written says why and leaves nothing", function()
        snap.write_file(folder.path, "in the way")
        local ok, why = folder:write(world, { offset = 7 })
        assert.is_nil(ok)
        assert.truthy(why:find(folder.path, 1, true), why)
    end)

    it("that finds no room says so and leaves nothing", function()
        local words = world:table "word"
        for number = 1, 30 do words:restore(words:row { text = tostring(number):rep(100000) }) end
        for _, size in ipairs { 0, 4096, 100000, 3000000 } do
            local ok, why, code = snap.with_file_limit(size, function() return folder:write(world, { offset = 7 }) end)
            assert.same({ nil, snap.DISK }, { ok, code })
            assert.truthy(why:find(folder:name(7), 1, true), why)
            assert.is_nil(snap.read_file(folder:name(7) .. ".new"))
        end
        folder:take(world, { offset = 7 })
        assert(folder:verify(7))
    end)

    it("takes little memory, however much it holds", function()
        if is_sanitized() then
            return -- what was freed stays for a while
        end
        local words = world:table "word"
        for number = 1, 4000 do words:restore(words:row { text = ("%6d"):format(number):rep(2700) }) end
        local function private()
            return tonumber(snap.read_file("/proc/self/status"):match "RssAnon:%s+(%d+)") / 1024
        end
        collectgarbage()
        local before, most = private(), 0
        folder:watch(function()
            most = math.max(most, private())
            return true
        end)
        folder:take(world, { offset = 7 })
        assert(folder:verify(7))
        assert.is_true(most > 0 and most - before < 32, ("%d MiB"):format(most - before))
    end)
end)

describe("a snapshot with any one bit changed", function()
    it("is refused, and says so", function()
        local disk = sim.disk()
        local world, folder = store.world { word }, snap.folder(sim.C.disk_sim_disk(disk.sim))
        world:table("word"):restore(world:table("word"):row { text = "a word" })
        folder:take(world, { offset = 7, clients = { ann }, publish = "publish" })
        assert(folder:verify(7))

        local path = folder:name(7)
        local bits = #disk:get(path) * 8
        for bit = 0, bits - 1 do
            disk:flip(path, bit)
            local ok, why, code = folder:verify(7)
            if ok or code ~= snap.CORRUPT or not why:find(path, 1, true) then
                error(("bit %d: %s"):format(bit, why or "accepted"))
            end
            disk:flip(path, bit)
        end
        assert(folder:verify(7))
        world:free()
    end)
end)

describe("a power cut", function()
    -- Takes the snapshot at 7 beside that at 3, and loses power in the n-th change of the disk. Whether it came so far.
    local function cut_at(n, seed)
        local disk = sim.disk(seed)
        local world, folder = small_world(), snap.folder(sim.C.disk_sim_disk(disk.sim))
        folder:take(world, { offset = 3, publish = "old" })
        disk:cut_power_at(n)
        local published = folder:write(world, { offset = 7, publish = "new" }) and folder:publish(7)
        local removed = published and folder:remove(3)
        local crashed = disk:has_crashed()
        disk:restart()

        local what = ("cut at %d, seed %d"):format(n, seed)
        local offsets = assert(folder:list(), what)
        assert.same(offsets, folder:offsets(), what)
        for _, offset in ipairs(offsets) do
            assert(folder:verify(offset), what)
            local head, copy = assert(folder:load(offset, world))
            assert.equal(offset == 3 and "old" or "new", head.publish, what)
            assert_same_rows(world, copy, what)
            copy:free()
        end
        local newest = offsets[#offsets]
        assert.is_true(newest == 7 or (newest == 3 and not published), what)
        assert.is_true(not removed or #offsets == 1, what)
        world:free()
        return crashed
    end

    it("at any step leaves the old snapshot or the new one", function()
        local seed, n = sim.seed(), 1
        while cut_at(n, seed + n) do n = n + 1 end
        assert.is_true(n > 6, "steps: " .. n)
    end)

    it("or a failing disk leaves nothing half and a sentence", function()
        for _, call in ipairs { "write", "sync", "truncate", "rename", "open", "read", "dir_sync" } do
            for _, fault in ipairs { "EIO", "ENOSPC" } do
                local disk = sim.disk()
                local world, folder = small_world(), snap.folder(sim.C.disk_sim_disk(disk.sim))
                folder:take(world, { offset = 3 })
                disk:fail(call, 1, fault)
                local ok, why = folder:write(world, { offset = 7 })
                if ok then
                    ok, why = folder:publish(7)
                end
                assert.is_nil(ok, call)
                assert.truthy(why:find("snaps", 1, true), why)
                assert(folder:verify(3))
                folder:take(world, { offset = 7 })
                assert(folder:verify(7))
                world:free()
            end
        end
    end)

    it("or a disk that cannot be read is no reason to believe a snapshot", function()
        local disk = sim.disk()
        local world, folder = small_world(), snap.folder(sim.C.disk_sim_disk(disk.sim))
        folder:take(world, { offset = 3 })
        for nth = 1, 3 do
            disk:fail("read", nth)
            assert.equal(snap.DISK, select(3, folder:verify(3)))
            disk:fail("read", nth)
            assert.equal(snap.DISK, select(3, folder:load(3, world)))
        end
        assert(folder:verify(3))
        world:free()
    end)
end)

describe("a chunk", function()
    local world, players, words
    before_each(function()
        world = store.world { player, word }
        players, words = world:table "player", world:table "word"
    end)
    after_each(function() world:free() end)

    local function refused(count, rows, table_like)
        local ok, why, code = snap.load_chunk(count, rows, table_like, table_like)
        assert.same({ nil, snap.CORRUPT }, { ok, code })
        return why
    end

    it("is loaded row by row", function()
        local rows = players:row { id = 1, name = "ann" } .. players:row { id = 2, name = "bob" }
        assert.equal(2, snap.load_chunk(2, rows, players))
        assert.equal(0, players:count())
        assert.equal(2, snap.load_chunk(2, rows, players, players))
        assert.equal(2, players:count())
        players:check()
    end)

    it("with two rows of one key is refused", function()
        local rows = players:row { id = 1, name = "ann" } .. players:row { id = 1, name = "bob" }
        assert.equal("row 2: an earlier row has the same key in `player_id_btree`", refused(2, rows, players))
        assert.equal("row 2: an earlier row has the same bytes",
            refused(2, words:row { text = "one" } .. words:row { text = "one" }, words))
    end)

    it("with rows that their type does not have is refused", function()
        assert.truthy(refused(1, words:row { text = "\255\255" }, words):find "^row 1: .*UTF%-8")
        assert.truthy(refused(1, words:row { text = "long" }:sub(1, -2), words):find "^row 1: ")
    end)

    it("whose count does not go with its bytes is refused", function()
        local row = words:row { text = "one" }
        refused(0, "", words)
        refused(0, row, words)
        refused(2, row, words)
        refused(2 ^ 32 - 1, row, words)
        assert.equal("it has 1 bytes behind its rows", refused(1, row .. "\0", words))
    end)

    it("of a table without columns holds one row", function()
        local bare = store.world { { name = "bare", columns = {} } }
        local table_bare = bare:table "bare"
        assert.truthy(refused(2, "", table_bare))
        refused(2 ^ 32 - 1, "", table_bare)
        assert.equal(1, snap.load_chunk(1, "", table_bare, table_bare))
        bare:free()
    end)
end)

describe("random databases", function()
    local makers = {
        u8 = function() return math.random(0, 255) end,
        u32 = function() return math.random(0, 2 ^ 31) end,
        i64 = function() return math.random(-2 ^ 31, 2 ^ 31) end,
        u256 = function() return tostring(math.random(0, 2 ^ 31)) .. ("0"):rep(math.random(0, 60)) end,
        bool = function() return math.random(2) == 1 end,
        f64 = function() return math.random() end,
        string = function() return ("s"):rep(math.random(50) == 1 and math.random(200000) or math.random(0, 30)) end,
        bytes = function() return ("\0\255"):rep(math.random(0, 20)) end,
        ["[u32]"] = function() return math.random(2) == 1 and {} or { 1, math.random(9) } end,
        ["option(string)"] = function()
            return math.random(2) == 1 and { tag = "none" } or { tag = "some", value = "x" }
        end,
    }
    local kinds = {}
    for kind in pairs(makers) do kinds[#kinds + 1] = kind end
    table.sort(kinds)

    local function random_table(number)
        local declared = { name = "table_" .. number, columns = {}, indexes = {}, sequences = {} }
        if math.random(3) > 1 then
            declared.columns[1] = { "id", "u64" }
            local index_kinds = { "btree", "hash", "direct" }
            declared.indexes[1] = { "id", kind = index_kinds[math.random(3)], unique = math.random(2) == 1 }
            if math.random(2) == 1 then declared.sequences[1] = { "id" } end
        end
        for column = 1, math.random(1, 6) do
            table.insert(declared.columns, { "column_" .. column, kinds[math.random(#kinds)] })
            local kind = declared.columns[#declared.columns][2]
            if math.random(4) == 1 and not kind:find "[%[(]" and kind ~= "bytes" then
                table.insert(declared.indexes, { "column_" .. column, kind = math.random(2) == 1 and "hash" or "btree" })
            end
        end
        return declared
    end

    local function fill(stored, count)
        for id = 1, count do
            local values = { id = id }
            for _, column in ipairs(stored.declared.columns) do
                if column[1] ~= "id" then values[column[1]] = makers[column[2]]() end
            end
            local row = stored:row(values)
            if not stored:has(row) then stored:restore(row) end
        end
    end

    it("come back as they were", function()
        local seed = sim.seed()
        math.randomseed(seed)
        local folder = snap.folder()
        for round = 1, 15 do
            local tables = {}
            for number = 1, math.random(0, 6) do
                table.insert(tables, math.random(#tables + 1), random_table(number))
            end
            local world = store.world(tables)
            for _, declared in ipairs(tables) do
                fill(world:table(declared.name), math.random(3) == 1 and 0 or math.random(2000))
            end
            folder:take(world, { offset = round, publish = ("p"):rep(math.random(0, 300000)) })
            assert(folder:verify(round), "seed " .. seed)
            local _, copy = assert(folder:load(round, world))
            assert_same_rows(world, copy, "seed " .. seed)
            assert.same(ids_of(world), ids_of(copy), "seed " .. seed)
            copy:check()
            copy:free()
            world:free()
        end
        folder:free()
    end)
end)
