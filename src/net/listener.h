/* listener — the socket that connections arrive at. Opened by us rather than by libwebsockets, so that an
 * address in use or out of reach is told in words, and adopted into its loop. */
#pragma once

#include "base/err.h"

#include <libwebsockets.h>

struct listener {
    struct lws_vhost *vhost; /* borrowed */
    struct lws *wsi;
    uint16_t port;
    int descriptor_max; /* connections take none from here on: the log and snapshots have to open files */
    bool is_paused;     /* no file handles were left */
};

/* Has the system allow as many open files as thousands of connections need, and no absurd number of them: libwebsockets
 * looks at the limit when it starts, so call it before. */
void listener_raise_limit(void);
/* HOST:PORT, [V6]:PORT or :PORT. `protocol` names the one whose callback passes LWS_CALLBACK_RAW_RX_FILE on to
 * listener_accept(). */
err listener_open(struct listener *listener, struct lws_vhost *vhost, const char *protocol, const char *address,
                  struct diag *diag);
void listener_accept(struct listener *listener);
void listener_resume(struct listener *listener);
