#include "engine/compare.h"

#include "sats/json.h"

#include <inttypes.h>

static err blame_row(const struct table_def *def, const char *which, bytes row, struct diag *diag)
{
    struct buf text = { 0 };
    json_print(&text, def->row_type, row, JSON_TYPED);
    diag_set(diag, ERR_CORRUPT, "table `%.*s` %s the row %.*s", BYTES_FORMAT(def->name), which,
             BYTES_FORMAT(buf_bytes(&text)));
    buf_deinit(&text);
    return ERR_CORRUPT;
}

/* Tables are sets (B1): when every row of each is in the other, they are equal. */
static err find_missing_row(const struct table *in, const struct table *from, const char *which, struct diag *diag)
{
    rowref ref = ROWREF_NONE;
    for (const struct row *row; (row = pages_next(&from->pages, &ref)) != NULL;)
        if (table_find_equal(in, row_bytes(row)) == ROWREF_NONE)
            return blame_row(from->def, which, row_bytes(row), diag);
    return OK;
}

static err blame_sequence(const struct table_def *def, uint32_t place, struct diag *diag)
{
    return diag_set(diag, ERR_CORRUPT, "the sequence `%.*s` of table `%.*s` stands at another value",
                    BYTES_FORMAT(def->sequences[place].name), BYTES_FORMAT(def->name));
}

static err compare_tables(const struct table *kept, const struct table *replayed, struct diag *diag)
{
    const struct table_def *def = replayed->def;
    if (kept->def->id != def->id || !table_has_shape(kept, def))
        return diag_set(diag, ERR_CORRUPT, "table `%.*s` has another shape", BYTES_FORMAT(def->name));
    TRY(find_missing_row(kept, replayed, "lacks", diag));
    TRY(find_missing_row(replayed, kept, "should not have", diag));
    for (uint32_t idx = 0; idx < def->sequence_count; idx++)
        if (kept->sequences[idx].reserved != replayed->sequences[idx].reserved)
            return blame_sequence(def, idx, diag);
    return OK;
}

static err compare_clients(const struct image *kept, const struct image *replayed, struct diag *diag)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&replayed->clients, &place)) != NULL;) {
        const struct caller *one = entry->value, *other = map_find(&kept->clients, map_u64_key(&one->number));
        if (other == NULL || memcmp(&one->who, &other->who, sizeof one->who) != 0 ||
            memcmp(&one->connection, &other->connection, sizeof one->connection) != 0)
            return diag_set(diag, ERR_CORRUPT, "client %" PRIu64 ", who was connected, is not in it", one->number);
    }
    if (kept->clients.count != replayed->clients.count)
        return diag_set(diag, ERR_CORRUPT, "it has %" PRIu32 " clients, and %" PRIu32 " were connected",
                        kept->clients.count, replayed->clients.count);
    return OK;
}

static err compare_modules(const struct image *kept, const struct image *replayed, struct diag *diag)
{
    if (kept->publish_offset != replayed->publish_offset ||
        !bytes_equal(buf_bytes(&kept->publish), buf_bytes(&replayed->publish)) ||
        memcmp(kept->first_hash, replayed->first_hash, sizeof kept->first_hash) != 0)
        return diag_set(diag, ERR_CORRUPT, "it names another module than was in force");
    if (kept->store.table_count != replayed->store.table_count)
        return diag_set(diag, ERR_CORRUPT, "it has %" PRIu32 " tables, and %" PRIu32 " were there",
                        kept->store.table_count, replayed->store.table_count);
    return OK;
}

err compare_images(const struct image *kept, const struct image *replayed, struct diag *diag)
{
    TRY(compare_modules(kept, replayed, diag));
    for (uint32_t idx = 0; idx < replayed->store.table_count; idx++)
        TRY(compare_tables(kept->store.tables[idx], replayed->store.tables[idx], diag));
    return compare_clients(kept, replayed, diag);
}

/* --- A frozen view beside an image --- */

static err compare_frozen_table(const struct frozen *live, uint32_t place, const struct table *replayed,
                                struct diag *diag)
{
    rowref ref = ROWREF_NONE;
    uint64_t count = 0;
    for (const struct row *row; (row = frozen_next(live, place, &ref)) != NULL; count++)
        if (table_find_equal(replayed, row_bytes(row)) == ROWREF_NONE)
            return blame_row(replayed->def, "should not have", row_bytes(row), diag);
    if (count != replayed->pages.row_count)
        return diag_set(diag, ERR_CORRUPT, "table `%.*s` has %" PRIu64 " rows and should have %" PRIu64,
                        BYTES_FORMAT(replayed->def->name), count, replayed->pages.row_count);
    for (uint32_t idx = 0; idx < replayed->sequence_count; idx++)
        if (frozen_sequence(live, place, idx) != replayed->sequences[idx].reserved)
            return blame_sequence(replayed->def, idx, diag);
    return OK;
}

err compare_frozen(const struct frozen *live, const struct image *replayed, struct diag *diag)
{
    const uint32_t count = frozen_table_count(live);
    if (count != replayed->store.table_count)
        return diag_set(diag, ERR_CORRUPT, "there are %" PRIu32 " tables, and %" PRIu32 " should be", count,
                        replayed->store.table_count);
    for (uint32_t place = 0; place < count; place++) {
        const struct table_def *def = &frozen_schema(live)->tables[place];
        const struct table *table = store_find(&replayed->store, def->id);
        if (table == NULL || !table_has_shape(table, def))
            return diag_set(diag, ERR_CORRUPT, "table `%.*s` has another shape", BYTES_FORMAT(def->name));
        TRY(compare_frozen_table(live, place, table, diag));
    }
    return OK;
}
