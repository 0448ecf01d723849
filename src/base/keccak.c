/* Keccak with a rate of 136 bytes and the padding of the original submission. */
#include "base/hash.h"

enum { RATE = 136, LANES = RATE / 8, ROUNDS = 24 };

static uint64_t rotate_left(uint64_t value, unsigned count)
{
    return count == 0 ? value : value << count | value >> (64 - count);
}

/* The round constants come from an 8-bit shift register; its output bit j stands at place 2^j - 1. */
static uint64_t round_constant(uint8_t *shift_register)
{
    uint64_t constant = 0;
    for (unsigned bit = 0; bit < 7; bit++) {
        if ((*shift_register & 1) != 0)
            constant |= 1ull << ((1u << bit) - 1);
        *shift_register = (uint8_t)(*shift_register << 1 ^ ((*shift_register & 0x80) != 0 ? 0x71 : 0));
    }
    return constant;
}

static void columns_mix(uint64_t lane[25])
{
    uint64_t parity[5];
    for (int x = 0; x < 5; x++)
        parity[x] = lane[x] ^ lane[x + 5] ^ lane[x + 10] ^ lane[x + 15] ^ lane[x + 20];
    for (int x = 0; x < 5; x++) {
        const uint64_t change = parity[(x + 4) % 5] ^ rotate_left(parity[(x + 1) % 5], 1);
        for (int y = 0; y < 25; y += 5)
            lane[x + y] ^= change;
    }
}

/* Follows one lane through all the others: each is turned and takes the place of the next. */
static void lanes_turn(uint64_t lane[25])
{
    uint64_t carried = lane[1];
    int x = 1, y = 0;
    for (unsigned step = 0; step < 24; step++) {
        const int next_y = (2 * x + 3 * y) % 5;
        x = y;
        y = next_y;
        const uint64_t displaced = lane[x + 5 * y];
        lane[x + 5 * y] = rotate_left(carried, (step + 1) * (step + 2) / 2 % 64);
        carried = displaced;
    }
}

static void rows_mix(uint64_t lane[25])
{
    for (int y = 0; y < 25; y += 5) {
        uint64_t row[5];
        memcpy(row, lane + y, sizeof row);
        for (int x = 0; x < 5; x++)
            lane[x + y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
    }
}

static void lanes_permute(uint64_t lane[25])
{
    uint8_t shift_register = 1;
    for (int round = 0; round < ROUNDS; round++) {
        columns_mix(lane);
        lanes_turn(lane);
        rows_mix(lane);
        lane[0] ^= round_constant(&shift_register);
    }
}

static void block_absorb(uint64_t lane[25], const uint8_t *block)
{
    for (int idx = 0; idx < LANES; idx++) {
        uint64_t word;
        memcpy(&word, block + 8 * idx, 8);
        lane[idx] ^= word;
    }
    lanes_permute(lane);
}

void keccak256(const void *data, size_t size, uint8_t digest[32])
{
    uint64_t lane[25] = { 0 };
    const uint8_t *at = data;
    for (; size >= RATE; at += RATE, size -= RATE)
        block_absorb(lane, at);

    uint8_t last[RATE] = { 0 };
    if (size > 0)
        memcpy(last, at, size);
    last[size] ^= 0x01;
    last[RATE - 1] ^= 0x80;
    block_absorb(lane, last);
    memcpy(digest, lane, 32);
}
