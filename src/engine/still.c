#include "engine/still.h"

#include "base/clock.h"
#include "engine/history.h"
#include "store/frozen.h"

struct still {
    struct history *history;
    struct snap_options snaps;
    struct progress *progress;
    struct image image;
};

static void list_clients(const struct image *image, struct buf *out)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&image->clients, &place)) != NULL;) {
        const struct caller *caller = entry->value;
        const struct snap_client one = { caller->number, caller->who, caller->connection };
        buf_put(out, &one, sizeof one);
    }
}

static err write_snapshot(struct still *still, struct diag *diag)
{
    struct image *image = &still->image;
    struct buf clients = { 0 };
    list_clients(image, &clients);
    struct snap_head head = { .offset = image->next_offset,
                              .timestamp_us = clock_wall_us(),
                              .publish_offset = image->publish_offset,
                              .last_client = image->last_client,
                              .client_count = (uint32_t)(clients.size / sizeof(struct snap_client)),
                              .clients = (const struct snap_client *)clients.data,
                              .publish = buf_bytes(&image->publish) };
    memcpy(head.database_id, history_database_id(still->history), sizeof head.database_id);
    memcpy(head.first_hash, image->first_hash, sizeof head.first_hash);
    struct frozen *frozen = store_freeze(&image->store);
    still->progress->what = "writing a snapshot";
    const err code = snap_write(&still->snaps, frozen, &head, diag);
    frozen_drop(frozen);
    buf_deinit(&clients);
    return code == OK ? snap_publish(&still->snaps, head.offset, diag) : code;
}

/* One that is there and whole is as good as a new one. */
static err is_there(const struct still *still, bool *is, struct diag *diag)
{
    struct buf offsets = { 0 };
    TRY(snap_list(&still->snaps, &offsets, diag));
    *is = offsets.size > 0 && bytes_get_u64(offsets.data + offsets.size - 8) == still->image.next_offset;
    buf_deinit(&offsets);
    if (!*is)
        return OK;
    still->progress->what = "reading the snapshot back";
    const err code = snap_verify(&still->snaps, still->image.next_offset, diag);
    *is = code == OK;
    return code == ERR_CORRUPT ? OK : code;
}

static err take(struct still *still, struct diag *diag)
{
    const struct moment now = MOMENT_NOW;
    uint64_t end;
    bool is;
    still->progress->what = "reading the database";
    history_set_progress(still->history, progress_step, still->progress);
    TRY(history_find(still->history, &now, &end, diag));
    TRY(history_image_before(still->history, end, &still->image, diag));
    if (!still->image.was_published)
        return diag_set(diag, ERR_NOT_FOUND, "no module has ever been published to it");
    TRY(is_there(still, &is, diag));
    if (is)
        return OK;
    TRY(write_snapshot(still, diag));
    still->progress->what = "reading the snapshot back";
    return snap_verify(&still->snaps, still->image.next_offset, diag);
}

err still_snapshot(const struct disk *disk, const char *dir, uint64_t *offset, struct progress *progress,
                   struct diag *diag)
{
    struct still still = { .progress = progress };
    TRY(history_open(&still.history, disk, dir, diag));
    still.snaps = *history_snaps(still.history);
    still.snaps.progress = progress_step;
    still.snaps.context = progress;
    image_init(&still.image);
    const err code = take(&still, diag);
    *offset = still.image.next_offset;
    image_deinit(&still.image);
    history_close(still.history);
    return code;
}
