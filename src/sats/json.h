/* json — SATS-JSON, all dialects, straight between text and BSATN.
 *
 * Typed output names things: {"x":1}, {"Circle":2}, {"none":[]}. Untyped output counts them: [1], [0,2],
 * [1,[]]. Stored output, which v1 uses for rows that come from a table, names fields and counts variants:
 * {"x":1}, [0,2], [1,{}]. Where a name is missing, typed output counts too. Input takes either, fields in any order,
 * null for an absent option, and a string of hex digits for an identity or a connection id. Source of the
 * format: SATS-JSON as SpacetimeDB 2.8 speaks it. */
#pragma once

#include "sats/type.h"

enum json_style { JSON_TYPED, JSON_UNTYPED, JSON_STORED };

/* `value` is valid BSATN of `type`. */
void json_print(struct buf *out, const struct type *type, bytes value, enum json_style style);
/* The same without the values of `apart`, a product without fields that nothing else in `type` is: the text has
 * nothing where they stand, and those places in `out` are appended to `places`, a size_t each. */
void json_print_around(struct buf *out, const struct type *type, bytes value, enum json_style style,
                       const struct type *apart, struct buf *places);

/* Parses one JSON text as a value of `type` and appends its BSATN, or appends nothing. Trailing text is
 * refused. Errors carry the path, with names where there are any, whichever way the text counts or names:
 * "tags[1].pos.x: expected f32, found a string". Depth is limited to BSATN_DEPTH_MAX. */
err json_parse(const struct type *type, bytes text, struct buf *out, struct diag *diag);
/* The same for the arguments of a reducer, one value of its parameters: "argument `pos.x`: expected f32, ..." */
err json_parse_args(const struct type *params, bytes text, struct buf *out, struct diag *diag);

/* A JSON string with quotes and escapes. */
void json_print_string(struct buf *out, bytes text);
