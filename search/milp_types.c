/* Part of the program of docs/milp.md: mixed clusters. Each stage is of one type, its rows
 * are of that type, its memory is the type's, and groups have only so many devices. */
#include "common/numbers.h"
#include "search/milp_build.h"

static size_t at_stage(const uap_milp_build *b, int32_t u, int32_t i)
{
    return (size_t)u * (size_t)b->in->pp + (size_t)i;
}

/* T of stage i, and what its types lack of the stage's cap. */
static void add_stage(uap_milp_build *b, int32_t i)
{
    const uap_instance *in = b->in;
    const int32_t typed = uap_milp_add_row(b, UAP_ROW_TAG(TYPED, i), 1.0, 1.0);
    for (int32_t t = 0; t < in->n_types; t++) {
        const int32_t col = uap_milp_add_col(b, UAP_COL_TAG(TYPE, i, t), 0.0, 1.0);
        const int64_t lack = in->cap[i] - uap_typed_cap(in, i, t);
        uap_milp_set_binary(b, col);
        uap_milp_put(b, typed, col, 1.0);
        uap_milp_put(b, b->memory_row[i], col, uap_milp_bytes(b, lack));
        if (t == 0) {
            b->type[i] = col;
        }
    }
}

static void add_group(uap_milp_build *b, int32_t g)
{
    const uap_instance *in = b->in;
    const int32_t row = uap_milp_add_row(b, UAP_ROW_TAG(GROUP, g), -HUGE_VAL,
                                         (double)in->group_devices[g]);
    for (int32_t i = 0; i < in->pp; i++) {
        for (int32_t t = 0; t < in->n_types; t++) {
            if (in->type[t].group == g) {
                uap_milp_put(b, row, b->type[i] + t, (double)in->type[t].devices);
            }
        }
    }
}

/* Adds value times the marginals of layer u in stage i over the rows of type t. */
static void put_rows(uap_milp_build *b, int32_t row, int32_t u, int32_t i, int32_t t,
                     double value)
{
    for (int32_t k = 0; k < uap_table_of(b->in, u)->n; k++) {
        if (uap_row_type(b->in, u, k) == t) {
            uap_milp_put(b, row, b->marginal[at_stage(b, u, i)] + k, value);
        }
    }
}

/* s >= [layer u is in stage i in a row of type t] - [layer u - 1 is there too]. */
static void add_start(uap_milp_build *b, int32_t u, int32_t i, int32_t t)
{
    const int64_t bytes = b->in->inflight[i] * uap_typed_start(b->in, t, u);
    if (bytes == 0 || b->memory_row[i] < 0) {
        return;
    }
    const int32_t col = uap_milp_add_col(b, UAP_COL_TAG(START, u, i, t), 0.0, 1.0);
    const int32_t row =
        uap_milp_add_row(b, UAP_ROW_TAG(START_AT, u, i, t), 0.0, HUGE_VAL);
    uap_milp_put(b, b->memory_row[i], col, uap_milp_bytes(b, bytes));
    uap_milp_put(b, row, col, 1.0);
    put_rows(b, row, u, i, t, -1.0);
    if (u > 0) {
        uap_milp_put(b, row, b->stay[at_stage(b, u - 1, i)], 1.0);
    }
}

void uap_milp_build_types(uap_milp_build *b)
{
    const uap_instance *in = b->in;
    for (int32_t i = 0; in->n_types > 0 && i < in->pp; i++) {
        add_stage(b, i);
    }
    for (int32_t g = 0; g < in->n_groups; g++) {
        add_group(b, g);
    }
    for (int32_t u = 0; in->n_types > 0 && u < in->n_layers; u++) {
        for (int32_t i = uap_milp_low(in, u); i <= uap_milp_high(in, u); i++) {
            for (int32_t t = 0; t < in->n_types; t++) {
                const int32_t row =
                    uap_milp_add_row(b, UAP_ROW_TAG(TYPE_ROWS, u, i, t), -HUGE_VAL, 0.0);
                put_rows(b, row, u, i, t, 1.0);
                uap_milp_put(b, row, b->type[i] + t, -1.0);
                add_start(b, u, i, t);
            }
        }
    }
}
