/* Reading a plan, written by uniap or by hand (docs/formats.md). Keys are strict: a
 * misspelt "recompute" that was ignored would be a wrong plan. */
#include "common/json_read.h"
#include "plan/plan.h"

#include <stdio.h>
#include <string.h>

#define COUNT_MAX      ((int64_t)1 << 31) /* of layers, stages, devices, samples */
#define PLAN_BYTES_MAX ((size_t)64 << 20)
#define DEGREE_MAX     ((int64_t)1 << 24)
#define BYTES_MAX      ((int64_t)1 << 62)
#define TIME_MAX       1e18
#define N_KEYS(keys)   (sizeof(keys) / sizeof((keys)[0]))

/* Optional string member, copied into the plan. */
static uap_status opt_string(uap_plan *plan, const uap_jval *object, const char *key,
                             const char **out, uap_err *err)
{
    const char *text = NULL;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_jopt_str(object, key, &text, err));
    if (text != NULL) {
        *out = uap_plan_string(plan, text);
        if (*out == NULL) {
            rc = UAP_FAIL(err, NO_MEMORY, "out of memory reading a plan");
        }
    }
done:
    return rc;
}

/* Optional string that must be one of n names; *index is the position. */
static uap_status opt_choice(const uap_jval *object, const char *key,
                             const char *const *name, int n, int *index, uap_err *err)
{
    const char *text = NULL;
    const uap_status rc = uap_jopt_str(object, key, &text, err);
    if (rc != UAP_OK || text == NULL) {
        return rc;
    }
    char expected[128] = "";
    for (int i = 0; i < n; i++) {
        if (strcmp(text, name[i]) == 0) {
            *index = i;
            return UAP_OK;
        }
        const size_t used = strlen(expected);
        (void)snprintf(expected + used, sizeof expected - used, "%s\"%s\"",
                       i == 0 ? "" : ", ", name[i]);
    }
    uap_jval value;
    (void)uap_jfind(object, key, &value);
    return uap_jfail(&value, err, "%s: found \"%.60s\", expected one of %s", key, text,
                     expected);
}

static uap_status read_input(uap_plan *plan, const uap_jval *root, const char *key,
                             uap_plan_input *input, uap_err *err)
{
    static const char *const keys[] = {"name", "source", "sha256", "parameters"};
    uap_status rc = UAP_OK;
    uap_jval object;
    const char *sha = NULL;
    if (!uap_jfind(root, key, &object)) {
        return UAP_OK;
    }
    UAP_TRY(uap_jcheck_keys(&object, keys, N_KEYS(keys), err));
    UAP_TRY(opt_string(plan, &object, "name", &input->name, err));
    UAP_TRY(opt_string(plan, &object, "source", &input->source, err));
    UAP_TRY(uap_jopt_i64(&object, "parameters", 0, BYTES_MAX, &input->parameters, err));
    UAP_TRY(uap_jopt_str(&object, "sha256", &sha, err));
    if (sha != NULL && strlen(sha) != UAP_SHA256_HEX - 1) {
        rc = uap_jfail(&object, err, "sha256: found %zu characters, expected 64",
                       strlen(sha));
        goto done;
    }
    if (sha != NULL) {
        memcpy(input->sha256, sha, UAP_SHA256_HEX);
    }
done:
    return rc;
}

/* Optional integer below 2^31. */
static uap_status opt_i32(const uap_jval *object, const char *key, int64_t min,
                          int64_t max, int32_t *out, uap_err *err)
{
    int64_t value = *out;
    const uap_status rc = uap_jopt_i64(object, key, min, max, &value, err);
    *out = (int32_t)value;
    return rc;
}

/* One range, "0-7" or "5", at *text, which it moves behind it. */
static bool scan_range(const char **text, int64_t *first, int64_t *last)
{
    long long from = 0, to = 0;
    int used = 0;
    if (**text < '0' || **text > '9') {
        return false;
    }
    if (sscanf(*text, "%lld%n", &from, &used) != 1) {
        return false;
    }
    *text += used;
    to = from;
    if (**text == '-') {
        if ((*text)[1] < '0' || (*text)[1] > '9' ||
            sscanf(*text + 1, "%lld%n", &to, &used) != 1) {
            return false;
        }
        *text += 1 + used;
    }
    *first = from;
    *last = to;
    return from <= to && to < COUNT_MAX;
}

/* "0-7", "5" or ascending ranges "0-7,16-23". */
static uap_status read_device_ids(uap_plan *plan, const uap_jval *object,
                                  uap_plan_stage *stage, uap_err *err)
{
    const char *text = NULL;
    const uap_status rc = uap_jopt_str(object, "device_ids", &text, err);
    if (rc != UAP_OK || text == NULL) {
        return rc;
    }
    int64_t first = 0, last = -1;
    const char *at = text;
    bool good = scan_range(&at, &stage->first_device, &last);
    while (good && *at == ',') {
        const int64_t before = last;
        at++;
        good = scan_range(&at, &first, &last) && first > before;
    }
    if (!good || *at != '\0') {
        uap_jval value;
        (void)uap_jfind(object, "device_ids", &value);
        return uap_jfail(&value, err,
                         "device_ids: found \"%.40s\", expected a range such as \"0-7\"",
                         text);
    }
    stage->last_device = last;
    if (strchr(text, ',') != NULL) {
        stage->device_ids = uap_plan_string(plan, text);
        if (stage->device_ids == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory reading a plan");
        }
    }
    return UAP_OK;
}

static uap_status read_stage(uap_plan *plan, const uap_jval *object, int32_t i,
                             uap_err *err)
{
    static const char *const keys[] = {
        "first_layer", "last_layer",      "device_ids",   "device_class",    "time_s",
        "transfer_s",  "per_iteration_s", "memory_bytes", "memory_cap_bytes"};
    uap_status rc = UAP_OK;
    uap_plan_stage *stage = &plan->stage[i];
    const int64_t first = i == 0 ? 0 : plan->stage[i - 1].last_layer + 1;
    const int64_t last_max = plan->n_layers - 1 - (plan->pp - 1 - i);
    int64_t a = 0, b = 0;
    UAP_TRY(uap_jcheck_keys(object, keys, N_KEYS(keys), err));
    UAP_TRY(uap_jget_i64(object, "first_layer", 0, COUNT_MAX, &a, err));
    UAP_TRY(uap_jget_i64(object, "last_layer", 0, COUNT_MAX, &b, err));
    if (a != first || b < a || b > last_max || (i == plan->pp - 1 && b != last_max)) {
        rc = uap_jfail(object, err,
                       "stage %d: found layers %lld to %lld, expected %lld to %s%lld of "
                       "%d layers in %d stages",
                       (int)i, (long long)a, (long long)b, (long long)first,
                       i == plan->pp - 1 ? "" : "at most ", (long long)last_max,
                       (int)plan->n_layers, (int)plan->pp);
        goto done;
    }
    stage->first_layer = (int32_t)a;
    stage->last_layer = (int32_t)b;
    UAP_TRY(read_device_ids(plan, object, stage, err));
    UAP_TRY(opt_string(plan, object, "device_class", &stage->device_class, err));
    UAP_TRY(uap_jopt_f64(object, "time_s", 0, TIME_MAX, &stage->time_s, err));
    UAP_TRY(uap_jopt_f64(object, "transfer_s", 0, TIME_MAX, &stage->transfer_s, err));
    UAP_TRY(uap_jopt_f64(object, "per_iteration_s", 0, TIME_MAX, &stage->per_iteration_s,
                         err));
    UAP_TRY(
        uap_jopt_i64(object, "memory_bytes", 0, BYTES_MAX, &stage->memory_bytes, err));
    UAP_TRY(uap_jopt_i64(object, "memory_cap_bytes", 0, BYTES_MAX,
                         &stage->memory_cap_bytes, err));
done:
    return rc;
}

static uap_status read_strategy(const uap_jval *object, uap_strategy *out, uap_err *err)
{
    static const char *const keys[] = {"dp", "fsdp", "tp", "zero", "sp", "recompute"};
    uap_status rc = UAP_OK;
    int32_t zero = 0;
    UAP_TRY(uap_jcheck_keys(object, keys, N_KEYS(keys), err));
    UAP_TRY(opt_i32(object, "dp", 1, DEGREE_MAX, &out->dp, err));
    UAP_TRY(opt_i32(object, "fsdp", 1, DEGREE_MAX, &out->fsdp, err));
    UAP_TRY(opt_i32(object, "tp", 1, DEGREE_MAX, &out->tp, err));
    UAP_TRY(opt_i32(object, "zero", 0, 3, &zero, err));
    UAP_TRY(uap_jopt_bool(object, "sp", &out->sp, err));
    UAP_TRY(uap_jopt_bool(object, "recompute", &out->recompute, err));
    if (zero == 3 && out->fsdp == 1) {
        rc = uap_jfail(object, err,
                       "zero: found 3 with fsdp 1, expected the sharding degree in fsdp");
        goto done;
    }
    out->zero = (int8_t)(zero == 3 ? 0 : zero); /* fsdp says it already */
done:
    return rc;
}

static uap_status read_layer(uap_plan *plan, const uap_jval *object, int32_t u,
                             int32_t stage, uap_err *err)
{
    static const char *const keys[] = {"name", "type", "stage", "strategy",
                                       "strategy_name"};
    uap_status rc = UAP_OK;
    uap_plan_layer *layer = &plan->layer[u];
    uap_jval strategy;
    layer->stage = stage;
    UAP_TRY(uap_jcheck_keys(object, keys, N_KEYS(keys), err));
    UAP_TRY(opt_string(plan, object, "name", &layer->name, err));
    UAP_TRY(opt_string(plan, object, "type", &layer->type, err));
    UAP_TRY(opt_i32(object, "stage", stage, stage, &layer->stage, err));
    UAP_TRY(opt_string(plan, object, "strategy_name", &layer->strategy_name, err));
    /* A plan for a bare instance has only the instance's own names. */
    layer->has_strategy =
        layer->strategy_name == NULL || uap_jfind(object, "strategy", &strategy);
    if (layer->has_strategy) {
        UAP_TRY(uap_jget(object, "strategy", UAP_JSON_OBJECT, &strategy, err));
        UAP_TRY(read_strategy(&strategy, &layer->strategy, err));
    }
done:
    return rc;
}

static uap_status read_stages_and_layers(uap_plan *plan, const uap_jval *root,
                                         uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_jval stages, layers;
    UAP_TRY(uap_jget(root, "stages", UAP_JSON_ARRAY, &stages, err));
    UAP_TRY(uap_jget(root, "layers", UAP_JSON_ARRAY, &layers, err));
    const size_t n_layers = uap_jlen(&layers);
    const int32_t pp = plan->pp;
    if (uap_jlen(&stages) != (size_t)pp) {
        rc = uap_jfail(&stages, err, "stages: found %zu, expected as many as pp, %d",
                       uap_jlen(&stages), (int)pp);
        goto done;
    }
    if (n_layers < (size_t)pp || n_layers >= (size_t)COUNT_MAX) {
        rc = uap_jfail(&layers, err, "layers: found %zu, expected at least one per stage",
                       n_layers);
        goto done;
    }
    if (!uap_plan_shape(plan, pp, (int32_t)n_layers)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory reading a plan");
        goto done;
    }
    for (int32_t i = 0; i < pp; i++) {
        const uap_jval object = uap_jat(&stages, (size_t)i);
        UAP_TRY(read_stage(plan, &object, i, err));
        for (int32_t u = plan->stage[i].first_layer; u <= plan->stage[i].last_layer;
             u++) {
            const uap_jval layer = uap_jat(&layers, (size_t)u);
            UAP_TRY(read_layer(plan, &layer, u, i, err));
        }
    }
    if (plan->device_count < 0 && plan->layer[0].has_strategy) {
        const uap_strategy *first = &plan->layer[0].strategy;
        int64_t count = 0;
        if (!__builtin_mul_overflow((int64_t)first->dp * first->fsdp,
                                    (int64_t)first->tp * pp, &count)) {
            plan->device_count = count;
        }
    }
done:
    return rc;
}

static uap_status read_schedule(const uap_jval *object, uap_schedule *out, uap_err *err)
{
    const char *text = NULL;
    const uap_status rc = uap_jget_str(object, "schedule", &text, err);
    if (rc == UAP_OK && !uap_schedule_by_name(text, out)) {
        uap_jval value;
        (void)uap_jfind(object, "schedule", &value);
        return uap_jfail(&value, err,
                         "schedule: found \"%.40s\", expected gpipe, 1f1b or 1f1b-eager",
                         text);
    }
    return rc;
}

/* What an executable plan holds beside what every plan holds. */
static uap_status read_answer(uap_plan *plan, const uap_jval *root, uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t pp = 0;
    UAP_TRY(read_schedule(root, &plan->schedule, err));
    UAP_TRY(uap_jget_i64(root, "pp", 1, COUNT_MAX - 1, &pp, err));
    plan->pp = (int32_t)pp;
    UAP_TRY(uap_jget_i64(root, "micro_batches", 1, COUNT_MAX, &plan->micro_batches, err));
    UAP_TRY(uap_jopt_f64(root, "tpi_s", 0, TIME_MAX, &plan->tpi_s, err));
    UAP_TRY(uap_jopt_f64(root, "bound_s", 0, TIME_MAX, &plan->bound_s, err));
    UAP_TRY(uap_jopt_f64(root, "gap", 0, 1, &plan->gap, err));
    UAP_TRY(uap_jopt_f64(root, "throughput_samples_per_s", 0, TIME_MAX,
                         &plan->throughput_samples_per_s, err));
    UAP_TRY(read_stages_and_layers(plan, root, err));
done:
    return rc;
}

static uap_status read_needs(uap_plan *plan, const uap_jval *root, uap_err *err)
{
    static const char *const keys[] = {"schedule",      "pp",
                                       "micro_batches", "stage",
                                       "first_layer",   "last_layer",
                                       "memory_bytes",  "memory_cap_bytes",
                                       "device_count",  "device_memory_bytes"};
    uap_status rc = UAP_OK;
    uap_plan_needs *needs = &plan->needs;
    uap_jval object;
    UAP_TRY(opt_string(plan, root, "reason", &plan->reason, err));
    if (!uap_jfind(root, "needs", &object)) {
        goto done;
    }
    needs->known = true;
    UAP_TRY(uap_jcheck_keys(&object, keys, N_KEYS(keys), err));
    UAP_TRY(read_schedule(&object, &needs->schedule, err));
    UAP_TRY(opt_i32(&object, "pp", 1, COUNT_MAX - 1, &needs->pp, err));
    UAP_TRY(
        uap_jopt_i64(&object, "micro_batches", 1, COUNT_MAX, &needs->micro_batches, err));
    UAP_TRY(opt_i32(&object, "stage", 0, COUNT_MAX - 1, &needs->stage, err));
    UAP_TRY(opt_i32(&object, "first_layer", 0, COUNT_MAX - 1, &needs->first_layer, err));
    UAP_TRY(opt_i32(&object, "last_layer", 0, COUNT_MAX - 1, &needs->last_layer, err));
    UAP_TRY(
        uap_jopt_i64(&object, "memory_bytes", 0, BYTES_MAX, &needs->memory_bytes, err));
    UAP_TRY(uap_jopt_i64(&object, "memory_cap_bytes", 0, BYTES_MAX,
                         &needs->memory_cap_bytes, err));
    UAP_TRY(uap_jopt_i64(&object, "device_memory_bytes", 0, BYTES_MAX,
                         &needs->device_memory_bytes, err));
    UAP_TRY(
        uap_jopt_i64(&object, "device_count", 1, COUNT_MAX, &needs->device_count, err));
done:
    return rc;
}

static uap_status read_space(const uap_jval *object, uint32_t *space, uap_err *err)
{
    const char *text = NULL;
    const uap_status rc = uap_jopt_str(object, "space", &text, err);
    if (rc == UAP_OK && text != NULL && !uap_space_by_names(text, space)) {
        uap_jval value;
        (void)uap_jfind(object, "space", &value);
        return uap_jfail(&value, err,
                         "space: found \"%.60s\", expected names of dimensions separated "
                         "by commas, all or paper",
                         text);
    }
    return rc;
}

/* The options whose values are names. */
static uap_status read_named_options(const uap_jval *object, uap_plan_options *options,
                                     uap_err *err)
{
    static const char *const precisions[] = {"fp32", "bf16", "fp16"};
    static const char *const optimizers[] = {"adam", "sgd"};
    static const char *const schedules[] = {"gpipe", "1f1b", "1f1b-eager", "all"};
    static const char *const costs[] = {"full", "paper"};
    static const char *const granularities[] = {"block", "operator"};
    static const char *const engines[] = {"exact", "cbc"};
    static const char *const targets[] = {"none", "megatron", "deepspeed", "torchtitan"};
    uap_cost_options *cost = &options->cost;
    uap_status rc = UAP_OK;
    int precision = (int)cost->precision, optimizer = (int)cost->optimizer;
    int model = (int)cost->cost, granularity = 0, engine = 0, schedule = -1, target = 0;
    UAP_TRY(opt_choice(object, "precision", precisions, 3, &precision, err));
    UAP_TRY(opt_choice(object, "optimizer", optimizers, 2, &optimizer, err));
    UAP_TRY(opt_choice(object, "schedule", schedules, 4, &schedule, err));
    UAP_TRY(opt_choice(object, "cost", costs, 2, &model, err));
    UAP_TRY(opt_choice(object, "granularity", granularities, 2, &granularity, err));
    UAP_TRY(opt_choice(object, "engine", engines, 2, &engine, err));
    UAP_TRY(opt_choice(object, "for", targets, UAP_TARGET_COUNT, &target, err));
    UAP_TRY(read_space(object, &cost->space, err));
    cost->precision = (uap_precision)precision;
    cost->optimizer = (uap_optimizer)optimizer;
    cost->cost = (uap_cost_model)model;
    if (schedule >= 0) {
        cost->schedules = schedule == UAP_SCHEDULE_COUNT ? (1u << UAP_SCHEDULE_COUNT) - 1
                                                         : 1u << schedule;
    }
    options->operator_granularity = granularity == 1;
    options->engine = (uap_engine)engine;
    options->target = (uap_target)target;
done:
    return rc;
}

static uap_status read_options(uap_plan *plan, const uap_jval *root, uap_err *err)
{
    static const char *const keys[] = {"precision",
                                       "optimizer",
                                       "schedule",
                                       "cost",
                                       "space",
                                       "granularity",
                                       "devices",
                                       "memory_bytes",
                                       "reserve_bytes",
                                       "engine",
                                       "tp_across_nodes",
                                       "gap",
                                       "time_limit_s",
                                       "seed",
                                       "memory_limit_bytes",
                                       "for"};
    uap_plan_options *options = &plan->options;
    uap_cost_options *cost = &options->cost;
    uap_status rc = UAP_OK;
    uap_jval object;
    if (!uap_jfind(root, "options", &object)) {
        return UAP_OK;
    }
    options->stated = true;
    UAP_TRY(uap_jcheck_keys(&object, keys, N_KEYS(keys), err));
    UAP_TRY(read_named_options(&object, options, err));
    UAP_TRY(uap_jopt_i64(&object, "devices", 1, COUNT_MAX, &cost->devices, err));
    UAP_TRY(
        uap_jopt_i64(&object, "memory_bytes", 1, BYTES_MAX, &cost->memory_bytes, err));
    UAP_TRY(
        uap_jopt_i64(&object, "reserve_bytes", 0, BYTES_MAX, &cost->reserve_bytes, err));
    UAP_TRY(uap_jopt_bool(&object, "tp_across_nodes", &cost->tp_across_nodes, err));
    UAP_TRY(
        uap_jopt_f64(&object, "time_limit_s", 0, TIME_MAX, &options->time_limit_s, err));
    UAP_TRY(uap_jopt_f64(&object, "gap", 0, 1, &options->gap, err));
    UAP_TRY(uap_jopt_i64(&object, "memory_limit_bytes", 0, BYTES_MAX,
                         &options->memory_limit_bytes, err));
    UAP_TRY(uap_jopt_i64(&object, "seed", 0, INT64_MAX, &options->seed, err));
done:
    return rc;
}

static uap_status read_search(uap_plan *plan, const uap_jval *root, uap_err *err)
{
    uap_plan_search *search = &plan->search;
    uap_status rc = UAP_OK;
    uap_jval object;
    static const char *const engines[] = {"exact", "cbc"};
    int engine = 0;
    if (!uap_jfind(root, "search", &object)) {
        return UAP_OK;
    }
    search->stated = true;
    UAP_TRY(uap_jopt_f64(&object, "wall_s", 0, TIME_MAX, &search->wall_s, err));
    UAP_TRY(uap_jopt_f64(&object, "cpu_s", 0, TIME_MAX, &search->cpu_s, err));
    const struct {
        const char *key;
        int64_t *out;
    } count[] = {{"ranks", &search->ranks},
                 {"nodes", &search->nodes},
                 {"configurations", &search->configurations},
                 {"illegal", &search->illegal},
                 {"infeasible", &search->infeasible},
                 {"pruned_by_bound", &search->pruned_by_bound},
                 {"labels", &search->labels},
                 {"linear_programs", &search->programs},
                 {"cbc_runs", &search->cbc_runs}};
    for (size_t i = 0; i < N_KEYS(count); i++) {
        UAP_TRY(uap_jopt_i64(&object, count[i].key, 0, INT64_MAX, count[i].out, err));
    }
    UAP_TRY(opt_choice(&object, "engine", engines, 2, &engine, err));
    search->engine = (uap_engine)engine;
done:
    return rc;
}

static uap_status read_warnings(uap_plan *plan, const uap_jval *root, uap_err *err)
{
    uap_jval warnings;
    if (!uap_jfind(root, "warnings", &warnings)) {
        return UAP_OK;
    }
    uap_status rc = UAP_OK;
    UAP_TRY(uap_jget(root, "warnings", UAP_JSON_ARRAY, &warnings, err));
    for (size_t i = 0; i < uap_jlen(&warnings); i++) {
        const uap_jval value = uap_jat(&warnings, i);
        const char *text = NULL;
        UAP_TRY(uap_jas_str(&value, &text, err));
        if (!uap_plan_warn(plan, text)) {
            rc = UAP_FAIL(err, NO_MEMORY, "out of memory reading a plan");
            goto done;
        }
    }
done:
    return rc;
}

static uap_status read_header(uap_plan *plan, const uap_jval *root, uap_err *err)
{
    static const char *const keys[] = {
        "format",  "version", "status",       "tpi_s",
        "bound_s", "gap",     "batch",        "throughput_samples_per_s",
        "seq",     "pp",      "schedule",     "micro_batches",
        "options", "model",   "device_count", "warnings",
        "cluster", "stages",  "layers",       "search",
        "reason",  "needs",   "instance"};
    static const char *const statuses[] = {"optimal", "feasible", "infeasible"};
    uap_status rc = UAP_OK;
    const char *format = NULL;
    int64_t version = 0;
    int status = -1;
    UAP_TRY(uap_jget_str(root, "format", &format, err));
    if (strcmp(format, "uniap-plan") != 0) {
        uap_jval value;
        (void)uap_jfind(root, "format", &value);
        rc = uap_jfail(&value, err, "format: found \"%.40s\", expected \"uniap-plan\"",
                       format);
        goto done;
    }
    UAP_TRY(uap_jget_i64(root, "version", 1, 1, &version, err));
    UAP_TRY(uap_jcheck_keys(root, keys, N_KEYS(keys), err));
    UAP_TRY(opt_choice(root, "status", statuses, 3, &status, err));
    plan->status = (uap_plan_status)(status + 1);
    UAP_TRY(read_input(plan, root, "instance", &plan->instance, err));
    if (plan->instance.name == NULL) {
        UAP_TRY(uap_jget_i64(root, "batch", 1, COUNT_MAX, &plan->batch, err));
    }
    UAP_TRY(uap_jopt_i64(root, "seq", 1, COUNT_MAX, &plan->seq, err));
    UAP_TRY(uap_jopt_i64(root, "device_count", 1, COUNT_MAX, &plan->device_count, err));
done:
    return rc;
}

static uap_status read_plan(uap_plan *plan, const uap_jval *root, uap_err *err)
{
    uap_status rc = UAP_OK;
    if (uap_jtype_of(root) != UAP_JSON_OBJECT) {
        return uap_jfail(root, err, "found no object, expected a plan");
    }
    UAP_TRY(read_header(plan, root, err));
    if (plan->status == UAP_PLAN_INFEASIBLE) {
        UAP_TRY(read_needs(plan, root, err));
    } else {
        UAP_TRY(read_answer(plan, root, err));
    }
    UAP_TRY(read_warnings(plan, root, err));
    UAP_TRY(read_options(plan, root, err));
    UAP_TRY(read_input(plan, root, "model", &plan->model, err));
    UAP_TRY(read_input(plan, root, "cluster", &plan->cluster, err));
    UAP_TRY(read_search(plan, root, err));
done:
    return rc;
}

uap_status uap_plan_load(const char *path, uap_plan **out, uap_err *err)
{
    uap_json *doc = NULL;
    uap_plan *plan = NULL;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_json_load(path, PLAN_BYTES_MAX, &doc, err));
    plan = uap_plan_new();
    if (plan == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory reading a plan");
        goto done;
    }
    const uap_jval root = uap_json_root(doc);
    UAP_TRY(read_plan(plan, &root, err));
    *out = plan;
    plan = NULL;
done:
    uap_plan_free(plan);
    uap_json_free(doc);
    return rc;
}
