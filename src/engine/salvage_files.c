#include "engine/salvage_files.h"

#include "base/disk.h"
#include "sats/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { PATH_SIZE = 4600 };

static err refuse(const char *path, struct diag *diag)
{
    return diag_set(diag, ERR_DISK, "%s cannot be written: %s", path, strerror(errno));
}

static err path_make(char path[PATH_SIZE], const struct salvage_files *files, const char *folder, bytes name,
                     const char *ending, struct diag *diag)
{
    const int size = snprintf(path, PATH_SIZE, "%s/%s%.*s%s", files->out, folder, BYTES_FORMAT(name), ending);
    return size < PATH_SIZE ? OK : diag_set(diag, ERR_DISK, "a path below %.500s is too long", files->out);
}

static err file_open(FILE **file, const char *path, struct diag *diag)
{
    *file = fopen(path, "wbx");
    return *file != NULL ? OK : refuse(path, diag);
}

static err file_close(FILE **file, const char *what, struct diag *diag)
{
    FILE *closing = *file;
    *file = NULL;
    if (closing == NULL)
        return OK;
    const bool has_failed = ferror(closing) != 0;
    return fclose(closing) == 0 && !has_failed ? OK : refuse(what, diag);
}

static void count_name(void *context, const char *name)
{
    (*(uint32_t *)context)++;
}

static err folders_make(const char *out, struct diag *diag)
{
    const struct disk *disk = disk_real();
    char path[PATH_SIZE];
    uint32_t count = 0;
    TRY(disk->make_dir(disk->self, out, diag));
    TRY(disk->list(disk->self, out, count_name, &count, diag));
    if (count > 0)
        return diag_set(diag, ERR_IN_USE, "%s holds something already; name a folder that does not", out);
    snprintf(path, sizeof path, "%s/tables", out);
    TRY(disk->make_dir(disk->self, path, diag));
    snprintf(path, sizeof path, "%s/module", out);
    return disk->make_dir(disk->self, path, diag);
}

err salvage_files_open(struct salvage_files *files, const char *out, struct diag *diag)
{
    char path[PATH_SIZE];
    *files = (struct salvage_files){ .out = out };
    if (strlen(out) > PATH_SIZE - 100)
        return diag_set(diag, ERR_BAD_USAGE, "the path of the folder is too long");
    TRY(folders_make(out, diag));
    snprintf(path, sizeof path, "%s/report.txt", out);
    return file_open(&files->report, path, diag);
}

void salvage_files_report(struct salvage_files *files, bool is_loss, const char *line)
{
    if (files->report != NULL)
        fprintf(files->report, "%s %s\n", is_loss ? "LOST" : "ok  ", line);
}

err salvage_files_table(struct salvage_files *files, bytes name, struct diag *diag)
{
    char path[PATH_SIZE];
    TRY(file_close(&files->table, "a table's file", diag));
    TRY(path_make(path, files, "tables/", name, ".jsonl", diag));
    return file_open(&files->table, path, diag);
}

err salvage_files_row(struct salvage_files *files, const struct table_def *def, bytes row, uint64_t mark,
                      struct diag *diag)
{
    struct buf *line = &files->line;
    buf_clear(line);
    buf_put_text(line, "{\"row\":");
    json_print(line, def->row_type, row, JSON_TYPED);
    if (mark > 0)
        buf_put_format(line, ",\"written_behind_loss_at\":%" PRIu64, mark - 1);
    buf_put_text(line, "}\n");
    return fwrite(line->data, 1, line->size, files->table) == line->size ? OK : refuse("a table's file", diag);
}

/* Names come from the log: nothing outside of the folder is written for them. */
static bool is_below(bytes name)
{
    char text[PATH_SIZE];
    snprintf(text, sizeof text, "/%.*s/", BYTES_FORMAT(name));
    return name.size > 0 && name.at[0] != '/' && strstr(text, "/../") == NULL && memchr(name.at, 0, name.size) == NULL;
}

static err write_source(struct salvage_files *files, bytes name, bytes text, struct diag *diag)
{
    const struct disk *disk = disk_real();
    char path[PATH_SIZE];
    FILE *file;
    TRY(path_make(path, files, "module/", name, "", diag));
    char *slash = strrchr(path, '/');
    *slash = '\0';
    TRY(disk->make_dir(disk->self, path, diag));
    *slash = '/';
    TRY(file_open(&file, path, diag));
    fwrite(text.at, 1, text.size, file);
    return file_close(&file, path, diag);
}

err salvage_files_module(struct salvage_files *files, const struct record *publish, struct diag *diag)
{
    struct reader left = reader_of(publish->files);
    for (uint32_t idx = 0; idx < publish->file_count; idx++) {
        const bytes name = reader_get_sized(&left);
        const bytes text = reader_get_sized(&left);
        if (!left.failed && is_below(name))
            TRY(write_source(files, name, text, diag));
    }
    return OK;
}

err salvage_files_close(struct salvage_files *files, struct diag *diag)
{
    struct diag ignored;
    const err code = file_close(&files->table, "a table's file", diag != NULL ? diag : &ignored);
    const err report = file_close(&files->report, "the report", code == OK && diag != NULL ? diag : &ignored);
    buf_deinit(&files->line);
    return code != OK ? code : report;
}
