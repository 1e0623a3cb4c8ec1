// Files of models of other kinds than ours: cut, damaged, or contradicting themselves, they are refused with a sentence
// or can be served.

#include "daemon/agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sample.h"
#include "tests/support/suite.h"

static const enum model_kind kinds[] = {MODEL_VARIBAD, MODEL_RL2, MODEL_PEARL};

struct bytes {
    uint8_t *data;
    size_t size;
};

static struct bytes file_of(enum model_kind kind)
{
    struct model_shape shape = sample_kind(kind);
    struct model *model = sample_model(&shape, 1);
    char path[] = "kind.XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(model_save(model, path), 0);
    close(fd);
    FILE *stream = fopen(path, "rb");
    ck_assert_ptr_nonnull(stream);
    struct bytes file = {malloc(1 << 20), 0};
    file.size = fread(file.data, 1, 1 << 20, stream);
    fclose(stream);
    unlink(path);
    model_free(model);
    return file;
}

// In a block of its own size, so that a sanitizer sees the first byte read beyond it.
static int parse_copy(struct model **model, const uint8_t *data, size_t size, char *why, size_t why_size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    int error = model_parse(model, copy, size, why, why_size);
    free(copy);
    return error;
}

// Whatever the weights are: actions stay within the bounds.
static void serve(const struct model *model)
{
    struct agent_scratch *scratch = agent_scratch_new(model);
    float *block, action[2];
    struct observation_item *items = sample_items(model, 3, 3, &block);
    void *memory;
    struct agent_belief belief = sample_belief(model, &memory);
    for (size_t i = 0; i < 3; i++) {
        items[i].belief = &belief;
        agent_observe(model, scratch, &items[i], 1);
        struct action_item item = {.belief = &belief, .observation = items[i].observation, .action = action};
        agent_act(model, scratch, &item, 1);
        for (size_t j = 0; j < 2; j++)
            ck_assert(action[j] >= model->action_low[j] && action[j] <= model->action_high[j]);
    }
    agent_scratch_free(scratch);
    free(items), free(block), free(memory);
}

START_TEST(a_file_cut_anywhere_is_refused_with_a_sentence)
{
    struct bytes file = file_of(kinds[_i]);
    for (size_t size = 0; size < file.size; size += 1 + size / 512) {
        struct model *model = NULL;
        char why[256] = "";
        ck_assert_int_lt(parse_copy(&model, file.data, size, why, sizeof why), 0);
        ck_assert_ptr_null(model);
        ck_assert_uint_gt(strlen(why), 10);
    }
    free(file.data);
}
END_TEST

START_TEST(a_flipped_bit_is_refused_or_can_be_served)
{
    struct bytes file = file_of(kinds[_i]);
    size_t refused = 0;
    for (size_t i = 0; i < file.size; i++) {
        uint8_t bit = (uint8_t)(1 << (i * 5 + i / 8) % 8);
        file.data[i] ^= bit;
        struct model *model = NULL;
        char why[256] = "";
        if (parse_copy(&model, file.data, file.size, why, sizeof why) == 0) {
            if (i % 16 == 0)
                serve(model);
            model_free(model);
        } else {
            refused++;
            ck_assert_uint_gt(strlen(why), 10);
        }
        file.data[i] ^= bit;
    }
    ck_assert_uint_gt(refused, file.size / 20);
    free(file.data);
}
END_TEST

// The file with one piece of its header replaced, and the header's length mended.
static struct bytes edited(const struct bytes *file, const char *from, const char *to)
{
    const uint8_t *found = memmem(file->data, file->size, from, strlen(from));
    ck_assert_msg(found != NULL, "the file has no %s", from);
    size_t before = (size_t)(found - file->data), after = before + strlen(from);
    struct bytes out = {malloc(file->size + strlen(to)), 0};
    out.size = file->size + strlen(to) - strlen(from);
    memcpy(out.data, file->data, before);
    memcpy(out.data + before, to, strlen(to));
    memcpy(out.data + before + strlen(to), file->data + after, file->size - after);
    uint64_t header;
    memcpy(&header, out.data, sizeof header);
    header += strlen(to) - strlen(from);
    memcpy(out.data, &header, sizeof header);
    return out;
}

static const struct {
    enum model_kind kind;
    const char *from, *to, *sentence;
} refused[] = {
    {MODEL_VARIBAD, "\"kind\":\"varibad\"", "\"kind\":\"vae\"", "\"kind\" is \"vae\", not glibrl"},
    {MODEL_VARIBAD, "\"kind\":\"varibad\"", "\"kind\":\"rl2\"", "a rl2 model has no transition decoder"},
    {MODEL_VARIBAD, "\"kind\":\"varibad\"", "\"kind\":\"pearl\"", "\"encoder.factor.0.weight\" is missing"},
    {MODEL_RL2, "\"kind\":\"rl2\"", "\"kind\":\"glibrl\"", "of kind none, not glibrl"},
    {MODEL_VARIBAD, "\"kind\":\"varibad\"", "\"kind\":\"oracle\"", "only an oracle reads the task"},
    {MODEL_VARIBAD, "\"kind\":\"varibad\"", "\"kind\":\"none\"", "decoder"},
    {MODEL_VARIBAD, "\"reads_task\":\"0\"", "\"reads_task\":\"1\"", "only an oracle reads the task"},
    {MODEL_VARIBAD, "\"policy.discrete\":\"0\"", "\"policy.discrete\":\"1\"", "as of a discrete policy's"},
    {MODEL_VARIBAD, "\"policy.activation\":\"tanh\"", "\"policy.activation\":\"gelu\"", "not tanh or relu"},
    {MODEL_VARIBAD, "\"encoder.head.0.weight\":{\"dtype\":\"F32\",\"shape\":[19,6]",
     "\"encoder.head.0.weight\":{\"dtype\":\"F32\",\"shape\":[38,3]", "3 outputs, an odd number"},
    {MODEL_VARIBAD, "\"encoder.head.0.weight\":{\"dtype\":\"F32\",\"shape\":[19,6]",
     "\"encoder.head.0.weight\":{\"dtype\":\"F32\",\"shape\":[57,2]", "encoder.head.0.weight"},
    {MODEL_VARIBAD, "\"encoder.gru.state.0.weight\":{\"dtype\":\"F32\",\"shape\":[19,57]",
     "\"encoder.gru.state.0.weight\":{\"dtype\":\"F32\",\"shape\":[57,19]", "encoder."},
    {MODEL_VARIBAD, "\"encoder.gru.state.0.weight\":{\"dtype\":\"F32\",\"shape\":[19,57]",
     "\"encoder.gru.state.0.weight\":{\"dtype\":\"F32\",\"shape\":[1083,1]", "recurrent state is 1083, not 1 to 512"},
    {MODEL_VARIBAD, "\"encoder.gru.input.0.weight\":{\"dtype\":\"F32\",\"shape\":[6,57]",
     "\"encoder.gru.input.0.weight\":{\"dtype\":\"F32\",\"shape\":[57,6]", "does not follow the embedding"},
    {MODEL_VARIBAD, "\"encoder.embedding.0.weight\":", "\"encoder.embedding.1.weight\":",
     "\"encoder.embedding.0.weight\" is missing"},
    {MODEL_VARIBAD, "\"decoder.reward.0.weight\":", "\"decoder.reward.9.weight\":", "is not part of such a model"},
    {MODEL_VARIBAD, "\"encoder.reward.scale\":", "\"encoder.reward.size\":", "\"encoder.reward.scale\" is missing"},
    {MODEL_RL2, "\"kind\":\"rl2\"", "\"kind\":\"varibad\"", "\"encoder.head.0.weight\" is missing"},
    {MODEL_RL2, "\"kind\":\"rl2\",", "", "\"policy.input.mean\" has 24 numbers"},
    {MODEL_PEARL, "\"policy.squash\":\"1\"", "\"policy.squash\":\"yes\"", "not \"0\" or \"1\""},
    {MODEL_PEARL, "\"policy.discrete\":\"0\"", "\"policy.discrete\":\"1\"", "discrete or squashed, not both"},
    {MODEL_PEARL, "\"encoder.factor.1.weight\":{\"dtype\":\"F32\",\"shape\":[13,9]",
     "\"encoder.factor.1.weight\":{\"dtype\":\"F32\",\"shape\":[9,13]", "does not follow the layer before"},
    {MODEL_PEARL, "\"encoder.factor.2.weight\":{\"dtype\":\"F32\",\"shape\":[9,6]",
     "\"encoder.factor.2.weight\":{\"dtype\":\"F32\",\"shape\":[9,3,2]", "has 3 dimensions, not 2"},
};

START_TEST(a_file_that_contradicts_its_kind_is_refused_with_a_sentence)
{
    struct bytes good = file_of(refused[_i].kind), bad = edited(&good, refused[_i].from, refused[_i].to);
    struct model *model = NULL;
    char why[256] = "";
    int error = parse_copy(&model, bad.data, bad.size, why, sizeof why);
    ck_assert_msg(error == -EINVAL, "%s: %d", refused[_i].to, error);
    ck_assert_msg(strstr(why, refused[_i].sentence) != NULL, "%s: said \"%s\"", refused[_i].to, why);
    free(good.data), free(bad.data);
}
END_TEST

START_TEST(a_shape_that_contradicts_its_kind_is_refused_with_a_sentence)
{
    struct model_shape shapes[10];
    static const char *const sentences[] = {
        "a varibad model has no transition head", "recurrent state is 0", "recurrent state is 513", "latent is 65",
        "a rl2 model has no latent", "a pearl model has no recurrent state", "discrete or squashed",
        "activation is unknown", "kind is unknown", "embedding is 0",
    };
    for (size_t i = 0; i < 10; i++)
        shapes[i] = sample_kind(MODEL_VARIBAD);
    shapes[0].heads[HEAD_TRANSITION] = sample_small.heads[HEAD_TRANSITION];
    shapes[1].encoder.width = 0;
    shapes[2].encoder.width = RECURRENT_WIDTH_LIMIT + 1;
    shapes[3].encoder.latent = FACTORS_LATENT_LIMIT + 1;
    shapes[4] = sample_kind(MODEL_RL2);
    shapes[4].encoder.latent = 2;
    shapes[5] = sample_kind(MODEL_PEARL);
    shapes[5].encoder.width = 4;
    shapes[6].discrete = shapes[6].squash = 1;
    shapes[7].activation = (enum activation)9;
    shapes[8].kind = MODEL_KIND_COUNT;
    shapes[9].encoder.embedding = 0;
    for (size_t i = 0; i < 10; i++) {
        struct model *model = NULL;
        char why[256] = "";
        ck_assert_msg(model_new(&model, &shapes[i], why, sizeof why) == -EINVAL, "%s", sentences[i]);
        ck_assert_ptr_null(model);
        ck_assert_msg(strstr(why, sentences[i]) != NULL, "%s: said \"%s\"", sentences[i], why);
    }
}
END_TEST

START_TEST(every_kind_has_a_name_that_finds_it)
{
    for (enum model_kind kind = 0; kind < MODEL_KIND_COUNT; kind++)
        ck_assert_int_eq(model_kind_find(model_kind_name(kind)), (int)kind);
    ck_assert_int_eq(model_kind_find("maml"), -EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kind files");
    SUITE_TEST_EACH(suite, a_file_cut_anywhere_is_refused_with_a_sentence, 3);
    SUITE_TEST_EACH(suite, a_flipped_bit_is_refused_or_can_be_served, 3);
    SUITE_TEST_EACH(suite, a_file_that_contradicts_its_kind_is_refused_with_a_sentence, sizeof refused / sizeof *refused);
    SUITE_TEST(suite, a_shape_that_contradicts_its_kind_is_refused_with_a_sentence);
    SUITE_TEST(suite, every_kind_has_a_name_that_finds_it);
    return suite_finish(suite);
}
