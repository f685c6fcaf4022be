/* Nodes of the exact search and the pool that orders them: best bound first, then by
 * configuration and age, so that the order is total and the same on every machine. */
#ifndef UAP_SEARCH_NODE_H
#define UAP_SEARCH_NODE_H

#include "search/chain.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_node {
    int32_t config;
    int64_t bound;  /* no plan of this node is below it, ticks */
    int64_t chain;  /* nor is the best plan of its chain below this; at most bound */
    int64_t serial; /* age */
    double reach;   /* share by which the relaxation looks above the bound; 0: none yet */
    double step;    /* share of the bound by which the next target lies above it; 0: none
                       * yet */
    int64_t effort; /* labels looked at before a search within a target is given up */
    double lead;    /* share by which the linear program's bound was above the chain's, in
                  * the nearest node above that has both; 0: in none */
    int32_t
        branch; /* 1 + the live tensor whose layouts it was split by; 0: none, or not known
                     * here */
    int64_t program;             /* the linear program's bound, ticks; 0: not asked yet */
    bool had_cbc;                /* CBC was tried */
    bool is_bounded;             /* the Lagrangian bound of the chain is in */
    bool is_opened;              /* its configuration's first plan was looked for */
    bool is_searched;            /* its configuration went through an exact search */
    int32_t n_layers;            /* of allow below; 0 while unrestricted */
    uap_restriction restriction; /* owned */
} uap_node;

void uap_node_clear(uap_node *node); /* frees what it owns */

/* A deep copy, age included. False: no memory; the copy may then be cleared. */
bool uap_node_copy(const uap_instance *instance, const uap_node *node, uap_node *copy);

typedef struct uap_node_pool {
    uap_node *heap;
    int32_t n, capacity;
    int64_t next_serial;
} uap_node_pool;

/* Moves the node into the pool; a new node (serial 0) gets its age. False: no memory. */
bool uap_pool_push(uap_node_pool *pool, uap_node *node);

/* Takes the first node out; the pool must not be empty. */
uap_node uap_pool_pop(uap_node_pool *pool);
void uap_pool_free(uap_node_pool *pool);

/* Splits a node whose relaxed plan `choice` does not hold in the instance: by the class of
 * a broken tie, else by the layout of a live tensor's producer: of the one with the highest
 * score [n_live], or NULL: of the first. children: pushed to the pool with the node's bound;
 * *count of them. Errors: NO_MEMORY, INTERNAL (nothing left to branch on). */
UAP_NODISCARD uap_status uap_node_branch(const uap_instance *instance,
                                         const uap_node *node, const uap_choice *choice,
                                         const double *score, uap_node_pool *pool,
                                         int32_t *count, uap_err *err);

/* The same by a live tensor's layout alone; no child where all are decided. */
UAP_NODISCARD uap_status uap_node_branch_live(const uap_instance *instance,
                                              const uap_node *node, const double *score,
                                              uap_node_pool *pool, int32_t *count,
                                              uap_err *err);

/* Numbers the layouts of live tensor t's producer: class_of [S_from], the first strategy of
 * each that costs the same everywhere. Returns how many the allowed strategies have. */
int32_t uap_node_layouts(const uap_instance *instance, const uap_node *node, int32_t t,
                         int32_t *class_of);

#ifdef __cplusplus
}
#endif
#endif
