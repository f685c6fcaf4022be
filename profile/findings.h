/* What a survey found to be sick: one record for each, those of one node taken together. It
 * neither measures nor decides; it keeps and words what was decided. */
#ifndef UAP_PROFILE_FINDINGS_H
#define UAP_PROFILE_FINDINGS_H

#include "common/status.h"
#include "profile/rounds.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kind, and its name in files. */
#define UAP_FINDING_LIST(X)                                                              \
    X(SILENT, "silent")          /* a device did not answer in time */                   \
    X(NODE, "slow-node")         /* most devices of a node have something */             \
    X(DEVICE, "slow-device")     /* computes slowly */                                   \
    X(LINK, "slow-link")         /* a device to all others: long messages */             \
    X(PAIR, "slow-pair")         /* a device to one other, in this direction */          \
    X(LINK_LATENCY, "late-link") /* short messages of a device, with all others */       \
    X(PAIR_LATENCY, "late-pair") /* of a device with one other */                        \
    X(THROTTLED, "throttled")    /* heat or power holds it back */                       \
    X(FAR, "far-binding")        /* its rank is bound to another NUMA node */            \
    X(CROWDED, "shared-cores")   /* its rank shares processors while others idle */

typedef enum uap_finding_kind {
#define UAP_FINDING_ENUM(name, text) UAP_FINDING_##name,
    UAP_FINDING_LIST(UAP_FINDING_ENUM)
#undef UAP_FINDING_ENUM
        UAP_FINDING_KIND_COUNT
} uap_finding_kind;

typedef struct uap_finding {
    uap_finding_kind kind;
    uap_round_kind where; /* the rounds in which it showed */
    int32_t device, peer; /* NODE: its first device; peer of pairs, else UAP_NOBODY */
    bool sends, receives; /* LINK: the ends that are slow */
    bool is_later;        /* SILENT: behind the survey */
    bool answers;         /* SILENT: it is there, but its work does not end */
    bool has_failed;      /* SILENT: it is there, but its device is in error */
    double
        value_s; /* the best it could do when found; infinite: no answer. THROTTLED: MHz;
                      * FAR: NUMA node, -1: several; CROWDED: ranks */
    double median_s; /* of its like. FAR: the device's NUMA node, -1: it is memory that is
                      * far; CROWDED: processors that they share */
    double score;    /* spreads above the median; infinite like value_s */
    double again_s;  /* measured again, the last time */
} uap_finding;

typedef struct uap_findings {
    int32_t n, capacity;
    uap_finding *finding; /* [n] */
} uap_findings;

const char *uap_finding_name(uap_finding_kind kind);

/* Adds one, or completes the one there is: the two ends of a link are one finding, and what
 * shows in several kinds of rounds between nodes is kept from the first. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_findings_add(uap_findings *findings,
                                          const uap_finding *finding, uap_err *err);

/* Replaces the findings of a node by one where more than half of its devices (and at least
 * two) have any; silent devices stay. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_findings_join_nodes(uap_findings *findings,
                                                 const uap_partition *partition,
                                                 uap_err *err);

/* Whether the node should be drained for it: all but pairs of nodes, which may be the fault of
 * neither, and what is the job's own doing. */
bool uap_finding_blames_node(const uap_finding *finding);

/* THROTTLED, FAR or CROWDED: its values are no times. */
bool uap_finding_is_of_rank(const uap_finding *finding);

/* One line without a newline: "slow-link device 17 (node 2) sending: 3.1e-03 s, usually
 * 1.2e-03 (score 22.0), again 3.0e-03". host[node] (may be NULL) names the nodes. */
void uap_finding_text(const uap_finding *finding, const uap_partition *partition,
                      const char (*host)[64], char *text, size_t n);

void uap_findings_free(uap_findings *findings); /* of zeros is legal */

#ifdef __cplusplus
}
#endif
#endif
