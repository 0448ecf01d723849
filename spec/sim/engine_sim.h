/* engine_sim — a server without sockets, threads, clock or chance: the engine on a simulated disk, one step at a time.
 *
 * It stands where net stands: sessions, their frames down, their packets up through net's own outbox, which holds
 * them back until the log is durable. Time is what it is told, chance comes from the seed. There is one at a time:
 * the clock and the random source are the process's. */
#pragma once

#include "disk_sim.h"

#include "engine/engine.h"

struct server_sim;

enum { SERVER_SIM_SESSIONS = 8 };

struct server_sim_options {
    const char *module_path;
    uint64_t segment_size;
    struct checkpoint_options checkpoints;
};

struct server_sim *server_sim_new(struct disk_sim *disk, uint64_t seed);
void server_sim_free(struct server_sim *server); /* closes what is open; NULL is fine */
void server_sim_set_clock(int64_t wall_us, int64_t monotonic_us);

/* One life of the process. The code, and its sentence in server_sim_text(). */
int server_sim_open(struct server_sim *server, const struct server_sim_options *options);
/* Ends it as a signal would have it; after disk_sim_kill() or disk_sim_crash() none of that gets to the disk. */
void server_sim_close(struct server_sim *server);
bool server_sim_step(struct server_sim *server, int step); /* enum engine_step */
int server_sim_publish(struct server_sim *server, const char *module_path);
const char *server_sim_text(const struct server_sim *server);
uint64_t server_sim_durable(const struct server_sim *server);
/* How often the engine said that the log has failed: W3. */
uint32_t server_sim_failures(const struct server_sim *server);

/* Sessions, by number from 0. */
void server_sim_connect(struct server_sim *server, uint32_t number, const uint8_t who[32], const uint8_t connection[16],
                        int protocol, bool confirmed); /* enum protocol */
void server_sim_post(struct server_sim *server, uint32_t number, const uint8_t *frame, size_t size);
void server_sim_disconnect(struct server_sim *server, uint32_t number);
/* The WebSocket frames that may leave now. Good until the next call, as all that is returned here. */
const uint8_t *server_sim_receive(struct server_sim *server, uint32_t number, size_t *size);
/* How the session ends, when its turn has come: a close code, 1 without one, 2 when it is gone, 0 when it lives. */
uint32_t server_sim_ending(struct server_sim *server, uint32_t number);
/* What was made for clients of v1 since the start: updates, lists of rows in updates, lists of first rows. */
uint64_t server_sim_v1_updates(const struct server_sim *server);
uint64_t server_sim_v1_lists_told(const struct server_sim *server);
uint64_t server_sim_v1_lists_shown(const struct server_sim *server);
/* The largest message to a client of v1; 0: as ever. Before it opens. */
void server_sim_limit_v1_messages(size_t size_max);
/* Packets leave without waiting for the disk: a bug, planted. */
void server_sim_release_early(struct server_sim *server, bool early);

/* Asks for a snapshot, or to undo; the status once it has been answered, 0 before that. */
void server_sim_ask_snapshot(struct server_sim *server);
void server_sim_ask_undo(struct server_sim *server, const char *selection);
int server_sim_asked_status(const struct server_sim *server);

/* Looking into the tables: rows as u32 size and bytes, from the pages or through one of the indexes; NULL when there
 * is no such table or index. */
const uint8_t *server_sim_rows(struct server_sim *server, const char *table, size_t *size);
const uint8_t *server_sim_index_rows(struct server_sim *server, const char *table, uint32_t index, size_t *size);
uint64_t server_sim_next_value(struct server_sim *server, const char *table); /* of its first sequence */
const char *server_sim_identity(struct server_sim *server);
/* check() on what does not hold. */
void server_sim_check_tables(struct server_sim *server);
/* The number of faults in what is on the disk; the first one's line in server_sim_text(). */
uint32_t server_sim_audit(struct server_sim *server);
/* Bugs, planted: a row is missing in an index, or everywhere; a sequence goes back. */
bool server_sim_spoil_index(struct server_sim *server, const char *table, uint32_t index);
void server_sim_spoil_row(struct server_sim *server, const char *table);
void server_sim_spoil_sequence(struct server_sim *server, const char *table, uint64_t next);
/* Copies the log of a server that is not running into db/log.copy, without its last records: whole, but shorter. */
int server_sim_copy_log(struct server_sim *server, uint64_t without);
