/* bsatn — values in bytes: checking, walking, comparing.
 *
 * Values are kept and moved as BSATN everywhere: a row in a table, in the log, in a delta and on the
 * wire is the same bytes. So nothing here builds a tree; these functions walk the bytes by their type.
 *
 * Only bsatn_check() meets bytes from outside. All others work on bytes that passed it. */
#pragma once

#include "sats/type.h"

enum { BSATN_DEPTH_MAX = TYPE_DEPTH_MAX };

/* Elements of zero size that one value may hold in all: they cost no bytes, so the input does not bound
 * them, yet whoever prints or walks the value pays for each. */
enum { BSATN_EMPTY_ELEMENTS_MAX = 65536 };

/* Whether `value` begins with a valid value of `type`; *used gets its size. Refuses short input, unknown
 * tags, bools other than 0 and 1, bad UTF-8, counts beyond the input, and more empty elements than
 * BSATN_EMPTY_ELEMENTS_MAX. Errors carry the path: "pos[3].name: the string is not valid UTF-8". */
err bsatn_check(const struct type *type, bytes value, size_t *used, struct diag *diag);
/* The same for the arguments of a reducer, one value of its parameters: "argument `pos[3].name`: the string ..." */
err bsatn_check_args(const struct type *params, bytes value, size_t *used, struct diag *diag);

/* The size of the valid value at `at`. */
size_t bsatn_size(const struct type *type, const uint8_t *at);

/* Orders two valid values of one type: numbers by value (floats: IEEE total order, so NaN has a place),
 * strings and byte arrays by their bytes, products and arrays element by element, sums by tag first. */
int bsatn_compare(const struct type *type, const uint8_t *left, const uint8_t *right);

/* A number that orders like the value: left < right implies prefix(left) <= prefix(right). Equal
 * prefixes say nothing, unless bsatn_prefix_is_exact(type): then they mean equal values. */
uint64_t bsatn_prefix(const struct type *type, const uint8_t *at);
bool bsatn_prefix_is_exact(const struct type *type);
