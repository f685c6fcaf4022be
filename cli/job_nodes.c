/* The job's nodes against the provenance's hosts, and its devices against the node groups. */
#include "cli/job_nodes.h"

#include "common/json_read.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/numbers.h"
#include "configs/cluster_groups.h"
#include "profile/hostlist.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIB ((double)((int64_t)1 << 30))

/* A job and a profile, and what becomes of the two. */
typedef struct match {
    const uap_allocation *job;
    const uap_cluster *cluster;
    bool
        is_of_ranks; /* measured on processors: its devices were ranks, whatever the GPUs */
    bool is_named;   /* the profile was measured on nodes that it names */
    char *unknown;   /* host list: of the job's nodes those that it does not know */
    char *absent;    /* of those that it was measured on the ones that the job lacks */
    char *measured; /* all that it was measured on */
} match;

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

/* Compares with the hosts that the profile names; nothing where these are no names. */
static uap_status compare_names(match *m, const char *hosts, const char *left_out_hosts,
                                uap_err *err)
{
    uap_status rc = UAP_OK;
    nodes job = {.n = 0}, measured = {.n = 0}, left_out = {.n = 0};
    UAP_TRY(read_nodes(m->job->node_list, &job, err));
    if (read_nodes(hosts, &measured, err) == UAP_BAD_INPUT) {
        /* Somebody's own words: the provenance may say anything. */
        uap_err_clear(err);
        goto done;
    }
    UAP_TRY(read_nodes(left_out_hosts, &left_out, err));
    UAP_TRY(difference(&job, &measured, &left_out, &m->unknown, err));
    UAP_TRY(difference(&measured, &job, &job, &m->absent, err));
    UAP_TRY(uap_hostlist_compress((const char *const *)measured.name, measured.n,
                                  &m->measured, err));
    m->is_named = true;
done:
    uap_hostlist_free(left_out.name, left_out.n);
    uap_hostlist_free(measured.name, measured.n);
    uap_hostlist_free(job.name, job.n);
    return rc;
}

static uap_status look_at_hosts(match *m, const uap_jval *root, uap_err *err)
{
    const char *hosts = NULL, *left_out = "";
    uap_status rc = UAP_OK;
    uap_jval value;
    if (!uap_jfind(root, "hosts", &value) || uap_jtype_of(&value) != UAP_JSON_STRING) {
        return UAP_OK;
    }
    UAP_TRY(uap_jas_str(&value, &hosts, err));
    if (uap_jfind(root, "survey", &value) && uap_jtype_of(&value) == UAP_JSON_OBJECT) {
        UAP_TRY(uap_jopt_str(&value, "left_out_hosts", &left_out, err));
    }
    if (strcmp(hosts, "unknown") != 0) {
        rc = compare_names(m, hosts, left_out, err);
    }
done:
    return rc;
}

/* What the provenance says of nodes and devices. */
static uap_status look_at_provenance(match *m, const uap_job_ask *ask, uap_err *err)
{
    const uap_cluster *cluster = m->cluster;
    const char *backend = NULL;
    uap_status rc = UAP_OK;
    uap_json *doc = NULL;
    uap_jval value;
    if (cluster->source != UAP_MEASURED || cluster->provenance == NULL) {
        return UAP_OK;
    }
    UAP_TRY(uap_json_parse("provenance", cluster->provenance, strlen(cluster->provenance),
                           &doc, err));
    const uap_jval root = uap_json_root(doc);
    if (uap_jfind(&root, "backend", &value) && uap_jtype_of(&value) == UAP_JSON_STRING) {
        UAP_TRY(uap_jas_str(&value, &backend, err));
        m->is_of_ranks = strcmp(backend, "cpu") == 0;
    }
    if (m->job->node_list != NULL && !ask->other_nodes) {
        UAP_TRY(look_at_hosts(m, &root, err));
    }
done:
    uap_json_free(doc);
    return rc;
}

/* ---- Devices --------------------------------------------------------------------------------- */

static bool has_node_of(const uap_cluster *cluster, int64_t devices)
{
    for (int32_t i = 0; i < cluster->n_groups; i++) {
        if (cluster->group[i].devices_per_node == devices) {
            return true;
        }
    }
    return false;
}

/* Whether Slurm tells devices of the kind that the profile has. */
static bool tells_devices(const match *m)
{
    return m->job->told == UAP_TOLD_DEVICES && !m->is_of_ranks;
}

/* Whether the GPUs are told node by node, and some node has as many as none of the profile's. */
static bool has_other_shapes(const match *m)
{
    const uap_allocation *job = m->job;
    for (int32_t i = 0; i < job->n_shapes && tells_devices(m); i++) {
        if (!has_node_of(m->cluster, job->shape[i].devices)) {
            return true;
        }
    }
    return false;
}

/* "2 nodes x 8 devices" */
static const char *cluster_text(const uap_cluster *cluster,
                                char text[UAP_ALLOCATION_TEXT])
{
    uap_allocation as_job = {.told = UAP_TOLD_DEVICES,
                             .devices = uap_cluster_devices(cluster)};
    for (int32_t i = 0; i < cluster->n_groups; i++) {
        const uap_node_group *group = &cluster->group[i];
        as_job.nodes += group->nodes;
        if (as_job.n_shapes < UAP_ALLOCATION_SHAPES) {
            as_job.shape[as_job.n_shapes++] =
                (uap_node_shape){group->nodes, group->devices_per_node};
        }
    }
    return uap_allocation_text(&as_job, text);
}

/* Whether the first N devices are as good a part as any: no nodes are unlike. */
static uap_status are_alike(const uap_cluster *cluster, bool *alike, uap_err *err)
{
    uap_cluster_groups *groups = NULL;
    const uap_status rc = uap_cluster_groups_new(cluster, 0, &groups, err);
    *alike = rc == UAP_OK && groups->n == 1;
    uap_cluster_groups_free(groups);
    return rc;
}

/* The job has some of the nodes that were measured, and nothing was asked for. */
static uap_status take_part(const match *m, int64_t *devices, uap_err *err)
{
    const uap_allocation *job = m->job;
    const int64_t has = uap_cluster_devices(m->cluster);
    bool alike = false;
    uap_status rc = are_alike(m->cluster, &alike, err);
    if (rc == UAP_OK && alike && tells_devices(m) && job->devices < has) {
        *devices = job->devices;
        UAP_LOG(INFO, GLOBAL,
                "planning for this job's %" PRId64 " devices (%s), a part of the %" PRId64
                " of %s; --devices plans for others",
                job->devices, job->told_by, has, m->cluster->source_path);
    } else if (rc == UAP_OK) {
        rc = UAP_FAIL(err, BAD_INPUT,
                      "%s: measured on %.200s, but this job lacks %.200s (give --devices "
                      "for a part of them, or plan all the same with --other-nodes)",
                      m->cluster->source_path, m->measured, m->absent);
    }
    return rc;
}

/* A profile that was measured on nodes that it names. */
static uap_status judge_named(const match *m, const uap_job_ask *ask, int64_t *devices,
                              uap_err *err)
{
    char has[UAP_ALLOCATION_TEXT], measured[UAP_ALLOCATION_TEXT];
    if (m->unknown[0] != '\0') {
        return UAP_FAIL(
            err, BAD_INPUT,
            "%s: measured on %.200s, but this job also has %.200s (measure them "
            "with uniap profile, or plan all the same with --other-nodes)",
            m->cluster->source_path, m->measured, m->unknown);
    }
    if (ask->devices == 0 && has_other_shapes(m)) {
        return UAP_FAIL(
            err, BAD_INPUT,
            "%s: this job has %s (%s), the profile %s: ask Slurm for whole nodes, "
            "measure "
            "what the job has with uniap profile, or say with --devices how many to plan "
            "for",
            m->cluster->source_path, uap_allocation_text(m->job, has), m->job->told_by,
            cluster_text(m->cluster, measured));
    }
    return ask->devices == 0 && m->absent[0] != '\0' ? take_part(m, devices, err)
                                                     : UAP_OK;
}

/* Any other one may be of a machine that one does not have: that is told, not refused. */
static void note_difference(const match *m, const uap_job_ask *ask)
{
    char has[UAP_ALLOCATION_TEXT], described[UAP_ALLOCATION_TEXT];
    const uap_allocation *job = m->job;
    const int64_t all = uap_cluster_devices(m->cluster);
    if (ask->devices == 0 && tells_devices(m) &&
        (job->devices != all || has_other_shapes(m))) {
        UAP_LOG(WARNING, GLOBAL,
                "this job has %s (%s), %s %s: planning for these %" PRId64
                " devices; --devices %" PRId64 " plans for the job's",
                uap_allocation_text(job, has), job->told_by, m->cluster->source_path,
                cluster_text(m->cluster, described), all, job->devices);
    }
}

/* What Slurm does not tell may be seen. */
static void note_machine(const match *m, const uap_machine *machine)
{
    char described[UAP_ALLOCATION_TEXT];
    if (machine != NULL && !m->is_of_ranks && machine->gpus > 0 &&
        !has_node_of(m->cluster, machine->gpus)) {
        UAP_LOG(WARNING, GLOBAL, "this node has %d GPUs (hwloc), %s %s",
                (int)machine->gpus, m->cluster->source_path,
                cluster_text(m->cluster, described));
    }
}

uap_status uap_job_devices(const uap_allocation *job, const uap_cluster *cluster,
                           const uap_job_ask *ask, int64_t *devices, uap_err *err)
{
    match m = {.job = job, .cluster = cluster};
    uap_status rc = UAP_OK;
    *devices = ask->devices;
    if (!job->is_job) {
        return UAP_OK;
    }
    if (job->unread != NULL) {
        UAP_LOG(WARNING, GLOBAL, "%s: found a value of no known form; it is passed over",
                job->unread);
    }
    UAP_TRY(look_at_provenance(&m, ask, err));
    if (m.is_named) {
        UAP_TRY(judge_named(&m, ask, devices, err));
    } else {
        note_difference(&m, ask);
    }
    note_machine(&m, ask->machine);
done:
    uap_free(m.unknown);
    uap_free(m.absent);
    uap_free(m.measured);
    return rc;
}

void uap_job_note_memory(const uap_allocation *job, const uap_machine *machine,
                         int64_t limit_bytes)
{
    const bool is_less =
        machine->memory_bytes > 0 &&
        (job->memory_bytes <= 0 || machine->memory_bytes < job->memory_bytes);
    const int64_t has = is_less ? machine->memory_bytes : job->memory_bytes;
    if (has > 0 && limit_bytes > has) {
        UAP_LOG(
            WARNING, GLOBAL,
            "the search may take %.3g GiB of a node, of which this job has %.3g (%s): "
            "give a lower --memory-limit",
            (double)limit_bytes / GIB, (double)has / GIB, is_less ? "hwloc" : "Slurm");
    }
}
