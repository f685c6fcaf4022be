/* Rows of duels: links and products. Lines are accuracy_lines.c's. */
#include "bench/accuracy_lines.h"
#include "bench/duel.h"
#include "bench/plain_gemm.h"
#include "common/mem.h"
#include "mpi/plain.h"
#include "profile/fit.h"
#include "profile/layers.h"
#include "profile/links.h"

#include <stdio.h>
#include <string.h>

#define LEAST_ITERATIONS 5
#define MOST_ITERATIONS  200

/* Of the plain loops: osu_latency and osu_allreduce leave out 10 to 200 calls. */
#define SKIPPED 10

/* Of products: short enough that most turns see no interrupt. */
#define PRODUCT_TURN_S 0.2e-3

/* A row: one thing, timed in our way and in a plain one. */
typedef struct contest contest;
typedef uap_status contest_turn(const contest *c, double *seconds, uap_err *err);

struct contest {
    const uap_bench_accuracy *bench;
    const uap_comm *comm;
    const char *what;
    contest_turn *ours, *plain;
    double bar;
    double bytes; /* of a message; 0: none */
    uap_links *links;
    uap_plain_loop loop;
    uap_device *device;
    uap_product product;
    uap_plain_gemm *gemm;
    int32_t gemm_count;
};

/* ---- Links ------------------------------------------------------------------------------ */

static uap_status our_ping_pong(const contest *c, double *seconds, uap_err *err)
{
    uap_p2p out;
    const uap_status rc = uap_links_p2p(c->links, 1, true, &out, err);
    if (rc == UAP_OK) {
        *seconds = out.point[0].seconds;
        uap_free(out.point);
    }
    return rc;
}

static uap_status plain_ping_pong(const contest *c, double *seconds, uap_err *err)
{
    return uap_plain_ping_pong(c->comm, &c->loop, seconds, err);
}

static uap_status our_all_reduce(const contest *c, double *seconds, uap_err *err)
{
    uap_collective out;
    const uap_group_shape all = {uap_comm_size(c->comm), 1};
    const uap_status rc =
        uap_links_collective(c->links, UAP_ALL_REDUCE, all, true, &out, err);
    if (rc == UAP_OK) {
        *seconds = out.point[0].seconds;
        uap_free(out.point);
    }
    return rc;
}

static uap_status plain_all_reduce(const contest *c, double *seconds, uap_err *err)
{
    double mean = 0;
    return uap_plain_all_reduce(c->comm, &c->loop, seconds, &mean, err);
}

/* ---- Products ----------------------------------------------------------------------------- */

static uap_status our_product(const contest *c, double *seconds, uap_err *err)
{
    const uap_work_shape shape = {.n_products = 1, .product = {c->product}};
    const uap_repeat repeat = {
        .target_s = c->bench->turn_s, .min = LEAST_ITERATIONS, .max = MOST_ITERATIONS};
    uap_work_times times;
    const uap_status rc =
        uap_work_measure(c->comm, c->device, &shape, repeat, &times, err);
    *seconds = times.forward_s;
    return rc;
}

/* All ranks at once, as ours; the median over ranks. */
static uap_status plain_product(const contest *c, double *seconds, uap_err *err)
{
    uap_status rc = UAP_OK;
    char *all = NULL;
    size_t *offset = NULL;
    (void)uap_plain_gemm_run(c->gemm, 1);
    UAP_TRY(uap_comm_barrier(c->comm, err));
    *seconds = uap_plain_gemm_run(c->gemm, c->gemm_count);
    UAP_TRY(uap_comm_gather(c->comm, seconds, sizeof *seconds, &all, &offset, err));
    if (all != NULL) {
        /* One double of each rank, in storage of calloc's alignment. */
        *seconds = uap_median((double *)(void *)all, uap_comm_size(c->comm));
    }
    rc = uap_comm_bcast(c->comm, seconds, sizeof *seconds, 0, err);
done:
    uap_free(offset);
    uap_free(all);
    return rc;
}

/* ---- Duels -------------------------------------------------------------------------------- */

/* Turn about, in orders that the halves of each share evenly. */
static uap_status take_turns(const contest *c, double *ours, double *plain, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int32_t i = 0; i < c->bench->turns; i++) {
        const bool ours_first = i / 2 % 2 == 0;
        for (int32_t j = 0; j < 2; j++) {
            const bool is_ours = (j == 0) == ours_first;
            UAP_TRY(is_ours ? c->ours(c, &ours[i], err) : c->plain(c, &plain[i], err));
        }
    }
done:
    return rc;
}

static void print_duel(const contest *c, const uap_duel *duel, int32_t attempts)
{
    char bytes[32] = "";
    if (uap_comm_rank(c->comm) != 0) {
        return;
    }
    if (c->bytes > 0) {
        (void)snprintf(bytes, sizeof bytes, "%.0f", c->bytes);
    }
    (void)fprintf(c->bench->out, "%-24s %10s %12.3f %12.3f %7.3f %6.1f %6.1f %8d  %s\n",
                  c->what, bytes, duel->ours_s * 1e6, duel->plain_s * 1e6, duel->ratio,
                  duel->self * 100, c->bar * 100, (int)attempts,
                  uap_duel_text(duel->verdict));
    (void)fflush(c->bench->out);
}

/* Until it is quiet enough to judge. Times are the same on every rank, so is the verdict. */
static uap_status hold_contest(const contest *c, bool *passes, uap_err *err)
{
    const int32_t n = c->bench->turns;
    uap_status rc = UAP_OK;
    uap_duel duel = {.verdict = UAP_DUEL_TOO_NOISY};
    int32_t attempt = 0;
    double *turn = uap_calloc(3 * (size_t)n, sizeof *turn);
    rc = uap_comm_agree(c->comm,
                        turn != NULL
                            ? UAP_OK
                            : UAP_FAIL(err, NO_MEMORY, "no memory for %d turns", (int)n),
                        err);
    while (rc == UAP_OK && attempt < c->bench->attempts &&
           duel.verdict == UAP_DUEL_TOO_NOISY) {
        rc = take_turns(c, turn, turn + n, err);
        duel = uap_duel_judge(turn, turn + n, n, c->bar, turn + 2 * n);
        attempt++;
    }
    if (rc == UAP_OK) {
        print_duel(c, &duel, attempt);
        *passes = *passes && duel.verdict == UAP_DUEL_AGREES;
    }
    uap_free(turn);
    return rc;
}

/* How many plain calls fill a turn, from a first look at one; the same on every rank. */
static int32_t calls_for(double turn_s, double once_s)
{
    const double wanted = once_s > 0 ? turn_s / once_s : MOST_ITERATIONS;
    return wanted < LEAST_ITERATIONS ? LEAST_ITERATIONS
           : wanted > 10000          ? 10000
                                     : (int32_t)wanted;
}

static uap_status contest_link(contest *c, bool *passes, uap_err *err)
{
    const uap_sweep sweep = {.min_bytes = c->bytes,
                             .max_bytes = c->bytes,
                             .factor = 2,
                             .point_s = c->bench->turn_s,
                             .min_iterations = LEAST_ITERATIONS,
                             .max_iterations = MOST_ITERATIONS};
    uap_status rc = UAP_OK;
    double once = 0;
    UAP_TRY(uap_links_new(c->comm, &sweep, &c->links, err));
    const float *send = NULL;
    float *recv = NULL;
    /* The same pages: where they lie in memory is worth several percent. */
    uap_links_buffers(c->links, &send, &recv);
    c->loop = (uap_plain_loop){
        .send = send, .recv = recv, .n = (size_t)c->bytes, .skip = SKIPPED, .count = 1};
    UAP_TRY(c->plain(c, &once, err));
    c->loop.count = calls_for(c->bench->turn_s, once);
    rc = hold_contest(c, passes, err);
done:
    uap_links_free(c->links);
    c->links = NULL;
    return rc;
}

static uap_status contest_product(contest *c, bool *passes, uap_err *err)
{
    const uap_product *p = &c->product;
    uap_status rc = UAP_OK;
    double once = 0;
    UAP_TRY(uap_comm_agree(
        c->comm,
        uap_plain_gemm_new((int32_t)p->m, (int32_t)p->n, (int32_t)p->k, &c->gemm, err),
        err));
    c->gemm_count = 1;
    UAP_TRY(plain_product(c, &once, err));
    c->gemm_count = calls_for(PRODUCT_TURN_S, once);
    rc = hold_contest(c, passes, err);
done:
    uap_plain_gemm_free(c->gemm);
    c->gemm = NULL;
    return rc;
}

/* ---- All of it ----------------------------------------------------------------------------- */

static bool should_stop(const contest *c)
{
    return c->bench->stop != NULL && *c->bench->stop != 0;
}

/* Rank 0's flag, as all ranks must end at the same row. */
static uap_status agree_to_go_on(const contest *c, bool *goes_on, uap_err *err)
{
    char stops = should_stop(c) ? 1 : 0;
    const uap_status rc = uap_comm_bcast(c->comm, &stops, sizeof stops, 0, err);
    *goes_on = stops == 0;
    return rc;
}

static void print_head(const contest *c)
{
    if (uap_comm_rank(c->comm) == 0) {
        (void)fprintf(
            c->bench->out,
            "%d ranks, %d turns each way, medians; self: the same thing against "
            "itself\n%-24s %10s %12s %12s %7s %6s %6s %8s\n",
            uap_comm_size(c->comm), (int)c->bench->turns, "", "bytes", "ours_us",
            "plain_us", "ratio", "self_%", "bar_%", "attempts");
    }
}

static uap_status contest_links(contest *c, bool *passes, uap_err *err)
{
    static const struct {
        const char *what;
        contest_turn *ours, *plain;
    } rows[] = {{"point to point", our_ping_pong, plain_ping_pong},
                {"all-reduce", our_all_reduce, plain_all_reduce}};
    uap_status rc = UAP_OK;
    c->bar = c->bench->link_bar;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        for (int32_t i = 0; i < c->bench->n_bytes; i++) {
            bool goes_on = true;
            UAP_TRY(agree_to_go_on(c, &goes_on, err));
            if (!goes_on) {
                *passes = false;
                goto done;
            }
            c->what = rows[r].what;
            c->ours = rows[r].ours;
            c->plain = rows[r].plain;
            c->bytes = (double)c->bench->bytes[i];
            UAP_TRY(contest_link(c, passes, err));
        }
    }
done:
    return rc;
}

/* As in a layer: a large product, one of attention's, and a thin one. */
static uap_status contest_products(contest *c, bool *passes, uap_err *err)
{
    static const uap_product product[] = {
        {768, 1536, 1024, 1}, {128, 128, 64, 1}, {128, 768, 256, 1}};
    uap_status rc = UAP_OK;
    c->bar = c->bench->product_bar;
    c->bytes = 0;
    c->ours = our_product;
    c->plain = plain_product;
    for (size_t i = 0; i < sizeof product / sizeof product[0]; i++) {
        char what[64];
        bool goes_on = true;
        UAP_TRY(agree_to_go_on(c, &goes_on, err));
        if (!goes_on) {
            *passes = false;
            break;
        }
        c->product = product[i];
        (void)snprintf(what, sizeof what, "sgemm %dx%dx%d", (int)product[i].m,
                       (int)product[i].n, (int)product[i].k);
        c->what = what;
        UAP_TRY(contest_product(c, passes, err));
    }
done:
    return rc;
}

uap_status uap_bench_accuracy_run(const uap_bench_accuracy *bench, const uap_comm *comm,
                                  bool *passes, uap_err *err)
{
    uap_status rc = UAP_OK;
    contest c = {.bench = bench, .comm = comm};
    bool goes_on = true;
    *passes = true;
    UAP_TRY(uap_comm_agree(
        comm, uap_device_open(UAP_BACKEND_CPU, uap_comm_node_rank(comm), &c.device, err),
        err));
    print_head(&c);
    if (uap_comm_size(comm) > 1) {
        UAP_TRY(contest_links(&c, passes, err));
    }
    UAP_TRY(contest_products(&c, passes, err));
    UAP_TRY(agree_to_go_on(&c, &goes_on, err));
    if (goes_on && uap_comm_size(comm) > 1) {
        UAP_TRY(uap_accuracy_lines(bench, comm, passes, err));
    }
done:
    uap_device_close(c.device);
    return rc;
}
