/* The configurations that a training framework can be told (docs/export.md): those of the cost
 * model with one strategy for all layers, family by family, less what the framework has no
 * option for. A search over them proves the best plan that can be exported. */
#ifndef UAP_PLAN_TARGET_H
#define UAP_PLAN_TARGET_H

#include "plan/plan.h"
#include "search/cost.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_target_space uap_target_space;

/* Of a model of an embedding, blocks and a head (DeepSpeed: any), on like nodes, with layers as
 * blocks. DeepSpeed: with one stage. Borrows model and cluster. The caller frees *out.
 * Errors: BAD_USAGE (what the framework cannot be told at all), those of uap_cost_new. */
UAP_NODISCARD uap_status uap_target_space_new(const uap_model *model,
                                              const uap_cluster *cluster,
                                              const uap_plan_options *options,
                                              uap_target_space **out, uap_err *err);
void uap_target_space_free(uap_target_space *space); /* NULL is legal */

/* All configurations of all families; those that the framework cannot be told are illegal. */
uap_source uap_target_space_source(uap_target_space *space);

/* The cost model that configuration `index` of the source belongs to, and its number there. */
uap_cost *uap_target_space_cost(uap_target_space *space, int32_t index, int32_t *own);

#ifdef __cplusplus
}
#endif
#endif
