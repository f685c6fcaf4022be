/* What the parts of the instance reader share; only search/instance_*.c include it. */
#ifndef UAP_SEARCH_INSTANCE_READ_H
#define UAP_SEARCH_INSTANCE_READ_H

#include "common/json_read.h"
#include "search/instance_share.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Keys of the times; the simple objective has no backward halves. */
typedef struct uap_time_keys {
    const char *fwd, *bwd;
    const char *edge[UAP_EDGE_MATRICES]; /* r_fwd, r_bwd, x_fwd, x_bwd */
} uap_time_keys;

#define UAP_INSTANCE_MAX_LAYERS 65536

/* Entries with references followed: a layer that only refers to an earlier one takes two
 * characters in a file, whatever it refers to. Those of rows and lists, which are held, are
 * 512 MiB; those of matrices between neighbours are held once where they are equal. */
#define UAP_INSTANCE_MAX_ENTRIES (INT64_C(1) << 26)
#define UAP_INSTANCE_MAX_PAIRS   (INT64_C(1) << 28)

typedef struct uap_instance_reader {
    uap_jval root;
    const uap_time_keys *keys;
    uap_instance *instance;
    uap_sharer sharer;
    uap_arena *scratch;     /* dense matrices of one edge */
    int32_t *n_strategies;  /* [L] */
    int64_t entries, pairs; /* so far */
    uap_err *err;
} uap_instance_reader;

/* Reads one value; the error is the document's. */
typedef uap_status uap_convert(const uap_jval *value, int64_t *out, uap_err *err);

/* Seconds to ticks, to nearest; bytes, up; what a stage has, down; 1 to 2^31 - 1. */
uap_status uap_read_ticks(const uap_jval *value, int64_t *out, uap_err *err);
uap_status uap_read_bytes(const uap_jval *value, int64_t *out, uap_err *err);
uap_status uap_read_capacity(const uap_jval *value, int64_t *out, uap_err *err);
uap_status uap_read_inflight(const uap_jval *value, int64_t *out, uap_err *err);

/* n zeroed elements in the instance's arena; NULL and the error recorded without memory. */
void *uap_read_allocate(uap_instance_reader *r, size_t n, size_t size);

/* Before room is made for `more` entries of rows and lists, or of matrices between neighbours:
 * fails at `value` where they are too many with those so far. more: below 2^62. */
UAP_NODISCARD uap_status uap_read_count(uap_instance_reader *r, const uap_jval *value,
                                        int64_t more);
UAP_NODISCARD uap_status uap_read_count_pairs(uap_instance_reader *r,
                                              const uap_jval *value, int64_t more);

/* Fails unless `value` is an array of n entries; `what` says of what, "one per what". */
UAP_NODISCARD uap_status uap_read_check_array(const uap_instance_reader *r,
                                              const uap_jval *value, int32_t n,
                                              const char *what);

/* The member `key`, an array of n entries. */
UAP_NODISCARD uap_status uap_read_array(const uap_instance_reader *r,
                                        const uap_jval *object, const char *key,
                                        int32_t n, const char *what, uap_jval *out);

/* Entry i of a list of rows or matrices: itself or, where it is an integer, the earlier
 * entry it refers to. The type of what is no reference is not checked. Errors: BAD_INPUT, a reference to
 * no earlier entry or to one that is a reference itself. */
UAP_NODISCARD uap_status uap_read_refer(const uap_instance_reader *r,
                                        const uap_jval *list, int32_t i, uap_jval *out);

/* The same; fails unless it is an array of n entries, "one per what". */
UAP_NODISCARD uap_status uap_read_entry(const uap_instance_reader *r,
                                        const uap_jval *list, int32_t i, int32_t n,
                                        const char *what, uap_jval *out);

/* Reads an array of n entries, one per strategy, to out [n]. */
UAP_NODISCARD uap_status uap_read_values(const uap_instance_reader *r,
                                         const uap_jval *array, int32_t n,
                                         uap_convert *to, int64_t *out);

/* Reads row i of a list of rows so. */
UAP_NODISCARD uap_status uap_read_row(const uap_instance_reader *r, const uap_jval *rows,
                                      int32_t i, int32_t n, uap_convert *to,
                                      int64_t *out);

/* A new array of n entries from the member `key`; zeros where key is NULL. */
UAP_NODISCARD uap_status uap_read_member(uap_instance_reader *r, const uap_jval *object,
                                         const char *key, int32_t n, uap_convert *to,
                                         int64_t **out);

/* Reads matrix i of a list, n_from rows of n_to seconds, to out [n_from][n_to], ticks. */
UAP_NODISCARD uap_status uap_read_matrix(const uap_instance_reader *r,
                                         const uap_jval *list, int32_t i, int32_t n_from,
                                         int32_t n_to, int64_t *out);

/* Reads the optional members "stage_types", "groups" and "start_act". */
UAP_NODISCARD uap_status uap_read_types(uap_instance_reader *r);

/* Reads the optional members "live" and "ties"; n_strategies must be known. */
UAP_NODISCARD uap_status uap_read_lists(uap_instance_reader *r);

#ifdef __cplusplus
}
#endif
#endif
