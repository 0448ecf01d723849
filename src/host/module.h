/* module — one loaded version of the user's Lua, ready to be called.
 *
 * Loading compiles and runs the files in a fresh VM, under the time and memory budget, and asks for the
 * description. That happens beside the running module, on any thread. Binding ties the description to the
 * tables of a store, on the engine's thread; from then on it may be called.
 *
 * A module holds one warm VM. State lives in tables: a VM is thrown away whenever a call had to be killed,
 * and the next call gets one made from the same sources.
 *
 * Life     module_load, module_bind, module_call ..., module_free
 * Threads  one at a time */
#pragma once

#include "base/err.h"
#include "sats/ident.h"
#include "schema/schema.h"
#include "store/index.h"

struct module;
struct store;
struct txn;

struct module_limits {
    int64_t call_us;      /* time a call may take; default 100 ms */
    int64_t load_us;      /* time loading may take; default 5 s */
    uint64_t memory_max;  /* bytes of Lua memory; default 64 MiB, less than 4 MiB counts as 4 */
};
extern const struct module_limits module_limits_default;

/* One line of a module's log, valid during the call of the sink. */
struct module_log_line {
    int level;            /* 0 error .. 4 trace */
    int64_t timestamp_us;
    bytes function;       /* the reducer, empty while loading */
    bytes file;           /* empty when not known */
    int32_t line;         /* 0 when not known */
    bytes message;
};
typedef void module_log_fn(void *context, const struct module_log_line *line);

/* `path`: a module.lua, or a folder that holds one. On failure `diag` holds "module.lua:12: text" with the
 * source lines around it below. ERR_MODULE, ERR_SCHEMA, ERR_OUT_OF_TIME, ERR_OUT_OF_MEMORY, ERR_DISK. */
err module_load(struct module **module, const char *path, const struct module_limits *limits, module_log_fn *log,
                void *log_context, struct diag *diag);
/* The same from texts that were kept, as pairs of sized name and sized text (BSATN), the first file first: nothing is
 * read from the disk. */
err module_load_kept(struct module **module, bytes files, uint32_t file_count, const struct module_limits *limits,
                     module_log_fn *log, void *log_context, struct diag *diag);
void module_free(struct module *module); /* NULL is fine */

bytes module_def(const struct module *module);           /* BSATN of RawModuleDefV10 */
const uint8_t *module_hash(const struct module *module); /* Keccak-256 of all its files, 32 bytes */
/* Its files, for the watcher and for the log: the paths as opened, the names as chunks know them. */
uint32_t module_file_count(const struct module *module);
const char *module_file_path(const struct module *module, uint32_t idx);
bytes module_file_name(const struct module *module, uint32_t idx);
bytes module_file_text(const struct module *module, uint32_t idx);
/* When a description or a migration was refused: "module.lua:12: table `user`: text", with the source lines. Where there
 * are several faults, each is of a line of the text, which gets its own place; the source is that of the first. */
void module_explain(const struct module *module, const struct schema_fault *faults, uint32_t count, struct diag *diag);
/* The files it opens, also when loading fails, and those it looks for in vain: what a watcher has to watch. */
typedef void module_opened_fn(void *context, const char *path);
void module_on_open(module_opened_fn *opened, void *context); /* per thread; NULL to end */

/* store->schema must be built from module_def(). Also after each migration. */
void module_bind(struct module *module, struct store *store);

/* What a view has looked at: a part of an index or, index -1, the whole table. Places are those of the schema. Both
 * bounds alike and with all columns: one key. Keys are good until the function returns. */
struct view_read {
    uint32_t table;
    int32_t index;
    struct index_bound lower, upper;
};
typedef void module_read_fn(void *context, const struct view_read *read);

struct view_call {
    uint32_t view;        /* its place in the schema */
    identity caller;      /* who looks; an anonymous view does not learn it */
    int64_t timestamp_us; /* for lines of the log */
    module_read_fn *read; /* hears of every look, often of the same one again; NULL: nobody listens */
    void *read_context;
};

struct call_context {
    identity sender;
    connection_id connection; /* all zero: none */
    int64_t timestamp_us;
    uint64_t random_seed;
};

/* For calls that are known some time before they run: brings what they will look up into the cache, first the entries
 * of indexes and, some calls later, the rows (foresight.h). `args` need not be checked. */
void module_ask_entries(const struct module *module, uint32_t reducer, bytes args);
void module_ask_rows(const struct module *module, uint32_t reducer, bytes args);

/* Runs a reducer inside the open transaction. `args` is checked BSATN of the reducer's parameters. Does not
 * end the transaction. OK; ERR_REJECTED: diag has the module's own words; ERR_MODULE: diag has a short text
 * with an id for the caller, the whole story with file:line and stack is in the log; ERR_OUT_OF_TIME,
 * ERR_OUT_OF_MEMORY: likewise, and the VM is gone. */
err module_call(struct module *module, struct txn *txn, const struct call_context *context, uint32_t reducer,
                bytes args, struct diag *diag);

/* Runs a view inside the open transaction, which it reads and does not change. What it returned is appended to
 * `result`: an option and an array as BSATN of an array of checked rows, a query as its text, UTF-8 and not parsed
 * yet. Equal rows may be there twice. Errors are those of module_call(), and `result` is as it was. */
err module_call_view(struct module *module, struct txn *txn, const struct view_call *call, struct buf *result,
                     struct diag *diag);
