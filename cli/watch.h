/* What rank 0 does with the pictures of a running search (mpi/tree.h): a line for people, a
 * line for machines, a checkpoint. */
#ifndef UAP_CLI_WATCH_H
#define UAP_CLI_WATCH_H

#include "cli/checkpoint.h"
#include "mpi/comm.h"
#include "mpi/tree.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_watch {
    /* The caller's to set, the same on all ranks. */
    const char *checkpoint; /* path, or NULL: none */
    double interval_s;      /* between checkpoints */
    bool quiet;             /* no lines for people */
    uap_inputs inputs;      /* rank 0's: what a checkpoint is of */
    /* Rank 0's: a plan to beat from the start, for a search that sets out from no checkpoint;
     * NULL: none. Only `value` and `plan` count. */
    const uap_checkpoint *seed;
    /* Its own. */
    uap_checkpoint from; /* what the search set out from; zeros: nothing */
    char *text;          /* that `from` points into */
    bool newest_is_good; /* the file at `checkpoint` is worth keeping */
    bool is_live;        /* people look on */
    bool has_line;       /* the live line stands on the terminal */
    double start_s, last_line_s;
    int64_t last_idle_ns, last_elapsed_ns; /* of the sums, for the share of late */
    int64_t bound, value;                  /* so far: the highest, the lowest */
} uap_watch;

/* Before the search, with each configuration's quick bound: reads the checkpoint where there
 * is one. Errors: those of uap_checkpoint_read, on all ranks. Collective. */
UAP_NODISCARD uap_status uap_watch_begin(uap_watch *watch, const uap_comm *comm,
                                         const int64_t *quick, int32_t n, uap_err *err);

/* Whether rank 0 sets out from watch->from; elsewhere false. */
bool uap_watch_resumes(const uap_watch *watch);

/* Asks for pictures, as many as this watch needs. */
void uap_watch_ask(uap_watch *watch, uap_tree_options *options);

/* A picture of a search that goes on without a tree search: lines, and a checkpoint where it
 * has nodes. On rank 0. */
void uap_watch_see(uap_watch *watch, const uap_tree_snapshot *picture);

/* Writes a checkpoint now, what stood there becoming the older one; `checkpoint` is of this
 * run, and what went before it is added. A failure is a warning: the search is worth more.
 * On rank 0. */
void uap_watch_write(uap_watch *watch, const uap_checkpoint *checkpoint);

/* Takes the live line away, frees what it read. Legal for a watch that never began. */
void uap_watch_end(uap_watch *watch);

#ifdef __cplusplus
}
#endif
#endif
