/* `uniap check`: a plan's times, memory and legality worked out again, with code that shares
 * nothing with the search. Rank 0 works. */
#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/options.h"
#include "common/file.h"
#include "common/room.h"
#include "plan/check.h"
#include "plan/import_galvatron.h"
#include "plan/plan_table.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct request {
    const char *plan, *model, *cluster, *output, *connect;
    int from;             /* 0: uniap's own format, 1: Galvatron's */
    int64_t seq, devices; /* of a strategy file, which does not state them all */
    int precision;        /* uap_precision */
    bool seq_given, devices_given, precision_given;
    bool quiet;
    uap_sent_args sent;
} request;

static const char about[] =
    "Derives time, memory and feasibility of a plan again from the model, the cluster "
    "and\n"
    "docs/cost-model.md, and says where the plan differs. A plan by hand "
    "(docs/formats.md)\n"
    "needs pp, micro_batches, schedule, batch, the stages' layers and the layers'\n"
    "strategies: the rest is filled in. That nothing better exists, or that an "
    "infeasible\n"
    "plan has none, is not proven again.\n\n"
    "Exit status: 0 the plan agrees, 1 a difference was found or it does not fit, 2 bad\n"
    "usage or input.";

static uap_parsed parse(const uap_cli *cli, int argc, char **argv, request *r)
{
    const uap_option option[] = {
        {'m', "model", UAP_OPT_STR, &r->model, "MODEL",
         .help = "config.json or its directory (the plan's model.source)"},
        {'c', "cluster", UAP_OPT_STR, &r->cluster, "CLUSTER",
         .help = "cluster profile (the plan's cluster.source)"},
        {'o', "output", UAP_OPT_STR, &r->output, "FILE", .stays_here = true,
         .help = "where the plan goes with the numbers derived here; - is standard "
                 "output, then without the table"},
        {0, "from", UAP_OPT_CHOICE, &r->from, NULL, .choices = "uniap|galvatron",
         .help =
             "what the file is (uniap); galvatron: its strategy JSON, taken as a plan by "
             "hand"},
        {0, "seq", UAP_OPT_INT, &r->seq, "N", .min = 1, .max = 1e9,
         .given = &r->seq_given,
         .help = "with --from galvatron: tokens per sample (the model's)"},
        {0, "devices", UAP_OPT_INT, &r->devices, "N", .min = 1, .max = 2147483647,
         .given = &r->devices_given,
         .help = "with --from galvatron: devices (the file's world_size)"},
        {0, "precision", UAP_OPT_CHOICE, &r->precision, NULL, .choices = "fp32|bf16|fp16",
         .given = &r->precision_given,
         .help = "with --from galvatron: compute type (bf16)"},
        {0, "quiet", UAP_OPT_FLAG, &r->quiet, NULL, .help = "no table"},
        UAP_CONNECT_OPTION(&r->connect),
    };
    const uap_usage usage = {.name = "check",
                             .synopsis = "plan.json [-m MODEL] [-c CLUSTER] [-o FILE]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0]),
                             .sent = &r->sent,
                             .min_args = 1,
                             .max_args = 1};
    return uap_options_parse(cli, &usage, argc, argv, &r->plan, NULL);
}

/* The path of an input: that of the command line, else the plan's. */
static uap_status choose_path(const char *given, const uap_plan_input *input,
                              const char *option, const char **out, uap_err *err)
{
    *out = given != NULL ? given : input->source;
    if (*out == NULL) {
        return UAP_FAIL(err, BAD_USAGE, "%s: not given, and the plan names no source",
                        option);
    }
    return UAP_OK;
}

static uap_status load_inputs(const request *r, const uap_plan *plan, uap_model **model,
                              uap_cluster **cluster, uap_err *err)
{
    uap_status rc = UAP_OK;
    const char *model_path = NULL, *cluster_path = NULL;
    const uap_model_options options = {.seq = plan->seq > 0 ? plan->seq : 0,
                                       .operator_granularity =
                                           plan->options.operator_granularity};
    if (plan->instance.name != NULL) {
        rc =
            UAP_FAIL(err, BAD_INPUT,
                     "%s: found a plan for a bare instance, expected one for a model and "
                     "a cluster",
                     r->plan);
        goto done;
    }
    UAP_TRY(choose_path(r->model, &plan->model, "-m/--model", &model_path, err));
    UAP_TRY(choose_path(r->cluster, &plan->cluster, "-c/--cluster", &cluster_path, err));
    UAP_TRY(uap_model_load(model_path, &options, model, err));
    UAP_TRY(uap_cluster_load(cluster_path, cluster, err));
done:
    return rc;
}

/* The plan, or a strategy file as a plan by hand with what only the command line states. */
static uap_status load_plan(const request *r, uap_plan **out, uap_err *err)
{
    if (r->from == 0) {
        const char *given = r->seq_given         ? "seq"
                            : r->devices_given   ? "devices"
                            : r->precision_given ? "precision"
                                                 : NULL;
        return given != NULL
                   ? UAP_FAIL(err, BAD_USAGE,
                              "--%s: found it without --from galvatron, expected the "
                              "plan's own",
                              given)
                   : uap_plan_load(r->plan, out, err);
    }
    const uap_status rc = uap_galvatron_load(r->plan, r->devices, out, err);
    if (rc == UAP_OK) {
        (*out)->seq = r->seq_given ? r->seq : UAP_PLAN_UNSTATED;
        (*out)->options.cost.precision = (uap_precision)r->precision;
    }
    return rc;
}

/* What was found, one line each, and the exit status. */
static int report(const request *r, const uap_plan *plan, const uap_check *check,
                  FILE *out)
{
    for (int32_t i = 0; i < check->n_lines; i++) {
        (void)fprintf(out, "%s: %s\n", r->plan, check->line[i]);
    }
    if (check->n > check->n_lines) {
        (void)fprintf(out, "%s: and %" PRId64 " more\n", r->plan,
                      check->n - check->n_lines);
    }
    if (check->n > 0) {
        (void)fprintf(out, "check: %" PRId64 " difference%s\n", check->n,
                      check->n == 1 ? "" : "s");
        return UAP_EXIT_FAILURE;
    }
    if (plan->status == UAP_PLAN_INFEASIBLE) {
        (void)fprintf(out, "check: an infeasible plan, which states nothing wrong; that "
                           "nothing fits is not proven again\n");
        return UAP_EXIT_FAILURE;
    }
    (void)fprintf(out, "check: %s\n",
                  plan->status == UAP_PLAN_HAND_WRITTEN
                      ? "a plan by hand: legal, fits, and nothing it states differs"
                      : "time, memory and feasibility agree");
    return UAP_EXIT_OK;
}

static int run(const uap_cli *cli, const request *r)
{
    uap_status rc = UAP_OK;
    uap_err err = {0};
    uap_plan *plan = NULL;
    uap_model *model = NULL;
    uap_cluster *cluster = NULL;
    uap_check check = {0};
    int status = UAP_EXIT_OK;
    const bool to_stdout =
        r->output != NULL && r->output[0] == '-' && r->output[1] == '\0';
    if (r->output != NULL) {
        UAP_TRY(uap_file_check_writable(r->output, &err));
    }
    UAP_TRY(load_plan(r, &plan, &err));
    UAP_TRY(load_inputs(r, plan, &model, &cluster, &err));
    UAP_TRY(uap_check_plan(plan, model, cluster, &check, &err));
    if (r->output != NULL && check.derived) {
        UAP_TRY(uap_plan_save(plan, r->output, &err));
    }
    if (!r->quiet && !to_stdout && check.derived) {
        uap_plan_print(plan, uap_room_out());
        (void)fprintf(uap_room_out(), "\n");
    }
    status = report(r, plan, &check, to_stdout ? uap_room_err() : uap_room_out());
done:
    if (rc != UAP_OK) {
        status = uap_cli_fail(cli, &err);
    }
    uap_check_free(&check);
    uap_cluster_free(cluster);
    uap_model_free(model);
    uap_plan_free(plan);
    return status;
}

int uap_cmd_check(const uap_cli *cli, int argc, char **argv)
{
    request r = {.precision = UAP_BF16};
    const uap_parsed parsed = parse(cli, argc, argv, &r);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    if (uap_connect_is_asked(r.connect)) {
        return uap_connect_run(cli, &(uap_connect){.command = "check",
                                                   .socket = r.connect,
                                                   .output = r.output,
                                                   .sent = &r.sent});
    }
    return run(cli, &r);
}
