/* What a profile takes from an earlier one, and what new nodes measure by themselves. */
#include "common/mem.h"
#include "profile/profile_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- Which nodes are new ----------------------------------------------------------------- */

/* Every node of the group once: host[n] points into all. */
static size_t list_hosts(const uap_comm *comm, const char *all, const char **host)
{
    size_t n = 0;
    for (int r = 0; r < uap_comm_size(comm); r++) {
        if (r == 0 || uap_comm_node_of(comm, r) != uap_comm_node_of(comm, r - 1)) {
            host[n++] = all + (size_t)r * 64;
        }
    }
    return n;
}

/* Rank 0 of the group knows all its hosts. */
static uap_status find_group(uap_profile *profile, uap_err *err)
{
    uap_profile_reuse *reuse = &profile->reuse;
    const uap_comm *comm = profile->comm;
    uap_status rc = UAP_OK;
    char own[64], *all = NULL;
    size_t *offset = NULL;
    const char **host = NULL;
    uap_host_name(uap_comm_node_of(comm, uap_comm_rank(comm)), own);
    reuse->is_new = !uap_reuse_knows_host(reuse->old, own);
    UAP_TRY(uap_comm_gather(comm, own, sizeof own, &all, &offset, err));
    if (uap_comm_rank(comm) == 0) {
        host = uap_calloc((size_t)uap_comm_size(comm), sizeof *host);
        rc = host != NULL ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no memory for hosts");
        if (host != NULL) {
            const size_t n = list_hosts(comm, all, host);
            reuse->group = uap_reuse_group(reuse->old, &reuse->context, host, n);
        }
    }
    UAP_TRY(uap_comm_agree(comm, rc, err));
    rc = uap_comm_bcast(comm, &reuse->group, sizeof reuse->group, 0, err);
done:
    uap_free(host);
    uap_free(offset);
    uap_free(all);
    return rc;
}

uap_status uap_profile_reuse_prepare(uap_profile *profile, uap_err *err)
{
    uap_profile_reuse *reuse = &profile->reuse;
    const uap_comm *comm = profile->comm;
    const double max_age_s = profile->options.max_age_s;
    uap_status rc = UAP_OK;
    int64_t first_new = 0;
    if (profile->options.reuse == NULL) {
        return UAP_OK;
    }
    reuse->context =
        (uap_reuse_context){.backend = uap_backend_name(profile->info.backend),
                            .device_library = profile->info.library,
                            .link_library = uap_profile_link_library(profile),
                            .device = profile->info.name,
                            .devices_per_node = profile->most_on_node,
                            .memory_bytes = (double)profile->memory_bytes,
                            .now_s = (double)time(NULL),
                            .max_age_s = max_age_s > 0 ? max_age_s : HUGE_VAL};
    UAP_TRY(uap_comm_agree(comm, uap_reuse_new(profile->options.reuse, &reuse->old, err),
                           err));
    /* One clock decides. */
    UAP_TRY(uap_comm_bcast(comm, &reuse->context.now_s, sizeof(double), 0, err));
    UAP_TRY(find_group(profile, err));
    first_new = reuse->is_new ? uap_comm_rank(comm) : uap_comm_size(comm);
    UAP_TRY(uap_comm_allreduce_i64(comm, &first_new, 1, UAP_COMM_MIN, err));
    reuse->first_new = (int)first_new;
    reuse->has_new = first_new < uap_comm_size(comm);
    rc = uap_comm_split(comm, reuse->is_new ? 0 : -1, uap_comm_rank(comm), &reuse->fresh,
                        err);
done:
    return rc;
}

void uap_profile_reuse_free(uap_profile_reuse *reuse)
{
    uap_reuse_free(reuse->old);
    uap_comm_free(reuse->fresh);
}

/* ---- What there is ----------------------------------------------------------------------- */

static const uap_layer_time *find_layer(const uap_profile *profile, const uap_item *item)
{
    const uap_cluster *old = profile->options.reuse;
    const uap_node_group *group = &old->group[profile->reuse.group];
    const uap_device_class *device = &old->device_class[group->device_class];
    char key[UAP_SHAPE_KEY_BYTES];
    uap_layer_shape_key(item->layer, key);
    for (int32_t i = 0; i < device->n_layers; i++) {
        const uap_layer_time *t = &device->layer[i];
        if (strcmp(t->type, uap_layer_type_name(item->layer->type)) == 0 &&
            strcmp(t->shape, key) == 0 && t->tp == item->tp &&
            t->micro_batch == item->micro_batch && t->precision == item->precision) {
            return t;
        }
    }
    return NULL;
}

static const uap_collective *find_collective(const uap_profile *profile,
                                             const uap_item *item)
{
    const uap_cluster *old = profile->options.reuse;
    const uap_collective *wanted = &item->collective;
    for (int32_t i = 0; i < old->n_collectives; i++) {
        const uap_collective *c = &old->collective[i];
        const bool is_ours = !c->is_of_group || c->group == profile->reuse.group;
        if (is_ours && c->kind == wanted->kind && c->size == wanted->size &&
            c->stride == wanted->stride && c->contended == wanted->contended &&
            c->n_points > 0) {
            return c;
        }
    }
    return NULL;
}

static bool is_inside(const uap_profile *profile, const uap_item *item)
{
    const int32_t node = profile->least_on_node;
    const int32_t group = item->collective.size * item->collective.stride;
    switch (item->kind) {
    case UAP_MEASURE_LAYER:
        return true;
    case UAP_MEASURE_COLLECTIVE:
        return node % group == 0;
    case UAP_MEASURE_P2P:
        return item->distance < node;
    case UAP_MEASURE_OVERLAP:
        break;
    }
    return false;
}

static const uap_p2p *find_p2p(const uap_profile *profile, const uap_item *item)
{
    const uap_cluster *old = profile->options.reuse;
    const uap_span span = is_inside(profile, item) ? UAP_SPAN_NODE : UAP_SPAN_CLUSTER;
    for (int32_t i = 0; i < old->n_p2p; i++) {
        const uap_p2p *p = &old->p2p[i];
        const int32_t group = profile->reuse.group;
        const bool is_ours = !p->is_between || (p->from == group && p->to == group);
        if (is_ours && p->span == span && p->pairs == (item->alone ? 1 : 0) &&
            p->n_points > 0) {
            return p;
        }
    }
    return NULL;
}

static bool copy_points(uap_point **point, int32_t n)
{
    uap_point *copy = uap_calloc((size_t)n, sizeof *copy);
    if (copy != NULL) {
        memcpy(copy, *point, (size_t)n * sizeof *copy);
    }
    *point = copy;
    return copy != NULL;
}

/* The item as the earlier profile has it; *found: it does. */
static uap_status take(uap_profile *profile, uap_item *item, bool *found, uap_err *err)
{
    const uap_layer_time *layer = NULL;
    const uap_collective *collective = NULL;
    const uap_p2p *p2p = NULL;
    bool good = true;
    *found = true;
    if (item->kind == UAP_MEASURE_LAYER && (layer = find_layer(profile, item)) != NULL) {
        item->times.forward_s = layer->forward_s;
        item->times.backward_s = layer->backward_s;
        item->times.mad_s = layer->mad_s;
        item->times.count = layer->count;
        item->times.spent_s = layer->spent_s;
    } else if (item->kind == UAP_MEASURE_COLLECTIVE &&
               (collective = find_collective(profile, item)) != NULL) {
        item->collective = *collective;
        item->collective.is_of_group = false;
        item->collective.group = 0;
        good = copy_points(&item->collective.point, item->collective.n_points);
    } else if (item->kind == UAP_MEASURE_P2P && (p2p = find_p2p(profile, item)) != NULL) {
        item->p2p = *p2p;
        item->p2p.is_between = false;
        item->p2p.from = item->p2p.to = 0;
        good = copy_points(&item->p2p.point, item->p2p.n_points);
    } else if (item->kind == UAP_MEASURE_OVERLAP) {
        profile->compute_slowdown = profile->options.reuse->compute_slowdown;
        profile->communication_slowdown = profile->options.reuse->communication_slowdown;
    } else {
        *found = false;
    }
    return good ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no memory for points");
}

uap_status uap_profile_reuse_take(uap_profile *profile, uap_err *err)
{
    const uap_profile_reuse *reuse = &profile->reuse;
    uap_status rc = UAP_OK;
    for (int32_t i = 0; i < profile->n_items && reuse->old != NULL && reuse->group >= 0;
         i++) {
        uap_item *item = &profile->item[i];
        const bool is_layer = item->kind == UAP_MEASURE_LAYER;
        const char *date = uap_reuse_date(reuse->old, &reuse->context, reuse->group,
                                          item->pub.what, is_layer);
        bool found = false;
        if (date == NULL || (reuse->has_new && !is_inside(profile, item))) {
            continue;
        }
        UAP_TRY(take(profile, item, &found, err));
        if (found) {
            (void)snprintf(item->pub.reused, sizeof item->pub.reused, "%s", date);
            item->is_for_new = reuse->has_new;
        }
        if (found && !reuse->has_new) {
            item->pub.state = UAP_ITEM_DONE;
        }
    }
done:
    return rc;
}

/* ---- New nodes --------------------------------------------------------------------------- */

uap_status uap_profile_share_points(const uap_comm *comm, int root, uap_point **point,
                                    int32_t n, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_point *own = *point;
    if (uap_comm_rank(comm) != root) {
        uap_free(own);
        own = uap_calloc((size_t)n, sizeof *own);
    }
    *point = own;
    UAP_TRY(uap_comm_agree(
        comm, own != NULL ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no memory for points"),
        err));
    rc = uap_comm_bcast(comm, own, (size_t)n * sizeof *own, root, err);
done:
    return rc;
}

/* By a message of 1 MiB, as when profiles are merged. */
static double line_s(double latency_s, double bandwidth_Bps)
{
    return latency_s + (double)(1 << 20) / bandwidth_Bps;
}

/* On a new node. */
static uap_status measure_fresh(const uap_profile *profile, const uap_item *item,
                                uap_item *out, uap_err *err)
{
    const uap_comm *fresh = profile->reuse.fresh;
    const uap_group_shape shape = {item->collective.size, item->collective.stride};
    uap_status rc = UAP_OK;
    uap_links *links = NULL;
    if (item->kind == UAP_MEASURE_LAYER) {
        uap_work_shape work;
        uap_layer_work(item->layer, item->tp, item->micro_batch, item->precision, &work);
        return uap_work_measure(fresh, profile->device, &work, item->repeat, &out->times,
                                err);
    }
    UAP_TRY(uap_links_new(fresh, &profile->sweep, &links, err));
    UAP_TRY(uap_links_between_devices(links, profile->device, err));
    rc = item->kind == UAP_MEASURE_COLLECTIVE
             ? uap_links_collective(links, item->collective.kind, shape,
                                    item->collective.contended, &out->collective, err)
             : uap_links_p2p(links, item->distance, item->alone, &out->p2p, err);
done:
    uap_links_free(links);
    return rc;
}

/* What the first new rank has, on all; then the slower of that and what there was. */
static uap_status share_and_compare(const uap_profile *profile, uap_item *item,
                                    uap_item *fresh, uap_err *err)
{
    const int root = profile->reuse.first_new;
    uap_collective *c = &fresh->collective;
    uap_p2p *p = &fresh->p2p;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_comm_bcast(profile->comm, &fresh->times, sizeof fresh->times, root, err));
    uap_point *const own[2] = {c->point, p->point};
    UAP_TRY(uap_comm_bcast(profile->comm, c, sizeof *c, root, err));
    UAP_TRY(uap_comm_bcast(profile->comm, p, sizeof *p, root, err));
    c->point = own[0];
    p->point = own[1];
    if (item->kind == UAP_MEASURE_LAYER) {
        const uap_work_times *t = &fresh->times;
        const double before = item->times.forward_s + item->times.backward_s;
        if (t->forward_s + t->backward_s > before) {
            item->times.forward_s = t->forward_s;
            item->times.backward_s = t->backward_s;
            item->times.mad_s = t->mad_s;
            item->times.count = t->count;
            item->times.spent_s = t->spent_s;
        }
    } else if (item->kind == UAP_MEASURE_COLLECTIVE) {
        UAP_TRY(
            uap_profile_share_points(profile->comm, root, &c->point, c->n_points, err));
        const bool is_slower =
            line_s(c->latency_s, c->bandwidth_Bps) >
            line_s(item->collective.latency_s, item->collective.bandwidth_Bps);
        uap_collective moved = item->collective;
        item->collective = is_slower ? *c : item->collective;
        c->point = is_slower ? moved.point : c->point;
    } else {
        UAP_TRY(
            uap_profile_share_points(profile->comm, root, &p->point, p->n_points, err));
        const bool is_slower = line_s(p->latency_s, p->bandwidth_Bps) >
                               line_s(item->p2p.latency_s, item->p2p.bandwidth_Bps);
        uap_p2p moved = item->p2p;
        item->p2p = is_slower ? *p : item->p2p;
        p->point = is_slower ? moved.point : p->point;
    }
done:
    return rc;
}

uap_status uap_profile_reuse_measure(const uap_profile *profile, uap_item *item,
                                     uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_item fresh = {.kind = item->kind};
    if (profile->reuse.fresh != NULL) {
        rc = measure_fresh(profile, item, &fresh, err);
    }
    rc = uap_comm_agree(profile->comm, rc, err);
    if (rc == UAP_NO_MEMORY) {
        /* What is known of the other nodes stands. */
        uap_err_clear(err);
        return UAP_OK;
    }
    UAP_TRY(rc);
    rc = share_and_compare(profile, item, &fresh, err);
done:
    uap_free(fresh.collective.point);
    uap_free(fresh.p2p.point);
    return rc;
}
