/* module_def — a RawModuleDefV10 as a tree: what a module says about itself, not yet judged.
 *
 * Decoding looks at form only: tags, counts, types. Whether names are good, references point somewhere and
 * constraints have their indexes is for schema_build() to say. Printing a schema starts here as well, so
 * what is printed is what was declared.
 *
 * A def holds views into the decoded bytes and memory of the arena; both must outlive it. Counts are
 * bounded by the input: every element costs at least one byte of it. */
#pragma once

#include "schema/schema.h"

struct def_columns {
    uint32_t count;
    uint16_t *at;
};

struct def_index {
    bytes name;     /* at == NULL: none given; def_names_fill() gives one */
    bytes accessor; /* at == NULL: none given */
    enum index_kind kind;
    struct def_columns columns;
};

struct def_constraint { /* unique; there is no other kind */
    bytes name;
    struct def_columns columns;
};

struct def_bound {
    bool is_given;
    __int128 value;
};

struct def_sequence {
    bytes name;
    uint16_t column;
    struct def_bound start, min, max;
    __int128 increment;
};

struct def_default {
    uint16_t column;
    bytes value;
};

struct def_table {
    bytes name;
    uint32_t type_ref;
    struct def_columns primary_key;
    uint32_t index_count;
    struct def_index *indexes;
    uint32_t constraint_count;
    struct def_constraint *constraints;
    uint32_t sequence_count;
    struct def_sequence *sequences;
    bool is_system;
    enum table_access access;
    uint32_t default_count;
    struct def_default *defaults;
    bool is_event;
};

struct def_params { /* a product without AlgebraicType's tag; refs stay refs */
    uint32_t count;
    struct type_field *fields;
};

struct def_reducer {
    bytes name;
    struct def_params params;
    bool is_private;
    const struct type *ok_type;
    const struct type *err_type;
};

struct def_type {
    uint32_t scope_count;
    bytes *scope;
    bytes name;
    uint32_t ref;
    bool custom_ordering;
};

struct def_lifecycle {
    enum lifecycle event;
    bytes function;
};

struct def_schedule {
    bytes name;
    bytes table;
    uint16_t column;
    bytes function;
};

/* Our own: descriptions of other modules lack it. */
struct def_policy {
    bytes table;
    bool catches_up;
};

struct def_view {
    bytes name;
    uint32_t number; /* among the views of its kind, anonymous or not */
    bool is_public;
    bool is_anonymous;
    struct def_params params;
    const struct type *returns;
};

struct def_view_key {
    bytes view;
    uint32_t count;
    bytes *columns;
};

struct def_rename {
    bytes source;
    bytes canonical;
};

struct module_def {
    uint32_t type_count; /* the typespace; refs stay refs */
    const struct type **types;
    uint32_t named_count; /* the types that have names */
    struct def_type *named;
    uint32_t table_count;
    struct def_table *tables;
    uint32_t reducer_count;
    struct def_reducer *reducers;
    uint32_t lifecycle_count;
    struct def_lifecycle *lifecycles;
    uint32_t schedule_count;
    struct def_schedule *schedules;
    uint32_t policy_count;
    struct def_policy *policies;
    uint32_t view_count;
    struct def_view *views;
    uint32_t view_key_count;
    struct def_view_key *view_keys;
    uint32_t filter_count;
    bytes *filters; /* SQL */
    uint32_t rename_count;
    struct def_rename *renames;
    bool wants_snake_case;
};

/* ERR_SCHEMA when the bytes are no RawModuleDefV10, or hold a section that this version cannot serve. */
err module_def_decode(struct arena *arena, bytes from, struct module_def *def, struct diag *diag);

/* Gives names to the indexes, constraints and sequences of a table that have none: `player_id_idx_btree`,
 * `player_id_key`, `player_id_seq`. All columns they name must be within `row`. */
void def_names_fill(struct arena *arena, struct def_table *table, const struct type *row);
/* The same for the name of a schedule: `reminder_sched`. */
void def_schedule_name_fill(struct arena *arena, struct def_schedule *schedule);
