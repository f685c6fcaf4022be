/* Without hwloc nothing is known (cli/machine.h). */
#include "cli/machine.h"

void uap_machine_look(uap_machine *out)
{
    *out = (uap_machine){0};
}
