/* Groups of like nodes: who is in which, links between them, and one profile of all. */
#include "common/mem.h"
#include "mpi/transfer.h"
#include "profile/classes.h"
#include "profile/merge.h"
#include "profile/profile_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "no memory for groups of nodes");
}

/* ---- Who is in which --------------------------------------------------------------------- */

/* What every member tells rank 0. */
typedef struct member_report {
    char device[96];
    double memory_bytes;
} member_report;

/* Adds a device's name to its node's, unless it is there or there is no room. */
static void add_name(char name[96], const char *device)
{
    const size_t used = strlen(name), more = strlen(device);
    if (strstr(name, device) != NULL || used + more + 4 > 96) {
        return;
    }
    const char *between = used > 0 ? " + " : "";
    (void)snprintf(name + used, 96 - used, "%s", between);
    memcpy(name + used + strlen(between), device, more + 1);
}

void uap_profile_number_devices(const uap_profile_survey *survey, int size,
                                int32_t *device)
{
    int32_t d = 0;
    for (int r = 0; r < size; r++, d++) {
        while (survey->is_left_out != NULL && survey->is_left_out[d]) {
            d++;
        }
        device[r] = d;
    }
}

/* A node of members first .. end - 1. */
static uap_node_kind describe_node(const uap_profile *profile,
                                   const member_report *report, const int32_t *device,
                                   int first, int end, double *scratch)
{
    const double *device_s = profile->survey.found.device_s;
    uap_node_kind kind = {.devices = end - first, .memory_bytes = HUGE_VAL};
    int64_t n = 0;
    for (int r = first; r < end; r++) {
        add_name(kind.device, report[r].device);
        kind.memory_bytes = fmin(kind.memory_bytes, report[r].memory_bytes);
        if (device_s != NULL && isfinite(device_s[device[r]])) {
            scratch[n++] = device_s[device[r]];
        }
    }
    kind.seconds = uap_lower_median(scratch, n);
    return kind;
}

/* On rank 0: group_of[members]. */
static uap_status choose(const uap_profile *profile, const member_report *report,
                         int32_t *group_of, int32_t *n_groups, uap_err *err)
{
    const uap_comm *comm = profile->members;
    const int size = uap_comm_size(comm);
    const double ratio = uap_profile_survey_limits(profile).device.ratio;
    const size_t room = (size_t)size;
    uap_status rc = UAP_OK;
    int32_t n = 0;
    uap_node_kind *kind = uap_calloc(room, sizeof *kind);
    int32_t *device = uap_calloc(room, sizeof *device);
    int32_t *of_node = uap_calloc(room, sizeof *of_node);
    double *scratch = uap_calloc(room, sizeof *scratch);
    if (kind == NULL || device == NULL || of_node == NULL || scratch == NULL) {
        rc = no_memory(err);
        goto done;
    }
    uap_profile_number_devices(&profile->survey, size, device);
    for (int r = 0, first = 0; r < size; r++) {
        if (r + 1 == size || uap_comm_node_of(comm, r + 1) != uap_comm_node_of(comm, r)) {
            kind[n++] = describe_node(profile, report, device, first, r + 1, scratch);
            first = r + 1;
        }
    }
    UAP_TRY(uap_node_groups_choose(kind, n, ratio, of_node, n_groups, err));
    for (int r = 0, node = 0; r < size; r++) {
        node +=
            r > 0 && uap_comm_node_of(comm, r) != uap_comm_node_of(comm, r - 1) ? 1 : 0;
        group_of[r] = of_node[node];
    }
done:
    uap_free(scratch);
    uap_free(of_node);
    uap_free(device);
    uap_free(kind);
    return rc;
}

/* From group_of, on every member. */
static uap_status count_groups(uap_profile_groups *groups, int rank, int size,
                               uap_err *err)
{
    groups->own = groups->group_of[rank];
    for (int r = 0; r < size; r++) {
        groups->n =
            groups->group_of[r] >= groups->n ? groups->group_of[r] + 1 : groups->n;
    }
    groups->first = uap_calloc((size_t)groups->n, sizeof *groups->first);
    groups->ranks = uap_calloc((size_t)groups->n, sizeof *groups->ranks);
    if (groups->first == NULL || groups->ranks == NULL) {
        return no_memory(err);
    }
    for (int r = 0; r < size; r++) {
        const int32_t g = groups->group_of[r];
        groups->first[g] = groups->ranks[g] == 0 ? r : groups->first[g];
        groups->ranks[g]++;
    }
    return UAP_OK;
}

uap_status uap_profile_groups_form(uap_profile *profile, uap_err *err)
{
    const uap_comm *comm = profile->members;
    const int rank = uap_comm_rank(comm), size = uap_comm_size(comm);
    uap_profile_groups *groups = &profile->groups;
    member_report own = {.memory_bytes = (double)profile->memory_bytes};
    uap_status rc = UAP_OK;
    char *all = NULL;
    size_t *offset = NULL;
    int32_t n = 1;
    memcpy(own.device, profile->info.name, sizeof own.device);
    groups->group_of = uap_calloc((size_t)size, sizeof *groups->group_of);
    UAP_TRY(
        uap_comm_agree(comm, groups->group_of != NULL ? UAP_OK : no_memory(err), err));
    UAP_TRY(uap_comm_gather(comm, &own, sizeof own, &all, &offset, err));
    if (rank == 0) {
        /* Blocks of one size, in storage of calloc's alignment. */
        rc = choose(profile, (const member_report *)(const void *)all, groups->group_of,
                    &n, err);
    }
    UAP_TRY(uap_comm_agree(comm, rc, err));
    UAP_TRY(uap_comm_bcast(comm, groups->group_of,
                           (size_t)size * sizeof *groups->group_of, 0, err));
    UAP_TRY(uap_comm_agree(comm, count_groups(groups, rank, size, err), err));
    rc = uap_comm_split(comm, groups->own, rank, &profile->comm, err);
done:
    uap_free(offset);
    uap_free(all);
    return rc;
}

void uap_profile_groups_free(uap_profile_groups *groups)
{
    for (int32_t i = 0; i < groups->n_between; i++) {
        uap_free(groups->between[i].point);
    }
    uap_free(groups->between);
    uap_free(groups->of_all.point);
    uap_free(groups->first);
    uap_free(groups->ranks);
    uap_free(groups->group_of);
}

/* ---- Links between them ------------------------------------------------------------------ */

/* Measured by the members of `pairs` (NULL on others), told to all by `root`. */
static uap_status measure_between(uap_profile *profile, const uap_comm *pairs, int root,
                                  int distance, uap_p2p *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_links *links = NULL;
    uap_point *point = NULL;
    memset(out, 0, sizeof *out);
    uap_samples_name(profile->samples, "point to point, between groups");
    if (pairs != NULL) {
        rc = uap_profile_links_new(profile, pairs, &links, err);
        rc = rc == UAP_OK ? uap_links_p2p(links, distance, false, out, err) : rc;
    }
    point = out->point;
    UAP_TRY(uap_comm_agree(profile->members, rc, err));
    UAP_TRY(uap_comm_bcast(profile->members, out, sizeof *out, root, err));
    rc = uap_profile_share_points(profile->members, root, &point, out->n_points, err);
    out->point = point;
done:
    uap_links_free(links);
    if (rc != UAP_OK) {
        uap_free(point);
        out->point = NULL;
    }
    return rc;
}

/* The first ranks of both, as many as the smaller has: `a`'s and then `b`'s. */
static uap_status link_groups(uap_profile *profile, int32_t a, int32_t b, uap_err *err)
{
    uap_profile_groups *groups = &profile->groups;
    const int32_t pairs =
        groups->ranks[a] < groups->ranks[b] ? groups->ranks[a] : groups->ranks[b];
    const bool is_of = groups->own == a || groups->own == b;
    const int place = uap_comm_rank(profile->comm);
    const bool takes_part = is_of && place < pairs;
    const int key = groups->own == a ? place : pairs + place;
    uap_status rc = UAP_OK;
    uap_comm *comm = NULL;
    uap_p2p *out = &groups->between[groups->n_between];
    UAP_TRY(uap_comm_split(profile->members, takes_part ? 0 : -1, key, &comm, err));
    UAP_TRY(measure_between(profile, comm, groups->first[a], pairs, out, err));
    out->span = UAP_SPAN_CLUSTER;
    out->is_between = true;
    out->from = a;
    out->to = b;
    groups->n_between++;
done:
    uap_comm_free(comm);
    return rc;
}

/* Where every group is one rank. */
static uap_status measure_of_all(uap_profile *profile, uap_err *err)
{
    const uap_group_shape shape = {.size = profile->groups.n, .stride = 1};
    uap_status rc = UAP_OK;
    uap_links *links = NULL;
    if (uap_comm_size(profile->members) > profile->groups.n) {
        return UAP_OK;
    }
    uap_samples_name(profile->samples, "all-reduce of all ranks");
    UAP_TRY(uap_profile_links_new(profile, profile->members, &links, err));
    rc = uap_links_collective(links, UAP_ALL_REDUCE, shape, true, &profile->groups.of_all,
                              err);
done:
    uap_links_free(links);
    return rc;
}

uap_status uap_profile_groups_between(uap_profile *profile, uap_err *err)
{
    uap_profile_groups *groups = &profile->groups;
    const size_t pairs = (size_t)groups->n * (size_t)(groups->n - 1) / 2;
    uap_status rc = UAP_OK;
    if (groups->n == 1) {
        return UAP_OK;
    }
    groups->between = uap_calloc(pairs, sizeof *groups->between);
    UAP_TRY(uap_comm_agree(profile->members,
                           groups->between != NULL ? UAP_OK : no_memory(err), err));
    for (int32_t a = 0; a < groups->n; a++) {
        for (int32_t b = a + 1; b < groups->n; b++) {
            UAP_TRY(link_groups(profile, a, b, err));
        }
    }
    rc = measure_of_all(profile, err);
done:
    return rc;
}

/* ---- One profile of all ------------------------------------------------------------------ */

/* Where a group's nodes are in the whole: groups that turned out alike are one there. */
static int32_t place_in(const uap_cluster *whole, uap_cluster *const *part, int32_t group)
{
    int32_t before = 0, nodes = 0, at = 0;
    for (int32_t g = 0; g < group; g++) {
        before += part[g]->group[0].nodes;
    }
    for (; at + 1 < whole->n_groups; at++) {
        nodes += whole->group[at].nodes;
        if (nodes > before) {
            break;
        }
    }
    return at;
}

/* Adds what was measured between groups, which the parts do not have. */
static uap_status add_between(const uap_profile_groups *groups, uap_cluster *const *part,
                              uap_cluster *cluster, uap_err *err)
{
    const size_t n = (size_t)(cluster->n_p2p + groups->n_between);
    uap_p2p *grown = uap_realloc(cluster->p2p, n, sizeof *grown);
    if (grown == NULL) {
        return no_memory(err);
    }
    cluster->p2p = grown;
    for (int32_t i = 0; i < groups->n_between; i++) {
        const uap_p2p *from = &groups->between[i];
        uap_p2p *to = &grown[cluster->n_p2p];
        *to = *from;
        to->from = place_in(cluster, part, from->from);
        to->to = place_in(cluster, part, from->to);
        if (to->from == to->to) {
            continue;
        }
        to->point = uap_calloc((size_t)from->n_points, sizeof *to->point);
        if (to->point == NULL) {
            return no_memory(err);
        }
        memcpy(to->point, from->point, (size_t)from->n_points * sizeof *to->point);
        cluster->n_p2p++;
    }
    return UAP_OK;
}

/* Adds the all-reduce of all, where there is one. */
static uap_status add_of_all(const uap_collective *of_all, uap_cluster *cluster,
                             uap_err *err)
{
    const size_t n = (size_t)cluster->n_collectives + 1;
    if (of_all->size == 0) {
        return UAP_OK;
    }
    uap_collective *grown = uap_realloc(cluster->collective, n, sizeof *grown);
    if (grown == NULL) {
        return no_memory(err);
    }
    cluster->collective = grown;
    grown[n - 1] = *of_all;
    grown[n - 1].point = uap_calloc((size_t)of_all->n_points, sizeof *of_all->point);
    if (grown[n - 1].point == NULL) {
        return no_memory(err);
    }
    memcpy(grown[n - 1].point, of_all->point,
           (size_t)of_all->n_points * sizeof *of_all->point);
    cluster->n_collectives++;
    return UAP_OK;
}

/* Rank 0: the parts' text in all[offset[r]], of the first rank of each group. */
static uap_status merge_parts(const uap_profile *profile, const char *command,
                              const char *all, const size_t *offset, uap_cluster **out,
                              uap_err *err)
{
    const uap_profile_groups *groups = &profile->groups;
    uap_status rc = UAP_OK;
    uap_cluster *merged = NULL;
    uap_cluster **part = uap_calloc((size_t)groups->n, sizeof *part);
    if (part == NULL) {
        return no_memory(err);
    }
    for (int32_t g = 0; g < groups->n; g++) {
        const size_t at = offset[groups->first[g]];
        UAP_TRY(uap_cluster_parse("a group's profile", all + at,
                                  offset[groups->first[g] + 1] - at, &part[g], err));
    }
    UAP_TRY(uap_cluster_merge((const uap_cluster *const *)part, groups->n, command,
                              &merged, err));
    UAP_TRY(add_between(groups, part, merged, err));
    UAP_TRY(add_of_all(&groups->of_all, merged, err));
    uap_free(merged->name);
    merged->name = uap_strdup(part[0]->name);
    if (merged->name == NULL) {
        rc = no_memory(err);
        goto done;
    }
    *out = merged;
    merged = NULL;
done:
    uap_cluster_free(merged);
    for (int32_t g = 0; g < groups->n; g++) {
        uap_cluster_free(part[g]);
    }
    uap_free(part);
    return rc;
}

uap_status uap_profile_groups_join(const uap_profile *profile, const char *command,
                                   uap_cluster **cluster, uap_err *err)
{
    const uap_comm *members = profile->members;
    uap_status rc = UAP_OK;
    uap_cluster *merged = NULL;
    char *text = NULL, *all = NULL;
    size_t *offset = NULL;
    if (profile->groups.n == 1) {
        return UAP_OK;
    }
    if (*cluster != NULL) {
        rc = uap_cluster_text(*cluster, &text, err);
    }
    UAP_TRY(uap_comm_agree(members, rc, err));
    UAP_TRY(uap_comm_gather(members, text, text != NULL ? strlen(text) : 0, &all, &offset,
                            err));
    if (uap_comm_rank(members) == 0) {
        rc = merge_parts(profile, command, all, offset, &merged, err);
    }
    UAP_TRY(uap_comm_agree(members, rc, err));
    uap_cluster_free(*cluster);
    *cluster = merged;
    merged = NULL;
done:
    uap_cluster_free(merged);
    uap_free(offset);
    uap_free(all);
    uap_free(text);
    return rc;
}
