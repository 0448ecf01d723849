/* The views of a description: checked, and made into what SQL and subscriptions know of them. */
#include "schema/builder.h"

/* Of the return type as it was written: Option<Ref>, Array<Ref>, or a product of one field `__query__: Ref`. The
 * reference is to the type of the rows. */
static err returns_read(const struct type *returns, enum view_kind *kind, uint32_t *ref, struct diag *diag)
{
    const struct type *row = NULL;
    if (returns->kind == TYPE_ARRAY) {
        *kind = VIEW_ARRAY;
        row = returns->element;
    } else if (returns->special == SPECIAL_OPTION) {
        *kind = VIEW_OPTION;
        row = returns->fields[0].type;
    } else if (returns->kind == TYPE_PRODUCT && returns->count == 1 &&
               bytes_equal(returns->fields[0].name, BYTES_LITERAL("__query__"))) {
        *kind = VIEW_QUERY;
        row = returns->fields[0].type;
    }
    if (row == NULL || row->kind != TYPE_REF)
        return diag_set(diag, ERR_SCHEMA,
                        "a view returns an option or an array of rows, or a query for them, and a row is a named type");
    *ref = row->ref;
    return OK;
}

static err row_type_find(struct builder *builder, struct table_def *rows)
{
    if (rows->type_ref >= builder->def.type_count)
        return diag_set(builder->diag, ERR_SCHEMA, "its row type is not in the typespace");
    rows->row_type = builder->types[rows->type_ref];
    if (rows->row_type->kind != TYPE_PRODUCT)
        return diag_set(builder->diag, ERR_SCHEMA, "its row type is %.*s, not a product",
                        BYTES_FORMAT(builder_type_text(builder, rows->row_type)));
    return OK;
}

static err key_declared(struct builder *builder, const struct def_view_key *key, struct table_def *rows)
{
    if (rows->primary_key != SCHEMA_NO_COLUMN)
        return diag_set(builder->diag, ERR_SCHEMA, "it has two primary keys");
    if (key->count != 1)
        return diag_set(builder->diag, ERR_SCHEMA, "its primary key has %u columns: it may have one",
                        (unsigned)key->count);
    rows->primary_key = table_def_find_column(rows, key->columns[0]);
    if (rows->primary_key == SCHEMA_NO_COLUMN)
        return diag_set(builder->diag, ERR_SCHEMA, "its primary key `%.*s` is no column of its rows",
                        BYTES_FORMAT(key->columns[0]));
    const struct type *type = rows->columns[rows->primary_key].type;
    if (!builder_type_can_be_key(type))
        return diag_set(builder->diag, ERR_SCHEMA, "its primary key `%.*s` is %.*s, which cannot be a key",
                        BYTES_FORMAT(key->columns[0]), BYTES_FORMAT(builder_type_text(builder, type)));
    return OK;
}

/* A query gives rows of a table as they are, so that its key is theirs. */
static int32_t key_of_table(const struct schema *schema, uint32_t type_ref)
{
    for (uint32_t idx = 0; idx < schema->table_count; idx++)
        if (schema->tables[idx].type_ref == type_ref)
            return schema->tables[idx].primary_key;
    return SCHEMA_NO_COLUMN;
}

static err key_make(struct builder *builder, struct view_def *view)
{
    struct table_def *rows = &view->rows;
    rows->primary_key = SCHEMA_NO_COLUMN;
    for (uint32_t idx = 0; idx < builder->def.view_key_count; idx++)
        if (bytes_equal(builder->def.view_keys[idx].view, rows->name))
            TRY(key_declared(builder, &builder->def.view_keys[idx], rows));
    if (view->kind == VIEW_QUERY && rows->primary_key == SCHEMA_NO_COLUMN)
        rows->primary_key = key_of_table(builder->schema, rows->type_ref);
    return OK;
}

/* The one index of a view with a primary key. */
static err key_index_make(struct builder *builder, struct table_def *rows)
{
    if (rows->primary_key == SCHEMA_NO_COLUMN)
        return OK;
    struct arena *arena = &builder->schema->arena;
    const uint16_t column = (uint16_t)rows->primary_key;
    struct def_index raw = { .kind = INDEX_BTREE, .columns = { 1, (uint16_t *)&column } };
    struct def_table named = { .name = rows->name, .index_count = 1, .indexes = &raw };
    def_names_fill(arena, &named, rows->row_type);
    TRY(builder_take_name(builder, raw.name, "an index"));

    rows->index_count = 1;
    rows->indexes = ARENA_NEW(arena, struct index_def);
    rows->indexes[0] = (struct index_def){
        .name = raw.name,
        .accessor = rows->columns[column].name,
        .kind = INDEX_BTREE,
        .unique = true,
        .column_count = 1,
        .columns = { column },
    };
    return OK;
}

static err name_take(struct builder *builder, bytes name, const struct view_def *view)
{
    struct schema *schema = builder->schema;
    if (name.size >= 3 && memcmp(name.at, "st_", 3) == 0)
        return diag_set(builder->diag, ERR_SCHEMA, "names that begin with `st_` belong to the system");
    TRY(builder_take_name(builder, name, "a view"));
    if (schema_find_reducer(schema, name) >= 0)
        return diag_set(builder->diag, ERR_SCHEMA, "there is a reducer of this name");
    map_put(&schema->view_names, name, (void *)view);
    return OK;
}

static err view_make(struct builder *builder, const struct def_view *raw, struct view_def *view)
{
    struct table_def *rows = &view->rows;
    TRY(name_take(builder, raw->name, view));
    if (raw->params.count > 0)
        return diag_set(builder->diag, ERR_SCHEMA, "a view takes no parameters");

    *view = (struct view_def){ .is_anonymous = raw->is_anonymous };
    rows->name = raw->name;
    rows->access = raw->is_public ? ACCESS_PUBLIC : ACCESS_PRIVATE;
    rows->schedule = -1;
    TRY(returns_read(raw->returns, &view->kind, &rows->type_ref, builder->diag));
    TRY(row_type_find(builder, rows));
    TRY(builder_make_columns(builder, rows));
    TRY(key_make(builder, view));
    return key_index_make(builder, rows);
}

static err keys_check(struct builder *builder)
{
    for (uint32_t idx = 0; idx < builder->def.view_key_count; idx++) {
        const bytes name = builder->def.view_keys[idx].view;
        if (schema_find_view(builder->schema, name) != NULL)
            continue;
        diag_set(builder->diag, ERR_SCHEMA, "it is to have a primary key, and there is no such view");
        builder_fault(builder, FAULT_VIEW, "view", name);
        return ERR_SCHEMA;
    }
    return OK;
}

err builder_make_views(struct builder *builder)
{
    struct schema *schema = builder->schema;
    schema->view_count = builder->def.view_count;
    schema->views = ARENA_ARRAY(&schema->arena, struct view_def, schema->view_count);
    for (uint32_t idx = 0; idx < schema->view_count; idx++) {
        const err e = view_make(builder, &builder->def.views[idx], &schema->views[idx]);
        if (e != OK) {
            builder_fault(builder, FAULT_VIEW, "view", builder->def.views[idx].name);
            return e;
        }
    }
    return keys_check(builder);
}
