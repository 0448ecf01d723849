/* type — SATS algebraic types: what a column, an argument or a message can be.
 *
 * The kinds carry the tag numbers of the wire's AlgebraicType, so a type decodes without a table.
 * A type in use is resolved: it holds no TYPE_REF. Types live in an arena and never change.
 *
 * Rules
 *   T1  fixed_size is the size of every value in BSATN, or TYPE_VARIABLE.
 *   T2  plain means: any fixed_size bytes are a valid value. Checking one is comparing a size.
 *   T3  special is found by shape alone (names and kinds of the one field or the variants), as
 *       clients do.
 *   T4  depth is how many types lie inside each other, a scalar being 1. Values of types deeper than
 *       TYPE_DEPTH_MAX are refused, so every walk by type is a bounded recursion. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum type_kind {
    TYPE_REF = 0, TYPE_SUM, TYPE_PRODUCT, TYPE_ARRAY, TYPE_STRING, TYPE_BOOL,
    TYPE_I8, TYPE_U8, TYPE_I16, TYPE_U16, TYPE_I32, TYPE_U32, TYPE_I64, TYPE_U64,
    TYPE_I128, TYPE_U128, TYPE_I256, TYPE_U256, TYPE_F32, TYPE_F64,
};

enum type_special {
    SPECIAL_NONE = 0, SPECIAL_IDENTITY, SPECIAL_CONNECTION_ID, SPECIAL_TIMESTAMP, SPECIAL_TIME_DURATION,
    SPECIAL_UUID, SPECIAL_OPTION, SPECIAL_RESULT, SPECIAL_SCHEDULE_AT,
};

/* TYPE_PARTS_MAX keeps a few bytes of type description, each part naming the one before twice, from
 * becoming a type of 2^64 parts. */
enum { TYPE_VARIABLE = -1, TYPE_DEPTH_MAX = 64, TYPE_VARIANTS_MAX = 256, TYPE_PARTS_MAX = 65536 };

struct type_field {
    bytes name; /* at == NULL: unnamed */
    const struct type *type;
};

struct type {
    enum type_kind kind;
    enum type_special special;
    bool plain;
    int32_t fixed_size;         /* T1 */
    uint32_t min_size;          /* no value is shorter */
    uint32_t depth;             /* T4 */
    uint32_t ref;               /* TYPE_REF: place in the typespace */
    uint32_t count;             /* fields or variants */
    struct type_field *fields;  /* product: fields; sum: variants */
    const struct type *element; /* array */
};

/* The types of scalars and of the special names; static, shared. */
const struct type *type_scalar(enum type_kind kind); /* STRING, BOOL, and numbers */
const struct type *type_bytes(void);                 /* [u8] */
const struct type *type_unit(void);                  /* product without fields */
const struct type *type_special(enum type_special special); /* not OPTION, RESULT */

/* Making composed ones in an arena; sizes, plain and special are worked out here. Names are copied,
 * types are not: they must live as long. */
const struct type *type_product(struct arena *arena, const struct type_field *fields, uint32_t count);
const struct type *type_sum(struct arena *arena, const struct type_field *variants, uint32_t count);
const struct type *type_array(struct arena *arena, const struct type *element);
const struct type *type_option(struct arena *arena, const struct type *some);
const struct type *type_ref(struct arena *arena, uint32_t ref);

/* Copies `type` with every TYPE_REF replaced by what it names. Refuses unknown and recursive refs and
 * nesting over TYPE_DEPTH_MAX, and more than TYPE_PARTS_MAX parts. */
err type_resolve(struct arena *arena, const struct type *const *typespace, uint32_t count, const struct type *type,
                 const struct type **resolved, struct diag *diag);

bool type_equal(const struct type *left, const struct type *right); /* names included */
bool type_is_integer(const struct type *type);
bool type_is_signed(const struct type *type); /* of integers */
bool type_is_float(const struct type *type);
bool type_is_enum(const struct type *type); /* a sum without payloads */

/* For error texts: "u32", "string", "option<u8>", "Identity", "{x: f32, y: f32}", "array<u8>". */
void type_print(struct buf *out, const struct type *type);

/* Types as data (AlgebraicType on the wire): BSATN both ways. Decoding keeps TYPE_REF and holds no part of
 * the bytes it read. */
err type_decode(struct arena *arena, struct reader *from, const struct type **type, struct diag *diag);
void type_encode(struct buf *out, const struct type *type);
/* The type of AlgebraicType itself is recursive, so JSON of schemas has writers of its own. */
void type_print_json(struct buf *out, const struct type *type); /* {"U64":[]}, {"Product":{"elements":[…]}} */
