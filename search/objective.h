/* The value of a complete choice: V + E of every schedule, memory of every stage. This is
 * the definition that all engines are held to; it is written for clarity, not for speed. */
#ifndef UAP_SEARCH_OBJECTIVE_H
#define UAP_SEARCH_OBJECTIVE_H

#include "search/instance.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What one stage costs: sums over its layers and the edges inside it. */
typedef struct uap_stage_cost {
    int64_t fwd, bwd; /* f_i, b_i, ticks per micro-batch */
    int64_t grad;     /* g_i, ticks per iteration */
    int64_t send_fwd,
        send_bwd;   /* u_i, v_i across the boundary behind it; 0 for the last */
    int64_t memory; /* bytes per device, with inflight and the largest W */
} uap_stage_cost;

/* The micro-batches stage i of pp holds at once under a schedule: gpipe c,
 * 1f1b min(c, pp - i), 1f1b-eager min(c, 2 (pp - i) - 1); pp = 1: 1. */
int64_t uap_schedule_inflight(uap_schedule schedule, int32_t pp, int32_t stage,
                              int64_t c);

const char *uap_schedule_name(uap_schedule schedule); /* "gpipe", "1f1b", "1f1b-eager" */
bool uap_schedule_by_name(const char *name, uap_schedule *out);

/* V of the schedule, ticks, from the stages' times. inflight as in the instance. */
int64_t uap_schedule_span(uap_schedule schedule, int32_t pp, int64_t c,
                          const uap_stage_cost *stage, const int64_t *inflight);

/* V + E: until the last stage has done its once-per-iteration work too, ticks. Never below
 * V + g_0, grows with every time of every stage. inflight as in the instance. */
int64_t uap_schedule_total(uap_schedule schedule, int32_t pp, int64_t c,
                           const uap_stage_cost *stage, const int64_t *inflight);

/* Cost of stage i of a choice, live tensors set aside. O(layers of the stage). */
uap_stage_cost uap_choice_stage(const uap_instance *instance, const uap_choice *choice,
                                int32_t i);

/* Costs of every stage of a choice. stage: [pp], out. Local, O(L + live tensors). */
void uap_choice_stages(const uap_instance *instance, const uap_choice *choice,
                       uap_stage_cost *stage);

/* The type of stage i, that of its first layer's row; 0 where the instance has no types. */
int32_t uap_choice_type(const uap_instance *instance, const uap_choice *choice,
                        int32_t stage);

/* What stage i of a choice has: its cap, or its type's where that is less. Bytes. */
int64_t uap_choice_cap(const uap_instance *instance, const uap_choice *choice,
                       int32_t stage);

/* Value of stages already costed, ticks. */
int64_t uap_stages_value(const uap_instance *instance, const uap_stage_cost *stage);

/* True when the choice is well formed (ordered, non-empty stages, strategies in range, one
 * type a stage, ties kept), every stage fits, and no group has more stages than devices for
 * them; *value is set whenever it is well formed.
 * scratch: [pp] stage costs, out. */
bool uap_choice_value(const uap_instance *instance, const uap_choice *choice,
                      uap_stage_cost *scratch, int64_t *value);

#ifdef __cplusplus
}
#endif
#endif
