/* `uniap model`: the layers of a model and what each costs, before any cluster is known. */
#include "cli/commands.h"
#include "cli/model_report.h"
#include "cli/options.h"
#include "common/log.h"

#include <stdio.h>

typedef struct settings {
    uap_model_options model;
    int granularity, precision; /* indices of the choices below */
    uap_int_list tp;
    bool json;
} settings;

static const char about[] =
    "Prints the layers of a model, equal ones folded into runs: parameters, FLOPs, "
    "bytes\n"
    "kept for the backward pass with and without recomputation and by tensor-parallel\n"
    "degree (with +sp: sequence parallelism too), and bytes that cross a boundary "
    "behind\n"
    "the layer. All per sample. MODEL is a Hugging Face config.json or its directory.";

static uap_parsed read_settings(const uap_cli *cli, int argc, char **argv,
                                const char **path, settings *s)
{
    *s = (settings){.precision = UAP_BF16, .tp = {4, {1, 2, 4, 8}}};
    /* The order of the choices is that of uap_precision. */
    const uap_option options[] = {
        {.name = "seq",
         .kind = UAP_OPT_INT,
         .out = &s->model.seq,
         .value = "N",
         .help = "tokens per sample (the training length, at most 4096)",
         .min = 1,
         .max = 1 << 26},
        {.name = "granularity",
         .kind = UAP_OPT_CHOICE,
         .out = &s->granularity,
         .choices = "block|operator",
         .help = "layers as blocks, or attention and MLP apart (block)"},
        {.name = "precision",
         .kind = UAP_OPT_CHOICE,
         .out = &s->precision,
         .choices = "fp32|bf16|fp16",
         .help = "type of what is kept and sent (bf16)"},
        {.name = "tp",
         .kind = UAP_OPT_INTS,
         .out = &s->tp,
         .value = "LIST",
         .help = "tensor-parallel degrees to show (1,2,4,8)",
         .min = 1,
         .max = 1 << 20},
        {.name = "json",
         .kind = UAP_OPT_FLAG,
         .out = &s->json,
         .help = "print JSON instead of tables"},
    };
    const uap_usage usage = {.name = "model",
                             .synopsis = "MODEL [options]",
                             .about = about,
                             .option = options,
                             .n_options = (int)(sizeof options / sizeof options[0]),
                             .min_args = 1,
                             .max_args = 1};
    return uap_options_parse(cli, &usage, argc, argv, path, NULL);
}

/* Vision models take their length from the image; a --seq that says otherwise is dropped. */
static void warn_of_sequence(const settings *s, const uap_model *model)
{
    if (s->model.seq != 0 && s->model.seq != model->seq) {
        UAP_LOG(WARNING, GLOBAL,
                "--seq %lld does not apply to %s: its image makes %lld tokens",
                (long long)s->model.seq, model->architecture, (long long)model->seq);
    }
}

int uap_cmd_model(const uap_cli *cli, int argc, char **argv)
{
    uap_err err = {0};
    settings s;
    const char *path = NULL;
    uap_model *model = NULL;
    const uap_parsed parsed = read_settings(cli, argc, argv, &path, &s);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    s.model.operator_granularity = s.granularity == 1;
    if (uap_model_load(path, &s.model, &model, &err) != UAP_OK) {
        return uap_cli_fail(cli, &err);
    }
    warn_of_sequence(&s, model);
    const uap_model_report report = {.model = model,
                                     .precision = (uap_precision)s.precision,
                                     .tp = s.tp,
                                     .is_operator = s.model.operator_granularity};
    const uap_status rc = s.json ? uap_model_report_json(&report, &err)
                                 : uap_model_report_text(&report, &err);
    uap_model_free(model);
    return rc == UAP_OK ? UAP_EXIT_OK : uap_cli_fail(cli, &err);
}
