/* A plan as lines for people. */
#include "sql/bounds.h"
#include "sql/plan.h"

static void print_column(struct buf *out, const struct plan_step *step, uint16_t column)
{
    buf_put_bytes(out, step->table->def->columns[column].name);
}

static void print_key(struct buf *out, const struct plan_step *step, const struct plan_key *key,
                      const struct relation *relation)
{
    print_column(out, step, key->column);
    if (key->is_value) {
        buf_put_text(out, " = a value");
        return;
    }
    const struct source *from = &relation->sources[key->from.source].source;
    buf_put_format(out, " = %.*s.%.*s", BYTES_FORMAT(from->name),
                   BYTES_FORMAT(from->table->columns[key->from.column].name));
}

/* Whether the index would lead to the rows of a range that they must lie in, if it had an order. */
static bool is_missed(const struct index_def *def, const struct query_filter *filter)
{
    uint32_t idx = 0;
    while (idx < def->column_count && bounds_equality(filter, def->columns[idx]) != NULL)
        idx++;
    return def->kind == INDEX_HASH && idx < def->column_count && bounds_range(filter, def->columns[idx]) != NULL;
}

static void print_all_rows(struct buf *out, const struct plan_step *step, const struct query_filter *filter)
{
    buf_put_text(out, "read all rows");
    for (uint32_t idx = 0; idx < step->table->index_count; idx++) {
        const struct index_def *def = index_def(step->table->indexes[idx]);
        if (is_missed(def, filter)) {
            buf_put_format(out, ", since hash index %.*s finds no ranges", BYTES_FORMAT(def->name));
            return;
        }
    }
}

static void print_access(struct buf *out, const struct plan_step *step, const struct relation *relation)
{
    if (step->access == STEP_PAGES) {
        print_all_rows(out, step, &relation->sources[step->source].filter);
        return;
    }
    if (step->access == STEP_HASH)
        buf_put_text(out, "read all rows once into a hash table, look up");
    else if (step->key_count == 0 && step->range == NULL)
        buf_put_format(out, "walk index %.*s", BYTES_FORMAT(index_def(step->index)->name));
    else
        buf_put_format(out, "look up in index %.*s:", BYTES_FORMAT(index_def(step->index)->name));
    for (uint32_t idx = 0; idx < step->key_count; idx++) {
        buf_put_text(out, idx > 0 ? ", " : " ");
        print_key(out, step, &step->keys[idx], relation);
    }
    if (step->range != NULL) {
        buf_put_text(out, step->key_count > 0 ? ", a range of " : " a range of ");
        print_column(out, step, step->range->column);
    }
    if (step->reverse)
        buf_put_text(out, ", downwards");
}

void plan_print(struct buf *out, const struct plan *plan, const struct relation *relation)
{
    if (plan->never) {
        buf_put_text(out, "the condition holds for no row: nothing is read\n");
        return;
    }
    for (uint32_t idx = 0; idx < plan->step_count; idx++) {
        const struct plan_step *step = &plan->steps[idx];
        const struct source *source = &relation->sources[step->source].source;
        buf_put_format(out, "%s%.*s", idx > 0 ? "for each, " : "", BYTES_FORMAT(source->table->name));
        if (!bytes_equal(source->table->name, source->name))
            buf_put_format(out, " (%.*s)", BYTES_FORMAT(source->name));
        buf_put_text(out, ": ");
        print_access(out, step, relation);
        if (step->filter != NULL || step->cross != NULL)
            buf_put_text(out, ", keep what passes the condition");
        buf_put_format(out, "; about %.0f rows so far, of %llu in the table\n", step->rows,
                       (unsigned long long)step->table->pages.row_count);
    }
}
