/* Whole small files, on any disk. */
#include "base/disk.h"

#include "base/buf.h"

enum { WHOLE_SIZE_MAX = 256 << 20 };

static err file_read(const struct disk *disk, struct disk_file *file, const char *path, struct buf *out,
                     struct diag *diag)
{
    uint64_t size;
    TRY(disk->size(disk->self, file, &size, diag));
    if (size > WHOLE_SIZE_MAX)
        return diag_set(diag, ERR_TOO_LARGE, "%s is larger than the %d MiB that such a file may have", path,
                        WHOLE_SIZE_MAX >> 20);
    size_t done = 0;
    uint8_t *at = buf_extend(out, (size_t)size);
    const err code = disk->read_at(disk->self, file, 0, at, (size_t)size, &done, diag);
    out->size -= (size_t)size - done;
    return code;
}

err disk_read_whole(const struct disk *disk, const char *path, struct buf *out, struct diag *diag)
{
    struct disk_file *file;
    TRY(disk->open(disk->self, path, false, &file, diag));
    const err code = file_read(disk, file, path, out, diag);
    disk->close(disk->self, file);
    return code;
}

static err file_write(const struct disk *disk, const char *path, bytes content, struct diag *diag)
{
    struct disk_file *file;
    TRY(disk->open(disk->self, path, true, &file, diag));
    err code = disk->truncate(disk->self, file, 0, diag);
    if (code == OK)
        code = disk->write_at(disk->self, file, 0, content.at, content.size, diag);
    if (code == OK)
        code = disk->sync(disk->self, file, diag);
    disk->close(disk->self, file);
    return code;
}

/* Stores the names of the folder that `path` lies in. */
static err parent_sync(const struct disk *disk, const char *path, struct diag *diag)
{
    const char *slash = strrchr(path, '/');
    struct buf parent;
    buf_init(&parent);
    if (slash == NULL)
        buf_put_text(&parent, ".");
    else
        buf_put(&parent, path, slash == path ? 1 : (size_t)(slash - path));
    buf_put_u8(&parent, '\0');
    const err code = disk->dir_sync(disk->self, (const char *)parent.data, diag);
    buf_deinit(&parent);
    return code;
}

err disk_write_whole(const struct disk *disk, const char *path, bytes content, struct diag *diag)
{
    struct buf other;
    buf_init(&other);
    buf_put_format(&other, "%s.new", path);
    buf_put_u8(&other, '\0');
    const char *new_path = (const char *)other.data;

    err code = file_write(disk, new_path, content, diag);
    if (code == OK)
        code = disk->rename(disk->self, new_path, path, diag);
    if (code == OK)
        code = parent_sync(disk, path, diag);
    buf_deinit(&other);
    return code;
}
