/* Every time that was measured, as text: what medians and lines leave out. One JSON object a
 * line (docs/formats.md). It judges nothing. */
#ifndef UAP_PROFILE_SAMPLES_H
#define UAP_PROFILE_SAMPLES_H

#include "common/status.h"
#include "mpi/comm.h"
#include "profile/survey.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_samples uap_samples;

/* Errors: NO_MEMORY. The caller frees *out. Local. */
UAP_NODISCARD uap_status uap_samples_new(uap_samples **out, uap_err *err);
void uap_samples_free(uap_samples *samples); /* NULL is legal */

/* Names what is measured next. NULL samples are legal in these three, and do nothing. A lack
 * of memory is remembered and told by uap_samples_save. */
void uap_samples_name(uap_samples *samples, const char *what);

/* n times of it in seconds: of an operation on so many bytes, or, with bytes 0, of a layer's
 * forward and backward in turn. Local. */
void uap_samples_add(uap_samples *samples, double bytes, const double *seconds,
                     int64_t n);

/* The machine with every round that it measures added. Both arguments are borrowed; the
 * survey's self is `samples`. Local. */
uap_survey_machine uap_samples_of_survey(uap_samples *samples,
                                         const uap_survey_machine *machine);

/* Writes those of all ranks, in their order, on rank 0. Errors: IO, NO_MEMORY, MPI, TOO_LARGE
 * (2 GiB). Collective. */
UAP_NODISCARD uap_status uap_samples_save(const uap_samples *samples,
                                          const uap_comm *comm, const char *path,
                                          uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
