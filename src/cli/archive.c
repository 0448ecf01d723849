#include "cli/archive.h"

#include <stdio.h>

enum { PATH_SIZE_MAX = 3900 };

struct names {
    const char *wanted; /* or NULL */
    bool has_wanted;
    struct buf text; /* the names, a comma and a space between them */
    size_t count;
};

static void name_found(void *context, const char *name)
{
    struct names *names = context;
    buf_put_format(&names->text, "%s%s", names->count > 0 ? ", " : "", name);
    names->count++;
    if (names->wanted != NULL && strcmp(name, names->wanted) == 0)
        names->has_wanted = true;
}

/* The only one there, or the one that was asked for. */
static err choose_database(struct archive *archive, const char *data_dir, struct names *names, struct diag *diag)
{
    const struct disk *disk = disk_real();
    snprintf(archive->path, sizeof archive->path, "%s/databases", data_dir);
    const err code = disk->list(disk->self, archive->path, name_found, names, diag);
    if (code == ERR_NOT_FOUND || (code == OK && names->count == 0))
        return diag_set(diag, ERR_NOT_FOUND, "there is no database in %s; say where with --data-dir", data_dir);
    TRY(code);
    const bytes all = buf_bytes(&names->text);
    if (archive->database != NULL && !names->has_wanted)
        return diag_set(diag, ERR_NOT_FOUND, "there is no database %s in %s, which has: %.*s", archive->database,
                        data_dir, BYTES_FORMAT(all));
    if (archive->database == NULL && names->count > 1)
        return diag_set(diag, ERR_BAD_USAGE, "%s has several databases (%.*s); choose one with --database", data_dir,
                        BYTES_FORMAT(all));
    const bytes name = archive->database != NULL ? bytes_of_text(archive->database) : all;
    snprintf(archive->path, sizeof archive->path, "%s/databases/%.*s", data_dir, BYTES_FORMAT(name));
    return OK;
}

err archive_find(struct archive *archive, struct diag *diag)
{
    const char *data_dir = archive->data_dir != NULL ? archive->data_dir : ".stdb";
    struct names names = { .wanted = archive->database };
    if (data_dir[0] == '\0' || strlen(data_dir) > PATH_SIZE_MAX)
        return diag_set(diag, ERR_BAD_USAGE, "the path of the data directory is %s",
                        data_dir[0] == '\0' ? "empty" : "too long");
    const err code = choose_database(archive, data_dir, &names, diag);
    buf_deinit(&names.text);
    return code;
}

err archive_open(struct archive *archive, struct history **history, struct diag *diag)
{
    *history = NULL;
    TRY(archive_find(archive, diag));
    return history_open(history, disk_real(), archive->path, diag);
}

static bool parse_offset(const char *text, uint64_t *offset)
{
    *offset = 0;
    if (text[0] == '\0')
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        const uint64_t digit = (uint64_t)(*at - '0');
        if (*at < '0' || *at > '9' || *offset > (UINT64_MAX - digit) / 10)
            return false;
        *offset = *offset * 10 + digit;
    }
    return true;
}

err archive_parse_moment(const char *text, struct moment *moment, struct diag *diag)
{
    *moment = (struct moment){ 0 };
    if (parse_offset(text, &moment->offset))
        return OK;
    moment->is_time = true;
    if (timestamp_parse(bytes_of_text(text), &moment->time_us))
        return OK;
    return diag_set(diag, ERR_BAD_USAGE, "%.80s is neither an offset nor a time like 2026-11-20T08:15:30Z", text);
}

err archive_parse_offset(const char *option, const char *text, uint64_t *offset, struct diag *diag)
{
    if (text == NULL || parse_offset(text, offset))
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
