/* Stands for the CUDA backend in a build without CUDA. */
#include "profile/device_backend.h"

uap_status uap_backend_cuda(const uap_backend_table **out, uap_err *err)
{
    *out = NULL;
    return UAP_FAIL(err, UNSUPPORTED, "this program was built without CUDA");
}
