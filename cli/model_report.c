/* The tables of `uniap model`: layers folded into runs, then what is kept by TP degree. */
#include "cli/model_report.h"

#include "common/mem.h"

#include <stdio.h>
#include <string.h>

#define MIB  1048576.0
#define GIGA 1e9

/* Layers first, first + step, ..., of one shape. */
typedef struct run {
    int32_t first, step, count;
} run;

/* How many layers from `first` on, `step` apart, have the shape of the first. */
static int32_t run_length(const uap_model *model, int32_t first, int32_t step)
{
    int32_t count = 1;
    for (int32_t u = first + step; u < model->n_layers; u += step) {
        if (model->layer[u].shape != model->layer[first].shape) {
            break;
        }
        count++;
    }
    return count;
}

/* Folds neighbours of one shape, and attention and MLP that alternate, into runs; out has
 * room for n_layers. Returns their number. */
static int32_t fold(const uap_model *model, run *out)
{
    int32_t n = 0;
    for (int32_t u = 0; u < model->n_layers;) {
        const int32_t plain = run_length(model, u, 1);
        int32_t pairs = 0;
        if (plain == 1 && u + 1 < model->n_layers) {
            const int32_t even = run_length(model, u, 2);
            const int32_t odd = run_length(model, u + 1, 2);
            pairs = even < odd ? even : odd;
        }
        if (pairs > 1) {
            out[n++] = (run){u, 2, pairs};
            out[n++] = (run){u + 1, 2, pairs};
            u += 2 * pairs;
        } else {
            out[n++] = (run){u, 1, plain};
            u += plain;
        }
    }
    return n;
}

/* "1,234,567" */
static const char *grouped(int64_t value, char text[32])
{
    char digits[24];
    const int n = snprintf(digits, sizeof digits, "%lld", (long long)value);
    int used = 0;
    for (int i = 0; i < n; i++) {
        text[used++] = digits[i];
        if ((n - i) % 3 == 1 && i < n - 1) {
            text[used++] = ',';
        }
    }
    text[used] = '\0';
    return text;
}

/* "block.0 - block.31" */
static const char *run_name(const uap_model *model, const run *r, char text[104])
{
    const char *first = model->layer[r->first].name;
    if (r->count == 1) {
        (void)snprintf(text, 104, "%s", first);
    } else {
        (void)snprintf(text, 104, "%s - %s", first,
                       model->layer[r->first + (r->count - 1) * r->step].name);
    }
    return text;
}

/* Columns that the longest name of a run takes. */
static int name_width(const uap_model *model, const run *runs, int32_t n)
{
    char name[104];
    int width = 6;
    for (int32_t i = 0; i < n; i++) {
        const int used = (int)strlen(run_name(model, &runs[i], name));
        width = used > width ? used : width;
    }
    return width;
}

static void print_heading(const uap_model_report *report)
{
    const uap_model *model = report->model;
    char params[32];
    double flops = 0;
    for (int32_t u = 0; u < model->n_layers; u++) {
        flops += model->layer[u].flops;
    }
    (void)printf("%s: %s, %s\n", model->name, model->architecture, model->source);
    (void)printf("%s parameters, %.6g TFLOP forward per sample",
                 grouped(model->params, params), flops / 1e12);
    if (model->seq > 1) {
        (void)printf(" of %lld tokens%s", (long long)model->seq,
                     model->seq_is_assumed ? " (the training length; --seq sets another)"
                                           : "");
    }
    (void)printf("\n");
    (void)printf(
        "%d layers of %d shapes (%s granularity), %s: %d bytes an element\n\n",
        model->n_layers, model->n_shapes, report->is_operator ? "operator" : "block",
        uap_precision_name(report->precision), uap_precision_bytes(report->precision));
}

static void print_layers(const uap_model_report *report, const run *runs, int32_t n)
{
    const int width = name_width(report->model, runs, n);
    const uap_model *model = report->model;
    const int32_t bytes = uap_precision_bytes(report->precision);
    double flops = 0, kept = 0, input = 0;
    char name[104], params[32];
    (void)printf("Each layer, per sample: GFLOP forward; MiB kept for the backward pass, "
                 "MiB kept when\nrecomputed (its input; +sp divides that too), MiB of "
                 "output to the next layer\n");
    (void)printf("%-*s %-15s %5s %16s %10s %10s %10s %10s\n", width, "layers", "type",
                 "count", "parameters", "GFLOP", "kept", "recompute", "output");
    for (int32_t i = 0; i < n; i++) {
        const run *r = &runs[i];
        const uap_layer *layer = &model->layer[r->first];
        const double full = uap_layer_activation_bytes(layer, bytes, 1, false, false);
        const double less = uap_layer_activation_bytes(layer, bytes, 1, false, true);
        flops += layer->flops * r->count;
        kept += full * r->count;
        input += less * r->count;
        (void)printf("%-*s %-15s %5d %16s %10.3f %10.3f %10.3f %10.3f\n", width,
                     run_name(model, r, name), uap_layer_type_name(layer->type), r->count,
                     grouped(layer->params, params), layer->flops / GIGA, full / MIB,
                     less / MIB, layer->output_elems * bytes / MIB);
    }
    (void)printf("%-*s %-15s %5d %16s %10.3f %10.3f %10.3f\n\n", width, "all", "",
                 model->n_layers, grouped(model->params, params), flops / GIGA,
                 kept / MIB, input / MIB);
}

static void print_cell(const uap_layer *layer, int32_t bytes, int32_t tp, bool sp)
{
    if (!uap_layer_allows_tp(layer, tp)) {
        (void)printf(" %10s", "-");
        return;
    }
    (void)printf(" %10.3f",
                 uap_layer_activation_bytes(layer, bytes, tp, sp, false) / MIB);
}

static void print_by_degree(const uap_model_report *report, const run *runs, int32_t n)
{
    const int width = name_width(report->model, runs, n);
    const int32_t bytes = uap_precision_bytes(report->precision);
    char name[104];
    (void)printf("MiB kept per device by tensor-parallel degree; +sp: with sequence "
                 "parallelism\n%-*s",
                 width, "layers");
    for (int32_t i = 0; i < report->tp.n; i++) {
        char degree[24];
        (void)snprintf(degree, sizeof degree, "tp %d", (int)report->tp.value[i]);
        (void)printf(" %10s", degree);
        if (report->tp.value[i] > 1) {
            (void)printf(" %10s", "+sp");
        }
    }
    (void)printf("\n");
    for (int32_t i = 0; i < n; i++) {
        const uap_layer *layer = &report->model->layer[runs[i].first];
        (void)printf("%-*s", width, run_name(report->model, &runs[i], name));
        for (int32_t j = 0; j < report->tp.n; j++) {
            const int32_t tp = (int32_t)report->tp.value[j];
            print_cell(layer, bytes, tp, false);
            if (tp > 1) {
                print_cell(layer, bytes, tp, true);
            }
        }
        (void)printf("\n");
    }
}

static void print_live(const uap_model *model, const uap_model_live *live, int32_t bytes)
{
    (void)printf("\nthe output of %s is read by %s", model->layer[live->producer].name,
                 model->layer[live->reader[0]].name);
    if (live->n_readers > 1) {
        (void)printf(" to %s", model->layer[live->reader[live->n_readers - 1]].name);
    }
    (void)printf(": %.3f MiB", live->elems * bytes / MIB);
}

/* What links layers that are not neighbours. */
static void print_links(const uap_model_report *report)
{
    const uap_model *model = report->model;
    const int32_t bytes = uap_precision_bytes(report->precision);
    char params[32];
    for (int32_t i = 0; i < model->n_ties; i++) {
        const uap_layer *later = &model->layer[model->tie[i][1]];
        (void)printf("\n%s shares %s parameters with %s", later->name,
                     grouped(later->tied_params, params),
                     model->layer[model->tie[i][0]].name);
    }
    for (int32_t t = 0; t < model->n_live; t++) {
        print_live(model, &model->live[t], bytes);
    }
    if (model->n_ties > 0 || model->n_live > 0) {
        (void)printf("\n");
    }
}

uap_status uap_model_report_text(const uap_model_report *report, uap_err *err)
{
    run *runs = uap_calloc((size_t)report->model->n_layers, sizeof *runs);
    if (runs == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a table of layers");
    }
    const int32_t n = fold(report->model, runs);
    print_heading(report);
    print_layers(report, runs, n);
    print_by_degree(report, runs, n);
    print_links(report);
    uap_free(runs);
    return UAP_OK;
}
