/* system_tables — st_table, st_column, st_client ...: what a database says about itself, as tables for SQL.
 *
 * Names, columns and ids are SpacetimeDB's. A table is made when a statement names it, from what is so at that
 * moment, and lives as long as the statement. */
#pragma once

#include "engine/image.h"
#include "sql/resolver.h"

/* What they are made from. All views. */
struct system_facts {
    const struct schema *schema;
    const struct store *store; /* for how far sequences are reserved */
    const identity *database; /* NULL: not known, and st_module is empty */
    identity owner;
    bytes publish;      /* the PUBLISH record in force; empty for none */
    bool shows_program; /* the caller is the owner: the module's text is nobody else's to read */
    uint64_t row_limit; /* 0: none */
    void *context;
    void (*list_clients)(void *context, struct buf *clients); /* with system_client_put() */
    void (*list_view_uses)(void *context, struct buf *uses);  /* struct system_view_use; NULL: there are none */
};

/* A view that is worked out, and who looks at it. */
struct system_view_use {
    uint32_t view_id;
    bool is_anonymous;    /* it has no argument; others have who looks */
    identity who;         /* all zero: nobody in particular */
    uint64_t subscribers; /* queries of theirs */
    int64_t called_us;
};

enum { SYSTEM_TABLES_MAX = 20 };

struct system_tables_maker {
    struct system_facts facts;
    struct arena arena;
    struct table *made[SYSTEM_TABLES_MAX]; /* owned */
};

void system_tables_init(struct system_tables_maker *maker, const struct system_facts *facts);
void system_tables_deinit(struct system_tables_maker *maker);
/* What a statement is compiled with; `maker` must outlive it. */
struct made_tables system_tables_of(struct system_tables_maker *maker);

void system_client_put(struct buf *clients, const struct caller *caller);
