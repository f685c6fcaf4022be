/* What `plan` does for one device count: from what was asked to a list of configurations, and
 * from what a search found to a plan. It neither searches nor writes. */
#ifndef UAP_CLI_PLAN_WORK_H
#define UAP_CLI_PLAN_WORK_H

#include "cli/search_args.h"
#include "configs/cluster.h"
#include "configs/model.h"
#include "plan/plan.h"
#include "plan/target.h"
#include "search/cost.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the command line said. */
typedef struct uap_plan_request {
    const char *model, *cluster, *output, *space, *dump, *sweep, *plans, *connect;
    int64_t seq, batch, devices, memory_bytes, reserve_bytes, seed;
    int precision, optimizer, schedule, cost, granularity, target;
    bool tp_across_nodes, other_nodes;
    uap_search_args search;
    uap_sent_args sent;
} uap_plan_request;

/* What the command holds while it works. */
typedef struct uap_plan_work {
    uap_plan_options options;
    uap_model *model;
    uap_cluster *cluster; /* the profile */
    uap_cluster whole;    /* with as many nodes as the devices in use need; borrows */
    uap_cost *cost;
    uap_target_space *space; /* the part of it that a framework can be told, or NULL */
    uap_result result;
    uap_plan *plan;
} uap_plan_work;

/* The options of a request. Errors: BAD_USAGE (one that is needed is not given, or is bad). */
UAP_NODISCARD uap_status uap_plan_work_options(const uap_plan_request *r,
                                               uap_plan_options *options, uap_err *err);

/* Model and cluster. Errors: those of both. */
UAP_NODISCARD uap_status uap_plan_work_load(uap_plan_work *w, const uap_plan_request *r,
                                            uap_err *err);

/* The configurations of so many devices (0: the profile's), those before are gone, with result
 * and plan. More than the profile has are extrapolated. Errors: those of uap_cluster_grow and
 * uap_cost_new. */
UAP_NODISCARD uap_status uap_plan_work_point(uap_plan_work *w, int64_t devices,
                                             uap_err *err);

/* What is searched; valid until the next point. */
uap_source uap_plan_work_source(uap_plan_work *w);

/* What a checkpoint of the search is of. */
void uap_plan_work_inputs(const uap_plan_work *w, const uap_plan_request *r,
                          uap_inputs *inputs);

/* w->plan of w->result, unless its outcome is unknown. hints: where nothing fits, tries what
 * would. Errors: those of uap_plan_build. */
UAP_NODISCARD uap_status uap_plan_work_finish(uap_plan_work *w, bool hints, uap_err *err);

void uap_plan_work_free(uap_plan_work *w);

#ifdef __cplusplus
}
#endif
#endif
