/* Device counts from text (cli/sweep_counts.h). */
#include "cli/sweep_counts.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct range {
    int64_t from, to, step;
    bool multiplies;
} range;

static bool take_number(const char **at, int64_t *out)
{
    int64_t value = 0;
    const char *p = *at;
    for (; *p >= '0' && *p <= '9' && value <= UAP_SWEEP_COUNT_MAX; p++) {
        value = 10 * value + (*p - '0');
    }
    const bool good = p > *at && value >= 1 && value <= UAP_SWEEP_COUNT_MAX;
    *at = p;
    *out = value;
    return good;
}

/* One item, up to a comma or the end. */
static bool take_range(const char **at, range *out)
{
    *out = (range){.step = 2, .multiplies = true};
    if (!take_number(at, &out->from)) {
        return false;
    }
    out->to = out->from;
    if (**at == ':') {
        (*at)++;
        if (!take_number(at, &out->to) || out->to < out->from) {
            return false;
        }
        if (**at == ':') {
            (*at)++;
            out->multiplies = **at == '*';
            *at += **at == '*' || **at == '+';
            if (!take_number(at, &out->step) || (out->multiplies && out->step < 2)) {
                return false;
            }
        }
    }
    return **at == ',' || **at == '\0';
}

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Ascending, each once. */
static size_t settle(int64_t *count, size_t n)
{
    size_t kept = 0;
    qsort(count, n, sizeof *count, compare);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || count[kept - 1] != count[i]) {
            count[kept++] = count[i];
        }
    }
    return kept;
}

uap_status uap_sweep_counts(const char *text, int64_t count[UAP_SWEEP_COUNTS_MAX],
                            size_t *n, uap_err *err)
{
    size_t used = 0;
    for (const char *at = text;; at++) {
        range own;
        if (!take_range(&at, &own)) {
            return UAP_FAIL(
                err, BAD_USAGE,
                "--sweep-devices: found '%.80s', expected FROM:TO, FROM:TO:*K, "
                "FROM:TO:+N, or numbers separated by commas, each from 1 to %d, "
                "FROM no more than TO",
                text, UAP_SWEEP_COUNT_MAX);
        }
        for (int64_t value = own.from; value <= own.to;
             value = own.multiplies ? value * own.step : value + own.step) {
            if (used == UAP_SWEEP_COUNTS_MAX) {
                return UAP_FAIL(
                    err, BAD_USAGE,
                    "--sweep-devices: found '%.80s', expected at most %d counts", text,
                    UAP_SWEEP_COUNTS_MAX);
            }
            count[used++] = value;
        }
        if (*at == '\0') {
            *n = settle(count, used);
            return UAP_OK;
        }
    }
}
