/* What the targets of an export share: the plan as a chain of blocks between an embedding and
 * a head, refusals that name layers, and text. For plan/export*.c only. */
#ifndef UAP_PLAN_EXPORT_INTERNAL_H
#define UAP_PLAN_EXPORT_INTERNAL_H

#include "configs/model.h"
#include "plan/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A transformer block: one layer, or at operator granularity its two halves. */
typedef struct uap_export_block {
    int32_t first, last; /* layers, inclusive */
} uap_export_block;

typedef struct uap_exporter {
    const uap_plan *plan;
    const char *framework;
    uap_export *out;
    int64_t stage_devices; /* of every stage, where they are alike */
    int64_t samples;       /* of a micro-batch through the whole pipeline */
    int32_t n_blocks;
    uap_export_block *block;                  /* [n_blocks], of out's arena */
    int32_t *stage_blocks, *stage_recomputes; /* [pp]: blocks; of them recomputed */
    uap_layer_type *type;                     /* [n_layers] */
    bool *marked; /* [n_layers], for the next refusal; false in between */
    bool no_memory;
} uap_exporter;

/* One number of a strategy that a framework has one option for. */
typedef struct uap_export_field {
    const char *name; /* in messages: "tp" */
    int64_t (*of)(const uap_strategy *strategy);
} uap_export_field;

extern const uap_export_field uap_export_dp, uap_export_fsdp, uap_export_tp,
    uap_export_zero, uap_export_sp, uap_export_recompute;

/* Adds to the text. */
void uap_export_print(uap_exporter *x, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Records "<what>". */
void uap_export_refuse(uap_exporter *x, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Records "layers 0, 5-8 (embedding, block.4 .. block.7): <what>" of the marked layers, and
 * forgets the marks. Nothing where no layer is marked. */
void uap_export_refuse_marked(uap_exporter *x, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds a note of static storage. */
void uap_export_note(uap_exporter *x, const char *note);

/* The number that most layers have, of which the others are refused because the framework
 * has one `option` for all layers. `every`: of all layers, else of the blocks alone. */
int64_t uap_export_same(uap_exporter *x, const uap_export_field *field,
                        const char *option, bool every);

/* What a framework calls its one option for each part of a strategy. */
typedef struct uap_export_names {
    const char *dp, *fsdp, *tp, *zero, *sp;
} uap_export_names;

/* The strategy of all layers, where a framework has one for all; layers with another are
 * refused. Its recompute is false: see uap_export_recomputed. */
uap_strategy uap_export_one_strategy(uap_exporter *x, const uap_export_names *names);

/* Samples per device and micro-batch. */
int64_t uap_export_samples(const uap_exporter *x, const uap_strategy *s);

/* The plan as embedding, blocks, head: fills in `block` and the
 * counts. Refused are other chains (`cross`:
 * blocks with cross-attention are allowed, and a second embedding before them), a block
 * whose halves differ or lie in two stages, and recomputation of embedding or head, as no
 * framework has an option for it. */
void uap_export_find_blocks(uap_exporter *x, bool cross);

/* Refuses schedules that are not `one` or `other` (which may be the same), where there are
 * stages. */
void uap_export_schedule(uap_exporter *x, uap_schedule one, uap_schedule other,
                         const char *option);

/* Whether layer u is an embedding or the head. */
static inline bool uap_export_is_end(const uap_exporter *x, int32_t u)
{
    return x->type[u] == UAP_LAYER_EMBEDDING || x->type[u] == UAP_LAYER_HEAD;
}

static inline const uap_strategy *uap_export_strategy(const uap_exporter *x, int32_t u)
{
    return &x->plan->layer[u].strategy;
}

/* "fp32", "bf16", "fp16". */
const char *uap_export_precision(const uap_exporter *x);

/* The targets. Each fills in out's text or json, and refuses. */
void uap_export_megatron(uap_exporter *x);
void uap_export_deepspeed(uap_exporter *x);
void uap_export_torchtitan(uap_exporter *x);
void uap_export_torchtitan_toml(uap_exporter *x);
void uap_export_galvatron(uap_exporter *x);

#ifdef __cplusplus
}
#endif
#endif
