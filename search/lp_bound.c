/* Safe bounds from duals (search/lp_bound.h). */
#include "search/lp_bound.h"

#include "common/numbers.h"

#include <float.h>
#include <math.h>

/* Larger than the relative error of one rounding, of the data (milp.h divides integers by a
 * power of ten) or of a sum's step. */
#define ROUNDING (2.0 * DBL_EPSILON)

/* No path of a schedule's value, nor any lag or round trip in it, is longer than twice the
 * value; with room to spare. */
#define TIMES_OF_A_VALUE 4.0

/* ---- Upper bounds of columns -------------------------------------------------------- */

static double largest(const int64_t *values, size_t n)
{
    int64_t most = 0;
    for (size_t i = 0; i < n; i++) {
        most = uap_max_i64(most, values[i]);
    }
    return (double)most;
}

/* The most that the pairs of an edge or of a consumer cost, ticks. */
static double largest_pair(const uap_instance *in, const uap_milp_tag *tag)
{
    const int32_t u = tag->index[0];
    if (tag->kind == UAP_COL_LIVE_FWD || tag->kind == UAP_COL_LIVE_BWD) {
        const uap_live_tensor *live = &in->live[u];
        const int32_t n = tag->index[1];
        const size_t pairs = (size_t)uap_table_of(in, live->from)->n *
                             (size_t)uap_table_of(in, live->consumer[n])->n;
        return largest(live->r_fwd[n], pairs) + largest(live->r_bwd[n], pairs);
    }
    const uap_edge_table *edge = uap_edge_of(in, u);
    const size_t pairs = (size_t)edge->n_from * (size_t)edge->n_to;
    const bool keep = tag->kind == UAP_COL_KEEP_FWD || tag->kind == UAP_COL_KEEP_BWD;
    return keep ? largest(edge->r_fwd, pairs) + largest(edge->r_bwd, pairs)
                : largest(edge->x_fwd, pairs) + largest(edge->x_bwd, pairs);
}

static double most_work(const uap_instance *in)
{
    double most = 0.0;
    for (int32_t t = 0; t < in->n_tables; t++) {
        most = fmax(most, largest(in->table[t].work, (size_t)in->table[t].n));
    }
    return most;
}

void uap_lp_limits(const uap_instance *instance, const uap_milp *milp, int64_t most,
                   double *upper)
{
    const double time = (double)most / milp->tick_unit * TIMES_OF_A_VALUE;
    const double work = most_work(instance) / milp->byte_unit * (1.0 + ROUNDING);
    for (int32_t j = 0; j < milp->n_cols; j++) {
        const uap_milp_tag *tag = &milp->col_tag[j];
        upper[j] = milp->upper[j];
        if (isfinite(upper[j])) {
            continue;
        }
        switch (tag->kind) {
        case UAP_COL_KEEP_FWD:
        case UAP_COL_KEEP_BWD:
        case UAP_COL_MOVE_FWD:
        case UAP_COL_MOVE_BWD:
        case UAP_COL_LIVE_FWD:
        case UAP_COL_LIVE_BWD:
            upper[j] =
                largest_pair(instance, tag) / milp->tick_unit * (1.0 + 4 * ROUNDING);
            break;
        case UAP_COL_WORK:
            upper[j] = work;
            break;
        default:
            upper[j] = time;
        }
    }
}

/* ---- The bound ---------------------------------------------------------------------- */

/* A sum and the most that rounding may have moved it. */
typedef struct sum {
    double value, error;
} sum;

/* Adds a term of this value that is itself off by at most `error`. */
static void add(sum *s, double value, double error)
{
    s->value += value;
    s->error += error + ROUNDING * (fabs(value) + fabs(s->value));
}

/* What a unit of row i pays, and at which of its ends: nothing where that end is open. */
static double price(const uap_milp *milp, const double *y, int32_t i, double *end)
{
    *end = y[i] > 0.0 ? milp->row_lower[i] : milp->row_upper[i];
    return isfinite(*end) ? y[i] : 0.0;
}

/* The cost of column j less what the rows pay for it. */
static sum reduced_cost(const uap_milp *milp, const double *y, int32_t j, bool priced)
{
    sum d = {0.0, 0.0};
    if (priced) {
        add(&d, milp->cost[j], ROUNDING * fabs(milp->cost[j]));
    }
    for (int32_t e = milp->start[j]; e < milp->start[j + 1]; e++) {
        double end = 0.0;
        const double pays = milp->value[e] * price(milp, y, milp->row[e], &end);
        add(&d, -pays, 2.0 * ROUNDING * fabs(pays));
    }
    return d;
}

int64_t uap_lp_bound(const uap_milp *milp, const double *lower, const double *upper,
                     const double *y, bool priced)
{
    sum total = {0.0, 0.0};
    for (int32_t i = 0; i < milp->n_rows; i++) {
        double end = 0.0;
        const double pays = price(milp, y, i, &end);
        if (pays < 0.0 || pays > 0.0) {
            add(&total, pays * end, 2.0 * ROUNDING * fabs(pays * end));
        }
    }
    for (int32_t j = 0; j < milp->n_cols; j++) {
        const sum d = reduced_cost(milp, y, j, priced);
        const double low = d.value - d.error * (1.0 + 1e-6);
        const double high = d.value + d.error * (1.0 + 1e-6);
        /* The least of d x over both ends of d and of x. */
        const double least = fmin(fmin(low * lower[j], low * upper[j]),
                                  fmin(high * lower[j], high * upper[j]));
        add(&total, least, ROUNDING * fabs(least));
    }
    if (!isfinite(total.value) || !isfinite(total.error)) {
        return INT64_MIN;
    }
    /* The errors are sums of at most 2^30 terms themselves, each far below a millionth. */
    const double safe = total.value - total.error * (1.0 + 1e-6);
    const double ticks = priced ? safe * milp->tick_unit : safe * 1e6;
    const double down = ticks - fabs(ticks) * 4.0 * ROUNDING;
    if (!(down > -(double)UAP_VALUE_LIMIT)) {
        return INT64_MIN;
    }
    return down >= (double)UAP_VALUE_LIMIT ? UAP_VALUE_LIMIT : (int64_t)ceil(down);
}
