/* What the targets of an export share. */
#include "configs/cluster.h"
#include "plan/export_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LIST_TEXT  200 /* bytes of a list of layers in a message */
#define MAX_VALUES 32  /* distinct degrees that are told apart in messages */

static int64_t dp_of(const uap_strategy *s)
{
    return s->dp;
}
static int64_t fsdp_of(const uap_strategy *s)
{
    return s->fsdp;
}
static int64_t tp_of(const uap_strategy *s)
{
    return s->tp;
}
static int64_t zero_of(const uap_strategy *s)
{
    return s->zero;
}
static int64_t sp_of(const uap_strategy *s)
{
    return s->sp;
}
static int64_t recompute_of(const uap_strategy *s)
{
    return s->recompute;
}

const uap_export_field uap_export_dp = {"dp", dp_of}, uap_export_fsdp = {"fsdp", fsdp_of},
                       uap_export_tp = {"tp", tp_of}, uap_export_zero = {"zero", zero_of},
                       uap_export_sp = {"sp", sp_of},
                       uap_export_recompute = {"recompute", recompute_of};

void uap_export_print(uap_exporter *x, const char *fmt, ...)
{
    va_list args;
    char text[256];
    va_start(args, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < sizeof text);
    if (!uap_bytes_put(&x->out->text, text, (size_t)n)) {
        x->no_memory = true;
    }
}

__attribute__((format(printf, 3, 0))) static void add_line(uap_export *out,
                                                           const char *subject,
                                                           const char *fmt, va_list args)
{
    out->n_refusals++;
    if (out->n_lines < UAP_EXPORT_MAX_LINES) {
        char *line = out->line[out->n_lines++];
        const int used = snprintf(line, UAP_EXPORT_TEXT, "%s", subject);
        assert(used >= 0 && used < UAP_EXPORT_TEXT);
        (void)vsnprintf(line + used, UAP_EXPORT_TEXT - (size_t)used, fmt, args);
    }
}

void uap_export_refuse(uap_exporter *x, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_line(x->out, "", fmt, args);
    va_end(args);
}

void uap_export_note(uap_exporter *x, const char *note)
{
    uap_export *out = x->out;
    assert(out->n_notes < (int32_t)(sizeof out->note / sizeof out->note[0]));
    out->note[out->n_notes++] = note;
}

/* Appends to a text that may be full; false: it is. */
static bool append(char text[LIST_TEXT], const char *more)
{
    const size_t used = strlen(text), n = strlen(more);
    if (used + n >= LIST_TEXT) {
        return false;
    }
    memcpy(text + used, more, n + 1);
    return true;
}

/* The run of marked layers from u; returns its last one. */
static int32_t run_of(const uap_exporter *x, int32_t u)
{
    while (u + 1 < x->plan->n_layers && x->marked[u + 1]) {
        u++;
    }
    return u;
}

static const char *name_of(const uap_exporter *x, int32_t u)
{
    const uap_plan_layer *layer = &x->plan->layer[u];
    return layer->name != NULL ? layer->name : layer->type;
}

/* "0, 5-8" into `numbers` and "embedding, block.4 .. block.7" into `names`; what is too long
 * ends in "...". Forgets the marks. */
static void list_marked(uap_exporter *x, char numbers[LIST_TEXT], char names[LIST_TEXT])
{
    bool full = false;
    numbers[0] = names[0] = '\0';
    for (int32_t u = 0; u < x->plan->n_layers; u++) {
        if (!x->marked[u]) {
            continue;
        }
        const int32_t last = run_of(x, u);
        char number[32], name[LIST_TEXT / 2];
        const char *comma = numbers[0] != '\0' ? ", " : "";
        if (last == u) {
            (void)snprintf(number, sizeof number, "%s%d", comma, (int)u);
            (void)snprintf(name, sizeof name, "%s%s", comma, name_of(x, u));
        } else {
            (void)snprintf(number, sizeof number, "%s%d-%d", comma, (int)u, (int)last);
            (void)snprintf(name, sizeof name, "%s%s %s %s", comma, name_of(x, u),
                           last == u + 1 ? "and" : "..", name_of(x, last));
        }
        const bool has_room = strlen(numbers) + 48 < LIST_TEXT &&
                              strlen(names) + strlen(name) + 8 < LIST_TEXT;
        if (!full && (!has_room || !append(numbers, number) || !append(names, name))) {
            full = true;
            (void)append(numbers, ", ...");
            (void)append(names, ", ...");
        }
        for (; u <= last; u++) {
            x->marked[u] = false;
        }
        u = last;
    }
}

void uap_export_refuse_marked(uap_exporter *x, const char *fmt, ...)
{
    char numbers[LIST_TEXT], names[LIST_TEXT], subject[2 * LIST_TEXT + 32];
    list_marked(x, numbers, names);
    if (numbers[0] == '\0') {
        return;
    }
    va_list args;
    va_start(args, fmt);
    (void)snprintf(subject, sizeof subject,
                   "layer%s %s (%s): ", strpbrk(numbers, ",-") != NULL ? "s" : "",
                   numbers, names);
    add_line(x->out, subject, fmt, args);
    va_end(args);
}

/* The distinct values of a field, the most frequent first. */
typedef struct values {
    int n;
    int64_t value[MAX_VALUES], count[MAX_VALUES];
} values;

static void count_value(values *v, int64_t value)
{
    int k = 0;
    while (k < v->n && v->value[k] != value) {
        k++;
    }
    if (k == MAX_VALUES) {
        return; /* said together with another value's line */
    }
    if (k == v->n) {
        v->value[v->n++] = value;
        v->count[k] = 0;
    }
    v->count[k]++;
}

static int64_t most_frequent(const values *v)
{
    int best = 0;
    for (int k = 1; k < v->n; k++) {
        best = v->count[k] > v->count[best] ? k : best;
    }
    return v->value[best];
}

int64_t uap_export_same(uap_exporter *x, const uap_export_field *field,
                        const char *option, bool every)
{
    values v = {.n = 0};
    for (int32_t u = 0; u < x->plan->n_layers; u++) {
        if (every || !uap_export_is_end(x, u)) {
            count_value(&v, field->of(uap_export_strategy(x, u)));
        }
    }
    if (v.n == 0) {
        return 0;
    }
    const int64_t usual = most_frequent(&v);
    for (int k = 0; k < v.n; k++) {
        if (v.value[k] == usual) {
            continue;
        }
        for (int32_t u = 0; u < x->plan->n_layers; u++) {
            x->marked[u] = (every || !uap_export_is_end(x, u)) &&
                           field->of(uap_export_strategy(x, u)) == v.value[k];
        }
        uap_export_refuse_marked(
            x, "%s %" PRId64 ", but usually %" PRId64 "; %s has one %s for all layers",
            field->name, v.value[k], usual, x->framework, option);
    }
    return usual;
}

uap_strategy uap_export_one_strategy(uap_exporter *x, const uap_export_names *names)
{
    return (uap_strategy){
        .dp = (int32_t)uap_export_same(x, &uap_export_dp, names->dp, true),
        .fsdp = (int32_t)uap_export_same(x, &uap_export_fsdp, names->fsdp, true),
        .tp = (int32_t)uap_export_same(x, &uap_export_tp, names->tp, true),
        .zero = (int8_t)uap_export_same(x, &uap_export_zero, names->zero, true),
        .sp = uap_export_same(x, &uap_export_sp, names->sp, true) != 0};
}

int64_t uap_export_samples(const uap_exporter *x, const uap_strategy *s)
{
    return x->samples / ((int64_t)s->dp * s->fsdp);
}

static bool is_plain(uap_layer_type type, bool cross)
{
    switch (type) {
    case UAP_LAYER_EMBEDDING:
    case UAP_LAYER_BLOCK:
    case UAP_LAYER_ATTENTION:
    case UAP_LAYER_MLP:
    case UAP_LAYER_HEAD:
        return true;
    case UAP_LAYER_CROSS_BLOCK:
    case UAP_LAYER_CROSS_ATTENTION:
        return cross;
    default:
        return false;
    }
}

/* Whether layer u and the next one are the halves of a block. */
static bool is_half(const uap_exporter *x, int32_t u)
{
    return (x->type[u] == UAP_LAYER_ATTENTION ||
            x->type[u] == UAP_LAYER_CROSS_ATTENTION) &&
           u + 1 < x->plan->n_layers && x->type[u + 1] == UAP_LAYER_MLP;
}

static bool same_strategy(const uap_strategy *a, const uap_strategy *b)
{
    return a->dp == b->dp && a->fsdp == b->fsdp && a->tp == b->tp && a->zero == b->zero &&
           a->sp == b->sp && a->recompute == b->recompute;
}

/* A block of two halves is one block of the framework's. */
static void check_halves(uap_exporter *x, int32_t u)
{
    if (x->plan->layer[u].stage != x->plan->layer[u + 1].stage) {
        x->marked[u] = x->marked[u + 1] = true;
        uap_export_refuse_marked(
            x, "attention and MLP in two stages; stages of %s hold whole blocks",
            x->framework);
    } else if (!same_strategy(uap_export_strategy(x, u), uap_export_strategy(x, u + 1))) {
        x->marked[u] = x->marked[u + 1] = true;
        uap_export_refuse_marked(
            x, "unlike strategies of attention and MLP; %s has one for a block",
            x->framework);
    }
}

static void check_chain(uap_exporter *x, bool cross)
{
    const int32_t n = x->plan->n_layers;
    for (int32_t u = 0; u < n; u++) {
        x->marked[u] = !is_plain(x->type[u], cross) ||
                       (x->type[u] == UAP_LAYER_EMBEDDING && u > 0 && !cross) ||
                       (x->type[u] == UAP_LAYER_HEAD && u + 1 < n) ||
                       (u == 0 && x->type[u] != UAP_LAYER_EMBEDDING) ||
                       (u + 1 == n && x->type[u] != UAP_LAYER_HEAD);
    }
    uap_export_refuse_marked(
        x,
        "the export to %s knows models of an embedding, blocks%s and "
        "a head",
        x->framework, cross ? " (also with cross-attention)" : "");
    for (int32_t u = 0; u < n; u++) {
        x->marked[u] = uap_export_is_end(x, u) && uap_export_strategy(x, u)->recompute;
    }
    uap_export_refuse_marked(x, "recompute; %s recomputes transformer blocks only",
                             x->framework);
}

void uap_export_find_blocks(uap_exporter *x, bool cross)
{
    check_chain(x, cross);
    for (int32_t u = 0; u < x->plan->n_layers; u++) {
        if (uap_export_is_end(x, u)) {
            continue;
        }
        const int32_t last = is_half(x, u) ? u + 1 : u;
        if (last > u) {
            check_halves(x, u);
        }
        x->block[x->n_blocks++] = (uap_export_block){u, last};
        x->stage_blocks[x->plan->layer[u].stage]++;
        x->stage_recomputes[x->plan->layer[u].stage] +=
            uap_export_strategy(x, u)->recompute;
        u = last;
    }
}

void uap_export_schedule(uap_exporter *x, uap_schedule one, uap_schedule other,
                         const char *option)
{
    const uap_schedule found = x->plan->schedule;
    if (x->plan->pp > 1 && found != one && found != other) {
        uap_export_refuse(x, "layers 0-%d: schedule %s; %s has %s%s%s (%s)",
                          (int)x->plan->n_layers - 1, uap_schedule_name(found),
                          x->framework, uap_schedule_name(one),
                          one == other ? "" : " and ",
                          one == other ? "" : uap_schedule_name(other), option);
    }
}

const char *uap_export_precision(const uap_exporter *x)
{
    return uap_precision_name(x->plan->options.cost.precision);
}
