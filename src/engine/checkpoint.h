/* checkpoint — when a snapshot is taken, and what of the past is given up after it.
 *
 * The engine freezes its tables between two turns, which takes a moment that does not grow with the rows. A thread
 * of its own writes the snapshot, waits until the log is durable up to it, gives it its name, reads it back whole,
 * and only then gives up what the retention window no longer holds.
 *
 * Rules
 *   C1  The snapshot before is kept until the new one has been read back whole (M3); two are always kept.
 *   C2  The log is kept from the oldest kept snapshot on: every kept moment can be reached.
 *   C3  A snapshot that fails is said and tried again later. It never stops the database.
 *   C4  The log is given up by whole segments: they are small enough for the window's size to be met. */
#pragma once

#include "engine/state.h"
#include "snap/snap.h"

struct checkpoint;

struct checkpoint *checkpoint_new(struct engine *engine, const struct checkpoint_options *options);
/* Stops a snapshot at work and refuses who waits for one. The engine's thread, as its last act. */
void checkpoint_stop(struct checkpoint *checkpoint);
void checkpoint_free(struct checkpoint *checkpoint);

/* How long the log's segments are to be (C4). */
uint64_t checkpoint_segment_size(const struct checkpoint *checkpoint);

/* The start loaded the snapshot at this offset (0: none) and read so much log behind it. */
void checkpoint_opened(struct checkpoint *checkpoint, uint64_t snapshot_offset, uint64_t replayed_bytes);

/* Once a turn, between two transactions: starts a snapshot when it is time. */
void checkpoint_consider(struct checkpoint *checkpoint);
/* The worker's next piece of work on this thread, where there is no worker (engine_step()). False when there is none,
 * or it waits for the log (M1). */
bool checkpoint_step(struct checkpoint *checkpoint);
/* Somebody waits for a snapshot that holds what has happened until now. */
struct checkpoint_wish {
    struct checkpoint_wish *next;
    /* Once, on the engine's thread: a snapshot at `offset` has been verified, or `diag` says why there is none. */
    void (*granted)(struct checkpoint_wish *wish, struct engine *engine, err code, uint64_t offset,
                    const struct diag *diag);
};
/* Wishes that come before the next snapshot begins are granted by the same one. */
void checkpoint_ask(struct checkpoint *checkpoint, struct checkpoint_wish *wish);
