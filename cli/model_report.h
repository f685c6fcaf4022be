/* What `uniap model` says of a model: as a table for people and as JSON for programs. It
 * prints what configs/model.h gives and computes nothing of its own. */
#ifndef UAP_CLI_MODEL_REPORT_H
#define UAP_CLI_MODEL_REPORT_H

#include "cli/options.h"
#include "configs/cluster.h"
#include "configs/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_model_report {
    const uap_model *model;
    uap_precision precision; /* of what is kept and sent */
    uap_int_list tp;         /* TP degrees to show, each >= 1 and < 2^31 */
    bool is_operator;        /* granularity */
} uap_model_report;

/* Prints the tables to stdout. Errors: NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_model_report_text(const uap_model_report *report,
                                               uap_err *err);

/* Prints "uniap-model" version 1 (docs/models.md) to stdout. Errors: IO, NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_model_report_json(const uap_model_report *report,
                                               uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
