/* What a batch job has, from made-up environments; and what becomes of it beside a profile. */
#include "check.h"

#include "cli/job_nodes.h"
#include "common/log.h"
#include "configs/allocation.h"

#include <string.h>

/* "NAME=value" lines, NULL-terminated. */
typedef const char *const environment[];

static const char *value_of(void *context, const char *name)
{
    const size_t n = strlen(name);
    for (const char *const *at = *(const char *const **)context; *at != NULL; at++) {
        if (strncmp(*at, name, n) == 0 && (*at)[n] == '=') {
            return *at + n + 1;
        }
    }
    return NULL;
}

static uap_allocation job_of(const char *const *lines)
{
    uap_allocation job;
    uap_allocation_read(value_of, &lines, &job);
    return job;
}

static void forms_of_devices(void **state)
{
    static const struct {
        const char *text;
        int64_t count; /* -1: refused */
    } form[] = {{"8", 8},
                {"h100:8", 8},
                {"gpu:8", 8},
                {"gpu:h100:8", 8},
                {"gpu:h100:8(IDX:0-3,5,7-9)", 8},
                {"a100:4,h100:2", 6},
                {"gpu:a:1(S:0),gpu:b:2(S:1)", 3},
                {"0", 0},
                {"", -1},
                {"h100", -1},
                {"h100:", -1},
                {"8 ", -1},
                {"-8", -1},
                {"8,", -1},
                {"8x", -1},
                {"8(", -1},
                {"99999999999999999999", -1}};
    (void)state;
    for (size_t i = 0; i < sizeof form / sizeof form[0]; i++) {
        int64_t count = -1;
        const bool read = uap_slurm_devices(form[i].text, &count);
        print_message("%s\n", form[i].text);
        assert_int_equal(read, form[i].count >= 0);
        assert_i64(count, form[i].count);
    }
}

static void forms_of_lists(void **state)
{
    int64_t count = -1;
    uap_node_shape shape[UAP_ALLOCATION_SHAPES];
    int32_t n = -1;
    (void)state;
    assert_true(uap_slurm_ids("0,1,4-7", &count));
    assert_i64(count, 6);
    assert_false(uap_slurm_ids("7-4", &count));
    assert_false(uap_slurm_ids("0,,1", &count));
    assert_false(uap_slurm_ids("", &count));
    assert_true(uap_slurm_shapes("4(x2),4(x3),2,2", shape, &n));
    assert_int_equal(n, 2);
    assert_i64(shape[0].nodes, 5);
    assert_i64(shape[0].devices, 4);
    assert_i64(shape[1].nodes, 2);
    assert_i64(shape[1].devices, 2);
    assert_false(uap_slurm_shapes("4(x0)", shape, &n));
    assert_false(uap_slurm_shapes("4(y2)", shape, &n));
    assert_false(uap_slurm_shapes("4(x2", shape, &n));
    assert_false(uap_slurm_shapes("", shape, &n));
}

/* 65 unlike neighbours are one too many. */
static void too_many_shapes(void **state)
{
    char text[4 * UAP_ALLOCATION_SHAPES + 8] = "1";
    uap_node_shape shape[UAP_ALLOCATION_SHAPES];
    int32_t n = -1;
    (void)state;
    for (int i = 1; i < UAP_ALLOCATION_SHAPES; i++) {
        (void)strcat(text, i % 2 == 0 ? ",1" : ",2");
    }
    assert_true(uap_slurm_shapes(text, shape, &n));
    assert_int_equal(n, UAP_ALLOCATION_SHAPES);
    (void)strcat(text, ",1");
    assert_false(uap_slurm_shapes(text, shape, &n));
}

static void check_text(const uap_allocation *job, const char *expected)
{
    char text[UAP_ALLOCATION_TEXT];
    assert_string_equal(uap_allocation_text(job, text), expected);
}

static void outside_of_slurm(void **state)
{
    static environment none = {"SLURM_GPUS_ON_NODE=8", NULL};
    const uap_allocation job = job_of(none);
    (void)state;
    assert_false(job.is_job);
    assert_int_equal(job.told, UAP_TOLD_NOTHING);
    assert_i64(job.devices, 0);
}

/* The variables in the order in which they are believed. */
static void which_variable_tells(void **state)
{
    static environment per_node = {"SLURM_JOB_ID=7", "SLURM_JOB_NUM_NODES=4",
                                   "SLURM_GPUS_PER_NODE=h100:8", "SLURM_GPUS_ON_NODE=4",
                                   NULL};
    static environment per_task = {
        "SLURM_JOB_ID=7",        "SLURM_JOB_NUM_NODES=3",
        "SLURM_GPUS_PER_TASK=2", "SLURM_TASKS_PER_NODE=4(x2),2",
        "SLURM_GPUS_ON_NODE=8",  NULL};
    static environment in_all = {"SLURM_JOB_ID=7", "SLURM_NNODES=2", "SLURM_GPUS=h100:6",
                                 "SLURM_GPUS_ON_NODE=4", NULL};
    static environment evenly = {"SLURM_JOB_ID=7", "SLURM_NNODES=2", "SLURM_GPUS=8",
                                 "SLURM_GPUS_ON_NODE=4", NULL};
    static environment here = {"SLURM_JOB_NODELIST=vn[1-2]", "SLURM_JOB_NUM_NODES=2",
                               "SLURM_GPUS_ON_NODE=4", "SLURM_JOB_GPUS=0-2", NULL};
    static environment ids = {"SLURM_JOB_ID=7", "SLURM_JOB_NUM_NODES=2",
                              "SLURM_JOB_GPUS=0,1,5-6", NULL};
    static environment tasks = {"SLURM_JOB_ID=7", "SLURM_JOB_NUM_NODES=2",
                                "SLURM_NTASKS_PER_NODE=16", NULL};
    static environment nothing = {"SLURM_JOB_ID=7", "SLURM_JOB_NUM_NODES=2", NULL};
    const struct {
        const char *const *lines;
        uap_told told;
        const char *by;
        int64_t devices;
        const char *text;
    } row[] = {
        {per_node, UAP_TOLD_DEVICES, "SLURM_GPUS_PER_NODE", 32, "4 nodes x 8 GPUs"},
        {per_task, UAP_TOLD_DEVICES, "SLURM_GPUS_PER_TASK", 20,
         "2 nodes x 8 + 1 x 4 GPUs"},
        {in_all, UAP_TOLD_DEVICES, "SLURM_GPUS", 6, "2 nodes with 6 GPUs"},
        {evenly, UAP_TOLD_DEVICES, "SLURM_GPUS", 8, "2 nodes x 4 GPUs"},
        {here, UAP_TOLD_DEVICES, "SLURM_GPUS_ON_NODE", 8, "2 nodes x 4 GPUs"},
        {ids, UAP_TOLD_DEVICES, "SLURM_JOB_GPUS", 8, "2 nodes x 4 GPUs"},
        {tasks, UAP_TOLD_TASKS, "SLURM_NTASKS_PER_NODE", 32, "2 nodes x 16 tasks"},
        {nothing, UAP_TOLD_NOTHING, NULL, 0, "2 nodes"}};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        const uap_allocation job = job_of(row[i].lines);
        print_message("%s\n", row[i].text);
        assert_true(job.is_job);
        assert_null(job.unread);
        assert_int_equal(job.told, row[i].told);
        if (row[i].by != NULL) {
            assert_string_equal(job.told_by, row[i].by);
        }
        assert_i64(job.devices, row[i].devices);
        check_text(&job, row[i].text);
    }
}

/* A value of no known form is passed over, and said. */
static void unread_values(void **state)
{
    static environment lines = {"SLURM_JOB_ID=7", "SLURM_JOB_NUM_NODES=2",
                                "SLURM_GPUS_PER_NODE=many", "SLURM_GPUS_ON_NODE=4", NULL};
    const uap_allocation job = job_of(lines);
    (void)state;
    assert_string_equal(job.unread, "SLURM_GPUS_PER_NODE");
    assert_string_equal(job.told_by, "SLURM_GPUS_ON_NODE");
    assert_i64(job.devices, 8);
}

static void memory_of_a_node(void **state)
{
    static environment node = {"SLURM_JOB_ID=7", "SLURM_MEM_PER_NODE=2048", NULL};
    static environment cpu = {"SLURM_JOB_ID=7", "SLURM_MEM_PER_CPU=512",
                              "SLURM_CPUS_ON_NODE=3", NULL};
    static environment gpu = {"SLURM_JOB_ID=7",         "SLURM_JOB_NUM_NODES=3",
                              "SLURM_GPUS_PER_TASK=1",  "SLURM_TASKS_PER_NODE=4(x2),2",
                              "SLURM_MEM_PER_GPU=1024", NULL};
    static environment all = {"SLURM_JOB_ID=7", "SLURM_MEM_PER_NODE=0", NULL};
    const int64_t mib = 1 << 20;
    (void)state;
    assert_i64(job_of(node).memory_bytes, 2048 * mib);
    assert_i64(job_of(cpu).memory_bytes, 3 * 512 * mib);
    assert_i64(job_of(gpu).memory_bytes, 2 * 1024 * mib);
    assert_i64(job_of(all).memory_bytes, 0);
}

/* ---- Beside a profile ------------------------------------------------------------------------ */

static char last_line[1024];
static int n_lines;

static void keep_line(void *context, uap_log_level level, const char *line)
{
    (void)context;
    (void)level;
    (void)snprintf(last_line, sizeof last_line, "%s", line);
    n_lines++;
}

static int listen(void **state)
{
    (void)state;
    uap_log_setup(UAP_LOG_INFO, 0, keep_line, NULL);
    return 0;
}

/* Two groups of nodes, of two kinds of device or of one. */
typedef struct profile {
    uap_device_class device[2];
    uap_node_group group[2];
    uap_cluster cluster;
} profile;

static void profile_init(profile *p, const char *provenance, bool is_mixed)
{
    static char name[] = "bench", path[] = "bench.json", first[] = "a", second[] = "b";
    static char text[256];
    memset(p, 0, sizeof *p);
    (void)snprintf(text, sizeof text, "%s", provenance);
    p->device[0] = (uap_device_class){.name = first, .memory_bytes = 1000};
    p->device[1] = (uap_device_class){.name = second, .memory_bytes = 2000};
    p->group[0] = (uap_node_group){.nodes = 4, .devices_per_node = 8};
    p->group[1] =
        (uap_node_group){.nodes = 2, .devices_per_node = 4, .device_class = is_mixed};
    p->cluster = (uap_cluster){.name = name,
                               .source_path = path,
                               .source = UAP_MEASURED,
                               .provenance = text,
                               .n_classes = 2,
                               .n_groups = is_mixed ? 2 : 1,
                               .device_class = p->device,
                               .group = p->group};
}

static const char named[] = "{\"hosts\": \"vn[1-4]\"}";

/* What a job of these lines plans for; the error's text is in last_line. */
static int64_t devices_for(profile *p, const char *const *lines, uap_job_ask ask,
                           uap_status expected)
{
    const uap_allocation job = job_of(lines);
    uap_err err = {0};
    int64_t devices = -1;
    n_lines = 0;
    last_line[0] = '\0';
    assert_status(uap_job_devices(&job, &p->cluster, &ask, &devices, &err), expected,
                  &err);
    if (expected != UAP_OK) {
        (void)snprintf(last_line, sizeof last_line, "%s", err.msg);
    }
    return devices;
}

static void assert_said(const char *text)
{
    if (strstr(last_line, text) == NULL) {
        print_error("'%s' lacks '%s'\n", last_line, text);
        fail();
    }
}

static void the_same_nodes(void **state)
{
    static environment lines = {"SLURM_JOB_NODELIST=vn[1-4]", "SLURM_JOB_NUM_NODES=4",
                                "SLURM_GPUS_PER_NODE=8", NULL};
    profile p;
    (void)state;
    profile_init(&p, named, false);
    assert_i64(devices_for(&p, lines, (uap_job_ask){0}, UAP_OK), 0);
    assert_int_equal(n_lines, 0);
    assert_i64(devices_for(&p, lines, (uap_job_ask){.devices = 8}, UAP_OK), 8);
}

/* A part of the measured nodes: the job's devices, where Slurm tells them. */
static void part_of_the_nodes(void **state)
{
    static environment told = {"SLURM_JOB_NODELIST=vn[2,4]", "SLURM_JOB_NUM_NODES=2",
                               "SLURM_GPUS_PER_NODE=8", NULL};
    static environment not_told = {"SLURM_JOB_NODELIST=vn[2,4]", "SLURM_JOB_NUM_NODES=2",
                                   NULL};
    profile p;
    (void)state;
    profile_init(&p, named, false);
    assert_i64(devices_for(&p, told, (uap_job_ask){0}, UAP_OK), 16);
    assert_said(
        "planning for this job's 16 devices (SLURM_GPUS_PER_NODE), a part of the 32 "
        "of bench.json");
    assert_i64(devices_for(&p, told, (uap_job_ask){.devices = 64}, UAP_OK), 64);
    (void)devices_for(&p, not_told, (uap_job_ask){0}, UAP_BAD_INPUT);
    assert_said("measured on vn[1-4], but this job lacks vn[1,3] (give --devices");
    assert_i64(devices_for(&p, not_told, (uap_job_ask){.devices = 4}, UAP_OK), 4);
    assert_i64(devices_for(&p, not_told, (uap_job_ask){.other_nodes = true}, UAP_OK), 0);
    profile_init(&p, named, true); /* the first N would not be those of the job */
    (void)devices_for(&p, told, (uap_job_ask){0}, UAP_BAD_INPUT);
    assert_said("lacks vn[1,3]");
}

static void nodes_never_measured(void **state)
{
    static environment lines = {"SLURM_JOB_NODELIST=vn[3-6]", "SLURM_JOB_NUM_NODES=4",
                                NULL};
    profile p;
    (void)state;
    profile_init(&p, named, false);
    (void)devices_for(&p, lines, (uap_job_ask){.devices = 8}, UAP_BAD_INPUT);
    assert_said(
        "bench.json: measured on vn[1-4], but this job also has vn[5-6] (measure");
}

static void other_numbers_on_a_node(void **state)
{
    static environment fewer = {"SLURM_JOB_NODELIST=vn[1-4]", "SLURM_JOB_NUM_NODES=4",
                                "SLURM_GPUS_PER_NODE=h100:4", NULL};
    static environment unlike = {"SLURM_JOB_NODELIST=vn[1-4]", "SLURM_JOB_NUM_NODES=4",
                                 "SLURM_GPUS_PER_TASK=1", "SLURM_TASKS_PER_NODE=8(x3),2",
                                 NULL};
    static environment tasks = {"SLURM_JOB_NODELIST=vn[1-4]", "SLURM_JOB_NUM_NODES=4",
                                "SLURM_TASKS_PER_NODE=2(x4)", NULL};
    profile p;
    (void)state;
    profile_init(&p, named, false);
    (void)devices_for(&p, fewer, (uap_job_ask){0}, UAP_BAD_INPUT);
    assert_said(
        "this job has 4 nodes x 4 GPUs (SLURM_GPUS_PER_NODE), the profile 4 nodes x "
        "8 devices: ask Slurm for whole nodes");
    assert_i64(devices_for(&p, fewer, (uap_job_ask){.devices = 16}, UAP_OK), 16);
    (void)devices_for(&p, unlike, (uap_job_ask){0}, UAP_BAD_INPUT);
    assert_said("this job has 3 nodes x 8 + 1 x 2 GPUs (SLURM_GPUS_PER_TASK)");
    assert_i64(devices_for(&p, tasks, (uap_job_ask){0}, UAP_OK),
               0); /* the search's ranks */
    profile_init(&p, named, true);
    assert_i64(devices_for(&p, fewer, (uap_job_ask){0}, UAP_OK),
               0); /* some nodes have 4 */
}

/* Measured on processors, where a device is a rank: GPUs say nothing. */
static void a_profile_of_ranks(void **state)
{
    static environment lines = {"SLURM_JOB_NODELIST=vn[1-4]", "SLURM_JOB_NUM_NODES=4",
                                "SLURM_GPUS_PER_NODE=2", NULL};
    static environment part = {"SLURM_JOB_NODELIST=vn[1-2]", "SLURM_JOB_NUM_NODES=2",
                               "SLURM_GPUS_PER_NODE=8", NULL};
    profile p;
    (void)state;
    profile_init(&p, "{\"backend\": \"cpu\", \"hosts\": \"vn[1-4]\"}", false);
    assert_i64(devices_for(&p, lines, (uap_job_ask){0}, UAP_OK), 0);
    (void)devices_for(&p, part, (uap_job_ask){0}, UAP_BAD_INPUT);
    assert_said("lacks vn[3-4]");
    assert_i64(devices_for(&p, lines, (uap_job_ask){.other_nodes = true}, UAP_OK), 0);
    assert_int_equal(n_lines, 0);
}

/* A machine that one may not have: told, not refused. */
static void a_description(void **state)
{
    static environment lines = {"SLURM_JOB_NODELIST=vn[7-8]", "SLURM_JOB_NUM_NODES=2",
                                "SLURM_GPUS_PER_NODE=8", NULL};
    profile p;
    (void)state;
    profile_init(&p, named, false);
    p.cluster.source = UAP_DATASHEET;
    assert_i64(devices_for(&p, lines, (uap_job_ask){0}, UAP_OK), 0);
    assert_said(
        "this job has 2 nodes x 8 GPUs (SLURM_GPUS_PER_NODE), bench.json 4 nodes x 8 "
        "devices: planning for these 32 devices; --devices 16 plans for the job's");
    assert_i64(devices_for(&p, lines, (uap_job_ask){.devices = 16}, UAP_OK), 16);
    assert_int_equal(n_lines, 0);
    p.group[0].nodes = 2;
    assert_i64(devices_for(&p, lines, (uap_job_ask){0}, UAP_OK), 0);
    assert_int_equal(n_lines, 0);
    profile_init(&p, "{\"hosts\": \"any words, [\"}", false); /* names no nodes */
    assert_i64(devices_for(&p, lines, (uap_job_ask){0}, UAP_OK), 0);
    assert_said("--devices 16");
}

static void the_machine_itself(void **state)
{
    static environment lines = {"SLURM_JOB_ID=7", "SLURM_MEM_PER_NODE=4096", NULL};
    const uap_allocation job = job_of(lines);
    const uap_machine two = {.gpus = 2, .memory_bytes = (int64_t)1 << 30};
    const uap_machine eight = {.gpus = 8};
    profile p;
    (void)state;
    profile_init(&p, named, false);
    n_lines = 0;
    uap_job_note_memory(&job, &eight, (int64_t)4 << 30);
    assert_int_equal(n_lines, 0);
    assert_i64(devices_for(&p, lines, (uap_job_ask){.machine = &eight}, UAP_OK), 0);
    assert_int_equal(n_lines, 0);
    assert_i64(devices_for(&p, lines, (uap_job_ask){.machine = &two}, UAP_OK), 0);
    assert_said("this node has 2 GPUs (hwloc), bench.json 4 nodes x 8 devices");
    uap_job_note_memory(&job, &two, (int64_t)4 << 30);
    assert_said("may take 4 GiB of a node, of which this job has 1 (hwloc)");
    uap_job_note_memory(&job, &eight, (int64_t)5 << 30);
    assert_said("of which this job has 4 (Slurm)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(forms_of_devices, listen, check_no_leaks),
        cmocka_unit_test_setup_teardown(forms_of_lists, listen, check_no_leaks),
        cmocka_unit_test_setup_teardown(too_many_shapes, listen, check_no_leaks),
        cmocka_unit_test_setup_teardown(outside_of_slurm, listen, check_no_leaks),
        cmocka_unit_test_setup_teardown(which_variable_tells, listen, check_no_leaks),
        cmocka_unit_test_setup_teardown(unread_values, listen, check_no_leaks),
        cmocka_unit_test_setup_teardown(memory_of_a_node, listen, check_no_leaks),
        cmocka_unit_test_setup_teardown(the_same_nodes, listen, check_no_leaks),
        cmocka_unit_test_setup_teardown(part_of_the_nodes, listen, check_no_leaks),
        cmocka_unit_test_setup_teardown(nodes_never_measured, listen, check_no_leaks),
        cmocka_unit_test_setup_teardown(other_numbers_on_a_node, listen, check_no_leaks),
        cmocka_unit_test_setup_teardown(a_profile_of_ranks, listen, check_no_leaks),
        cmocka_unit_test_setup_teardown(a_description, listen, check_no_leaks),
        cmocka_unit_test_setup_teardown(the_machine_itself, listen, check_no_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
