/* Lines and checkpoints of a running search. */
#include "cli/watch.h"

#include "cli/log_json.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/numbers.h"
#include "common/room.h"
#include "common/sha256.h"
#include "search/exact_node.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LOOK_EVERY_NS  1000000000
#define LINE_EVERY_S   10.0 /* in a log; a terminal's line is written anew at every look */
#define ERASE_THE_LINE "\r\033[K"

static double seconds(int64_t ticks)
{
    return (double)ticks / (double)UAP_TICKS_PER_SECOND;
}

/* ---- Checkpoints ---- */

static void erase_line(uap_watch *watch)
{
    if (watch->has_line) {
        (void)fputs(ERASE_THE_LINE, stderr);
        watch->has_line = false;
    }
}

static void log_checkpoint(const uap_watch *watch, const uap_checkpoint *c, double took_s)
{
    uap_jout *event = uap_log_json_event("checkpoint");
    if (event != NULL) {
        uap_jset_str(event, "file", watch->checkpoint);
        uap_jset_i64(event, "open", c->n_nodes);
        uap_jset_f64(event, "took_s", took_s);
        uap_log_json_write(event);
    }
}

void uap_watch_write(uap_watch *watch, const uap_checkpoint *checkpoint)
{
    uap_err err = {0};
    const double before_s = uap_wall_s();
    uap_checkpoint all = *checkpoint;
    all.worked += watch->from.worked;
    all.elapsed_s += watch->from.elapsed_s;
    if (uap_checkpoint_write(watch->checkpoint, &watch->inputs, &all,
                             watch->newest_is_good, &err) != UAP_OK) {
        erase_line(watch);
        UAP_LOG(WARNING, GLOBAL, "--checkpoint: %s; the search goes on", err.msg);
        return;
    }
    watch->newest_is_good = true;
    log_checkpoint(watch, &all, uap_wall_s() - before_s);
}

static void keep(uap_watch *watch, const uap_tree_snapshot *picture)
{
    if (picture->sum.failed > 0) {
        erase_line(watch);
        UAP_LOG(
            WARNING, GLOBAL,
            "--checkpoint: no memory for one now; the last one stands, and the search "
            "goes on");
        return;
    }
    const bool has_plan = picture->value != UAP_TREE_NO_ANSWER;
    const uap_checkpoint checkpoint = {.value = picture->value,
                                       .bound = picture->sum.bound,
                                       .worked = picture->sum.nodes,
                                       .elapsed_s = uap_wall_s() - watch->start_s,
                                       .plan = picture->answer,
                                       .plan_bytes = has_plan ? picture->answer_bytes : 0,
                                       .nodes = picture->nodes,
                                       .node_bytes = picture->node_bytes,
                                       .n_nodes = picture->sum.open};
    uap_watch_write(watch, &checkpoint);
}

/* ---- Progress ---- */

typedef struct progress {
    double elapsed_s, gap, busy;
    bool has_plan;
    int64_t worked, open, steals;
} progress;

/* Also raises the bound: every picture's holds, so the highest does. */
static progress look(uap_watch *watch, const uap_tree_snapshot *picture)
{
    const uap_tree_figures *sum = &picture->sum;
    progress p = {.elapsed_s = uap_wall_s() - watch->start_s,
                  .has_plan = picture->value != UAP_TREE_NO_ANSWER,
                  .worked = sum->nodes,
                  .open = sum->open,
                  .steals = sum->steals};
    const int64_t least = uap_min_i64(sum->bound, picture->value);
    if (least != UAP_TREE_NO_ANSWER) {
        watch->bound = uap_max_i64(watch->bound, least);
    }
    p.gap = p.has_plan && picture->value > 0
                ? (double)(picture->value - watch->bound) / (double)picture->value
                : 1.0;
    const int64_t elapsed_ns = sum->elapsed_ns - watch->last_elapsed_ns;
    const int64_t idle_ns = sum->idle_ns - watch->last_idle_ns;
    p.busy = elapsed_ns > 0 ? 1.0 - (double)idle_ns / (double)elapsed_ns : 1.0;
    watch->last_elapsed_ns = sum->elapsed_ns;
    watch->last_idle_ns = sum->idle_ns;
    return p;
}

static void log_progress(const uap_watch *watch, const uap_tree_snapshot *picture,
                         const progress *p, const char *name)
{
    uap_jout *event = uap_log_json_event(name);
    if (event == NULL) {
        return;
    }
    uap_jset_f64(event, "elapsed_s", p->elapsed_s);
    uap_jset_i64(event, "nodes", p->worked);
    uap_jset_i64(event, "open", p->open);
    uap_jset_i64(event, "ranks", picture->sum.ranks);
    uap_jset_i64(event, "steals", p->steals);
    uap_jset_f64(event, "busy", p->busy);
    uap_jset_f64(event, "bound_s", seconds(watch->bound));
    if (p->has_plan) {
        uap_jset_f64(event, "best_s", seconds(picture->value));
        uap_jset_f64(event, "gap", p->gap);
    }
    uap_log_json_write(event);
}

/* A line that wrapped could not be taken away again. */
static void cut_to_terminal(char *line)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 &&
        strlen(line) >= size.ws_col) {
        line[size.ws_col - 1] = '\0';
    }
}

static void print_progress(uap_watch *watch, const uap_tree_snapshot *picture,
                           const progress *p)
{
    char best[96] = "no plan yet";
    const bool is_due = p->elapsed_s - watch->last_line_s >= LINE_EVERY_S - 0.5;
    if (watch->quiet || picture->is_last || (!watch->is_live && !is_due)) {
        return;
    }
    if (p->has_plan) {
        (void)snprintf(best, sizeof best, "best %.6g s, gap %.2f %%",
                       seconds(picture->value), 100.0 * p->gap);
    }
    char line[256];
    (void)snprintf(line, sizeof line,
                   "%.0f s: %" PRId64 " nodes, %" PRId64
                   " open; %s, bound %.6g s; %.0f %% busy, %" PRId64 " steals",
                   p->elapsed_s, p->worked, p->open, best, seconds(watch->bound),
                   100.0 * p->busy, p->steals);
    watch->last_line_s = p->elapsed_s;
    const uap_room *room = uap_room_here();
    if (room != NULL) { /* of the moment, and no part of what the command prints */
        if (room->on_line != NULL) {
            room->on_line(room->context, -1, line);
        }
    } else if (watch->is_live) {
        cut_to_terminal(line);
        (void)fprintf(stderr, ERASE_THE_LINE "%s", line);
        watch->has_line = true;
    } else {
        UAP_LOG(INFO, GLOBAL, "%s", line);
    }
}

void uap_watch_see(uap_watch *watch, const uap_tree_snapshot *picture)
{
    if (picture->has_nodes) {
        keep(watch, picture);
    }
    const progress p = look(watch, picture);
    if (picture->value < watch->value) {
        watch->value = picture->value;
        log_progress(watch, picture, &p, "incumbent");
    }
    log_progress(watch, picture, &p, "progress");
    print_progress(watch, picture, &p);
}

static void on_picture(void *context, const uap_tree_snapshot *picture)
{
    uap_watch_see(context, picture);
}

/* ---- Life ---- */

/* How this program's nodes look, and what makes two searches the same. */
static void note_bounds(uap_inputs *inputs, const int64_t *quick, int32_t n)
{
    char digest[UAP_SHA256_HEX];
    uint32_t order = 0;
    memcpy(&order, "\1\2\3\4", sizeof order);
    uap_inputs_note(inputs, "layout", "%zu-%08x", sizeof(uap_node), (unsigned)order);
    uap_sha256_hex(quick, (size_t)n * sizeof *quick, digest);
    uap_inputs_note(inputs, "configurations", "%d", (int)n);
    uap_inputs_note(inputs, "bounds", "%s", digest);
}

static void log_start(const uap_watch *watch, const uap_comm *comm, int32_t n)
{
    uap_jout *event = uap_log_json_event("start");
    if (event != NULL) {
        uap_jset_i64(event, "ranks", uap_comm_size(comm));
        uap_jset_i64(event, "configurations", n);
        uap_jset_bool(event, "resumed", uap_watch_resumes(watch));
        uap_log_json_write(event);
    }
    if (uap_watch_resumes(watch)) {
        const uap_checkpoint *from = &watch->from;
        char best[64] = "no plan yet";
        if (from->plan_bytes > 0) {
            (void)snprintf(best, sizeof best, "best plan %.6g s", seconds(from->value));
        }
        UAP_LOG(INFO, GLOBAL,
                "resuming from %s: %" PRId64 " nodes open, %" PRId64
                " done with in %.1f s, %s",
                watch->checkpoint, from->n_nodes, from->worked, from->elapsed_s, best);
    }
}

uap_status uap_watch_begin(uap_watch *watch, const uap_comm *comm, const int64_t *quick,
                           int32_t n, uap_err *err)
{
    uap_status rc = UAP_OK;
    watch->start_s = uap_wall_s();
    watch->value = UAP_TREE_NO_ANSWER;
    watch->is_live = uap_room_here() == NULL && isatty(STDERR_FILENO) == 1;
    if (uap_comm_rank(comm) == 0) {
        note_bounds(&watch->inputs, quick, n);
        if (watch->checkpoint != NULL) {
            bool is_newest = false;
            rc = uap_checkpoint_read(watch->checkpoint, &watch->inputs, &watch->from,
                                     &watch->text, &is_newest, err);
            watch->newest_is_good = watch->text != NULL && is_newest;
        }
    }
    UAP_TRY(uap_comm_agree(comm, rc, err));
    if (uap_comm_rank(comm) == 0) {
        log_start(watch, comm, n);
    }
done:
    return rc;
}

bool uap_watch_resumes(const uap_watch *watch)
{
    return watch->text != NULL;
}

void uap_watch_ask(uap_watch *watch, uap_tree_options *options)
{
    options->snapshot = on_picture;
    options->snapshot_context = watch;
    options->look_every_ns = LOOK_EVERY_NS;
    if (watch->checkpoint != NULL) {
        options->keep_every_ns = uap_max_i64(1, (int64_t)(watch->interval_s * 1e9));
    }
}

void uap_watch_end(uap_watch *watch)
{
    erase_line(watch);
    uap_free(watch->text);
    watch->text = NULL;
    watch->from = (uap_checkpoint){0};
}
