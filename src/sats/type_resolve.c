/* Replacing references by what they name.
 *
 * The result is a tree: a type named twice is copied twice. That keeps every walk's cost in proportion to
 * what TYPE_PARTS_MAX allows, whatever the typespace says. */
#include "sats/type.h"

struct resolving {
    struct arena *arena;
    const struct type *const *typespace;
    uint32_t count;
    uint32_t parts;
    uint32_t depth;
    uint32_t ref_count;
    uint32_t refs[TYPE_DEPTH_MAX]; /* those being resolved right now, outermost first */
    struct diag *diag;
};

static err resolve(struct resolving *resolving, const struct type *type, const struct type **resolved);

static err resolve_ref(struct resolving *resolving, uint32_t ref, const struct type **resolved)
{
    if (ref >= resolving->count)
        return diag_set(resolving->diag, ERR_SCHEMA, "type %u is used but the typespace has only %u types", ref,
                        resolving->count);
    for (uint32_t idx = 0; idx < resolving->ref_count; idx++) {
        if (resolving->refs[idx] == ref)
            return diag_set(resolving->diag, ERR_SCHEMA, "type %u contains itself; a column cannot hold such a type",
                            ref);
    }
    if (resolving->ref_count == TYPE_DEPTH_MAX)
        return diag_set(resolving->diag, ERR_SCHEMA, "types are nested deeper than %d levels", TYPE_DEPTH_MAX);

    resolving->refs[resolving->ref_count++] = ref;
    TRY(resolve(resolving, resolving->typespace[ref], resolved));
    resolving->ref_count--;
    return OK;
}

static err resolve_fields(struct resolving *resolving, const struct type *type, const struct type **resolved)
{
    struct type_field *fields = ARENA_ARRAY(resolving->arena, struct type_field, type->count);
    for (uint32_t idx = 0; idx < type->count; idx++) {
        fields[idx].name = type->fields[idx].name;
        TRY(resolve(resolving, type->fields[idx].type, &fields[idx].type));
    }
    *resolved = type->kind == TYPE_SUM ? type_sum(resolving->arena, fields, type->count)
                                       : type_product(resolving->arena, fields, type->count);
    return OK;
}

static err resolve_array(struct resolving *resolving, const struct type *type, const struct type **resolved)
{
    const struct type *element;
    TRY(resolve(resolving, type->element, &element));
    *resolved = type_array(resolving->arena, element);
    return OK;
}

static err resolve(struct resolving *resolving, const struct type *type, const struct type **resolved)
{
    if (type->kind == TYPE_REF)
        return resolve_ref(resolving, type->ref, resolved);
    if (++resolving->parts > TYPE_PARTS_MAX)
        return diag_set(resolving->diag, ERR_SCHEMA, "the type has more than %d parts", TYPE_PARTS_MAX);
    if (resolving->depth == TYPE_DEPTH_MAX)
        return diag_set(resolving->diag, ERR_SCHEMA, "types are nested deeper than %d levels", TYPE_DEPTH_MAX);

    resolving->depth++;
    if (type->kind == TYPE_SUM || type->kind == TYPE_PRODUCT)
        TRY(resolve_fields(resolving, type, resolved));
    else if (type->kind == TYPE_ARRAY)
        TRY(resolve_array(resolving, type, resolved));
    else
        *resolved = type_scalar(type->kind);
    resolving->depth--;
    return OK;
}

err type_resolve(struct arena *arena, const struct type *const *typespace, uint32_t count, const struct type *type,
                 const struct type **resolved, struct diag *diag)
{
    struct resolving resolving = { .arena = arena, .typespace = typespace, .count = count, .diag = diag };
    TRY(resolve(&resolving, type, resolved));
    check((*resolved)->depth <= TYPE_DEPTH_MAX); /* T4 */
    return OK;
}
