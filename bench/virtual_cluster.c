/* Times with noise and faults, and the comparison of what is found with what was planted. */
#include "bench/virtual_cluster.h"

#include "common/mem.h"

#include <math.h>
#include <string.h>

/* ---- Planting -------------------------------------------------------------------------- */

/* A kind of fault: what it should be found as. */
typedef struct fault_kind {
    uap_finding_kind kind;
    bool inside, sends, receives, needs_peer;
    int32_t least_devices, least_nodes; /* of a node; in all */
    double factor;
} fault_kind;

static const fault_kind fault_kinds[] = {
    {UAP_FINDING_DEVICE, .least_devices = 1, .factor = 4.0 / 3.0},
    {UAP_FINDING_LINK, .sends = true, .receives = true, .least_devices = 1, .factor = 2},
    {UAP_FINDING_PAIR, .needs_peer = true, .least_devices = 1, .factor = 3},
    {UAP_FINDING_NODE, .least_devices = 2, .least_nodes = 8, .factor = 1.6},
    {UAP_FINDING_LINK_LATENCY, .least_devices = 1, .factor = 4},
    {UAP_FINDING_LINK, .sends = true, .least_devices = 1, .factor = 2},
    {UAP_FINDING_LINK, .inside = true, .sends = true, .receives = true,
     .least_devices = 3, .factor = 2},
    {UAP_FINDING_PAIR_LATENCY, .needs_peer = true, .least_devices = 1, .factor = 5},
    {UAP_FINDING_SILENT, .least_devices = 1, .factor = 1},
};

#define N_FAULT_KINDS ((int32_t)(sizeof fault_kinds / sizeof fault_kinds[0]))

static bool is_taken(const uap_virtual_cluster *cluster, int32_t node)
{
    const uap_partition *p = cluster->partition;
    for (int32_t i = 0; i < cluster->n_faults; i++) {
        const uap_finding *f = &cluster->fault[i].expected;
        if (p->node_of[f->device] == node ||
            (f->peer != UAP_NOBODY && p->node_of[f->peer] == node)) {
            return true;
        }
    }
    return false;
}

/* Places one fault of a kind; false where the node, or its peer, is taken. */
static bool plant_one(uap_virtual_cluster *cluster, const fault_kind *kind,
                      uap_round_kind nodes, uap_rng *rng)
{
    const uap_partition *p = cluster->partition;
    const int32_t node = (int32_t)uap_rng_range(rng, 0, p->nodes - 1);
    const int32_t first = p->first[node], devices = p->first[node + 1] - first;
    const bool at_first = kind->needs_peer || kind->kind == UAP_FINDING_NODE;
    const int32_t place = at_first ? 0 : (int32_t)uap_rng_range(rng, 0, devices - 1);
    uap_finding f = {.kind = kind->kind,
                     .where = kind->inside ? UAP_ROUND_INSIDE : nodes,
                     .device = first + place,
                     .peer = UAP_NOBODY,
                     .sends = kind->sends,
                     .receives = kind->receives};
    if (is_taken(cluster, node) || devices < kind->least_devices ||
        p->nodes < kind->least_nodes) {
        return false;
    }
    if (kind->needs_peer) {
        const int32_t rounds = uap_round_count(p, nodes);
        const int32_t round = (int32_t)uap_rng_range(rng, 0, rounds - 1);
        f.peer = uap_round_peers(p, nodes, round, f.device).to;
        if (f.peer == UAP_NOBODY || is_taken(cluster, p->node_of[f.peer])) {
            return false;
        }
    }
    cluster->fault[cluster->n_faults++] =
        (uap_virtual_fault){.expected = f, .factor = kind->factor};
    return true;
}

#define TRIES 100

void uap_virtual_cluster_plant(uap_virtual_cluster *cluster, int32_t n,
                               uap_round_kind nodes)
{
    /* Of what most share nobody can say that it is unusual. */
    const int32_t third = cluster->partition->nodes / 3;
    int32_t wanted = n < UAP_VIRTUAL_FAULTS_MAX ? n : UAP_VIRTUAL_FAULTS_MAX;
    uap_rng rng;
    wanted = wanted < third ? wanted : third;
    uap_rng_seed(&rng, cluster->seed);
    cluster->n_faults = 0;
    for (int32_t i = 0; i < wanted; i++) {
        bool planted = false;
        for (int32_t t = 0; t < TRIES && !planted; t++) {
            const uint64_t kind = ((uint64_t)i + cluster->seed) % N_FAULT_KINDS;
            planted = plant_one(cluster, &fault_kinds[kind], nodes, &rng);
        }
    }
}

/* ---- Times ----------------------------------------------------------------------------- */

typedef struct play {
    const uap_virtual_cluster *cluster;
    uap_rng rng;
    uint8_t
        *has_fault; /* [devices]: of its own, of its node, or as the sender of a pair */
    double clock_s;
} play;

/* Normal to within a few per cent of its tails: the sum of twelve uniform numbers. */
static double normal(uap_rng *rng)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        sum += uap_rng_real(rng, 0, 1);
    }
    return sum;
}

static double noisy(play *p, double seconds)
{
    const double spoilt =
        uap_rng_chance(&p->rng, p->cluster->hiccup) ? uap_rng_real(&p->rng, 2, 6) : 1;
    return seconds * spoilt * fmax(0.5, 1 + p->cluster->noise * normal(&p->rng));
}

/* Whether a fault makes this slower: the device's work (to UAP_NOBODY), or a flow's short or
 * long message. */
static bool slows(const uap_partition *p, const uap_finding *f, int32_t from, int32_t to,
                  uap_metric metric)
{
    const bool is_link = to != UAP_NOBODY;
    const bool inside = is_link && p->node_of[from] == p->node_of[to];
    const bool is_long = metric == UAP_METRIC_BANDWIDTH;
    switch (f->kind) {
    case UAP_FINDING_DEVICE:
        return !is_link && f->device == from;
    case UAP_FINDING_NODE:
        return (!is_link || is_long) &&
               (p->node_of[f->device] == p->node_of[from] ||
                (is_link && p->node_of[f->device] == p->node_of[to]));
    case UAP_FINDING_LINK:
        return is_link && is_long && inside == (f->where == UAP_ROUND_INSIDE) &&
               ((f->sends && f->device == from) || (f->receives && f->device == to));
    case UAP_FINDING_PAIR:
        return is_link && is_long && f->device == from && f->peer == to;
    case UAP_FINDING_LINK_LATENCY:
        return is_link && !is_long && !inside && (f->device == from || f->device == to);
    case UAP_FINDING_PAIR_LATENCY:
        return is_link && !is_long && f->device == from && f->peer == to;
    case UAP_FINDING_SILENT:
    case UAP_FINDING_THROTTLED:
    case UAP_FINDING_FAR:
    case UAP_FINDING_CROWDED:
    case UAP_FINDING_KIND_COUNT:
        break;
    }
    return false;
}

static double factor_of(const play *p, int32_t from, int32_t to, uap_metric metric)
{
    double factor = 1;
    if (!p->has_fault[from] && (to == UAP_NOBODY || !p->has_fault[to])) {
        return 1;
    }
    for (int32_t i = 0; i < p->cluster->n_faults; i++) {
        const uap_virtual_fault *fault = &p->cluster->fault[i];
        if (slows(p->cluster->partition, &fault->expected, from, to, metric)) {
            factor *= fault->factor;
        }
    }
    return factor;
}

static bool is_silent(const play *p, int32_t device)
{
    if (!p->has_fault[device]) {
        return false;
    }
    for (int32_t i = 0; i < p->cluster->n_faults; i++) {
        const uap_finding *f = &p->cluster->fault[i].expected;
        if (f->kind == UAP_FINDING_SILENT && f->device == device) {
            return true;
        }
    }
    return false;
}

/* What a flow gives, and the seconds that it keeps its round busy. */
static double play_flow(play *p, const uap_order *o, uap_sample *sample)
{
    const uap_survey_costs *costs = &p->cluster->costs;
    const uap_partition *partition = p->cluster->partition;
    const bool inside = partition->node_of[o->device] == partition->node_of[o->to];
    const double bytes_per_s = inside ? costs->inside_Bps : costs->node_Bps;
    const double latency =
        noisy(p, costs->latency_s * factor_of(p, o->device, o->to, UAP_METRIC_LATENCY));
    const double seconds =
        noisy(p, costs->bytes / bytes_per_s *
                     factor_of(p, o->device, o->to, UAP_METRIC_BANDWIDTH));
    sample->latency_s = (float)latency;
    sample->seconds = (float)seconds;
    return 2 * latency * costs->pings + costs->transfers * (2 * latency + seconds);
}

static uap_status measure(void *self, uap_round_kind kind, const uap_order *order,
                          uap_sample *sample, int32_t n, uap_err *err)
{
    play *p = self;
    const uap_survey_costs *costs = &p->cluster->costs;
    /* Pairs take turns. */
    const int turns = kind == UAP_ROUND_INSIDE || kind == UAP_ROUND_PAIRS ? 2 : 1;
    double busy_s = 0, silence_s = 0;
    (void)err;
    for (int32_t i = 0; i < n; i++) {
        const uap_order *o = &order[i];
        double own_s = 0;
        if (is_silent(p, o->device)) {
            sample[i].is_silent = true;
            silence_s = p->cluster->deadline_s;
        } else if (kind == UAP_ROUND_DEVICES) {
            const double factor =
                factor_of(p, o->device, UAP_NOBODY, UAP_METRIC_BANDWIDTH);
            own_s = noisy(p, costs->device_s * factor);
            sample[i].seconds = (float)own_s;
        } else if (o->to != UAP_NOBODY && is_silent(p, o->to)) {
            sample[i].latency_s = sample[i].seconds = INFINITY;
        } else if (o->to != UAP_NOBODY) {
            own_s = turns * play_flow(p, o, &sample[i]);
        }
        busy_s = fmax(busy_s, own_s);
    }
    const bool are_devices = kind == UAP_ROUND_DEVICES;
    const double talk_s = costs->round_s + n * costs->order_s;
    p->clock_s += busy_s + silence_s + (are_devices ? talk_s : 2 * talk_s) +
                  (are_devices ? 0 : costs->connect_s);
    return UAP_OK;
}

static uap_status note_faults(play *p, uap_err *err)
{
    const uap_partition *partition = p->cluster->partition;
    p->has_fault = uap_calloc((size_t)partition->devices, sizeof *p->has_fault);
    if (p->has_fault == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %d devices",
                        (int)partition->devices);
    }
    for (int32_t i = 0; i < p->cluster->n_faults; i++) {
        const uap_finding *f = &p->cluster->fault[i].expected;
        const int32_t node = partition->node_of[f->device];
        const bool all = f->kind == UAP_FINDING_NODE;
        const int32_t first = all ? partition->first[node] : f->device;
        const int32_t end = all ? partition->first[node + 1] : f->device + 1;
        memset(p->has_fault + first, 1, (size_t)(end - first));
    }
    return UAP_OK;
}

/* ---- Comparing ------------------------------------------------------------------------- */

static bool is_found_as(const uap_finding *found, const uap_finding *planted)
{
    return found->kind == planted->kind && found->device == planted->device &&
           found->peer == planted->peer && found->sends == planted->sends &&
           found->receives == planted->receives &&
           (found->where == UAP_ROUND_INSIDE) == (planted->where == UAP_ROUND_INSIDE);
}

static void tell(const uap_virtual_cluster *cluster, const char *what,
                 const uap_finding *finding, FILE *out)
{
    char text[256];
    if (out != NULL) {
        uap_finding_text(finding, cluster->partition, NULL, text, sizeof text);
        (void)fprintf(out, "%s: %s\n", what, text);
    }
}

static void compare(const uap_virtual_cluster *cluster, const uap_findings *findings,
                    FILE *out, uap_virtual_survey *result)
{
    for (int32_t i = 0; i < cluster->n_faults; i++) {
        const uap_finding *planted = &cluster->fault[i].expected;
        bool found = false;
        for (int32_t j = 0; j < findings->n; j++) {
            found = found || is_found_as(&findings->finding[j], planted);
        }
        result->found += found;
        result->missed += !found;
        if (!found) {
            tell(cluster, "missed", planted, out);
        }
    }
    for (int32_t j = 0; j < findings->n; j++) {
        bool planted = false;
        for (int32_t i = 0; i < cluster->n_faults; i++) {
            planted = planted ||
                      is_found_as(&findings->finding[j], &cluster->fault[i].expected);
        }
        result->false_alarms += !planted;
        if (!planted) {
            tell(cluster, "false alarm", &findings->finding[j], out);
        }
    }
}

static double elapsed_s(void *self)
{
    const play *p = self;
    return p->clock_s;
}

uap_status uap_virtual_cluster_survey(const uap_virtual_cluster *cluster,
                                      const uap_survey_plan *plan, FILE *out,
                                      uap_virtual_survey *result, uap_err *err)
{
    const uap_survey_limits limits = uap_survey_limits_default();
    play p = {.cluster = cluster};
    const uap_survey_machine machine = {.self = &p,
                                        .measure = measure,
                                        .elapsed_s =
                                            cluster->keeps_budget ? elapsed_s : NULL};
    uap_status rc = UAP_OK;
    uap_survey survey = {.n_lost = 0};
    memset(result, 0, sizeof *result);
    uap_rng_seed(&p.rng, cluster->seed + 1);
    UAP_TRY(note_faults(&p, err));
    const int64_t before = uap_mem_bytes();
    uap_mem_peak_reset();
    UAP_TRY(uap_survey_run(cluster->partition, plan, &limits, &machine, &survey, err));
    result->bytes = uap_mem_peak_bytes() - before;
    result->seconds = p.clock_s;
    result->rounds = survey.rounds;
    for (int k = 0; k < UAP_ROUND_KIND_COUNT; k++) {
        result->again += survey.usual[k].again;
    }
    result->suspects = survey.suspects;
    compare(cluster, &survey.findings, out, result);
done:
    uap_survey_free(&survey);
    uap_free(p.has_fault);
    return rc;
}
