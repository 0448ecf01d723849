/* binding — the tables and indexes of a store by their place in the module's description (A5), and the
 * check that what Lua calls a key is one (A3). */
#pragma once

#include "host/abi.h"
#include "store/table.h"

struct bound_index {
    struct index *index;         /* borrowed: the table's */
    const struct index_def *def;
    int32_t plain_size;          /* of every full key, when any bytes of this size are one (T2); else -1 */
};

struct bound_table {
    struct table *table;         /* borrowed: the store's */
    uint32_t index_count;
    struct bound_index *indexes; /* owned */
};

struct binding {
    const struct schema *schema; /* borrowed: the store's */
    uint32_t table_count;
    struct bound_table *tables;  /* owned */
};

void binding_init(struct binding *binding, const struct store *store);
void binding_deinit(struct binding *binding);

/* Whether `key` is the BSATN of the index's first `column_count` columns, and nothing more. */
err binding_check_key(const struct bound_table *table, const struct bound_index *index, bytes key,
                      uint32_t column_count, struct diag *diag);
/* The same for a side of a range; NULL is an open one. */
err binding_check_bound(const struct bound_table *table, const struct bound_index *index, const stdb_bound *from,
                        struct index_bound *bound, struct diag *diag);
