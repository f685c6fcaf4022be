/* A small table, searched from end to end: there are few documents, and each is hashed before. */
#include "cli/service_held.h"

#include "common/mem.h"

#include <string.h>

static uap_service_document *find(uap_service_held *held, const char *key)
{
    for (int i = 0; i < UAP_SERVICE_HELD_MAX; i++) {
        uap_service_document *d = &held->document[i];
        if (d->text != NULL && strcmp(d->key, key) == 0) {
            return d;
        }
    }
    return NULL;
}

const char *uap_service_held_find(uap_service_held *held, const char *key)
{
    uap_service_document *d = find(held, key);
    if (d == NULL) {
        return NULL;
    }
    d->used = ++held->uses;
    held->hits++;
    return d->text;
}

static void forget(uap_service_held *held, uap_service_document *d)
{
    held->bytes -= (int64_t)d->n;
    held->n--;
    uap_free(d->text);
    *d = (uap_service_document){.text = NULL};
}

/* A free place, with room for n bytes. */
static uap_service_document *make_room(uap_service_held *held, int64_t n)
{
    while (held->n == UAP_SERVICE_HELD_MAX ||
           (held->n > 0 && held->bytes + n > held->max_bytes)) {
        uap_service_document *oldest = NULL;
        for (int i = 0; i < UAP_SERVICE_HELD_MAX; i++) {
            uap_service_document *d = &held->document[i];
            if (d->text != NULL && (oldest == NULL || d->used < oldest->used)) {
                oldest = d;
            }
        }
        forget(held, oldest);
    }
    uap_service_document *place = held->document;
    while (place->text != NULL) {
        place++;
    }
    return place;
}

void uap_service_held_keep(uap_service_held *held, const char *text)
{
    char key[UAP_SHA256_HEX];
    const size_t n = strlen(text);
    if ((int64_t)n > held->max_bytes / 4) {
        return;
    }
    uap_sha256_hex(text, n, key);
    uap_service_document *d = find(held, key);
    if (d == NULL) {
        char *copy = uap_strdup(text);
        if (copy == NULL) {
            return;
        }
        d = make_room(held, (int64_t)n);
        *d = (uap_service_document){.text = copy, .n = n};
        memcpy(d->key, key, sizeof key);
        held->bytes += (int64_t)n;
        held->n++;
    }
    d->used = ++held->uses;
}

void uap_service_held_free(uap_service_held *held)
{
    for (int i = 0; i < UAP_SERVICE_HELD_MAX; i++) {
        if (held->document[i].text != NULL) {
            forget(held, &held->document[i]);
        }
    }
}
