/* hwloc 2's view of the machine (Portable Hardware Locality, "I/O Devices" and "CPU binding"). */
#include "profile/binding.h"

#include <hwloc.h>
#include <stdio.h>
#include <string.h>

/* hwloc's own objects; all are there, or none. */
typedef struct place {
    hwloc_topology_t topology;
    hwloc_bitmap_t processors; /* on which the rank may run */
    hwloc_bitmap_t memory;     /* NUMA nodes of which it may take memory */
    hwloc_bitmap_t scratch;
} place;

/* What hwloc would find by starting the libraries of GPUs, which can take seconds. */
static const char *const slow_parts[] = {"cuda", "nvml",      "opencl",
                                         "rsmi", "levelzero", "gl"};

static void leave(place *p)
{
    hwloc_bitmap_free(p->scratch);
    hwloc_bitmap_free(p->memory);
    hwloc_bitmap_free(p->processors);
    if (p->topology != NULL) {
        hwloc_topology_destroy(p->topology);
    }
}

/* The machine with all of its processors, also those that this job may not use. */
static bool load(hwloc_topology_t topology)
{
    for (size_t i = 0; i < sizeof slow_parts / sizeof slow_parts[0]; i++) {
        (void)hwloc_topology_set_components(
            topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, slow_parts[i]);
    }
    return hwloc_topology_set_io_types_filter(topology,
                                              HWLOC_TYPE_FILTER_KEEP_IMPORTANT) == 0 &&
           hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) ==
               0 &&
           hwloc_topology_load(topology) == 0;
}

/* With every processor and NUMA node that this machine lets programs use. */
static bool enter(place *p)
{
    memset(p, 0, sizeof *p);
    if (hwloc_topology_init(&p->topology) != 0) {
        p->topology = NULL;
        return false;
    }
    p->processors = hwloc_bitmap_alloc();
    p->memory = hwloc_bitmap_alloc();
    p->scratch = hwloc_bitmap_alloc();
    if (p->processors == NULL || p->memory == NULL || p->scratch == NULL ||
        !load(p->topology)) {
        leave(p);
        return false;
    }
    (void)hwloc_bitmap_copy(p->processors,
                            hwloc_topology_get_allowed_cpuset(p->topology));
    (void)hwloc_bitmap_copy(p->memory, hwloc_topology_get_allowed_nodeset(p->topology));
    return true;
}

/* The object that hwloc hangs the device below: its processors are those near to it. NULL: there
 * is no such device, or nothing says where it is. */
static hwloc_obj_t near_device(const place *p, hwloc_obj_t device)
{
    const hwloc_obj_t at =
        device != NULL ? hwloc_get_non_io_ancestor_obj(p->topology, device) : NULL;
    const bool is_whole =
        at != NULL && hwloc_bitmap_isequal(at->cpuset, hwloc_topology_get_topology_cpuset(
                                                           p->topology)) != 0;
    return is_whole && hwloc_get_nbobjs_by_type(p->topology, HWLOC_OBJ_NUMANODE) > 1
               ? NULL
               : at;
}

static hwloc_obj_t find_device(const place *p, const char *bus_id)
{
    return bus_id[0] != '\0' ? hwloc_get_pcidev_by_busidstring(p->topology, bus_id)
                             : NULL;
}

/* ---- Network adapters -------------------------------------------------------------------- */

/* Steps from the device up to what it has in common with another object. */
static int steps_to(hwloc_obj_t device, hwloc_obj_t other)
{
    int steps = 0;
    for (hwloc_obj_t up = device; up != NULL; up = up->parent, steps++) {
        for (hwloc_obj_t at = other; at != NULL; at = at->parent) {
            if (at == up) {
                return steps;
            }
        }
    }
    return steps;
}

/* Lower is nearer; of one distance, what does RDMA comes before the interface beside it. */
static int rank_of_adapter(hwloc_obj_t device, hwloc_obj_t adapter)
{
    const hwloc_obj_osdev_type_t type = adapter->attr->osdev.type;
    if (type != HWLOC_OBJ_OSDEV_OPENFABRICS && type != HWLOC_OBJ_OSDEV_NETWORK) {
        return -1;
    }
    return 2 * steps_to(device, adapter) + (type == HWLOC_OBJ_OSDEV_NETWORK ? 1 : 0);
}

/* Those of the lowest rank, in hwloc's order, as many as there is room for. */
static void name_adapters(const place *p, hwloc_obj_t device,
                          char names[UAP_BINDING_TEXT])
{
    int best = -1;
    for (hwloc_obj_t a = NULL; (a = hwloc_get_next_osdev(p->topology, a)) != NULL;) {
        const int rank = rank_of_adapter(device, a);
        best = rank >= 0 && (best < 0 || rank < best) ? rank : best;
    }
    for (hwloc_obj_t a = NULL; (a = hwloc_get_next_osdev(p->topology, a)) != NULL;) {
        const size_t used = strlen(names), more = a->name != NULL ? strlen(a->name) : 0;
        if (more > 0 && rank_of_adapter(device, a) == best &&
            used + more + 2 <= UAP_BINDING_TEXT) {
            (void)snprintf(names + used, UAP_BINDING_TEXT - used, "%s%s",
                           used > 0 ? "," : "", a->name);
        }
    }
}

/* ---- The whole --------------------------------------------------------------------------- */

/* FNV-1a over the text (http://www.isthe.com/chongo/tech/comp/fnv/). */
static uint64_t hash_of(hwloc_const_bitmap_t set)
{
    uint64_t hash = 14695981039346656037u;
    for (int i = hwloc_bitmap_first(set); i >= 0; i = hwloc_bitmap_next(set, i)) {
        hash = (hash ^ (uint64_t)i) * 1099511628211u;
    }
    return hash;
}

static void describe(const place *p, const char *bus_id, uap_binding *out)
{
    const hwloc_obj_t device = find_device(p, bus_id);
    const hwloc_obj_t near = near_device(p, device);
    out->set = hash_of(p->processors);
    out->processors = hwloc_bitmap_weight(p->processors);
    out->online = hwloc_bitmap_weight(hwloc_topology_get_topology_cpuset(p->topology));
    if (hwloc_bitmap_list_snprintf(out->list, UAP_BINDING_TEXT, p->processors) >=
        UAP_BINDING_TEXT) {
        out->list[0] = '\0';
    }
    hwloc_cpuset_to_nodeset(p->topology, p->processors, p->scratch);
    out->numa_node =
        hwloc_bitmap_weight(p->scratch) == 1 ? hwloc_bitmap_first(p->scratch) : -1;
    out->has_far_memory = !hwloc_bitmap_iszero(p->scratch) &&
                          !hwloc_bitmap_intersects(p->scratch, p->memory);
    if (near != NULL) {
        out->device_node = hwloc_bitmap_first(near->nodeset);
        out->is_far = !hwloc_bitmap_intersects(near->cpuset, p->processors);
    }
    if (device != NULL) {
        name_adapters(p, device, out->adapters);
    }
}

/* What the process itself is bound to; what hwloc cannot tell is taken as free. */
static void read_own(place *p)
{
    hwloc_membind_policy_t policy = HWLOC_MEMBIND_DEFAULT;
    if (hwloc_get_cpubind(p->topology, p->scratch, HWLOC_CPUBIND_THREAD) == 0) {
        (void)hwloc_bitmap_and(p->processors, p->scratch,
                               hwloc_topology_get_topology_cpuset(p->topology));
    }
    if (hwloc_get_membind(p->topology, p->scratch, &policy,
                          HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET) == 0 &&
        policy == HWLOC_MEMBIND_BIND) {
        (void)hwloc_bitmap_and(p->memory, p->memory, p->scratch);
    }
}

/* Binds the process to those of its processors that are near the device, if it has others. */
static bool move_near(place *p, const char *bus_id)
{
    const hwloc_obj_t near = near_device(p, find_device(p, bus_id));
    if (near == NULL) {
        return false;
    }
    (void)hwloc_bitmap_and(p->scratch, p->processors, near->cpuset);
    if (hwloc_bitmap_iszero(p->scratch) ||
        hwloc_bitmap_isequal(p->scratch, p->processors) ||
        hwloc_set_cpubind(p->topology, p->scratch, HWLOC_CPUBIND_PROCESS) != 0) {
        return false;
    }
    (void)hwloc_bitmap_copy(p->processors, p->scratch);
    return true;
}

void uap_binding_take(const char *bus_id, uap_binding *out)
{
    place p;
    *out = (uap_binding){.numa_node = -1, .device_node = -1};
    if (enter(&p)) {
        read_own(&p);
        out->is_moved = move_near(&p, bus_id);
        describe(&p, bus_id, out);
        leave(&p);
    }
}

void uap_binding_of(const char *processors, const char *memory, const char *bus_id,
                    uap_binding *out)
{
    place p;
    *out = (uap_binding){.numa_node = -1, .device_node = -1};
    if (enter(&p)) {
        if (hwloc_bitmap_list_sscanf(p.processors, processors) == 0 &&
            hwloc_bitmap_list_sscanf(p.memory, memory) == 0) {
            describe(&p, bus_id, out);
        }
        leave(&p);
    }
}

bool uap_binding_is_far(const uap_binding *binding)
{
    return binding->has_far_memory || binding->is_far;
}

bool uap_binding_is_crowded(const uap_binding *binding, int32_t ranks)
{
    return binding->processors > 0 && ranks > binding->processors &&
           binding->online > binding->processors;
}
