/* The program of search/milp.h as CPLEX-LP text, for any solver. */
#include "common/file.h"
#include "search/milp.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TERMS_A_LINE 6
#define PIECE        256 /* longest text that put() is given at once */

/* Growing text; a failure is remembered. */
typedef struct text {
    char *data;
    size_t n, capacity;
    bool failed;
} text;

static void put(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(text *t, const char *format, ...)
{
    if (!t->failed && t->capacity - t->n < PIECE) {
        const size_t wanted = t->capacity == 0 ? 65536 : 2 * t->capacity;
        char *moved = uap_realloc(t->data, wanted, 1);
        t->failed = moved == NULL;
        if (!t->failed) {
            t->data = moved;
            t->capacity = wanted;
        }
    }
    if (t->failed) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    const int n = vsnprintf(t->data + t->n, PIECE, format, arguments);
    va_end(arguments);
    if (n > 0) {
        t->n += (size_t)n < PIECE ? (size_t)n : PIECE - 1;
    }
}

/* The shortest text that reads back as the same double. */
static void put_number(text *t, double value)
{
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) {
        (void)snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) {
            break;
        }
    }
    put(t, "%s", digits);
}

/* Term number `n` of a sum. */
static void put_term(text *t, const uap_milp *m, int32_t n, int32_t col, double value)
{
    char name[UAP_MILP_NAME];
    put(t, "%s%s ", n > 0 && n % TERMS_A_LINE == 0 ? "\n   " : "",
        value < 0 ? " -" : " +");
    if (fabs(value) != 1.0) {
        put_number(t, fabs(value));
        put(t, " ");
    }
    put(t, "%s", uap_milp_col_name(m, col, name));
}

static void put_head(text *t, const uap_milp *m, const char *title)
{
    put(t, "\\ %.200s\n", title);
    put(t, "\\ objective: 1 is %g s (%g ticks of 10 ps); memory rows: 1 is %g bytes\n",
        m->tick_unit / (double)UAP_TICKS_PER_SECOND, m->tick_unit, m->byte_unit);
    put(t, "\\ names: docs/milp.md\n");
    put(t, "Minimize\n value:");
    int32_t n = 0;
    for (int32_t j = 0; j < m->n_cols; j++) {
        if (m->cost[j] != 0.0) {
            put_term(t, m, n++, j, m->cost[j]);
        }
    }
    put(t, "\n");
}

/* The matrix by rows. start: [n_rows + 1], col and value: as many as the entries. */
typedef struct by_rows {
    int32_t *start, *col;
    double *value;
} by_rows;

static bool transpose(const uap_milp *m, uap_arena *arena, by_rows *out)
{
    const size_t n = (size_t)m->start[m->n_cols];
    out->start = uap_arena_alloc(arena, (size_t)m->n_rows + 2, sizeof *out->start);
    out->col = uap_arena_alloc(arena, n, sizeof *out->col);
    out->value = uap_arena_alloc(arena, n, sizeof *out->value);
    if (out->start == NULL || out->col == NULL || out->value == NULL) {
        return false;
    }
    /* start[r + 1] runs along row r while it is filled, which leaves row r's end there. */
    int32_t *next = out->start + 1;
    for (size_t e = 0; e < n; e++) {
        next[m->row[e] + 1]++;
    }
    for (int32_t r = 0; r < m->n_rows; r++) {
        next[r + 1] += next[r];
    }
    for (int32_t j = 0; j < m->n_cols; j++) {
        for (int32_t e = m->start[j]; e < m->start[j + 1]; e++) {
            const int32_t at = next[m->row[e]]++;
            out->col[at] = j;
            out->value[at] = m->value[e];
        }
    }
    return true;
}

static void put_rows(text *t, const uap_milp *m, const by_rows *rows)
{
    char name[UAP_MILP_NAME];
    put(t, "Subject To\n");
    for (int32_t r = 0; r < m->n_rows; r++) {
        if (rows->start[r] == rows->start[r + 1]) {
            continue;
        }
        put(t, " %s:", uap_milp_row_name(m, r, name));
        for (int32_t e = rows->start[r]; e < rows->start[r + 1]; e++) {
            put_term(t, m, e - rows->start[r], rows->col[e], rows->value[e]);
        }
        const bool equal = m->row_lower[r] == m->row_upper[r];
        const bool below = isfinite(m->row_upper[r]);
        put(t, " %s ", equal ? "=" : below ? "<=" : ">=");
        put_number(t, below ? m->row_upper[r] : m->row_lower[r]);
        put(t, "\n");
    }
}

static void put_bounds(text *t, const uap_milp *m)
{
    char name[UAP_MILP_NAME];
    put(t, "Bounds\n");
    for (int32_t j = 0; j < m->n_cols; j++) {
        if (!m->integer[j] && isfinite(m->upper[j])) {
            put(t, " %s %s ", uap_milp_col_name(m, j, name),
                m->upper[j] == 0.0 ? "=" : "<=");
            put_number(t, m->upper[j]);
            put(t, "\n");
        }
    }
    put(t, "Binaries\n");
    int32_t n = 0;
    for (int32_t j = 0; j < m->n_cols; j++) {
        if (m->integer[j]) {
            put(t, "%s %s", n > 0 && n % TERMS_A_LINE == 0 ? "\n" : "",
                uap_milp_col_name(m, j, name));
            n++;
        }
    }
    put(t, "\nEnd\n");
}

uap_status uap_milp_write_lp(const uap_milp *milp, const char *title, const char *path,
                             uap_err *err)
{
    uap_status rc = UAP_OK;
    text t = {0};
    by_rows rows;
    uap_arena *arena = uap_arena_new();
    if (arena == NULL || !transpose(milp, arena, &rows)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for %s", path);
        goto done;
    }
    put_head(&t, milp, title);
    put_rows(&t, milp, &rows);
    put_bounds(&t, milp);
    if (t.failed) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for %s", path);
        goto done;
    }
    UAP_TRY(uap_file_write(path, t.data, t.n, err));
done:
    uap_free(t.data);
    uap_arena_free(arena);
    return rc;
}
