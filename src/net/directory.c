#include "net/directory.h"

struct database *database_new(const char *name, const identity *id, const identity *owner, struct port *port)
{
    struct database *database = memory_new(sizeof *database);
    database->name = memory_copy(name, strlen(name) + 1);
    database->id = *id;
    database->owner = *owner;
    database->port = port;
    return database;
}

void directory_add(struct directory *directory, struct database *database)
{
    database->next = directory->first;
    directory->first = database;
}

void directory_deinit(struct directory *directory)
{
    while (directory->first != NULL) {
        struct database *database = directory->first;
        directory->first = database->next;
        while (database->held != NULL) {
            struct packet *packet = database->held;
            database->held = packet->next;
            packet_free(packet);
        }
        memory_free(database->name);
        memory_free(database);
    }
}

/* Runs of lower-case letters and digits, with single hyphens between them. */
static bool is_name(bytes text)
{
    bool after_hyphen = true;
    for (size_t idx = 0; idx < text.size; idx++) {
        const uint8_t character = text.at[idx];
        const bool is_hyphen = character == '-';
        if (is_hyphen && after_hyphen)
            return false;
        if (!is_hyphen && !(character >= 'a' && character <= 'z') && !(character >= '0' && character <= '9'))
            return false;
        after_hyphen = is_hyphen;
    }
    return !after_hyphen;
}

static struct database *find_id(const struct directory *directory, const identity *id)
{
    struct database *database = directory->first;
    while (database != NULL && (database->is_retired || memcmp(&database->id, id, sizeof *id) != 0))
        database = database->next;
    return database;
}

static struct database *find_name(const struct directory *directory, bytes name)
{
    struct database *database = directory->first;
    while (database != NULL && (database->is_retired || !bytes_equal_text(name, database->name)))
        database = database->next;
    return database;
}

err directory_find(const struct directory *directory, bytes text, struct database **database, struct diag *diag)
{
    identity id;
    if (identity_parse(text, &id)) {
        *database = find_id(directory, &id);
        return *database != NULL ? OK : diag_set(diag, ERR_NOT_FOUND, "No such database.");
    }
    if (!is_name(text))
        return diag_set(diag, ERR_BAD_REQUEST,
                        "a database is named by 64 hex digits or by lower-case letters and digits with single hyphens "
                        "between them");
    *database = find_name(directory, text);
    return *database != NULL ? OK : diag_set(diag, ERR_NOT_FOUND, "`%.*s` not found", BYTES_FORMAT(text));
}
