/* The container of the program: growing it, scaling it, sorting it by columns, and reading
 * plans out of it. What the columns mean is the business of the files search/milp_*.c. */
#include "search/milp.h"

#include "common/numbers.h"
#include "search/milp_build.h"

#include <stdio.h>
#include <string.h>

#define MAX_ENTRIES ((int32_t)1 << 30)

/* The objective of a good plan should be of this size in the solver's units: far above its
 * absolute tolerances (1e-7 to 1e-5) and far below where doubles lose units. */
#define WANTED_OBJECTIVE 1e6
#define WANTED_CAP       1e5

typedef struct kind_name {
    const char *text;
    int16_t n_index;
} kind_name;

#define ROW_OF(name, text, n) {text, n},
static const kind_name col_names[UAP_COL_COUNT] = {UAP_MILP_COLUMNS(ROW_OF)};
static const kind_name row_names[UAP_ROW_COUNT] = {UAP_MILP_ROWS(ROW_OF)};
#undef ROW_OF

/* Address of a new element of `size` bytes, or NULL. */
static void *append(uap_milp_build *b, uap_milp_list *list, size_t size)
{
    if (b->failed) {
        return NULL;
    }
    if (list->n >= MAX_ENTRIES) {
        b->failed = b->too_large = true;
        return NULL;
    }
    if (list->n == list->capacity) {
        const int32_t wanted = list->capacity == 0 ? 1024 : list->capacity * 2;
        void *moved = uap_realloc(list->data, (size_t)wanted, size);
        if (moved == NULL) {
            b->failed = true;
            return NULL;
        }
        list->data = moved;
        list->capacity = wanted;
    }
    return (unsigned char *)list->data + (size_t)list->n++ * size;
}

static int32_t add_line(uap_milp_build *b, uap_milp_list *list, uap_milp_tag tag,
                        double lower, double upper)
{
    uap_milp_line *line = append(b, list, sizeof *line);
    if (line == NULL) {
        return -1;
    }
    *line = (uap_milp_line){.lower = lower, .upper = upper, .tag = tag};
    return list->n - 1;
}

int32_t uap_milp_add_col(uap_milp_build *b, uap_milp_tag tag, double lower, double upper)
{
    tag.n_index = col_names[tag.kind].n_index;
    return add_line(b, &b->cols, tag, lower, upper);
}

int32_t uap_milp_add_row(uap_milp_build *b, uap_milp_tag tag, double lower, double upper)
{
    tag.n_index = row_names[tag.kind].n_index;
    return add_line(b, &b->rows, tag, lower, upper);
}

void uap_milp_set_binary(uap_milp_build *b, int32_t col)
{
    if (col >= 0) {
        ((uap_milp_line *)b->cols.data)[col].integer = true;
    }
}

void uap_milp_set_cost(uap_milp_build *b, int32_t col, double cost)
{
    if (col >= 0) {
        ((uap_milp_line *)b->cols.data)[col].cost = cost;
    }
}

void uap_milp_put(uap_milp_build *b, int32_t row, int32_t col, double value)
{
    if (row < 0 || col < 0 || value == 0.0) {
        return;
    }
    uap_milp_entry *entry = append(b, &b->entries, sizeof *entry);
    if (entry != NULL) {
        *entry = (uap_milp_entry){row, col, value};
    }
}

/* Power of ten, at least 1, that brings value to about `wanted` or below. */
static double decimal_unit(double value, double wanted)
{
    double unit = 1.0;
    while (value / unit > wanted * 3.0) {
        unit *= 10.0;
    }
    return unit;
}

/* Order of magnitude of a plan's value: every layer in its middling strategy, balanced. */
static double guess_value(const uap_instance *in)
{
    double work = 0.0;
    double grad = 0.0;
    for (int32_t u = 0; u < in->n_layers; u++) {
        const uap_layer_table *t = uap_table_of(in, u);
        double row_work = 0.0;
        double row_grad = 0.0;
        for (int32_t k = 0; k < t->n; k++) {
            row_work += (double)t->fwd[k] + (double)t->bwd[k];
            row_grad += (double)t->grad[k];
        }
        work += row_work / t->n;
        grad += row_grad / t->n;
    }
    return work * (1.0 + ((double)in->micro_batches - 1.0) / in->pp) + grad / in->pp;
}

static void choose_units(uap_milp_build *b)
{
    const uap_instance *in = b->in;
    const double value =
        b->options->incumbent > 0 ? (double)b->options->incumbent : guess_value(in);
    int64_t cap = 0;
    for (int32_t i = 0; i < in->pp; i++) {
        cap = uap_max_i64(cap, in->cap[i]);
    }
    b->tick_unit = decimal_unit(value, WANTED_OBJECTIVE);
    b->byte_unit = decimal_unit((double)cap, WANTED_CAP);
}

static int32_t *new_map(uap_milp_build *b, size_t n)
{
    int32_t *map = uap_arena_alloc(b->scratch, n, sizeof *map);
    if (map == NULL) {
        b->failed = true;
        return NULL;
    }
    memset(map, -1, n * sizeof *map);
    return map;
}

static void new_maps(uap_milp_build *b)
{
    const size_t pp = (size_t)b->in->pp;
    const size_t layers = (size_t)b->in->n_layers;
    b->place = new_map(b, layers * pp);
    b->strategy = new_map(b, layers);
    b->marginal = new_map(b, layers * pp);
    b->stay = new_map(b, layers * pp);
    b->cut = new_map(b, layers * pp);
    b->type = new_map(b, pp);
    for (int half = 0; half < 2; half++) {
        b->time[half] = new_map(b, pp);
        b->send[half] = new_map(b, pp);
        b->time_row[half] = new_map(b, pp);
        b->send_row[half] = new_map(b, pp);
    }
    b->round_trip = new_map(b, pp);
    b->span = new_map(b, pp);
    b->tail_row = new_map(b, pp);
    b->memory_row = new_map(b, pp);
    b->over = -1;
}

/* Entries in the order of rows, then of columns: two stable counting passes. */
static void sort_entries(const uap_milp_build *b, const uap_milp_entry *from,
                         uap_milp_entry *to, int32_t *count, bool by_row)
{
    const int32_t keys = by_row ? b->rows.n : b->cols.n;
    memset(count, 0, ((size_t)keys + 1) * sizeof *count);
    for (int32_t e = 0; e < b->entries.n; e++) {
        count[(by_row ? from[e].row : from[e].col) + 1]++;
    }
    for (int32_t i = 0; i < keys; i++) {
        count[i + 1] += count[i];
    }
    for (int32_t e = 0; e < b->entries.n; e++) {
        to[count[by_row ? from[e].row : from[e].col]++] = from[e];
    }
}

/* Fills start, row and value; entries of the same place are added up. */
static bool fill_matrix(uap_milp_build *b, uap_milp *m)
{
    const size_t n = (size_t)b->entries.n;
    const size_t keys = (size_t)(b->rows.n > b->cols.n ? b->rows.n : b->cols.n) + 1;
    uap_milp_entry *by_row = uap_arena_alloc(b->scratch, n, sizeof *by_row);
    uap_milp_entry *sorted = b->entries.data;
    int32_t *count = uap_arena_alloc(b->scratch, keys, sizeof *count);
    m->start = uap_arena_alloc(m->arena, (size_t)m->n_cols + 1, sizeof *m->start);
    m->row = uap_arena_alloc(m->arena, n, sizeof *m->row);
    m->value = uap_arena_alloc(m->arena, n, sizeof *m->value);
    if (by_row == NULL || count == NULL || m->start == NULL || m->row == NULL ||
        m->value == NULL) {
        return false;
    }
    sort_entries(b, b->entries.data, by_row, count, true);
    sort_entries(b, by_row, sorted, count, false);
    int32_t kept = 0;
    int32_t e = 0;
    for (int32_t j = 0; j < m->n_cols; j++) {
        m->start[j] = kept;
        while (e < b->entries.n && sorted[e].col == j) {
            const int32_t row = sorted[e].row;
            double value = 0.0;
            for (; e < b->entries.n && sorted[e].col == j && sorted[e].row == row; e++) {
                value += sorted[e].value;
            }
            if (value != 0.0) {
                m->row[kept] = row;
                m->value[kept++] = value;
            }
        }
    }
    m->start[m->n_cols] = kept;
    return true;
}

static bool fill_lines(const uap_milp_build *b, uap_milp *m)
{
    const size_t n = (size_t)m->n_cols;
    const size_t rows = (size_t)m->n_rows;
    m->lower = uap_arena_alloc(m->arena, n, sizeof *m->lower);
    m->upper = uap_arena_alloc(m->arena, n, sizeof *m->upper);
    m->cost = uap_arena_alloc(m->arena, n, sizeof *m->cost);
    m->integer = uap_arena_alloc(m->arena, n, sizeof *m->integer);
    m->col_tag = uap_arena_alloc(m->arena, n, sizeof *m->col_tag);
    m->row_lower = uap_arena_alloc(m->arena, rows, sizeof *m->row_lower);
    m->row_upper = uap_arena_alloc(m->arena, rows, sizeof *m->row_upper);
    m->row_tag = uap_arena_alloc(m->arena, rows, sizeof *m->row_tag);
    if (m->lower == NULL || m->upper == NULL || m->cost == NULL || m->integer == NULL ||
        m->col_tag == NULL || m->row_lower == NULL || m->row_upper == NULL ||
        m->row_tag == NULL) {
        return false;
    }
    const uap_milp_line *col = b->cols.data;
    for (int32_t j = 0; j < m->n_cols; j++) {
        m->lower[j] = col[j].lower;
        m->upper[j] = col[j].upper;
        m->cost[j] = col[j].cost;
        m->integer[j] = col[j].integer;
        m->col_tag[j] = col[j].tag;
    }
    const uap_milp_line *row = b->rows.data;
    for (int32_t i = 0; i < m->n_rows; i++) {
        m->row_lower[i] = row[i].lower;
        m->row_upper[i] = row[i].upper;
        m->row_tag[i] = row[i].tag;
    }
    return true;
}

static const int32_t *keep_map(uap_milp *m, const int32_t *map, size_t n)
{
    int32_t *copy = uap_arena_alloc(m->arena, n, sizeof *copy);
    if (copy != NULL) {
        memcpy(copy, map, n * sizeof *copy);
    }
    return copy;
}

static bool fill_maps(const uap_milp_build *b, uap_milp *m)
{
    const size_t layers = (size_t)b->in->n_layers;
    m->n_layers = b->in->n_layers;
    m->pp = b->in->pp;
    m->tick_unit = b->tick_unit;
    m->byte_unit = b->byte_unit;
    m->place = keep_map(m, b->place, layers * (size_t)m->pp);
    m->strategy = keep_map(m, b->strategy, layers);
    int32_t *count = uap_arena_alloc(m->arena, layers, sizeof *count);
    if (m->place == NULL || m->strategy == NULL || count == NULL) {
        return false;
    }
    for (int32_t u = 0; u < m->n_layers; u++) {
        count[u] = uap_table_of(b->in, u)->n;
    }
    m->n_strategies = count;
    return true;
}

static uap_milp *finish(uap_milp_build *b)
{
    uap_milp *m = uap_calloc(1, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->arena = uap_arena_new();
    m->n_cols = b->cols.n;
    m->n_rows = b->rows.n;
    if (m->arena == NULL || !fill_lines(b, m) || !fill_maps(b, m) || !fill_matrix(b, m)) {
        uap_milp_free(m);
        return NULL;
    }
    return m;
}

static void build_parts(uap_milp_build *b)
{
    void (*const parts[])(uap_milp_build *) = {
        uap_milp_build_places, uap_milp_build_sums,    uap_milp_build_layers,
        uap_milp_build_types,  uap_milp_build_edges,   uap_milp_build_live,
        uap_milp_build_value,  uap_milp_build_no_goods};
    for (size_t i = 0; i < sizeof parts / sizeof *parts && !b->failed; i++) {
        parts[i](b);
    }
}

uap_status uap_milp_new(const uap_instance *instance, const uap_milp_options *options,
                        uap_milp **out, uap_err *err)
{
    *out = NULL;
    uap_milp_build b = {.in = instance, .options = options};
    b.halves = instance->objective == UAP_OBJECTIVE_FULL ? 2 : 1;
    b.scratch = uap_arena_new();
    b.failed = b.scratch == NULL;
    choose_units(&b);
    if (!b.failed) {
        new_maps(&b);
    }
    if (!b.failed) {
        build_parts(&b);
    }
    if (!b.failed) {
        *out = finish(&b);
    }
    uap_free(b.cols.data);
    uap_free(b.rows.data);
    uap_free(b.entries.data);
    uap_arena_free(b.scratch);
    if (*out != NULL) {
        return UAP_OK;
    }
    return b.too_large
               ? UAP_FAIL(err, TOO_LARGE,
                          "the linear program of %d layers and %d stages has more "
                          "than 2^30 entries",
                          instance->n_layers, instance->pp)
               : UAP_FAIL(err, NO_MEMORY, "out of memory for a linear program");
}

void uap_milp_free(uap_milp *milp)
{
    if (milp != NULL) {
        uap_arena_free(milp->arena);
        uap_free(milp);
    }
}

static char *name_of(const kind_name *kind, const uap_milp_tag *tag, char *buffer)
{
    int at = snprintf(buffer, UAP_MILP_NAME, "%s", kind->text);
    for (int i = 0; i < tag->n_index; i++) {
        at += snprintf(buffer + at, (size_t)(UAP_MILP_NAME - at), "_%d", tag->index[i]);
    }
    return buffer;
}

char *uap_milp_col_name(const uap_milp *milp, int32_t col, char buffer[UAP_MILP_NAME])
{
    const uap_milp_tag *tag = &milp->col_tag[col];
    return name_of(&col_names[tag->kind], tag, buffer);
}

char *uap_milp_row_name(const uap_milp *milp, int32_t row, char buffer[UAP_MILP_NAME])
{
    const uap_milp_tag *tag = &milp->row_tag[row];
    return name_of(&row_names[tag->kind], tag, buffer);
}

/* Offset of the largest of n values. */
static int32_t largest(const double *x, int32_t n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++) {
        if (x[i] > x[best]) {
            best = i;
        }
    }
    return best;
}

void uap_milp_restrict(const uap_milp *milp, uint8_t *const *allow, double *upper)
{
    for (int32_t u = 0; u < milp->n_layers; u++) {
        for (int32_t k = 0; k < milp->n_strategies[u]; k++) {
            upper[milp->strategy[u] + k] =
                allow == NULL || allow[u] == NULL || allow[u][k] != 0 ? 1.0 : 0.0;
        }
    }
}

void uap_milp_decode(const uap_milp *milp, const double *x, uap_choice *choice)
{
    for (int32_t i = 0; i < milp->pp; i++) {
        choice->first[i] = i == 0 ? 0 : milp->n_layers;
    }
    for (int32_t u = milp->n_layers; u-- > 0;) {
        choice->strategy[u] = largest(x + milp->strategy[u], milp->n_strategies[u]);
        for (int32_t i = 0; i < milp->pp; i++) {
            const int32_t col = milp->place[(size_t)u * (size_t)milp->pp + (size_t)i];
            if (col >= 0 && x[col] > 0.5) {
                choice->first[i] = u;
            }
        }
    }
}

int32_t uap_milp_encode(const uap_milp *milp, const uap_choice *choice, int32_t *col,
                        double *value)
{
    int32_t n = 0;
    int32_t stage = 0;
    for (int32_t u = 0; u < milp->n_layers; u++) {
        if (stage + 1 < milp->pp && choice->first[stage + 1] <= u) {
            stage++;
        }
        for (int32_t i = 0; i < milp->pp; i++) {
            const int32_t at = milp->place[(size_t)u * (size_t)milp->pp + (size_t)i];
            if (at >= 0) {
                col[n] = at;
                value[n++] = i == stage ? 1.0 : 0.0;
            }
        }
        for (int32_t k = 0; k < milp->n_strategies[u]; k++) {
            col[n] = milp->strategy[u] + k;
            value[n++] = k == choice->strategy[u] ? 1.0 : 0.0;
        }
    }
    return n;
}
