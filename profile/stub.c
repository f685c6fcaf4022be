/* Faults from text, and the times that they make. */
#include "profile/stub.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEVICE_S  1.0
#define LATENCY_S 10e-6
#define LONG_S    1e-3

static const struct {
    const char *name;
    int numbers; /* behind the name */
} kinds[] = {
    [UAP_STUB_DEVICE] = {"device", 2}, [UAP_STUB_LINK] = {"link", 2},
    [UAP_STUB_PAIR] = {"pair", 3},     [UAP_STUB_LATE] = {"late", 2},
    [UAP_STUB_HANG] = {"hang", 2},     [UAP_STUB_ERROR] = {"error", 1},
    [UAP_STUB_STALL] = {"stall", 2},   [UAP_STUB_FAIL] = {"fail", 1},
};

#define N_KINDS ((int)(sizeof kinds / sizeof kinds[0]))

/* One fault, up to a comma or the end; false: not understood. */
static bool read_fault(const char **at, uap_stub_fault *out)
{
    const size_t name_n = strcspn(*at, ":,");
    double number[3] = {0, 0, 0};
    int kind = 0;
    while (kind < N_KINDS && (strlen(kinds[kind].name) != name_n ||
                              strncmp(*at, kinds[kind].name, name_n) != 0)) {
        kind++;
    }
    if (kind == N_KINDS) {
        return false;
    }
    *at += name_n;
    for (int i = 0; i < kinds[kind].numbers; i++) {
        char *end = NULL;
        if (**at != ':') {
            return false;
        }
        number[i] = strtod(*at + 1, &end);
        if (end == *at + 1 || !(number[i] >= 0 && number[i] < 1e9)) {
            return false;
        }
        *at = end;
    }
    const bool is_pair = kind == UAP_STUB_PAIR;
    *out = (uap_stub_fault){.kind = (uap_stub_kind)kind,
                            .a = (int32_t)number[0],
                            .b = is_pair ? (int32_t)number[1] : UAP_NOBODY,
                            .value = is_pair ? number[2] : number[1]};
    return **at == ',' || **at == '\0';
}

uap_status uap_stub_parse(const char *text, uap_stub *out, uap_err *err)
{
    const char *at = text;
    *out = (uap_stub){.n = 0};
    while (*at != '\0') {
        if (out->n == UAP_STUB_FAULTS_MAX || !read_fault(&at, &out->fault[out->n]) ||
            strcmp(at, ",") == 0) {
            return UAP_FAIL(
                err, BAD_USAGE,
                "stub faults '%.80s': found '%.40s', expected device:A:TIMES, "
                "link:A:TIMES, pair:A:B:TIMES, late:A:TIMES, hang:A:SECONDS, error:A, "
                "stall:A:SECONDS or fail:A, at most %d of them",
                text, at, UAP_STUB_FAULTS_MAX);
        }
        out->n++;
        at += *at == ',';
    }
    return UAP_OK;
}

/* Within 1 % of 1, different from flow to flow and the same every time. */
static double wobble(int32_t a, int32_t b)
{
    const uint32_t mixed = ((uint32_t)a * 2654435761u) ^ ((uint32_t)b * 40503u + 17u);
    return 1 + 0.01 * ((double)(mixed % 2001) / 1000 - 1);
}

static void hang(uap_stub *stub, double seconds)
{
    const struct timespec nap = {.tv_sec = (time_t)seconds,
                                 .tv_nsec = (long)(1e9 * (seconds - floor(seconds)))};
    if (!stub->has_hung) {
        stub->has_hung = true;
        (void)nanosleep(&nap, NULL);
    }
}

/* How one fault changes what the device of the order reports. */
static void apply(uap_stub *stub, const uap_stub_fault *f, uap_round_kind kind,
                  const uap_order *o, uap_sample *sample, bool *failed)
{
    const bool is_own = f->a == o->device, is_peers = f->a == o->to;
    const float times = (float)f->value;
    switch (f->kind) {
    case UAP_STUB_DEVICE:
        sample->seconds *= is_own && kind == UAP_ROUND_DEVICES ? times : 1;
        break;
    case UAP_STUB_LINK:
        sample->seconds *= (is_own || is_peers) && kind != UAP_ROUND_DEVICES ? times : 1;
        break;
    case UAP_STUB_PAIR:
        sample->seconds *= is_own && f->b == o->to ? times : 1;
        break;
    case UAP_STUB_LATE:
        sample->latency_s *= is_own || is_peers ? times : 1;
        break;
    case UAP_STUB_HANG:
        if (is_own) {
            hang(stub, f->value);
        }
        break;
    case UAP_STUB_ERROR:
        *failed = *failed || is_own;
        break;
    case UAP_STUB_STALL:
    case UAP_STUB_FAIL:
        break; /* not in the survey */
    }
}

void uap_stub_sample(uap_stub *stub, uap_round_kind kind, const uap_order *order,
                     uap_sample *sample, bool *failed)
{
    const double w = wobble(order->device, order->to);
    const double seconds = kind == UAP_ROUND_DEVICES ? DEVICE_S : LONG_S;
    *sample = (uap_sample){.latency_s = (float)(LATENCY_S * w),
                           .seconds = (float)(seconds * w)};
    *failed = false;
    for (int32_t i = 0; i < stub->n; i++) {
        apply(stub, &stub->fault[i], kind, order, sample, failed);
    }
}

double uap_stub_slowness(const uap_stub *stub, int32_t device)
{
    double times = 1;
    for (int32_t i = 0; i < stub->n; i++) {
        const uap_stub_fault *f = &stub->fault[i];
        times *= f->kind == UAP_STUB_DEVICE && f->a == device ? f->value : 1;
    }
    return times;
}

double uap_stub_stall_s(const uap_stub *stub, int32_t device)
{
    double seconds = 0;
    for (int32_t i = 0; i < stub->n; i++) {
        const uap_stub_fault *f = &stub->fault[i];
        seconds += f->kind == UAP_STUB_STALL && f->a == device ? f->value : 0;
    }
    return seconds;
}

bool uap_stub_fails(const uap_stub *stub, int32_t device)
{
    for (int32_t i = 0; i < stub->n; i++) {
        const uap_stub_fault *f = &stub->fault[i];
        if (f->kind == UAP_STUB_FAIL && f->a == device) {
            return true;
        }
    }
    return false;
}
