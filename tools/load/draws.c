/* draws — which accounts a transfer goes between. */
#include "load.h"

#include <math.h>
#include <stdlib.h>

enum { DRAW_COUNT = 1 << 20 };

struct draws {
    uint32_t accounts[DRAW_COUNT];
    uint32_t next;
    uint64_t state;
};

/* xorshift64*: fast and even enough to choose accounts by. */
static uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717ULL;
}

/* sums[i] is the chance to draw an account up to i: account i weighs 1 / (i + 1)^alpha. */
static double *zipf_sums(uint32_t accounts, double alpha)
{
    double *sums = malloc(sizeof *sums * accounts);
    double sum = 0;
    for (uint32_t i = 0; i < accounts; i++)
        sums[i] = sum += pow(i + 1, -alpha);
    for (uint32_t i = 0; i < accounts; i++)
        sums[i] /= sum;
    return sums;
}

static uint32_t zipf_draw(const double *sums, uint32_t accounts, double chance)
{
    uint32_t lower = 0, upper = accounts - 1;
    while (lower < upper) {
        const uint32_t middle = lower + (upper - lower) / 2;
        if (sums[middle] < chance)
            lower = middle + 1;
        else
            upper = middle;
    }
    return lower;
}

struct draws *draws_new(uint32_t accounts, double alpha)
{
    struct draws *draws = calloc(1, sizeof *draws);
    draws->state = 0x9e3779b97f4a7c15ULL;
    double *sums = alpha > 0 ? zipf_sums(accounts, alpha) : NULL;
    for (uint32_t i = 0; i < DRAW_COUNT; i++) {
        const uint64_t random = random_next(&draws->state) >> 11;
        draws->accounts[i] = alpha > 0 ? zipf_draw(sums, accounts, (double)random / (double)(1ULL << 53))
                                       : (uint32_t)(random % accounts);
    }
    free(sums);
    return draws;
}

static uint32_t draw(struct draws *draws)
{
    return draws->accounts[draws->next++ % DRAW_COUNT];
}

struct transfer draws_next(struct draws *draws)
{
    struct transfer transfer = { .from = draw(draws), .amount = 1 + (int64_t)(random_next(&draws->state) >> 57) };
    do
        transfer.to = draw(draws);
    while (transfer.to == transfer.from);
    return transfer;
}
