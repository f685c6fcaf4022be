/* Whether a profile is of the nodes that this job has, as Slurm tells them. */
#ifndef UAP_CLI_JOB_NODES_H
#define UAP_CLI_JOB_NODES_H

#include "configs/cluster.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Fails with BAD_INPUT and the difference where the profile was measured on nodes that it
 * names and SLURM_JOB_NODELIST has others: nodes that were neither measured nor left out by
 * the survey, or (unless a part was asked for) measured ones that the job lacks. OK outside
 * of Slurm, and for profiles that were not measured or name no nodes. Local. */
UAP_NODISCARD uap_status uap_job_nodes_check(const uap_cluster *cluster,
                                             bool part_is_enough, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
