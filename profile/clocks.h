/* How fast a device's clock runs and whether something holds it back, as far as the system lets
 * one read it. It never sets anything. */
#ifndef UAP_PROFILE_CLOCKS_H
#define UAP_PROFILE_CLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_device_clocks {
    double mhz;        /* now; 0: not readable */
    int64_t throttles; /* times that heat slowed it down, ever; -1: not readable */
    bool is_held_back; /* now, by heat or power, where the device says so */
} uap_device_clocks;

/* Of the processor that this thread runs on: /sys/devices/system/cpu under `root` ("" is the
 * system's), else /proc/cpuinfo. Local. */
void uap_cpu_clocks(const char *root, int cpu, uap_device_clocks *out);

/* Of a GPU by its PCI bus id, through NVML, which is loaded when asked for first; nothing is
 * readable without it. Local. */
void uap_gpu_clocks(const char *bus_id, uap_device_clocks *out);

#ifdef __cplusplus
}
#endif
#endif
