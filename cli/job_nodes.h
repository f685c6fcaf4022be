/* Whether a profile is of the nodes and devices that this job has, as Slurm tells them, and
 * how many devices to plan for. */
#ifndef UAP_CLI_JOB_NODES_H
#define UAP_CLI_JOB_NODES_H

#include "cli/machine.h"
#include "configs/allocation.h"
#include "configs/cluster.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the command line asked for. */
typedef struct uap_job_ask {
    int64_t devices;            /* --devices; 0: not given */
    bool other_nodes;           /* --other-nodes */
    const uap_machine *machine; /* this node, where Slurm tells no GPUs; or NULL */
} uap_job_ask;

/* *devices: how many to plan for, 0 for the profile's. Those asked for; else, where the
 * profile was measured on the job's nodes and more, alike ones, those of the job.
 * Fails with BAD_INPUT and the difference where the profile was measured on nodes that it
 * names and the job has others: nodes that were neither measured nor left out by the survey,
 * or (unless a part was asked for) measured ones that it lacks and whose devices Slurm does
 * not tell, or other numbers of GPUs on a node. Of other profiles a difference is a warning,
 * and so is one from what hwloc sees.
 * OK outside of Slurm. Local. */
UAP_NODISCARD uap_status uap_job_devices(const uap_allocation *job,
                                         const uap_cluster *cluster,
                                         const uap_job_ask *ask, int64_t *devices,
                                         uap_err *err);

/* Warns where a search may take more memory of a node than the job has: of Slurm's variables
 * or hwloc the lesser. */
void uap_job_note_memory(const uap_allocation *job, const uap_machine *machine,
                         int64_t limit_bytes);

#ifdef __cplusplus
}
#endif
#endif
