#include "cli/place.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void join(char path[static 4096], const char *dir, const char *name)
{
    check(snprintf(path, 4096, "%s/%s", dir, name) < 4096);
}

static void trim_newline(struct buf *text)
{
    while (text->size > 0 && (text->data[text->size - 1] == '\n' || text->data[text->size - 1] == '\r'))
        text->size--;
}

static err hide_from_git(struct place *place, struct diag *diag)
{
    char path[4096];
    struct buf text = { 0 };
    join(path, place->dir, ".gitignore");
    err code = disk_read_whole(place->disk, path, &text, diag);
    buf_deinit(&text);
    if (code == ERR_NOT_FOUND)
        code = disk_write_whole(place->disk, path, BYTES_LITERAL("*\n"), diag);
    return code;
}

static err open_owner(struct place *place, struct diag *diag)
{
    char path[4096];
    struct buf token = { 0 };
    join(path, place->dir, "owner-token");
    err code = disk_read_whole(place->disk, path, &token, diag);
    if (code == ERR_NOT_FOUND) {
        token_mint(place->keys, &token, &place->owner);
        code = disk_write_whole(place->disk, path, buf_bytes(&token), diag);
    } else if (code == OK) {
        struct token_claims claims = { 0 };
        trim_newline(&token);
        code = token_verify(place->keys, buf_bytes(&token), &claims, diag);
        place->owner = claims.who;
        token_claims_deinit(&claims);
        if (code != OK)
            diag_note(diag, "%s was not signed by the keys beside it: ", path);
    }
    buf_deinit(&token);
    return code;
}

err place_open(struct place *place, const struct disk *disk, const char *dir, struct diag *diag)
{
    char path[4096];
    *place = (struct place){ .disk = disk, .dir = memory_copy(dir, strlen(dir) + 1) };
    err code = disk->make_dir(disk->self, dir, diag);
    join(path, dir, "lock");
    if (code == OK && (code = disk->lock(disk->self, path, &place->lock, diag)) == ERR_IN_USE)
        diag_note(diag, "another stdb-lua works in %s; end it, or choose another folder with --data-dir: ", dir);
    if (code == OK)
        code = hide_from_git(place, diag);
    join(path, dir, "keys");
    if (code == OK)
        code = token_keys_open(&place->keys, disk, path, diag);
    if (code == OK)
        code = open_owner(place, diag);
    if (code != OK)
        place_close(place);
    return code;
}

void place_close(struct place *place)
{
    token_keys_free(place->keys);
    place->keys = NULL;
    if (place->lock != NULL)
        place->disk->close(place->disk->self, place->lock);
    place->lock = NULL;
    memory_free(place->dir);
    place->dir = NULL;
}

err place_lock(struct disk_file **lock, const char *dir, struct diag *diag)
{
    const struct disk *disk = disk_real();
    char path[4096];
    *lock = NULL;
    if (access(dir, F_OK) != 0)
        return diag_set(diag, ERR_NOT_FOUND, "there is no data directory %s", dir);
    join(path, dir, "lock");
    const err code = disk->lock(disk->self, path, lock, diag);
    if (code == ERR_IN_USE)
        diag_note(diag, "a server runs on %s; this needs a stopped one, and nothing was changed: ", dir);
    return code;
}

static bool note_path(uint16_t port, char path[static 4096], char dir[static 4096])
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (state != NULL && state[0] == '/')
        snprintf(dir, 4096, "%s/stdb-lua/servers", state);
    else if (home != NULL && home[0] == '/')
        snprintf(dir, 4096, "%s/.local/state/stdb-lua/servers", home);
    else
        return false;
    return snprintf(path, 4096, "%s/%u", dir, port) < 4096;
}

void place_note_server(const struct place *place, uint16_t port)
{
    char path[4096], dir[4096], absolute[4096];
    struct diag diag;
    if (!note_path(port, path, dir) || realpath(place->dir, absolute) == NULL)
        return;
    if (place->disk->make_dir(place->disk->self, dir, &diag) == OK)
        (void)disk_write_whole(place->disk, path, bytes_of_text(absolute), &diag);
}

void place_forget_server(uint16_t port)
{
    char path[4096], dir[4096];
    if (note_path(port, path, dir))
        unlink(path);
}

bool place_find_token(uint16_t port, struct buf *token)
{
    char path[4096], dir[4096];
    struct buf place = { 0 };
    struct diag diag;
    bool found = false;
    if (note_path(port, path, dir) && disk_read_whole(disk_real(), path, &place, &diag) == OK) {
        trim_newline(&place);
        snprintf(path, sizeof path, "%.*s/owner-token", BYTES_FORMAT(buf_bytes(&place)));
        found = disk_read_whole(disk_real(), path, token, &diag) == OK;
        trim_newline(token);
    }
    buf_deinit(&place);
    return found;
}
