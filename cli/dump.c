/* --dump-instances: what the search solves, for other solvers to check. */
#include "cli/dump.h"

#include "search/instance_json.h"
#include "search/milp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_BYTES 4096

static uap_status write_lp(const uap_instance *instance, const char *path, uap_err *err)
{
    const uap_milp_options options = {.goal = UAP_MILP_TIME};
    uap_milp *milp = NULL;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_milp_new(instance, &options, &milp, err));
    UAP_TRY(uap_milp_write_lp(milp, path, path, err));
done:
    uap_milp_free(milp);
    return rc;
}

static uap_status dump_one(uap_cost *cost, int32_t index, const char *directory,
                           int32_t *count, uap_err *err)
{
    const uap_configuration shape = uap_cost_configuration(cost, index);
    const uap_source source = uap_cost_source(cost);
    uap_instance *instance = NULL;
    char path[PATH_BYTES];
    uap_status rc = UAP_OK;
    UAP_TRY(source.build(source.context, index, &instance, err));
    if (instance == NULL) {
        goto done; /* illegal: there is nothing to solve */
    }
    const int n = snprintf(path, sizeof path, "%s/%04d-%s-pp%d-c%" PRId64 ".json",
                           directory, (int)index, uap_schedule_name(shape.schedule),
                           (int)shape.pp, shape.micro_batches);
    if (n < 0 || (size_t)n >= sizeof path) {
        rc = UAP_FAIL(err, BAD_USAGE, "--dump-instances: the path is too long");
        goto done;
    }
    UAP_TRY(uap_instance_save(instance, path, err));
    memcpy(strrchr(path, '.'), ".lp", sizeof ".lp");
    UAP_TRY(write_lp(instance, path, err));
    (*count)++;
done:
    uap_instance_free(instance);
    return rc;
}

uap_status uap_dump_prepare(const char *directory, uap_err *err)
{
    struct stat status;
    if (mkdir(directory, 0777) != 0 && errno != EEXIST) {
        return UAP_FAIL(err, IO, "--dump-instances: %s: %s", directory, strerror(errno));
    }
    if (stat(directory, &status) != 0 || !S_ISDIR(status.st_mode)) {
        return UAP_FAIL(err, IO, "--dump-instances: %s: not a directory", directory);
    }
    return UAP_OK;
}

uap_status uap_dump_instances(uap_cost *cost, const char *directory,
                              const volatile sig_atomic_t *stop, int32_t *count,
                              uap_err *err)
{
    uap_status rc = UAP_OK;
    *count = 0;
    for (int32_t i = 0; i < uap_cost_count(cost) && *stop == 0; i++) {
        UAP_TRY(dump_one(cost, i, directory, count, err));
    }
done:
    return rc;
}
