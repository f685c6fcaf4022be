/* Placing stages on the devices of their groups: docs/cost-model.md, section 13. */
#include "plan/place.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define IDS_TEXT 512

/* Whether stage i is placed before stage k of the same group. */
static bool goes_before(const uap_place *place, int32_t i, int32_t k)
{
    return place[i].devices > place[k].devices ||
           (place[i].devices == place[k].devices && i < k);
}

/* Number, within the group, of the first device of stage k. */
static int64_t offset_of(const uap_place *place, int32_t pp, int32_t k)
{
    int64_t offset = 0;
    for (int32_t i = 0; i < pp; i++) {
        if (place[i].group == place[k].group && goes_before(place, i, k)) {
            offset += place[i].devices;
        }
    }
    return offset;
}

uap_status uap_plan_place(uap_plan *plan, const uap_cluster_groups *groups,
                          const uap_place *place, uap_err *err)
{
    char text[IDS_TEXT];
    plan->device_count = 0;
    for (int32_t i = 0; i < plan->pp; i++) {
        uap_plan_stage *stage = &plan->stage[i];
        const uap_cluster_group *group = &groups->group[place[i].group];
        const int64_t first = offset_of(place, plan->pp, i);
        const int64_t last = first + place[i].devices - 1;
        long long from = 0, to = 0;
        if (last >= group->devices ||
            !uap_cluster_group_ids(group, first, last, text, sizeof text)) {
            return UAP_FAIL(err, INTERNAL, "stage %d finds no room in group %d", (int)i,
                            (int)place[i].group);
        }
        const char *end = strrchr(text, '-');
        if (sscanf(text, "%lld", &from) != 1 || sscanf(end + 1, "%lld", &to) != 1) {
            return UAP_FAIL(err, INTERNAL, "stage %d: device numbers \"%s\"", (int)i,
                            text);
        }
        stage->first_device = from;
        stage->last_device = to;
        if (strchr(text, ',') != NULL) {
            stage->device_ids = uap_plan_string(plan, text);
            if (stage->device_ids == NULL) {
                return UAP_FAIL(err, NO_MEMORY, "out of memory writing down a plan");
            }
        }
        plan->device_count += place[i].devices;
    }
    return UAP_OK;
}

uap_status uap_plan_warn_left(uap_plan *plan, const uap_cluster_groups *groups,
                              const uap_place *place, uap_err *err)
{
    for (int32_t g = 0; g < groups->n; g++) {
        const uap_cluster_group *group = &groups->group[g];
        const uap_cluster *view = &group->view;
        int64_t left = group->devices;
        char text[192], count[64];
        for (int32_t i = 0; i < plan->pp; i++) {
            left -= place[i].group == g ? place[i].devices : 0;
        }
        if (left == 0) {
            continue;
        }
        (void)snprintf(count, sizeof count,
                       left == group->devices ? "all %" PRId64
                                              : "%" PRId64 " of the %" PRId64,
                       left, group->devices);
        (void)snprintf(text, sizeof text, "left out: %s devices of class %.100s", count,
                       view->device_class[view->group[0].device_class].name);
        if (!uap_plan_warn(plan, text)) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory writing down a plan");
        }
    }
    return UAP_OK;
}
