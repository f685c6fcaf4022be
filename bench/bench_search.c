/* Runs the tables that were asked for, one after the other. */
#include "bench/bench_search.h"

typedef uap_status part_fn(const uap_bench_search *bench, bool *differs, uap_err *err);

static part_fn *const parts[UAP_BENCH_PART_COUNT] = {
#define PART_ROW(name, text) [UAP_BENCH_##name] = uap_bench_##text,
    UAP_BENCH_PART_LIST(PART_ROW)
#undef PART_ROW
};

uap_status uap_bench_search_run(const uap_bench_search *bench, bool *differs,
                                uap_err *err)
{
    uap_status rc = UAP_OK;
    *differs = false;
    for (int i = 0; i < UAP_BENCH_PART_COUNT; i++) {
        const bool stopped = bench->stop != NULL && *bench->stop != 0;
        if ((bench->parts >> i & 1u) != 0 && !stopped) {
            UAP_TRY(parts[i](bench, differs, err));
            (void)fprintf(bench->out, "\n");
            (void)fflush(bench->out);
        }
    }
done:
    return rc;
}
