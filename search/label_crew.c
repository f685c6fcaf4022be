/* One layer of a long run of labels as a job of a crew: its units as tasks, whose results are
 * the lists of labels behind them. What is merged, and in which order, is as it is alone. */
#include "search/label_run.h"

#include <string.h>

/* Steps for a label that is looked at: with one term, or with more. */
#define STEPS_IN_A_PLANE 40
#define STEPS_IN_SPACE   60

typedef struct layer_job {
    uap_label_run *run;
    int32_t l;
    uap_label_phase phase;
    int64_t labels, looked; /* of the units applied */
    bool is_too_rough;
} layer_job;

/* What comes before a unit's lists. */
typedef struct unit_head {
    int64_t labels, looked;
    bool is_too_rough; /* there are no lists */
} unit_head;

int64_t uap_label_steps(bool alone, int64_t looked)
{
    return looked * (alone ? STEPS_IN_A_PLANE : STEPS_IN_SPACE);
}

bool uap_label_is_worth_sharing(const uap_label_run *run, int32_t l,
                                uap_label_phase phase)
{
    return run->crew != NULL && uap_label_units(run, l, phase) > 1 &&
           run->last_steps[phase] >= run->crew->least_work;
}

/* ---- Results ---- */

static bool put_list(uap_label_list *list, uap_bytes *out)
{
    const uint64_t n = list->n;
    const bool ok = uap_bytes_put(out, &n, sizeof n) &&
                    uap_bytes_put(out, list->at, (size_t)n * sizeof *list->at);
    list->n = 0; /* it comes back when all lists are applied */
    return ok;
}

static bool put_lists(const layer_job *job, int32_t unit, uap_bytes *out)
{
    uap_label_run *run = job->run;
    const uap_blocks *b = uap_run_blocks(run, job->l);
    if (job->phase == UAP_LABELS_ENTER) {
        return put_list(&run->in[unit], out);
    }
    const uap_label_least *least = &run->next_least[unit];
    const uint64_t n = least->n;
    bool ok = put_list(&run->next_blocks[unit], out) &&
              uap_bytes_put(out, &n, sizeof n) &&
              uap_bytes_put(out, least->at, least->n * sizeof *least->at);
    for (int32_t i = b->first[unit]; i < b->first[unit + 1]; i++) {
        ok = ok && put_list(&run->next_rows[b->order[i]], out);
    }
    return ok;
}

static const char *get_list(uap_label_run *run, const char *result, uap_label_list *list)
{
    uint64_t n = 0;
    result = uap_bytes_get(result, &n, sizeof n);
    if (!uap_label_run_reserve(run, list, (size_t)n)) {
        return NULL;
    }
    list->n = (size_t)n;
    return uap_bytes_get(result, list->at, (size_t)n * sizeof *list->at);
}

static const char *get_least(uap_label_run *run, const char *result,
                             uap_label_least *least)
{
    uint64_t n = 0;
    result = uap_bytes_get(result, &n, sizeof n);
    least->n = (size_t)n;
    return uap_label_least_reserve(run, least)
               ? uap_bytes_get(result, least->at, least->n * sizeof *least->at)
               : NULL;
}

static bool get_lists(const layer_job *job, int32_t unit, const char *result)
{
    uap_label_run *run = job->run;
    const uap_blocks *b = uap_run_blocks(run, job->l);
    if (job->phase == UAP_LABELS_ENTER) {
        return get_list(run, result, &run->in[unit]) != NULL;
    }
    result = get_list(run, result, &run->next_blocks[unit]);
    result = result == NULL ? NULL : get_least(run, result, &run->next_least[unit]);
    for (int32_t i = b->first[unit]; result != NULL && i < b->first[unit + 1]; i++) {
        result = get_list(run, result, &run->next_rows[b->order[i]]);
    }
    return result != NULL;
}

/* ---- The job ---- */

static uap_status run_unit(void *self, int32_t task, uap_bytes *out, bool *stop,
                           uap_err *err)
{
    const layer_job *job = self;
    uap_label_run *run = job->run;
    uap_segments *s = run->s;
    const int64_t labels = s->labels;
    const int64_t done = run->done;
    const size_t at = out->n;
    unit_head head = {0};
    bool ok = uap_bytes_put(out, &head, sizeof head);
    ok = ok && uap_label_pass_unit(run, job->l, job->phase, task);
    head = (unit_head){s->labels - labels, run->done - done, run->is_too_rough};
    run->done = done;
    run->is_too_rough = false;
    *stop = s->stopped;
    if (!ok && (head.is_too_rough || *stop)) {
        ok = true;
    } else {
        ok = ok && put_lists(job, task, out);
    }
    if (!ok) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
    }
    memcpy(out->at + at, &head, sizeof head);
    return UAP_OK;
}

static uap_status apply_unit(void *self, int32_t task, const char *result, uap_err *err)
{
    layer_job *job = self;
    unit_head head;
    result = uap_bytes_get(result, &head, sizeof head);
    job->labels += head.labels;
    job->looked += head.looked;
    job->is_too_rough = job->is_too_rough || head.is_too_rough;
    return head.is_too_rough || get_lists(job, task, result)
               ? UAP_OK
               : UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
}

bool uap_label_share(uap_label_run *run, int32_t l, uap_label_phase phase)
{
    uap_segments *s = run->s;
    const int64_t labels = s->labels;
    const int64_t effort = s->effort;
    layer_job job = {.run = run, .l = l, .phase = phase};
    const uap_crew_job all = {.self = &job,
                              .n = uap_label_units(run, l, phase),
                              .work = run->last_steps[phase],
                              .effort = effort,
                              .at_end = true,
                              .run = run_unit,
                              .apply = apply_unit};
    bool stopped = false;
    if (uap_crew_do(run->crew, &all, &stopped, &run->failed) != UAP_OK) {
        return false;
    }
    s->stopped = stopped;
    if (stopped) {
        return false;
    }
    s->labels = labels + job.labels;
    s->effort = effort - job.looked;
    s->stopped = s->effort < 0;
    run->done += job.looked;
    run->is_too_rough =
        job.is_too_rough || (run->is_rough && run->done > run->s->rough_work);
    return !s->stopped && !run->is_too_rough;
}
