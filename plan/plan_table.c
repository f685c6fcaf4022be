/* The plan as a table. Numbers are rounded for reading; plan.json has them in full. */
#include "plan/plan_table.h"

#include <inttypes.h>
#include <string.h>

char *uap_text_seconds(double seconds, char text[UAP_QUANTITY_TEXT])
{
    static const struct {
        double below, scale;
        const char *unit;
    } units[] = {{1e-3, 1e6, "us"}, {1.0, 1e3, "ms"}};
    const char *unit = "s";
    double scale = 1.0;
    if (!(seconds >= 0)) {
        (void)snprintf(text, UAP_QUANTITY_TEXT, "-");
        return text;
    }
    for (size_t i = 0; i < 2 && scale == 1.0 && seconds > 0; i++) {
        if (seconds < units[i].below) {
            scale = units[i].scale;
            unit = units[i].unit;
        }
    }
    (void)snprintf(text, UAP_QUANTITY_TEXT, "%.4g %s", seconds * scale, unit);
    return text;
}

char *uap_text_bytes(int64_t bytes, char text[UAP_QUANTITY_TEXT])
{
    static const char *const unit[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double amount = (double)bytes;
    int i = 0;
    if (bytes < 0) {
        (void)snprintf(text, UAP_QUANTITY_TEXT, "-");
        return text;
    }
    while (amount >= 1024 && i < 6) {
        amount /= 1024;
        i++;
    }
    (void)snprintf(text, UAP_QUANTITY_TEXT, i == 0 ? "%.0f %s" : "%.2f %s", amount,
                   unit[i]);
    return text;
}

static const char *or_dash(const char *text)
{
    return text != NULL ? text : "-";
}

static void print_headline(const uap_plan *plan, FILE *out)
{
    const char *status = uap_plan_status_name(plan->status);
    (void)fprintf(
        out, "Plan for %s",
        or_dash(plan->instance.name != NULL ? plan->instance.name : plan->model.name));
    if (plan->cluster.name != NULL) {
        (void)fprintf(out, " on %s", plan->cluster.name);
    }
    (void)fprintf(out, ": %s\n\n", status != NULL ? status : "hand-written");
}

/* "4 stages"; plurals end in `ending`. */
static void print_count(FILE *out, int64_t n, const char *noun, const char *ending)
{
    (void)fprintf(out, "%" PRId64 " %s%s", n, noun, n == 1 ? "" : ending);
}

/* Whether the stages have as many devices each. */
static bool has_equal_stages(const uap_plan *plan)
{
    bool equal = plan->device_count % plan->pp == 0;
    for (int32_t i = 0; i < plan->pp && equal; i++) {
        const uap_plan_stage *stage = &plan->stage[i];
        equal =
            stage->first_device < 0 || stage->device_ids != NULL ||
            stage->last_device - stage->first_device + 1 == plan->device_count / plan->pp;
    }
    return equal;
}

static void print_configuration(const uap_plan *plan, FILE *out)
{
    (void)fprintf(out, "configuration  %s, ", uap_schedule_name(plan->schedule));
    print_count(out, plan->pp, "stage", "s");
    if (plan->device_count > 0) {
        const bool alike = has_equal_stages(plan);
        (void)fprintf(out, alike ? " of " : " on ");
        print_count(out, alike ? plan->device_count / plan->pp : plan->device_count,
                    "device", "s");
    }
    (void)fprintf(out, ", ");
    print_count(out, plan->micro_batches, "micro-batch", "es");
    if (plan->batch > 0) {
        (void)fprintf(out, " of ");
        print_count(out, plan->batch / plan->micro_batches, "sample", "s");
        (void)fprintf(out, " (batch %" PRId64 ")", plan->batch);
    }
    if (plan->seq > 0) {
        (void)fprintf(out, ", %" PRId64 " tokens each", plan->seq);
    }
    (void)fprintf(out, "\n");
}

static void print_value(const uap_plan *plan, FILE *out)
{
    char tpi[UAP_QUANTITY_TEXT], bound[UAP_QUANTITY_TEXT];
    (void)fprintf(out, "TPI            %s per iteration\n",
                  uap_text_seconds(plan->tpi_s, tpi));
    if (plan->throughput_samples_per_s >= 0) {
        (void)fprintf(out, "throughput     %.4g samples/s\n",
                      plan->throughput_samples_per_s);
    }
    if (plan->bound_s >= 0) {
        (void)fprintf(out, "bound          %s, gap %.3g %%\n",
                      uap_text_seconds(plan->bound_s, bound), 100 * plan->gap);
    }
}

static void print_stages(const uap_plan *plan, FILE *out)
{
    char time[UAP_QUANTITY_TEXT], transfer[UAP_QUANTITY_TEXT], once[UAP_QUANTITY_TEXT];
    char memory[UAP_QUANTITY_TEXT], cap[UAP_QUANTITY_TEXT], layers[32], devices[48];
    (void)fprintf(out, "\n%5s  %-9s  %-13s  %-12s  %10s  %10s  %10s  %10s  %10s\n",
                  "stage", "layers", "devices", "class", "time", "transfer", "iteration",
                  "memory", "limit");
    for (int32_t i = 0; i < plan->pp; i++) {
        const uap_plan_stage *stage = &plan->stage[i];
        (void)snprintf(layers, sizeof layers, "%d-%d", (int)stage->first_layer,
                       (int)stage->last_layer);
        (void)snprintf(devices, sizeof devices, "-");
        if (stage->device_ids != NULL) {
            (void)snprintf(devices, sizeof devices, "%.40s", stage->device_ids);
        } else if (stage->first_device >= 0) {
            (void)snprintf(devices, sizeof devices, "%" PRId64 "-%" PRId64,
                           stage->first_device, stage->last_device);
        }
        (void)fprintf(out, "%5d  %-9s  %-13s  %-12s  %10s  %10s  %10s  %10s  %10s\n",
                      (int)i, layers, devices, or_dash(stage->device_class),
                      uap_text_seconds(stage->time_s, time),
                      uap_text_seconds(stage->transfer_s, transfer),
                      uap_text_seconds(stage->per_iteration_s, once),
                      uap_text_bytes(stage->memory_bytes, memory),
                      uap_text_bytes(stage->memory_cap_bytes, cap));
    }
    (void)fprintf(out, "time and transfer are per micro-batch, iteration is what is paid "
                       "once; memory is per device\n");
}

static const char *layer_strategy(const uap_plan_layer *layer,
                                  char text[UAP_STRATEGY_NAME])
{
    return layer->strategy_name != NULL ? layer->strategy_name
                                        : uap_strategy_name(&layer->strategy, text);
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(or_dash(a), or_dash(b)) == 0;
}

/* Whether two layers can share a line. */
static bool alike(const uap_plan_layer *a, const uap_plan_layer *b)
{
    char name_a[UAP_STRATEGY_NAME], name_b[UAP_STRATEGY_NAME];
    return a->stage == b->stage && same_text(a->type, b->type) &&
           strcmp(layer_strategy(a, name_a), layer_strategy(b, name_b)) == 0;
}

static void print_layers(const uap_plan *plan, FILE *out)
{
    (void)fprintf(out, "\n%5s  %-9s  %5s  %-15s  %-24s  %s\n", "stage", "layers", "count",
                  "type", "strategy", "names");
    for (int32_t u = 0; u < plan->n_layers;) {
        const uap_plan_layer *layer = &plan->layer[u];
        char range[32], strategy[UAP_STRATEGY_NAME];
        int32_t end = u + 1;
        while (end < plan->n_layers && alike(layer, &plan->layer[end])) {
            end++;
        }
        (void)snprintf(range, sizeof range, "%d-%d", (int)u, (int)end - 1);
        (void)fprintf(out, "%5d  %-9s  %5d  %-15s  %-24s  %s", (int)layer->stage, range,
                      (int)(end - u), or_dash(layer->type),
                      layer_strategy(layer, strategy), or_dash(layer->name));
        if (end > u + 1) {
            (void)fprintf(out, " .. %s", or_dash(plan->layer[end - 1].name));
        }
        (void)fprintf(out, "\n");
        u = end;
    }
}

static void print_needs(const uap_plan *plan, FILE *out)
{
    (void)fprintf(out, "%s\n", or_dash(plan->reason));
}

static void print_search(const uap_plan *plan, FILE *out)
{
    const uap_plan_search *search = &plan->search;
    (void)fprintf(
        out,
        "\nsearch         %" PRId64 " configurations (%" PRId64 " illegal, %" PRId64
        " closed by a bound, %" PRId64 " do not fit), %" PRId64 " nodes, %" PRId64
        " labels\n               %.3f s, %.3f CPU s on %" PRId64 " rank%s, engine %s\n",
        search->configurations, search->illegal, search->pruned_by_bound,
        search->infeasible, search->nodes, search->labels, search->wall_s, search->cpu_s,
        search->ranks, search->ranks == 1 ? "" : "s", uap_engine_name(search->engine));
    if (search->programs > 0) {
        (void)fprintf(out,
                      "               many live tensors: %" PRId64
                      " linear programs, %" PRId64 " runs of CBC\n",
                      search->programs, search->cbc_runs);
    }
}

void uap_plan_print(const uap_plan *plan, FILE *out)
{
    print_headline(plan, out);
    if (plan->status == UAP_PLAN_INFEASIBLE) {
        print_needs(plan, out);
    } else {
        print_configuration(plan, out);
        print_value(plan, out);
        print_stages(plan, out);
        print_layers(plan, out);
    }
    if (plan->search.stated) {
        print_search(plan, out);
    }
    for (int32_t i = 0; i < plan->n_warnings; i++) {
        (void)fprintf(out, "warning        %s\n", plan->warning[i]);
    }
}
