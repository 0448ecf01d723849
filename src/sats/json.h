/* json — SATS-JSON, both dialects, straight between text and BSATN.
 *
 * Typed output names things: {"x":1}, {"Circle":2}, {"none":[]}. Untyped output counts them: [1], [0,2],
 * [1,[]]. Input takes either, and null for an absent option. Source of the format: SATS-JSON as
 * SpacetimeDB 2.8 speaks it. */
#pragma once

#include "sats/type.h"

enum json_style { JSON_TYPED, JSON_UNTYPED };

/* `value` is valid BSATN of `type`. */
void json_print(struct buf *out, const struct type *type, bytes value, enum json_style style);

/* Parses one JSON text as a value of `type` and appends its BSATN. Trailing text is refused. Errors
 * carry the path: "args[1].pos.x: expected f32, found a string". Depth is limited to BSATN_DEPTH_MAX. */
err json_parse(const struct type *type, bytes text, struct buf *out, struct diag *diag);

/* A JSON string with quotes and escapes. */
void json_print_string(struct buf *out, bytes text);
