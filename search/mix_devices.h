/* Inside of search/mix.h: numbers of devices of all groups in one value, added, taken away and
 * compared at once. Each group has a field with a bit above it that is 0; a subtraction sets
 * that bit to 1 before and finds it 0 where the field ran short. Nobody else includes this. */
#ifndef UAP_SEARCH_MIX_DEVICES_H
#define UAP_SEARCH_MIX_DEVICES_H

#include "search/mix.h"

#define UAP_DEVICE_WORDS 2

typedef struct uap_devices {
    uint64_t word[UAP_DEVICE_WORDS];
} uap_devices;

typedef struct uap_device_field {
    int32_t word, shift;
    uint64_t mask;
} uap_device_field;

typedef struct uap_device_fields {
    uap_device_field *at; /* [n_groups], of the mix's arena */
    uap_devices guard;    /* the bits above the fields */
} uap_device_fields;

/* Counts work against what effort is left; false once the run must end. */
bool uap_mix_spend(uap_mix *mix, int64_t work);

/* Places of the groups in the words, in mix->fields; false where they have no room. */
bool uap_devices_place(uap_mix *mix);

static inline int64_t uap_devices_get(const uap_mix *mix, const uap_devices *d, int32_t g)
{
    const uap_device_field *f = &mix->fields->at[g];
    return (int64_t)(d->word[f->word] >> f->shift & f->mask);
}

static inline void uap_devices_set(const uap_mix *mix, uap_devices *d, int32_t g,
                                   int64_t value)
{
    const uap_device_field *f = &mix->fields->at[g];
    d->word[f->word] &= ~(f->mask << f->shift);
    d->word[f->word] |= (uint64_t)value << f->shift;
}

/* Whether a has no less of any group than b. */
static inline bool uap_devices_cover(const uap_mix *mix, const uap_devices *a,
                                     const uap_devices *b)
{
    bool ok = true;
    for (int w = 0; w < UAP_DEVICE_WORDS; w++) {
        const uint64_t guard = mix->fields->guard.word[w];
        ok = ok && (((a->word[w] | guard) - b->word[w]) & guard) == guard;
    }
    return ok;
}

/* Counts more devices of a group, no more than there are. */
static inline void uap_devices_add(const uap_mix *mix, uap_devices *d, int32_t g,
                                   int64_t more)
{
    const int64_t sum = uap_devices_get(mix, d, g) + more;
    const int64_t most = mix->room[g].most;
    uap_devices_set(mix, d, g, sum < most ? sum : most);
}

/* Rounds to multiples of `step`: what is left up, what is taken down. */
void uap_devices_coarsen(const uap_mix *mix, int64_t step, uap_devices *used,
                         uap_devices *left);

static inline bool uap_devices_equal(const uap_devices *a, const uap_devices *b)
{
    return a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

/* What so many stages still to come can use of what is left: those that differ in nothing
 * else differ for no plan. *credit: what that is worth at the mix's prices. */
static inline uap_devices uap_devices_usable(const uap_mix *mix, const uap_devices *left,
                                             int32_t stages, double *credit)
{
    uap_devices usable = {{0}};
    *credit = 0;
    for (int32_t g = 0; g < mix->n_groups; g++) {
        const uap_mix_room *room = &mix->room[g];
        const int64_t now = uap_devices_get(mix, left, g);
        const int32_t use =
            room->reach[(size_t)stages * ((size_t)room->most + 1) + (size_t)now];
        uap_devices_set(mix, &usable, g, use);
        *credit += mix->price[g] * (double)use;
    }
    return usable;
}

#endif
