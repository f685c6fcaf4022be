/* What the tests of costs of unlike devices share: the bench's machine with a slower node beside
 * it. */
#ifndef UAP_TESTS_UNIT_MIXED_BENCH_H
#define UAP_TESTS_UNIT_MIXED_BENCH_H

#include "cost_bench.h"

/* Group 0: the bench's node of 4. Group 1: a node of 2 at a quarter of the speed with half the
 * memory. Between them 2 ms and, with 1, 2 or 4 pairs at once, 400, 200 or 80 kB/s each. */
typedef struct mixed {
    bench b;
    uap_device_class device[2];
    uap_node_group group[2];
    uap_p2p p2p[4];
} mixed;

static inline void mixed_init(mixed *m, int32_t n_layers, uint32_t space)
{
    static char slow[] = "slow";
    bench_init(&m->b, n_layers, space);
    m->device[0] = m->b.device;
    m->device[1] = m->b.device;
    m->device[1].name = slow;
    m->device[1].memory_bytes /= 2;
    m->device[1].efficiency /= 4;
    m->group[0] = (uap_node_group){1, 4, 0};
    m->group[1] = (uap_node_group){1, 2, 1};
    m->p2p[0] = m->b.p2p;
    for (int i = 1; i < 4; i++) {
        m->p2p[i] = (uap_p2p){.span = UAP_SPAN_CLUSTER,
                              .pairs = 1 << (i - 1),
                              .latency_s = 2e-3,
                              .bandwidth_Bps = i == 1   ? 4e5
                                               : i == 2 ? 2e5
                                                        : 8e4,
                              .is_between = true,
                              .from = 0,
                              .to = 1};
    }
    m->b.cluster.n_classes = 2;
    m->b.cluster.device_class = m->device;
    m->b.cluster.n_groups = 2;
    m->b.cluster.group = m->group;
    m->b.cluster.n_p2p = 4;
    m->b.cluster.p2p = m->p2p;
}

static inline int32_t type_of(const uap_instance *in, int32_t group, int64_t devices)
{
    for (int32_t t = 0; t < in->n_types; t++) {
        if (in->type[t].group == group && in->type[t].devices == devices) {
            return t;
        }
    }
    return -1;
}

/* Layer `head` uses 800 of the first layer's parameters and owns 200. */
static inline void make_tied(mixed *m, int32_t head)
{
    uap_layer *layer = m->b.layer;
    layer[0].vocab = layer[head].vocab = 100;
    layer[head].shape = 1;
    layer[head].params = 200;
    layer[head].params_split = 0;
    layer[head].tied_params = 800;
    m->b.model.n_shapes = 2;
    m->b.model.n_ties = 1;
    m->b.model.tie[0][0] = 0;
    m->b.model.tie[0][1] = head;
}

#endif
