#include "engine/sql_answer.h"

#include "base/clock.h"
#include "sats/json.h"

enum { ROWS_MAX = 50000000, BYTES_MAX = 64 << 20, ASIDE_BYTES_MAX = 256 << 20 };
/* Everybody waits for a statement on the engine's thread; the owner is thought to know why. */
enum { TIME_MAX_US = 1000000, OWNER_TIME_MAX_US = 5000000, ASIDE_TIME_MAX_US = 60000000 };

void sql_budget_here(struct budget *budget, bool is_owner, struct diag *diag)
{
    *budget = (struct budget){ .rows_max = ROWS_MAX,
                               .bytes_max = BYTES_MAX,
                               .time_max_us = is_owner ? OWNER_TIME_MAX_US : TIME_MAX_US,
                               .diag = diag };
    budget_begin(budget);
}

void sql_budget_aside(struct budget *budget, struct diag *diag)
{
    *budget = (struct budget){
        .rows_max = UINT64_MAX, .bytes_max = ASIDE_BYTES_MAX, .time_max_us = ASIDE_TIME_MAX_US, .diag = diag
    };
    budget_begin(budget);
}

bool sql_only_reads(const struct statement *statement)
{
    return statement->kind == STATEMENT_SELECT || statement->kind == STATEMENT_SHOW || statement->explains;
}

struct sql_rows {
    struct buf *out;
    struct budget *budget;
    const struct type *row_type;
    bool any;
};

static bool print_row(void *context, bytes row)
{
    struct sql_rows *rows = context;
    const size_t start = rows->out->size;
    if (rows->any)
        buf_put_u8(rows->out, ',');
    rows->any = true;
    json_print(rows->out, rows->row_type, row, JSON_UNTYPED);
    return budget_take_bytes(rows->budget, rows->out->size - start);
}

static void print_columns(struct buf *out, const struct type *row_type)
{
    buf_put_text(out, "[{\"schema\":{\"elements\":[");
    for (uint32_t idx = 0; idx < row_type->count; idx++) {
        buf_put_text(out, idx > 0 ? ",{\"name\":{\"some\":" : "{\"name\":{\"some\":");
        json_print_string(out, row_type->fields[idx].name);
        buf_put_text(out, "},\"algebraic_type\":");
        type_print_json(out, row_type->fields[idx].type);
        buf_put_u8(out, '}');
    }
    buf_put_text(out, "]},\"rows\":[");
}

static void print_end(struct buf *out, const struct change_counts *counts, int64_t start_us, int64_t *duration_us)
{
    *duration_us = clock_monotonic_us() - start_us;
    buf_put_format(out,
                   "],\"total_duration_micros\":%lld,\"stats\":{\"rows_inserted\":%llu,\"rows_deleted\":%llu,"
                   "\"rows_updated\":%llu}}]",
                   (long long)*duration_us, (unsigned long long)counts->inserted, (unsigned long long)counts->deleted,
                   (unsigned long long)counts->updated);
}

static err print_select(struct buf *out, const struct select *select, const struct sql_place *place,
                        struct budget *budget)
{
    struct sql_rows rows = { out, budget, select->row_type, false };
    print_columns(out, select->row_type);
    return select_run(select, place->store, budget, print_row, &rows);
}

/* A row each line. */
static void print_explanation(struct buf *out, const struct statement *statement, const struct store *store)
{
    struct arena arena;
    struct buf lines;
    arena_init(&arena);
    buf_init(&lines);
    const struct type_field plan = { BYTES_LITERAL("plan"), type_scalar(TYPE_STRING) };
    print_columns(out, type_product(&arena, &plan, 1));
    statement_explain(&lines, statement, store);
    for (size_t start = 0, end; start < lines.size; start = end + 1) {
        end = start;
        while (lines.data[end] != '\n')
            end++;
        buf_put_text(out, start > 0 ? ",[" : "[");
        json_print_string(out, bytes_of(lines.data + start, end - start));
        buf_put_u8(out, ']');
    }
    buf_deinit(&lines);
    arena_deinit(&arena);
}

/* SHOW is a question to a system table. */
static err print_variable(struct buf *out, const struct sql_place *place, struct budget *budget)
{
    struct statement *select;
    TRY(statement_compile(&select, BYTES_LITERAL("SELECT * FROM st_var WHERE name = 'row_limit'"), place->store->schema,
                          &place->caller, place->made, budget->diag));
    const err code = print_select(out, select->select, place, budget);
    statement_free(select);
    return code;
}

err sql_answer_read(struct buf *out, const struct statement *statement, const struct sql_place *place,
                    struct budget *budget, int64_t *duration_us)
{
    static const struct change_counts none;
    if (statement->explains)
        print_explanation(out, statement, place->store);
    else if (statement->kind == STATEMENT_SHOW)
        TRY(print_variable(out, place, budget));
    else
        TRY(print_select(out, statement->select, place, budget));
    print_end(out, &none, place->start_us, duration_us);
    return OK;
}

void sql_answer_changed(struct buf *out, const struct change_counts *counts, int64_t start_us, int64_t *duration_us)
{
    print_columns(out, type_unit());
    print_end(out, counts, start_us, duration_us);
}
