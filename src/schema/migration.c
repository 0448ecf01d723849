#include "schema/migration.h"

struct planner {
    const struct schema *from, *to;
    struct migration *plan;
    struct buf reasons; /* why not: a line each */
    struct buf faults;  /* and what it is about */
};

/* Appending variants leaves the bytes of every stored value as they are. Anything else that differs is
 * another type. */
static bool type_can_become(const struct type *from, const struct type *to)
{
    if (from->kind != to->kind)
        return false;
    if (from->kind == TYPE_ARRAY)
        return type_can_become(from->element, to->element);
    if (from->kind != TYPE_SUM && from->kind != TYPE_PRODUCT)
        return true;
    if (from->count > to->count || (from->kind == TYPE_PRODUCT && from->count != to->count))
        return false;
    for (uint32_t idx = 0; idx < from->count; idx++)
        if (!bytes_equal(from->fields[idx].name, to->fields[idx].name) ||
            !type_can_become(from->fields[idx].type, to->fields[idx].type))
            return false;
    return true;
}

static void step_add(struct planner *planner, enum migration_step_kind kind, const struct table_def *from,
                     const struct table_def *to)
{
    planner->plan->steps[planner->plan->step_count++] = (struct migration_step){ kind, from, to };
}

static void reason_begin(struct planner *planner, const struct table_def *table)
{
    const struct schema_fault fault = schema_fault_of(FAULT_TABLE, table->name);
    buf_put(&planner->faults, &fault, sizeof fault);
    if (planner->reasons.size > 0)
        buf_put_u8(&planner->reasons, '\n');
    buf_put_format(&planner->reasons, "table `%.*s`: ", BYTES_FORMAT(table->name));
}

static void reason_missing_column(struct planner *planner, const struct table_def *to, bytes name)
{
    reason_begin(planner, to);
    if (table_def_find_column(to, name) >= 0)
        buf_put_format(&planner->reasons, "column `%.*s` may not move; new columns go to the end", BYTES_FORMAT(name));
    else
        buf_put_format(&planner->reasons, "column `%.*s` may not be removed or renamed: keep it, or copy the rows to a table of another name",
                       BYTES_FORMAT(name));
}

static void reason_changed_type(struct planner *planner, const struct column_def *from, const struct table_def *to,
                                const struct column_def *column)
{
    reason_begin(planner, to);
    buf_put_format(&planner->reasons, "column `%.*s` may not change its type from ", BYTES_FORMAT(column->name));
    type_print(&planner->reasons, from->type);
    buf_put_text(&planner->reasons, " to ");
    type_print(&planner->reasons, column->type);
    buf_put_text(&planner->reasons, ": add a column of another name at the end");
}

/* Columns that both have. Returns whether a type has grown. */
static bool old_columns_compare(struct planner *planner, const struct table_def *from, const struct table_def *to)
{
    bool grown = false;
    for (uint32_t idx = 0; idx < from->column_count; idx++) {
        const struct column_def *old = &from->columns[idx];
        if (idx >= to->column_count || !bytes_equal(old->name, to->columns[idx].name)) {
            reason_missing_column(planner, to, old->name);
            continue;
        }
        if (type_equal(old->type, to->columns[idx].type))
            continue;
        grown = true;
        if (!type_can_become(old->type, to->columns[idx].type))
            reason_changed_type(planner, old, to, &to->columns[idx]);
    }
    return grown;
}

static void new_columns_compare(struct planner *planner, const struct table_def *from, const struct table_def *to)
{
    for (uint32_t idx = from->column_count; idx < to->column_count; idx++) {
        const struct column_def *column = &to->columns[idx];
        if (column->has_default || table_def_find_column(from, column->name) >= 0)
            continue;
        reason_begin(planner, to);
        buf_put_format(&planner->reasons, "the new column `%.*s` needs a default value for the rows that are there",
                       BYTES_FORMAT(column->name));
    }
}

static void columns_compare(struct planner *planner, const struct table_def *from, const struct table_def *to)
{
    /* No row of an event table is stored, so its columns may become whatever they like. */
    if (from->is_event && to->is_event) {
        if (type_equal(from->row_type, to->row_type))
            return;
        step_add(planner, STEP_CHANGE_TYPE, from, to);
        planner->plan->breaks_clients = true;
        return;
    }
    if (old_columns_compare(planner, from, to))
        step_add(planner, STEP_CHANGE_TYPE, from, to);
    new_columns_compare(planner, from, to);
    if (to->column_count > from->column_count) {
        step_add(planner, STEP_ADD_COLUMNS, from, to);
        planner->plan->breaks_clients = true;
    }
}

static bool indexes_equal(const struct index_def *left, const struct index_def *right)
{
    return left->id == right->id && left->kind == right->kind && left->unique == right->unique &&
           left->column_count == right->column_count &&
           memcmp(left->columns, right->columns, sizeof(uint16_t) * left->column_count) == 0;
}

static bool sequences_equal(const struct sequence_def *left, const struct sequence_def *right)
{
    return left->id == right->id && left->column == right->column && left->start == right->start &&
           left->min == right->min && left->max == right->max && left->increment == right->increment;
}

/* The order counts too: a table keeps its indexes and sequences in the order of its definition. */
static bool keys_differ(const struct table_def *from, const struct table_def *to)
{
    if (from->index_count != to->index_count || from->sequence_count != to->sequence_count)
        return true;
    for (uint32_t idx = 0; idx < from->index_count; idx++)
        if (!indexes_equal(&from->indexes[idx], &to->indexes[idx]))
            return true;
    for (uint32_t idx = 0; idx < from->sequence_count; idx++)
        if (!sequences_equal(&from->sequences[idx], &to->sequences[idx]))
            return true;
    return false;
}

static bool schedules_differ(const struct planner *planner, const struct table_def *from, const struct table_def *to)
{
    if (from->schedule < 0 || to->schedule < 0)
        return from->schedule >= 0 || to->schedule >= 0;
    const struct schedule_def *old = &planner->from->schedules[from->schedule];
    const struct schedule_def *new = &planner->to->schedules[to->schedule];
    return old->at_column != new->at_column || old->catches_up != new->catches_up ||
           !bytes_equal(planner->from->reducers[old->reducer].name, planner->to->reducers[new->reducer].name);
}

static void tables_compare(struct planner *planner, const struct table_def *from, const struct table_def *to)
{
    if (from->is_event != to->is_event) {
        reason_begin(planner, to);
        buf_put_format(&planner->reasons, "it may not %s an event table: declare a table of another name",
                       to->is_event ? "become" : "cease to be");
        return;
    }
    columns_compare(planner, from, to);
    if (keys_differ(from, to))
        step_add(planner, STEP_REBUILD_INDEXES, from, to);
    if (from->access != to->access)
        step_add(planner, STEP_CHANGE_ACCESS, from, to);
    if (schedules_differ(planner, from, to))
        step_add(planner, STEP_CHANGE_SCHEDULE, from, to);
}

static void plan_tables(struct planner *planner)
{
    const struct schema *from = planner->from, *to = planner->to;
    for (uint32_t idx = 0; idx < from->table_count; idx++)
        if (schema_find_table(to, from->tables[idx].name) == NULL) {
            step_add(planner, STEP_REMOVE_TABLE, &from->tables[idx], NULL);
            planner->plan->breaks_clients = true;
        }
    for (uint32_t idx = 0; idx < to->table_count; idx++) {
        const struct table_def *old = schema_find_table(from, to->tables[idx].name);
        if (old == NULL)
            step_add(planner, STEP_ADD_TABLE, NULL, &to->tables[idx]);
        else
            tables_compare(planner, old, &to->tables[idx]);
    }
}

static bool views_differ(const struct view_def *from, const struct view_def *to)
{
    return from->is_anonymous != to->is_anonymous || from->rows.primary_key != to->rows.primary_key ||
           from->rows.access != to->rows.access || !type_equal(from->rows.row_type, to->rows.row_type);
}

static void plan_views(struct planner *planner)
{
    const struct schema *from = planner->from, *to = planner->to;
    for (uint32_t idx = 0; idx < from->view_count; idx++)
        if (schema_find_view(to, from->views[idx].rows.name) == NULL) {
            step_add(planner, STEP_REMOVE_VIEW, &from->views[idx].rows, NULL);
            planner->plan->breaks_clients = true;
        }
    for (uint32_t idx = 0; idx < to->view_count; idx++) {
        const struct view_def *view = &to->views[idx];
        const struct view_def *old = schema_find_view(from, view->rows.name);
        if (old == NULL) {
            step_add(planner, STEP_ADD_VIEW, NULL, &view->rows);
        } else if (views_differ(old, view)) {
            step_add(planner, STEP_CHANGE_VIEW, &old->rows, &view->rows);
            planner->plan->breaks_clients = true;
        }
    }
}

static bool filter_is_in(const struct schema *schema, bytes sql)
{
    for (uint32_t idx = 0; idx < schema->filter_count; idx++)
        if (bytes_equal(schema->filters[idx], sql))
            return true;
    return false;
}

/* The order of filters says nothing, and one that is there twice says the same as once. */
static void plan_filters(struct planner *planner)
{
    const struct schema *from = planner->from, *to = planner->to;
    bool same = true;
    for (uint32_t idx = 0; idx < from->filter_count; idx++)
        same = same && filter_is_in(to, from->filters[idx]);
    for (uint32_t idx = 0; idx < to->filter_count; idx++)
        same = same && filter_is_in(from, to->filters[idx]);
    if (same)
        return;
    step_add(planner, STEP_CHANGE_FILTERS, NULL, NULL);
    planner->plan->breaks_clients = true;
}

err migration_plan(struct arena *arena, const struct schema *from, const struct schema *to, struct migration *plan,
                   struct diag *diag)
{
    enum { STEPS_PER_TABLE = 5 };       /* type, columns, keys, access, schedule */
    static const struct schema nothing; /* a database before its first module */
    if (from == NULL)
        from = &nothing;
    struct planner planner = { from, to, plan, { 0 }, { 0 } };
    const size_t steps_max = (size_t)schema_relation_count(from) + to->view_count + 1 /* for the filters */ +
                             STEPS_PER_TABLE * (size_t)to->table_count;
    *plan = (struct migration){ .steps = ARENA_ARRAY(arena, struct migration_step, steps_max) };

    plan_tables(&planner);
    plan_views(&planner);
    plan_filters(&planner);

    err e = OK;
    if (planner.reasons.size > 0)
        e = diag_set(diag, ERR_MIGRATION, "%.*s", BYTES_FORMAT(buf_bytes(&planner.reasons)));
    plan->fault_count = (uint32_t)(planner.faults.size / sizeof *plan->faults);
    plan->faults = (const struct schema_fault *)(const void *)arena_copy(arena, buf_bytes(&planner.faults)).at;
    buf_deinit(&planner.reasons);
    buf_deinit(&planner.faults);
    return e;
}

static void print_columns_step(struct buf *out, const struct migration_step *step)
{
    const uint32_t first = step->from->column_count;
    buf_put_text(out, step->to->column_count - first == 1 ? "add column " : "add columns ");
    for (uint32_t idx = first; idx < step->to->column_count; idx++)
        buf_put_format(out, "%s`%.*s`", idx > first ? ", " : "", BYTES_FORMAT(step->to->columns[idx].name));
    buf_put_format(out, " to table `%.*s`", BYTES_FORMAT(step->to->name));
}

void migration_step_print(struct buf *out, const struct migration_step *step)
{
    static const bytes nothing;
    const bytes name = step->to != NULL ? step->to->name : step->from != NULL ? step->from->name : nothing;
    switch (step->kind) {
    case STEP_ADD_TABLE: buf_put_format(out, "add table `%.*s`", BYTES_FORMAT(name)); return;
    case STEP_REMOVE_TABLE: buf_put_format(out, "remove table `%.*s`", BYTES_FORMAT(name)); return;
    case STEP_ADD_COLUMNS: print_columns_step(out, step); return;
    case STEP_REBUILD_INDEXES: buf_put_format(out, "rebuild the indexes of table `%.*s`", BYTES_FORMAT(name)); return;
    case STEP_CHANGE_ACCESS:
        buf_put_format(out, "make table `%.*s` %s", BYTES_FORMAT(name),
                       step->to->access == ACCESS_PUBLIC ? "public" : "private");
        return;
    case STEP_CHANGE_TYPE: buf_put_format(out, "change column types of table `%.*s`", BYTES_FORMAT(name)); return;
    case STEP_CHANGE_SCHEDULE: buf_put_format(out, "change the schedule of table `%.*s`", BYTES_FORMAT(name)); return;
    case STEP_REMOVE_VIEW: buf_put_format(out, "remove view `%.*s`", BYTES_FORMAT(name)); return;
    case STEP_ADD_VIEW: buf_put_format(out, "add view `%.*s`", BYTES_FORMAT(name)); return;
    case STEP_CHANGE_VIEW: buf_put_format(out, "change view `%.*s`", BYTES_FORMAT(name)); return;
    case STEP_CHANGE_FILTERS: buf_put_text(out, "change the filters of row-level security"); return;
    }
    unreachable();
}
