/* Checksums for the disk and hashes for memory. The processor's own crc32c instruction is chosen once,
 * when the program is loaded; the tables do the same work everywhere else. */
#include "base/hash.h"

enum { CRC_POLYNOMIAL_REVERSED = 0x82f63b78 };

/* crc_tables[n][byte] is the sum of `byte` followed by n zero bytes. */
static uint32_t crc_tables[8][256];

static void crc_tables_fill(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t sum = byte;
        for (int bit = 0; bit < 8; bit++)
            sum = (sum >> 1) ^ ((sum & 1) != 0 ? (uint32_t)CRC_POLYNOMIAL_REVERSED : 0);
        crc_tables[0][byte] = sum;
    }
    for (uint32_t zeros = 1; zeros < 8; zeros++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            const uint32_t before = crc_tables[zeros - 1][byte];
            crc_tables[zeros][byte] = (before >> 8) ^ crc_tables[0][before & 0xff];
        }
    }
}

static uint64_t load_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t load_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t crc_by_tables(uint32_t sum, const uint8_t *at, size_t size)
{
    for (; size >= 8; at += 8, size -= 8) {
        const uint64_t word = load_u64(at) ^ sum;
        sum = 0;
        for (int idx = 0; idx < 8; idx++)
            sum ^= crc_tables[7 - idx][(word >> (8 * idx)) & 0xff];
    }
    for (; size > 0; at++, size--)
        sum = (sum >> 8) ^ crc_tables[0][(sum ^ *at) & 0xff];
    return sum;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_by_processor(uint32_t sum, const uint8_t *at, size_t size)
{
    uint64_t wide = sum;
    for (; size >= 8; at += 8, size -= 8)
        wide = __builtin_ia32_crc32di(wide, load_u64(at));
    sum = (uint32_t)wide;
    for (; size > 0; at++, size--)
        sum = __builtin_ia32_crc32qi(sum, *at);
    return sum;
}
#endif

static uint32_t (*crc_run)(uint32_t sum, const uint8_t *at, size_t size) = crc_by_tables;

__attribute__((constructor)) static void crc_choose(void)
{
    crc_tables_fill();
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2"))
        crc_run = crc_by_processor;
#endif
}

uint32_t crc32c(uint32_t seed, const void *data, size_t size)
{
    return ~crc_run(~seed, data, size);
}

uint32_t crc32c_portable(uint32_t seed, const void *data, size_t size)
{
    return ~crc_by_tables(~seed, data, size);
}

/* Up to 16 bytes as two words; the words overlap where the size is not 8 or 16. */
static uint64_t short_hash(const uint8_t *at, size_t size, uint64_t state)
{
    uint64_t left = 0;
    uint64_t right = 0;
    if (size >= 8) {
        left = load_u64(at);
        right = load_u64(at + size - 8);
    } else if (size >= 4) {
        left = load_u32(at);
        right = load_u32(at + size - 4);
    } else if (size > 0) {
        left = (uint64_t)at[0] << 16 | (uint64_t)at[size / 2] << 8 | at[size - 1];
    }
    return hash_mix(hash_mix(left ^ state, right), size);
}

uint64_t hash_bytes(const void *data, size_t size)
{
    const uint8_t *at = data;
    size_t left = size;
    uint64_t state = hash_u64(size);
    uint64_t other = ~state;
    for (; left > 32; at += 32, left -= 32) {
        state = hash_mix(load_u64(at) ^ state, load_u64(at + 8));
        other = hash_mix(load_u64(at + 16) ^ other, load_u64(at + 24));
    }
    if (size > 32)
        state ^= other;
    if (left > 16) {
        state = hash_mix(load_u64(at) ^ state, load_u64(at + 8));
        at += 16;
        left -= 16;
    }
    return short_hash(at, left, state);
}
