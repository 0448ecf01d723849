/* watch — tells when any of a set of files has changed on disk.
 *
 * It watches their folders, not the files: editors save by writing a new file and renaming it over the old, and
 * a watch on the file would follow the old one into oblivion. What counts is that a file's content is another
 * than before; a burst of events is one change, told when it has been quiet for a moment. */
#pragma once

#include "base/base.h"

struct watch;
struct uv_loop_s;

struct watch *watch_new(struct uv_loop_s *loop, void (*changed)(void *context), void *context);
void watch_free(struct watch *watch); /* before the loop's last run */
/* Adds a file; again is fine. */
void watch_add(struct watch *watch, const char *path);
/* Takes the content of all files as seen: called before they are read. */
void watch_mark(struct watch *watch);
/* Whether a save counts, too, that leaves the content as it is: after a refusal, whose reason may have gone meanwhile. */
void watch_count_saves(struct watch *watch, bool counts);
