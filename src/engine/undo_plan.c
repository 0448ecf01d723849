#include "engine/undo_plan.h"

#include "sats/bsatn.h"
#include "store/key.h"

#include <inttypes.h>

void undo_plan_init(struct undo_plan *plan)
{
    *plan = (struct undo_plan){ 0 };
    arena_init(&plan->arena);
    map_init(&plan->rows);
}

void undo_plan_deinit(struct undo_plan *plan)
{
    arena_deinit(&plan->arena);
    map_deinit(&plan->rows);
    buf_deinit(&plan->order);
    schema_free(plan->schema);
}

const struct undo_row *undo_plan_row(const struct undo_plan *plan, uint32_t idx)
{
    return ((struct undo_row *const *)(const void *)plan->order.data)[idx];
}

static bool is_same(bytes left, bytes right)
{
    return (left.at == NULL) == (right.at == NULL) && bytes_equal(left, right);
}

bool undo_row_matters(const struct undo_row *row)
{
    return row->was_built_on || !is_same(row->before, row->left);
}

bool undo_row_conflicts(const struct undo_row *row)
{
    return row->was_built_on || !is_same(row->left, row->now);
}

/* --- How rows are told apart --- */

/* The index whose columns do it; NULL: all columns. The same schema gives the same. */
static const struct index_def *find_key(const struct table_def *table)
{
    const struct index_def *found = NULL;
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct index_def *index = &table->indexes[idx];
        const bool is_primary = index->unique && index->column_count == 1 && index->columns[0] == table->primary_key;
        if (is_primary)
            return index;
        if (index->unique && found == NULL)
            found = index;
    }
    return found;
}

static void put_key(struct buf *key, const struct table_def *table, bytes row)
{
    const struct index_def *index = find_key(table);
    buf_put_u32(key, table->id);
    if (index == NULL)
        buf_put_bytes(key, row);
    for (uint32_t idx = 0; index != NULL && idx < index->column_count; idx++) {
        const uint8_t *at = key_row_column(table, row.at, index->columns[idx]);
        buf_put(key, at, bsatn_size(table->columns[index->columns[idx]].type, at));
    }
}

static bool has_same_key(const struct table_def *left, const struct table_def *right)
{
    const struct index_def *one = find_key(left), *other = find_key(right);
    if (one == NULL || other == NULL)
        return one == other;
    return one->column_count == other->column_count &&
           memcmp(one->columns, other->columns, one->column_count * sizeof one->columns[0]) == 0;
}

/* --- Keeping up with the schema --- */

static const struct table_def *find_table(const struct schema *schema, uint32_t id)
{
    for (uint32_t idx = 0; idx < schema->table_count; idx++)
        if (schema->tables[idx].id == id)
            return &schema->tables[idx];
    return NULL;
}

static err check_table(const struct undo_plan *plan, const struct schema *next, uint64_t offset, uint32_t id,
                       struct diag *diag)
{
    const struct table_def *before = find_table(plan->schema, id), *after = find_table(next, id);
    if (after != NULL && type_equal(before->row_type, after->row_type) && has_same_key(before, after))
        return OK;
    return diag_set(diag, ERR_MIGRATION,
                    "table `%.*s` has another shape since the publish at offset %" PRIu64
                    ": what was changed in it before that cannot be undone",
                    BYTES_FORMAT(before->name), offset);
}

/* Rows of tables that are no longer what they were cannot come back. */
static err follow_schema(struct undo_plan *plan, const struct history_event *event, struct diag *diag)
{
    if (event->schema == plan->schema || event->schema == NULL)
        return OK;
    for (uint32_t idx = 0; idx < undo_plan_count(plan); idx++)
        TRY(check_table(plan, event->schema, event->offset, undo_plan_row(plan, idx)->table_id, diag));
    schema_free(plan->schema);
    plan->schema = schema_ref((struct schema *)event->schema);
    return OK;
}

/* --- Row by row --- */

/* The event at hand. */
struct step {
    struct undo_plan *plan;
    const struct history_event *event;
    const struct table_def *table;
    bool is_selected;
    const struct undo_blame *blame; /* made for the first row that needs it */
    struct buf key;
};

static bytes keep(struct undo_plan *plan, bytes row)
{
    plan->byte_count += row.size;
    const bytes kept = arena_copy(&plan->arena, row);
    return kept.at != NULL ? kept : bytes_of("", 0);
}

static const struct undo_blame *blame(struct step *step)
{
    const struct history_event *event = step->event;
    if (step->blame != NULL)
        return step->blame;
    struct undo_blame *made = ARENA_NEW(&step->plan->arena, struct undo_blame);
    made->offset = event->offset;
    made->timestamp_us = event->record.timestamp_us;
    made->has_who = event->caller != NULL;
    if (made->has_who)
        made->who = event->caller->who;
    made->what = keep(step->plan, history_event_name(event));
    return step->blame = made;
}

/* The row becomes `now`, which was `before`; at is NULL where there is none. */
static void change_row(struct step *step, bytes before, bytes now)
{
    struct undo_plan *plan = step->plan;
    buf_clear(&step->key);
    put_key(&step->key, step->table, before.at != NULL ? before : now);
    struct undo_row *row = map_find(&plan->rows, buf_bytes(&step->key));
    if (row == NULL && !step->is_selected)
        return;
    if (row == NULL) {
        row = ARENA_NEW(&plan->arena, struct undo_row);
        row->table_id = step->table->id;
        row->before = row->left = row->now = before.at != NULL ? keep(plan, before) : before;
        map_put(&plan->rows, buf_bytes(&step->key), row);
        buf_put(&plan->order, &row, sizeof row);
    }
    const bytes kept = now.at != NULL ? keep(plan, now) : now;
    if (!step->is_selected) {
        row->blame = blame(step);
        row->now = kept;
        return;
    }
    if (!is_same(row->left, row->now) && !is_same(row->now, row->before))
        row->was_built_on = true;
    row->left = row->now = kept;
}

/* A row that stands on both sides under one key is one change: so the deletes are looked up by key. */
static void change_rows(struct step *step, const struct history_change *change)
{
    const uint8_t *at = change->rows.at;
    const bytes none = bytes_of(NULL, 0);
    struct map gone;
    map_init(&gone);
    for (uint32_t idx = 0; idx < change->delete_count + change->insert_count; idx++) {
        const bytes row = bytes_of(at, bsatn_size(change->table->row_type, at));
        at += row.size;
        buf_clear(&step->key);
        put_key(&step->key, change->table, row);
        if (idx < change->delete_count) {
            map_put(&gone, buf_bytes(&step->key), (void *)row.at);
            continue;
        }
        const uint8_t *before = map_remove(&gone, buf_bytes(&step->key));
        change_row(step, before != NULL ? bytes_of(before, bsatn_size(change->table->row_type, before)) : none, row);
    }
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&gone, &place)) != NULL;)
        change_row(step, bytes_of(entry->value, bsatn_size(change->table->row_type, entry->value)), none);
    map_deinit(&gone);
}

/* Before anything is kept: all rows of a selected change will be, of others only those that stand here already. */
static err check_size(const struct step *step, const struct history_change *change, struct diag *diag)
{
    const uint64_t rows = step->is_selected ? (uint64_t)change->delete_count + change->insert_count : 0;
    const uint64_t size = step->is_selected ? change->rows.size : 0;
    if (undo_plan_count(step->plan) + rows <= UNDO_ROWS_MAX && step->plan->byte_count + size <= UNDO_BYTES_MAX)
        return OK;
    return diag_set(diag, ERR_TOO_LARGE, "that is more than %d rows or %d MiB to undo at once: choose less",
                    UNDO_ROWS_MAX, UNDO_BYTES_MAX >> 20);
}

static err take_changes(struct step *step, struct diag *diag)
{
    struct reader left;
    uint32_t count;
    TRY(history_change_count(step->event, &left, &count, diag));
    step->plan->record_count += step->is_selected && count > 0;
    for (uint32_t idx = 0; idx < count; idx++) {
        struct history_change change;
        TRY(history_change_next(step->event, &left, &change, diag));
        step->table = change.table;
        if (!change.table->is_event)
            TRY(check_size(step, &change, diag));
        if (!change.table->is_event)
            change_rows(step, &change);
        else if (step->is_selected)
            step->plan->event_rows += change.insert_count;
    }
    return OK;
}

static err take_event(struct undo_plan *plan, struct selection *selection, const struct history_event *event,
                      struct diag *diag)
{
    struct step step = { .plan = plan, .event = event };
    TRY(follow_schema(plan, event, diag));
    TRY(selection_holds(selection, event, &step.is_selected, diag));
    err code = OK;
    if (step.is_selected || undo_plan_count(plan) > 0)
        code = take_changes(&step, diag);
    plan->end = event->offset + 1;
    buf_deinit(&step.key);
    return code;
}

err undo_plan_make(struct undo_plan *plan, struct history *history, struct selection *selection, struct diag *diag)
{
    struct history_event event;
    bool found = true;
    TRY(selection_begin(selection, history, &plan->end, diag));
    TRY(history_seek(history, plan->end, diag));
    for (;;) {
        TRY(history_next(history, &found, &event, diag));
        if (!found)
            return OK;
        TRY(take_event(plan, selection, &event, diag));
    }
}
