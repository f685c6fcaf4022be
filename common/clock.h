/* The two clocks that searches look at. */
#ifndef UAP_COMMON_CLOCK_H
#define UAP_COMMON_CLOCK_H

#ifdef __cplusplus
extern "C" {
#endif

double uap_cpu_s(void);  /* CPU seconds of this thread */
double uap_wall_s(void); /* since some moment, the same for all processes of a machine */

#ifdef __cplusplus
}
#endif
#endif
