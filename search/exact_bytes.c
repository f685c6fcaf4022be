/* Nodes and plans of the exact search as bytes. */
#include "search/exact_bytes.h"

#include "common/numbers.h"

#include <string.h>

void uap_exact_sizes_note(uap_exact_sizes *most, const uap_instance *in)
{
    int64_t rows = 0;
    for (int32_t u = 0; u < in->n_layers; u++) {
        rows += uap_table_of(in, u)->n;
    }
    most->stages = uap_max_i64(most->stages, in->pp);
    most->layers = uap_max_i64(most->layers, in->n_layers);
    most->rows = uap_max_i64(most->rows, rows);
}

size_t uap_plan_bytes_max(const uap_exact_sizes *most)
{
    return 4 * (size_t)(3 + most->stages + most->layers);
}

size_t uap_node_bytes_max(const uap_exact_sizes *most)
{
    return sizeof(uap_node) + (size_t)(5 * most->layers + most->rows / 8);
}

static char *put(char *to, const void *from, size_t n)
{
    memcpy(to, from, n);
    return to + n;
}

static const char *get(const char *from, void *to, size_t n)
{
    memcpy(to, from, n);
    return from + n;
}

/* Big end first, so that memcmp compares numbers >= 0. */
static char *put_number(char *to, int32_t number)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        *to++ = (char)((uint32_t)number >> shift & 0xff);
    }
    return to;
}

static const char *get_number(const char *from, int32_t *number)
{
    uint32_t all = 0;
    for (int i = 0; i < 4; i++) {
        all = all << 8 | (uint8_t)*from++;
    }
    *number = (int32_t)all;
    return from;
}

size_t uap_plan_to_bytes(int32_t config, const uap_instance *in, const uap_choice *choice,
                         char *bytes)
{
    char *to = put_number(bytes, config);
    to = put_number(to, in->pp);
    to = put_number(to, in->n_layers);
    for (int32_t i = 0; i < in->pp; i++) {
        to = put_number(to, choice->first[i]);
    }
    for (int32_t u = 0; u < in->n_layers; u++) {
        to = put_number(to, choice->strategy[u]);
    }
    return (size_t)(to - bytes);
}

int32_t uap_plan_config(const char *bytes)
{
    int32_t config = 0;
    (void)get_number(bytes, &config);
    return config;
}

uap_status uap_plan_from_bytes(const char *bytes, uap_result *result, uap_err *err)
{
    int32_t pp = 0, n_layers = 0;
    bytes = get_number(bytes, &result->config);
    bytes = get_number(bytes, &pp);
    bytes = get_number(bytes, &n_layers);
    if (!uap_choice_init(&result->choice, pp, n_layers)) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
    for (int32_t i = 0; i < pp; i++) {
        bytes = get_number(bytes, &result->choice.first[i]);
    }
    for (int32_t u = 0; u < n_layers; u++) {
        bytes = get_number(bytes, &result->choice.strategy[u]);
    }
    return UAP_OK;
}

size_t uap_node_to_bytes(const uap_instance *in, const uap_node *node, char *bytes)
{
    uap_node plain;
    memcpy(&plain, node, sizeof plain);
    const uap_restriction restriction = plain.restriction;
    memset(&plain.restriction, 0, sizeof plain.restriction);
    char *to = put(bytes, &plain, sizeof plain);
    for (int32_t u = 0; u < plain.n_layers; u++) {
        const uint8_t *allow = restriction.allow[u];
        const int32_t n = allow == NULL ? 0 : uap_table_of(in, u)->n;
        to = put(to, &n, sizeof n);
        memset(to, 0, (size_t)(n + 7) / 8);
        for (int32_t k = 0; k < n; k++) {
            to[k / 8] = (char)(to[k / 8] | (allow[k] != 0) << k % 8);
        }
        to += (n + 7) / 8;
    }
    return (size_t)(to - bytes);
}

uap_status uap_node_from_bytes(const char *bytes, uap_node *node, size_t *used,
                               uap_err *err)
{
    const char *at = get(bytes, node, sizeof *node);
    if (node->n_layers > 0) {
        node->restriction.allow =
            uap_calloc((size_t)node->n_layers, sizeof *node->restriction.allow);
        if (node->restriction.allow == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
        }
    }
    for (int32_t u = 0; u < node->n_layers; u++) {
        int32_t rows = 0;
        at = get(at, &rows, sizeof rows);
        if (rows == 0) {
            continue;
        }
        node->restriction.allow[u] = uap_calloc((size_t)rows, 1);
        if (node->restriction.allow[u] == NULL) {
            uap_node_clear(node);
            return UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
        }
        for (int32_t k = 0; k < rows; k++) {
            node->restriction.allow[u][k] = (uint8_t)at[k / 8] >> k % 8 & 1;
        }
        at += (rows + 7) / 8;
    }
    if (used != NULL) {
        *used = (size_t)(at - bytes);
    }
    return UAP_OK;
}
