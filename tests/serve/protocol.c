// What the daemon promises its clients, without a socket: bytes in, bytes out.

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/serve/log.h"
#include "peer.h"
#include "tests/support/suite.h"

enum { STEPS = 20 };

static struct model *model, *other_model;
static struct server *server;

static void set_up_with(const struct limits *limits)
{
    struct model_shape other = sample_small;
    other.name = "other";
    model = sample_model(&sample_small, 1);
    other_model = sample_model(&other, 2);
    server = peer_server((const struct model *[]){model, other_model}, 2, limits);
}

static void set_up(void)
{
    peer_now_us = 1000000;
    log_set_level(LOG_ERROR);
    set_up_with(&peer_limits);
}

static void tear_down(void)
{
    server_free(server);
    model_free(model);
    model_free(other_model);
}

static void restart(const struct limits *limits)
{
    tear_down();
    set_up_with(limits);
}

static struct robot robot_of(uint64_t seed)
{
    return (struct robot){.model = model, .seed = seed};
}

// What a belief must be after transitions first .. last of a robot, by the agent's own functions.
struct reference {
    void *memory;
    struct agent_belief belief;
    struct agent_scratch *scratch;
};

static struct reference reference_new(void)
{
    struct reference reference = {.scratch = agent_scratch_new(model)};
    reference.belief = sample_belief(model, &reference.memory);
    return reference;
}

static void reference_free(struct reference *reference)
{
    agent_scratch_free(reference->scratch);
    free(reference->memory);
}

static void reference_observe(struct reference *reference, struct robot *robot, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++) {
        robot_live(robot, seq);
        struct observation_item item = {
            .belief = &reference->belief, .observation = robot->observation, .action = robot->action,
            .next_observation = robot->next, .reward = robot->reward};
        agent_observe(model, reference->scratch, &item, 1);
        ck_assert_int_eq(item.status, OBSERVE_ABSORBED);
    }
}

static void reference_act(struct reference *reference, const float *observation, int from_prior, float *action)
{
    struct action_item item = {
        .belief = from_prior ? NULL : &reference->belief, .observation = observation, .action = action};
    agent_act(model, reference->scratch, &item, 1);
    ck_assert_int_eq(item.error, 0);
}

static void check_digest(struct wire_bytes bytes, const struct agent_belief *belief)
{
    uint8_t expected[WIRE_DIGEST_SIZE];
    digest_bytes(expected, agent_belief_digest(belief));
    ck_assert_uint_eq(bytes.size, sizeof expected);
    ck_assert_mem_eq(bytes.bytes, expected, sizeof expected);
}

// Act as observation 1, then Steps 2 .. last. Returns the last reply's digest.
static void live(struct peer *peer, struct robot *robot, uint32_t handle, uint64_t last, uint8_t *digest)
{
    ck_assert_int_eq(peer_ask(peer, robot_act(robot, handle, 1)).kind, WIRE_ACTION);
    for (uint64_t seq = 2; seq <= last; seq++) {
        struct wire_envelope reply = peer_ask(peer, robot_step(robot, handle, seq));
        ck_assert_int_eq(reply.kind, WIRE_ACTION);
        ck_assert_int_eq(reply.action.status, WIRE_STATUS_ABSORBED);
        memcpy(digest, reply.action.digest.bytes, WIRE_DIGEST_SIZE);
    }
}

static struct wire_envelope get_belief(uint32_t handle)
{
    return (struct wire_envelope){.kind = WIRE_GET_BELIEF, .get_belief = {handle, 1, 1, 1}};
}

static struct wire_envelope reset(uint32_t handle, enum wire_scope scope, uint32_t task)
{
    return (struct wire_envelope){.kind = WIRE_RESET, .reset = {handle, scope, task}};
}

static const struct wire_envelope ping = {.kind = WIRE_PING};

START_TEST(hello_tells_what_is_served)
{
    struct peer peer = peer_connect(server);
    struct wire_envelope reply = peer_ask(&peer, (struct wire_envelope){.kind = WIRE_HELLO, .hello = {"test \n\" 1"}});
    ck_assert_int_eq(reply.kind, WIRE_WELCOME);
    ck_assert_str_eq(reply.welcome.server, SERVER_NAME);
    ck_assert_uint_eq(reply.welcome.protocol, WIRE_PROTOCOL);
    ck_assert_uint_eq(reply.welcome.model_count, 2);
    ck_assert_str_eq(reply.welcome.models[1].name, "other");
    ck_assert_uint_eq(reply.welcome.models[0].observation_dim, model->observation_dim);
    ck_assert_uint_eq(reply.welcome.models[0].transition_features, model->heads[HEAD_TRANSITION].features);
    ck_assert_uint_eq(reply.welcome.models[0].action_low.count, model->action_dim);
    ck_assert_uint_eq(reply.welcome.max_frame_bytes, peer_limits.frame_bytes);
    ck_assert_uint_eq(reply.welcome.max_in_flight, peer_limits.in_flight);
    peer_free(&peer);
}
END_TEST

// Beliefs and actions are those of the agent's functions, bit for bit.
START_TEST(a_step_is_answered_with_the_policys_action)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(7);
    struct reference reference = reference_new();
    struct wire_opened opened = peer_open(&peer, "robot", "");
    ck_assert_uint_eq(opened.epoch, 1);
    ck_assert_int_eq(opened.resumed, 0);
    ck_assert_uint_eq(opened.task, 1);
    ck_assert_uint_eq(opened.seq, 0);
    ck_assert_str_eq(opened.model->name, "small");
    float action[16];
    struct wire_envelope reply = peer_ask(&peer, robot_act(&robot, opened.handle, 1));
    reference_act(&reference, robot.next, 0, action);
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_NONE);
    ck_assert_mem_eq(reply.action.action.values, action, model->action_dim * sizeof(float));
    for (uint64_t seq = 2; seq <= STEPS; seq++) {
        reply = peer_ask(&peer, robot_step(&robot, opened.handle, seq));
        reference_observe(&reference, &robot, seq, seq);
        reference_act(&reference, robot.next, 0, action);
        ck_assert_uint_eq(reply.action.seq, seq);
        ck_assert_uint_eq(reply.action.count, seq - 1);
        ck_assert_uint_eq(reply.action.action.count, model->action_dim);
        ck_assert_mem_eq(reply.action.action.values, action, model->action_dim * sizeof(float));
        check_digest(reply.action.digest, &reference.belief);
        // 1: a head that the model does not ask for surprise.
        const double judged[] = {[HEAD_TRANSITION] = reply.action.transition_p, [HEAD_REWARD] = reply.action.reward_p};
        for (int h = 0; h < HEAD_COUNT; h++)
            ck_assert_msg(model->heads[h].judged ? judged[h] > 0 && judged[h] < 1 : judged[h] == 1, "%g", judged[h]);
    }
    reference_free(&reference);
    peer_free(&peer);
}
END_TEST

START_TEST(an_action_that_is_not_reported_is_the_one_that_was_told)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(8);
    uint32_t one = peer_open(&peer, "one", "").handle, two = peer_open(&peer, "two", "").handle;
    float told[16];
    peer_ask(&peer, robot_act(&robot, one, 1));
    struct wire_envelope reply = peer_ask(&peer, robot_act(&robot, two, 1));
    uint8_t digest[WIRE_DIGEST_SIZE];
    for (uint64_t seq = 2; seq < STEPS; seq++) {
        memcpy(told, reply.action.action.values, model->action_dim * sizeof(float));
        struct wire_envelope step = robot_step(&robot, one, seq);
        step.step.action = (struct wire_floats){told, model->action_dim};
        memcpy(digest, peer_ask(&peer, step).action.digest.bytes, sizeof digest);
        step.step.handle = two;
        step.step.action.count = 0;
        reply = peer_ask(&peer, step);
        ck_assert_mem_eq(reply.action.digest.bytes, digest, sizeof digest);
    }
    peer_free(&peer);
}
END_TEST

// All requests of a scenario with good and bad ones, as bytes.
static size_t scenario(uint8_t *bytes, size_t room)
{
    struct robot robot = robot_of(3);
    static const float wrong[] = {1, 2};
    struct wire_envelope requests[64];
    float numbers[64][2][64];
    size_t count = 0, used = 0;
    requests[count++] = (struct wire_envelope){.kind = WIRE_HELLO};
    requests[count++] = (struct wire_envelope){.kind = WIRE_OPEN, .open = {"a", "", 0}};
    requests[count++] = (struct wire_envelope){.kind = WIRE_OPEN, .open = {"b", "small", 1}};
    requests[count++] = robot_act(&robot, 1, 1);
    memcpy(numbers[count - 1][0], robot.next, sizeof robot.next);
    requests[count - 1].act.observation.values = numbers[count - 1][0];
    for (uint64_t seq = 2; seq < 40; seq++) {
        requests[count] = robot_step(&robot, 1, seq);
        memcpy(numbers[count][0], robot.next, sizeof robot.next);
        memcpy(numbers[count][1], robot.action, sizeof robot.action);
        requests[count].step.observation.values = numbers[count][0];
        requests[count].step.action.values = numbers[count][1];
        count++;
        if (seq % 7 == 0)
            requests[count++] = ping;
        if (seq % 11 == 0)
            requests[count++] = (struct wire_envelope){.kind = WIRE_ACT, .act = {2, 1, {wrong, 2}}};
    }
    requests[count++] = get_belief(1);
    requests[count++] = reset(1, WIRE_TASK, 1);
    requests[count++] = (struct wire_envelope){.kind = WIRE_CLOSE, .close = {2, 1}};
    requests[count++] = (struct wire_envelope){.kind = WIRE_NONE};
    struct wire_arena arena;
    wire_arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        requests[i].request_id = i + 1;
        long size = wire_encode(bytes + used, room - used, &requests[i], &arena);
        ck_assert_int_gt(size, 0);
        used += (size_t)size;
        ck_assert_uint_le(used, room);
    }
    return used;
}

START_TEST(bytes_cut_anywhere_give_the_same_replies)
{
    enum { ROOM = 1 << 16 };
    uint8_t *bytes = malloc(ROOM), *expected = malloc(PEER_BUFFER);
    size_t total = scenario(bytes, ROOM), expected_size = 0;
    struct random_stream stream = random_stream(1, 1, 1, 1);
    for (int trial = 0; trial < 12; trial++) {
        restart(&peer_limits);
        struct peer peer = peer_connect(server);
        for (size_t at = 0, cut; at < total; at += cut) {
            cut = trial == 0 ? total : trial == 1 ? 1 : 1 + random_below(&stream, 300);
            cut = cut < total - at ? cut : total - at;
            peer_bytes(&peer, bytes + at, cut);
            peer_turn(server, (struct peer *[]){&peer}, 1);
        }
        if (trial == 0) {
            expected_size = peer.held;
            memcpy(expected, peer.bytes, expected_size);
            ck_assert_uint_gt(expected_size, 40 * 100);
        }
        ck_assert_uint_eq(peer.held, expected_size);
        ck_assert_mem_eq(peer.bytes, expected, expected_size);
        peer_free(&peer);
    }
    free(bytes);
    free(expected);
}
END_TEST

START_TEST(clients_in_one_batch_get_the_bits_that_each_gets_alone)
{
    enum { PEERS = 9 };
    struct peer peers[PEERS], *all[PEERS];
    struct robot robots[PEERS];
    uint32_t handles[PEERS];
    float actions[PEERS][STEPS][16];
    uint8_t digests[PEERS][WIRE_DIGEST_SIZE];
    for (size_t p = 0; p < PEERS; p++) {
        char name[8];
        snprintf(name, sizeof name, "s%zu", p);
        peers[p] = peer_connect(server);
        all[p] = &peers[p];
        robots[p] = robot_of(100 + p);
        handles[p] = peer_open(&peers[p], name, "").handle;
    }
    for (uint64_t seq = 1; seq < STEPS; seq++) {
        for (size_t p = 0; p < PEERS; p++)
            peer_send(&peers[p], seq == 1 ? robot_act(&robots[p], handles[p], 1)
                                          : robot_step(&robots[p], handles[p], seq));
        ck_assert_uint_eq(server->models[0].waiting_count, PEERS);
        peer_turn(server, all, PEERS);
        for (size_t p = 0; p < PEERS; p++) {
            struct wire_envelope reply;
            ck_assert(peer_reply(&peers[p], &reply));
            ck_assert_int_eq(reply.kind, WIRE_ACTION);
            memcpy(actions[p][seq], reply.action.action.values, model->action_dim * sizeof(float));
            memcpy(digests[p], reply.action.digest.bytes, WIRE_DIGEST_SIZE);
        }
    }
    for (size_t p = 0; p < PEERS; p++)
        peer_free(&peers[p]);
    restart(&peer_limits);
    for (size_t p = 0; p < PEERS; p++) {
        struct peer peer = peer_connect(server);
        robots[p].model = model;
        uint32_t handle = peer_open(&peer, "alone", "").handle;
        for (uint64_t seq = 1; seq < STEPS; seq++) {
            struct wire_envelope reply = peer_ask(
                &peer, seq == 1 ? robot_act(&robots[p], handle, 1) : robot_step(&robots[p], handle, seq));
            ck_assert_mem_eq(reply.action.action.values, actions[p][seq], model->action_dim * sizeof(float));
            if (seq + 1 == STEPS)
                ck_assert_mem_eq(reply.action.digest.bytes, digests[p], WIRE_DIGEST_SIZE);
        }
        peer_ask(&peer, (struct wire_envelope){.kind = WIRE_CLOSE, .close = {handle, 1}});
        peer_free(&peer);
    }
}
END_TEST

START_TEST(more_sessions_than_a_batch_holds_are_all_answered)
{
    enum { SESSIONS = 150 };
    struct limits limits = peer_limits;
    limits.sessions = limits.in_flight = SESSIONS;
    restart(&limits);
    struct peer peer = peer_connect(server), *all[] = {&peer};
    struct robot robot = robot_of(4);
    for (int i = 0; i < SESSIONS; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        ck_assert_uint_eq(peer_open(&peer, name, i % 3 ? "" : "other").handle, i + 1u);
    }
    for (int i = 0; i < SESSIONS; i++)
        peer_send(&peer, robot_act(&robot, (uint32_t)i + 1, 1));
    peer_turn(server, all, 1);
    struct wire_envelope reply;
    int answered = 0;
    while (peer_reply(&peer, &reply)) {
        ck_assert_int_eq(reply.kind, WIRE_ACTION);
        answered++;
    }
    ck_assert_int_eq(answered, SESSIONS);
    peer_free(&peer);
}
END_TEST

START_TEST(pipelined_steps_of_a_session_keep_their_order)
{
    struct peer peer = peer_connect(server), *all[] = {&peer};
    struct robot robot = robot_of(5);
    uint8_t digest[WIRE_DIGEST_SIZE];
    live(&peer, &robot, peer_open(&peer, "one-by-one", "").handle, STEPS, digest);
    uint32_t handle = peer_open(&peer, "pipelined", "").handle;
    peer_send(&peer, robot_act(&robot, handle, 1));
    for (uint64_t seq = 2; seq <= STEPS; seq++)
        peer_send(&peer, robot_step(&robot, handle, seq));
    peer_turn(server, all, 1);
    struct wire_envelope reply;
    for (uint64_t seq = 1; seq <= STEPS; seq++) {
        ck_assert(peer_reply(&peer, &reply));
        ck_assert_int_eq(reply.kind, WIRE_ACTION);
        ck_assert_uint_eq(reply.action.seq, seq);
    }
    ck_assert_mem_eq(reply.action.digest.bytes, digest, sizeof digest);
    peer_free(&peer);
}
END_TEST

START_TEST(a_repeated_step_changes_nothing_and_gets_the_same_answer)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(6);
    uint32_t handle = peer_open(&peer, "robot", "").handle;
    peer_ask(&peer, robot_act(&robot, handle, 1));
    for (uint64_t seq = 2; seq <= STEPS; seq++) {
        float action[16];
        uint8_t digest[WIRE_DIGEST_SIZE];
        struct wire_action first = peer_ask(&peer, robot_step(&robot, handle, seq)).action;
        memcpy(action, first.action.values, model->action_dim * sizeof(float));
        memcpy(digest, first.digest.bytes, sizeof digest);
        for (int again = 0; again < 3; again++) {
            struct wire_action repeat = peer_ask(&peer, robot_step(&robot, handle, seq)).action;
            ck_assert_int_eq(repeat.status, WIRE_STATUS_DUPLICATE);
            ck_assert_uint_eq(repeat.seq, seq);
            ck_assert_uint_eq(repeat.count, first.count);
            ck_assert_mem_eq(repeat.action.values, action, model->action_dim * sizeof(float));
            ck_assert_mem_eq(repeat.digest.bytes, digest, sizeof digest);
            ck_assert(repeat.reward_p == first.reward_p && repeat.transition_p == first.transition_p);
        }
        // An older one is known too, but its action is history.
        if (seq > 2) {
            struct wire_action old = peer_ask(&peer, robot_step(&robot, handle, seq - 1)).action;
            ck_assert_int_eq(old.status, WIRE_STATUS_DUPLICATE);
            ck_assert_uint_eq(old.action.count, 0);
            ck_assert_uint_eq(old.count, first.count);
        }
    }
    peer_free(&peer);
}
END_TEST

// The robot's transitions first .. last in the order given, as one Observe.
static struct wire_envelope observe_request(struct robot *robot, uint32_t handle, uint32_t writer,
                                            const uint64_t *seqs, size_t count)
{
    static struct wire_transition transitions[64];
    static struct robot copies[64];
    for (size_t i = 0; i < count; i++) {
        copies[i] = *robot;
        robot_live(&copies[i], seqs[i]);
        transitions[i] = (struct wire_transition){
            seqs[i], {copies[i].observation, model->observation_dim}, {copies[i].action, model->action_dim},
            copies[i].reward, {copies[i].next, model->observation_dim}};
    }
    return (struct wire_envelope){.kind = WIRE_OBSERVE, .observe = {handle, writer, 0, transitions, count}};
}

START_TEST(any_order_and_any_repetition_give_one_belief)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(9);
    struct reference reference = reference_new();
    reference_observe(&reference, &robot, 1, 40);
    struct random_stream stream = random_stream(2, 0, 0, 0);
    for (int trial = 0; trial < 5; trial++) {
        char name[8];
        snprintf(name, sizeof name, "t%d", trial);
        uint32_t handle = peer_open(&peer, name, "").handle;
        struct wire_envelope reply = {.kind = WIRE_NONE};
        uint64_t absorbed = 0;
        // Shuffled within windows, so that the gaps stay few; each window twice, the second time shuffled afresh.
        for (uint64_t window = 0; window < 5; window++) {
            for (int again = 0; again < 2; again++) {
                uint64_t seqs[8];
                for (size_t i = 0; i < 8; i++)
                    seqs[i] = window * 8 + i + 1;
                for (uint32_t i = 8; i-- > 1;) {
                    uint32_t j = random_below(&stream, i + 1);
                    uint64_t swap = seqs[i];
                    seqs[i] = seqs[j];
                    seqs[j] = swap;
                }
                reply = peer_ask(&peer, observe_request(&robot, handle, 3, seqs, 8));
                ck_assert_int_eq(reply.kind, WIRE_OBSERVED);
                ck_assert_uint_eq(reply.observed.status_count, 8);
                for (size_t i = 0; i < 8; i++) {
                    ck_assert_int_eq(reply.observed.status[i], again ? WIRE_STATUS_DUPLICATE : WIRE_STATUS_ABSORBED);
                    absorbed += !again;
                }
            }
        }
        ck_assert_uint_eq(reply.observed.count, absorbed);
        check_digest(reply.observed.digest, &reference.belief);
    }
    reference_free(&reference);
    peer_free(&peer);
}
END_TEST

START_TEST(writers_are_told_apart_by_their_numbers)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(10), other = robot_of(11);
    uint32_t handle = peer_open(&peer, "shared", "").handle;
    struct reference reference = reference_new();
    reference_observe(&reference, &robot, 1, 3);
    reference_observe(&reference, &other, 1, 3);
    const uint64_t seqs[] = {1, 2, 3};
    peer_ask(&peer, observe_request(&robot, handle, 1, seqs, 3));
    struct wire_envelope reply = peer_ask(&peer, observe_request(&other, handle, 2, seqs, 3));
    ck_assert_uint_eq(reply.observed.count, 6);
    check_digest(reply.observed.digest, &reference.belief);
    reference_free(&reference);
    peer_free(&peer);
}
END_TEST

// A robot that was away sends what it saw, then goes on stepping.
START_TEST(transitions_made_while_away_come_before_the_next_act)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(12);
    uint32_t handle = peer_open(&peer, "away", "").handle;
    uint8_t digest[WIRE_DIGEST_SIZE];
    live(&peer, &robot, handle, 5, digest);
    const uint64_t seqs[] = {7, 6, 8, 5};
    struct wire_envelope reply = peer_ask(&peer, observe_request(&robot, handle, 0, seqs, 4));
    ck_assert_int_eq(reply.observed.status[0], WIRE_STATUS_ABSORBED);
    ck_assert_int_eq(reply.observed.status[3], WIRE_STATUS_DUPLICATE);
    // Steps have been overtaken; an Act tells where the robot is now.
    ck_assert_int_eq(peer_ask(&peer, robot_step(&robot, handle, 6)).action.status, WIRE_STATUS_DUPLICATE);
    peer_refused(&peer, robot_step(&robot, handle, 9), WIRE_OUT_OF_STEP, "seq");
    peer_refused(&peer, robot_act(&robot, handle, 8), WIRE_OUT_OF_STEP, "seq");
    ck_assert_int_eq(peer_ask(&peer, robot_act(&robot, handle, 9)).kind, WIRE_ACTION);
    reply = peer_ask(&peer, robot_step(&robot, handle, 10));
    struct reference reference = reference_new();
    reference_observe(&reference, &robot, 2, 8);
    reference_observe(&reference, &robot, 10, 10);
    check_digest(reply.action.digest, &reference.belief);
    reference_free(&reference);
    peer_free(&peer);
}
END_TEST

START_TEST(a_step_that_does_not_follow_is_refused)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(13);
    uint32_t handle = peer_open(&peer, "robot", "").handle;
    peer_refused(&peer, robot_step(&robot, handle, 1), WIRE_OUT_OF_STEP, "seq");
    peer_ask(&peer, robot_act(&robot, handle, 5));
    peer_refused(&peer, robot_step(&robot, handle, 5), WIRE_OUT_OF_STEP, "seq");
    peer_refused(&peer, robot_step(&robot, handle, 7), WIRE_OUT_OF_STEP, "seq");
    peer_refused(&peer, robot_step(&robot, handle, 0), WIRE_INVALID, "seq");
    ck_assert_int_eq(peer_ask(&peer, robot_step(&robot, handle, 6)).kind, WIRE_ACTION);
    peer_refused(&peer, robot_act(&robot, handle, 6), WIRE_OUT_OF_STEP, "seq");
    ck_assert_int_eq(peer_ask(&peer, robot_act(&robot, handle, 7)).kind, WIRE_ACTION);
    // An Act may be repeated, and may go back as far as no transition is passed.
    ck_assert_int_eq(peer_ask(&peer, robot_act(&robot, handle, 9)).kind, WIRE_ACTION);
    ck_assert_int_eq(peer_ask(&peer, robot_act(&robot, handle, 8)).kind, WIRE_ACTION);
    ck_assert_int_eq(peer_ask(&peer, robot_step(&robot, handle, 9)).kind, WIRE_ACTION);
    struct wire_envelope last = robot_step(&robot, handle, 10);
    last.step.last = 1;
    struct wire_envelope reply = peer_ask(&peer, last);
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_ABSORBED);
    ck_assert_uint_eq(reply.action.action.count, 0);
    ck_assert(!model->heads[HEAD_REWARD].judged || reply.action.reward_p < 1);
    reply = peer_ask(&peer, last);
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_DUPLICATE);
    peer_refused(&peer, robot_step(&robot, handle, 11), WIRE_OUT_OF_STEP, "seq");
    ck_assert_int_eq(peer_ask(&peer, robot_act(&robot, handle, 11)).kind, WIRE_ACTION);
    peer_free(&peer);
}
END_TEST

// One bad field at a time; each is named, and none changes anything.
START_TEST(bad_numbers_are_named_and_change_nothing)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(14);
    uint32_t handle = peer_open(&peer, "robot", "").handle;
    struct reference reference = reference_new();
    reference_observe(&reference, &robot, 2, 2);
    peer_ask(&peer, robot_act(&robot, handle, 1));
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        struct wire_envelope step = robot_step(&robot, handle, 2);
        robot.next[i] = bad[i];
        peer_refused(&peer, step, WIRE_INVALID, "observation");
        step = robot_step(&robot, handle, 2);
        robot.action[1] = bad[i];
        peer_refused(&peer, step, WIRE_INVALID, "action");
        step = robot_step(&robot, handle, 2);
        step.step.reward = bad[i];
        peer_refused(&peer, step, WIRE_INVALID, "reward");
        struct wire_envelope act = robot_act(&robot, handle, 3);
        robot.next[i] = bad[i];
        peer_refused(&peer, act, WIRE_INVALID, "observation");
    }
    struct wire_envelope step = robot_step(&robot, handle, 2);
    step.step.observation.count--;
    ck_assert_uint_eq(peer_refused(&peer, step, WIRE_INVALID, "observation").limit, model->observation_dim);
    step.step.observation.count = 0;
    peer_refused(&peer, step, WIRE_INVALID, "observation");
    step = robot_step(&robot, handle, 2);
    step.step.action.count++;
    peer_refused(&peer, step, WIRE_INVALID, "action");
    step = robot_step(&robot, handle, 2);
    step.step.task = 2;
    peer_refused(&peer, step, WIRE_INVALID, "task");
    struct wire_envelope act = robot_act(&robot, handle, 3);
    act.act.observation.count++;
    peer_refused(&peer, act, WIRE_INVALID, "observation");

    struct wire_envelope reply = peer_ask(&peer, robot_step(&robot, handle, 2));
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_ABSORBED);
    check_digest(reply.action.digest, &reference.belief);
    reference_free(&reference);
    peer_free(&peer);
}
END_TEST

START_TEST(a_target_out_of_range_is_told_and_not_absorbed)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(15);
    uint32_t handle = peer_open(&peer, "robot", "").handle;
    struct reference reference = reference_new();
    reference_observe(&reference, &robot, 3, 3);
    peer_ask(&peer, robot_act(&robot, handle, 1));
    struct wire_envelope step = robot_step(&robot, handle, 2);
    step.step.reward = 1e6f;
    struct wire_envelope reply = peer_ask(&peer, step);
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_OUT_OF_RANGE);
    ck_assert_uint_eq(reply.action.count, 0);
    ck_assert_uint_eq(reply.action.action.count, model->action_dim);
    ck_assert(reply.action.reward_p == 1);
    ck_assert_int_eq(peer_ask(&peer, robot_step(&robot, handle, 2)).action.status, WIRE_STATUS_DUPLICATE);
    reply = peer_ask(&peer, robot_step(&robot, handle, 3));
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_ABSORBED);
    check_digest(reply.action.digest, &reference.belief);

    const uint64_t seqs[] = {1, 2, 3};
    struct wire_envelope observe = observe_request(&robot, handle, 1, seqs, 3);
    struct wire_transition *transitions = (struct wire_transition *)observe.observe.transitions;
    transitions[0].reward = -1e6f;
    transitions[1].reward = NAN;
    reply = peer_ask(&peer, observe);
    ck_assert_int_eq(reply.observed.status[0], WIRE_STATUS_OUT_OF_RANGE);
    ck_assert_int_eq(reply.observed.status[1], WIRE_STATUS_NOT_FINITE);
    ck_assert_int_eq(reply.observed.status[2], WIRE_STATUS_ABSORBED);
    reference_observe(&reference, &robot, 3, 3);
    check_digest(reply.observed.digest, &reference.belief);
    reference_free(&reference);
    peer_free(&peer);
}
END_TEST

START_TEST(a_bad_observe_changes_nothing)
{
    struct limits limits = peer_limits;
    limits.writers = 2;
    restart(&limits);
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(16);
    uint32_t handle = peer_open(&peer, "robot", "").handle;
    uint64_t seqs[20] = {1, 2, 3};
    struct wire_envelope observe = observe_request(&robot, handle, 1, seqs, 3);
    struct wire_transition *transitions = (struct wire_transition *)observe.observe.transitions;
    transitions[2].next_observation.count--;
    peer_refused(&peer, observe, WIRE_INVALID, "transitions[2].next_observation");
    observe = observe_request(&robot, handle, 1, seqs, 3);
    transitions[1].action.count = 0;
    peer_refused(&peer, observe, WIRE_INVALID, "transitions[1].action");
    observe = observe_request(&robot, handle, 1, seqs, 3);
    transitions[0].seq = 0;
    peer_refused(&peer, observe, WIRE_INVALID, "transitions[0].seq");
    observe = observe_request(&robot, handle, 1, seqs, 3);
    observe.observe.task = 2;
    peer_refused(&peer, observe, WIRE_INVALID, "task");
    for (size_t i = 0; i < 20; i++)
        seqs[i] = 2 * i + 1;
    ck_assert_uint_eq(peer_refused(&peer, observe_request(&robot, handle, 1, seqs, peer_limits.gaps + 2), WIRE_LIMIT,
                                   "transitions").limit, peer_limits.gaps);
    struct wire_envelope reply = peer_ask(&peer, observe_request(&robot, handle, 1, seqs, peer_limits.gaps + 1));
    ck_assert_int_eq(reply.kind, WIRE_OBSERVED);
    ck_assert_uint_eq(reply.observed.count, peer_limits.gaps + 1);
    peer_refused(&peer, observe_request(&robot, handle, 7, seqs, 1), WIRE_LIMIT, "writer");
    static struct wire_transition many[OBSERVE_LIMIT + 1];
    observe.observe = (struct wire_observe){handle, 1, 0, many, OBSERVE_LIMIT + 1};
    peer_refused(&peer, observe, WIRE_LIMIT, "transitions");
    reply = peer_ask(&peer, get_belief(handle));
    ck_assert_uint_eq(reply.belief.count, peer_limits.gaps + 1);
    peer_free(&peer);
}
END_TEST

START_TEST(tasks_and_episodes_end)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(17);
    uint32_t handle = peer_open(&peer, "robot", "").handle;
    uint8_t digest[WIRE_DIGEST_SIZE];
    live(&peer, &robot, handle, 5, digest);
    struct wire_envelope reply = peer_ask(&peer, reset(handle, WIRE_EPISODE, 0));
    ck_assert_int_eq(reply.kind, WIRE_DONE);
    ck_assert_uint_eq(reply.done.count, 4);
    ck_assert_mem_eq(reply.done.digest.bytes, digest, sizeof digest);
    ck_assert_uint_eq(reply.done.task, 1);
    peer_refused(&peer, robot_step(&robot, handle, 6), WIRE_OUT_OF_STEP, "seq");
    peer_refused(&peer, reset(handle, WIRE_TASK, 0), WIRE_INVALID, "task");
    peer_refused(&peer, reset(handle, WIRE_TASK, 2), WIRE_INVALID, "task");
    peer_refused(&peer, reset(handle, (enum wire_scope)7, 1), WIRE_INVALID, "scope");
    for (int again = 0; again < 2; again++) {
        reply = peer_ask(&peer, reset(handle, WIRE_TASK, 1));
        ck_assert_uint_eq(reply.done.task, 2);
        ck_assert_uint_eq(reply.done.count, 0);
    }
    // What belongs to the task that ended does not reach the new belief.
    const uint64_t seqs[] = {1, 2};
    struct wire_envelope observe = observe_request(&robot, handle, 1, seqs, 2);
    observe.observe.task = 1;
    reply = peer_ask(&peer, observe);
    ck_assert_int_eq(reply.observed.status[0], WIRE_STATUS_OTHER_TASK);
    ck_assert_uint_eq(reply.observed.count, 0);
    struct wire_envelope step = robot_step(&robot, handle, 6);
    step.step.task = 1;
    reply = peer_ask(&peer, step);
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_OTHER_TASK);
    ck_assert_uint_eq(reply.action.count, 0);
    ck_assert_uint_eq(reply.action.action.count, 0);
    // A new life under the old numbers is a duplicate; after them it is new.
    ck_assert_int_eq(peer_ask(&peer, robot_step(&robot, handle, 4)).action.status, WIRE_STATUS_DUPLICATE);
    ck_assert_int_eq(peer_ask(&peer, robot_act(&robot, handle, 6)).kind, WIRE_ACTION);
    step = robot_step(&robot, handle, 7);
    step.step.task = 2;
    reply = peer_ask(&peer, step);
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_ABSORBED);
    ck_assert_uint_eq(reply.action.task, 2);
    ck_assert_uint_eq(reply.action.count, 1);
    peer_free(&peer);
}
END_TEST

// Every episode begins with an Act, whose number no transition has: such numbers must not pile up as gaps.
START_TEST(episodes_without_end_leave_no_gaps)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(18);
    uint32_t handle = peer_open(&peer, "robot", "").handle;
    uint64_t seq = 0;
    for (int episode = 0; episode < 30; episode++) {
        peer_ask(&peer, robot_act(&robot, handle, ++seq));
        for (int step = 0; step < 3; step++) {
            struct wire_envelope request = robot_step(&robot, handle, ++seq);
            request.step.last = step == 2;
            ck_assert_int_eq(peer_ask(&peer, request).action.status, WIRE_STATUS_ABSORBED);
        }
    }
    const struct session *session = session_find(&server->sessions, "robot");
    ck_assert_uint_eq(session->writers[0].seen.count, 1);
    ck_assert_uint_eq(session->writers[0].seen.ranges[0].last, seq);
    // Breaks that skip numbers do leave gaps, and the oldest is given up before a step is refused.
    for (int episode = 0; episode < 30; episode++) {
        seq += 5;
        peer_ask(&peer, robot_act(&robot, handle, ++seq));
        ck_assert_int_eq(peer_ask(&peer, robot_step(&robot, handle, ++seq)).action.status, WIRE_STATUS_ABSORBED);
    }
    ck_assert_uint_eq(session->writers[0].seen.count, peer_limits.gaps + 1);
    peer_free(&peer);
}
END_TEST

START_TEST(a_session_waits_for_its_client)
{
    struct robot robot = robot_of(19);
    struct reference reference = reference_new();
    reference_observe(&reference, &robot, 2, 9);
    struct peer peer = peer_connect(server);
    uint8_t digest[WIRE_DIGEST_SIZE];
    live(&peer, &robot, peer_open(&peer, "robot", "").handle, 5, digest);
    peer_free(&peer);
    peer = peer_connect(server);
    struct wire_opened opened = peer_open(&peer, "robot", "");
    ck_assert_int_eq(opened.resumed, 1);
    ck_assert_uint_eq(opened.epoch, 2);
    ck_assert_uint_eq(opened.seq, 5);
    ck_assert_uint_eq(opened.count, 4);
    ck_assert_mem_eq(opened.digest.bytes, digest, sizeof digest);
    // The reply to the last Step was lost, perhaps: it may be asked for again, and life goes on.
    struct wire_envelope reply = peer_ask(&peer, robot_step(&robot, opened.handle, 5));
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_DUPLICATE);
    ck_assert_uint_eq(reply.action.action.count, model->action_dim);
    for (uint64_t seq = 6; seq <= 9; seq++)
        reply = peer_ask(&peer, robot_step(&robot, opened.handle, seq));
    check_digest(reply.action.digest, &reference.belief);
    // Closed and opened again: the same; forgotten: a new one.
    uint32_t handle = opened.handle;
    ck_assert_int_eq(peer_ask(&peer, (struct wire_envelope){.kind = WIRE_CLOSE, .close = {handle, 0}}).kind, WIRE_DONE);
    peer_refused(&peer, robot_step(&robot, handle, 10), WIRE_UNKNOWN_SESSION, "handle");
    opened = peer_open(&peer, "robot", "");
    ck_assert_uint_eq(opened.count, 8);
    ck_assert_uint_ne(opened.handle, handle);
    peer_ask(&peer, (struct wire_envelope){.kind = WIRE_CLOSE, .close = {opened.handle, 1}});
    opened = peer_open(&peer, "robot", "other");
    ck_assert_int_eq(opened.resumed, 0);
    ck_assert_uint_eq(opened.count, 0);
    peer_free(&peer);
    reference_free(&reference);
}
END_TEST

START_TEST(a_newer_open_fences_the_older_client)
{
    struct peer old = peer_connect(server), new = peer_connect(server), *all[] = {&old, &new};
    struct robot robot = robot_of(20);
    uint32_t handle = peer_open(&old, "robot", "").handle;
    uint32_t other = peer_open(&old, "bystander", "").handle;
    uint8_t digest[WIRE_DIGEST_SIZE];
    live(&old, &robot, handle, 5, digest);
    // A Step of the old client in the very turn of the Open is still done, and before it.
    peer_send(&old, robot_step(&robot, handle, 6));
    peer_send(&new, (struct wire_envelope){.kind = WIRE_OPEN, .open = {"robot", "", 0}});
    peer_turn(server, all, 2);
    struct wire_envelope reply;
    ck_assert(peer_reply(&old, &reply));
    ck_assert_int_eq(reply.kind, WIRE_ACTION);
    ck_assert(peer_reply(&new, &reply));
    ck_assert_int_eq(reply.kind, WIRE_OPENED);
    ck_assert_uint_eq(reply.opened.seq, 6);
    ck_assert_uint_eq(reply.opened.epoch, 2);
    uint32_t new_handle = reply.opened.handle;
    peer_refused(&old, robot_step(&robot, handle, 7), WIRE_FENCED, "handle");
    peer_refused(&old, robot_act(&robot, handle, 7), WIRE_FENCED, "handle");
    peer_refused(&old, get_belief(handle), WIRE_FENCED, "handle");
    peer_refused(&old, reset(handle, WIRE_TASK, 1), WIRE_FENCED, "handle");
    peer_refused(&old, (struct wire_envelope){.kind = WIRE_CLOSE, .close = {handle, 1}}, WIRE_FENCED, "handle");
    ck_assert_int_eq(peer_ask(&old, robot_act(&robot, other, 1)).kind, WIRE_ACTION);
    ck_assert_int_eq(peer_ask(&new, robot_step(&robot, new_handle, 7)).action.status, WIRE_STATUS_ABSORBED);
    // Its going away takes nothing from the new one. Who holds a session may open it again.
    peer_free(&old);
    ck_assert_int_eq(peer_ask(&new, robot_step(&robot, new_handle, 8)).action.status, WIRE_STATUS_ABSORBED);
    struct wire_opened again = peer_open(&new, "robot", "");
    ck_assert_uint_eq(again.epoch, 3);
    ck_assert_uint_eq(again.handle, new_handle);
    ck_assert_int_eq(peer_ask(&new, robot_step(&robot, new_handle, 9)).action.status, WIRE_STATUS_ABSORBED);
    peer_free(&new);
}
END_TEST

START_TEST(what_cannot_be_opened_is_refused)
{
    struct limits limits = peer_limits;
    limits.sessions = 2;
    restart(&limits);
    struct peer peer = peer_connect(server);
    static const char *const bad_names[] = {
        "", "a b", "a/b", "\xc3\xa9", "0123456789012345678901234567890123456789012345678901234567890123x"};
    for (size_t i = 0; i < sizeof bad_names / sizeof *bad_names; i++)
        peer_refused(&peer, (struct wire_envelope){.kind = WIRE_OPEN, .open = {bad_names[i], "", 0}}, WIRE_INVALID,
                     "session");
    peer_refused(&peer, (struct wire_envelope){.kind = WIRE_OPEN, .open = {"a", "nothing", 0}}, WIRE_UNKNOWN_MODEL,
                 "model");
    peer_open(&peer, "0123456789012345678901234567890123456789012345678901234567890123", "other");
    peer_open(&peer, "A.b_c:d-e", "small");
    peer_refused(&peer, (struct wire_envelope){.kind = WIRE_OPEN, .open = {"A.b_c:d-e", "other", 0}}, WIRE_INVALID,
                 "model");
    ck_assert_uint_eq(peer_refused(&peer, (struct wire_envelope){.kind = WIRE_OPEN, .open = {"third", "", 0}},
                                   WIRE_LIMIT, "session").limit, 2);
    static const uint32_t handles[] = {0, 3, 65536 + 1, UINT32_MAX};
    struct robot robot = robot_of(21);
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++) {
        peer_refused(&peer, robot_step(&robot, handles[i], 1), WIRE_UNKNOWN_SESSION, "handle");
        peer_refused(&peer, get_belief(handles[i]), WIRE_UNKNOWN_SESSION, "handle");
    }
    peer_free(&peer);
}
END_TEST

START_TEST(held_to_the_prior_the_policy_ignores_the_belief)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(22);
    struct reference reference = reference_new();
    struct wire_envelope reply = peer_ask(&peer, (struct wire_envelope){.kind = WIRE_OPEN, .open = {"p", "", 1}});
    uint32_t handle = reply.opened.handle;
    float action[16];
    peer_ask(&peer, robot_act(&robot, handle, 1));
    for (uint64_t seq = 2; seq < STEPS; seq++) {
        reply = peer_ask(&peer, robot_step(&robot, handle, seq));
        reference_observe(&reference, &robot, seq, seq);
        reference_act(&reference, robot.next, 1, action);
        ck_assert_mem_eq(reply.action.action.values, action, model->action_dim * sizeof(float));
        check_digest(reply.action.digest, &reference.belief);
    }
    reference_free(&reference);
    peer_free(&peer);
}
END_TEST

START_TEST(a_belief_can_be_looked_into)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(23);
    uint32_t handle = peer_open(&peer, "robot", "").handle;
    struct reference reference = reference_new();
    uint8_t digest[WIRE_DIGEST_SIZE];
    live(&peer, &robot, handle, STEPS, digest);
    reference_observe(&reference, &robot, 2, STEPS);
    struct wire_envelope reply = peer_ask(&peer, get_belief(handle));
    ck_assert_int_eq(reply.kind, WIRE_BELIEF);
    ck_assert_uint_eq(reply.belief.count, STEPS - 1);
    check_digest(reply.belief.digest, &reference.belief);
    ck_assert_uint_eq(reply.belief.head_count, 2);
    for (int h = 0; h < HEAD_COUNT; h++) {
        const struct wire_head *head = &reply.belief.heads[h];
        const struct belief *belief = &reference.belief.heads[h];
        size_t D = belief->features, d = belief->targets;
        ck_assert_str_eq(head->name, h == HEAD_TRANSITION ? "transition" : "reward");
        ck_assert_uint_eq(head->features, D);
        ck_assert_uint_eq(head->targets, d);
        ck_assert(isfinite(head->log_evidence));
        uint8_t *sums = malloc(belief_encoded_size(D, d));
        belief_encode(sums, belief);
        ck_assert_uint_eq(head->sums.size, belief_encoded_size(D, d));
        ck_assert_mem_eq(head->sums.bytes, sums, head->sums.size);
        free(sums);
        void *memory = aligned_alloc(64, (posterior_size(model->heads[h].prior, 0) + 63) / 64 * 64);
        struct posterior posterior;
        posterior_init(&posterior, model->heads[h].prior, 0, memory);
        ck_assert_int_eq(posterior_solve(&posterior, model->heads[h].prior, belief,
                                         POSTERIOR_MEAN | POSTERIOR_SCALE | POSTERIOR_VARIANCE, NULL, 0), 0);
        ck_assert_uint_eq(head->mean.count, D * d);
        ck_assert_mem_eq(head->mean.values, posterior.mean, D * d * sizeof(double));
        ck_assert_uint_eq(head->variance.count, D);
        ck_assert_mem_eq(head->variance.values, posterior.variance, D * sizeof(double));
        for (size_t j = 0; j < d; j++)
            ck_assert(head->noise.values[j] == posterior_noise(&posterior, j));
        free(memory);
    }
    ck_assert_uint_eq(reply.belief.estimate_mean.count, model->task_dim);
    ck_assert_uint_eq(reply.belief.estimate_sd.count, model->task_dim);
    ck_assert(isfinite(reply.belief.estimate_mean.values[0]) && reply.belief.estimate_sd.values[0] >= 0);
    // Nothing that was not asked for.
    reply = peer_ask(&peer, (struct wire_envelope){.kind = WIRE_GET_BELIEF, .get_belief = {.handle = handle}});
    ck_assert_uint_eq(reply.belief.heads[0].mean.count, 0);
    ck_assert_uint_eq(reply.belief.heads[0].sums.size, 0);
    ck_assert_uint_eq(reply.belief.estimate_mean.count, 0);
    reference_free(&reference);
    peer_free(&peer);
}
END_TEST

// A damaged belief is not acted upon.
START_TEST(damaged_memory_is_an_internal_error)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(24);
    uint32_t handle = peer_open(&peer, "robot", "").handle;
    uint8_t digest[WIRE_DIGEST_SIZE];
    live(&peer, &robot, handle, 5, digest);
    struct session *session = session_find(&server->sessions, "robot");
    for (int h = 0; h < HEAD_COUNT; h++)
        session->belief.heads[h].low[0] = (uint64_t)INT64_MIN;
    log_set_level(LOG_ERROR);
    peer_refused(&peer, robot_step(&robot, handle, 6), WIRE_INTERNAL, "");
    peer_refused(&peer, robot_step(&robot, handle, 6), WIRE_INTERNAL, "");
    peer_refused(&peer, get_belief(handle), WIRE_INTERNAL, "");
    peer_ask(&peer, reset(handle, WIRE_TASK, 1));
    ck_assert_int_eq(peer_ask(&peer, robot_act(&robot, handle, 7)).kind, WIRE_ACTION);
    peer_free(&peer);
}
END_TEST

START_TEST(a_body_that_is_not_known_is_told_so)
{
    struct peer peer = peer_connect(server);
    static const uint8_t unknown[] = {0, 0, 0, 6, 0x08, 77, 0xa2, 0x06, 1, 0}, empty[] = {0, 0, 0, 0};
    struct wire_envelope reply;
    peer_bytes(&peer, unknown, sizeof unknown);
    peer_bytes(&peer, empty, sizeof empty);
    peer_turn(server, (struct peer *[]){&peer}, 1);
    ck_assert(peer_reply(&peer, &reply));
    ck_assert_int_eq(reply.error.code, WIRE_UNSUPPORTED);
    ck_assert_uint_eq(reply.request_id, 77);
    ck_assert(peer_reply(&peer, &reply));
    ck_assert_int_eq(reply.error.code, WIRE_UNSUPPORTED);
    // Replies are not requests.
    peer_refused(&peer, (struct wire_envelope){.kind = WIRE_OPENED}, WIRE_UNSUPPORTED, "body");
    ck_assert_int_eq(peer_ask(&peer, ping).kind, WIRE_DONE);
    peer_free(&peer);
}
END_TEST

// A good client lives beside whatever `disturb` does between its steps, and never notices.
static void check_unharmed(void (*disturb)(struct peer *bad, uint64_t step))
{
    struct robot robot = robot_of(25);
    struct reference reference = reference_new();
    reference_observe(&reference, &robot, 2, STEPS);
    struct peer good = peer_connect(server), bad = {0};
    uint32_t handle = peer_open(&good, "good", "").handle;
    struct wire_envelope reply = peer_ask(&good, robot_act(&robot, handle, 1));
    for (uint64_t seq = 2; seq <= STEPS; seq++) {
        if (!bad.server)
            bad = peer_connect(server);
        disturb(&bad, seq);
        reply = peer_ask(&good, robot_step(&robot, handle, seq));
        ck_assert_int_eq(reply.kind, WIRE_ACTION);
    }
    check_digest(reply.action.digest, &reference.belief);
    if (bad.server)
        peer_free(&bad);
    peer_free(&good);
    reference_free(&reference);
}

// The bad peer's last words are `code`, then its connection is closing and deaf.
static void check_farewell(struct peer *bad, enum wire_error_code code)
{
    struct wire_envelope reply = {.kind = WIRE_NONE};
    peer_turn(server, &bad, 1);
    while (peer_reply(bad, &reply))
        ;
    ck_assert_int_eq(reply.kind, WIRE_ERROR);
    ck_assert_uint_eq(reply.request_id, 0);
    ck_assert_msg(reply.error.code == code, "%s", reply.error.message);
    ck_assert_int_eq(bad->connection->state, CONNECTION_CLOSING);
    peer_send(bad, ping);
    peer_turn(server, &bad, 1);
    ck_assert_int_eq(peer_reply(bad, &reply), 0);
    peer_free(bad);
}

static void send_garbage(struct peer *bad, uint64_t step)
{
    static const uint8_t http[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static const uint8_t frame[] = {0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (step % 2)
        peer_bytes(bad, http, sizeof http - 1);
    else
        peer_bytes(bad, frame, sizeof frame);
    check_farewell(bad, step % 2 ? WIRE_TOO_LARGE : WIRE_BAD_FRAME);
}

START_TEST(garbage_costs_its_sender_the_connection_and_nobody_else_anything)
{
    check_unharmed(send_garbage);
}
END_TEST

static void send_too_much(struct peer *bad, uint64_t step)
{
    uint8_t header[FRAME_HEADER_SIZE];
    frame_write_header(header, (uint32_t)(peer_limits.frame_bytes + step));
    peer_bytes(bad, header, sizeof header);
    check_farewell(bad, WIRE_TOO_LARGE);
}

START_TEST(a_frame_beyond_the_limit_is_refused_by_its_length)
{
    check_unharmed(send_too_much);
}
END_TEST

static void die_in_the_middle(struct peer *bad, uint64_t step)
{
    struct robot robot = robot_of(26);
    uint8_t bytes[1024];
    uint32_t handle = peer_open(bad, "dying", "").handle;
    struct wire_envelope request = robot_act(&robot, handle, step);
    struct wire_arena arena = {0};
    long size = wire_encode(bytes, sizeof bytes, &request, &arena);
    peer_send(bad, robot_act(&robot, handle, step));
    peer_bytes(bad, bytes, (size_t)size * step / (STEPS + 1));
    peer_free(bad);
}

START_TEST(a_client_that_dies_in_a_message_leaves_no_trace)
{
    check_unharmed(die_in_the_middle);
    ck_assert_uint_eq(server->connection_count, 0);
}
END_TEST

// Asks without ever reading: the daemon holds a bounded number of replies and then stops listening to it.
static void never_read(struct peer *bad, uint64_t step)
{
    (void)step;
    for (int i = 0; i < 2000; i++) {
        if (!connection_wants_input(bad->connection))
            break;
        struct wire_envelope request = i % 5 ? ping : (struct wire_envelope){.kind = WIRE_HELLO};
        peer_send(bad, request);
        server_turn(server, peer_now_us);
    }
    ck_assert_int_eq(bad->connection->state, CONNECTION_BLOCKED);
    ck_assert_uint_le(frame_buffer_size(&bad->connection->out), server->output_limit);
    ck_assert_uint_le(frame_buffer_size(&bad->connection->in), bad->connection->in.limit);
}

START_TEST(a_client_that_never_reads_harms_itself_alone)
{
    struct limits limits = peer_limits;
    limits.frame_bytes = 8192;
    restart(&limits);
    check_unharmed(never_read);
    struct peer bad = peer_connect(server);
    never_read(&bad, 0);
    peer_now_us += limits.slow_reader_us - 1;
    server_tick(server, peer_now_us);
    ck_assert_int_eq(bad.connection->state, CONNECTION_BLOCKED);
    peer_now_us += 1;
    server_tick(server, peer_now_us);
    ck_assert_int_eq(bad.connection->state, CONNECTION_DROPPED);
    peer_free(&bad);
    ck_assert_uint_eq(server->connection_count, 0);
}
END_TEST

START_TEST(a_slow_reader_gets_every_reply_in_the_end)
{
    struct limits limits = peer_limits;
    limits.frame_bytes = 8192;
    restart(&limits);
    struct peer peer = peer_connect(server), *all[] = {&peer};
    struct robot robot = robot_of(27);
    uint32_t handle = peer_open(&peer, "slow", "").handle;
    // More requests than the output can hold replies to; they stay in the input meanwhile.
    struct wire_envelope reply;
    uint64_t asked = 1, answered = 0;
    peer_send(&peer, robot_act(&robot, handle, 1));
    for (uint64_t seq = 2; connection_wants_input(peer.connection) || asked < 400; seq++) {
        if (!connection_wants_input(peer.connection) && peer.connection->in.capacity - peer.connection->in.end < 200)
            break;
        peer_send(&peer, robot_step(&robot, handle, seq));
        asked++;
        server_turn(server, peer_now_us);
    }
    ck_assert_int_eq(peer.connection->state, CONNECTION_BLOCKED);
    peer_turn(server, all, 1);
    while (peer_reply(&peer, &reply)) {
        ck_assert_int_eq(reply.kind, WIRE_ACTION);
        ck_assert_uint_eq(reply.action.seq, ++answered);
    }
    ck_assert_uint_eq(answered, asked);
    ck_assert_int_eq(peer.connection->state, CONNECTION_SERVING);
    peer_free(&peer);
}
END_TEST

START_TEST(one_connection_too_many_is_told_so)
{
    struct limits limits = peer_limits;
    limits.connections = 2;
    restart(&limits);
    struct peer one = peer_connect(server), two = peer_connect(server), three = peer_connect(server);
    check_farewell(&three, WIRE_LIMIT);
    peer_free(&one);
    three = peer_connect(server);
    ck_assert_int_eq(peer_ask(&three, ping).kind, WIRE_DONE);
    ck_assert_int_eq(peer_ask(&two, ping).kind, WIRE_DONE);
    peer_free(&two);
    peer_free(&three);
    // Nor can a crowd of refused ones fill the memory.
    struct connection *last = NULL;
    int held = 0;
    while ((last = server_connect(server, "crowd", peer_now_us)))
        held++;
    ck_assert_int_lt(held, 100);
}
END_TEST

START_TEST(idle_connections_and_sessions_end)
{
    struct peer idle = peer_connect(server), busy = peer_connect(server);
    peer_open(&idle, "left", "");
    peer_open(&busy, "held", "");
    for (int i = 0; i < 10; i++) {
        peer_now_us += peer_limits.connection_idle_us / 10;
        server_tick(server, peer_now_us);
        if (i < 9)
            ck_assert_int_eq(idle.connection->state, CONNECTION_SERVING);
        ck_assert_int_eq(peer_ask(&busy, ping).kind, WIRE_DONE);
        peer_bytes(&idle, &"\0\0\0\377xxxxxx"[i], 1);  // bytes that never become a request do not count
    }
    check_farewell(&idle, WIRE_IDLE);
    ck_assert_uint_eq(server->sessions.count, 2);
    peer_now_us += peer_limits.session_idle_us;
    ck_assert_int_eq(peer_ask(&busy, ping).kind, WIRE_DONE);
    server_tick(server, peer_now_us);
    ck_assert_uint_eq(server->sessions.count, 1);
    ck_assert_ptr_nonnull(session_find(&server->sessions, "held"));
    peer_free(&busy);
}
END_TEST

START_TEST(while_draining_steps_are_answered_and_opens_are_not)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(28);
    uint32_t handle = peer_open(&peer, "robot", "").handle;
    peer_ask(&peer, robot_act(&robot, handle, 1));
    server_drain(server);
    ck_assert_int_eq(peer_ask(&peer, robot_step(&robot, handle, 2)).action.status, WIRE_STATUS_ABSORBED);
    peer_refused(&peer, (struct wire_envelope){.kind = WIRE_OPEN, .open = {"new", "", 0}}, WIRE_DRAINING, "");
    peer_refused(&peer, (struct wire_envelope){.kind = WIRE_OPEN, .open = {"robot", "", 0}}, WIRE_DRAINING, "");
    // What was read before the end is answered before it.
    peer_send(&peer, robot_step(&robot, handle, 3));
    server_farewell(server, peer_now_us);
    peer_turn(server, (struct peer *[]){&peer}, 1);
    struct wire_envelope reply;
    ck_assert(peer_reply(&peer, &reply));
    ck_assert_int_eq(reply.kind, WIRE_ACTION);
    check_farewell(&peer, WIRE_DRAINING);
}
END_TEST

START_TEST(a_half_closed_client_gets_its_answers)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(29);
    uint32_t handle = peer_open(&peer, "robot", "").handle;
    peer_send(&peer, robot_act(&robot, handle, 1));
    server_ended(server, peer.connection, peer_now_us);
    peer_turn(server, (struct peer *[]){&peer}, 1);
    struct wire_envelope reply;
    ck_assert(peer_reply(&peer, &reply));
    ck_assert_int_eq(reply.kind, WIRE_ACTION);
    ck_assert_int_eq(peer.connection->state, CONNECTION_CLOSING);
    peer_free(&peer);
}
END_TEST

START_TEST(a_server_refuses_models_it_cannot_serve)
{
    struct server *refused = NULL;
    char why[256] = "";
    struct model_shape shape = sample_small;
    shape.reads_task = 1;
    for (int h = 0; h < HEAD_COUNT; h++)
        shape.heads[h].features = 0;
    shape.landmark_count = 0;
    struct model *oracle = sample_model(&shape, 1);
    ck_assert_int_eq(server_new(&refused, &peer_limits, (const struct model *[]){oracle}, 1, peer_clock_us, why,
                                sizeof why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "told the task"));
    model_free(oracle);
    ck_assert_int_eq(server_new(&refused, &peer_limits, (const struct model *[]){model, model}, 2, peer_clock_us, why,
                                sizeof why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "two models"));
    struct limits limits = peer_limits;
    limits.frame_bytes = 1000;
    ck_assert_int_eq(server_new(&refused, &limits, (const struct model *[]){model}, 1, peer_clock_us, why,
                                sizeof why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "frame_bytes"));
    ck_assert_int_eq(server_warm_up(server, why, sizeof why), 0);
}
END_TEST

// Allocations are counted by the linker's --wrap.
static size_t allocations;
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    allocations++;
    return __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    allocations++;
    return __real_aligned_alloc(alignment, size);
}

START_TEST(a_step_allocates_nothing)
{
    struct peer peer = peer_connect(server);
    struct robot robot = robot_of(30);
    uint32_t handle = peer_open(&peer, "robot", "").handle;
    peer_ask(&peer, robot_act(&robot, handle, 1));
    uint8_t bytes[1024];
    struct wire_arena none = {0};
    for (uint64_t seq = 2; seq < 200; seq++) {
        struct wire_envelope request = robot_step(&robot, handle, seq);
        long size = wire_encode(bytes, sizeof bytes, &request, &none);
        size_t room, before = allocations;  // check's own assertions allocate, so none in between
        uint8_t *to = server_input(peer.connection, &room);
        memcpy(to, bytes, (size_t)size);
        server_received(server, peer.connection, (size_t)size, peer_now_us);
        server_turn(server, peer_now_us);
        size_t after = allocations;
        peer_turn(server, (struct peer *[]){&peer}, 1);
        ck_assert_uint_eq(after, before);
        ck_assert(peer_reply(&peer, &request));
        ck_assert_int_eq(request.action.status, WIRE_STATUS_ABSORBED);
    }
    ck_assert_uint_gt(allocations, 0);
    peer_free(&peer);
}
END_TEST

#define PROTOCOL_TEST(function)                              \
    do {                                                     \
        TCase *protocol_case = tcase_create(#function);      \
        tcase_add_checked_fixture(protocol_case, set_up, tear_down); \
        tcase_add_test(protocol_case, function);             \
        suite_add_tcase(suite, protocol_case);               \
    } while (0)

int main(void)
{
    Suite *suite = suite_create("protocol");
    PROTOCOL_TEST(hello_tells_what_is_served);
    PROTOCOL_TEST(a_step_is_answered_with_the_policys_action);
    PROTOCOL_TEST(an_action_that_is_not_reported_is_the_one_that_was_told);
    PROTOCOL_TEST(bytes_cut_anywhere_give_the_same_replies);
    PROTOCOL_TEST(clients_in_one_batch_get_the_bits_that_each_gets_alone);
    PROTOCOL_TEST(more_sessions_than_a_batch_holds_are_all_answered);
    PROTOCOL_TEST(pipelined_steps_of_a_session_keep_their_order);
    PROTOCOL_TEST(a_repeated_step_changes_nothing_and_gets_the_same_answer);
    PROTOCOL_TEST(any_order_and_any_repetition_give_one_belief);
    PROTOCOL_TEST(writers_are_told_apart_by_their_numbers);
    PROTOCOL_TEST(transitions_made_while_away_come_before_the_next_act);
    PROTOCOL_TEST(a_step_that_does_not_follow_is_refused);
    PROTOCOL_TEST(bad_numbers_are_named_and_change_nothing);
    PROTOCOL_TEST(a_target_out_of_range_is_told_and_not_absorbed);
    PROTOCOL_TEST(a_bad_observe_changes_nothing);
    PROTOCOL_TEST(tasks_and_episodes_end);
    PROTOCOL_TEST(episodes_without_end_leave_no_gaps);
    PROTOCOL_TEST(a_session_waits_for_its_client);
    PROTOCOL_TEST(a_newer_open_fences_the_older_client);
    PROTOCOL_TEST(what_cannot_be_opened_is_refused);
    PROTOCOL_TEST(held_to_the_prior_the_policy_ignores_the_belief);
    PROTOCOL_TEST(a_belief_can_be_looked_into);
    PROTOCOL_TEST(damaged_memory_is_an_internal_error);
    PROTOCOL_TEST(a_body_that_is_not_known_is_told_so);
    PROTOCOL_TEST(garbage_costs_its_sender_the_connection_and_nobody_else_anything);
    PROTOCOL_TEST(a_frame_beyond_the_limit_is_refused_by_its_length);
    PROTOCOL_TEST(a_client_that_dies_in_a_message_leaves_no_trace);
    PROTOCOL_TEST(a_client_that_never_reads_harms_itself_alone);
    PROTOCOL_TEST(a_slow_reader_gets_every_reply_in_the_end);
    PROTOCOL_TEST(one_connection_too_many_is_told_so);
    PROTOCOL_TEST(idle_connections_and_sessions_end);
    PROTOCOL_TEST(while_draining_steps_are_answered_and_opens_are_not);
    PROTOCOL_TEST(a_half_closed_client_gets_its_answers);
    PROTOCOL_TEST(a_server_refuses_models_it_cannot_serve);
    PROTOCOL_TEST(a_step_allocates_nothing);
    return suite_finish(suite);
}
