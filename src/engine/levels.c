#include "engine/levels.h"

#include "proto/row_list.h"

enum { THE_SET = 0 /* each table's queries are one set */ };

struct levels {
    struct subs **subs; /* owned: by level */
    uint32_t count;
};

struct levels *levels_new(void)
{
    return memory_new(sizeof(struct levels));
}

void levels_free(struct levels *levels)
{
    for (uint32_t level = 0; level < levels->count; level++)
        subs_free(levels->subs[level]);
    memory_free(levels->subs);
    memory_free(levels);
}

uint32_t levels_count(const struct levels *levels)
{
    return levels->count;
}

static struct subs *need_level(struct levels *levels, uint32_t level)
{
    while (level >= levels->count) {
        levels->subs = memory_resize(levels->subs, (levels->count + 1) * sizeof(struct subs *));
        levels->subs[levels->count++] = subs_new();
    }
    return levels->subs[level];
}

/* --- Rows, as subscribers are told them --- */

static void count_list(struct derived *derived, const struct row_list_view *rows, int32_t change)
{
    for (uint32_t place = 0; place < rows->count; place++)
        derived_count(derived, row_list_view_row(rows, place), change);
}

/* QueryRows, as a subscription begins with them. */
static void count_query_rows(struct derived *derived, bytes query_rows)
{
    struct reader from = reader_of(query_rows);
    for (uint32_t tables = reader_get_u32(&from); tables > 0; tables--) {
        (void)reader_get_sized(&from);
        const struct row_list_view rows = row_list_view_take(&from);
        count_list(derived, &rows, 1);
    }
    check(!from.failed);
}

/* The body of a TransactionUpdate. */
static void count_update(struct derived *derived, bytes update)
{
    struct reader from = reader_of(update);
    struct row_list_view inserts, deletes;
    for (uint32_t sets = reader_get_u32(&from); sets > 0; sets--) {
        (void)reader_get_u32(&from);
        for (uint32_t tables = reader_get_u32(&from); tables > 0; tables--) {
            (void)reader_get_sized(&from);
            for (uint32_t rows = reader_get_u32(&from); rows > 0; rows--) {
                row_list_view_take_update(&from, &inserts, &deletes);
                count_list(derived, &inserts, 1);
                count_list(derived, &deletes, -1);
            }
        }
    }
    check(!from.failed);
}

/* --- Following --- */

err levels_follow(struct levels *levels, struct derived *derived, const struct query_caller *caller,
                  const struct store *store, const bytes *texts, uint32_t count, struct diag *diag)
{
    struct buf list = { 0 }, rows = { 0 };
    for (uint32_t idx = 0; idx < count; idx++)
        buf_put_sized(&list, texts[idx]);
    const err code = subs_subscribe(need_level(levels, derived->level), &derived->subscriber, caller, store, THE_SET,
                                    reader_of(buf_bytes(&list)), count, &rows, NULL, diag);
    if (code == OK)
        count_query_rows(derived, buf_bytes(&rows));
    buf_deinit(&list);
    buf_deinit(&rows);
    return code;
}

void levels_leave(struct levels *levels, struct derived *derived)
{
    if (derived->subscriber.sets != NULL)
        subs_drop(levels->subs[derived->level], &derived->subscriber);
}

struct publishing {
    uint64_t commit;
    struct buf *changed;
    levels_broken_fn *broken;
    void *context;
};

static void on_update(void *context, struct subscriber *subscriber, const struct update_part *parts, uint32_t count)
{
    const struct publishing *publishing = context;
    struct derived *derived = container_of(subscriber, struct derived, subscriber);
    struct buf joined = { 0 };
    update_parts_put(&joined, parts, count);
    derived_begin(derived, publishing->commit);
    count_update(derived, buf_bytes(&joined));
    buf_put(publishing->changed, &derived, sizeof derived);
    buf_deinit(&joined);
}

static void on_ended(void *context, struct subscriber *subscriber, uint32_t set, const struct diag *diag)
{
    const struct publishing *publishing = context;
    publishing->broken(publishing->context, container_of(subscriber, struct derived, subscriber), diag);
}

void levels_publish(struct levels *levels, uint32_t level, const struct store *store, const struct delta *delta,
                    uint64_t commit, struct buf *changed, levels_broken_fn *broken, void *context)
{
    struct publishing publishing = { commit, changed, broken, context };
    subs_publish(levels->subs[level], store, delta, on_update, on_ended, &publishing);
}

void levels_end_table(struct levels *levels, uint32_t table_id, const struct diag *why, levels_broken_fn *broken,
                      void *context)
{
    struct publishing publishing = { .broken = broken, .context = context };
    for (uint32_t level = 0; level < levels->count; level++)
        subs_end_table(levels->subs[level], table_id, why, on_ended, &publishing);
}

void levels_each_table(const struct levels *levels, void (*each)(void *context, uint32_t table_id), void *context)
{
    for (uint32_t level = 0; level < levels->count; level++)
        subs_each_table(levels->subs[level], each, context);
}
