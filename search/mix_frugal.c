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

/* One type's rows. */
typedef struct frugal_rows {
    int32_t n;          /* thresholds */
    int64_t *threshold; /* [n] distinct W, ascending */
    int32_t **by_work;  /* [n_kinds] rows by W, ascending */
    int64_t inflight;   /* of what follows; -1: not made yet */
    int32_t *worth; /* [n_worth] thresholds that let a layer have less than the last */
    int32_t n_worth;
    int64_t *least; /* [n_kinds][n] for each of them the least memory of a layer */
    int32_t *none;  /* [n_kinds] so many of the first have no row */
    int64_t *sum;   /* [n] scratch */
} frugal_rows;

typedef struct frugal {
    const uap_mix *mix;
    const uap_instance *in;
    uap_arena *arena;  /* of the rows */
    frugal_rows *rows; /* [n_types] */
    int64_t *best;     /* [pp][L] minimax overshoot with stage i ending behind layer u */
    int32_t *first;    /* [pp][L] first layer of that stage, */
    int32_t *type;     /* its type, */
    int64_t *need;     /* and what it needs */
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

static void collect_thresholds(frugal_rows *r, const uap_chain *chain)
{
    int32_t n = 0;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        for (int32_t k = 0; k < chain->kind[i].n; k++) {
            r->threshold[n++] = chain->kind[i].work[k];
        }
    }
    qsort(r->threshold, (size_t)n, sizeof *r->threshold, by_value);
    for (int32_t i = 0; i < n; i++) {
        if (i + 1 == n || r->threshold[i] != r->threshold[i + 1]) {
            r->threshold[r->n++] = r->threshold[i];
        }
    }
}

/* A row and its W. */
typedef struct worked_row {
    int64_t work;
    int32_t row;
} worked_row;

/* The rows of a kind by W. False: no memory. */
static bool sort_rows(frugal *f, const uap_kind *kind, int32_t **out)
{
    worked_row *rows = uap_calloc((size_t)kind->n, sizeof *rows);
    *out = uap_arena_alloc(f->arena, (size_t)kind->n, sizeof **out);
    const bool ok = rows != NULL && *out != NULL;
    for (int32_t k = 0; ok && k < kind->n; k++) {
        rows[k] = (worked_row){kind->work[k], k};
    }
    if (ok) {
        qsort(rows, (size_t)kind->n, sizeof *rows, by_value); /* work comes first */
    }
    for (int32_t k = 0; ok && k < kind->n; k++) {
        (*out)[k] = rows[k].row;
    }
    uap_free(rows);
    return ok;
}

static bool make_rows(frugal *f, int32_t t)
{
    const uap_chain *chain = f->mix->chain[t];
    frugal_rows *r = &f->rows[t];
    size_t n = 0;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        n += (size_t)chain->kind[i].n;
    }
    r->inflight = -1;
    r->threshold = uap_arena_alloc(f->arena, n, sizeof *r->threshold);
    r->worth = uap_arena_alloc(f->arena, n, sizeof *r->worth);
    r->sum = uap_arena_alloc(f->arena, n, sizeof *r->sum);
    r->none = uap_arena_alloc(f->arena, (size_t)chain->n_kinds, sizeof *r->none);
    r->least = uap_arena_alloc(f->arena, n * (size_t)chain->n_kinds, sizeof *r->least);
    r->by_work = uap_arena_alloc(f->arena, (size_t)chain->n_kinds, sizeof *r->by_work);
    bool ok = r->threshold != NULL && r->worth != NULL && r->least != NULL &&
              r->by_work != NULL && r->sum != NULL && r->none != NULL;
    for (int32_t i = 0; ok && i < chain->n_kinds; i++) {
        ok = sort_rows(f, &chain->kind[i], &r->by_work[i]);
    }
    if (ok) {
        collect_thresholds(r, chain);
    }
    return ok;
}

/* Least memory of each layer in a row within each threshold. */
static void least_rows(frugal_rows *r, const uap_chain *chain, int64_t inflight)
{
    if (r->inflight == inflight) {
        return;
    }
    r->inflight = inflight;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        const uap_kind *kind = &chain->kind[i];
        int64_t least = -1;
        int32_t k = 0;
        for (int32_t j = 0; j < r->n; j++) {
            for (; k < kind->n && kind->work[r->by_work[i][k]] <= r->threshold[j]; k++) {
                const int32_t row = r->by_work[i][k];
                const int64_t m = kind->state[row] + inflight * kind->act[row];
                least = least < 0 || m < least ? m : least;
            }
            r->least[i * r->n + j] = least;
        }
    }
    r->n_worth = 0;
    for (int32_t j = 0; j < r->n; j++) {
        bool is_less = j == 0;
        for (int32_t i = 0; i < chain->n_kinds && !is_less; i++) {
            is_less = r->least[i * r->n + j] != r->least[i * r->n + j - 1];
        }
        if (is_less) {
            r->worth[r->n_worth++] = j;
        }
    }
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        int64_t *least = &r->least[i * r->n];
        r->none[i] = 0;
        for (int32_t w = 0; w < r->n_worth; w++) {
            least[w] = least[r->worth[w]];
            r->none[i] += least[w] < 0;
        }
    }
}

/* sum[n] += least[n]; the least of them. */
static int64_t add_layer(int64_t *restrict sum, const int64_t *restrict least, int32_t n)
{
    int64_t best = INT64_MAX;
    for (int32_t w = 0; w < n; w++) {
        sum[w] += least[w];
        best = sum[w] < best ? sum[w] : best;
    }
    return best;
}

/* All segments of stage i of type t that start at layer a, under all thresholds at once. */
static void extend_from(frugal *f, int32_t i, int32_t t, int32_t a)
{
    const uap_chain *chain = f->mix->chain[t];
    const int32_t n = chain->n_layers;
    const int64_t inflight = f->in->inflight[i];
    const int64_t before = i == 0 ? INT64_MIN : f->best[(i - 1) * n + a - 1];
    const frugal_rows *rows = &f->rows[t];
    int32_t *end = &f->end[(i * f->mix->n_types + t) * n + a];
    int32_t none = 0; /* thresholds within which some layer has no row */
    for (int32_t w = 0; w < rows->n_worth; w++) {
        rows->sum[w] = rows->threshold[rows->worth[w]] + chain->start_act[a] * inflight;
    }
    for (int32_t b = a; b <= n - (chain->pp - i); b++) {
        const int32_t kind = chain->kind_of[b];
        none = uap_max_i32(none, rows->none[kind]);
        const int64_t sum = add_layer(
            rows->sum + none, &rows->least[kind * rows->n + none], rows->n_worth - none);
        if (none == rows->n_worth) {
            break;
        }
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
        frugal_rows *rows = &f->rows[t];
        least_rows(rows, f->mix->chain[t], f->in->inflight[i]);
        int32_t *end = &f->end[(i * f->mix->n_types + t) * n];
        for (int32_t a = i; a <= last; a++) {
            end[a] = a > 0 ? end[a - 1] : 0;
            extend_from(f, i, t, a);
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
    f->capacity = 256;
    f->arena = uap_arena_new();
    f->rows = f->arena == NULL
                  ? NULL
                  : uap_arena_alloc(f->arena, (size_t)f->in->n_types, sizeof *f->rows);
    bool ok = f->rows != NULL;
    for (int32_t t = 0; ok && t < f->mix->n_types; t++) {
        ok = make_rows(f, t);
    }
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
    return ok && f->best != NULL && f->first != NULL && f->type != NULL &&
           f->need != NULL && f->end != NULL && f->list != NULL && f->next_list != NULL;
}

static void free_frugal(frugal *f)
{
    uap_arena_free(f->arena);
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
