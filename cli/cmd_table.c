/* `uniap table`: several plans, of a sweep for example, one line each. Rank 0 works. */
#include "cli/commands.h"
#include "cli/options.h"
#include "common/mem.h"
#include "plan/plan_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct request {
    const char **path; /* [n], point into argv */
    int n;
    bool csv;
} request;

static const char about[] =
    "Prints one line for each plan file, in the order given: what was planned for, the\n"
    "time per iteration, samples per second, of all devices and of one, and how far the\n"
    "proof got. A file that is not there, or no plan, is told and passed over.\n\n"
    "Exit status: 0 all read, 1 failure, 2 bad usage, or a file that could not be read.";

/* One plan's figures as text, in the order of the columns. */
typedef enum column {
    COL_FILE,
    COL_MODEL,
    COL_BATCH,
    COL_DEVICES,
    COL_STATUS,
    COL_SCHEDULE,
    COL_PP,
    COL_MICRO_BATCHES,
    COL_TPI,
    COL_THROUGHPUT,
    COL_PER_DEVICE,
    COL_GAP,
    COL_COUNT
} column;

#define CELL_MAX 24

/* What a table says of each column, what CSV does, and its least width. */
static const struct {
    const char *title, *csv;
    int width; /* negative: to the left */
} columns[COL_COUNT] = {
    [COL_FILE] = {"plan", "plan", -16},
    [COL_MODEL] = {"model", "model", -16},
    [COL_BATCH] = {"batch", "batch", 6},
    [COL_DEVICES] = {"devices", "devices", 7},
    [COL_STATUS] = {"status", "status", -10},
    [COL_SCHEDULE] = {"schedule", "schedule", -10},
    [COL_PP] = {"stages", "pp", 6},
    [COL_MICRO_BATCHES] = {"micro", "micro_batches", 6},
    [COL_TPI] = {"TPI", "tpi_s", 10},
    [COL_THROUGHPUT] = {"samples/s", "samples_per_s", 10},
    [COL_PER_DEVICE] = {"per device", "samples_per_s_per_device", 10},
    [COL_GAP] = {"gap %", "gap", 7},
};

typedef struct row {
    const char *name[2]; /* file and model */
    char cell[COL_COUNT][CELL_MAX];
} row;

static void put_count(char cell[CELL_MAX], int64_t count)
{
    (void)snprintf(cell, CELL_MAX, count >= 0 ? "%" PRId64 : "-", count);
}

static void put_real(char cell[CELL_MAX], double value, bool csv)
{
    (void)snprintf(cell, CELL_MAX, value >= 0 ? (csv ? "%.15g" : "%.4g") : "-", value);
}

static void fill(row *r, const char *path, const uap_plan *plan, bool csv)
{
    const bool fits = plan->status != UAP_PLAN_INFEASIBLE;
    const double rate = fits ? plan->throughput_samples_per_s : UAP_PLAN_UNSTATED;
    const char *status = uap_plan_status_name(plan->status);
    *r = (row){.name = {path, plan->model.name != NULL ? plan->model.name : "-"}};
    put_count(r->cell[COL_BATCH], plan->batch);
    put_count(r->cell[COL_DEVICES], plan->device_count);
    (void)snprintf(r->cell[COL_STATUS], CELL_MAX, "%s", status != NULL ? status : "-");
    (void)snprintf(r->cell[COL_SCHEDULE], CELL_MAX, "%s",
                   fits ? uap_schedule_name(plan->schedule) : "-");
    put_count(r->cell[COL_PP], fits ? plan->pp : UAP_PLAN_UNSTATED);
    put_count(r->cell[COL_MICRO_BATCHES], fits ? plan->micro_batches : UAP_PLAN_UNSTATED);
    put_real(r->cell[COL_TPI], fits ? plan->tpi_s : UAP_PLAN_UNSTATED, csv);
    if (fits && !csv) {
        (void)uap_text_seconds(plan->tpi_s, r->cell[COL_TPI]);
    }
    put_real(r->cell[COL_THROUGHPUT], rate, csv);
    put_real(r->cell[COL_PER_DEVICE],
             plan->device_count > 0 ? rate / (double)plan->device_count
                                    : UAP_PLAN_UNSTATED,
             csv);
    put_real(r->cell[COL_GAP],
             fits && plan->gap >= 0 ? plan->gap * (csv ? 1 : 100) : UAP_PLAN_UNSTATED,
             csv);
}

static const char *text_of(const row *r, int c)
{
    return c <= COL_MODEL ? r->name[c] : r->cell[c];
}

/* A name in quotes where CSV needs them; a file name may hold anything. */
static void print_csv(const char *text)
{
    if (strpbrk(text, ",\"\n") == NULL) {
        (void)printf("%s", strcmp(text, "-") == 0 ? "" : text);
        return;
    }
    (void)putchar('"');
    for (; *text != '\0'; text++) {
        (void)printf(*text == '"' ? "\"%c" : "%c", *text);
    }
    (void)putchar('"');
}

static int width_of(int c, const row *rows, int n)
{
    const bool is_left = columns[c].width < 0;
    int width = is_left ? -columns[c].width : columns[c].width;
    for (int i = 0; i < n; i++) {
        const int length = (int)strnlen(text_of(&rows[i], c), 512);
        width = length > width ? length : width;
    }
    return is_left ? -width : width;
}

static void print_rows(const row *rows, int n, bool csv)
{
    int width[COL_COUNT];
    for (int c = 0; c < COL_COUNT; c++) {
        width[c] = width_of(c, rows, n);
        if (csv) {
            (void)printf("%s%s", c > 0 ? "," : "", columns[c].csv);
        } else {
            (void)printf("%s%*s", c > 0 ? "  " : "", width[c], columns[c].title);
        }
    }
    (void)putchar('\n');
    for (int i = 0; i < n; i++) {
        for (int c = 0; c < COL_COUNT; c++) {
            if (csv) {
                (void)printf("%s", c > 0 ? "," : "");
                print_csv(text_of(&rows[i], c));
            } else {
                (void)printf("%s%*s", c > 0 ? "  " : "", width[c], text_of(&rows[i], c));
            }
        }
        (void)putchar('\n');
    }
}

/* Reads what can be read. plan[i], owned by the caller, is what row i speaks of. */
static int read_plans(const uap_cli *cli, const request *r, uap_plan **plan, row *rows,
                      int *status)
{
    int n = 0;
    for (int i = 0; i < r->n; i++) {
        uap_err err = {0};
        if (uap_plan_load(r->path[i], &plan[n], &err) != UAP_OK) {
            *status = uap_cli_fail(cli, &err);
            continue;
        }
        fill(&rows[n], r->path[i], plan[n], r->csv);
        n++;
    }
    return n;
}

static int run(const uap_cli *cli, const request *r)
{
    int status = UAP_EXIT_OK, n = 0;
    uap_plan **plan = uap_calloc((size_t)r->n, sizeof *plan);
    row *rows = uap_calloc((size_t)r->n, sizeof *rows);
    if (plan == NULL || rows == NULL) {
        uap_err err = {0};
        (void)UAP_FAIL(&err, NO_MEMORY, "no memory for %d plans", r->n);
        status = uap_cli_fail(cli, &err);
        goto done;
    }
    n = read_plans(cli, r, plan, rows, &status);
    print_rows(rows, n, r->csv);
done:
    for (int i = 0; i < n; i++) {
        uap_plan_free(plan[i]);
    }
    uap_free(rows);
    uap_free(plan);
    return status;
}

int uap_cmd_table(const uap_cli *cli, int argc, char **argv)
{
    request r = {.path = uap_calloc((size_t)argc, sizeof *r.path)};
    const uap_option option[] = {
        {0, "csv", UAP_OPT_FLAG, &r.csv, NULL,
         .help = "comma-separated, numbers in full, seconds"},
    };
    const uap_usage usage = {.name = "table",
                             .synopsis = "plan.json... [--csv]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0]),
                             .min_args = 1,
                             .max_args = argc};
    int status = UAP_EXIT_FAILURE;
    if (r.path != NULL) {
        const uap_parsed parsed =
            uap_options_parse(cli, &usage, argc, argv, r.path, &r.n);
        status = parsed == UAP_PARSED        ? run(cli, &r)
                 : parsed == UAP_PARSED_HELP ? UAP_EXIT_OK
                                             : UAP_EXIT_USAGE;
    }
    uap_free(r.path);
    return status;
}
