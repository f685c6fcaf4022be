/* The lock around CBC, whose C interface is not made for several threads of a process (its
 * parameters are static tables), while a service searches on several. CLP needs none: models are
 * apart, and CBC itself solves them on threads side by side (its class CbcThread). */
#ifndef UAP_SEARCH_CBC_LOCK_H
#define UAP_SEARCH_CBC_LOCK_H

#ifdef __cplusplus
extern "C" {
#endif

/* Waits for its turn. Not again by a thread that has it. */
void uap_cbc_lock(void);
void uap_coin_unlock(void);

#ifdef __cplusplus
}
#endif
#endif
