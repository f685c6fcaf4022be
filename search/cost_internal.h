/* What the files of the cost builder share; private to search/cost*.c. From the outside in:
 * a uap_cost has one cost_stage per stage size, a stage has per kind of layer the rows that no
 * other row of the same layout beats, and a micro-batch turns rows into integer tables. */
#ifndef UAP_SEARCH_COST_INTERNAL_H
#define UAP_SEARCH_COST_INTERNAL_H

#include "common/mem.h"
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
    int32_t n_curves;
    cost_curve *curve; /* [n_curves], ascending tp; none: not measured */
} cost_kind;

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
    double tf, tf_per_sample;     /* tensor-parallel traffic, s */
    double tb, tb_per_sample;
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

/* Seconds to move a tensor of X bytes: fixed + X * per_byte, 0 for X = 0. */
typedef struct cost_move {
    double fixed, per_byte;
} cost_move;

/* Across a boundary: as the tensor lies, or in slices; the cheaper one counts. */
typedef struct cost_cross {
    cost_move whole, sliced;
} cost_cross;

/* Everything about stages of d devices that does not depend on the micro-batch. */
typedef struct cost_stage {
    uap_dim_scope scope;
    bool is_ready;
    int32_t n; /* strategies */
    uap_strategy *strategy;
    char **name;        /* [n], NULL for strategies that no row has */
    int32_t *tie_class; /* [n] number of its (tp, fsdp) */
    int32_t n_layouts;
    cost_layout *layout; /* ascending (tp, sp) */
    cost_rows *rows;     /* [n_kinds] */
    cost_move *move;     /* [n_layouts][n_layouts] */
    cost_cross *cross;
} cost_stage;

/* Neighbouring layers of these kinds share an edge. */
typedef struct cost_edge {
    int32_t from, to; /* kinds */
} cost_edge;

#define COST_WARNING_BYTES 256

/* Each is given at most once. */
typedef enum cost_warning {
    COST_WARN_SOURCE,
    COST_WARN_PEAK,
    COST_WARN_TP,
    COST_WARN_LINK,
    COST_WARN_MEMORY,
    COST_WARN_COUNT
} cost_warning;

struct uap_cost {
    const uap_model *model;
    const uap_cluster *cluster;
    const uap_device_class *device;
    uap_cost_options options;
    uap_arena *arena;
    uap_link_cache *links;
    int64_t devices; /* N */
    int64_t cap;     /* bytes */
    double peak_flops;
    int32_t optimizer_bytes, optimizer_moves; /* o, m */
    bool is_paper;

    int32_t n_kinds, n_edges;
    cost_kind *kind;
    cost_edge *edge;     /* [n_edges] */
    int32_t *layer_kind; /* [L] */
    int32_t *layer_edge; /* [L - 1] */

    int32_t n_stages;
    cost_stage *stage; /* [n_stages], by ascending pp */
    int32_t n_configurations;
    uap_configuration *configuration;

    char warning_text[COST_WARN_COUNT][COST_WARNING_BYTES];
    const char *warning[COST_WARN_COUNT + 1]; /* NULL-terminated */
};

/* Records a warning unless it has been given. */
void cost_warn(uap_cost *cost, cost_warning which, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- cost_links.c --------------------------------------------------------------------- */

/* Borrows cost; its entries live in cost's arena. NULL: no memory. */
uap_link_cache *cost_links_new(uap_cost *cost);

/* What the links so far could not answer for lack of memory. */
bool cost_links_failed(const uap_link_cache *cache);

/* Groups looked up that the profile does not have. */
int32_t cost_links_assumed(const uap_link_cache *cache);

/* ---- cost_compute.c ------------------------------------------------------------------- */

/* Collects the measured times of the kind; BAD_INPUT where it has neither these nor a peak. */
UAP_NODISCARD uap_status cost_kind_times(uap_cost *cost, cost_kind *kind, uap_err *err);

/* The times of a kind in a layout. */
cost_time cost_time_of(uap_cost *cost, const cost_kind *kind, const cost_layout *layout);

void cost_time_at(const cost_time *time, double samples, double *fwd, double *bwd);

/* ---- cost_stage.c --------------------------------------------------------------------- */

/* Fills a stage whose scope is set. Errors: NO_MEMORY, TOO_LARGE. */
UAP_NODISCARD uap_status cost_stage_fill(uap_cost *cost, cost_stage *stage, uap_err *err);

/* Splits a stage's strategies into layouts and fills move and cross (cost_layout.c). */
UAP_NODISCARD uap_status cost_layouts_fill(uap_cost *cost, cost_stage *stage,
                                           uap_err *err);

/* Seconds for X bytes. */
static inline double cost_move_s(const cost_move *move, double bytes)
{
    return bytes > 0.0 ? move->fixed + bytes * move->per_byte : 0.0;
}

static inline double cost_cross_s(const cost_cross *cross, double bytes)
{
    const double whole = cost_move_s(&cross->whole, bytes);
    const double sliced = cost_move_s(&cross->sliced, bytes);
    return whole < sliced ? whole : sliced;
}

/* ---- cost_build.c --------------------------------------------------------------------- */

/* The instance of a configuration; *out = NULL where a layer has no strategy. */
UAP_NODISCARD uap_status cost_build(uap_cost *cost,
                                    const uap_configuration *configuration,
                                    uap_instance **out, uap_err *err);

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
