/* `uniap plan --sweep-devices`: the best plan of every device count, one search after the other
 * by all ranks, each of which sets out from what the counts before lend it (docs/sweep.md). */
#ifndef UAP_CLI_SWEEP_RUN_H
#define UAP_CLI_SWEEP_RUN_H

#include "cli/commands.h"
#include "cli/plan_work.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Searches all counts of r->sweep, prints the table or writes r->output, and plans to r->plans.
 * w: options, model and cluster are there. Returns the exit status. Collective where
 * uap_search_is_shared. */
int uap_sweep_run(const uap_cli *cli, const uap_plan_request *r, uap_plan_work *w);

#ifdef __cplusplus
}
#endif
#endif
