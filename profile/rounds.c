/* Circle method, shifts, and what they are for nodes and their devices. */
#include "profile/rounds.h"

#include "common/mem.h"

#include <string.h>

int32_t uap_tournament_rounds(int32_t n)
{
    return n < 2 ? 0 : n % 2 == 0 ? n - 1 : n;
}

/* With m rounds (m odd), players a and b of 0 .. m - 1 meet in round (a + b) mod m: b is then
 * given by a and the round, so nobody has two peers, and every pair has its one round. In
 * each round exactly one player would meet itself (2a = round has one solution, as m is odd):
 * it is idle, or meets the one more player that an even n has. */
int32_t uap_tournament_peer(int32_t n, int32_t round, int32_t who)
{
    const int32_t m = uap_tournament_rounds(n);
    if (m == 0) {
        return UAP_NOBODY;
    }
    const bool has_extra = n % 2 == 0;
    if (has_extra && who == m) {
        /* a with 2a = round (mod m): half of the round, or of the round + m. */
        return round % 2 == 0 ? round / 2 : (round + m) / 2;
    }
    const int32_t peer = (round - who + m) % m;
    if (peer != who) {
        return peer;
    }
    return has_extra ? m : UAP_NOBODY;
}

int32_t uap_shift_rounds(int32_t n)
{
    int32_t rounds = 0;
    for (int64_t reach = 1; reach < n; reach *= 2) {
        rounds++;
    }
    return rounds;
}

uap_status uap_partition_make(int32_t nodes, const int32_t *per_node, int32_t each,
                              uap_partition *out, uap_err *err)
{
    int64_t devices = 0;
    memset(out, 0, sizeof *out);
    for (int32_t n = 0; n < nodes && devices <= INT32_MAX; n++) {
        const int32_t here = per_node != NULL ? per_node[n] : each;
        if (here < 1) {
            return UAP_FAIL(err, BAD_USAGE, "node %d has %d devices", (int)n, (int)here);
        }
        out->most = here > out->most ? here : out->most;
        devices += here;
    }
    if (nodes < 1 || devices > INT32_MAX) {
        return UAP_FAIL(err, TOO_LARGE, "%d nodes with %lld devices", (int)nodes,
                        (long long)devices);
    }
    out->nodes = nodes;
    out->devices = (int32_t)devices;
    out->first = uap_calloc((size_t)nodes + 1, sizeof *out->first);
    out->node_of = uap_calloc((size_t)devices, sizeof *out->node_of);
    if (out->first == NULL || out->node_of == NULL) {
        uap_partition_free(out);
        return UAP_FAIL(err, NO_MEMORY, "no memory for %lld devices", (long long)devices);
    }
    for (int32_t n = 0; n < nodes; n++) {
        const int32_t first = out->first[n];
        out->first[n + 1] = first + (per_node != NULL ? per_node[n] : each);
        for (int32_t d = first; d < out->first[n + 1]; d++) {
            out->node_of[d] = n;
        }
    }
    return UAP_OK;
}

void uap_partition_free(uap_partition *partition)
{
    uap_free(partition->first);
    uap_free(partition->node_of);
    memset(partition, 0, sizeof *partition);
}

const char *uap_round_kind_name(uap_round_kind kind)
{
    static const char *const name[UAP_ROUND_KIND_COUNT] = {
#define KIND_NAME(kind, text) [UAP_ROUND_##kind] = text,
        UAP_ROUND_KIND_LIST(KIND_NAME)
#undef KIND_NAME
    };
    return name[kind];
}

int32_t uap_round_count(const uap_partition *partition, uap_round_kind kind)
{
    switch (kind) {
    case UAP_ROUND_DEVICES:
        return 1;
    case UAP_ROUND_INSIDE:
        return uap_tournament_rounds(partition->most);
    case UAP_ROUND_PAIRS:
        return uap_tournament_rounds(partition->nodes);
    case UAP_ROUND_SHIFTS:
    case UAP_ROUND_RAILS:
        return uap_shift_rounds(partition->nodes);
    case UAP_ROUND_BISECTION:
        return partition->nodes > 1 ? 1 : 0;
    case UAP_ROUND_KIND_COUNT:
        break;
    }
    return 0;
}

/* Whether only the first device of a node has a part. */
static bool is_of_first_devices(uap_round_kind kind)
{
    return kind == UAP_ROUND_PAIRS || kind == UAP_ROUND_SHIFTS;
}

int32_t uap_round_devices(const uap_partition *partition, uap_round_kind kind)
{
    if (uap_round_count(partition, kind) == 0) {
        return 0;
    }
    return is_of_first_devices(kind) ? partition->nodes : partition->devices;
}

/* Of a node. */
static uap_peers node_peers(int32_t nodes, uap_round_kind kind, int32_t round,
                            int32_t node)
{
    if (kind == UAP_ROUND_PAIRS) {
        const int32_t peer = uap_tournament_peer(nodes, round, node);
        return (uap_peers){peer, peer};
    }
    if (kind == UAP_ROUND_BISECTION) {
        const int32_t half = nodes / 2;
        const int32_t peer = node < half       ? node + half
                             : node < 2 * half ? node - half
                                               : UAP_NOBODY;
        return (uap_peers){peer, peer};
    }
    const int32_t distance = (int32_t)1 << round;
    return (uap_peers){(int32_t)(((int64_t)node + distance) % nodes),
                       (int32_t)(((int64_t)node - distance + nodes) % nodes)};
}

/* Device number `place` of a node, if it has so many. */
static int32_t device_at(const uap_partition *partition, int32_t node, int32_t place)
{
    if (node == UAP_NOBODY) {
        return UAP_NOBODY;
    }
    const int32_t device = partition->first[node] + place;
    return device < partition->first[node + 1] ? device : UAP_NOBODY;
}

uap_peers uap_round_peers(const uap_partition *partition, uap_round_kind kind,
                          int32_t round, int32_t device)
{
    const uap_peers none = {UAP_NOBODY, UAP_NOBODY};
    const int32_t node = partition->node_of[device];
    const int32_t place = device - partition->first[node];
    if (kind == UAP_ROUND_DEVICES || (is_of_first_devices(kind) && place > 0)) {
        return none;
    }
    if (kind == UAP_ROUND_INSIDE) {
        const int32_t here = partition->first[node + 1] - partition->first[node];
        if (round >= uap_tournament_rounds(here)) {
            return none;
        }
        const int32_t met = uap_tournament_peer(here, round, place);
        const int32_t peer = met == UAP_NOBODY ? met : partition->first[node] + met;
        return (uap_peers){peer, peer};
    }
    const uap_peers nodes = node_peers(partition->nodes, kind, round, node);
    return (uap_peers){device_at(partition, nodes.to, place),
                       device_at(partition, nodes.from, place)};
}

bool uap_round_includes(const uap_partition *partition, uap_round_kind kind,
                        int32_t round, int32_t device)
{
    const uap_peers peers = uap_round_peers(partition, kind, round, device);
    return kind == UAP_ROUND_DEVICES || peers.to != UAP_NOBODY ||
           peers.from != UAP_NOBODY;
}

/* Fewer nodes than these say too little about each pair of places, or each distance. */
#define NODES_FOR_PLACES    4
#define NODES_FOR_DISTANCES 64

int32_t uap_round_classes(const uap_partition *partition, uap_round_kind kind)
{
    switch (kind) {
    case UAP_ROUND_INSIDE:
        return partition->nodes < NODES_FOR_PLACES ? 1
                                                   : partition->most * partition->most;
    case UAP_ROUND_SHIFTS:
    case UAP_ROUND_RAILS:
        return partition->nodes < NODES_FOR_DISTANCES ? 1
                                                      : uap_round_count(partition, kind);
    case UAP_ROUND_DEVICES:
    case UAP_ROUND_PAIRS:
    case UAP_ROUND_BISECTION:
    case UAP_ROUND_KIND_COUNT:
        break;
    }
    return 1;
}

int32_t uap_round_class(const uap_partition *partition, uap_round_kind kind,
                        int32_t round, int32_t device)
{
    if (kind == UAP_ROUND_SHIFTS || kind == UAP_ROUND_RAILS) {
        return partition->nodes < NODES_FOR_DISTANCES ? 0 : round;
    }
    if (kind != UAP_ROUND_INSIDE || partition->nodes < NODES_FOR_PLACES) {
        return 0;
    }
    const int32_t first = partition->first[partition->node_of[device]];
    const int32_t a = device - first;
    const int32_t b = uap_round_peers(partition, kind, round, device).to - first;
    return a < b ? a * partition->most + b : b * partition->most + a;
}
