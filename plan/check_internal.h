/* What the files plan/check*.c share: the setting of a plan, the costs of layers, links and
 * stages as docs/cost-model.md has them (section numbers below are its), and the list of
 * differences. Nothing else but their tests includes it. */
#ifndef UAP_PLAN_CHECK_INTERNAL_H
#define UAP_PLAN_CHECK_INTERNAL_H

#include "configs/cluster_groups.h"
#include "configs/cluster_grow.h"
#include "plan/check.h"

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_CHECK_TICKS_PER_S 1e11 /* 10 ps; of our own, to share no constant either */

/* The configuration of a plan with everything costs depend on. All borrowed. */
typedef struct uap_check_setting {
    const uap_model *model;
    const uap_cluster *file;    /* the cluster as it was read */
    const uap_cluster *cluster; /* that of the stage's group alone */
    const uap_device_class *device;
    const uap_cost_options *options;
    uap_schedule schedule;
    int32_t pp;
    int64_t n_devices;     /* N; of unlike devices those of the stage's group */
    int64_t stage_devices; /* d */
    int64_t micro_batches; /* c */
    int64_t samples;       /* b, of a micro-batch */
    int32_t elem;          /* bytes of the compute type */
    bool paper;            /* --cost paper */
    int64_t cap;           /* bytes a stage has per device */

    /* Unlike devices (section 13): a setting for each stage, in which `group` is its own. */
    const uap_cluster_groups *groups;
    struct uap_check_setting *of_stage; /* [pp], NULL where all devices are alike */
    int32_t group;
} uap_check_setting;

/* What holds for stage i. */
static inline const uap_check_setting *uap_check_at(const uap_check_setting *setting,
                                                    int32_t i)
{
    return setting->of_stage != NULL ? &setting->of_stage[i] : setting;
}

/* More than one group of devices: stages have types. */
static inline bool uap_check_is_mixed(const uap_check_setting *setting)
{
    return setting->groups->n > 1;
}

/* One layer under one strategy: ticks and bytes, rounded as the tables are. */
typedef struct uap_check_layer {
    int64_t fwd, bwd; /* per micro-batch; --cost paper: both in fwd */
    int64_t grad;     /* per iteration */
    int64_t state, act, work;
} uap_check_layer;

/* One stage: ticks and bytes. */
typedef struct uap_check_stage {
    int64_t fwd, bwd;           /* per micro-batch */
    int64_t send_fwd, send_bwd; /* across the boundary behind it; 0 for the last */
    int64_t grad;               /* per iteration */
    int64_t memory;             /* per device */
} uap_check_stage;

/* How a layer's output lies on the devices (section 8). */
typedef struct uap_check_layout {
    int64_t tp;
    bool sp;
} uap_check_layout;

/* --- check_links.c: sections 1.1 and 8; seconds --- */

/* A collective over groups of `size` ranks `stride` apart in `pieces` operations. */
double uap_check_collective(const uap_check_setting *setting, uap_collective_kind kind,
                            int64_t size, int64_t stride, double bytes, double pieces);

/* From layout s to layout t within a stage; `bytes` is the whole tensor. */
double uap_check_move(const uap_check_setting *setting, double bytes, uap_check_layout s,
                      uap_check_layout t);

/* From layout s of one stage to layout t of the next; where all devices are alike both settings
 * are the same. */
double uap_check_cross(const uap_check_setting *from, const uap_check_setting *to,
                       double bytes, uap_check_layout s, uap_check_layout t);

/* `times` x the tensor in even parts from the devices of one stage to those of another. */
double uap_check_send(const uap_check_setting *from, const uap_check_setting *to,
                      double times, double bytes);

/* Section 13's tying all-reduce of a stage with one on group `other`. */
double uap_check_tie(const uap_check_setting *setting, int32_t other, double bytes);

/* Bytes of the tensor that one device holds. */
double uap_check_held(const uap_check_setting *setting, double bytes, uap_check_layout s);

/* Seconds to ticks, rounded to the nearest. Errors: TOO_LARGE. */
UAP_NODISCARD uap_status uap_check_ticks(double seconds, int64_t *out, uap_err *err);

/* --- check_compute.c: section 4; seconds of one micro-batch of n samples --- */

UAP_NODISCARD uap_status uap_check_compute(const uap_check_setting *setting,
                                           const uap_layer *layer,
                                           const uap_strategy *strategy, double *forward,
                                           double *backward, uap_err *err);

/* --- check_layer.c: sections 3 to 7 and 9 --- */

/* Costs of layer number u. */
UAP_NODISCARD uap_status uap_check_layer_costs(const uap_check_setting *setting,
                                               int32_t u, const uap_strategy *strategy,
                                               uap_check_layer *out, uap_err *err);

/* Bytes that a device has of tie number i. */
double uap_check_tied_bytes(const uap_check_setting *setting, int32_t i,
                            const uap_strategy *strategy);

/* --- check_stage.c: sections 6, 8 and 9 --- */

/* All stages of the plan, stage[pp]. */
UAP_NODISCARD uap_status uap_check_stages(const uap_check_setting *setting,
                                          const uap_plan *plan, uap_check_stage *stage,
                                          uap_err *err);

/* --- check_value.c: section 10 --- */

/* Micro-batches that stage i holds. */
int64_t uap_check_inflight(const uap_check_setting *setting, int32_t i);

/* Time per iteration, ticks. Errors: TOO_LARGE. */
UAP_NODISCARD uap_status uap_check_iteration(const uap_check_setting *setting,
                                             const uap_check_stage *stage, int64_t *out,
                                             uap_err *err);

/* --- check_legal.c: sections 1, 2 and 11 --- */

/* Fills the setting from the plan and lists what is illegal. False where nothing can be
 * worked out for such a plan. */
bool uap_check_legal(const uap_plan *plan, uap_check_setting *setting, uap_check *check);

/* --- check_place.c: sections 6 and 13 --- */

/* What follows from the group: its nodes, their class and memory. */
void uap_check_set_group(uap_check_setting *setting, int32_t group);

/* Fills of_stage, which has room for the plan's stages: which group each stage is on and how
 * many devices it has, by its device_ids, else by its class and first strategy; lists what is
 * no type of a stage. False where that cannot be told. */
bool uap_check_places(const uap_plan *plan, uap_check_setting *setting, uap_check *check);

/* The device numbers that stage i gets, and of them the first and the last. False: too long. */
bool uap_check_ids(const uap_check_setting *setting, int32_t pp, int32_t i, char *text,
                   size_t n, int64_t ends[2]);

/* --- check_note.c: the list --- */

/* Adds a line. Out of memory it is only counted. */
void uap_check_note(uap_check *check, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds "WHERE: found ..., expected ..." unless found is unstated (below 0) or equal; seconds
 * may be off by 1e-9 of themselves or by the tick that the reference allows. */
void uap_check_i64(uap_check *check, const char *where, int64_t found, int64_t expected);
void uap_check_seconds(uap_check *check, const char *where, double found,
                       double expected);
void uap_check_text(uap_check *check, const char *where, const char *found,
                    const char *expected);

#ifdef __cplusplus
}
#endif
#endif
