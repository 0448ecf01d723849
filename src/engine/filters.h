/* filters — row-level security: which queries say what clients may see of which table.
 *
 * Of a table with filters a client sees the rows that one of them selects; the owner, reducers and views see all. The
 * tables that a filter joins are seen through their own filters, the filtered one is not. */
#pragma once

#include "schema/schema.h"

/* All filters of a schema, by table. */
struct filters {
    uint32_t table_count;
    struct table_filters {
        uint32_t count;
        const bytes *texts;     /* views into the schema */
        bool depends_on_sender; /* some caller sees other rows than another */
    } *tables;              /* by place in the schema */
    struct arena arena;     /* owns the lists */
};

/* ERR_SCHEMA when one does not compile, filters a private table, or leads back to its own table through others; the
 * fault names it by its number from 1. */
err filters_init(struct filters *filters, const struct schema *schema, struct schema_fault *fault, struct diag *diag);
void filters_deinit(struct filters *filters);
/* Of a table of the schema; `count` 0: it has none. */
struct table_filters filters_of(const struct filters *filters, const struct schema *schema, const struct table_def *table);
