/* Texts of documents that clients sent, held in memory by their hash, so that a profile need not
 * be sent with every request. Bounded; what was not used for longest goes. */
#ifndef UAP_CLI_SERVICE_HELD_H
#define UAP_CLI_SERVICE_HELD_H

#include "common/sha256.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_SERVICE_HELD_MAX 256 /* documents */

typedef struct uap_service_document {
    char *text; /* NULL: a free place */
    size_t n;
    int64_t used;
    char key[UAP_SHA256_HEX];
} uap_service_document;

/* Empty when zeroed, but for max_bytes. */
typedef struct uap_service_held {
    uap_service_document document[UAP_SERVICE_HELD_MAX];
    int64_t max_bytes, bytes, uses, hits;
    int n;
} uap_service_held;

/* The text of this hash until the next call, or NULL. */
const char *uap_service_held_find(uap_service_held *held, const char *key);

/* Holds a copy, where there is memory; what is larger than a quarter of all is not held. */
void uap_service_held_keep(uap_service_held *held, const char *text);

void uap_service_held_free(uap_service_held *held);

#ifdef __cplusplus
}
#endif
#endif
