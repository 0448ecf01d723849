/* BLAKE3 in its plain mode with 32 bytes of output: a binary tree over chunks of 1024 bytes. */
#include "base/hash.h"

enum { CHUNK_SIZE = 1024, BLOCK_SIZE = 64 };
enum { FLAG_CHUNK_START = 1, FLAG_CHUNK_END = 2, FLAG_PARENT = 4, FLAG_ROOT = 8 };

static const uint32_t initial_chain[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static uint32_t rotate_right(uint32_t value, int count)
{
    return value >> count | value << (32 - count);
}

static void quarter_mix(uint32_t s[16], int a, int b, int c, int d, uint32_t first, uint32_t second)
{
    s[a] += s[b] + first;
    s[d] = rotate_right(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = rotate_right(s[b] ^ s[c], 12);
    s[a] += s[b] + second;
    s[d] = rotate_right(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = rotate_right(s[b] ^ s[c], 7);
}

static void round_mix(uint32_t s[16], const uint32_t m[16])
{
    quarter_mix(s, 0, 4, 8, 12, m[0], m[1]);
    quarter_mix(s, 1, 5, 9, 13, m[2], m[3]);
    quarter_mix(s, 2, 6, 10, 14, m[4], m[5]);
    quarter_mix(s, 3, 7, 11, 15, m[6], m[7]);
    quarter_mix(s, 0, 5, 10, 15, m[8], m[9]);
    quarter_mix(s, 1, 6, 11, 12, m[10], m[11]);
    quarter_mix(s, 2, 7, 8, 13, m[12], m[13]);
    quarter_mix(s, 3, 4, 9, 14, m[14], m[15]);
}

static void words_permute(uint32_t m[16])
{
    static const uint8_t order[16] = { 2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8 };
    uint32_t from[16];
    memcpy(from, m, sizeof from);
    for (int idx = 0; idx < 16; idx++)
        m[idx] = from[order[idx]];
}

/* Takes one block into `chain`. A block shorter than 64 bytes is filled up with zeros. */
static void block_compress(uint32_t chain[8], const uint8_t *block, size_t size, uint64_t counter, uint32_t flags)
{
    uint32_t words[16] = { 0 };
    if (size > 0)
        memcpy(words, block, size);

    uint32_t state[16];
    memcpy(state, chain, 32);
    memcpy(state + 8, initial_chain, 16);
    state[12] = (uint32_t)counter;
    state[13] = (uint32_t)(counter >> 32);
    state[14] = (uint32_t)size;
    state[15] = flags;

    for (int round = 0; round < 7; round++) {
        if (round > 0)
            words_permute(words);
        round_mix(state, words);
    }
    for (int idx = 0; idx < 8; idx++)
        chain[idx] = state[idx] ^ state[idx + 8];
}

static void chunk_digest(const uint8_t *at, size_t size, uint64_t counter, uint32_t root, uint32_t chain[8])
{
    memcpy(chain, initial_chain, 32);
    uint32_t flags = FLAG_CHUNK_START;
    for (; size > BLOCK_SIZE; at += BLOCK_SIZE, size -= BLOCK_SIZE) {
        block_compress(chain, at, BLOCK_SIZE, counter, flags);
        flags = 0;
    }
    block_compress(chain, at, size, counter, flags | FLAG_CHUNK_END | root);
}

/* The left side holds the greatest power of two of whole chunks that leaves something to the right. */
static size_t left_size(size_t size)
{
    const size_t chunks = (size - 1) / CHUNK_SIZE;
    size_t power = 1;
    while (power * 2 <= chunks)
        power *= 2;
    return power * CHUNK_SIZE;
}

/* As deep as the tree: the binary logarithm of the number of chunks. */
static void tree_digest(const uint8_t *at, size_t size, uint64_t counter, uint32_t root, uint32_t chain[8])
{
    if (size <= CHUNK_SIZE) {
        chunk_digest(at, size, counter, root, chain);
        return;
    }
    const size_t left = left_size(size);
    uint32_t sides[16];
    tree_digest(at, left, counter, 0, sides);
    tree_digest(at + left, size - left, counter + left / CHUNK_SIZE, 0, sides + 8);

    memcpy(chain, initial_chain, 32);
    block_compress(chain, (const uint8_t *)sides, BLOCK_SIZE, 0, FLAG_PARENT | root);
}

void blake3(const void *data, size_t size, uint8_t digest[32])
{
    uint32_t chain[8];
    tree_digest(data, size, 0, FLAG_ROOT, chain);
    memcpy(digest, chain, 32);
}
