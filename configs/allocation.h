/* What a batch job was given, as Slurm's variables tell it: nodes, devices on each, memory.
 * Text only: it asks neither Slurm nor the machine, and judges nothing. */
#ifndef UAP_CONFIGS_ALLOCATION_H
#define UAP_CONFIGS_ALLOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_ALLOCATION_SHAPES 64
#define UAP_ALLOCATION_TEXT   160

/* Neighbouring nodes that have as many devices each. */
typedef struct uap_node_shape {
    int64_t nodes, devices;
} uap_node_shape;

typedef enum uap_told {
    UAP_TOLD_NOTHING, /* of devices */
    UAP_TOLD_TASKS, /* tasks on each node, which are the devices only of one rank a device */
    UAP_TOLD_DEVICES /* GPUs */
} uap_told;

typedef struct uap_allocation {
    bool is_job;           /* the variables are there at all */
    const char *node_list; /* "vn[1-4]", or NULL; the environment's */
    int64_t nodes;         /* 0: not told */
    uap_told told;
    const char *told_by; /* the variable that did, static storage, or NULL */
    int64_t devices;     /* GPUs or tasks on all nodes together; 0: not told */
    int32_t n_shapes;    /* 0: how they are spread is not told */
    uap_node_shape shape[UAP_ALLOCATION_SHAPES];
    int64_t memory_bytes; /* that the job may use on a node; 0: not told, or all */
    const char *unread;   /* the first variable with a value of no known form, or NULL */
} uap_allocation;

/* The value of a variable, or NULL; as getenv with a context. */
typedef const char *uap_env_fn(void *context, const char *name);

/* Reads SLURM_JOB_ID, SLURM_JOB_NODELIST, SLURM_JOB_NUM_NODES (SLURM_NNODES), for devices the
 * first of SLURM_GPUS_PER_NODE, SLURM_GPUS_PER_TASK (with tasks), SLURM_GPUS, and, taken to be
 * alike on all nodes, SLURM_GPUS_ON_NODE and SLURM_JOB_GPUS, else of tasks SLURM_TASKS_PER_NODE
 * and SLURM_NTASKS_PER_NODE, and for memory SLURM_MEM_PER_NODE, SLURM_MEM_PER_CPU and
 * SLURM_MEM_PER_GPU. A value of no known form counts as absent and is named in `unread`. */
void uap_allocation_read(uap_env_fn *get, void *context, uap_allocation *out);

/* The same of this process's own environment. */
void uap_allocation_of_job(uap_allocation *out);

/* "4 nodes x 8 GPUs", "2 nodes x 4 + 1 x 2 tasks", "4 nodes"; "devices" where no variable told
 * them. Returns text. */
const char *uap_allocation_text(const uap_allocation *allocation,
                                char text[UAP_ALLOCATION_TEXT]);

/* The forms of Slurm's values; false, and *out untouched, for anything else.
 * Devices: "8", "h100:8", "gpu:h100:8", "gpu:h100:8(IDX:0-7)", several with commas. */
bool uap_slurm_devices(const char *text, int64_t *out);
/* How many a list of numbers names: "0,1,4-7". */
bool uap_slurm_ids(const char *text, int64_t *out);
/* "4(x2),2": two nodes of four and one of two; neighbours alike are joined. */
bool uap_slurm_shapes(const char *text, uap_node_shape shape[UAP_ALLOCATION_SHAPES],
                      int32_t *n);

#ifdef __cplusplus
}
#endif
#endif
