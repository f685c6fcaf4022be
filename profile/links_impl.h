/* The fields of uap_links, for links.c and overlap.c. Private to profile/. */
#ifndef UAP_PROFILE_LINKS_IMPL_H
#define UAP_PROFILE_LINKS_IMPL_H

#include "profile/links.h"

#include <stddef.h>

struct uap_links {
    const uap_comm *comm; /* borrowed */
    uap_sweep sweep;
    size_t n_floats; /* of each buffer */
    float *send, *recv;
};

#endif
