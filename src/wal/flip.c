#include "wal/flip.h"

#include "base/hash.h"

enum { POLYNOMIAL = 0x82f63b78 }; /* Castagnoli, reflected */

static bool is_proof(uint8_t byte)
{
    return byte != 0;
}

bool flip_in_header(const uint8_t from[FRAME_HEADER_SIZE], struct frame_header *header)
{
    uint8_t tried[FRAME_HEADER_SIZE];
    memcpy(tried, from, sizeof tried);
    for (uint32_t bit = 0; bit < FRAME_HEADER_SIZE * 8; bit++) {
        tried[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (is_proof(from[bit / 8]) && frame_header_read(tried, header))
            return true;
        tried[bit / 8] = from[bit / 8];
    }
    return false;
}

/* What one byte does to a checksum when nothing but zeros is around it. */
static uint32_t step(uint32_t state, uint32_t byte)
{
    state ^= byte;
    for (int bit = 0; bit < 8; bit++)
        state = state >> 1 ^ (state & 1 ? POLYNOMIAL : 0);
    return state;
}

/* The checksum is linear: a turned bit changes it by a number that depends on the bit's distance from the end alone.
 * So the body is walked backwards, with that number at hand for each of a byte's eight bits. */
bool flip_in_body(bytes body, uint32_t sum)
{
    uint32_t zeros[256], effect[8];
    const uint32_t wanted = crc32c(0, body.at, body.size) ^ sum;
    for (uint32_t byte = 0; byte < 256; byte++)
        zeros[byte] = step(0, byte);
    for (uint32_t bit = 0; bit < 8; bit++)
        effect[bit] = zeros[1u << bit];
    for (size_t at = body.size; at > 0; at--) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            if (effect[bit] == wanted)
                return is_proof(body.at[at - 1]);
            effect[bit] = effect[bit] >> 8 ^ zeros[effect[bit] & 0xff];
        }
    }
    return false;
}
