--- Snapshots of the core for specs: a folder of them, written from and loaded into worlds of store.lua.
---
---     local folder = snap.folder()
---     assert(folder:write(world, { offset = 7 }))
---     assert(folder:publish(7))
---     local head, copy = assert(folder:load(7, world))
---
--- Calls give true (or what they are for), or nil, the sentence and the code.
local ffi = require("ffi")
local store = require("spec.support.store")

-- All specs share one FFI: what others may declare, too, has a name of its own here.
ffi.cdef [[
int snap_setrlimit(int resource, const uint64_t limit[2]) __asm__("setrlimit");
int snap_getrlimit(int resource, uint64_t limit[2]) __asm__("getrlimit");
void *snap_signal(int number, void *handler) __asm__("signal");
]]

local core, diag = store.core, store.diag
local snap = { core = core }
local folder = {}
folder.__index = folder

snap.DISK, snap.CORRUPT, snap.IN_USE, snap.NEWER_FORMAT, snap.BUSY, snap.NOT_FOUND = 401, 402, 403, 404, 304, 106
snap.LABEL_SIZE = 80

--- A new folder on the real disk, or "snaps" on another one.
function snap.folder(disk)
    local self = setmetatable({ id = ("i"):rep(16), path = "snaps", is_real = disk == nil }, folder)
    if self.is_real then
        self.path = os.tmpname()
        os.remove(self.path)
    end
    self.options = ffi.new("struct snap_options", disk or core.disk_real(), self.path)
    return self
end

function folder:free()
    self:watch(nil)
    if self.is_real then
        os.execute("rm -rf " .. self.path)
    end
end

--- Calls `progress(done, all)` from now on; nil ends it. What it returns decides whether work goes on.
function folder:watch(progress)
    if self.callback then
        self.options.progress = nil
        self.callback:free()
        self.callback = nil
    end
    if progress then
        self.callback = ffi.cast("bool (*)(void *, uint64_t, uint64_t)", function(_, done, all)
            return progress(tonumber(done), tonumber(all))
        end)
        self.options.progress = self.callback
    end
end

function folder:name(offset)
    return ("%s/%020d.snap"):format(self.path, offset)
end

local function head_of(id, what, kept)
    local head = ffi.new("struct snap_head")
    local clients = ffi.new("struct snap_client[?]", #(what.clients or {}))
    for place, client in ipairs(what.clients or {}) do
        clients[place - 1].number = client.number
        ffi.copy(clients[place - 1].who, client.who, 32)
        ffi.copy(clients[place - 1].connection, client.connection, 16)
    end
    ffi.copy(head.database_id, id, 16)
    ffi.copy(head.first_hash, what.first_hash or ("h"):rep(32), 32)
    head.offset, head.timestamp_us, head.publish_offset = what.offset, what.timestamp or 0, what.publish_offset or 0
    head.last_client, head.client_count, head.clients = what.last_client or 0, #(what.clients or {}), clients
    local ticks = ffi.new("struct snap_tick[?]", math.max(#(what.ticks or {}), 1), what.ticks or {})
    head.tick_count, head.ticks = #(what.ticks or {}), ticks
    kept.publish, kept.clients, kept.ticks = what.publish or "", clients, ticks
    head.publish = store.bytes(kept.publish)
    return head
end

--- Writes the world as it is, under the temporary name. `what` is the head as a table.
function folder:write(world, what)
    local kept = {}
    local head = head_of(self.id, what, kept)
    local frozen = core.store_freeze(world.store)
    local code = core.snap_write(self.options, frozen, head, diag)
    core.frozen_drop(frozen)
    return store.refused(code)
end

function folder:publish(offset)
    return store.refused(core.snap_publish(self.options, offset, diag))
end

function folder:verify(offset)
    return store.refused(core.snap_verify(self.options, offset, diag))
end

function folder:remove(offset)
    return store.refused(core.snap_remove(self.options, offset, diag))
end

--- Writes and publishes.
function folder:take(world, what)
    assert(self:write(world, what))
    assert(self:publish(what.offset))
end

local function head_read(head)
    local clients = {}
    for place = 0, head.client_count - 1 do
        local client = head.clients[place]
        clients[place + 1] = { number = tonumber(client.number), who = ffi.string(client.who, 32),
            connection = ffi.string(client.connection, 16) }
    end
    local ticks = {}
    for place = 0, head.tick_count - 1 do
        local tick = head.ticks[place]
        ticks[place + 1] = { tick.schedule_id, tonumber(tick.row_id), tonumber(tick.last_us) }
    end
    return { ticks = ticks, offset = tonumber(head.offset), timestamp = tonumber(head.timestamp_us),
        publish_offset = tonumber(head.publish_offset), last_client = tonumber(head.last_client), clients = clients,
        first_hash = ffi.string(head.first_hash, 32), publish = ffi.string(head.publish.at, head.publish.size),
        id = ffi.string(head.database_id, 16) }
end

--- The head, and a world with what was loaded. `like` is a world whose tables it should have, for their types.
function folder:load(offset, like, id)
    local world = setmetatable({ store = ffi.new("struct store"), declared = like.declared }, getmetatable(like))
    local head, storage = ffi.new("struct snap_head"), ffi.new("struct arena")
    local code = core.snap_load(self.options, offset, id or self.id, world.store, head, storage, diag)
    local read = code == 0 and head_read(head)
    core.arena_deinit(storage)
    if code ~= 0 then
        assert(world.store.schema == nil and world.store.table_count == 0)
        return store.refused(code)
    end
    return read, world
end

function folder:peek(offset)
    local label = ffi.new("struct snap_label")
    local code = core.snap_peek(self.options, offset, label, diag)
    if code ~= 0 then
        return store.refused(code)
    end
    return { offset = tonumber(label.offset), timestamp = tonumber(label.timestamp_us), rows = tonumber(label.row_count),
        id = ffi.string(label.database_id, 16), content_size = tonumber(label.content_size) }
end

local function list_by(call)
    return function(self)
        local buf, offsets = ffi.new("struct buf"), {}
        local code = call(self.options, buf, diag)
        for place = 0, tonumber(buf.size) / 8 - 1 do
            offsets[place + 1] = tonumber(ffi.cast("uint64_t *", buf.data)[place])
        end
        core.buf_deinit(buf)
        if code ~= 0 then
            return store.refused(code)
        end
        return offsets
    end
end

folder.list = list_by(core.snap_list)
folder.offsets = list_by(core.snap_offsets)

-- These may call back, and C that compiled code has called cannot.
jit.off(folder.write)
jit.off(folder.verify)
jit.off(folder.load)

--- Rows of a chunk into the table `into`, or into none to only look at them: how many there were. `like` is the table.
function snap.load_chunk(count, rows, like, into)
    local chunk = ffi.string(ffi.new("uint32_t[1]", count), 4) .. rows
    local done = ffi.new("uint32_t[1]")
    local code = core.chunk_load(store.bytes(chunk), like.pointer.def, into and into.pointer, done, diag)
    if code ~= 0 then
        return store.refused(code)
    end
    return done[0]
end

-- Tables --------------------------------------------------------------------------------------------------------

local function ids_of(def)
    local ids = { def.id }
    for place = 0, def.index_count - 1 do
        ids[#ids + 1] = def.indexes[place].id
    end
    for place = 0, def.sequence_count - 1 do
        ids[#ids + 1] = def.sequences[place].id
    end
    return ids
end

--- The id of a table, of its indexes and of its sequences, in a list.
function snap.ids(stored)
    return ids_of(ffi.cast("const struct table_def *", stored.pointer.def))
end

function snap.encode_ids(world)
    return core.written(core.schema_ids_encode, world.store.schema)
end

--- The ids of the only table in the world's schema, had that been kept with these; and the next one.
function snap.restore_schema(world, ids)
    local schema = ffi.new("struct schema *[1]")
    local def = ffi.cast("struct schema *", world.store.schema).def
    local code = core.schema_restore(ffi.new("bytes", def.at, def.size), store.bytes(ids), schema, diag)
    if code ~= 0 then
        assert(schema[0] == nil)
        return store.refused(code)
    end
    local restored = ids_of(schema[0].tables[0])
    restored.next = schema[0].next_id
    core.schema_free(schema[0])
    return restored
end

--- Calls `work` while no file may become larger than `size` bytes.
function snap.with_file_limit(size, work)
    local SIGXFSZ, RLIMIT_FSIZE, IGNORE = 25, 1, ffi.cast("void *", 1)
    local before, limit = ffi.new("uint64_t[2]"), ffi.new("uint64_t[2]")
    local handler = ffi.C.snap_signal(SIGXFSZ, IGNORE)
    ffi.C.snap_getrlimit(RLIMIT_FSIZE, before)
    limit[0], limit[1] = size, before[1]
    ffi.C.snap_setrlimit(RLIMIT_FSIZE, limit)
    local function finish(done, ...)
        ffi.C.snap_setrlimit(RLIMIT_FSIZE, before)
        ffi.C.snap_signal(SIGXFSZ, handler)
        assert(done, ...)
        return ...
    end
    return finish(pcall(work))
end

-- Files ---------------------------------------------------------------------------------------------------------

function snap.read_file(path)
    local file = io.open(path, "rb")
    if not file then
        return nil
    end
    local content = file:read("*a")
    file:close()
    return content
end

function snap.write_file(path, content)
    local file = assert(io.open(path, "wb"))
    file:write(content)
    file:close()
end

--- The file's bytes with the sums made right again, so that a change behind them counts; the label as well, if not
--- told to keep it as it was.
function snap.reseal(content, keep_label)
    local label_at = #content - snap.LABEL_SIZE
    local label = ffi.new("uint8_t[80]")
    ffi.copy(label, content:sub(label_at + 1), 80)
    local size = tonumber(ffi.cast("uint64_t *", label + 16)[0])
    local sums = {}
    for start = 1, size, 65536 do
        local block = content:sub(start, math.min(start + 65535, size))
        sums[#sums + 1] = ffi.string(ffi.new("uint32_t[1]", core.crc32c(0, block, #block)), 4)
    end
    local all = table.concat(sums)
    if keep_label then
        return content:sub(1, size) .. all .. content:sub(label_at + 1)
    end
    ffi.cast("uint32_t *", label + 64)[0] = core.crc32c(0, all, #all)
    ffi.cast("uint32_t *", label + 76)[0] = core.crc32c(0, label, 76)
    return content:sub(1, size) .. all .. ffi.string(label, 80)
end

return snap
