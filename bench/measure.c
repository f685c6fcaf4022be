/* getrusage, the monotonic clock, and the peak of resident memory from /proc. */
#include "bench/measure.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>

/* Linux forgets the peak so far when 5 is written here; elsewhere the peak is that of the
 * whole run, which is then an upper bound. */
static void forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file != NULL) {
        (void)fputs("5", file);
        (void)fclose(file);
    }
}

static int64_t peak_bytes(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    int64_t kib = 0;
    char line[256];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        long long value;
        if (sscanf(line, "VmHWM: %lld kB", &value) == 1) {
            kib = value;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return kib * 1024;
}

uap_status uap_run_engine(uap_engine_fn *engine, const uap_source *source,
                          const uap_limits *limits, uap_run *run, uap_err *err)
{
    memset(run, 0, sizeof *run);
    forget_peak();
    const double cpu = uap_cpu_s();
    const double wall = uap_wall_s();
    const uap_status rc = engine(source, limits, &run->result, err);
    run->cpu_s = uap_cpu_s() - cpu;
    run->wall_s = uap_wall_s() - wall;
    run->peak_bytes = peak_bytes();
    return rc;
}

void uap_run_free(uap_run *run)
{
    if (run != NULL) {
        uap_result_free(&run->result);
        memset(run, 0, sizeof *run);
    }
}

const char *uap_outcome_name(uap_outcome outcome)
{
    switch (outcome) {
    case UAP_OUTCOME_OPTIMAL:
        return "optimal";
    case UAP_OUTCOME_FEASIBLE:
        return "feasible";
    case UAP_OUTCOME_INFEASIBLE:
        return "infeasible";
    case UAP_OUTCOME_UNKNOWN:
        break;
    }
    return "unknown";
}
