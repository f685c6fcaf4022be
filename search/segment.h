/* Segments: all ways to run layers a..b as one stage, from in-class x of layer a to
 * out-class y of layer b. For each this module gives a lower bound of its cost under the
 * memory limit (Lagrangian, over a grid of multipliers), and on demand the exact Pareto set,
 * by label setting inside a budget that says what a plan below the target can afford.
 * It knows stages only through classes (inflight, cap); cutting the chain is search/outer.h.
 *
 * Starts in one run of equal layers share a group, so that a segment is worked out once for
 * its length. Times are ticks, memory is bytes, multipliers are ticks per byte. */
#ifndef UAP_SEARCH_SEGMENT_H
#define UAP_SEARCH_SEGMENT_H

#include "search/chain.h"
#include "search/crew.h"

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_MAX_FUNCTIONALS 4
#define UAP_GRID_HALF       4 /* multipliers to either side of the middle one */
#define UAP_MAX_MULTIPLIERS (2 * UAP_GRID_HALF + 2) /* and 0 */
#define UAP_MAX_BANDS       6

/* Linear measures of a segment that bounds and budgets speak of, with integer weights:
 * cp p + cf f + cg g. The span is what a stage of time p and forward time f costs alone,
 * c p - (k - 1) f under 1f1b (f stands for the smaller half, which only lowers it), else
 * c p. Stage 0's come with g as well, since no plan takes less than V + g_0. */
typedef enum uap_measure {
    UAP_MEASURE_TIME,
    UAP_MEASURE_TIME_GRAD,
    UAP_MEASURE_SPAN,
    UAP_MEASURE_SPAN_GRAD,
    UAP_MEASURE_ROUND_GRAD, /* stage 0: its times in the most round trips that V counts */
    UAP_MEASURE_COUNT
} uap_measure;

/* Round trips of 1f1b that V counts at most (r), and the p's it adds (c-1-(r-1)k), for a
 * stage that holds k of c micro-batches; r = 1: none. */
static inline int64_t uap_most_rounds(int64_t c, int64_t k)
{
    return c > k ? 1 + (c - 1) / k : 1;
}

/* A band of workspaces: a stage whose largest W lies in lo..hi uses rows up to hi only and
 * has W >= lo. Bounds per band lose nothing of W where each W has a band of its own. */
typedef struct uap_band {
    int64_t lo, hi;
} uap_band;

typedef struct uap_weights {
    int64_t p, f, g;
} uap_weights;

/* Rows of one kind as a stage class sees them; [n] each. */
typedef struct uap_row_view {
    int64_t *p, *f, *g; /* f and g are 0 where the class does not need them apart */
    int64_t *m, *w;     /* state + inflight * act; work */
    double *q[UAP_MEASURE_COUNT]; /* every measure of the row */
    double *m_real;
} uap_row_view;

/* Rows of one kind in blocks. Inside a run of equal layers the rows of a block follow one
 * another at no cost, so that only their sum counts and one order of them, that of the block,
 * need be tried. Elsewhere a block is simply what leaves towards one class. */
typedef struct uap_blocks {
    int32_t n;
    int32_t *first;    /* [n + 1] into order */
    int32_t *order;    /* [rows] block by block, the most promising first */
    int32_t *block_of; /* [rows] */
    int32_t *in, *out; /* [n] classes; in is -1 outside runs, unless */
    bool is_paired; /* each block is all that is entered through an in-class of its own */
    bool *is_free;  /* [n] rows of the block may follow one another at no cost */
} uap_blocks;

/* Stages that cost the same: equal memory terms and equal needs. */
typedef struct uap_stage_class {
    int64_t inflight, cap;
    bool split;     /* forward and backward matter apart */
    bool grad;      /* the per-iteration time matters */
    bool scalar;    /* pp = 1, full objective: p stands for c (f + b) + g */
    double p_limit; /* most that a segment's time can be in a plan within the target */
    int32_t n_max;  /* longest segment worth a look */
    int32_t lo, hi; /* starts */
    int32_t n_works;
    int64_t *work; /* [n_works] the different workspaces of all rows, ascending */
    int32_t n_bands;
    uap_band band[UAP_MAX_BANDS];
    int32_t n_multipliers;
    double multiplier[UAP_MAX_MULTIPLIERS];
    uap_row_view *row;  /* [n_kinds] */
    uap_blocks *blocks; /* [n_kinds] */
    int64_t **link_p;   /* [n_links] -> [n_out][n_in] resharding as p, and */
    int64_t **link_f;   /* its forward part (0 unless split) */
    double **link_q[UAP_MEASURE_COUNT]; /* [n_links] -> [n_out][n_in] */
    /* [n_links] -> [n_in] the least of link_q over out-classes, then [n_in] the most */
    double **link_range[UAP_MEASURE_COUNT];
    uap_weights weights[UAP_MEASURE_COUNT];
    int32_t *group_of; /* [L], -1 outside lo..hi */
} uap_stage_class;

/* One vector of a segment's Pareto set. */
typedef struct uap_segment_point {
    int64_t p, f, g;
} uap_segment_point;

typedef struct uap_segment_set {
    int64_t first; /* index into the pool of points */
    int32_t count;
} uap_segment_set;

/* What one start class of a group has from when one of its cells is first wanted; most
 * never are. */
typedef struct uap_group_row {
    bool wanted;                         /* some cells are */
    bool has_sets;                       /* some set may not be empty */
    double *budget[UAP_MAX_FUNCTIONALS]; /* [cells] -HUGE_VAL: not wanted */
    uap_segment_set *set;                /* [cells], or NULL until it is solved */
} uap_group_row;

/* Starts a that see the same layers ahead; cells are (x, length, y). */
typedef struct uap_group {
    int32_t class_index;
    int32_t start; /* the first of its starts, which stands for all */
    int32_t n_in, n_len;
    int32_t *offset; /* [n_len + 1] cells of one x before length l + 1 */
    int32_t cells; /* per x, of the lengths that there were before bounds cut them down */
    int32_t n_functionals;
    uap_measure measure[UAP_MAX_FUNCTIONALS];
    bool no_grad; /* g can never decide: it ends before stage 0's last backward does */
    bool
        no_forward; /* nor can g of any stage behind, which waits for this stage's forward */
    int32_t sum, alone,
        round; /* which bounds the share of S, the span, the rounds; -1: none */
    int32_t end, end_alone; /* behind stage 0: the time and the span with g; -1: none */
    double
        *bound[UAP_MAX_FUNCTIONALS]; /* [n_in][cells] lower bounds, HUGE_VAL: none fits */
    uap_group_row *row;              /* [n_in] */
    int32_t shortest, longest;       /* lengths of wanted cells; 0: none */
    /* [n_in][UAP_MAX_FUNCTIONALS + 1] labels that the last runs of each functional, and of
     * all together, looked at: what the next ones may take. */
    int64_t *looked;
} uap_group;

/* Tells a long run to end; called every millisecond or so. */
typedef bool uap_stop_fn(void *context);

typedef struct uap_segments {
    uap_stop_fn *stop; /* may be NULL */
    void *context;
    bool stopped;     /* a run ended early: what it left is incomplete */
    int64_t effort;   /* labels that may still be looked at; then runs end early too */
    int64_t unpolled; /* work since stop was last asked, and */
    int64_t unspent;  /* labels among it */
    const uap_crew *crew; /* shares the long loops, or NULL */
    bool is_tightened;    /* uap_segments_tighten raised a bound */
    int64_t rough_work;   /* see uap_limits */
    const uap_chain *chain;
    uap_arena *arena;
    bool halves_in_order; /* no forward time is above its backward time */
    bool is_round_trip;   /* 1f1b: V is the maximum that labels of stage 0 know */
    bool weighs_ends;     /* see uap_segment_needs */
    int32_t n_classes, n_groups;
    uap_stage_class *cls; /* [n_classes] */
    int32_t *class_of;    /* [pp] */
    int32_t *lo, *hi;     /* [pp] layers at which the stage may start; lo > hi: none */
    uap_group *group;     /* [n_groups] */
    uap_segment_point *point; /* pool */
    int64_t n_points, point_capacity;
    int64_t labels; /* created so far */
    size_t peak_bytes;
} uap_segments;

/* Counts labels looked at, against the effort, and asks now and then whether to stop; true
 * once the run must end. */
bool uap_segments_poll(uap_segments *segments, int64_t labels);

/* The same for other work, in steps of about a nanosecond. */
bool uap_segments_breathe(uap_segments *segments, int64_t steps);

/* Cell of (x, segment a..b, y) in the group that starts at a. */
static inline int32_t uap_cell(const uap_group *group, int32_t x, int32_t length,
                               int32_t y)
{
    return x * group->cells + group->offset[length - 1] + y;
}

/* Cells of one start class; those behind them have no bound that could be read. */
static inline int32_t uap_group_cells(const uap_group *group)
{
    return group->offset[group->n_len];
}

/* The row of start class x, in which cells of `shortest` to `longest` layers are wanted: the
 * caller gives them their budgets. NULL when out of memory. */
uap_group_row *uap_group_want(uap_segments *segments, uap_group *group, int32_t x,
                              int32_t shortest, int32_t longest);

/* Takes all budgets away. */
void uap_group_forget(uap_group *group);

/* The set of cell i of start class x; an empty one where there is none. */
static inline const uap_segment_set *uap_group_set(const uap_group *group, int32_t x,
                                                   int32_t i)
{
    static const uap_segment_set none = {0};
    return group->row[x].set != NULL ? &group->row[x].set[i] : &none;
}

/* Prepares classes, groups and the lower bounds of all segments whose times can lie in a
 * plan of at most `target` ticks. Where (*out)->stopped is set these are incomplete, and
 * the segments good for nothing. needs: see uap_segment_needs. Errors: NO_MEMORY, those of
 * the crew. */
typedef struct uap_segment_needs {
    const bool *split, *grad; /* [pp] */
    bool scalar;
    bool round_trips;    /* 1f1b: a stage waits for what it has in flight */
    bool weighs_ends;    /* measures with g behind stage 0 too */
    const double *kappa; /* [pp] the same for all stages, to limit lengths */
    int64_t target;
    int64_t rough_work; /* see uap_limits */
    uap_stop_fn *stop;
    void *context;
    const uap_crew *crew; /* or NULL; all of it makes the same segments */
    uap_arena *arena;     /* of segments before, which become its owner; or NULL */
} uap_segment_needs;

UAP_NODISCARD uap_status uap_segments_new(const uap_chain *chain,
                                          const uap_segment_needs *needs,
                                          uap_segments **out, uap_err *err);

/* The same in two parts, for stages of n types: first the classes of each type with their
 * longest segments, then, of all together, starts, groups and bounds. Errors: NO_MEMORY;
 * what was begun is the caller's to free. */
UAP_NODISCARD uap_status uap_segments_begin(const uap_chain *chain,
                                            const uap_segment_needs *needs,
                                            uap_segments **out, uap_err *err);
UAP_NODISCARD uap_status uap_segments_finish(uap_segments *const *all, int32_t n,
                                             uap_err *err);

void uap_segments_free(uap_segments *segments); /* NULL is legal */

/* The same, but gives the arena back, empty: memory for the next. */
uap_arena *uap_segments_end(uap_segments *segments);

/* Sets the lower bounds of all cells of all groups; uap_segments_new calls it. Errors as
 * there. */
UAP_NODISCARD uap_status uap_segments_bound(uap_segments *segments, uap_err *err);

/* Makes the groups of all classes, without a bound, a budget or a set. False when out of
 * memory. */
bool uap_segments_group(uap_segments *segments);

/* Sorts the rows of every kind into blocks, once the class has its multipliers. False when
 * out of memory. */
bool uap_segments_block(uap_segments *segments, uap_stage_class *cls);

/* A label that is looked at costs about so many steps. */
#define UAP_STEPS_OF_A_LABEL 60

/* Whether the rows of layer u + 1 continue the blocks of layer u. */
static inline bool uap_blocks_go_on(const uap_chain *chain, int32_t u)
{
    return u + 1 < chain->n_layers && chain->kind_of[u] == chain->kind_of[u + 1];
}

/* Raises the bounds of every cell with a budget to the least of each functional alone that
 * fits in memory, exactly but for W, which counts at its least; what cannot stay within its
 * budget gets a bound just above it. Two-dimensional labels, so that it costs little and
 * closes what the Lagrangian bound leaves open where memory comes in lumps. Segments whose
 * full labels are two-dimensional anyway are left alone, but for the one of a single stage,
 * which gets a Lagrangian bound with sharp prices. Once segments->stopped is set, no bound
 * was raised. Errors: NO_MEMORY, those of the crew. */
UAP_NODISCARD uap_status uap_segments_tighten(uap_segments *segments, uap_err *err);

/* Sets no_grad and no_forward of all groups for plans that use segments with a budget only,
 * those of n stage types together (n = 1: all stages are alike); before uap_segments_solve.
 * False when out of memory. */
bool uap_segments_mark_idle(uap_segments *const *all, int32_t n);

/* Works out the exact Pareto sets of every cell with a budget. A label survives only where
 * it can still reach a wanted end within that end's budget. Once
 * segments->stopped is set the sets are incomplete. Errors: NO_MEMORY, those of the crew. */
UAP_NODISCARD uap_status uap_segments_solve(uap_segments *segments, uap_err *err);

/* Room for more points in the pool. False when out of memory. */
bool uap_segments_reserve(uap_segments *segments, int64_t more);

/* The strategies (row numbers of each layer's kind) of one segment a..b that is nowhere worse
 * than `point` of its set, in any term that counts. row: [b - a + 1], out. Errors: NO_MEMORY, INTERNAL. */
typedef struct uap_segment_ref {
    int32_t class_index;
    int32_t a, b, x, y;
    uap_segment_point point;
} uap_segment_ref;
UAP_NODISCARD uap_status uap_segments_path(uap_segments *segments,
                                           const uap_segment_ref *ref, int32_t *row,
                                           uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
