/* One configuration (schedule, pp, c) as an integer optimisation problem: the tables of
 * docs/cost-model.md, layers that cost the same sharing one table. It is data only: it
 * does not know models, clusters or how it is solved.
 *
 * Letters: L layers, S_u strategies of layer u, pp stages, c micro-batches.
 * Times are int64 ticks of 10 ps, memory is int64 bytes. */
#ifndef UAP_SEARCH_INSTANCE_H
#define UAP_SEARCH_INSTANCE_H

#include "common/mem.h"
#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_TICKS_PER_SECOND 100000000000LL /* 10 ps */

/* A plan's value must stay below this; larger inputs are refused by uap_instance_check. */
#define UAP_VALUE_LIMIT ((int64_t)1 << 62)

typedef enum uap_objective {
    UAP_OBJECTIVE_FULL,  /* V + E of the schedule, with forward and backward apart */
    UAP_OBJECTIVE_SIMPLE /* sum p + sum o + (c-1) max(p, o) + max g */
} uap_objective;

typedef enum uap_schedule {
    UAP_SCHEDULE_GPIPE,
    UAP_SCHEDULE_1F1B,
    UAP_SCHEDULE_1F1B_EAGER,
    UAP_SCHEDULE_COUNT
} uap_schedule;

/* The rows of one kind of layer; every array has n entries, all values >= 0. */
typedef struct uap_layer_table {
    int32_t n;       /* strategies, S_u >= 1 */
    int64_t *fwd;    /* ticks per micro-batch (simple objective: A) */
    int64_t *bwd;    /* ticks per micro-batch (simple objective: 0) */
    int64_t *grad;   /* ticks per iteration, G */
    int64_t *state;  /* bytes, Ms */
    int64_t *act;    /* bytes per micro-batch in flight, Ma */
    int64_t *work;   /* bytes, W: the largest in a stage counts */
    char **name;     /* strategy names, or NULL */
    int32_t *origin; /* index into the builder's strategy space, or NULL */
    int32_t *type;   /* [n] stage type of each row; NULL iff the instance has none */
} uap_layer_table;

/* What a stage of a mixed cluster may run on: so many devices of one group. All rows of a
 * stage are of one type, which is the stage's; a stage of this type has no more memory than
 * `cap`, whatever its place. */
typedef struct uap_stage_type {
    int32_t group;
    int64_t devices; /* >= 1 */
    int64_t cap;     /* bytes */
} uap_stage_type;

/* Costs between layer u (strategy k) and u + 1 (strategy m), through classes: the entry of
 * (k, m) is at [from_class[k] * n_to + to_class[m]]. Dense matrices use one class per
 * strategy. Simple objective: bwd halves are 0. */
typedef struct uap_edge_table {
    int32_t n_from, n_to; /* numbers of classes */
    int32_t *from_class;  /* [S_u], each < n_from */
    int32_t *to_class;    /* [S_u+1], each < n_to */
    int64_t *r_fwd;       /* [n_from][n_to] resharding within a stage, ticks */
    int64_t *r_bwd;
    int64_t *x_fwd; /* [n_from][n_to] transfer and resharding across a boundary, ticks */
    int64_t *x_bwd;
} uap_edge_table;

/* A tensor that later layers than the next one read (T5's encoder output). It travels in
 * the layout its producer gave it: each boundary between the producer and its last consumer
 * pays x[k] once, each consumer pays its resharding r[k][m] in its own stage, and every
 * stage that has a layer in (from, last] keeps bytes[k] x inflight. k: the strategy of
 * layer `from`; m: the consumer's. Ticks and bytes, all >= 0. */
typedef struct uap_live_tensor {
    int32_t from;        /* producer */
    int32_t n_consumers; /* >= 1 */
    int32_t *consumer;   /* [n_consumers] ascending, all > from; the last is `last` */
    int64_t **r_fwd;     /* [n_consumers] -> [S_from][S_consumer] */
    int64_t **r_bwd;
    int64_t *x_fwd; /* [S_from] */
    int64_t *x_bwd;
    int64_t *bytes; /* [S_from] */
} uap_live_tensor;

/* Layers a < b must take strategies of the same class (tied embedding and head). */
typedef struct uap_tie {
    int32_t a, b;
    int32_t *class_a; /* [S_a] */
    int32_t *class_b; /* [S_b] */
} uap_tie;

typedef struct uap_instance {
    uap_arena *arena; /* owns every array below */
    uap_objective objective;
    uap_schedule schedule; /* chooses V; cap and inflight below are authoritative */
    int32_t pp, micro_batches;
    int32_t n_layers;
    int32_t n_tables, n_edges;
    uap_layer_table *table; /* [n_tables] */
    uap_edge_table *edge;   /* [n_edges] */
    int32_t *layer_table;   /* [L] index into table */
    int32_t *layer_edge;    /* [L-1] index into edge, for (u, u + 1) */
    int64_t *cap;           /* [pp] bytes */
    int64_t *inflight;      /* [pp] >= 1 */
    int32_t n_live, n_ties;
    uap_live_tensor *live; /* [n_live] */
    uap_tie *tie;          /* [n_ties] */
    /* Mixed clusters: n_types 0 and NULL where all stages are alike. The stages of a group
     * take no more than its devices together. R between rows of different types is never
     * used; x there is the transfer between stages of these types. */
    int32_t n_types, n_groups;
    uap_stage_type *type;   /* [n_types] */
    int64_t *group_devices; /* [n_groups] */
    /* [n_types][L] bytes per micro-batch in flight that a stage of this type keeps more when
     * it starts at this layer; NULL: none. Live tensors of mixed clusters are told so. */
    int64_t *start_act;
} uap_instance;

/* An empty instance with an arena; the caller fills it and frees it. NULL: no memory. */
uap_instance *uap_instance_new(void);
void uap_instance_free(uap_instance *instance); /* NULL is legal */

/* Checks shapes, signs, class ranges, pp <= L, and that no plan's value or memory can pass
 * UAP_VALUE_LIMIT. Errors: BAD_INPUT or TOO_LARGE, naming the entry. O(size). Local. */
UAP_NODISCARD uap_status uap_instance_check(const uap_instance *instance, uap_err *err);

static inline const uap_layer_table *uap_table_of(const uap_instance *instance,
                                                  int32_t layer)
{
    return &instance->table[instance->layer_table[layer]];
}

static inline const uap_edge_table *uap_edge_of(const uap_instance *instance,
                                                int32_t layer)
{
    return &instance->edge[instance->layer_edge[layer]];
}

/* Position of (k, m) in an edge's matrices. */
static inline int32_t uap_edge_index(const uap_edge_table *edge, int32_t k, int32_t m)
{
    return edge->from_class[k] * edge->n_to + edge->to_class[m];
}

/* Stage type of a layer's row; 0 where the instance has no types. */
static inline int32_t uap_row_type(const uap_instance *instance, int32_t layer, int32_t k)
{
    const int32_t *type = uap_table_of(instance, layer)->type;
    return type == NULL ? 0 : type[k];
}

/* Memory of stage i on a type, bytes. */
static inline int64_t uap_typed_cap(const uap_instance *instance, int32_t stage,
                                    int32_t type)
{
    const int64_t cap = instance->cap[stage];
    const bool less =
        type >= 0 && type < instance->n_types && instance->type[type].cap < cap;
    return less ? instance->type[type].cap : cap;
}

/* Bytes per micro-batch in flight that a stage of a type keeps when it starts at a layer. */
static inline int64_t uap_typed_start(const uap_instance *instance, int32_t type,
                                      int32_t layer)
{
    return instance->start_act == NULL
               ? 0
               : instance->start_act[(int64_t)type * instance->n_layers + layer];
}

/* A complete choice: the plan in an instance's own terms. */
typedef struct uap_choice {
    int32_t *first;    /* [pp] first layer of each stage, first[0] = 0, ascending */
    int32_t *strategy; /* [L] index into the layer's table */
} uap_choice;

/* Allocates both arrays zeroed; false when out of memory. Freed by uap_choice_free. */
bool uap_choice_init(uap_choice *choice, int32_t pp, int32_t n_layers);
void uap_choice_free(uap_choice *choice);
void uap_choice_copy(uap_choice *to, const uap_choice *from, int32_t pp,
                     int32_t n_layers);

#ifdef __cplusplus
}
#endif
#endif
