/* Room for an instance's tables, taken from its arena and zeroed; for the generators and
 * for tests. Each returns false when out of memory. */
#ifndef UAP_BENCH_GENERATE_BUILD_H
#define UAP_BENCH_GENERATE_BUILD_H

#include "search/instance.h"

bool uap_build_shape(uap_instance *in, int32_t n_layers, int32_t n_tables, int32_t pp);
bool uap_build_table(uap_instance *in, uap_layer_table *table, int32_t n);

/* n_from x n_to classes; from_class and to_class of s_from and s_to entries, left 0. */
bool uap_build_edge(uap_instance *in, uap_edge_table *edge, const int32_t strategies[2],
                    const int32_t classes[2]);

/* The tensor of layer `from`, read by the n consumers; layer tables must be there. */
bool uap_build_live(uap_instance *in, uap_live_tensor *live, int32_t from,
                    const int32_t *consumer, int32_t n);

int64_t *uap_build_i64(uap_instance *in, int64_t n);
int32_t *uap_build_i32(uap_instance *in, int64_t n);

#endif
