#include "engine/sql_answer.h"

#include "base/clock.h"
#include "sats/json.h"

struct sql_rows {
    struct buf *out;
    const struct type *row_type;
    bool any;
};

static bool print_row(void *context, bytes row)
{
    struct sql_rows *rows = context;
    if (rows->any)
        buf_put_u8(rows->out, ',');
    rows->any = true;
    json_print(rows->out, rows->row_type, row, JSON_UNTYPED);
    return true;
}

static void print_columns(struct buf *out, const struct table_def *table)
{
    for (uint32_t idx = 0; idx < table->column_count; idx++) {
        buf_put_text(out, idx > 0 ? ",{\"name\":{\"some\":" : "{\"name\":{\"some\":");
        json_print_string(out, table->columns[idx].name);
        buf_put_text(out, "},\"algebraic_type\":");
        type_print_json(out, table->columns[idx].type);
        buf_put_u8(out, '}');
    }
}

int64_t sql_answer_print(struct buf *out, const struct query *query, const struct store *store, int64_t start_us)
{
    buf_put_text(out, "[{\"schema\":{\"elements\":[");
    print_columns(out, query->table);
    buf_put_text(out, "]},\"rows\":[");
    struct sql_rows rows = { out, query->table->row_type, false };
    (void)query_run(query, store, NULL, print_row, &rows);
    const int64_t duration_us = clock_monotonic_us() - start_us;
    buf_put_format(
        out, "],\"total_duration_micros\":%lld,\"stats\":{\"rows_inserted\":0,\"rows_deleted\":0,\"rows_updated\":0}}]",
        (long long)duration_us);
    return duration_us;
}
