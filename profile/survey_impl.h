/* A survey under way, for the survey_*.c files. Private to profile/. */
#ifndef UAP_PROFILE_SURVEY_IMPL_H
#define UAP_PROFILE_SURVEY_IMPL_H

#include "profile/survey.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of rounds in which all pairs meet: so many tell an end from its partners. */
#define UAP_SURVEY_LEAST_ROUNDS 6

typedef struct uap_survey_run_state {
    const uap_partition *partition;
    const uap_survey_plan *plan;
    const uap_survey_limits *limits;
    const uap_survey_machine *machine;
    uap_survey *out;
    int32_t n;          /* orders of the round last measured */
    uap_order *order;   /* [devices], the first n in use, by device */
    uap_sample *sample; /* [devices] */
    int32_t *slot; /* [devices]: number of a device's order; UAP_NOBODY: it had none */
} uap_survey_run_state;

/* Measures a round with the devices that answer; those that fall silent are found and left
 * out from then on. Errors: the machine's, NO_MEMORY. */
UAP_NODISCARD uap_status uap_survey_measure(uap_survey_run_state *run,
                                            uap_round_kind kind, int32_t round,
                                            uap_err *err);

/* Sample of the flow between two devices in the round last measured; NULL where there was
 * none, or one of the two does not answer. */
const uap_sample *uap_survey_sample(const uap_survey_run_state *run, int32_t from,
                                    int32_t to);

/* Seconds so far; 0 without a clock. */
double uap_survey_elapsed_s(const uap_survey_run_state *run);

/* Whether another round of this stage, of which `rounds` are measured since began_s, leaves time
 * for the stages behind it, at its pace. */
bool uap_survey_has_time(const uap_survey_run_state *run, const uap_stage *stage,
                         int32_t rounds, double began_s);

/* All rounds of a kind between devices, as far as there is time, judged, and what is slow
 * again. */
UAP_NODISCARD uap_status uap_survey_links(uap_survey_run_state *run,
                                          const uap_stage *stage, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
