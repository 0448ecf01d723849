#include "engine/founding.h"

#include "base/buf.h"
#include "base/clock.h"
#include "engine/swap.h"
#include "snap/folder.h"
#include "wal/wal.h"

#include <stdio.h>

enum { PATH_CAPACITY = 4096 };
static const char pause_name[] = "schedules-paused";

static void path_in(char path[static PATH_CAPACITY], const char *dir, const char *name)
{
    check(snprintf(path, PATH_CAPACITY, "%s/%s", dir, name) < PATH_CAPACITY);
}

/* --- Identities --- */

identity founding_draw_identity(void)
{
    uint8_t chance[32];
    random_bytes(chance, sizeof chance);
    return identity_of_claims(BYTES_LITERAL("database"), bytes_of(chance, sizeof chance));
}

err founding_read_identity(const struct disk *disk, const char *dir, identity *database, struct diag *diag)
{
    char path[PATH_CAPACITY];
    struct buf text = { 0 };
    path_in(path, dir, "identity");
    err code = disk_read_whole(disk, path, &text, diag);
    bytes digits = buf_bytes(&text);
    if (digits.size > 0 && digits.at[digits.size - 1] == '\n')
        digits.size--;
    if (code == OK && (!identity_parse(digits, database) || !identity_is_whole(database)))
        code = diag_set(diag, ERR_CORRUPT, "%s does not hold a database's identity (64 hex digits, with a checksum in them)",
                        path);
    buf_deinit(&text);
    return code;
}

err founding_write_identity(const struct disk *disk, const char *dir, const identity *database, struct diag *diag)
{
    char path[PATH_CAPACITY];
    struct buf text = { 0 };
    path_in(path, dir, "identity");
    identity_print(&text, database);
    buf_put_u8(&text, '\n');
    const err code = disk_write_whole(disk, path, buf_bytes(&text), diag);
    buf_deinit(&text);
    return code;
}

/* --- The pause --- */

static err write_pause(const struct disk *disk, const char *dir, struct diag *diag)
{
    char path[PATH_CAPACITY];
    path_in(path, dir, pause_name);
    return disk_write_whole(disk, path, BYTES_LITERAL("`stdb-lua resume` ends the pause of this database's schedules\n"),
                            diag);
}

err founding_read_pause(const struct disk *disk, const char *dir, bool *schedules_paused, struct diag *diag)
{
    char path[PATH_CAPACITY];
    path_in(path, dir, pause_name);
    return swap_file_exists(disk, path, schedules_paused, diag);
}

err founding_end_pause(const struct disk *disk, const char *dir, struct diag *diag)
{
    char path[PATH_CAPACITY];
    path_in(path, dir, pause_name);
    const err code = disk->remove(disk->self, path, diag);
    if (code == ERR_NOT_FOUND)
        return OK;
    return code == OK ? disk->dir_sync(disk->self, dir, diag) : code;
}

/* --- Preparing --- */

static err clear_staging(const struct founding *founding, const char *staging, struct diag *diag)
{
    static const char *const folders[] = { "log", "snapshots" };
    char path[PATH_CAPACITY];
    for (size_t idx = 0; idx < COUNTOF(folders); idx++) {
        path_in(path, staging, folders[idx]);
        TRY(swap_clear_folder(founding->disk, path, diag));
        TRY(founding->disk->make_dir(founding->disk->self, path, diag));
    }
    return founding_end_pause(founding->disk, staging, diag);
}

/* The copy is verified as the snapshot that it has become. */
static err bring_snapshot(const struct founding *founding, const char *staging, struct diag *diag)
{
    char folder[PATH_CAPACITY];
    path_in(folder, staging, "snapshots");
    const struct snap_options options = { founding->disk, folder, progress_step, founding->progress };
    char *path = snap_new_path(folder, founding->offset);
    founding->progress->what = "copying the snapshot";
    err code = disk_copy(founding->disk, founding->from, founding->position, founding->size, path, progress_step,
                         founding->progress, diag);
    memory_free(path);
    if (code == OK)
        code = snap_relabel(&options, founding->offset, founding->database.at, diag);
    if (code == OK)
        code = snap_publish(&options, founding->offset, diag);
    founding->progress->what = "reading the snapshot back";
    return code == OK ? snap_verify(&options, founding->offset, diag) : code;
}

static err begin_log(const struct founding *founding, const char *staging, struct diag *diag)
{
    char folder[PATH_CAPACITY];
    path_in(folder, staging, "log");
    struct wal_options options = { .disk = founding->disk, .dir = folder };
    memcpy(options.database_id, founding->database.at, sizeof options.database_id);
    return wal_create(&options, founding->offset, diag);
}

static err prepare(const struct founding *founding, const char *staging, struct diag *diag)
{
    TRY(clear_staging(founding, staging, diag));
    TRY(bring_snapshot(founding, staging, diag));
    TRY(begin_log(founding, staging, diag));
    if (founding->schedules_paused)
        TRY(write_pause(founding->disk, staging, diag));
    return founding_write_identity(founding->disk, staging, &founding->database, diag);
}

/* --- Changing --- */

static err list_file(const struct founding *founding, struct buf *list, const char *from_dir, const char *name,
                     const char *to_dir, struct diag *diag)
{
    char from[PATH_CAPACITY], to[PATH_CAPACITY], path[PATH_CAPACITY];
    bool exists;
    check(snprintf(from, sizeof from, "%s%s", from_dir, name) < (int)sizeof from);
    check(snprintf(to, sizeof to, "%s%s", to_dir, name) < (int)sizeof to);
    path_in(path, founding->dir, from);
    TRY(swap_file_exists(founding->disk, path, &exists, diag));
    if (exists)
        swap_add(list, from, to);
    return OK;
}

/* All that is the database's own from one folder to another; both end with a slash or are empty. */
static err list_moves(const struct founding *founding, struct buf *list, const char *from, const char *to,
                      struct diag *diag)
{
    static const char *const folders[] = { "log", "snapshots" };
    char from_folder[PATH_CAPACITY], to_folder[PATH_CAPACITY];
    TRY(list_file(founding, list, from, "identity", to, diag));
    TRY(list_file(founding, list, from, pause_name, to, diag));
    for (size_t idx = 0; idx < COUNTOF(folders); idx++) {
        snprintf(from_folder, sizeof from_folder, "%s%s", from, folders[idx]);
        snprintf(to_folder, sizeof to_folder, "%s%s", to, folders[idx]);
        TRY(swap_add_folder(list, founding->disk, founding->dir, from_folder, to_folder, diag));
    }
    return OK;
}

/* What has no identity is nobody's database, and must not become a part of this one. */
static err refuse_strangers(const struct founding *founding, struct diag *diag)
{
    struct buf there = { 0 };
    err code = list_moves(founding, &there, "", "", diag);
    if (code == OK && there.size > 0)
        code = diag_set(diag, ERR_IN_USE, "%s holds files already, and no database: move it away", founding->dir);
    buf_deinit(&there);
    return code;
}

err founding_run(const struct founding *founding, const char *aside, struct diag *diag)
{
    char staging[PATH_CAPACITY], old[PATH_CAPACITY];
    struct buf list = { 0 };
    path_in(staging, founding->dir, "incoming");
    err code = aside == NULL ? refuse_strangers(founding, diag) : OK;
    if (code == OK)
        code = prepare(founding, staging, diag);
    if (code == OK && aside != NULL) {
        check(snprintf(old, sizeof old, "%s/", aside) < (int)sizeof old);
        code = list_moves(founding, &list, "", old, diag);
    }
    if (code == OK)
        code = list_moves(founding, &list, "incoming/", "", diag);
    if (code == OK)
        code = swap_run(founding->disk, founding->dir, &list, diag);
    buf_deinit(&list);
    return code;
}
