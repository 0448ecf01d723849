/* relation — FROM and WHERE of a statement, resolved: its tables, what a row of each must be, and what rows of
 * several must be to each other.
 *
 * All joins are inner, so ON and WHERE say the same kind of thing: the conditions are taken apart at their AND,
 * and each goes to the one source it looks at, or across. */
#pragma once

#include "sql/resolver.h"

struct relation_source {
    struct source source;
    struct query_filter filter;
};

struct relation {
    uint32_t source_count;
    struct relation_source *sources;
    uint32_t cross_count;
    struct condition **cross; /* what looks at several sources */
    bool never;
};

/* Reads tables, ON and WHERE; afterwards columns can be resolved. Everything lies in resolver->arena. */
err relation_make(struct resolver *resolver, const struct ast_table *tables, const struct ast_expr *where,
                  struct relation **relation);
/* a.x = b.y: what two sources are joined by. */
bool relation_is_edge(const struct condition *condition);
