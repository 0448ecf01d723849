/* The types of a description: their names, and what they are once references are followed. */
#include "schema/builder.h"

#include <stdio.h>

/* Larger than any sum of sizes that is allowed, small enough to be added up without overflow. */
#define WEIGHT_TOO_LARGE ((uint64_t)1 << 40)

struct weigher {
    const struct module_def *def;
    uint64_t *weights; /* by place in the typespace; 0: not known yet */
};

/* How many types `type` is when every reference in it is written out. What nests too deep or holds itself
 * weighs something, and type_resolve() refuses it. */
static uint64_t type_weigh(struct weigher *weigher, const struct type *type, uint32_t depth)
{
    if (depth > TYPE_DEPTH_MAX)
        return 1;
    if (type->kind == TYPE_ARRAY)
        return 1 + type_weigh(weigher, type->element, depth + 1);
    if (type->kind == TYPE_REF) {
        if (type->ref >= weigher->def->type_count)
            return 1;
        uint64_t *weight = &weigher->weights[type->ref];
        if (*weight == 0) {
            *weight = 1; /* met again while it is being weighed: it holds itself */
            *weight = type_weigh(weigher, weigher->def->types[type->ref], depth + 1);
        }
        return *weight;
    }
    uint64_t weight = 1;
    if (type->kind == TYPE_SUM || type->kind == TYPE_PRODUCT)
        for (uint32_t idx = 0; idx < type->count && weight < WEIGHT_TOO_LARGE; idx++)
            weight += type_weigh(weigher, type->fields[idx].type, depth + 1);
    return weight < WEIGHT_TOO_LARGE ? weight : WEIGHT_TOO_LARGE;
}

static err weigh(struct builder *builder, const struct type *type)
{
    struct weigher weigher = { &builder->def, memory_new(sizeof(uint64_t) * (builder->def.type_count + 1)) };
    builder->type_nodes += type_weigh(&weigher, type, 0);
    memory_free(weigher.weights);
    if (builder->type_nodes <= SCHEMA_TYPE_NODES_MAX)
        return OK;
    return diag_set(builder->diag, ERR_TOO_LARGE,
                    "the types of the module come to more than %d parts when all references are followed",
                    (int)SCHEMA_TYPE_NODES_MAX);
}
