/* Runs of labels from their first layer to the last: from one start class labels walk layer by
 * layer, and those that cannot reach a wanted end within its budget are dropped
 * (label_limit.c). Nothing that could belong to a plan within the target is lost. Runs that a
 * crew walks go side by side, each a layer further at a time, so that a job is of all of
 * them. */
#include "search/label_run.h"

#include <string.h>

/* Limits as rough or sharp as the run is to have, and its one label in front of the first
 * layer. */
static bool begin(uap_label_run *run)
{
    const uap_group *group = run->group;
    const uap_chain *chain = run->s->chain;
    const int32_t n_in = uap_kind_of(chain, group->start)->n_in;
    run->is_too_rough = false;
    if (!uap_limits_prepare(run)) {
        return false;
    }
    run->labels = 0;
    run->done = 0;
    memset(run->last_steps, 0, sizeof run->last_steps);
    for (int32_t i = 0; i < n_in; i++) {
        run->in[i].n = 0;
    }
    if (!uap_label_run_reserve(run, &run->in[run->x], 1)) {
        return false;
    }
    run->in[run->x].n = 1;
    run->in[run->x].at[0] =
        (uap_label){.m = chain->start_act[group->start] * run->cls->inflight};
    run->l = 0;
    run->is_over = group->n_len == 0;
    return true;
}

/* A run begins within rough limits, which are soon made. */
static bool begin_roughly(uap_label_run *run)
{
    run->is_ordered = false;
    run->is_rough = true;
    run->n_begun = run->records == NULL ? 0 : run->records->n;
    run->n_records = 0;
    return begin(run);
}

/* What the walk found, and kept, so far. */
static void forget(uap_label_run *run)
{
    if (run->records != NULL) {
        run->records->n = run->n_begun;
    }
    for (int32_t i = 0; run->saved != NULL && i < run->n_slots; i++) {
        run->saved[i].n = 0;
    }
    run->n_records = 0;
}

/* Where rough limits let too many labels pass it begins again, within sharp ones and with blocks
 * in order. False where it failed for another reason. */
static bool begin_sharply(uap_label_run *run)
{
    if (!run->is_too_rough || run->is_too_long) {
        return false;
    }
    forget(run);
    run->is_ordered = true;
    run->is_rough = false;
    return begin(run);
}

/* A layer whose units are all through. */
static bool end_layer(uap_label_run *run)
{
    const int32_t l = run->l++;
    const bool any = uap_label_layer_done(run, l);
    run->is_over = run->l == run->group->n_len || (!any && run->only < 0);
    if (run->saved != NULL) {
        return uap_label_save_layer(run, l);
    }
    return (!any && run->only < 0) || uap_label_end_stages(run, l);
}

/* One phase of the next layer of every run. Those that turn out too rough begin again. */
static bool pass(uap_label_run *const *runs, int32_t n, uap_label_phase phase)
{
    const bool shares = uap_label_are_worth_sharing(runs, n, phase);
    if (shares && !uap_label_share(runs, n, phase)) {
        return false;
    }
    for (int32_t i = 0; i < n; i++) {
        uap_label_run *run = runs[i];
        run->is_through = false;
        if (run->is_over) {
            continue;
        }
        run->is_through = shares ? !run->is_too_rough : uap_label_pass_units(run, phase);
        if (!run->is_through && !begin_sharply(run)) {
            return false;
        }
    }
    return true;
}

static bool walk_layer(uap_label_run *const *runs, int32_t n)
{
    if (!pass(runs, n, UAP_LABELS_ENTER) || !pass(runs, n, UAP_LABELS_PASS)) {
        return false;
    }
    for (int32_t i = 0; i < n; i++) {
        uap_label_run *run = runs[i];
        if (!run->is_over && run->is_through && !end_layer(run) && !begin_sharply(run)) {
            return false;
        }
    }
    return true;
}

/* Drops the runs that, with those in front of them, have looked at too much. */
static void drop_costly(uap_label_run *const *runs, int32_t n, bool *is_over)
{
    int64_t looked = 0;
    bool is_dropped = false;
    *is_over = true;
    for (int32_t i = 0; i < n; i++) {
        looked += runs[i]->looked;
        is_dropped = is_dropped || looked > runs[i]->allowance;
        runs[i]->is_dropped = is_dropped;
        runs[i]->is_over = runs[i]->is_over || is_dropped;
        *is_over = *is_over && runs[i]->is_over;
    }
}

bool uap_label_runs_walk(uap_label_run *const *runs, int32_t n)
{
    bool ok = true;
    bool is_over = false;
    for (int32_t i = 0; i < n && ok; i++) {
        ok = begin_roughly(runs[i]);
    }
    while (ok && !is_over) {
        ok = walk_layer(runs, n);
        drop_costly(runs, n, &is_over);
    }
    for (int32_t i = 0; i < n; i++) {
        runs[i]->s->labels += runs[i]->labels;
        if (!ok && runs[i]->is_too_long) {
            forget(runs[i]);
        }
    }
    return ok;
}
