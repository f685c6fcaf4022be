/* Loads the CUDA backend when it is asked for: a program that was linked to CUDA's libraries
 * would not even start on a machine that lacks them. */
#include "profile/device_backend.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY_NAME "libuniap_cuda.so"

/* The directory of the running program, with a slash; "" where it cannot be told. */
static void program_directory(char *path, size_t n)
{
    const ssize_t length = readlink("/proc/self/exe", path, n - 1);
    path[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (slash != NULL) {
        slash[1] = '\0';
    } else {
        path[0] = '\0';
    }
}

/* Beside the program, in lib beside its bin, where the build put it, or where the system
 * looks. The first file that loads is taken; `why` keeps the most telling failure. */
static void *load(char *why, size_t n)
{
    char directory[2048], path[4][4096];
    program_directory(directory, sizeof directory);
    (void)snprintf(path[0], sizeof path[0], "%s%s", directory, LIBRARY_NAME);
    (void)snprintf(path[1], sizeof path[1], "%s../lib/%s", directory, LIBRARY_NAME);
    (void)snprintf(path[2], sizeof path[2], "%s/%s", UAP_CUDA_LIBRARY_DIR, LIBRARY_NAME);
    (void)snprintf(path[3], sizeof path[3], "%s", LIBRARY_NAME);
    why[0] = '\0';
    for (int i = 0; i < 4; i++) {
        void *library = dlopen(path[i], RTLD_NOW | RTLD_LOCAL);
        if (library != NULL) {
            return library;
        }
        const char *text = dlerror();
        if (why[0] == '\0' && text != NULL && (i == 3 || access(path[i], R_OK) == 0)) {
            (void)snprintf(why, n, "%s", text);
        }
    }
    return NULL;
}

uap_status uap_backend_cuda(const uap_backend_table **out, uap_err *err)
{
    char why[512];
    const uap_backend_table *(*table)(void) = NULL;
    *out = NULL;
    /* Never unloaded: error records point at file names inside it. */
    void *library = load(why, sizeof why);
    if (library == NULL) {
        return UAP_FAIL(err, UNSUPPORTED, "the CUDA backend does not load: %s", why);
    }
    /* POSIX's way to make a function pointer of dlsym's result. */
    void *symbol = dlsym(library, UAP_BACKEND_SYMBOL);
    memcpy(&table, &symbol, sizeof table);
    if (table == NULL || table()->interface != UAP_BACKEND_INTERFACE) {
        return UAP_FAIL(err, UNSUPPORTED, "%s belongs to another version of this program",
                        LIBRARY_NAME);
    }
    *out = table();
    return UAP_OK;
}
