/* disk_sim_file — one file of the simulated disk: what is seen of it, what is stored, and what lies between. */
#pragma once

#include "base/buf.h"

/* Where all chance comes from. */
struct chance {
    uint64_t state;
};

uint64_t chance_draw(struct chance *chance);
size_t chance_below(struct chance *chance, size_t limit);
bool chance_coin(struct chance *chance);

struct inode {
    struct inode *next;
    struct buf seen;
    struct buf stored;
    struct buf pending; /* the bytes of the changes */
    struct buf changes; /* struct change: what no sync has stored, in order */
    bool named;         /* a name leads to it */
    bool locked;
};

void inode_free(struct inode *inode);
void inode_write(struct inode *inode, uint64_t offset, const void *from, size_t size);
/* What is cut off counts as zeros written over it, so that pieces of it may come back. */
void inode_resize(struct inode *inode, uint64_t size);
/* A sync. */
void inode_store(struct inode *inode);
/* A sync that fails, or the end of power: stores what chance takes of the changes, and forgets the rest. */
void inode_tear(struct inode *inode, struct chance *chance);
/* What is stored is what is seen from now on. */
void inode_forget(struct inode *inode);
