/* Running and timing UTS trees over MPI. */
#include "bench/bench_uts.h"

#include "common/clock.h"
#include "common/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

uap_status uap_uts_run_tree(const uap_comm *comm, const uap_uts_tree *tree,
                            const uap_tree_options *options, uap_uts_run *run,
                            bool *broken, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_uts_count count = {.tree = tree};
    const uap_tree_problem problem = uap_uts_problem(&count);
    *run = (uap_uts_run){0};
    UAP_TRY(uap_comm_barrier(comm, err));
    const double start_s = uap_wall_s();
    UAP_TRY(uap_tree_search(comm, &problem, options, &run->search, broken, err));
    run->wall_s = uap_wall_s() - start_s;
    UAP_TRY(uap_comm_allreduce_f64(comm, &run->wall_s, 1, UAP_COMM_MAX, err));
    int64_t sums[2] = {run->search.stats.nodes, count.leaves};
    UAP_TRY(uap_comm_allreduce_i64(comm, sums, 2, UAP_COMM_SUM, err));
    run->nodes = sums[0];
    run->leaves = sums[1];
    run->most_depth = count.most_depth;
    UAP_TRY(uap_comm_allreduce_i64(comm, &run->most_depth, 1, UAP_COMM_MAX, err));
done:
    return rc;
}

void uap_uts_run_free(uap_uts_run *run)
{
    uap_tree_result_free(&run->search);
}

bool uap_uts_run_is_right(const uap_uts_tree *tree, const uap_uts_run *run)
{
    return run->nodes == tree->nodes && run->leaves == tree->leaves &&
           run->most_depth == tree->most_depth;
}

static int64_t messages_of(const uap_tree_stats *s)
{
    int64_t sum = 0;
    for (int tag = 0; tag < UAP_TAG_COUNT; tag++) {
        sum += s->sent[tag];
    }
    return sum;
}

static void print_ranks(FILE *out, const uap_tree_stats *all, int size)
{
    (void)fprintf(out, "\n%5s %12s %10s %8s %8s %8s %9s %6s %9s %8s\n", "rank", "nodes",
                  "Mnodes/s", "tried", "won", "given", "messages", "waves", "idle",
                  "first_us");
    for (int r = 0; r < size; r++) {
        const uap_tree_stats *s = &all[r];
        const double elapsed = (double)s->elapsed_ns;
        (void)fprintf(out,
                      "%5d %12" PRId64 " %10.3f %8" PRId64 " %8" PRId64 " %8" PRId64
                      " %9" PRId64 " %6" PRId64 " %8.3f%% %8.0f\n",
                      r, s->nodes, (double)s->nodes / elapsed * 1e3, s->steals_tried,
                      s->steals_won, s->steals_given, messages_of(s), s->waves,
                      100.0 * (double)s->idle_ns / elapsed,
                      (double)s->first_work_ns * 1e-3);
    }
}

static void print_run(const uap_bench_uts *bench, const uap_uts_run *run, int size)
{
    const uap_uts_tree *tree = bench->tree;
    FILE *out = bench->out;
    uap_tree_stats sum = {0};
    for (int r = 0; r < size; r++) {
        const uap_tree_stats *s = &run->search.all[r];
        sum.steals_tried += s->steals_tried;
        sum.steals_won += s->steals_won;
        sum.idle_ns += s->idle_ns;
        sum.elapsed_ns += s->elapsed_ns;
    }
    (void)fprintf(
        out,
        "%s on %d rank%s: %" PRId64 " nodes, %" PRId64 " leaves, depth %" PRId64 ": %s\n",
        tree->name, size, size == 1 ? "" : "s", run->nodes, run->leaves, run->most_depth,
        uap_uts_run_is_right(tree, run) ? "as published" : "WRONG");
    (void)fprintf(
        out,
        "%.3f s, %.3f Mnodes/s; steals tried %" PRId64 ", won %" PRId64
        "; idle %.3f %%\n",
        run->wall_s, (double)run->nodes / run->wall_s * 1e-6, sum.steals_tried,
        sum.steals_won,
        sum.elapsed_ns == 0 ? 0.0 : 100.0 * (double)sum.idle_ns / (double)sum.elapsed_ns);
    print_ranks(out, run->search.all, size);
}

/* Every rank searches the whole tree by itself. *rate: the sum of their nodes per second. */
static uap_status run_apart(const uap_comm *comm, const uap_comm *alone,
                            const uap_bench_uts *bench, double *rate, bool *right,
                            bool *broken, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_uts_run run = {0};
    UAP_TRY(uap_comm_barrier(comm, err));
    UAP_TRY(uap_uts_run_tree(alone, bench->tree, &bench->options, &run, broken, err));
    *rate = (double)run.nodes / run.wall_s;
    *right = *right && uap_uts_run_is_right(bench->tree, &run);
done:
    uap_uts_run_free(&run);
    if (!*broken) {
        rc = uap_comm_agree(comm, rc, err);
        if (rc == UAP_OK) {
            rc = uap_comm_allreduce_f64(comm, rate, 1, UAP_COMM_SUM, err);
        }
    }
    return rc;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *value, int64_t n)
{
    qsort(value, (size_t)n, sizeof *value, by_value);
    return n % 2 != 0 ? value[n / 2] : (value[n / 2 - 1] + value[n / 2]) / 2;
}

/* Pairs of runs, so that whatever else the machine does meets both alike. */
static uap_status compare(const uap_comm *comm, const uap_comm *alone,
                          const uap_bench_uts *bench, double *ratio, bool *right,
                          bool *broken, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_uts_run run = {0};
    const bool speaks = uap_comm_rank(comm) == 0;
    if (speaks) {
        (void)fprintf(bench->out, "\n%4s %18s %18s %8s   (Mnodes/s)\n", "pair",
                      "together", "apart, summed", "ratio");
    }
    for (int64_t i = 0; i < bench->compare; i++) {
        double apart = 0.0;
        UAP_TRY(uap_uts_run_tree(comm, bench->tree, &bench->options, &run, broken, err));
        const double together = (double)run.nodes / run.wall_s;
        *right = *right && uap_uts_run_is_right(bench->tree, &run);
        uap_uts_run_free(&run);
        UAP_TRY(run_apart(comm, alone, bench, &apart, right, broken, err));
        ratio[i] = together / apart;
        if (speaks) {
            (void)fprintf(bench->out, "%4" PRId64 " %18.3f %18.3f %8.4f\n", i + 1,
                          together * 1e-6, apart * 1e-6, ratio[i]);
            (void)fflush(bench->out);
        }
    }
    if (speaks) {
        (void)fprintf(bench->out, "median ratio %.4f\n", median(ratio, bench->compare));
    }
done:
    uap_uts_run_free(&run);
    return rc;
}

static uap_status run_pairs(const uap_comm *comm, const uap_bench_uts *bench, bool *right,
                            bool *broken, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_comm *alone = NULL;
    double *ratio = uap_calloc((size_t)bench->compare, sizeof *ratio);
    rc = ratio == NULL ? UAP_FAIL(err, NO_MEMORY, "no memory for ratios") : UAP_OK;
    UAP_TRY(uap_comm_agree(comm, rc, err));
    UAP_TRY(uap_comm_split(comm, uap_comm_rank(comm), 0, &alone, err));
    UAP_TRY(compare(comm, alone, bench, ratio, right, broken, err));
done:
    uap_comm_free(alone);
    uap_free(ratio);
    return rc;
}

uap_status uap_bench_uts_run(const uap_comm *comm, const uap_bench_uts *bench,
                             bool *differs, bool *broken, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_uts_run run = {0};
    bool right = false;
    *differs = false;
    UAP_TRY(uap_uts_run_tree(comm, bench->tree, &bench->options, &run, broken, err));
    right = uap_uts_run_is_right(bench->tree, &run);
    if (uap_comm_rank(comm) == 0) {
        print_run(bench, &run, uap_comm_size(comm));
        (void)fflush(bench->out);
    }
    if (bench->compare > 0) {
        UAP_TRY(run_pairs(comm, bench, &right, broken, err));
    }
    *differs = !right;
done:
    uap_uts_run_free(&run);
    return rc;
}
