/* Inside of search/mix.h: lists of points (S, M) of partial plans that count devices, shared by
 * what looks at plans from behind (mix_rough.c) and from the front (mix_reach.c). Nobody else
 * includes this. */
#ifndef UAP_SEARCH_MIX_POINTS_H
#define UAP_SEARCH_MIX_POINTS_H

#include "search/mix_front.h"
#include "search/outer_lists.h"

typedef struct uap_device_point {
    double s, m;      /* ticks, without prices */
    uap_devices used; /* at least so many */
    uap_devices left; /* as far as the stages to come can use them */
} uap_device_point;

typedef struct uap_device_pool {
    uap_device_point *at; /* owned */
    int64_t n, capacity;
} uap_device_pool;

/* Lists of no more than `longest` points, made one after the other. */
typedef struct uap_device_lists {
    uap_mix *mix;
    int64_t longest;
    double
        grid; /* to which times of long lists are rounded for each step of a device; 0: none */
    uap_front front;      /* the list being made, of */
    uap_device_pool acc;  /* these, and what was in it */
    uap_device_pool pool; /* all lists made */
    bool no_memory;
} uap_device_lists;

/* What the lists being made and made hold; pool is the caller's. */
void uap_device_lists_free(uap_device_lists *lists);

/* Adds to the list being made unless dominated; drops what it dominates. False when out of
 * memory or of effort. */
bool uap_device_lists_add(uap_device_lists *lists, const uap_device_point *p);

/* Ends the list being made. Long ones are made coarse: fewer points, each at least as good as
 * those it stands for. False as above. */
bool uap_device_lists_end(uap_device_lists *lists, uap_list *list);

/* The same, with the list appended to `out`; and what was put, from there, among the lists made.
 * put: false as above; take: false when out of memory. */
bool uap_device_lists_put(uap_device_lists *lists, uap_bytes *out);
bool uap_device_lists_take(uap_device_lists *lists, const char *from, uap_list *list);

/* The group of starts at layer a of stage i of type t; NULL where it has none. */
static inline uap_group *uap_mix_group_at(const uap_mix *mix, int32_t t, int32_t i,
                                          int32_t a)
{
    const uap_segments *s = mix->segments[t];
    const uap_stage_class *cls = &s->cls[s->class_of[i]];
    return cls->group_of[a] < 0 ? NULL : &s->group[cls->group_of[a]];
}

/* Segments of one length at their least over all classes, `alone` with S; false where none
 * fits. */
bool uap_mix_least_cell(const uap_group *group, int32_t l, uap_cell_bounds *out);

#endif
