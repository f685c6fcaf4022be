/* A checkpoint's bytes are looked at before they are believed: its checksum says that they
 * are what was written, not that what was written is a node or a plan of this search. */
#include "cli/resume.h"

#include "common/mem.h"
#include "search/exact_bytes.h"
#include "search/objective.h"

#include <string.h>

static uap_status not_ours(const char *what, uap_err *err)
{
    return UAP_FAIL(err, BAD_INPUT,
                    "the checkpoint: found bytes that are no %s of this search", what);
}

/* ---- The plan ---- */

static bool is_choice_of(const uap_instance *in, const uap_choice *choice)
{
    if (choice->first[0] != 0) {
        return false;
    }
    for (int32_t i = 1; i < in->pp; i++) {
        if (choice->first[i] <= choice->first[i - 1] ||
            choice->first[i] >= in->n_layers) {
            return false;
        }
    }
    for (int32_t u = 0; u < in->n_layers; u++) {
        if (choice->strategy[u] < 0 || choice->strategy[u] >= uap_table_of(in, u)->n) {
            return false;
        }
    }
    return true;
}

/* Whether the plan holds in the instance and costs `value`. */
static uap_status has_value(const uap_instance *in, const uap_choice *choice,
                            int64_t value, bool *right, uap_err *err)
{
    int64_t found = 0;
    *right = false;
    if (!is_choice_of(in, choice)) {
        return UAP_OK;
    }
    uap_stage_cost *scratch = uap_calloc((size_t)in->pp, sizeof *scratch);
    if (scratch == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for stage costs");
    }
    *right = uap_choice_value(in, choice, scratch, &found) && found == value;
    uap_free(scratch);
    return UAP_OK;
}

static uap_status check_plan(const uap_checkpoint *from, uap_exact *e, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_result plan = {.config = -1};
    const uap_exact_sizes least = {0};
    bool right = false;
    const int32_t config =
        from->plan_bytes < uap_plan_bytes_max(&least) ? -1 : uap_plan_config(from->plan);
    if (config < 0 || config >= e->source->n) {
        return not_ours("plan", err);
    }
    uap_exact_hold(e, config);
    UAP_TRY(uap_exact_need(e, config, err));
    const uap_instance *in = e->instance[config];
    if (in != NULL) {
        const uap_exact_sizes sizes = {.stages = in->pp, .layers = in->n_layers};
        right = from->plan_bytes == uap_plan_bytes_max(&sizes);
    }
    if (right) {
        UAP_TRY(uap_plan_from_bytes(from->plan, &plan, err));
        UAP_TRY(has_value(in, &plan.choice, from->value, &right, err));
    }
    if (!right) {
        rc = not_ours("plan", err);
    }
done:
    uap_result_free(&plan);
    uap_node held = {.config = config};
    uap_exact_drop(e, &held);
    return rc;
}

uap_status uap_resume_plan(const uap_checkpoint *from, uap_exact *e, uap_tree *tree,
                           uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(check_plan(from, e, err));
    e->value = from->value;
    e->config = uap_plan_config(from->plan);
    rc = uap_tree_improve(tree, from->value, from->plan, from->plan_bytes, err);
done:
    return rc;
}

/* ---- Nodes ---- */

/* Whether the bytes are as long as they say, and restrict layers that the instance has. */
static bool is_node_of(const uap_instance *in, const char *bytes, size_t n)
{
    uap_node head;
    size_t at = sizeof head;
    memcpy(&head, bytes, sizeof head);
    if (in == NULL || head.n_layers != in->n_layers) {
        return false;
    }
    for (int32_t u = 0; u < in->n_layers; u++) {
        int32_t rows = 0;
        if (n - at < sizeof rows) {
            return false;
        }
        memcpy(&rows, bytes + at, sizeof rows);
        at += sizeof rows;
        const size_t bits = rows > 0 ? (size_t)(rows + 7) / 8 : 0;
        if ((rows != 0 && rows != uap_table_of(in, u)->n) || n - at < bits) {
            return false;
        }
        at += bits;
    }
    return at == n;
}

static uap_status take_node(uap_exact *e, uap_tree *tree, const char *bytes, size_t n,
                            uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_node node;
    bool right = n >= sizeof node;
    if (right) {
        memcpy(&node, bytes, sizeof node);
        right = node.config >= 0 && node.config < e->source->n && node.bound >= 0 &&
                node.restriction.allow == NULL &&
                (node.n_layers != 0 || n == sizeof node);
    }
    if (!right) {
        return not_ours("node", err);
    }
    const int32_t config = node.config;
    uap_exact_hold(e, config);
    if (node.n_layers != 0) {
        UAP_TRY(uap_exact_need(e, config, err));
        right = is_node_of(e->instance[config], bytes, n);
    }
    node = (uap_node){0};
    if (!right) {
        rc = not_ours("node", err);
        goto done;
    }
    rc = uap_node_from_bytes(bytes, &node, NULL, err);
    if (rc != UAP_OK) {
        node = (uap_node){0};
        goto done;
    }
    rc = uap_tree_add(tree, &node, err);
done:
    if (rc != UAP_OK) {
        node.config = config;
        uap_exact_drop(e, &node);
    }
    return rc;
}

uap_status uap_resume(const uap_checkpoint *from, uap_exact *e, uap_tree *tree,
                      uap_err *err)
{
    uap_status rc = UAP_OK;
    size_t at = 0;
    int64_t n_nodes = 0;
    if (from->plan_bytes > 0) {
        UAP_TRY(uap_resume_plan(from, e, tree, err));
    }
    while (at < from->node_bytes) {
        uint32_t length = 0;
        if (from->node_bytes - at < sizeof length) {
            return not_ours("node", err);
        }
        memcpy(&length, from->nodes + at, sizeof length);
        at += sizeof length;
        if (from->node_bytes - at < length) {
            return not_ours("node", err);
        }
        UAP_TRY(take_node(e, tree, from->nodes + at, length, err));
        at += length;
        n_nodes++;
    }
    if (n_nodes != from->n_nodes) {
        rc = not_ours("list of nodes", err);
    }
done:
    return rc;
}
