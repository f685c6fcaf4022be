/* `uniap profile`: measures this machine, or the job's nodes, and writes a cluster profile.
 * Runs on every rank: one rank is one device. */
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/profile_end.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "mpi/comm.h"
#include "mpi/fuse.h"
#include "profile/merge.h"
#include "profile/profile.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEQ_MAX         1e8
#define MICRO_BATCH_MAX 65536
#define BUDGET_MAX_S    1e6

/* What the command line said. */
typedef struct request {
    const char *output;
    uap_str_list models, parts;
    uap_int_list micro_batches;
    int64_t seq;
    const char *reuse, *raw;
    double budget_s, deadline_s, max_age_days;
    int64_t nodes, devices_per_node;
    int backend, precision, granularity;
    uap_fuse *fuse; /* own, while it runs */
    bool unwatched; /* read before MPI starts, in main.c */
    bool quick, full, dry_run, survey_only, quiet, fail_on_outlier, exclude_outliers;
} request;

static const char about[] =
    "Measures what this job's ranks can do, one rank per device: forward and backward "
    "of\n"
    "the layers of the models given (each distinct shape, by TP degree and "
    "micro-batch),\n"
    "collectives and point to point over a size sweep, what compute and communication\n"
    "cost each other, and memory. Every rank measures at the same time, as in training.\n"
    "Without a model only the devices' speed and the links are measured.\n\n"
    "First all devices and links are surveyed in rounds without contention. What is slow "
    "or\n"
    "silent is told, with the nodes to drain, and stands in the profile as exceptions; "
    "the\n"
    "nodes of devices that do not answer are left out.\n\n"
    "Exit status: 0 measured, 1 failure or, with --fail-on-outlier, something was slow "
    "or\n"
    "silent, 2 bad usage or input.";

static uap_parsed parse(const uap_cli *cli, int argc, char **argv, request *r)
{
    const uap_option option[] = {
        {'o', "output", UAP_OPT_STR, &r->output, "FILE",
         .help = "where the profile goes; - is standard output"},
        {'m', "model", UAP_OPT_STRS, &r->models, "MODEL",
         .help = "config.json or its directory; may be repeated"},
        {0, "merge", UAP_OPT_STRS, &r->parts, "PROFILE",
         .help =
             "measure nothing: put profiles of parts of a machine together; repeated"},
        {0, "reuse", UAP_OPT_STR, &r->reuse, "PROFILE",
         .help =
             "take from an earlier profile what is not too old; new nodes are measured"},
        {0, "max-age", UAP_OPT_REAL, &r->max_age_days, "DAYS",
         "with --reuse: what is older is measured again (30)", .min = 1e-6, .max = 1e5},
        {0, "raw", UAP_OPT_STR, &r->raw, "FILE",
         .help = "also write every single time, a line of JSON for each series"},
        {0, "seq", UAP_OPT_INT, &r->seq, "N",
         "tokens per sample (each model's training length, at most 4096)", .min = 1,
         .max = SEQ_MAX},
        {0, "micro-batches", UAP_OPT_INTS, &r->micro_batches, "LIST",
         "samples per micro-batch, ascending (1,2,4 with --quick, usually to 8, 16 with "
         "--full)",
         .min = 1, .max = MICRO_BATCH_MAX},
        {0, "precision", UAP_OPT_CHOICE, &r->precision, NULL,
         "compute type (fp32 on CPUs, bf16 on GPUs)", .choices = "fp32|bf16|fp16|tf32"},
        {0, "granularity", UAP_OPT_CHOICE, &r->granularity, NULL,
         "layers as blocks, or attention and MLP apart (block)",
         .choices = "block|operator"},
        {0, "backend", UAP_OPT_CHOICE, &r->backend, NULL,
         "what computes (auto: CUDA where there is a GPU)", .choices = "auto|cpu|cuda"},
        {0, "quick", UAP_OPT_FLAG, &r->quick, NULL,
         .help = "the essentials, in well under a minute"},
        {0, "full", UAP_OPT_FLAG, &r->full, NULL,
         .help = "larger micro-batches and messages, links also one at a time"},
        {0, "budget", UAP_OPT_REAL, &r->budget_s, "S",
         "skip layers that would not end within S seconds (quick 30, usual 300, full: "
         "none)",
         .min = 1, .max = BUDGET_MAX_S},
        {0, "dry-run", UAP_OPT_FLAG, &r->dry_run, NULL,
         .help = "print what would be measured, and the expected seconds"},
        {0, "nodes", UAP_OPT_INT, &r->nodes, "N",
         "with --dry-run: for a machine of N nodes (this job's)", .min = 1, .max = 1e6},
        {0, "devices-per-node", UAP_OPT_INT, &r->devices_per_node, "G",
         "and G devices on each (1)", .min = 1, .max = 1024},
        {0, "survey-only", UAP_OPT_FLAG, &r->survey_only, NULL,
         .help = "only survey, and print what was found; no profile"},
        {0, "deadline", UAP_OPT_REAL, &r->deadline_s, "S",
         "a rank that takes S seconds to answer in the survey, or three times as much "
         "behind it, is left out (10)",
         .min = 0.01, .max = 3600},
        {0, "unwatched", UAP_OPT_FLAG, &r->unwatched, NULL,
         .help =
             "MPI without threads: small messages are quicker, a rank that hangs behind "
             "the survey holds up all"},
        {0, "fail-on-outlier", UAP_OPT_FLAG, &r->fail_on_outlier, NULL,
         .help = "exit with 1 where the survey finds something slow or silent"},
        {0, "exclude-outliers", UAP_OPT_FLAG, &r->exclude_outliers, NULL,
         .help = "profile without the nodes that the survey blames"},
        {0, "quiet", UAP_OPT_FLAG, &r->quiet, NULL, .help = "no progress"},
    };
    const uap_usage usage = {.name = "profile",
                             .synopsis = "-o FILE [-m MODEL]... [options]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0])};
    return uap_options_parse(cli, &usage, argc, argv, NULL, NULL);
}

static uap_status check_request(const request *r, uap_err *err)
{
    if (r->output == NULL && !r->dry_run && !r->survey_only) {
        return UAP_FAIL(err, BAD_USAGE,
                        "-o/--output: not given, expected where the profile goes");
    }
    if (r->parts.n == 1 || (r->parts.n > 0 && (r->dry_run || r->survey_only))) {
        return UAP_FAIL(err, BAD_USAGE,
                        "--merge: expected two or more, and nothing to be measured");
    }
    if (r->max_age_days > 0 && r->reuse == NULL) {
        return UAP_FAIL(err, BAD_USAGE, "--max-age: expected with --reuse");
    }
    if (r->reuse != NULL && (r->parts.n > 0 || r->survey_only || r->nodes > 0)) {
        return UAP_FAIL(err, BAD_USAGE,
                        "--reuse: expected without --merge, --survey-only and --nodes");
    }
    if (r->raw != NULL && (r->parts.n > 0 || r->dry_run)) {
        return UAP_FAIL(err, BAD_USAGE, "--raw: expected where something is measured");
    }
    if (r->survey_only && (r->output != NULL || r->dry_run)) {
        return UAP_FAIL(err, BAD_USAGE,
                        "--survey-only: expected without -o and --dry-run");
    }
    if (r->quick && r->full) {
        return UAP_FAIL(err, BAD_USAGE, "--quick and --full: both given, expected one");
    }
    if (!r->dry_run && (r->nodes > 0 || r->devices_per_node > 0)) {
        return UAP_FAIL(err, BAD_USAGE,
                        "--nodes and --devices-per-node: expected with --dry-run only");
    }
    if (r->nodes == 0 && r->devices_per_node > 0) {
        return UAP_FAIL(err, BAD_USAGE, "--devices-per-node: expected with --nodes");
    }
    for (int32_t i = 1; i < r->micro_batches.n; i++) {
        if (r->micro_batches.value[i] <= r->micro_batches.value[i - 1]) {
            return UAP_FAIL(err, BAD_USAGE,
                            "--micro-batches: %" PRId64 " after %" PRId64
                            ", expected ascending numbers",
                            r->micro_batches.value[i], r->micro_batches.value[i - 1]);
        }
    }
    return UAP_OK;
}

/* The program's arguments as one line. */
static void join(int argc, char *const *argv, char *line, size_t n)
{
    size_t used = (size_t)snprintf(line, n, "uniap");
    for (int i = 0; i < argc && used < n; i++) {
        used += (size_t)snprintf(line + used, n - used, " %s", argv[i]);
    }
}

/* The state of the progress line. */
typedef struct progress {
    bool live; /* a terminal: one line, written over */
    double last_s;
} progress;

#define PLAIN_EVERY_S 3.0

static void show_progress(void *context, const uap_profile *profile, int32_t index,
                          double elapsed_s)
{
    progress *p = context;
    const int32_t count = uap_profile_count(profile);
    const double expected_s = uap_profile_expected_s(profile);
    if (index == count) {
        (void)fprintf(stderr, "%sprofile: %d measurements in %.1f s\n",
                      p->live ? "\r\033[K" : "", (int)count, elapsed_s);
        return;
    }
    if (!p->live && index > 0 && elapsed_s - p->last_s < PLAIN_EVERY_S) {
        return;
    }
    p->last_s = elapsed_s;
    const uap_profile_item item = uap_profile_item_at(profile, index);
    (void)fprintf(stderr, "%sprofile: %d/%d  %.1f s of about %.0f  %.60s%s",
                  p->live ? "\r\033[K" : "", (int)index + 1, (int)count, elapsed_s,
                  expected_s, item.what, p->live ? "" : "\n");
    (void)fflush(stderr);
}

static const char *fate(uap_item_state state)
{
    switch (state) {
    case UAP_ITEM_OVER_BUDGET:
        return "  (skipped: no time)";
    case UAP_ITEM_NO_MEMORY:
        return "  (skipped: no memory)";
    case UAP_ITEM_NO_ANSWER:
        return "  (skipped: no answer)";
    case UAP_ITEM_WAITING:
    case UAP_ITEM_DONE:
        break;
    }
    return "";
}

/* The rounds, before they begin. */
static void print_rounds(FILE *out, const char *before, const uap_survey_plan *plan)
{
    for (int32_t i = 0; i < plan->n; i++) {
        const uap_stage *stage = &plan->stage[i];
        (void)fprintf(out, "%s%8.2f s  survey, %s: %d round%s of %d device%s%s\n", before,
                      stage->rounds * stage->round_s, uap_round_kind_name(stage->kind),
                      (int)stage->rounds, stage->rounds == 1 ? "" : "s",
                      (int)stage->devices, stage->devices == 1 ? "" : "s",
                      stage->is_skipped ? "  (skipped: no time)" : "");
    }
}

static void announce(void *context, const uap_survey_plan *plan)
{
    const request *r = context;
    if (!r->quiet) {
        print_rounds(stderr, "profile: ", plan);
    }
}

static void print_plan(const uap_profile *profile)
{
    const int32_t n = uap_profile_count(profile);
    const uap_survey_plan *survey = uap_profile_survey_plan(profile);
    print_rounds(stdout, "", survey);
    (void)printf("%8.2f s  at most for what is measured again in the survey\n",
                 uap_survey_again_s(survey));
    for (int32_t i = 0; i < n; i++) {
        const uap_profile_item item = uap_profile_item_at(profile, i);
        (void)printf("%8.2f s  %s%s%s\n", item.expected_s, item.what, fate(item.state),
                     item.reused[0] != '\0' ? "  (known)" : "");
    }
    (void)printf("%8.2f s  expected in all, %d measurements besides the survey\n",
                 uap_survey_expected_s(survey) + uap_profile_expected_s(profile), (int)n);
}

static void report_class(const uap_cluster *cluster, int32_t index)
{
    const uap_device_class *device = &cluster->device_class[index];
    int64_t devices = 0;
    double peak = 0;
    for (int32_t g = 0; g < cluster->n_groups; g++) {
        const uap_node_group *group = &cluster->group[g];
        const int64_t on_nodes = (int64_t)group->nodes * group->devices_per_node;
        devices += group->device_class == index ? on_nodes : 0;
    }
    for (int p = 0; p < UAP_PRECISION_COUNT; p++) {
        peak = fmax(peak, device->peak_flops[p]);
    }
    UAP_LOG(INFO, GLOBAL,
            "profile: %" PRId64 " x %s, %.1f GiB and %.4g GFLOP/s each, memory %.3g GB/s",
            devices, device->name,
            (double)device->memory_bytes / (double)((int64_t)1 << 30), peak / 1e9,
            device->memory_bandwidth_Bps / 1e9);
}

/* What was found, in a few lines on stderr. */
static void report(const uap_profile *profile, const uap_cluster *cluster)
{
    int32_t skipped = 0, reused = 0, layers = 0;
    for (int32_t i = 0; i < uap_profile_count(profile); i++) {
        const uap_profile_item item = uap_profile_item_at(profile, i);
        skipped += item.state != UAP_ITEM_DONE;
        reused += item.reused[0] != '\0';
    }
    for (int32_t c = 0; c < cluster->n_classes; c++) {
        report_class(cluster, c);
        layers += cluster->device_class[c].n_layers;
    }
    UAP_LOG(INFO, GLOBAL,
            "profile: %d layer times, %d collectives, overlap slows compute %.2f x and "
            "communication %.2f x",
            (int)layers, (int)cluster->n_collectives, cluster->compute_slowdown,
            cluster->communication_slowdown);
    if (reused > 0) {
        UAP_LOG(INFO, GLOBAL, "profile: %d of them known from an earlier profile",
                (int)reused);
    }
    if (skipped > 0) {
        UAP_LOG(WARNING, GLOBAL,
                "profile: %d measurements skipped for want of time, memory or an answer "
                "(--budget; "
                "the profile lists them)",
                (int)skipped);
    }
    if (uap_profile_note(profile)[0] != '\0') {
        UAP_LOG(WARNING, GLOBAL, "profile: %s", uap_profile_note(profile));
    }
}

/* Lines of a survey that is full of findings help nobody. */
#define FINDINGS_SHOWN 20

/* Those from `first` on; returns how many there are. */
static int32_t report_findings(const uap_profile *profile, int32_t first)
{
    const int32_t n = uap_profile_n_findings(profile);
    if (n == first) {
        return n;
    }
    for (int32_t i = first; i < n && i - first < FINDINGS_SHOWN; i++) {
        char text[320];
        uap_profile_finding_text(profile, i, text, sizeof text);
        UAP_LOG(WARNING, GLOBAL, "profile: %s", text);
    }
    if (n - first > FINDINGS_SHOWN) {
        UAP_LOG(WARNING, GLOBAL, "profile: and %d more (the profile lists them)",
                (int)(n - first - FINDINGS_SHOWN));
    }
    if (uap_profile_drain(profile)[0] != '\0') {
        UAP_LOG(WARNING, GLOBAL, "profile: nodes to drain: %s",
                uap_profile_drain(profile));
    }
    return n;
}

/* A survey by itself, as a result. */
static void print_survey(const uap_profile *profile)
{
    for (int k = 0; k < UAP_ROUND_KIND_COUNT; k++) {
        char text[160];
        uap_profile_usual_text(profile, (uap_round_kind)k, text, sizeof text);
        if (text[0] != '\0') {
            (void)printf("%s: %s\n", uap_round_kind_name((uap_round_kind)k), text);
        }
    }
    for (int32_t i = 0; i < uap_profile_n_findings(profile); i++) {
        char text[320];
        uap_profile_finding_text(profile, i, text, sizeof text);
        (void)printf("%s\n", text);
    }
    (void)printf("nodes to drain: %s\n", uap_profile_drain(profile));
}

static uap_status measure(const uap_cli *cli, const request *r, uap_profile *profile,
                          const char *command, uap_err *err)
{
    const double patience_s = uap_profile_patience_s(profile);
    progress shown = {.live = isatty(STDERR_FILENO) != 0};
    uap_status rc = UAP_OK;
    uap_cluster *cluster = NULL;
    const bool shows = cli->rank == 0 && !r->quiet;
    if (cli->rank == 0 && uap_profile_survey_is_cut_short(profile)) {
        UAP_LOG(WARNING, GLOBAL,
                "profile: the survey took longer than planned and left out rounds "
                "(--budget, --survey-only)");
    }
    const int32_t n_told = cli->rank == 0 ? report_findings(profile, 0) : 0;
    UAP_TRY(uap_profile_run(profile, shows ? show_progress : NULL, &shown, err));
    if (cli->rank == 0) {
        (void)report_findings(profile, n_told);
    }
    uap_fuse_light(cli->rank == 0 ? r->fuse : NULL, "putting the profile together",
                   patience_s);
    UAP_TRY(uap_profile_cluster(profile, command, &cluster, err));
    if (cli->rank == 0) {
        uap_fuse_light(r->fuse, "writing the profile", patience_s);
        rc = uap_cluster_save(cluster, r->output, err);
    }
    uap_fuse_out(r->fuse);
    if (uap_profile_comm(profile) != NULL) {
        UAP_TRY(uap_comm_agree(uap_profile_comm(profile), rc, err));
    }
    if (cli->rank == 0 && !r->quiet) {
        report(profile, cluster);
    }
done:
    uap_cluster_free(cluster);
    return rc;
}

/* Every rank reads the models: they are small, and each needs them. */
static uap_status load_models(const request *r, uap_model **model, uap_err *err)
{
    const uap_model_options options = {.seq = r->seq,
                                       .operator_granularity = r->granularity == 1};
    uap_status rc = UAP_OK;
    for (int32_t i = 0; i < r->models.n && rc == UAP_OK; i++) {
        rc = uap_model_load(r->models.value[i], &options, &model[i], err);
    }
    return rc;
}

/* Rank 0 alone: there is nothing to measure. */
static uap_status merge_parts(const uap_cli *cli, const request *r, const char *command,
                              uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_cluster *part[UAP_LIST_MAX] = {NULL}, *merged = NULL;
    for (int32_t i = 0; i < r->parts.n && cli->rank == 0 && rc == UAP_OK; i++) {
        rc = uap_cluster_load(r->parts.value[i], &part[i], err);
    }
    if (cli->rank == 0 && rc == UAP_OK) {
        rc = uap_cluster_merge((const uap_cluster *const *)part, r->parts.n, command,
                               &merged, err);
    }
    if (cli->rank == 0 && rc == UAP_OK) {
        rc = uap_cluster_save(merged, r->output, err);
    }
    for (int32_t i = 0; i < r->parts.n; i++) {
        uap_cluster_free(part[i]);
    }
    uap_cluster_free(merged);
    return uap_comm_agree(cli->comm, rc, err);
}

/* What is taken from an earlier profile counts for so long, where nothing is said. */
#define MAX_AGE_DAYS 30.0
#define DAY_S        86400.0

static uap_profile_options options_of(request *r, const uap_model *const *model,
                                      const uap_cluster *old)
{
    const double days = r->max_age_days > 0 ? r->max_age_days : MAX_AGE_DAYS;
    return (uap_profile_options){
        .n_models = r->models.n,
        .model = model,
        .backend = (uap_backend)r->backend,
        .precision = r->precision,
        .n_micro_batches = r->micro_batches.n,
        .micro_batch = r->micro_batches.value,
        .effort = r->quick  ? UAP_EFFORT_QUICK
                  : r->full ? UAP_EFFORT_FULL
                            : UAP_EFFORT_NORMAL,
        .budget_s = r->budget_s,
        .list_only = r->dry_run,
        .nodes = (int32_t)r->nodes,
        .devices_per_node = r->devices_per_node > 0 ? (int32_t)r->devices_per_node : 1,
        .deadline_s = r->deadline_s,
        .exclude_outliers = r->exclude_outliers,
        .reuse = old,
        .keeps_samples = r->raw != NULL,
        .max_age_s = days * DAY_S,
        .survey_only = r->survey_only,
        .fuse = r->fuse,
        .stub = getenv("UNIAP_STUB"),
        .announce = announce,
        .context = r};
}

/* *status is the command's, where nothing fails. */
static uap_status run(const uap_cli *cli, request *r, const char *command, int *status,
                      uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_model *model[UAP_LIST_MAX] = {NULL};
    uap_profile *profile = NULL;
    uap_cluster *old = NULL;
    if (cli->rank == 0 && r->output != NULL && !r->dry_run) {
        rc = uap_file_check_writable(r->output, err);
    }
    if (cli->rank == 0 && r->raw != NULL && rc == UAP_OK) {
        rc = uap_file_check_writable(r->raw, err);
    }
    if (rc == UAP_OK) {
        rc = uap_fuse_new(uap_profile_end_job, cli, &r->fuse, err);
    }
    UAP_TRY(uap_comm_agree(cli->comm, rc, err));
    UAP_TRY(uap_comm_agree(cli->comm, load_models(r, model, err), err));
    if (r->reuse != NULL) {
        UAP_TRY(uap_comm_agree(cli->comm, uap_cluster_load(r->reuse, &old, err), err));
    }
    const uap_profile_options options =
        options_of(r, (const uap_model *const *)model, old);
    UAP_TRY(uap_profile_new(cli->comm, &options, &profile, err));
    if (!r->dry_run && !r->survey_only) {
        UAP_TRY(measure(cli, r, profile, command, err));
    } else if (cli->rank == 0 && r->dry_run) {
        print_plan(profile);
    } else if (cli->rank == 0) {
        print_survey(profile);
    }
    if (r->raw != NULL) {
        uap_fuse_light(cli->rank == 0 ? r->fuse : NULL, "writing the single times",
                       uap_profile_patience_s(profile));
        UAP_TRY(uap_profile_save_samples(profile, r->raw, err));
        uap_fuse_out(r->fuse);
    }
    if (r->fail_on_outlier && uap_profile_n_findings(profile) > 0) {
        *status = UAP_EXIT_FAILURE;
    }
done:
    uap_profile_end(cli, profile, rc, *status, err);
    uap_fuse_free(r->fuse);
    uap_profile_free(profile);
    uap_cluster_free(old);
    for (int32_t i = 0; i < UAP_LIST_MAX; i++) {
        uap_model_free(model[i]);
    }
    return rc;
}

int uap_cmd_profile(const uap_cli *cli, int argc, char **argv)
{
    request r = {.precision = -1};
    uap_err err = {0};
    char command[4096];
    /* The parser reads options; the provenance keeps what was typed. */
    join(argc, argv, command, sizeof command);
    const uap_parsed parsed = parse(cli, argc, argv, &r);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    uap_status rc = check_request(&r, &err);
    int status = UAP_EXIT_OK;
    if (rc == UAP_OK) {
        rc = r.parts.n > 0 ? merge_parts(cli, &r, command, &err)
                           : run(cli, &r, command, &status, &err);
    }
    return rc == UAP_OK ? status : uap_cli_fail(cli, &err);
}
