/* Instances and choices as objects: making, checking, copying, freeing. */
#include "search/instance.h"

#include "common/numbers.h"
#include "search/solve.h"

#include <string.h>

/* ---- Making ------------------------------------------------------------------------ */

uap_instance *uap_instance_new(void)
{
    uap_instance *instance = uap_calloc(1, sizeof *instance);
    if (instance == NULL) {
        return NULL;
    }
    instance->arena = uap_arena_new();
    if (instance->arena == NULL) {
        uap_free(instance);
        return NULL;
    }
    return instance;
}

void uap_instance_free(uap_instance *instance)
{
    if (instance != NULL) {
        uap_arena_free(instance->arena);
        uap_free(instance);
    }
}

bool uap_choice_init(uap_choice *choice, int32_t pp, int32_t n_layers)
{
    choice->first = uap_calloc((size_t)pp, sizeof *choice->first);
    choice->strategy = uap_calloc((size_t)n_layers, sizeof *choice->strategy);
    if (choice->first == NULL || choice->strategy == NULL) {
        uap_choice_free(choice);
        return false;
    }
    return true;
}

void uap_choice_free(uap_choice *choice)
{
    uap_free(choice->first);
    uap_free(choice->strategy);
    *choice = (uap_choice){NULL, NULL};
}

void uap_choice_copy(uap_choice *to, const uap_choice *from, int32_t pp, int32_t n_layers)
{
    memcpy(to->first, from->first, (size_t)pp * sizeof *to->first);
    memcpy(to->strategy, from->strategy, (size_t)n_layers * sizeof *to->strategy);
}

void uap_result_free(uap_result *result)
{
    if (result != NULL) {
        uap_choice_free(&result->choice);
    }
}

/* ---- Checking ---------------------------------------------------------------------- */

/* What a check adds up: bounds on any plan's value and memory, saturating at the limit. */
typedef struct check_sums {
    int64_t per_micro_batch; /* ticks, all stages together, forward halves */
    int64_t backward;        /* ticks, the backward halves */
    int64_t per_iteration;   /* ticks */
    int64_t state, act;      /* bytes; act is per micro-batch in flight */
    int64_t work;            /* bytes, the largest */
} check_sums;

/* a + b and a * b for values >= 0, at most UAP_VALUE_LIMIT. */
static int64_t add(int64_t a, int64_t b)
{
    return a > UAP_VALUE_LIMIT - uap_min_i64(b, UAP_VALUE_LIMIT) ? UAP_VALUE_LIMIT
                                                                 : a + b;
}

static int64_t multiply(int64_t a, int64_t b)
{
    int64_t product;
    const bool overflow = __builtin_mul_overflow(a, b, &product);
    return overflow || product > UAP_VALUE_LIMIT ? UAP_VALUE_LIMIT : product;
}

/* The largest of n values; -1 and *bad set where one is negative or missing. */
static int64_t largest(const int64_t *value, int64_t n, int64_t *bad)
{
    int64_t max = 0;
    *bad = value == NULL ? 0 : -1;
    for (int64_t i = 0; i < n && *bad < 0; i++) {
        if (value[i] < 0) {
            *bad = i;
        }
        max = uap_max_i64(max, value[i]);
    }
    return max;
}

/* One array of an instance with its name in messages and where its maximum is added. */
typedef struct checked_array {
    const char *name;
    const int64_t *value;
    int64_t *sum;
} checked_array;

/* Checks `n_arrays` arrays of n values each and adds their maxima; `where` and `index` say
 * which layer or edge they belong to. */
static uap_status check_arrays(const checked_array *arrays, size_t n_arrays, int64_t n,
                               const char *where, int32_t index, uap_err *err)
{
    for (size_t i = 0; i < n_arrays; i++) {
        int64_t bad = -1;
        const int64_t max = largest(arrays[i].value, n, &bad);
        if (bad >= 0) {
            return UAP_FAIL(err, BAD_INPUT,
                            "%s %d: entry %lld of %s is negative or missing", where,
                            index, (long long)bad, arrays[i].name);
        }
        *arrays[i].sum = add(*arrays[i].sum, max);
    }
    return UAP_OK;
}

/* Types of a layer's rows: as the instance has them. */
static uap_status check_row_types(const uap_instance *instance, int32_t u, uap_err *err)
{
    const uap_layer_table *table = uap_table_of(instance, u);
    if ((table->type != NULL) != (instance->n_types > 0)) {
        return UAP_FAIL(err, BAD_INPUT, "layer %d: %s of its rows, with %d stage types",
                        u, table->type == NULL ? "no types" : "types", instance->n_types);
    }
    for (int32_t k = 0; table->type != NULL && k < table->n; k++) {
        if (table->type[k] < 0 || table->type[k] >= instance->n_types) {
            return UAP_FAIL(err, BAD_INPUT,
                            "layer %d: found type %d of strategy %d, expected 0 to %d", u,
                            table->type[k], k, instance->n_types - 1);
        }
    }
    return UAP_OK;
}

static uap_status check_layer(const uap_instance *instance, int32_t u, check_sums *sums,
                              uap_err *err)
{
    const int32_t index = instance->layer_table[u];
    if (index < 0 || index >= instance->n_tables) {
        return UAP_FAIL(err, BAD_INPUT, "layer %d: found table %d, expected 0 to %d", u,
                        index, instance->n_tables - 1);
    }
    const uap_layer_table *table = &instance->table[index];
    if (table->n < 1) {
        return UAP_FAIL(err, BAD_INPUT,
                        "layer %d: found %d strategies, expected at least 1", u,
                        table->n);
    }
    int64_t work = 0;
    const checked_array arrays[] = {{"forward times", table->fwd, &sums->per_micro_batch},
                                    {"backward times", table->bwd, &sums->backward},
                                    {"G", table->grad, &sums->per_iteration},
                                    {"Ms", table->state, &sums->state},
                                    {"Ma", table->act, &sums->act},
                                    {"W", table->work, &work}};
    uap_status rc =
        check_arrays(arrays, sizeof arrays / sizeof arrays[0], table->n, "layer", u, err);
    if (rc == UAP_OK) {
        rc = check_row_types(instance, u, err);
    }
    sums->work = uap_max_i64(sums->work, work);
    return rc;
}

static uap_status check_classes(const int32_t *class_of, int32_t n, int32_t n_classes,
                                int32_t u, uap_err *err)
{
    for (int32_t k = 0; k < n; k++) {
        if (class_of == NULL || class_of[k] < 0 || class_of[k] >= n_classes) {
            return UAP_FAIL(err, BAD_INPUT,
                            "edge %d: the class of strategy %d is not in 0 to %d", u, k,
                            n_classes - 1);
        }
    }
    return UAP_OK;
}

static uap_status check_edge(const uap_instance *instance, int32_t u, check_sums *sums,
                             uap_err *err)
{
    const int32_t index = instance->layer_edge[u];
    if (index < 0 || index >= instance->n_edges) {
        return UAP_FAIL(err, BAD_INPUT, "edge %d: found table %d, expected 0 to %d", u,
                        index, instance->n_edges - 1);
    }
    const uap_edge_table *edge = &instance->edge[index];
    uap_status rc = check_classes(edge->from_class, uap_table_of(instance, u)->n,
                                  edge->n_from, u, err);
    if (rc == UAP_OK) {
        rc = check_classes(edge->to_class, uap_table_of(instance, u + 1)->n, edge->n_to,
                           u, err);
    }
    if (rc != UAP_OK) {
        return rc;
    }
    int64_t *const fwd = &sums->per_micro_batch;
    int64_t *const bwd = &sums->backward;
    const checked_array arrays[] = {{"forward resharding", edge->r_fwd, fwd},
                                    {"backward resharding", edge->r_bwd, bwd},
                                    {"forward transfer", edge->x_fwd, fwd},
                                    {"backward transfer", edge->x_bwd, bwd}};
    return check_arrays(arrays, sizeof arrays / sizeof arrays[0],
                        (int64_t)edge->n_from * edge->n_to, "edge", u, err);
}

/* Consumers ascending, behind the producer, inside the model. */
static uap_status check_consumers(const uap_instance *instance, int32_t i, uap_err *err)
{
    const uap_live_tensor *live = &instance->live[i];
    if (live->from < 0 || live->from >= instance->n_layers || live->n_consumers < 1) {
        return UAP_FAIL(err, BAD_INPUT,
                        "live tensor %d: found producer %d with %d consumers", i,
                        live->from, live->n_consumers);
    }
    int32_t before = live->from;
    for (int32_t j = 0; j < live->n_consumers; j++) {
        if (live->consumer[j] <= before || live->consumer[j] >= instance->n_layers) {
            return UAP_FAIL(err, BAD_INPUT,
                            "live tensor %d: found consumer %d, expected %d to %d", i,
                            live->consumer[j], before + 1, instance->n_layers - 1);
        }
        before = live->consumer[j];
    }
    return UAP_OK;
}

static uap_status check_live(const uap_instance *instance, int32_t i, check_sums *sums,
                             uap_err *err)
{
    uap_status rc = check_consumers(instance, i, err);
    if (rc != UAP_OK) {
        return rc;
    }
    const uap_live_tensor *live = &instance->live[i];
    const int32_t n = uap_table_of(instance, live->from)->n;
    for (int32_t j = 0; j < live->n_consumers && rc == UAP_OK; j++) {
        const int32_t m = uap_table_of(instance, live->consumer[j])->n;
        const checked_array arrays[] = {
            {"forward resharding", live->r_fwd[j], &sums->per_micro_batch},
            {"backward resharding", live->r_bwd[j], &sums->backward}};
        rc = check_arrays(arrays, 2, (int64_t)n * m, "live tensor", i, err);
    }
    int64_t fwd = 0;
    int64_t bwd = 0;
    const checked_array arrays[] = {{"forward transfer", live->x_fwd, &fwd},
                                    {"backward transfer", live->x_bwd, &bwd},
                                    {"bytes", live->bytes, &sums->act}};
    if (rc == UAP_OK) {
        rc = check_arrays(arrays, 3, n, "live tensor", i, err);
    }
    sums->per_micro_batch = add(sums->per_micro_batch, multiply(instance->pp, fwd));
    sums->backward = add(sums->backward, multiply(instance->pp, bwd));
    return rc;
}

static uap_status check_stages(const uap_instance *instance, int64_t *most_inflight,
                               uap_err *err)
{
    const int32_t pp = instance->pp;
    if (instance->micro_batches < 1) {
        return UAP_FAIL(err, BAD_INPUT, "found %d micro-batches, expected at least 1",
                        instance->micro_batches);
    }
    if (instance->n_layers < 1 || pp < 1 || pp > instance->n_layers) {
        return UAP_FAIL(err, BAD_INPUT,
                        "found pp %d for %d layers, expected 1 to the number of layers",
                        pp, instance->n_layers);
    }
    for (int32_t i = 0; i < pp; i++) {
        if (instance->cap[i] < 0 || instance->cap[i] > UAP_VALUE_LIMIT) {
            return UAP_FAIL(err, BAD_INPUT,
                            "stage %d: found cap %lld, expected 0 to 2^62", i,
                            (long long)instance->cap[i]);
        }
        if (instance->inflight[i] < 1 || instance->inflight[i] > INT32_MAX) {
            return UAP_FAIL(err, BAD_INPUT,
                            "stage %d: found %lld in flight, expected 1 to %d", i,
                            (long long)instance->inflight[i], INT32_MAX);
        }
        *most_inflight = uap_max_i64(*most_inflight, instance->inflight[i]);
    }
    return UAP_OK;
}

/* V is at most c times what one micro-batch costs on its whole way, whatever the schedule;
 * the engines also form products with the micro-batches in flight. */
static uap_status check_limits(const check_sums *sums, int64_t c, int64_t inflight,
                               uap_err *err)
{
    const int64_t value = add(multiply(uap_max_i64(c, inflight), sums->per_micro_batch),
                              sums->per_iteration);
    const int64_t memory =
        add(add(sums->state, sums->work), multiply(inflight, sums->act));
    if (value >= UAP_VALUE_LIMIT) {
        return UAP_FAIL(err, TOO_LARGE,
                        "times: found %.3g s per micro-batch and %.3g s per iteration at "
                        "most with %lld micro-batches, expected a product below %.3g s",
                        (double)sums->per_micro_batch / (double)UAP_TICKS_PER_SECOND,
                        (double)sums->per_iteration / (double)UAP_TICKS_PER_SECOND,
                        (long long)c,
                        (double)UAP_VALUE_LIMIT / (double)UAP_TICKS_PER_SECOND);
    }
    if (memory >= UAP_VALUE_LIMIT) {
        return UAP_FAIL(err, TOO_LARGE,
                        "memory: found up to %.3g bytes of states, %.3g of workspace and "
                        "%lld x %.3g of activations, expected a sum below 2^62",
                        (double)sums->state, (double)sums->work, (long long)inflight,
                        (double)sums->act);
    }
    return UAP_OK;
}

static void add_sums(check_sums *sums, const check_sums *one)
{
    sums->per_micro_batch = add(sums->per_micro_batch, one->per_micro_batch);
    sums->backward = add(sums->backward, one->backward);
    sums->per_iteration = add(sums->per_iteration, one->per_iteration);
    sums->state = add(sums->state, one->state);
    sums->act = add(sums->act, one->act);
    sums->work = uap_max_i64(sums->work, one->work);
}

/* Neighbours mostly share their tables, which are then looked at once. */
static uap_status check_chain(const uap_instance *instance, check_sums *sums,
                              uap_err *err)
{
    uap_status rc = UAP_OK;
    const int32_t *table = instance->layer_table;
    const int32_t *edge = instance->layer_edge;
    check_sums layer_sums = {0};
    check_sums edge_sums = {0};
    for (int32_t u = 0; u < instance->n_layers; u++) {
        if (u == 0 || table[u] != table[u - 1]) {
            layer_sums = (check_sums){0};
            UAP_TRY(check_layer(instance, u, &layer_sums, err));
        }
        add_sums(sums, &layer_sums);
    }
    for (int32_t u = 0; u + 1 < instance->n_layers; u++) {
        if (u == 0 || edge[u] != edge[u - 1] || table[u] != table[u - 1] ||
            table[u + 1] != table[u]) {
            edge_sums = (check_sums){0};
            UAP_TRY(check_edge(instance, u, &edge_sums, err));
        }
        add_sums(sums, &edge_sums);
    }
done:
    return rc;
}

static uap_status check_type(const uap_instance *instance, int32_t t, uap_err *err)
{
    const uap_stage_type *type = &instance->type[t];
    if (type->group < 0 || type->group >= instance->n_groups || type->devices < 1 ||
        type->devices > INT32_MAX || type->cap < 0 || type->cap > UAP_VALUE_LIMIT) {
        return UAP_FAIL(err, BAD_INPUT,
                        "stage type %d: found group %d, %lld devices, cap %lld, expected "
                        "group 0 to %d, 1 to %d devices, cap 0 to 2^62",
                        t, type->group, (long long)type->devices, (long long)type->cap,
                        instance->n_groups - 1, INT32_MAX);
    }
    return UAP_OK;
}

/* What mixed clusters add. Their live tensors are told by start_act. */
static uap_status check_types(const uap_instance *instance, check_sums *sums,
                              uap_err *err)
{
    uap_status rc = UAP_OK;
    const int64_t cells = (int64_t)instance->n_types * instance->n_layers;
    if (instance->n_types < 0 || instance->n_groups < 0 ||
        (instance->n_types > 0) != (instance->n_groups > 0)) {
        return UAP_FAIL(err, BAD_INPUT, "found %d stage types on %d groups",
                        instance->n_types, instance->n_groups);
    }
    if (instance->n_types > 0 && instance->n_live > 0) {
        return UAP_FAIL(err, BAD_INPUT,
                        "found %d live tensors, expected none with stage types",
                        instance->n_live);
    }
    for (int32_t g = 0; g < instance->n_groups; g++) {
        if (instance->group_devices[g] < 0 || instance->group_devices[g] > INT32_MAX) {
            return UAP_FAIL(err, BAD_INPUT,
                            "group %d: found %lld devices, expected 0 to %d", g,
                            (long long)instance->group_devices[g], INT32_MAX);
        }
    }
    for (int32_t t = 0; t < instance->n_types && rc == UAP_OK; t++) {
        rc = check_type(instance, t, err);
    }
    if (rc == UAP_OK && instance->start_act != NULL) {
        const checked_array array = {"start_act", instance->start_act, &sums->act};
        rc = check_arrays(&array, 1, cells, "stage type", 0, err);
    }
    return rc;
}

uap_status uap_instance_check(const uap_instance *instance, uap_err *err)
{
    uap_status rc = UAP_OK;
    check_sums sums = {0};
    int64_t inflight = 1;
    UAP_TRY(check_stages(instance, &inflight, err));
    UAP_TRY(check_types(instance, &sums, err));
    UAP_TRY(check_chain(instance, &sums, err));
    for (int32_t i = 0; i < instance->n_live; i++) {
        UAP_TRY(check_live(instance, i, &sums, err));
    }
    for (int32_t i = 0; i < instance->n_ties; i++) {
        const uap_tie *tie = &instance->tie[i];
        if (tie->a < 0 || tie->a >= tie->b || tie->b >= instance->n_layers) {
            rc = UAP_FAIL(err, BAD_INPUT,
                          "tie %d: found layers %d and %d, expected a < b < %d", i,
                          tie->a, tie->b, instance->n_layers);
            goto done;
        }
    }
    if (instance->objective == UAP_OBJECTIVE_SIMPLE && sums.backward > 0) {
        rc = UAP_FAIL(err, BAD_INPUT,
                      "found backward times, expected none with the simple objective");
        goto done;
    }
    sums.per_micro_batch = add(sums.per_micro_batch, sums.backward);
    UAP_TRY(check_limits(&sums, instance->micro_batches, inflight, err));
done:
    return rc;
}
