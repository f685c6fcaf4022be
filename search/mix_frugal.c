/* The most frugal plan of a mixed cluster: minimax cuts over the least memory of segments of
 * every type, and then how far stages can reach with the devices there are. The largest W of
 * a stage is tried as a threshold, as in search/frugal.c. */
#include "search/mix_frugal.h"

#include "common/numbers.h"
#include "search/mix_devices.h"

#include <stdlib.h>
#include <string.h>

/* The first stages of a plan: layers before `next` are placed. */
typedef struct placed {
    int32_t next;
    uap_devices left;
} placed;

typedef struct frugal {
    const uap_mix *mix;
    const uap_instance *in;
    int64_t *threshold; /* [n_thresholds] distinct W of the type at hand, ascending */
    int32_t n_thresholds;
    int64_t *least; /* [n_kinds][n_thresholds] memory of a layer at least, -1: no row */
    int64_t *best;  /* [pp][L] minimax overshoot with stage i ending behind layer u */
    int32_t *first; /* [pp][L] first layer of that stage, */
    int32_t *type;  /* its type, */
    int64_t *need;  /* and what it needs */
    int32_t *end; /* [pp][n_types][L] layer behind the longest stage that fits from here,
                     * or from any layer before it */
    placed *list, *next_list;
    int32_t n, n_next, capacity;
} frugal;

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void collect_thresholds(frugal *f, const uap_chain *chain)
{
    int32_t n = 0;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        for (int32_t k = 0; k < chain->kind[i].n; k++) {
            f->threshold[n++] = chain->kind[i].work[k];
        }
    }
    qsort(f->threshold, (size_t)n, sizeof *f->threshold, by_value);
    f->n_thresholds = 0;
    for (int32_t i = 0; i < n; i++) {
        if (i + 1 == n || f->threshold[i] != f->threshold[i + 1]) {
            f->threshold[f->n_thresholds++] = f->threshold[i];
        }
    }
}

/* Least memory of a layer in a row below the threshold; -1: none. */
static int64_t least_row(const uap_kind *kind, int64_t threshold, int64_t inflight)
{
    int64_t least = -1;
    for (int32_t k = 0; k < kind->n; k++) {
        const int64_t m = kind->state[k] + inflight * kind->act[k];
        if (kind->work[k] <= threshold && (least < 0 || m < least)) {
            least = m;
        }
    }
    return least;
}

static void least_rows(frugal *f, const uap_chain *chain, int64_t inflight)
{
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        for (int32_t j = 0; j < f->n_thresholds; j++) {
            f->least[i * f->n_thresholds + j] =
                least_row(&chain->kind[i], f->threshold[j], inflight);
        }
    }
}

/* All segments of stage i of type t that start at layer a under one threshold. */
static void extend_from(frugal *f, int32_t i, int32_t t, int32_t a, int32_t number)
{
    const uap_chain *chain = f->mix->chain[t];
    const int32_t n = chain->n_layers;
    const int64_t inflight = f->in->inflight[i];
    const int64_t before = i == 0 ? INT64_MIN : f->best[(i - 1) * n + a - 1];
    int32_t *end = &f->end[(i * f->mix->n_types + t) * n + a];
    int64_t sum = f->threshold[number] + chain->start_act[a] * inflight;
    for (int32_t b = a; b <= n - (chain->pp - i); b++) {
        const int64_t least = f->least[chain->kind_of[b] * f->n_thresholds + number];
        if (least < 0) {
            break;
        }
        sum += least;
        if (sum <= chain->cap[i]) {
            *end = uap_max_i32(*end, b + 1);
        }
        const int64_t over = uap_max_i64(before, sum - chain->cap[i]);
        const int32_t at = i * n + b;
        if (before < INT64_MAX && over < f->best[at]) {
            f->best[at] = over;
            f->first[at] = a;
            f->type[at] = t;
            f->need[at] = sum;
        }
    }
}

static void run_stage(frugal *f, int32_t i)
{
    const int32_t n = f->in->n_layers;
    const int32_t last = i == 0 ? 0 : n - (f->in->pp - i);
    for (int32_t t = 0; t < f->mix->n_types; t++) {
        collect_thresholds(f, f->mix->chain[t]);
        least_rows(f, f->mix->chain[t], f->in->inflight[i]);
        int32_t *end = &f->end[(i * f->mix->n_types + t) * n];
        for (int32_t a = i; a <= last; a++) {
            end[a] = a > 0 ? end[a - 1] : 0;
            for (int32_t j = 0; j < f->n_thresholds; j++) {
                extend_from(f, i, t, a, j);
            }
        }
    }
}

static void describe(const frugal *f, uap_shortage *shortage)
{
    const int32_t n = f->in->n_layers;
    int64_t worst = INT64_MIN;
    int32_t b = n - 1;
    for (int32_t i = f->in->pp - 1; i >= 0; i--) {
        const int32_t at = i * n + b;
        const int64_t cap = f->mix->chain[f->type[at]]->cap[i];
        if (f->need[at] - cap > worst) {
            worst = f->need[at] - cap;
            shortage->known = true;
            shortage->stage = i;
            shortage->first = f->first[at];
            shortage->last = b;
            shortage->need_bytes = f->need[at];
            shortage->cap_bytes = cap;
        }
        b = f->first[at] - 1;
    }
}

/* ---- Devices ------------------------------------------------------------------------- */

static bool offer(frugal *f, const placed *p)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < f->n_next; i++) {
        const placed *q = &f->next_list[i];
        if (q->next >= p->next && uap_devices_cover(f->mix, &q->left, &p->left)) {
            return true;
        }
    }
    for (int32_t i = 0; i < f->n_next; i++) {
        const placed *q = &f->next_list[i];
        if (p->next < q->next || !uap_devices_cover(f->mix, &p->left, &q->left)) {
            f->next_list[kept++] = *q;
        }
    }
    f->n_next = kept;
    if (kept == f->capacity) {
        const int32_t capacity = 2 * f->capacity;
        placed *list = uap_realloc(f->list, (size_t)capacity, sizeof *list);
        f->list = list == NULL ? f->list : list;
        placed *next = list == NULL
                           ? NULL
                           : uap_realloc(f->next_list, (size_t)capacity, sizeof *next);
        if (next == NULL) {
            return false;
        }
        f->next_list = next;
        f->capacity = capacity;
    }
    f->next_list[f->n_next++] = *p;
    return true;
}

/* Goes on from one of the lists with stage i. */
static bool place_stage(frugal *f, int32_t i, const placed *from)
{
    const uap_mix *mix = f->mix;
    const int32_t n = mix->n_layers;
    const int32_t a = (int32_t)uap_min_i64(from->next, i == 0 ? 0 : n - (mix->pp - i));
    for (int32_t t = 0; t < mix->n_types; t++) {
        const uap_stage_type *type = &mix->in->type[t];
        const int64_t left =
            uap_devices_get(mix, &from->left, type->group) - type->devices;
        placed p = {.next = f->end[(i * mix->n_types + t) * n + a], .left = from->left};
        double credit = 0;
        if (left < 0 || p.next <= i) {
            continue;
        }
        uap_devices_set(mix, &p.left, type->group, left);
        p.left = uap_devices_usable(mix, &p.left, mix->pp - 1 - i, &credit);
        if (!offer(f, &p)) {
            return false;
        }
    }
    return true;
}

/* Whether stages with the groups' devices reach the last layer: *enough. False: no memory. */
static bool groups_suffice(frugal *f, bool *enough)
{
    const uap_mix *mix = f->mix;
    f->list[0] = (placed){0};
    f->n = 1;
    for (int32_t g = 0; g < mix->n_groups; g++) {
        uap_devices_set(mix, &f->list[0].left, g, uap_mix_usable(mix, g));
    }
    for (int32_t i = 0; i < mix->pp; i++) {
        f->n_next = 0;
        for (int32_t j = 0; j < f->n; j++) {
            const placed from = f->list[j];
            if (!place_stage(f, i, &from)) {
                return false;
            }
        }
        placed *swap = f->list;
        f->list = f->next_list;
        f->next_list = swap;
        f->n = f->n_next;
    }
    *enough = false;
    for (int32_t j = 0; j < f->n; j++) {
        *enough = *enough || f->list[j].next == mix->n_layers;
    }
    return true;
}

/* ---- The whole ----------------------------------------------------------------------- */

static bool alloc_frugal(frugal *f)
{
    const size_t cells = (size_t)f->in->pp * (size_t)f->in->n_layers;
    size_t rows = 1;
    for (int32_t i = 0; i < f->in->n_tables; i++) {
        rows += (size_t)f->in->table[i].n;
    }
    f->capacity = 256;
    /* Kinds share tables, one a layer at most. */
    f->threshold = uap_calloc(rows * (size_t)f->in->n_layers, sizeof *f->threshold);
    size_t most = 1; /* thresholds x kinds of a type */
    for (int32_t t = 0; t < f->mix->n_types; t++) {
        const uap_chain *chain = f->mix->chain[t];
        size_t own = 0;
        for (int32_t i = 0; i < chain->n_kinds; i++) {
            own += (size_t)chain->kind[i].n;
        }
        own *= (size_t)chain->n_kinds;
        most = own > most ? own : most;
    }
    f->least = uap_calloc(most, sizeof *f->least);
    f->best = uap_calloc(cells, sizeof *f->best);
    f->first = uap_calloc(cells, sizeof *f->first);
    f->type = uap_calloc(cells, sizeof *f->type);
    f->need = uap_calloc(cells, sizeof *f->need);
    f->end = uap_calloc(cells * (size_t)f->in->n_types, sizeof *f->end);
    f->list = uap_calloc((size_t)f->capacity, sizeof *f->list);
    f->next_list = uap_calloc((size_t)f->capacity, sizeof *f->next_list);
    for (size_t j = 0; f->best != NULL && j < cells; j++) {
        f->best[j] = INT64_MAX;
    }
    return f->threshold != NULL && f->least != NULL && f->best != NULL &&
           f->first != NULL && f->type != NULL && f->need != NULL && f->end != NULL &&
           f->list != NULL && f->next_list != NULL;
}

static void free_frugal(frugal *f)
{
    uap_free(f->threshold);
    uap_free(f->least);
    uap_free(f->best);
    uap_free(f->first);
    uap_free(f->type);
    uap_free(f->need);
    uap_free(f->end);
    uap_free(f->list);
    uap_free(f->next_list);
}

uap_status uap_mix_frugal_plan(const uap_instance *instance, uap_shortage *shortage,
                               int64_t *overshoot, uap_err *err)
{
    uap_mix *mix = NULL;
    frugal f = {.in = instance};
    uap_status rc = UAP_OK;
    bool enough = false;
    *overshoot = UAP_GROUPS_SHORT;
    UAP_TRY(uap_mix_new(instance, NULL, &mix, err));
    if (mix == NULL) {
        goto done;
    }
    f.mix = mix;
    if (!alloc_frugal(&f)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for the most frugal plan");
        goto done;
    }
    for (int32_t i = 0; i < instance->pp; i++) {
        run_stage(&f, i);
    }
    const int64_t least = f.best[instance->pp * instance->n_layers - 1];
    if (least == INT64_MAX) {
        goto done; /* no choice of types has rows for all layers */
    }
    if (least > 0) {
        *overshoot = least;
        describe(&f, shortage);
        goto done;
    }
    if (!groups_suffice(&f, &enough)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for the most frugal plan");
        goto done;
    }
    *overshoot = enough ? 0 : UAP_GROUPS_SHORT;
done:
    free_frugal(&f);
    uap_mix_free(mix);
    return rc;
}
