/* Whether any plan of a mixed cluster fits: memory by stage types, and devices of groups. */
#ifndef UAP_SEARCH_MIX_FRUGAL_H
#define UAP_SEARCH_MIX_FRUGAL_H

#include "search/solve.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What stands for an overshoot where memory would do, but no choice of types has devices
 * enough in every group. */
#define UAP_GROUPS_SHORT (INT64_MAX / 4)

/* As uap_frugal_plan. The overshoot is that of memory where groups had devices without end; if
 * that is none, 0 or UAP_GROUPS_SHORT, with nothing known of a shortage. Where it is above 0,
 * no plan fits. Errors: NO_MEMORY, UNSUPPORTED. */
UAP_NODISCARD uap_status uap_mix_frugal_plan(const uap_instance *instance,
                                             uap_shortage *shortage, int64_t *overshoot,
                                             uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
