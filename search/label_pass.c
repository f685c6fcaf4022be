/* Labels through one layer of a run: rows added, links followed, lists merged. What a layer
 * makes falls into units that do not know of each other: what arrives in each in-class of a layer
 * unlike the one before (label_enter.c), and what passes through each block. */
#include "search/label_run.h"

#include "common/clock.h"
#include "common/numbers.h"

#include <math.h>
#include <string.h>

#define CLOCK_EVERY 50000 /* labels */

/* Whether the run has taken one rank of a crew too long. */
static bool is_too_long(uap_label_run *run, int64_t work)
{
    run->undated += work;
    if (run->is_patient || run->is_too_long) {
        return run->is_too_long;
    }
    if (run->patience_s > 0 && run->undated < CLOCK_EVERY) {
        return false;
    }
    run->undated = 0;
    return uap_cpu_s() - run->start_s >= run->patience_s;
}

bool uap_label_count(uap_label_run *run, int64_t work)
{
    work = uap_label_rough_work(run, work);
    run->done += work;
    run->looked += work;
    run->is_too_rough = run->is_rough && run->done > run->s->rough_work;
    run->is_too_long = is_too_long(run, work);
    return !uap_segments_poll(run->s, work) && !run->is_too_rough && !run->is_too_long;
}

bool uap_label_merge_into(uap_label_run *run, const uap_label_list *from,
                          uap_label_list *list)
{
    if (from->n == 0) {
        return true;
    }
    const size_t both = list->n + from->n;
    const size_t pairs = uap_run_is_plane(run) ? 0 : list->n * from->n / UAP_LABEL_BLOCK;
    const int64_t work = (int64_t)(both + pairs);
    if (!uap_label_count(run, work)) {
        return false;
    }
    if (!uap_labels_merge(list, from, &run->rule, &run->shadow, &run->merged)) {
        run->no_memory = !run->s->stopped;
        return false;
    }
    const uap_label_list swap = *list;
    *list = run->merged;
    run->merged = swap;
    return true;
}

bool uap_label_run_reserve(uap_label_run *run, uap_label_list *list, size_t n)
{
    run->no_memory = run->no_memory || !uap_labels_reserve(list, n);
    return !run->no_memory;
}

/* Labels in front of layer l through its row k: those that can go on, and those that can
 * leave. */
static bool pass_row(uap_label_run *run, int32_t l, int32_t k, const uap_label_list *from)
{
    if (from->n == 0) {
        return true;
    }
    if (!uap_label_run_reserve(run, &run->shifted, from->n) ||
        !uap_label_run_reserve(run, &run->leaving, from->n)) {
        return false;
    }
    const uap_label step = uap_label_run_step(run, uap_run_rows(run, l), k);
    const int32_t block = uap_run_blocks(run, l)->block_of[k];
    const int32_t row_slot = uap_row_slot(run, l, k);
    const int32_t block_slot = uap_block_slot(run, l, block);
    const bool goes_on = uap_run_goes_on(run, l);
    const int64_t least_work = run->work[l];
    run->shifted.n = 0;
    run->leaving.n = 0;
    for (size_t i = 0; i < from->n; i++) {
        uap_label next = from->at[i];
        uap_label_run_add(run, l, &step, &next);
        if (next.m + uap_max_i64(next.w, least_work) > run->cls->cap) {
            continue;
        }
        if (goes_on && uap_limits_allow(run, row_slot, &next)) {
            run->shifted.at[run->shifted.n++] = next;
        }
        if (uap_limits_allow(run, block_slot, &next)) {
            run->leaving.at[run->leaving.n++] = next;
        }
    }
    run->labels += (int64_t)(run->shifted.n + run->leaving.n);
    if (!uap_label_count(run, (int64_t)from->n)) {
        return false;
    }
    return uap_label_merge_into(run, &run->shifted, &run->next_rows[k]) &&
           uap_label_merge_into(run, &run->leaving, &run->next_blocks[block]);
}

/* Labels of a block behind layer l - 1 that go on with its rows in order. */
static bool continue_block(uap_label_run *run, int32_t l, int32_t e)
{
    const uap_blocks *b = uap_run_blocks(run, l);
    uap_label_list *carry = &run->carry;
    carry->n = 0;
    for (int32_t i = b->first[e]; i < b->first[e + 1]; i++) {
        const int32_t k = b->order[i];
        const int32_t slot = uap_row_slot(run, l - 1, k);
        size_t kept = 0;
        for (size_t j = 0; j < carry->n; j++) {
            if (uap_limits_allow(run, slot, &carry->at[j])) {
                carry->at[kept++] = carry->at[j];
            }
        }
        carry->n = kept;
        if (!uap_label_merge_into(run, &run->rows[k], carry) ||
            !pass_row(run, l, k, carry)) {
            return false;
        }
    }
    return true;
}

/* Block e of layer l inside a run of equal layers: it goes on, or is changed into. */
static bool pass_block(uap_label_run *run, int32_t l, int32_t e)
{
    const uap_blocks *b = uap_run_blocks(run, l);
    if ((b->is_free[e] && !continue_block(run, l, e)) ||
        !uap_label_enter(run, l, b->in[e], e, &run->carry)) {
        return false;
    }
    for (int32_t i = b->first[e]; i < b->first[e + 1]; i++) {
        if (!pass_row(run, l, b->order[i], &run->carry)) {
            return false;
        }
    }
    return true;
}

/* Block e of the first layer of the stage, or of one unlike the layer before. */
static bool pass_anew(uap_label_run *run, int32_t l, int32_t e)
{
    const uap_kind *kind = uap_run_kind(run, l);
    const uap_blocks *b = uap_run_blocks(run, l);
    for (int32_t k = 0; k < kind->n; k++) {
        if (b->block_of[k] == e && !pass_row(run, l, k, &run->in[kind->in[k]])) {
            return false;
        }
    }
    return true;
}

static bool continues(const uap_label_run *run, int32_t l)
{
    return l > 0 && uap_run_goes_on(run, l - 1);
}

/* Whether labels come over a link between unlike layers. */
static bool arrives(const uap_label_run *run, int32_t l)
{
    return l > 0 && !continues(run, l);
}

int32_t uap_label_units(const uap_label_run *run, int32_t l, uap_label_phase phase)
{
    const uap_blocks *b = uap_run_blocks(run, l);
    if (phase == UAP_LABELS_PASS) {
        return b->n;
    }
    return arrives(run, l) && !b->is_paired ? uap_run_kind(run, l)->n_in : 0;
}

/* All of block e of layer l. */
static bool pass(uap_label_run *run, int32_t l, int32_t e)
{
    const uap_blocks *b = uap_run_blocks(run, l);
    run->next_blocks[e].n = 0;
    for (int32_t i = b->first[e]; i < b->first[e + 1]; i++) {
        run->next_rows[b->order[i]].n = 0;
    }
    if (continues(run, l)) {
        return pass_block(run, l, e);
    }
    if (arrives(run, l) && b->is_paired &&
        !uap_label_enter(run, l, b->in[e], -1, &run->in[b->in[e]])) {
        return false;
    }
    return pass_anew(run, l, e);
}

bool uap_label_pass_unit(uap_label_run *run, int32_t l, uap_label_phase phase,
                         int32_t unit)
{
    if (phase == UAP_LABELS_ENTER) {
        return uap_label_enter(run, l, unit, -1, &run->in[unit]);
    }
    return pass(run, l, unit) &&
           uap_label_find_least(run, l, &run->next_blocks[unit], &run->next_least[unit]);
}

void uap_label_phase_done(uap_label_run *run, uap_label_phase phase, int64_t looked)
{
    run->last_steps[phase] = uap_label_steps(uap_run_is_plane(run), looked);
    if (phase == UAP_LABELS_PASS) {
        run->last_steps[phase] +=
            uap_label_least_steps(run->next_least, uap_label_units(run, run->l, phase));
    }
}

bool uap_label_pass_units(uap_label_run *run, uap_label_phase phase)
{
    const int64_t done = run->done;
    const int32_t n = uap_label_units(run, run->l, phase);
    for (int32_t i = 0; i < n; i++) {
        if (!uap_label_pass_unit(run, run->l, phase, i)) {
            return false;
        }
    }
    uap_label_phase_done(run, phase, run->done - done);
    return true;
}

static void swap_lists(uap_label_list **a, uap_label_list **b)
{
    uap_label_list *swap = *a;
    *a = *b;
    *b = swap;
}

static bool save_list(uap_label_run *run, const uap_label_list *list, int32_t slot)
{
    uap_label_list *to = &run->saved[slot];
    if (!uap_label_run_reserve(run, to, list->n)) {
        return false;
    }
    if (list->n > 0) {
        memcpy(to->at, list->at, list->n * sizeof *to->at);
    }
    to->n = list->n;
    return true;
}

bool uap_label_save_layer(uap_label_run *run, int32_t l)
{
    bool ok = true;
    for (int32_t k = 0; k < uap_run_kind(run, l)->n && ok; k++) {
        ok = save_list(run, &run->rows[k], uap_row_slot(run, l, k));
    }
    for (int32_t e = 0; e < uap_run_blocks(run, l)->n && ok; e++) {
        ok = save_list(run, &run->blocks[e], uap_block_slot(run, l, e));
    }
    return ok;
}

bool uap_label_layer_done(uap_label_run *run, int32_t l)
{
    bool any = false;
    swap_lists(&run->rows, &run->next_rows);
    swap_lists(&run->blocks, &run->next_blocks);
    uap_label_least *least = run->least;
    run->least = run->next_least;
    run->next_least = least;
    for (int32_t k = 0; k < uap_run_kind(run, l)->n; k++) {
        any = any || run->rows[k].n > 0;
    }
    for (int32_t e = 0; e < uap_run_blocks(run, l)->n; e++) {
        any = any || run->blocks[e].n > 0;
    }
    return any;
}
