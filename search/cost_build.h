/* What search/cost_build.c and cost_live.c share while they make an instance; private to
 * them. */
#ifndef UAP_SEARCH_COST_BUILD_H
#define UAP_SEARCH_COST_BUILD_H

#include "search/cost_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* For each tie of a layer the group that the other layer is on; -1 where it makes no
 * difference. */
typedef struct cost_partner {
    int32_t group[UAP_MODEL_MAX_TIES];
} cost_partner;

/* The numbers of one strategy, as a table holds them. */
typedef struct cost_entry {
    int64_t fwd, bwd, grad, state, act, work;
    int32_t origin, layout, type; /* origin: in the stage */
    cost_partner partner;
} cost_entry;

/* A table under construction, with what edges need to know of it. */
typedef struct cost_built {
    uap_layer_table *table;
    int32_t n_classes;
    int32_t *type;         /* [n_classes] the stage type behind a class */
    int32_t *layout;       /* [n_classes] and its layout */
    int32_t *class_of;     /* [n] class of a strategy */
    cost_partner *partner; /* [n] */
} cost_built;

/* One configuration while it is built. */
typedef struct cost_work {
    uap_cost *cost;
    int32_t n_types; /* 1 where all stages are alike */
    cost_stage **type;
    const uap_configuration *configuration;
    int64_t micro_batch; /* b */
    uap_instance *instance;
    cost_built *built; /* [n_kinds] */
} cost_work;

static inline uap_status cost_no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "no memory for an instance");
}

/* n zeroed integers that the instance owns; NULL: no memory. */
static inline int64_t *cost_alloc_i64(const cost_work *b, size_t n)
{
    return uap_arena_alloc(b->instance->arena, n, sizeof(int64_t));
}

static inline int32_t *cost_alloc_i32(const cost_work *b, size_t n)
{
    return uap_arena_alloc(b->instance->arena, n, sizeof(int32_t));
}

/* Seconds as forward and backward halves in ticks; with the paper's model the sum is rounded
 * once. */
void cost_set_halves(const cost_work *b, double forward, double backward, int64_t *fwd,
                     int64_t *bwd);

/* Live tensors as such, where all stages are alike. */
UAP_NODISCARD uap_status cost_build_live(const cost_work *b, uap_err *err);

/* Live tensors of mixed clusters: added to rows, edges and start_act. */
UAP_NODISCARD uap_status cost_fold_live(const cost_work *b, uap_err *err);

/* By how much cost_tie_rows may lengthen a list. */
size_t cost_tie_room(const cost_work *b);

/* Tied layers of mixed clusters: each of the n entries of kind k once for every group that the
 * other layer may be on, with the tying all-reduce to there. Returns their number. */
int32_t cost_tie_rows(const cost_work *b, int32_t k, cost_entry *entries, int32_t n);

UAP_NODISCARD uap_status cost_build_ties(const cost_work *b, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
