/* Stages of one size: their strategies, and for each kind of layer the rows worth keeping
 * whatever the micro-batch. */
#include "search/cost_internal.h"

#include "common/numbers.h"

#include <string.h>

/* ---- Rows -------------------------------------------------------------------------------- */

/* Seconds for the layer's share of tying all-reduces (docs/cost-model.md, section 7). Of unlike
 * devices they depend on where the other layer is: cost_tie_rows adds them. */
static double tie_seconds(const uap_cost *cost, const cost_stage *stage, int32_t layer,
                          const uap_strategy *strategy)
{
    const uap_model *model = cost->model;
    const uap_dim_scope *scope = &stage->scope;
    double seconds = 0.0;
    if (!scope->is_pipelined || cost->is_mixed) {
        return 0.0;
    }
    for (int32_t i = 0; i < model->n_ties; i++) {
        if (model->tie[i][0] != layer && model->tie[i][1] != layer) {
            continue;
        }
        const int64_t tied =
            uap_layer_local_tied(&model->layer[model->tie[i][1]], strategy->tp);
        const double bytes =
            (double)uap_ceil_div(tied, strategy->fsdp) * (double)scope->elem_bytes;
        seconds += uap_scope_collective_s(scope, UAP_ALL_REDUCE, 2,
                                          scope->devices - scope->stage_devices, bytes);
    }
    return seconds;
}

static cost_row make_row(const uap_cost *cost, const cost_stage *stage,
                         const cost_kind *kind, int32_t origin)
{
    const uap_strategy *strategy = &stage->strategy[origin];
    const uap_layer *layer = &cost->model->layer[kind->layer];
    const int64_t e = stage->scope.elem_bytes;
    const double bandwidth = cost->group[stage->group].device->memory_bandwidth_Bps;
    const double forward_ops = (double)layer->tp_allreduces;
    const double backward_ops =
        (double)layer->tp_allreduces_bwd + (strategy->recompute ? forward_ops : 0.0);
    uap_cost_parts parts;
    uap_strategy_parts(&stage->scope, layer, strategy, &parts);
    cost_row row = {
        .origin = origin,
        .recompute = strategy->recompute,
        .state =
            e * parts.shard + e * parts.gradients + cost->optimizer_bytes * parts.moments,
        .act_per_sample = uap_layer_activation_bytes(layer, (int32_t)e, strategy->tp,
                                                     strategy->sp, strategy->recompute),
        .hide_fwd = parts.hide_fwd_s,
        .hide_bwd = parts.hide_bwd_s,
        .sync = parts.sync_s,
        .after = parts.after_s,
        .tp_fwd = forward_ops,
        .tp_bwd = backward_ops,
        .tp_link = {parts.tp_link[0], parts.tp_link[1]},
        .tp_bytes_per_sample = parts.tp_bytes_per_sample,
    };
    if (!cost->is_paper) {
        row.work = parts.work_bytes;
        row.work_per_sample = parts.work_per_sample;
        row.once = tie_seconds(cost, stage, kind->layer, strategy);
        if (bandwidth > 0.0) {
            row.once += (double)parts.moments * cost->optimizer_moves / bandwidth;
        }
    }
    return row;
}

/* Whether a is at least as good as b in everything, for every micro-batch: every number of a
 * table grows, or stays, with every number here (docs/cost-model.md, 1.2). The links of their
 * exchanges are the same, as both are of one layer and one layout. */
static bool row_covers(const cost_row *a, const cost_row *b)
{
    return a->recompute == b->recompute && a->state <= b->state &&
           a->act_per_sample <= b->act_per_sample && a->work <= b->work &&
           a->work_per_sample <= b->work_per_sample && a->hide_fwd <= b->hide_fwd &&
           a->hide_bwd <= b->hide_bwd && a->sync <= b->sync && a->after <= b->after &&
           a->once <= b->once && a->tp_fwd <= b->tp_fwd && a->tp_bwd <= b->tp_bwd;
}

/* Adds a row to a block of n unless one there covers it; what it covers goes. Returns the
 * new length. Tied layers compare only within a tie class. */
static int32_t block_insert(const cost_stage *stage, const cost_kind *kind,
                            cost_row *block, int32_t n, const cost_row *row)
{
    const int32_t tie = stage->tie_class[row->origin];
    int32_t kept = 0;
    for (int32_t i = 0; i < n; i++) {
        const bool comparable =
            !kind->is_tied || stage->tie_class[block[i].origin] == tie;
        if (comparable && row_covers(&block[i], row)) {
            return n; /* nothing has been dropped: covering is transitive */
        }
        if (!comparable || !row_covers(row, &block[i])) {
            block[kept++] = block[i];
        }
    }
    block[kept++] = *row;
    return kept;
}

static bool suits(const uap_cost *cost, const uap_layer *layer,
                  const uap_strategy *strategy)
{
    const uap_cost_rule *rule = cost->rule;
    return uap_strategy_suits(layer, strategy) &&
           (rule == NULL || rule->allows(rule->context, layer, strategy));
}

static uap_status rows_fill(uap_cost *cost, const cost_stage *stage, int32_t k,
                            cost_row *scratch, uap_err *err)
{
    const cost_kind *kind = &cost->kind[k];
    cost_rows *rows = &stage->rows[k];
    const uap_layer *layer = &cost->model->layer[kind->layer];
    const size_t n_layouts = (size_t)stage->n_layouts;
    int32_t at = 0, n = 0;
    rows->begin = uap_arena_alloc(cost->arena, n_layouts + 1, sizeof *rows->begin);
    rows->time = uap_arena_alloc(cost->arena, n_layouts, sizeof *rows->time);
    if (rows->begin == NULL || rows->time == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu layouts", n_layouts);
    }
    for (int32_t l = 0; l < stage->n_layouts; l++) {
        const cost_layout *layout = &stage->layout[l];
        int32_t length = 0;
        for (; at < stage->n && stage->strategy[at].tp == layout->tp &&
               stage->strategy[at].sp == layout->sp;
             at++) {
            if (suits(cost, layer, &stage->strategy[at])) {
                const cost_row row = make_row(cost, stage, kind, at);
                length = block_insert(stage, kind, &scratch[n], length, &row);
            }
        }
        n += length;
        rows->begin[l + 1] = n;
        if (length > 0) {
            rows->time[l] = cost_time_of(cost, &cost->group[stage->group], k, layout);
        }
    }
    rows->row = uap_arena_alloc(cost->arena, (size_t)n, sizeof *rows->row);
    if (rows->row == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %d rows", n);
    }
    memcpy(rows->row, scratch, (size_t)n * sizeof *rows->row);
    return UAP_OK;
}

/* ---- The stage --------------------------------------------------------------------------- */

/* Numbers the (tp, fsdp) pairs of the strategies, which stand together but for sp: `first`
 * has room for the first strategy of each number. */
static void number_ties(cost_stage *stage, int32_t *first)
{
    int32_t n_classes = 0;
    for (int32_t i = 0; i < stage->n; i++) {
        const uap_strategy *strategy = &stage->strategy[i];
        int32_t class = i > 0 ? stage->tie_class[i - 1] : 0;
        if (i == 0 || strategy->tp != strategy[-1].tp ||
            strategy->fsdp != strategy[-1].fsdp) {
            for (class = 0; class < n_classes; class ++) {
                const uap_strategy *known = &stage->strategy[first[class]];
                if (known->tp == strategy->tp && known->fsdp == strategy->fsdp) {
                    break;
                }
            }
        }
        if (class == n_classes) {
            first[n_classes++] = i;
        }
        stage->tie_class[i] = class;
    }
}

/* Copies the strategies into the arena. */
static uap_status take_strategies(uap_cost *cost, cost_stage *stage, uap_err *err)
{
    uap_strategy *list = NULL;
    int32_t *first = NULL;
    uap_status rc =
        uap_strategies_list(&stage->scope, cost->options.batch, &list, &stage->n, err);
    const size_t n = (size_t)stage->n;
    if (rc != UAP_OK) {
        return rc;
    }
    first = uap_calloc(n, sizeof *first);
    stage->strategy = uap_arena_alloc(cost->arena, n, sizeof *stage->strategy);
    stage->tie_class = uap_arena_alloc(cost->arena, n, sizeof *stage->tie_class);
    stage->name = uap_arena_alloc(cost->arena, n, sizeof *stage->name);
    if (first == NULL || stage->strategy == NULL || stage->tie_class == NULL ||
        stage->name == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for %zu strategies", n);
    } else if (n > 0) {
        memcpy(stage->strategy, list, n * sizeof *list);
        number_ties(stage, first);
    }
    uap_free(first);
    uap_free(list);
    return rc;
}

/* Names the strategies that some row still has. */
static uap_status name_strategies(uap_cost *cost, cost_stage *stage, uap_err *err)
{
    for (int32_t k = 0; k < cost->n_kinds; k++) {
        const cost_rows *rows = &stage->rows[k];
        for (int32_t r = 0; r < rows->begin[stage->n_layouts]; r++) {
            const int32_t origin = rows->row[r].origin;
            if (stage->name[origin] != NULL) {
                continue;
            }
            char *text = uap_arena_alloc(cost->arena, UAP_STRATEGY_NAME, 1);
            if (text == NULL) {
                return UAP_FAIL(err, NO_MEMORY, "no memory for strategy names");
            }
            stage->name[origin] = uap_strategy_name(&stage->strategy[origin], text);
        }
    }
    return UAP_OK;
}

uap_status cost_stage_fill(uap_cost *cost, cost_stage *stage, uap_err *err)
{
    cost_row *scratch = NULL;
    uap_status rc;
    UAP_TRY(take_strategies(cost, stage, err));
    UAP_TRY(cost_layouts_fill(cost, stage, err));
    stage->rows =
        uap_arena_alloc(cost->arena, (size_t)cost->n_kinds, sizeof *stage->rows);
    scratch = uap_calloc((size_t)stage->n, sizeof *scratch);
    if (stage->rows == NULL || scratch == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for %d strategies", stage->n);
        goto done;
    }
    for (int32_t k = 0; k < cost->n_kinds; k++) {
        UAP_TRY(rows_fill(cost, stage, k, scratch, err));
    }
    UAP_TRY(name_strategies(cost, stage, err));
    if (cost_links_failed(stage->scope.links)) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for the links");
        goto done;
    }
    stage->is_ready = true;
done:
    uap_free(scratch);
    return rc;
}
