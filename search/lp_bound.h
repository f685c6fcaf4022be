/* Bounds from linear programs that hold whatever a floating-point solver did. For any duals
 * y the least of c x over the columns' bounds, rows priced by y, is a bound (Neumaier and
 * Shcherbina 2004, "Safe bounds in linear and mixed-integer linear programming"); it is
 * summed with the error of every operation taken off. So y may come from anywhere: good ones
 * make a good bound, bad ones a bad one, none a wrong one. It knows no solver. */
#ifndef UAP_SEARCH_LP_BOUND_H
#define UAP_SEARCH_LP_BOUND_H

#include "search/milp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Finite upper bounds of all columns that no plan of at most `most` ticks needs to pass
 * (most: the program's incumbent or more, > 0). upper: [n_cols], out. */
void uap_lp_limits(const uap_instance *instance, const uap_milp *milp, int64_t most,
                   double *upper);

/* No plan whose columns lie within [lower, upper] is below this many ticks: rounded up to a
 * whole tick, after all errors. INT64_MIN where y is useless. lower, upper: [n_cols], finite;
 * y: [n_rows]. priced: false leaves the costs out, and a result above 0 then proves that
 * there is no such plan at all. O(entries). */
int64_t uap_lp_bound(const uap_milp *milp, const double *lower, const double *upper,
                     const double *y, bool priced);

#ifdef __cplusplus
}
#endif
#endif
