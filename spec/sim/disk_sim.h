/* disk_sim — a disk in memory that does to the engine what disks do.
 *
 * It tells what was written from what is stored. Content is stored by sync(), a name by dir_sync() of its folder,
 * and neither by the other. When the power is cut, of what is not stored
 *   content  each sector of 512 bytes is as it was stored, or as any of the writes since then left it, or torn
 *            within one of them; so writes are lost and change order;
 *   size     is any that the file has had since;
 *   names    are all kept, or cut off at some point, or kept and lost one by one; a rename is never half.
 * When only the process is killed, nothing is lost, and nothing is stored by that.
 *
 * It can also be told to lie about syncs, as some disks do: that is for proving that whoever watches would see it.
 *
 * A failed sync() stores some of the sectors, and the rest counts as stored though it is not: what is written
 * again reaches the disk with a later sync, nothing else does. That is what kernels do (D3).
 *
 * All chance comes from the seed: the same calls in the same order have the same outcome. Thread-safe. A removed
 * file stays readable through what has it open. */
#pragma once

#include "base/disk.h"

struct disk_sim;

enum disk_call {
    DISK_OPEN, DISK_SIZE, DISK_READ, DISK_WRITE, DISK_SYNC, DISK_TRUNCATE, DISK_RESERVE, DISK_RENAME, DISK_REMOVE,
    DISK_MAKE_DIR, DISK_DIR_SYNC, DISK_LIST, DISK_LOCK,
    DISK_CALLS,            /* how many kinds there are */
    DISK_ANY = DISK_CALLS, /* any of them */
    DISK_CHANGES,          /* any that may change what is stored */
};

enum disk_fault { DISK_EIO, DISK_ENOSPC };

/* The last trouble that struck, and in which call. */
struct disk_strike {
    uint64_t count; /* of all that struck since the beginning */
    enum { STRIKE_EIO, STRIKE_ENOSPC, STRIKE_POWER_CUT, STRIKE_KILL } what;
    enum disk_call call;
    char path[256];
};

struct disk_sim *disk_sim_new(uint64_t seed);
void disk_sim_free(struct disk_sim *sim); /* NULL is fine */
/* For the engine. */
const struct disk *disk_sim_disk(struct disk_sim *sim);

/* Trouble. Calls are counted from now; `nth` begins at 1, 0 takes the trouble away. */
void disk_sim_fail_at(struct disk_sim *sim, enum disk_call call, uint64_t nth, enum disk_fault fault, bool ever_after);
/* Each call of this kind fails with this probability, in millionths. */
void disk_sim_fail_often(struct disk_sim *sim, enum disk_call call, uint32_t millionths, enum disk_fault fault);
/* What the files may take together; more is ENOSPC. 0: no limit. */
void disk_sim_set_capacity(struct disk_sim *sim, uint64_t bytes);
/* Cuts the power in the n-th call that changes something: that write may be torn, that name may be stored, and
 * all calls from this one on fail until disk_sim_restart(). 0: not at all. */
void disk_sim_crash_at(struct disk_sim *sim, uint64_t nth);
/* Cuts the power now. */
void disk_sim_crash(struct disk_sim *sim);
/* The same for the process alone, which ends in that call or now: the system lives on, nothing is lost. */
void disk_sim_kill_at(struct disk_sim *sim, uint64_t nth);
void disk_sim_kill(struct disk_sim *sim);
/* Power is back: what survived is what is stored. What was open before fails for ever; locks are gone; all
 * trouble but the capacity is over. Without a crash before, the process was killed and the system lived on. */
void disk_sim_restart(struct disk_sim *sim);
/* From now on syncs are done in words only. */
void disk_sim_lie(struct disk_sim *sim, bool lies);

/* Looking and meddling. Paths as the engine writes them. */
uint64_t disk_sim_count(struct disk_sim *sim, enum disk_call call); /* since the beginning */
uint64_t disk_sim_largest_read(struct disk_sim *sim);
bool disk_sim_has_crashed(struct disk_sim *sim); /* or was killed */
const struct disk_strike *disk_sim_strike(const struct disk_sim *sim);
/* Over the names and what reads would give. */
uint64_t disk_sim_hash(struct disk_sim *sim);
/* The name of the idx-th file, in byte order; NULL behind the last. */
const char *disk_sim_name(struct disk_sim *sim, size_t idx);
/* What reads would give; NULL when there is no such file. A copy, good until the next time. */
const uint8_t *disk_sim_get(struct disk_sim *sim, const char *path, size_t *size);
/* Makes or replaces a file; `data` NULL removes it. Stored at once, or seen and not yet stored. */
void disk_sim_put(struct disk_sim *sim, const char *path, const uint8_t *data, size_t size, bool stored);
/* A bit rots: stored and seen. False when the file is shorter. */
bool disk_sim_flip(struct disk_sim *sim, const char *path, uint64_t bit);
uint64_t disk_sim_random(struct disk_sim *sim);
