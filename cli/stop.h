/* Signals that ask a search to stop with what it has. */
#ifndef UAP_CLI_STOP_H
#define UAP_CLI_STOP_H

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* From the first call on USR1, TERM and INT set the returned flag; a second TERM or INT ends
 * the process as usual. A command calls it before it reads its files. */
/* In a room (common/room.h) it is the room's flag, and signals are not its business. */
const volatile sig_atomic_t *uap_stop_flag(void);

/* The signal that came last, 0 where none has: TERM and INT count before USR1. */
int uap_stop_signal(void);

#ifdef __cplusplus
}
#endif
#endif
