/* Clients of a service side by side, which know what the answers are to be. */
#ifndef UAP_CLI_SERVE_LOAD_H
#define UAP_CLI_SERVE_LOAD_H

#include "cli/serve_cases.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_serve_load {
    const char *socket;
    const uap_serve_cases *cases;
    int clients;      /* threads, a connection each */
    int64_t requests; /* of all together: the cases over and over, in turns that vary */
    double pause_s;   /* of a client between requests */
} uap_serve_load;

typedef struct uap_serve_figures {
    int64_t answered, wrong, lost;
    double wall_s, per_s;
    double p50_s, p90_s, p99_s, most_s; /* from a request to its answer */
} uap_serve_figures;

/* Runs it. Errors: IO (no service), NO_MEMORY. */
UAP_NODISCARD uap_status uap_serve_load_run(const uap_serve_load *load,
                                            uap_serve_figures *out, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
