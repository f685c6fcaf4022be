/* A first plan for a mixed cluster: a beam over cuts and stage types with rows chosen by a few
 * prices of memory, then local changes. Nothing is promised about it. */
#ifndef UAP_SEARCH_MIX_GREEDY_H
#define UAP_SEARCH_MIX_GREEDY_H

#include "search/instance.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As uap_greedy_plan, for instances with stage types. Errors: NO_MEMORY, UNSUPPORTED. */
UAP_NODISCARD uap_status uap_mix_greedy_plan(const uap_instance *instance,
                                             uap_choice *choice, int64_t *value,
                                             bool *found, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
