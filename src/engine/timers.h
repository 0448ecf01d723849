/* timers — the rows of schedule tables, and up to when each has ticked.
 *
 * What is scheduled follows from the rows alone. Recovery and the running engine both come to it from the same
 * changes, row by row; a row that is only rewritten keeps its time. What the rows do not say is when a repeating one
 * ticked last: the log and snapshots keep that.
 *
 * Nothing here asks a clock: times are the wall clock's, as records have them. */
#pragma once

#include "base/map.h"
#include "store/table.h"

struct timer {
    uint32_t schedule_id;  /* S1 of schema.h: stable */
    uint64_t row_id;       /* the row's primary key */
    bool repeats;          /* `value` is an interval, else a point in time */
    int64_t value;         /* microseconds, as the row says */
    int64_t last_us;       /* repeats: the time its last tick was for, or when it was set */
    bool is_gone;          /* its row was deleted, and may come back within the same change */
    int64_t due_us;        /* schedule.c's, as all that follows: in the clock of its heap */
    int64_t turn_us;       /* when its turn comes: then, or at once behind those whose turn has come before */
    uint64_t ticks_before; /* of all timers, when it ticked last */
    uint32_t place;        /* in the heap */
};

struct timers {
    struct map by_row;     /* schedule id, row id -> struct timer, owned */
    struct buf gone;       /* struct timer *: those to look at when the change is over */
    /* Told of a timer that is new or set anew, and of one that will be freed. May be NULL. */
    void (*is_set)(void *context, struct timer *timer);
    void (*is_dropped)(void *context, struct timer *timer);
    void *context;
};

void timers_init(struct timers *timers);
void timers_deinit(struct timers *timers);

/* A row of the table has gone, or has come, at a time; for tables with a schedule. Within one change those that go are
 * told first, and then timers_settle(). */
void timers_row_gone(struct timers *timers, const struct schema *schema, const struct table *table, bytes row);
void timers_row_came(struct timers *timers, const struct schema *schema, const struct table *table, bytes row,
                     int64_t now_us);
void timers_settle(struct timers *timers);

/* From all rows there are: at a start, and when the schema has changed. Timers whose row says the same stay. */
void timers_rebuild(struct timers *timers, const struct store *store, int64_t now_us);
/* A repeating row has ticked. Nothing when there is no such timer. */
void timers_ticked(struct timers *timers, uint32_t schedule_id, uint64_t row_id, int64_t last_us);

struct timer *timers_find(const struct timers *timers, uint32_t schedule_id, uint64_t row_id); /* NULL when absent */
