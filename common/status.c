/* Status texts and the error record. */
#include "common/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *uap_status_text(uap_status code)
{
    static const char *const text[] = {
#define UAP_STATUS_TEXT(name, string) [UAP_##name] = string,
        UAP_STATUS_LIST(UAP_STATUS_TEXT)
#undef UAP_STATUS_TEXT
    };
    const size_t n = sizeof text / sizeof text[0];
    return (size_t)code < n ? text[code] : "unknown status";
}

uap_status uap_fail(uap_err *err, uap_status code, const char *file, int line,
                    const char *fmt, ...)
{
    if (err != NULL && err->code == UAP_OK) {
        va_list args;
        va_start(args, fmt);
        err->code = code;
        err->file = file;
        err->line = line;
        (void)vsnprintf(err->msg, sizeof err->msg, fmt, args);
        va_end(args);
    }
    return code;
}

void uap_err_clear(uap_err *err)
{
    if (err != NULL) {
        memset(err, 0, sizeof *err);
    }
}
