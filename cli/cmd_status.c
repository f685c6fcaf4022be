/* `uniap status`: how a service is, or its end. Rank 0 works. */
#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/options.h"
#include "common/json_write.h"
#include "common/mem.h"

#include <stdio.h>
#include <string.h>

typedef struct request {
    const char *socket;
    int format; /* 0: json, 1: prometheus */
    bool shutdown;
} request;

static const char about[] =
    "Asks a service (`uniap serve`) how it is, and prints that; or tells it to end once "
    "what\n"
    "it has taken is done.\n\n"
    "Exit status: 0 answered, 1 failure, 2 bad usage, or no service there.";

static uap_parsed parse(const uap_cli *cli, int argc, char **argv, request *r)
{
    const uap_option option[] = {
        {0, "connect", UAP_OPT_STR, &r->socket, "SOCKET", .help = "of the service"},
        {0, "format", UAP_OPT_CHOICE, &r->format, NULL, "as what (json)",
         .choices = "json|prometheus"},
        {0, "shutdown", UAP_OPT_FLAG, &r->shutdown, NULL, .help = "tell it to end"},
    };
    const uap_usage usage = {.name = "status",
                             .synopsis = "--connect SOCKET [--shutdown]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0])};
    return uap_options_parse(cli, &usage, argc, argv, NULL, NULL);
}

/* The one element of a list that the answer comes as. */
static uap_status print_answer(const char *list, uap_err *err)
{
    uap_json *doc = NULL;
    uap_jout *copy = NULL;
    const char *text = NULL;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_json_parse("answer", list, strlen(list), &doc, err));
    const uap_jval root = uap_json_root(doc);
    const uap_jval value = uap_jat(&root, 0);
    if (uap_jtype_of(&value) == UAP_JSON_STRING) {
        UAP_TRY(uap_jas_str(&value, &text, err));
        (void)fputs(text, stdout);
    } else {
        copy = uap_jout_copy(&value);
        rc = uap_jout_write(copy, "-", err);
    }
done:
    uap_jout_free(copy);
    uap_json_free(doc);
    return rc;
}

int uap_cmd_status(const uap_cli *cli, int argc, char **argv)
{
    request r = {.format = 0};
    uap_err err = {0};
    uap_status rc = UAP_OK;
    char *result = NULL;
    const uap_parsed parsed = parse(cli, argc, argv, &r);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    if (r.socket == NULL) {
        rc = UAP_FAIL(&err, BAD_USAGE,
                      "--connect: not given, expected a service's socket");
        goto done;
    }
    UAP_TRY(uap_connect_call(r.socket, r.shutdown ? "shutdown" : "status",
                             !r.shutdown && r.format == 1 ? "{\"format\":\"prometheus\"}"
                                                          : "{}",
                             &result, &err));
    if (!r.shutdown) {
        UAP_TRY(print_answer(result, &err));
    }
done:
    uap_free(result);
    return rc == UAP_OK ? UAP_EXIT_OK : uap_cli_fail(cli, &err);
}
