/* schedule — rows that run a reducer when their time has come.
 *
 *     delta ──> timers ──> heap by time ──> turn ──> reducer, one transaction each
 *
 * Rules
 *   T1  Timers follow committed rows (timers.h): what is rolled back was never scheduled, deleting a row calls it off.
 *   T2  A point in time: the row is deleted in the transaction of its reducer, so its effect is there once, whatever
 *       crashes in between. A reducer that fails is not tried again: its row is deleted alone. A row to which the
 *       reducer gave another time stays, and is due then.
 *   T3  An interval: the next tick is due one interval after the time this one was for, however late it ran: nothing
 *       drifts. Ticks that were missed are left out, or run one after the other where the schedule says so; then the
 *       log and snapshots keep which were.
 *   T4  Intervals are measured on the clock that never jumps, points in time on the one people see: when that one is
 *       set, intervals neither storm nor stall.
 *   T5  Schedules get a share of a turn, and clients the rest. An interval is a millisecond at least.
 *   T6  What is due takes turns. Points in time run in their order, and intervals as they have come due: one that is
 *       behind by several ticks goes behind all that are due after each. Points and intervals alternate.
 *   T7  While a database's schedules are paused (founding.h) none runs; what has come due then is late when they are
 *       resumed.
 *
 * The caller is the database itself; the time of the call is the time it was due, or now if that is later. */
#pragma once

#include "engine/state.h"
#include "snap/snap.h"

struct schedule;

/* Takes the timers of what was recovered over. */
struct schedule *schedule_new(struct engine *engine, struct timers *timers);
void schedule_free(struct schedule *schedule); /* NULL is fine */

/* After each commit; the time is its record's, so that a replay comes to the same timers. */
void schedule_follow(struct schedule *schedule, const struct delta *delta, int64_t timestamp_us);
/* After the schema has changed. */
void schedule_rebuild(struct schedule *schedule);
/* How long the engine may sleep, at most `most_us`. */
int64_t schedule_wait_us(const struct schedule *schedule, int64_t most_us);
/* Once a turn: runs what is due (T5). */
void schedule_run(struct schedule *schedule);

/* For a snapshot: appends a struct snap_tick for each row whose schedule catches up. */
void schedule_list_ticks(const struct schedule *schedule, struct buf *out);
