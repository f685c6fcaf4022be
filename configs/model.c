/* Reading a model: finds the file, asks the reader of its model_type or format for the layers
 * and checks the whole. A new family is one file and one line in the table below. */
#include "configs/model.h"

#include "common/file.h"
#include "common/json_read.h"
#include "common/mem.h"
#include "configs/model_build.h"

#include <stdio.h>
#include <string.h>

/* A config.json is a few kilobytes; one with 20,000 labels stays under two megabytes. */
#define MAX_CONFIG_BYTES ((size_t)64 << 20)

static const struct {
    const char *model_type;
    uap_family_reader *read;
} families[] = {
    {"bert", uap_read_bert},       {"gpt2", uap_read_gpt2},   {"llama", uap_read_llama},
    {"mistral", uap_read_mistral}, {"qwen2", uap_read_qwen2}, {"swin", uap_read_swin},
    {"t5", uap_read_t5},           {"vit", uap_read_vit},
};
#define N_FAMILIES (sizeof families / sizeof families[0])

static const char *const type_names[UAP_LAYER_TYPE_COUNT] = {
    [UAP_LAYER_EMBEDDING] = "embedding",
    [UAP_LAYER_BLOCK] = "block",
    [UAP_LAYER_CROSS_BLOCK] = "cross-block",
    [UAP_LAYER_ATTENTION] = "attention",
    [UAP_LAYER_CROSS_ATTENTION] = "cross-attention",
    [UAP_LAYER_MLP] = "mlp",
    [UAP_LAYER_WINDOW_BLOCK] = "window-block",
    [UAP_LAYER_PATCH_MERGE] = "patch-merge",
    [UAP_LAYER_HEAD] = "head",
    [UAP_LAYER_NODE] = "node",
};

const char *uap_layer_type_name(uap_layer_type type)
{
    return (unsigned)type < UAP_LAYER_TYPE_COUNT ? type_names[type] : "unknown";
}

bool uap_layer_type_by_name(const char *name, uap_layer_type *out)
{
    for (unsigned i = 0; i < UAP_LAYER_TYPE_COUNT; i++) {
        if (strcmp(name, type_names[i]) == 0) {
            *out = (uap_layer_type)i;
            return true;
        }
    }
    return false;
}

static uap_status unknown_type(const uap_jval *value, const char *found, uap_err *err)
{
    char known[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < N_FAMILIES && used < sizeof known; i++) {
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                 i == 0 ? "" : ", ", families[i].model_type);
    }
    return uap_jfail(value, err, "found \"%.64s\", expected one of %s for \"model_type\"",
                     found, known);
}

static uap_status read_family(uap_builder *builder, uap_err *err)
{
    uap_status rc = UAP_OK;
    const char *type = NULL;
    UAP_TRY(uap_jget_str(&builder->config, "model_type", &type, err));
    for (size_t i = 0; i < N_FAMILIES; i++) {
        if (strcmp(type, families[i].model_type) == 0) {
            (void)snprintf(builder->model->architecture,
                           sizeof builder->model->architecture, "%s", type);
            return families[i].read(builder, err);
        }
    }
    uap_jval value = builder->config;
    (void)uap_jfind(&builder->config, "model_type", &value);
    rc = unknown_type(&value, type, err);
done:
    return rc;
}

/* The path of the config itself: `path`, or path/config.json where path is a directory. */
static char *config_path(const char *path)
{
    static const char inside[] = "/config.json";
    const bool is_dir = uap_file_is_directory(path);
    size_t n = strlen(path);
    while (is_dir && n > 1 && path[n - 1] == '/') {
        n--;
    }
    char *full = uap_calloc(n + sizeof inside, 1);
    if (full != NULL) {
        memcpy(full, path, n);
        memcpy(full + n, is_dir ? inside : "", is_dir ? sizeof inside : 1);
    }
    return full;
}

/* "x/bert-huge.json" -> "bert-huge"; "x/llama/config.json" -> "llama". */
static char *model_name(const char *path)
{
    const char *end = path + strlen(path);
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    if (strcmp(base, "config.json") == 0 && slash != NULL && slash != path) {
        end = slash;
        base = slash;
        while (base > path && base[-1] != '/') {
            base--;
        }
    } else if (end - base > 5 && strcmp(end - 5, ".json") == 0) {
        end -= 5;
    }
    char *name = uap_calloc((size_t)(end - base) + 1, 1);
    if (name != NULL) {
        memcpy(name, base, (size_t)(end - base));
    }
    return name;
}

static uap_status check_options(const uap_model_options *options, uap_err *err)
{
    if (options->seq < 0 || options->seq > UAP_MAX_SEQ) {
        return UAP_FAIL(err, BAD_USAGE, "--seq: found %lld, expected 1 to %lld",
                        (long long)options->seq, (long long)UAP_MAX_SEQ);
    }
    return UAP_OK;
}

static uap_status check_whole(const uap_builder *builder, uap_err *err)
{
    if (builder->model->params > UAP_MAX_PARAMS) {
        return uap_jfail(&builder->config, err,
                         "the model has %lld parameters, expected at most %lld",
                         (long long)builder->model->params, (long long)UAP_MAX_PARAMS);
    }
    return UAP_OK;
}

uap_status uap_model_load(const char *path, const uap_model_options *options,
                          uap_model **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_json *doc = NULL;
    uap_model *model = uap_calloc(1, sizeof *model);
    uap_builder builder = {.options = options, .model = model};

    *out = NULL;
    if (model == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a model");
    }
    model->source = config_path(path);
    model->name = model->source == NULL ? NULL : model_name(model->source);
    if (model->name == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a model's name");
        goto done;
    }
    UAP_TRY(check_options(options, err));
    UAP_TRY(uap_json_load(model->source, MAX_CONFIG_BYTES, &doc, err));
    builder.config = uap_json_root(doc);
    if (uap_jtype_of(&builder.config) != UAP_JSON_OBJECT) {
        rc = uap_jfail(&builder.config, err, "expected an object with a model's config");
        goto done;
    }
    uap_jval format;
    if (uap_jfind(&builder.config, "format", &format)) {
        UAP_TRY(uap_read_graph(&builder, err));
    } else {
        UAP_TRY(read_family(&builder, err));
    }
    UAP_TRY(check_whole(&builder, err));
    size_t n_bytes = 0;
    const char *text = uap_json_text(doc, &n_bytes);
    uap_sha256_hex(text, n_bytes, model->sha256);
done:
    uap_json_free(doc);
    if (rc != UAP_OK) {
        uap_model_free(model);
        return rc;
    }
    *out = model;
    return UAP_OK;
}

void uap_model_free(uap_model *model)
{
    if (model == NULL) {
        return;
    }
    uap_free(model->name);
    uap_free(model->source);
    uap_free(model->layer);
    for (int32_t t = 0; t < model->n_live; t++) {
        uap_free(model->live[t].reader);
    }
    uap_free(model->live);
    uap_free(model);
}
