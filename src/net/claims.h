/* claims — a strict walk over one JSON object, member by member, without building a tree.
 *
 * Tokens come from anybody, so nothing is allocated and nesting is bounded. Values are handed out as they
 * stand in the text; the few kinds that a token needs are read by claims_string() and claims_integer(). */
#pragma once

#include "base/base.h"

struct claims {
    const uint8_t *at, *end;
    bool begun, ended;
    bool failed; /* the text is not one JSON object */
};

struct claim {
    bytes name;  /* between its quotes, escapes not resolved: a name with escapes equals no plain one */
    bytes value; /* as it stands, without the white space around it */
};

struct claims claims_of(bytes text);
/* The next member; false at the end or when the text turns out not to be JSON (`failed`). */
bool claims_next(struct claims *claims, struct claim *claim);

/* Resolves a JSON string into `out`, terminated. False when it is none, holds a zero character or needs
 * `size` bytes or more. */
bool claims_string(bytes value, char *out, size_t size);
/* False when it is not an integer of at most 18 digits. */
bool claims_integer(bytes value, int64_t *out);
