/* Any bytes as what stands inside a snapshot, behind all checksums: reading either refuses it or gives tables that
 * hold.
 *
 * input: u8 kind, then the content. Kinds 0 to 3: a chunk of that table's rows; a second chunk of it follows behind
 * u16 size. Kind 4: the head. 5: clients. 6: sequences. 7: ids. */
#include "schema/migration.h"
#include "schema/schema_ids.h"
#include "snap/chunk.h"
#include "snap/meta.h"

enum { TABLES = 4 };

static void text_put(struct buf *out, const char *text)
{
    buf_put_sized(out, bytes_of_text(text));
}

static void field_put(struct buf *out, const char *name, enum type_kind kind)
{
    buf_put_u8(out, 0); /* some */
    text_put(out, name);
    type_encode(out, type_scalar(kind));
}

static void product_put(struct buf *out, const char *const *names, const enum type_kind *kinds, uint32_t count)
{
    buf_put_u8(out, TYPE_PRODUCT);
    buf_put_u32(out, count);
    for (uint32_t idx = 0; idx < count; idx++)
        field_put(out, names[idx], kinds[idx]);
}

/* A B-tree (0), hash (1) or direct (2) index over the first column. */
static void index_put(struct buf *out, const char *name, uint8_t algorithm)
{
    buf_put_u8(out, 0);
    text_put(out, name);
    buf_put_u8(out, 1); /* no accessor */
    buf_put_u8(out, algorithm);
    if (algorithm < 2)
        buf_put_u32(out, 1);
    buf_put_u16(out, 0);
}

static void table_put_def(struct buf *out, const char *name, uint32_t ref, const char *index, uint8_t algorithm,
                          bool is_counted)
{
    text_put(out, name);
    buf_put_u32(out, ref);
    buf_put_u32(out, 0); /* no primary key */
    buf_put_u32(out, index != NULL);
    if (index != NULL)
        index_put(out, index, algorithm);
    buf_put_u32(out, index != NULL); /* a unique constraint over the same column */
    if (index != NULL) {
        buf_put_u8(out, 1); /* no name */
        buf_put_u8(out, 0);
        buf_put_u32(out, 1);
        buf_put_u16(out, 0);
    }
    buf_put_u32(out, is_counted);
    if (is_counted) {
        buf_put_u8(out, 1);
        buf_put_u16(out, 0);
        buf_put(out, "\1\1\1", 3); /* no start, min, max */
        const __int128 increment = 1;
        buf_put(out, &increment, sizeof increment);
    }
    buf_put_u8(out, 1);  /* user */
    buf_put_u8(out, 0);  /* public */
    buf_put_u32(out, 0); /* no defaults */
    buf_put_u8(out, 0);  /* no event table */
}

/* RawModuleDefV10 of four tables: unique by B-tree, by hash, and by array; and a set of texts. */
static void def_put(struct buf *out)
{
    buf_put_u32(out, 2);
    buf_put_u8(out, 0); /* the typespace */
    buf_put_u32(out, TABLES);
    product_put(out, (const char *const[]){ "id", "name" }, (const enum type_kind[]){ TYPE_U32, TYPE_STRING }, 2);
    product_put(out, (const char *const[]){ "name", "on" }, (const enum type_kind[]){ TYPE_STRING, TYPE_BOOL }, 2);
    product_put(out, (const char *const[]){ "place", "x" }, (const enum type_kind[]){ TYPE_U16, TYPE_F32 }, 2);
    product_put(out, (const char *const[]){ "text" }, (const enum type_kind[]){ TYPE_STRING }, 1);
    buf_put_u8(out, 2); /* the tables */
    buf_put_u32(out, TABLES);
    table_put_def(out, "player", 0, "player_id", 0, true);
    table_put_def(out, "lamp", 1, "lamp_name", 1, false);
    table_put_def(out, "point", 2, "point_place", 2, false);
    table_put_def(out, "word", 3, NULL, 0, false);
}

static struct schema *schema_make(struct buf *def)
{
    struct schema *schema;
    struct diag diag;
    def_put(def);
    if (schema_build(buf_bytes(def), NULL, &schema, NULL, &diag) != OK)
        check_failed(diag.text, __FILE__, __LINE__);
    return schema;
}

static void check_refusal(err code, const struct diag *diag)
{
    check(code == OK || (diag->code == code && diag->text[0] != '\0'));
}

static void chunks_try(struct table *table, struct reader *reader)
{
    struct diag diag = { 0 };
    uint32_t rows, more = 0;
    const uint16_t size = reader_get_u16(reader);
    const bytes first = reader_take(reader, size < reader_left(reader) ? size : reader_left(reader));
    const bytes second = reader_take(reader, reader_left(reader));
    err code = chunk_load(first, table->def, table, &rows, &diag);
    if (code == OK) {
        code = chunk_load(second, table->def, table, &more, &diag);
        rows += code == OK ? more : 0;
    }
    check_refusal(code, &diag);
    if (code == OK)
        check(table->pages.row_count == rows);
    table_check(table);
}

static void head_try(const struct schema *schema, struct reader *reader, struct arena *arena)
{
    struct diag diag = { 0 };
    struct snap_inventory inventory;
    struct snap_order order;
    const bytes from = reader_take(reader, reader_left(reader));
    const err code = inventory_decode(from, arena, &inventory, &diag);
    check_refusal(code, &diag);
    if (code != OK)
        return;
    order_make(&order, schema, arena);
    inventory_fits(&inventory, &order, 0);
    struct buf again;
    buf_init(&again);
    inventory_encode(&again, &inventory);
    check(bytes_equal(from, buf_bytes(&again)));
    buf_deinit(&again);
}

static void ids_try(const struct buf *def, struct reader *reader)
{
    struct diag diag = { 0 };
    struct schema *schema;
    const bytes from = reader_take(reader, reader_left(reader));
    const err code = schema_restore(buf_bytes(def), from, &schema, &diag);
    check_refusal(code, &diag);
    check((code == OK) == (schema != NULL));
    schema_free(schema);
}

static void value_try(uint8_t kind, struct reader *reader, struct store *store, const struct buf *def)
{
    struct diag diag = { 0 };
    struct snap_head head;
    struct arena arena;
    arena_init(&arena);
    if (kind < TABLES)
        chunks_try(store->tables[kind], reader);
    else if (kind == 4)
        head_try(store->schema, reader, &arena);
    else if (kind == 5)
        check_refusal(clients_decode(reader_take(reader, reader_left(reader)), &arena, &head, &diag), &diag);
    else if (kind == 6)
        check_refusal(sequences_decode(reader_take(reader, reader_left(reader)), store->schema, store, &diag), &diag);
    else
        ids_try(def, reader);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader = reader_of(bytes_of(data, size));
    struct buf def;
    buf_init(&def);
    struct store store;
    store_init(&store);
    const struct migration plan = { 0 };
    struct diag diag;
    check(store_migrate(&store, schema_make(&def), &plan, NULL, &diag) == OK);

    const uint8_t kind = reader_get_u8(&reader);
    value_try(kind % 8, &reader, &store, &def);
    store_deinit(&store);
    buf_deinit(&def);
    return 0;
}
