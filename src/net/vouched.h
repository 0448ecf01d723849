/* vouched — tokens whose signature has been found good, so that it is checked once: checking costs 60 us, looking here one.
 *
 * Kept are digests (BLAKE3) of whole tokens, signature included: another token, or one that was changed in a single bit,
 * is a stranger. There is room for 16,384; beyond that the oldest of those that share a place goes.
 *
 * Nothing is said here of what a token claims: its expiry and all the rest are read each time (K2 of token.h). */
#pragma once

#include "base/base.h"

struct vouched;

struct vouched *vouched_new(void);
void vouched_free(struct vouched *vouched);
bool vouched_has(const struct vouched *vouched, bytes token);
void vouched_add(struct vouched *vouched, bytes token);
