/* Any bytes as a module's description: refused with a sentence, or built, printed and migrated to itself. */
#include "schema/migration.h"

/* What was built once is built again, with the ids it had, and there is nothing to migrate. */
static void rebuild(const struct schema *schema)
{
    struct diag diag;
    struct schema *again;
    struct schema_fault fault;
    check(schema_build(schema->def, schema, &again, &fault, &diag) == OK);
    check(again->next_id == schema->next_id);

    struct arena arena;
    struct migration plan;
    arena_init(&arena);
    check(migration_plan(&arena, schema, again, &plan, &diag) == OK);
    check(plan.step_count == 0 && !plan.breaks_clients);
    arena_deinit(&arena);
    schema_free(again);
}

static void print(const struct schema *schema)
{
    struct buf out;
    buf_init(&out);
    schema_print_v9(&out, schema);
    schema_print_v10(&out, schema);
    check(out.size > 0);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct diag diag = { 0 };
    struct schema *schema;
    struct schema_fault fault;
    const err e = schema_build(bytes_of(data, size), NULL, &schema, &fault, &diag);
    if (e != OK) {
        check(schema == NULL && diag.code == e && diag.text[0] != '\0');
        return 0;
    }
    print(schema);
    rebuild(schema);
    schema_free(schema);
    return 0;
}
