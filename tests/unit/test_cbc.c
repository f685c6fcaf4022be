/* CBC on random small instances against trying every plan: same value, same infeasibility,
 * with and without a start, with cutoffs that do and do not leave a plan. */
#include "check.h"

#include "bench/generate.h"
#include "search/greedy.h"
#include "search/ilp_cbc.h"
#include "search/objective.h"

#define RTOL 1e-6

/* Every plan in turn: the cuts by a counter of their own, the strategies by another. */
typedef struct trial {
    const uap_instance *in;
    uap_choice choice;
    uap_stage_cost *stage;
    int64_t best; /* INT64_MAX: none fits */
} trial;

static void try_strategies(trial *t, int32_t u)
{
    if (u == t->in->n_layers) {
        int64_t value = 0;
        if (uap_choice_value(t->in, &t->choice, t->stage, &value) && value < t->best) {
            t->best = value;
        }
        return;
    }
    for (int32_t k = 0; k < uap_table_of(t->in, u)->n; k++) {
        t->choice.strategy[u] = k;
        try_strategies(t, u + 1);
    }
}

static void try_cuts(trial *t, int32_t i)
{
    if (i == t->in->pp) {
        try_strategies(t, 0);
        return;
    }
    for (int32_t u = t->choice.first[i - 1] + 1; u <= t->in->n_layers - (t->in->pp - i); u++) {
        t->choice.first[i] = u;
        try_cuts(t, i + 1);
    }
}

static int64_t brute(const uap_instance *in)
{
    trial t = {.in = in, .best = INT64_MAX};
    t.stage = uap_calloc((size_t)in->pp, sizeof *t.stage);
    assert_non_null(t.stage);
    assert_true(uap_choice_init(&t.choice, in->pp, in->n_layers));
    try_cuts(&t, 1);
    uap_choice_free(&t.choice);
    uap_free(t.stage);
    return t.best;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 100;
    int bad = 0, inf = 0, gr = 0, live = 0, tie = 0;
    for (int seed = 1; seed <= n; seed++) {
        const uap_generate_range range = {1, 5, 1, 4, 1, 4};
        uap_instance *in;
        uap_err err = {0};
        if (uap_generate_random((uint64_t)seed, &range, &in, &err)) return 1;
        int64_t truth = brute(in);
        uap_choice c;
        uap_choice_init(&c, in->pp, in->n_layers);
        int64_t gv = 0; bool found;
        if (uap_greedy_plan(in, &c, &gv, &found, &err)) return 1;
        uap_cbc_task task = {.instance = in};
        if (found && (seed & 1)) { task.start = &c; task.start_value = gv; }
        uap_cbc_answer a;
        uap_status rc = uap_cbc_run(&task, &a, &err);
        bool ok = rc == 0 && (truth == INT64_MAX ? a.outcome == UAP_OUTCOME_INFEASIBLE : a.outcome == UAP_OUTCOME_OPTIMAL && fabs((double)a.value - (double)truth) <= 1e-6 * (double)truth);
        if (!ok) { bad++; printf("seed %d obj %d sched %d L %d pp %d c %d live %d ties %d: truth %lld cbc %lld outcome %d %s (greedy %d %lld)\n", seed, in->objective, in->schedule, in->n_layers, in->pp, in->micro_batches, in->n_live, in->n_ties, (long long)truth, (long long)a.value, a.outcome, err.msg, found, (long long)gv); }
        inf += truth == INT64_MAX; gr += found && gv == truth; live += in->n_live > 0; tie += in->n_ties > 0;
        uap_cbc_answer_free(&a); uap_choice_free(&c); uap_instance_free(in);
    }
    printf("bad %d infeasible %d greedy right %d live %d tie %d leak %lld\n", bad, inf, gr, live, tie, (long long)uap_mem_outstanding());
}
