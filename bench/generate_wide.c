/* Chains with many skips, whose live tensors' layouts are too many to try one by one:
 * nested as in a U-Net, dense as in a DenseNet, or at random. */
#include "bench/generate.h"

#include "bench/generate_build.h"
#include "bench/rng.h"
#include "common/numbers.h"

#define TICKS_PER_US (UAP_TICKS_PER_SECOND / 1000000)
#define MEGABYTE     1000000LL
#define DENSE_READS  4

typedef struct maker {
    uap_rng rng;
    uap_instance *in;
    const uap_generate_wide *what;
} maker;

const char *uap_skips_name(uap_skips skips)
{
    static const char *const name[UAP_SKIPS_COUNT] = {"nested", "dense", "random"};
    return name[skips];
}

static int64_t draw(maker *m, double lo, double hi)
{
    return (int64_t)(m->what->weight * uap_rng_real(&m->rng, lo, hi) *
                     (double)TICKS_PER_US);
}

/* What tensor t costs: its layouts' transfers and bytes, and each reader's resharding, which
 * is nothing from a layout to the same. Backward halves as forward, simple: together. */
static void fill_live(maker *m, uap_live_tensor *live)
{
    const uap_instance *in = m->in;
    const int32_t layouts = m->what->layouts;
    const bool simple = in->objective == UAP_OBJECTIVE_SIMPLE;
    const int32_t n_from = uap_table_of(in, live->from)->n;
    const double size = uap_rng_real(&m->rng, 40.0, 160.0);
    for (int32_t l = 0; l < layouts; l++) {
        const int64_t cross = draw(m, 50.0, 160.0);
        for (int32_t k = l; k < n_from; k += layouts) {
            live->x_fwd[k] = simple ? 2 * cross : cross;
            live->x_bwd[k] = simple ? 0 : cross;
            live->bytes[k] = (int64_t)(size / (1 + l)) * MEGABYTE;
        }
    }
    for (int32_t e = 0; e < live->n_consumers; e++) {
        const int32_t n_to = uap_table_of(in, live->consumer[e])->n;
        for (int32_t i = 0; i < layouts * layouts; i++) {
            const int32_t a = i / layouts, b = i % layouts;
            const int64_t fwd = a == b ? 0 : draw(m, 25.0, 175.0);
            for (int32_t k = a; k < n_from; k += layouts) {
                for (int32_t l = b; l < n_to; l += layouts) {
                    live->r_fwd[e][k * n_to + l] = simple ? 2 * fwd : fwd;
                    live->r_bwd[e][k * n_to + l] = simple ? 0 : fwd;
                }
            }
        }
    }
}

/* The readers of tensor t and its producer; returns how many, 0: there is no such tensor. */
static int32_t choose(maker *m, int32_t t, int32_t *from, int32_t reader[DENSE_READS])
{
    const int32_t n = m->in->n_layers;
    const int32_t tensors = m->what->n_live;
    int32_t reads = 0;
    switch (m->what->skips) {
    case UAP_SKIPS_NESTED:
        *from = (int32_t)((int64_t)t * (n / 2) / tensors);
        reader[reads++] = n - 1 - *from;
        break;
    case UAP_SKIPS_DENSE:
        *from = (int32_t)((int64_t)t * (n - 2) / tensors);
        for (int32_t u = *from + 2; u < n && reads < DENSE_READS; u++) {
            reader[reads++] = u;
        }
        break;
    default:
        *from = (int32_t)((int64_t)t * (n - 2) / tensors);
        for (int32_t u = *from + 2; u < n && reads < DENSE_READS; u++) {
            if (uap_rng_chance(&m->rng, 3.0 / n)) {
                reader[reads++] = u;
            }
        }
    }
    return reads > 0 && reader[0] > *from + 1 ? reads : 0;
}

static bool add_skips(maker *m)
{
    uap_instance *in = m->in;
    int32_t before = -1;
    in->live = uap_arena_alloc(in->arena, (size_t)m->what->n_live, sizeof *in->live);
    for (int32_t t = 0; in->live != NULL && t < m->what->n_live; t++) {
        int32_t reader[DENSE_READS];
        int32_t from = 0;
        const int32_t reads = choose(m, t, &from, reader);
        if (reads == 0 || from == before) {
            continue;
        }
        uap_live_tensor *live = &in->live[in->n_live];
        if (!uap_build_live(in, live, from, reader, reads)) {
            return false;
        }
        fill_live(m, live);
        in->n_live++;
        before = from;
    }
    return in->live != NULL;
}

uap_status uap_generate_wide_graph(const uap_generate_wide *what, uap_instance **out,
                                   uap_err *err)
{
    maker m = {.what = what};
    uap_status rc = UAP_OK;
    if (what->n_live < 1 || what->layouts < 1 || what->chain.n_layers < 3) {
        return UAP_FAIL(err, BAD_USAGE,
                        "no graph has %d layers, %d live tensors, %d layouts",
                        what->chain.n_layers, what->n_live, what->layouts);
    }
    UAP_TRY(uap_generate_family(&what->chain, &m.in, err));
    uap_rng_seed(&m.rng, what->chain.seed + 1);
    if (!add_skips(&m)) {
        uap_instance_free(m.in);
        return UAP_FAIL(err, NO_MEMORY, "no memory for a generated instance");
    }
    *out = m.in;
done:
    return rc;
}
