/* Measuring what the simulation needs, and its table. */
#include "bench/bench_steal_sim.h"

#include "bench/bench_uts.h"
#include "bench/steal_search.h"
#include "mpi/transport_mpi.h"

#include <inttypes.h>

#define N_PINGS          20000
#define N_NODES_MEASURED 3 /* runs of T1; the fastest counts */

/* Short messages to itself: the path through MPI without a network. */
static uap_status ping(const uap_transport *net, uap_virtual_machine *machine,
                       uap_err *err)
{
    uap_status rc = UAP_OK;
    const char bytes[16] = {0};
    uap_message message;
    bool got = false;
    int64_t send_ns = 0, receive_ns = 0, look_ns = 0;
    for (int i = 0; i < N_PINGS; i++) {
        const int64_t t0 = net->now_ns(net->self);
        UAP_TRY(net->send(net->self, 0, UAP_TAG_STEAL, bytes, sizeof bytes, err));
        const int64_t t1 = net->now_ns(net->self);
        do {
            UAP_TRY(net->poll(net->self, &message, &got, err));
        } while (!got);
        const int64_t t2 = net->now_ns(net->self);
        UAP_TRY(net->poll(net->self, &message, &got, err));
        send_ns += t1 - t0;
        receive_ns += t2 - t1;
        look_ns += net->now_ns(net->self) - t2;
    }
    machine->send_ns = send_ns / N_PINGS;
    machine->receive_ns = receive_ns / N_PINGS;
    machine->look_ns = look_ns / N_PINGS;
done:
    return rc;
}

uap_status uap_steal_sim_measure(const uap_comm *comm, uap_virtual_machine *machine,
                                 uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_transport_mpi *mpi = NULL;
    const uap_tree_options options = uap_tree_options_default();
    bool broken = false;
    machine->node_ns = 0.0;
    for (int i = 0; i < N_NODES_MEASURED; i++) {
        uap_uts_run run;
        rc = uap_uts_run_tree(comm, uap_uts_tree_named("T1"), &options, &run, &broken,
                              err);
        const double ns = run.wall_s * 1e9 / (double)run.nodes;
        uap_uts_run_free(&run);
        UAP_TRY(rc);
        machine->node_ns = i == 0 || ns < machine->node_ns ? ns : machine->node_ns;
    }
    UAP_TRY(uap_transport_mpi_new(comm, 64, &mpi, err));
    UAP_TRY(ping(uap_transport_mpi_net(mpi), machine, err));
done:
    uap_transport_mpi_free(mpi);
    return rc;
}

static void print_machine(const uap_bench_steal_sim *bench)
{
    const uap_virtual_machine *m = &bench->machine;
    (void)fprintf(bench->out,
                  "tree %s: ", bench->tree != NULL ? bench->tree->name : "recorded");
    if (bench->tree != NULL) {
        (void)fprintf(bench->out, "%" PRId64 " nodes of %.1f ns\n", bench->tree->nodes,
                      m->node_ns);
    } else {
        (void)fprintf(bench->out, "%" PRId64 " nodes, %.3f s\n", bench->recorded->n,
                      bench->recorded->total_ns * 1e-9);
    }
    (void)fprintf(bench->out,
                  "a message costs %" PRId64 " ns to send, %" PRId64
                  " to receive, %.2f a byte; an empty look %" PRId64
                  " ns\n%d ranks a node, %" PRId64 " ns one way within it\n\n",
                  m->send_ns, m->receive_ns, m->byte_ns, m->look_ns, m->ranks_per_node,
                  m->near_ns);
    (void)fprintf(bench->out, "%9s %7s %11s %10s %7s %8s %8s %8s %8s %8s %9s\n",
                  "latency", "ranks", "seconds", "efficiency", "idle", "start_us",
                  "tried", "won", "messages", "most", "waves");
}

static int64_t messages_of(const uap_tree_stats *s)
{
    int64_t sum = 0;
    for (int tag = 0; tag < UAP_TAG_COUNT; tag++) {
        sum += s->sent[tag];
    }
    return sum;
}

static void print_line(const uap_bench_steal_sim *bench, const uap_virtual_machine *m,
                       const uap_virtual_result *result, double work_ns)
{
    const double n = m->size;
    const uap_tree_stats *sum = &result->sum;
    /* Per rank: steals tried and won, messages sent; most: the sum of each kind's most. */
    (void)fprintf(bench->out,
                  "%6.1f us %7d %11.6f %10.4f %6.2f%% %8.0f %8.1f %8.1f %8.1f %8" PRId64
                  " %9" PRId64 "\n",
                  (double)m->far_ns * 1e-3, m->size, (double)result->time_ns * 1e-9,
                  work_ns / (n * (double)result->time_ns),
                  100.0 * (double)sum->idle_ns / (double)sum->elapsed_ns,
                  (double)result->largest.first_work_ns * 1e-3,
                  (double)sum->steals_tried / n, (double)sum->steals_won / n,
                  (double)messages_of(sum) / n, messages_of(&result->largest),
                  result->largest.waves);
    (void)fflush(bench->out);
}

static uap_status run_one(const uap_bench_steal_sim *bench,
                          const uap_virtual_machine *machine, bool *differs, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_uts_count count = {.tree = bench->tree};
    const bool uts = bench->tree != NULL;
    const uap_tree_problem problem =
        uts ? uap_uts_problem(&count) : uap_recorded_tree_problem(bench->recorded);
    const int64_t nodes = uts ? bench->tree->nodes : bench->recorded->n;
    uap_virtual_result result;
    UAP_TRY(uap_virtual_run(&problem, &bench->options, machine, &result, err));
    print_line(bench, machine, &result,
               uts ? machine->node_ns * (double)nodes : bench->recorded->total_ns);
    if (result.sum.nodes != nodes || result.late != 0) {
        *differs = true;
        (void)fprintf(bench->out, "%" PRId64 " nodes were visited, %" PRId64 " exist\n",
                      result.sum.nodes, nodes);
    }
done:
    return rc;
}

/* ---- A recorded plan search ------------------------------------------------------------ */

static void print_search(const uap_bench_steal_sim *bench)
{
    const uap_virtual_machine *m = &bench->machine;
    const uap_recorded_search *s = bench->search;
    (void)fprintf(bench->out,
                  "%d jobs of %" PRId64 " tasks take %.3f s, the longest task %.1f ms; "
                  "every rank does %.3f s for itself; %" PRId64 " meetings\n",
                  s->n_jobs, s->n_tasks, s->shared_ns * 1e-9, s->longest_ns * 1e-6,
                  s->alone_ns * 1e-9, s->meetings);
    (void)fprintf(bench->out,
                  "a message costs %" PRId64 " ns to send, %" PRId64
                  " to receive, %.2f a byte; an empty look %" PRId64
                  " ns\n%d ranks a node, %" PRId64 " ns one way within it\n\n",
                  m->send_ns, m->receive_ns, m->byte_ns, m->look_ns, m->ranks_per_node,
                  m->near_ns);
    (void)fprintf(bench->out, "%9s %7s %11s %10s %9s %9s %9s %8s %8s %8s\n", "latency",
                  "ranks", "seconds", "efficiency", "alone", "jobs", "meetings", "tried",
                  "won", "messages");
}

static uap_status simulate_search(const uap_bench_steal_sim *bench,
                                  const uap_virtual_machine *machine, bool *differs,
                                  uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_recorded_search *s = bench->search;
    const double n = machine->size;
    uap_steal_search found;
    UAP_TRY(uap_steal_search_run(s, &bench->options, machine, &found, err));
    (void)fprintf(
        bench->out,
        "%6.1f us %7d %11.6f %10.4f %8.2f%% %8.2f%% %8.2f%% %8.1f %8.1f %8.1f\n",
        (double)machine->far_ns * 1e-3, machine->size, found.time_ns * 1e-9,
        (s->alone_ns + s->shared_ns) / (n * found.time_ns),
        100.0 * s->alone_ns / found.time_ns, 100.0 * found.jobs_ns / found.time_ns,
        100.0 * found.meet_ns / found.time_ns, (double)found.tried / n,
        (double)found.won / n, (double)found.messages / n);
    (void)fflush(bench->out);
    *differs = *differs || found.differs;
done:
    return rc;
}

uap_status uap_bench_steal_sim_run(const uap_bench_steal_sim *bench, bool *differs,
                                   uap_err *err)
{
    uap_status rc = UAP_OK;
    *differs = false;
    if (bench->search != NULL) {
        print_search(bench);
    } else {
        print_machine(bench);
    }
    for (int l = 0; l < bench->n_latencies; l++) {
        for (int i = 0; i < bench->n_ranks; i++) {
            uap_virtual_machine machine = bench->machine;
            machine.size = (int)bench->ranks[i];
            machine.far_ns = bench->latencies_ns[l];
            if (bench->search != NULL) {
                UAP_TRY(simulate_search(bench, &machine, differs, err));
                continue;
            }
            if (bench->recorded != NULL) {
                machine.node_ns = 0.0;
                machine.worked_ns = &bench->recorded->worked_ns;
            }
            UAP_TRY(run_one(bench, &machine, differs, err));
        }
    }
done:
    return rc;
}
