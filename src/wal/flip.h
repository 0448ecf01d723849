/* flip — whether one bit of a frame was turned after it had been written whole.
 *
 * A write that was cut leaves zeros where its bytes are missing. So a frame that one bit makes whole again was not
 * cut, unless that bit is the only one of a byte that is zero now: then either may be true, and this says no. */
#pragma once

#include "base/base.h"
#include "wal/frame.h"

/* `from` is not what frame_header_write() left. True when one bit makes it so: *header is the one that was written. */
bool flip_in_header(const uint8_t from[FRAME_HEADER_SIZE], struct frame_header *header);
/* `sum` is not the checksum of the body. */
bool flip_in_body(bytes body, uint32_t sum);
