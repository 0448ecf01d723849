/* Puts a new schema in force. Everything that can be refused is tried on new tables beside the old ones;
 * then they change places, which cannot fail. */
#include "schema/migration.h"
#include "store/float_key.h"
#include "store/key.h"
#include "store/table.h"

/* The new store in the making: `fresh[i]` is a table built for schema->tables[i], or NULL where the old one
 * stays as it is. */
struct move {
    struct store *store;
    struct schema *schema;
    const struct migration *plan;
    struct table **fresh; /* owned */
    const struct table_def *refused; /* the table that stands against it */
};

/* Whether a step gives its table another shape. A type that grows does, though rows stay as they are: where
 * columns lie and how keys hash follows from it. */
static bool step_reshapes(const struct migration_step *step)
{
    switch (step->kind) {
    case STEP_ADD_COLUMNS:
    case STEP_REBUILD_INDEXES:
    case STEP_CHANGE_TYPE: return true;
    case STEP_ADD_TABLE:
    case STEP_REMOVE_TABLE:
    case STEP_CHANGE_ACCESS:
    case STEP_CHANGE_SCHEDULE:
    case STEP_REMOVE_VIEW:
    case STEP_ADD_VIEW:
    case STEP_CHANGE_VIEW:
    case STEP_CHANGE_FILTERS: return false;
    }
    unreachable();
}

/* A table whose definitions merely stand in another order is made anew as well. */
static bool needs_rebuild(const struct migration *plan, const struct table *old, const struct table_def *def)
{
    for (uint32_t idx = 0; plan != NULL && idx < plan->step_count; idx++)
        if (step_reshapes(&plan->steps[idx]) && plan->steps[idx].to->id == def->id)
            return true;
    return !table_has_shape(old, def);
}

static const struct table_def *find_def(const struct schema *schema, uint32_t table_id)
{
    for (uint32_t idx = 0; idx < schema->table_count; idx++)
        if (schema->tables[idx].id == table_id)
            return &schema->tables[idx];
    return NULL;
}

static err check_removals(struct move *move, struct diag *diag)
{
    for (uint32_t idx = 0; idx < move->store->table_count; idx++) {
        const struct table *table = move->store->tables[idx];
        const unsigned long long rows = table->pages.row_count;
        move->refused = table->def;
        if (find_def(move->schema, table->def->id) == NULL && rows > 0)
            return diag_set(diag, ERR_MIGRATION, "table `%.*s` cannot be removed: it holds %llu %s; delete %s first",
                            BYTES_FORMAT(table->def->name), rows, rows == 1 ? "row" : "rows",
                            rows == 1 ? "it" : "them");
    }
    return OK;
}

static const struct sequence *find_sequence(const struct table *table, uint32_t sequence_id)
{
    for (uint32_t idx = 0; idx < table->sequence_count; idx++)
        if (table->sequences[idx].def->id == sequence_id)
            return &table->sequences[idx];
    return NULL;
}

/* A sequence that is new to a table with rows would meet the values that are there. */
static err check_sequence(const struct table *old, const struct sequence_def *def, struct diag *diag)
{
    rowref ref = ROWREF_NONE;
    for (const struct row *row; (row = pages_next(&old->pages, &ref)) != NULL;)
        if (sequence_covers(def, old->def->columns[def->column].type, table_column(old, row->data, def->column)))
            return diag_set(diag, ERR_MIGRATION,
                            "column `%.*s` of table `%.*s` cannot count up by itself: rows hold values of its "
                            "range; give it another `min` or `max`",
                            BYTES_FORMAT(old->def->columns[def->column].name), BYTES_FORMAT(old->def->name));
    return OK;
}

static bool is_before_range(const struct sequence_def *def, __int128 value)
{
    return def->increment > 0 ? value < def->min : value > def->max;
}

/* B2: goes on where the old one stood, or at its own start when that lies further on. A batch is counted in steps
 * of one size, so with another step the rest of it is left out. */
static void carry_sequence(struct sequence *sequence, const struct sequence *before)
{
    const struct sequence_def *def = sequence->def;
    if (is_before_range(def, before->reserved))
        return;
    const bool keeps_batch = def->increment == before->def->increment && !is_before_range(def, before->next);
    sequence->reserved = before->reserved;
    sequence->next = keeps_batch ? before->next : before->reserved;
}

static err carry_sequences(struct table *fresh, const struct table *old, struct diag *diag)
{
    for (uint32_t idx = 0; idx < fresh->sequence_count; idx++) {
        struct sequence *sequence = &fresh->sequences[idx];
        const struct sequence *before = find_sequence(old, sequence->def->id);
        if (before != NULL && (before->def->increment > 0) == (sequence->def->increment > 0))
            carry_sequence(sequence, before);
        else if (sequence->def->column < old->def->column_count)
            TRY(check_sequence(old, sequence->def, diag));
    }
    return OK;
}

static err refuse_equal_keys(const struct table *fresh, const struct index_def *def, const uint8_t *row, struct diag *diag)
{
    struct buf text = { 0 };
    buf_put_u8(&text, '`');
    key_print_columns(&text, fresh->def, def);
    buf_put_format(&text, "` of table `%.*s` cannot be unique: more than one row holds ", BYTES_FORMAT(fresh->def->name));
    key_print(&text, fresh->def, def, row);
    diag_set(diag, ERR_MIGRATION, "%.*s; change or delete all of them but one first", BYTES_FORMAT(buf_bytes(&text)));
    buf_deinit(&text);
    return ERR_MIGRATION;
}

static err check_unique(const struct table *fresh, const uint8_t *row, struct diag *diag)
{
    for (uint32_t idx = 0; idx < fresh->index_count; idx++) {
        const struct index_def *def = index_def(fresh->indexes[idx]);
        if (def->unique && index_find_row(fresh->indexes[idx], row) != ROWREF_NONE)
            return refuse_equal_keys(fresh, def, row, diag);
    }
    return OK;
}

/* B3. Rows are not changed here: clients would not hear of it. */
static err check_floats(const struct table *fresh, const uint8_t *row, struct diag *diag)
{
    for (uint32_t idx = 0; idx < fresh->float_key_count; idx++) {
        const struct column_def *column = &fresh->def->columns[fresh->float_keys[idx]];
        const uint8_t *at = table_column(fresh, row, fresh->float_keys[idx]);
        if (float_key_is_nan(column->type, at) || float_key_is_negative_zero(column->type, at))
            return diag_set(diag, ERR_MIGRATION, "column `%.*s` of table `%.*s` cannot be a key: a row holds %s in it",
                            BYTES_FORMAT(column->name), BYTES_FORMAT(fresh->def->name),
                            float_key_is_nan(column->type, at) ? "NaN" : "minus zero");
    }
    return OK;
}

static void append_defaults(const struct table *old, const struct table_def *def, struct buf *row)
{
    for (uint32_t column = old->def->column_count; column < def->column_count; column++)
        buf_put_bytes(row, def->columns[column].default_value);
}

static err carry_row(struct table *fresh, const struct table *old, const struct row *from, struct buf *row,
                     struct diag *diag)
{
    buf_clear(row);
    buf_put_bytes(row, row_bytes(from));
    append_defaults(old, fresh->def, row);
    if (row->size > ROW_SIZE_MAX)
        return diag_set(diag, ERR_MIGRATION, "a row of table `%.*s` would become too large",
                        BYTES_FORMAT(fresh->def->name));
    buf_put_u8(row, 0); /* a row of no bytes has an address, too */
    row->size--;
    TRY(check_floats(fresh, row->data, diag));
    TRY(check_unique(fresh, row->data, diag));
    if (!table_put(fresh, buf_bytes(row)))
        return diag_set(diag, ERR_MIGRATION, "table `%.*s` is full", BYTES_FORMAT(fresh->def->name));
    return OK;
}

static err carry_rows(struct table *fresh, const struct table *old, struct diag *diag)
{
    struct buf row;
    buf_init(&row);
    err code = OK;
    rowref ref = ROWREF_NONE;
    for (const struct row *from; code == OK && (from = pages_next(&old->pages, &ref)) != NULL;)
        code = carry_row(fresh, old, from, &row, diag);
    buf_deinit(&row);
    return code;
}

/* The table that takes the place of `old`, with all its rows. */
static err rebuild(const struct table *old, const struct table_def *def, struct table **rebuilt, struct diag *diag)
{
    struct table *fresh = table_new(def);
    err code = carry_sequences(fresh, old, diag);
    if (code == OK)
        code = carry_rows(fresh, old, diag);
    if (code != OK) {
        table_free(fresh);
        return code;
    }
    *rebuilt = fresh;
    return OK;
}

static err build_fresh(struct move *move, struct diag *diag)
{
    for (uint32_t idx = 0; idx < move->schema->table_count; idx++) {
        const struct table_def *def = &move->schema->tables[idx];
        const struct table *old = store_find(move->store, def->id);
        move->refused = def;
        if (old == NULL)
            move->fresh[idx] = table_new(def);
        else if (needs_rebuild(move->plan, old, def))
            TRY(rebuild(old, def, &move->fresh[idx], diag));
    }
    return OK;
}

static void drop_fresh(struct move *move)
{
    for (uint32_t idx = 0; idx < move->schema->table_count; idx++)
        table_free(move->fresh[idx]);
    memory_free(move->fresh);
}

/* Takes the old tables that stay, frees the others. */
static void change_places(struct move *move)
{
    struct store *store = move->store;
    for (uint32_t idx = 0; idx < store->table_count; idx++) {
        struct table *old = store->tables[idx];
        check(old->writes == NULL);
        const struct table_def *def = find_def(move->schema, old->def->id);
        const size_t place = def == NULL ? 0 : (size_t)(def - move->schema->tables);
        if (def == NULL || move->fresh[place] != NULL) {
            table_free(old);
            continue;
        }
        table_rebind(old, def);
        move->fresh[place] = old;
    }
    memory_free(store->tables);
    store->tables = move->fresh;
    store->table_count = move->schema->table_count;
    schema_free(store->schema);
    store->schema = move->schema;
}

err store_migrate(struct store *store, struct schema *schema, const struct migration *plan, struct schema_fault *fault,
                  struct diag *diag)
{
    struct move move = { .store = store, .schema = schema, .plan = plan };
    move.fresh = memory_new(schema->table_count * sizeof *move.fresh);
    err code = check_removals(&move, diag);
    if (code == OK)
        code = build_fresh(&move, diag);
    if (code == OK) {
        change_places(&move);
        return OK;
    }
    if (fault != NULL)
        *fault = schema_fault_of(FAULT_TABLE, move.refused->name);
    drop_fresh(&move);
    return code;
}
