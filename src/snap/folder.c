#include "snap/folder.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

static const char final_suffix[] = ".snap", new_suffix[] = ".snap.new";

static char *path_make(const char *dir, uint64_t offset, const char *suffix)
{
    struct buf path;
    buf_init(&path);
    buf_put_format(&path, "%s/%020" PRIu64 "%s", dir, offset, suffix);
    buf_put_u8(&path, '\0');
    return (char *)path.data;
}

char *snap_path(const char *dir, uint64_t offset)
{
    return path_make(dir, offset, final_suffix);
}

char *snap_new_path(const char *dir, uint64_t offset)
{
    return path_make(dir, offset, new_suffix);
}

err snap_publish(const struct snap_options *options, uint64_t offset, struct diag *diag)
{
    char *from = snap_new_path(options->dir, offset);
    char *to = snap_path(options->dir, offset);
    err code = options->disk->rename(options->disk->self, from, to, diag);
    if (code == OK)
        code = options->disk->dir_sync(options->disk->self, options->dir, diag);
    memory_free(from);
    memory_free(to);
    return code;
}

err snap_remove(const struct snap_options *options, uint64_t offset, struct diag *diag)
{
    char *path = snap_path(options->dir, offset);
    err code = options->disk->remove(options->disk->self, path, diag);
    if (code == OK)
        code = options->disk->dir_sync(options->disk->self, options->dir, diag);
    memory_free(path);
    return code;
}

struct names {
    struct buf *offsets;
    struct buf leftovers; /* their offsets */
};

static void name_found(void *context, const char *name)
{
    struct names *names = context;
    uint64_t offset;
    if (text_numbered(name, final_suffix, &offset))
        buf_put_u64(names->offsets, offset);
    else if (text_numbered(name, new_suffix, &offset))
        buf_put_u64(&names->leftovers, offset);
}

static err names_read(const struct snap_options *options, struct names *names, struct diag *diag)
{
    const err code = options->disk->list(options->disk->self, options->dir, name_found, names, diag);
    return code == ERR_NOT_FOUND ? OK : code;
}

err snap_offsets(const struct snap_options *options, struct buf *offsets, struct diag *diag)
{
    struct names names = { .offsets = offsets };
    const err code = names_read(options, &names, diag);
    buf_deinit(&names.leftovers);
    return code;
}

err snap_list(const struct snap_options *options, struct buf *offsets, struct diag *diag)
{
    struct names names = { .offsets = offsets };
    err code = names_read(options, &names, diag);
    struct reader left = reader_of(buf_bytes(&names.leftovers));
    while (code == OK && reader_left(&left) > 0) {
        char *path = snap_new_path(options->dir, reader_get_u64(&left));
        code = options->disk->remove(options->disk->self, path, diag);
        memory_free(path);
    }
    buf_deinit(&names.leftovers);
    return code;
}
