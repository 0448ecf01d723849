#include "engine/schedule.h"

#include "base/clock.h"
#include "engine/call.h"
#include "engine/tick.h"
#include "engine/timers.h"

enum {
    SHARE_US = 5000,        /* T5: of a turn */
    INTERVAL_MIN_US = 1000, /* T5 */
};

/* Timers by turn_us, the earliest first; of one moment those that have waited for more ticks of others, then by row. */
struct heap {
    struct timer **timers; /* owned: the list */
    uint32_t count, capacity;
};

enum heap_kind { HEAP_POINTS, HEAP_INTERVALS, HEAP_COUNT }; /* on the wall clock, on the monotonic one (T4) */

struct schedule {
    struct engine *engine;
    struct timers timers;
    struct heap heaps[HEAP_COUNT];
    enum heap_kind last_kind; /* of the last tick */
    uint64_t tick_count;
};

/* --- The heap --- */

static bool is_before(const struct timer *left, const struct timer *right)
{
    if (left->turn_us != right->turn_us)
        return left->turn_us < right->turn_us;
    if (left->ticks_before != right->ticks_before)
        return left->ticks_before < right->ticks_before;
    if (left->schedule_id != right->schedule_id)
        return left->schedule_id < right->schedule_id;
    return left->row_id < right->row_id;
}

static void heap_set(struct heap *heap, uint32_t place, struct timer *timer)
{
    heap->timers[place] = timer;
    timer->place = place;
}

/* Moves the timer at `place` to where it belongs. */
static void heap_settle(struct heap *heap, uint32_t place)
{
    struct timer *const timer = heap->timers[place];
    for (uint32_t above; place > 0 && is_before(timer, heap->timers[above = (place - 1) / 2]); place = above)
        heap_set(heap, place, heap->timers[above]);
    for (;;) {
        uint32_t below = place * 2 + 1;
        if (below + 1 < heap->count && is_before(heap->timers[below + 1], heap->timers[below]))
            below++;
        if (below >= heap->count || !is_before(heap->timers[below], timer))
            break;
        heap_set(heap, place, heap->timers[below]);
        place = below;
    }
    heap_set(heap, place, timer);
}

static void heap_add(struct heap *heap, struct timer *timer)
{
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity > 0 ? heap->capacity * 2 : 16;
        heap->timers = memory_resize(heap->timers, heap->capacity * sizeof(struct timer *));
    }
    heap_set(heap, heap->count++, timer);
    heap_settle(heap, timer->place);
}

static void heap_remove(struct heap *heap, struct timer *timer)
{
    check(timer->place < heap->count && heap->timers[timer->place] == timer);
    struct timer *const last = heap->timers[--heap->count];
    if (last == timer)
        return;
    heap_set(heap, timer->place, last);
    heap_settle(heap, last->place);
}

static struct heap *heap_of(struct schedule *schedule, const struct timer *timer)
{
    return &schedule->heaps[timer->repeats ? HEAP_INTERVALS : HEAP_POINTS];
}

/* --- When --- */

static int64_t interval_of(const struct timer *timer)
{
    const int64_t length = timer->value == INT64_MIN ? INT64_MAX : timer->value < 0 ? -timer->value : timer->value;
    return length < INTERVAL_MIN_US ? INTERVAL_MIN_US : length;
}

static int64_t add_clipped(int64_t left, int64_t right)
{
    int64_t sum;
    return __builtin_add_overflow(left, right, &sum) ? (right < 0 ? INT64_MIN : INT64_MAX) : sum;
}

static const struct schedule_def *def_of(const struct engine *engine, const struct timer *timer)
{
    const struct schema *schema = engine->store.schema;
    for (uint32_t idx = 0; idx < schema->schedule_count; idx++) {
        if (schema->schedules[idx].id == timer->schedule_id)
            return &schema->schedules[idx];
    }
    unreachable();
}

static void on_set(void *context, struct timer *timer)
{
    struct schedule *schedule = context;
    timer->due_us = timer->repeats ? add_clipped(clock_monotonic_us(), interval_of(timer)) : timer->value;
    timer->turn_us = timer->due_us;
    heap_add(heap_of(schedule, timer), timer);
}

static void on_dropped(void *context, struct timer *timer)
{
    struct schedule *schedule = context;
    if (timer->place != UINT32_MAX)
        heap_remove(heap_of(schedule, timer), timer);
}

/* After a start: a schedule that catches up goes on where it was, others begin anew. Where the clock has been set back
 * meanwhile, the wait is one interval, as for others (T4). */
static void arm_recovered(struct schedule *schedule, struct timer *timer)
{
    on_set(schedule, timer);
    if (!timer->repeats || !def_of(schedule->engine, timer)->catches_up)
        return;
    const int64_t interval_us = interval_of(timer);
    const int64_t left_us = add_clipped(add_clipped(timer->last_us, interval_us), -clock_wall_us());
    timer->due_us = add_clipped(clock_monotonic_us(), left_us < interval_us ? left_us : interval_us);
    timer->turn_us = timer->due_us;
    heap_settle(heap_of(schedule, timer), timer->place);
}

struct schedule *schedule_new(struct engine *engine, struct timers *timers)
{
    struct schedule *schedule = memory_new(sizeof *schedule);
    uint32_t place = 0;
    schedule->engine = engine;
    schedule->timers = *timers;
    timers_init(timers);
    schedule->timers.is_set = on_set;
    schedule->timers.is_dropped = on_dropped;
    schedule->timers.context = schedule;
    for (struct map_entry *entry; (entry = map_next(&schedule->timers.by_row, &place)) != NULL;)
        arm_recovered(schedule, entry->value);
    return schedule;
}

void schedule_free(struct schedule *schedule)
{
    if (schedule == NULL)
        return;
    timers_deinit(&schedule->timers);
    for (int kind = 0; kind < HEAP_COUNT; kind++)
        memory_free(schedule->heaps[kind].timers);
    memory_free(schedule);
}

void schedule_follow(struct schedule *schedule, const struct delta *delta, int64_t timestamp_us)
{
    const struct engine *engine = schedule->engine;
    bool any = false;
    for (uint32_t idx = 0; idx < delta->table_count; idx++) {
        const struct delta_table *changes = &delta->tables[idx];
        if (changes->table->def->schedule < 0)
            continue;
        any = true;
        for (uint32_t row = 0; row < changes->delete_count; row++)
            timers_row_gone(&schedule->timers, engine->store.schema, changes->table, changes->deletes[row]);
        for (uint32_t row = 0; row < changes->insert_count; row++)
            timers_row_came(&schedule->timers, engine->store.schema, changes->table, changes->inserts[row], timestamp_us);
    }
    if (any)
        timers_settle(&schedule->timers);
}

void schedule_rebuild(struct schedule *schedule)
{
    timers_rebuild(&schedule->timers, &schedule->engine->store, schedule->engine->now_us);
}

static int64_t now_of(enum heap_kind kind)
{
    return kind == HEAP_POINTS ? clock_wall_us() : clock_monotonic_us();
}

/* Until the turn of its first timer comes; below 0: it has come. */
static int64_t left_of(const struct heap *heap, enum heap_kind kind)
{
    return add_clipped(heap->timers[0]->turn_us, -now_of(kind));
}

int64_t schedule_wait_us(const struct schedule *schedule, int64_t most_us)
{
    int64_t wait_us = most_us;
    if (schedule->engine->schedules_paused)
        return most_us;
    for (int kind = 0; kind < HEAP_COUNT; kind++) {
        if (schedule->heaps[kind].count == 0)
            continue;
        const int64_t left_us = left_of(&schedule->heaps[kind], (enum heap_kind)kind);
        wait_us = left_us < wait_us ? left_us : wait_us;
    }
    return wait_us > 0 ? wait_us : 0;
}

/* --- Ticks --- */

/* Whose turn it is; NULL when nothing is due (T6). */
static struct timer *find_due(const struct schedule *schedule)
{
    for (int step = 1; step <= HEAP_COUNT; step++) {
        const enum heap_kind kind = (enum heap_kind)(((int)schedule->last_kind + step) % HEAP_COUNT);
        const struct heap *heap = &schedule->heaps[kind];
        if (heap->count > 0 && left_of(heap, kind) <= 0)
            return heap->timers[0];
    }
    return NULL;
}

/* Before it runs, so that what the reducer does to its own row has the last word. Returns the time that the tick is
 * for, by the wall clock (T3). */
static int64_t advance(struct schedule *schedule, struct timer *timer, const struct schedule_def *def)
{
    struct heap *heap = heap_of(schedule, timer);
    schedule->last_kind = timer->repeats ? HEAP_INTERVALS : HEAP_POINTS;
    if (!timer->repeats) {
        heap_remove(heap, timer);
        timer->place = UINT32_MAX; /* in no heap */
        return timer->value;
    }
    const int64_t interval_us = interval_of(timer), now_us = clock_monotonic_us();
    const int64_t late_us = now_us - timer->due_us;
    const int64_t left_out = def->catches_up ? 0 : late_us / interval_us;
    timer->due_us = add_clipped(timer->due_us, (left_out + 1) * interval_us);
    timer->turn_us = timer->due_us > now_us ? timer->due_us : now_us; /* T6 */
    timer->ticks_before = ++schedule->tick_count;
    timer->last_us = def->catches_up ? add_clipped(timer->last_us, interval_us) : add_clipped(clock_wall_us(), -late_us);
    heap_settle(heap, timer->place);
    return timer->last_us;
}

static void run_tick(struct schedule *schedule, struct timer *timer)
{
    struct engine *engine = schedule->engine;
    check(engine->module != NULL); /* an engine that opens has one, and no turn runs before */
    const struct schedule_def *const def = def_of(engine, timer);
    const uint64_t row_id = timer->row_id;
    const bool repeats = timer->repeats;
    const int64_t time_us = advance(schedule, timer, def);
    struct tick tick;
    struct diag diag;

    engine->now_us = clock_wall_us();
    struct record record = { .kind = RECORD_TICK,
                             .timestamp_us = time_us > engine->now_us ? time_us : engine->now_us,
                             .seed = call_draw_seed(engine),
                             .schedule_id = def->id,
                             .row_id = row_id,
                             .tick_us = time_us,
                             .tick_counts = repeats && def->catches_up };
    const struct call_context context = { .sender = engine->identity,
                                          .timestamp_us = record.timestamp_us,
                                          .random_seed = record.seed };
    check(tick_init(&tick, &engine->store, def->id, row_id, time_us)); /* T1 */
    record.tick_failed = tick_run(&tick, engine->module, engine->txn, &context, &diag) != OK;
    (void)call_commit(engine, &record, NULL, NULL, NULL);
    tick_deinit(&tick);
}

void schedule_run(struct schedule *schedule)
{
    const int64_t until_us = clock_monotonic_us() + SHARE_US;
    struct timer *timer;
    if (schedule->engine->schedules_paused)
        return;
    while ((timer = find_due(schedule)) != NULL) {
        run_tick(schedule, timer);
        if (clock_monotonic_us() >= until_us)
            break;
    }
}

void schedule_list_ticks(const struct schedule *schedule, struct buf *out)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&schedule->timers.by_row, &place)) != NULL;) {
        const struct timer *timer = entry->value;
        if (!timer->repeats || !def_of(schedule->engine, timer)->catches_up)
            continue;
        const struct snap_tick tick = { timer->schedule_id, timer->row_id, timer->last_us };
        buf_put(out, &tick, sizeof tick);
    }
}
