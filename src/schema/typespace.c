/* The types of a description: their names, and what they are once references are followed. */
#include "schema/builder.h"

static uint32_t type_parts(const struct type *type)
{
    if (type->kind == TYPE_ARRAY)
        return 1 + type_parts(type->element);
    uint32_t parts = 1;
    if (type->kind == TYPE_SUM || type->kind == TYPE_PRODUCT)
        for (uint32_t idx = 0; idx < type->count; idx++)
            parts += type_parts(type->fields[idx].type);
    return parts;
}

/* A single type is limited by type_resolve(), all of them together here. */
err builder_resolve(struct builder *builder, const struct type *type, const struct type **resolved)
{
    TRY(type_resolve(&builder->schema->arena, builder->def.types, builder->def.type_count, type, resolved,
                     builder->diag));
    builder->type_parts += type_parts(*resolved);
    if (builder->type_parts <= SCHEMA_TYPE_PARTS_MAX)
        return OK;
    return diag_set(builder->diag, ERR_TOO_LARGE, "the types of the module have more than %d parts in all",
                    (int)SCHEMA_TYPE_PARTS_MAX);
}

bytes builder_type_text(struct builder *builder, const struct type *type)
{
    struct buf text;
    buf_init(&text);
    type_print(&text, type);
    const bytes kept = arena_copy(&builder->schema->arena, buf_bytes(&text));
    buf_deinit(&text);
    return kept;
}

/* Names of fields and variants: well formed, and each only once. */
static err field_names_check(const struct type *type, struct diag *diag)
{
    const char *what = type->kind == TYPE_SUM ? "a variant" : "a field";
    struct map seen;
    map_init(&seen);
    err e = OK;
    for (uint32_t idx = 0; idx < type->count && e == OK; idx++) {
        const bytes name = type->fields[idx].name;
        if (name.at == NULL)
            continue;
        e = identifier_check(name, what, diag);
        if (e == OK && map_put(&seen, name, &seen) != NULL)
            e = diag_set(diag, ERR_SCHEMA, "it has two %s named `%.*s`", type->kind == TYPE_SUM ? "variants" : "fields",
                         BYTES_FORMAT(name));
    }
    map_deinit(&seen);
    return e;
}

/* `type` has been decoded, so it does not nest deeper than TYPE_DEPTH_MAX. */
static err inner_names_check(const struct type *type, struct diag *diag)
{
    if (type->kind == TYPE_ARRAY)
        return inner_names_check(type->element, diag);
    if (type->kind != TYPE_SUM && type->kind != TYPE_PRODUCT)
        return OK;
    TRY(field_names_check(type, diag));
    for (uint32_t idx = 0; idx < type->count; idx++)
        TRY(inner_names_check(type->fields[idx].type, diag));
    return OK;
}

static void fault_ref(struct builder *builder, uint32_t ref)
{
    for (uint32_t idx = 0; idx < builder->def.named_count; idx++)
        if (builder->def.named[idx].ref == ref) {
            builder_fault(builder, FAULT_TYPE, "type", builder->def.named[idx].name);
            return;
        }
    diag_note(builder->diag, "type %u of the typespace: ", (unsigned)ref);
}

static bytes scoped_name(struct builder *builder, const struct def_type *named)
{
    struct buf text;
    buf_init(&text);
    for (uint32_t idx = 0; idx < named->scope_count; idx++) {
        buf_put_bytes(&text, named->scope[idx]);
        buf_put_u8(&text, '.');
    }
    buf_put_bytes(&text, named->name);
    const bytes kept = arena_copy(&builder->schema->arena, buf_bytes(&text));
    buf_deinit(&text);
    return kept;
}

/* Without an order of their own, fields and variants stand in the order of their names. */
static err ordering_check(const struct def_type *named, const struct type *type, struct diag *diag)
{
    if (named->custom_ordering || (type->kind != TYPE_SUM && type->kind != TYPE_PRODUCT))
        return OK;
    for (uint32_t idx = 1; idx < type->count; idx++)
        if (bytes_compare(type->fields[idx - 1].name, type->fields[idx].name) > 0)
            return diag_set(diag, ERR_SCHEMA,
                            "`%.*s` stands after `%.*s`, but the type declares no ordering of its own",
                            BYTES_FORMAT(type->fields[idx].name), BYTES_FORMAT(type->fields[idx - 1].name));
    return OK;
}

static err named_check(struct builder *builder, const struct def_type *named, struct map *seen)
{
    for (uint32_t idx = 0; idx < named->scope_count; idx++)
        TRY(identifier_check(named->scope[idx], "a scope", builder->diag));
    TRY(identifier_check(named->name, "a type", builder->diag));
    if (map_put(seen, scoped_name(builder, named), seen) != NULL)
        return diag_set(builder->diag, ERR_SCHEMA, "two types have this name");
    if (named->ref >= builder->def.type_count)
        return diag_set(builder->diag, ERR_SCHEMA, "it refers to a type that is not there");
    return ordering_check(named, builder->def.types[named->ref], builder->diag);
}

static err named_check_all(struct builder *builder)
{
    struct map seen;
    map_init(&seen);
    err e = OK;
    for (uint32_t idx = 0; idx < builder->def.named_count && e == OK; idx++) {
        const struct def_type *named = &builder->def.named[idx];
        if ((e = named_check(builder, named, &seen)) != OK)
            builder_fault(builder, FAULT_TYPE, "type", named->name);
    }
    map_deinit(&seen);
    return e;
}

err builder_make_types(struct builder *builder)
{
    builder->types = ARENA_ARRAY(&builder->schema->arena, const struct type *, builder->def.type_count);

    TRY(named_check_all(builder));
    for (uint32_t ref = 0; ref < builder->def.type_count; ref++) {
        err e = inner_names_check(builder->def.types[ref], builder->diag);
        if (e == OK)
            e = builder_resolve(builder, builder->def.types[ref], &builder->types[ref]);
        if (e != OK) {
            fault_ref(builder, ref);
            return e;
        }
    }
    return OK;
}
