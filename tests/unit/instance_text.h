/* What the tests of instance files share: a folder of their own, and two texts. */
#ifndef UAP_TESTS_INSTANCE_TEXT_H
#define UAP_TESTS_INSTANCE_TEXT_H

#include "check.h"

#include "common/file.h"
#include "search/instance_json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/uniap-test-instance-XXXXXX";

static inline int set_up(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL && chdir(directory) == 0 ? 0 : -1;
}

static inline int tear_down(void **state)
{
    (void)state;
    (void)unlink("i.json");
    (void)unlink("j.json");
    return chdir("/") == 0 && rmdir(directory) == 0 ? 0 : -1;
}

/* Three layers with 2, 1 and 2 strategies on two stages. */
static const char simple_text[] =
    "{\"format\": \"uniap-instance\", \"version\": 1, \"objective\": \"simple\",\n"
    "\"schedule\": \"gpipe\", \"pp\": 2, \"micro_batches\": 4,\n"
    "\"A\": [[1e-3, 0.002], [3e-3], [1.6e-11, 1.4e-11]],\n"
    "\"G\": [[0, 0.5], [1], [0, 0]],\n"
    "\"Ms\": [[10, 20.5], [30], [9007199254740993, 0]],\n"
    "\"Ma\": [[1, 2], [3], [4, 5]],\n"
    "\"W\": [[0, 0], [7], [0, 0]],\n"
    "\"R\": [[[1e-6], [2e-6]], [[3e-6, 4e-6]]],\n"
    "\"Rp\": [[[5e-6], [6e-6]], [[7e-6, 8e-6]]],\n"
    "\"cap\": [1000, 99.9], \"inflight\": [4, 1],\n"
    "\"strategies\": [[\"dp2\", \"tp2\"], [\"dp2\"], [\"dp2\", \"tp2\"]],\n"
    "\"live\": [{\"from\": 0, \"to\": [1, 2], \"R\": [[[1], [2]], [[3, 4], [5, 6]]],\n"
    " \"Rp\": [7, 8], \"bytes\": [9, 10]}],\n"
    "\"ties\": [{\"a\": 0, \"b\": 2, \"class_a\": [1, 2], \"class_b\": [2, 1]}]}\n";

/* Loads a text through a file. */
static inline uap_status load_text(const char *text, uap_instance **out, uap_err *err)
{
    assert_ok(uap_file_write("i.json", text, strlen(text), NULL), NULL);
    return uap_instance_load("i.json", out, err);
}

/* What repeats as references: both forms in one list, and rows too. */
static const char referring_text[] =
    "{\"format\": \"uniap-instance\", \"version\": 1, \"objective\": \"full\",\n"
    "\"schedule\": \"1f1b\", \"pp\": 1, \"micro_batches\": 1,\n"
    "\"Af\": [[1, 2, 3], 0, [1, 2, 4], 0],\n"
    "\"Ab\": [[2, 2, 2], 0, [2, 2, 2], 2],\n"
    "\"G\": [[0, 0, 0], 0, 0, 0],\n"
    "\"Ms\": [[1, 1, 1], 0, 0, [1, 1, 1]],\n"
    "\"Ma\": [[1, 1, 1], 0, 0, 0],\n"
    "\"W\": [[0, 0, 0], 0, 0, 0],\n"
    "\"Rf\": [[[0, 0, 5], 0, [5, 5, 0]], 0, 0],\n"
    "\"Rb\": [[[0, 0, 6], [0, 0, 6], [6, 6, 0]], 0, [[0, 0, 6], 0, [6, 6, 0]]],\n"
    "\"Rpf\": [[[1, 1, 1], 0, 0], 0, 0],\n"
    "\"Rpb\": [[[1, 1, 1], 0, 0], 0, [[1, 1, 1], [2, 1, 1], 0]],\n"
    "\"cap\": [100], \"inflight\": [1]}\n";

#endif
