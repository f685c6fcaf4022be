/* Instances as files: "uniap-instance" version 1 (docs/formats.md). Seconds are rounded to
 * the nearest tick, bytes up. */
#ifndef UAP_SEARCH_INSTANCE_JSON_H
#define UAP_SEARCH_INSTANCE_JSON_H

#include "search/instance.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads and checks an instance; equal layers and edges share tables afterwards, and equal
 * rows or columns of the matrices share classes. The caller frees *out. */
UAP_NODISCARD uap_status uap_instance_load(const char *path, uap_instance **out,
                                           uap_err *err);

/* Writes one (atomically). */
UAP_NODISCARD uap_status uap_instance_save(const uap_instance *instance, const char *path,
                                           uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
