/* Tokens from anybody: as they come, and with a good signature around any payload. */
#include "net/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct token_keys *keys;

static void remove_file(const char *dir, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    check(unlink(path) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char dir[] = "/tmp/stdb-token-fuzz-XXXXXX";
    struct diag diag;
    check(mkdtemp(dir) != NULL);
    check(token_keys_open(&keys, disk_real(), dir, &diag) == OK);
    remove_file(dir, "id_ecdsa");
    remove_file(dir, "id_ecdsa.pub");
    check(rmdir(dir) == 0);
    return 0;
}

/* What is believed keeps its meaning when it is signed again. */
static void check_believed(const struct token_claims *claims)
{
    struct buf token = { 0 };
    struct token_claims again;
    struct diag diag;
    token_resign(keys, claims, 60, &token);
    if (token.size <= TOKEN_SIZE_MAX) {
        check(token_verify(keys, buf_bytes(&token), &again, &diag) == OK);
        check(memcmp(&again.who, &claims->who, sizeof again.who) == 0);
        check(again.issued_at == claims->issued_at);
        token_claims_deinit(&again);
    }
    buf_deinit(&token);
}

static void verify(bytes token, bool may_be_good)
{
    struct token_claims claims;
    struct diag diag;
    if (token_verify(keys, token, &claims, &diag) != OK) {
        check(diag.code == ERR_BAD_TOKEN);
        check(strncmp(diag.text, "Invalid token", 13) == 0);
        return;
    }
    check(may_be_good);
    check_believed(&claims);
    token_claims_deinit(&claims);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf token = { 0 };
    verify(bytes_of(data, size), false);
    token_sign(keys, bytes_of(data, size), &token);
    verify(buf_bytes(&token), true);
    buf_deinit(&token);
    return 0;
}
