/* A survey of a partition: rounds without contention, what is sick in them, and the same
 * measured again before it is said. One state machine for machines and models of them: who
 * measures is behind a callback, and time passes there. */
#ifndef UAP_PROFILE_SURVEY_H
#define UAP_PROFILE_SURVEY_H

#include "common/status.h"
#include "profile/findings.h"
#include "profile/outliers.h"
#include "profile/rounds.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The plan -------------------------------------------------------------------------- */

/* What things take, for expectations. */
typedef struct uap_survey_costs {
    double order_s;   /* rank 0's, for one order and the report that answers it */
    double round_s;   /* of a round with few devices, besides what is measured */
    double connect_s; /* first contact of two devices */
    double device_s;  /* the check of one device */
    double latency_s, inside_Bps, node_Bps; /* of healthy links */
    double bytes;                           /* of a long message */
    int32_t pings, transfers;               /* short and long messages of a flow */
} uap_survey_costs;

typedef struct uap_stage {
    uap_round_kind kind;
    int32_t rounds, devices; /* devices: at most, in a round */
    double round_s;          /* expected of one */
    bool is_skipped;         /* no time for it */
} uap_stage;

typedef struct uap_survey_plan {
    int32_t n;
    uap_stage stage[UAP_ROUND_KIND_COUNT]; /* in their order */
    double budget_s;                       /* what it was made for */
} uap_survey_plan;

/* Devices, links inside nodes, nodes (every pair up to tournament_max nodes where the time
 * allows, else shifts), all rails, bisection. What does not fit into budget_s is marked:
 * bisection first, then rails, then links inside; devices and nodes stay. Local. */
void uap_survey_plan_make(const uap_partition *partition, const uap_survey_costs *costs,
                          int32_t tournament_max, double budget_s, uap_survey_plan *out);

/* Seconds for all that is not skipped, nothing being sick. */
double uap_survey_expected_s(const uap_survey_plan *plan);

/* Seconds for what is measured again where something looks sick in every stage. */
double uap_survey_again_s(const uap_survey_plan *plan);

/* ---- The run --------------------------------------------------------------------------- */

/* What one device does in a round: compute (DEVICES), or send and receive. */
typedef struct uap_order {
    int32_t device, to, from; /* to, from: UAP_NOBODY for none */
} uap_order;

typedef struct uap_sample {
    bool is_silent;  /* the device did not report: it gets no further orders */
    bool has_failed; /* it is silent because it reported an error */
    float latency_s,
        seconds; /* of the flow to `to`, or of the device's own work (seconds);
                               * infinite: its peer did not answer, or it failed */
} uap_sample;

typedef struct uap_survey_machine {
    void *self;
    /* Does what order[0 .. n-1] say, all at once, and fills sample[0 .. n-1]. Ends within a
     * time of its own even where devices do not answer. */
    uap_status (*measure)(void *self, uap_round_kind kind, const uap_order *order,
                          uap_sample *sample, int32_t n, uap_err *err);
    /* Seconds so far, by the clock that the plan's budget counts; NULL: it takes what it takes. */
    double (*elapsed_s)(void *self);
} uap_survey_machine;

typedef struct uap_survey_limits {
    uap_limit device, bandwidth, latency;
    int32_t confirm; /* times that a suspect must be slow again, >= 1 */
} uap_survey_limits;

/* For machines that do nothing else: a device 15 % slower than its like, a link at less than
 * 3/4 of its bandwidth or twice its latency, and far outside of what varies there. */
uap_survey_limits uap_survey_limits_default(void);

/* For ranks that share cores with others, where a message may wait for milliseconds: a device
 * at 2/3 of its like, a link at 3/5 and 5 ms late, a millisecond and three times the latency. */
uap_survey_limits uap_survey_limits_shared(void);

/* What was usual in a kind of round. */
typedef struct uap_survey_usual {
    int32_t rounds, again;     /* measured, and measured again */
    double latency_s, seconds; /* medians over healthy flows or devices; NaN: none */
} uap_survey_usual;

typedef struct uap_survey {
    uap_findings findings;
    bool *is_lost;    /* [devices]: silent */
    double *device_s; /* [devices]: the least that its check took; NaN: not known */
    int32_t n_lost;
    uap_survey_usual usual[UAP_ROUND_KIND_COUNT];
    double bisection_s;       /* the longest of its flows; NaN: not measured */
    int32_t suspects, rounds; /* looked at again; rounds in all */
    bool is_cut_short; /* rounds were left out, as others took longer than planned */
} uap_survey;

/* Runs the plan and measures again what looks sick. By the machine's clock, where it has one, it
 * leaves out what the plan's budget has no time for any more: of rounds in which every pair of
 * nodes, or of a node's devices, meets all but the first six, and whole stages as
 * uap_survey_plan_make does. What is found is confirmed: slow in its
 * place among its like, and again each time. The caller frees *out (uap_survey_free).
 * Errors: NO_MEMORY, the machine's. Local; O(devices * log nodes) of memory. */
UAP_NODISCARD uap_status uap_survey_run(const uap_partition *partition,
                                        const uap_survey_plan *plan,
                                        const uap_survey_limits *limits,
                                        const uap_survey_machine *machine,
                                        uap_survey *out, uap_err *err);

/* How fast each node is, by the lower median of its devices: node_s[nodes], NaN where none is
 * known. scratch has room for a node's devices. Local. */
void uap_survey_node_speeds(const uap_partition *partition, const double *device_s,
                            double *scratch, double *node_s);

void uap_survey_free(uap_survey *survey); /* of zeros is legal */

#ifdef __cplusplus
}
#endif
#endif
