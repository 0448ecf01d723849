/* literal — a value as SQL writes it, read at the type of the column it meets.
 *
 *     integers           12, -3, 1e3, 1.5e1: decimal, whole, in range
 *     f32, f64           1.5, 1e999 (infinity), 'NaN', 'inf'
 *     string             'it''s'; a bare number is its own text
 *     bool               TRUE, FALSE
 *     Timestamp          '2026-11-20T08:15:30Z'
 *     Identity           0x… or X'…', 64 digits, as printed; ConnectionId: 32 digits
 *     array<u8>          0x… or X'…', byte by byte
 *     Uuid               '01234567-89ab-…'
 *
 * Text in quotes does for every type: '5' is a number where the column is one. What is no value of the column's type is
 * refused, in a comparison too: `level < -19` of a u32 names the range of a u32 and is no condition that nothing meets,
 * since a value out of range is most often a mistake, and SpacetimeDB refuses it as well. */
#pragma once

#include "sql/ast.h"

/* Whether columns of the type can stand in a comparison. */
bool literal_type_is_comparable(const struct type *type);

/* Appends the value in BSATN; false when the text is no value of the type. `out` may have grown then. */
bool literal_read(const struct type *type, const struct ast_literal *literal, struct buf *out);
