/* The stages take turns: each runs its operations in order until one waits for a
 * micro-batch that has not arrived. */
#include "bench/pipeline_sim.h"

#include "common/numbers.h"

/* What one stage has done, and when what it needs is there. Times are ticks. */
typedef struct station {
    int64_t held;                     /* micro-batches it may hold */
    int64_t forwards, backwards;      /* done */
    int64_t arrived_fwd, arrived_bwd; /* micro-batches whose input has a known time */
    int64_t clock;                    /* end of its last operation */
    int64_t link_down,
        link_up;        /* end of the last transfer to the next, to the one before */
    int64_t *fwd_ready; /* [c] when the input is there */
    int64_t *bwd_ready; /* [c] when the output's gradient is there */
} station;

/* Forward comes first while fewer than `held` are in flight and some are left. */
static bool forward_is_next(const station *s, int64_t c)
{
    return s->forwards < c && s->forwards - s->backwards < s->held;
}

static void run_forward(station *s, station *next, const uap_stage_cost *cost)
{
    const int64_t m = s->forwards++;
    s->clock = uap_max_i64(s->clock, s->fwd_ready[m]) + cost->fwd;
    if (next == NULL) {
        s->bwd_ready[m] = s->clock;
        s->arrived_bwd++;
        return;
    }
    s->link_down = uap_max_i64(s->link_down, s->clock) + cost->send_fwd;
    next->fwd_ready[m] = s->link_down;
    next->arrived_fwd++;
}

/* send_bwd: the transfer across the boundary before this stage. */
static void run_backward(station *s, station *before, int64_t bwd, int64_t send_bwd)
{
    const int64_t m = s->backwards++;
    s->clock = uap_max_i64(s->clock, s->bwd_ready[m]) + bwd;
    if (before == NULL) {
        return;
    }
    s->link_up = uap_max_i64(s->link_up, s->clock) + send_bwd;
    before->bwd_ready[m] = s->link_up;
    before->arrived_bwd++;
}

/* Runs stage i as far as it gets; true when it did anything. */
static bool advance(station *stations, int32_t pp, int32_t i, int64_t c,
                    const uap_stage_cost *stage)
{
    station *s = &stations[i];
    station *next = i + 1 < pp ? s + 1 : NULL;
    station *before = i > 0 ? s - 1 : NULL;
    bool moved = false;
    while (s->backwards < c) {
        if (forward_is_next(s, c)) {
            if (s->forwards == s->arrived_fwd) {
                break;
            }
            run_forward(s, next, &stage[i]);
        } else {
            if (s->backwards == s->arrived_bwd) {
                break;
            }
            run_backward(s, before, stage[i].bwd, i > 0 ? stage[i - 1].send_bwd : 0);
        }
        moved = true;
    }
    return moved;
}

static void run_all(station *stations, int32_t pp, int64_t c, const uap_stage_cost *stage,
                    uap_sim_result *result)
{
    stations[0].arrived_fwd = c; /* the data are there from the start */
    bool moved = true;
    while (moved) {
        moved = false;
        for (int32_t i = 0; i < pp; i++) {
            moved = advance(stations, pp, i, c, stage) || moved;
        }
    }
    *result = (uap_sim_result){0, 0};
    for (int32_t i = 0; i < pp; i++) {
        result->span = uap_max_i64(result->span, stations[i].clock);
        result->total = uap_max_i64(result->total, stations[i].clock + stage[i].grad);
    }
}

uap_status uap_pipeline_simulate(int32_t pp, int64_t c, const uap_stage_cost *stage,
                                 const int64_t *inflight, uap_sim_result *result,
                                 uap_err *err)
{
    if (pp < 1 || c < 1) {
        return UAP_FAIL(err, BAD_USAGE,
                        "no pipeline has %d stages and %lld micro-batches", pp,
                        (long long)c);
    }
    uap_status rc = UAP_OK;
    station *stations = uap_calloc((size_t)pp, sizeof *stations);
    int64_t *times = uap_calloc(2 * (size_t)pp * (size_t)c, sizeof *times);
    if (stations == NULL || times == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory to simulate %d stages", pp);
        goto done;
    }
    for (int32_t i = 0; i < pp; i++) {
        if (inflight[i] < 1) {
            rc = UAP_FAIL(err, BAD_USAGE, "stage %d may hold no micro-batch", i);
            goto done;
        }
        stations[i].held = inflight[i];
        stations[i].fwd_ready = times + 2 * (size_t)i * (size_t)c;
        stations[i].bwd_ready = stations[i].fwd_ready + c;
    }
    run_all(stations, pp, c, stage, result);
done:
    uap_free(times);
    uap_free(stations);
    return rc;
}
