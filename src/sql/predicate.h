/* predicate — a condition as a flat program over the bytes of a row, or of a row of each source.
 *
 * Each node is one comparison and knows where to go when it holds and when it does not. AND, OR and constants
 * are gone: they have become these ways. So evaluation is a loop without recursion, and short-circuits.
 *
 *     a = 1 AND (b > 2 OR c < 3)        a = 1 ──yes──> b > 2 ──no──> c < 3 ──yes──> match
 *                                         │no            │yes          │no
 *                                       reject         match         reject
 *
 * Rules
 *   E1  Ways lead to later nodes of the array, to match or to reject: evaluation ends.
 *   E2  Numbers of up to 64 bits, floats among them, are compared as unsigned keys that order like them.
 *   E3  Floats are in IEEE total order, but the two zeros are equal. Exactly one of < = > holds.
 *
 * Cost    A column before the first one of variable size is a load; one behind it is found by walking. */
#pragma once

#include "sql/resolver.h"

/* Makes the program in the arena; NULL when every row passes. *never is set when none does. */
struct query_node *predicate_make(struct arena *arena, const struct source *sources, const struct condition *where,
                                  bool *never);

/* `rows` has a row for each source that the condition looks at, at the source's place. NULL passes. */
bool predicate_matches(const struct query_node *entry, const uint8_t *const *rows);
