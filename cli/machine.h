/* This node as its hardware is: what Slurm's variables may leave out. */
#ifndef UAP_CLI_MACHINE_H
#define UAP_CLI_MACHINE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_machine {
    int64_t memory_bytes; /* of the NUMA nodes that this process may use; 0: not known */
    int32_t gpus;         /* display and 3D devices of makers of accelerators */
} uap_machine;

/* Looks, which takes hwloc 10 to 30 ms, more on large nodes; zeros where it fails.
 * HWLOC_XMLFILE and the like name another machine. Local. */
void uap_machine_look(uap_machine *out);

#ifdef __cplusplus
}
#endif
#endif
