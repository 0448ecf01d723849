#include "wal/folder.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

enum { NAME_DIGITS = 20, NEWEST_SIZE = 12 };

/* "<dir>/<name>", with a zero behind it. */
static const char *path_make(struct buf *path, const char *dir, const char *name)
{
    buf_init(path);
    buf_put_format(path, "%s/%s", dir, name);
    buf_put_u8(path, '\0');
    return (const char *)path->data;
}

static bool newest_decode(bytes content, uint64_t *newest)
{
    uint32_t sum;
    if (content.size != NEWEST_SIZE)
        return false;
    memcpy(newest, content.at, sizeof *newest);
    memcpy(&sum, content.at + sizeof *newest, sizeof sum);
    return sum == crc32c(0, content.at, sizeof *newest);
}

static err newest_read(struct folder *folder, const struct disk *disk, const char *dir, struct diag *diag)
{
    struct buf path, content;
    buf_init(&content);
    err code = disk_read_whole(disk, path_make(&path, dir, "newest"), &content, diag);
    folder->newest_known = code == OK;
    if (code == OK && !newest_decode(buf_bytes(&content), &folder->newest))
        code = diag_set(diag, ERR_CORRUPT,
                        "%s is damaged: it says which segment of the log is the newest; remove it if the log's last "
                        "file is there",
                        (const char *)path.data);
    if (code == ERR_NOT_FOUND)
        code = OK;
    buf_deinit(&content);
    buf_deinit(&path);
    return code;
}

err folder_set_newest(const struct disk *disk, const char *dir, uint64_t first_offset, struct diag *diag)
{
    struct buf path, content;
    buf_init(&content);
    buf_put_u64(&content, first_offset);
    buf_put_u32(&content, crc32c(0, content.data, content.size));
    const err code = disk_write_whole(disk, path_make(&path, dir, "newest"), buf_bytes(&content), diag);
    buf_deinit(&content);
    buf_deinit(&path);
    return code;
}

static void name_found(void *context, const char *name)
{
    struct buf *firsts = context;
    uint64_t first_offset;
    if (text_numbered(name, ".wal", &first_offset))
        buf_put_u64(firsts, first_offset);
}

static err names_read(struct folder *folder, const struct disk *disk, const char *dir, struct diag *diag)
{
    struct buf firsts;
    buf_init(&firsts);
    const err code = disk->list(disk->self, dir, name_found, &firsts, diag);
    folder->firsts = (uint64_t *)(void *)firsts.data; /* owned from here on */
    folder->count = firsts.size / sizeof *folder->firsts;
    if (code != OK)
        folder_free(folder);
    return code;
}

err folder_list(struct folder *folder, const struct disk *disk, const char *dir, struct diag *diag)
{
    *folder = (struct folder){ 0 };
    return names_read(folder, disk, dir, diag);
}

/* The small file is read before the names are: the log may be going on meanwhile, and a segment is there
 * before it is called the newest. */
err folder_read(struct folder *folder, const struct disk *disk, const char *dir, struct diag *diag)
{
    *folder = (struct folder){ 0 };
    TRY(newest_read(folder, disk, dir, diag));
    TRY(names_read(folder, disk, dir, diag));
    if (!folder->newest_known || (folder->count > 0 && folder->firsts[folder->count - 1] >= folder->newest))
        return OK;
    folder_free(folder);
    return diag_set(diag, ERR_CORRUPT,
                    "%s/%020" PRIu64 ".wal: this segment is missing, and it was the log's newest; nothing was changed",
                    dir, folder->newest);
}

void folder_free(struct folder *folder)
{
    memory_free(folder->firsts);
    folder->firsts = NULL;
    folder->count = 0;
}

bool folder_find(const struct folder *folder, uint64_t offset, size_t *idx)
{
    size_t above = 0;
    while (above < folder->count && folder->firsts[above] <= offset)
        above++;
    *idx = above > 0 ? above - 1 : 0;
    return above > 0;
}

err folder_remove(const struct disk *disk, const char *dir, uint64_t first_offset, struct diag *diag)
{
    struct buf path;
    char name[NAME_DIGITS + sizeof ".wal"];
    snprintf(name, sizeof name, "%020" PRIu64 ".wal", first_offset);
    const err code = disk->remove(disk->self, path_make(&path, dir, name), diag);
    buf_deinit(&path);
    if (code != OK && code != ERR_NOT_FOUND)
        return code;
    return disk->dir_sync(disk->self, dir, diag); /* D2 */
}
