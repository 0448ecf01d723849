#include "store/stem.h"

void stem_init(struct stem *stem, const struct type *type)
{
    stem->applies = type->kind == TYPE_STRING || (type->kind == TYPE_ARRAY && type->element->kind == TYPE_U8);
}

static bytes content_of(const uint8_t *at)
{
    uint32_t size;
    memcpy(&size, at, sizeof size);
    return bytes_of(at + sizeof size, size);
}

void stem_start(struct stem *stem, const uint8_t *at)
{
    const bytes content = content_of(at);
    stem->size = content.size < STEM_MAX ? (uint32_t)content.size : STEM_MAX;
    memcpy(stem->bytes, content.at, stem->size);
}

/* How many bytes of the stem the key begins with. */
static uint32_t shared_size(const struct stem *stem, bytes content)
{
    uint32_t size = 0;
    while (size < stem->size && size < content.size && stem->bytes[size] == content.at[size])
        size++;
    return size;
}

bool stem_shorten(struct stem *stem, const uint8_t *at)
{
    const uint32_t size = shared_size(stem, content_of(at));
    if (size == stem->size)
        return false;
    stem->size = size;
    return true;
}

int stem_side(const struct stem *stem, const uint8_t *at)
{
    const bytes content = content_of(at);
    const uint32_t size = shared_size(stem, content);
    if (size == stem->size)
        return 0;
    return size < content.size && content.at[size] > stem->bytes[size] ? 1 : -1;
}

uint64_t stem_prefix(const struct stem *stem, const uint8_t *at)
{
    const bytes content = content_of(at);
    uint64_t prefix = 0;
    for (uint32_t idx = 0; idx < sizeof prefix; idx++) {
        const size_t place = stem->size + idx;
        prefix = prefix << 8 | (place < content.size ? content.at[place] : 0);
    }
    return prefix;
}
