/* Provenance and exceptions of merged profiles; no node may be in two parts. */
#include "common/json_read.h"
#include "common/mem.h"
#include "profile/hostlist.h"
#include "profile/merge.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Names of nodes, gathered from host lists. */
typedef struct names {
    char **name;
    size_t n;
} names;

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Appends the names of a list; one that is none (a provenance may say anything) adds none. */
static uap_status append(names *all, const char *list, uap_err *err)
{
    char **name = NULL;
    size_t n = 0;
    const uap_status rc = uap_hostlist_expand(list, &name, &n, err);
    if (rc == UAP_BAD_INPUT) {
        uap_err_clear(err);
        return UAP_OK;
    }
    char **grown =
        rc == UAP_OK ? uap_realloc(all->name, all->n + n, sizeof *grown) : NULL;
    if (grown == NULL) {
        uap_hostlist_free(name, n);
        return rc != UAP_OK ? rc : UAP_FAIL(err, NO_MEMORY, "no memory for %zu nodes", n);
    }
    all->name = grown;
    if (n > 0) {
        memcpy(all->name + all->n, name, n * sizeof *name);
    }
    all->n += n;
    uap_free(name);
    return UAP_OK;
}

static uap_status compress(const names *all, char **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    const char **name = uap_calloc(all->n, sizeof *name);
    if (name == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu nodes", all->n);
    }
    for (size_t i = 0; i < all->n; i++) {
        name[i] = all->name[i];
    }
    rc = uap_hostlist_compress(name, all->n, out, err);
    uap_free(name);
    return rc;
}

static uap_status check_apart(const names *all, uap_err *err)
{
    if (all->n > 1) {
        qsort(all->name, all->n, sizeof *all->name, compare);
    }
    for (size_t i = 1; i < all->n; i++) {
        if (strcmp(all->name[i - 1], all->name[i]) == 0) {
            return UAP_FAIL(err, BAD_INPUT,
                            "--merge: node %.80s is in two of the profiles, expected "
                            "profiles of different nodes",
                            all->name[i]);
        }
    }
    return UAP_OK;
}

/* What is put together over the parts. */
typedef struct words {
    uap_jout *parts, *exceptions; /* arrays */
    names hosts, left_out;
} words;

static uap_status take_provenance(words *w, const uap_cluster *part, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_json *doc = NULL;
    uap_jval survey;
    const char *hosts = "", *left_out = "";
    if (part->provenance == NULL) {
        return UAP_OK;
    }
    UAP_TRY(uap_json_parse("provenance", part->provenance, strlen(part->provenance), &doc,
                           err));
    const uap_jval root = uap_json_root(doc);
    uap_jval value;
    uap_jadd(w->parts, uap_jout_copy(&root));
    if (uap_jfind(&root, "hosts", &value) && uap_jtype_of(&value) == UAP_JSON_STRING) {
        UAP_TRY(uap_jas_str(&value, &hosts, err));
    }
    if (uap_jfind(&root, "survey", &survey) && uap_jtype_of(&survey) == UAP_JSON_OBJECT) {
        UAP_TRY(uap_jopt_str(&survey, "left_out_hosts", &left_out, err));
    }
    if (strcmp(hosts, "unknown") != 0) {
        UAP_TRY(append(&w->hosts, hosts, err));
    }
    rc = append(&w->left_out, left_out, err);
done:
    uap_json_free(doc);
    return rc;
}

static uap_status take_exceptions(words *w, const uap_cluster *part, uap_err *err)
{
    uap_json *doc = NULL;
    if (part->exceptions == NULL) {
        return UAP_OK;
    }
    const uap_status rc = uap_json_parse("exceptions", part->exceptions,
                                         strlen(part->exceptions), &doc, err);
    if (rc == UAP_OK) {
        const uap_jval root = uap_json_root(doc);
        for (size_t i = 0; i < uap_jlen(&root); i++) {
            const uap_jval one = uap_jat(&root, i);
            uap_jadd(w->exceptions, uap_jout_copy(&one));
        }
    }
    uap_json_free(doc);
    return rc;
}

/* Moves w->parts into the provenance. */
static uap_status write_words(words *w, const char *command, uap_cluster *out,
                              uap_err *err)
{
    uap_status rc = UAP_OK;
    char date[32] = "", *hosts = NULL, *left_out = NULL;
    struct tm utc;
    const time_t now = time(NULL);
    uap_jout *object = uap_jout_object(), *survey = uap_jout_object();
    if (gmtime_r(&now, &utc) != NULL) {
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    UAP_TRY(compress(&w->hosts, &hosts, err));
    UAP_TRY(compress(&w->left_out, &left_out, err));
    uap_jset_str(survey, "left_out_hosts", left_out);
    uap_jset_str(object, "date", date);
    uap_jset_str(object, "program", "uniap " UAP_VERSION);
    uap_jset_str(object, "command", command);
    uap_jset_str(object, "hosts", hosts[0] != '\0' ? hosts : "unknown");
    uap_jset(object, "survey", survey);
    uap_jset(object, "merged", w->parts);
    survey = w->parts = NULL;
    out->provenance = uap_jout_text(object);
    out->exceptions = uap_jout_text(w->exceptions);
    if (out->provenance == NULL || out->exceptions == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for the provenance");
    }
done:
    uap_free(left_out);
    uap_free(hosts);
    uap_jout_free(survey);
    uap_jout_free(object);
    return rc;
}

uap_status uap_merge_words(const uap_cluster *const *part, int32_t n, const char *command,
                           uap_cluster *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    words w = {.parts = uap_jout_array(), .exceptions = uap_jout_array()};
    if (w.parts == NULL || w.exceptions == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for the provenance");
        goto done;
    }
    for (int32_t p = 0; p < n; p++) {
        UAP_TRY(take_provenance(&w, part[p], err));
        UAP_TRY(take_exceptions(&w, part[p], err));
    }
    UAP_TRY(check_apart(&w.hosts, err));
    rc = write_words(&w, command, out, err);
done:
    uap_hostlist_free(w.hosts.name, w.hosts.n);
    uap_hostlist_free(w.left_out.name, w.left_out.n);
    uap_jout_free(w.exceptions);
    uap_jout_free(w.parts);
    return rc;
}
