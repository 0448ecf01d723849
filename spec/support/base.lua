--- The lowest layer of the core through the FFI: hashes, numbers, text, maps, the real disk.
local ffi = require "ffi"

-- All specs share one LuaJIT, and so one space of C names: these have names of their own.
ffi.cdef [[
typedef struct base_bytes { const uint8_t *at; size_t size; } base_bytes;
struct base_buf { uint8_t *data; size_t size; size_t capacity; };
void base_buf_init(struct base_buf *buf) __asm__("buf_init");
void base_buf_deinit(struct base_buf *buf) __asm__("buf_deinit");
uint32_t base_crc32c(uint32_t seed, const void *data, size_t size) __asm__("crc32c");
uint32_t base_crc32c_portable(uint32_t seed, const void *data, size_t size) __asm__("crc32c_portable");
uint64_t base_hash_bytes(const void *data, size_t size) __asm__("hash_bytes");
void base_blake3(const void *data, size_t size, uint8_t digest[32]) __asm__("blake3");
void base_keccak256(const void *data, size_t size, uint8_t digest[32]) __asm__("keccak256");
bool base_text_is_utf8(base_bytes text) __asm__("text_is_utf8");
void base_hex_encode(struct base_buf *out, base_bytes from) __asm__("hex_encode");
bool base_hex_decode(base_bytes text, uint8_t *out, size_t size) __asm__("hex_decode");
void base_number_print(struct base_buf *out, const uint8_t *at, size_t size, bool is_signed) __asm__("number_print");
bool base_number_parse(base_bytes text, uint8_t *at, size_t size, bool is_signed) __asm__("number_parse");
void base_number_print_hex(struct base_buf *out, const uint8_t *at, size_t size, bool is_signed)
  __asm__("number_print_hex");
void base_float_print(struct base_buf *out, float value) __asm__("float_print");
void base_double_print(struct base_buf *out, double value) __asm__("double_print");
int base_text_nearest(base_bytes wanted, const base_bytes *names, size_t count) __asm__("text_nearest");
int base_bytes_compare(base_bytes left, base_bytes right) __asm__("bytes_compare");

struct base_map { void *entries; uint32_t capacity; uint32_t count; };
struct base_map_entry { uint8_t *key; uint32_t key_size; uint32_t hash; void *value; };
void base_map_init(struct base_map *map) __asm__("map_init");
void base_map_deinit(struct base_map *map) __asm__("map_deinit");
void *base_map_find(const struct base_map *map, base_bytes key) __asm__("map_find");
void *base_map_put(struct base_map *map, base_bytes key, void *value) __asm__("map_put");
void *base_map_remove(struct base_map *map, base_bytes key) __asm__("map_remove");
struct base_map_entry *base_map_next(const struct base_map *map, uint32_t *place) __asm__("map_next");

struct base_diag { int code; char text[1500]; };
int base_diag_set(struct base_diag *diag, int code, const char *format, ...) __asm__("diag_set");
int base_diag_note(struct base_diag *diag, const char *format, ...) __asm__("diag_note");
const char *base_err_text(int code) __asm__("err_text");

struct base_disk {
  void *self;
  int (*open)(void *self, const char *path, bool create, void **file, struct base_diag *diag);
  void (*close)(void *self, void *file);
  int (*size)(void *self, void *file, uint64_t *size, struct base_diag *diag);
  int (*read_at)(void *self, void *file, uint64_t offset, void *out, size_t size, size_t *done, struct base_diag *diag);
  int (*write_at)(void *self, void *file, uint64_t offset, const void *from, size_t size, struct base_diag *diag);
  int (*sync)(void *self, void *file, struct base_diag *diag);
  int (*truncate)(void *self, void *file, uint64_t size, struct base_diag *diag);
  int (*reserve)(void *self, void *file, uint64_t size, struct base_diag *diag);
  int (*rename)(void *self, const char *from, const char *to, struct base_diag *diag);
  int (*remove)(void *self, const char *path, struct base_diag *diag);
  int (*make_dir)(void *self, const char *path, struct base_diag *diag);
  int (*dir_sync)(void *self, const char *path, struct base_diag *diag);
  int (*list)(void *self, const char *path, void (*found)(void *context, const char *name), void *context,
              struct base_diag *diag);
  int (*lock)(void *self, const char *path, void **file, struct base_diag *diag);
};
const struct base_disk *base_disk_real(void) __asm__("disk_real");
int base_disk_read_whole(const struct base_disk *disk, const char *path, struct base_buf *out, struct base_diag *diag)
  __asm__("disk_read_whole");
int base_disk_write_whole(const struct base_disk *disk, const char *path, base_bytes content, struct base_diag *diag)
  __asm__("disk_write_whole");
]]

local core = ffi.load(os.getenv "STDB_CORE" or "build/libstdb-core.so")

--- The functions by the names they have in C.
local C = setmetatable({}, { __index = function(_, name) return core["base_" .. name] end })

local base = { C = C }

--- A view of a Lua string; the string must outlive it.
function base.bytes(text) return ffi.new("base_bytes", ffi.cast("const uint8_t *", text), #text) end

--- Runs a function that writes into a buf and returns what it wrote.
function base.written(write, ...)
  local buf = ffi.new "struct base_buf"
  C.buf_init(buf)
  write(buf, ...)
  local text = ffi.string(buf.data, buf.size)
  C.buf_deinit(buf)
  return text
end

function base.hex(text) return (text:gsub(".", function(char) return ("%02x"):format(char:byte()) end)) end
function base.unhex(text) return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)) end

local function digest(hash, text)
  local out = ffi.new "uint8_t[32]"
  hash(text, #text, out)
  return base.hex(ffi.string(out, 32))
end

function base.blake3(text) return digest(C.blake3, text) end
function base.keccak256(text) return digest(C.keccak256, text) end
function base.crc32c(text, seed) return C.crc32c(seed or 0, text, #text) end
function base.crc32c_portable(text, seed) return C.crc32c_portable(seed or 0, text, #text) end

function base.u32_bytes(number)
  return ffi.string(ffi.new("uint32_t[1]", number), 4)
end

--- Decimal text to little-endian bytes, or nil.
function base.number_parse(text, size, is_signed)
  local out = ffi.new("uint8_t[?]", size)
  return C.number_parse(base.bytes(text), out, size, is_signed) and ffi.string(out, size) or nil
end

function base.number_print(bytes, is_signed)
  return base.written(C.number_print, bytes, #bytes, is_signed)
end

function base.number_print_hex(bytes, is_signed)
  return base.written(C.number_print_hex, bytes, #bytes, is_signed)
end

function base.nearest(wanted, names)
  local list = ffi.new("base_bytes[?]", #names)
  for idx, name in ipairs(names) do list[idx - 1] = base.bytes(name) end
  return names[C.text_nearest(base.bytes(wanted), list, #names) + 1]
end

return base
