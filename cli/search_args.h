/* What `plan` and `solve` share: the options of a search, its limits, its exit status. */
#ifndef UAP_CLI_SEARCH_ARGS_H
#define UAP_CLI_SEARCH_ARGS_H

#include "cli/checkpoint.h"
#include "cli/options.h"
#include "plan/plan.h"
#include "search/solve.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_search_args {
    int engine; /* uap_engine */
    double time_limit_s, gap;
    int64_t memory_limit_bytes;
    const char *checkpoint, *log;
    double checkpoint_interval_s;
    bool quiet;
    const uap_checkpoint *seed; /* no option: as in uap_watch */
    bool
        is_part; /* no option: of several searches, which keep no checkpoint in a service */
} uap_search_args;

/* Defaults: exact, no time limit, proof, 3/4 of the machine's memory or of what a Slurm job
 * has of it, no checkpoint but one in 30 s. */
uap_search_args uap_search_args_default(void);

/* The rows of the option table that fill an uap_search_args `*a`. */
#define UAP_SEARCH_OPTIONS(a)                                                              \
    {0,    "engine",         UAP_OPT_CHOICE,        &(a)->engine,                          \
     NULL, "solver (exact)", .choices = "exact|cbc"},                                      \
        {0,                                                                                \
         "time-limit",                                                                     \
         UAP_OPT_REAL,                                                                     \
         &(a)->time_limit_s,                                                               \
         "S",                                                                              \
         "stop after S seconds with the best plan so far (none)",                          \
         .min = 0.001,                                                                     \
         .max = 1e9},                                                                      \
        {0,         "gap",   UAP_OPT_REAL,                                                 \
         &(a)->gap, "G",     "stop within this relative distance of the bound (0: prove)", \
         .min = 0,  .max = 1},                                                             \
        {0,                                                                                \
         "memory-limit",                                                                   \
         UAP_OPT_GIB,                                                                      \
         &(a)->memory_limit_bytes,                                                         \
         "GIB",                                                                            \
         "memory of the search itself (3/4 of the machine's or job's)",                    \
         .min = 0.001,                                                                     \
         .max = 1048576.0},                                                                \
        {0,                                                                                \
         "checkpoint",                                                                     \
         UAP_OPT_STR,                                                                      \
         &(a)->checkpoint,                                                                 \
         "FILE",                                                                           \
         .help = "keep the state of the search in FILE, and go on from what is there"},    \
        {0,                                                                                \
         "checkpoint-interval",                                                            \
         UAP_OPT_REAL,                                                                     \
         &(a)->checkpoint_interval_s,                                                      \
         "S",                                                                              \
         "seconds from one checkpoint to the next (30)",                                   \
         .min = 0.001,                                                                     \
         .max = 1e9},                                                                      \
        {0,                                                                                \
         "log-json",                                                                       \
         UAP_OPT_STR,                                                                      \
         &(a)->log,                                                                        \
         "FILE",                                                                           \
         .help = "the log and the search\'s events as JSON lines",                         \
         .stays_here = true},                                                              \
    {                                                                                      \
        0, "quiet", UAP_OPT_FLAG, &(a)->quiet, NULL, .help = "no table and no progress"    \
    }

/* Copies what shaped the answer. */
void uap_search_args_note(const uap_search_args *args, uap_plan_options *options);

/* Whether all ranks search together: those of the exact engine. Otherwise rank 0 searches
 * alone and the others have nothing to do. */
bool uap_search_is_shared(const uap_search_args *args);

/* On rank 0, before the inputs are read: opens --log-json, and sees whether --checkpoint can
 * be written. Errors: IO, BAD_USAGE (not with this engine). */
UAP_NODISCARD uap_status uap_search_open(const uap_search_args *args, uap_err *err);

/* Runs the engine until proof, a limit, or a signal. inputs: rank 0's, what a checkpoint is
 * of. *result is rank 0's, freed by the caller. Ends the job where the ranks can no longer
 * agree. Collective where shared. */
UAP_NODISCARD uap_status uap_search_run(const uap_cli *cli, const uap_search_args *args,
                                        const uap_source *source,
                                        const uap_inputs *inputs, uap_result *result,
                                        uap_err *err);

/* Writes the plan to `output` ("-": standard output), prints the table or why nothing
 * fits, and returns the exit status. plan: NULL when the search found none. */
int uap_search_report(const uap_cli *cli, const uap_search_args *args,
                      const uap_result *result, const uap_plan *plan, const char *output);

#ifdef __cplusplus
}
#endif
#endif
