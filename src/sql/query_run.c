/* Running a query of whole rows over the tables as they stand. */
#include "sql/plan_run.h"
#include "sql/query.h"
#include "sql/row_order.h"
#include "store/key.h"

struct query_runner {
    const struct query *query;
    struct budget *budget;
    struct top top; /* with an order */
    uint64_t limit; /* likewise */
    uint32_t output;
    bool (*each)(void *context, bytes row);
    void *context;
};

int query_order_compare(const struct query *query, bytes left, bytes right)
{
    for (uint32_t idx = 0; idx < query->order_count; idx++) {
        const struct query_order *order = &query->order[idx];
        const int compared = row_order_compare(query->table->columns[order->column].type,
                                               key_row_column(query->table, left.at, order->column),
                                               key_row_column(query->table, right.at, order->column));
        if (compared != 0)
            return order->descending ? -compared : compared;
    }
    return bytes_compare(left, right);
}

static int compare_rows(const void *left, const void *right, void *context)
{
    return query_order_compare(context, plan_row(left), plan_row(right));
}

static bool give_row(void *context, const uint8_t *const *rows)
{
    const struct query_runner *runner = context;
    return runner->each(runner->context, plan_row(rows[runner->output]));
}

static bool offer_row(void *context, const uint8_t *const *rows)
{
    struct query_runner *runner = context;
    return top_offer(&runner->top, rows[0]) != NULL || budget_take_bytes(runner->budget, sizeof rows[0]);
}

static err run_in_order(struct query_runner *runner, const struct plan *plan)
{
    runner->top = (struct top){ .limit = runner->limit, .compare = compare_rows, .context = (void *)runner->query };
    const err code = plan_run(plan, runner->budget, offer_row, runner);
    if (code == OK) {
        bool goes_on = true;
        top_sort(&runner->top);
        for (size_t idx = 0; idx < runner->top.count && goes_on; idx++)
            goes_on = runner->each(runner->context, plan_row(runner->top.items[idx]));
    }
    top_deinit(&runner->top);
    return code;
}

err query_run_first(const struct query *query, uint64_t limit, const struct store *store, struct budget *budget,
                    bool (*each)(void *context, bytes row), void *context)
{
    struct query_runner runner = { .query = query, .budget = budget, .limit = limit, .each = each, .context = context };
    if (query->never)
        return OK;
    runner.output = query->join != NULL ? query->join->output : 0;

    struct arena arena;
    struct plan plan;
    arena_init(&arena);
    plan_make(&plan, &arena, query->relation, store);
    const err code = query->order_count > 0 ? run_in_order(&runner, &plan) : plan_run(&plan, budget, give_row, &runner);
    arena_deinit(&arena);
    return code;
}

err query_run(const struct query *query, const struct store *store, struct budget *budget,
              bool (*each)(void *context, bytes row), void *context)
{
    return query_run_first(query, query->limit, store, budget, each, context);
}

double query_estimate(const struct query *query, const struct store *store)
{
    struct arena arena;
    struct plan plan;
    if (query->never)
        return 0;
    arena_init(&arena);
    plan_make(&plan, &arena, query->relation, store);
    arena_deinit(&arena);
    return plan.rows;
}
