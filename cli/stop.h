/* Signals that ask a search to stop with what it has. */
#ifndef UAP_CLI_STOP_H
#define UAP_CLI_STOP_H

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* From the first call on USR1, TERM and INT set the returned flag; a second TERM or INT ends
 * the process as usual. A command calls it before it reads its files. */
const volatile sig_atomic_t *uap_stop_flag(void);

#ifdef __cplusplus
}
#endif
#endif
