/* Where a rank may run: its processors, their NUMA node and that of its device, as Linux tells
 * them. It binds nothing and judges only what is plainly wrong. */
#ifndef UAP_PROFILE_BINDING_H
#define UAP_PROFILE_BINDING_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_binding {
    uint64_t set;        /* a hash of the processors that the rank may run on */
    int32_t processors;  /* of them; 0: not readable */
    int32_t online;      /* processors of the machine */
    int32_t numa_node;   /* of all of them; -1: several nodes, or not readable */
    int32_t device_node; /* of the device's slot; -1: none, or not readable */
    bool has_far_memory; /* all memory that it may take is of other NUMA nodes */
} uap_binding;

/* Of this process: /proc/self/status, /sys/devices/system and /sys/bus/pci/devices under `root`
 * ("" is the system's). bus_id: the device's ("0000:17:00.0"), "" for none. Local. */
void uap_binding_read(const char *root, const char *bus_id, uap_binding *out);

/* Whether it runs, or takes memory, on another NUMA node than it should. Local. */
bool uap_binding_is_far(const uap_binding *binding);

/* Whether `ranks` of a node with just these processors have too few of them while the machine
 * has more. Local. */
bool uap_binding_is_crowded(const uap_binding *binding, int32_t ranks);

#ifdef __cplusplus
}
#endif
#endif
