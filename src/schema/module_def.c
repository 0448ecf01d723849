#include "schema/module_def.h"

struct decoder {
    struct arena *arena;
    struct reader from;
    struct diag *diag;
};

/* clang-format off */
/* The order is that of the tags, but for the last. */
static const char *const section_names[] = {
    "Typespace", "Types", "Tables", "Reducers", "Procedures", "Views", "Schedules", "LifeCycleReducers",
    "RowLevelSecurity", "CaseConversionPolicy", "ExplicitNames", "HttpHandlers", "HttpRoutes", "ViewPrimaryKeys",
    "Submodules", "SchedulePolicies",
};

enum section {
    SECTION_TYPESPACE, SECTION_TYPES, SECTION_TABLES, SECTION_REDUCERS, SECTION_PROCEDURES, SECTION_VIEWS,
    SECTION_SCHEDULES, SECTION_LIFECYCLES, SECTION_ROW_LEVEL_SECURITY, SECTION_CASE_POLICY, SECTION_EXPLICIT_NAMES,
    SECTION_HTTP_HANDLERS, SECTION_HTTP_ROUTES, SECTION_VIEW_KEYS, SECTION_SUBMODULES, SECTION_SCHEDULE_POLICIES,
    SECTION_COUNT,
};
/* clang-format on */

/* The official description has no place for what is ours alone; its tag is far from those still to come there. */
enum { TAG_SCHEDULE_POLICIES = 200 };
_Static_assert(COUNTOF(section_names) == SECTION_COUNT, "a section without a name");

/* A count of elements, each of which takes `smallest` bytes or more: so a count costs no memory that the
 * input did not pay for. */
static uint32_t get_count(struct decoder *decoder, size_t smallest)
{
    const uint32_t count = reader_get_u32(&decoder->from);
    if (count > reader_left(&decoder->from) / smallest) {
        decoder->from.failed = true;
        return 0;
    }
    return count;
}

static uint8_t get_tag(struct decoder *decoder, uint8_t variants)
{
    const uint8_t tag = reader_get_u8(&decoder->from);
    if (tag >= variants) {
        decoder->from.failed = true;
        return 0;
    }
    return tag;
}

static bool get_bool(struct decoder *decoder)
{
    return get_tag(decoder, 2) == 1;
}

/* Option is a sum whose first variant is the value. */
static bool get_is_some(struct decoder *decoder)
{
    return get_tag(decoder, 2) == 0;
}

static bytes get_text(struct decoder *decoder)
{
    return reader_get_sized(&decoder->from);
}

static bytes get_optional_text(struct decoder *decoder)
{
    return get_is_some(decoder) ? get_text(decoder) : (bytes){ NULL, 0 };
}

static __int128 get_i128(struct decoder *decoder)
{
    __int128 value = 0;
    const bytes from = reader_take(&decoder->from, sizeof value);
    if (from.size == sizeof value)
        memcpy(&value, from.at, sizeof value);
    return value;
}

static struct def_bound get_bound(struct decoder *decoder)
{
    struct def_bound bound = { 0 };
    bound.is_given = get_is_some(decoder);
    if (bound.is_given)
        bound.value = get_i128(decoder);
    return bound;
}

static struct def_columns get_columns(struct decoder *decoder)
{
    struct def_columns columns = { .count = get_count(decoder, 2) };
    columns.at = ARENA_ARRAY(decoder->arena, uint16_t, columns.count);
    for (uint32_t idx = 0; idx < columns.count; idx++)
        columns.at[idx] = reader_get_u16(&decoder->from);
    return columns;
}

static err decode_typespace(struct decoder *decoder, struct module_def *def)
{
    def->type_count = get_count(decoder, 1);
    def->types = ARENA_ARRAY(decoder->arena, const struct type *, def->type_count);
    for (uint32_t idx = 0; idx < def->type_count; idx++)
        TRY(type_decode(decoder->arena, &decoder->from, &def->types[idx], decoder->diag));
    return OK;
}

static err decode_types(struct decoder *decoder, struct module_def *def)
{
    def->named_count = get_count(decoder, 13);
    def->named = ARENA_ARRAY(decoder->arena, struct def_type, def->named_count);
    for (uint32_t idx = 0; idx < def->named_count; idx++) {
        struct def_type *type = &def->named[idx];
        type->scope_count = get_count(decoder, 4);
        type->scope = ARENA_ARRAY(decoder->arena, bytes, type->scope_count);
        for (uint32_t part = 0; part < type->scope_count; part++)
            type->scope[part] = get_text(decoder);
        type->name = get_text(decoder);
        type->ref = reader_get_u32(&decoder->from);
        type->custom_ordering = get_bool(decoder);
    }
    return OK;
}

static struct def_index get_index(struct decoder *decoder)
{
    struct def_index index = { 0 };
    index.name = get_optional_text(decoder);
    index.accessor = get_optional_text(decoder);
    index.kind = (enum index_kind)get_tag(decoder, 3);
    if (index.kind != INDEX_DIRECT) {
        index.columns = get_columns(decoder);
        return index;
    }
    index.columns = (struct def_columns){ 1, ARENA_NEW(decoder->arena, uint16_t) };
    index.columns.at[0] = reader_get_u16(&decoder->from);
    return index;
}

static struct def_constraint get_constraint(struct decoder *decoder)
{
    struct def_constraint constraint = { .name = get_optional_text(decoder) };
    get_tag(decoder, 1);
    constraint.columns = get_columns(decoder);
    return constraint;
}

static struct def_sequence get_sequence(struct decoder *decoder)
{
    struct def_sequence sequence = { .name = get_optional_text(decoder) };
    sequence.column = reader_get_u16(&decoder->from);
    sequence.start = get_bound(decoder);
    sequence.min = get_bound(decoder);
    sequence.max = get_bound(decoder);
    sequence.increment = get_i128(decoder);
    return sequence;
}

static void decode_table(struct decoder *decoder, struct def_table *table)
{
    table->name = get_text(decoder);
    table->type_ref = reader_get_u32(&decoder->from);
    table->primary_key = get_columns(decoder);

    table->index_count = get_count(decoder, 5);
    table->indexes = ARENA_ARRAY(decoder->arena, struct def_index, table->index_count);
    for (uint32_t idx = 0; idx < table->index_count; idx++)
        table->indexes[idx] = get_index(decoder);

    table->constraint_count = get_count(decoder, 6);
    table->constraints = ARENA_ARRAY(decoder->arena, struct def_constraint, table->constraint_count);
    for (uint32_t idx = 0; idx < table->constraint_count; idx++)
        table->constraints[idx] = get_constraint(decoder);

    table->sequence_count = get_count(decoder, 22);
    table->sequences = ARENA_ARRAY(decoder->arena, struct def_sequence, table->sequence_count);
    for (uint32_t idx = 0; idx < table->sequence_count; idx++)
        table->sequences[idx] = get_sequence(decoder);

    table->is_system = get_tag(decoder, 2) == 0;
    table->access = get_tag(decoder, 2) == 0 ? ACCESS_PUBLIC : ACCESS_PRIVATE;

    table->default_count = get_count(decoder, 6);
    table->defaults = ARENA_ARRAY(decoder->arena, struct def_default, table->default_count);
    for (uint32_t idx = 0; idx < table->default_count; idx++) {
        table->defaults[idx].column = reader_get_u16(&decoder->from);
        table->defaults[idx].value = reader_get_sized(&decoder->from);
    }
    table->is_event = get_bool(decoder);
}

static err decode_tables(struct decoder *decoder, struct module_def *def)
{
    enum { TABLE_SIZE_MIN = 31 };
    def->table_count = get_count(decoder, TABLE_SIZE_MIN);
    def->tables = ARENA_ARRAY(decoder->arena, struct def_table, def->table_count);
    for (uint32_t idx = 0; idx < def->table_count; idx++)
        decode_table(decoder, &def->tables[idx]);
    return OK;
}

static err decode_params(struct decoder *decoder, struct def_params *params)
{
    params->count = get_count(decoder, 2);
    params->fields = ARENA_ARRAY(decoder->arena, struct type_field, params->count);
    for (uint32_t idx = 0; idx < params->count; idx++) {
        params->fields[idx].name = get_optional_text(decoder);
        TRY(type_decode(decoder->arena, &decoder->from, &params->fields[idx].type, decoder->diag));
    }
    return OK;
}

static err decode_reducers(struct decoder *decoder, struct module_def *def)
{
    def->reducer_count = get_count(decoder, 11);
    def->reducers = ARENA_ARRAY(decoder->arena, struct def_reducer, def->reducer_count);
    for (uint32_t idx = 0; idx < def->reducer_count; idx++) {
        struct def_reducer *reducer = &def->reducers[idx];
        reducer->name = get_text(decoder);
        TRY(decode_params(decoder, &reducer->params));
        reducer->is_private = get_tag(decoder, 2) == 0;
        TRY(type_decode(decoder->arena, &decoder->from, &reducer->ok_type, decoder->diag));
        TRY(type_decode(decoder->arena, &decoder->from, &reducer->err_type, decoder->diag));
    }
    return OK;
}

static err decode_lifecycles(struct decoder *decoder, struct module_def *def)
{
    def->lifecycle_count = get_count(decoder, 5);
    def->lifecycles = ARENA_ARRAY(decoder->arena, struct def_lifecycle, def->lifecycle_count);
    for (uint32_t idx = 0; idx < def->lifecycle_count; idx++) {
        def->lifecycles[idx].event = (enum lifecycle)get_tag(decoder, LIFECYCLE_COUNT);
        def->lifecycles[idx].function = get_text(decoder);
    }
    return OK;
}

static void decode_schedules(struct decoder *decoder, struct module_def *def)
{
    def->schedule_count = get_count(decoder, 11);
    def->schedules = ARENA_ARRAY(decoder->arena, struct def_schedule, def->schedule_count);
    for (uint32_t idx = 0; idx < def->schedule_count; idx++) {
        struct def_schedule *schedule = &def->schedules[idx];
        schedule->name = get_optional_text(decoder);
        schedule->table = get_text(decoder);
        schedule->column = reader_get_u16(&decoder->from);
        schedule->function = get_text(decoder);
    }
}

static void decode_policies(struct decoder *decoder, struct module_def *def)
{
    def->policy_count = get_count(decoder, 5);
    def->policies = ARENA_ARRAY(decoder->arena, struct def_policy, def->policy_count);
    for (uint32_t idx = 0; idx < def->policy_count; idx++) {
        def->policies[idx].table = get_text(decoder);
        def->policies[idx].catches_up = get_bool(decoder);
    }
}

static err decode_views(struct decoder *decoder, struct module_def *def)
{
    def->view_count = get_count(decoder, 15);
    def->views = ARENA_ARRAY(decoder->arena, struct def_view, def->view_count);
    for (uint32_t idx = 0; idx < def->view_count; idx++) {
        struct def_view *view = &def->views[idx];
        view->name = get_text(decoder);
        view->number = reader_get_u32(&decoder->from);
        view->is_public = get_bool(decoder);
        view->is_anonymous = get_bool(decoder);
        TRY(decode_params(decoder, &view->params));
        TRY(type_decode(decoder->arena, &decoder->from, &view->returns, decoder->diag));
    }
    return OK;
}

static void decode_view_keys(struct decoder *decoder, struct module_def *def)
{
    def->view_key_count = get_count(decoder, 8);
    def->view_keys = ARENA_ARRAY(decoder->arena, struct def_view_key, def->view_key_count);
    for (uint32_t idx = 0; idx < def->view_key_count; idx++) {
        struct def_view_key *key = &def->view_keys[idx];
        key->view = get_text(decoder);
        key->count = get_count(decoder, 4);
        key->columns = ARENA_ARRAY(decoder->arena, bytes, key->count);
        for (uint32_t place = 0; place < key->count; place++)
            key->columns[place] = get_text(decoder);
    }
}

static void decode_filters(struct decoder *decoder, struct module_def *def)
{
    def->filter_count = get_count(decoder, 4);
    def->filters = ARENA_ARRAY(decoder->arena, bytes, def->filter_count);
    for (uint32_t idx = 0; idx < def->filter_count; idx++)
        def->filters[idx] = get_text(decoder);
}

static err decode_explicit_names(struct decoder *decoder, struct module_def *def)
{
    def->rename_count = get_count(decoder, 9);
    def->renames = ARENA_ARRAY(decoder->arena, struct def_rename, def->rename_count);
    for (uint32_t idx = 0; idx < def->rename_count; idx++) {
        get_tag(decoder, 3);
        def->renames[idx].source = get_text(decoder);
        def->renames[idx].canonical = get_text(decoder);
    }
    return OK;
}

/* What this version does not run may be declared as an empty list only. */
static err decode_unserved(struct decoder *decoder, const char *things)
{
    const uint32_t count = reader_get_u32(&decoder->from);
    if (count == 0)
        return OK;
    return diag_set(decoder->diag, ERR_SCHEMA, "this version does not run %s yet, and the module declares %u", things,
                    (unsigned)count);
}

static err decode_section(struct decoder *decoder, enum section section, struct module_def *def)
{
    switch (section) {
    case SECTION_TYPESPACE: return decode_typespace(decoder, def);
    case SECTION_TYPES: return decode_types(decoder, def);
    case SECTION_TABLES: return decode_tables(decoder, def);
    case SECTION_REDUCERS: return decode_reducers(decoder, def);
    case SECTION_PROCEDURES: return decode_unserved(decoder, "procedures");
    case SECTION_VIEWS: return decode_views(decoder, def);
    case SECTION_SCHEDULES: decode_schedules(decoder, def); return OK;
    case SECTION_LIFECYCLES: return decode_lifecycles(decoder, def);
    case SECTION_ROW_LEVEL_SECURITY: decode_filters(decoder, def); return OK;
    case SECTION_CASE_POLICY: def->wants_snake_case = get_bool(decoder); return OK;
    case SECTION_EXPLICIT_NAMES: return decode_explicit_names(decoder, def);
    case SECTION_HTTP_HANDLERS: return decode_unserved(decoder, "HTTP handlers");
    case SECTION_HTTP_ROUTES: return decode_unserved(decoder, "HTTP routes");
    case SECTION_VIEW_KEYS: decode_view_keys(decoder, def); return OK;
    case SECTION_SUBMODULES: return decode_unserved(decoder, "submodules");
    case SECTION_SCHEDULE_POLICIES: decode_policies(decoder, def); return OK;
    case SECTION_COUNT: break;
    }
    unreachable();
}

/* SECTION_COUNT for a tag that is none. */
static enum section section_of_tag(uint8_t tag)
{
    if (tag == TAG_SCHEDULE_POLICIES)
        return SECTION_SCHEDULE_POLICIES;
    return tag <= SECTION_SUBMODULES ? (enum section)tag : SECTION_COUNT;
}

err module_def_decode(struct arena *arena, bytes from, struct module_def *def, struct diag *diag)
{
    struct decoder decoder = { arena, reader_of(from), diag };
    bool seen[SECTION_COUNT] = { false };
    *def = (struct module_def){ 0 };

    const uint32_t count = reader_get_u32(&decoder.from);
    for (uint32_t idx = 0; idx < count && !decoder.from.failed; idx++) {
        const uint8_t tag = reader_get_u8(&decoder.from);
        if (decoder.from.failed)
            break;
        const enum section section = section_of_tag(tag);
        if (section == SECTION_COUNT)
            return diag_set(diag, ERR_SCHEMA, "the description has a section of unknown kind %u", (unsigned)tag);
        if (seen[section])
            return diag_set(diag, ERR_SCHEMA, "the description has its section %s twice", section_names[section]);
        seen[section] = true;
        TRY(decode_section(&decoder, section, def));
        if (decoder.from.failed)
            return diag_set(diag, ERR_SCHEMA, "the section %s of the description does not decode",
                            section_names[section]);
    }
    if (decoder.from.failed)
        return diag_set(diag, ERR_SCHEMA, "the description ends early");
    if (reader_left(&decoder.from) > 0)
        return diag_set(diag, ERR_SCHEMA, "the description is followed by %zu bytes that belong to nothing",
                        reader_left(&decoder.from));
    return OK;
}

/* "{table}_{columns joined by _}_{suffix}" */
static bytes name_make(struct arena *arena, bytes table, const struct type *row, struct def_columns columns,
                       const char *suffix)
{
    struct buf name;
    buf_init(&name);
    buf_put_bytes(&name, table);
    for (uint32_t idx = 0; idx < columns.count; idx++) {
        check(columns.at[idx] < row->count);
        buf_put_u8(&name, '_');
        buf_put_bytes(&name, row->fields[columns.at[idx]].name);
    }
    buf_put_u8(&name, '_');
    buf_put_text(&name, suffix);
    const bytes made = arena_copy(arena, buf_bytes(&name));
    buf_deinit(&name);
    return made;
}

void def_names_fill(struct arena *arena, struct def_table *table, const struct type *row)
{
    static const char *const index_suffixes[] = { "idx_btree", "idx_hash", "idx_direct" };

    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        struct def_index *index = &table->indexes[idx];
        if (index->name.at == NULL)
            index->name = name_make(arena, table->name, row, index->columns, index_suffixes[index->kind]);
    }
    for (uint32_t idx = 0; idx < table->constraint_count; idx++) {
        struct def_constraint *constraint = &table->constraints[idx];
        if (constraint->name.at == NULL)
            constraint->name = name_make(arena, table->name, row, constraint->columns, "key");
    }
    for (uint32_t idx = 0; idx < table->sequence_count; idx++) {
        struct def_sequence *sequence = &table->sequences[idx];
        const struct def_columns column = { 1, &sequence->column };
        if (sequence->name.at == NULL)
            sequence->name = name_make(arena, table->name, row, column, "seq");
    }
}

void def_schedule_name_fill(struct arena *arena, struct def_schedule *schedule)
{
    static const struct def_columns none;
    static const struct type no_row;
    if (schedule->name.at == NULL)
        schedule->name = name_make(arena, schedule->table, &no_row, none, "sched");
}
