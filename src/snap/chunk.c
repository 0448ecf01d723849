#include "snap/chunk.h"

#include "sats/bsatn.h"

uint32_t chunk_fill(struct buf *out, struct frozen *frozen, uint32_t table, rowref *ref)
{
    const size_t start = out->size;
    uint32_t count = 0;
    buf_put_u32(out, 0);
    for (const struct row *row; out->size - start < CHUNK_SIZE && (row = frozen_pass(frozen, table, ref)) != NULL;) {
        buf_put_bytes(out, row_bytes(row));
        count++;
    }
    memcpy(out->data + start, &count, sizeof count);
    return count;
}

/* The rows of a table are a set (B1), so that only one row can be empty, and a count is bounded by its bytes. */
static bool count_is_possible(uint32_t count, const struct table_def *def, size_t size)
{
    const uint32_t row_size = def->row_type->min_size;
    return count > 0 && count <= (row_size > 0 ? size / row_size : 1);
}

static err row_store(struct table *table, bytes row, struct diag *diag)
{
    TRY(table_admits(table, row, diag));
    if (!table_put(table, row))
        return diag_set(diag, ERR_CORRUPT, "the table has no room for it");
    return OK;
}

static err row_load(struct reader *reader, const struct table_def *def, struct table *table, struct diag *diag)
{
    size_t size;
    TRY(bsatn_check(def->row_type, bytes_of(reader->at, reader_left(reader)), &size, diag));
    if (size > ROW_SIZE_MAX)
        return diag_set(diag, ERR_CORRUPT, "it is larger than a row may be");
    const bytes row = reader_take(reader, size);
    return table != NULL ? row_store(table, row, diag) : OK;
}

err chunk_load(bytes chunk, const struct table_def *def, struct table *table, uint32_t *rows, struct diag *diag)
{
    struct reader reader = reader_of(chunk);
    *rows = reader_get_u32(&reader);
    if (reader.failed || !count_is_possible(*rows, def, reader_left(&reader)))
        return diag_set(diag, ERR_CORRUPT, "its size does not go with the number of its rows");
    for (uint32_t idx = 0; idx < *rows; idx++) {
        if (row_load(&reader, def, table, diag) == OK)
            continue;
        diag_note(diag, "row %u: ", (unsigned)idx + 1);
        return diag->code = ERR_CORRUPT;
    }
    if (reader_left(&reader) > 0)
        return diag_set(diag, ERR_CORRUPT, "it has %zu bytes behind its rows", reader_left(&reader));
    return OK;
}
