/* From rows and a micro-batch to an instance: integer tables per kind of layer and edges
 * through layouts (docs/cost-model.md, sections 4 to 9). */
#include "search/cost_build.h"

#include "common/numbers.h"

#include <math.h>
#include <string.h>

/* ---- Entries ----------------------------------------------------------------------------- */

/* Seconds that communication x and compute y take together. */
static double both(const uap_cluster *cluster, double x, double y)
{
    const double sc = cluster->compute_slowdown, sm = cluster->communication_slowdown;
    const double together =
        x * sm <= y * sc ? x * sm + (y - x * sm / sc) : y * sc + (x - y * sc / sm);
    return fmin(x + y, together);
}

/* `times` exchanges between the tensor-parallel ranks of a row. */
static double exchange_s(const cost_row *row, double times, double samples)
{
    double latency = 0.0, per_sample = 0.0;
    for (int i = 0; i < UAP_TP_LINKS && row->tp_link[i] != NULL; i++) {
        const uap_piece line =
            uap_link_line(row->tp_link[i], samples * row->tp_bytes_per_sample);
        latency += line.latency_s;
        per_sample += row->tp_bytes_per_sample / line.bandwidth_Bps;
    }
    return times * latency + samples * (times * per_sample);
}

static void make_entry(const cost_work *b, const cost_row *row, double samples,
                       const double seconds[2], cost_entry *out)
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
        both(cluster, row->hide_fwd, forward) + exchange_s(row, row->tp_fwd, samples);
    const double bwd =
        both(cluster, hide_bwd, backward) + exchange_s(row, row->tp_bwd, samples);
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

static bool entry_covers(const cost_entry *a, const cost_entry *b)
{
    return a->fwd <= b->fwd && a->bwd <= b->bwd && a->grad <= b->grad &&
           a->state <= b->state && a->act <= b->act && a->work <= b->work;
}

/* As block_insert of cost_stage.c, on integers; of equal entries the first stays. */
static int32_t entry_insert(const cost_work *b, const cost_kind *kind, cost_entry *block,
                            int32_t n, const cost_entry *added)
{
    const int32_t *tie = b->type[added->type]->tie_class;
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

/* All entries of a kind for this micro-batch on one type; returns their number. */
static int32_t list_of_type(const cost_work *b, int32_t k, int32_t type, cost_entry *out)
{
    const cost_stage *stage = b->type[type];
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
            cost_entry added = {.layout = l, .type = type};
            make_entry(b, &rows->row[r], samples, seconds, &added);
            length = entry_insert(b, &b->cost->kind[k], &out[n], length, &added);
        }
        n += length;
    }
    return n;
}

static int32_t list_entries(const cost_work *b, int32_t k, cost_entry *out)
{
    int32_t n = 0;
    for (int32_t t = 0; t < b->n_types; t++) {
        n += list_of_type(b, k, t, &out[n]);
    }
    return n;
}

/* ---- Tables ------------------------------------------------------------------------------ */

static bool table_alloc(const cost_work *b, uap_layer_table *table, int32_t n)
{
    const size_t rows = (size_t)n;
    int64_t *numbers = cost_alloc_i64(b, 6 * rows);
    table->n = n;
    table->name = uap_arena_alloc(b->instance->arena, rows, sizeof *table->name);
    table->origin = cost_alloc_i32(b, rows);
    table->type = b->cost->is_mixed ? cost_alloc_i32(b, rows) : NULL;
    if (numbers == NULL || table->name == NULL || table->origin == NULL ||
        (b->cost->is_mixed && table->type == NULL)) {
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

static uap_status fill_table(const cost_work *b, const cost_entry *entries, int32_t n,
                             cost_built *built, uap_err *err)
{
    uap_layer_table *table = built->table;
    built->layout = cost_alloc_i32(b, (size_t)n);
    built->type = cost_alloc_i32(b, (size_t)n);
    built->class_of = cost_alloc_i32(b, (size_t)n);
    built->partner = uap_arena_alloc(b->instance->arena, (size_t)n, sizeof(cost_partner));
    if (!table_alloc(b, table, n) || built->layout == NULL || built->type == NULL ||
        built->class_of == NULL || built->partner == NULL) {
        return cost_no_memory(err);
    }
    for (int32_t i = 0; i < n; i++) {
        const cost_stage *stage = b->type[entries[i].type];
        table->fwd[i] = entries[i].fwd;
        table->bwd[i] = entries[i].bwd;
        table->grad[i] = entries[i].grad;
        table->state[i] = entries[i].state;
        table->act[i] = entries[i].act;
        table->work[i] = entries[i].work;
        built->partner[i] = entries[i].partner;
        table->origin[i] = entries[i].origin;
        table->name[i] = stage->name[entries[i].origin];
        if (table->type != NULL) {
            table->origin[i] += (int32_t)(stage - b->cost->stage) * COST_MAX_STRATEGIES;
            table->type[i] = entries[i].type;
        }
        if (i == 0 || entries[i].layout != entries[i - 1].layout ||
            entries[i].type != entries[i - 1].type) {
            built->type[built->n_classes] = entries[i].type;
            built->layout[built->n_classes++] = entries[i].layout;
        }
        built->class_of[i] = built->n_classes - 1;
    }
    return UAP_OK;
}

/* *legal is false where a kind has no strategy. */
static uap_status build_tables(cost_work *b, bool *legal, uap_err *err)
{
    const uap_cost *cost = b->cost;
    uap_instance *instance = b->instance;
    cost_entry *entries = NULL;
    uap_status rc = UAP_OK;
    int32_t most = 0;
    *legal = true;
    for (int32_t k = 0; k < cost->n_kinds; k++) {
        int32_t n = 0;
        for (int32_t t = 0; t < b->n_types; t++) {
            n += b->type[t]->rows[k].begin[b->type[t]->n_layouts];
        }
        most = n > most ? n : most;
    }
    entries = uap_calloc((size_t)most * cost_tie_room(b), sizeof *entries);
    instance->n_tables = cost->n_kinds;
    instance->table =
        uap_arena_alloc(instance->arena, (size_t)cost->n_kinds, sizeof *instance->table);
    b->built = uap_arena_alloc(instance->arena, (size_t)cost->n_kinds, sizeof *b->built);
    if (entries == NULL || instance->table == NULL || b->built == NULL) {
        rc = cost_no_memory(err);
        goto done;
    }
    for (int32_t k = 0; k < cost->n_kinds && *legal; k++) {
        int32_t n = list_entries(b, k, entries);
        n = cost_tie_rows(b, k, entries, n);
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

void cost_set_halves(const cost_work *b, double forward, double backward, int64_t *fwd,
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

/* One entry of an edge: from class i of one table to class j of the next. */
static bool fill_pair(const cost_work *b, double bytes, const cost_built *from, int32_t i,
                      const cost_built *to, int32_t j, uap_edge_table *edge)
{
    cost_stage *here = b->type[from->type[i]], *there = b->type[to->type[j]];
    const int32_t s = from->layout[i], t = to->layout[j];
    const int32_t at = i * to->n_classes + j;
    const cost_cross *on = cost_boundary_of(b->cost, here, there, bytes);
    const cost_cross *back = cost_boundary_of(b->cost, there, here, bytes);
    const cost_move *move = here == there ? cost_moves_of(b->cost, here, bytes) : NULL;
    if (on == NULL || back == NULL || (here == there && move == NULL)) {
        return false;
    }
    if (here == there) {
        cost_set_halves(b, cost_move_s(&move[s * here->n_layouts + t], bytes),
                        cost_move_s(&move[t * here->n_layouts + s], bytes),
                        &edge->r_fwd[at], &edge->r_bwd[at]);
    }
    cost_set_halves(b, cost_cross_s(&on[s * there->n_layouts + t], bytes),
                    cost_cross_s(&back[t * here->n_layouts + s], bytes), &edge->x_fwd[at],
                    &edge->x_bwd[at]);
    return true;
}

static uap_status fill_edge(const cost_work *b, const cost_edge *kinds,
                            uap_edge_table *edge, uap_err *err)
{
    const uap_cost *cost = b->cost;
    const cost_built *from = &b->built[kinds->from], *to = &b->built[kinds->to];
    const uap_layer *layer = &cost->model->layer[cost->kind[kinds->from].layer];
    const double bytes = (double)b->micro_batch * layer->output_elems *
                         (double)b->type[0]->scope.elem_bytes;
    const size_t pairs = (size_t)from->n_classes * (size_t)to->n_classes;
    int64_t *numbers = cost_alloc_i64(b, 4 * pairs);
    if (numbers == NULL) {
        return cost_no_memory(err);
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
            if (!fill_pair(b, bytes, from, i, to, j, edge)) {
                return cost_no_memory(err);
            }
        }
    }
    return UAP_OK;
}

static uap_status build_edges(const cost_work *b, uap_err *err)
{
    const uap_cost *cost = b->cost;
    uap_instance *instance = b->instance;
    const size_t n_layers = (size_t)cost->model->n_layers;
    instance->n_layers = cost->model->n_layers;
    instance->n_edges = cost->n_edges;
    instance->edge =
        uap_arena_alloc(instance->arena, (size_t)cost->n_edges, sizeof *instance->edge);
    instance->layer_table = cost_alloc_i32(b, n_layers);
    instance->layer_edge = cost_alloc_i32(b, n_layers);
    if (instance->edge == NULL || instance->layer_table == NULL ||
        instance->layer_edge == NULL) {
        return cost_no_memory(err);
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

/* ---- The whole ----------------------------------------------------------------------------- */

static uap_status build_head(const cost_work *b, uap_err *err)
{
    const uap_configuration *configuration = b->configuration;
    uap_instance *instance = b->instance;
    const size_t pp = (size_t)configuration->pp;
    int64_t cap = 0; /* of the largest devices; types have their own */
    instance->objective = b->cost->is_paper ? UAP_OBJECTIVE_SIMPLE : UAP_OBJECTIVE_FULL;
    instance->schedule = configuration->schedule;
    instance->pp = configuration->pp;
    instance->micro_batches = (int32_t)configuration->micro_batches;
    instance->cap = cost_alloc_i64(b, pp);
    instance->inflight = cost_alloc_i64(b, pp);
    if (instance->cap == NULL || instance->inflight == NULL) {
        return cost_no_memory(err);
    }
    for (int32_t g = 0; g < b->cost->n_groups; g++) {
        cap = uap_max_i64(cap, b->cost->group[g].cap);
    }
    for (int32_t i = 0; i < configuration->pp; i++) {
        instance->cap[i] = cap;
        instance->inflight[i] = uap_schedule_inflight(
            configuration->schedule, configuration->pp, i, configuration->micro_batches);
    }
    return UAP_OK;
}

/* Fills a stage when it is asked for first. */
static uap_status ready(uap_cost *cost, cost_stage *stage, uap_err *err)
{
    return stage->is_ready ? UAP_OK : cost_stage_fill(cost, stage, err);
}

/* Whether some layer has a strategy on the stage for this micro-batch. */
static bool hosts_any(const cost_work *b, const cost_stage *stage)
{
    for (int32_t k = 0; k < b->cost->n_kinds; k++) {
        const cost_rows *rows = &stage->rows[k];
        for (int32_t l = 0; l < stage->n_layouts; l++) {
            const int64_t ways = stage->scope.stage_devices / stage->layout[l].tp;
            if (rows->begin[l] < rows->begin[l + 1] && b->micro_batch % ways == 0) {
                return true;
            }
        }
    }
    return false;
}

/* The types that can host a layer; *fits is false where so many stages find no room. */
static uap_status find_types(cost_work *b, bool *fits, uap_err *err)
{
    uap_cost *cost = b->cost;
    const bool is_pipelined = b->configuration->pp > 1;
    int64_t most = 0,
            least = 0; /* stages of all groups; the smallest of the group at hand */
    for (int32_t i = 0; i < cost->n_stages; i++) {
        cost_stage *stage = &cost->stage[i];
        if (stage->scope.is_pipelined == is_pipelined) {
            const uap_status rc = ready(cost, stage, err);
            if (rc != UAP_OK) {
                return rc;
            }
            if (hosts_any(b, stage)) {
                const int64_t d = stage->scope.stage_devices;
                b->type[b->n_types++] = stage;
                least = least == 0 || d < least ? d : least;
            }
        }
        const bool is_last =
            i + 1 == cost->n_stages || cost->stage[i + 1].group != stage->group;
        if (is_last && least > 0) {
            most += stage->scope.devices / least;
            least = 0;
        }
    }
    *fits = most >= b->configuration->pp;
    return UAP_OK;
}

/* The stage of that many stages. */
static uap_status find_stage(cost_work *b, uap_err *err)
{
    uap_cost *cost = b->cost;
    const int32_t pp = b->configuration->pp;
    for (int32_t i = 0; i < cost->n_stages; i++) {
        cost_stage *stage = &cost->stage[i];
        if (stage->scope.stage_devices * pp == cost->devices) {
            b->type[0] = stage;
            b->n_types = 1;
            return ready(cost, stage, err);
        }
    }
    return UAP_FAIL(err, INTERNAL, "no stage list for pp %d", pp);
}

/* What a typed instance holds beyond its rows. */
static uap_status build_types(const cost_work *b, uap_err *err)
{
    const uap_cost *cost = b->cost;
    uap_instance *instance = b->instance;
    uap_stage_type *type =
        uap_arena_alloc(instance->arena, (size_t)b->n_types, sizeof *type);
    int64_t *devices = cost_alloc_i64(b, (size_t)cost->n_groups);
    if (type == NULL || devices == NULL) {
        return cost_no_memory(err);
    }
    for (int32_t t = 0; t < b->n_types; t++) {
        type[t] = (uap_stage_type){.group = b->type[t]->group,
                                   .devices = b->type[t]->scope.stage_devices,
                                   .cap = cost->group[b->type[t]->group].cap};
    }
    for (int32_t g = 0; g < cost->n_groups; g++) {
        devices[g] = cost->group[g].devices;
    }
    instance->n_types = b->n_types;
    instance->type = type;
    instance->n_groups = cost->n_groups;
    instance->group_devices = devices;
    return UAP_OK;
}

uap_status cost_build(uap_cost *cost, const uap_configuration *configuration,
                      uap_instance **out, uap_err *err)
{
    cost_work b = {.cost = cost, .configuration = configuration};
    bool legal = true;
    uap_status rc = UAP_OK;
    *out = NULL;
    b.micro_batch = cost->options.batch / configuration->micro_batches;
    b.type = uap_calloc((size_t)cost->n_stages, sizeof(cost_stage *));
    b.instance = uap_instance_new();
    if (b.type == NULL || b.instance == NULL) {
        rc = cost_no_memory(err);
        goto done;
    }
    rc = cost->is_mixed ? find_types(&b, &legal, err) : find_stage(&b, err);
    if (rc != UAP_OK || !legal) {
        goto done;
    }
    UAP_TRY(build_tables(&b, &legal, err));
    if (legal) {
        UAP_TRY(build_head(&b, err));
        UAP_TRY(build_edges(&b, err));
        if (cost->is_mixed) {
            UAP_TRY(build_types(&b, err));
            UAP_TRY(cost_fold_live(&b, err));
        } else {
            UAP_TRY(cost_build_live(&b, err));
        }
        UAP_TRY(cost_build_ties(&b, err));
        *out = b.instance;
        b.instance = NULL;
    }
done:
    uap_instance_free(b.instance);
    uap_free(b.type);
    return rc;
}
