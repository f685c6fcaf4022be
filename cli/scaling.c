/* Running and timing the searches of the suite on parts of a job. */
#include "cli/scaling.h"

#include "cli/search_ranks.h"
#include "common/clock.h"
#include "common/log.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TICKS_PER_S ((double)UAP_TICKS_PER_SECOND)

/* The first `ranks` ranks of the job. */
typedef struct part {
    int ranks;
    uap_comm *comm; /* NULL on the other ranks */
} part;

typedef struct scaling {
    const uap_scaling *what;
    const uap_comm *comm;
    uap_comm *alone; /* this rank by itself */
    part part[UAP_SCALING_MOST_COUNTS];
    bool speaks;
    double log_sum[UAP_SCALING_MOST_COUNTS]; /* of efficiencies */
    double least[UAP_SCALING_MOST_COUNTS];
    int proven[UAP_SCALING_MOST_COUNTS]; /* cases that every run proved */
    int slower[UAP_SCALING_MOST_COUNTS]; /* cases slower than on the fewest ranks */
    bool differs;
} scaling;

/* One case on one number of ranks, over the repeats. */
typedef struct sample {
    double together_s[UAP_SCALING_MOST_REPEATS]; /* wall, of the search by all */
    double apart_s[UAP_SCALING_MOST_REPEATS];    /* wall, mean of the searches by one */
    double ratio[UAP_SCALING_MOST_REPEATS];      /* apart / together */
    int64_t n;
    bool is_proven;       /* all of them */
    uap_search_stats sum; /* of the searches together */
} sample;

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *value, int64_t n)
{
    double sorted[UAP_SCALING_MOST_REPEATS];
    if (n == 0) {
        return 0.0;
    }
    memcpy(sorted, value, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    return n % 2 != 0 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* What one search came to, the same on all ranks of the job. */
typedef struct outcome {
    double wall_s; /* of the slowest rank */
    int64_t value; /* of the plan; INT64_MAX: none, or not proven */
    bool is_proven;
    uap_search_stats stats;
} outcome;

/* The searches of one moment: together, on the part's communicator, or apart, each of its
 * ranks alone; the other ranks of the job sleep. */
static uap_status run_once(const scaling *s, const part *on, const uap_source *source,
                           bool together, outcome *out, bool *broken, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_result result = {0};
    const uap_limits limits = {.time_limit_s = s->what->time_limit_s,
                               .stop = s->what->stop};
    const bool takes_part = on->comm != NULL;
    double wall_s = 0;
    *out = (outcome){.value = INT64_MAX};
    UAP_TRY(uap_comm_barrier_asleep(s->comm, err));
    if (takes_part) {
        const double start_s = uap_wall_s();
        rc = uap_search_ranks(together ? on->comm : s->alone, source, &limits, NULL,
                              &result, broken, err);
        wall_s = uap_wall_s() - start_s;
    }
    if (*broken) {
        goto done;
    }
    UAP_TRY(uap_comm_barrier_asleep(s->comm, err));
    UAP_TRY(uap_comm_agree(s->comm, rc, err));
    /* Together all have the same answer; apart each has its own. */
    const bool answers = takes_part && (!together || uap_comm_rank(s->comm) == 0);
    const bool is_proven = result.outcome == UAP_OUTCOME_OPTIMAL;
    int64_t proven = !answers || is_proven;
    int64_t least = answers && is_proven ? result.value : INT64_MAX;
    int64_t most = answers && is_proven ? result.value : INT64_MIN;
    UAP_TRY(uap_comm_allreduce_i64(s->comm, &proven, 1, UAP_COMM_MIN, err));
    UAP_TRY(uap_comm_allreduce_i64(s->comm, &least, 1, UAP_COMM_MIN, err));
    UAP_TRY(uap_comm_allreduce_i64(s->comm, &most, 1, UAP_COMM_MAX, err));
    UAP_TRY(uap_comm_allreduce_f64(s->comm, &wall_s, 1,
                                   together ? UAP_COMM_MAX : UAP_COMM_SUM, err));
    out->wall_s = together ? wall_s : wall_s / on->ranks;
    out->is_proven = proven != 0;
    out->value = least;
    if (out->is_proven && least != most) {
        out->value = INT64_MIN;
    }
    out->stats = result.stats;
done:
    uap_result_free(&result);
    return rc;
}

static void add_run(sample *to, const outcome *together, const outcome *apart)
{
    to->together_s[to->n] = together->wall_s;
    to->apart_s[to->n] = apart->wall_s;
    to->ratio[to->n] = apart->wall_s / fmax(together->wall_s, 1e-9);
    to->n++;
    to->is_proven = to->is_proven && together->is_proven && apart->is_proven;
    to->sum.nodes += together->stats.nodes;
    to->sum.steals += together->stats.steals;
    to->sum.idle_s += together->stats.idle_s;
    to->sum.wall_s += together->stats.wall_s;
}

/* Whether a proven value is that of the runs before, and the recorded one. */
static bool is_right(const uap_suite_case *what, const outcome *o, int64_t *value)
{
    if (!o->is_proven) {
        return true;
    }
    const int64_t before = *value == INT64_MAX ? o->value : *value;
    *value = o->value;
    const bool recorded = !(what->optimum_s > 0) ||
                          fabs((double)o->value / TICKS_PER_S - what->optimum_s) < 0.6e-6;
    return o->value != INT64_MIN && o->value == before && recorded;
}

static void print_sample(const scaling *s, const char *name, int i, const sample *one,
                         double ratio)
{
    const int ranks = s->part[i].ranks;
    const double wall_s = one->sum.wall_s * ranks;
    const double n = (double)one->n;
    (void)fprintf(s->what->out,
                  "%-26s %5d %9.3f %9.3f %8.3f %10.3f %8.1f %6.1f %7.1f%s\n", name, ranks,
                  median(one->together_s, one->n), median(one->apart_s, one->n), ratio,
                  ratio / ranks, (double)one->sum.nodes / n,
                  100.0 * one->sum.idle_s / fmax(wall_s, 1e-9),
                  (double)one->sum.steals / n, one->is_proven ? "" : "  cut off");
}

/* Lines of one case, and its part in the means. Where searches were cut off their times say
 * nothing. */
static void conclude(scaling *s, const char *name, const sample *samples)
{
    const double base_s = median(samples[0].together_s, samples[0].n);
    for (int i = 0; i < s->what->n_ranks && samples[i].n > 0; i++) {
        const sample *one = &samples[i];
        const double ratio = median(one->ratio, one->n);
        if (s->speaks) {
            print_sample(s, i == 0 ? name : "", i, one, ratio);
        }
        if (!one->is_proven) {
            continue;
        }
        const double efficiency = ratio / s->part[i].ranks;
        s->log_sum[i] += log(fmax(efficiency, 1e-9));
        s->least[i] = s->proven[i] == 0 ? efficiency : fmin(s->least[i], efficiency);
        s->proven[i]++;
        s->slower[i] += samples[0].is_proven && median(one->together_s, one->n) > base_s;
    }
    if (s->speaks) {
        (void)fflush(s->what->out);
    }
}

static bool is_stopped(const scaling *s, bool *stopped, uap_status *rc, uap_err *err)
{
    int64_t asked = s->what->stop != NULL && *s->what->stop != 0;
    *rc = uap_comm_allreduce_i64(s->comm, &asked, 1, UAP_COMM_MAX, err);
    *stopped = *rc != UAP_OK || asked != 0;
    return *stopped;
}

/* All runs of one case, interleaved, so that whatever else the machine does meets all
 * alike. */
static uap_status run_case(scaling *s, const uap_suite_case *what,
                           const uap_source *source, bool *broken, uap_err *err)
{
    uap_status rc = UAP_OK;
    sample *samples = uap_calloc(UAP_SCALING_MOST_COUNTS, sizeof *samples);
    int64_t value = INT64_MAX;
    bool stopped = false;
    rc = samples != NULL ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no memory for times");
    UAP_TRY(uap_comm_agree(s->comm, rc, err));
    for (int i = 0; i < s->what->n_ranks; i++) {
        samples[i].is_proven = true;
    }
    for (int64_t n = 0; n < s->what->repeats; n++) {
        for (int i = 0; i < s->what->n_ranks; i++) {
            outcome together, apart;
            if (is_stopped(s, &stopped, &rc, err)) {
                goto done;
            }
            UAP_LOG(INFO, GLOBAL, "%s: run %" PRId64 " of %" PRId64 ", %d rank%s",
                    what->name, n + 1, s->what->repeats, s->part[i].ranks,
                    s->part[i].ranks == 1 ? "" : "s");
            UAP_TRY(run_once(s, &s->part[i], source, true, &together, broken, err));
            apart = together;
            if (s->part[i].ranks > 1) {
                UAP_TRY(run_once(s, &s->part[i], source, false, &apart, broken, err));
            }
            const bool right =
                is_right(what, &together, &value) && is_right(what, &apart, &value);
            s->differs = s->differs || !right;
            add_run(&samples[i], &together, &apart);
        }
    }
done:
    if (rc == UAP_OK) {
        conclude(s, what->name, samples);
    }
    uap_free(samples);
    return rc;
}

static uap_status open_and_run(scaling *s, const uap_suite_case *what, bool *broken,
                               uap_err *err)
{
    uap_suite_problem problem;
    uap_status rc = uap_suite_open(what, &s->what->folders, &problem, err);
    UAP_TRY(uap_comm_agree(s->comm, rc, err));
    int64_t missing = problem.missing;
    UAP_TRY(uap_comm_allreduce_i64(s->comm, &missing, 1, UAP_COMM_MAX, err));
    if (missing == 0) {
        UAP_TRY(run_case(s, what, &problem.source, broken, err));
    } else if (s->speaks) {
        (void)fprintf(s->what->out, "%-26s skipped: no file %s\n", what->name,
                      problem.path);
    }
done:
    uap_suite_close(&problem);
    return rc;
}

static uap_status make_parts(scaling *s, uap_err *err)
{
    uap_status rc = UAP_OK;
    const int rank = uap_comm_rank(s->comm);
    UAP_TRY(uap_comm_split(s->comm, rank, 0, &s->alone, err));
    for (int i = 0; i < s->what->n_ranks; i++) {
        s->part[i].ranks = (int)s->what->ranks[i];
        UAP_TRY(uap_comm_split(s->comm, rank < s->part[i].ranks ? 0 : -1, 0,
                               &s->part[i].comm, err));
    }
done:
    return rc;
}

static void print_head(const scaling *s)
{
    (void)fprintf(
        s->what->out,
        "Each search %" PRId64
        " times by so many ranks together (wall seconds, median), each time followed by\n"
        "as many searches of one rank each side by side (apart, their mean). speed-up: "
        "the "
        "median of\napart / together; efficiency: per rank. nodes, idle share and "
        "steals: "
        "of all ranks, mean.\n\n"
        "%-26s %5s %9s %9s %8s %10s %8s %6s %7s\n",
        s->what->repeats, "case", "ranks", "together", "apart", "speed-up", "efficiency",
        "nodes", "idle %", "steals");
}

static void print_means(const scaling *s)
{
    (void)fprintf(s->what->out, "\n");
    for (int i = 0; i < s->what->n_ranks; i++) {
        if (s->proven[i] > 0) {
            (void)fprintf(s->what->out,
                          "%d rank%s: efficiency %.3f (geometric mean of %d cases), %.3f "
                          "at worst; %d slower than on %d\n",
                          s->part[i].ranks, s->part[i].ranks == 1 ? "" : "s",
                          exp(s->log_sum[i] / s->proven[i]), s->proven[i], s->least[i],
                          s->slower[i], s->part[0].ranks);
        }
    }
}

uap_status uap_scaling_run(const uap_comm *comm, const uap_scaling *what, bool *differs,
                           bool *broken, uap_err *err)
{
    uap_status rc = UAP_OK;
    bool stopped = false;
    scaling s = {.what = what, .comm = comm, .speaks = uap_comm_rank(comm) == 0};
    *differs = false;
    *broken = false;
    UAP_TRY(make_parts(&s, err));
    if (s.speaks) {
        print_head(&s);
    }
    for (int i = 0; i < what->n_cases && !is_stopped(&s, &stopped, &rc, err); i++) {
        UAP_TRY(open_and_run(&s, what->cases[i], broken, err));
    }
    if (s.speaks && rc == UAP_OK) {
        print_means(&s);
    }
    *differs = s.differs;
done:
    if (!*broken) {
        uap_comm_free(s.alone);
        for (int i = 0; i < what->n_ranks; i++) {
            uap_comm_free(s.part[i].comm);
        }
    }
    return rc;
}
