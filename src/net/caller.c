#include "net/caller.h"

#include <strings.h>

enum { STATUS_BAD_REQUEST = 400, STATUS_UNAUTHORIZED = 401 };

static const char bearer[] = "Bearer ";

/* The header wins over the query. */
static err find_token(struct lws *wsi, struct buf *token, struct diag *diag)
{
    char value[HEAD_VALUE_MAX];
    size_t size;
    err code = head_value(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, value, sizeof value, &size);
    if (code == OK) {
        if (strncasecmp(value, bearer, sizeof bearer - 1) != 0 || value[sizeof bearer - 1] == '\0')
            return diag_set(diag, ERR_BAD_REQUEST, "the Authorization header does not read `Bearer` and a token");
        buf_put(token, value + sizeof bearer - 1, size - (sizeof bearer - 1));
        return OK;
    }
    if (code == ERR_NOT_FOUND) {
        code = head_query(wsi, "token", value, sizeof value, &size);
        if (code == OK)
            buf_put(token, value, size);
    }
    return code == ERR_TOO_LARGE ? diag_set(diag, ERR_BAD_REQUEST, "the token is too long") : code;
}

int caller_read(struct lws *wsi, const struct token_keys *keys, enum caller_need need, struct caller *caller,
                struct diag *diag)
{
    *caller = (struct caller){ 0 };
    if (need == CALLER_IGNORED)
        return 0;
    const err code = find_token(wsi, &caller->token, diag);
    int refusal = 0;
    if (code == OK) {
        if (token_verify(keys, buf_bytes(&caller->token), &caller->claims, diag) != OK)
            refusal = STATUS_UNAUTHORIZED;
        caller->who = caller->claims.who;
        caller->known = refusal == 0;
    } else if (code != ERR_NOT_FOUND) {
        refusal = STATUS_BAD_REQUEST;
    } else if (need == CALLER_REQUIRED) {
        diag_set(diag, ERR_BAD_TOKEN,
                 "this needs a token: send it as `Authorization: Bearer` or as the query parameter `token`");
        refusal = STATUS_UNAUTHORIZED;
    } else if (need == CALLER_ANONYMOUS) {
        token_mint(keys, &caller->token, &caller->who);
        caller->known = true;
    }
    if (refusal != 0)
        caller_deinit(caller);
    return refusal;
}

void caller_deinit(struct caller *caller)
{
    buf_deinit(&caller->token);
    token_claims_deinit(&caller->claims);
    *caller = (struct caller){ 0 };
}
