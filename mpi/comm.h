/* A communicator and the few collective operations that uniap is made of. It hides MPI:
 * nothing outside this folder includes mpi.h. Every call returns MPI's own text on failure;
 * nothing here retries, prints or exits (uap_comm_abort apart). */
#ifndef UAP_MPI_COMM_H
#define UAP_MPI_COMM_H

#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A group of ranks with a message space of its own. */
typedef struct uap_comm uap_comm;

typedef enum uap_comm_op { UAP_COMM_MAX, UAP_COMM_MIN, UAP_COMM_SUM } uap_comm_op;

/* Starts MPI, also in a process that no launcher started (then size 1), and makes the
 * program's own communicator over all ranks. Once per process. The caller ends it with
 * uap_comm_finalize. Errors: MPI, NO_MEMORY. Collective. */
UAP_NODISCARD uap_status uap_comm_init(int *argc, char ***argv, uap_comm **out,
                                       uap_err *err);

/* Before uap_comm_init: threads of this process will call MPI side by side (mpi/guard.h), where
 * the library can do that; each message then takes a little longer. Local. */
void uap_comm_ask_for_threads(void);

/* Frees the communicator of uap_comm_init and ends MPI; NULL does nothing. Collective. */
UAP_NODISCARD uap_status uap_comm_finalize(uap_comm *comm, uap_err *err);

/* The ranks of equal color >= 0 form a communicator, ordered by key and then by rank; a
 * negative color takes part and gets *out = NULL. The caller frees *out.
 * Errors: MPI, NO_MEMORY. Collective. */
UAP_NODISCARD uap_status uap_comm_split(const uap_comm *comm, int color, int key,
                                        uap_comm **out, uap_err *err);

/* The n ranks member[0 .. n-1] of comm, the caller among them, form a communicator in this
 * order; ranks that are not members take no part, and may hang. The caller frees *out.
 * Errors: MPI, NO_MEMORY. Collective over the members, which give the same list. */
UAP_NODISCARD uap_status uap_comm_some(const uap_comm *comm, const int *member, int n,
                                       uap_comm **out, uap_err *err);

/* Takes over a block of uap_calloc that MPI may still use, and frees it once MPI has ended.
 * NULL is legal. Local. */
void uap_comm_keep(void *block);

/* Frees a communicator of uap_comm_split or uap_comm_some; NULL is legal. Collective over its
 * ranks. */
void uap_comm_free(uap_comm *comm);

int uap_comm_rank(const uap_comm *comm); /* 0 .. size - 1; local */
int uap_comm_size(const uap_comm *comm); /* local */

/* Nodes are what shares memory. Numbered 0 .. node_count - 1 by their lowest rank in the
 * communicator of uap_comm_init; a split keeps that communicator's numbers. Local. */
int uap_comm_node_rank(const uap_comm *comm); /* among the ranks of this node */
int uap_comm_node_size(const uap_comm *comm); /* ranks of `comm` on this node */
int uap_comm_node_of(const uap_comm *comm, int rank);
int uap_comm_node_count(const uap_comm *comm); /* nodes with a rank of `comm` */

/* For trying out what several nodes do where there is one: so many neighbouring ranks count
 * as a node (UNIAP_NODE_SIZE); 0: nodes are what they are. Local. */
int uap_comm_made_up_node_size(void);

/* Name and version of the MPI library, one line, static storage. Local. */
const char *uap_comm_library(void);

UAP_NODISCARD uap_status uap_comm_barrier(const uap_comm *comm, uap_err *err);

/* A barrier at which ranks sleep instead of polling, for waits of seconds beside others that
 * work: late by a millisecond or so. */
UAP_NODISCARD uap_status uap_comm_barrier_asleep(const uap_comm *comm, uap_err *err);

/* Copies n bytes (equal on all ranks, any size) from root to all. Collective. */
UAP_NODISCARD uap_status uap_comm_bcast(const uap_comm *comm, void *bytes, size_t n,
                                        int root, uap_err *err);

/* value[0 .. n-1], elementwise over the ranks, in place; the same bits on every rank.
 * Collective. */
UAP_NODISCARD uap_status uap_comm_allreduce_f64(const uap_comm *comm, double *value,
                                                size_t n, uap_comm_op op, uap_err *err);
UAP_NODISCARD uap_status uap_comm_allreduce_i64(const uap_comm *comm, int64_t *value,
                                                size_t n, uap_comm_op op, uap_err *err);

/* The blocks of all ranks on rank 0: rank r's n bytes are (*all)[(*offset)[r]] up to
 * (*offset)[r + 1]. Rank 0 frees both with uap_free; the others get NULL. n may differ.
 * Errors: MPI, NO_MEMORY, TOO_LARGE (2 GiB or more in all). Collective. */
UAP_NODISCARD uap_status uap_comm_gather(const uap_comm *comm, const void *bytes,
                                         size_t n, char **all, size_t **offset,
                                         uap_err *err);

/* Takes in bytes from a rank, the caller's own included; they are lent. */
typedef uap_status uap_comm_take(void *self, int rank, const char *bytes, size_t n,
                                 uap_err *err);

/* How many of the n bytes to send at once: the most whole records that come to `most` bytes,
 * or the first alone. */
typedef size_t uap_comm_cut(const char *bytes, size_t n, size_t most);

/* Gives every rank's block (n bytes, any size, which may differ) to `take` on all ranks:
 * piece by piece, each rank's in their order, so that little memory is needed; without a
 * `cut` in one piece, in the order of ranks. Errors: MPI, NO_MEMORY, alike on all ranks;
 * those of take, of each rank for itself: the caller agrees on them. Collective. */
UAP_NODISCARD uap_status uap_comm_exchange(const uap_comm *comm, const char *bytes,
                                           size_t n, uap_comm_cut *cut,
                                           uap_comm_take *take, void *self, uap_err *err);

/* Ends a step that may have failed on some ranks: returns OK everywhere when every `local`
 * is OK, else the code and text of the lowest rank that failed, on every rank (err is
 * overwritten, with "rank R: " in front where R > 0). Collective. */
UAP_NODISCARD uap_status uap_comm_agree(const uap_comm *comm, uap_status local,
                                        uap_err *err);

/* Ends all ranks at once with this exit status. For faults that cannot be agreed on. */
void uap_comm_abort(const uap_comm *comm, int exit_status) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif
#endif
