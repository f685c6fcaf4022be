/* What a look at the ranks themselves finds: processors and memory of another NUMA node than
 * their device's, processors that several ranks share while others idle, and devices that heat
 * or power holds back. */
#include "common/mem.h"
#include "profile/fit.h"
#include "profile/profile_impl.h"

#include <math.h>
#include <string.h>

/* A device that is held back, but runs at this share of the usual clock, runs well enough:
 * large products take GPUs to their limit of power, all alike. */
#define CLOCK_SHARE 0.95

/* What every member tells rank 0. */
typedef struct rank_state {
    uap_binding binding;
    double mhz; /* the lower of two readings; 0: not readable */
    bool is_held_back;
} rank_state;

static rank_state state_of_self(const uap_profile *profile)
{
    const uap_device_clocks *c = profile->clocks;
    rank_state own;
    memset(&own, 0, sizeof own);
    own.binding = profile->binding;
    own.mhz = c[0].mhz > 0 && c[1].mhz > 0 ? fmin(c[0].mhz, c[1].mhz) : 0;
    own.is_held_back = c[0].is_held_back || c[1].is_held_back ||
                       (c[0].throttles >= 0 && c[1].throttles > c[0].throttles);
    return own;
}

/* The median clock of all; 0: not readable. */
static double usual_mhz(const rank_state *state, int size, double *scratch)
{
    int64_t n = 0;
    for (int r = 0; r < size; r++) {
        if (state[r].mhz > 0) {
            scratch[n++] = state[r].mhz;
        }
    }
    return n > 0 ? uap_median(scratch, n) : 0;
}

static uap_status add(uap_profile *profile, const uap_finding *like, int32_t device,
                      uap_err *err)
{
    uap_finding f = *like;
    f.device = device;
    f.peer = UAP_NOBODY;
    f.again_s = f.value_s;
    return uap_findings_add(&profile->survey.found.findings, &f, err);
}

/* Ranks of the node of rank r, in first .. end - 1, with the same processors. */
static int32_t sharing(const rank_state *state, int first, int end, int r)
{
    int32_t n = 0;
    for (int i = first; i < end; i++) {
        n += state[i].binding.processors > 0 &&
             state[i].binding.set == state[r].binding.set;
    }
    return n;
}

static uap_status judge_binding(uap_profile *profile, const rank_state *state,
                                int32_t ranks, int32_t device, uap_err *err)
{
    const uap_binding *b = &state->binding;
    uap_status rc = UAP_OK;
    if (uap_binding_is_far(b)) {
        const uap_finding far = {.kind = UAP_FINDING_FAR,
                                 .value_s = b->numa_node,
                                 .median_s = b->has_far_memory ? -1 : b->device_node};
        UAP_TRY(add(profile, &far, device, err));
    }
    if (uap_binding_is_crowded(b, ranks)) {
        const uap_finding crowded = {
            .kind = UAP_FINDING_CROWDED, .value_s = ranks, .median_s = b->processors};
        UAP_TRY(add(profile, &crowded, device, err));
    }
done:
    return rc;
}

/* Held back, and slower than its like; where clocks cannot be read, where most are not. */
static bool is_throttled(const rank_state *state, double usual, int32_t held, int size)
{
    const bool is_slow =
        state->mhz > 0 && usual > 0 ? state->mhz < CLOCK_SHARE * usual : 2 * held < size;
    return state->is_held_back && is_slow;
}

/* On rank 0. */
static uap_status judge(uap_profile *profile, const rank_state *state,
                        const int32_t *device, double *scratch, uap_err *err)
{
    const uap_comm *comm = profile->members;
    const int size = uap_comm_size(comm);
    const double usual = usual_mhz(state, size, scratch);
    uap_status rc = UAP_OK;
    int32_t held = 0;
    for (int r = 0; r < size; r++) {
        held += state[r].is_held_back;
    }
    for (int r = 0, first = 0, end = 0; r < size; r++) {
        if (r == end) {
            first = r;
            while (end < size &&
                   uap_comm_node_of(comm, end) == uap_comm_node_of(comm, r)) {
                end++;
            }
        }
        const int32_t ranks = sharing(state, first, end, r);
        UAP_TRY(judge_binding(profile, &state[r], ranks, device[r], err));
        if (is_throttled(&state[r], usual, held, size)) {
            const uap_finding throttled = {.kind = UAP_FINDING_THROTTLED,
                                           .value_s = state[r].mhz,
                                           .median_s = usual};
            UAP_TRY(add(profile, &throttled, device[r], err));
        }
    }
done:
    return rc;
}

uap_status uap_profile_look_at_ranks(uap_profile *profile, uap_err *err)
{
    const rank_state own = state_of_self(profile);
    const size_t size = (size_t)uap_comm_size(profile->members);
    uap_status rc = UAP_OK;
    char *all = NULL;
    size_t *offset = NULL;
    int32_t *device = NULL;
    double *scratch = NULL;
    UAP_TRY(uap_comm_gather(profile->members, &own, sizeof own, &all, &offset, err));
    if (uap_comm_rank(profile->members) == 0) {
        device = uap_calloc(size, sizeof *device);
        scratch = uap_calloc(size, sizeof *scratch);
        if (device == NULL || scratch == NULL) {
            rc = UAP_FAIL(err, NO_MEMORY, "no memory for what ranks say");
        } else {
            uap_profile_number_devices(&profile->survey, (int)size, device);
            /* Blocks of one size, in storage of calloc's alignment. */
            rc = judge(profile, (const rank_state *)(const void *)all, device, scratch,
                       err);
        }
        rc = rc == UAP_OK ? uap_profile_list_nodes(&profile->survey, err) : rc;
    }
    rc = uap_comm_agree(profile->members, rc, err);
done:
    uap_free(scratch);
    uap_free(device);
    uap_free(offset);
    uap_free(all);
    return rc;
}
