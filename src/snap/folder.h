/* folder — the names of a snapshot's file before and after it is one (M2). */
#pragma once

#include "snap/snap.h"

/* For memory_free(). */
char *snap_path(const char *dir, uint64_t offset);     /* its final name */
char *snap_new_path(const char *dir, uint64_t offset); /* its name until then */
