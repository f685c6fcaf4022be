/* Points of a sweep, for people and for machines (plan/sweep.h). */
#include "plan/sweep.h"

#include "plan/plan_json.h"
#include "plan/plan_table.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define SECONDS_PER_HOUR 3600.0
#define MILLION          1e6

uap_status uap_sweep_init(uap_sweep *sweep, const int64_t *devices, size_t n,
                          uap_err *err)
{
    *sweep = (uap_sweep){.point = uap_calloc(n, sizeof *sweep->point)};
    if (sweep->point == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu device counts", n);
    }
    sweep->n = n;
    for (size_t i = 0; i < n; i++) {
        sweep->point[i] =
            (uap_sweep_point){.devices = devices[i], .start_s = UAP_PLAN_UNSTATED};
    }
    return UAP_OK;
}

void uap_sweep_free(uap_sweep *sweep)
{
    for (size_t i = 0; i < sweep->n; i++) {
        uap_plan_free(sweep->point[i].plan);
        uap_free(sweep->point[i].file);
    }
    uap_free(sweep->point);
    *sweep = (uap_sweep){0};
}

static bool has_stages(const uap_sweep_point *point)
{
    return point->plan != NULL && point->plan->status != UAP_PLAN_INFEASIBLE;
}

/* Samples per second of one device. */
static double per_device(const uap_sweep_point *point)
{
    return point->plan->throughput_samples_per_s / (double)point->devices;
}

uap_sweep_figures uap_sweep_figures_of(const uap_sweep *sweep, size_t i)
{
    uap_sweep_figures out = {(double)NAN, (double)NAN};
    size_t first = 0;
    if (has_stages(&sweep->point[i])) {
        while (!has_stages(&sweep->point[first])) {
            first++;
        }
        const double own = per_device(&sweep->point[i]);
        out.efficiency = own / per_device(&sweep->point[first]);
        out.device_hours_per_sample = 1.0 / own / SECONDS_PER_HOUR;
    }
    return out;
}

const char *uap_sweep_status(const uap_sweep_point *point)
{
    return point->plan == NULL ? "unknown" : uap_plan_status_name(point->plan->status);
}

/* ---- For people ------------------------------------------------------------------------------ */

static bool is_extrapolated(const uap_sweep *sweep, const uap_sweep_point *point)
{
    return point->devices > sweep->profile_devices;
}

static void print_point(const uap_sweep *sweep, size_t i, FILE *out)
{
    const uap_sweep_point *point = &sweep->point[i];
    const uap_sweep_figures figures = uap_sweep_figures_of(sweep, i);
    const uap_plan *plan = point->plan;
    char tpi[UAP_QUANTITY_TEXT];
    const char *mark = is_extrapolated(sweep, point) ? "*" : " ";
    if (!has_stages(point)) {
        (void)fprintf(out, "%8" PRId64 "%s %12s  %11s  %10s  %14s  %18s  %s\n",
                      point->devices, mark, "-", "-", "-", "-", "-",
                      uap_sweep_status(point));
        return;
    }
    (void)fprintf(
        out, "%8" PRId64 "%s %12s  %11.5g  %8.1f %%  %14.5g  %5d x %-10" PRId64 "  %s",
        point->devices, mark, uap_text_seconds(plan->tpi_s, tpi),
        plan->throughput_samples_per_s, 100 * figures.efficiency,
        MILLION * figures.device_hours_per_sample, (int)plan->pp, plan->micro_batches,
        uap_sweep_status(point));
    if (plan->status == UAP_PLAN_FEASIBLE) {
        (void)fprintf(out, ", within %.3g %%", 100 * plan->gap);
    }
    (void)fprintf(out, "\n");
}

void uap_sweep_print(const uap_sweep *sweep, FILE *out)
{
    size_t left = 0;
    (void)fprintf(
        out, "Device counts for %s on %s, batch %" PRId64 ", sequence %" PRId64 "\n\n",
        sweep->model.name, sweep->cluster.name, sweep->batch, sweep->seq);
    (void)fprintf(out, "%8s  %12s  %11s  %10s  %14s  %18s  %s\n", "devices", "TPI",
                  "samples/s", "efficiency", "dev-h/M sample", "stages x micro-b.",
                  "status");
    for (size_t i = 0; i < sweep->n; i++) {
        print_point(sweep, i, out);
        left += sweep->point[i].plan == NULL;
    }
    for (size_t i = 0; i < sweep->n; i++) {
        const uap_plan *plan = sweep->point[i].plan;
        if (plan != NULL && plan->reason != NULL) {
            (void)fprintf(out, "%" PRId64 ": %s\n", sweep->point[i].devices,
                          plan->reason);
        }
    }
    if (sweep->n > 0 && is_extrapolated(sweep, &sweep->point[sweep->n - 1])) {
        (void)fprintf(out,
                      "* more devices than the %" PRId64
                      " of the profile: extrapolated (docs/clusters.md)\n",
                      sweep->profile_devices);
    }
    if (left > 0) {
        (void)fprintf(out, "stopped early: of %zu device count%s nothing is known\n",
                      left, left == 1 ? "" : "s");
    }
}

/* ---- For machines ---------------------------------------------------------------------------- */

static void write_plan(uap_jout *object, const uap_sweep *sweep, size_t i)
{
    const uap_plan *plan = sweep->point[i].plan;
    const uap_sweep_figures figures = uap_sweep_figures_of(sweep, i);
    if (plan->status == UAP_PLAN_INFEASIBLE) {
        uap_jset_str(object, "reason", plan->reason);
        return;
    }
    uap_jset_f64(object, "tpi_s", plan->tpi_s);
    uap_jset_f64(object, "bound_s", plan->bound_s);
    uap_jset_f64(object, "gap", plan->gap);
    uap_jset_f64(object, "throughput_samples_per_s", plan->throughput_samples_per_s);
    uap_jset_f64(object, "efficiency", figures.efficiency);
    uap_jset_f64(object, "device_hours_per_sample", figures.device_hours_per_sample);
    uap_jset_f64(object, "device_hours_per_million_samples",
                 MILLION * figures.device_hours_per_sample);
    uap_jset_str(object, "schedule", uap_schedule_name(plan->schedule));
    uap_jset_i64(object, "pp", plan->pp);
    uap_jset_i64(object, "micro_batches", plan->micro_batches);
}

static uap_jout *write_point(const uap_sweep *sweep, size_t i)
{
    const uap_sweep_point *point = &sweep->point[i];
    uap_jout *object = uap_jout_object();
    uap_jset_i64(object, "device_count", point->devices);
    uap_jset_str(object, "status", uap_sweep_status(point));
    uap_jset_bool(object, "extrapolated", is_extrapolated(sweep, point));
    if (point->plan == NULL) {
        return object;
    }
    write_plan(object, sweep, i);
    if (point->start_s >= 0) {
        uap_jset_f64(object, "start_s", point->start_s);
    }
    if (point->file != NULL) {
        uap_jset_str(object, "plan", point->file);
    }
    uap_jout *warnings = uap_jout_array();
    for (int32_t w = 0; w < point->plan->n_warnings; w++) {
        uap_jadd_str(warnings, point->plan->warning[w]);
    }
    uap_jset(object, "warnings", warnings);
    if (point->plan->search.stated) {
        uap_jset(object, "search", uap_plan_json_search(&point->plan->search));
    }
    return object;
}

uap_status uap_sweep_save(const uap_sweep *sweep, const char *path, uap_err *err)
{
    uap_jout *root = uap_jout_object();
    uap_jout *points = uap_jout_array();
    uap_jset_str(root, "format", "uniap-sweep");
    uap_jset_i64(root, "version", 1);
    for (size_t i = 0; i < sweep->n; i++) {
        uap_jadd(points, write_point(sweep, i));
    }
    uap_jset(root, "points", points);
    uap_jset_i64(root, "batch", sweep->batch);
    uap_jset_i64(root, "seq", sweep->seq);
    uap_jset(root, "options", uap_plan_json_options(&sweep->options));
    uap_jset(root, "model", uap_plan_json_input(&sweep->model));
    uap_jset(root, "cluster", uap_plan_json_input(&sweep->cluster));
    const uap_status rc = uap_jout_write(root, path, err);
    uap_jout_free(root);
    return rc;
}
