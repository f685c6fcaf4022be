/* Where between the sizes of a sweep its lines say least: the next size to measure. */
#include "profile/fit.h"

#include <math.h>

/* A time this near to its line is on it, whatever its spread says. */
#define NEAR      0.05
#define MADS_NEAR 3.0

/* Doubt by octaves below which no size is worth measuring: a tenth over a factor of 2. */
#define DOUBT_MIN 0.1

static uap_piece line_at(uap_line line, const uap_pieces *pieces, double bytes)
{
    uap_piece at = {0, line.latency_s, line.bandwidth_Bps};
    for (int32_t k = 0; k < pieces->n; k++) {
        at = k == 0 || pieces->piece[k].from_bytes <= bytes ? pieces->piece[k] : at;
    }
    return at;
}

static double seconds_by(const uap_piece *line, double bytes)
{
    return line->latency_s + bytes / line->bandwidth_Bps;
}

/* ln of measured by fitted; 0 where its own spread explains the difference. */
static double residual(const uap_point *point, const uap_piece *line)
{
    const double r = log(point->seconds / seconds_by(line, point->bytes));
    const double noise = fmax(NEAR, MADS_NEAR * point->mad_s / point->seconds);
    return fabs(r) > noise ? r : 0;
}

/* By how much, in ln, the time between two points may differ from what is foretold: if the line
 * of either went on to there, as far off as that point is. */
static double doubt_between(uap_line line, const uap_pieces *pieces, const uap_point *low,
                            const uap_point *high)
{
    const double middle = sqrt(low->bytes * high->bytes);
    const uap_piece below = line_at(line, pieces, low->bytes);
    const uap_piece above = line_at(line, pieces, high->bytes);
    const uap_piece here = line_at(line, pieces, middle);
    const double foretold = log(seconds_by(&here, middle));
    const double from_below = log(seconds_by(&below, middle)) + residual(low, &below);
    const double from_above = log(seconds_by(&above, middle)) + residual(high, &above);
    return fmax(fabs(from_below - foretold), fabs(from_above - foretold));
}

double uap_fit_doubt(uap_line line, const uap_pieces *pieces, const uap_point *point,
                     int32_t n)
{
    double most = DOUBT_MIN, bytes = 0;
    for (int32_t i = 0; i + 1 < n; i++) {
        const uap_point *low = &point[i], *high = &point[i + 1];
        if (!uap_point_is_usable(low) || !uap_point_is_usable(high)) {
            continue;
        }
        const double octaves = log2(high->bytes / low->bytes);
        const double doubt = octaves * doubt_between(line, pieces, low, high);
        if (doubt > most) {
            most = doubt;
            bytes = sqrt(low->bytes * high->bytes);
        }
    }
    return bytes;
}
