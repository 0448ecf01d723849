/* ident — identities, connection ids and timestamps as plain values. */
#pragma once

#include "base/base.h"
#include "base/buf.h"

/* As on the wire: little-endian. Printed hex is the bytes reversed. */
typedef struct identity { uint8_t at[32]; } identity;
typedef struct connection_id { uint8_t at[16]; } connection_id; /* all zero: none */

/* From the claims of a token: c200 | checksum | hash, by BLAKE3 of "issuer|subject". */
identity identity_of_claims(bytes issuer, bytes subject);
/* Whether the checksum in it is that of the rest: a bit that has changed is found. */
bool identity_is_whole(const identity *value);
bool identity_parse(bytes hex, identity *out); /* 64 digits, optional 0x */
void identity_print(struct buf *out, const identity *value);
bool connection_id_parse(bytes hex, connection_id *out); /* 32 digits, no prefix */
void connection_id_print(struct buf *out, const connection_id *value);
bool connection_id_is_none(const connection_id *value);

/* RFC 3339 <-> microseconds since 1970: "2026-11-20T08:15:30.123456Z"; reading takes T or a space, Z or
 * an offset, and no more than six digits of a second. Beyond the years 0000 to 9999 a year is spelled with
 * a sign and six digits, so that every moment prints and reads back. */
bool timestamp_parse(bytes text, int64_t *micros);
void timestamp_print(struct buf *out, int64_t micros);

bool uuid_parse(bytes text, uint8_t out[16]); /* wire order: the canonical bytes reversed */
void uuid_print(struct buf *out, const uint8_t at[16]);
