/* A path that grows at its front. */
#include "sats/trail.h"

#include <inttypes.h>
#include <stdio.h>

/* Three bytes of UTF-8, kept free until they are needed. */
static const char cut_mark[] = "…";

enum { CUT_MARK_SIZE = sizeof cut_mark - 1 };

void trail_init(struct trail *trail)
{
    trail->start = TRAIL_SIZE - 1;
    trail->cut = false;
    trail->text[trail->start] = '\0';
}

static void trail_put(struct trail *trail, const void *from, size_t size)
{
    check(size <= trail->start);
    trail->start -= size;
    memcpy(trail->text + trail->start, from, size);
}

/* Whether `size` more bytes fit; when not, the trail is closed for good. */
static bool trail_has_room(struct trail *trail, size_t size)
{
    if (trail->cut)
        return false;
    if (size + CUT_MARK_SIZE <= trail->start)
        return true;
    trail_put(trail, cut_mark, CUT_MARK_SIZE);
    trail->cut = true;
    return false;
}

void trail_add_place(struct trail *trail, uint64_t idx)
{
    char text[32];
    const int size = snprintf(text, sizeof text, "[%" PRIu64 "]", idx);
    if (trail_has_room(trail, (size_t)size))
        trail_put(trail, text, (size_t)size);
}

void trail_add_field(struct trail *trail, bytes name, uint32_t idx)
{
    if (name.at == NULL) {
        trail_add_place(trail, idx);
    } else if (trail_has_room(trail, name.size + 1)) {
        trail_put(trail, name.at, name.size);
        trail_put(trail, ".", 1);
    }
}

void trail_note(const struct trail *trail, const char *noun, struct diag *diag)
{
    const char *path = trail->text + trail->start;
    if (*path == '.')
        path++;
    if (*path != '\0' && noun != NULL)
        diag_note(diag, "%s `%s`: ", noun, path);
    else if (*path != '\0')
        diag_note(diag, "%s: ", path);
}
