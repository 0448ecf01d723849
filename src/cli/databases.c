#include "cli/databases.h"

#include "base/clock.h"
#include "engine/swap.h"
#include "sats/ident.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- Names --- */

bool database_name_is_legal(const char *name)
{
    const size_t size = strlen(name);
    if (size == 0 || size > DATABASE_NAME_MAX || name[0] == '-' || name[size - 1] == '-' || strstr(name, "--") != NULL)
        return false;
    for (size_t idx = 0; idx < size; idx++) {
        if (!islower((unsigned char)name[idx]) && !isdigit((unsigned char)name[idx]) && name[idx] != '-')
            return false;
    }
    return true;
}

err database_name_check(const char *name, struct diag *diag)
{
    if (database_name_is_legal(name))
        return OK;
    return diag_set(diag, ERR_BAD_USAGE,
                    "`%.80s` cannot be a database's name: lower-case letters, digits and single dashes between them, at "
                    "most %d",
                    name, DATABASE_NAME_MAX);
}

err data_dir_check(const char *data_dir, struct diag *diag)
{
    if (data_dir[0] != '\0' && strlen(data_dir) <= DATA_DIR_MAX)
        return OK;
    return diag_set(diag, ERR_BAD_USAGE, "the path of the data directory is %s",
                    data_dir[0] == '\0' ? "empty" : "too long");
}

void database_path(char path[static 4096], const char *data_dir, const char *name)
{
    check(snprintf(path, 4096, "%s/databases/%s", data_dir, name) < 4096);
}

/* --- What is there --- */

void databases_join(const struct buf *names, struct buf *text)
{
    for (size_t at = 0; at < names->size; at += strlen((char *)names->data + at) + 1)
        buf_put_format(text, "%s%s", at > 0 ? ", " : "", (char *)names->data + at);
}

bool databases_hold(const char *data_dir, const char *name)
{
    static const char *const signs[] = { "identity", "swap" };
    char folder[4096], path[4200];
    if (!database_name_is_legal(name))
        return false;
    database_path(folder, data_dir, name);
    for (size_t idx = 0; idx < COUNTOF(signs); idx++) {
        snprintf(path, sizeof path, "%s/%s", folder, signs[idx]);
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

struct listing {
    const char *data_dir;
    struct buf *names;
};

static void name_found(void *context, const char *name)
{
    const struct listing *listing = context;
    if (databases_hold(listing->data_dir, name))
        buf_put(listing->names, name, strlen(name) + 1);
}

err databases_list(const char *data_dir, struct buf *names, struct diag *diag)
{
    const struct disk *disk = disk_real();
    char path[4096];
    struct listing listing = { data_dir, names };
    TRY(data_dir_check(data_dir, diag));
    snprintf(path, sizeof path, "%s/databases", data_dir);
    const err code = disk->list(disk->self, path, name_found, &listing, diag);
    return code == ERR_NOT_FOUND ? databases_refuse_none(data_dir, diag) : code;
}

err databases_refuse_none(const char *data_dir, struct diag *diag)
{
    char inside[4096];
    snprintf(inside, sizeof inside, "%s/.stdb/databases", data_dir);
    if (access(inside, F_OK) == 0)
        return diag_set(diag, ERR_NOT_FOUND, "there is no database in %s, but in %s/.stdb: --data-dir %s/.stdb", data_dir,
                        data_dir, data_dir);
    return diag_set(diag, ERR_NOT_FOUND, "there is no database in %s; say where with --data-dir", data_dir);
}

/* --- What was taken away --- */

/* "2026-11-20T08-15-30Z": a time that may be a file's name anywhere. */
static void put_stamp(struct buf *out)
{
    struct buf text = { 0 };
    timestamp_print(&text, clock_wall_us());
    for (size_t at = 0; at < text.size && text.data[at] != '.'; at++)
        buf_put_u8(out, text.data[at] == ':' ? '-' : text.data[at]);
    buf_put_u8(out, 'Z');
    buf_deinit(&text);
}

/* Another one of this second gets a number. */
static err make_folder(struct buf *aside, const char *data_dir, struct diag *diag)
{
    char path[4096 + 300];
    const size_t stem = aside->size;
    for (int turn = 2;; turn++) {
        snprintf(path, sizeof path, "%s/%.*s", data_dir, BYTES_FORMAT(buf_bytes(aside)));
        if (mkdir(path, 0700) == 0)
            return OK;
        if (errno != EEXIST)
            return diag_set(diag, ERR_DISK, "cannot make the folder %s: %s", path, strerror(errno));
        aside->size = stem;
        buf_put_format(aside, "-%d", turn);
    }
}

err database_make_aside(struct buf *aside, const char *data_dir, const char *name, const char *why, struct diag *diag)
{
    const struct disk *disk = disk_real();
    char path[4096];
    snprintf(path, sizeof path, "%s/abandoned", data_dir);
    TRY(disk->make_dir(disk->self, path, diag));
    buf_clear(aside);
    buf_put_text(aside, "abandoned/");
    put_stamp(aside);
    buf_put_format(aside, "-%s-%s", name, why);
    TRY(make_folder(aside, data_dir, diag));
    return disk->dir_sync(disk->self, path, diag);
}

err database_put_aside(struct buf *aside, const char *data_dir, const char *name, const char *why, struct diag *diag)
{
    const struct disk *disk = disk_real();
    char from[4096], to[4096 + 300];
    TRY(database_make_aside(aside, data_dir, name, why, diag));
    database_path(from, data_dir, name);
    snprintf(to, sizeof to, "%s/%.*s/databases", data_dir, BYTES_FORMAT(buf_bytes(aside)));
    TRY(disk->make_dir(disk->self, to, diag));
    snprintf(to, sizeof to, "%s/%.*s/databases/%s", data_dir, BYTES_FORMAT(buf_bytes(aside)), name);
    TRY(disk->rename(disk->self, from, to, diag));
    *strrchr(to, '/') = '\0';
    *strrchr(from, '/') = '\0';
    TRY(disk->dir_sync(disk->self, to, diag));
    return disk->dir_sync(disk->self, from, diag);
}

void database_clear_staging(const char *dir)
{
    static const char *const staging[] = { "incoming/log", "incoming/snapshots", "incoming" };
    char path[4200];
    struct diag diag;
    snprintf(path, sizeof path, "%s/swap", dir);
    if (dir[0] == '\0' || access(path, F_OK) == 0)
        return;
    for (size_t idx = 0; idx < COUNTOF(staging); idx++) {
        snprintf(path, sizeof path, "%s/%s", dir, staging[idx]);
        (void)swap_clear_folder(disk_real(), path, &diag);
        (void)rmdir(path);
    }
    (void)rmdir(dir); /* one that holds something stays */
}
