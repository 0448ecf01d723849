#include "engine/timers.h"

enum { AT_INTERVAL = 0 }; /* ScheduleAt's variants: an interval or a time, each an i64 */

struct timer_key {
    uint8_t at[12];
};

static struct timer_key key_of(uint32_t schedule_id, uint64_t row_id)
{
    struct timer_key key;
    bytes_put_u32(key.at, schedule_id);
    bytes_put_u64(key.at + 4, row_id);
    return key;
}

void timers_init(struct timers *timers)
{
    *timers = (struct timers){ 0 };
    map_init(&timers->by_row);
}

void timers_deinit(struct timers *timers)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&timers->by_row, &place)) != NULL;)
        memory_free(entry->value);
    map_deinit(&timers->by_row);
    buf_deinit(&timers->gone);
}

struct timer *timers_find(const struct timers *timers, uint32_t schedule_id, uint64_t row_id)
{
    const struct timer_key key = key_of(schedule_id, row_id);
    return map_find(&timers->by_row, bytes_of(key.at, sizeof key.at));
}

static const struct schedule_def *schedule_of(const struct schema *schema, const struct table *table)
{
    check(table->def->schedule >= 0);
    return &schema->schedules[table->def->schedule];
}

static uint64_t row_id_of(const struct table *table, bytes row)
{
    return bytes_get_u64(table_column(table, row.at, (uint32_t)table->def->primary_key));
}

static void mark_gone(struct timers *timers, struct timer *timer)
{
    timer->is_gone = true;
    buf_put(&timers->gone, &timer, sizeof(struct timer *));
}

void timers_row_gone(struct timers *timers, const struct schema *schema, const struct table *table, bytes row)
{
    struct timer *timer = timers_find(timers, schedule_of(schema, table)->id, row_id_of(table, row));
    if (timer != NULL)
        mark_gone(timers, timer);
}

void timers_row_came(struct timers *timers, const struct schema *schema, const struct table *table, bytes row,
                     int64_t now_us)
{
    const struct schedule_def *schedule = schedule_of(schema, table);
    const uint8_t *const at = table_column(table, row.at, schedule->at_column);
    const bool repeats = at[0] == AT_INTERVAL;
    const int64_t value = (int64_t)bytes_get_u64(at + 1);
    const uint64_t row_id = row_id_of(table, row);
    struct timer *timer = timers_find(timers, schedule->id, row_id);
    if (timer == NULL) {
        const struct timer_key key = key_of(schedule->id, row_id);
        timer = memory_new(sizeof *timer);
        map_put(&timers->by_row, bytes_of(key.at, sizeof key.at), timer);
    } else if (timer->repeats == repeats && timer->value == value) {
        timer->is_gone = false;
        return;
    } else if (timers->is_dropped != NULL) {
        timers->is_dropped(timers->context, timer);
    }
    *timer = (struct timer){
        .schedule_id = schedule->id, .row_id = row_id, .repeats = repeats, .value = value, .last_us = now_us
    };
    if (timers->is_set != NULL)
        timers->is_set(timers->context, timer);
}

void timers_settle(struct timers *timers)
{
    struct timer *timer;
    for (size_t at = 0; at < timers->gone.size; at += sizeof timer) {
        memcpy(&timer, timers->gone.data + at, sizeof timer);
        if (!timer->is_gone)
            continue;
        const struct timer_key key = key_of(timer->schedule_id, timer->row_id);
        if (timers->is_dropped != NULL)
            timers->is_dropped(timers->context, timer);
        map_remove(&timers->by_row, bytes_of(key.at, sizeof key.at));
        memory_free(timer);
    }
    buf_clear(&timers->gone);
}

void timers_rebuild(struct timers *timers, const struct store *store, int64_t now_us)
{
    const struct schema *schema = store->schema;
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&timers->by_row, &place)) != NULL;)
        mark_gone(timers, entry->value);
    for (uint32_t idx = 0; schema != NULL && idx < schema->schedule_count; idx++) {
        const struct table *table = store->tables[schema->schedules[idx].table];
        rowref ref = ROWREF_NONE;
        for (const struct row *row; (row = pages_next(&table->pages, &ref)) != NULL;)
            timers_row_came(timers, schema, table, row_bytes(row), now_us);
    }
    timers_settle(timers);
}

void timers_ticked(struct timers *timers, uint32_t schedule_id, uint64_t row_id, int64_t last_us)
{
    struct timer *timer = timers_find(timers, schedule_id, row_id);
    if (timer != NULL)
        timer->last_us = last_us;
}
