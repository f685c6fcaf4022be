/* Steps that go on without a rank that hangs: a call is given up, the roll is called, and those
 * who answer begin it anew with what they have. */
#include "common/mem.h"
#include "mpi/guard.h"
#include "profile/profile_impl.h"

#include <stdio.h>
#include <string.h>

/* A call may take no step for so many deadlines, beyond what it allows itself. */
#define PATIENCE 3.0
/* Of all steps; then something else is wrong than a rank that hangs. */
#define ROUNDS_MAX 16

typedef struct guarded_step {
    uap_profile *copy; /* what is given up keeps it */
    uap_status (*step)(uap_profile *profile, void *context, uap_err *err);
    void *context;
} guarded_step;

static uap_status run_step(void *self, uap_err *err)
{
    const guarded_step *s = self;
    return s->step(s->copy, s->context, err);
}

/* The look of ranks other than 0. */
static uap_status look(void *self, uap_err *err)
{
    const guarded_step *s = self;
    return uap_site_look(s->copy->survey.site, err);
}

/* Runs the step on a copy of the profile, which a call that is given up may go on to use. */
static uap_status run_watched(uap_profile *profile, guarded_step *s, uap_said *said,
                              uap_status *status, uap_err *err)
{
    static const uap_said said_of[] = {[UAP_GUARD_RETURNED] = UAP_SAID_DONE,
                                       [UAP_GUARD_WAITS] = UAP_SAID_WAITS,
                                       [UAP_GUARD_WORKS] = UAP_SAID_WORKS};
    uap_status rc = UAP_OK;
    uap_guard_end end = UAP_GUARD_RETURNED;
    const bool leads = uap_comm_rank(profile->survey.all) == 0;
    const uap_guarded call = {.step = run_step,
                              .look = leads ? NULL : look,
                              .self = s,
                              .patience_s = PATIENCE * profile->survey.deadline_s};
    s->copy = uap_calloc(1, sizeof *s->copy);
    if (s->copy == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a copy of the profile");
    }
    *s->copy = *profile;
    rc = uap_guard_run(&call, &end, status, err);
    if (end == UAP_GUARD_RETURNED) {
        *profile = *s->copy;
        uap_free(s->copy);
    } else if (end == UAP_GUARD_WAITS) {
        *profile = *s->copy;
    }
    profile->n_given_up += end != UAP_GUARD_RETURNED;
    *said = end == UAP_GUARD_RETURNED && uap_device_failure(profile->device)[0] != '\0'
                ? UAP_SAID_FAILED
                : said_of[end];
    return rc;
}

/* On rank 0: calls the roll; *again: somebody gave up. */
static uap_status lead(uap_profile *profile, uap_said own, bool *again, uap_err *err)
{
    uap_profile_survey *survey = &profile->survey;
    const int ranks = uap_comm_size(survey->all);
    uap_status rc = UAP_OK;
    bool has_lost = false;
    uap_said *said = uap_calloc((size_t)ranks, sizeof *said);
    if (said == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a roll of %d ranks", ranks);
    }
    UAP_TRY(uap_site_call_roll(survey->site, survey->is_left_out, own, said, err));
    for (int r = 0; r < ranks; r++) {
        *again = *again || (!survey->is_left_out[r] && said[r] != UAP_SAID_DONE);
    }
    UAP_TRY(uap_profile_survey_lose(profile, said, &has_lost, err));
    rc = *again ? UAP_OK : uap_site_all_done(survey->site, survey->is_left_out, err);
done:
    /* The others then wait for a verdict that does not come. */
    profile->n_given_up += rc != UAP_OK;
    uap_free(said);
    return rc;
}

/* *again: the members are others, and the step is to begin anew. */
static uap_status call_roll(uap_profile *profile, uap_said own, bool *again, uap_err *err)
{
    uap_profile_survey *survey = &profile->survey;
    uap_status rc = UAP_OK;
    uap_comm *members = NULL;
    *again = false;
    UAP_TRY(uap_comm_rank(survey->all) == 0
                ? lead(profile, own, again, err)
                : uap_site_answer_roll(survey->site, own, again, err));
    if (!*again) {
        return UAP_OK;
    }
    UAP_TRY(uap_site_end(survey->site, survey->is_left_out, &members, err));
    profile->n_given_up++;
    profile->is_cut_off = true;
    profile->is_unanswered =
        members != NULL && uap_comm_size(members) == uap_comm_size(profile->members);
    /* The communicators from before stay: calls that were given up are in them. */
    profile->members = members;
    profile->comm = NULL;
done:
    return rc;
}

uap_status uap_profile_guarded(uap_profile *profile,
                               uap_status (*step)(uap_profile *profile, void *context,
                                                  uap_err *err),
                               void *context, uap_err *err)
{
    guarded_step s = {.step = step, .context = context};
    uap_status rc = UAP_OK, status = UAP_OK;
    bool again = true;
    if (profile->survey.site == NULL || !uap_guard_is_possible()) {
        return step(profile, context, err);
    }
    for (int rounds = 0; again; rounds++) {
        uap_said said = UAP_SAID_DONE;
        UAP_TRY(run_watched(profile, &s, &said, &status, err));
        UAP_TRY(call_roll(profile, said, &again, err));
        if (profile->members == NULL) {
            return UAP_OK; /* left out */
        }
        if (again && rounds == ROUNDS_MAX) {
            return UAP_FAIL(err, MPI, "ranks did not answer %d times", rounds + 1);
        }
        if (again) {
            uap_err_clear(err);
        }
    }
    rc = status;
done:
    return rc;
}

/* ---- A list made anew ------------------------------------------------------------------- */

static bool is_same(const uap_item *a, const uap_item *b)
{
    const uap_collective *c = &a->collective, *d = &b->collective;
    return a->kind == b->kind && a->layer == b->layer && a->tp == b->tp &&
           a->micro_batch == b->micro_batch && a->precision == b->precision &&
           c->kind == d->kind && c->size == d->size && c->stride == d->stride &&
           c->contended == d->contended && a->distance == b->distance &&
           a->alone == b->alone;
}

/* From where a search ends up at the next of the list: lists are in the same order. */
static const uap_item *find(const uap_item *old, int32_t n_old, const uap_item *item,
                            int32_t *from)
{
    for (int32_t i = 0; i < n_old; i++) {
        const int32_t at = (*from + i) % n_old;
        if (is_same(&old[at], item)) {
            *from = at + 1;
            return &old[at];
        }
    }
    return NULL;
}

uap_status uap_profile_carry_over(uap_profile *profile, const uap_item *old,
                                  int32_t n_old, uap_err *err)
{
    uap_status rc = UAP_OK;
    const size_t n = (size_t)profile->n_items;
    int32_t from = 0;
    int64_t unanswered = profile->is_unanswered ? profile->under_way : -1;
    const uap_item **known = uap_calloc(n, sizeof *known);
    int64_t *is_known = uap_calloc(n, sizeof *is_known);
    UAP_TRY(uap_comm_agree(
        profile->comm,
        known != NULL && is_known != NULL
            ? UAP_OK
            : UAP_FAIL(err, NO_MEMORY, "no memory for %zu measurements", n),
        err));
    for (size_t i = 0; i < n; i++) {
        known[i] = find(old, n_old, &profile->item[i], &from);
        is_known[i] = known[i] != NULL && known[i]->pub.state == UAP_ITEM_DONE;
    }
    /* Some may have ended one more than others. */
    UAP_TRY(uap_comm_allreduce_i64(profile->comm, is_known, n, UAP_COMM_MIN, err));
    UAP_TRY(uap_comm_allreduce_i64(profile->comm, &unanswered, 1, UAP_COMM_MAX, err));
    for (size_t i = 0; i < n; i++) {
        if (is_known[i] != 0) {
            profile->item[i] = *known[i];
        } else if (known[i] != NULL && known[i]->pub.state == UAP_ITEM_NO_ANSWER) {
            profile->item[i].pub.state = UAP_ITEM_NO_ANSWER;
        }
    }
    if (unanswered >= 0 && unanswered < profile->n_items) {
        profile->item[unanswered].pub.state = UAP_ITEM_NO_ANSWER;
    }
done:
    uap_free(is_known);
    uap_free(known);
    return rc;
}
