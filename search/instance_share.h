/* Finding equal layers and edges while an instance is filled from dense matrices: equal
 * layers get one table, equal rows and columns one class, equal edges one table. */
#ifndef UAP_SEARCH_INSTANCE_SHARE_H
#define UAP_SEARCH_INSTANCE_SHARE_H

#include "search/instance.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The halves of a dense edge, in the order of uap_edge_table. */
enum { UAP_EDGE_MATRICES = 4 };

/* Costs between two layers, not yet compressed; each matrix is [n_from][n_to], row-major,
 * ticks: r_fwd, r_bwd, x_fwd, x_bwd. */
typedef struct uap_dense_edge {
    int32_t n_from, n_to;
    const int64_t *matrix[UAP_EDGE_MATRICES];
} uap_dense_edge;

/* Remembers hashes of what an instance holds already. */
typedef struct uap_sharer {
    uap_instance *instance; /* borrowed; room for L tables and L - 1 edges in it */
    uap_arena *scratch;     /* owned */
    uint64_t *table_hash;   /* [L] */
    uint64_t *edge_hash;    /* [L - 1] */
    int32_t *edge_n_from;   /* [L - 1] strategies at the ends of each edge table */
    int32_t *edge_n_to;
} uap_sharer;

/* For an instance of n_layers layers whose table and edge arrays are allocated for so many.
 * Errors: NO_MEMORY. Freed by uap_sharer_close, also after a failure. Local. */
UAP_NODISCARD uap_status uap_sharer_open(uap_sharer *sharer, uap_instance *instance,
                                         int32_t n_layers, uap_err *err);
void uap_sharer_close(uap_sharer *sharer);

/* Index of the table equal to *table, which is added where there is none; its arrays must
 * be the instance's arena's. Local. */
int32_t uap_share_table(uap_sharer *sharer, const uap_layer_table *table);

/* Index of the edge table equal to a dense edge, which is compressed and added where there
 * is none. Errors: NO_MEMORY. Local, O(n_from n_to + strategies x classes). */
UAP_NODISCARD uap_status uap_share_edge(uap_sharer *sharer, const uap_dense_edge *dense,
                                        int32_t *index, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
