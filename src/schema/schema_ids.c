#include "schema/schema_ids.h"

static uint32_t id_count(const struct schema *schema)
{
    uint32_t count = schema_relation_count(schema) + schema->schedule_count;
    for (uint32_t place = 0; place < schema_relation_count(schema); place++)
        count += schema_relation(schema, place)->index_count + schema_relation(schema, place)->sequence_count;
    return count;
}

static void id_put(struct buf *out, uint32_t id, bytes name)
{
    buf_put_u32(out, id);
    buf_put_sized(out, name);
}

void schema_ids_encode(struct buf *out, const struct schema *schema)
{
    buf_put_u32(out, schema->next_id);
    buf_put_u32(out, id_count(schema));
    for (uint32_t place = 0; place < schema_relation_count(schema); place++) {
        const struct table_def *table = schema_relation(schema, place);
        id_put(out, table->id, table->name);
        for (uint32_t idx = 0; idx < table->index_count; idx++)
            id_put(out, table->indexes[idx].id, table->indexes[idx].name);
        for (uint32_t idx = 0; idx < table->sequence_count; idx++)
            id_put(out, table->sequences[idx].id, table->sequences[idx].name);
    }
    for (uint32_t idx = 0; idx < schema->schedule_count; idx++)
        id_put(out, schema->schedules[idx].id, schema->schedules[idx].name);
}

static err refuse(struct diag *diag, const char *why)
{
    return diag_set(diag, ERR_CORRUPT, "the ids do not belong to the description: %s", why);
}

/* Every id once (S1), every name once. `kept` has room for `count`. */
static err ids_read(struct reader *from, uint32_t next_id, uint32_t *kept, uint32_t count, struct map *by_name,
                    struct diag *diag)
{
    struct map seen;
    map_init(&seen);
    err code = OK;
    for (uint32_t idx = 0; idx < count && code == OK; idx++) {
        kept[idx] = reader_get_u32(from);
        const bytes name = reader_get_sized(from);
        if (from->failed)
            code = refuse(diag, "their list is cut off");
        else if (kept[idx] < SCHEMA_FIRST_ID || kept[idx] >= next_id)
            code = refuse(diag, "one is out of range");
        else if (map_put(&seen, map_u32_key(&kept[idx]), kept) != NULL || map_put(by_name, name, &kept[idx]) != NULL)
            code = refuse(diag, "one stands there twice");
    }
    map_deinit(&seen);
    if (code == OK && reader_left(from) > 0)
        return refuse(diag, "their list is too long");
    return code;
}

static err id_take(const struct map *by_name, bytes name, uint32_t *id, struct diag *diag)
{
    const uint32_t *kept = map_find(by_name, name);
    if (kept == NULL)
        return diag_set(diag, ERR_CORRUPT, "the ids do not belong to the description: `%.*s` has none",
                        BYTES_FORMAT(name));
    *id = *kept;
    return OK;
}

static err ids_assign(struct schema *schema, const struct map *by_name, struct diag *diag)
{
    for (uint32_t place = 0; place < schema_relation_count(schema); place++) {
        struct table_def *table = schema_relation(schema, place);
        TRY(id_take(by_name, table->name, &table->id, diag));
        for (uint32_t idx = 0; idx < table->index_count; idx++)
            TRY(id_take(by_name, table->indexes[idx].name, &table->indexes[idx].id, diag));
        for (uint32_t idx = 0; idx < table->sequence_count; idx++)
            TRY(id_take(by_name, table->sequences[idx].name, &table->sequences[idx].id, diag));
    }
    for (uint32_t idx = 0; idx < schema->schedule_count; idx++)
        TRY(id_take(by_name, schema->schedules[idx].name, &schema->schedules[idx].id, diag));
    return OK;
}

/* The schema is still nobody else's, so that its ids may change (S3). */
static err ids_restore(struct schema *schema, bytes ids, struct diag *diag)
{
    struct reader reader = reader_of(ids);
    const uint32_t next_id = reader_get_u32(&reader);
    const uint32_t count = reader_get_u32(&reader);
    if (reader.failed || count != id_count(schema) || next_id < SCHEMA_FIRST_ID)
        return refuse(diag, "there is not one for each name");

    struct map by_name;
    map_init(&by_name);
    uint32_t *kept = memory_new(count * sizeof *kept);
    err code = ids_read(&reader, next_id, kept, count, &by_name, diag);
    if (code == OK)
        code = ids_assign(schema, &by_name, diag);
    memory_free(kept);
    map_deinit(&by_name);
    schema->next_id = next_id;
    return code;
}

err schema_restore(bytes def, bytes ids, struct schema **schema, struct diag *diag)
{
    TRY(schema_build(def, NULL, schema, NULL, diag));
    const err code = ids_restore(*schema, ids, diag);
    if (code != OK) {
        schema_free(*schema);
        *schema = NULL;
    }
    return code;
}
