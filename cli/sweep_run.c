/* Device counts in ascending order. A count's search is that of `plan --devices`, but for the
 * plan to beat that it sets out from; so its answer is the same. */
#include "cli/sweep_run.h"

#include "cli/dump.h"
#include "cli/log_json.h"
#include "cli/stop.h"
#include "cli/sweep_counts.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/room.h"
#include "configs/cluster_grow.h"
#include "mpi/comm.h"
#include "plan/plan_carry.h"
#include "plan/plan_table.h"
#include "plan/sweep.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LENDERS    6   /* counts before, the last ones that have a plan, that lend it */
#define LAST_LOOKS 5.0 /* s after a stop in which counts still get a borrowed plan */

typedef struct sweep_run {
    const uap_cli *cli;
    const uap_plan_request *r;
    uap_plan_work *w;
    uap_sweep sweep;        /* plans on rank 0 only */
    double start_s, stop_s; /* wall clock; stop_s: 0 while nothing asks to stop */
    bool over;              /* no further count; the same on all ranks */
} sweep_run;

static bool is_shared(const sweep_run *s)
{
    return uap_search_is_shared(&s->r->search);
}

static uap_status agree(const sweep_run *s, uap_status rc, uap_err *err)
{
    return is_shared(s) ? uap_comm_agree(s->cli->comm, rc, err) : rc;
}

/* ---- Before and behind a search, on rank 0 ---------------------------------------------------- */

/* A plan to beat, from those of the counts before. One configuration alone is searched as if
 * there were none: its plan is then not fixed afterwards (docs/exact.md). */
static uap_status borrow(const sweep_run *s, size_t i, uap_carried *best, uap_err *err)
{
    const uap_plan *lender[LENDERS];
    size_t n = 0;
    if (s->w->space != NULL || uap_cost_count(s->w->cost) < 2) {
        return UAP_OK;
    }
    for (size_t k = i; k-- > 0 && n < LENDERS;) {
        const uap_plan *plan = s->sweep.point[k].plan;
        if (plan != NULL && plan->stage != NULL) {
            lender[n++] = plan;
        }
    }
    return uap_plan_carry(lender, n, s->w->cost, best, err);
}

/* DIR/plan-N.json; the caller frees it. NULL: no memory. */
static char *plan_path(const char *folder, int64_t devices)
{
    const size_t n = strlen(folder) + 32;
    char *path = uap_calloc(n, 1);
    if (path != NULL) {
        (void)snprintf(path, n, "%s/plan-%" PRId64 ".json", folder, devices);
    }
    return path;
}

static void tell_people(const uap_sweep_point *point)
{
    const uap_plan *plan = point->plan;
    char tpi[UAP_QUANTITY_TEXT];
    if (plan == NULL) {
        UAP_LOG(INFO, GLOBAL, "%" PRId64 " devices: stopped without a plan",
                point->devices);
    } else if (plan->stage == NULL) {
        UAP_LOG(INFO, GLOBAL, "%" PRId64 " devices: infeasible", point->devices);
    } else {
        UAP_LOG(INFO, GLOBAL,
                "%" PRId64 " devices: %s, %s, %d stages x %" PRId64
                " micro-batches, in %.3g s",
                point->devices, uap_text_seconds(plan->tpi_s, tpi),
                uap_plan_status_name(plan->status), (int)plan->pp, plan->micro_batches,
                plan->search.wall_s);
    }
}

static void tell_machines(const uap_sweep_point *point)
{
    uap_jout *event = uap_log_json_event("point");
    if (event != NULL) {
        uap_jset_i64(event, "device_count", point->devices);
        uap_jset_str(event, "status", uap_sweep_status(point));
        if (point->plan != NULL && point->plan->stage != NULL) {
            uap_jset_f64(event, "tpi_s", point->plan->tpi_s);
        }
        uap_log_json_write(event);
    }
}

/* What the search found becomes the point's plan, and a file. */
static uap_status keep(sweep_run *s, size_t i, uap_err *err)
{
    uap_sweep_point *point = &s->sweep.point[i];
    uap_plan_work *w = s->w;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_plan_work_finish(w, false, err));
    point->plan = w->plan;
    w->plan = NULL;
    if (point->plan != NULL && s->r->plans != NULL) {
        point->file = plan_path(s->r->plans, point->devices);
        if (point->file == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "no memory for a path");
        }
        UAP_TRY(uap_plan_save(point->plan, point->file, err));
    }
    tell_people(point);
    tell_machines(point);
done:
    return rc;
}

/* ---- One count -------------------------------------------------------------------------------- */

/* Whether no further count is to be looked at; the same on all ranks. After a stop counts are
 * opened for some seconds more: with what others lend each has a plan and a bound at once. */
static uap_status look_at_limits(sweep_run *s, double *left_s, uap_err *err)
{
    uap_status rc = UAP_OK;
    const double limit_s = s->r->search.time_limit_s, now_s = uap_wall_s();
    *left_s = limit_s > 0 ? limit_s - (now_s - s->start_s) : 0;
    if (s->stop_s <= 0 && (*uap_stop_flag() != 0 || (limit_s > 0 && *left_s <= 0))) {
        s->stop_s = now_s;
    }
    int64_t over = s->stop_s > 0 && now_s - s->stop_s > LAST_LOOKS;
    if (is_shared(s)) {
        UAP_TRY(uap_comm_allreduce_i64(s->cli->comm, &over, 1, UAP_COMM_MAX, err));
    }
    s->over = over != 0;
done:
    return rc;
}

/* Of the time left every count still to come has its share. */
static uap_status search(sweep_run *s, size_t i, double left_s, uap_err *err)
{
    uap_plan_work *w = s->w;
    uap_search_args args = s->r->search;
    uap_carried start = {0};
    uap_checkpoint seed = {0};
    uap_inputs inputs;
    char *checkpoint = NULL;
    uap_status rc = UAP_OK;
    const bool is_first = s->cli->rank == 0;
    rc = is_first && is_shared(s) ? borrow(s, i, &start, err) : UAP_OK;
    UAP_TRY(agree(s, rc, err));
    if (start.n > 0) {
        seed = (uap_checkpoint){
            .value = start.value, .plan = start.bytes, .plan_bytes = start.n};
        args.seed = &seed;
        s->sweep.point[i].start_s = (double)start.value / (double)UAP_TICKS_PER_SECOND;
    }
    if (args.checkpoint != NULL) {
        const size_t n = strlen(args.checkpoint) + 32;
        checkpoint = uap_calloc(n, 1);
        rc = checkpoint != NULL ? UAP_OK
                                : UAP_FAIL(err, NO_MEMORY, "no memory for a path");
        UAP_TRY(agree(s, rc, err));
        (void)snprintf(checkpoint, n, "%s.%" PRId64, args.checkpoint,
                       s->sweep.point[i].devices);
        args.checkpoint = checkpoint;
    }
    if (args.time_limit_s > 0) {
        args.time_limit_s = fmax(left_s / (double)(s->sweep.n - i), 1e-9);
    }
    const uap_source source = uap_plan_work_source(w);
    uap_plan_work_inputs(w, s->r, &inputs);
    args.is_part = true;
    rc = uap_search_run(s->cli, &args, &source, &inputs, &w->result, err);
done:
    uap_free(checkpoint);
    uap_carried_free(&start);
    return rc;
}

static uap_status take_point(sweep_run *s, size_t i, uap_err *err)
{
    double left_s = 0;
    uap_status rc = UAP_OK;
    UAP_TRY(look_at_limits(s, &left_s, err));
    if (s->over) {
        goto done;
    }
    rc = uap_plan_work_point(s->w, s->sweep.point[i].devices, err);
    UAP_TRY(agree(s, rc, err));
    UAP_TRY(search(s, i, left_s, err));
    rc = s->cli->rank == 0 ? keep(s, i, err) : UAP_OK;
    UAP_TRY(agree(s, rc, err));
done:
    return rc;
}

/* ---- The whole -------------------------------------------------------------------------------- */

/* That every count can be had of this cluster is found out before the first search. */
static uap_status list_points(sweep_run *s, uap_err *err)
{
    int64_t *count = uap_calloc(UAP_SWEEP_COUNTS_MAX, sizeof *count);
    size_t n = 0;
    uap_status rc =
        count != NULL ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no memory for device counts");
    UAP_TRY(rc);
    UAP_TRY(uap_sweep_counts(s->r->sweep, count, &n, err));
    for (size_t i = 0; i < n; i++) {
        uap_cluster whole;
        UAP_TRY(uap_cluster_grow(s->w->cluster, count[i], &whole, err));
        uap_cluster_grown_free(&whole);
    }
    UAP_TRY(uap_sweep_init(&s->sweep, count, n, err));
    if (s->cli->rank == 0 && s->r->plans != NULL) {
        UAP_TRY(uap_dump_prepare(s->r->plans, err));
    }
done:
    uap_free(count);
    return rc;
}

static void describe(sweep_run *s)
{
    const uap_model *model = s->w->model;
    const uap_cluster *cluster = s->w->cluster;
    uap_sweep *sweep = &s->sweep;
    sweep->model = (uap_plan_input){
        .name = model->name, .source = model->source, .parameters = model->params};
    sweep->cluster = (uap_plan_input){.name = cluster->name,
                                      .source = cluster->source_path,
                                      .parameters = UAP_PLAN_UNSTATED};
    memcpy(sweep->model.sha256, model->sha256, sizeof sweep->model.sha256);
    memcpy(sweep->cluster.sha256, cluster->sha256, sizeof sweep->cluster.sha256);
    sweep->options = s->w->options;
    sweep->options.cost.devices = 0;
    sweep->batch = s->r->batch;
    sweep->seq = model->seq;
    sweep->profile_devices = uap_cluster_devices(cluster);
    UAP_LOG(INFO, GLOBAL,
            "model %s: %d layers, %" PRId64 " parameters, %" PRId64
            " tokens per sample%s; cluster %s: %" PRId64
            " devices; %zu device counts from "
            "%" PRId64 " to %" PRId64,
            model->name, (int)model->n_layers, model->params, model->seq,
            model->seq_is_assumed ? " (assumed: no --seq)" : "", cluster->name,
            uap_cluster_devices(cluster), sweep->n, sweep->point[0].devices,
            sweep->point[sweep->n - 1].devices);
}

static uap_status report(const sweep_run *s, uap_err *err)
{
    const char *output = s->r->output;
    uap_status rc = UAP_OK;
    if (output != NULL) {
        UAP_TRY(uap_sweep_save(&s->sweep, output, err));
    }
    if (!s->r->search.quiet && (output == NULL || strcmp(output, "-") != 0)) {
        uap_sweep_print(&s->sweep, uap_room_out());
        if (output != NULL) {
            (void)fprintf(uap_room_out(), "\nwritten to %s\n", output);
        }
    }
done:
    return rc;
}

/* 0: every count proven; 3: none has a plan, which is proven; 4 and 5: stopped early with a plan
 * of some count, or without one. */
static int exit_status(const sweep_run *s)
{
    bool all_proven = true, any_plan = false;
    for (size_t i = 0; i < s->sweep.n; i++) {
        const uap_plan *plan = s->sweep.point[i].plan;
        const bool found = plan != NULL && plan->stage != NULL;
        const bool enough =
            plan != NULL && (plan->status != UAP_PLAN_FEASIBLE ||
                             (s->r->search.gap > 0 && plan->gap <= s->r->search.gap));
        any_plan = any_plan || found;
        all_proven = all_proven && enough;
    }
    if (all_proven) {
        return any_plan ? UAP_EXIT_OK : UAP_EXIT_INFEASIBLE;
    }
    return any_plan ? UAP_EXIT_FEASIBLE : UAP_EXIT_UNKNOWN;
}

int uap_sweep_run(const uap_cli *cli, const uap_plan_request *r, uap_plan_work *w)
{
    sweep_run s = {.cli = cli, .r = r, .w = w, .start_s = uap_wall_s()};
    uap_err err = {0};
    int status = UAP_EXIT_OK;
    uap_status rc = list_points(&s, &err);
    UAP_TRY(agree(&s, rc, &err));
    describe(&s);
    for (size_t i = 0; i < s.sweep.n && !s.over; i++) {
        UAP_TRY(take_point(&s, i, &err));
    }
    if (cli->rank == 0) {
        UAP_TRY(report(&s, &err));
        status = exit_status(&s);
    }
done:
    uap_sweep_free(&s.sweep);
    if (rc != UAP_OK) {
        status = uap_cli_fail(cli, &err);
    }
    return status;
}
