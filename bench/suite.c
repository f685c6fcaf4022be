/* Opening the cases of the suite. The table itself is in suite_cases.c. */
#include "bench/suite.h"

#include "search/instance_json.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const uap_suite_case *uap_suite_find(const char *name)
{
    for (int i = 0; i < uap_suite_count(); i++) {
        if (strcmp(uap_suite_at(i)->name, name) == 0) {
            return uap_suite_at(i);
        }
    }
    return NULL;
}

/* False when the path is too long or nothing can be read there; out->path says where. */
static bool find_file(const char *folder, const char *kind, const char *name,
                      uap_suite_problem *out)
{
    const int n =
        snprintf(out->path, sizeof out->path, "%s%s/%s.json", folder, kind, name);
    return n > 0 && n < (int)sizeof out->path && access(out->path, R_OK) == 0;
}

static uap_status open_model(const uap_suite_model *what, const char *configs,
                             uap_suite_problem *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_model_options options = {
        .seq = what->seq, .operator_granularity = what->operator_granularity};
    out->missing = !find_file(configs, "/models", what->model, out);
    if (out->missing) {
        return UAP_OK;
    }
    UAP_TRY(uap_model_load(out->path, &options, &out->loaded_model, err));
    out->missing = !find_file(configs, "/clusters", what->cluster, out);
    if (out->missing) {
        return UAP_OK;
    }
    UAP_TRY(uap_cluster_load(out->path, &out->cluster, err));
    UAP_TRY(
        uap_cost_new(out->loaded_model, out->cluster, &what->options, &out->cost, err));
    out->source = uap_cost_source(out->cost);
done:
    return rc;
}

uap_status uap_suite_open(const uap_suite_case *what, const uap_suite_folders *folders,
                          uap_suite_problem *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    memset(out, 0, sizeof *out);
    switch (what->kind) {
    case UAP_SUITE_MODEL:
        return open_model(&what->model, folders->configs, out, err);
    case UAP_SUITE_CHAIN:
        UAP_TRY(uap_generate_family(&what->chain, &out->instance, err));
        UAP_TRY(uap_instance_check(out->instance, err));
        break;
    case UAP_SUITE_MIXED:
        UAP_TRY(uap_generate_mixed(&what->mixed, &out->instance, err));
        UAP_TRY(uap_instance_check(out->instance, err));
        break;
    case UAP_SUITE_WIDE:
        UAP_TRY(uap_generate_wide_graph(&what->wide, &out->instance, err));
        UAP_TRY(uap_instance_check(out->instance, err));
        break;
    case UAP_SUITE_RECORDED:
        out->missing = !find_file(folders->instances, "", what->file, out);
        if (out->missing) {
            return UAP_OK;
        }
        UAP_TRY(uap_instance_load(out->path, &out->instance, err));
        break;
    }
    out->source = uap_source_of_instance(out->instance);
done:
    return rc;
}

void uap_suite_close(uap_suite_problem *problem)
{
    uap_instance_free(problem->instance);
    uap_cost_free(problem->cost);
    uap_cluster_free(problem->cluster);
    uap_model_free(problem->loaded_model);
    memset(problem, 0, sizeof *problem);
}

/* --- Fingerprints ---------------------------------------------------------------------- */

/* All eight bytes of each number, lowest first; NULL counts as absent. */
static uint64_t hash_i64(uint64_t h, const int64_t *value, int64_t n)
{
    for (int64_t i = 0; value != NULL && i < n; i++) {
        for (int shift = 0; shift < 64; shift += 8) {
            h = (h ^ ((uint64_t)value[i] >> shift & 0xff)) * 0x100000001b3u;
        }
    }
    return h;
}

static uint64_t hash_i32(uint64_t h, const int32_t *value, int64_t n)
{
    for (int64_t i = 0; value != NULL && i < n; i++) {
        const int64_t wide = value[i];
        h = hash_i64(h, &wide, 1);
    }
    return h;
}

static uint64_t hash_layers(uint64_t h, const uap_instance *in)
{
    for (int32_t t = 0; t < in->n_tables; t++) {
        const uap_layer_table *table = &in->table[t];
        h = hash_i64(h, table->fwd, table->n);
        h = hash_i64(h, table->bwd, table->n);
        h = hash_i64(h, table->grad, table->n);
        h = hash_i64(h, table->state, table->n);
        h = hash_i64(h, table->act, table->n);
        h = hash_i64(h, table->work, table->n);
        h = hash_i32(h, table->type, table->n);
    }
    return hash_i32(h, in->layer_table, in->n_layers);
}

static uint64_t hash_edges(uint64_t h, const uap_instance *in)
{
    for (int32_t u = 0; u + 1 < in->n_layers; u++) {
        const uap_edge_table *e = uap_edge_of(in, u);
        const int64_t n = (int64_t)e->n_from * e->n_to;
        h = hash_i32(h, e->from_class, uap_table_of(in, u)->n);
        h = hash_i32(h, e->to_class, uap_table_of(in, u + 1)->n);
        h = hash_i64(h, e->r_fwd, n);
        h = hash_i64(h, e->r_bwd, n);
        h = hash_i64(h, e->x_fwd, n);
        h = hash_i64(h, e->x_bwd, n);
    }
    return h;
}

static uint64_t hash_live(uint64_t h, const uap_instance *in)
{
    for (int32_t i = 0; i < in->n_live; i++) {
        const uap_live_tensor *live = &in->live[i];
        const int32_t s = uap_table_of(in, live->from)->n;
        h = hash_i32(h, &live->from, 1);
        h = hash_i32(h, live->consumer, live->n_consumers);
        h = hash_i64(h, live->x_fwd, s);
        h = hash_i64(h, live->x_bwd, s);
        h = hash_i64(h, live->bytes, s);
        for (int32_t e = 0; e < live->n_consumers; e++) {
            const int64_t n = (int64_t)s * uap_table_of(in, live->consumer[e])->n;
            h = hash_i64(h, live->r_fwd[e], n);
            h = hash_i64(h, live->r_bwd[e], n);
        }
    }
    for (int32_t i = 0; i < in->n_ties; i++) {
        const uap_tie *tie = &in->tie[i];
        const int32_t layers[] = {tie->a, tie->b};
        h = hash_i32(h, layers, 2);
        h = hash_i32(h, tie->class_a, uap_table_of(in, tie->a)->n);
        h = hash_i32(h, tie->class_b, uap_table_of(in, tie->b)->n);
    }
    return h;
}

static uint64_t hash_types(uint64_t h, const uap_instance *in)
{
    for (int32_t i = 0; i < in->n_types; i++) {
        const int64_t type[] = {in->type[i].group, in->type[i].devices, in->type[i].cap};
        h = hash_i64(h, type, 3);
    }
    h = hash_i64(h, in->group_devices, in->n_groups);
    return hash_i64(h, in->start_act, (int64_t)in->n_types * in->n_layers);
}

uint64_t uap_suite_fingerprint(const uap_instance *in)
{
    const int32_t head[] = {(int32_t)in->objective, (int32_t)in->schedule, in->pp,
                            in->micro_batches, in->n_layers};
    uint64_t h = hash_i32(0xcbf29ce484222325u, head, 5);
    h = hash_i64(h, in->cap, in->pp);
    h = hash_i64(h, in->inflight, in->pp);
    h = hash_layers(h, in);
    h = hash_edges(h, in);
    h = hash_live(h, in);
    return hash_types(h, in);
}
