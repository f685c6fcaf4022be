/* Checkpoints of a search as files (docs/formats.md): the open nodes, the best plan, and what
 * the search was asked. Knows neither ranks nor what a node or a plan means. */
#ifndef UAP_CLI_CHECKPOINT_H
#define UAP_CLI_CHECKPOINT_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_INPUTS_MAX      32
#define UAP_INPUT_VALUE_MAX 96

/* What a search was asked, item by item: a checkpoint is resumed only where all agree. */
typedef struct uap_inputs {
    int n;
    struct {
        const char *name; /* one word, static storage */
        char value[UAP_INPUT_VALUE_MAX];
    } item[UAP_INPUTS_MAX];
} uap_inputs;

/* Adds an item; its value is cut to fit. There is room. */
void uap_inputs_note(uap_inputs *inputs, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

typedef struct uap_checkpoint {
    int64_t value, bound; /* ticks, of the best plan and of all nodes; INT64_MAX: none */
    int64_t worked;       /* nodes done with, in all runs so far */
    double elapsed_s;     /* of search, in all runs so far */
    const char *plan;     /* [plan_bytes] */
    size_t plan_bytes;
    const char *nodes; /* [node_bytes] each behind its length as a uint32_t */
    size_t node_bytes;
    int64_t n_nodes; /* 0: the search is over */
} uap_checkpoint;

/* Writes `path` at once or not at all; what stood there becomes path.old where
 * `keep_newest`. Errors: IO, NO_MEMORY; then what stood there stands. Local. */
UAP_NODISCARD uap_status uap_checkpoint_write(const char *path, const uap_inputs *inputs,
                                              const uap_checkpoint *checkpoint,
                                              bool keep_newest, uap_err *err);

/* Reads `path`; where that is damaged or missing, path.old, with a warning. *text, freed by
 * the caller, is what *out points into, NULL where there is neither. *is_newest: it was
 * `path`. Errors: BAD_INPUT (damaged, of another version, of other inputs, no checkpoint at
 * all), IO, NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_checkpoint_read(const char *path, const uap_inputs *inputs,
                                             uap_checkpoint *out, char **text,
                                             bool *is_newest, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
