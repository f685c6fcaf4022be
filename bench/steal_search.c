/* The jobs of a recorded search, one virtual run each. */
#include "bench/steal_search.h"

/* Rounds of messages in which all ranks hear from all. */
static int rounds_of(int size)
{
    int rounds = 0;
    while (size > 1 << rounds) {
        rounds++;
    }
    return rounds;
}

/* A sum over all ranks that all of them get, there and back along a tree. */
static double meeting_ns(const uap_virtual_machine *m)
{
    const double hop_ns = (double)(m->far_ns + m->send_ns + m->receive_ns);
    return 2.0 * rounds_of(m->size) * hop_ns;
}

/* Sizes, then every rank's bytes to every other in rounds of twice as many each. */
static double exchange_ns(const uap_virtual_machine *m, int64_t n_bytes)
{
    const double hop_ns = (double)(m->far_ns + m->send_ns + m->receive_ns);
    return meeting_ns(m) + rounds_of(m->size) * hop_ns + (double)n_bytes * m->byte_ns;
}

static uap_status run_job(const uap_recorded_job *job, const uap_tree_options *options,
                          const uap_virtual_machine *machine, uap_steal_search *out,
                          uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_virtual_machine own = *machine;
    uap_virtual_result result;
    uap_recorded_tree tree;
    UAP_TRY(uap_recorded_job_tree(job, machine->size, &tree, err));
    const uap_tree_problem problem = uap_recorded_tree_problem(&tree);
    own.node_ns = 0;
    own.worked_ns = &tree.worked_ns;
    UAP_TRY(uap_virtual_run(&problem, options, &own, &result, err));
    out->jobs_ns += (double)result.time_ns;
    out->meet_ns += exchange_ns(machine, job->n_bytes);
    out->tried += result.sum.steals_tried;
    out->won += result.sum.steals_won;
    for (int tag = 0; tag < UAP_TAG_COUNT; tag++) {
        out->messages += result.sum.sent[tag];
    }
    out->differs = out->differs || result.sum.nodes != tree.n || result.late != 0;
done:
    uap_recorded_tree_free(&tree);
    return rc;
}

uap_status uap_steal_search_run(const uap_recorded_search *search,
                                const uap_tree_options *options,
                                const uap_virtual_machine *machine, uap_steal_search *out,
                                uap_err *err)
{
    uap_status rc = UAP_OK;
    *out = (uap_steal_search){0};
    if (machine->size == 1) {
        out->jobs_ns = search->shared_ns;
    } else {
        for (int32_t i = 0; i < search->n_jobs; i++) {
            UAP_TRY(run_job(&search->job[i], options, machine, out, err));
        }
        out->meet_ns += (double)search->meetings * meeting_ns(machine);
    }
    out->time_ns = search->alone_ns + out->jobs_ns + out->meet_ns;
done:
    return rc;
}
