#include "sql/plan_run.h"

#include "sats/bsatn.h"
#include "sql/predicate.h"
#include "sql/row_hash.h"

struct step_state {
    struct row_hash hash; /* STEP_HASH */
    bool is_hashed;
    struct buf lower, upper; /* STEP_INDEX */
};

struct runner {
    const struct plan *plan;
    struct budget *budget;
    plan_each_fn *each;         /* or */
    plan_each_ref_fn *each_ref; /* which gets `ref`, of the one step that gives rows by reference */
    void *context;
    rowref ref;
    const uint8_t *rows[SQL_SOURCES_MAX];
    struct step_state states[SQL_SOURCES_MAX];
};

/* A step being walked, for callbacks. */
struct walk {
    struct runner *runner;
    uint32_t step;
    bool goes_on;
};

static bool step_run(struct runner *runner, uint32_t idx);

static bytes column_bytes(const struct table *table, const uint8_t *row, uint16_t column)
{
    const uint8_t *at = table_column(table, row, column);
    return bytes_of(at, bsatn_size(table->def->columns[column].type, at));
}

static const struct table *table_of(const struct runner *runner, uint32_t source)
{
    for (uint32_t idx = 0;; idx++)
        if (runner->plan->steps[idx].source == source)
            return runner->plan->steps[idx].table;
}

static bytes key_bytes(const struct runner *runner, const struct plan_key *key)
{
    if (key->is_value)
        return key->value;
    return column_bytes(table_of(runner, key->from.source), runner->rows[key->from.source], key->from.column);
}

/* A row of this step: if it fits those before, on to the next step. */
static bool step_row(struct runner *runner, uint32_t idx, const uint8_t *row)
{
    const struct plan_step *step = &runner->plan->steps[idx];
    if (!budget_take_row(runner->budget))
        return false;
    runner->rows[step->source] = row;
    if (step->filter != NULL && !predicate_matches(step->filter, runner->rows))
        return true;
    if (step->cross != NULL && !predicate_matches(step->cross, runner->rows))
        return true;
    return step_run(runner, idx + 1);
}

static bool step_pages(struct runner *runner, uint32_t idx)
{
    const struct table *table = runner->plan->steps[idx].table;
    rowref ref = ROWREF_NONE;
    for (const struct row *row; (row = pages_next(&table->pages, &ref)) != NULL;) {
        runner->ref = ref;
        if (!step_row(runner, idx, row->data))
            return false;
    }
    return true;
}

static bool walk_ref(void *context, rowref ref)
{
    struct walk *walk = context;
    const struct table *table = walk->runner->plan->steps[walk->step].table;
    walk->runner->ref = ref;
    walk->goes_on = step_row(walk->runner, walk->step, pages_row(&table->pages, ref)->data);
    return walk->goes_on;
}

/* The end of a walk: the key's columns, then the range's bound if it has one on this side. */
static struct index_bound bound_make(struct buf *key, uint32_t key_count, bool has_more, bytes more, bool inclusive)
{
    if (has_more)
        buf_put_bytes(key, more);
    return (struct index_bound){ .key = buf_bytes(key),
                                 .column_count = key_count + has_more,
                                 .inclusive = has_more ? inclusive : true };
}

static bool step_index(struct runner *runner, uint32_t idx)
{
    static const struct query_range whole;
    const struct plan_step *step = &runner->plan->steps[idx];
    const struct query_range *range = step->range != NULL ? step->range : &whole;
    struct step_state *state = &runner->states[idx];
    buf_clear(&state->lower);
    buf_clear(&state->upper);
    for (uint32_t place = 0; place < step->key_count; place++)
        buf_put_bytes(&state->lower, key_bytes(runner, &step->keys[place]));
    buf_put_bytes(&state->upper, buf_bytes(&state->lower));

    const struct index_bound from =
        bound_make(&state->lower, step->key_count, range->has_lower, range->lower, range->lower_inclusive);
    const struct index_bound to =
        bound_make(&state->upper, step->key_count, range->has_upper, range->upper, range->upper_inclusive);
    struct walk walk = { runner, idx, true };
    struct diag diag;
    const err code = index_walk(step->index, from, to, step->reverse, walk_ref, &walk, &diag);
    check(code == OK); /* the planner asks an index only for what its kind can answer */
    return walk.goes_on;
}

static uint64_t key_of_row(const struct plan_step *step, const uint8_t *row)
{
    uint64_t key = 0;
    for (uint32_t place = 0; place < step->key_count; place++) {
        const bytes value = column_bytes(step->table, row, step->keys[place].column);
        key = row_hash_key(key, value.at, value.size);
    }
    return key;
}

static bool hash_fill(struct runner *runner, uint32_t idx)
{
    const struct plan_step *step = &runner->plan->steps[idx];
    struct step_state *state = &runner->states[idx];
    rowref ref = ROWREF_NONE;
    state->is_hashed = true;
    for (const struct row *row; (row = pages_next(&step->table->pages, &ref)) != NULL;) {
        runner->rows[step->source] = row->data;
        if (!budget_take_row(runner->budget))
            return false;
        if (step->filter != NULL && !predicate_matches(step->filter, runner->rows))
            continue;
        if (!budget_take_bytes(runner->budget, sizeof(struct row_hash_entry) + sizeof(uint32_t)))
            return false;
        row_hash_add(&state->hash, key_of_row(step, row->data), row->data);
    }
    return true;
}

static bool step_hash(struct runner *runner, uint32_t idx)
{
    const struct plan_step *step = &runner->plan->steps[idx];
    struct step_state *state = &runner->states[idx];
    if (!state->is_hashed && !hash_fill(runner, idx))
        return false;
    uint64_t key = 0;
    for (uint32_t place = 0; place < step->key_count; place++) {
        const bytes value = key_bytes(runner, &step->keys[place]);
        key = row_hash_key(key, value.at, value.size);
    }
    const struct row_hash_entry *entry = row_hash_find(&state->hash, key);
    for (; entry != NULL; entry = row_hash_next(&state->hash, entry))
        if (!step_row(runner, idx, entry->row))
            return false;
    return true;
}

/* False when all is to stop. */
static bool step_run(struct runner *runner, uint32_t idx)
{
    if (idx == runner->plan->step_count)
        return runner->each != NULL ? runner->each(runner->context, runner->rows)
                                    : runner->each_ref(runner->context, runner->ref);
    switch (runner->plan->steps[idx].access) {
    case STEP_PAGES: return step_pages(runner, idx);
    case STEP_INDEX: return step_index(runner, idx);
    case STEP_HASH: return step_hash(runner, idx);
    }
    unreachable();
}

static err run(struct runner *runner)
{
    const struct plan *plan = runner->plan;
    if (plan->never)
        return OK;
    if (budget_check_estimate(runner->budget, plan->rows) == OK)
        (void)step_run(runner, 0);
    for (uint32_t idx = 0; idx < plan->step_count; idx++) {
        row_hash_deinit(&runner->states[idx].hash);
        buf_deinit(&runner->states[idx].lower);
        buf_deinit(&runner->states[idx].upper);
    }
    return runner->budget != NULL ? runner->budget->code : OK;
}

err plan_run(const struct plan *plan, struct budget *budget, plan_each_fn *each, void *context)
{
    struct runner runner = { .plan = plan, .budget = budget, .each = each, .context = context };
    return run(&runner);
}

err plan_run_refs(const struct plan *plan, struct budget *budget, plan_each_ref_fn *each, void *context)
{
    check(plan->never || (plan->step_count == 1 && plan->steps[0].access != STEP_HASH));
    struct runner runner = { .plan = plan, .budget = budget, .each_ref = each, .context = context };
    return run(&runner);
}
