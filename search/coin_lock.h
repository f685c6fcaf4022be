/* The lock around CBC and CLP: neither is made for several threads of a process (CBC's C
 * interface keeps its parameters in static tables), while a service searches on several. */
#ifndef UAP_SEARCH_COIN_LOCK_H
#define UAP_SEARCH_COIN_LOCK_H

#ifdef __cplusplus
extern "C" {
#endif

/* Waits for its turn. Not again by a thread that has it. */
void uap_coin_lock(void);
void uap_coin_unlock(void);

#ifdef __cplusplus
}
#endif
#endif
