/* builder — what the parts of schema_build() hand to each other. */
#pragma once

#include "base/map.h"
#include "schema/module_def.h"

struct builder {
    struct schema *schema;         /* being made; its arena holds everything */
    const struct schema *previous; /* NULL: the first one */
    struct module_def def;
    const struct type **types;     /* the typespace, resolved */
    uint64_t type_parts;           /* of all resolved types so far */
    struct map names;              /* S4: taken names of tables, views, indexes, constraints, sequences, schedules */
    struct schema_fault *fault;
    struct diag *diag;
};

/* Letters, digits and underscores as Unicode knows them (XID), not beginning with a digit, in composed form (NFC), so
 * that two names that look the same are the same; UTF-8. The sentence begins with `what`: "the column". Words that
 * SQL reserves are fine: names can be quoted there. */
err identifier_check(bytes name, const char *what, struct diag *diag);

/* Says what the refusal in `diag` was about: in the fault, and as "table `x`: " in front of the sentence. */
void builder_fault(struct builder *builder, enum fault_subject subject, const char *what, bytes name);

/* Takes a name of the space that tables share with all that belongs to them. */
err builder_take_name(struct builder *builder, bytes name, const char *what);

/* Resolves the typespace and checks the names in it. On failure the fault names the type. */
err builder_make_types(struct builder *builder);
/* Resolves a type that uses the typespace. ERR_TOO_LARGE when all of them together get too many parts. */
err builder_resolve(struct builder *builder, const struct type *type, const struct type **resolved);

/* Checks a table and makes its definition. `raw` gets names for all that has none. */
err builder_make_table(struct builder *builder, struct def_table *raw, struct table_def *table);

/* The table's columns from its row type, with their places; the row type has been found. */
err builder_make_columns(struct builder *builder, struct table_def *table);
/* Whether an index can have keys of this type. */
bool builder_type_can_be_key(const struct type *type);

/* After tables and reducers: checks schedules and makes their definitions. What they run becomes private. */
err builder_make_schedules(struct builder *builder);
/* After tables and reducers: checks views and makes their definitions. */
err builder_make_views(struct builder *builder);

/* The type as people write it, in the arena. */
bytes builder_type_text(struct builder *builder, const struct type *type);
