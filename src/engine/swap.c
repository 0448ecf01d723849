#include "engine/swap.h"

static const char list_name[] = "swap", list_title[] = "stdb-lua swap 1\n";

static char *path_join(const char *dir, bytes name)
{
    struct buf path = { 0 };
    buf_put_format(&path, "%s/%.*s", dir, BYTES_FORMAT(name));
    buf_put_u8(&path, '\0');
    return (char *)path.data;
}

/* --- The list --- */

void swap_add(struct buf *list, const char *from, const char *to)
{
    buf_put_format(list, "%s\t%s\n", from, to);
}

struct folder_moves {
    struct buf *list;
    const char *from, *to;
};

static void add_file(void *context, const char *name)
{
    const struct folder_moves *moves = context;
    buf_put_format(moves->list, "%s/%s\t%s/%s\n", moves->from, name, moves->to, name);
}

err swap_add_folder(struct buf *list, const struct disk *disk, const char *dir, const char *from, const char *to,
                    struct diag *diag)
{
    struct folder_moves moves = { list, from, to };
    char *path = path_join(dir, bytes_of_text(from));
    const err code = disk->list(disk->self, path, add_file, &moves, diag);
    memory_free(path);
    return code == ERR_NOT_FOUND ? OK : code;
}

/* Takes one line apart; false when there is none or it is no move. */
static bool next_move(struct reader *left, bytes *from, bytes *to)
{
    const uint8_t *tab = memchr(left->at, '\t', reader_left(left));
    const uint8_t *end = memchr(left->at, '\n', reader_left(left));
    if (tab == NULL || end == NULL || tab > end)
        return false;
    *from = bytes_of(left->at, (size_t)(tab - left->at));
    *to = bytes_of(tab + 1, (size_t)(end - tab - 1));
    left->at = end + 1;
    return from->size > 0 && to->size > 0;
}

/* --- Moves --- */

err swap_file_exists(const struct disk *disk, const char *path, bool *exists, struct diag *diag)
{
    struct disk_file *file;
    const err code = disk->open(disk->self, path, false, &file, diag);
    disk->close(disk->self, file);
    *exists = code == OK;
    return code == ERR_NOT_FOUND ? OK : code;
}

static void cut_name(char *path)
{
    *strrchr(path, '/') = '\0';
}

/* I2. The folder that gets the name first: one that has it twice has lost nothing. */
static err rename_stored(const struct disk *disk, char *from, char *to, struct diag *diag)
{
    TRY(disk->rename(disk->self, from, to, diag));
    cut_name(from);
    cut_name(to);
    TRY(disk->dir_sync(disk->self, to, diag));
    return disk->dir_sync(disk->self, from, diag);
}

/* I1. */
static err make_move(const struct disk *disk, const char *dir, bytes from, bytes to, struct diag *diag)
{
    char *source = path_join(dir, from), *target = path_join(dir, to), *folder = path_join(dir, to);
    bool is_done;
    cut_name(folder);
    err code = disk->make_dir(disk->self, folder, diag);
    if (code == OK)
        code = swap_file_exists(disk, target, &is_done, diag);
    if (code == OK && !is_done)
        code = rename_stored(disk, source, target, diag);
    memory_free(source);
    memory_free(target);
    memory_free(folder);
    return code;
}

static err make_moves(const struct disk *disk, const char *dir, const char *path, bytes list, struct diag *diag)
{
    const bytes title = bytes_of_text(list_title);
    struct reader left = reader_of(list);
    if (!bytes_equal(reader_take(&left, title.size), title))
        return diag_set(diag, ERR_CORRUPT, "%s is not a list of moves of this version", path);
    while (reader_left(&left) > 0) {
        bytes from, to;
        if (!next_move(&left, &from, &to))
            return diag_set(diag, ERR_CORRUPT, "%s is damaged: a line is not a move", path);
        TRY(make_move(disk, dir, from, to, diag));
    }
    return OK;
}

static err remove_list(const struct disk *disk, const char *dir, const char *path, struct diag *diag)
{
    TRY(disk->remove(disk->self, path, diag));
    return disk->dir_sync(disk->self, dir, diag);
}

err swap_finish(const struct disk *disk, const char *dir, struct diag *diag)
{
    struct buf list = { 0 };
    char *path = path_join(dir, bytes_of_text(list_name));
    err code = disk_read_whole(disk, path, &list, diag);
    if (code == OK)
        code = make_moves(disk, dir, path, buf_bytes(&list), diag);
    if (code == OK)
        code = remove_list(disk, dir, path, diag);
    else if (code == ERR_NOT_FOUND && list.data == NULL)
        code = OK;
    buf_deinit(&list);
    memory_free(path);
    return code;
}

err swap_run(const struct disk *disk, const char *dir, const struct buf *list, struct diag *diag)
{
    struct buf whole = { 0 };
    char *path = path_join(dir, bytes_of_text(list_name));
    buf_put_text(&whole, list_title);
    buf_put_bytes(&whole, buf_bytes(list));
    err code = disk_write_whole(disk, path, buf_bytes(&whole), diag);
    if (code == OK)
        code = swap_finish(disk, dir, diag);
    buf_deinit(&whole);
    memory_free(path);
    return code;
}

err swap_refuse_pending(const struct disk *disk, const char *dir, struct diag *diag)
{
    bool is_pending;
    char *path = path_join(dir, bytes_of_text(list_name));
    err code = swap_file_exists(disk, path, &is_pending, diag);
    memory_free(path);
    if (code == OK && is_pending)
        code = diag_set(diag, ERR_BUSY, "a restore of %s was cut short; the next start of its server finishes it", dir);
    return code;
}

/* --- Leftovers --- */

static void note_name(void *context, const char *name)
{
    struct buf *names = context;
    buf_put(names, name, strlen(name) + 1);
}

err swap_clear_folder(const struct disk *disk, const char *path, struct diag *diag)
{
    struct buf names = { 0 };
    err code = disk->list(disk->self, path, note_name, &names, diag);
    for (size_t at = 0; code == OK && at < names.size; at += strlen((char *)names.data + at) + 1) {
        char *file = path_join(path, bytes_of_text((char *)names.data + at));
        code = disk->remove(disk->self, file, diag);
        memory_free(file);
    }
    buf_deinit(&names);
    return code == ERR_NOT_FOUND ? OK : code;
}
