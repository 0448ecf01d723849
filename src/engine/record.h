/* record — what one log record says: who caused it, when, by which call, and what changed.
 *
 * The log itself keeps opaque bytes. With this one layout it is recovery, audit and, read backwards, the
 * past: the inputs of a call stand beside its changes.
 *
 *   0  u8   kind
 *   1  i64  wall-clock microseconds
 *   9  u64  client: the number its CONNECT record gave it; 0 for none
 *  17  u64  the seed of the random source that the reducer was given
 *      then by kind
 *   CALL        u16 place of the reducer in the module in force, sized args, delta
 *   CONNECT     u8[32] identity, u8[16] connection id, delta of client_connected
 *   DISCONNECT  delta of client_disconnected
 *   PUBLISH     u8[32] identity, u8[32] hash, sized RawModuleDefV10, u32 files, per file sized name and sized text,
 *               delta of init
 *   TICK        u32 schedule id, u64 row id, i64 the time that it was for, u8 1 if the reducer failed, delta
 *   RESERVE     u32 sequence id, i128 value up to which the sequence is taken
 *   UNDO        u8[32] identity, sized selection as text (selection.h), delta
 *   SQL         sized text of the statement, u64 row limit in force behind it, delta
 *
 * The module in force is that of the last PUBLISH before the record. A delta without tables is 4 zero bytes. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "sats/ident.h"
#include "txn/delta.h"

enum record_kind {
    RECORD_CALL = 1, RECORD_CONNECT, RECORD_DISCONNECT, RECORD_PUBLISH, RECORD_RESERVE, RECORD_UNDO, RECORD_TICK, RECORD_SQL
};

struct record {
    enum record_kind kind;
    int64_t timestamp_us;
    uint64_t client;
    uint64_t seed;
    uint16_t reducer;         /* CALL */
    bytes args;               /* CALL; UNDO: what was to be undone */
    identity who;             /* CONNECT, PUBLISH, UNDO */
    connection_id connection; /* CONNECT */
    uint8_t hash[32];         /* PUBLISH */
    bytes def;                /* PUBLISH */
    uint32_t file_count;      /* PUBLISH */
    bytes files;              /* PUBLISH: file_count times sized name, sized text */
    uint32_t sequence_id;     /* RESERVE */
    __int128 reserved;        /* RESERVE */
    uint32_t schedule_id;     /* TICK */
    uint64_t row_id;          /* TICK */
    int64_t tick_us;          /* TICK */
    bool tick_failed;         /* TICK: the changes are those of the failure alone */
    bool tick_counts;         /* TICK, not encoded: it is logged even if nothing changed */
    bytes sql;                /* SQL */
    uint64_t row_limit;       /* SQL */
    bytes delta;              /* decoded: the encoded delta */
};

/* "call", "connect" ...: as the log shows it. */
const char *record_kind_name(enum record_kind kind);
/* The kind of this name; 0 for none. */
enum record_kind record_kind_find(const char *name);

/* Appends the record; `delta` may be NULL for none. record->delta is not used. */
void record_encode(struct buf *out, const struct record *record, const struct delta *delta);
/* All views point into `from`. ERR_CORRUPT. */
err record_decode(bytes from, struct record *record, struct diag *diag);
