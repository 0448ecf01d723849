/* reply — the bytes of an HTTP/1.1 answer, written by us so that nothing is in them that we did not put there. */
#pragma once

#include "base/buf.h"
#include "sats/ident.h"

struct caller;

enum reply_body {
    REPLY_SIZED,   /* content-length */
    REPLY_CHUNKED, /* of unknown length, in chunks */
};

struct reply {
    int status;
    const char *content_type; /* static; NULL: none */
    bytes body;
    uint64_t rest_size;          /* of what is sent behind `body` by somebody else */
    const struct caller *caller; /* borrowed; NULL: its headers are not sent */
    int64_t duration_us;         /* -1: none */
    bool allow_headers;          /* answers a preflight */
    bool closes;                 /* the connection ends with it */
    bool head_only;              /* the request was HEAD */
};

extern const char reply_json[], reply_text[];

/* Bodies are borrowed. */
struct reply reply_plain(int status, const char *content_type, bytes body);
struct reply reply_error(int status, const char *text);
void reply_put(struct buf *out, const struct reply *reply, enum reply_body body);

void reply_put_chunk(struct buf *out, bytes chunk); /* nothing when it is empty: that would end the body */
void reply_put_last_chunk(struct buf *out);
/* The header lines that every answer for a known caller carries, the WebSocket handshake's too. */
void reply_put_caller(struct buf *out, const identity *who, bytes token);
