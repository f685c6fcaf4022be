/* The machine through hwloc (cli/machine.h). */
#include "cli/machine.h"

#include <hwloc.h>

#define PCI_DISPLAY 0x03 /* the base class of VGA and 3D controllers */
#define PCI_NVIDIA  0x10de
#define PCI_AMD     0x1002

/* Controllers of servers' own screens are display devices too, by other makers. */
static int32_t count_gpus(hwloc_topology_t topology)
{
    int32_t n = 0;
    hwloc_obj_t at = NULL;
    while ((at = hwloc_get_next_pcidev(topology, at)) != NULL) {
        const struct hwloc_pcidev_attr_s *pci = &at->attr->pcidev;
        n += pci->class_id >> 8 == PCI_DISPLAY &&
             (pci->vendor_id == PCI_NVIDIA || pci->vendor_id == PCI_AMD);
    }
    return n;
}

void uap_machine_look(uap_machine *out)
{
    hwloc_topology_t topology;
    *out = (uap_machine){0};
    if (hwloc_topology_init(&topology) != 0) {
        return;
    }
    if (hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT) ==
            0 &&
        hwloc_topology_load(topology) == 0) {
        out->memory_bytes = (int64_t)hwloc_get_root_obj(topology)->total_memory;
        out->gpus = count_gpus(topology);
    }
    hwloc_topology_destroy(topology);
}
