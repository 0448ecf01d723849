/* stem — the bytes that all keys of a B-tree begin with, where keys are strings or byte arrays.
 *
 * Names tend to begin alike, "player_17" and "player_204", and then a number made of their first bytes tells nothing.
 * Made of the bytes behind the stem it does. The stem is as long as the first key at most, and gets shorter when a key
 * comes that does not begin with it; never longer while the tree has entries. */
#pragma once

#include "sats/type.h"

enum { STEM_MAX = 64 };

struct stem {
    bool applies; /* keys are sized bytes; nothing else here is used otherwise */
    uint32_t size;
    uint8_t bytes[STEM_MAX];
};

void stem_init(struct stem *stem, const struct type *type);
/* `at` is a key's BSATN: the only one there is, or one that comes to others. The latter: whether the stem has changed. */
void stem_start(struct stem *stem, const uint8_t *at);
bool stem_shorten(struct stem *stem, const uint8_t *at);
/* 0 when a key begins with the stem; else -1 or 1, as it stands before or behind all keys that do. */
int stem_side(const struct stem *stem, const uint8_t *at);
/* Orders keys that begin with the stem, as far as eight bytes behind it do. */
uint64_t stem_prefix(const struct stem *stem, const uint8_t *at);
