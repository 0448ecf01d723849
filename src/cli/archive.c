#include "cli/archive.h"

#include <stdio.h>

/* The only one there, or the one that was asked for. */
static err choose_database(struct archive *archive, const char *data_dir, const struct buf *names, const struct buf *all,
                           struct diag *diag)
{
    const char *first = names->size > 0 ? (const char *)names->data : "";
    if (names->size == 0)
        return databases_refuse_none(data_dir, diag);
    if (archive->database != NULL && !databases_hold(data_dir, archive->database))
        return diag_set(diag, ERR_NOT_FOUND, "there is no database %.80s in %s, which has: %.*s", archive->database,
                        data_dir, BYTES_FORMAT(buf_bytes(all)));
    if (archive->database == NULL && strlen(first) + 1 < names->size)
        return diag_set(diag, ERR_BAD_USAGE, "%s has several databases (%.*s); choose one with --database", data_dir,
                        BYTES_FORMAT(buf_bytes(all)));
    snprintf(archive->name, sizeof archive->name, "%s", archive->database != NULL ? archive->database : first);
    database_path(archive->path, data_dir, archive->name);
    return OK;
}

err archive_find(struct archive *archive, struct diag *diag)
{
    struct buf names = { 0 }, all = { 0 };
    const char *data_dir = archive_data_dir(archive);
    err code = databases_list(data_dir, &names, diag);
    if (code == ERR_NOT_FOUND)
        code = OK;
    databases_join(&names, &all);
    if (code == OK)
        code = choose_database(archive, data_dir, &names, &all, diag);
    buf_deinit(&names);
    buf_deinit(&all);
    return code;
}

const char *archive_data_dir(const struct archive *archive)
{
    return archive->data_dir != NULL ? archive->data_dir : ".stdb";
}

err archive_open(struct archive *archive, struct history **history, struct diag *diag)
{
    *history = NULL;
    TRY(archive_find(archive, diag));
    return history_open(history, disk_real(), archive->path, diag);
}

err archive_parse_offset(const char *option, const char *text, uint64_t *offset, struct diag *diag)
{
    if (text == NULL || offset_parse(bytes_of_text(text), offset))
        return OK;
    return diag_set(diag, ERR_BAD_USAGE, "%s takes an offset, a whole number, not %.80s", option, text);
}

err archive_parse_time(const char *option, const char *text, int64_t *time_us, struct diag *diag)
{
    if (text == NULL || timestamp_parse(bytes_of_text(text), time_us))
        return OK;
    return diag_set(diag, ERR_BAD_USAGE, "%s takes a time like 2026-11-20T08:15:30Z, not %.80s", option, text);
}

int archive_refuse(const char *command, const struct diag *diag)
{
    fprintf(stderr, "stdb-lua %s: %s\n", command, diag->text);
    return diag->code == ERR_BAD_USAGE ? 2 : 1;
}
