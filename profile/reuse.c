/* The provenance of an earlier profile, read for what may be taken from it. */
#include "profile/reuse.h"

#include "common/json_read.h"
#include "common/mem.h"
#include "profile/hostlist.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As for merging: memory that differs by less is the same part. */
#define MEMORY_RATIO 1.1

/* A measurement that the profile has from an even earlier one. */
typedef struct taken {
    char *what, *date;
} taken;

/* One profiling: its nodes, with what, and when. */
typedef struct part {
    char *date, *backend, *device_library, *link_library;
    char **host; /* [n_hosts], sorted */
    size_t n_hosts;
    taken *taken; /* [n_taken] */
    size_t n_taken;
} part;

struct uap_reuse {
    const uap_cluster *cluster;
    part *part; /* [n] one, or those that were put together */
    size_t n;
};

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "no memory for an earlier profile");
}

double uap_date_seconds(const char *date)
{
    static const int before_month[] = {0,   31,  59,  90,  120, 151,
                                       181, 212, 243, 273, 304, 334};
    int y = 0, m = 0, d = 0, h = 0, min = 0, s = 0, used = 0;
    if (sscanf(date, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &y, &m, &d, &h, &min, &s, &used) !=
            6 ||
        used == 0 || date[used] != '\0' || y < 1970 || m < 1 || m > 12 || d < 1 ||
        d > 31 || h > 23 || min > 59 || s > 60) {
        return (double)NAN;
    }
    const bool is_leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    const int past = y - 1; /* leap days before this year */
    const int leap_days = past / 4 - past / 100 + past / 400 - 477;
    const int day =
        365 * (y - 1970) + leap_days + before_month[m - 1] + d - 1 + (is_leap && m > 2);
    return 86400.0 * day + 3600.0 * h + 60.0 * min + s;
}

/* ---- Reading ----------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A copy of a text of the object; "" where it is absent. */
static uap_status copy_text(const uap_jval *object, const char *key, char **out,
                            uap_err *err)
{
    const char *text = "";
    uap_status rc = uap_jopt_str(object, key, &text, err);
    if (rc == UAP_OK) {
        *out = uap_strdup(text);
        rc = *out != NULL ? UAP_OK : no_memory(err);
    }
    return rc;
}

/* One date and the measurements that have it. */
static uap_status read_taken_of(const uap_jval *object, part *p, uap_err *err)
{
    uap_status rc = UAP_OK;
    const char *date = "";
    uap_jval list;
    UAP_TRY(uap_jget_str(object, "date", &date, err));
    UAP_TRY(uap_jget(object, "what", UAP_JSON_ARRAY, &list, err));
    const size_t n = uap_jlen(&list);
    taken *grown = uap_realloc(p->taken, p->n_taken + n + 1, sizeof *grown);
    if (grown == NULL) {
        return no_memory(err);
    }
    p->taken = grown;
    for (size_t i = 0; i < n; i++) {
        const uap_jval value = uap_jat(&list, i);
        const char *what = "";
        UAP_TRY(uap_jas_str(&value, &what, err));
        taken *const t = &p->taken[p->n_taken];
        *t = (taken){.what = uap_strdup(what), .date = uap_strdup(date)};
        p->n_taken++;
        if (t->what == NULL || t->date == NULL) {
            return no_memory(err);
        }
    }
done:
    return rc;
}

static uap_status read_part(const uap_jval *object, part *p, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_jval list;
    char *hosts = NULL;
    UAP_TRY(copy_text(object, "date", &p->date, err));
    UAP_TRY(copy_text(object, "backend", &p->backend, err));
    UAP_TRY(copy_text(object, "device_library", &p->device_library, err));
    UAP_TRY(copy_text(
        object, uap_jfind(object, "link_library", &list) ? "link_library" : "mpi_library",
        &p->link_library, err));
    UAP_TRY(copy_text(object, "hosts", &hosts, err));
    if (isnan(uap_date_seconds(p->date))) {
        rc = uap_jfail(object, err, "no date of the form 2026-01-31T23:59:59Z");
        goto done;
    }
    UAP_TRY(uap_hostlist_expand(hosts, &p->host, &p->n_hosts, err));
    if (p->n_hosts > 1) {
        qsort(p->host, p->n_hosts, sizeof *p->host, compare);
    }
    if (uap_jfind(object, "reused", &list)) {
        for (size_t i = 0; i < uap_jlen(&list); i++) {
            const uap_jval one = uap_jat(&list, i);
            UAP_TRY(read_taken_of(&one, p, err));
        }
    }
done:
    uap_free(hosts);
    return rc;
}

/* The provenance itself, or each of those under "merged". */
static uap_status read_parts(const uap_jval *root, uap_reuse *reuse, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_jval merged;
    const bool is_merged = uap_jfind(root, "merged", &merged) &&
                           uap_jtype_of(&merged) == UAP_JSON_ARRAY &&
                           uap_jlen(&merged) > 0;
    const size_t n = is_merged ? uap_jlen(&merged) : 1;
    reuse->part = uap_calloc(n, sizeof *reuse->part);
    if (reuse->part == NULL) {
        return no_memory(err);
    }
    for (; reuse->n < n && rc == UAP_OK; reuse->n++) {
        const uap_jval one = is_merged ? uap_jat(&merged, reuse->n) : *root;
        rc = read_part(&one, &reuse->part[reuse->n], err);
    }
    return rc;
}

uap_status uap_reuse_new(const uap_cluster *cluster, uap_reuse **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_json *doc = NULL;
    uap_reuse *reuse = uap_calloc(1, sizeof *reuse);
    *out = NULL;
    if (reuse == NULL) {
        return no_memory(err);
    }
    reuse->cluster = cluster;
    if (cluster->source != UAP_MEASURED || cluster->provenance == NULL) {
        rc = UAP_FAIL(err, BAD_INPUT, "%s: not measured, expected a profile to reuse",
                      cluster->source_path);
        goto done;
    }
    UAP_TRY(uap_json_parse(cluster->source_path, cluster->provenance,
                           strlen(cluster->provenance), &doc, err));
    const uap_jval root = uap_json_root(doc);
    UAP_TRY(read_parts(&root, reuse, err));
    *out = reuse;
    reuse = NULL;
done:
    uap_json_free(doc);
    uap_reuse_free(reuse);
    return rc;
}

void uap_reuse_free(uap_reuse *reuse)
{
    if (reuse == NULL) {
        return;
    }
    for (size_t i = 0; i < reuse->n; i++) {
        part *p = &reuse->part[i];
        for (size_t j = 0; j < p->n_taken; j++) {
            uap_free(p->taken[j].what);
            uap_free(p->taken[j].date);
        }
        uap_free(p->taken);
        uap_hostlist_free(p->host, p->n_hosts);
        uap_free(p->date);
        uap_free(p->backend);
        uap_free(p->device_library);
        uap_free(p->link_library);
    }
    uap_free(reuse->part);
    uap_free(reuse);
}

/* ---- Asking ------------------------------------------------------------------------------ */

static bool has_host(const part *p, const char *host)
{
    return p->n_hosts > 0 &&
           bsearch(&host, p->host, p->n_hosts, sizeof *p->host, compare) != NULL;
}

bool uap_reuse_knows_host(const uap_reuse *reuse, const char *host)
{
    bool knows = false;
    for (size_t i = 0; i < reuse->n; i++) {
        knows = knows || has_host(&reuse->part[i], host);
    }
    return knows;
}

/* Whether a part's measurements are (among) those of a group: parts that stayed apart are
 * groups in their order; where all became one group, all are its. */
static bool is_of_group(const uap_reuse *reuse, size_t i, int32_t group)
{
    return reuse->cluster->n_groups == 1 || reuse->n == 1 ||
           (reuse->n == (size_t)reuse->cluster->n_groups && i == (size_t)group);
}

/* "A100" and "A100 (2)". */
static bool is_called(const char *known, const char *device)
{
    const size_t n = strlen(device);
    return strncmp(known, device, n) == 0 &&
           (known[n] == '\0' || strncmp(known + n, " (", 2) == 0);
}

static bool is_alike(const uap_cluster *cluster, int32_t group,
                     const uap_reuse_context *context)
{
    const uap_node_group *g = &cluster->group[group];
    const uap_device_class *device = &cluster->device_class[g->device_class];
    const double memory = (double)device->memory_bytes;
    return is_called(device->name, context->device) &&
           g->devices_per_node == context->devices_per_node &&
           memory <= MEMORY_RATIO * context->memory_bytes &&
           context->memory_bytes <= MEMORY_RATIO * memory;
}

static size_t count_known(const uap_reuse *reuse, int32_t group, const char *const *host,
                          size_t n_hosts)
{
    size_t known = 0;
    for (size_t i = 0; i < reuse->n; i++) {
        for (size_t h = 0; h < n_hosts && is_of_group(reuse, i, group); h++) {
            known += has_host(&reuse->part[i], host[h]);
        }
    }
    return known;
}

int32_t uap_reuse_group(const uap_reuse *reuse, const uap_reuse_context *context,
                        const char *const *host, size_t n_hosts)
{
    int32_t best = -1;
    size_t most = 0;
    for (int32_t g = 0; g < reuse->cluster->n_groups; g++) {
        const size_t known = is_alike(reuse->cluster, g, context)
                                 ? count_known(reuse, g, host, n_hosts)
                                 : 0;
        best = known > most ? g : best;
        most = known > most ? known : most;
    }
    return best;
}

/* When this part made, or took, the measurement. */
static const char *date_of(const part *p, const char *what)
{
    for (size_t i = 0; i < p->n_taken; i++) {
        if (strcmp(p->taken[i].what, what) == 0) {
            return p->taken[i].date;
        }
    }
    return p->date;
}

const char *uap_reuse_date(const uap_reuse *reuse, const uap_reuse_context *context,
                           int32_t group, const char *what, bool is_layer)
{
    const char *oldest = NULL;
    for (size_t i = 0; i < reuse->n; i++) {
        const part *p = &reuse->part[i];
        if (!is_of_group(reuse, i, group)) {
            continue;
        }
        const char *date = date_of(p, what);
        const double age_s = context->now_s - uap_date_seconds(date);
        const bool is_same =
            strcmp(p->backend, context->backend) == 0 &&
            (is_layer ? strcmp(p->device_library, context->device_library) == 0
                      : strcmp(p->link_library, context->link_library) == 0);
        if (!is_same || !(age_s <= context->max_age_s)) {
            return NULL;
        }
        /* Dates of one form are ordered as texts. */
        oldest = oldest == NULL || strcmp(date, oldest) < 0 ? date : oldest;
    }
    return oldest;
}
