/* Where a profile comes from: when, on which hosts, with what, and what to distrust. */
#include "common/json_write.h"
#include "common/mem.h"
#include "profile/fit.h"
#include "profile/hostlist.h"
#include "profile/profile_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A rank whose layers took this much longer than the medians is named. */
#define SLOW_RATIO 1.25

/* Ranks of a node whose bindings are written. */
#define BINDINGS_MAX 16

/* What every rank tells rank 0. */
typedef struct rank_report {
    char host[64];
    char device[96];
    double ratio; /* own layer times by the medians; 0: no layers */
    uap_device_clocks clocks[2];
    uap_binding binding;
    char bus_id[32];
} rank_report;

static rank_report report_self(const uap_profile *profile)
{
    rank_report own = {.ratio = 0};
    uap_host_name(uap_comm_node_of(profile->comm, uap_comm_rank(profile->comm)),
                  own.host);
    memcpy(own.device, profile->info.name, sizeof own.device);
    if (profile->layers_s > 0) {
        own.ratio = profile->own_layers_s / profile->layers_s;
    }
    memcpy(own.clocks, profile->clocks, sizeof own.clocks);
    own.binding = profile->binding;
    memcpy(own.bus_id, profile->info.bus_id, sizeof own.bus_id);
    return own;
}

/* Clocks before and after, medians over ranks, and how many ranks heat or power held back
 * meanwhile. What cannot be read is left out. */
static void add_clocks(uap_jout *object, const uap_profile *profile,
                       const rank_report *report)
{
    static const char *const name[2] = {"mhz_before", "mhz_after"};
    const int size = uap_comm_size(profile->comm);
    uap_jout *clocks = uap_jout_object();
    double *mhz = uap_calloc((size_t)size, sizeof *mhz);
    int64_t held_back = 0;
    for (int i = 0; i < 2 && mhz != NULL; i++) {
        int64_t n = 0;
        for (int r = 0; r < size; r++) {
            if (report[r].clocks[i].mhz > 0) {
                mhz[n++] = report[r].clocks[i].mhz;
            }
        }
        if (n > 0) {
            uap_jset_f64(clocks, name[i], uap_median(mhz, n));
        }
    }
    for (int r = 0; r < size; r++) {
        const uap_device_clocks *c = report[r].clocks;
        held_back += c[0].is_held_back || c[1].is_held_back ||
                     (c[0].throttles >= 0 && c[1].throttles > c[0].throttles);
    }
    uap_jset_i64(clocks, "held_back_ranks", held_back);
    uap_jset(object, "clocks", clocks);
    uap_free(mhz);
}

/* Where the first node's ranks run, as an example of all, and how many ranks of all were bound
 * near to their devices by this program. What is not known is left out. */
static void add_bindings(uap_jout *object, const uap_profile *profile,
                         const rank_report *report)
{
    const uap_comm *comm = profile->comm;
    uap_jout *all = uap_jout_object(), *ranks = uap_jout_array();
    int64_t moved = 0;
    for (int r = 0; r < uap_comm_size(comm); r++) {
        const uap_binding *b = &report[r].binding;
        moved += b->is_moved;
        if (r >= BINDINGS_MAX || uap_comm_node_of(comm, r) != uap_comm_node_of(comm, 0)) {
            continue;
        }
        uap_jout *one = uap_jout_object();
        uap_jset_str(one, "processors", b->list);
        if (b->numa_node >= 0) {
            uap_jset_i64(one, "numa_node", b->numa_node);
        }
        if (report[r].bus_id[0] != '\0') {
            uap_jset_str(one, "device", report[r].bus_id);
            uap_jset_str(one, "network_adapters", b->adapters);
        }
        if (b->device_node >= 0) {
            uap_jset_i64(one, "device_numa_node", b->device_node);
        }
        uap_jadd(ranks, one);
    }
    uap_jset(all, "first_node", ranks);
    uap_jset_i64(all, "ranks_bound_near_devices", moved);
    uap_jset(object, "bindings", all);
}

/* The nodes as a host list, which does not grow with them. Names that are none are left out
 * with a word. */
static void add_hosts(uap_jout *object, const uap_profile *profile,
                      const rank_report *report)
{
    const uap_comm *comm = profile->comm;
    const int size = uap_comm_size(comm);
    const char **name = uap_calloc((size_t)size, sizeof *name);
    char *list = NULL;
    size_t n = 0;
    for (int r = 0; name != NULL && r < size; r++) {
        if (r == 0 || uap_comm_node_of(comm, r) != uap_comm_node_of(comm, r - 1)) {
            name[n++] = report[r].host;
        }
    }
    const bool is_list =
        name != NULL && uap_hostlist_compress(name, n, &list, NULL) == UAP_OK;
    uap_jset_str(object, "hosts", is_list ? list : "unknown");
    uap_jset_i64(object, "nodes", profile->nodes);
    uap_jset_i64(object, "ranks", size);
    uap_free(list);
    uap_free(name);
}

/* Ranks that are slower than the rest, or are another device altogether. */
static void add_suspects(uap_jout *object, const uap_profile *profile,
                         const rank_report *report)
{
    uap_jout *suspects = uap_jout_array();
    for (int r = 0; r < uap_comm_size(profile->comm); r++) {
        const bool differs = strcmp(report[r].device, report[0].device) != 0;
        if (report[r].ratio > SLOW_RATIO || differs) {
            uap_jout *one = uap_jout_object();
            uap_jset_i64(one, "rank", r);
            uap_jset_str(one, "host", report[r].host);
            uap_jset_str(one, "device", report[r].device);
            uap_jset_f64(one, "time_ratio", report[r].ratio);
            uap_jadd(suspects, one);
        }
    }
    uap_jset(object, "suspects", suspects);
}

static void add_skipped(uap_jout *object, const uap_profile *profile)
{
    uap_jout *skipped = uap_jout_array();
    for (int32_t i = 0; i < profile->n_items; i++) {
        const uap_profile_item *item = &profile->item[i].pub;
        if (item->state != UAP_ITEM_DONE) {
            char line[224];
            (void)snprintf(line, sizeof line, "%s: %s", item->what,
                           item->state == UAP_ITEM_NO_MEMORY   ? "no memory"
                           : item->state == UAP_ITEM_NO_ANSWER ? "no answer"
                                                               : "no time");
            uap_jadd_str(skipped, line);
        }
    }
    uap_jset(object, "skipped", skipped);
}

/* What is of an earlier profile: the names of measurements under each date. */
static void add_reused(uap_jout *object, const uap_profile *profile)
{
    uap_jout *reused = uap_jout_array();
    for (int32_t i = 0; i < profile->n_items && reused != NULL; i++) {
        const char *date = profile->item[i].pub.reused;
        bool is_first = date[0] != '\0';
        for (int32_t j = 0; j < i && is_first; j++) {
            is_first = strcmp(profile->item[j].pub.reused, date) != 0;
        }
        if (!is_first) {
            continue;
        }
        uap_jout *one = uap_jout_object(), *what = uap_jout_array();
        for (int32_t j = i; j < profile->n_items; j++) {
            if (strcmp(profile->item[j].pub.reused, date) == 0) {
                uap_jadd_str(what, profile->item[j].pub.what);
            }
        }
        uap_jset_str(one, "date", date);
        uap_jset(one, "what", what);
        uap_jadd(reused, one);
    }
    uap_jset(object, "reused", reused);
    uap_jset_str(object, "reused_sha256", profile->options.reuse->sha256);
}

static void add_models(uap_jout *object, const uap_profile *profile)
{
    uap_jout *models = uap_jout_array();
    for (int32_t i = 0; i < profile->options.n_models; i++) {
        const uap_model *model = profile->options.model[i];
        uap_jout *one = uap_jout_object();
        uap_jset_str(one, "name", model->name);
        uap_jset_str(one, "sha256", model->sha256);
        uap_jset_i64(one, "seq", model->seq);
        uap_jadd(models, one);
    }
    uap_jset(object, "models", models);
}

/* The residuals of an item's lines: how fair a picture of these links they are. */
static uap_residuals residuals_of(const uap_item *item)
{
    const uap_collective *c = &item->collective;
    const uap_p2p *p = &item->p2p;
    return item->kind == UAP_MEASURE_COLLECTIVE
               ? uap_fit_residuals((uap_line){c->latency_s, c->bandwidth_Bps}, &c->pieces,
                                   c->point, c->n_points)
               : uap_fit_residuals((uap_line){p->latency_s, p->bandwidth_Bps}, &p->pieces,
                                   p->point, p->n_points);
}

/* The median over links of their median residual, and the largest of any point. */
static void add_residuals(uap_jout *object, const uap_profile *profile)
{
    double largest = 0;
    int64_t n = 0;
    double *median = uap_calloc((size_t)profile->n_items, sizeof *median);
    for (int32_t i = 0; median != NULL && i < profile->n_items; i++) {
        const uap_item *item = &profile->item[i];
        const bool is_link =
            item->kind == UAP_MEASURE_COLLECTIVE || item->kind == UAP_MEASURE_P2P;
        if (item->pub.state == UAP_ITEM_DONE && is_link) {
            const uap_residuals own = residuals_of(item);
            median[n++] = own.median;
            largest = fmax(largest, own.largest);
        }
    }
    uap_jset_f64(object, "median_fit_error", n > 0 ? uap_median(median, n) : 0);
    uap_jset_f64(object, "largest_fit_error", largest);
    uap_free(median);
}

static char *compose(const uap_profile *profile, const char *command,
                     const rank_report *report)
{
    char date[32] = "";
    struct tm utc;
    const time_t now = time(NULL);
    uap_jout *object = uap_jout_object();
    if (gmtime_r(&now, &utc) != NULL) {
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    uap_jset_str(object, "date", date);
    uap_jset_str(object, "program", "uniap " UAP_VERSION);
    uap_jset_str(object, "command", command);
    uap_jset_str(object, "effort", profile->effort->name);
    uap_jset_str(object, "backend", uap_backend_name(profile->info.backend));
    uap_jset_str(object, "device_library", profile->info.library);
    uap_jset_str(object, "mpi_library", uap_comm_library());
    uap_jset_str(object, "link_library", uap_profile_link_library(profile));
    uap_jset_f64(object, "elapsed_s", profile->elapsed_s);
    add_residuals(object, profile);
    add_clocks(object, profile, report);
    add_bindings(object, profile, report);
    if (profile->note[0] != '\0') {
        uap_jset_str(object, "note", profile->note);
    }
    if (profile->survey.site != NULL && profile->groups.own == 0) {
        uap_jset(object, "survey", uap_profile_survey_summary(profile));
    }
    add_hosts(object, profile, report);
    add_models(object, profile);
    add_suspects(object, profile, report);
    add_skipped(object, profile);
    if (profile->options.reuse != NULL) {
        add_reused(object, profile);
    }
    char *text = uap_jout_text(object);
    uap_jout_free(object);
    return text;
}

uap_status uap_profile_provenance(const uap_profile *profile, const char *command,
                                  char **out, uap_err *err)
{
    const rank_report own = report_self(profile);
    uap_status rc = UAP_OK;
    char *all = NULL;
    size_t *offset = NULL;
    *out = NULL;
    UAP_TRY(uap_comm_gather(profile->comm, &own, sizeof own, &all, &offset, err));
    if (uap_comm_rank(profile->comm) == 0) {
        *out = compose(profile, command, (const rank_report *)(const void *)all);
        rc = *out != NULL ? UAP_OK
                          : UAP_FAIL(err, NO_MEMORY, "no memory for the provenance");
    }
    rc = uap_comm_agree(profile->comm, rc, err);
done:
    uap_free(offset);
    uap_free(all);
    return rc;
}
