/* keeper — answers what is asked of a server as a whole: to fork one of its databases, to roll one back, to delete
 * one. A thread of its own, one request after the other, since all take as long as a disk takes. Only the owner is
 * served. */
#pragma once

#include "cli/fleet.h"

struct keeper;

struct keeper *keeper_start(struct fleet *fleet, struct port *desk);
/* Ends after the request at hand. NULL is fine. */
void keeper_stop(struct keeper *keeper);
