/* How far the closed forms are from the event simulation, as a table. */
#include "bench/bench_search.h"
#include "bench/sim_errors.h"

#define PIPELINES 3000

/* Gradient work as sim_errors.h has it. */
typedef struct work {
    double grad;
    bool is_late;
} work;

static void print_row(FILE *out, const char *schedule, double transfer, work w,
                      uap_sim_summary s)
{
    (void)fprintf(out,
                  "%-11s %-6s %6.1f f %4.0f %-4s %8.3f %% %8.2f %8.2f %8.2f %8.2f %8.2f "
                  "%7d %7d\n",
                  schedule, w.grad > 0.0 ? "V + E" : "V", transfer, w.grad,
                  w.is_late ? "pp p" : "p", 100.0 * s.mean_abs, 100.0 * s.least,
                  100.0 * s.p5, 100.0 * s.median, 100.0 * s.p95, 100.0 * s.largest,
                  s.above, s.below);
}

static uap_status print_schedule(const uap_bench_search *bench, uap_schedule schedule,
                                 uap_err *err)
{
    /* Transfers of half a stage's forward time, and of half its whole time. */
    static const double transfers[] = {0.5, 1.5};
    static const work works[] = {{0.0, false},  {1.0, false}, {3.0, false},
                                 {30.0, false}, {1.0, true},  {3.0, true}};
    uap_status rc = UAP_OK;
    uap_sim_errors errors = {0};
    for (int t = 0; t < 2; t++) {
        for (size_t w = 0; w < sizeof works / sizeof works[0]; w++) {
            const uap_sim_population population = {.seed = 20 + (uint64_t)schedule,
                                                   .pipelines = PIPELINES,
                                                   .transfer = transfers[t],
                                                   .grad = works[w].grad,
                                                   .is_late = works[w].is_late};
            const bool tail = works[w].grad > 0.0;
            UAP_TRY(uap_sim_errors_measure(schedule, &population, &errors, err));
            print_row(bench->out, uap_schedule_name(schedule), transfers[t], works[w],
                      uap_sim_summarise(tail ? errors.total : errors.span, errors.n));
            uap_sim_errors_free(&errors);
        }
    }
done:
    return rc;
}

uap_status uap_bench_simulation(const uap_bench_search *bench, bool *differs,
                                uap_err *err)
{
    uap_status rc = UAP_OK;
    (void)differs;
    (void)fprintf(
        bench->out,
        "== Closed forms against the event simulation ==\n"
        "Each row: %d random pipelines, pp 2-16, c 1-64, stages up to 60 %% apart, with\n"
        "and without recompute; transfers from 0 to x f (f: a stage's forward time), "
        "gradient\nwork from 0 to y p (p: forward + backward), or in the last stages, up "
        "to "
        "y pp p.\nErrors in %% of the simulated time.\n\n"
        "%-11s %-6s %8s %9s %10s %8s %8s %8s %8s %8s %7s %7s\n",
        PIPELINES, "schedule", "form", "transfer", "grad", "mean |e|", "least", "p5",
        "median", "p95", "largest", "above", "below");
    for (int i = 0; i < UAP_SCHEDULE_COUNT; i++) {
        UAP_TRY(print_schedule(bench, (uap_schedule)i, err));
    }
done:
    return rc;
}
