// verify finds out whether a log proves what its daemon believed, and names what does not.

#include "client/ctl/verify.h"
#include "daemon/store/store.h"
#include "proto/wire.h"
#include "tests/agent/sample.h"
#include "tests/store/fixture.h"
#include "tests/support/json_line.h"
#include "tests/support/suite.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 300 };

static const char *directory;
static struct model *model;
static struct agent_scratch *scratch;
static char model_digest[65];
static struct observation_item *items;
static float *block;
static struct store *store;
static struct store_queue *queue;
static uint64_t last;
static void *memories[8];  // of robots
static size_t memory_count;

static void make_log_of(enum model_kind kind)
{
    directory = fixture_directory();
    struct model_shape shape = sample_kind(kind);
    model = sample_model(&shape, 1);
    scratch = agent_scratch_new(model);
    items = sample_items(model, COUNT, 2, &block);
    store = fixture_open(directory);
    queue = store_queue(store, 0);

    const char *path = fixture_file(directory, "model");
    ck_assert_int_eq(model_save(model, path), 0);
    static uint8_t bytes[1 << 20], hash[SHA256_DIGEST_LENGTH];
    FILE *file = fopen(path, "rb");
    size_t size = fread(bytes, 1, sizeof bytes, file);
    ck_assert(feof(file));
    fclose(file);
    SHA256(bytes, size, hash);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        sprintf(model_digest + 2 * i, "%02x", hash[i]);
    char why[200];
    ck_assert_int_eq(store_save_model(store, model_digest, model->name, bytes, size, why, sizeof why), 0);
}

static void make_log(void) { make_log_of(MODEL_GLIBRL); }

static void release(void)
{
    while (memory_count)
        free(memories[--memory_count]);
    free(items);
    free(block);
    agent_scratch_free(scratch);
    model_free(model);
}

// A session as the daemon holds it.
struct robot {
    struct store_session session;
    struct agent_belief belief;
};

static void note(struct robot *robot)
{
    struct digest digest = agent_belief_digest(&robot->belief);
    robot->session.count = agent_belief_count(&robot->belief);
    for (int i = 0; i < STORE_DIGEST_SIZE; i++)
        robot->session.digest[i] = (uint8_t)(digest.word[i / 8] >> 8 * (i % 8));
}

static struct robot open_robot(const char *name)
{
    struct robot robot = {.session = {.id = store_new_session_id(store), .name = name, .identity = "", .model = model->name,
                                      .model_digest = model_digest, .epoch = 1, .task = 1}};
    ck_assert_uint_lt(memory_count, sizeof memories / sizeof memories[0]);
    robot.belief = sample_belief(model, &memories[memory_count++]);
    note(&robot);
    ck_assert_uint_ne(last = store_put_session(queue, &robot.session), 0);
    return robot;
}

// Absorbs transitions number `from` to `to`; logged unless they came elsewhere.
static void drive(struct robot *robot, uint32_t writer, uint64_t from, uint64_t to, int logged)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        struct observation_item *item = &items[seq % COUNT];
        item->belief = &robot->belief;
        item->number = seq;
        agent_observe(model, scratch, item, 1);
        ck_assert_int_eq(item->status, OBSERVE_ABSORBED);
        note(robot);
        struct store_transition t = {
            .session = robot->session.id, .writer = writer, .task = robot->session.task, .seq = seq, .status = 1,
            .observation = item->observation, .action = item->action, .next_observation = item->next_observation,
            .observation_dim = model->observation_dim, .action_dim = model->action_dim, .reward = item->reward,
            .first = seq == from, .last = seq == to, .count = robot->session.count, .digest = robot->session.digest,
        };
        if (logged)
            ck_assert_uint_ne(last = store_put_transition(queue, &t), 0);
    }
}

// Its state, with writer 0's numbers up to `seen`.
static void save_state(const struct robot *robot, uint64_t seen)
{
    static uint8_t sums[HEAD_COUNT][1 << 16], frame[1 << 18], arena_memory[1 << 20];
    struct wire_bytes encoded[HEAD_COUNT];
    for (int head = 0; head < HEAD_COUNT; head++) {
        agent_belief_encode(sums[head], &robot->belief, head);
        encoded[head] = (struct wire_bytes){sums[head], agent_belief_encoded_size(model, head)};
    }
    uint64_t numbers[] = {1, seen};
    struct wire_writer_state writer = {0, {numbers, 2}};
    struct wire_envelope envelope = {.kind = WIRE_SESSION_STATE, .session_state = {
        .version = 1, .session = robot->session.name, .model = model->name, .model_digest = model_digest, .epoch = 1,
        .task = robot->session.task, .seq = seen, .last_transition = seen, .writers = &writer, .writer_count = 1,
        .sums = encoded, .sums_count = HEAD_COUNT, .count = robot->session.count,
        .digest = {robot->session.digest, STORE_DIGEST_SIZE}}};
    struct wire_arena arena;
    wire_arena_init(&arena, arena_memory, sizeof arena_memory);
    long size = wire_encode(frame, sizeof frame, &envelope, &arena);
    ck_assert_int_gt(size, 0);
    ck_assert_int_le(size, (long)sizeof frame);
    struct wire_bytes body = wire_body(frame, (size_t)size);
    ck_assert_uint_ne(last = store_put_state(queue, robot->session.id, body.bytes, body.size), 0);
}

static void close_log(void)
{
    if (last)
        fixture_wait(queue, last);
    store_close(store);
}

// What verify prints, and its last line's numbers.
static char *verify(const char *session, int expected_code, double sessions, double transitions, double mismatches)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    int code = verify_run(directory, session, 1, out);
    fclose(out);
    cJSON *summary = json_last_line(text);
    ck_assert_msg(code == expected_code, "%s", text);
    ck_assert_msg(json_number(summary, "sessions") == sessions, "%s", text);
    ck_assert_msg(json_number(summary, "transitions") == transitions, "%s", text);
    ck_assert_msg(json_number(summary, "mismatches") == mismatches, "%s", text);
    cJSON_Delete(summary);
    return text;
}

static void says(char *text, const char *one, const char *another)
{
    ck_assert_msg(strstr(text, one) != NULL && strstr(text, another) != NULL, "%s", text);
    free(text);
}

START_TEST(a_sound_log_agrees)
{
    struct robot a = open_robot("a"), b = open_robot("b"), c = open_robot("c"), moved = open_robot("moved");
    drive(&a, 0, 1, 200, 1);
    drive(&b, 0, 1, 100, 1);
    save_state(&b, 100);
    drive(&b, 0, 101, 170, 1);
    drive(&b, 3, 5, 50, 1);
    // A new task begins at the prior; what the state had is of the one before.
    drive(&c, 0, 1, 50, 1);
    save_state(&c, 50);
    c.session.task = 2;
    agent_belief_reset(&c.belief);
    note(&c);
    ck_assert_uint_ne(store_put_session(queue, &c.session), 0);
    drive(&c, 0, 51, 60, 1);
    // Its first transitions are in another daemon's log.
    drive(&moved, 0, 1, 40, 0);
    save_state(&moved, 40);
    drive(&moved, 0, 41, 45, 1);
    open_robot("new");
    close_log();
    free(verify(NULL, 0, 5, 200 + 170 + 46 + 60 + 5, 0));
    free(verify("b", 0, 1, 216, 0));
    says(verify("nobody", 1, 0, 0, 1), "nobody", "no session");
}
END_TEST

// What a recurrent belief missed, or what is missing of it, shows as in a sum.
START_TEST(logs_of_other_kinds_agree_or_what_is_missing_is_named)
{
    static const enum model_kind kinds[] = {MODEL_VARIBAD, MODEL_RL2, MODEL_PEARL};
    make_log_of(kinds[_i]);
    struct robot a = open_robot("a"), b = open_robot("b"), moved = open_robot("moved");
    drive(&a, 0, 1, 150, 1);
    drive(&b, 0, 1, 60, 1);
    save_state(&b, 60);
    drive(&b, 0, 63, 90, 1);
    drive(&moved, 0, 1, 40, 0);
    save_state(&moved, 40);
    drive(&moved, 0, 41, 45, 1);
    close_log();
    free(verify(NULL, 0, 3, 150 + 60 + 28 + 5, 0));
    fixture_sql(directory, "delete from transition where session = 2 and seq = 70");
    says(verify("b", 1, 1, 87, 1), "state and what came after it", "87 transitions, the daemon noted 88");
    fixture_sql(directory, "delete from transition where session = 1 and seq = 9");
    says(verify("a", 1, 1, 149, 1), "all its transitions", "149 transitions, the daemon noted 150");
    release();
}
END_TEST

START_TEST(a_missing_transition_is_named)
{
    struct robot a = open_robot("a"), b = open_robot("b");
    drive(&a, 0, 1, 100, 1);
    drive(&b, 0, 1, 100, 1);
    close_log();
    fixture_sql(directory, "delete from transition where session = 1 and seq = 50");
    says(verify(NULL, 1, 2, 199, 1), "\"a\"", "99 transitions, the daemon noted 100");
}
END_TEST

START_TEST(a_transition_after_the_state_that_is_missing_is_named)
{
    struct robot a = open_robot("a");
    drive(&a, 0, 1, 100, 1);
    save_state(&a, 100);
    drive(&a, 0, 101, 110, 1);
    close_log();
    fixture_sql(directory, "delete from transition where seq = 105");
    says(verify(NULL, 1, 1, 109, 1), "state and what came after it", "109 transitions, the daemon noted 110");
}
END_TEST

START_TEST(a_changed_digest_is_named)
{
    struct robot a = open_robot("a");
    drive(&a, 0, 1, 10, 1);
    close_log();
    fixture_sql(directory, "update session set digest = zeroblob(16)");
    says(verify(NULL, 1, 1, 10, 1), "\"a\"", "another digest");
}
END_TEST

START_TEST(a_changed_transition_is_named)
{
    struct robot a = open_robot("a");
    drive(&a, 0, 1, 10, 1);
    close_log();
    fixture_sql(directory, "update transition set reward = reward + 1 where seq = 7");
    says(verify(NULL, 1, 1, 9, 1), "seq 7", "damaged");
}
END_TEST

START_TEST(a_changed_state_is_named_and_the_log_is_enough)
{
    struct robot a = open_robot("a");
    drive(&a, 0, 1, 10, 1);
    save_state(&a, 10);
    close_log();
    fixture_sql(directory, "update state set bytes = zeroblob(length(bytes))");
    says(verify(NULL, 1, 1, 10, 1), "state of session 1", "damaged");
}
END_TEST

START_TEST(a_model_that_is_not_there_is_named)
{
    struct robot a = open_robot("a");
    drive(&a, 0, 1, 10, 1);
    close_log();
    fixture_sql(directory, "delete from model");
    says(verify(NULL, 1, 1, 0, 1), "\"a\"", "model");
}
END_TEST

START_TEST(transitions_of_nobody_are_counted)
{
    struct robot a = open_robot("a"), b = open_robot("b");
    drive(&a, 0, 1, 10, 1);
    drive(&b, 0, 1, 10, 1);
    close_log();
    fixture_sql(directory, "delete from session where name = 'a'");
    says(verify(NULL, 1, 1, 10, 1), "1 sessions", "not in the log");
}
END_TEST

START_TEST(a_missing_log_is_told)
{
    close_log();
    directory = "/nonexistent";
    says(verify(NULL, 1, 0, 0, 1), "/nonexistent", "no experience log");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify");
    SUITE_TEST_WITH(suite, a_sound_log_agrees, make_log, release);
    SUITE_TEST_EACH(suite, logs_of_other_kinds_agree_or_what_is_missing_is_named, 3);
    SUITE_TEST_WITH(suite, a_missing_transition_is_named, make_log, release);
    SUITE_TEST_WITH(suite, a_transition_after_the_state_that_is_missing_is_named, make_log, release);
    SUITE_TEST_WITH(suite, a_changed_digest_is_named, make_log, release);
    SUITE_TEST_WITH(suite, a_changed_transition_is_named, make_log, release);
    SUITE_TEST_WITH(suite, a_changed_state_is_named_and_the_log_is_enough, make_log, release);
    SUITE_TEST_WITH(suite, a_model_that_is_not_there_is_named, make_log, release);
    SUITE_TEST_WITH(suite, transitions_of_nobody_are_counted, make_log, release);
    SUITE_TEST_WITH(suite, a_missing_log_is_told, make_log, release);
    return suite_finish(suite);
}
