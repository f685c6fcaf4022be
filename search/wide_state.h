/* What a process knows of wide graphs (search/wide.h). Private to search/wide*.c. */
#ifndef UAP_SEARCH_WIDE_STATE_H
#define UAP_SEARCH_WIDE_STATE_H

#include "search/wide.h"
#include "search/wide_program.h"

#ifdef __cplusplus
extern "C" {
#endif

/* By which share of themselves bounds rose from a node to its children, summed, and by which
 * they had been expected to by trial. */
typedef struct uap_rise {
    double sum, expected;
    int32_t n;
} uap_rise;

struct uap_wide {
    int32_t config; /* of program, -1: there is none */
    uap_program *program;
    /* Means over nodes of `config`, later ones weighing more: the lead of programs that did
     * not close their node, and how many did. */
    double lead, closed;
    int32_t failures; /* programs in a row that neither closed nor led */
    double visits;    /* to nodes of wide graphs */
    double program_s, cbc_s;
    double cbc_gap;
    /* What splitting by each live tensor of `rise_config` (-1: of none) did. */
    int32_t rise_config;
    uap_rise *rise; /* [n_live] */
    uap_rise all;   /* of all of them together */
};

/* Makes e->wide if it is not there. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_wide_need(uap_exact *e, uap_err *err);

/* Forgets what was learnt of splits. */
void uap_wide_forget_rises(uap_wide *wide);

#ifdef __cplusplus
}
#endif
#endif
