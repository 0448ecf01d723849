#include "host/foresight.h"

enum { WATCHED_OF = 64, KEY_SIZE_MAX = 64 };

bool foresight_watches(struct foresight *foresight)
{
    return foresight->call_count++ % WATCHED_OF == 0;
}

static bool is_known(const struct foresight *foresight, const struct index *index, uint32_t offset)
{
    for (uint32_t idx = 0; idx < foresight->hint_count; idx++) {
        if (foresight->hints[idx].index == index && foresight->hints[idx].offset == offset)
            return true;
    }
    return false;
}

void foresight_learn(struct foresight *foresight, const struct index *index, bytes key, bytes args)
{
    if (foresight->hint_count == FORESIGHT_HINTS_MAX || key.size == 0 || key.size > KEY_SIZE_MAX ||
        key.size > args.size || !index_foresees(index))
        return;
    const uint8_t *const found = memmem(args.at, args.size, key.at, key.size);
    if (found == NULL || is_known(foresight, index, (uint32_t)(found - args.at)))
        return;
    foresight->hints[foresight->hint_count++] =
        (struct foresight_hint){ index, (uint32_t)(found - args.at), (uint32_t)key.size };
}

void foresight_ask_entries(const struct foresight *foresight, bytes args)
{
    for (uint32_t idx = 0; idx < foresight->hint_count; idx++) {
        const struct foresight_hint *hint = &foresight->hints[idx];
        if (hint->offset + hint->size <= args.size)
            index_ask_entry(hint->index, args.at + hint->offset);
    }
}

void foresight_ask_rows(const struct foresight *foresight, bytes args)
{
    for (uint32_t idx = 0; idx < foresight->hint_count; idx++) {
        const struct foresight_hint *hint = &foresight->hints[idx];
        if (hint->offset + hint->size <= args.size)
            index_ask_row(hint->index, args.at + hint->offset);
    }
}
