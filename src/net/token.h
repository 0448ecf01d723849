/* token — who a caller is: JSON Web Tokens signed with ES256 (RFC 7519, RFC 7518 3.4), by OpenSSL.
 *
 * Rules
 *   K1  One algorithm and one key: whatever the header says, nothing but ES256 under our own key is believed.
 *   K2  A token's size is limited before anything of it is decoded; what it says counts only after its
 *       signature has been checked.
 *   K3  A signature is checked by OpenSSL, once: keys remember which tokens bear a good one, those they made among them
 *       (vouched.h). So they are used by one thread at a time. What a token says is checked each time. */
#pragma once

#include "base/buf.h"
#include "base/disk.h"
#include "base/err.h"
#include "sats/ident.h"

enum { TOKEN_SIZE_MAX = 8192 };

struct token_keys;

/* Reads id_ecdsa and id_ecdsa.pub (PKCS#8 and SubjectPublicKeyInfo PEM) in `dir`, or makes them when both are
 * missing. A missing public key follows from the private one; a missing private key is refused. */
err token_keys_open(struct token_keys **keys, const struct disk *disk, const char *dir, struct diag *diag);
void token_keys_free(struct token_keys *keys);
bytes token_keys_public_pem(const struct token_keys *keys);

struct token_claims {
    char issuer[129], subject[129];
    identity who;
    int64_t issued_at; /* seconds */
    bool expires;
    int64_t expires_at; /* seconds */
    bytes payload;      /* the JSON as it stands in the token; in `storage` */
    struct buf storage; /* owned: token_claims_deinit */
};
void token_claims_deinit(struct token_claims *claims);

/* A new anonymous identity: issuer "localhost", a random subject, no expiry. Appends the token. */
void token_mint(const struct token_keys *keys, struct buf *token, identity *who);
/* ERR_BAD_TOKEN says which rule it broke; texts begin "Invalid token". Only ES256 with our key. */
err token_verify(const struct token_keys *keys, bytes token, struct token_claims *claims, struct diag *diag);
/* The same claims signed again, to expire `seconds` from now. */
void token_resign(const struct token_keys *keys, const struct token_claims *claims, int64_t seconds, struct buf *token);
/* Signs a payload of any content and appends the token: what the two above end in, and how specs make odd ones. */
void token_sign(const struct token_keys *keys, bytes payload, struct buf *token);
