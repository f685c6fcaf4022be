/* Tasks as the leaves of trees of ranges, of which every rank begins with one: many jobs are
 * over before a request for work is answered. A range takes every step-th task, so that both
 * halves of one hold long and short ones alike, and every rank goes on with the first task
 * that it has: the long ones are begun early, wherever they are.
 *
 * What all ranks have spent spreads as answers of the tree search: counts of quanta by
 * rank, of which every rank keeps the largest that it has heard of. Their sum is never more
 * than what was spent, and it only grows, so that an answer of a larger sum is a better
 * one. That bounds the number of answers, too. */
#include "mpi/tasks.h"

#include "common/mem.h"
#include "mpi/tree_search.h"

#include <string.h>

#define LEAST_QUANTA    64
#define QUANTA_OF_RANKS 4 /* times the number of ranks */
#define MOST_QUANTA     UINT16_MAX

typedef struct task_range {
    int32_t first, step, n;
} task_range;

struct uap_tasks_run {
    const uap_tasks *tasks;
    uap_tree *tree; /* once it searches */
    int rank, size;
    uap_err failed; /* to let messages through */
    volatile sig_atomic_t stop;
    int64_t spent, quantum; /* here */
    uint16_t *quanta;       /* [size] that each rank is known to have spent */
};

static uap_status add_roots(void *self, uap_tree *tree, uap_err *err)
{
    const uap_tasks_run *run = self;
    const int32_t n = run->tasks->n;
    const task_range own = {.first = run->rank,
                            .step = run->size,
                            .n = (n - run->rank + run->size - 1) / run->size};
    return own.first < n ? uap_tree_add(tree, &own, err) : UAP_OK;
}

static int by_first(void *self, const void *a, const void *b)
{
    task_range p, q;
    (void)self;
    memcpy(&p, a, sizeof p);
    memcpy(&q, b, sizeof q);
    return (p.first > q.first) - (p.first < q.first);
}

static uap_status branch(void *self, const void *node, uap_tree *tree, uap_err *err)
{
    uap_tasks_run *run = self;
    task_range range;
    uap_status rc = UAP_OK;
    memcpy(&range, node, sizeof range);
    run->tree = tree;
    if (range.n > 1) {
        const task_range even = {range.first, 2 * range.step, (range.n + 1) / 2};
        const task_range odd = {range.first + range.step, 2 * range.step, range.n / 2};
        UAP_TRY(uap_tree_add(tree, &odd, err));
        UAP_TRY(uap_tree_add(tree, &even, err));
        goto done;
    }
    UAP_TRY(run->tasks->run(run->tasks->self, range.first, run, err));
    if (run->failed.code != UAP_OK && err != NULL) {
        *err = run->failed;
    }
    rc = run->failed.code;
done:
    return rc;
}

static int64_t sum_of(const uap_tasks_run *run)
{
    int64_t sum = 0;
    for (int r = 0; r < run->size; r++) {
        sum += run->quanta[r];
    }
    return sum;
}

/* Another rank's counts; what both know together is told at the next breath. */
static uap_status learn(void *self, int64_t value, const void *answer, size_t n,
                        uap_err *err)
{
    uap_tasks_run *run = self;
    uint16_t theirs;
    (void)value;
    (void)err;
    for (size_t r = 0; r < n / sizeof theirs; r++) {
        memcpy(&theirs, (const char *)answer + r * sizeof theirs, sizeof theirs);
        run->quanta[r] = theirs > run->quanta[r] ? theirs : run->quanta[r];
    }
    return UAP_OK;
}

static uap_status count_spent(uap_tasks_run *run, int64_t spent)
{
    uap_status rc = UAP_OK;
    run->spent += spent;
    const int64_t own = run->spent / run->quantum;
    run->quanta[run->rank] = (uint16_t)(own < MOST_QUANTA ? own : MOST_QUANTA);
    const int64_t sum = sum_of(run);
    if (sum > 0 && -sum < uap_tree_best(run->tree)) {
        UAP_TRY(uap_tree_improve(run->tree, -sum, run->quanta,
                                 (size_t)run->size * sizeof *run->quanta, &run->failed));
    }
    if (sum > run->tasks->effort / run->quantum) {
        run->stop = 1;
    }
done:
    return rc;
}

bool uap_tasks_breathe(uap_tasks_run *run, int64_t spent)
{
    const bool ok = run->failed.code == UAP_OK && count_spent(run, spent) == UAP_OK &&
                    uap_tree_breathe(run->tree, &run->failed) == UAP_OK;
    return !ok || run->stop != 0 || uap_tree_stopping(run->tree);
}

void uap_tasks_stop(uap_tasks_run *run)
{
    run->stop = 1;
}

static uap_status search(const uap_comm *comm, uap_tasks_run *run, bool *finished,
                         bool *broken, uap_err *err)
{
    const uap_tree_problem problem = {.self = run,
                                      .node_bytes = sizeof(task_range),
                                      .packed_max = sizeof(task_range),
                                      .answer_max =
                                          (size_t)run->size * sizeof *run->quanta,
                                      .has_roots_everywhere = true,
                                      .root = add_roots,
                                      .branch = branch,
                                      .compare = by_first,
                                      .learn = learn};
    uap_tree_options options = uap_tree_options_default();
    uap_tree_result result = {.value = UAP_TREE_NO_ANSWER};
    options.stop = &run->stop;
    options.kept = run->tasks->kept;
    options.no_statistics = true;
    const uap_status rc = uap_tree_search(comm, &problem, &options, &result, broken, err);
    *finished = result.finished;
    uap_tree_result_free(&result);
    return rc;
}

uap_status uap_tasks_share(const uap_comm *comm, const uap_tasks *tasks, bool *stopped,
                           bool *broken, uap_err *err)
{
    uap_tasks_run run = {
        .tasks = tasks, .rank = uap_comm_rank(comm), .size = uap_comm_size(comm)};
    const int64_t quanta = QUANTA_OF_RANKS * (int64_t)run.size;
    uap_status rc = UAP_OK;
    bool finished = false;
    *broken = false;
    run.quantum = tasks->effort / (quanta > LEAST_QUANTA ? quanta : LEAST_QUANTA) + 1;
    run.quanta = uap_calloc((size_t)run.size, sizeof *run.quanta);
    if (run.quanta == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory to count what %d ranks do", run.size);
    }
    UAP_TRY(uap_comm_agree(comm, rc, err));
    UAP_TRY(search(comm, &run, &finished, broken, err));
    int64_t any = run.stop != 0 || !finished;
    UAP_TRY(uap_comm_allreduce_i64(comm, &any, 1, UAP_COMM_MAX, err));
    *stopped = any != 0;
done:
    uap_free(run.quanta);
    return rc;
}
