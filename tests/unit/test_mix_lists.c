/* Lists of labels that count devices (search/mix_front.h) and points in columns
 * (search/mix_columns.h) against the same done label by label. */
#include "unit/check.h"

#include "bench/rng.h"
#include "search/mix_columns.h"
#include "search/mix_front.h"

#include <math.h>

#define GROUPS 6
#define ROWS   400

/* As much of a mixed cluster as lists know. */
typedef struct yard {
    uap_mix mix;
    uap_device_fields fields;
    uap_device_field field[GROUPS];
    uap_mix_room room[GROUPS];
} yard;

static void yard_init(yard *y)
{
    static const int64_t most[GROUPS] = {3, 1000, 16384, 1, 255, 100000000};
    *y = (yard){.mix = {.n_groups = GROUPS}};
    for (int32_t g = 0; g < GROUPS; g++) {
        y->room[g].most = most[g];
    }
    y->fields.at = y->field;
    y->mix.fields = &y->fields;
    y->mix.room = y->room;
    assert_true(uap_devices_place(&y->mix));
    assert_int_equal(y->field[GROUPS - 1].word, 1); /* both words are in use */
}

/* Few values, so that labels are often alike, and now and then a large one. */
static uap_front_row random_row(const yard *y, uap_rng *rng)
{
    uap_front_row row = {.left = {{0}}};
    for (int k = 0; k < UAP_FRONT_KEYS; k++) {
        row.key[k] = uap_rng_range(rng, 0, 4);
        if (uap_rng_range(rng, 0, 50) == 0) {
            row.key[k] = INT64_MAX - 1;
        }
    }
    for (int32_t g = 0; g < GROUPS; g++) {
        const int64_t most = y->room[g].most;
        const int64_t left =
            uap_rng_range(rng, 0, 2) == 0 ? uap_rng_range(rng, 0, most) : most;
        uap_devices_set(&y->mix, &row.left, g, left);
    }
    return row;
}

static bool covers(const yard *y, int32_t n_keys, const uap_front_row *a,
                   const uap_front_row *b)
{
    bool ok = true;
    for (int32_t k = 0; k < n_keys; k++) {
        ok = ok && a->key[k] <= b->key[k];
    }
    for (int32_t g = 0; g < GROUPS; g++) {
        ok = ok && uap_devices_get(&y->mix, &a->left, g) >=
                       uap_devices_get(&y->mix, &b->left, g);
    }
    return ok;
}

/* One list, and the same as numbers of rows in the order in which they came. */
static void compare_front(const yard *y, uint64_t seed, int32_t n_keys, uap_front *front)
{
    static uap_front_row row[ROWS];
    int32_t kept[ROWS];
    int32_t n = 0;
    uap_rng rng;
    uap_rng_seed(&rng, seed);
    for (int32_t i = 0; i < ROWS; i++) {
        row[i] = random_row(y, &rng);
        bool is_covered = false;
        for (int32_t j = 0; j < n; j++) {
            is_covered = is_covered || covers(y, n_keys, &row[kept[j]], &row[i]);
        }
        assert_true(uap_front_covers(front, &y->mix, &row[i]) == is_covered);
        if (is_covered) {
            continue;
        }
        int32_t left = 0;
        for (int32_t j = 0; j < n; j++) {
            if (!covers(y, n_keys, &row[i], &row[kept[j]])) {
                kept[left++] = kept[j];
            }
        }
        n = left;
        kept[n++] = i;
        assert_true(uap_front_add(front, &y->mix, &row[i], i));
        assert_int_equal(uap_front_count(front), n);
    }
    uap_front_close_up(front);
    assert_int_equal(front->n, n);
    for (int32_t j = 0; j < n; j++) {
        assert_int_equal(uap_front_id(front, j), kept[j]);
    }
    uap_front_clear(front);
}

static void fronts_keep_what_nothing_covers(void **state)
{
    (void)state;
    yard y;
    yard_init(&y);
    for (int32_t n_keys = 2; n_keys <= UAP_FRONT_KEYS; n_keys += UAP_FRONT_KEYS - 2) {
        uap_front front = {.n_keys = n_keys};
        for (uint64_t seed = 0; seed < 60; seed++) {
            compare_front(&y, seed, n_keys, &front);
        }
        uap_front_free(&front);
    }
}

static uap_device_point random_point(const yard *y, uap_rng *rng)
{
    const uap_front_row row = random_row(y, rng);
    uap_device_point p = {.s = uap_rng_real(rng, 0, 10), .m = uap_rng_real(rng, 0, 10)};
    for (int32_t g = 0; g < GROUPS; g++) {
        const int64_t left = uap_devices_get(&y->mix, &row.left, g);
        uap_devices_set(&y->mix, &p.used, g, y->room[g].most - left);
    }
    return p;
}

static void columns_admit_what_some_point_does(void **state)
{
    (void)state;
    yard y;
    uap_device_point pool[ROWS];
    uap_rng rng;
    int admitted = 0;
    yard_init(&y);
    uap_rng_seed(&rng, 7);
    for (int32_t i = 0; i < ROWS; i++) {
        pool[i] = random_point(&y, &rng);
    }
    const uap_list list[] = {{0, 0}, {0, 1}, {1, 16}, {17, 17}, {34, 100}, {134, 266}};
    const size_t n = sizeof list / sizeof *list;
    uap_columns columns;
    assert_true(uap_columns_make(&columns, list, n, pool));
    for (int32_t i = 0; i < 3000; i++) {
        const size_t at = (size_t)i % n;
        const uap_columns_wish wish = {.limit = uap_rng_real(&rng, -2, 20),
                                       .m = uap_rng_real(&rng, 0, 12),
                                       .left = random_row(&y, &rng).left};
        double least = HUGE_VAL;
        for (int64_t j = list[at].first; j < list[at].first + list[at].count; j++) {
            const double value = pool[j].s + fmax(pool[j].m, wish.m);
            bool has_devices = true;
            for (int32_t g = 0; g < GROUPS; g++) {
                has_devices =
                    has_devices && uap_devices_get(&y.mix, &wish.left, g) >=
                                       uap_devices_get(&y.mix, &pool[j].used, g);
            }
            least = has_devices ? fmin(least, value) : least;
        }
        const bool is_admitted = uap_columns_admit(&columns, at, &y.mix, &wish);
        assert_true(is_admitted == (least <= wish.limit));
        assert_true(!(uap_columns_least(&columns, at, &y.mix, &wish) < least) &&
                    !(uap_columns_least(&columns, at, &y.mix, &wish) > least));
        admitted += is_admitted;
    }
    assert_in_range(admitted, 300, 2700);
    uap_columns_free(&columns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fronts_keep_what_nothing_covers),
        cmocka_unit_test(columns_admit_what_some_point_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
