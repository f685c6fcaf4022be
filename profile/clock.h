/* The monotonic clock of this process. */
#ifndef UAP_PROFILE_CLOCK_H
#define UAP_PROFILE_CLOCK_H

#include <time.h>

/* Seconds since some fixed moment; never runs backwards. */
static inline double uap_clock_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
