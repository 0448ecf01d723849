/* directory — the databases that a server serves, found by name or by identity.
 *
 * One that is retired stays until the server ends, out of sight: connections may still speak of it. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "engine/port.h"

struct database {
    struct database *next;
    char *name; /* owned */
    identity id, owner;
    struct port *port;               /* borrowed: the server's */
    bool is_retired;                 /* nobody finds it any more; what is under way with it ends */
    uint64_t durable;                /* as of this beat of the loop */
    struct packet *held, *held_last; /* owned: answers to HTTP requests that wait for the disk */
};

struct directory {
    struct database *first; /* owned */
};

struct database *database_new(const char *name, const identity *id, const identity *owner, struct port *port);
void directory_add(struct directory *directory, struct database *database); /* takes it over */
void directory_deinit(struct directory *directory);

/* `text` is 64 hex digits or a name. ERR_BAD_REQUEST when it can be neither, ERR_NOT_FOUND when nobody has it. */
err directory_find(const struct directory *directory, bytes text, struct database **database, struct diag *diag);
