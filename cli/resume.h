/* A search that sets out from a checkpoint. */
#ifndef UAP_CLI_RESUME_H
#define UAP_CLI_RESUME_H

#include "cli/checkpoint.h"
#include "mpi/tree_problem.h"
#include "search/exact_node.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes the checkpoint's plan the best one known, after it was costed again, and adds its
 * nodes, held, to the tree's open ones. Errors: BAD_INPUT (bytes that are no plan or node of
 * this search), NO_MEMORY, those of build. Local, on rank 0. */
UAP_NODISCARD uap_status uap_resume(const uap_checkpoint *from, uap_exact *e,
                                    uap_tree *tree, uap_err *err);

/* The plan alone. */
UAP_NODISCARD uap_status uap_resume_plan(const uap_checkpoint *from, uap_exact *e,
                                         uap_tree *tree, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
