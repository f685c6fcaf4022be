/* Which devices the stages of a plan on unlike devices have, and whether they may:
 * docs/cost-model.md section 13. The placement is worked out here on its own. */
#include "plan/check_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void uap_check_set_group(uap_check_setting *setting, int32_t group)
{
    const uap_cluster *view = &setting->groups->group[group].view;
    const uap_cost_options *options = setting->options;
    const int64_t asked = options->memory_bytes;
    setting->group = group;
    setting->cluster = view;
    setting->device = &view->device_class[view->group[0].device_class];
    setting->n_devices = setting->groups->group[group].devices;
    int64_t memory = setting->device->memory_bytes;
    if (asked > 0 && (!uap_check_is_mixed(setting) || asked < memory)) {
        memory = asked;
    }
    setting->cap = memory > options->reserve_bytes ? memory - options->reserve_bytes : 0;
}

/* The group of a device by its number in the cluster, or -1. */
static int32_t group_at(const uap_cluster_groups *groups, int64_t device)
{
    for (int32_t g = 0; g < groups->n; g++) {
        for (int32_t r = 0; r < groups->group[g].n_ranges; r++) {
            const uap_device_range *range = &groups->group[g].range[r];
            if (device >= range->first && device <= range->last) {
                return g;
            }
        }
    }
    return -1;
}

/* The group whose device class has that name; the node groups joined in one may have several.
 * -1: none. */
static int32_t group_named(const uap_check_setting *setting, const char *name)
{
    const uap_cluster *file = setting->file;
    int64_t first = 0;
    for (int32_t i = 0; i < file->n_groups; i++) {
        const uap_node_group *group = &file->group[i];
        if (strcmp(file->device_class[group->device_class].name, name) == 0) {
            return group_at(setting->groups, first);
        }
        first += (int64_t)group->nodes * group->devices_per_node;
    }
    return -1;
}

/* How many devices "0-7,16-23" names; the text was checked when it was read. */
static int64_t devices_of_text(const char *text)
{
    int64_t n = 0;
    for (const char *at = text; at != NULL; at = strchr(at, ',')) {
        long long first = 0, last = 0;
        at += *at == ',';
        if (sscanf(at, "%lld-%lld", &first, &last) == 2) {
            n += last - first + 1;
        } else {
            n++;
        }
    }
    return n;
}

static int64_t devices_of(const uap_plan *plan, int32_t i)
{
    const uap_plan_stage *stage = &plan->stage[i];
    if (stage->device_ids != NULL) {
        return devices_of_text(stage->device_ids);
    }
    if (stage->first_device >= 0) {
        return stage->last_device - stage->first_device + 1;
    }
    const uap_strategy *k = &plan->layer[stage->first_layer].strategy;
    int64_t product = 0;
    if (__builtin_mul_overflow((int64_t)k->dp * k->fsdp, (int64_t)k->tp, &product)) {
        return INT32_MAX;
    }
    return product;
}

/* Whole nodes, or what is left of one that was divided by its smallest prime factor again and
 * again. */
static bool is_size(int64_t node, int64_t d)
{
    if (d >= node) {
        return d % node == 0;
    }
    int64_t left = node;
    for (int64_t p = 2; left > d && p <= left; p++) {
        while (left > d && left % p == 0) {
            left /= p;
        }
    }
    return left == d;
}

static bool find_place(const uap_plan *plan, uap_check_setting *setting, int32_t i,
                       uap_check *check)
{
    const uap_plan_stage *stage = &plan->stage[i];
    uap_check_setting *own = &setting->of_stage[i];
    int32_t group = -1;
    if (stage->first_device >= 0) {
        group = group_at(setting->groups, stage->first_device);
    } else if (stage->device_class != NULL) {
        group = group_named(setting, stage->device_class);
    }
    if (group < 0) {
        uap_check_note(check,
                       "stage %d: device_ids: found %s, expected devices of the "
                       "cluster, or the name of one of its device classes",
                       (int)i,
                       stage->first_device >= 0 ? "none of the cluster's"
                       : stage->device_class != NULL
                           ? "an unknown device_class"
                           : "neither these nor a device_class");
        return false;
    }
    *own = *setting;
    own->of_stage = NULL;
    uap_check_set_group(own, group);
    own->stage_devices = devices_of(plan, i);
    const int64_t node = uap_cluster_node_size(own->cluster);
    if (!is_size(node, own->stage_devices)) {
        uap_check_note(check,
                       "stage %d: found %" PRId64 " devices, expected whole nodes of "
                       "%" PRId64 " or a size that its divisor chain has",
                       (int)i, own->stage_devices, node);
    }
    return true;
}

/* No group has more devices in use than it has. */
static bool groups_hold(const uap_plan *plan, const uap_check_setting *setting,
                        uap_check *check)
{
    bool hold = true;
    for (int32_t g = 0; g < setting->groups->n; g++) {
        int64_t used = 0;
        for (int32_t i = 0; i < plan->pp; i++) {
            if (setting->of_stage[i].group == g) {
                used += setting->of_stage[i].stage_devices;
            }
        }
        const uap_cluster_group *group = &setting->groups->group[g];
        if (used > group->devices) {
            uap_check_note(
                check,
                "stages: found %" PRId64 " devices of class %s in use, expected at "
                "most %" PRId64,
                used, group->view.device_class[group->view.group[0].device_class].name,
                group->devices);
            hold = false;
        }
    }
    return hold;
}

bool uap_check_places(const uap_plan *plan, uap_check_setting *setting, uap_check *check)
{
    for (int32_t i = 0; i < plan->pp; i++) {
        if (!find_place(plan, setting, i, check)) {
            return false;
        }
    }
    return groups_hold(plan, setting, check);
}

bool uap_check_ids(const uap_check_setting *setting, int32_t pp, int32_t i, char *text,
                   size_t n, int64_t ends[2])
{
    if (setting->of_stage == NULL) {
        ends[0] = i * setting->stage_devices;
        ends[1] = ends[0] + setting->stage_devices - 1;
        return snprintf(text, n, "%" PRId64 "-%" PRId64, ends[0], ends[1]) < (int)n;
    }
    /* Behind all larger stages of the group, and the earlier ones of its size. */
    const uap_check_setting *own = &setting->of_stage[i];
    int64_t first = 0;
    for (int32_t k = 0; k < pp; k++) {
        const uap_check_setting *other = &setting->of_stage[k];
        const bool is_before = other->stage_devices == own->stage_devices
                                   ? k < i
                                   : other->stage_devices > own->stage_devices;
        if (other->group == own->group && is_before) {
            first += other->stage_devices;
        }
    }
    const uap_cluster_group *group = &setting->groups->group[own->group];
    if (!uap_cluster_group_ids(group, first, first + own->stage_devices - 1, text, n)) {
        return false;
    }
    const char *last = strrchr(text, '-');
    long long from = 0, to = 0;
    if (sscanf(text, "%lld", &from) != 1 || sscanf(last + 1, "%lld", &to) != 1) {
        return false;
    }
    ends[0] = from;
    ends[1] = to;
    return true;
}
