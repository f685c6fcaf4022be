/* Who measures with whom in which round: schedules in which no device sends to two others or
 * receives from two at once. Arithmetic on device numbers; it measures nothing and judges
 * nothing. */
#ifndef UAP_PROFILE_ROUNDS_H
#define UAP_PROFILE_ROUNDS_H

#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In place of a device, node or player: nobody. */
#define UAP_NOBODY (-1)

/* ---- Schedules of n players ---------------------------------------------------------- */

/* Round robin by the circle method: n - 1 rounds of n / 2 pairs for even n, n rounds with one
 * player idle for odd n; every pair meets in exactly one. 0 for n < 2. */
int32_t uap_tournament_rounds(int32_t n);

/* Whom player `who` meets in `round`, or UAP_NOBODY. O(1). */
int32_t uap_tournament_peer(int32_t n, int32_t round, int32_t who);

/* Shifts by 1, 2, 4, ...: ceil(log2 n) rounds, in round k player r sends to r + 2^k and
 * receives from r - 2^k (modulo n). No pair occurs in two rounds in the same direction, and
 * every player sends and receives in each. 0 for n < 2. */
int32_t uap_shift_rounds(int32_t n);

/* ---- Rounds of a partition ----------------------------------------------------------- */

/* Nodes and their devices, which are numbered through the nodes in order. */
typedef struct uap_partition {
    int32_t nodes, devices;
    int32_t most;     /* devices on the fullest node */
    int32_t *first;   /* [nodes + 1]: node n has devices first[n] .. first[n + 1] - 1 */
    int32_t *node_of; /* [devices] */
} uap_partition;

/* Node n has per_node[n] >= 1 devices; with per_node NULL each has `each`. The caller frees
 * *out. Errors: NO_MEMORY, TOO_LARGE (2^31 devices or more), BAD_USAGE (a count below 1). */
UAP_NODISCARD uap_status uap_partition_make(int32_t nodes, const int32_t *per_node,
                                            int32_t each, uap_partition *out,
                                            uap_err *err);
void uap_partition_free(uap_partition *partition); /* of zeros is legal */

/* Name (for people) of each kind of round. */
#define UAP_ROUND_KIND_LIST(X)                                                           \
    X(DEVICES, "devices")     /* every device computes, all at once */                   \
    X(INSIDE, "inside nodes") /* pairs of devices of a node by round robin, all nodes */ \
    X(PAIRS, "node pairs")    /* the nodes' first devices by round robin: every pair */  \
    X(SHIFTS, "node shifts")  /* the nodes' first devices, to the node 2^k further */    \
    X(RAILS, "all rails")     /* the same with every device i, to device i there */      \
    X(BISECTION, "bisection") /* every device i of node n and n + nodes / 2 */

typedef enum uap_round_kind {
#define UAP_ROUND_KIND_ENUM(name, text) UAP_ROUND_##name,
    UAP_ROUND_KIND_LIST(UAP_ROUND_KIND_ENUM)
#undef UAP_ROUND_KIND_ENUM
        UAP_ROUND_KIND_COUNT
} uap_round_kind;

const char *uap_round_kind_name(uap_round_kind kind);

/* How many rounds of a kind there are; 0 where nobody has a peer. */
int32_t uap_round_count(const uap_partition *partition, uap_round_kind kind);

/* How many devices have a part in a round of this kind, at most. */
int32_t uap_round_devices(const uap_partition *partition, uap_round_kind kind);

/* Whom a device sends to and receives from; both UAP_NOBODY where it is idle (in DEVICES it
 * computes). The peer that one receives from sends to one, and the other way round. */
typedef struct uap_peers {
    int32_t to, from;
} uap_peers;

uap_peers uap_round_peers(const uap_partition *partition, uap_round_kind kind,
                          int32_t round, int32_t device);

/* Whether a device has a part in a round: computes, sends or receives. */
bool uap_round_includes(const uap_partition *partition, uap_round_kind kind,
                        int32_t round, int32_t device);

/* Measurements that healthy hardware answers alike have the same number: pairs of the same
 * two places in a node, a distance of nodes, or all of a kind. 0 .. count - 1. */
int32_t uap_round_classes(const uap_partition *partition, uap_round_kind kind);
int32_t uap_round_class(const uap_partition *partition, uap_round_kind kind,
                        int32_t round, int32_t device);

#ifdef __cplusplus
}
#endif
#endif
