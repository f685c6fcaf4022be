/* `uniap export`: a plan as what a training framework takes. Rank 0 works. */
#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/options.h"
#include "common/file.h"
#include "common/room.h"
#include "plan/export.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct request {
    const char *plan, *output, *connect;
    int target; /* uap_export_target */
    bool target_given, quiet;
    uap_sent_args sent;
} request;

static const char about[] =
    "Writes a plan as what a training framework takes (docs/export.md): arguments for\n"
    "Megatron-LM, a JSON configuration for DeepSpeed, a Python module (of earlier\n"
    "releases: TOML) for torchtitan, a strategy file for Galvatron. Where the framework\n"
    "cannot be told all of the plan, each reason is one line with the layers and the\n"
    "option, and nothing is written.\n\n"
    "Exit status: 0 written, 1 failure, 2 bad usage or input, or a plan that the "
    "framework\n"
    "cannot express.";

static uap_parsed parse(const uap_cli *cli, int argc, char **argv, request *r)
{
    const uap_option option[] = {
        {0, "to", UAP_OPT_CHOICE, &r->target, NULL, .choices = UAP_EXPORT_TARGETS,
         .given = &r->target_given, .help = "the framework (required)"},
        {'o', "output", UAP_OPT_STR, &r->output, "FILE", .stays_here = true,
         .help = "where it goes (- : standard output)"},
        {0, "quiet", UAP_OPT_FLAG, &r->quiet, NULL, .help = "no notes"},
        UAP_CONNECT_OPTION(&r->connect),
    };
    const uap_usage usage = {.name = "export",
                             .synopsis = "plan.json --to TARGET [-o FILE]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0]),
                             .sent = &r->sent,
                             .min_args = 1,
                             .max_args = 1};
    return uap_options_parse(cli, &usage, argc, argv, &r->plan, NULL);
}

/* Why nothing is written, a line each. */
static void report(const request *r, const uap_export *out)
{
    for (int32_t i = 0; i < out->n_lines; i++) {
        (void)fprintf(uap_room_err(), "uniap: %s: %s\n", r->plan, out->line[i]);
    }
    (void)fprintf(uap_room_err(),
                  "uniap: %s: nothing written: %" PRId64
                  " thing%s that %s cannot express%s\n",
                  r->plan, out->n_refusals, out->n_refusals == 1 ? "" : "s",
                  uap_export_framework((uap_export_target)r->target),
                  out->n_refusals > out->n_lines ? ", the first are above" : "");
}

static int run(const uap_cli *cli, const request *r)
{
    uap_status rc = UAP_OK;
    uap_err err = {0};
    uap_plan *plan = NULL;
    uap_export out = {0};
    int status = UAP_EXIT_OK;
    if (!r->target_given) {
        rc =
            UAP_FAIL(&err, BAD_USAGE, "--to: not given, expected %s", UAP_EXPORT_TARGETS);
        goto done;
    }
    if (r->output[0] != '-' || r->output[1] != '\0') {
        UAP_TRY(uap_file_check_writable(r->output, &err));
    }
    UAP_TRY(uap_plan_load(r->plan, &plan, &err));
    UAP_TRY(uap_export_plan(plan, (uap_export_target)r->target, &out, &err));
    if (out.n_refusals > 0) {
        report(r, &out);
        status = UAP_EXIT_USAGE;
        goto done;
    }
    UAP_TRY(uap_export_write(&out, r->output, &err));
    for (int32_t i = 0; i < out.n_notes && !r->quiet; i++) {
        (void)fprintf(uap_room_err(), "uniap: note: %s\n", out.note[i]);
    }
done:
    if (rc != UAP_OK) {
        status = uap_cli_fail(cli, &err);
    }
    uap_export_free(&out);
    uap_plan_free(plan);
    return status;
}

int uap_cmd_export(const uap_cli *cli, int argc, char **argv)
{
    request r = {.output = "-"};
    const uap_parsed parsed = parse(cli, argc, argv, &r);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    if (uap_connect_is_asked(r.connect)) {
        return uap_connect_run(cli, &(uap_connect){.command = "export",
                                                   .socket = r.connect,
                                                   .output = r.output,
                                                   .sent = &r.sent});
    }
    return run(cli, &r);
}
