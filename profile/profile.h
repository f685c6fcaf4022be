/* Profiling a partition: which measurements, in which order, within which time, and the
 * cluster profile that comes out. It prints nothing. One rank is one device; all ranks must
 * make the same calls. */
#ifndef UAP_PROFILE_PROFILE_H
#define UAP_PROFILE_PROFILE_H

#include "common/status.h"
#include "configs/cluster.h"
#include "configs/model.h"
#include "mpi/comm.h"
#include "profile/device.h"
#include "profile/survey.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How much is measured, and how often. A row of a table in profile_items.c each. */
typedef enum uap_effort {
    UAP_EFFORT_QUICK,  /* well under a minute: micro-batches to 4, five sizes a sweep */
    UAP_EFFORT_NORMAL, /* a few minutes */
    UAP_EFFORT_FULL,   /* large micro-batches and messages, links also one at a time */
    UAP_EFFORT_COUNT
} uap_effort;

const char *uap_effort_name(uap_effort effort); /* "quick", "normal", "full" */

typedef struct uap_profile_options {
    int32_t n_models;
    const uap_model *const *model; /* [n_models], borrowed; may be none */
    uap_backend backend;
    int precision;              /* uap_precision; -1: fp32 on CPUs, bf16 on GPUs */
    int32_t n_micro_batches;    /* 0: the effort's */
    const int64_t *micro_batch; /* [n_micro_batches], ascending, each >= 1; borrowed */
    uap_effort effort;
    /* Skip what would end later (not the links without which a profile is of no use); 0: the
     * effort's, HUGE_VAL: no limit. */
    double budget_s;
    bool list_only; /* only list what would be measured; then also for a machine of */
    int32_t nodes, devices_per_node; /* so many nodes and devices; 0: this job's */
    double
        deadline_s; /* of a rank's answer in the survey, of three behind it; 0: the usual */
    bool exclude_outliers; /* profile without the nodes that the survey blames */
    /* Take from this earlier profile what is not older than max_age_s (0: any age); new nodes
     * are measured. NULL: measure everything. Borrowed, and the same on every rank. */
    const uap_cluster *reuse;
    double max_age_s;
    bool keeps_samples; /* every single time, for uap_profile_save_samples */
    bool
        survey_only; /* no measurements follow: the survey has budget_s, or no limit, for itself */
    const struct uap_backend_table *table; /* devices that are made up; NULL: `backend` */
    struct uap_fuse *fuse; /* lit for what may hang (mpi/fuse.h); NULL: nothing is */
    const char *stub; /* survey made-up devices and links (stub.h); NULL: real ones */
    /* Called on rank 0 with the plan before the survey begins; may be NULL. */
    void (*announce)(void *context, const uap_survey_plan *plan);
    void *context;
} uap_profile_options;

/* The list of measurements, and their results so far. */
typedef struct uap_profile uap_profile;

typedef enum uap_item_state {
    UAP_ITEM_WAITING,
    UAP_ITEM_DONE,
    UAP_ITEM_OVER_BUDGET, /* skipped: would not end in time */
    UAP_ITEM_NO_MEMORY,   /* skipped: buffers do not fit */
    UAP_ITEM_NO_ANSWER    /* skipped: it did not end, and nobody is to blame */
} uap_item_state;

typedef struct uap_profile_item {
    char what[160];    /* "block t512.h1280... tp 2 micro-batch 1", one line */
    double expected_s; /* estimated from a first look at the devices' speed */
    uap_item_state state;
    char reused
        [24]; /* date of the measurement that is taken from an earlier profile; "" */
} uap_profile_item;

/* Opens the device of every rank and surveys them and their links (survey.h; not with one
 * rank, nor with list_only): from then on the profile is of the ranks that stay, without the
 * nodes of those that did not answer and, where asked for, of outliers. Then takes a first
 * look at the devices' speed (a fraction of a second) and lists the measurements in their
 * order: links, layers at the smallest micro-batch, overlap, layers at larger ones. What would
 * not end within the budget is marked already. The models must outlive *out; the caller frees
 * it. Errors: NO_DEVICE, UNSUPPORTED, BAD_USAGE, NO_MEMORY, MPI; *out may then be there all the
 * same, for uap_profile_missing. Collective. */
UAP_NODISCARD uap_status uap_profile_new(const uap_comm *comm,
                                         const uap_profile_options *options,
                                         uap_profile **out, uap_err *err);
void uap_profile_free(
    uap_profile *profile); /* NULL is legal; collective, over those who stay */

/* The ranks that stay, rank 0 among them; NULL on one that is left out: the functions below
 * do nothing there. Local. */
const uap_comm *uap_profile_comm(const uap_profile *profile);

/* The rounds of the survey, also of one that is only listed. Local. */
const uap_survey_plan *uap_profile_survey_plan(const uap_profile *profile);

/* What was usual in a kind of rounds, on rank 0: "4 rounds (2 again), 12.1 us, 118 MB/s"; ""
 * where there were none. Local. */
void uap_profile_usual_text(const uap_profile *profile, uap_round_kind kind, char *text,
                            size_t n);

/* What the survey found, on rank 0: n findings, a line of text each, and the host list of nodes to drain ("" for none). */
int32_t uap_profile_n_findings(const uap_profile *profile);
void uap_profile_finding_text(const uap_profile *profile, int32_t index, char *text,
                              size_t n);
const char *uap_profile_drain(const uap_profile *profile);

/* On rank 0, at the end: how many ranks that were left out still hang after wait_s. Where there
 * are any, or calls were given up behind the survey (then *is_stuck), nothing may be done with
 * all ranks together any more, not even ending MPI. 0 elsewhere. Local. */
UAP_NODISCARD uap_status uap_profile_missing(uap_profile *profile, double wait_s,
                                             int *missing, bool *is_stuck, uap_err *err);

/* Whether the survey left out rounds, as others took longer than planned; on rank 0. Local. */
bool uap_profile_survey_is_cut_short(const uap_profile *profile);

/* Why this rank's device failed, for which it was left out; "" where it did not. Local. */
const char *uap_profile_own_failure(const uap_profile *profile);

/* Seconds that nobody but this process can know to be too long for a step of its own. Local. */
double uap_profile_patience_s(const uap_profile *profile);

int32_t uap_profile_count(const uap_profile *profile);
uap_profile_item uap_profile_item_at(const uap_profile *profile, int32_t index);
/* Of all that is not skipped: what it took so far, and the rest at that pace. */
double uap_profile_expected_s(const uap_profile *profile);

/* Called on every rank before item `index` is measured, and once with index = count at the
 * end; elapsed_s since uap_profile_run began. */
typedef void uap_profile_progress(void *context, const uap_profile *profile,
                                  int32_t index, double elapsed_s);

/* Measures the list. `progress` may be NULL. Errors: as above. Collective. */
UAP_NODISCARD uap_status uap_profile_run(uap_profile *profile,
                                         uap_profile_progress *progress, void *context,
                                         uap_err *err);

/* The profile as a cluster, on rank 0 (the others get NULL); `command` is what the user
 * typed, for the provenance. The caller frees *out. Errors: MPI, NO_MEMORY. Collective. */
UAP_NODISCARD uap_status uap_profile_cluster(const uap_profile *profile,
                                             const char *command, uap_cluster **out,
                                             uap_err *err);

/* Writes every single time that was measured (docs/formats.md); nothing where they were not
 * kept. Errors: IO, MPI, NO_MEMORY, TOO_LARGE. Collective. */
UAP_NODISCARD uap_status uap_profile_save_samples(const uap_profile *profile,
                                                  const char *path, uap_err *err);

/* One line about what a reader should know (precisions that ran as fp32, GPUs whose links
 * were measured through host memory), or "". Valid while the profile lives. Local. */
const char *uap_profile_note(const uap_profile *profile);

#ifdef __cplusplus
}
#endif
#endif
