/* Whole searches: the nine model-environment pairs of Table 1 of UniAP (Lin et al., CVPR
 * 2025), each with CBC beside it on its best configuration, and Llama-3.1-405B on clusters
 * of more than ten thousand devices. */
#include "bench/bench_case.h"

#include <math.h>

#define GIB         ((int64_t)1 << 30)
#define TICKS_PER_S ((double)UAP_TICKS_PER_SECOND)

typedef struct pair {
    const char *model, *cluster, *label;
    int64_t seq, batch;
    uap_precision precision;
} pair;

/* Batches and lengths of the paper's section 4.1; 0 is the model's own length. */
static const pair table1[] = {
    {"bert-huge", "env-a", "EnvA", 512, 32, UAP_FP32},
    {"t5-large", "env-a", "EnvA", 512, 16, UAP_FP32},
    {"vit-huge", "env-a", "EnvA", 0, 128, UAP_FP32},
    {"swin-huge", "env-a", "EnvA", 0, 128, UAP_FP32},
    {"bert-huge", "env-b", "EnvB", 512, 16, UAP_FP32},
    {"t5-large-16", "env-b", "EnvB", 512, 8, UAP_FP32},
    {"vit-huge", "env-b", "EnvB", 0, 64, UAP_FP32},
    {"swin-huge", "env-b", "EnvB", 0, 32, UAP_FP32},
    {"llama-7b", "env-c", "EnvC", 2048, 8, UAP_FP16},
};

static const pair large[] = {
    {"llama-3.1-405b", "h100-16384", "16384", 8192, 2048, UAP_BF16},
    {"llama-3.1-405b", "h100-12288", "12288", 8192, 2016, UAP_BF16},
    {"llama-3.1-405b", "h100-15360", "15360", 8192, 1920, UAP_BF16},
};

typedef enum form { FORM_PAPER, FORM_FULL } form;

static uap_case case_of(const pair *p, form f)
{
    const bool paper = f == FORM_PAPER;
    const uap_case result = {
        .model = p->model,
        .cluster = p->cluster,
        .label = p->label,
        .seq = p->seq,
        .options = {.batch = p->batch,
                    .precision = p->precision,
                    .optimizer = UAP_ADAM,
                    .cost = paper ? UAP_COST_PAPER : UAP_COST_FULL,
                    .schedules = 1u << (paper ? UAP_SCHEDULE_GPIPE : UAP_SCHEDULE_1F1B),
                    .space = paper ? UAP_SPACE_PAPER : UAP_SPACE_ALL,
                    .reserve_bytes = GIB}};
    return result;
}

static void print_plan(FILE *out, const pair *p, const char *form_name,
                       const uap_case_run *r)
{
    const uap_search_stats *s = &r->run.result.stats;
    (void)fprintf(out, "%-14s %-6s %-5s %-10s %4d %4d ", p->model, p->label, form_name,
                  uap_outcome_name(r->run.result.outcome), r->configurations,
                  r->most_strategies);
    if (r->instance != NULL) {
        (void)fprintf(out, "%5d %5lld %10.6f ", r->best.pp,
                      (long long)r->best.micro_batches,
                      (double)r->run.result.value / TICKS_PER_S);
    } else {
        (void)fprintf(out, "%5s %5s %10s ", "-", "-", "-");
    }
    (void)fprintf(out, "%8.3f %8.3f  %5lld/%-5lld %6.3f %6.3f %6.3f %6.3f %9lld",
                  r->run.cpu_s, r->run.wall_s, (long long)s->pruned_by_bound,
                  (long long)s->solved, s->build_s, s->bound_s, s->fix_s, s->label_s,
                  (long long)s->labels);
}

/* CBC and the exact engine on the best configuration alone; the line's last columns. */
static uap_status compare_with_cbc(const uap_bench_search *bench, const uap_case_run *r,
                                   bool *differs, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_run exact = {0};
    uap_run cbc = {0};
    const uap_limits exact_limits = {.time_limit_s = bench->exact_limit_s,
                                     .stop = bench->stop};
    const uap_limits limits = {.time_limit_s = bench->cbc_limit_s, .stop = bench->stop};
    const uap_source source = uap_source_of_instance(r->instance);
    UAP_TRY(uap_run_engine(uap_exact_solve, &source, &exact_limits, &exact, err));
    UAP_TRY(uap_run_engine(uap_cbc_solve, &source, &limits, &cbc, err));
    const bool proven = cbc.result.outcome == UAP_OUTCOME_OPTIMAL;
    const double off = (double)(exact.result.value - cbc.result.value);
    const double room = 1e-6 * (double)exact.result.value;
    const bool agrees = cbc.result.outcome == UAP_OUTCOME_UNKNOWN ||
                        (off <= room && !(proven && off < -room));
    *differs = *differs || !agrees;
    (void)fprintf(bench->out, " | %7.4f %8.2f %-9s %s%-8.0f%s\n", exact.wall_s,
                  cbc.wall_s, proven ? "proven" : "cut off", proven ? "" : ">",
                  cbc.wall_s / fmax(exact.wall_s, 1e-6), agrees ? "" : " DIFFERS");
done:
    uap_run_free(&cbc);
    uap_run_free(&exact);
    return rc;
}

static uap_status run_pair(const uap_bench_search *bench, const pair *p, form f,
                           bool with_cbc, bool *differs, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_case_run run;
    const uap_case what = case_of(p, f);
    UAP_TRY(uap_case_solve(bench, &what, &run, err));
    if (run.skipped) {
        return UAP_OK;
    }
    print_plan(bench->out, p, f == FORM_PAPER ? "paper" : "full", &run);
    if (with_cbc && run.instance != NULL) {
        (void)fflush(bench->out);
        UAP_TRY(compare_with_cbc(bench, &run, differs, err));
    } else {
        (void)fprintf(bench->out, " | peak %.0f MiB\n",
                      (double)run.run.peak_bytes / (1024.0 * 1024.0));
    }
done:
    uap_case_free(&run);
    return rc;
}

static void print_head(FILE *out, const char *last)
{
    (void)fprintf(out,
                  "%-14s %-6s %-5s %-10s %4s %4s %5s %5s %10s %8s %8s  %11s %6s %6s %6s "
                  "%6s %9s | %s\n",
                  "model", "on", "cost", "outcome", "conf", "S", "pp", "c", "TPI s",
                  "CPU s", "wall s", "pruned/exact", "build", "bound", "fix", "label",
                  "labels", last);
}

static bool stopped(const uap_bench_search *bench)
{
    return bench->stop != NULL && *bench->stop != 0;
}

uap_status uap_bench_table1(const uap_bench_search *bench, bool *differs, uap_err *err)
{
    uap_status rc = UAP_OK;
    (void)fprintf(
        bench->out,
        "== The nine model-environment pairs of UniAP's Table 1 ==\n"
        "paper: --cost paper --space paper --schedule gpipe; full: the defaults. "
        "conf: configurations,\nS: strategies of a layer at most. CPU and wall "
        "seconds from cost tables to proof; build, bound,\nfix and label are "
        "parts of it. Behind the bar: wall seconds of the exact engine and of "
        "CBC\n(cut off at %.0f s) on the best configuration alone, and their "
        "ratio. The paper: 22 to 137 s.\n\n",
        bench->cbc_limit_s);
    print_head(bench->out, "exact s    CBC s           ratio");
    for (size_t i = 0; i < sizeof table1 / sizeof table1[0]; i++) {
        for (int f = FORM_PAPER; f <= FORM_FULL && !stopped(bench); f++) {
            UAP_TRY(run_pair(bench, &table1[i], (form)f, true, differs, err));
        }
    }
done:
    return rc;
}

uap_status uap_bench_large(const uap_bench_search *bench, bool *differs, uap_err *err)
{
    uap_status rc = UAP_OK;
    (void)fprintf(
        bench->out,
        "== Llama-3.1-405B, sequence 8192, on ten thousand H100 and more ==\n"
        "Full defaults; batch 2048, 2016 and 1920. Peak: resident memory of the "
        "whole process.\n\n");
    print_head(bench->out, "memory");
    for (size_t i = 0; i < sizeof large / sizeof large[0] && !stopped(bench); i++) {
        UAP_TRY(run_pair(bench, &large[i], FORM_FULL, false, differs, err));
    }
done:
    return rc;
}
