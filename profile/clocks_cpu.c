/* Clocks of processors, from Linux' files (Documentation/admin-guide/pm/cpufreq.rst and
 * thermal_throttle in arch/x86/kernel/cpu/mce/therm_throt.c). */
#include "profile/clocks.h"

#include <inttypes.h>
#include <stdio.h>

/* A number of a file of one number, or -1. */
static int64_t read_number(const char *root, int cpu, const char *name)
{
    char path[512];
    int64_t value = -1;
    (void)snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%d/%s", root, cpu,
                   name);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        if (fscanf(file, "%" SCNd64, &value) != 1) {
            value = -1;
        }
        (void)fclose(file);
    }
    return value;
}

/* The "cpu MHz" of a processor, or 0. */
static double read_cpuinfo(const char *root, int cpu)
{
    char path[512], line[256];
    int at = -1;
    double mhz = 0, found = 0;
    (void)snprintf(path, sizeof path, "%s/proc/cpuinfo", root);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "processor : %d", &at) != 1 && at == cpu &&
            sscanf(line, "cpu MHz : %lf", &mhz) == 1) {
            found = mhz;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

void uap_cpu_clocks(const char *root, int cpu, uap_device_clocks *out)
{
    const int64_t khz = read_number(root, cpu, "cpufreq/scaling_cur_freq");
    out->mhz = khz > 0 ? (double)khz / 1e3 : read_cpuinfo(root, cpu);
    out->throttles = read_number(root, cpu, "thermal_throttle/core_throttle_count");
    out->is_held_back = false;
}
