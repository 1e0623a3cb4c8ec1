// A model file comes back as it was, and whatever is not a model is refused with a sentence.

#include "daemon/agent/model.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sample.h"
#include "tests/support/suite.h"

struct bytes {
    uint8_t *data;
    size_t size;
};

static struct bytes read_file(const char *path)
{
    FILE *stream = fopen(path, "rb");
    ck_assert_ptr_nonnull(stream);
    struct stat status;
    ck_assert_int_eq(fstat(fileno(stream), &status), 0);
    struct bytes file = {malloc((size_t)status.st_size), (size_t)status.st_size};
    ck_assert_uint_eq(fread(file.data, 1, file.size, stream), file.size);
    fclose(stream);
    return file;
}

static char directory[] = "model.XXXXXX";

// The file of the small model, through the disk.
static struct bytes saved(const struct model *model)
{
    strcpy(directory + sizeof directory - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    char path[64];
    snprintf(path, sizeof path, "%s/model", directory);
    ck_assert_int_eq(model_save(model, path), 0);
    struct bytes file = read_file(path);
    unlink(path);
    rmdir(directory);
    return file;
}

static struct bytes small_file(void)
{
    struct model *model = sample_model(&sample_small, 1);
    model->provenance = strdup("{\"command\": \"bel-learn \\\"x\\\"\", \"seed\": 7}");
    model->heads[HEAD_TRANSITION].judged = 1;
    struct bytes file = saved(model);
    model_free(model);
    return file;
}

// Parses a copy in a block of its own size, so that a sanitizer sees the first byte read beyond it.
static int parse_copy(struct model **model, const uint8_t *data, size_t size, char *why, size_t why_size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    int error = model_parse(model, copy, size, why, why_size);
    free(copy);
    return error;
}

// Everything that a model answers to a few transitions; returns how many actions were refused.
static size_t play(float *actions, const struct model *model, size_t steps)
{
    struct agent_scratch *scratch = agent_scratch_new(model);
    float *block;
    struct observation_item *items = sample_items(model, steps, 3, &block);
    void *memory;
    struct agent_belief belief = sample_belief(model, &memory);
    size_t errors = 0;
    for (size_t i = 0; i < steps; i++) {
        items[i].belief = &belief;
        agent_observe(model, scratch, &items[i], 1);
        struct action_item item = {.belief = &belief, .observation = items[i].next_observation,
                                   .action = actions + i * model->action_dim};
        agent_act(model, scratch, &item, 1);
        errors += item.error != 0;
    }
    agent_scratch_free(scratch);
    free(items), free(block), free(memory);
    return errors;
}

START_TEST(a_saved_model_answers_the_same_bits_and_saves_the_same_bytes)
{
    enum { STEPS = 50 };
    struct model *model = sample_model(&sample_small, 1), *loaded;
    model->provenance = strdup("{\"seed\": 7}");
    model->heads[HEAD_TRANSITION].judged = 1;
    ck_assert_str_eq(model->digest, "");
    char why[256] = "";
    ck_assert_int_eq(model_save(model, "model.saved"), 0);
    ck_assert_msg(model_load(&loaded, "model.saved", why, sizeof why) == 0, "%s", why);
    unlink("model.saved");

    ck_assert_str_eq(loaded->name, "small");
    ck_assert_str_eq(loaded->world, "point");
    ck_assert_str_eq(loaded->provenance, model->provenance);
    ck_assert_int_eq(loaded->heads[HEAD_TRANSITION].judged, 1);
    ck_assert_int_eq(loaded->heads[HEAD_REWARD].judged, 1);
    ck_assert_uint_eq(loaded->input_dim, model->input_dim);
    ck_assert_float_eq(loaded->input_clip, model->input_clip);
    ck_assert_mem_eq(loaded->landmark_tasks, model->landmark_tasks, 12 * sizeof(double));
    float before[2 * STEPS], after[2 * STEPS];
    ck_assert_uint_eq(play(before, model, STEPS), 0);
    ck_assert_uint_eq(play(after, loaded, STEPS), 0);
    ck_assert_mem_eq(before, after, sizeof before);

    struct bytes first = saved(model), second = saved(loaded);
    ck_assert_uint_eq(first.size, second.size);
    ck_assert_mem_eq(first.data, second.data, first.size);
    ck_assert_uint_eq(strlen(loaded->digest), 64);
    struct model *third;
    ck_assert_int_eq(model_parse(&third, second.data, second.size, why, sizeof why), 0);
    ck_assert_str_eq(third->digest, loaded->digest);
    free(first.data), free(second.data);
    model_free(model), model_free(loaded), model_free(third);
}
END_TEST

START_TEST(models_of_every_kind_survive_the_file)
{
    struct model_shape oracle = {.name = "oracle", .world = "", .observation_dim = 3, .action_dim = 1,
                                 .task_dim = 8, .reads_task = 1, .hidden = {4, 4}};
    struct model_shape blind = {.name = "blind", .world = "point", .observation_dim = 3, .action_dim = 1,
                                .hidden = {4, 4}};
    struct model_shape quiet = blind;
    quiet.heads[HEAD_TRANSITION].features = 5;
    quiet.heads[HEAD_TRANSITION].hidden[0] = quiet.heads[HEAD_TRANSITION].hidden[1] = 3;
    struct model_shape choices = blind;
    choices.discrete = 1;
    struct model_shape shapes[] = {oracle, blind, quiet, sample_small, sample_principal(), sample_bench(0), choices,
                                   sample_kind(MODEL_VARIBAD), sample_kind(MODEL_RL2), sample_kind(MODEL_PEARL)};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct model *model = sample_model(&shapes[i], 9), *back;
        struct bytes file = saved(model);
        char why[256] = "";
        ck_assert_msg(parse_copy(&back, file.data, file.size, why, sizeof why) == 0, "%s: %s", shapes[i].name,
                      why);
        struct bytes again = saved(back);
        ck_assert_uint_eq(file.size, again.size);
        ck_assert_mem_eq(file.data, again.data, file.size);
        ck_assert_int_eq(back->reads_task, model->reads_task);
        ck_assert_int_eq(back->kind, model->kind);
        ck_assert(back->discrete == model->discrete && back->squash == model->squash &&
                  back->policy.hidden == model->policy.hidden && back->policy.output == model->policy.output);
        ck_assert_ptr_null(back->provenance);
        free(file.data), free(again.data);
        model_free(model), model_free(back);
    }
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused_with_a_sentence)
{
    struct bytes file = small_file();
    for (size_t size = 0; size < file.size; size++) {
        struct model *model = NULL;
        char why[256] = "";
        ck_assert_int_lt(parse_copy(&model, file.data, size, why, sizeof why), 0);
        ck_assert_ptr_null(model);
        ck_assert_uint_gt(strlen(why), 10);
    }
    free(file.data);
}
END_TEST

START_TEST(a_flipped_bit_is_refused_or_shows_in_the_digest)
{
    struct bytes file = small_file();
    struct model *good;
    char why[256];
    ck_assert_int_eq(model_parse(&good, file.data, file.size, why, sizeof why), 0);
    size_t refused = 0;
    for (size_t i = 0; i < file.size; i++) {
        uint8_t bit = (uint8_t)(1 << (i * 5 + i / 8) % 8);
        file.data[i] ^= bit;
        struct model *model = NULL;
        why[0] = 0;
        if (parse_copy(&model, file.data, file.size, why, sizeof why) == 0) {
            ck_assert_str_ne(model->digest, good->digest);
            // Not refused, so it can be served: a weight of 1e38 may overflow, but no such action leaves.
            float actions[4];
            play(actions, model, 2);
            for (size_t j = 0; j < 4; j++)
                ck_assert(actions[j] >= model->action_low[j % 2] && actions[j] <= model->action_high[j % 2]);
        } else {
            refused++;
            ck_assert_ptr_null(model);
            ck_assert_uint_gt(strlen(why), 10);
        }
        model_free(model);
        file.data[i] ^= bit;
    }
    ck_assert_uint_gt(refused, file.size / 10);
    model_free(good);
    free(file.data);
}
END_TEST

// The file with one piece of its header replaced.
static struct bytes edited(const struct bytes *file, const char *from, const char *to)
{
    const char *found = memmem(file->data, file->size, from, strlen(from));
    ck_assert_msg(found != NULL, "the file has no %s", from);
    size_t before = (size_t)((const uint8_t *)found - file->data), after = before + strlen(from);
    struct bytes out = {malloc(file->size + strlen(to)), before};
    memcpy(out.data, file->data, before);
    memcpy(out.data + before, to, strlen(to));
    out.size = before + strlen(to);
    memcpy(out.data + out.size, file->data + after, file->size - after);
    out.size += file->size - after;
    uint64_t header = 0;
    for (int i = 7; i >= 0; i--)
        header = header << 8 | out.data[i];
    header = header + strlen(to) - strlen(from);
    for (int i = 0; i < 8; i++)
        out.data[i] = (uint8_t)(header >> 8 * i);
    return out;
}

static const struct {
    const char *from, *to, *sentence;
} refused[] = {
    {"\"format\":\"beliefd model\"", "\"format\":\"pt\"", "the format is \"pt\""},
    {"\"format\":", "\"fromat\":", "metadata \"format\" is missing"},
    {"\"version\":\"1\"", "\"version\":\"2\"", "this program knows version \"1\""},
    {"\"version\":\"1\"", "\"version\":\"01\"", "this program knows version \"1\""},
    {"\"version\"", "\"VERSION\"", "metadata \"version\" is missing"},
    {"\"name\":\"small\"", "\"name\":\"\"", "the model's name"},
    {"\"name\":\"small\"", "\"name\":\"../small\"", "the model's name"},
    {"\"name\":\"small\"", "\"nam\":\"small\"", "metadata \"name\" is missing"},
    {"\"world\":\"point\"",
     "\"world\":\"pointpointpointpointpointpointpointpointpointpointpointpointpointpoint\"", "the world's name"},
    {"\"task_dim\":\"2\"", "\"task_dim\":\"129\"", "not 0 to 128"},
    {"\"task_dim\":\"2\"", "\"task_dim\":\"02\"", "not 0 to 128"},
    {"\"task_dim\":\"2\"", "\"task_dim\":\"two\"", "not 0 to 128"},
    {"\"task_dim\":\"2\"", "\"task_dim\":\"1\"", "landmarks.tasks"},
    {"\"task_dim\":\"2\"", "\"task_dim\":\"0\"", "landmarks"},
    {"\"reads_task\":\"0\"", "\"reads_task\":\"1\"", "only an oracle reads the task"},
    {"\"reads_task\":\"0\"", "\"reads_task\":\"no\"", "not \"0\" or \"1\""},
    {"\"reward.judged\":\"1\"", "\"reward.judged\":\"yes\"", "\"reward.judged\" is \"yes\""},
    {"\"reward.representation\":\"function\"", "\"reward.representation\":\"weights\"",
     "not none, weight, function, natural or principal"},
    {"\"reward.representation\":\"function\"", "\"reward.representation\":\"weight\"", "policy."},
    {"\"reward.representation\":\"function\"", "\"reward.representation\":\"principal\"", "\"reward.components\" is missing"},
    {"\"reward.representation\":\"function\"", "\"reward.representation\":\"none\"", "policy."},
    {"\"reward.representation\":", "\"reward.Representation\":", "\"reward.representation\" is missing"},
    {"\"reward.parts\":\"mean sd noise\"", "\"reward.parts\":\"mean sd\"", "policy."},
    {"\"reward.parts\":\"mean sd noise\"", "\"reward.parts\":\"\"", "no such parts"},
    {"\"reward.parts\":\"mean sd noise\"", "\"reward.parts\":\"mean mean\"", "not some of"},
    {"\"reward.parts\":\"mean sd noise\"", "\"reward.parts\":\"mean  sd\"", "not some of"},
    {"\"reward.parts\":\"mean sd noise\"", "\"reward.parts\":\"meaning\"", "not some of"},
    {"\"provenance\":\"{", "\"provenance\":\"", "not a JSON object"},
    {"\"observation.mean\":", "\"observation.men\":", "\"observation.mean\" is missing"},
    {"\"reward.probes\":", "\"reward.probe\":", "\"reward.probes\" is missing"},
    {"\"reward.prior.precision\":", "\"reward.prior.recision\":",
     "landmarks: at most 1024, with a task and a reward head"},
    {"\"transition.basis.1.weight\":", "\"transition.basis.3.weight\":",
     "\"transition.basis.1.weight\" is missing"},
    {"\"transition.basis.1.bias\":", "\"transition.basis.1.bia\":", "\"transition.basis.1.bias\" is missing"},
    {"\"landmarks.features\":", "\"landmarks.feature\":", "is not part of such a model"},
    {"\"__metadata__\":", "\"critic\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},\"__metadata__\":",
     "\"critic\" is not part of such a model"},
    {"\"observation.scale\":{\"dtype\":\"F32\"", "\"observation.scale\":{\"dtype\":\"I32\"", "holds I32, not F32"},
    {"\"observation.mean\":{\"dtype\":\"F32\",\"shape\":[5]",
     "\"observation.mean\":{\"dtype\":\"F32\",\"shape\":[5,1]", "has 2 dimensions, not 1"},
    {"\"observation.mean\":{\"dtype\":\"F32\",\"shape\":[5]",
     "\"observation.mean\":{\"dtype\":\"F16\",\"shape\":[10]", "holds F16, not F32"},
    {"\"action.high\":{\"dtype\":\"F32\",\"shape\":[2]", "\"action.high\":{\"dtype\":\"F32\",\"shape\":[1,2]",
     "\"action.high\" has 2 numbers in 2 dimensions"},
    {"\"policy.1.weight\":{\"dtype\":\"F32\",\"shape\":[10,11]",
     "\"policy.1.weight\":{\"dtype\":\"F32\",\"shape\":[11,10]", "does not follow the layer before"},
    {"\"policy.1.weight\":{\"dtype\":\"F32\",\"shape\":[10,11]",
     "\"policy.1.weight\":{\"dtype\":\"F32\",\"shape\":[10,1,11]", "has 3 dimensions, not 2"},
    {"\"reward.basis.0.weight\":{\"dtype\":\"F32\",\"shape\":[12,8]",
     "\"reward.basis.0.weight\":{\"dtype\":\"F32\",\"shape\":[8,12]", "does not follow the layer before"},
};

START_TEST(a_file_that_is_not_such_a_model_is_refused_with_a_sentence)
{
    struct bytes good = small_file(), bad = edited(&good, refused[_i].from, refused[_i].to);
    struct model *model = NULL;
    char why[256] = "";
    int error = parse_copy(&model, bad.data, bad.size, why, sizeof why);
    ck_assert_msg(error == -EINVAL, "%s: %d", refused[_i].to, error);
    ck_assert_msg(strstr(why, refused[_i].sentence) != NULL, "%s: said \"%s\"", refused[_i].to, why);
    free(good.data), free(bad.data);
}
END_TEST

START_TEST(an_edit_that_keeps_the_meaning_is_read)
{
    static const char *const edits[][2] = {
        {"\"world\":\"point\"", "\"world\":\"\""},
        {"\"world\":\"point\",", ""},
        {"\"reads_task\":\"0\",", ""},
        {"\"reward.judged\":\"1\"", "\"some.other\":\"key\""},
        {"\"reward.parts\":\"mean sd noise\"", "\"reward.parts\":\"noise mean sd\""},
    };
    struct bytes good = small_file();
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        struct bytes other = edited(&good, edits[i][0], edits[i][1]);
        struct model *model = NULL;
        char why[256] = "";
        ck_assert_msg(parse_copy(&model, other.data, other.size, why, sizeof why) == 0, "%s", why);
        ck_assert_int_eq(model->heads[HEAD_REWARD].judged, 1);
        ck_assert_int_eq(model->heads[HEAD_TRANSITION].judged, 1);
        model_free(model);
        free(other.data);
    }
    free(good.data);
}
END_TEST

// One number of a good model made bad; the sentence must name the array and the index.
static void check_refused(struct model *model, void *number, int wide, double value, const char *sentence)
{
    char why[256] = "";
    double kept = wide ? *(double *)number : (double)*(float *)number;
    for (int restore = 0; restore < 2; restore++) {
        double now = restore ? kept : value;
        if (wide)
            *(double *)number = now;
        else
            *(float *)number = (float)now;
        const struct prior *prior = model->heads[HEAD_REWARD].prior;
        int error = model_finish(model, why, sizeof why);
        ck_assert_int_eq(error, restore ? 0 : -EINVAL);
        ck_assert_msg(restore || strstr(why, sentence) != NULL, "%s: said \"%s\"", sentence, why);
        ck_assert(restore || model->heads[HEAD_REWARD].prior == prior);
    }
}

START_TEST(a_number_that_cannot_be_served_is_refused_by_name_and_index)
{
    struct model *model = sample_model(&sample_small, 1);
    struct head *transition = &model->heads[HEAD_TRANSITION], *reward = &model->heads[HEAD_REWARD];
    check_refused(model, &model->observation_mean[3], 0, NAN, "number 3 of observation.mean is nan, not finite");
    check_refused(model, &model->observation_scale[4], 0, 0, "number 4 of observation.scale is 0, not above 0");
    check_refused(model, &model->observation_scale[0], 0, -1, "number 0 of observation.scale is -1, not above 0");
    check_refused(model, &model->observation_clip, 0, INFINITY, "number 0 of observation.clip is inf, not finite");
    check_refused(model, &model->action_low[1], 0, 3, "number 1 of action.low");
    check_refused(model, &model->action_high[0], 0, -INFINITY, "number 0 of action.high is -inf");
    check_refused(model, &model->action_log_sd[1], 0, NAN, "number 1 of action.log_sd");
    check_refused(model, &model->input_scale[7], 0, 0, "number 7 of policy.input.scale");
    check_refused(model, &model->input_clip, 0, -8, "number 0 of policy.input.clip");
    // Row 2 column 3 of (10, 11), rows padded to 16.
    check_refused(model, &model->policy.layers[1].weight[2 * 16 + 3], 0, NAN,
                  "number 25 of policy.1.weight is nan");
    check_refused(model, &transition->basis.layers[2].bias[4], 0, INFINITY, "number 4 of transition.basis.2.bias");
    check_refused(model, &transition->target_scale[2], 1, 0, "number 2 of transition.target.scale");
    check_refused(model, &transition->precision[8], 1, 3,
                  "transition.prior.precision is not symmetric at row 2, column 1");
    check_refused(model, &transition->precision[7], 1, -3, "not positive definite");
    check_refused(model, &transition->scale[0], 1, -3, "not positive definite");
    check_refused(model, &transition->mean[29], 1, NAN, "number 29 of transition.prior.mean");
    check_refused(model, &transition->degrees, 1, 4, "transition.prior.degrees is 4, not above 4");
    check_refused(model, &reward->degrees, 1, 0, "number 0 of reward.prior.degrees is 0");
    check_refused(model, &reward->probes[11], 1, -INFINITY, "number 11 of reward.probes");
    check_refused(model, &model->landmark_features[23], 1, NAN, "number 23 of landmarks.features");
    check_refused(model, &model->landmark_tasks[11], 1, NAN, "number 11 of landmarks.tasks");

    // The same through a file.
    struct bytes file;
    reward->target_mean[0] = NAN;
    file = saved(model);
    struct model *loaded;
    char why[256];
    ck_assert_int_eq(parse_copy(&loaded, file.data, file.size, why, sizeof why), -EINVAL);
    ck_assert_str_eq(why, "number 0 of reward.target.mean is nan, not finite");
    free(file.data);
    model_free(model);

    struct model_shape shape = sample_principal();
    model = sample_model(&shape, 1);
    // Row 2 column 3 of (30, 9), rows padded to 16.
    check_refused(model, &model->heads[HEAD_TRANSITION].components[2 * 16 + 3], 1, NAN,
                  "number 21 of transition.components is nan");
    model_free(model);
}
END_TEST

START_TEST(a_shape_beyond_its_limits_is_refused_with_a_sentence)
{
    struct model_shape shapes[] = {
        [0 ... 20] = sample_small,
    };
    const char *sentences[] = {
        "name", "name", "world", "observation has 0", "observation has 1025", "action has 257", "task has 129",
        "has 1 features", "has 257 features", "0 probes", "65 probes", "no such parts", "unknown", "landmarks",
        "policy network", "300 targets", "policy network",
        "0 components, not 1 to 64", "65 components", "9 components, not 0", "principal, which has no sd",
    };
    shapes[0].name = "";
    shapes[1].name = "a/b";
    shapes[2].world = "\n";
    shapes[3].observation_dim = 0;
    shapes[4].observation_dim = MODEL_OBSERVATION_LIMIT + 1;
    shapes[5].action_dim = MODEL_ACTION_LIMIT + 1;
    shapes[6].task_dim = MODEL_TASK_LIMIT + 1;
    shapes[7].heads[HEAD_REWARD].features = 1;
    shapes[8].heads[HEAD_REWARD].features = BELIEF_FEATURES_LIMIT + 1;
    shapes[9].heads[HEAD_REWARD].probe_count = 0;
    shapes[10].heads[HEAD_REWARD].probe_count = MODEL_PROBES_LIMIT + 1;
    shapes[11].heads[HEAD_TRANSITION].parts = REPRESENT_ALL + 1;
    shapes[12].heads[HEAD_TRANSITION].kind = (enum representation_kind)(REPRESENTATION_PRINCIPAL + 1);
    shapes[13].landmark_count = MODEL_LANDMARKS_LIMIT + 1;
    shapes[14].hidden[1] = 0;
    shapes[15].observation_dim = 300;
    shapes[16].observation_dim = 64, shapes[16].heads[HEAD_TRANSITION].features = 64;  // 4096 means alone
    for (size_t i = 17; i <= 20; i++)
        shapes[i] = sample_principal();
    shapes[17].heads[HEAD_TRANSITION].component_count = 0;
    shapes[18].heads[HEAD_TRANSITION].component_count = REPRESENTATION_COMPONENTS_LIMIT + 1;
    shapes[19].heads[HEAD_TRANSITION].kind = REPRESENTATION_WEIGHT;
    shapes[20].heads[HEAD_TRANSITION].parts = REPRESENT_ALL;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct model *model = NULL;
        char why[256] = "";
        ck_assert_msg(model_new(&model, &shapes[i], why, sizeof why) == -EINVAL, "%s", sentences[i]);
        ck_assert_ptr_null(model);
        ck_assert_msg(strstr(why, sentences[i]) != NULL, "%s: said \"%s\"", sentences[i], why);
    }
}
END_TEST

START_TEST(what_is_not_a_file_is_refused)
{
    struct model *model = NULL;
    char why[256];
    ck_assert_int_eq(model_load(&model, "no such file", why, sizeof why), -ENOENT);
    ck_assert_ptr_nonnull(strstr(why, "No such file"));
    ck_assert_int_eq(model_load(&model, ".", why, sizeof why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "not a regular file"));
    ck_assert_int_eq(mkfifo("model.fifo", 0600), 0);
    ck_assert_int_eq(model_load(&model, "model.fifo", why, sizeof why), -EINVAL);
    unlink("model.fifo");
    ck_assert_int_eq(truncate("model.huge", 0), -1);
    FILE *huge = fopen("model.huge", "wb");
    ck_assert_int_eq(ftruncate(fileno(huge), (1LL << 28) + 1), 0);
    fclose(huge);
    ck_assert_int_eq(model_load(&model, "model.huge", why, sizeof why), -EFBIG);
    unlink("model.huge");
    ck_assert_ptr_null(model);
}
END_TEST

// Allocations of ours and of cJSON fail from number `failing` on (linked with --wrap).
static long allocations, failing = -1;

static bool fails(void)
{
    return failing >= 0 && allocations++ >= failing;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *old, size_t size) { return fails() ? NULL : __real_realloc(old, size); }
void *__wrap_aligned_alloc(size_t a, size_t size) { return fails() ? NULL : __real_aligned_alloc(a, size); }
char *__wrap_strdup(const char *text) { return fails() ? NULL : __real_strdup(text); }

START_TEST(when_memory_ends_anywhere_nothing_is_made_and_nothing_leaks)
{
    cJSON_Hooks hooks = {.malloc_fn = __wrap_malloc, .free_fn = free};
    cJSON_InitHooks(&hooks);
    struct model_shape shape = sample_kind(MODEL_VARIBAD);
    struct model *varibad = sample_model(&shape, 2);
    struct bytes file = _i ? saved(varibad) : small_file();
    model_free(varibad);
    struct model *model = NULL;
    char why[256];
    int error = -1;
    long attempts = 0;
    for (; error; attempts++) {
        allocations = 0;
        failing = attempts;
        error = model_parse(&model, file.data, file.size, why, sizeof why);
        failing = -1;
        ck_assert(error == 0 || model == NULL);
        ck_assert_int_lt(attempts, 10000);
    }
    ck_assert_int_gt(attempts, 100);

    error = -1;
    for (attempts = 0; error; attempts++) {
        allocations = 0;
        failing = attempts;
        error = model_save(model, "model.memory");
        failing = -1;
        ck_assert(error == 0 || access("model.memory", F_OK) != 0);
    }
    ck_assert_int_gt(attempts, 100);
    unlink("model.memory");

    struct agent_scratch *scratch = NULL;
    for (attempts = 0; scratch == NULL; attempts++) {
        allocations = 0;
        failing = attempts;
        scratch = agent_scratch_new(model);
        failing = -1;
    }
    ck_assert_int_gt(attempts, 1);
    agent_scratch_free(scratch);
    model_free(model);
    free(file.data);
    cJSON_InitHooks(NULL);
}
END_TEST

START_TEST(a_step_allocates_nothing)
{
    const enum model_kind kinds[] = {MODEL_GLIBRL, MODEL_VARIBAD, MODEL_RL2, MODEL_PEARL};
    struct model_shape shape = sample_kind(kinds[_i]);
    struct model *model = sample_model(&shape, 1);
    model->heads[HEAD_TRANSITION].judged = 1;
    struct agent_scratch *scratch = agent_scratch_new(model);
    float *block, actions[AGENT_BATCH_LIMIT][2];
    struct observation_item *items = sample_items(model, AGENT_BATCH_LIMIT, 3, &block);
    void *memory;
    struct agent_belief belief = sample_belief(model, &memory);
    struct action_item acts[AGENT_BATCH_LIMIT];
    allocations = 0;
    failing = 0;  // any allocation would fail, and be counted
    for (size_t i = 0; i < AGENT_BATCH_LIMIT; i++)
        items[i].belief = &belief;
    agent_observe(model, scratch, items, AGENT_BATCH_LIMIT);
    for (size_t i = 0; i < AGENT_BATCH_LIMIT; i++)
        acts[i] = (struct action_item){.belief = i % 2 ? &belief : NULL, .observation = items[i].next_observation,
                                       .z = items[i].z, .action = actions[i]};
    agent_act(model, scratch, acts, AGENT_BATCH_LIMIT);
    double mean[2], sd[2];
    int error = agent_estimate(model, scratch, &belief, 16, mean, sd);
    failing = -1;
    ck_assert_int_eq(allocations, 0);
    ck_assert_int_eq(error, kinds[_i] == MODEL_GLIBRL ? 0 : -ENOTSUP);
    for (size_t i = 0; i < AGENT_BATCH_LIMIT; i++)
        ck_assert_int_eq(acts[i].error, 0);
    agent_scratch_free(scratch);
    model_free(model);
    free(items), free(block), free(memory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model");
    SUITE_TEST(suite, a_saved_model_answers_the_same_bits_and_saves_the_same_bytes);
    SUITE_TEST(suite, models_of_every_kind_survive_the_file);
    SUITE_TEST(suite, a_file_cut_anywhere_is_refused_with_a_sentence);
    SUITE_TEST(suite, a_flipped_bit_is_refused_or_shows_in_the_digest);
    SUITE_TEST_EACH(suite, a_file_that_is_not_such_a_model_is_refused_with_a_sentence,
                    sizeof refused / sizeof *refused);
    SUITE_TEST(suite, an_edit_that_keeps_the_meaning_is_read);
    SUITE_TEST(suite, a_number_that_cannot_be_served_is_refused_by_name_and_index);
    SUITE_TEST(suite, a_shape_beyond_its_limits_is_refused_with_a_sentence);
    SUITE_TEST(suite, what_is_not_a_file_is_refused);
    SUITE_TEST_EACH(suite, when_memory_ends_anywhere_nothing_is_made_and_nothing_leaks, 2);
    SUITE_TEST_EACH(suite, a_step_allocates_nothing, 4);
    return suite_finish(suite);
}
