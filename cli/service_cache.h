/* Results of requests on disk, by the hash of all that shaped them: an SQLite file that is
 * bounded, forgets what was not used for longest, and survives a crash of the service. What
 * goes wrong with it costs time, never an answer. */
#ifndef UAP_CLI_SERVICE_CACHE_H
#define UAP_CLI_SERVICE_CACHE_H

#include "common/status.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an entry takes beside its text, at most. */
#define UAP_SERVICE_CACHE_OVERHEAD 256

typedef struct uap_service_cache uap_service_cache;

/* Opens or makes DIRECTORY/results.sqlite for at most max_bytes of results; a file that is
 * damaged is put aside as results.damaged and begun anew. The directory exists. The caller
 * closes *out. Errors: IO, NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_service_cache_open(const char *directory, int64_t max_bytes,
                                                uap_service_cache **out, uap_err *err);

void uap_service_cache_close(uap_service_cache *cache); /* NULL is legal */

/* The text kept under a key, freed by the caller (uap_free); NULL: none. */
char *uap_service_cache_find(uap_service_cache *cache, const char *key);

/* Keeps a text, and forgets others where there is no room; what is larger than a quarter of all
 * is not kept. */
void uap_service_cache_keep(uap_service_cache *cache, const char *key, const char *text);

/* Texts, their bytes, and the failures of SQLite so far. */
typedef struct uap_service_cache_figures {
    int64_t entries, bytes, evicted, failures;
} uap_service_cache_figures;

uap_service_cache_figures uap_service_cache_look(const uap_service_cache *cache);

#ifdef __cplusplus
}
#endif
#endif
