/* What the files of the cost builder share; private to search/cost*.c. From the outside in:
 * a uap_cost has groups of alike nodes and one cost_stage per group and stage size, a stage has
 * per kind of layer the rows that no other row of the same layout beats, and a micro-batch turns
 * rows into integer tables. */
#ifndef UAP_SEARCH_COST_INTERNAL_H
#define UAP_SEARCH_COST_INTERNAL_H

#include "common/mem.h"
#include "configs/cluster_groups.h"
#include "search/cost.h"
#include "search/dimension.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Measured times of a layer at one TP degree, by ascending micro-batch. */
typedef struct cost_curve {
    int32_t tp, n;
    double *batch, *fwd, *bwd; /* [n] samples, s, s */
} cost_curve;

/* Layers that cost the same: those of one shape, and each tied layer for itself. */
typedef struct cost_kind {
    int32_t layer; /* one of them */
    bool is_tied;
    bool is_alone; /* no other layer joins it */
} cost_kind;

/* What a device class measured of a kind of layer. */
typedef struct cost_times {
    int32_t n_curves;
    cost_curve *curve; /* [n_curves], ascending tp; none: not measured */
} cost_times;

/* Seconds of a layer's forward and backward as a function of the samples on a device. */
typedef struct cost_time {
    const cost_curve *curve; /* NULL: proportional */
    double fwd, bwd;         /* per sample, or factors on the curve */
} cost_time;

/* One strategy of a layer kind, as far as it does not depend on the micro-batch. */
typedef struct cost_row {
    int32_t origin; /* index into the stage's strategies */
    bool recompute;
    int64_t state;                /* Ms, bytes */
    double act_per_sample;        /* bytes */
    double work, work_per_sample; /* bytes */
    double hide_fwd, hide_bwd;    /* xf, xb, s */
    double sync, after, once;     /* xg, xa, optimizer + tie, s */
    double tp_fwd, tp_bwd;        /* tensor-parallel exchanges, each over these links */
    const uap_link *tp_link[UAP_TP_LINKS];
    double tp_bytes_per_sample;
} cost_row;

typedef struct cost_rows {
    cost_row *row;   /* by layout, then by origin */
    int32_t *begin;  /* [n_layouts + 1] */
    cost_time *time; /* [n_layouts] */
} cost_rows;

/* How a layer's output lies on the devices; w follows from d and tp. */
typedef struct cost_layout {
    int32_t tp;
    bool sp;
} cost_layout;

/* Seconds to move a tensor of X bytes: fixed + X * per_byte, 0 for X = 0. Where links have
 * pieces it holds for the X that it was made for. */
typedef struct cost_move {
    double fixed, per_byte;
} cost_move;

/* Across a boundary: as the tensor lies, in slices of it, or in slices that the receiver
 * wants; the cheapest counts. */
typedef struct cost_cross {
    cost_move way[3];
} cost_cross;

typedef struct cost_stage cost_stage;

/* Moves within a stage, for tensors of one size. */
typedef struct cost_moves {
    struct cost_moves *next;
    double bytes;    /* 0: of any size */
    cost_move *move; /* [layouts][layouts] */
} cost_moves;

/* The boundary from one stage type to another, for tensors of one size. */
typedef struct cost_boundary {
    struct cost_boundary *next;
    const cost_stage *to;
    double bytes;      /* 0: of any size */
    cost_cross *cross; /* [layouts of the one][layouts of the other] */
} cost_boundary;

/* Everything about stages of d devices of a group that does not depend on the micro-batch. */
struct cost_stage {
    uap_dim_scope scope;
    int32_t group;
    bool is_ready;
    int32_t n; /* strategies */
    uap_strategy *strategy;
    char **name;        /* [n], NULL for strategies that no row has */
    int32_t *tie_class; /* [n] number of its (tp, fsdp) */
    int32_t n_layouts;
    cost_layout *layout;     /* ascending (tp, sp) */
    cost_rows *rows;         /* [n_kinds] */
    cost_moves *moves;       /* those asked for so far */
    cost_boundary *boundary; /* likewise */
};

/* Neighbouring layers of these kinds share an edge. */
typedef struct cost_edge {
    int32_t from, to; /* kinds */
    int32_t layer;    /* behind which it is, or one of them */
} cost_edge;

#define COST_WARNING_BYTES 256

/* In a mixed cluster an origin is stage number x this + number of the strategy. */
#define COST_MAX_STRATEGIES (1 << 20)

/* Each is given at most once. */
typedef enum cost_warning {
    COST_WARN_SOURCE,
    COST_WARN_PEAK,
    COST_WARN_TP,
    COST_WARN_LINK,
    COST_WARN_MEMORY,
    COST_WARN_BETWEEN,
    COST_WARN_COUNT
} cost_warning;

/* Alike nodes: what a stage on them costs comes from their device class and their links. */
typedef struct cost_group {
    const uap_cluster *cluster; /* as if it had no other nodes */
    const uap_device_class *device;
    uap_link_cache *links;
    int64_t devices; /* N, or those of the group */
    int64_t cap;     /* bytes */
    double peak_flops;
    cost_times *times; /* [n_kinds] */
    bool has_warned[COST_WARN_COUNT];
} cost_group;

struct uap_cost {
    const uap_model *model;
    const uap_cluster *cluster;
    uap_cost_options options;
    const uap_cost_rule *rule; /* or NULL */
    uap_arena *arena;
    uap_cluster_groups *joined;
    bool is_mixed; /* more than one group: stages have types */
    int32_t n_groups;
    cost_group *group;                        /* [n_groups] */
    int64_t devices;                          /* N, of all groups */
    int32_t optimizer_bytes, optimizer_moves; /* o, m */
    bool is_paper;
    bool has_pieces; /* some link's time is no line: moves differ from size to size */

    int32_t n_kinds, n_edges;
    cost_kind *kind;
    cost_edge *edge;     /* [n_edges] */
    int32_t *layer_kind; /* [L] */
    int32_t *layer_edge; /* [L - 1] */

    int32_t n_stages;
    cost_stage
        *stage; /* [n_stages], by ascending pp; mixed: by group, size, pp = 1 first */
    int32_t n_configurations;
    uap_configuration *configuration;

    int32_t n_warnings;
    const char **warning; /* [n_groups x COST_WARN_COUNT + 1], NULL-terminated */
};

/* Records a warning unless the group has given it; with several groups it names the group's
 * device class. NULL: about the whole cluster, given once by its caller. */
void cost_warn(uap_cost *cost, cost_group *group, cost_warning which, const char *fmt,
               ...) __attribute__((format(printf, 4, 5)));

/* ---- cost_links.c --------------------------------------------------------------------- */

/* Borrows cost and group; its entries live in cost's arena. NULL: no memory. */
uap_link_cache *cost_links_new(uap_cost *cost, cost_group *group);

/* What the links so far could not answer for lack of memory. */
bool cost_links_failed(const uap_link_cache *cache);

/* Groups looked up that the profile does not have. */
int32_t cost_links_assumed(const uap_link_cache *cache);

/* ---- cost_compute.c ------------------------------------------------------------------- */

/* Collects the measured times of kind k on a group's devices; BAD_INPUT where it has neither
 * these nor a peak. */
UAP_NODISCARD uap_status cost_kind_times(uap_cost *cost, cost_group *group, int32_t k,
                                         uap_err *err);

/* The times of kind k in a layout. */
cost_time cost_time_of(uap_cost *cost, cost_group *group, int32_t k,
                       const cost_layout *layout);

void cost_time_at(const cost_time *time, double samples, double *fwd, double *bwd);

/* ---- cost.c and cost_types.c ---------------------------------------------------------- */

/* Appends a stage of `devices` devices of group g; there must be room. */
void cost_add_stage(uap_cost *cost, int32_t g, int64_t devices, bool is_pipelined);

/* Mixed: fills cost->stage with every type that a stage may have; *most is the greatest number
 * of stages that fit side by side. Errors: NO_MEMORY, TOO_LARGE. */
UAP_NODISCARD uap_status cost_list_types(uap_cost *cost, int64_t *most, uap_err *err);

/* ---- cost_stage.c --------------------------------------------------------------------- */

/* Fills a stage whose scope is set. Errors: NO_MEMORY, TOO_LARGE. */
UAP_NODISCARD uap_status cost_stage_fill(uap_cost *cost, cost_stage *stage, uap_err *err);

/* Splits a stage's strategies into layouts (cost_layout.c). */
UAP_NODISCARD uap_status cost_layouts_fill(uap_cost *cost, cost_stage *stage,
                                           uap_err *err);

/* Whether any link of the cluster has pieces. */
bool cost_has_pieces(const uap_cluster *cluster);

/* From even slices of a tensor to a layout. */
cost_move cost_gather(const cost_stage *stage, cost_layout layout, double bytes);

/* What moving a tensor within the stage takes, [layouts][layouts], made when asked for first.
 * The stage must be filled. NULL: no memory. */
const cost_move *cost_moves_of(uap_cost *cost, cost_stage *stage, double bytes);

/* What goes from a stage to the next one, [layouts of from][layouts of to], made when asked
 * for first. Both must be filled. NULL: no memory. */
const cost_cross *cost_boundary_of(uap_cost *cost, cost_stage *from, const cost_stage *to,
                                   double bytes);

/* `times` x a tensor's bytes in even parts from the devices of one stage to those of another,
 * which is also what comes back. */
cost_move cost_send(uap_cost *cost, const cost_stage *from, const cost_stage *to,
                    double times, double bytes);

/* Seconds for X bytes. */
static inline double cost_move_s(const cost_move *move, double bytes)
{
    return bytes > 0.0 ? move->fixed + bytes * move->per_byte : 0.0;
}

static inline double cost_cross_s(const cost_cross *cross, double bytes)
{
    double best = cost_move_s(&cross->way[0], bytes);
    for (int i = 1; i < 3; i++) {
        const double seconds = cost_move_s(&cross->way[i], bytes);
        best = seconds < best ? seconds : best;
    }
    return best;
}

/* ---- cost_build.c --------------------------------------------------------------------- */

/* The instance of a configuration; *out = NULL where a layer has no strategy. */
UAP_NODISCARD uap_status cost_build(uap_cost *cost,
                                    const uap_configuration *configuration,
                                    uap_instance **out, uap_err *err);

/* Whether the layer reads the live tensor. */
static inline bool cost_reads_live(const uap_model_live *tensor, int32_t layer)
{
    for (int32_t i = 0; i < tensor->n_readers; i++) {
        if (tensor->reader[i] == layer) {
            return true;
        }
    }
    return false;
}

/* Whether a boundary behind the layer carries the live tensor. */
static inline bool cost_crosses_live(const uap_model_live *tensor, int32_t layer)
{
    return layer >= tensor->from && layer < tensor->reader[tensor->n_readers - 1];
}

/* Rounded to the nearest tick; what cannot be held becomes UAP_VALUE_LIMIT, which
 * uap_instance_check refuses. */
static inline int64_t cost_ticks(double seconds)
{
    const double ticks = seconds * (double)UAP_TICKS_PER_SECOND + 0.5;
    return ticks < (double)UAP_VALUE_LIMIT ? (int64_t)ticks : UAP_VALUE_LIMIT;
}

/* Rounded up, limited likewise. */
static inline int64_t cost_bytes(double bytes)
{
    if (!(bytes < (double)UAP_VALUE_LIMIT)) {
        return UAP_VALUE_LIMIT;
    }
    const int64_t floor_bytes = (int64_t)bytes;
    return floor_bytes + ((double)floor_bytes < bytes);
}

#ifdef __cplusplus
}
#endif
#endif
