/* Devices and links that are made up, with faults: for tests of what a survey decides on real
 * ranks. Times are answered instead of measured; a hang is a real one, of this rank. */
#ifndef UAP_PROFILE_STUB_H
#define UAP_PROFILE_STUB_H

#include "profile/survey.h"

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_STUB_FAULTS_MAX 16

typedef enum uap_stub_kind {
    UAP_STUB_DEVICE, /* device a computes `value` times as long */
    UAP_STUB_LINK,   /* long messages from and to device a */
    UAP_STUB_PAIR,   /* long messages from a to b */
    UAP_STUB_LATE,   /* short messages with device a */
    UAP_STUB_HANG,   /* device a answers `value` seconds late, once */
    UAP_STUB_ERROR,  /* device a fails */
    UAP_STUB_STALL, /* device a's work takes `value` seconds longer, once, behind the survey */
    UAP_STUB_FAIL /* device a fails behind the survey */
} uap_stub_kind;

typedef struct uap_stub_fault {
    uap_stub_kind kind;
    int32_t a, b;
    double value;
} uap_stub_fault;

typedef struct uap_stub {
    int32_t n;
    uap_stub_fault fault[UAP_STUB_FAULTS_MAX];
    bool has_hung;
} uap_stub;

/* From text: "device:A:TIMES", "link:A:TIMES", "pair:A:B:TIMES", "late:A:TIMES",
 * "hang:A:SECONDS", "error:A", "stall:A:SECONDS", "fail:A", separated by commas; "" has no faults. Errors: BAD_USAGE. */
UAP_NODISCARD uap_status uap_stub_parse(const char *text, uap_stub *out, uap_err *err);

/* What the device of `order` reports: 1 s of work, 10 us, 1 ms, each a little different, and
 * longer by its faults. Sleeps first where it hangs. *failed: the device is in error. */
void uap_stub_sample(uap_stub *stub, uap_round_kind kind, const uap_order *order,
                     uap_sample *sample, bool *failed);

/* How long a device's work stalls behind the survey. Local. */
double uap_stub_stall_s(const uap_stub *stub, int32_t device);

/* Whether a device fails behind the survey. Local. */
bool uap_stub_fails(const uap_stub *stub, int32_t device);

/* How many times as long a device computes. Local. */
double uap_stub_slowness(const uap_stub *stub, int32_t device);

#ifdef __cplusplus
}
#endif
#endif
