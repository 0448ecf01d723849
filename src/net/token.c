#include "net/token.h"

#include "base/clock.h"
#include "base/text.h"
#include "net/base64url.h"
#include "net/claims.h"
#include "net/vouched.h"

#include <inttypes.h>
#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>

enum {
    COORDINATE_SIZE = 32,                 /* of a P-256 signature's r and s */
    SIGNATURE_SIZE = 2 * COORDINATE_SIZE, /* JOSE: r and s as they are, not ASN.1 */
    SIGNATURE_ASN1_MAX = 80,
    LEEWAY_S = 60, /* clocks differ: an expired token is good for a minute more */
    PATH_MAX_SIZE = 4096,
};

struct token_keys {
    EVP_PKEY *private_key; /* owned */
    EVP_PKEY *public_key;  /* owned */
    struct buf public_pem;
    struct vouched *vouched; /* owned; K3 */
};

/* Keys */

static int refuse_passphrase(char *out, int size, int writing, void *context)
{
    return 0; /* without this OpenSSL asks on the terminal */
}

static EVP_PKEY *parse_private(bytes pem)
{
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.size);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, NULL);
    BIO_free(bio);
    return key;
}

static EVP_PKEY *parse_public(bytes pem)
{
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.size);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, refuse_passphrase, NULL);
    BIO_free(bio);
    return key;
}

static bool is_p256(const EVP_PKEY *key)
{
    char group[32];
    return key != NULL && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

static void put_bio(struct buf *out, BIO *bio)
{
    char *at;
    const long size = BIO_get_mem_data(bio, &at);
    check(size > 0);
    buf_put(out, at, (size_t)size);
    BIO_free(bio);
}

static err load_keys(struct token_keys *keys, const char *dir, bytes private_pem, struct diag *diag)
{
    keys->private_key = parse_private(private_pem);
    keys->public_key = parse_public(buf_bytes(&keys->public_pem));
    ERR_clear_error();
    if (!is_p256(keys->private_key))
        return diag_set(diag, ERR_CORRUPT, "%s/id_ecdsa does not hold an unencrypted P-256 private key in PEM", dir);
    if (!is_p256(keys->public_key))
        return diag_set(diag, ERR_CORRUPT, "%s/id_ecdsa.pub does not hold a P-256 public key in PEM", dir);
    if (EVP_PKEY_eq(keys->private_key, keys->public_key) != 1)
        return diag_set(diag, ERR_CORRUPT, "%s/id_ecdsa and id_ecdsa.pub do not belong together", dir);
    return OK;
}

static void print_public(struct token_keys *keys)
{
    BIO *bio = BIO_new(BIO_s_mem());
    check(PEM_write_bio_PUBKEY(bio, keys->private_key) == 1);
    put_bio(&keys->public_pem, bio);
    keys->public_key = parse_public(buf_bytes(&keys->public_pem));
    check(keys->public_key != NULL);
}

/* The private key is written first, and says what the public one is: a first start that was cut short between the
 * two is finished here. */
static err restore_public(struct token_keys *keys, const struct disk *disk, const char *path, bytes private_pem,
                          struct diag *diag)
{
    keys->private_key = parse_private(private_pem);
    ERR_clear_error();
    if (!is_p256(keys->private_key))
        return diag_set(diag, ERR_CORRUPT, "%s is missing, and the private key beside it cannot be read", path);
    print_public(keys);
    return disk_write_whole(disk, path, buf_bytes(&keys->public_pem), diag);
}

static err make_keys(struct token_keys *keys, const struct disk *disk, const char *const paths[2], struct diag *diag)
{
    struct buf private_pem = { 0 };
    keys->private_key = EVP_EC_gen("P-256");
    check(keys->private_key != NULL);

    BIO *bio = BIO_new(BIO_s_mem());
    check(PEM_write_bio_PKCS8PrivateKey(bio, keys->private_key, NULL, NULL, 0, NULL, NULL) == 1);
    put_bio(&private_pem, bio);
    print_public(keys);

    err code = disk_write_whole(disk, paths[0], buf_bytes(&private_pem), diag);
    if (code == OK)
        code = disk_write_whole(disk, paths[1], buf_bytes(&keys->public_pem), diag);
    OPENSSL_cleanse(private_pem.data, private_pem.size);
    buf_deinit(&private_pem);
    return code;
}

static err read_or_make_keys(struct token_keys *keys, const struct disk *disk, const char *dir, struct diag *diag)
{
    char private_path[PATH_MAX_SIZE], public_path[PATH_MAX_SIZE];
    struct buf private_pem = { 0 };
    if (snprintf(private_path, sizeof private_path, "%s/id_ecdsa", dir) >= (int)sizeof private_path ||
        snprintf(public_path, sizeof public_path, "%s/id_ecdsa.pub", dir) >= (int)sizeof public_path)
        return diag_set(diag, ERR_BAD_USAGE, "the path of the key folder is too long");

    TRY(disk->make_dir(disk->self, dir, diag));
    const err private_code = disk_read_whole(disk, private_path, &private_pem, diag);
    err code = private_code;
    if (code == OK || code == ERR_NOT_FOUND)
        code = disk_read_whole(disk, public_path, &keys->public_pem, diag);
    if (private_code == ERR_NOT_FOUND && code == ERR_NOT_FOUND)
        code = make_keys(keys, disk, (const char *const[]){ private_path, public_path }, diag);
    else if (private_code == OK && code == OK)
        code = load_keys(keys, dir, buf_bytes(&private_pem), diag);
    else if (private_code == OK && code == ERR_NOT_FOUND)
        code = restore_public(keys, disk, public_path, buf_bytes(&private_pem), diag);
    else if (private_code == ERR_NOT_FOUND && code == OK)
        code = diag_set(diag, ERR_CORRUPT,
                        "%s is missing, but %s is there: put it back, or remove the other too to have new keys made",
                        private_path, public_path);
    if (private_pem.size > 0)
        OPENSSL_cleanse(private_pem.data, private_pem.size);
    buf_deinit(&private_pem);
    return code;
}

err token_keys_open(struct token_keys **out, const struct disk *disk, const char *dir, struct diag *diag)
{
    struct token_keys *keys = memory_new(sizeof *keys);
    keys->vouched = vouched_new();
    const err code = read_or_make_keys(keys, disk, dir, diag);
    if (code != OK) {
        token_keys_free(keys);
        return code;
    }
    *out = keys;
    return OK;
}

void token_keys_free(struct token_keys *keys)
{
    if (keys == NULL)
        return;
    EVP_PKEY_free(keys->private_key);
    EVP_PKEY_free(keys->public_key);
    buf_deinit(&keys->public_pem);
    vouched_free(keys->vouched);
    memory_free(keys);
}

bytes token_keys_public_pem(const struct token_keys *keys)
{
    return buf_bytes(&keys->public_pem);
}

/* Signatures */

static void sign(const struct token_keys *keys, bytes text, uint8_t out[SIGNATURE_SIZE])
{
    uint8_t encoded[SIGNATURE_ASN1_MAX];
    size_t size = sizeof encoded;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    check(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, keys->private_key) == 1);
    check(EVP_DigestSign(context, encoded, &size, text.at, text.size) == 1);
    EVP_MD_CTX_free(context);

    const uint8_t *at = encoded;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)size);
    check(signature != NULL);
    check(BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, COORDINATE_SIZE) == COORDINATE_SIZE);
    check(BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + COORDINATE_SIZE, COORDINATE_SIZE) == COORDINATE_SIZE);
    ECDSA_SIG_free(signature);
}

static bool verifies(const struct token_keys *keys, bytes text, const uint8_t raw[SIGNATURE_SIZE])
{
    uint8_t *encoded = NULL;
    ECDSA_SIG *signature = ECDSA_SIG_new();
    ECDSA_SIG_set0(signature, BN_bin2bn(raw, COORDINATE_SIZE, NULL),
                   BN_bin2bn(raw + COORDINATE_SIZE, COORDINATE_SIZE, NULL));
    const int size = i2d_ECDSA_SIG(signature, &encoded);
    ECDSA_SIG_free(signature);

    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool good = size > 0 && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, keys->public_key) == 1 &&
                      EVP_DigestVerify(context, encoded, (size_t)size, text.at, text.size) == 1;
    EVP_MD_CTX_free(context);
    OPENSSL_free(encoded);
    ERR_clear_error();
    return good;
}

void token_sign(const struct token_keys *keys, bytes payload, struct buf *token)
{
    uint8_t signature[SIGNATURE_SIZE];
    const size_t start = token->size;
    base64url_encode(token, BYTES_LITERAL("{\"typ\":\"JWT\",\"alg\":\"ES256\"}"));
    buf_put_u8(token, '.');
    base64url_encode(token, payload);
    sign(keys, bytes_of(token->data + start, token->size - start), signature);
    buf_put_u8(token, '.');
    base64url_encode(token, bytes_of(signature, sizeof signature));
    vouched_add(keys->vouched, bytes_of(token->data + start, token->size - start));
}

/* Making */

static int64_t now_s(void)
{
    return clock_wall_us() / 1000000;
}

static void put_random_uuid(struct buf *out)
{
    uint8_t raw[16];
    random_bytes(raw, sizeof raw);
    raw[9] = (uint8_t)((raw[9] & 0x0f) | 0x40); /* version 4; uuid_print wants the canonical bytes reversed */
    raw[7] = (uint8_t)((raw[7] & 0x3f) | 0x80);
    uuid_print(out, raw);
}

void token_mint(const struct token_keys *keys, struct buf *token, identity *who)
{
    struct buf subject = { 0 }, payload = { 0 };
    put_random_uuid(&subject);
    *who = identity_of_claims(BYTES_LITERAL("localhost"), buf_bytes(&subject));
    buf_put_text(&payload, "{\"hex_identity\":\"");
    identity_print(&payload, who);
    buf_put_format(&payload,
                   "\",\"sub\":\"%.*s\",\"iss\":\"localhost\",\"aud\":[\"spacetimedb\"],\"iat\":%" PRId64
                   ",\"exp\":null}",
                   BYTES_FORMAT(buf_bytes(&subject)), now_s());
    token_sign(keys, buf_bytes(&payload), token);
    buf_deinit(&payload);
    buf_deinit(&subject);
}

void token_resign(const struct token_keys *keys, const struct token_claims *claims, int64_t seconds, struct buf *token)
{
    struct buf payload = { 0 };
    struct claims walk = claims_of(claims->payload);
    struct claim claim;
    buf_put_u8(&payload, '{');
    while (claims_next(&walk, &claim)) {
        if (bytes_equal_text(claim.name, "exp"))
            continue;
        buf_put_format(&payload, "\"%.*s\":%.*s,", BYTES_FORMAT(claim.name), BYTES_FORMAT(claim.value));
    }
    check(!walk.failed);
    buf_put_format(&payload, "\"exp\":%" PRId64 "}", now_s() + seconds);
    token_sign(keys, buf_bytes(&payload), token);
    buf_deinit(&payload);
}

/* Believing */

void token_claims_deinit(struct token_claims *claims)
{
    buf_deinit(&claims->storage);
}

static err refuse(struct diag *diag, const char *why)
{
    return diag_set(diag, ERR_BAD_TOKEN, "Invalid token: %s", why);
}

struct token_parts {
    bytes header, payload, signature;
    bytes signed_text;
};

static bool split(bytes token, struct token_parts *parts)
{
    const uint8_t *first = memchr(token.at, '.', token.size);
    if (first == NULL)
        return false;
    const size_t rest = token.size - (size_t)(first + 1 - token.at);
    const uint8_t *second = memchr(first + 1, '.', rest);
    if (second == NULL)
        return false;
    parts->header = bytes_of(token.at, (size_t)(first - token.at));
    parts->payload = bytes_of(first + 1, (size_t)(second - first - 1));
    parts->signature = bytes_of(second + 1, (size_t)(token.at + token.size - second - 1));
    parts->signed_text = bytes_of(token.at, (size_t)(second - token.at));
    return true;
}

/* K3 */
static bool is_signed(const struct token_keys *keys, bytes token, const struct token_parts *parts, struct buf *storage)
{
    if (vouched_has(keys->vouched, token))
        return true;
    if (!base64url_decode(storage, parts->signature) || storage->size != SIGNATURE_SIZE ||
        !verifies(keys, parts->signed_text, storage->data))
        return false;
    vouched_add(keys->vouched, token);
    return true;
}

/* K1. A header that names critical extensions is refused: we know none (RFC 7515 4.1.11). */
static err check_header(bytes json, struct diag *diag)
{
    struct claims walk = claims_of(json);
    struct claim claim;
    char algorithm[16] = "";
    while (claims_next(&walk, &claim)) {
        if (bytes_equal_text(claim.name, "crit"))
            return refuse(diag, "its header asks for extensions that are not known here");
        if (bytes_equal_text(claim.name, "alg") &&
            (algorithm[0] != '\0' || !claims_string(claim.value, algorithm, sizeof algorithm)))
            return refuse(diag, "its header does not name one algorithm");
    }
    if (walk.failed)
        return refuse(diag, "its header is not a JSON object");
    if (strcmp(algorithm, "ES256") != 0)
        return refuse(diag, "it is not signed with ES256");
    return OK;
}

enum { SEEN_ISSUER = 1, SEEN_SUBJECT = 2, SEEN_ISSUED = 4, SEEN_EXPIRY = 8, SEEN_IDENTITY = 16 };

struct claim_reading {
    struct token_claims *claims;
    char hex[80];
    unsigned seen;
};

static int kind_of(bytes name)
{
    return bytes_equal_text(name, "iss")            ? SEEN_ISSUER
           : bytes_equal_text(name, "sub")          ? SEEN_SUBJECT
           : bytes_equal_text(name, "iat")          ? SEEN_ISSUED
           : bytes_equal_text(name, "exp")          ? SEEN_EXPIRY
           : bytes_equal_text(name, "hex_identity") ? SEEN_IDENTITY
                                                    : 0;
}

static err read_claim(struct claim_reading *reading, const struct claim *claim, struct diag *diag)
{
    struct token_claims *claims = reading->claims;
    const int kind = kind_of(claim->name);
    if ((reading->seen & (unsigned)kind) != 0)
        return refuse(diag, "it says something twice");
    reading->seen |= (unsigned)kind;
    switch (kind) {
    case SEEN_ISSUER:
        if (!claims_string(claim->value, claims->issuer, sizeof claims->issuer) || claims->issuer[0] == '\0')
            return refuse(diag, "its issuer (iss) is not a text of 1 to 128 bytes");
        break;
    case SEEN_SUBJECT:
        if (!claims_string(claim->value, claims->subject, sizeof claims->subject) || claims->subject[0] == '\0')
            return refuse(diag, "its subject (sub) is not a text of 1 to 128 bytes");
        break;
    case SEEN_ISSUED:
        if (!claims_integer(claim->value, &claims->issued_at))
            return refuse(diag, "its time of issue (iat) is not an integer");
        break;
    case SEEN_EXPIRY:
        claims->expires = !bytes_equal_text(claim->value, "null");
        if (claims->expires && !claims_integer(claim->value, &claims->expires_at))
            return refuse(diag, "its expiry (exp) is not an integer");
        break;
    case SEEN_IDENTITY:
        if (!claims_string(claim->value, reading->hex, sizeof reading->hex))
            return refuse(diag, "its identity (hex_identity) is not 64 hex digits");
        break;
    }
    return OK;
}

static err check_claims(const struct claim_reading *reading, struct diag *diag)
{
    struct token_claims *claims = reading->claims;
    identity stated;
    if ((reading->seen & SEEN_ISSUER) == 0 || (reading->seen & SEEN_SUBJECT) == 0 || (reading->seen & SEEN_ISSUED) == 0)
        return refuse(diag, "it lacks one of issuer (iss), subject (sub) and time of issue (iat)");
    if (claims->expires && claims->expires_at + LEEWAY_S < now_s())
        return refuse(diag, "it has expired");
    claims->who = identity_of_claims(bytes_of_text(claims->issuer), bytes_of_text(claims->subject));
    if ((reading->seen & SEEN_IDENTITY) != 0 &&
        (!identity_parse(bytes_of_text(reading->hex), &stated) || memcmp(&stated, &claims->who, sizeof stated) != 0))
        return refuse(diag, "its identity (hex_identity) is not that of its issuer and subject");
    return OK;
}

static err read_claims(struct token_claims *claims, struct diag *diag)
{
    struct claim_reading reading = { .claims = claims };
    struct claims walk = claims_of(claims->payload);
    struct claim claim;
    while (claims_next(&walk, &claim))
        TRY(read_claim(&reading, &claim, diag));
    if (walk.failed || !text_is_utf8(claims->payload))
        return refuse(diag, "its payload is not a JSON object");
    return check_claims(&reading, diag);
}

static err verify_parts(const struct token_keys *keys, bytes token, struct token_claims *claims, struct diag *diag)
{
    struct token_parts parts;
    struct buf *storage = &claims->storage;
    if (token.size == 0 || token.size > TOKEN_SIZE_MAX) /* K2 */
        return refuse(diag, "it is empty or longer than 8192 bytes");
    if (!split(token, &parts))
        return refuse(diag, "it is not three parts with dots between them");

    if (!base64url_decode(storage, parts.header))
        return refuse(diag, "its header is not base64url");
    TRY(check_header(buf_bytes(storage), diag));

    buf_clear(storage);
    if (!is_signed(keys, token, &parts, storage))
        return refuse(diag, "its signature does not verify");

    buf_clear(storage);
    if (!base64url_decode(storage, parts.payload))
        return refuse(diag, "its payload is not base64url");
    claims->payload = buf_bytes(storage);
    return read_claims(claims, diag);
}

err token_verify(const struct token_keys *keys, bytes token, struct token_claims *claims, struct diag *diag)
{
    *claims = (struct token_claims){ 0 };
    const err code = verify_parts(keys, token, claims, diag);
    if (code != OK)
        token_claims_deinit(claims);
    return code;
}
