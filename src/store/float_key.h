/* float_key — floats as keys, where two values of a float are unlike others.
 *
 * NaN equals nothing, not even itself, so it can be no key. The two zeros are one number with two spellings:
 * where a column belongs to an index, zero is stored without its sign, so that equal keys have equal bytes. */
#pragma once

#include "sats/type.h"

/* Whether keys of this type hold a float: one, or an option of one. */
bool float_key_is_in(const struct type *type);
/* Of a valid value of a key's type. */
bool float_key_is_nan(const struct type *type, const uint8_t *at);
bool float_key_is_negative_zero(const struct type *type, const uint8_t *at);
/* Takes the sign from a zero. */
void float_key_settle(const struct type *type, uint8_t *at);
