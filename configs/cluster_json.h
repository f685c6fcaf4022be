/* What the files about clusters share: names in the format, and lines in pieces. Private to configs/. */
#ifndef UAP_CONFIGS_CLUSTER_JSON_H
#define UAP_CONFIGS_CLUSTER_JSON_H

#include "configs/cluster.h"

#ifdef __cplusplus
extern "C" {
#endif

const char *uap_span_name(uap_span span);                       /* "node", "cluster" */
const char *uap_cluster_source_name(uap_cluster_source source); /* "measured", ... */

/* Makes one line of two. */
typedef uap_piece uap_line_join(const uap_piece *a, const uap_piece *b,
                                const void *context);

/* The link whose line is join(a's, b's) at every size; from_bytes of what it returns does not
 * matter. */
uap_link uap_link_joined(const uap_link *a, const uap_link *b, uap_line_join *join,
                         const void *context);

/* An entry's line and pieces as a link. */
uap_link uap_link_of(double latency_s, double bandwidth_Bps, const uap_pieces *pieces);

/* The line that holds for so many bytes. */
uap_piece uap_line_of(double latency_s, double bandwidth_Bps, const uap_pieces *pieces,
                      double bytes);

bool uap_pieces_are_same(const uap_pieces *a, const uap_pieces *b);

#ifdef __cplusplus
}
#endif
#endif
