/* A layer of each of some long runs of labels as one job of a crew: its units as tasks, whose
 * results are the lists of labels behind them. What is merged, and in which order, is as it is
 * alone. */
#include "search/label_run.h"

#include "common/mem.h"

#include <string.h>

/* Steps for a label that is looked at with one term only. */
#define STEPS_IN_A_PLANE 40

/* What the units of one run came to, as far as they are applied. */
typedef struct run_sum {
    int32_t first; /* of its tasks */
    int64_t labels, looked;
    bool is_too_rough;
} run_sum;

typedef struct layer_job {
    uap_label_run *const *runs;
    int32_t n; /* runs */
    uap_label_phase phase;
    run_sum *sum; /* [n + 1] */
} layer_job;

/* What comes before a unit's lists. */
typedef struct unit_head {
    int64_t labels, looked;
    bool is_too_rough; /* there are no lists */
} unit_head;

int64_t uap_label_steps(bool alone, int64_t looked)
{
    return looked * (alone ? STEPS_IN_A_PLANE : UAP_STEPS_OF_A_LABEL);
}

/* Tasks of a run that still has layers to go through. */
static int32_t count_units(const uap_label_run *run, uap_label_phase phase)
{
    return run->is_over ? 0 : uap_label_units(run, run->l, phase);
}

/* As many steps as in the layers before. */
static int64_t steps_of(uap_label_run *const *runs, int32_t n, uap_label_phase phase)
{
    int64_t steps = 0;
    for (int32_t i = 0; i < n; i++) {
        steps += runs[i]->is_over ? 0 : runs[i]->last_steps[phase];
    }
    return steps;
}

bool uap_label_are_worth_sharing(uap_label_run *const *runs, int32_t n,
                                 uap_label_phase phase)
{
    int32_t units = 0;
    for (int32_t i = 0; i < n; i++) {
        units += count_units(runs[i], phase);
    }
    return runs[0]->crew != NULL && units > 1 &&
           steps_of(runs, n, phase) >= runs[0]->crew->least_work;
}

/* ---- Results ---- */

/* A label's numbers, of which most lists lack some: those are not sent. */
#define COLUMNS 5

static int64_t *column(uap_label *label, int32_t c)
{
    int64_t *const of[COLUMNS] = {&label->p, &label->f, &label->g, &label->m, &label->w};
    return of[c];
}

/* What comes before a list. */
typedef struct list_head {
    uint64_t n;
    bool has[COLUMNS];
} list_head;

static bool put_list(uap_label_list *list, uap_bytes *out)
{
    list_head head = {.n = list->n};
    size_t columns = 0;
    for (size_t i = 0; i < list->n; i++) {
        for (int32_t c = 0; c < COLUMNS; c++) {
            head.has[c] |= *column(&list->at[i], c) != 0;
        }
    }
    for (int32_t c = 0; c < COLUMNS; c++) {
        columns += head.has[c];
    }
    char *at = uap_bytes_put(out, &head, sizeof head)
                   ? uap_bytes_add(out, columns * list->n * sizeof(int64_t))
                   : NULL;
    for (int32_t c = 0; at != NULL && c < COLUMNS; c++) {
        for (size_t i = 0; head.has[c] && i < list->n; i++) {
            memcpy(at, column(&list->at[i], c), sizeof(int64_t));
            at += sizeof(int64_t);
        }
    }
    list->n = 0; /* it comes back when all lists are applied */
    return at != NULL;
}

static bool put_lists(uap_label_run *run, uap_label_phase phase, int32_t unit,
                      uap_bytes *out)
{
    const uap_blocks *b = uap_run_blocks(run, run->l);
    if (phase == UAP_LABELS_ENTER) {
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
    list_head head;
    result = uap_bytes_get(result, &head, sizeof head);
    if (!uap_label_run_reserve(run, list, (size_t)head.n)) {
        return NULL;
    }
    list->n = (size_t)head.n;
    for (size_t i = 0; i < list->n; i++) {
        list->at[i] = (uap_label){0};
    }
    for (int32_t c = 0; c < COLUMNS; c++) {
        for (size_t i = 0; head.has[c] && i < list->n; i++) {
            result = uap_bytes_get(result, column(&list->at[i], c), sizeof(int64_t));
        }
    }
    return result;
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

static bool get_lists(uap_label_run *run, uap_label_phase phase, int32_t unit,
                      const char *result)
{
    const uap_blocks *b = uap_run_blocks(run, run->l);
    if (phase == UAP_LABELS_ENTER) {
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

/* The run that a task belongs to, by its number. */
static int32_t run_of(const layer_job *job, int32_t task)
{
    int32_t i = 0;
    while (job->sum[i + 1].first <= task) {
        i++;
    }
    return i;
}

static uap_status run_unit(void *self, int32_t task, uap_bytes *out, bool *stop,
                           uap_err *err)
{
    const layer_job *job = self;
    const int32_t i = run_of(job, task);
    const int32_t unit = task - job->sum[i].first;
    uap_label_run *run = job->runs[i];
    uap_segments *s = run->s;
    const int64_t labels = run->labels;
    const int64_t done = run->done;
    const int64_t looked = run->looked;
    const size_t at = out->n;
    unit_head head = {0};
    bool ok = uap_bytes_put(out, &head, sizeof head);
    ok = ok && uap_label_pass_unit(run, run->l, job->phase, unit);
    head = (unit_head){run->labels - labels, run->done - done, run->is_too_rough};
    run->labels = labels;
    run->done = done;
    run->looked = looked;
    run->is_too_rough = false;
    *stop = s->stopped;
    if (!ok && (head.is_too_rough || *stop)) {
        ok = true;
    } else {
        ok = ok && put_lists(run, job->phase, unit, out);
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
    const int32_t i = run_of(job, task);
    run_sum *sum = &job->sum[i];
    unit_head head;
    result = uap_bytes_get(result, &head, sizeof head);
    sum->labels += head.labels;
    sum->looked += head.looked;
    sum->is_too_rough = sum->is_too_rough || head.is_too_rough;
    return head.is_too_rough ||
                   get_lists(job->runs[i], job->phase, task - sum->first, result)
               ? UAP_OK
               : UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
}

/* Counts what the units of a run came to. */
static void sum_up(uap_label_run *run, uap_label_phase phase, const run_sum *sum)
{
    uap_segments *s = run->s;
    const int64_t looked = uap_label_rough_work(run, sum->looked);
    s->effort -= looked;
    s->stopped = s->stopped || s->effort < 0;
    run->labels += sum->labels;
    run->done += looked;
    run->looked += looked;
    run->is_too_rough = sum->is_too_rough || (run->is_rough && run->done > s->rough_work);
    if (!run->is_too_rough) {
        uap_label_phase_done(run, phase, sum->looked);
    }
}

bool uap_label_share(uap_label_run *const *runs, int32_t n, uap_label_phase phase)
{
    uap_label_run *first = runs[0];
    uap_segments *s = first->s;
    const int64_t effort = s->effort;
    bool is_rough = false;
    bool stopped = false;
    bool ok = false;
    layer_job job = {.runs = runs,
                     .n = n,
                     .phase = phase,
                     .sum = uap_calloc((size_t)n + 1, sizeof *job.sum)};
    if (job.sum == NULL) {
        first->no_memory = true;
        return false;
    }
    for (int32_t i = 0; i < n; i++) {
        job.sum[i + 1].first = job.sum[i].first + count_units(runs[i], phase);
        is_rough = is_rough || runs[i]->is_rough;
    }
    const uap_crew_job all = {.self = &job,
                              .n = job.sum[n].first,
                              .work = steps_of(runs, n, phase),
                              /* Of what is too rough not all counts. */
                              .effort = is_rough ? INT64_MAX : effort,
                              .at_end = true,
                              .run = run_unit,
                              .apply = apply_unit};
    ok = uap_crew_do(first->crew, &all, &stopped, &first->failed) == UAP_OK;
    s->stopped = stopped;
    if (ok && !stopped) {
        s->effort = effort;
        for (int32_t i = 0; i < n; i++) {
            if (!runs[i]->is_over) {
                sum_up(runs[i], phase, &job.sum[i]);
            }
        }
    }
    uap_free(job.sum);
    return ok && !s->stopped;
}
