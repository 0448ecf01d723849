/* v1 — clients of the v1 protocols: what they ask in terms of what the engine does, and back.
 *
 * They differ from v2 in three ways. A query belongs to the client, not to a set: subscriptions that name the same
 * text share it, and its rows go with the last of them. A commit is told by table, not by set. And the caller is told
 * its own call back.
 *
 * So each distinct text is one query set of the engine's, and a subscription of the client's is a list of texts.
 *
 *     subscription (query id) ──> query (text, references) ──> query set of one query in sub/
 *
 * Rules
 *   L1  A query has a set in sub/ for as long as a subscription refers to it, unless the set has ended.
 *   L2  A request to subscribe adds all its queries, or none.
 *   L3  What is shared counts, too: a client holds SUBS_SETS_MAX subscriptions, which name SUBS_QUERIES_MAX queries. */
#pragma once

#include "engine/state.h"

struct v1_client;

/* For a session of a v1 protocol; NULL for others. */
struct v1_client *v1_client_new(const struct session *session);
void v1_client_free(struct v1_client *v1); /* its sets go with the subscriber; NULL is fine */

void v1_greet(struct engine *engine, struct client *client);
/* One message: JSON when it came as text, whatever the client is answered in. */
void v1_run_frame(struct engine *engine, struct client *client, bytes frame, bool is_text);
/* A commit that somebody else made, as a client hears of it who is told by table (v1_updates.h). */
void v1_tell_update(struct engine *engine, struct client *client, const struct update_part *parts, uint32_t count);
/* sub/ has let go of a set by itself. Tells the client; v1_drop_ended() does the rest when sub/ may be changed. */
void v1_query_ended(struct engine *engine, struct client *client, uint32_t set_id, const struct diag *diag);
void v1_drop_ended(struct engine *engine);
