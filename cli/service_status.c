/* How the service is: for programs and for Prometheus. */
#include "cli/service_state.h"

#include "common/clock.h"
#include "common/json_write.h"
#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Upper ends of the counts by time, seconds; the last bucket has no end. */
static const double bucket_s[UAP_SERVICE_BUCKETS - 1] = {0.001, 0.005, 0.01, 0.05, 0.1,
                                                         0.5,   1,     10,   100};

void uap_service_count(uap_service *s, uap_service_method method, bool failed,
                       double seconds)
{
    uap_service_counts *c = &s->counts;
    (failed ? c->failed : c->done)[method]++;
    c->seconds += seconds;
    for (int i = 0; i < UAP_SERVICE_BUCKETS; i++) {
        c->bucket[i] += i == UAP_SERVICE_BUCKETS - 1 || seconds <= bucket_s[i];
    }
}

/* Of this process, bytes; 0 where the system does not say. */
static int64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long long pages = 0;
    if (file != NULL) {
        if (fscanf(file, "%*s %lld", &pages) != 1) { // NOLINT(cert-err34-c): the kernel's
            pages = 0;
        }
        (void)fclose(file);
    }
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int64_t count_state(const uap_service *s, uap_request_state state)
{
    int64_t n = 0;
    for (const uap_service_request *r = s->first; r != NULL; r = r->next) {
        n += r->state == state;
    }
    return n;
}

static int64_t count_clients(const uap_service *s)
{
    int64_t n = 0;
    for (int i = 0; i < s->options->clients; i++) {
        n += s->client[i].fd >= 0;
    }
    return n;
}

static const char *mood_name(const uap_service *s)
{
    static const char *const name[] = {"open", "draining", "stopping"};
    return name[s->mood];
}

/* One row a figure: its JSON name is Prometheus' without "uniap_service_". */
typedef struct figure {
    const char *name, *type, *help;
    int64_t value;
} figure;

#define FIGURES_MAX 24

static int list_figures(const uap_service *s, figure out[FIGURES_MAX])
{
    const uap_service_counts *c = &s->counts;
    const uap_service_cache_figures kept = s->cache != NULL
                                               ? uap_service_cache_look(s->cache)
                                               : (uap_service_cache_figures){0};
    const figure all[] = {
        {"ranks", "gauge", "ranks of the job", s->cli->size},
        {"clients", "gauge", "connections", count_clients(s)},
        {"queued", "gauge", "requests not begun", count_state(s, UAP_REQUEST_QUEUED)},
        {"tried", "gauge", "requests that rank 0 tries alone",
         count_state(s, UAP_REQUEST_TRIED)},
        {"waiting", "gauge", "searches that wait for all ranks",
         count_state(s, UAP_REQUEST_WAITING)},
        {"running", "gauge", "searches on all ranks",
         count_state(s, UAP_REQUEST_RUNNING)},
        {"resident_bytes", "gauge", "memory of rank 0", resident_bytes()},
        {"connections_total", "counter", "connections so far", c->connections},
        {"turned_away_total", "counter", "connections refused", c->turned_away},
        {"dropped_total", "counter", "connections given up: too slow, or too much unread",
         c->dropped},
        {"lines_total", "counter", "lines read", c->lines},
        {"refused_total", "counter", "lines answered with an error at once", c->refused},
        {"cancelled_total", "counter", "requests cancelled", c->cancelled},
        {"abandoned_total", "counter", "requests whose client went away", c->abandoned},
        {"promoted_total", "counter", "searches that went on to all ranks", c->promoted},
        {"documents", "gauge", "documents in memory", s->held.n},
        {"document_bytes", "gauge", "bytes of documents in memory", s->held.bytes},
        {"document_hits_total", "counter", "documents that were not sent again",
         s->held.hits},
        {"cache_hits_total", "counter", "answers from the cache", c->hits},
        {"cache_misses_total", "counter", "searches not in the cache", c->misses},
        {"cache_entries", "gauge", "results in the cache", kept.entries},
        {"cache_bytes", "gauge", "bytes of results in the cache", kept.bytes},
        {"cache_evicted_total", "counter", "results forgotten for room", kept.evicted},
        {"cache_failures_total", "counter", "failures of the cache", kept.failures}};
    const int n = (int)(sizeof all / sizeof all[0]);
    _Static_assert(sizeof all / sizeof all[0] <= FIGURES_MAX, "room for all");
    for (int i = 0; i < n; i++) {
        out[i] = all[i];
    }
    return n;
}

static uap_jout *write_json(const uap_service *s)
{
    figure f[FIGURES_MAX];
    uap_jout *root = uap_jout_object();
    uap_jout *answered = uap_jout_object();
    uap_jset_str(root, "version", UAP_VERSION);
    uap_jset_str(root, "state", mood_name(s));
    uap_jset_i64(root, "pid", getpid());
    uap_jset_f64(root, "uptime_s", uap_wall_s() - s->start_s);
    uap_jset_f64(root, "answer_seconds_total", s->counts.seconds);
    for (int i = 0, n = list_figures(s, f); i < n; i++) {
        uap_jset_i64(root, f[i].name, f[i].value);
    }
    for (int i = 0; i < UAP_SERVICE_METHODS; i++) {
        uap_jout *method = uap_jout_object();
        uap_jset_i64(method, "results", s->counts.done[i]);
        uap_jset_i64(method, "errors", s->counts.failed[i]);
        uap_jset(answered, uap_service_method_name((uap_service_method)i), method);
    }
    uap_jset(root, "answered", answered);
    return root;
}

/* The text format, version 0.0.4, of prometheus.io/docs/instrumenting/exposition_formats. */
static void print_prometheus(const uap_service *s, FILE *out)
{
    figure f[FIGURES_MAX];
    const char *const name = "uniap_service_";
    for (int i = 0, n = list_figures(s, f); i < n; i++) {
        (void)fprintf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n%s%s %" PRId64 "\n", name,
                      f[i].name, f[i].help, name, f[i].name, f[i].type, name, f[i].name,
                      f[i].value);
    }
    (void)fprintf(
        out,
        "# HELP %suptime_seconds since the start\n# TYPE %suptime_seconds gauge\n"
        "%suptime_seconds %.3f\n",
        name, name, name, uap_wall_s() - s->start_s);
    (void)fprintf(out,
                  "# HELP %sanswers_total requests answered\n"
                  "# TYPE %sanswers_total counter\n",
                  name, name);
    for (int i = 0; i < UAP_SERVICE_METHODS; i++) {
        const char *method = uap_service_method_name((uap_service_method)i);
        (void)fprintf(out,
                      "%sanswers_total{method=\"%s\",kind=\"result\"} %" PRId64
                      "\n%sanswers_total{method=\"%s\",kind=\"error\"} %" PRId64 "\n",
                      name, method, s->counts.done[i], name, method, s->counts.failed[i]);
    }
    (void)fprintf(out,
                  "# HELP %sanswer_seconds from a request to its answer\n"
                  "# TYPE %sanswer_seconds histogram\n",
                  name, name);
    for (int i = 0; i < UAP_SERVICE_BUCKETS - 1; i++) {
        (void)fprintf(out, "%sanswer_seconds_bucket{le=\"%g\"} %" PRId64 "\n", name,
                      bucket_s[i], s->counts.bucket[i]);
    }
    const int64_t all = s->counts.bucket[UAP_SERVICE_BUCKETS - 1];
    (void)fprintf(out,
                  "%sanswer_seconds_bucket{le=\"+Inf\"} %" PRId64
                  "\n%sanswer_seconds_sum %.6f\n%sanswer_seconds_count %" PRId64 "\n",
                  name, all, name, s->counts.seconds, name, all);
}

/* A string as JSON: the element of a list, without its brackets. */
static char *quote(const char *text)
{
    uap_jout *list = uap_jout_array();
    uap_jadd_str(list, text);
    char *json = uap_jout_text(list);
    uap_jout_free(list);
    if (json != NULL) {
        size_t n = 0;
        for (; json[n + 1] != '\0'; n++) {
            json[n] = json[n + 1];
        }
        json[n - 1] = '\0';
    }
    return json;
}

char *uap_service_status(const uap_service *s, bool for_prometheus)
{
    char *text = NULL, *result = NULL;
    size_t n = 0;
    if (!for_prometheus) {
        uap_jout *root = write_json(s);
        result = uap_jout_text(root);
        uap_jout_free(root);
        return result;
    }
    FILE *out = open_memstream(&text, &n);
    if (out == NULL) {
        return NULL;
    }
    print_prometheus(s, out);
    if (fclose(out) == 0) {
        result = quote(text);
    }
    free(text);
    return result;
}
