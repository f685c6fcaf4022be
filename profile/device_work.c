/* What every backend asks about work: buffer sizes, and numbers to fill them with. Compiled
 * into the program and into the CUDA library. */
#include "profile/device_backend.h"

#include <math.h>
#include <string.h>

static double larger(double a, double b)
{
    return a > b ? a : b;
}

uap_work_buffers uap_work_buffers_of(const uap_work_shape *shape)
{
    uap_work_buffers need = {0};
    for (int32_t i = 0; i < shape->n_products; i++) {
        const uap_product *p = &shape->product[i];
        const double m = (double)p->m, n = (double)p->n, k = (double)p->k;
        const double batch = (double)p->batch;
        need.a = larger(need.a, batch * m * k);
        need.b = larger(need.b, batch * k * n);
        need.c = larger(need.c, batch * m * n);
    }
    need.out = larger(larger(need.a, need.b), need.c);
    need.stream = ceil(shape->move_elems * UAP_BACKWARD_MOVES / 3);
    if (need.stream > (double)UAP_STREAM_ELEMS) {
        need.stream = (double)UAP_STREAM_ELEMS;
    }
    /* The stream reads a and b and writes out. */
    need.a = larger(need.a, need.stream);
    need.b = larger(need.b, need.stream);
    need.out = larger(need.out, need.stream);
    return need;
}

double uap_work_bytes(const uap_work_shape *shape)
{
    const uap_work_buffers need = uap_work_buffers_of(shape);
    return 4 * (need.a + need.b + need.c + need.out);
}

/* Uniform on (0, 1): the splitmix64 generator of Steele, Lea and Flood (OOPSLA 2014). */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) * 0x1p-53;
}

void uap_fill_normal(float *values, int64_t n)
{
    /* One block is drawn, the rest repeats it: arithmetic does not notice, and drawing
     * hundreds of megabytes would take longer than the measurement. */
    const int64_t block = n < 65536 ? n : 65536;
    uint64_t state = 1;
    for (int64_t i = 0; i < block; i += 2) {
        const double radius = sqrt(-2 * log(uniform(&state)));
        const double angle = 2 * 3.14159265358979323846 * uniform(&state);
        values[i] = (float)(radius * cos(angle));
        if (i + 1 < block) {
            values[i + 1] = (float)(radius * sin(angle));
        }
    }
    for (int64_t i = block; i < n; i += block) {
        const int64_t part = n - i < block ? n - i : block;
        memcpy(values + i, values, (size_t)part * sizeof *values);
    }
}
