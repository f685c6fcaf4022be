/* Parts of plan.json that other files of this program have too (docs/formats.md). */
#ifndef UAP_PLAN_PLAN_JSON_H
#define UAP_PLAN_PLAN_JSON_H

#include "common/json_write.h"
#include "plan/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* New objects, the caller's; NULL: no memory, which the writer reports. */
uap_jout *uap_plan_json_options(const uap_plan_options *options);
uap_jout *uap_plan_json_input(const uap_plan_input *input);
uap_jout *uap_plan_json_search(const uap_plan_search *search);

#ifdef __cplusplus
}
#endif
#endif
