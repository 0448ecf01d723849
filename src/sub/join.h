/* join — what a commit changes in the pairs that a query makes of two tables.
 *
 * With F and S the tables after the commit, f and s what changed in them (deleted rows count negative):
 *
 *     change of F x S   =   f x S   +   F_before x s          F_before = F - f
 *
 * F is the first table in FROM. If it is an event table, only the first part is there, and nothing is ever deleted;
 * the second cannot be one. Partners are looked up (partners.h).
 *
 * A pair brings its row of the output table once. The rows are tallied, so that a row that lost one partner and won
 * another is not told. Clients count: a row with two partners is there twice.
 *
 * Cost    the changed rows that the query's own conditions let through, times their partners */
#pragma once

#include "sub/partners.h"
#include "sub/shared_query.h"
#include "sub/tally.h"

/* Turns query->changes into inserts and deletes; `tally` is lent, and empty. ERR_TOO_LARGE beyond what one commit may
 * cost. */
err join_settle(struct shared_query *query, struct partners *partners, struct tally *tally, struct diag *diag);
