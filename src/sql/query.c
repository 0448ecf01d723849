#include "sql/query.h"

#include "base/text.h"
#include "sql/bounds.h"
#include "sql/parser.h"
#include "sql/predicate.h"
#include "sql/resolver.h"

static err compile(struct query *query, struct arena *scratch, bytes text, const struct schema *schema,
                   const struct query_caller *caller, struct diag *diag)
{
    struct ast_select select;
    struct resolver resolver = {
        .arena = &query->arena, .scratch = scratch, .sql = text, .schema = schema, .caller = caller, .diag = diag
    };
    TRY(sql_parse(scratch, text, &select, diag));
    TRY(resolver_run(&resolver, &select));
    query->table = resolver.table;
    query->depends_on_sender = resolver.depends_on_sender;
    query->predicate = predicate_make(&query->arena, query->table, resolver.where, &query->never);
    bounds_make(query, scratch, resolver.where);
    return OK;
}

err query_compile(struct query **out, bytes text, const struct schema *schema, const struct query_caller *caller,
                  struct diag *diag)
{
    *out = NULL;
    if (text.size > SQL_TEXT_MAX)
        return diag_set(diag, ERR_BAD_SQL, "the query has %zu bytes, and %d is the most", text.size, (int)SQL_TEXT_MAX);
    if (!text_is_utf8(text))
        return diag_set(diag, ERR_BAD_SQL, "the query is not UTF-8");

    struct arena scratch;
    struct query *query = memory_new(sizeof *query);
    arena_init(&scratch);
    arena_init(&query->arena);
    const err e = compile(query, &scratch, text, schema, caller, diag);
    arena_deinit(&scratch);
    if (e == OK)
        *out = query;
    else
        query_free(query);
    return e;
}

void query_free(struct query *query)
{
    if (query == NULL)
        return;
    arena_deinit(&query->arena);
    memory_free(query);
}

bool query_matches(const struct query *query, const uint8_t *row)
{
    return query->predicate == NULL || predicate_matches(query->predicate, row);
}
