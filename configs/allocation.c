/* The forms that Slurm writes are those of its manual pages sbatch(1) and srun(1), output
 * environment variables (Slurm 20.11 to 25.05). */
#include "configs/allocation.h"

#include "common/numbers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX 100000000 /* products of two stay far inside 64 bits */
#define MEBIBYTE  ((int64_t)1 << 20)

/* ---- Forms of values ----------------------------------------------------------------------- */

/* The whole number at *at, which moves behind it. */
static bool take_count(const char **at, int64_t *out)
{
    int64_t value = 0;
    const char *p = *at;
    if (*p < '0' || *p > '9') {
        return false;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        value = 10 * value + (*p - '0');
        if (value > COUNT_MAX) {
            return false;
        }
    }
    *at = p;
    *out = value;
    return true;
}

/* One item, "TYPE:TYPE:COUNT" with what is in brackets behind it. */
static bool take_item(const char **at, int64_t *out)
{
    const char *end = *at + strcspn(*at, ",(");
    for (const char *p = *at; p < end; p++) {
        if (*p == ':') {
            *at = p + 1; /* the count is the last part */
        }
    }
    if (!take_count(at, out)) {
        return false;
    }
    if (**at == '(') {
        *at = strchr(*at, ')');
        if (*at == NULL) {
            return false;
        }
        (*at)++;
    }
    return **at == ',' || **at == '\0';
}

bool uap_slurm_devices(const char *text, int64_t *out)
{
    int64_t sum = 0;
    for (const char *at = text;; at++) {
        int64_t count = 0;
        if (!take_item(&at, &count) || sum + count > COUNT_MAX) {
            return false;
        }
        sum += count;
        if (*at == '\0') {
            *out = sum;
            return true;
        }
    }
}

bool uap_slurm_ids(const char *text, int64_t *out)
{
    int64_t sum = 0;
    for (const char *at = text;; at++) {
        int64_t first = 0, last = 0;
        if (!take_count(&at, &first)) {
            return false;
        }
        last = first;
        if (*at == '-') {
            at++;
            if (!take_count(&at, &last) || last < first) {
                return false;
            }
        }
        sum += last - first + 1;
        if (*at == '\0') {
            *out = sum;
            return true;
        }
        if (*at != ',') {
            return false;
        }
    }
}

bool uap_slurm_shapes(const char *text, uap_node_shape shape[UAP_ALLOCATION_SHAPES],
                      int32_t *n)
{
    int32_t used = 0;
    for (const char *at = text;; at++) {
        uap_node_shape one = {.nodes = 1};
        if (!take_count(&at, &one.devices)) {
            return false;
        }
        if (strncmp(at, "(x", 2) == 0) {
            at += 2;
            if (!take_count(&at, &one.nodes) || one.nodes < 1 || *at++ != ')') {
                return false;
            }
        }
        if (used > 0 && shape[used - 1].devices == one.devices) {
            shape[used - 1].nodes += one.nodes;
        } else if (used < UAP_ALLOCATION_SHAPES) {
            shape[used++] = one;
        } else {
            return false;
        }
        if (*at == '\0') {
            *n = used;
            return true;
        }
        if (*at != ',') {
            return false;
        }
    }
}

/* ---- The variables --------------------------------------------------------------------------- */

typedef struct reader {
    uap_env_fn *get;
    void *context;
    uap_allocation *out;
} reader;

typedef bool form_fn(const char *text, int64_t *out);

static bool is_count(const char *text, int64_t *out)
{
    int64_t value = 0;
    if (!take_count(&text, &value) || *text != '\0') {
        return false;
    }
    *out = value;
    return true;
}

static void cannot_read(const reader *r, const char *name)
{
    if (r->out->unread == NULL) {
        r->out->unread = name;
    }
}

/* The variable's number; 0 where it is absent, or not of this form. */
static int64_t number(const reader *r, const char *name, form_fn *form)
{
    const char *text = r->get(r->context, name);
    int64_t value = 0;
    if (text != NULL && !form(text, &value)) {
        cannot_read(r, name);
    }
    return value;
}

/* Tasks node by node. */
static const char *read_tasks(const reader *r, uap_allocation *tasks)
{
    static const char by_node[] = "SLURM_TASKS_PER_NODE";
    static const char alike[] = "SLURM_NTASKS_PER_NODE";
    const char *text = r->get(r->context, by_node);
    if (text != NULL && uap_slurm_shapes(text, tasks->shape, &tasks->n_shapes)) {
        return by_node;
    }
    if (text != NULL) {
        cannot_read(r, by_node);
    }
    const int64_t each = number(r, alike, is_count);
    if (each == 0 || r->out->nodes == 0) {
        return NULL;
    }
    tasks->n_shapes = 1;
    tasks->shape[0] = (uap_node_shape){.nodes = r->out->nodes, .devices = each};
    return alike;
}

static void set_told(uap_allocation *out, uap_told told, const char *name)
{
    out->told = told;
    out->told_by = name;
    out->devices = 0;
    for (int32_t i = 0; i < out->n_shapes; i++) {
        out->devices += out->shape[i].nodes * out->shape[i].devices;
    }
}

/* So many devices on each node, where the variable says. */
static bool tell_alike(const reader *r, const char *name, form_fn *form)
{
    const int64_t each = number(r, name, form);
    uap_allocation *out = r->out;
    if (each == 0 || out->nodes == 0) {
        return false;
    }
    out->n_shapes = 1;
    out->shape[0] = (uap_node_shape){.nodes = out->nodes, .devices = each};
    set_told(out, UAP_TOLD_DEVICES, name);
    return true;
}

/* So many for each task. */
static bool tell_by_task(const reader *r)
{
    static const char name[] = "SLURM_GPUS_PER_TASK";
    uap_allocation *out = r->out;
    const int64_t each = number(r, name, uap_slurm_devices);
    uap_allocation tasks = {.nodes = 0};
    if (each == 0 || read_tasks(r, &tasks) == NULL) {
        return false;
    }
    out->n_shapes = tasks.n_shapes;
    for (int32_t i = 0; i < tasks.n_shapes; i++) {
        out->shape[i] = tasks.shape[i];
        out->shape[i].devices *= each;
    }
    set_told(out, UAP_TOLD_DEVICES, name);
    return true;
}

/* So many in all: spread evenly only where this node has its even share. */
static bool tell_total(const reader *r)
{
    static const char name[] = "SLURM_GPUS";
    uap_allocation *out = r->out;
    const int64_t all = number(r, name, uap_slurm_devices);
    if (all == 0) {
        return false;
    }
    const int64_t here = number(r, "SLURM_GPUS_ON_NODE", uap_slurm_devices);
    if (out->nodes > 0 && (out->nodes == 1 || here * out->nodes == all)) {
        out->n_shapes = 1;
        out->shape[0] =
            (uap_node_shape){.nodes = out->nodes, .devices = all / out->nodes};
    }
    out->told = UAP_TOLD_DEVICES;
    out->told_by = name;
    out->devices = all;
    return true;
}

static void read_devices(const reader *r)
{
    uap_allocation tasks = {.nodes = 0};
    if (tell_alike(r, "SLURM_GPUS_PER_NODE", uap_slurm_devices) || tell_by_task(r) ||
        tell_total(r) || tell_alike(r, "SLURM_GPUS_ON_NODE", uap_slurm_devices) ||
        tell_alike(r, "SLURM_JOB_GPUS", uap_slurm_ids)) {
        return;
    }
    const char *name = read_tasks(r, &tasks);
    if (name != NULL) {
        r->out->n_shapes = tasks.n_shapes;
        memcpy(r->out->shape, tasks.shape, sizeof tasks.shape);
        set_told(r->out, UAP_TOLD_TASKS, name);
    }
}

/* Slurm's MiB; 0 stands for all of a node's. */
static void read_memory(const reader *r)
{
    uap_allocation *out = r->out;
    int64_t each = number(r, "SLURM_MEM_PER_NODE", is_count);
    int64_t times = 1;
    if (each == 0) {
        each = number(r, "SLURM_MEM_PER_CPU", is_count);
        times = number(r, "SLURM_CPUS_ON_NODE", is_count);
    }
    if (each == 0 && out->told == UAP_TOLD_DEVICES && out->n_shapes > 0) {
        each = number(r, "SLURM_MEM_PER_GPU", is_count);
        times = out->shape[0].devices;
        for (int32_t i = 1; i < out->n_shapes; i++) {
            times = uap_min_i64(times, out->shape[i].devices);
        }
    }
    int64_t bytes = 0;
    if (!__builtin_mul_overflow(each * MEBIBYTE, times, &bytes)) {
        out->memory_bytes = bytes;
    }
}

void uap_allocation_read(uap_env_fn *get, void *context, uap_allocation *out)
{
    const reader r = {.get = get, .context = context, .out = out};
    *out = (uap_allocation){.node_list = get(context, "SLURM_JOB_NODELIST")};
    out->is_job = out->node_list != NULL || get(context, "SLURM_JOB_ID") != NULL;
    if (!out->is_job) {
        return;
    }
    out->nodes = number(&r, "SLURM_JOB_NUM_NODES", is_count);
    if (out->nodes == 0) {
        out->nodes = number(&r, "SLURM_NNODES", is_count);
    }
    read_devices(&r);
    read_memory(&r);
}

static const char *of_process(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

void uap_allocation_of_job(uap_allocation *out)
{
    uap_allocation_read(of_process, NULL, out);
}

/* ---- For people ------------------------------------------------------------------------------ */

const char *uap_allocation_text(const uap_allocation *allocation,
                                char text[UAP_ALLOCATION_TEXT])
{
    const char *what = allocation->told == UAP_TOLD_TASKS ? "tasks"
                       : allocation->told_by != NULL      ? "GPUs"
                                                          : "devices";
    size_t used = 0;
    text[0] = '\0';
    if (allocation->n_shapes == 0) {
        const char *node = allocation->nodes == 1 ? "node" : "nodes";
        (void)snprintf(text, UAP_ALLOCATION_TEXT, "%" PRId64 " %s", allocation->nodes,
                       node);
        used = strlen(text);
        if (allocation->devices > 0) {
            (void)snprintf(text + used, UAP_ALLOCATION_TEXT - used,
                           " with %" PRId64 " %s", allocation->devices, what);
        }
        return text;
    }
    for (int32_t i = 0; i < allocation->n_shapes && used < UAP_ALLOCATION_TEXT - 40;
         i++) {
        const uap_node_shape *shape = &allocation->shape[i];
        const char *node = i > 0 ? "" : shape->nodes == 1 ? " node" : " nodes";
        (void)snprintf(text + used, UAP_ALLOCATION_TEXT - used,
                       "%s%" PRId64 "%s x %" PRId64, i > 0 ? " + " : "", shape->nodes,
                       node, shape->devices);
        used = strlen(text);
    }
    (void)snprintf(text + used, UAP_ALLOCATION_TEXT - used, " %s", what);
    return text;
}
