/* The subcommands of the program: one row each, one file cmd_NAME.c each. */
#ifndef UAP_CLI_COMMANDS_H
#define UAP_CLI_COMMANDS_H

#ifdef __cplusplus
extern "C" {
#endif

struct uap_comm;

/* What a command knows of the process it runs in; lives as long as the program. */
typedef struct uap_cli {
    struct uap_comm *comm; /* of all ranks */
    int rank, size;
} uap_cli;

/* What the program returns; the same on every rank. */
typedef enum uap_exit {
    UAP_EXIT_OK = 0,         /* done, or proven within the gap that was asked for */
    UAP_EXIT_FAILURE = 1,    /* something failed, or `check` found a difference */
    UAP_EXIT_USAGE = 2,      /* bad usage or input */
    UAP_EXIT_INFEASIBLE = 3, /* proven: no plan fits */
    UAP_EXIT_FEASIBLE = 4,   /* stopped early with a plan */
    UAP_EXIT_UNKNOWN = 5     /* stopped early without one */
} uap_exit;

/* Where a command runs. RANK_0: the other ranks wait and return rank 0's exit status.
 * ALL: it is called on every rank, and main() returns the largest status of all. */
typedef enum uap_where { UAP_ON_RANK_0, UAP_ON_ALL } uap_where;

/* One command: argv[0] is its own name, options follow. Returns an uap_exit. */
typedef int uap_command_fn(const uap_cli *cli, int argc, char **argv);

/* Name, where it runs, help. A new command is a row here and a file cmd_NAME.c. */
#define UAP_COMMAND_LIST(X)                                                              \
    X(model, RANK_0, "print a model's layers and what each costs")                       \
    X(profile, ALL, "measure this job's devices and links")                              \
    X(plan, ALL, "find the best plan for a model on a cluster")                          \
    X(solve, ALL, "solve one instance file")                                             \
    X(check, RANK_0, "derive a plan's time and memory again, by other code")             \
    X(table, RANK_0, "print several plans, one line each")                               \
    X(export, RANK_0, "write a plan as what a training framework takes")                 \
    X(serve, ALL, "serve all of this to clients of this machine")                        \
    X(status, RANK_0, "ask a service how it is, or to end")                              \
    X(bench, ALL, "the project's own benchmarks")

#define UAP_COMMAND_PROTOTYPE(name, where, help) uap_command_fn uap_cmd_##name;
UAP_COMMAND_LIST(UAP_COMMAND_PROTOTYPE)
#undef UAP_COMMAND_PROTOTYPE

#ifdef __cplusplus
}
#endif
#endif
