/* SLURM_JOB_NODELIST against the provenance's hosts. */
#include "cli/job_nodes.h"

#include "common/json_read.h"
#include "common/mem.h"
#include "profile/hostlist.h"

#include <stdlib.h>
#include <string.h>

/* Names of nodes, sorted. */
typedef struct nodes {
    char **name;
    size_t n;
} nodes;

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static uap_status read_nodes(const char *list, nodes *out, uap_err *err)
{
    const uap_status rc = uap_hostlist_expand(list, &out->name, &out->n, err);
    if (rc == UAP_OK && out->n > 0) {
        qsort(out->name, out->n, sizeof *out->name, compare);
    }
    return rc;
}

static bool has(const nodes *all, char *name)
{
    return all->n > 0 &&
           bsearch(&name, all->name, all->n, sizeof *all->name, compare) != NULL;
}

/* Those of `of` that are in neither a nor b, as a host list ("" for none). */
static uap_status difference(const nodes *of, const nodes *a, const nodes *b, char **out,
                             uap_err *err)
{
    uap_status rc = UAP_OK;
    size_t n = 0;
    const char **name = uap_calloc(of->n, sizeof *name);
    if (name == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu nodes", of->n);
    }
    for (size_t i = 0; i < of->n; i++) {
        if (!has(a, of->name[i]) && !has(b, of->name[i])) {
            name[n++] = of->name[i];
        }
    }
    rc = uap_hostlist_compress(name, n, out, err);
    uap_free(name);
    return rc;
}

static uap_status compare_nodes(const char *job_list, const char *measured_list,
                                const char *left_out_list, bool part_is_enough,
                                const char *path, uap_err *err)
{
    uap_status rc = UAP_OK;
    nodes job = {.n = 0}, measured = {.n = 0}, left_out = {.n = 0};
    char *unknown = NULL, *absent = NULL;
    UAP_TRY(read_nodes(job_list, &job, err));
    if (read_nodes(measured_list, &measured, err) == UAP_BAD_INPUT) {
        /* Somebody's own words: the provenance may say anything. */
        uap_err_clear(err);
        goto done;
    }
    UAP_TRY(read_nodes(left_out_list, &left_out, err));
    UAP_TRY(difference(&job, &measured, &left_out, &unknown, err));
    UAP_TRY(difference(&measured, &job, &job, &absent, err));
    if (unknown[0] != '\0') {
        rc =
            UAP_FAIL(err, BAD_INPUT,
                     "%s: measured on %.200s, but this job also has %.200s (measure them "
                     "with uniap profile, or plan all the same with --other-nodes)",
                     path, measured_list, unknown);
    } else if (absent[0] != '\0' && !part_is_enough) {
        rc = UAP_FAIL(err, BAD_INPUT,
                      "%s: measured on %.200s, but this job lacks %.200s (give --devices "
                      "for a part of them, or plan all the same with --other-nodes)",
                      path, measured_list, absent);
    }
done:
    uap_free(absent);
    uap_free(unknown);
    uap_hostlist_free(left_out.name, left_out.n);
    uap_hostlist_free(measured.name, measured.n);
    uap_hostlist_free(job.name, job.n);
    return rc;
}

uap_status uap_job_nodes_check(const uap_cluster *cluster, bool part_is_enough,
                               uap_err *err)
{
    const char *job = getenv("SLURM_JOB_NODELIST");
    const char *hosts = NULL, *left_out = "";
    uap_status rc = UAP_OK;
    uap_json *doc = NULL;
    uap_jval value;
    if (job == NULL || cluster->source != UAP_MEASURED || cluster->provenance == NULL) {
        return UAP_OK;
    }
    UAP_TRY(uap_json_parse("provenance", cluster->provenance, strlen(cluster->provenance),
                           &doc, err));
    const uap_jval root = uap_json_root(doc);
    if (!uap_jfind(&root, "hosts", &value) || uap_jtype_of(&value) != UAP_JSON_STRING) {
        goto done;
    }
    UAP_TRY(uap_jas_str(&value, &hosts, err));
    if (uap_jfind(&root, "survey", &value) && uap_jtype_of(&value) == UAP_JSON_OBJECT) {
        UAP_TRY(uap_jopt_str(&value, "left_out_hosts", &left_out, err));
    }
    if (strcmp(hosts, "unknown") != 0) {
        rc = compare_nodes(job, hosts, left_out, part_is_enough, cluster->source_path,
                           err);
    }
done:
    uap_json_free(doc);
    return rc;
}
