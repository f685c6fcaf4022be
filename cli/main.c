/* The program: finds the command, starts MPI where ranks may have a part in it, and returns one
 * exit status on all ranks. */
#include "cli/commands.h"
#include "cli/options.h"
#include "common/log.h"
#include "common/mem.h"
#include "mpi/comm.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct command {
    const char *name;
    uap_command_fn *run;
    uap_where where;
    const char *help;
} command;

static const command commands[] = {
#define COMMAND_ROW(name, where, help) {#name, uap_cmd_##name, UAP_ON_##where, help},
    UAP_COMMAND_LIST(COMMAND_ROW)
#undef COMMAND_ROW
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

static const command *find_command(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static void print_commands(FILE *to)
{
    (void)fprintf(to, "Usage: uniap COMMAND [options]\n\nCommands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        (void)fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].help);
    }
    (void)fprintf(to,
                  "\n`uniap COMMAND --help` explains each; `uniap --version` says the "
                  "version.\nEvery command runs as a plain process and under mpirun "
                  "or srun on any number of ranks.\n");
}

/* `uniap` alone, --help, --version, or a name that is no command. */
static int answer_without_command(const uap_cli *cli, const char *word)
{
    if (word != NULL && strcmp(word, "--version") == 0) {
        if (cli->rank == 0) {
            (void)printf("uniap %s\n", UAP_VERSION);
        }
        return UAP_EXIT_OK;
    }
    const bool asked = word != NULL && strcmp(word, "--help") == 0;
    if (cli->rank == 0) {
        if (word != NULL && !asked) {
            (void)fprintf(stderr, "uniap: '%.80s': unknown command\n", word);
        }
        print_commands(asked ? stdout : stderr);
    }
    return asked ? UAP_EXIT_OK : UAP_EXIT_USAGE;
}

/* Results that did not reach stdout (a full disk, say) are a failure. */
static int flush_results(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fprintf(stderr, "uniap: standard output: cannot write\n");
        return status == UAP_EXIT_OK ? UAP_EXIT_FAILURE : status;
    }
    return status;
}

/* Whether a launcher started this process, as one of a job's: what Open MPI's, PMIx's and
 * PMI's tell theirs. */
static bool is_launched(void)
{
    static const char *const told[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};
    bool launched = false;
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        launched = launched || getenv(told[i]) != NULL;
    }
    return launched;
}

/* Whether a service does the work. */
static bool goes_to_service(int argc, char **argv)
{
    static const char option[] = "--connect";
    const size_t n = sizeof option - 1;
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], option, n) == 0 &&
            (argv[i][n] == '\0' || argv[i][n] == '=')) {
            return true;
        }
    }
    return false;
}

/* This rank's part; OK where the command is not for this rank. what: NULL for no command. */
static int run_here(const uap_cli *cli, const command *what, int argc, char **argv)
{
    if (what == NULL) {
        return answer_without_command(cli, argc > 1 ? argv[1] : NULL);
    }
    if (what->where == UAP_ON_RANK_0 && cli->rank != 0) {
        return UAP_EXIT_OK;
    }
    return what->run(cli, argc - 1, argv + 1);
}

/* The largest status of all ranks, so that every rank returns the same. Collective. */
static int agree_on_status(const uap_cli *cli, int status)
{
    uap_err err = {0};
    int64_t largest = status;
    if (uap_comm_allreduce_i64(cli->comm, &largest, 1, UAP_COMM_MAX, &err) != UAP_OK) {
        (void)uap_cli_fail(cli, &err);
        return UAP_EXIT_FAILURE;
    }
    return (int)largest;
}

/* A closed pipe is a failed write, which is checked at the end. Launchers pass USR1 to all
 * ranks: those that wait go on waiting, a search sets its own handler. */
static void ignore_signals(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGUSR1, SIG_IGN);
}

/* MPI starts before options are read. */
static bool has_word(int argc, char *const *argv, const char *word)
{
    bool found = false;
    for (int i = 1; i < argc; i++) {
        found = found || strcmp(argv[i], word) == 0;
    }
    return found;
}

int main(int argc, char **argv)
{
    uap_err err = {0};
    uap_comm *comm = NULL;
    uap_cli cli = {.rank = 0, .size = 1};
    const command *what = argc > 1 ? find_command(argv[1]) : NULL;
    /* MPI takes half a second to start in a process of its own. */
    const bool needs_mpi = is_launched() || (what != NULL && what->where == UAP_ON_ALL &&
                                             !goes_to_service(argc, argv));
    ignore_signals();
    const bool watches = what != NULL && what->run == uap_cmd_profile &&
                         !has_word(argc, argv, "--unwatched");
    if (watches || (what != NULL && what->run == uap_cmd_serve)) {
        uap_comm_ask_for_threads(); /* measurements are watched; requests have their own */
    }
    if (needs_mpi && uap_comm_init(&argc, &argv, &comm, &err) != UAP_OK) {
        return uap_cli_fail(&cli, &err);
    }
    if (needs_mpi) {
        cli = (uap_cli){comm, uap_comm_rank(comm), uap_comm_size(comm)};
    }
    uap_log_setup(UAP_LOG_INFO, cli.rank, NULL, NULL);
    int status = flush_results(run_here(&cli, what, argc, argv));
    status = needs_mpi ? agree_on_status(&cli, status) : status;
    if (uap_comm_finalize(comm, &err) != UAP_OK) {
        status = uap_cli_fail(&cli, &err);
    }
    assert(uap_mem_outstanding() == 0);
    return status;
}
