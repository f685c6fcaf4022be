/* Where a rank runs, by hwloc: its processors, their NUMA node, that of its device, and the network
 * adapters near that. It moves a rank only near to its device, and never out of what a launcher
 * chose; it judges only what is plainly wrong. */
#ifndef UAP_PROFILE_BINDING_H
#define UAP_PROFILE_BINDING_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_BINDING_TEXT 128

typedef struct uap_binding {
    uint64_t set;        /* a hash of the processors that the rank may run on */
    int32_t processors;  /* of them; 0: not readable */
    int32_t online;      /* processors of the machine */
    int32_t numa_node;   /* of all of them; -1: several nodes, or not readable */
    int32_t device_node; /* of the device's slot; -1: none, or not readable */
    bool has_far_memory; /* all memory that it may take is of other NUMA nodes */
    bool is_far;         /* none of its processors is near the device */
    bool is_moved;       /* it ran anywhere, and was bound near to the device */
    char list
        [UAP_BINDING_TEXT]; /* its processors, "0-3,8"; "": not readable, or too long */
    char adapters
        [UAP_BINDING_TEXT]; /* network adapters nearest to the device, "mlx5_0,mlx5_1",
                                      * those for RDMA where there are any; "": none known */
} uap_binding;

/* Of this process, which is first bound to those of its processors that are near the device, where
 * it has others too. bus_id: the device's ("0000:17:00.0"), "" for none, and then nothing moves.
 * What cannot be told is said to be so. Local. */
void uap_binding_take(const char *bus_id, uap_binding *out);

/* Of a process that may run on these processors and take memory of these NUMA nodes (lists as
 * above), on the machine that hwloc sees. Local. */
void uap_binding_of(const char *processors, const char *memory, const char *bus_id,
                    uap_binding *out);

/* Whether it runs, or takes memory, on another NUMA node than it should. Local. */
bool uap_binding_is_far(const uap_binding *binding);

/* Whether `ranks` of a node with just these processors have too few of them while the machine
 * has more. Local. */
bool uap_binding_is_crowded(const uap_binding *binding, int32_t ranks);

#ifdef __cplusplus
}
#endif
#endif
