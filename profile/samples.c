/* A text that grows by a line for every series of times. */
#include "profile/samples.h"

#include "common/file.h"
#include "common/mem.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct uap_samples {
    char *text; /* [room] */
    size_t used, room;
    bool failed; /* no memory: the rest is lost */
    char what[160];
    uap_survey_machine machine;
};

uap_status uap_samples_new(uap_samples **out, uap_err *err)
{
    *out = uap_calloc(1, sizeof **out);
    return *out != NULL ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no memory for samples");
}

void uap_samples_free(uap_samples *samples)
{
    if (samples != NULL) {
        uap_free(samples->text);
        uap_free(samples);
    }
}

void uap_samples_name(uap_samples *samples, const char *what)
{
    if (samples != NULL) {
        (void)snprintf(samples->what, sizeof samples->what, "%s", what);
    }
}

#define PIECE_MAX 512

/* At most PIECE_MAX bytes, by printf's rules. */
static void append(uap_samples *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append(uap_samples *s, const char *format, ...)
{
    va_list values;
    if (s->used + PIECE_MAX > s->room && !s->failed) {
        const size_t room = s->room == 0 ? 65536 : 2 * s->room;
        char *grown = uap_realloc(s->text, room, 1);
        s->failed = grown == NULL;
        s->text = grown != NULL ? grown : s->text;
        s->room = grown != NULL ? room : s->room;
    }
    if (s->failed) {
        return;
    }
    va_start(values, format);
    const int n = vsnprintf(s->text + s->used, PIECE_MAX, format, values);
    va_end(values);
    s->used += n > 0 ? (size_t)n : 0;
}

/* JSON has no infinity: what was not answered is null. */
static void append_seconds(uap_samples *s, double seconds)
{
    if (isfinite(seconds)) {
        append(s, "%.9g", seconds);
    } else {
        append(s, "null");
    }
}

void uap_samples_add(uap_samples *samples, double bytes, const double *seconds, int64_t n)
{
    if (samples == NULL) {
        return;
    }
    append(samples, "{\"what\": \"%s\", ", samples->what);
    if (bytes > 0) {
        append(samples, "\"bytes\": %.0f, ", bytes);
    }
    append(samples, "\"seconds\": [");
    for (int64_t i = 0; i < n; i++) {
        append(samples, i > 0 ? ", " : "");
        append_seconds(samples, seconds[i]);
    }
    append(samples, "]}\n");
}

static void add_round(uap_samples *s, uap_round_kind kind, const uap_order *order,
                      const uap_sample *sample, int32_t n)
{
    append(s, "{\"what\": \"survey, %s\", \"samples\": [", uap_round_kind_name(kind));
    for (int32_t i = 0; i < n; i++) {
        append(s, "%s[%d, ", i > 0 ? ", " : "", (int)order[i].device);
        if (order[i].to == UAP_NOBODY) {
            append(s, "null, ");
        } else {
            append(s, "%d, ", (int)order[i].to);
        }
        append_seconds(s, (double)sample[i].latency_s);
        append(s, ", ");
        append_seconds(s, (double)sample[i].seconds);
        append(s, "]");
    }
    append(s, "]}\n");
}

static uap_status measure(void *self, uap_round_kind kind, const uap_order *order,
                          uap_sample *sample, int32_t n, uap_err *err)
{
    uap_samples *s = self;
    uap_status rc = s->machine.measure(s->machine.self, kind, order, sample, n, err);
    if (rc == UAP_OK) {
        add_round(s, kind, order, sample, n);
    }
    return rc;
}

static double elapsed_s(void *self)
{
    const uap_samples *s = self;
    return s->machine.elapsed_s(s->machine.self);
}

uap_survey_machine uap_samples_of_survey(uap_samples *samples,
                                         const uap_survey_machine *machine)
{
    if (samples == NULL) {
        return *machine;
    }
    samples->machine = *machine;
    return (uap_survey_machine){.self = samples,
                                .measure = measure,
                                .elapsed_s =
                                    machine->elapsed_s != NULL ? elapsed_s : NULL};
}

uap_status uap_samples_save(const uap_samples *samples, const uap_comm *comm,
                            const char *path, uap_err *err)
{
    uap_status rc =
        samples->failed ? UAP_FAIL(err, NO_MEMORY, "no memory for samples") : UAP_OK;
    char *all = NULL;
    size_t *offset = NULL;
    UAP_TRY(uap_comm_agree(comm, rc, err));
    UAP_TRY(uap_comm_gather(comm, samples->text, samples->used, &all, &offset, err));
    if (uap_comm_rank(comm) == 0) {
        rc = uap_file_write(path, all, offset[uap_comm_size(comm)], err);
    }
    rc = uap_comm_agree(comm, rc, err);
done:
    uap_free(offset);
    uap_free(all);
    return rc;
}
