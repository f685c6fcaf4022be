/* Configs for the tests of models, as text with the dimensions filled in, and loading them
 * through a file. It checks nothing of its own. */
#ifndef UAP_TESTS_UNIT_MODEL_TEXTS_H
#define UAP_TESTS_UNIT_MODEL_TEXTS_H

#include "check.h"

#include "configs/model.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Writes text to a new file; its name goes to path. */
static inline void write_config(const char *text, char path[64])
{
    (void)snprintf(path, 64, "/tmp/uap_model_XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    const size_t n = strlen(text);
    assert_true(write(fd, text, n) == (ssize_t)n);
    assert_int_equal(close(fd), 0);
}

static inline uap_model *load_with(const char *text, const uap_model_options *options)
{
    char path[64];
    uap_err err = {0};
    uap_model *model = NULL;
    write_config(text, path);
    assert_ok(uap_model_load(path, options, &model, &err), &err);
    assert_int_equal(unlink(path), 0);
    return model;
}

static inline uap_model *load(const char *text)
{
    return load_with(text, &(uap_model_options){0});
}

#define GPT2(h, l, a, p)                                                                 \
    "{\"model_type\": \"gpt2\", \"vocab_size\": 50257, \"n_positions\": " #p             \
    ", \"n_embd\": " #h ", \"n_layer\": " #l ", \"n_head\": " #a "}"

#define BERT(h, l, a, f)                                                                 \
    "{\"model_type\": \"bert\", \"architectures\": [\"BertForMaskedLM\"], "              \
    "\"vocab_size\": 30522, \"max_position_embeddings\": 512, \"type_vocab_size\": 2, "  \
    "\"hidden_size\": " #h ", \"num_hidden_layers\": " #l                                \
    ", \"num_attention_heads\": " #a ", \"intermediate_size\": " #f "}"

#define T5(d, ff, kv, l, a, more)                                                        \
    "{\"model_type\": \"t5\", \"vocab_size\": 32128, \"d_model\": " #d                   \
    ", \"d_ff\": " #ff ", \"d_kv\": " #kv ", \"num_layers\": " #l                        \
    ", \"num_heads\": " #a more "}"
#define V1_1 ", \"feed_forward_proj\": \"gated-gelu\", \"tie_word_embeddings\": false"

#define LLAMA(type, h, f, l, a, v, more)                                                 \
    "{\"model_type\": \"" #type "\", \"max_position_embeddings\": 32768, "               \
    "\"hidden_size\": " #h ", \"intermediate_size\": " #f ", \"num_hidden_layers\": " #l \
    ", \"num_attention_heads\": " #a ", \"vocab_size\": " #v more "}"
#define KV(n) ", \"num_key_value_heads\": " #n
#define TIED  ", \"tie_word_embeddings\": true"

#define VIT(h, l, a, f, p, more)                                                         \
    "{\"model_type\": \"vit\", \"image_size\": 224, \"patch_size\": " #p                 \
    ", \"hidden_size\": " #h ", \"num_hidden_layers\": " #l                              \
    ", \"num_attention_heads\": " #a ", \"intermediate_size\": " #f more "}"
#define CLASSES(family)                                                                  \
    ", \"architectures\": [\"" #family "ForImageClassification\"], \"num_labels\": 1000"

#define SWIN(e, depths, heads, w, i)                                                     \
    "{\"model_type\": \"swin\", \"embed_dim\": " #e ", \"depths\": " depths              \
    ", \"num_heads\": " heads ", \"window_size\": " #w ", \"image_size\": " #i           \
    ", \"patch_size\": 4" CLASSES(Swin) "}"

#endif
