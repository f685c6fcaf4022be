/* Keeping, joining and wording findings. */
#include "profile/findings.h"

#include "common/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *uap_finding_name(uap_finding_kind kind)
{
    static const char *const name[UAP_FINDING_KIND_COUNT] = {
#define FINDING_NAME(kind, text) [UAP_FINDING_##kind] = text,
        UAP_FINDING_LIST(FINDING_NAME)
#undef FINDING_NAME
    };
    return name[kind];
}

/* Links inside nodes are others than those between them. */
static bool is_same(const uap_finding *a, const uap_finding *b)
{
    return a->kind == b->kind && a->device == b->device && a->peer == b->peer &&
           (a->where == UAP_ROUND_INSIDE) == (b->where == UAP_ROUND_INSIDE);
}

uap_status uap_findings_add(uap_findings *findings, const uap_finding *finding,
                            uap_err *err)
{
    for (int32_t i = 0; i < findings->n; i++) {
        uap_finding *old = &findings->finding[i];
        if (is_same(old, finding)) {
            old->sends = old->sends || finding->sends;
            old->receives = old->receives || finding->receives;
            return UAP_OK;
        }
    }
    if (findings->n == findings->capacity) {
        const int32_t capacity = findings->capacity == 0 ? 16 : 2 * findings->capacity;
        uap_finding *grown =
            uap_realloc(findings->finding, (size_t)capacity, sizeof *grown);
        if (grown == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "no memory for %d findings", (int)capacity);
        }
        findings->finding = grown;
        findings->capacity = capacity;
    }
    findings->finding[findings->n++] = *finding;
    return UAP_OK;
}

static bool is_pair(const uap_finding *finding)
{
    return finding->kind == UAP_FINDING_PAIR || finding->kind == UAP_FINDING_PAIR_LATENCY;
}

bool uap_finding_blames_node(const uap_finding *finding)
{
    const bool is_jobs =
        finding->kind == UAP_FINDING_FAR || finding->kind == UAP_FINDING_CROWDED;
    return !is_jobs && (!is_pair(finding) || finding->where == UAP_ROUND_INSIDE);
}

/* Whether a node's finding replaces it. */
static bool belongs_to_node(const uap_finding *finding)
{
    return uap_finding_blames_node(finding) && finding->kind != UAP_FINDING_SILENT;
}

/* has[d]: device d has a finding of its own. */
static bool is_mostly_sick(const uap_partition *partition, int32_t node, const bool *has)
{
    const int32_t first = partition->first[node], end = partition->first[node + 1];
    int32_t n = 0;
    for (int32_t d = first; d < end; d++) {
        n += has[d];
    }
    return n >= 2 && 2 * n > end - first;
}

uap_status uap_findings_join_nodes(uap_findings *findings, const uap_partition *partition,
                                   uap_err *err)
{
    uap_findings joined = {.n = 0};
    uap_status rc = UAP_OK;
    bool *has = uap_calloc((size_t)partition->devices, sizeof *has);
    if (has == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory to join findings");
    }
    for (int32_t i = 0; i < findings->n; i++) {
        const uap_finding *f = &findings->finding[i];
        has[f->device] = has[f->device] || (belongs_to_node(f) && !is_pair(f));
    }
    for (int32_t i = 0; i < findings->n; i++) {
        uap_finding f = findings->finding[i];
        const int32_t node = partition->node_of[f.device];
        if (belongs_to_node(&f) && is_mostly_sick(partition, node, has)) {
            f.kind = UAP_FINDING_NODE;
            f.device = partition->first[node];
            f.peer = UAP_NOBODY;
            /* One place for all: the first that showed it. */
            f.where = UAP_ROUND_DEVICES;
            f.sends = f.receives = false;
        }
        UAP_TRY(uap_findings_add(&joined, &f, err));
    }
    uap_findings_free(findings);
    *findings = joined;
    memset(&joined, 0, sizeof joined);
done:
    uap_findings_free(&joined);
    uap_free(has);
    return rc;
}

/* "vn7 device 3", or "device 17 (node 2)". */
static void place_text(int32_t device, const uap_partition *partition,
                       const char (*host)[64], char text[128])
{
    const int32_t node = partition->node_of[device];
    if (host != NULL) {
        (void)snprintf(text, 128, "%s device %d", host[node],
                       (int)(device - partition->first[node]));
    } else {
        (void)snprintf(text, 128, "device %d (node %d)", (int)device, (int)node);
    }
}

/* Those of ranks, which are no times. Nothing for others. */
static void rank_text(const uap_finding *f, char *text, size_t n)
{
    if (f->kind == UAP_FINDING_THROTTLED && f->value_s > 0) {
        (void)snprintf(text, n, ": %.0f MHz, usually %.0f", f->value_s, f->median_s);
    } else if (f->kind == UAP_FINDING_FAR && f->median_s < 0) {
        (void)snprintf(text, n,
                       ": its memory is of other NUMA nodes than its processors");
    } else if (f->kind == UAP_FINDING_FAR && f->value_s < 0) {
        (void)snprintf(text, n,
                       ": processors of several NUMA nodes, the device's is %.0f",
                       f->median_s);
    } else if (f->kind == UAP_FINDING_FAR) {
        (void)snprintf(text, n, ": processors of NUMA node %.0f, the device's is %.0f",
                       f->value_s, f->median_s);
    } else if (f->kind == UAP_FINDING_CROWDED) {
        (void)snprintf(text, n, ": %.0f ranks on %.0f processor%s, others idle",
                       f->value_s, f->median_s, f->median_s > 1 ? "s" : "");
    }
}

bool uap_finding_is_of_rank(const uap_finding *finding)
{
    return finding->kind == UAP_FINDING_THROTTLED || finding->kind == UAP_FINDING_FAR ||
           finding->kind == UAP_FINDING_CROWDED;
}

void uap_finding_text(const uap_finding *finding, const uap_partition *partition,
                      const char (*host)[64], char *text, size_t n)
{
    char place[128], peer[128] = "";
    const char *ways = finding->sends && finding->receives ? " both ways"
                       : finding->sends                    ? " sending"
                       : finding->receives                 ? " receiving"
                                                           : "";
    place_text(finding->device, partition, host, place);
    if (finding->peer != UAP_NOBODY) {
        place_text(finding->peer, partition, host, peer);
    }
    const int used = snprintf(text, n, "%s %s%s%s%s", uap_finding_name(finding->kind),
                              place, peer[0] != '\0' ? " to " : "", peer, ways);
    if (used < 0 || (size_t)used >= n) {
        return;
    }
    if (uap_finding_is_of_rank(finding)) {
        rank_text(finding, text + used, n - (size_t)used);
        return;
    }
    if (finding->kind == UAP_FINDING_SILENT) {
        (void)snprintf(text + used, n - (size_t)used, "%s%s",
                       finding->is_later ? " behind the survey" : "",
                       finding->has_failed ? ": the device failed"
                       : finding->answers  ? ": its work did not end"
                                           : "");
        return;
    }
    (void)snprintf(text + used, n - (size_t)used,
                   " (%s): %.3g s, usually %.3g, score %.1f, again %.3g s",
                   uap_round_kind_name(finding->where), finding->value_s,
                   finding->median_s, finding->score, finding->again_s);
}

void uap_findings_free(uap_findings *findings)
{
    uap_free(findings->finding);
    memset(findings, 0, sizeof *findings);
}
