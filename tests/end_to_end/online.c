// A learner, a daemon and workers that explore, as a user starts them; and the same training without a daemon, whose
// bits they must have, whatever is killed meanwhile.
//
//     online BELIEFD BEL_ROLLOUT BEL_LEARN

#include "liar.h"
#include "process.h"

#include "client/bel.h"
#include "client/worlds/explore.h"
#include "client/worlds/world.h"
#include "tests/agent/sample.h"
#include "tests/support/suite.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROBOTS = 4, PATIENCE_S = 120, TEXT = 160 };

static const char *rollout_path, *learn_path;
static struct daemon daemon_;
static struct model *model;
static char directory[64];
static struct process workers[2], learner;

static void start(void)
{
    directory_make(directory, sizeof directory);
    char path[TEXT], settings[400];
    snprintf(path, sizeof path, "%s/identities", directory);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "trainer learner uid:%u\n", (unsigned)getuid());
    ck_assert_int_eq(fclose(file), 0);
    snprintf(settings, sizeof settings,
             "data_directory = @/data\nmodel_directory = @/models\nidentities = %s\ncommit_ms = 2\n", path);
    const struct world *world = world_find("point");
    struct model_shape shape = sample_small;
    shape.name = "random-point";
    shape.world = world->name;
    shape.observation_dim = world->observation_dim;
    shape.action_dim = world->action_dim;
    shape.task_dim = world->task_dim;
    model = sample_model(&shape, 3);
    daemon_start(&daemon_, &model, 1, settings);
}

static void end(void)
{
    process_release(&learner);
    for (int i = 0; i < 2; i++)
        process_release(&workers[i]);
    daemon_release(&daemon_);
    model_free(model);
    directory_remove(directory);
}

// Half of the robots each.
static void start_worker(int which, const char *world, int waits)
{
    char first[8], count[8], robots[8];
    snprintf(first, sizeof first, "%d", which * ROBOTS / 2);
    snprintf(count, sizeof count, "%d", ROBOTS / 2);
    snprintf(robots, sizeof robots, "%d", ROBOTS);
    process_start(&workers[which], directory, (const char *[]){
        rollout_path, "--explore", "--world", world, "--connect", daemon_.unix_address, "--robots", robots, "--first",
        first, "--count", count, "--seed", "7", waits ? "--wait" : NULL, NULL});
}

// A training of that many iterations; through the daemon unless `alone`. more: further arguments, ending with NULL.
static void start_learner(struct process *process, const char *world, int iterations, const char *out, int alone,
                          const char *const *more)
{
    char frames[16], robots[8], path[TEXT];
    const struct world *w = world_find(world);
    snprintf(frames, sizeof frames, "%zu", (size_t)iterations * ROBOTS * w->horizon * w->episodes);
    snprintf(robots, sizeof robots, "%d", ROBOTS);
    snprintf(path, sizeof path, "%s/%s", directory, out);
    const char *arguments[32] = {learn_path, "train", world, "--frames", frames, "--envs", robots, "--seed", "7",
                                 "--threads", "1", "--evaluation-tasks", "0", "--quiet", "--minibatch", "100",
                                 "--basis-updates", "2", "--warmup", "4", "--out", path};
    size_t count = 0;
    while (arguments[count])
        count++;
    if (!alone) {
        arguments[count++] = "--from";
        arguments[count++] = daemon_.unix_address;
    }
    while (*more)
        arguments[count++] = *more++;
    process_start(process, directory, arguments);
}

static void must_end_well(struct process *process)
{
    int code = process_wait(process, PATIENCE_S);
    ck_assert_msg(code == 0, "exit code %d: %s", code, process_words(process));
}

// The bytes of the model in a file, but for what tells how it was made.
static uint8_t *bytes_of(const char *name, size_t *size)
{
    char path[TEXT], why[300];
    struct model *read;
    uint8_t *bytes;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    ck_assert_msg(model_load(&read, path, why, sizeof why) == 0, "%s: %s", path, why);
    free(read->provenance);
    read->provenance = NULL;
    ck_assert_int_eq(model_bytes(read, &bytes, size), 0);
    model_free(read);
    return bytes;
}

static void must_have_same_bits(const char *one, const char *other)
{
    size_t size, other_size;
    uint8_t *bytes = bytes_of(one, &size), *other_bytes = bytes_of(other, &other_size);
    ck_assert_uint_eq(size, other_size);
    ck_assert_mem_eq(bytes, other_bytes, size);
    free(bytes);
    free(other_bytes);
}

// A value of the last line of a training's log.
static double last_value(const char *log, const char *name)
{
    char path[TEXT], *line = NULL, *last = NULL;
    size_t room = 0;
    snprintf(path, sizeof path, "%s/%s/train.jsonl", directory, log);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    while (getline(&line, &room, file) > 0) {
        free(last);
        last = strdup(line);
    }
    fclose(file);
    cJSON *json = cJSON_Parse(last);
    const cJSON *value = cJSON_GetObjectItem(json, name);
    double number = cJSON_IsNumber(value) ? value->valuedouble : NAN;
    cJSON_Delete(json);
    free(line);
    free(last);
    return number;
}

static const char *const nothing[] = {NULL};

START_TEST(two_workers_and_a_learner_make_the_bits_of_a_training_that_simulates)
{
    start_worker(0, "half-cheetah-vel", 1);
    start_worker(1, "half-cheetah-vel", 1);
    start_learner(&learner, "half-cheetah-vel", 3, "online.safetensors", 0, nothing);
    must_end_well(&learner);
    process_release(&learner);
    start_learner(&learner, "half-cheetah-vel", 3, "alone.safetensors", 1, nothing);
    must_end_well(&learner);
    must_have_same_bits("online.safetensors", "alone.safetensors");
}
END_TEST

// Everything is killed in turn, the learner too, and started again.
START_TEST(whatever_is_killed_meanwhile_the_bits_stay_the_same)
{
    enum { ITERATIONS = 40, KILLS = 6 };
    char checkpoint[TEXT];
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", directory);
    const char *const kept[] = {"--checkpoint", checkpoint, "--checkpoint-seconds", "0", "--resume", "--forget", NULL};
    start_worker(0, "point", 1);
    start_worker(1, "point", 1);
    start_learner(&learner, "point", ITERATIONS, "online.safetensors", 0, kept);
    int killed = 0;
    for (int turn = 0; turn < KILLS; turn++) {
        usleep(250000);
        if (!process_running(&learner))
            break;
        struct process *whom = turn % 3 == 0 ? &daemon_.process : turn % 3 == 1 ? &learner : &workers[turn / 3 % 2];
        process_signal(whom, SIGKILL);
        process_wait(whom, PATIENCE_S);
        process_release(whom);
        if (whom == &daemon_.process)
            daemon_restart(&daemon_);
        else if (whom == &learner)
            start_learner(&learner, "point", ITERATIONS, "online.safetensors", 0, kept);
        else
            start_worker(turn / 3 % 2, "point", 1);
        killed++;
    }
    must_end_well(&learner);
    ck_assert_int_ge(killed, 3);
    process_release(&learner);
    start_learner(&learner, "point", ITERATIONS, "alone.safetensors", 1, nothing);
    must_end_well(&learner);
    must_have_same_bits("online.safetensors", "alone.safetensors");
}
END_TEST

START_TEST(a_second_learner_is_refused_by_name_and_the_first_one_goes_on)
{
    struct process second;
    start_worker(0, "point", 1);
    start_worker(1, "point", 1);
    start_learner(&learner, "point", 30, "online.safetensors", 0, (const char *[]){"--learner", "the-first", NULL});
    struct bel *bel;
    char why[300];
    const struct bel_model *seen;
    ck_assert_msg(bel_connect(&bel, daemon_.unix_address, NULL, why, sizeof why) == 0, "%s", why);
    ck_assert_msg(bel_get_model(bel, "online", 0, 10000, &seen) == 0, "%s", bel_error(bel));
    start_learner(&second, "point", 30, "second.safetensors", 0, nothing);
    int code = process_wait(&second, PATIENCE_S);
    ck_assert_msg(code == 1 && strstr(second.output, "the-first"), "exit code %d: %s", code, process_words(&second));
    process_release(&second);
    bel_disconnect(bel);
    must_end_well(&learner);
}
END_TEST

// Workers that do not wait: what they make while the learner learns is of an older model.
START_TEST(experience_of_older_models_serves_the_basis_and_is_counted)
{
    char log[TEXT];
    snprintf(log, sizeof log, "%s/log", directory);
    start_worker(0, "point", 0);
    start_worker(1, "point", 0);
    start_learner(&learner, "point", 8, "online.safetensors", 0,
                  (const char *[]){"--log", log, "--epochs", "40", NULL});
    must_end_well(&learner);
    double stale = last_value("log", "online/stale"), frames = last_value("log", "frames");
    ck_assert_msg(stale > 0, "no session was stale");
    ck_assert_double_eq(frames, 8.0 * ROBOTS * 100);
    ck_assert_double_eq(last_value("log", "online/unused"), 0);
}
END_TEST

START_TEST(the_rounds_of_a_worker_that_died_are_left_out_and_counted)
{
    char log[TEXT];
    snprintf(log, sizeof log, "%s/log", directory);
    start_worker(0, "point", 1);
    start_learner(&learner, "point", 2, "online.safetensors", 0,
                  (const char *[]){"--log", log, "--patience", "0.5", NULL});
    must_end_well(&learner);
    // In each iteration the second worker's.
    ck_assert_double_eq(last_value("log", "online/lost"), 2.0 * ROBOTS / 2);
    ck_assert_msg(strstr(learner.output, "2 of 4 rounds did not come"), "%s", process_words(&learner));
}
END_TEST

// A robot's meta-episode of the first model: it stays where it is, and is told how bad that is.
static struct bel_session *explore_once(struct bel *bel, const struct bel_model *of, uint32_t robot, uint8_t digest[16])
{
    const struct explore_name name = {.seed = 7, .iteration = of->revision - 1, .robots = ROBOTS, .robot = robot};
    char id[EXPLORE_NAME_SIZE];
    explore_name(id, &name);
    const float here[2] = {0, 0};
    float action[2], reward = -1 - 0.1f * (float)robot;
    struct bel_session *session;
    struct bel_report report;
    ck_assert_int_eq(bel_open(bel, &(struct bel_open){.id = id, .model = "online", .explore = 1}, &session), 0);
    ck_assert_int_eq(bel_act(session, here, action, NULL), 0);
    for (int i = 1; i < 100; i++)
        ck_assert_int_eq(bel_step(session, NULL, reward, here, action, NULL), 0);
    ck_assert_int_eq(bel_step_last(session, NULL, reward, here, &report), 0);
    memcpy(digest, report.digest, 16);
    return session;
}

START_TEST(experience_whose_digest_is_not_that_of_its_transitions_ends_the_training_with_session_and_step)
{
    char why[300], path[TEXT], address[TEXT + 8], name[EXPLORE_NAME_SIZE];
    snprintf(path, sizeof path, "%s/liar", directory);
    snprintf(address, sizeof address, "unix:%s", path);
    struct liar *liar = liar_start(path, daemon_.unix_address);
    start_learner(&learner, "point", 3, "online.safetensors", 0,
                  (const char *[]){"--from", address, "--threads", "2", NULL});
    struct bel *bel;
    const struct bel_model *first;
    ck_assert_msg(bel_connect(&bel, daemon_.unix_address, NULL, why, sizeof why) == 0, "%s", why);
    ck_assert_msg(bel_get_model(bel, "online", 0, 60000, &first) == 0, "%s", bel_error(bel));
    for (uint32_t robot = 0; robot < ROBOTS; robot++) {
        uint8_t digest[16];
        struct bel_session *session = explore_once(bel, first, robot, digest);
        if (robot == 2)
            liar_change(liar, digest);
        ck_assert_int_eq(bel_finish(session), 0);
    }
    int code = process_wait(&learner, PATIENCE_S);
    explore_name(name, &(struct explore_name){.seed = 7, .robots = ROBOTS, .robot = 2});
    ck_assert_msg(code == 1 && strstr(learner.output, name)
                  && strstr(learner.output, "after transition 101 its belief of 100 transitions has digest")
                  && strstr(learner.output, "and 100 transitions and another digest at the daemon"),
                  "exit code %d, session %s: %s", code, name, process_words(&learner));
    bel_disconnect(bel);
    liar_stop(liar);
}
END_TEST

START_TEST(what_cannot_be_learnt_through_a_daemon_is_refused_with_a_sentence)
{
    start_learner(&learner, "point", 1, "online.safetensors", 0, (const char *[]){"--memory", "0.5", NULL});
    int code = process_wait(&learner, PATIENCE_S);
    ck_assert_msg(code == 1 && strstr(learner.output, "(--from) needs --memory 0"), "exit code %d: %s", code,
                  process_words(&learner));
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "online BELIEFD BEL_ROLLOUT BEL_LEARN\n");
        return 2;
    }
    beliefd_path = argv[1];
    rollout_path = argv[2];
    learn_path = argv[3];
    Suite *suite = suite_create("online");
    SUITE_TEST_WITH(suite, two_workers_and_a_learner_make_the_bits_of_a_training_that_simulates, start, end);
    SUITE_TEST_WITH(suite, whatever_is_killed_meanwhile_the_bits_stay_the_same, start, end);
    SUITE_TEST_WITH(suite, a_second_learner_is_refused_by_name_and_the_first_one_goes_on, start, end);
    SUITE_TEST_WITH(suite, experience_of_older_models_serves_the_basis_and_is_counted, start, end);
    SUITE_TEST_WITH(suite, the_rounds_of_a_worker_that_died_are_left_out_and_counted, start, end);
    SUITE_TEST_WITH(suite, experience_whose_digest_is_not_that_of_its_transitions_ends_the_training_with_session_and_step,
                    start, end);
    SUITE_TEST_WITH(suite, what_cannot_be_learnt_through_a_daemon_is_refused_with_a_sentence, start, end);
    return suite_finish(suite);
}
