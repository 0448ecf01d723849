/* catalog — what names mean to somebody beyond the tables of the schema.
 *
 * A view is no table of the schema, and of a table with filters each caller sees another part. Both are tables that
 * are worked out and stand beside the others in the store (store_attach()); a query on them is like any other. Which
 * table a name stands for is asked here first. */
#pragma once

#include "schema/schema.h"

struct query_caller;

struct catalog_entry {
    const struct table_def *def; /* NULL: the name means what the schema says */
    bool is_callers_own;         /* it is another table for another caller */
};

struct catalog {
    void *context;
    /* What it finds is good for as long as a query uses it. ERR_… when the name stands for something that cannot be
     * had: a view that fails. */
    err (*find)(void *context, bytes name, const struct query_caller *caller, struct catalog_entry *entry,
                struct diag *diag);
};
