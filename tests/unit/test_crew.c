/* A crew of forked processes, whose tasks are dealt out in an odd order and whose results
 * are applied in another: every one of them must come to what a process alone comes to, by
 * the same steps. And the bytes that results travel in. */
#include "unit/engines.h"

#include "search/exact_node.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CREW       3
#define MOST_BYTES ((size_t)8 << 20)

typedef struct outcome {
    uap_status status;
    uap_outcome outcome;
    int64_t value, bound, nodes, labels;
    int32_t config;
    int32_t first[UAP_BRUTE_MAX_LAYERS], strategy[UAP_BRUTE_MAX_LAYERS];
} outcome;

/* What the processes share. */
typedef struct board {
    pthread_barrier_t barrier;
    bool stopped[CREW];
    int64_t state[CREW];
    int64_t shared_jobs;
    size_t n[CREW];
    char bytes[CREW][MOST_BYTES];
    outcome end[CREW];
} board;

typedef struct member {
    board *b;
    int rank;
    int64_t jobs;     /* shared so far */
    int64_t stops_at; /* from this job on the search must stop; < 0: never */
    volatile sig_atomic_t is_stopping;
} member;

static void wait_for_all(const member *m)
{
    (void)pthread_barrier_wait(&m->b->barrier);
}

static uap_status meet(void *context, int64_t state, uap_status own, uap_err *err)
{
    const member *m = context;
    m->b->state[m->rank] = state;
    wait_for_all(m);
    for (int r = 0; r < CREW; r++) {
        if (m->b->state[r] != state) {
            return UAP_FAIL(err, INTERNAL, "state %d of another", r);
        }
    }
    wait_for_all(m);
    return own;
}

static uap_status share(void *context, const uap_crew_job *job, bool *stopped,
                        uap_err *err)
{
    member *m = context;
    board *b = m->b;
    uap_bytes own = {0};
    uap_status rc = UAP_OK;
    if (m->jobs++ == m->stops_at) {
        m->is_stopping = 1;
    }
    *stopped = m->is_stopping;
    UAP_TRY(meet(context, job->n, UAP_OK, err));
    if (m->is_stopping) {
        goto done;
    }
    b->stopped[m->rank] = false;
    for (int32_t i = job->n - 1; i >= 0 && !b->stopped[m->rank]; i--) {
        if ((i / 2 + i % 3) % CREW != m->rank) {
            continue;
        }
        const size_t begun = uap_crew_begin(&own, i);
        UAP_TRY(job->run(job->self, i, &own, &b->stopped[m->rank], err));
        uap_crew_end(&own, begun);
    }
    if (own.n > MOST_BYTES) {
        rc = UAP_FAIL(err, TOO_LARGE, "%zu bytes of results", own.n);
        goto done;
    }
    b->n[m->rank] = own.n;
    if (own.n > 0) {
        memcpy(b->bytes[m->rank], own.at, own.n);
    }
    b->shared_jobs += m->rank == 0;
    wait_for_all(m);
    *stopped = b->stopped[0] || b->stopped[1] || b->stopped[2];
    for (int r = 0; r < CREW && !*stopped; r++) {
        const int from = (r + m->rank) % CREW;
        UAP_TRY(uap_crew_apply(job, b->bytes[from], b->n[from], err));
    }
    wait_for_all(m);
done:
    uap_bytes_free(&own);
    return rc;
}

static bool spend(void *context, int64_t work)
{
    (void)context;
    (void)work;
    return false;
}

/* As uap_exact_solve, with a crew. */
static uap_status solve(const uap_source *source, const uap_limits *limits,
                        const uap_instance *in, const uap_crew *crew, outcome *end,
                        uap_err *err)
{
    uap_result result;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_exact_solve_with(crew, source, limits, &result, err));
    *end = (outcome){.outcome = result.outcome,
                     .value = result.value,
                     .bound = result.bound,
                     .nodes = result.stats.nodes,
                     .labels = result.stats.labels,
                     .config = result.config};
    if (result.config >= 0) {
        int64_t value = -1;
        int64_t memory[UAP_BRUTE_MAX_LAYERS];
        uap_brute_cost(in, &result.choice, &value, memory);
        if (value != result.value || !uap_brute_fits(in, &result.choice)) {
            rc = UAP_FAIL(err, INTERNAL, "a plan of %" PRId64 " costs %" PRId64,
                          result.value, value);
        }
        memcpy(end->first, result.choice.first, (size_t)in->pp * sizeof *end->first);
        memcpy(end->strategy, result.choice.strategy,
               (size_t)in->n_layers * sizeof *end->strategy);
    }
    uap_result_free(&result);
done:
    return rc;
}

static void run_member(member m, const uap_source *source, uap_limits limits,
                       const uap_instance *in)
{
    outcome *end = &m.b->end[m.rank];
    const uap_crew crew = {.context = &m,
                           .members = CREW,
                           .least_work = -1,
                           .long_task_s = limits.long_run_s,
                           .share = share,
                           .spend = spend,
                           .meet = meet};
    uap_err err = {0};
    limits.stop = &m.is_stopping;
    const uap_status rc = solve(source, &limits, in, &crew, end, &err);
    if (rc != UAP_OK) {
        (void)fprintf(stderr, "member %d: %s\n", m.rank, err.msg);
    }
    end->status = rc;
    _exit(rc == UAP_OK ? 0 : 1);
}

static board *make_board(void)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), (off_t)sizeof(board)), 0);
    board *b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    (void)fclose(file);
    pthread_barrierattr_t shared;
    assert_true(b != MAP_FAILED);
    (void)pthread_barrierattr_init(&shared);
    (void)pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    assert_int_equal(pthread_barrier_init(&b->barrier, &shared, CREW), 0);
    (void)pthread_barrierattr_destroy(&shared);
    return b;
}

static uap_limits limits_of(uint64_t seed)
{
    return (uap_limits){.rough_work = seed % 2 == 0 ? 0 : -1,
                        .effort = seed % 3 == 0 ? 20 : 0,
                        .long_run_s = seed % 5 < 2 ? -1 : 1};
}

/* The search by a crew; from job number stops_at on it must stop. */
static void run_crew(board *b, const uap_instance *in, uint64_t seed, int64_t stops_at)
{
    const uap_source source = uap_source_of_instance(in);
    pid_t child[CREW];
    for (int r = 0; r < CREW; r++) {
        child[r] = fork();
        assert_true(child[r] >= 0);
        if (child[r] == 0) {
            const member m = {.b = b, .rank = r, .stops_at = stops_at};
            run_member(m, &source, limits_of(seed), in);
        }
    }
    for (int r = 0; r < CREW; r++) {
        int status = -1;
        assert_int_equal(waitpid(child[r], &status, 0), child[r]);
        assert_int_equal(status, 0);
    }
}

/* Every member's end is this one. */
static void check_ends(const board *b, const outcome *of, uint64_t seed)
{
    for (int r = 0; r < CREW; r++) {
        if (memcmp(&b->end[r], of, sizeof *of) != 0) {
            const outcome *end = &b->end[r];
            fail_msg("seed %" PRIu64 ", member %d: outcome %d, %" PRId64 " in %" PRId64
                     " nodes, %" PRId64 " labels, not %d, %" PRId64 " in %" PRId64
                     ", %" PRId64,
                     seed, r, (int)end->outcome, end->value, end->nodes, end->labels,
                     (int)of->outcome, of->value, of->nodes, of->labels);
        }
    }
}

/* Every member's end is that of a process alone, which is brute force's. */
static void check_crew(board *b, const uap_instance *in, uint64_t seed)
{
    const uap_source source = uap_source_of_instance(in);
    const uap_limits limits = limits_of(seed);
    outcome alone = {0};
    uap_err err = {0};
    assert_ok(solve(&source, &limits, in, NULL, &alone, &err), &err);
    run_crew(b, in, seed, -1);
    check_ends(b, &alone, seed);
    if (alone.outcome == UAP_OUTCOME_OPTIMAL) {
        assert_int_equal(alone.value, solve_exactly(in, seed).value);
    }
}

static void a_crew_comes_to_what_one_does(void **state)
{
    const uap_generate_range range = {6, 12, 3, 7, 1, 4};
    board *b = make_board();
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        uap_instance *in = random_instance(seed, &range);
        check_crew(b, in, seed);
        uap_instance_free(in);
    }
    assert_true(b->shared_jobs > 300);
    (void)munmap(b, sizeof *b);
}

/* Mixed clusters: labels refer to each other by their places in lists, which must be the same
 * in every member in whatever order results come. */
static void a_crew_plans_mixed_clusters(void **state)
{
    const uap_generate_range range = {6, 12, 2, 6, 2, 4};
    board *b = make_board();
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        uap_instance *in = NULL;
        uap_err err = {0};
        assert_ok(uap_generate_typed(seed, &range, &in, &err), &err);
        check_crew(b, in, seed);
        uap_instance_free(in);
    }
    assert_true(b->shared_jobs > 300);
    (void)munmap(b, sizeof *b);
}

/* What a search claims that was stopped at a job, or that came to its end, is true. */
static void check_claim(const outcome *end, const answer *exact, uint64_t seed,
                        int64_t stops_at)
{
    const bool is_early =
        end->outcome == UAP_OUTCOME_FEASIBLE || end->outcome == UAP_OUTCOME_UNKNOWN;
    const bool has_plan =
        end->outcome == UAP_OUTCOME_OPTIMAL || end->outcome == UAP_OUTCOME_FEASIBLE;
    if ((has_plan && end->value < exact->value) || end->bound > exact->value ||
        (!is_early &&
         (end->outcome != exact->outcome || (has_plan && end->value != exact->value)))) {
        fail_msg("seed %" PRIu64 ", stopped at job %" PRId64 ": outcome %d, %" PRId64
                 ", bound %" PRId64 " of %" PRId64,
                 seed, stops_at, (int)end->outcome, end->value, end->bound, exact->value);
    }
}

/* Stopped at jobs all over the search and at each of the last: paths of plans, mostly. Returns
 * how often. */
static int stop_everywhere(board *b, const uap_instance *in, uint64_t seed)
{
    const answer exact = solve_exactly(in, seed);
    const int64_t before = b->shared_jobs;
    run_crew(b, in, seed, -1);
    const int64_t jobs = b->shared_jobs - before;
    const int64_t stride = jobs > 15 ? (jobs - 5) / 10 : 1;
    int stops = 0;
    for (int64_t at = 0; at < jobs; at += at < jobs - 5 ? stride : 1) {
        run_crew(b, in, seed, at);
        check_ends(b, &b->end[0], seed);
        check_claim(&b->end[0], &exact, seed, at);
        stops++;
    }
    return stops;
}

static void a_crew_that_is_stopped_agrees(void **state)
{
    const uap_generate_range range = {6, 12, 3, 7, 1, 4};
    const uap_generate_range typed = {6, 12, 2, 6, 2, 4};
    board *b = make_board();
    int stops = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uap_instance *in = NULL;
        uap_err err = {0};
        if (seed % 2 == 0) {
            assert_ok(uap_generate_typed(seed, &typed, &in, &err), &err);
        } else {
            in = random_instance(seed, &range);
        }
        stops += stop_everywhere(b, in, seed);
        uap_instance_free(in);
    }
    assert_true(stops > 100);
    (void)munmap(b, sizeof *b);
}

static void bytes_grow(void **state)
{
    uap_bytes bytes = {0};
    (void)state;
    for (int32_t i = 0; i < 1000; i++) {
        assert_true(uap_bytes_put(&bytes, &i, sizeof i));
    }
    assert_int_equal(bytes.n, 1000 * sizeof(int32_t));
    const char *at = bytes.at;
    for (int32_t i = 0; i < 1000; i++) {
        int32_t k = -1;
        at = uap_bytes_get(at, &k, sizeof k);
        assert_int_equal(k, i);
    }
    const size_t n = bytes.n;
    assert_null(uap_bytes_add(&bytes, SIZE_MAX / 2));
    assert_int_equal(bytes.n, n);
    uap_bytes_free(&bytes);
    assert_null(bytes.at);
}

/* A job of numbered tasks that writes down what was applied. */
typedef struct listing {
    int32_t stops_at; /* -1: never */
    int32_t ran, applied;
} listing;

static uap_status list_run(void *self, int32_t task, uap_bytes *out, bool *stop,
                           uap_err *err)
{
    listing *l = self;
    l->ran++;
    *stop = task == l->stops_at;
    for (int32_t i = 0; i < task; i++) {
        if (!uap_bytes_put(out, &task, sizeof task)) {
            return UAP_FAIL(err, NO_MEMORY, "no memory");
        }
    }
    return UAP_OK;
}

static uap_status list_apply(void *self, int32_t task, const char *result, uap_err *err)
{
    listing *l = self;
    (void)err;
    for (int32_t i = 0; i < task; i++) {
        int32_t k = -1;
        result = uap_bytes_get(result, &k, sizeof k);
        assert_int_equal(k, task);
    }
    l->applied++;
    return UAP_OK;
}

static void a_stopped_job_leaves_nothing_at_its_end(void **state)
{
    (void)state;
    for (int32_t stops_at = -1; stops_at < 4; stops_at++) {
        for (int at_end = 0; at_end < 2; at_end++) {
            listing l = {.stops_at = stops_at};
            const uap_crew_job job = {.self = &l,
                                      .n = 5,
                                      .effort = INT64_MAX,
                                      .at_end = at_end != 0,
                                      .run = list_run,
                                      .apply = list_apply};
            uap_err err = {0};
            bool stopped = false;
            assert_ok(uap_crew_do(NULL, &job, &stopped, &err), &err);
            assert_true(stopped == (stops_at >= 0));
            assert_int_equal(l.ran, stops_at < 0 ? 5 : stops_at + 1);
            assert_int_equal(l.applied, stops_at < 0 ? 5 : at_end ? 0 : stops_at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_grow),
        cmocka_unit_test(a_stopped_job_leaves_nothing_at_its_end),
        cmocka_unit_test(a_crew_comes_to_what_one_does),
        cmocka_unit_test(a_crew_plans_mixed_clusters),
        cmocka_unit_test(a_crew_that_is_stopped_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
