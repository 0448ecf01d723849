/* Checksums and hashes.
 * crc32c    Castagnoli polynomial (RFC 3720 B.4), with SSE4.2 where the processor has it
 * hash_mix  wyhash-style 64-bit mixing for tables in memory; not for anything stored
 * blake3    https://github.com/BLAKE3-team/BLAKE3-specs; identities
 * keccak256 the original padding (0x01), as program hashes use it, not NIST's SHA3 */
#pragma once

#include "base/base.h"

uint32_t crc32c(uint32_t seed, const void *data, size_t size); /* seed 0 to start, or a previous sum */
/* The same sum by tables alone, for specs on processors that have the instruction. */
uint32_t crc32c_portable(uint32_t seed, const void *data, size_t size);
uint64_t hash_bytes(const void *data, size_t size);
void blake3(const void *data, size_t size, uint8_t digest[32]);
void keccak256(const void *data, size_t size, uint8_t digest[32]);

static inline uint64_t hash_mix(uint64_t left, uint64_t right)
{
    const __uint128_t product = (__uint128_t)(left ^ 0xa0761d6478bd642full) * (right ^ 0xe7037ed1a0b428dbull);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_u64(uint64_t value) { return hash_mix(value, 0x8ebc6af09c88c6e3ull); }
