/* Status codes and the error record that every fallible function of uniap fills.
 * It says what failed and where; it never prints, exits or allocates. */
#ifndef UAP_COMMON_STATUS_H
#define UAP_COMMON_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* One list makes the enumerators and their texts, so that they cannot drift apart. */
#define UAP_STATUS_LIST(X)                                                               \
    X(OK, "success")                                                                     \
    X(NO_MEMORY, "out of memory")                                                        \
    X(IO, "input/output error")                                                          \
    X(BAD_INPUT, "bad input")                                                            \
    X(BAD_USAGE, "bad usage")                                                            \
    X(TOO_LARGE, "value too large")                                                      \
    X(UNSUPPORTED, "not supported")                                                      \
    X(NO_DEVICE, "no device")                                                            \
    X(MPI, "MPI error")                                                                  \
    X(SOLVER, "external solver error")                                                   \
    X(INTERNAL, "internal error")

typedef enum uap_status {
#define UAP_STATUS_ENUM(name, text) UAP_##name,
    UAP_STATUS_LIST(UAP_STATUS_ENUM)
#undef UAP_STATUS_ENUM
} uap_status;

/* The first failure on the way up: later calls of uap_fail() keep it. */
typedef struct uap_err {
    uap_status code;  /* UAP_OK while nothing failed */
    const char *file; /* source file of the first failure, static storage */
    int line;
    char msg[1024]; /* one line, concrete values, no trailing newline */
} uap_err;

/* Fixed text of a status code, never NULL. Local. */
const char *uap_status_text(uap_status code);

/* Records a failure in err (may be NULL; a failure already there is kept) and returns
 * code, so that `return UAP_FAIL(err, IO, "...")` reads naturally. Local. */
uap_status uap_fail(uap_err *err, uap_status code, const char *file, int line,
                    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Forgets a recorded failure. Local. */
void uap_err_clear(uap_err *err);

/* The code stands here as a constant so that compilers and analysers see a failure. */
#define UAP_FAIL(err, name, ...)                                                         \
    ((void)uap_fail((err), UAP_##name, __FILE__, __LINE__, __VA_ARGS__),                 \
     (uap_status)UAP_##name)

/* Needs a variable `uap_status rc` and a label `done` in the calling function. */
#define UAP_TRY(call)                                                                    \
    do {                                                                                 \
        rc = (call);                                                                     \
        if (rc != UAP_OK) {                                                              \
            goto done;                                                                   \
        }                                                                                \
    } while (0)

#define UAP_NODISCARD __attribute__((warn_unused_result))

#ifdef __cplusplus
}
#endif
#endif
