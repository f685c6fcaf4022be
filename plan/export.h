/* A plan as what a training framework takes: command-line arguments, a configuration or a
 * strategy file (docs/export.md). What the framework cannot be told is said and not left out.
 * It neither plans nor checks a plan against its model. */
#ifndef UAP_PLAN_EXPORT_H
#define UAP_PLAN_EXPORT_H

#include "common/bytes.h"
#include "common/json_write.h"
#include "plan/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum uap_export_target {
    UAP_EXPORT_MEGATRON,
    UAP_EXPORT_DEEPSPEED,
    UAP_EXPORT_TORCHTITAN,
    UAP_EXPORT_TORCHTITAN_TOML, /* torchtitan's releases that read TOML */
    UAP_EXPORT_GALVATRON,
    UAP_EXPORT_TARGET_COUNT
} uap_export_target;

/* Names on the command line, in the order of uap_export_target. */
#define UAP_EXPORT_TARGETS "megatron|deepspeed|torchtitan|torchtitan-toml|galvatron"

#define UAP_EXPORT_TEXT      768
#define UAP_EXPORT_MAX_LINES 50

/* What an export came to: one of text and json, or refusals. */
typedef struct uap_export {
    uap_arena *arena;   /* owns the lines */
    uap_bytes text;     /* not terminated by a NUL */
    uap_jout *json;     /* where the target takes JSON, else NULL */
    int64_t n_refusals; /* what the target cannot express, one each: layers and option */
    int32_t n_lines;    /* of them kept: at most UAP_EXPORT_MAX_LINES */
    char (*line)[UAP_EXPORT_TEXT];
    int32_t n_notes; /* what the user must do beside passing the output on */
    const char *note[4];
} uap_export;

const char *uap_export_framework(uap_export_target target); /* "Megatron-LM", ... */

/* Exports a plan that uap_plan_load() read. Refusals are a result, in *out, which the caller
 * frees. Errors: BAD_INPUT (an infeasible plan, one for a bare instance, one whose layers
 * have no types, one whose own numbers do not go together), NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_export_plan(const uap_plan *plan, uap_export_target target,
                                         uap_export *out, uap_err *err);

/* Writes text or json; "-" is standard output. There must be no refusals. Errors: IO,
 * NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_export_write(const uap_export *out, const char *path,
                                          uap_err *err);
void uap_export_free(uap_export *out); /* safe on a zeroed one */

#ifdef __cplusplus
}
#endif
#endif
