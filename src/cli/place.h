/* place — where a server keeps its things, and where a command finds a server's token.
 *
 *     <data dir>/.gitignore        "*": data never gets into a repository
 *     <data dir>/lock              held while a server runs
 *     <data dir>/keys/             id_ecdsa, id_ecdsa.pub
 *     <data dir>/owner-token       who holds this file owns the databases
 *     <data dir>/databases/<name>/ identity, log/, snapshots/, module_logs/
 *     <data dir>/abandoned/        what restores and deletions took away (databases.h)
 *
 * A running server leaves a note of its data folder under its address in the user's state folder
 * ($XDG_STATE_HOME or ~/.local/state, stdb-lua/servers/), so that `stdb-lua logs` finds the token. */
#pragma once

#include "base/disk.h"
#include "net/token.h"

struct place {
    const struct disk *disk;
    char *dir;                 /* owned */
    struct disk_file *lock;
    struct token_keys *keys;   /* owned */
    identity owner;
};

/* Makes what is missing. ERR_IN_USE when another server holds it. */
err place_open(struct place *place, const struct disk *disk, const char *dir, struct diag *diag);
void place_close(struct place *place);

/* For commands that change a stopped server's data: holds it as a server does, and makes nothing else. ERR_IN_USE
 * when a server runs. disk_real()'s close() lets it go. */
err place_lock(struct disk_file **lock, const char *dir, struct diag *diag);

/* The note. Failing to leave it is not worth a word: only the commands' default is lost. */
void place_note_server(const struct place *place, uint16_t port);
void place_forget_server(uint16_t port);
/* The owner's token of the server on this machine at `port`; false when there is no note. */
bool place_find_token(uint16_t port, struct buf *token);
