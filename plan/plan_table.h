/* The plan for a person: a table of the configuration, the stages, the strategies and the
 * search, as plain text. */
#ifndef UAP_PLAN_PLAN_TABLE_H
#define UAP_PLAN_PLAN_TABLE_H

#include "plan/plan.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Prints it to `out`; neighbouring layers of one type, stage and strategy share a line.
 * What the plan does not state is shown as "-". Local. */
void uap_plan_print(const uap_plan *plan, FILE *out);

/* Seconds and bytes as a person reads them: "12.3 ms", "1.50 GiB"; "-" below 0. Returns
 * text. */
#define UAP_QUANTITY_TEXT 24
char *uap_text_seconds(double seconds, char text[UAP_QUANTITY_TEXT]);
char *uap_text_bytes(int64_t bytes, char text[UAP_QUANTITY_TEXT]);

#ifdef __cplusplus
}
#endif
#endif
