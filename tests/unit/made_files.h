/* A folder of made-up files, for tests of what reads a system's: file_root and below. Each test
 * begins with an empty one (files_begin) and leaves none (files_end). */
#ifndef UAP_TESTS_UNIT_MADE_FILES_H
#define UAP_TESTS_UNIT_MADE_FILES_H

#include "unit/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char file_root[64];

/* Writes file_root/path, making its folders. */
static inline void write_file(const char *path, const char *text)
{
    char full[512];
    (void)snprintf(full, sizeof full, "%s/%s", file_root, path);
    for (char *slash = strchr(full + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline int files_begin(void **state)
{
    (void)state;
    (void)snprintf(file_root, sizeof file_root, "/tmp/uap_files_XXXXXX");
    return mkdtemp(file_root) == NULL ? -1 : 0;
}

static inline int files_end(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", file_root);
    return system(command);
}

#endif
