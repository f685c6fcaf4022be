/* One lock for the whole process. */
#include "search/cbc_lock.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void uap_cbc_lock(void)
{
    (void)pthread_mutex_lock(&lock);
}

void uap_coin_unlock(void)
{
    (void)pthread_mutex_unlock(&lock);
}
