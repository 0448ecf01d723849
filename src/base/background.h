/* background — work beside the engine that has time, while calls have not.
 *
 * A thread that computes for long holds its processor for milliseconds against one that wakes up, whatever their
 * priorities: the scheduler lets it end its slice. So such a thread stands back often, by itself. It is never starved:
 * idle priority would do that, and a snapshot that does not end keeps the log from getting shorter. */
#pragma once

/* This thread is one of the background: calls go first for a processor and for the disk, where the system can. */
void background_begin(void);
/* Lets go first who waits for this processor. For every piece of work of about 50 us; costs less than one of them when
 * nobody waits. */
void background_stand_back(void);
