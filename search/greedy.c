/* The first plan of an engine that needs one to start from (search/greedy.h). */
#include "search/greedy.h"

#include "search/greedy_change.h"
#include "search/greedy_path.h"
#include "search/mix_greedy.h"

#define PRICES 14 /* of memory, from nothing to everything, each 4 times the last */
#define ROUNDS 40 /* of local search; each tries every single change */
#define FITS   6  /* times that strategies are chosen anew for the best plan's cuts */

typedef struct greedy {
    const uap_instance *in;
    uap_arena *arena;
    uap_greedy_path *path;
    uap_greedy_change *change; /* the plan at hand */
    uap_choice good;           /* the best so far */
    uap_score good_score;
} greedy;

static bool make(greedy *g)
{
    g->arena = uap_arena_new();
    if (g->arena == NULL) {
        return false;
    }
    g->path = uap_greedy_path_new(g->in, g->arena);
    g->change = uap_greedy_change_new(g->in, g->arena);
    g->good_score = (uap_score){INT64_MAX, INT64_MAX};
    return g->path != NULL && g->change != NULL &&
           uap_choice_init(&g->good, g->in->pp, g->in->n_layers);
}

static void clear(greedy *g)
{
    uap_choice_free(&g->good);
    uap_arena_free(g->arena);
}

static void keep_if_better(greedy *g)
{
    const uap_score now = uap_greedy_change_score(g->change);
    if (uap_score_is_better(now, g->good_score)) {
        uap_choice_copy(&g->good, uap_greedy_change_plan(g->change), g->in->pp,
                        g->in->n_layers);
        g->good_score = now;
    }
}

/* The path at a price, its cuts moved while that helps. */
static void try_price(greedy *g, double price)
{
    if (!uap_greedy_path_find(g->path, price, uap_greedy_change_plan(g->change))) {
        return;
    }
    uap_greedy_change_begin(g->change);
    int rounds = ROUNDS;
    while (rounds-- > 0 && uap_greedy_change_cuts(g->change)) {
    }
    keep_if_better(g);
}

/* Changes the plan at hand while that helps. */
static void settle(greedy *g)
{
    uap_greedy_change_begin(g->change);
    for (int round = 0; round < ROUNDS; round++) {
        const bool cut = uap_greedy_change_cuts(g->change);
        if (!uap_greedy_change_strategies(g->change) && !cut) {
            break;
        }
    }
    keep_if_better(g);
}

static void copy_good(greedy *g)
{
    uap_choice_copy(uap_greedy_change_plan(g->change), &g->good, g->in->pp,
                    g->in->n_layers);
}

/* Changes the best plan so far while that helps. */
static void improve(greedy *g)
{
    copy_good(g);
    settle(g);
}

/* Chooses strategies anew for the best plan's cuts, so that its stages just fit, and changes
 * that while it helps; again from what comes of it. */
static void fit(greedy *g)
{
    uap_score before = {INT64_MAX, INT64_MAX};
    for (int n = 0; n < FITS && uap_score_is_better(g->good_score, before); n++) {
        before = g->good_score;
        copy_good(g);
        uap_greedy_path_fit(g->path, uap_greedy_change_plan(g->change));
        settle(g);
    }
}

static void search(greedy *g)
{
    const int32_t ties = uap_greedy_path_ties(g->path);
    for (int32_t number = 0; number < ties; number++) {
        if (!uap_greedy_path_tie(g->path, number)) {
            continue;
        }
        double price = uap_greedy_path_lowest_price(g->path);
        try_price(g, 0.0);
        for (int p = 0; p < PRICES; p++, price *= 4.0) {
            try_price(g, price);
        }
    }
    if (g->good_score.over < INT64_MAX) {
        improve(g);
        fit(g);
    }
}

uap_status uap_greedy_plan(const uap_instance *instance, uap_choice *choice,
                           int64_t *value, bool *found, uap_err *err)
{
    greedy g = {.in = instance};
    *found = false;
    if (instance->n_types > 0) {
        return uap_mix_greedy_plan(instance, choice, value, found, err);
    }
    const bool made = make(&g);
    if (made) {
        search(&g);
        *found = g.good_score.over == 0;
    }
    if (*found) {
        uap_choice_copy(choice, &g.good, instance->pp, instance->n_layers);
        *value = g.good_score.value;
    }
    clear(&g);
    return made ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "out of memory for a first plan");
}

uap_status uap_greedy_improve(const uap_instance *instance, uap_choice *choice,
                              int64_t *value, bool *found, uap_err *err)
{
    greedy g = {.in = instance};
    *found = false;
    const bool made = make(&g);
    if (made) {
        uap_choice_copy(&g.good, choice, instance->pp, instance->n_layers);
        improve(&g);
        uap_choice_copy(choice, &g.good, instance->pp, instance->n_layers);
        *found = g.good_score.over == 0;
        *value = g.good_score.value;
    }
    clear(&g);
    return made ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "out of memory for a better plan");
}
