/* The chains of all stage types of a configuration, the boundaries between them, and their
 * segments. */
#include "search/mix.h"

#include "common/numbers.h"
#include "search/mix_devices.h"
#include "search/mix_lists.h"

#include <string.h>

/* ---- Classes of all types ------------------------------------------------------------ */

static bool number_classes(uap_mix *m)
{
    const size_t n = (size_t)m->n_layers * ((size_t)m->n_types + 1);
    m->in_first = uap_arena_alloc(m->arena, n, sizeof *m->in_first);
    m->out_first = uap_arena_alloc(m->arena, n, sizeof *m->out_first);
    if (m->in_first == NULL || m->out_first == NULL) {
        return false;
    }
    m->width = 1;
    for (int32_t u = 0; u < m->n_layers; u++) {
        int32_t *in = m->in_first + (size_t)u * ((size_t)m->n_types + 1);
        int32_t *out = m->out_first + (size_t)u * ((size_t)m->n_types + 1);
        for (int32_t t = 0; t < m->n_types; t++) {
            const uap_kind *kind = uap_kind_of(m->chain[t], u);
            in[t + 1] = in[t] + kind->n_in;
            out[t + 1] = out[t] + kind->n_out;
        }
        m->width = uap_max_i32(m->width, in[m->n_types]);
        m->width = uap_max_i32(m->width, out[m->n_types]);
    }
    return true;
}

/* Fills the transfers from type t to type s of the link behind layer u. */
static void fill_block(const uap_mix *m, int32_t u, int32_t t, int32_t s,
                       uap_mix_link *link)
{
    const uap_edge_table *edge = uap_edge_of(m->in, u);
    const uap_chain_link *from = uap_link_of(m->chain[t], u);
    const uap_chain_link *to = uap_link_of(m->chain[s], u);
    const int32_t first_out = uap_mix_out(m, u, t);
    const int32_t first_in = uap_mix_in(m, u + 1, s);
    for (int32_t y = first_out; y < uap_mix_out(m, u, t + 1); y++) {
        for (int32_t x = first_in; x < uap_mix_in(m, u + 1, s + 1); x++) {
            const int32_t at = y * link->n_in + x;
            const int32_t e =
                from->out_id[y - first_out] * edge->n_to + to->in_id[x - first_in];
            link->x_fwd[at] = edge->x_fwd[e];
            link->x_bwd[at] = edge->x_bwd[e];
            link->x_both[at] = (double)(edge->x_fwd[e] + edge->x_bwd[e]);
        }
    }
}

/* The first class on one side that pays the same as this one to all on the other. step:
 * entries between neighbours of this side, across: of the other. */
static bool find_alike(uap_mix *m, const uap_mix_link *link, bool is_row, int32_t **out)
{
    const int32_t n = is_row ? link->n_out : link->n_in;
    const int32_t length = is_row ? link->n_in : link->n_out;
    const int32_t step = is_row ? link->n_in : 1;
    const int32_t across = is_row ? 1 : link->n_in;
    int32_t *like = uap_arena_alloc(m->arena, (size_t)n, sizeof *like);
    for (int32_t i = 0; like != NULL && i < n; i++) {
        bool same = false;
        for (int32_t j = 0; j < i && !same; j++) {
            same = like[j] == j;
            for (int32_t e = 0; e < length && same; e++) {
                const int32_t a = i * step + e * across;
                const int32_t b = j * step + e * across;
                same =
                    link->x_fwd[a] == link->x_fwd[b] && link->x_bwd[a] == link->x_bwd[b];
            }
            like[i] = same ? j : i;
        }
    }
    *out = like;
    return like != NULL;
}

/* Links of the chains are the same for all types, one an edge table. */
static bool make_links(uap_mix *m)
{
    const uap_chain *first = m->chain[0];
    m->link = uap_arena_alloc(m->arena, (size_t)m->n_layers, sizeof *m->link);
    for (int32_t u = 0; m->link != NULL && u + 1 < m->n_layers; u++) {
        uap_mix_link *link = &m->link[first->link_of[u]];
        if (link->x_fwd != NULL) {
            continue;
        }
        link->n_out = uap_mix_n_out(m, u);
        link->n_in = uap_mix_n_in(m, u + 1);
        const size_t n = (size_t)link->n_out * (size_t)link->n_in;
        link->x_fwd = uap_arena_alloc(m->arena, n, sizeof *link->x_fwd);
        link->x_bwd = uap_arena_alloc(m->arena, n, sizeof *link->x_bwd);
        link->x_both = uap_arena_alloc(m->arena, n, sizeof *link->x_both);
        if (link->x_fwd == NULL || link->x_bwd == NULL || link->x_both == NULL) {
            return false;
        }
        for (int32_t t = 0; t < m->n_types; t++) {
            for (int32_t s = 0; s < m->n_types; s++) {
                fill_block(m, u, t, s, link);
            }
        }
        if (!find_alike(m, link, true, &link->row_like) ||
            !find_alike(m, link, false, &link->column_like)) {
            return false;
        }
    }
    return m->link != NULL;
}

/* ---- Groups -------------------------------------------------------------------------- */

/* reach[i][r]: the most that i stages take of r devices. */
static bool make_room(uap_mix *m, int32_t g)
{
    const uap_instance *in = m->in;
    uap_mix_room *room = &m->room[g];
    int64_t largest = 0;
    for (int32_t t = 0; t < m->n_types; t++) {
        if (in->type[t].group == g) {
            largest = uap_max_i64(largest, in->type[t].devices);
        }
    }
    room->most = uap_min_i64(in->group_devices[g], largest * m->pp);
    const size_t row = (size_t)room->most + 1;
    room->reach = uap_arena_alloc(m->arena, ((size_t)m->pp + 1) * row, sizeof(int32_t));
    for (int32_t i = 1; room->reach != NULL && i <= m->pp; i++) {
        const int32_t *less = room->reach + (size_t)(i - 1) * row;
        int32_t *here = room->reach + (size_t)i * row;
        for (int64_t r = 0; r <= room->most; r++) {
            here[r] = less[r];
            for (int32_t t = 0; t < m->n_types; t++) {
                const int64_t d = in->type[t].devices;
                if (in->type[t].group == g && d <= r) {
                    here[r] = uap_max_i32(here[r], (int32_t)d + less[r - d]);
                }
            }
        }
    }
    return room->reach != NULL;
}

bool uap_devices_place(uap_mix *mix)
{
    int32_t word = 0;
    int32_t shift = 0;
    uap_devices guard = {{0}};
    for (int32_t g = 0; g < mix->n_groups; g++) {
        int32_t bits = 1;
        while (mix->room[g].most >> bits != 0) {
            bits++;
        }
        if (shift + bits + 1 > 64) {
            word++;
            shift = 0;
        }
        if (word == UAP_DEVICE_WORDS) {
            return false;
        }
        mix->fields->at[g] = (uap_device_field){word, shift, ((uint64_t)1 << bits) - 1};
        guard.word[word] |= (uint64_t)1 << (shift + bits);
        shift += bits + 1;
    }
    mix->fields->guard = guard;
    return true;
}

void uap_devices_coarsen(const uap_mix *mix, int64_t step, uap_devices *used,
                         uap_devices *left)
{
    for (int32_t g = 0; g < mix->n_groups; g++) {
        const int64_t most = uap_mix_usable(mix, g);
        const int64_t up = (uap_devices_get(mix, left, g) + step - 1) / step * step;
        uap_devices_set(mix, left, g, uap_min_i64(most, up));
        uap_devices_set(mix, used, g, uap_devices_get(mix, used, g) / step * step);
    }
}

int64_t uap_mix_usable(const uap_mix *mix, int32_t g)
{
    const uap_mix_room *room = &mix->room[g];
    return room->reach[((size_t)mix->pp + 1) * ((size_t)room->most + 1) - 1];
}

double uap_mix_toll(const uap_mix *mix, int32_t t)
{
    const uap_stage_type *type = &mix->in->type[t];
    return mix->price[type->group] * (double)type->devices;
}

double uap_mix_credit(const uap_mix *mix)
{
    double credit = 0;
    for (int32_t g = 0; g < mix->n_groups; g++) {
        credit += mix->price[g] * (double)uap_mix_usable(mix, g);
    }
    return credit;
}

/* ---- Making -------------------------------------------------------------------------- */

/* Whether a stage's times or gradient work matter apart is the same for all types. */
static void join_pipelines(uap_mix *m)
{
    for (int32_t t = 0; t < m->n_types; t++) {
        uap_pipeline *p = &m->pipeline[t];
        const bool late = m->chain[t]->least.any_grad && !p->scalar;
        for (int32_t i = 0; i < m->pp; i++) {
            const bool full = m->in->objective == UAP_OBJECTIVE_FULL;
            p->grad[i] = late;
            p->split[i] = p->split[i] || (full && late && i + 1 < m->pp);
        }
    }
}

static uap_status build_chains(uap_mix *m, const uap_restriction *restriction,
                               bool *legal, uap_err *err)
{
    uap_status rc = UAP_OK;
    *legal = false;
    for (int32_t t = 0; t < m->n_types; t++) {
        UAP_TRY(uap_chain_of_type(m->in, restriction, t, &m->chain[t], err));
    }
    *legal = uap_chain_extremes_join(m->chain, m->n_types);
    for (int32_t t = 0; *legal && t < m->n_types; t++) {
        UAP_TRY(uap_pipeline_init(&m->pipeline[t], m->chain[t], err));
    }
done:
    return rc;
}

static bool alloc_mix(uap_mix *m)
{
    const size_t types = (size_t)m->n_types;
    const size_t groups = (size_t)m->n_groups;
    m->chain = uap_arena_alloc(m->arena, types, sizeof *m->chain);
    m->pipeline = uap_arena_alloc(m->arena, types, sizeof *m->pipeline);
    m->segments = uap_arena_alloc(m->arena, types, sizeof *m->segments);
    m->room = uap_arena_alloc(m->arena, groups, sizeof *m->room);
    m->price = uap_arena_alloc(m->arena, groups, sizeof *m->price);
    m->fields = uap_arena_alloc(m->arena, 1, sizeof *m->fields);
    if (m->fields == NULL) {
        return false;
    }
    m->fields->at = uap_arena_alloc(m->arena, groups, sizeof *m->fields->at);
    return m->chain != NULL && m->pipeline != NULL && m->segments != NULL &&
           m->room != NULL && m->price != NULL && m->fields->at != NULL;
}

uap_status uap_mix_new(const uap_instance *instance, const uap_restriction *restriction,
                       uap_mix **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    bool legal = false;
    *out = NULL;
    uap_arena *arena = uap_arena_new();
    uap_mix *m = arena == NULL ? NULL : uap_arena_alloc(arena, 1, sizeof *m);
    if (m == NULL) {
        uap_arena_free(arena);
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a mixed cluster");
    }
    *m = (uap_mix){.in = instance,
                   .arena = arena,
                   .n_layers = instance->n_layers,
                   .pp = instance->pp,
                   .n_types = instance->n_types,
                   .n_groups = instance->n_groups,
                   .effort = INT64_MAX};
    bool ok = alloc_mix(m);
    if (ok) {
        UAP_TRY(build_chains(m, restriction, &legal, err));
    }
    if (ok && legal) {
        join_pipelines(m);
        ok = number_classes(m) && make_links(m);
        for (int32_t g = 0; ok && g < m->n_groups; g++) {
            ok = make_room(m, g);
        }
    }
    rc = ok ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "out of memory for a mixed cluster");
    if (rc == UAP_OK && legal && !uap_devices_place(m)) {
        rc = UAP_FAIL(err, UNSUPPORTED,
                      "found %d groups, too many of that size to count devices in",
                      m->n_groups);
    }
done:
    if (rc == UAP_OK && legal) {
        *out = m;
    } else {
        uap_mix_free(m);
    }
    return rc;
}

void uap_mix_free(uap_mix *mix)
{
    if (mix == NULL) {
        return;
    }
    for (int32_t t = 0; mix->price != NULL && t < mix->n_types; t++) {
        uap_segments_free(mix->segments[t]);
        uap_pipeline_free(&mix->pipeline[t]);
        uap_chain_free(mix->chain[t]);
    }
    uap_mix_forget_live(mix);
    uap_arena_free(mix->arena);
}

/* ---- Segments ------------------------------------------------------------------------ */

uap_status uap_mix_segments(uap_mix *mix, const uap_segment_needs *needs, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_mix_forget_live(mix);
    for (int32_t t = 0; t < mix->n_types; t++) {
        uap_segments_free(mix->segments[t]);
        mix->segments[t] = NULL;
    }
    for (int32_t t = 0; t < mix->n_types; t++) {
        uap_segment_needs own = *needs;
        own.split = mix->pipeline[t].split;
        own.grad = mix->pipeline[t].grad;
        own.scalar = mix->pipeline[t].scalar;
        own.round_trips = mix->pipeline[t].round_trips;
        own.kappa = mix->pipeline[t].kappa;
        UAP_TRY(uap_segments_begin(mix->chain[t], &own, &mix->segments[t], err));
    }
    UAP_TRY(uap_segments_finish(mix->segments, mix->n_types, err));
done:
    return rc;
}

/* One type's run within the effort that is left. */
static void lend_effort(const uap_mix *mix, uap_segments *s)
{
    s->effort = mix->effort;
    s->stopped = false;
}

static void take_back(uap_mix *mix, const uap_segments *s)
{
    mix->effort = s->effort;
    mix->stopped = mix->stopped || s->stopped;
}

/* Labels that count devices are looked at many at once: so many cost what one label of a
 * segment does. */
#define DEVICE_LABELS 8

/* In a crew all must end alike: outside of tasks only the effort counts there. */
bool uap_mix_spend(uap_mix *mix, int64_t work)
{
    uap_segments *s = mix->segments[0];
    mix->unspent += work;
    const int64_t labels = mix->unspent / DEVICE_LABELS;
    mix->unspent %= DEVICE_LABELS;
    if (s->crew != NULL && !mix->is_shared) {
        mix->effort -= labels;
        mix->stopped = mix->stopped || mix->effort < 0;
        return !mix->stopped;
    }
    s->effort = mix->effort;
    s->stopped = mix->stopped;
    mix->stopped = uap_segments_poll(s, labels);
    mix->effort = s->effort;
    return !mix->stopped;
}

uap_status uap_mix_tighten(uap_mix *mix, bool *is_tightened, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int32_t t = 0; t < mix->n_types && !mix->stopped; t++) {
        uap_segments *s = mix->segments[t];
        lend_effort(mix, s);
        UAP_TRY(uap_segments_tighten(s, err));
        *is_tightened = *is_tightened || s->is_tightened;
        take_back(mix, s);
    }
done:
    return rc;
}

uap_status uap_mix_solve(uap_mix *mix, uap_err *err)
{
    uap_status rc = UAP_OK;
    if (!uap_segments_mark_idle(mix->segments, mix->n_types)) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for segments");
    }
    for (int32_t t = 0; t < mix->n_types && !mix->stopped; t++) {
        uap_segments *s = mix->segments[t];
        lend_effort(mix, s);
        UAP_TRY(uap_segments_solve(s, err));
        take_back(mix, s);
    }
done:
    return rc;
}
