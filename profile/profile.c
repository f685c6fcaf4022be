/* The measuring itself: opening devices, groups, the list run through. */
#include "profile/profile.h"

#include "common/mem.h"
#include "mpi/fuse.h"
#include "mpi/guard.h"
#include "profile/clock.h"
#include "profile/device_backend.h"
#include "profile/profile_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* How many ranks and nodes, and how many ranks the emptiest and the fullest node have: of
 * those who stay, or of the machine that is only listed. Equal on all ranks. */
static void count_on_nodes(uap_profile *profile)
{
    const uap_comm *comm = profile->comm;
    const uap_partition *listed = &profile->survey.partition;
    if (profile->options.nodes > 0) {
        profile->ranks = listed->devices;
        profile->nodes = listed->nodes;
        profile->least_on_node = profile->most_on_node = listed->most;
        return;
    }
    const int size = uap_comm_size(comm);
    profile->ranks = size;
    profile->nodes = uap_comm_node_count(comm);
    profile->least_on_node = size;
    for (int r = 0, first = 0; r < size; r++) {
        const bool ends =
            r + 1 == size || uap_comm_node_of(comm, r + 1) != uap_comm_node_of(comm, r);
        const int32_t on_node = r + 1 - first;
        if (ends && on_node < profile->least_on_node) {
            profile->least_on_node = on_node;
        }
        if (ends && on_node > profile->most_on_node) {
            profile->most_on_node = on_node;
        }
        first = ends ? r + 1 : first;
    }
}

/* A driver that starts up takes long, libraries on shared file systems too. */
#define OPENING_PATIENCE 30.0
#define OWN_PATIENCE     6.0

static uap_status open_device(uap_profile *profile, int local_rank, uap_err *err)
{
    const uap_profile_options *options = &profile->options;
    uap_fuse_light(options->fuse, "opening its device",
                   OPENING_PATIENCE * profile->survey.deadline_s);
    uap_status rc =
        options->table != NULL
            ? uap_device_open_table(options->table, local_rank, &profile->device, err)
            : uap_device_open(options->backend, local_rank, &profile->device, err);
    if (rc == UAP_OK) {
        rc = uap_device_describe(profile->device, &profile->info, err);
    }
    uap_fuse_out(options->fuse);
    return rc;
}

/* The same backend everywhere: a node without a GPU would not do the same work. */
static uap_status open_devices(uap_profile *profile, uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_comm *comm = profile->members;
    int64_t backend[2];
    UAP_TRY(
        uap_comm_agree(comm, open_device(profile, uap_comm_node_rank(comm), err), err));
    uap_binding_take(profile->info.bus_id, &profile->binding);
    backend[0] = (int64_t)profile->info.backend;
    backend[1] = -backend[0];
    UAP_TRY(uap_comm_allreduce_i64(comm, backend, 2, UAP_COMM_MIN, err));
    if (backend[0] != -backend[1]) {
        rc = UAP_FAIL(err, NO_DEVICE,
                      "some nodes have a GPU and some have none; choose with --backend");
        goto done;
    }
    profile->memory_bytes =
        profile->info.memory_bytes /
        (profile->info.memory_is_shared ? uap_comm_node_size(comm) : 1);
done:
    return rc;
}

/* The least of any rank of the group counts. */
static uap_status agree_on_memory(uap_profile *profile, uap_err *err)
{
    int64_t memory[2] = {profile->memory_bytes, profile->info.free_bytes};
    const uap_comm *comm = profile->comm;
    uap_status rc = UAP_OK;
    /* free_bytes decides what is measured: the same everywhere. */
    UAP_TRY(uap_comm_allreduce_i64(comm, memory, 2, UAP_COMM_MIN, err));
    profile->memory_bytes = memory[0];
    profile->info.free_bytes = memory[1];
done:
    return rc;
}

/* What the devices of the group allow: of memory the least, of launches the longest. */
static uap_status measure_limits(uap_profile *profile, uap_err *err)
{
    uap_device_limits *own = &profile->limits;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_comm_agree(profile->comm,
                           uap_device_measure_limits(profile->device, own, err), err));
    if (profile->info.memory_is_shared) {
        own->usable_bytes /= uap_comm_node_size(profile->comm);
    }
    double most[2] = {own->launch_s, (double)own->granularity_bytes};
    UAP_TRY(
        uap_comm_allreduce_i64(profile->comm, &own->usable_bytes, 1, UAP_COMM_MIN, err));
    UAP_TRY(uap_comm_allreduce_f64(profile->comm, most, 2, UAP_COMM_MAX, err));
    own->launch_s = most[0];
    own->granularity_bytes = (int64_t)most[1];
done:
    return rc;
}

/* Which type is measured, and what a reader must know about it. */
static void choose_precision(uap_profile *profile)
{
    const bool is_gpu = profile->info.backend == UAP_BACKEND_CUDA;
    const uap_precision usual = is_gpu ? UAP_BF16 : UAP_FP32;
    const int asked = profile->options.precision;
    profile->precision = asked < 0 ? usual : (uap_precision)asked;
    const char *const name = uap_precision_name(profile->precision);
    if (!profile->info.native[profile->precision]) {
        (void)snprintf(profile->note, sizeof profile->note,
                       "%s is not native on this device: the work ran as fp32", name);
    }
}

const char *uap_profile_link_library(const uap_profile *profile)
{
    const char *const own = uap_channel_library(profile->device);
    return own[0] != '\0' ? own : uap_comm_library();
}

uap_status uap_profile_links_new(uap_profile *profile, const uap_comm *comm,
                                 uap_links **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(uap_links_new(comm, &profile->sweep, out, err));
    UAP_TRY(uap_links_between_devices(*out, profile->device, err));
    if (profile->info.backend == UAP_BACKEND_CUDA && uap_comm_size(comm) > 1 &&
        !uap_links_are_between_devices(*out) && profile->note[0] == '\0') {
        (void)snprintf(profile->note, sizeof profile->note,
                       "links were measured between host memories, not between GPUs");
    }
done:
    return rc;
}

/* Groups of like nodes, and what a group knows of itself. */
static uap_status form_groups(uap_profile *profile, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(uap_profile_groups_form(profile, err));
    UAP_TRY(agree_on_memory(profile, err));
    count_on_nodes(profile);
    choose_precision(profile);
    rc = uap_profile_reuse_prepare(profile, err);
done:
    return rc;
}

/* What was of groups and lists that are no more; calls that were given up may use it. */
static void forget(uap_profile *profile)
{
    profile->comm = NULL;
    profile->links = NULL;
    memset(&profile->groups, 0, sizeof profile->groups);
    memset(&profile->reuse, 0, sizeof profile->reuse);
    profile->item = NULL;
    profile->n_items = profile->capacity = 0;
    profile->least_on_node = profile->most_on_node = 0;
}

/* Behind the survey, up to the list. */
static uap_status look_around(uap_profile *profile, void *context, uap_err *err)
{
    const double start = uap_clock_s();
    uap_status rc = UAP_OK;
    (void)context;
    if (profile->is_cut_off) {
        forget(profile);
    }
    UAP_TRY(form_groups(profile, err));
    UAP_TRY(uap_first_look_take(profile->comm, profile->device, &profile->info,
                                profile->precision, &profile->look, err));
    UAP_TRY(measure_limits(profile, err));
    uap_device_read_clocks(profile->device, &profile->clocks[0]);
    profile->clocks[1] = profile->clocks[0];
    if (!profile->options.list_only) {
        UAP_TRY(uap_profile_look_at_ranks(profile, err));
    }
    profile->look_s = uap_clock_s() - start;
    rc = uap_profile_list(profile, err);
done:
    /* From here on groups may fail apart. */
    if (profile->comm != NULL) {
        rc = uap_comm_agree(profile->members, rc, err);
    }
    profile->is_cut_off = false;
    return rc;
}

/* A list of those who are left, with what was measured before. */
static uap_status begin_again(uap_profile *profile, uap_err *err)
{
    const uap_item *old = profile->item;
    const int32_t n_old = profile->n_items;
    uap_status rc = UAP_OK;
    forget(profile);
    UAP_TRY(form_groups(profile, err));
    UAP_TRY(uap_profile_list(profile, err));
    rc = uap_profile_carry_over(profile, old, n_old, err);
done:
    if (profile->comm != NULL) {
        rc = uap_comm_agree(profile->members, rc, err);
    }
    profile->is_cut_off = false;
    return rc;
}

static uap_status prepare(uap_profile *profile, const uap_comm *comm, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(uap_profile_survey_prepare(profile, comm, err));
    UAP_TRY(open_devices(profile, err));
    if (!profile->options.list_only && uap_comm_size(profile->members) > 1) {
        UAP_TRY(uap_profile_survey_run(profile, err));
    }
    if (profile->members == NULL) {
        return UAP_OK; /* left out */
    }
    rc = uap_profile_guarded(profile, look_around, NULL, err);
done:
    return rc;
}

uap_status uap_profile_new(const uap_comm *comm, const uap_profile_options *options,
                           uap_profile **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_profile *profile = uap_calloc(1, sizeof *profile);
    *out = NULL;
    UAP_TRY(uap_comm_agree(
        comm,
        profile != NULL ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no memory for a profile"),
        err));
    profile->options = *options;
    profile->effort = uap_effort_row_of(options->effort);
    profile->budget_s =
        options->budget_s > 0 ? options->budget_s : profile->effort->budget_s;
    profile->pace = profile->link_pace = profile->survey.slowness = 1;
    profile->under_way = -1;
    profile->compute_slowdown = profile->communication_slowdown = 1;
    if (options->keeps_samples) {
        rc = uap_samples_new(&profile->samples, err);
    }
    profile->sweep = profile->effort->sweep;
    profile->sweep.samples = profile->samples;
    UAP_TRY(uap_comm_agree(comm, rc, err));
    UAP_TRY(prepare(profile, comm, err));
    *out = profile;
    profile = NULL;
done:
    if (profile != NULL && profile->n_given_up > 0) {
        *out = profile;
        return rc;
    }
    uap_profile_free(profile);
    return rc;
}

const char *uap_profile_own_failure(const uap_profile *profile)
{
    return profile->device != NULL ? uap_device_failure(profile->device) : "";
}

double uap_profile_patience_s(const uap_profile *profile)
{
    return OWN_PATIENCE * profile->survey.deadline_s;
}

void uap_profile_free(uap_profile *profile)
{
    if (profile == NULL || profile->n_given_up > 0) {
        return; /* calls that were given up may use all of it, for good */
    }
    for (int32_t i = 0; i < profile->n_items; i++) {
        uap_free(profile->item[i].collective.point);
        uap_free(profile->item[i].p2p.point);
    }
    uap_free(profile->item);
    uap_links_free(profile->links);
    uap_profile_survey_free(&profile->survey);
    uap_device_close(profile->device);
    uap_samples_free(profile->samples);
    uap_profile_reuse_free(&profile->reuse);
    uap_profile_groups_free(&profile->groups);
    uap_comm_free(profile->comm);
    uap_comm_free(profile->members);
    uap_free(profile);
}

const uap_comm *uap_profile_comm(const uap_profile *profile)
{
    return profile->members;
}

int32_t uap_profile_count(const uap_profile *profile)
{
    return profile->n_items;
}

uap_profile_item uap_profile_item_at(const uap_profile *profile, int32_t index)
{
    return profile->item[index].pub;
}

static double pace_of(const uap_profile *profile, const uap_item *item)
{
    return item->kind == UAP_MEASURE_LAYER ? profile->pace : profile->link_pace;
}

double uap_profile_expected_s(const uap_profile *profile)
{
    double seconds = profile->elapsed_s;
    for (int32_t i = 0; i < profile->n_items; i++) {
        const uap_item *item = &profile->item[i];
        seconds += item->pub.state == UAP_ITEM_WAITING
                       ? pace_of(profile, item) * item->pub.expected_s
                       : 0;
    }
    return seconds;
}

const char *uap_profile_note(const uap_profile *profile)
{
    return profile->note;
}

static uap_status measure_layer(uap_profile *profile, uap_item *item, uap_err *err)
{
    uap_work_shape shape;
    const double start = uap_clock_s();
    uap_layer_work(item->layer, item->tp, item->micro_batch, item->precision, &shape);
    const uap_status rc = uap_work_measure(profile->comm, profile->device, &shape,
                                           item->repeat, &item->times, err);
    item->times.forward_s *= profile->survey.slowness;
    item->times.backward_s *= profile->survey.slowness;
    if (rc == UAP_OK) {
        profile->spent_on_layers_s += uap_clock_s() - start;
        profile->own_layers_s += item->times.own_s;
        profile->layers_s += item->times.forward_s + item->times.backward_s;
    } else if (rc == UAP_NO_MEMORY) {
        /* Agreed on by all ranks: a hole in the profile, which its reader interpolates. */
        item->pub.state = UAP_ITEM_NO_MEMORY;
        uap_err_clear(err);
        return UAP_OK;
    }
    return rc;
}

/* As the stub says: this rank's work ends late, once. */
static void stall(uap_profile *profile)
{
    const double seconds = profile->survey.stall_s;
    const struct timespec nap = {.tv_sec = (time_t)seconds,
                                 .tv_nsec = (long)(1e9 * (seconds - floor(seconds)))};
    profile->survey.stall_s = 0;
    if (seconds > 0) {
        (void)nanosleep(&nap, NULL);
    }
}

static uap_status measure(uap_profile *profile, uap_item *item, uap_err *err)
{
    stall(profile);
    if (profile->survey.fails) {
        profile->survey.fails = false;
        uap_device_fail(profile->device, "as the stub says");
    }
    const uap_group_shape shape = {item->collective.size, item->collective.stride};
    uap_samples_name(profile->samples, item->pub.what);
    item->repeat.samples = profile->samples;
    if (item->is_for_new) {
        return uap_profile_reuse_measure(profile, item, err);
    }
    switch (item->kind) {
    case UAP_MEASURE_LAYER:
        return measure_layer(profile, item, err);
    case UAP_MEASURE_COLLECTIVE:
        return uap_links_collective(profile->links, item->collective.kind, shape,
                                    item->collective.contended, &item->collective, err);
    case UAP_MEASURE_P2P:
        return uap_links_p2p(profile->links, item->distance, item->alone, &item->p2p,
                             err);
    case UAP_MEASURE_OVERLAP:
        break;
    }
    return uap_links_overlap(
        profile->links, profile->device, profile->effort->overlap_repetitions,
        &profile->compute_slowdown, &profile->communication_slowdown, err);
}

static bool is_sweep(const uap_item *item)
{
    return item->kind == UAP_MEASURE_COLLECTIVE || item->kind == UAP_MEASURE_P2P;
}

/* Seconds taken by seconds expected of the sweeps so far; 1 before the first. */
static double link_pace(const uap_profile *profile)
{
    double expected_s = 0, spent_s = 0;
    for (int32_t i = 0; i < profile->n_items; i++) {
        const uap_item *item = &profile->item[i];
        const bool counts = item->pub.state == UAP_ITEM_DONE && is_sweep(item) &&
                            item->pub.reused[0] == '\0';
        expected_s += counts ? item->pub.expected_s : 0;
        spent_s += counts ? item->collective.spent_s + item->p2p.spent_s : 0;
    }
    return expected_s > 0 ? spent_s / expected_s : 1;
}

/* The same of layers. */
static double layer_pace(const uap_profile *profile)
{
    double expected_s = 0;
    for (int32_t i = 0; i < profile->n_items; i++) {
        const uap_item *item = &profile->item[i];
        const bool counts =
            item->kind == UAP_MEASURE_LAYER && item->pub.state == UAP_ITEM_DONE;
        expected_s += counts ? item->pub.expected_s : 0;
    }
    return expected_s > 0 ? profile->spent_on_layers_s / expected_s : 1;
}

#define ALLOW_LEAST_S 1e-3

/* Whether the item still fits at the pace so far, and how long a sweep may take: rank 0's clock decides for all. */
static uap_status decide(uap_profile *profile, uap_item *item, double elapsed_s,
                         uap_err *err)
{
    uap_status rc = UAP_OK;
    double said[4] = {elapsed_s, layer_pace(profile), link_pace(profile),
                      profile->survey.elapsed_s + profile->look_s};
    int32_t n = 0;
    UAP_TRY(uap_comm_bcast(profile->comm, said, sizeof said, 0, err));
    profile->elapsed_s = said[0];
    profile->pace = said[1];
    profile->link_pace = said[2];
    const double left_s = profile->budget_s - said[3] - profile->elapsed_s;
    const double rest_s = left_s - profile->link_pace * uap_essentials_s(profile, &n);
    if (item->pub.state == UAP_ITEM_WAITING || item->pub.state == UAP_ITEM_OVER_BUDGET) {
        item->pub.state = uap_item_fit(item, rest_s / pace_of(profile, item));
    }
    /* Essential sweeps share what is left, of which 0 would be no limit. */
    profile->sweep.allow_s =
        item->is_essential ? fmax(ALLOW_LEAST_S, left_s / n) : rest_s;
done:
    return rc;
}

/* What is said of the list as it goes. */
typedef struct list_progress {
    uap_profile_progress *call; /* may be NULL */
    void *context;
} list_progress;

/* So much longer than expected a measurement may take without a step (mpi/guard.h). */
#define ALLOWED_TIMES 4.0

static uap_status measure_next(uap_profile *profile, int32_t index,
                               const list_progress *progress, double elapsed_s,
                               uap_err *err)
{
    uap_item *item = &profile->item[index];
    uap_status rc = UAP_OK;
    if (progress->call != NULL) {
        progress->call(progress->context, profile, index, elapsed_s);
    }
    profile->under_way = index;
    uap_links_change_sweep(profile->links, &profile->sweep);
    uap_guard_allow(ALLOWED_TIMES * item->pub.expected_s *
                    fmax(1, pace_of(profile, item)));
    UAP_TRY(measure(profile, item, err));
    if (item->pub.state == UAP_ITEM_WAITING) {
        item->pub.state = UAP_ITEM_DONE;
    }
done:
    return rc;
}

/* The list of this rank's group. */
static uap_status run_list(uap_profile *profile, const list_progress *progress,
                           uap_err *err)
{
    const double start = uap_clock_s() - profile->before_s;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_profile_links_new(profile, profile->comm, &profile->links, err));
    for (int32_t i = 0; i < profile->n_items; i++) {
        const double elapsed_s = uap_clock_s() - start;
        UAP_TRY(decide(profile, &profile->item[i], elapsed_s, err));
        if (profile->item[i].pub.state == UAP_ITEM_WAITING) {
            UAP_TRY(measure_next(profile, i, progress, elapsed_s, err));
        }
    }
    profile->under_way = -1;
    profile->sweep.allow_s = 0;
    profile->elapsed_s = uap_clock_s() - start;
    uap_device_read_clocks(profile->device, &profile->clocks[1]);
    if (progress->call != NULL) {
        progress->call(progress->context, profile, profile->n_items, profile->elapsed_s);
    }
done:
    uap_links_free(profile->links);
    profile->links = NULL;
    return rc;
}

static uap_status run_all(uap_profile *profile, void *context, uap_err *err)
{
    uap_status rc = UAP_OK;
    if (profile->is_cut_off) {
        profile->before_s = profile->elapsed_s;
        UAP_TRY(begin_again(profile, err));
    }
    UAP_TRY(uap_comm_agree(profile->members, run_list(profile, context, err), err));
    UAP_TRY(uap_profile_groups_between(profile, err));
    rc = uap_profile_look_at_ranks(profile, err);
done:
    return rc;
}

uap_status uap_profile_run(uap_profile *profile, uap_profile_progress *progress,
                           void *context, uap_err *err)
{
    list_progress said = {progress, context};
    if (profile->members == NULL) {
        return UAP_OK;
    }
    return uap_profile_guarded(profile, run_all, &said, err);
}

uap_status uap_profile_save_samples(const uap_profile *profile, const char *path,
                                    uap_err *err)
{
    if (profile->members == NULL || profile->samples == NULL) {
        return UAP_OK;
    }
    return uap_samples_save(profile->samples, profile->members, path, err);
}
