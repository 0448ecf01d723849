#include "engine/as_of.h"

#include "base/clock.h"
#include "engine/sql_answer.h"
#include "engine/system_tables.h"
#include "sql/catalog.h"
#include "sql/lexer.h"

enum { IMAGES_MAX = 4, IMAGES_MEMORY_MAX = 256 << 20 };

/* --- The clause --- */

enum { CLAUSE_TOKENS = 3 }; /* AS OF literal */

bool as_of_cut(bytes *sql, bytes *when)
{
    struct diag diag;
    struct lexer lexer = { .sql = *sql, .diag = &diag };
    struct token last[CLAUSE_TOKENS] = { 0 }, token;
    bool has_ended = false;
    if (sql->size > SQL_TEXT_MAX)
        return false;
    for (;;) {
        if (lexer_next(&lexer, &token) != OK)
            return false;
        if (token.kind == TOKEN_END)
            break;
        if (token_is_symbol(&token, ";")) {
            has_ended = true;
            continue;
        }
        if (has_ended)
            memset(last, 0, sizeof last);
        has_ended = false;
        memmove(&last[0], &last[1], sizeof last - sizeof last[0]);
        last[CLAUSE_TOKENS - 1] = token;
    }
    const bool is_literal = last[2].kind == TOKEN_TEXT || last[2].kind == TOKEN_NUMBER;
    if (!is_literal || !token_is_keyword(&last[0], "AS") || !token_is_keyword(&last[1], "OF"))
        return false;
    *when = last[2].text;
    sql->size = last[0].offset;
    return true;
}

err as_of_parse(bytes when, struct moment *moment, struct diag *diag)
{
    TRY(moment_parse(when, moment, diag));
    if (moment->is_time && moment->time_us > clock_wall_us())
        return diag_set(diag, ERR_BAD_USAGE, "%.*s is still to come", BYTES_FORMAT(when));
    return OK;
}

/* --- Images --- */

struct kept_image {
    struct image image;
    uint64_t before;
    uint64_t memory;
};

struct images {
    struct kept_image *kept[IMAGES_MAX]; /* owned; the one used last comes first */
    uint32_t count;
};

struct images *images_new(void)
{
    return memory_new(sizeof(struct images));
}

static void drop_last(struct images *images)
{
    struct kept_image *kept = images->kept[--images->count];
    image_deinit(&kept->image);
    memory_free(kept);
}

void images_free(struct images *images)
{
    while (images != NULL && images->count > 0)
        drop_last(images);
    memory_free(images);
}

static void put_first(struct images *images, struct kept_image *kept, uint32_t from)
{
    memmove(&images->kept[1], &images->kept[0], from * sizeof images->kept[0]);
    images->kept[0] = kept;
}

static struct kept_image *find_image(struct images *images, uint64_t before)
{
    for (uint32_t idx = 0; idx < images->count; idx++) {
        if (images->kept[idx]->before == before) {
            put_first(images, images->kept[idx], idx);
            return images->kept[0];
        }
    }
    return NULL;
}

static uint64_t measure(const struct image *image)
{
    uint64_t memory = 0;
    for (uint32_t idx = 0; idx < image->store.table_count; idx++)
        memory += table_memory(image->store.tables[idx]);
    return memory;
}

/* The image at hand comes first; it goes as well when it alone is too large to be kept. */
static void trim(struct images *images)
{
    uint64_t memory = 0;
    uint32_t fitting = 0;
    for (; fitting < images->count; fitting++) {
        memory += images->kept[fitting]->memory;
        if (memory > IMAGES_MEMORY_MAX)
            break;
    }
    while (images->count > fitting)
        drop_last(images);
}

static err get_image(struct images *images, struct history *history, uint64_t before, struct image **image,
                     struct diag *diag)
{
    struct kept_image *kept = find_image(images, before);
    if (kept == NULL) {
        kept = memory_new(sizeof *kept);
        image_init(&kept->image);
        const err code = history_image_before(history, before, &kept->image, diag);
        if (code != OK) {
            memory_free(kept);
            return code;
        }
        if (images->count == IMAGES_MAX)
            drop_last(images);
        kept->before = before;
        kept->memory = measure(&kept->image);
        put_first(images, kept, images->count++);
    }
    *image = &kept->image;
    return OK;
}

/* --- The answer --- */

static void list_clients(void *context, struct buf *clients)
{
    const struct image *image = context;
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&image->clients, &place)) != NULL;)
        system_client_put(clients, entry->value);
}

static err run_statement(const struct statement *statement, const struct sql_place *place, struct buf *answer,
                         int64_t *duration_us, struct diag *diag)
{
    struct budget budget;
    if (!sql_only_reads(statement))
        return diag_set(diag, ERR_BAD_SQL, "the past cannot be changed: SELECT is for it");
    sql_budget_aside(&budget, diag);
    return sql_answer_read(answer, statement, place, &budget, duration_us);
}

/* Views are worked out by the module at hand, which is not that of then. */
static err refuse_view(void *context, bytes name, const struct query_caller *caller, struct catalog_entry *entry,
                       struct diag *diag)
{
    const struct image *image = context;
    (void)caller, (void)entry;
    if (schema_find_view(image->store.schema, name) == NULL)
        return OK;
    return diag_set(diag, ERR_BAD_SQL, "`%.*s` is a view, and the past is kept of tables: ask those that it looks at",
                    BYTES_FORMAT(name));
}

static err answer_from(struct image *image, const struct as_of_question *question, struct buf *answer,
                       int64_t *duration_us, struct diag *diag)
{
    if (image->store.schema == NULL)
        return diag_set(diag, ERR_NOT_FOUND, "there were no tables yet");
    const struct system_facts facts = { .schema = image->store.schema,
                                        .store = &image->store,
                                        .database = question->database,
                                        .owner = question->who,
                                        .publish = buf_bytes(&image->publish),
                                        .shows_program = true,
                                        .row_limit = image->row_limit,
                                        .context = image,
                                        .list_clients = list_clients };
    struct system_tables_maker maker;
    struct statement *statement;
    system_tables_init(&maker, &facts);
    const struct made_tables system = system_tables_of(&maker);
    const struct catalog catalog = { image, refuse_view };
    const struct query_caller owner = { .sender = question->who, .is_owner = true, .catalog = &catalog };
    const struct sql_place place = { &image->store, owner, &system, question->start_us };
    err code = statement_compile(&statement, question->sql, image->store.schema, &place.caller, &system, diag);
    if (code == OK) {
        code = run_statement(statement, &place, answer, duration_us, diag);
        statement_free(statement);
    }
    system_tables_deinit(&maker);
    return code;
}

err as_of_answer(struct images *images, struct history *history, const struct as_of_question *question,
                 struct buf *answer, int64_t *duration_us, struct diag *diag)
{
    struct image *image;
    uint64_t before;
    TRY(history_find(history, &question->moment, &before, diag));
    TRY(get_image(images, history, before, &image, diag));
    const err code = answer_from(image, question, answer, duration_us, diag);
    trim(images);
    return code;
}
