#include "net/vouched.h"

#include "base/hash.h"

enum { SET_COUNT = 2048, SET_SIZE = 8 };

struct digest {
    uint8_t at[32];
};

/* Newest first. An unused place holds zeros, which are the digest of nothing that anybody could find. */
struct vouched {
    struct digest sets[SET_COUNT][SET_SIZE];
};

struct vouched *vouched_new(void)
{
    return memory_new(sizeof(struct vouched));
}

void vouched_free(struct vouched *vouched)
{
    memory_free(vouched);
}

static struct digest digest_of(bytes token)
{
    struct digest digest;
    blake3(token.at, token.size, digest.at);
    return digest;
}

static uint32_t set_of(const struct digest *digest)
{
    return (digest->at[0] | (uint32_t)digest->at[1] << 8) % SET_COUNT;
}

bool vouched_has(const struct vouched *vouched, bytes token)
{
    const struct digest digest = digest_of(token);
    const struct digest *set = vouched->sets[set_of(&digest)];
    for (uint32_t idx = 0; idx < SET_SIZE; idx++)
        if (memcmp(&set[idx], &digest, sizeof digest) == 0)
            return true;
    return false;
}

void vouched_add(struct vouched *vouched, bytes token)
{
    const struct digest digest = digest_of(token);
    struct digest *set = vouched->sets[set_of(&digest)];
    memmove(&set[1], &set[0], (SET_SIZE - 1) * sizeof *set);
    set[0] = digest;
}
