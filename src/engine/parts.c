#include "engine/parts.h"

#include "engine/state.h"

/* struct catalog's find(), whose context is the part. */
static err find_in_filter(void *context, bytes name, const struct query_caller *caller, struct catalog_entry *entry,
                          struct diag *diag)
{
    struct derived *derived = context;
    const struct catalog *catalog = &derived->engine->catalog;
    struct query_caller asking = *caller;
    *entry = (struct catalog_entry){ 0 };
    if (bytes_equal(name, derived->def.name) || schema_find_view(derived->schema, name) != NULL)
        return OK;
    asking.is_owner = false;
    TRY(catalog->find(catalog->context, name, &asking, entry, diag));
    if (entry->def == NULL)
        return OK;
    const struct derived *found = container_of(entry->def, struct derived, def);
    if (found->level >= derived->level)
        derived->level = found->level + 1;
    return OK;
}

/* Compiling once more than needed is what tells the level. */
static err find_level(struct derived *derived, const struct query_caller *caller, const struct table_filters *filters,
                      struct diag *diag)
{
    for (uint32_t idx = 0; idx < filters->count; idx++) {
        struct query *query;
        TRY(query_compile(&query, filters->texts[idx], derived->schema, caller, QUERY_SUBSCRIBED, diag));
        query_free(query);
    }
    return OK;
}

err parts_fill(struct levels *levels, struct derived *derived, const struct table_filters *filters, struct diag *diag)
{
    derived->scope = (struct catalog){ derived, find_in_filter };
    const struct query_caller caller = { .sender = derived->caller, .is_owner = true, .catalog = &derived->scope };
    TRY(find_level(derived, &caller, filters, diag));
    return levels_follow(levels, derived, &caller, &derived->engine->store, filters->texts, filters->count, diag);
}
