/* schema — what a module declares: tables, indexes, constraints, sequences, schedules, reducers, views, filters.
 *
 * A module describes itself as a RawModuleDefV10, the value that official tools exchange. Its bytes are
 * the description: the log keeps them, /schema prints them, and schema_build() checks them and makes
 * this structure, which is what the engine works with. One source, so they cannot differ.
 *
 * Rules
 *   S1  Table ids are stable: a name that was there before keeps its id, a new one gets the next, and
 *       an id is never used again. Ids of user tables start at 4097. Likewise those of indexes, sequences,
 *       views and schedules.
 *   S2  Every unique constraint has an index over exactly its columns. A primary key is unique.
 *   S3  A built schema never changes. It owns its arena. It may be shared, across threads too: the last
 *       schema_free() frees it.
 *   S4  Names: tables, views, indexes, constraints, sequences and schedules share one space, reducers and views
 *       another. */
#pragma once

#include "base/map.h"
#include "sats/type.h"

#include <stdatomic.h>

/* The ids of tables that are worked out from others have this bit; those behind it are given again. */
#define SCHEMA_DERIVED_ID (1u << 31)

enum { SCHEMA_FIRST_ID = 4097, SCHEMA_COLUMNS_MAX = 1000, SCHEMA_KEY_COLUMNS_MAX = 16, SCHEMA_NO_COLUMN = -1 };

/* References let a few bytes name a huge type: what all types of a description come to when every reference is
 * written out is limited, and so is the description itself. */
enum { SCHEMA_DEF_SIZE_MAX = 16 << 20, SCHEMA_TYPE_PARTS_MAX = 1 << 18 };
/* A table's indexes, and the bytes of a name: limits that no sensible module meets. */
enum { SCHEMA_INDEXES_MAX = 256, SCHEMA_NAME_SIZE_MAX = 1024 };

enum index_kind { INDEX_BTREE, INDEX_HASH, INDEX_DIRECT };
enum table_access { ACCESS_PUBLIC, ACCESS_PRIVATE };
enum view_kind { VIEW_OPTION, VIEW_ARRAY, VIEW_QUERY }; /* what the function of a view returns */
enum lifecycle { LIFECYCLE_INIT, LIFECYCLE_CONNECT, LIFECYCLE_DISCONNECT, LIFECYCLE_COUNT };

struct column_def {
    bytes name;
    const struct type *type;
    int32_t offset;         /* in the row, when all columns before have a fixed size; else -1 */
    bool has_default;
    bytes default_value;    /* BSATN */
};

struct index_def {
    uint32_t id;
    bytes name;
    bytes accessor;         /* the name by which a module reaches it; the index's name when none was given */
    enum index_kind kind;
    bool unique;            /* a unique constraint has exactly its columns */
    uint32_t column_count;
    uint16_t columns[SCHEMA_KEY_COLUMNS_MAX];
};

struct sequence_def {
    uint32_t id;
    bytes name;
    uint16_t column;
    __int128 start, min, max, increment; /* max is cut to what the column holds */
};

struct table_def {
    uint32_t id;
    bytes name;
    enum table_access access;
    bool is_event;
    int32_t primary_key;    /* column or SCHEMA_NO_COLUMN */
    uint32_t type_ref;      /* the row type's place in the typespace */
    const struct type *row_type; /* product of the columns, resolved */
    uint32_t column_count;
    struct column_def *columns;
    uint32_t index_count;
    struct index_def *indexes;
    uint32_t sequence_count;
    struct sequence_def *sequences;
    int32_t schedule;       /* place in the schema's schedules, or -1 */
};

struct reducer_def {
    bytes name;
    const struct type *params; /* product, resolved */
    int lifecycle;             /* enum lifecycle, or -1 */
    bool is_private;           /* clients may not call it: of hooks and of what a schedule runs */
};

/* Each row of the table runs the reducer when its time has come, with the row as the one argument. */
struct schedule_def {
    uint32_t id;
    bytes name;
    uint32_t table;     /* place in the schema's tables */
    uint32_t reducer;   /* place in the schema's reducers */
    uint16_t at_column; /* holds a ScheduleAt */
    bool catches_up;    /* ticks of an interval that were missed run one after the other; else they are left out */
};

/* A function whose rows clients see as those of a table. */
struct view_def {
    struct table_def rows; /* what SQL and subscriptions know of it. The only index is that of the primary key. */
    bool is_anonymous;     /* the same rows for everyone; else the function asks who looks */
    enum view_kind kind;
};

struct schema {
    struct arena arena;
    bytes def;                 /* BSATN of RawModuleDefV10, owned by the arena */
    uint32_t next_id;          /* S1 */
    uint32_t table_count;
    struct table_def *tables;  /* in the module's order */
    uint32_t reducer_count;
    struct reducer_def *reducers; /* in the module's order */
    int32_t lifecycle[LIFECYCLE_COUNT]; /* place in reducers, or -1 */
    uint32_t schedule_count;
    struct schedule_def *schedules;
    uint32_t view_count;
    struct view_def *views;    /* in the module's order */
    uint32_t filter_count;
    bytes *filters;            /* row-level security: the queries whose rows clients may see, not parsed yet */
    struct map table_names;    /* to struct table_def */
    struct map view_names;     /* to struct view_def */
    struct map reducer_names;  /* to struct reducer_def */
    atomic_uint holders;       /* the last of them frees it (S3) */
};

/* Names what a refused description or migration was about, so that the host can add the line that declared it. */
struct schema_fault {
    enum fault_subject { FAULT_MODULE, FAULT_TABLE, FAULT_REDUCER, FAULT_TYPE, FAULT_VIEW, FAULT_FILTER } subject;
    char name[128]; /* a filter has none, but a number from 1; empty when too long */
};
struct schema_fault schema_fault_of(enum fault_subject subject, bytes name);

/* Decodes and checks a description. `previous` may be NULL; it gives the ids that must stay (S1). `fault` may be
 * NULL. ERR_SCHEMA, ERR_TOO_LARGE: diag has the whole sentence, "table `x`: ..." in front where it is about one. */
err schema_build(bytes def, const struct schema *previous, struct schema **schema, struct schema_fault *fault,
                 struct diag *diag);
/* One more holder, with a schema_free() of its own; returns `schema`. NULL is fine for both. */
struct schema *schema_ref(struct schema *schema);
void schema_free(struct schema *schema);

const struct table_def *schema_find_table(const struct schema *schema, bytes name);     /* NULL when absent */
const struct view_def *schema_find_view(const struct schema *schema, bytes name);       /* NULL when absent */
int32_t schema_find_reducer(const struct schema *schema, bytes name);                   /* -1 when absent */
int32_t table_def_find_column(const struct table_def *table, bytes name);               /* -1 when absent */

/* All that has rows under a name: the tables in their order, then the views. */
static inline uint32_t schema_relation_count(const struct schema *schema)
{
    return schema->table_count + schema->view_count;
}
static inline struct table_def *schema_relation(const struct schema *schema, uint32_t place)
{
    return place < schema->table_count ? &schema->tables[place] : &schema->views[place - schema->table_count].rows;
}

/* The body of GET /schema?version=9 and 10. */
void schema_print_v9(struct buf *out, const struct schema *schema);
void schema_print_v10(struct buf *out, const struct schema *schema);
