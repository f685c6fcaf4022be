/* Linux' lists of numbers ("0-3,8-11"), from Documentation/filesystems/proc.rst and
 * Documentation/ABI/stable/sysfs-devices-node. */
#include "profile/binding.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS_MAX 4096
#define PATH_BYTES  512

/* Which of the numbers 0 .. NUMBERS_MAX - 1 are in a list. */
typedef struct number_set {
    bool has[NUMBERS_MAX];
    int32_t n;
} number_set;

static void read_list(const char *text, number_set *out)
{
    memset(out, 0, sizeof *out);
    for (const char *at = text; isdigit((unsigned char)*at);) {
        char *end = NULL;
        const long first = strtol(at, &end, 10);
        const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        for (long i = first; i <= last && i < NUMBERS_MAX; i++) {
            out->n += !out->has[i];
            out->has[i] = true;
        }
        at = *end == ',' ? end + 1 : end;
    }
}

/* The line that begins with `name` (""; the first), behind it and blanks; false: there is none. */
static bool read_line(const char *path, const char *name, char *line, int bytes)
{
    FILE *file = fopen(path, "r");
    bool found = false;
    while (file != NULL && !found && fgets(line, bytes, file) != NULL) {
        found = strncmp(line, name, strlen(name)) == 0;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    if (found) {
        const char *value = line + strlen(name);
        value += strspn(value, " \t");
        memmove(line, value, strlen(value) + 1);
    }
    return found;
}

static bool read_set(const char *root, const char *path, const char *name,
                     number_set *out)
{
    char full[PATH_BYTES], line[8192];
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    const bool found = read_line(full, name, line, (int)sizeof line);
    read_list(found ? line : "", out);
    return found && out->n > 0;
}

/* The NUMA node of all of these processors, else -1; *is_near: a node of them is one of
 * `memory`. */
static int32_t node_of(const char *root, const number_set *processors,
                       const number_set *memory, bool *is_near)
{
    number_set nodes, own;
    int32_t found = 0, node = -1;
    *is_near = false;
    if (!read_set(root, "/sys/devices/system/node/online", "", &nodes)) {
        *is_near = true;
        return -1;
    }
    for (int32_t i = 0; i < NUMBERS_MAX; i++) {
        char path[PATH_BYTES];
        (void)snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist",
                       (int)i);
        if (!nodes.has[i] || !read_set(root, path, "", &own)) {
            continue;
        }
        bool has_some = false;
        for (int32_t p = 0; p < NUMBERS_MAX && !has_some; p++) {
            has_some = own.has[p] && processors->has[p];
        }
        if (has_some) {
            found++;
            node = i;
            *is_near = *is_near || memory->n == 0 || memory->has[i];
        }
    }
    *is_near = *is_near || found == 0;
    return found == 1 ? node : -1;
}

/* FNV-1a over the numbers (http://www.isthe.com/chongo/tech/comp/fnv/). */
static uint64_t hash_of(const number_set *set)
{
    uint64_t hash = 14695981039346656037u;
    for (int32_t i = 0; i < NUMBERS_MAX; i++) {
        if (set->has[i]) {
            hash = (hash ^ (uint64_t)i) * 1099511628211u;
        }
    }
    return hash;
}

/* What the kernel says of a slot: -1 where it does not know. */
static int32_t node_of_slot(const char *root, const char *bus_id)
{
    char path[PATH_BYTES], id[32] = "", line[64];
    for (size_t i = 0; bus_id[i] != '\0' && i + 1 < sizeof id; i++) {
        id[i] = (char)tolower((unsigned char)bus_id[i]);
    }
    (void)snprintf(path, sizeof path, "%s/sys/bus/pci/devices/%s/numa_node", root, id);
    return id[0] != '\0' && read_line(path, "", line, (int)sizeof line)
               ? (int32_t)strtol(line, NULL, 10)
               : -1;
}

void uap_binding_read(const char *root, const char *bus_id, uap_binding *out)
{
    number_set processors, memory, online;
    bool is_near = true;
    *out = (uap_binding){.numa_node = -1, .device_node = node_of_slot(root, bus_id)};
    if (!read_set(root, "/proc/self/status", "Cpus_allowed_list:", &processors)) {
        return;
    }
    (void)read_set(root, "/proc/self/status", "Mems_allowed_list:", &memory);
    (void)read_set(root, "/sys/devices/system/cpu/online", "", &online);
    out->set = hash_of(&processors);
    out->processors = processors.n;
    out->online = online.n;
    out->numa_node = node_of(root, &processors, &memory, &is_near);
    out->has_far_memory = !is_near;
}

bool uap_binding_is_far(const uap_binding *binding)
{
    return binding->has_far_memory ||
           (binding->numa_node >= 0 && binding->device_node >= 0 &&
            binding->numa_node != binding->device_node);
}

bool uap_binding_is_crowded(const uap_binding *binding, int32_t ranks)
{
    return binding->processors > 0 && ranks > binding->processors &&
           binding->online > binding->processors;
}
