/* Which devices the stages of a plan on unlike devices get. */
#ifndef UAP_PLAN_PLACE_H
#define UAP_PLAN_PLACE_H

#include "configs/cluster_groups.h"
#include "plan/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The type of each stage. */
typedef struct uap_place {
    int32_t group;
    int64_t devices;
} uap_place;

/* Gives stage i of the plan devices of group place[i].group: the largest first, one behind the
 * other from the group's first device, of equal ones the earlier. As the sizes are whole nodes
 * or divide each other and a node, no stage below a node's size is cut by a node's end
 * (docs/cost-model.md, section 13). Errors: NO_MEMORY, INTERNAL (they do not fit). Local. */
UAP_NODISCARD uap_status uap_plan_place(uap_plan *plan, const uap_cluster_groups *groups,
                                        const uap_place *place, uap_err *err);

/* Adds a warning for each group of which devices are left over. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_plan_warn_left(uap_plan *plan,
                                            const uap_cluster_groups *groups,
                                            const uap_place *place, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
