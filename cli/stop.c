/* The one signal handler of the program; it only sets a flag. */
#include "cli/stop.h"

#include "common/room.h"

#include <stdbool.h>
#include <stddef.h>

static volatile sig_atomic_t stop, last;

static void on_signal(int number)
{
    stop = 1;
    last = last == 0 || number != SIGUSR1 ? number : last;
}

const volatile sig_atomic_t *uap_stop_flag(void)
{
    static bool is_installed;
    const uap_room *room = uap_room_here();
    if (room != NULL) {
        return room->stop;
    }
    if (is_installed) {
        return &stop; /* a second TERM or INT stays as it is */
    }
    is_installed = true;
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    (void)sigaction(SIGUSR1, &action, NULL);
    action.sa_flags |= (int)SA_RESETHAND;
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    return &stop;
}

int uap_stop_signal(void)
{
    return last;
}
