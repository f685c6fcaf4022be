/* By which terms two ways to run a stage are compared, from the forms of the value in
 * docs/cost-model.md. */
#include "search/label.h"

static void add_term(uap_dominance *rule, int64_t p, int64_t f, int64_t g)
{
    rule->term[rule->n_terms++] = (uap_term){p, f, g};
}

/* The simple objective takes sums and maxima of p and g; gpipe those of f and of b, and S +
 * (c-1) MB + g, which p + g settles once b is no larger. */
static void add_plain_terms(const uap_value_form *form, uap_dominance *rule)
{
    add_term(rule, 1, 0, 0);
    if (form->is_split) {
        add_term(rule, 0, 1, 0);
        add_term(rule, 1, -1, 0);
    }
    if (form->has_grad) {
        add_term(rule, form->is_simple ? 0 : 1, 0, 1);
    }
}

/* Under 1f1b p, f and g stand in V, T and R as r p with 1 <= r <= c and c p - (k - 1) min(f, b),
 * with and without g, and where later stages' g may decide also as f and r p + q f. Those
 * that others imply are left out. In stage 0 nothing stands without g, unless for the stages
 * behind. */
static void add_round_terms(const uap_value_form *form, uap_dominance *rule)
{
    const bool alone = !form->is_first || !form->has_grad;
    const bool by_forward = form->is_split && form->k > 1;
    const bool by_backward =
        by_forward && !form->has_later_grad && !form->halves_in_order;
    if (form->has_grad) {
        add_term(rule, 1, 0, 1);
    }
    if (alone || form->has_later_grad) {
        add_term(rule, 1, 0, 0);
    } else {
        add_term(rule, form->c, 0, 1);
    }
    if (form->has_later_grad) {
        add_term(rule, 0, 1, 0);
    }
    for (int64_t g = alone ? 0 : 1; g <= (form->has_grad ? 1 : 0); g++) {
        if (by_forward) {
            add_term(rule, form->c, 1 - form->k, g);
        }
        if (by_backward) {
            add_term(rule, form->c - form->k + 1, form->k - 1, g);
        }
    }
}

uap_dominance uap_dominance_of(const uap_value_form *form)
{
    uap_dominance rule = {.n_terms = 0};
    if (form->is_single) {
        add_term(&rule, 1, 0, 0);
    } else if (form->is_simple || !form->has_round_trips) {
        add_plain_terms(form, &rule);
    } else {
        add_round_terms(form, &rule);
    }
    return rule;
}
