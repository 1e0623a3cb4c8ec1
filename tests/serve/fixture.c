#include "fixture.h"

#include <stdlib.h>

#include "daemon/serve/log.h"
#include "tests/support/suite.h"

struct model *model, *other_model;
struct server *server;
struct caller peer;
struct robot robot;
uint32_t handle;
struct agent_belief expected;
static void *expected_memory;
static struct agent_scratch *scratch;

static void set_up_with(const struct limits *limits)
{
    struct model_shape other = sample_small;
    other.name = "other";
    model = sample_model(&sample_small, 1);
    other_model = sample_model(&other, 2);
    server = peer_server((struct model *[]){model, other_model}, 2, limits);
    peer = peer_connect(server);
    robot = robot_of(7);
    handle = peer_open(&peer, "robot", "").handle;
    scratch = agent_scratch_new(model);
    expected = sample_belief(model, &expected_memory);
}

void set_up(void)
{
    peer_now_us = 1000000;
    log_set_level(LOG_ERROR);
    set_up_with(&peer_limits);
}

void tear_down(void)
{
    peer_free(&peer);
    peer_server_free(server);  // and the models
    agent_scratch_free(scratch);
    free(expected_memory);
}

void restart(const struct limits *limits)
{
    tear_down();
    set_up_with(limits);
}

struct robot robot_of(uint64_t seed)
{
    return (struct robot){.model = model, .seed = seed};
}

void expect_observed(struct robot *whose, uint64_t first, uint64_t last)
{
    struct robot then = *whose;
    for (uint64_t seq = first; seq <= last; seq++) {
        robot_live(&then, seq);
        struct observation_item item = {
            .belief = &expected, .observation = then.observation, .action = then.action,
            .next_observation = then.next, .reward = then.reward};
        agent_observe(model, scratch, &item, 1);
        ck_assert_int_eq(item.status, OBSERVE_ABSORBED);
    }
}

void check_digest(struct wire_bytes bytes)
{
    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&expected));
    ck_assert_uint_eq(bytes.size, sizeof digest);
    ck_assert_mem_eq(bytes.bytes, digest, sizeof digest);
}

void check_action(struct wire_action told, int from_prior)
{
    float action[sizeof robot.action / sizeof *robot.action];
    struct action_item item = {
        .belief = from_prior ? NULL : &expected, .observation = robot.next, .action = action};
    agent_act(model, scratch, &item, 1);
    ck_assert_int_eq(item.error, 0);
    ck_assert_uint_eq(told.action.count, model->action_dim);
    ck_assert_mem_eq(told.action.values, action, model->action_dim * sizeof(float));
}

struct wire_action ask_act(uint64_t seq)
{
    struct wire_envelope reply = peer_ask(&peer, robot_act(&robot, handle, seq));
    ck_assert_int_eq(reply.kind, WIRE_ACTION);
    return reply.action;
}

struct wire_action ask_step(uint64_t seq, enum wire_status status)
{
    struct wire_envelope reply = peer_ask(&peer, robot_step(&robot, handle, seq));
    ck_assert_int_eq(reply.kind, WIRE_ACTION);
    ck_assert_msg(reply.action.status == status, "%s, not %s", wire_status_name(reply.action.status),
                  wire_status_name(status));
    return reply.action;
}

void live(uint64_t last)
{
    ask_act(1);
    for (uint64_t seq = 2; seq <= last; seq++)
        ask_step(seq, WIRE_STATUS_ABSORBED);
}

struct wire_envelope opening(const char *session, const char *name, int hold_prior)
{
    return (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = session, .model = name, .hold_prior = hold_prior}};
}

struct wire_envelope closing(uint32_t number, int forget)
{
    return (struct wire_envelope){.kind = WIRE_CLOSE, .close = {.handle = number, .forget = forget}};
}

struct wire_envelope get_belief(uint32_t number)
{
    return (struct wire_envelope){.kind = WIRE_GET_BELIEF, .get_belief = {.handle = number, .sums = 1, .weights = 1, .estimate = 1}};
}

struct wire_envelope reset(uint32_t number, enum wire_scope scope, uint32_t task)
{
    return (struct wire_envelope){.kind = WIRE_RESET, .reset = {.handle = number, .scope = scope, .task = task}};
}

const struct wire_envelope ping = {.kind = WIRE_PING};
