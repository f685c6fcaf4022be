/* A consistent picture of a running tree search, taken without stopping it. This file holds
 * one rank's share of it as plain state; it sends nothing and has no clock. snapshot.c says
 * why the picture is consistent. */
#ifndef UAP_MPI_SNAPSHOT_H
#define UAP_MPI_SNAPSHOT_H

#include "mpi/tree.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which snapshot: they are numbered from 1, and one that brings nodes is odd here. 0: none. */
typedef uint32_t uap_snapshot_id;

static inline bool uap_snapshot_has_nodes(uap_snapshot_id id)
{
    return (id & 1) != 0;
}

/* Bytes in front of every packed node: its length. */
typedef uint32_t uap_node_length;

/* Packed nodes one after the other, each behind its length. */
typedef struct uap_packed_nodes {
    char *bytes; /* [first .. end - 1] of [capacity] */
    size_t first, end, capacity;
} uap_packed_nodes;

/* Appends a node. False: no memory, and nothing changed. */
bool uap_packed_add(uap_packed_nodes *packed, const uap_tree_problem *problem,
                    const void *node);

/* Appends what is packed already. False: no memory, and nothing changed. */
bool uap_packed_append(uap_packed_nodes *packed, const char *bytes, size_t n);

/* Takes as many whole nodes as fit into `room` bytes off the front; returns their bytes. */
size_t uap_packed_take(uap_packed_nodes *packed, char *to, size_t room);

void uap_packed_free(uap_packed_nodes *packed);

typedef struct uap_snapshot {
    const uap_tree_problem *problem;
    int n_children;
    uap_snapshot_id id; /* the latest that this rank took its part for */
    bool open;          /* not all of it has left this rank upward */
    int64_t waiting;    /* gifts of which it is not known yet whether they belong to it */
    uint32_t children;  /* bit i: child i has sent all of its subtree's */
    uap_tree_figures sum; /* of the subtree, so far */
    uap_packed_nodes out; /* what goes up; at the root: what has come */
} uap_snapshot;

void uap_snapshot_init(uap_snapshot *s, const uap_tree_problem *problem, int n_children);
void uap_snapshot_free(uap_snapshot *s);

/* This rank's cut for `id`, a later one than any before: its own figures, without nodes; those
 * follow now. */
void uap_snapshot_cut(uap_snapshot *s, uap_snapshot_id id, const uap_tree_figures *own);

/* An open node, or n packed ones in these bytes, of this bound belong to the picture. */
void uap_snapshot_node(uap_snapshot *s, const void *node, int64_t bound);
void uap_snapshot_packed(uap_snapshot *s, const char *bytes, size_t n_bytes, int64_t n,
                         int64_t bound);

/* Nodes of a child's subtree; repeats do not come here. */
void uap_snapshot_from_child(uap_snapshot *s, const char *bytes, size_t n_bytes);

/* That child has sent all; `figures` are its subtree's. */
void uap_snapshot_child_done(uap_snapshot *s, int child, const uap_tree_figures *figures);

/* Whether all of the subtree's share of an open snapshot is here, or has gone up. */
bool uap_snapshot_is_whole(const uap_snapshot *s);

/* The subtree's share has left: the root's to the caller, another rank's to its parent. */
void uap_snapshot_close(uap_snapshot *s);

#ifdef __cplusplus
}
#endif
#endif
