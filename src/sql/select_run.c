/* Running a SELECT: rows of the relation, then groups of them if it has any, then their order, then as many as are
 * wanted. */
#include "sats/bsatn.h"
#include "sql/grouping.h"
#include "sql/plan_run.h"
#include "sql/row_order.h"
#include "store/key.h"

struct select_runner {
    const struct select *select;
    struct budget *budget;
    struct grouping grouping;
    struct top top;       /* struct kept_row, owned, while there is an order */
    struct buf keys, row; /* the row at hand: what it is ordered by, and what comes out */
    uint64_t skipped, given;
    bool in_order; /* rows come in the order that is wanted */
    bool (*each)(void *context, bytes row);
    void *context;
};

/* A row that waits for its place. */
struct kept_row {
    uint32_t key_size, row_size;
    uint8_t data[]; /* the keys, then the row */
};

static int compare_kept(const void *left, const void *right, void *context)
{
    const struct select *select = context;
    const struct kept_row *one = left, *other = right;
    const uint8_t *at = one->data, *other_at = other->data;
    for (uint32_t idx = 0; idx < select->order_count; idx++) {
        const struct select_order *order = &select->orders[idx];
        const int compared = row_order_compare(order->type, at, other_at);
        if (compared != 0)
            return order->descending ? -compared : compared;
        at += bsatn_size(order->type, at);
        other_at += bsatn_size(order->type, other_at);
    }
    return bytes_compare(bytes_of(at, one->row_size), bytes_of(other_at, other->row_size));
}

static bool give(struct select_runner *runner, bytes row)
{
    if (runner->skipped < runner->select->offset) {
        runner->skipped++;
        return true;
    }
    if (runner->given == runner->select->limit)
        return false;
    runner->given++;
    return runner->each(runner->context, row) && runner->given < runner->select->limit;
}

static bool keep(struct select_runner *runner, bytes row)
{
    const size_t size = sizeof(struct kept_row) + runner->keys.size + row.size;
    struct kept_row *kept = memory_new(size);
    kept->key_size = (uint32_t)runner->keys.size;
    kept->row_size = (uint32_t)row.size;
    memcpy(kept->data, runner->keys.data, kept->key_size);
    memcpy(kept->data + kept->key_size, row.at, row.size);
    struct kept_row *out = (struct kept_row *)top_offer(&runner->top, kept);
    const size_t freed = out != NULL ? sizeof *out + out->key_size + out->row_size : 0;
    memory_free(out);
    runner->budget->bytes -= freed;
    return budget_take_bytes(runner->budget, size);
}

static const uint8_t *output_at(const struct select *select, bytes row, uint32_t output)
{
    const uint8_t *at = row.at;
    for (uint32_t idx = 0; idx < output; idx++)
        at += bsatn_size(select->row_type->fields[idx].type, at);
    return at;
}

static void put_value(struct buf *out, const struct type *type, const uint8_t *at)
{
    buf_put(out, at, bsatn_size(type, at));
}

/* ---- rows as they come ---- */

static const uint8_t *column_at(const struct select *select, const uint8_t *const *rows, struct column_ref column)
{
    return key_row_column(select->relation->sources[column.source].source.table, rows[column.source], column.column);
}

static bytes make_row(struct select_runner *runner, const uint8_t *const *rows)
{
    const struct select *select = runner->select;
    if (select->whole_source >= 0)
        return plan_row(rows[select->whole_source]);
    buf_clear(&runner->row);
    for (uint32_t idx = 0; idx < select->output_count; idx++)
        put_value(&runner->row, select->outputs[idx].type, column_at(select, rows, select->outputs[idx].column));
    return buf_bytes(&runner->row);
}

static bool take_row(void *context, const uint8_t *const *rows)
{
    struct select_runner *runner = context;
    const struct select *select = runner->select;
    const bytes row = make_row(runner, rows);
    if (runner->in_order)
        return give(runner, row);
    buf_clear(&runner->keys);
    for (uint32_t idx = 0; idx < select->order_count; idx++) {
        const struct select_order *order = &select->orders[idx];
        put_value(&runner->keys, order->type,
                  order->of_output ? output_at(select, row, order->output) : column_at(select, rows, order->column));
    }
    return keep(runner, row);
}

/* ---- groups ---- */

static bool group_row(void *context, const uint8_t *const *rows)
{
    struct select_runner *runner = context;
    return grouping_add(&runner->grouping, rows);
}

static bool take_group(struct select_runner *runner, uint32_t place)
{
    const struct select *select = runner->select;
    buf_clear(&runner->row);
    runner->budget->code = grouping_put_row(&runner->grouping, place, &runner->row);
    if (runner->budget->code != OK)
        return false;
    const bytes row = buf_bytes(&runner->row);
    if (runner->in_order)
        return give(runner, row);
    buf_clear(&runner->keys);
    for (uint32_t idx = 0; idx < select->order_count; idx++) {
        const struct select_order *order = &select->orders[idx];
        if (order->of_output)
            put_value(&runner->keys, order->type, output_at(select, row, order->output));
        else
            grouping_put_column(&runner->grouping, place, order->column, &runner->keys);
    }
    return keep(runner, row);
}

/* ---- all of it ---- */

static void give_kept(struct select_runner *runner)
{
    bool goes_on = true;
    top_sort(&runner->top);
    for (size_t idx = 0; idx < runner->top.count && goes_on; idx++) {
        const struct kept_row *kept = runner->top.items[idx];
        goes_on = give(runner, bytes_of(kept->data + kept->key_size, kept->row_size));
    }
}

static err run_plan(struct select_runner *runner, const struct plan *plan)
{
    const struct select *select = runner->select;
    if (!select->is_grouped) {
        TRY(plan_run(plan, runner->budget, take_row, runner));
    } else {
        bool goes_on = true;
        TRY(plan_run(plan, runner->budget, group_row, runner));
        for (uint32_t place = 0; place < grouping_count(&runner->grouping) && goes_on; place++)
            goes_on = take_group(runner, place);
    }
    if (runner->budget->code == OK && !runner->in_order)
        give_kept(runner);
    return runner->budget->code;
}

static void runner_deinit(struct select_runner *runner)
{
    for (size_t idx = 0; idx < runner->top.count; idx++)
        memory_free((void *)runner->top.items[idx]);
    top_deinit(&runner->top);
    if (runner->select->is_grouped)
        grouping_deinit(&runner->grouping);
    buf_deinit(&runner->keys);
    buf_deinit(&runner->row);
}

/* The rows to be kept while they are ordered: those given and those skipped. */
static uint64_t rows_kept(const struct select *select)
{
    return select->limit < UINT64_MAX - select->offset ? select->limit + select->offset : UINT64_MAX;
}

/* Makes the plan; true when rows come out of it in the order that is wanted. */
static bool make_plan(struct plan *plan, struct arena *arena, const struct select *select, const struct store *store)
{
    plan_make(plan, arena, select->relation, store);
    if (select->order_count == 0)
        return true;
    if (select->is_grouped || select->limit == UINT64_MAX)
        return false;
    struct plan_order *orders = ARENA_ARRAY(arena, struct plan_order, select->order_count);
    for (uint32_t idx = 0; idx < select->order_count; idx++) {
        const struct select_order *order = &select->orders[idx];
        const struct column_ref column = order->of_output ? select->outputs[order->output].column : order->column;
        orders[idx] = (struct plan_order){ column.column, order->descending };
    }
    return plan_walk_in_order(plan, select->relation, orders, select->order_count, rows_kept(select));
}

err select_run(const struct select *select, const struct store *store, struct budget *budget,
               bool (*each)(void *context, bytes row), void *context)
{
    struct select_runner runner = {
        .select = select, .budget = budget, .each = each, .context = context
    };
    runner.top = (struct top){ .limit = rows_kept(select), .compare = compare_kept, .context = (void *)select };
    if (select->is_grouped)
        grouping_init(&runner.grouping, select, budget);
    struct arena arena;
    struct plan plan;
    arena_init(&arena);
    runner.in_order = make_plan(&plan, &arena, select, store);
    const err code = run_plan(&runner, &plan);
    arena_deinit(&arena);
    runner_deinit(&runner);
    return code;
}

/* ---- EXPLAIN ---- */

static void print_columns(struct buf *out, const struct select *select, const struct column_ref *columns,
                          uint32_t count)
{
    for (uint32_t idx = 0; idx < count; idx++) {
        const struct source *source = &select->relation->sources[columns[idx].source].source;
        buf_put_format(out, "%s%.*s.%.*s", idx > 0 ? ", " : "", BYTES_FORMAT(source->name),
                       BYTES_FORMAT(source->table->columns[columns[idx].column].name));
    }
}

static void print_group(struct buf *out, const struct select *select)
{
    if (select->group_count == 0) {
        buf_put_text(out, "gather all rows into one\n");
        return;
    }
    buf_put_text(out, "gather rows of equal ");
    print_columns(out, select, select->groups, select->group_count);
    buf_put_u8(out, '\n');
}

static void print_order(struct buf *out, const struct select *select)
{
    buf_put_text(out, "order by ");
    for (uint32_t idx = 0; idx < select->order_count; idx++) {
        const struct select_order *order = &select->orders[idx];
        buf_put_text(out, idx > 0 ? ", " : "");
        if (order->of_output)
            buf_put_bytes(out, select->row_type->fields[order->output].name);
        else
            print_columns(out, select, &order->column, 1);
        buf_put_text(out, order->descending ? " descending" : "");
    }
    buf_put_u8(out, '\n');
}

void select_explain(struct buf *out, const struct select *select, const struct store *store)
{
    struct arena arena;
    struct plan plan;
    arena_init(&arena);
    const bool in_order = make_plan(&plan, &arena, select, store);
    plan_print(out, &plan, select->relation);
    arena_deinit(&arena);
    if (plan.never)
        return;
    if (select->is_grouped)
        print_group(out, select);
    if (!in_order)
        print_order(out, select);
    if (select->offset > 0)
        buf_put_format(out, "leave out the first %llu\n", (unsigned long long)select->offset);
    if (select->limit != UINT64_MAX)
        buf_put_format(out, "stop after %llu\n", (unsigned long long)select->limit);
}
