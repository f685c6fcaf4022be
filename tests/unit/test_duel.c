/* What turns say: agreement, difference and noise, against times whose answer is known. */
#include "unit/check.h"

#include "bench/duel.h"

#include <string.h>

#define TURNS 30

typedef struct turns {
    double ours[TURNS], plain[TURNS], scratch[TURNS];
} turns;

/* Times around 1 and `ratio`; every `odd_every`-th turn is ten times too long. */
static void fill(turns *t, double ratio, double spread, int odd_every)
{
    for (int i = 0; i < TURNS; i++) {
        const double wave = spread * sin(7.1 * (i + 1));
        const double slip = odd_every > 0 && i % odd_every == 0 ? 10 : 1;
        t->ours[i] = ratio * (1 + wave) * slip;
        t->plain[i] = (1 - wave) * slip;
    }
}

static void test_agreement_and_difference(void **state)
{
    turns t;
    (void)state;
    fill(&t, 1.04, 0.005, 0);
    uap_duel duel = uap_duel_judge(t.ours, t.plain, TURNS, 0.05, t.scratch);
    assert_int_equal(duel.verdict, UAP_DUEL_AGREES);
    assert_close(duel.ratio, 1.04, 0.01, 0);
    assert_close(duel.ours_s, 1.04, 0.01, 0);
    assert_close(duel.plain_s, 1, 0.01, 0);
    assert_int_equal(uap_duel_judge(t.ours, t.plain, TURNS, 0.02, t.scratch).verdict,
                     UAP_DUEL_DIFFERS);
    fill(&t, 0.93, 0.005, 0);
    assert_int_equal(uap_duel_judge(t.ours, t.plain, TURNS, 0.05, t.scratch).verdict,
                     UAP_DUEL_DIFFERS);
}

/* A third of the turns held up does not move the medians. */
static void test_slips_do_not_count(void **state)
{
    turns t;
    (void)state;
    fill(&t, 1, 0.001, 3);
    const uap_duel duel = uap_duel_judge(t.ours, t.plain, TURNS, 0.03, t.scratch);
    assert_int_equal(duel.verdict, UAP_DUEL_AGREES);
    assert_true(duel.self < 0.01);
}

/* Where one's own halves differ by more than the bar nothing is said, even if the medians
 * agree; of either way. */
static void test_noise_is_no_agreement(void **state)
{
    turns t;
    (void)state;
    for (int which = 0; which < 2; which++) {
        fill(&t, 1, 0, 0);
        for (int i = 0; i < TURNS; i += 2) {
            (which == 0 ? t.ours : t.plain)[i] *= 1.2;
        }
        const uap_duel duel = uap_duel_judge(t.ours, t.plain, TURNS, 0.15, t.scratch);
        assert_close(duel.self, 0.2, 1e-9, 0);
        assert_int_equal(duel.verdict, UAP_DUEL_TOO_NOISY);
    }
    memset(t.plain, 0, sizeof t.plain); /* no times at all */
    assert_int_not_equal(uap_duel_judge(t.ours, t.plain, TURNS, 0.5, t.scratch).verdict,
                         UAP_DUEL_AGREES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agreement_and_difference),
        cmocka_unit_test(test_slips_do_not_count),
        cmocka_unit_test(test_noise_is_no_agreement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
