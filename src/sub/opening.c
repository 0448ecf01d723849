#include "sub/opening.h"

struct opening *opening_new(void)
{
    return memory_new(sizeof(struct opening));
}

void opening_free(struct opening *opening)
{
    if (opening == NULL)
        return;
    if (opening->set != NULL)
        opening->set->opening = NULL;
    for (uint32_t i = 0; i < opening->part_count; i++)
        first_rows_let_go(opening->parts[i].awaited);
    memory_free(opening->parts);
    buf_deinit(&opening->bytes);
    memory_free(opening);
}

static void add_part(struct opening *opening, size_t size, struct first_rows *awaited)
{
    opening->parts = memory_resize(opening->parts, sizeof *opening->parts * (opening->part_count + 1));
    opening->parts[opening->part_count++] = (struct opening_part){ size, awaited };
}

void opening_add_bytes(struct opening *opening, bytes part)
{
    if (part.size == 0)
        return;
    buf_put_bytes(&opening->bytes, part);
    add_part(opening, part.size, NULL);
}

void opening_add_awaited(struct opening *opening, struct first_rows *rows)
{
    add_part(opening, 0, rows);
}

bool opening_is_ready(const struct opening *opening)
{
    for (uint32_t i = 0; i < opening->part_count; i++) {
        if (opening->parts[i].awaited != NULL && !opening->parts[i].awaited->is_done)
            return false;
    }
    return true;
}

size_t opening_size(const struct opening *opening)
{
    size_t size = opening->bytes.size;
    for (uint32_t i = 0; i < opening->part_count; i++)
        size += opening->parts[i].awaited != NULL ? opening->parts[i].awaited->encoded->size : 0;
    return size;
}

err opening_check(const struct opening *opening, struct diag *diag)
{
    for (uint32_t i = 0; i < opening->part_count; i++) {
        const struct first_rows *awaited = opening->parts[i].awaited;
        if (awaited != NULL && awaited->code != OK)
            return diag_set(diag, awaited->code, "%s", awaited->diag.text);
    }
    if (opening_size(opening) > SUBS_ROWS_SIZE_MAX)
        return diag_set(diag, ERR_TOO_LARGE, "the rows of these queries are more than one message can hold");
    return OK;
}

uint32_t opening_part_count(const struct opening *opening)
{
    return opening->part_count;
}

struct translation *opening_translation(struct opening *opening, uint32_t part)
{
    struct first_rows *awaited = opening->parts[part].awaited;
    return awaited != NULL ? &awaited->translation : NULL;
}

void opening_parts(const struct opening *opening, struct update_part *parts)
{
    const uint8_t *at = opening->bytes.data;
    for (uint32_t i = 0; i < opening->part_count; i++) {
        const struct opening_part *part = &opening->parts[i];
        parts[i] =
            (struct update_part){ bytes_of(at, part->size), part->awaited != NULL ? part->awaited->encoded : NULL };
        at += part->size;
    }
}
