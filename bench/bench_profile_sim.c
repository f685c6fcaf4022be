/* The table of virtual surveys, and what a message costs here. */
#include "bench/bench_profile_sim.h"

#include "common/clock.h"
#include "common/mem.h"
#include "mpi/desk.h"
#include "mpi/transport_mpi.h"
#include "profile/fit.h"
#include "profile/site.h"

#include <math.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#define N_PINGS  20000
#define N_ROUNDS 51
#define N_ORDERS 31
/* A pause in which so many ranks answer, also where they share cores. */
#define PAUSE_S      5e-3
#define PAUSE_RANK_S 5e-4
#define ANSWER_S     60.0

/* A message that rank 0 sends to itself and receives: an order and a report, each half. */
static uap_status measure_alone(const uap_comm *comm, double *order_s, uap_err *err)
{
    const char bytes[64] = {0};
    uap_status rc = UAP_OK;
    uap_transport_mpi *mpi = NULL;
    UAP_TRY(uap_transport_mpi_new(comm, sizeof bytes, &mpi, err));
    const uap_transport *net = uap_transport_mpi_net(mpi);
    const int64_t start = net->now_ns(net->self);
    for (int i = 0; i < N_PINGS; i++) {
        uap_message message;
        bool got = false;
        UAP_TRY(net->send(net->self, 0, UAP_TAG_STEAL, bytes, sizeof bytes, err));
        while (!got) {
            UAP_TRY(net->poll(net->self, &message, &got, err));
        }
    }
    *order_s = 1e-9 * (double)(net->now_ns(net->self) - start) / N_PINGS;
done:
    uap_transport_mpi_free(mpi);
    return rc;
}

/* As large as a survey's (profile/site.c), and one that ends it. */
typedef struct desk_order {
    int32_t ends, rest[4];
} desk_order;

typedef struct desk_report {
    int32_t word[3];
} desk_report;

/* What rank 0 itself spends. Ranks that wait for a core, and what else the machine does, are
 * not its doing: with a core for each rank they answer while it still sends. */
static double cpu_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Orders to all, a pause in which they answer, and all reports taken in. */
static uap_status order_all(uap_desk *desk, int ranks, double *order_s, uap_err *err)
{
    const desk_order order = {.ends = 0};
    uap_status rc = UAP_OK;
    double spent_s = -cpu_seconds();
    for (int r = 1; r < ranks; r++) {
        UAP_TRY(uap_desk_order(desk, r, &order, err));
    }
    spent_s += cpu_seconds();
    /* Awake, for a processor that has slept begins slowly; others may have it. */
    const double until_s = uap_wall_s() + PAUSE_S + PAUSE_RANK_S * ranks;
    while (uap_wall_s() < until_s) {
        (void)sched_yield();
    }
    spent_s -= cpu_seconds();
    for (int r = 1; r < ranks; r++) {
        desk_report report;
        int from = 0;
        bool got = false;
        UAP_TRY(uap_desk_take(desk, ANSWER_S, &report, &from, &got, err));
        if (!got) {
            rc = UAP_FAIL(err, MPI, "a rank has not answered in %.0f s", ANSWER_S);
            goto done;
        }
    }
    spent_s += cpu_seconds();
    *order_s = spent_s / (ranks - 1);
done:
    return rc;
}

/* Median over rounds of what rank 0 spends on an order and its report. */
static uap_status give_orders(uap_desk *desk, int ranks, double *order_s, uap_err *err)
{
    const desk_order end = {.ends = 1};
    uap_status rc = UAP_OK;
    double each[N_ORDERS];
    for (int i = 0; i < N_ORDERS; i++) {
        UAP_TRY(order_all(desk, ranks, &each[i], err));
    }
    *order_s = uap_median(each, N_ORDERS);
    for (int r = 1; r < ranks; r++) {
        UAP_TRY(uap_desk_order(desk, r, &end, err));
    }
done:
    return rc;
}

static uap_status take_orders(uap_desk *desk, uap_err *err)
{
    const desk_report report = {{0}};
    uap_status rc = UAP_OK;
    for (;;) {
        desk_order order;
        UAP_TRY(uap_desk_wait(desk, &order, err));
        if (order.ends) {
            break;
        }
        UAP_TRY(uap_desk_report(desk, &report, err));
    }
done:
    return rc;
}

static uap_status measure_orders(const uap_comm *comm, double *order_s, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_desk *desk = NULL;
    UAP_TRY(uap_desk_new(comm, sizeof(desk_order), sizeof(desk_report), &desk, err));
    rc = uap_comm_rank(comm) == 0 ? give_orders(desk, uap_comm_size(comm), order_s, err)
                                  : take_orders(desk, err);
    rc = uap_comm_agree(comm, rc, err);
done:
    uap_desk_free(desk);
    return rc;
}

/* Median seconds of one of the two parts of a round in which ranks 0 and 1 send to each
 * other: what a round takes with few devices. */
static uap_status time_rounds(uap_site *site, double *part_s, uap_err *err)
{
    const uap_survey_machine machine = uap_site_machine(site);
    uap_status rc = UAP_OK;
    double each[N_ROUNDS];
    for (int i = 0; i < N_ROUNDS; i++) {
        const uap_order order[2] = {{0, 1, 1}, {1, 0, 0}};
        uap_sample sample[2] = {{.is_silent = false}, {.is_silent = false}};
        const double start = uap_wall_s();
        UAP_TRY(machine.measure(machine.self, UAP_ROUND_SHIFTS, order, sample, 2, err));
        each[i] = (uap_wall_s() - start) / 2;
    }
    *part_s = uap_median(each, N_ROUNDS);
done:
    return rc;
}

uap_status uap_profile_sim_measure(const uap_comm *comm, uap_survey_costs *costs,
                                   uap_err *err)
{
    const uap_site_options options = {
        .bytes = 8, .pings = 2, .transfers = 2, .deadline_s = 60, .stub = ""};
    const int ranks = uap_comm_size(comm);
    uap_status rc = UAP_OK, mine = UAP_OK;
    uap_site *site = NULL;
    uap_comm *members = NULL;
    bool *nobody = NULL;
    if (ranks == 1) {
        return measure_alone(comm, &costs->order_s, err);
    }
    UAP_TRY(measure_orders(comm, &costs->order_s, err));
    nobody = uap_calloc((size_t)ranks, sizeof *nobody);
    mine = nobody != NULL ? UAP_OK
                          : UAP_FAIL(err, NO_MEMORY, "no memory for %d ranks", ranks);
    UAP_TRY(uap_comm_agree(comm, mine, err));
    UAP_TRY(uap_site_new(comm, NULL, &options, &site, err));
    mine = uap_comm_rank(comm) == 0 ? time_rounds(site, &costs->round_s, err)
                                    : uap_site_serve(site, err);
    UAP_TRY(uap_site_end(site, nobody, &members, err));
    rc = uap_comm_agree(comm, mine, err);
done:
    uap_comm_free(members);
    uap_free(nobody);
    uap_site_free(site);
    return rc;
}

static void print_machine(const uap_bench_profile_sim *bench)
{
    const uap_survey_costs *c = &bench->costs;
    (void)fprintf(bench->out,
                  "an order and its report cost rank 0 %.2f us, a round %.3f ms, first "
                  "contact %.0f ms, a device's check %.2f s, silence %.1f s\n",
                  c->order_s * 1e6, c->round_s * 1e3, c->connect_s * 1e3, c->device_s,
                  bench->deadline_s);
    (void)fprintf(
        bench->out,
        "links: %.1f us, %.1f GB/s between nodes, %.1f inside; %d messages there "
        "and back and %d of %.1f MB a flow; times vary by %.1f %%, one of %.0f is "
        "2 to 6 times too long\n\n",
        c->latency_s * 1e6, c->node_Bps * 1e-9, c->inside_Bps * 1e-9, (int)c->pings,
        (int)c->transfers, c->bytes * 1e-6, 100 * bench->noise,
        bench->hiccup > 0 ? 1 / bench->hiccup : (double)INFINITY);
    (void)fprintf(bench->out, "%8s %8s %9s %9s %7s %6s %9s %8s %6s %7s %6s %8s %8s\n",
                  "nodes", "devices", "expected", "seconds", "rounds", "again",
                  "suspects", "planted", "found", "missed", "false", "MiB", "real_s");
}

/* What the runs of one size add up to; times and memory are the largest. */
typedef struct totals {
    uap_virtual_survey sum;
    double real_s;
    int64_t planted;
} totals;

static void add(totals *t, const uap_virtual_survey *run, int32_t planted, double real_s)
{
    t->planted += planted;
    t->sum.found += run->found;
    t->sum.missed += run->missed;
    t->sum.false_alarms += run->false_alarms;
    t->sum.seconds = fmax(t->sum.seconds, run->seconds);
    t->real_s = fmax(t->real_s, real_s);
    t->sum.rounds = run->rounds > t->sum.rounds ? run->rounds : t->sum.rounds;
    t->sum.again = run->again > t->sum.again ? run->again : t->sum.again;
    t->sum.suspects = run->suspects > t->sum.suspects ? run->suspects : t->sum.suspects;
    t->sum.bytes = run->bytes > t->sum.bytes ? run->bytes : t->sum.bytes;
}

static void print_line(const uap_bench_profile_sim *bench, const uap_partition *p,
                       const uap_survey_plan *plan, const totals *t)
{
    (void)fprintf(
        bench->out, "%8d %8d %9.2f %9.2f %7d %6d %9d %8d %6d %7d %6d %8.1f %8.2f\n",
        (int)p->nodes, (int)p->devices, uap_survey_expected_s(plan), t->sum.seconds,
        (int)t->sum.rounds, (int)t->sum.again, (int)t->sum.suspects, (int)t->planted,
        (int)t->sum.found, (int)t->sum.missed, (int)t->sum.false_alarms,
        (double)t->sum.bytes / (1 << 20), t->real_s);
    (void)fflush(bench->out);
}

static uap_round_kind kind_of_nodes(const uap_survey_plan *plan)
{
    for (int32_t i = 0; i < plan->n; i++) {
        if (plan->stage[i].kind == UAP_ROUND_PAIRS) {
            return UAP_ROUND_PAIRS;
        }
    }
    return UAP_ROUND_SHIFTS;
}

static uap_status run_size(const uap_bench_profile_sim *bench, int32_t nodes,
                           bool *differs, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_partition p = {.nodes = 0};
    uap_survey_plan plan;
    totals t = {.planted = 0};
    UAP_TRY(uap_partition_make(nodes, NULL, bench->devices_per_node, &p, err));
    uap_survey_plan_make(&p, &bench->costs, bench->tournament_max, bench->budget_s,
                         &plan);
    for (int32_t i = 0; i < bench->seeds; i++) {
        uap_virtual_cluster cluster = {.partition = &p,
                                       .costs = bench->costs,
                                       .deadline_s = bench->deadline_s,
                                       .noise = bench->noise,
                                       .hiccup = bench->hiccup,
                                       .seed = bench->seed + (uint64_t)i};
        uap_virtual_survey run;
        if (nodes > 1) {
            uap_virtual_cluster_plant(&cluster, bench->faults, kind_of_nodes(&plan));
        }
        const double start = uap_wall_s();
        UAP_TRY(uap_virtual_cluster_survey(&cluster, &plan, bench->out, &run, err));
        add(&t, &run, cluster.n_faults, uap_wall_s() - start);
    }
    print_line(bench, &p, &plan, &t);
    *differs = *differs || t.sum.missed > 0 || t.sum.false_alarms > 0;
done:
    uap_partition_free(&p);
    return rc;
}

uap_status uap_bench_profile_sim_run(const uap_bench_profile_sim *bench, bool *differs,
                                     uap_err *err)
{
    uap_status rc = UAP_OK;
    *differs = false;
    print_machine(bench);
    for (int i = 0; i < bench->n_nodes; i++) {
        UAP_TRY(run_size(bench, (int32_t)bench->nodes[i], differs, err));
    }
done:
    return rc;
}
