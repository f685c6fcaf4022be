/* `uniap bench`: the project's own benchmarks. They print tables of what was measured in
 * the run itself. */
#include "cli/cmd_bench.h"
#include "bench/bench_search.h"
#include "bench/suite.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/stop.h"

#include <stdlib.h>
#include <string.h>

static const char about[] =
    "search: the exact engine against brute force and CBC on random instances, the "
    "closed\n"
    "forms of the schedules against an event simulation, whole searches for the models "
    "of\n"
    "UniAP's Table 1 (with CBC beside them) and for Llama-3.1-405B on more than ten\n"
    "thousand devices, and hard recorded instances. Prints tables to standard output.\n"
    "`uniap bench scaling`, `uts`, `steal-sim`, `profile-sim`, `profile-accuracy` and "
    "`serve`\n"
    "have options of their own.\n\n"
    "Exit status: 0 done, 1 an engine disagreed or failed, 2 bad usage.";

static const char *const part_name[UAP_BENCH_PART_COUNT] = {
#define PART_NAME(name, text) [UAP_BENCH_##name] = #text,
    UAP_BENCH_PART_LIST(PART_NAME)
#undef PART_NAME
};

/* Those that take seconds where none was named. */
static uap_status choose_parts(const uap_str_list *names, uint32_t *parts, uap_err *err)
{
    *parts = names->n == 0 ? UAP_BENCH_PARTS_DEFAULT : 0;
    for (int32_t i = 0; i < names->n; i++) {
        const uint32_t before = *parts;
        for (int p = 0; p < UAP_BENCH_PART_COUNT; p++) {
            if (strcmp(names->value[i], part_name[p]) == 0) {
                *parts |= 1u << p;
            }
        }
        if (*parts == before) {
            return UAP_FAIL(err, BAD_USAGE,
                            "--part: found '%.80s', expected " UAP_BENCH_PART_NAMES
                            ", each once",
                            names->value[i]);
        }
    }
    return UAP_OK;
}

static uap_status check_cases(const uap_str_list *names, uap_err *err)
{
    for (int32_t i = 0; i < names->n; i++) {
        if (uap_suite_find(names->value[i]) == NULL) {
            return UAP_FAIL(err, BAD_USAGE,
                            "--case: found '%.80s', expected a case of "
                            "`uniap bench search --part hard`",
                            names->value[i]);
        }
    }
    return UAP_OK;
}

static int run_search(const uap_cli *cli, const uap_str_list *parts,
                      const uap_str_list *cases, uap_bench_search *bench)
{
    uap_err err = {0};
    bool differs = false;
    bench->out = stdout;
    bench->stop = uap_stop_flag();
    bench->cases = cases->value;
    bench->n_cases = cases->n;
    if (choose_parts(parts, &bench->parts, &err) != UAP_OK ||
        check_cases(cases, &err) != UAP_OK ||
        uap_bench_search_run(bench, &differs, &err) != UAP_OK) {
        return uap_cli_fail(cli, &err);
    }
    return differs ? UAP_EXIT_FAILURE : UAP_EXIT_OK;
}

static int bench_search(const uap_cli *cli, int argc, char **argv)
{
    const char *instances = getenv("UNIAP_INSTANCES");
    uap_str_list parts = {0};
    uap_str_list cases = {0};
    uap_bench_search bench = {.configs = "configs",
                              .instances = instances != NULL ? instances
                                                             : "../shared/data/instances",
                              .brute_instances = 1000,
                              .cbc_instances = 200,
                              .cbc_limit_s = 60.0,
                              .exact_limit_s = 600.0};
    const uap_option option[] = {
        {0, "part", UAP_OPT_STRS, &parts, "NAME",
         .help = UAP_BENCH_PART_NAMES "; may be repeated (all but hard)"},
        {0, "case", UAP_OPT_STRS, &cases, "NAME",
         .help = "of the hard searches only this one; may be repeated (all)"},
        {0, "configs", UAP_OPT_STR, &bench.configs, "DIR",
         .help = "folder with models/ and clusters/ (configs)"},
        {0, "instances", UAP_OPT_STR, &bench.instances, "DIR",
         .help = "recorded instances ($UNIAP_INSTANCES, else ../shared/data/instances)"},
        {0, "brute", UAP_OPT_INT, &bench.brute_instances, "N",
         "random instances against brute force (1000)", .min = 0, .max = 1e9},
        {0, "cbc", UAP_OPT_INT, &bench.cbc_instances, "N",
         "random instances against CBC (200)", .min = 0, .max = 1e9},
        {0, "cbc-limit", UAP_OPT_REAL, &bench.cbc_limit_s, "S",
         "CBC is stopped after S seconds an instance (60)", .min = 0.001, .max = 1e6},
        {0, "exact-limit", UAP_OPT_REAL, &bench.exact_limit_s, "S",
         "the exact engine is stopped after S seconds a case (600)", .min = 0.001,
         .max = 1e6},
    };
    const uap_usage usage = {
        .name = "bench",
        .synopsis = "search|scaling|uts|steal-sim|profile-sim|profile-accuracy|"
                    "serve [options]",
        .about = about,
        .option = option,
        .n_options = (int)(sizeof option / sizeof option[0]),
        .min_args = 1,
        .max_args = 1};
    const char *name = NULL;
    int n_args = 0;
    const uap_parsed parsed = uap_options_parse(cli, &usage, argc, argv, &name, &n_args);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    if (strcmp(name, "search") != 0) {
        uap_err err = {0};
        (void)UAP_FAIL(&err, BAD_USAGE,
                       "bench: found '%.80s', expected search, scaling, uts, steal-sim, "
                       "profile-sim, "
                       "profile-accuracy or serve",
                       name);
        return uap_cli_fail(cli, &err);
    }
    return run_search(cli, &parts, &cases, &bench);
}

int uap_cmd_bench(const uap_cli *cli, int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "uts") == 0) {
        return uap_cmd_bench_uts(cli, argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "scaling") == 0) {
        return uap_cmd_bench_scaling(cli, argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "steal-sim") == 0) {
        return uap_cmd_bench_steal_sim(cli, argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "profile-sim") == 0) {
        return uap_cmd_bench_profile_sim(cli, argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "profile-accuracy") == 0) {
        return uap_cmd_bench_profile_accuracy(cli, argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "serve") == 0) {
        return uap_cmd_bench_serve(cli, argc - 1, argv + 1);
    }
    return cli->rank == 0 ? bench_search(cli, argc, argv) : UAP_EXIT_OK;
}
