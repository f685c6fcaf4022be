/* Clocks of GPUs through NVML, whose library comes with the driver: loaded at run time, with
 * prototypes of our own (NVML API reference, device queries). */
#include "profile/clocks.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#define LIBRARY_NAME "libnvidia-ml.so.1"

/* nvmlClockType_t: the multiprocessors'. */
#define CLOCK_SM 1

/* nvmlClocksEventReasons: software power cap, hardware slowdown, thermal slowdown by software
 * and by hardware, power brake. */
#define HELD_BACK (0x4ULL | 0x8ULL | 0x20ULL | 0x40ULL | 0x80ULL)

/* Every function answers 0 for success. */
typedef struct nvml {
    int (*init)(void);
    int (*by_bus_id)(const char *bus_id, void **device);
    int (*clock)(void *device, int type, unsigned *mhz);
    int (*reasons)(void *device, unsigned long long *bits);
    bool is_there;
} nvml;

/* POSIX's way to make a function pointer of dlsym's result. */
static bool find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

/* Never unloaded, and ended with the process. */
static const nvml *load(void)
{
    static nvml api;
    static bool was_tried;
    if (!was_tried) {
        was_tried = true;
        void *library = dlopen(LIBRARY_NAME, RTLD_NOW | RTLD_LOCAL);
        api.is_there =
            library != NULL && find(library, "nvmlInit_v2", &api.init) &&
            find(library, "nvmlDeviceGetHandleByPciBusId_v2", &api.by_bus_id) &&
            find(library, "nvmlDeviceGetClockInfo", &api.clock) &&
            find(library, "nvmlDeviceGetCurrentClocksThrottleReasons", &api.reasons) &&
            api.init() == 0;
    }
    return api.is_there ? &api : NULL;
}

void uap_gpu_clocks(const char *bus_id, uap_device_clocks *out)
{
    const nvml *api = load();
    void *device = NULL;
    unsigned mhz = 0;
    unsigned long long reasons = 0;
    *out = (uap_device_clocks){.throttles = -1};
    if (api == NULL || api->by_bus_id(bus_id, &device) != 0) {
        return;
    }
    if (api->clock(device, CLOCK_SM, &mhz) == 0) {
        out->mhz = (double)mhz;
    }
    out->is_held_back = api->reasons(device, &reasons) == 0 && (reasons & HELD_BACK) != 0;
}
