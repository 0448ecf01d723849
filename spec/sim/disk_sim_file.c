#include "disk_sim_file.h"

enum { SECTOR = 512 };

/* A write, or a new size. */
struct change {
    uint64_t offset;
    size_t at;   /* in the inode's `pending` */
    size_t size; /* of the bytes; 0 for a new size alone */
    uint64_t file_size;
};

uint64_t chance_draw(struct chance *chance)
{
    uint64_t mixed = chance->state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
}

size_t chance_below(struct chance *chance, size_t limit)
{
    return (size_t)(chance_draw(chance) % limit);
}

bool chance_coin(struct chance *chance)
{
    return chance_draw(chance) >> 63 != 0;
}

static void buf_resize(struct buf *buf, size_t size)
{
    if (size > buf->size) {
        const size_t added = size - buf->size;
        memset(buf_extend(buf, added), 0, added);
    }
    buf->size = size;
}

void inode_free(struct inode *inode)
{
    buf_deinit(&inode->seen);
    buf_deinit(&inode->stored);
    buf_deinit(&inode->pending);
    buf_deinit(&inode->changes);
    memory_free(inode);
}

static const struct change *changes_of(const struct inode *inode, size_t *count)
{
    *count = inode->changes.size / sizeof(struct change);
    return (const struct change *)(const void *)inode->changes.data;
}

static void changes_forget(struct inode *inode)
{
    buf_clear(&inode->pending);
    buf_clear(&inode->changes);
}

/* Remembers what stands in `seen` from `offset` on. */
static void change_add(struct inode *inode, uint64_t offset, size_t size)
{
    const struct change change = { offset, inode->pending.size, size, inode->seen.size };
    if (size > 0)
        buf_put(&inode->pending, inode->seen.data + offset, size);
    buf_put(&inode->changes, &change, sizeof change);
}

void inode_write(struct inode *inode, uint64_t offset, const void *from, size_t size)
{
    if (inode->seen.size < offset + size)
        buf_resize(&inode->seen, (size_t)offset + size);
    if (size > 0)
        memcpy(inode->seen.data + offset, from, size);
    change_add(inode, offset, size);
}

void inode_resize(struct inode *inode, uint64_t size)
{
    const size_t before = inode->seen.size;
    if (size < before) {
        memset(inode->seen.data + size, 0, before - (size_t)size);
        change_add(inode, size, before - (size_t)size);
    }
    buf_resize(&inode->seen, (size_t)size);
    change_add(inode, size, 0);
}

static void bytes_store(struct inode *inode, uint64_t offset, const uint8_t *from, size_t size)
{
    if (inode->stored.size < offset + size)
        buf_resize(&inode->stored, (size_t)offset + size);
    memcpy(inode->stored.data + offset, from, size);
}

void inode_store(struct inode *inode)
{
    size_t count;
    const struct change *changes = changes_of(inode, &count);
    for (size_t idx = 0; idx < count; idx++) {
        if (changes[idx].size > 0)
            bytes_store(inode, changes[idx].offset, inode->pending.data + changes[idx].at, changes[idx].size);
    }
    buf_resize(&inode->stored, inode->seen.size);
    changes_forget(inode);
}

/* Of one sector's part of a change: all of it or, where the disk stopped in the middle, its beginning or end. */
static void part_store(struct chance *chance, struct inode *inode, uint64_t offset, const uint8_t *from, size_t size,
                       bool whole)
{
    size_t begin = 0, end = size;
    if (!whole && chance_coin(chance))
        end = chance_below(chance, size + 1);
    else if (!whole)
        begin = chance_below(chance, size + 1);
    if (end > begin)
        bytes_store(inode, offset + begin, from + begin, end - begin);
}

/* `versions` says of each sector how many changes got to the disk whole; the one after them may be torn. */
static void change_tear(struct chance *chance, struct inode *inode, size_t idx, const size_t *versions)
{
    size_t count;
    const struct change *change = changes_of(inode, &count) + idx;
    size_t done = 0;
    while (done < change->size) {
        const uint64_t offset = change->offset + done;
        const size_t room = SECTOR - (size_t)(offset % SECTOR);
        const size_t size = change->size - done < room ? change->size - done : room;
        const size_t version = versions[offset / SECTOR];
        const uint8_t *from = inode->pending.data + change->at + done;
        if (idx < version)
            part_store(chance, inode, offset, from, size, true);
        else if (idx == version && chance_below(chance, 4) == 0)
            part_store(chance, inode, offset, from, size, false);
        done += size;
    }
}

static size_t size_tear(struct chance *chance, const struct inode *inode, size_t size_before)
{
    size_t count;
    const struct change *changes = changes_of(inode, &count);
    const size_t version = chance_below(chance, count + 1);
    return version == 0 ? size_before : (size_t)changes[version - 1].file_size;
}

/* Stores what chance takes. Now and then a disk had written all of it, or nothing, when the power went. */
void inode_tear(struct inode *inode, struct chance *chance)
{
    size_t count, sectors = 0;
    const struct change *changes = changes_of(inode, &count);
    if (count == 0)
        return;
    for (size_t idx = 0; idx < count; idx++) {
        const size_t end = (size_t)(changes[idx].offset + changes[idx].size) / SECTOR + 1;
        sectors = end > sectors ? end : sectors;
    }
    const size_t size = size_tear(chance, inode, inode->stored.size);
    const size_t way = chance_below(chance, 8);
    size_t *versions = memory_resize(NULL, sizeof *versions * sectors);
    for (size_t idx = 0; idx < sectors; idx++)
        versions[idx] = way == 0 ? 0 : way == 1 ? count : chance_below(chance, count + 1);
    for (size_t idx = 0; idx < count; idx++)
        change_tear(chance, inode, idx, versions);
    buf_resize(&inode->stored, size);
    memory_free(versions);
    changes_forget(inode);
}

void inode_forget(struct inode *inode)
{
    changes_forget(inode);
    buf_clear(&inode->seen);
    buf_put_bytes(&inode->seen, buf_bytes(&inode->stored));
}
