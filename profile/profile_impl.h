/* The fields of a profile under way, for the profile_*.c files. Private to profile/. */
#ifndef UAP_PROFILE_PROFILE_IMPL_H
#define UAP_PROFILE_PROFILE_IMPL_H

#include "common/json_write.h"
#include "profile/binding.h"
#include "profile/layers.h"
#include "profile/links.h"
#include "profile/profile.h"
#include "profile/reuse.h"
#include "profile/samples.h"
#include "profile/site.h"

/* What an effort means. */
typedef struct uap_effort_row {
    const char *name;
    int32_t n_micro_batches;
    int64_t micro_batch[5];
    uap_repeat repeat;
    uap_sweep sweep;
    int32_t overlap_repetitions;
    bool more; /* other native precisions and links one group at a time, at the end */
    double survey_bytes, survey_device_s; /* of a long message; for a device's check */
    int32_t tournament_max;               /* nodes of which every pair is surveyed */
    double budget_s;                      /* of everything behind the first look */
} uap_effort_row;

typedef enum uap_item_kind {
    UAP_MEASURE_LAYER,
    UAP_MEASURE_COLLECTIVE,
    UAP_MEASURE_P2P,
    UAP_MEASURE_OVERLAP
} uap_item_kind;

/* One measurement and, once done, its result. */
typedef struct uap_item {
    uap_profile_item pub;
    uap_item_kind kind;
    const uap_layer *layer; /* LAYER; borrowed from a model */
    int32_t tp;
    int64_t micro_batch;
    uap_precision precision;
    uap_repeat repeat;
    bool is_essential; /* measured whatever the budget */
    bool is_for_new;   /* taken from an earlier profile: only new nodes measure it */
    double once_s;     /* LAYER: expected for one run with its preparation */
    uap_work_times times;
    uap_collective
        collective;   /* COLLECTIVE: kind, size, stride, contended are set first */
    int32_t distance; /* P2P */
    bool alone;
    uap_p2p p2p;
} uap_item;

/* What the first look found, with all ranks at work; equal on every rank. */
typedef struct uap_first_look {
    double flops;         /* median over ranks: large products */
    double slowest_flops; /* of any rank, for expectations */
    double efficiency;    /* products of a layer's size, relative to large ones */
    double bytes_per_s;   /* median: the stream */
    double peak_flops[UAP_PRECISION_COUNT]; /* large products of native types, median */
} uap_first_look;

/* The ranks before the survey, and what it found. */
typedef struct uap_profile_survey {
    uap_comm *all;           /* own: every rank, in the order of nodes */
    uap_partition partition; /* of them, or of the machine that is only listed */
    char (*host)[64];        /* rank 0: [nodes] */
    uap_survey_plan plan;
    uap_site *site;         /* NULL: no survey */
    uap_survey found;       /* rank 0 */
    bool *is_left_out;      /* rank 0: [ranks] */
    char *drain, *left_out; /* rank 0: host lists of nodes */
    int32_t n_left_out;
    double elapsed_s, deadline_s;
    double slowness; /* of this rank's layers, as the stub says; 1 without one */
    double stall_s;  /* of this rank's first measurement, as the stub says */
    bool fails;      /* and whether it fails */
} uap_profile_survey;

/* Which ranks have like devices in nodes of one size. Each group measures for itself, all at
 * the same time; a group's profile is put together with the others' at the end. */
typedef struct uap_profile_groups {
    int32_t n, own;
    int32_t *first, *ranks; /* [n]: its first rank of the members; how many */
    int32_t *group_of;      /* [members] */
    uap_p2p *between;       /* [n (n - 1) / 2] on the members' rank 0; own, with points */
    int32_t n_between;
    /* Own, with points: an all-reduce of all where each group is one rank, for a profile of
     * several devices needs a collective; size 0: none. */
    uap_collective of_all;
} uap_profile_groups;

/* An earlier profile, from which is taken what is not too old. */
typedef struct uap_profile_reuse {
    uap_reuse *old; /* own; NULL: everything is measured */
    uap_reuse_context context;
    int32_t group;   /* of the earlier profile, for this rank's group; -1: none */
    bool is_new;     /* this rank's node is not in the earlier profile */
    bool has_new;    /* the group has such nodes */
    int first_new;   /* the first of their ranks in the group */
    uap_comm *fresh; /* own: their ranks; NULL on the others */
} uap_profile_reuse;

struct uap_profile {
    uap_profile_survey survey;
    /* Own: the ranks that stay, in the order of their nodes; NULL where left out. */
    uap_comm *members;
    uap_profile_groups groups;
    uap_comm *comm; /* own: this rank's group */
    uap_profile_reuse reuse;
    int32_t ranks, nodes; /* of comm, or of the machine that is only listed */
    int32_t least_on_node, most_on_node; /* ranks */
    uap_device *device;
    uap_device_info info;
    uap_binding binding;  /* of this rank */
    int64_t memory_bytes; /* per rank, the least of any */
    uap_precision precision;
    uap_profile_options options;
    const uap_effort_row *effort;
    double budget_s;
    uap_first_look look;
    double look_s;               /* that it took, by this rank's clock */
    uap_device_clocks clocks[2]; /* of this rank: before the list and behind it */
    uap_device_limits limits;    /* of the group: the least memory, the longest launch */
    uap_samples *samples;        /* own; NULL: single times are not kept */
    uap_sweep sweep;             /* the effort's */
    uap_links *links;
    int32_t n_items, capacity;
    uap_item *item; /* [n_items] */
    double compute_slowdown, communication_slowdown;
    double own_layers_s;      /* this rank's share of layer times, to find slow ranks */
    double layers_s;          /* the medians' sum */
    double spent_on_layers_s; /* by the clock of this rank */
    double elapsed_s;         /* at the end, or before the item under way */
    double before_s;          /* of a list that was given up */
    int32_t under_way;        /* the item that is measured; -1: none */
    /* Calls that were given up, with all that they may hold (profile_guarded.c). The list is
     * to be made anew, and what has no answer from whoever stays is skipped. */
    int32_t n_given_up;
    bool is_cut_off, is_unanswered;
    /* Seconds taken by seconds expected, so far, of layers and of links; equal on every rank. */
    double pace, link_pace;
    char note[256];
};

const uap_effort_row *uap_effort_row_of(uap_effort effort);

/* Orders ranks by node, and plans the survey of them, or of the machine that is only listed;
 * profile->members is all of them. Errors: MPI, NO_MEMORY, TOO_LARGE. Collective. */
UAP_NODISCARD uap_status uap_profile_survey_prepare(uap_profile *profile,
                                                    const uap_comm *comm, uap_err *err);

/* What is too long for the survey. Local. */
uap_survey_limits uap_profile_survey_limits(const uap_profile *profile);

/* Surveys; profile->members is then those who stay. Errors: MPI, NO_MEMORY, BAD_USAGE (the
 * stub). Collective. */
UAP_NODISCARD uap_status uap_profile_survey_run(uap_profile *profile, uap_err *err);

/* On rank 0, from what a roll brought (site.h): who falls silent behind the survey becomes a
 * finding, and is left out by the survey's rules. Errors: NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_profile_survey_lose(uap_profile *profile,
                                                 const uap_said *said, bool *has_lost,
                                                 uap_err *err);

/* On rank 0: nodes as host lists: those that findings blame, and those that are left out.
 * Errors: NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_profile_list_nodes(uap_profile_survey *survey, uap_err *err);

/* Looks at every member's binding and clocks; what is wrong becomes a finding on rank 0, once.
 * Errors: MPI, NO_MEMORY. Collective over the members. */
UAP_NODISCARD uap_status uap_profile_look_at_ranks(uap_profile *profile, uap_err *err);

/* On rank 0: device[size], the members' devices in the survey's numbers. Local. */
void uap_profile_number_devices(const uap_profile_survey *survey, int size,
                                int32_t *device);

/* Runs a step that all members take together so that a rank that hangs does not hold it up:
 * it is given up, the members are those who still answer, and the step begins anew, with
 * is_cut_off set. profile->members is NULL where this rank is left out. Errors: those of the
 * step, MPI, NO_MEMORY. Collective over the members. */
UAP_NODISCARD uap_status uap_profile_guarded(uap_profile *profile,
                                             uap_status (*step)(uap_profile *profile,
                                                                void *context,
                                                                uap_err *err),
                                             void *context, uap_err *err);

/* Takes from an earlier list of this profile what was measured. Errors: MPI, NO_MEMORY.
 * Collective over profile->comm. */
UAP_NODISCARD uap_status uap_profile_carry_over(uap_profile *profile, const uap_item *old,
                                                int32_t n_old, uap_err *err);

/* What the survey found as the file's array of exceptions, and what it did as an object for
 * the provenance. NULL without memory. Rank 0. */
char *uap_profile_survey_exceptions(const uap_profile *profile);
uap_jout *uap_profile_survey_summary(const uap_profile *profile);

void uap_profile_survey_free(uap_profile_survey *survey);

/* This node's name without its domain, as Slurm usually has it; a made-up node's (mpi/comm.h)
 * is made of its number. Local. */
void uap_host_name(int node, char name[64]);

/* Finds the groups and makes profile->comm. Errors: NO_MEMORY, MPI. Collective over the
 * members. */
UAP_NODISCARD uap_status uap_profile_groups_form(uap_profile *profile, uap_err *err);

/* Measures point to point between every two groups: every rank of the smaller with one of the
 * other, all at once. Nothing where there is one. Errors: MPI, NO_MEMORY. Collective over the
 * members. */
UAP_NODISCARD uap_status uap_profile_groups_between(uap_profile *profile, uap_err *err);

/* One profile of all groups on the members' rank 0, from each group's (on its rank 0, NULL on
 * others), which it takes over. Errors: MPI, NO_MEMORY. Collective over the members. */
UAP_NODISCARD uap_status uap_profile_groups_join(const uap_profile *profile,
                                                 const char *command,
                                                 uap_cluster **cluster, uap_err *err);

void uap_profile_groups_free(uap_profile_groups *groups);

/* Reads what the earlier profile says of this rank's group, where there is one. Errors:
 * BAD_INPUT, NO_MEMORY, MPI. Collective over profile->comm. */
UAP_NODISCARD uap_status uap_profile_reuse_prepare(uap_profile *profile, uap_err *err);

/* Takes what it has for the items of the list. Errors: NO_MEMORY. Local; the same on every
 * rank of the group. */
UAP_NODISCARD uap_status uap_profile_reuse_take(uap_profile *profile, uap_err *err);

/* Measures an item on the new nodes; the slower of that and what was taken counts. Errors:
 * those of measuring. Collective over profile->comm. */
UAP_NODISCARD uap_status uap_profile_reuse_measure(const uap_profile *profile,
                                                   uap_item *item, uap_err *err);
void uap_profile_reuse_free(uap_profile_reuse *reuse);

/* The n points that `root` has in *point, in a block of the caller's own on other ranks.
 * Errors: NO_MEMORY, MPI. Collective. */
UAP_NODISCARD uap_status uap_profile_share_points(const uap_comm *comm, int root,
                                                  uap_point **point, int32_t n,
                                                  uap_err *err);

/* Builds the list with expectations. Errors: NO_MEMORY. Local; the same on every rank. */
UAP_NODISCARD uap_status uap_profile_list(uap_profile *profile, uap_err *err);

/* Buffers for the profile's sweeps over comm, between devices where that can be; otherwise GPUs
 * get a note. Errors: as uap_links_new, MPI, NO_DEVICE. Collective over comm. */
UAP_NODISCARD uap_status uap_profile_links_new(uap_profile *profile, const uap_comm *comm,
                                               uap_links **out, uap_err *err);

/* What carries messages between the ranks' memories: the device's library, else MPI. Local. */
const char *uap_profile_link_library(const uap_profile *profile);

/* Whether an item fits into room_s seconds; essential ones always do, and a layer is given
 * fewer runs where the usual number does not fit. Local. */
uap_item_state uap_item_fit(uap_item *item, double room_s);

/* Seconds expected of essential items that still wait, how many they are in *n (may be NULL).
 * Local. */
double uap_essentials_s(const uap_profile *profile, int32_t *n);

/* Measures peaks, efficiency and memory bandwidth. Collective. */
UAP_NODISCARD uap_status uap_first_look_take(const uap_comm *comm, uap_device *device,
                                             const uap_device_info *info,
                                             uap_precision precision, uap_first_look *out,
                                             uap_err *err);

/* One line of JSON; the caller frees it (uap_free). *out is NULL on ranks above 0.
 * Collective. */
UAP_NODISCARD uap_status uap_profile_provenance(const uap_profile *profile,
                                                const char *command, char **out,
                                                uap_err *err);

#endif
