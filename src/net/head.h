/* head — what the head of an HTTP request says: method, path, query, headers.
 *
 * A view into libwebsockets' parsed headers, good inside the callback that announces the request. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <libwebsockets.h>

enum method {
    METHOD_OTHER,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_PATCH,
    METHOD_OPTIONS
};

enum { HEAD_SEGMENTS_MAX = 8, HEAD_VALUE_MAX = 9000 /* a token of the largest size and what stands around it */ };

/* The parts of a path between its slashes, at most HEAD_SEGMENTS_MAX; of a longer path count is one more. */
struct path {
    bytes segments[HEAD_SEGMENTS_MAX];
    uint32_t count;
};

enum method head_method(struct lws *wsi, bytes *path);
struct path head_path(bytes path);

/* A header's value, terminated, in `value`. OK and its size, ERR_NOT_FOUND when absent, ERR_TOO_LARGE when it
 * does not fit. Repeated headers come joined by commas. */
err head_value(struct lws *wsi, enum lws_token_indexes header, char *value, size_t capacity, size_t *size);
bool head_has(struct lws *wsi, enum lws_token_indexes header);

/* A query parameter's value, decoded and terminated; the first when there are several. Results as above. */
err head_query(struct lws *wsi, const char *name, char *value, size_t capacity, size_t *size);
/* Those with a meaning: ERR_BAD_REQUEST and a sentence when they are there and do not parse. */
err head_query_bool(struct lws *wsi, const char *name, bool *value, struct diag *diag);
err head_query_number(struct lws *wsi, const char *name, int64_t *value, struct diag *diag); /* 0 to 2^32 - 1 */

/* Does a comma-separated list hold this word? Case is ignored. */
bool head_list_has(const char *list, const char *word);
