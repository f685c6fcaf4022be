/* From rows and a micro-batch to an instance: integer tables per kind of layer, edges through
 * layouts, live tensors and ties (docs/cost-model.md, sections 4 to 9). */
#include "search/cost_internal.h"

#include <math.h>
#include <string.h>

/* A table under construction, with what edges need to know of it. */
typedef struct built_table {
    uap_layer_table *table;
    int32_t n_classes;
    int32_t *layout;   /* [n_classes] the stage's layout behind a class */
    int32_t *class_of; /* [n] class of a strategy */
} built_table;

/* One configuration while it is built. */
typedef struct build {
    uap_cost *cost;
    const cost_stage *stage;
    const uap_configuration *configuration;
    int64_t micro_batch; /* b */
    uap_instance *instance;
    built_table *built; /* [n_kinds] */
} build;

/* The numbers of one strategy, as a table holds them. */
typedef struct entry {
    int64_t fwd, bwd, grad, state, act, work;
    int32_t origin, layout;
} entry;

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "no memory for an instance");
}

static int64_t *alloc_i64(const build *b, size_t n)
{
    return uap_arena_alloc(b->instance->arena, n, sizeof(int64_t));
}

static int32_t *alloc_i32(const build *b, size_t n)
{
    return uap_arena_alloc(b->instance->arena, n, sizeof(int32_t));
}

/* ---- Entries ----------------------------------------------------------------------------- */

/* Seconds that communication x and compute y take together. */
static double both(const uap_cluster *cluster, double x, double y)
{
    const double sc = cluster->compute_slowdown, sm = cluster->communication_slowdown;
    const double together =
        x * sm <= y * sc ? x * sm + (y - x * sm / sc) : y * sc + (x - y * sc / sm);
    return fmin(x + y, together);
}

static void make_entry(const build *b, const cost_row *row, double samples,
                       const double seconds[2], entry *out)
{
    const uap_cluster *cluster = b->cost->cluster;
    const bool is_paper = b->cost->is_paper;
    const double forward = seconds[0];
    const double backward =
        (is_paper ? 2.0 * forward : seconds[1]) + (row->recompute ? forward : 0.0);
    const double per_step =
        (row->sync + row->after) / (double)b->configuration->micro_batches;
    const double hide_bwd = row->hide_bwd + (is_paper ? per_step : 0.0);
    const double fwd =
        both(cluster, row->hide_fwd, forward) + (row->tf + samples * row->tf_per_sample);
    const double bwd =
        both(cluster, hide_bwd, backward) + (row->tb + samples * row->tb_per_sample);
    out->origin = row->origin;
    out->state = row->state;
    out->act = cost_bytes(samples * row->act_per_sample);
    out->work = cost_bytes(row->work + samples * row->work_per_sample);
    if (is_paper) {
        out->fwd = cost_ticks(fwd + bwd);
        out->bwd = 0;
        out->grad = 0;
        return;
    }
    const double room = fmax(0.0, backward - row->hide_bwd);
    const double rest = both(cluster, row->sync, room) - room;
    out->fwd = cost_ticks(fwd);
    out->bwd = cost_ticks(bwd);
    out->grad = cost_ticks(fmax(0.0, rest) + row->after + row->once);
}

static bool entry_covers(const entry *a, const entry *b)
{
    return a->fwd <= b->fwd && a->bwd <= b->bwd && a->grad <= b->grad &&
           a->state <= b->state && a->act <= b->act && a->work <= b->work;
}

/* As block_insert of cost_stage.c, on integers; of equal entries the first stays. */
static int32_t entry_insert(const build *b, const cost_kind *kind, entry *block,
                            int32_t n, const entry *added)
{
    const int32_t *tie = b->stage->tie_class;
    int32_t kept = 0;
    for (int32_t i = 0; i < n; i++) {
        const bool comparable =
            !kind->is_tied || tie[block[i].origin] == tie[added->origin];
        if (comparable && entry_covers(&block[i], added)) {
            return n;
        }
        if (!comparable || !entry_covers(added, &block[i])) {
            block[kept++] = block[i];
        }
    }
    block[kept++] = *added;
    return kept;
}

/* All entries of a kind for this micro-batch; returns their number. */
static int32_t list_entries(const build *b, int32_t k, entry *out)
{
    const cost_stage *stage = b->stage;
    const cost_rows *rows = &stage->rows[k];
    int32_t n = 0;
    for (int32_t l = 0; l < stage->n_layouts; l++) {
        const int64_t ways = stage->scope.stage_devices / stage->layout[l].tp;
        double seconds[2];
        int32_t length = 0;
        if (rows->begin[l] == rows->begin[l + 1] || b->micro_batch % ways != 0) {
            continue;
        }
        const double samples = (double)(b->micro_batch / ways);
        cost_time_at(&rows->time[l], samples, &seconds[0], &seconds[1]);
        for (int32_t r = rows->begin[l]; r < rows->begin[l + 1]; r++) {
            entry added = {.layout = l};
            make_entry(b, &rows->row[r], samples, seconds, &added);
            length = entry_insert(b, &b->cost->kind[k], &out[n], length, &added);
        }
        n += length;
    }
    return n;
}

/* ---- Tables ------------------------------------------------------------------------------ */

static bool table_alloc(const build *b, uap_layer_table *table, int32_t n)
{
    const size_t rows = (size_t)n;
    int64_t *numbers = alloc_i64(b, 6 * rows);
    table->n = n;
    table->name = uap_arena_alloc(b->instance->arena, rows, sizeof *table->name);
    table->origin = alloc_i32(b, rows);
    if (numbers == NULL || table->name == NULL || table->origin == NULL) {
        return false;
    }
    table->fwd = numbers;
    table->bwd = numbers + rows;
    table->grad = numbers + 2 * rows;
    table->state = numbers + 3 * rows;
    table->act = numbers + 4 * rows;
    table->work = numbers + 5 * rows;
    return true;
}

static uap_status fill_table(const build *b, const entry *entries, int32_t n,
                             built_table *built, uap_err *err)
{
    uap_layer_table *table = built->table;
    built->layout = alloc_i32(b, (size_t)b->stage->n_layouts);
    built->class_of = alloc_i32(b, (size_t)n);
    if (!table_alloc(b, table, n) || built->layout == NULL || built->class_of == NULL) {
        return no_memory(err);
    }
    for (int32_t i = 0; i < n; i++) {
        table->fwd[i] = entries[i].fwd;
        table->bwd[i] = entries[i].bwd;
        table->grad[i] = entries[i].grad;
        table->state[i] = entries[i].state;
        table->act[i] = entries[i].act;
        table->work[i] = entries[i].work;
        table->origin[i] = entries[i].origin;
        table->name[i] = b->stage->name[entries[i].origin];
        if (i == 0 || entries[i].layout != entries[i - 1].layout) {
            built->layout[built->n_classes++] = entries[i].layout;
        }
        built->class_of[i] = built->n_classes - 1;
    }
    return UAP_OK;
}

/* *legal is false where a kind has no strategy. */
static uap_status build_tables(build *b, bool *legal, uap_err *err)
{
    const uap_cost *cost = b->cost;
    const cost_stage *stage = b->stage;
    uap_instance *instance = b->instance;
    entry *entries = NULL;
    uap_status rc = UAP_OK;
    int32_t most = 0;
    *legal = true;
    for (int32_t k = 0; k < cost->n_kinds; k++) {
        const int32_t n = stage->rows[k].begin[stage->n_layouts];
        most = n > most ? n : most;
    }
    entries = uap_calloc((size_t)most, sizeof *entries);
    instance->n_tables = cost->n_kinds;
    instance->table =
        uap_arena_alloc(instance->arena, (size_t)cost->n_kinds, sizeof *instance->table);
    b->built = uap_arena_alloc(instance->arena, (size_t)cost->n_kinds, sizeof *b->built);
    if (entries == NULL || instance->table == NULL || b->built == NULL) {
        rc = no_memory(err);
        goto done;
    }
    for (int32_t k = 0; k < cost->n_kinds && *legal; k++) {
        const int32_t n = list_entries(b, k, entries);
        b->built[k].table = &instance->table[k];
        *legal = n > 0;
        if (n > 0) {
            UAP_TRY(fill_table(b, entries, n, &b->built[k], err));
        }
    }
done:
    uap_free(entries);
    return rc;
}

/* ---- Edges ------------------------------------------------------------------------------- */

/* Forward and backward halves; with the paper's model the sum is rounded once. */
static void set_halves(const build *b, double forward, double backward, int64_t *fwd,
                       int64_t *bwd)
{
    if (b->cost->is_paper) {
        *fwd = cost_ticks(forward + backward);
        *bwd = 0;
        return;
    }
    *fwd = cost_ticks(forward);
    *bwd = cost_ticks(backward);
}

static uap_status fill_edge(const build *b, const cost_edge *kinds, uap_edge_table *edge,
                            uap_err *err)
{
    const uap_cost *cost = b->cost;
    const cost_stage *stage = b->stage;
    const built_table *from = &b->built[kinds->from], *to = &b->built[kinds->to];
    const uap_layer *layer = &cost->model->layer[cost->kind[kinds->from].layer];
    const double bytes =
        (double)b->micro_batch * layer->output_elems * (double)stage->scope.elem_bytes;
    const size_t pairs = (size_t)from->n_classes * (size_t)to->n_classes;
    int64_t *numbers = alloc_i64(b, 4 * pairs);
    if (numbers == NULL) {
        return no_memory(err);
    }
    *edge = (uap_edge_table){
        .n_from = from->n_classes,
        .n_to = to->n_classes,
        .from_class = from->class_of,
        .to_class = to->class_of,
        .r_fwd = numbers,
        .r_bwd = numbers + pairs,
        .x_fwd = numbers + 2 * pairs,
        .x_bwd = numbers + 3 * pairs,
    };
    for (int32_t i = 0; i < from->n_classes; i++) {
        for (int32_t j = 0; j < to->n_classes; j++) {
            const int32_t s = from->layout[i], t = to->layout[j];
            const int32_t there = s * stage->n_layouts + t;
            const int32_t back = t * stage->n_layouts + s;
            const int32_t at = i * to->n_classes + j;
            set_halves(b, cost_move_s(&stage->move[there], bytes),
                       cost_move_s(&stage->move[back], bytes), &edge->r_fwd[at],
                       &edge->r_bwd[at]);
            set_halves(b, cost_cross_s(&stage->cross[there], bytes),
                       cost_cross_s(&stage->cross[back], bytes), &edge->x_fwd[at],
                       &edge->x_bwd[at]);
        }
    }
    return UAP_OK;
}

static uap_status build_edges(const build *b, uap_err *err)
{
    const uap_cost *cost = b->cost;
    uap_instance *instance = b->instance;
    const size_t n_layers = (size_t)cost->model->n_layers;
    instance->n_layers = cost->model->n_layers;
    instance->n_edges = cost->n_edges;
    instance->edge =
        uap_arena_alloc(instance->arena, (size_t)cost->n_edges, sizeof *instance->edge);
    instance->layer_table = alloc_i32(b, n_layers);
    instance->layer_edge = alloc_i32(b, n_layers);
    if (instance->edge == NULL || instance->layer_table == NULL ||
        instance->layer_edge == NULL) {
        return no_memory(err);
    }
    memcpy(instance->layer_table, cost->layer_kind, n_layers * sizeof(int32_t));
    memcpy(instance->layer_edge, cost->layer_edge, (n_layers - 1) * sizeof(int32_t));
    for (int32_t i = 0; i < cost->n_edges; i++) {
        const uap_status rc = fill_edge(b, &cost->edge[i], &instance->edge[i], err);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    return UAP_OK;
}

/* ---- Live tensors and ties ----------------------------------------------------------------- */

/* Resharding from the producer's strategies to those of one kind of consumer. */
static uap_status fill_live_reads(const build *b, double bytes, const built_table *from,
                                  const built_table *to, int64_t *out[2], uap_err *err)
{
    const cost_stage *stage = b->stage;
    const size_t columns = (size_t)to->table->n;
    const size_t pairs = (size_t)from->table->n * columns;
    out[0] = alloc_i64(b, pairs);
    out[1] = alloc_i64(b, pairs);
    if (out[0] == NULL || out[1] == NULL) {
        return no_memory(err);
    }
    for (int32_t k = 0; k < from->table->n; k++) {
        for (int32_t m = 0; m < to->table->n; m++) {
            const int32_t s = from->layout[from->class_of[k]];
            const int32_t t = to->layout[to->class_of[m]];
            const size_t at = (size_t)k * columns + (size_t)m;
            set_halves(b, cost_move_s(&stage->move[s * stage->n_layouts + t], bytes),
                       cost_move_s(&stage->move[t * stage->n_layouts + s], bytes),
                       &out[0][at], &out[1][at]);
        }
    }
    return UAP_OK;
}

/* Consumers of one kind share their matrices. */
static uap_status fill_consumers(const build *b, const uap_model_live *tensor,
                                 double bytes, uap_live_tensor *live, uap_err *err)
{
    const uap_cost *cost = b->cost;
    const built_table *from = &b->built[cost->layer_kind[live->from]];
    for (int32_t n = 0; n < tensor->n_readers; n++) {
        const int32_t u = tensor->reader[n];
        int64_t *matrices[2] = {NULL, NULL};
        for (int32_t i = 0; i < live->n_consumers && matrices[0] == NULL; i++) {
            if (cost->layer_kind[live->consumer[i]] == cost->layer_kind[u]) {
                matrices[0] = live->r_fwd[i];
                matrices[1] = live->r_bwd[i];
            }
        }
        if (matrices[0] == NULL) {
            const uap_status rc = fill_live_reads(
                b, bytes, from, &b->built[cost->layer_kind[u]], matrices, err);
            if (rc != UAP_OK) {
                return rc;
            }
        }
        live->consumer[live->n_consumers] = u;
        live->r_fwd[live->n_consumers] = matrices[0];
        live->r_bwd[live->n_consumers] = matrices[1];
        live->n_consumers++;
    }
    return UAP_OK;
}

static uap_status fill_live(const build *b, const uap_model_live *tensor,
                            uap_live_tensor *live, uap_err *err)
{
    const cost_stage *stage = b->stage;
    uap_arena *arena = b->instance->arena;
    const double bytes =
        (double)b->micro_batch * tensor->elems * (double)stage->scope.elem_bytes;
    const built_table *from = &b->built[b->cost->layer_kind[tensor->from]];
    const size_t most = (size_t)tensor->n_readers;
    const size_t rows = (size_t)from->table->n;
    int64_t *numbers = alloc_i64(b, 3 * rows);
    if (numbers == NULL) {
        return no_memory(err);
    }
    *live = (uap_live_tensor){
        .from = tensor->from,
        .consumer = alloc_i32(b, most),
        .r_fwd = uap_arena_alloc(arena, most, sizeof *live->r_fwd),
        .r_bwd = uap_arena_alloc(arena, most, sizeof *live->r_bwd),
        .x_fwd = numbers,
        .x_bwd = numbers + rows,
        .bytes = numbers + 2 * rows,
    };
    if (live->consumer == NULL || live->r_fwd == NULL || live->r_bwd == NULL) {
        return no_memory(err);
    }
    for (size_t k = 0; k < rows; k++) {
        const int32_t s = from->layout[from->class_of[k]];
        const cost_layout *layout = &stage->layout[s];
        const double cross = cost_cross_s(&stage->cross[s * stage->n_layouts + s], bytes);
        set_halves(b, cross, cross, &live->x_fwd[k], &live->x_bwd[k]);
        live->bytes[k] = cost_bytes(bytes * (layout->sp ? 1.0 : (double)layout->tp) /
                                    (double)stage->scope.stage_devices);
    }
    return fill_consumers(b, tensor, bytes, live, err);
}

static uap_status build_live(const build *b, uap_err *err)
{
    const uap_model *model = b->cost->model;
    uap_instance *instance = b->instance;
    uap_status rc = UAP_OK;
    instance->live =
        uap_arena_alloc(instance->arena, (size_t)model->n_live, sizeof *instance->live);
    if (instance->live == NULL) {
        return no_memory(err);
    }
    for (int32_t t = 0; t < model->n_live && rc == UAP_OK; t++) {
        rc = fill_live(b, &model->live[t], &instance->live[instance->n_live++], err);
    }
    return rc;
}

static int32_t *tie_classes(const build *b, int32_t layer)
{
    const uap_layer_table *table = b->built[b->cost->layer_kind[layer]].table;
    int32_t *classes = alloc_i32(b, (size_t)table->n);
    for (int32_t i = 0; classes != NULL && i < table->n; i++) {
        classes[i] = b->stage->tie_class[table->origin[i]];
    }
    return classes;
}

static uap_status build_ties(const build *b, uap_err *err)
{
    const uap_model *model = b->cost->model;
    uap_instance *instance = b->instance;
    instance->tie =
        uap_arena_alloc(instance->arena, (size_t)model->n_ties, sizeof *instance->tie);
    if (instance->tie == NULL) {
        return no_memory(err);
    }
    instance->n_ties = model->n_ties;
    for (int32_t i = 0; i < model->n_ties; i++) {
        uap_tie *tie = &instance->tie[i];
        tie->a = model->tie[i][0];
        tie->b = model->tie[i][1];
        tie->class_a = tie_classes(b, tie->a);
        tie->class_b = tie_classes(b, tie->b);
        if (tie->class_a == NULL || tie->class_b == NULL) {
            return no_memory(err);
        }
    }
    return UAP_OK;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static uap_status build_head(const build *b, uap_err *err)
{
    const uap_configuration *configuration = b->configuration;
    uap_instance *instance = b->instance;
    const size_t pp = (size_t)configuration->pp;
    instance->objective = b->cost->is_paper ? UAP_OBJECTIVE_SIMPLE : UAP_OBJECTIVE_FULL;
    instance->schedule = configuration->schedule;
    instance->pp = configuration->pp;
    instance->micro_batches = (int32_t)configuration->micro_batches;
    instance->cap = alloc_i64(b, pp);
    instance->inflight = alloc_i64(b, pp);
    if (instance->cap == NULL || instance->inflight == NULL) {
        return no_memory(err);
    }
    for (int32_t i = 0; i < configuration->pp; i++) {
        instance->cap[i] = b->cost->cap;
        instance->inflight[i] = uap_schedule_inflight(
            configuration->schedule, configuration->pp, i, configuration->micro_batches);
    }
    return UAP_OK;
}

/* The stage of that many stages, filled when it is asked for first. */
static uap_status find_stage(uap_cost *cost, int32_t pp, const cost_stage **out,
                             uap_err *err)
{
    for (int32_t i = 0; i < cost->n_stages; i++) {
        cost_stage *stage = &cost->stage[i];
        if (stage->scope.stage_devices * pp == cost->devices) {
            *out = stage;
            return stage->is_ready ? UAP_OK : cost_stage_fill(cost, stage, err);
        }
    }
    return UAP_FAIL(err, INTERNAL, "no stage list for pp %d", pp);
}

uap_status cost_build(uap_cost *cost, const uap_configuration *configuration,
                      uap_instance **out, uap_err *err)
{
    build b = {.cost = cost, .configuration = configuration};
    bool legal = true;
    uap_status rc = UAP_OK;
    *out = NULL;
    b.micro_batch = cost->options.batch / configuration->micro_batches;
    UAP_TRY(find_stage(cost, configuration->pp, &b.stage, err));
    b.instance = uap_instance_new();
    if (b.instance == NULL) {
        return no_memory(err);
    }
    UAP_TRY(build_tables(&b, &legal, err));
    if (legal) {
        UAP_TRY(build_head(&b, err));
        UAP_TRY(build_edges(&b, err));
        UAP_TRY(build_live(&b, err));
        UAP_TRY(build_ties(&b, err));
        *out = b.instance;
        b.instance = NULL;
    }
done:
    uap_instance_free(b.instance);
    return rc;
}
