/* Inside of search/segment.h: one run of labels from one start class, shared by the forward
 * walk (segment_label.c), what limits it (label_limit.c, label_completion.c) and paths
 * (segment_path.c). Nobody else includes this. */
#ifndef UAP_SEARCH_LABEL_RUN_H
#define UAP_SEARCH_LABEL_RUN_H

#include "search/label.h"
#include "search/segment.h"

#define UAP_LABEL_MARGIN 1e-11 /* rounding of a few hundred additions stays far below */

#define UAP_MAX_TESTS (UAP_MAX_FUNCTIONALS * UAP_MAX_MULTIPLIERS)

/* Lagrangian tests of a run for labels whose largest workspace lies in a band: each the
 * weights of time, forward, gradient of a functional, and a price of memory. */
typedef struct uap_run_band {
    uap_band band;
    int32_t functional[UAP_MAX_TESTS];
    double p[UAP_MAX_TESTS], f[UAP_MAX_TESTS], g[UAP_MAX_TESTS], m[UAP_MAX_TESTS];
} uap_run_band;

/* No plan that uses this cell of the run, within its budgets, has less of a functional. */
typedef struct uap_raised {
    int32_t functional, cell;
    double bound;
} uap_raised;

/* The Pareto set of a cell, whose n points stand behind this. */
typedef struct uap_label_ends {
    int32_t cell, n;
} uap_label_ends;

/* Working memory of one run. What may follow a label depends on the row it ends with: inside
 * a run of equal layers it may go on with rows of the same block from that row on, or leave
 * the block (into another one, over a link, or by ending the stage). Each layer therefore has
 * a slot for every row, whose labels go on, one for every block, whose labels leave, and one for
 * every in-class, whose labels arrive from a layer unlike it. */
#define UAP_LABEL_TOWER 24

/* Of a list's labels, a batch of 16 at a time, the least that each test comes to among them. */
typedef struct uap_label_least {
    float *at; /* [batches][bands][tests] never more than it is */
    size_t n;  /* 0: not made */
    size_t capacity;
} uap_label_least;

typedef struct uap_label_run {
    uap_segments *s;
    uap_group *group;
    const uap_stage_class *cls;
    int32_t x;
    const double *budget[UAP_MAX_FUNCTIONALS]; /* [cells] of this x */
    int32_t only; /* labels of this functional alone, its value in p; -1: full labels */
    uap_dominance rule;
    uap_label_shadow shadow;
    int32_t width;  /* widest class set */
    int32_t n_rows; /* most rows of a kind */
    int32_t
        *slot; /* [n_len + 1] first slot of each layer: its rows, blocks, in-classes */
    int32_t n_tests;
    int32_t n_bands; /* bands in which a label may still reach an end */
    uap_run_band *bands;
    int32_t *likely; /* [bands] the test that failed a label last */
    double *limit;   /* [bands][slots][tests] most that each test may be there */
    size_t limit_capacity;
    double *sweep;                  /* [n_rows + width][UAP_MAX_TESTS] */
    struct uap_sweep_place *places; /* [width] */
    bool is_ordered;                /* blocks go on in one order */
    bool is_rough; /* few bands and prices; given up when labels become many */
    bool is_too_rough;
    int32_t l;             /* the layer that labels go through next */
    bool is_through;       /* they have gone through the phase at hand */
    bool is_over;          /* nothing is left to walk */
    int64_t labels;        /* created in this walk, */
    int64_t done;          /* and looked at, */
    int64_t looked;        /* and in all since the run was started */
    int64_t last_steps[2]; /* that each phase of its last layer took, about */
    /* Labels that this run and those beside it in front of it may look at, else it is dropped. */
    int64_t allowance;
    bool is_dropped;
    bool is_patient;      /* else the run is given up when it is too long for one rank, */
    bool is_too_long;     /* which this tells */
    int64_t undated;      /* labels looked at since the clock was read */
    double patience_s;    /* CPU seconds that one rank is given */
    double start_s;       /* CPU time when it began */
    const uap_crew *crew; /* whose members all walk this run, or NULL */
    uap_err failed;       /* of the crew */
    int64_t *work;        /* [n_len] least W of the first layers */
    int64_t *room; /* [n_len] memory so far with which nothing that follows can run out */
    int64_t *most; /* [n_len] most memory that a label can have, workspace included */
    uap_label_list *rows, *next_rows;     /* [n_rows] labels that go on */
    uap_label_list *blocks, *next_blocks; /* [n_rows] labels that leave */
    uap_label_list *in;                   /* [width] in front of a layer */
    uap_label_list carry, shifted, merged, leaving;
    uap_label_list tower[UAP_LABEL_TOWER]; /* lists to be merged, by falling length */
    uap_label_least *least, *next_least;   /* [n_rows] of blocks and next_blocks */
    double *least_of;                      /* [bands][tests] of the batch at hand */
    float *room_of_link; /* [bands][tests] what a link leaves to each test, never less */
    /* What was found: uap_raised by a run of one functional, else uap_label_ends; NULL: the
     * run keeps its lists instead. */
    uap_bytes *records;
    int64_t n_records;
    size_t n_begun;         /* bytes of others' records in front */
    uap_segment_point *set; /* of the cell at hand */
    size_t set_capacity;
    uap_label_list
        *saved; /* [slots] labels that go on or leave, kept for paths, or NULL */
    /* What can still follow a label, by functional, [slots] lists each: p = -budget left,
     * m = -memory left, w = largest workspace to come. Full labels only. */
    uap_label_list *completion[UAP_MAX_FUNCTIONALS];
    double *reach;   /* [slots][multipliers] least value + price * memory so far */
    int32_t n_slots; /* of the largest group */
    bool no_memory;
} uap_label_run;

static inline const uap_kind *uap_run_kind(const uap_label_run *run, int32_t l)
{
    return uap_kind_of(run->s->chain, run->group->start + l);
}

static inline const uap_blocks *uap_run_blocks(const uap_label_run *run, int32_t l)
{
    return &run->cls->blocks[run->s->chain->kind_of[run->group->start + l]];
}

static inline const uap_row_view *uap_run_rows(const uap_label_run *run, int32_t l)
{
    return &run->cls->row[run->s->chain->kind_of[run->group->start + l]];
}

/* Whether blocks of layer l go on in layer l + 1 of the group. */
static inline bool uap_run_goes_on(const uap_label_run *run, int32_t l)
{
    return run->is_ordered && l + 1 < run->group->n_len &&
           uap_blocks_go_on(run->s->chain, run->group->start + l);
}

static inline int32_t uap_row_slot(const uap_label_run *run, int32_t l, int32_t k)
{
    return run->slot[l] + k;
}

/* In front of layer l, which goes on from none of its blocks, in class x. */
static inline int32_t uap_entry_slot(const uap_label_run *run, int32_t l, int32_t x)
{
    return run->slot[l + 1] - uap_run_kind(run, l)->n_in + x;
}

static inline int32_t uap_block_slot(const uap_label_run *run, int32_t l, int32_t e)
{
    return run->slot[l] + uap_run_kind(run, l)->n + e;
}

/* Working memory for the segments' largest group; false when out of memory. */
bool uap_label_run_init(uap_label_run *run, uap_segments *segments);
void uap_label_run_free(uap_label_run *run);

/* Points the run at a start class and the budgets of its cells ([cells] per functional). */
void uap_label_run_start(uap_label_run *run, uap_group *group, int32_t x,
                         const double *const *budget);

/* Walks the labels of n runs through their groups' layers, into their records or kept lists; runs
 * of a crew side by side. False when out of memory, stopped, or too long for one rank. */
bool uap_label_runs_walk(uap_label_run *const *runs, int32_t n);

/* What the labels behind layer l mean where the stage may end there, into the records. False when
 * out of memory, or when the run must stop. */
bool uap_label_end_stages(uap_label_run *run, int32_t l);

/* What counts of labels looked at next: a walk that turns out too rough comes to one number,
 * in whatever parts it is done. */
static inline int64_t uap_label_rough_work(const uap_label_run *run, int64_t work)
{
    const int64_t left = run->s->rough_work - run->done;
    return run->is_rough && work > left ? left + 1 : work;
}

/* Counts labels looked at. False when the run must stop, or has become too much for rough
 * limits or for one rank. */
bool uap_label_count(uap_label_run *run, int64_t work);

/* Makes *least of what leaves layer l, where that pays, and room for least->n of them. False when
 * out of memory. */
bool uap_label_find_least(uap_label_run *run, int32_t l, const uap_label_list *list,
                          uap_label_least *least);
bool uap_label_least_reserve(uap_label_run *run, uap_label_least *least);

/* What arrives in in-class x of layer l > 0, into *to. into: the block of layer l that goes on
 * inside a run of equal layers, or -1. False as above. */
bool uap_label_enter(uap_label_run *run, int32_t l, int32_t x, int32_t into,
                     uap_label_list *to);

/* Merges `from` into the list; room for n labels. False as above. */
bool uap_label_merge_into(uap_label_run *run, const uap_label_list *from,
                          uap_label_list *list);
bool uap_label_run_reserve(uap_label_run *run, uap_label_list *list, size_t n);

/* A layer's work in two phases: labels arrive in the in-classes of a layer unlike the one
 * before, and pass through blocks. Where each block has an in-class of its own, what arrives
 * there goes on through it at once: there is no first phase. */
typedef enum uap_label_phase { UAP_LABELS_ENTER, UAP_LABELS_PASS } uap_label_phase;

/* The units of a phase, in-classes or blocks, which do not know of each other: how many, and
 * one of them, into `in`, or into next_rows and next_blocks. */
int32_t uap_label_units(const uap_label_run *run, int32_t l, uap_label_phase phase);
bool uap_label_pass_unit(uap_label_run *run, int32_t l, uap_label_phase phase,
                         int32_t unit);

/* All units of a phase of the next layer, here. False as above. */
bool uap_label_pass_units(uap_label_run *run, uap_label_phase phase);

/* Notes what a phase took that looked at so many labels. */
void uap_label_phase_done(uap_label_run *run, uap_label_phase phase, int64_t looked);

/* Makes the lists behind layer l those that the next one starts from; whether there are any
 * labels. */
bool uap_label_layer_done(uap_label_run *run, int32_t l);

/* Keeps these lists for uap_segments_path. False when out of memory. */
bool uap_label_save_layer(uap_label_run *run, int32_t l);

/* About how many steps it takes to look at labels: of one functional alone, or full ones; and
 * to find the least of the lists that leave n_blocks blocks. */
int64_t uap_label_steps(bool alone, int64_t looked);
int64_t uap_label_least_steps(const uap_label_least *least, int32_t n_blocks);

/* A phase of the next layer of all runs that are not over as a job of the crew whose members all
 * walk them: whether that pays, and the labels of all units, on all of them. Runs that turn out
 * too rough are marked. False when out of memory, or when the runs must stop. */
bool uap_label_are_worth_sharing(uap_label_run *const *runs, int32_t n,
                                 uap_label_phase phase);
bool uap_label_share(uap_label_run *const *runs, int32_t n, uap_label_phase phase);

/* What row k of a kind adds to a label. */
uap_label uap_label_run_step(const uap_label_run *run, const uap_row_view *row,
                             int32_t k);

/* Adds what row k does to a label in front of layer l. Where memory can no longer run out it
 * counts as none: then it makes no difference between labels. */
void uap_label_run_add(const uap_label_run *run, int32_t l, const uap_label *step,
                       uap_label *label);

/* Functional f of a full label. */
double uap_label_run_value(const uap_label_run *run, int32_t f, const uap_label *label);

/* Prepares the limits of a run: with the class's bands and multipliers where it is rough, else
 * with bands as narrow and prices as sharp as the run deserves, and for full labels with
 * completions. False when out of memory. */
bool uap_limits_prepare(uap_label_run *run);

/* The most numbers that the limits of a started run take. */
size_t uap_limits_most_numbers(const uap_label_run *run);

/* What every plan of the run exceeds each of its budgets by at least (negative where it need
 * not): the Lagrangian bound with sharp prices, over bands split until the weakest is a
 * single workspace. False when out of memory. */
bool uap_limits_excess(uap_label_run *run, double *excess);

/* The most that each test of a band may be in a slot. */
const double *uap_limits_of(const uap_label_run *run, int32_t band, int32_t slot);

/* Whether the label can reach a wanted end within its budget from this slot. Never false
 * for one that can. */
bool uap_limits_allow(const uap_label_run *run, int32_t slot, const uap_label *label);

/* The same without completions, which in-classes do not have. */
bool uap_limits_admit(const uap_label_run *run, int32_t slot, const uap_label *label);

/* The most time that a label of one functional alone may have in this slot, whatever its
 * memory: its first test has no price. */
double uap_limits_most(const uap_label_run *run, int32_t slot);

/* Fills the completion lists of every functional, and tells whether one of a slot takes a
 * label in (whose functional f is `value`). */
bool uap_completions_prepare(uap_label_run *run);
bool uap_completions_allow(const uap_label_run *run, int32_t f, int32_t slot,
                           int64_t value, const uap_label *label);

/* What the link behind layer l of the group adds to a label, from out-class y to in-class
 * x. */
static inline uap_label uap_label_run_link(const uap_label_run *run, int32_t l, int32_t y,
                                           int32_t x)
{
    const uap_chain *chain = run->s->chain;
    const int32_t u = run->group->start + l;
    const int32_t at = y * uap_link_of(chain, u)->n_in + x;
    const int32_t link = chain->link_of[u];
    if (run->only < 0) {
        return (uap_label){.p = run->cls->link_p[link][at],
                           .f = run->cls->link_f[link][at]};
    }
    return (uap_label){
        .p = (int64_t)run->cls->link_q[run->group->measure[run->only]][link][at]};
}

/* Whether labels have p, m and w only, as far as dominance goes. */
static inline bool uap_run_is_plane(const uap_label_run *run)
{
    return run->rule.n_terms == 1;
}

/* The class's multiplier m on the scale of functional f. */
static inline double uap_run_price(const uap_label_run *run, int32_t f, int32_t m)
{
    return (double)run->cls->weights[run->group->measure[f]].p * run->cls->multiplier[m];
}

#endif
