/* Sums over stages: layers, the resharding between them, boundaries, live tensors, memory.
 * docs/cost-model.md sections 6, 8, 9 and 10. */
#include "plan/check_internal.h"

#include <inttypes.h>

/* What a stage gathers on the way. */
typedef struct walk {
    const uap_check_setting *setting;
    const uap_plan *plan;
    uap_check_stage *stage;
    int64_t per_micro_batch; /* bytes of the stage in work, for each one in flight */
    int64_t states, work;
} walk;

static uap_check_layout layout_of(const uap_plan *plan, int32_t u)
{
    const uap_strategy *strategy = &plan->layer[u].strategy;
    return (uap_check_layout){strategy->tp, strategy->sp};
}

/* Adds a forward and backward pair; --cost paper rounds their sum once. */
static uap_status add_pair(const uap_check_setting *setting, double forward,
                           double backward, int64_t *fwd, int64_t *bwd, uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t f = 0, b = 0;
    if (setting->paper) {
        UAP_TRY(uap_check_ticks(forward + backward, &f, err));
    } else {
        UAP_TRY(uap_check_ticks(forward, &f, err));
        UAP_TRY(uap_check_ticks(backward, &b, err));
    }
    if (__builtin_add_overflow(*fwd, f, fwd) || __builtin_add_overflow(*bwd, b, bwd)) {
        rc = UAP_FAIL(err, TOO_LARGE, "a stage's time: found 2^63 ticks or more");
    }
done:
    return rc;
}

static uap_status add_bytes(int64_t *sum, int64_t bytes, uap_err *err)
{
    if (__builtin_add_overflow(*sum, bytes, sum)) {
        return UAP_FAIL(err, TOO_LARGE, "a stage's memory: found 2^63 bytes or more");
    }
    return UAP_OK;
}

/* Between layer u and the one behind it, in one stage or across a boundary. */
static uap_status add_edge(const walk *w, int32_t u, bool is_boundary, uap_err *err)
{
    const int32_t i = w->plan->layer[u].stage;
    const uap_check_setting *setting = uap_check_at(w->setting, i);
    uap_check_stage *stage = &w->stage[i];
    const uap_check_layout s = layout_of(w->plan, u), t = layout_of(w->plan, u + 1);
    const double bytes =
        (double)setting->samples * setting->model->layer[u].output_elems * setting->elem;
    if (is_boundary) {
        const uap_check_setting *next = uap_check_at(w->setting, i + 1);
        return add_pair(setting, uap_check_cross(setting, next, bytes, s, t),
                        uap_check_cross(next, setting, bytes, t, s), &stage->send_fwd,
                        &stage->send_bwd, err);
    }
    return add_pair(setting, uap_check_move(setting, bytes, s, t),
                    uap_check_move(setting, bytes, t, s), &stage->fwd, &stage->bwd, err);
}

/* One live tensor in stage i: its readers, its memory, the boundary behind the stage. */
static uap_status add_live(walk *w, const uap_model_live *live, int32_t i, uap_err *err)
{
    const uap_check_setting *setting = w->setting;
    const uap_plan_stage *where = &w->plan->stage[i];
    uap_check_stage *stage = &w->stage[i];
    uap_status rc = UAP_OK;
    const int32_t last = live->reader[live->n_readers - 1];
    const uap_check_layout s = layout_of(w->plan, live->from);
    const double bytes = (double)setting->samples * live->elems * setting->elem;
    for (int32_t n = 0; n < live->n_readers; n++) {
        const int32_t u = live->reader[n];
        if (u < where->first_layer || u > where->last_layer) {
            continue;
        }
        const uap_check_layout t = layout_of(w->plan, u);
        UAP_TRY(add_pair(setting, uap_check_move(setting, bytes, s, t),
                         uap_check_move(setting, bytes, t, s), &stage->fwd, &stage->bwd,
                         err));
    }
    if (where->last_layer > live->from && where->first_layer <= last) {
        const double held = uap_check_held(setting, bytes, s);
        const int64_t down = (int64_t)held;
        UAP_TRY(add_bytes(&w->per_micro_batch, down + ((double)down < held), err));
    }
    if (where->last_layer >= live->from && where->last_layer < last &&
        i < setting->pp - 1) {
        const double cross = uap_check_cross(setting, setting, bytes, s, s);
        UAP_TRY(add_pair(setting, cross, cross, &stage->send_fwd, &stage->send_bwd, err));
    }
done:
    return rc;
}

/* Section 13: the tensor lies in even slices everywhere, whatever its producer's layout. */
static uap_status add_live_in_slices(walk *w, const uap_model_live *live, int32_t i,
                                     uap_err *err)
{
    const uap_check_setting *setting = uap_check_at(w->setting, i);
    const uap_plan_stage *where = &w->plan->stage[i];
    const int32_t last = live->reader[live->n_readers - 1];
    const double bytes = (double)setting->samples * live->elems * setting->elem;
    uap_check_stage *stage = &w->stage[i];
    uap_status rc = UAP_OK;
    for (int32_t n = -1; n < live->n_readers; n++) {
        const int32_t u = n < 0 ? live->from : live->reader[n];
        if (u < where->first_layer || u > where->last_layer) {
            continue;
        }
        const uap_check_layout t = layout_of(w->plan, u);
        const uap_check_layout slices = {t.tp, true};
        const double gather = t.tp > 1 ? uap_check_move(setting, bytes, slices, t) : 0.0;
        UAP_TRY(add_pair(setting, n < 0 ? 0.0 : gather, n < 0 ? gather : 0.0, &stage->fwd,
                         &stage->bwd, err));
    }
    if (where->last_layer > live->from && where->first_layer <= last) {
        const double slice = bytes / (double)setting->stage_devices;
        const int64_t down = (int64_t)slice;
        UAP_TRY(add_bytes(&w->per_micro_batch, down + ((double)down < slice), err));
    }
    if (where->last_layer >= live->from && where->last_layer < last) {
        const double send =
            uap_check_send(setting, uap_check_at(w->setting, i + 1), 1, bytes);
        UAP_TRY(add_pair(setting, send, send, &stage->send_fwd, &stage->send_bwd, err));
    }
done:
    return rc;
}

/* Section 13: what layer u pays to stay equal with the layers it is tied to, each rounded
 * apart. */
static uap_status add_ties(walk *w, int32_t u, uap_err *err)
{
    const uap_model *model = w->setting->model;
    const int32_t i = w->plan->layer[u].stage;
    const uap_check_setting *setting = uap_check_at(w->setting, i);
    uap_status rc = UAP_OK;
    for (int32_t t = 0; t < model->n_ties; t++) {
        const int32_t other = model->tie[t][0] == u   ? model->tie[t][1]
                              : model->tie[t][1] == u ? model->tie[t][0]
                                                      : -1;
        int64_t ticks = 0;
        if (other < 0) {
            continue;
        }
        const int32_t group =
            uap_check_at(w->setting, w->plan->layer[other].stage)->group;
        const double bytes =
            uap_check_tied_bytes(setting, t, &w->plan->layer[u].strategy);
        UAP_TRY(uap_check_ticks(uap_check_tie(setting, group, bytes), &ticks, err));
        if (__builtin_add_overflow(w->stage[i].grad, ticks, &w->stage[i].grad)) {
            rc = UAP_FAIL(err, TOO_LARGE, "a stage's time: found 2^63 ticks or more");
            goto done;
        }
    }
done:
    return rc;
}

static uap_status add_layer(walk *w, int32_t u, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_check_layer cost;
    uap_check_stage *stage = &w->stage[w->plan->layer[u].stage];
    UAP_TRY(uap_check_layer_costs(uap_check_at(w->setting, w->plan->layer[u].stage), u,
                                  &w->plan->layer[u].strategy, &cost, err));
    if (__builtin_add_overflow(stage->fwd, cost.fwd, &stage->fwd) ||
        __builtin_add_overflow(stage->bwd, cost.bwd, &stage->bwd) ||
        __builtin_add_overflow(stage->grad, cost.grad, &stage->grad)) {
        rc = UAP_FAIL(err, TOO_LARGE, "a stage's time: found 2^63 ticks or more");
        goto done;
    }
    if (uap_check_is_mixed(w->setting) && w->setting->pp > 1 && !w->setting->paper) {
        UAP_TRY(add_ties(w, u, err));
    }
    UAP_TRY(add_bytes(&w->states, cost.state, err));
    UAP_TRY(add_bytes(&w->per_micro_batch, cost.act, err));
    w->work = cost.work > w->work ? cost.work : w->work;
done:
    return rc;
}

static uap_status add_stage(walk *w, int32_t i, uap_err *err)
{
    const uap_plan_stage *where = &w->plan->stage[i];
    uap_status rc = UAP_OK;
    int64_t held = 0;
    w->stage[i] = (uap_check_stage){0};
    w->states = w->per_micro_batch = w->work = 0;
    for (int32_t u = where->first_layer; u <= where->last_layer; u++) {
        UAP_TRY(add_layer(w, u, err));
        if (u < where->last_layer || i < w->setting->pp - 1) {
            UAP_TRY(add_edge(w, u, u == where->last_layer, err));
        }
    }
    for (int32_t t = 0; t < w->setting->model->n_live; t++) {
        const uap_model_live *live = &w->setting->model->live[t];
        rc = uap_check_is_mixed(w->setting) ? add_live_in_slices(w, live, i, err)
                                            : add_live(w, live, i, err);
        if (rc != UAP_OK) {
            goto done;
        }
    }
    if (__builtin_mul_overflow(w->per_micro_batch, uap_check_inflight(w->setting, i),
                               &held)) {
        rc = UAP_FAIL(err, TOO_LARGE, "stage %d: %" PRId64 " bytes per micro-batch held",
                      (int)i, w->per_micro_batch);
        goto done;
    }
    UAP_TRY(add_bytes(&held, w->states, err));
    UAP_TRY(add_bytes(&held, w->work, err));
    w->stage[i].memory = held;
done:
    return rc;
}

uap_status uap_check_stages(const uap_check_setting *setting, const uap_plan *plan,
                            uap_check_stage *stage, uap_err *err)
{
    uap_status rc = UAP_OK;
    walk w = {.setting = setting, .plan = plan, .stage = stage};
    for (int32_t i = 0; i < setting->pp; i++) {
        UAP_TRY(add_stage(&w, i, err));
    }
done:
    return rc;
}
