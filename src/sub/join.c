#include "sub/join.h"

/* Pairs looked at for one query in one commit, beyond what its changed rows are: some tenths of a second. */
enum { PAIRS_MAX = 4 << 20 };

struct pairs {
    const struct query *query;
    struct partners *partners;
    struct tally *tally;
    uint64_t left; /* to be looked at before the query is given up */
};

/* A changed row that looks for partners. */
struct pairing {
    struct pairs *pairs;
    uint32_t side; /* the row's */
    bytes row;
    int64_t sign; /* of the pairs it makes */
};

static bool meet(const struct pairing *pairing, bytes partner, int64_t sign)
{
    struct pairs *pairs = pairing->pairs;
    const struct query *query = pairs->query;
    if (pairs->left == 0)
        return false;
    pairs->left--;
    const bytes left = pairing->side == 0 ? pairing->row : partner;
    const bytes right = pairing->side == 0 ? partner : pairing->row;
    if (query_side_matches(query, 1 - pairing->side, partner.at) && query_pair_matches(query, left.at, right.at))
        tally_add(pairs->tally, query->join->output == 0 ? left : right, sign);
    return true;
}

static bool meet_stored(void *context, bytes partner)
{
    const struct pairing *pairing = context;
    return meet(pairing, partner, pairing->sign);
}

/* Taken back: what came was not there before the commit, and what went was. */
static void meet_changed(void *context, bytes partner, bool is_insert)
{
    const struct pairing *pairing = context;
    (void)meet(pairing, partner, is_insert ? -pairing->sign : pairing->sign);
}

/* All changed rows of a side with the other table: as it is, or as it was. */
static void pair_rows(struct pairs *pairs, const struct change_list *changes, uint32_t side, bool with_former)
{
    const struct query_join *join = pairs->query->join;
    const struct table_def *other = join->tables[1 - side];
    const uint16_t other_column = join->columns[1 - side];
    for (uint32_t idx = 0; idx < changes->count && pairs->left > 0; idx++) {
        const struct row_change *change = &changes->rows[idx];
        struct pairing pairing = { pairs, side, change->row, change->is_insert ? 1 : -1 };
        const bytes value = partners_value(join->tables[side], change->row.at, join->columns[side]);
        partners_stored(pairs->partners, other, other_column, value, meet_stored, &pairing);
        if (with_former)
            partners_changed(pairs->partners, other, other_column, value, meet_changed, &pairing);
    }
}

static err put_rows(const struct tally *tally, struct shared_query *query, struct diag *diag)
{
    for (uint32_t idx = 0; idx < tally->count; idx++) {
        const struct tally_entry *entry = &tally->entries[idx];
        struct row_list *list = entry->count > 0 ? &query->inserts : &query->deletes;
        for (int64_t left = entry->count > 0 ? entry->count : -entry->count; left > 0; left--)
            TRY(shared_query_put(query, list, entry->row, diag));
    }
    return OK;
}

err join_settle(struct shared_query *query, struct partners *partners, struct tally *tally, struct diag *diag)
{
    const struct query_join *join = query->query->join;
    const uint64_t changed = (uint64_t)query->changes[0].count + query->changes[1].count;
    const uint64_t allowed = PAIRS_MAX + 4 * changed;
    const uint64_t given = allowed < partners->pairs_left ? allowed : partners->pairs_left;
    struct pairs pairs = { query->query, partners, tally, given };
    pair_rows(&pairs, &query->changes[0], 0, false);
    if (!join->tables[0]->is_event)
        pair_rows(&pairs, &query->changes[1], 1, true);
    partners->pairs_left -= given - pairs.left;
    const err code = pairs.left > 0 ? put_rows(tally, query, diag)
                                    : diag_set(diag, ERR_TOO_LARGE,
                                               "a commit made more pairs of rows than a live query may look at: "
                                               "join by a column with fewer equal values, or ask for less in WHERE");
    tally_clear(tally);
    return code;
}
