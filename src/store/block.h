/* block — the memory of pages: whole pages from the system, and spare ones that go round while there are views.
 *
 * As long as a view lives, the writer copies every page before its first change to it (page.h, P4). Memory that comes
 * from the system for such a copy costs several times what the copy does: it is mapped, found and cleared while a call
 * waits. So blocks that nobody holds any more stay for the next copies, and readers make some more ready, as many as
 * the writer has lately taken. With the last view all of them go back to the system.
 *
 * Threads  any. */
#pragma once

#include "base/base.h"

enum { BLOCK_SIZE = 65536 };

/* Memory for `size` bytes, all zero, aligned to BLOCK_SIZE. */
void *block_new(size_t size);
/* The same for who writes all of it: what stands in it means nothing. */
void *block_new_for_copy(size_t size);
/* `size` as it was wanted. */
void block_free(void *block, size_t size);

/* A view begins and ends: between them there may be spare blocks. */
void block_view_begins(void);
void block_view_ends(void);
/* Makes spare blocks ready for the writer. For readers that have time, once for each page that they have read. */
void block_prepare_spares(void);
