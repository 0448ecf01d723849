/* base64url — RFC 4648 section 5 without padding, as tokens spell bytes. */
#pragma once

#include "base/buf.h"

void base64url_encode(struct buf *out, bytes from);
/* Strict: no padding, no other characters, no loose bits at the end. Appends; on false `out` is as before. */
bool base64url_decode(struct buf *out, bytes text);
