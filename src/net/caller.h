/* caller — who sends a request: by the token in its Authorization header, else in its query, else nobody yet. */
#pragma once

#include "net/head.h"
#include "net/token.h"

enum caller_need {
    CALLER_IGNORED,   /* the route does not ask */
    CALLER_CHECKED,   /* a token is verified if there is one */
    CALLER_REQUIRED,  /* there is one */
    CALLER_ANONYMOUS, /* without one a new identity is made */
};

struct caller {
    bool known;
    identity who;
    struct buf token;           /* owned: supplied or minted */
    struct token_claims claims; /* owned; of a supplied token */
};

/* The HTTP status of the refusal, or 0 and a caller to be deinitialised. */
int caller_read(struct lws *wsi, const struct token_keys *keys, enum caller_need need, struct caller *caller,
                struct diag *diag);
void caller_deinit(struct caller *caller);
