/* `uniap bench scaling`: the suite of hard searches on more and more ranks. */
#include "cli/cmd_bench.h"
#include "cli/options.h"
#include "cli/scaling.h"
#include "cli/stop.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST_CASES UAP_LIST_MAX

static const char about[] =
    "Searches each case of the suite (`uniap bench search --part hard`) with 1, 2, 4\n"
    "ranks of the job together, and each time with as many searches of one rank each\n"
    "side by side, which is the honest 100 % on a shared machine. Start it with mpirun\n"
    "and as many ranks as the largest number asked for.\n\n"
    "Exit status: 0 done, 1 two searches disagreed or something failed, 2 bad usage.";

static uap_status choose_cases(const uap_str_list *names, uap_scaling *what,
                               const uap_suite_case **cases, uap_err *err)
{
    what->cases = cases;
    for (int i = 0; i < uap_suite_count() && names->n == 0 && i < MOST_CASES; i++) {
        cases[what->n_cases++] = uap_suite_at(i);
    }
    for (int32_t i = 0; i < names->n; i++) {
        cases[i] = uap_suite_find(names->value[i]);
        if (cases[i] == NULL) {
            return UAP_FAIL(err, BAD_USAGE,
                            "--case: found '%.80s', expected a case of `uniap bench "
                            "search --part hard`",
                            names->value[i]);
        }
        what->n_cases++;
    }
    return UAP_OK;
}

/* 1, 2 and 4 as far as the job goes, unless asked for. */
static uap_status choose_ranks(const uap_cli *cli, uap_int_list *ranks, uap_scaling *what,
                               uap_err *err)
{
    const bool is_asked = ranks->n > 0;
    for (int64_t r = 1; !is_asked && r <= 4 && r <= cli->size; r *= 2) {
        ranks->value[ranks->n++] = r;
    }
    what->ranks = ranks->value;
    what->n_ranks = ranks->n;
    if (ranks->n > UAP_SCALING_MOST_COUNTS) {
        return UAP_FAIL(err, BAD_USAGE, "--ranks: found %d numbers, expected %d at most",
                        (int)ranks->n, UAP_SCALING_MOST_COUNTS);
    }
    for (int32_t i = 0; i < ranks->n; i++) {
        if (ranks->value[i] > cli->size) {
            return UAP_FAIL(err, BAD_USAGE,
                            "--ranks: found %lld, expected at most the %d of this job "
                            "(mpirun -n)",
                            (long long)ranks->value[i], cli->size);
        }
    }
    return UAP_OK;
}

int uap_cmd_bench_scaling(const uap_cli *cli, int argc, char **argv)
{
    uap_err err = {0};
    bool differs = false, broken = false;
    const char *instances = getenv("UNIAP_INSTANCES");
    const uap_suite_case *cases[MOST_CASES];
    uap_str_list names = {0};
    uap_int_list ranks = {0};
    uap_scaling what = {.repeats = 5,
                        .time_limit_s = 300,
                        .folders = {.configs = "configs",
                                    .instances = instances != NULL
                                                     ? instances
                                                     : "../shared/data/instances"},
                        .out = stdout,
                        .stop = uap_stop_flag()};
    const uap_option option[] = {
        {0, "ranks", UAP_OPT_INTS, &ranks, "LIST",
         "numbers of ranks (1,2,4 as far as the job goes)", .min = 1, .max = 1e6},
        {0, "case", UAP_OPT_STRS, &names, "NAME",
         .help = "only this one; may be repeated (all)"},
        {0, "repeat", UAP_OPT_INT, &what.repeats, "N", "runs of each (5)", .min = 1,
         .max = UAP_SCALING_MOST_REPEATS},
        {0, "time-limit", UAP_OPT_REAL, &what.time_limit_s, "S",
         "a search is cut off after S seconds (300)", .min = 0.001, .max = 1e6},
        {0, "configs", UAP_OPT_STR, &what.folders.configs, "DIR",
         .help = "folder with models/ and clusters/ (configs)"},
        {0, "instances", UAP_OPT_STR, &what.folders.instances, "DIR",
         .help = "recorded instances ($UNIAP_INSTANCES, else ../shared/data/instances)"},
    };
    const uap_usage usage = {.name = "bench scaling",
                             .synopsis = "[options]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0])};
    const uap_parsed parsed = uap_options_parse(cli, &usage, argc, argv, NULL, NULL);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    if (choose_cases(&names, &what, cases, &err) != UAP_OK ||
        choose_ranks(cli, &ranks, &what, &err) != UAP_OK ||
        uap_scaling_run(cli->comm, &what, &differs, &broken, &err) != UAP_OK) {
        if (broken) { /* this rank alone knows */
            (void)fprintf(stderr, "uniap: %s\n", err.msg);
            uap_comm_abort(cli->comm, UAP_EXIT_FAILURE);
        }
        return uap_cli_fail(cli, &err);
    }
    return differs ? UAP_EXIT_FAILURE : UAP_EXIT_OK;
}
