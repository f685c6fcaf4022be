/* Typed access to a Hugging Face config: dimensions with their limits, divisibility,
 * dropouts, labels and the sequence length. Every failure names file:line:column. */
#include "common/numbers.h"
#include "configs/model_build.h"

#include <string.h>

uap_status uap_need_dim(const uap_builder *builder, const char *key, int64_t max,
                        int64_t *out, uap_err *err)
{
    return uap_jget_i64(&builder->config, key, 1, max, out, err);
}

uap_status uap_opt_dim(const uap_builder *builder, const char *key, int64_t max,
                       int64_t *out, uap_err *err)
{
    return uap_jopt_i64(&builder->config, key, 1, max, out, err);
}

uap_status uap_need_divides(const uap_builder *builder, const char *key, int64_t divisor,
                            const char *what, int64_t value, uap_err *err)
{
    if (value % divisor == 0) {
        return UAP_OK;
    }
    uap_jval at = builder->config;
    (void)uap_jfind(&builder->config, key, &at);
    return uap_jfail(&at, err,
                     "found %lld, expected a divisor of %s, which is %lld, for \"%s\"",
                     (long long)divisor, what, (long long)value, key);
}

uap_status uap_opt_dropout(const uap_builder *builder, const char *key, double absent,
                           bool *drops, uap_err *err)
{
    double rate = absent;
    const uap_status rc = uap_jopt_f64(&builder->config, key, 0.0, 1.0, &rate, err);
    *drops = rate > 0.0;
    return rc;
}

uap_status uap_need_pair(const uap_builder *builder, const char *key, int64_t max,
                         int64_t out[2], uap_err *err)
{
    uap_jval value;
    if (!uap_jfind(&builder->config, key, &value) ||
        uap_jtype_of(&value) != UAP_JSON_ARRAY) {
        const uap_status rc = uap_need_dim(builder, key, max, &out[0], err);
        out[1] = out[0];
        return rc;
    }
    if (uap_jlen(&value) != 2) {
        return uap_jfail(&value, err,
                         "found %zu elements, expected height and width for \"%s\"",
                         uap_jlen(&value), key);
    }
    for (size_t i = 0; i < 2; i++) {
        const uap_jval side = uap_jat(&value, i);
        const uap_status rc = uap_jas_i64(&side, 1, max, &out[i], err);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    return UAP_OK;
}

uap_status uap_opt_relu(const uap_builder *builder, const char *key, bool *is_relu,
                        uap_err *err)
{
    const char *activation = "";
    const uap_status rc = uap_jopt_str(&builder->config, key, &activation, err);
    *is_relu = strcmp(activation, "relu") == 0;
    return rc;
}

uap_status uap_need_image(const uap_builder *builder, int64_t image[2], int64_t patch[2],
                          int64_t *channels, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(uap_need_pair(builder, "image_size", UAP_MAX_IMAGE, image, err));
    UAP_TRY(uap_need_pair(builder, "patch_size", UAP_MAX_IMAGE, patch, err));
    for (int i = 0; i < 2; i++) {
        UAP_TRY(uap_need_divides(builder, "patch_size", patch[i], "image_size", image[i],
                                 err));
    }
    UAP_TRY(uap_opt_dim(builder, "num_channels", UAP_MAX_HEADS, channels, err));
done:
    return rc;
}

uap_status uap_set_seq(uap_builder *builder, int64_t positions, bool learned,
                       uap_err *err)
{
    const int64_t asked = builder->options->seq;
    if (learned && asked > positions) {
        return UAP_FAIL(err, BAD_USAGE,
                        "--seq %lld: %s has %lld learned positions, expected at most "
                        "that many",
                        (long long)asked, builder->model->source, (long long)positions);
    }
    builder->model->seq_is_assumed = asked == 0;
    builder->model->seq =
        asked != 0 ? asked : uap_min_i64(positions, UAP_DEFAULT_SEQ_LIMIT);
    return UAP_OK;
}

/* Whether one of the names in the array `architectures` ends in `suffix`. */
static uap_status has_architecture(const uap_jval *names, const char *suffix, bool *found,
                                   uap_err *err)
{
    const size_t n_suffix = strlen(suffix);
    *found = false;
    for (size_t i = 0; i < uap_jlen(names); i++) {
        const uap_jval item = uap_jat(names, i);
        const char *name = NULL;
        const uap_status rc = uap_jas_str(&item, &name, err);
        if (rc != UAP_OK) {
            return rc;
        }
        const size_t n = strlen(name);
        if (n >= n_suffix && strcmp(name + n - n_suffix, suffix) == 0) {
            *found = true;
        }
    }
    return UAP_OK;
}

uap_status uap_read_classifier(const uap_builder *builder, bool *is_classifier,
                               int64_t *labels, uap_err *err)
{
    uap_status rc = UAP_OK;
    *labels = 2;
    int64_t stated = 0;
    UAP_TRY(uap_opt_dim(builder, "num_labels", UAP_MAX_VOCAB, &stated, err));
    if (stated > 0) {
        *labels = stated;
    }
    uap_jval map;
    const bool has_map = uap_jfind(&builder->config, "id2label", &map) &&
                         uap_jtype_of(&map) == UAP_JSON_OBJECT && uap_jlen(&map) > 0;
    if (has_map) {
        *labels = (int64_t)uap_jlen(&map);
    }
    *is_classifier = has_map || stated > 0;
    uap_jval names;
    if (uap_jfind(&builder->config, "architectures", &names) &&
        uap_jtype_of(&names) == UAP_JSON_ARRAY) {
        UAP_TRY(has_architecture(&names, "ForImageClassification", is_classifier, err));
    }
done:
    return rc;
}
