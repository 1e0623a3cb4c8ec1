// Sessions of models of other kinds than ours, through the same calls: after a crash, a spill, a move the same bits. A
// recurrent belief takes its own writer's transitions by ascending numbers; what comes late is logged, not absorbed.
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

static const enum model_kind kinds[] = {MODEL_VARIBAD, MODEL_RL2, MODEL_PEARL};

static struct world world;
static struct life life;
static enum model_kind kind;

static void begin(int i)
{
    kind = kinds[i];
    world_init_of(&world, kind);
    world_start(&world);
    life_begin(&life, &world, "robot", 7);
    life_open(&life);
}

static void end(void)
{
    life_end(&life);
    world_release(&world);
}

static void die_and_come_back(void)
{
    life_forget_caller(&life);
    world_restart(&world);
}

static void live(int steps)
{
    life_act(&life);
    for (int i = 0; i < steps; i++)
        life_step(&life);
}

static struct caller operator_of(const struct world *where)
{
    static const struct peer who = {.text = "operator", .identity = {.role = WIRE_ROLE_ADMIN}, .is_control = 1};
    return peer_connect_as(where->server, &who);
}

static struct wire_session_info info(void)
{
    struct caller operator = operator_of(&world);
    struct wire_envelope reply =
        peer_ask(&operator, (struct wire_envelope){.kind = WIRE_LIST_SESSIONS, .list_sessions.session = "robot"});
    ck_assert_int_eq(reply.kind, WIRE_SESSION_LIST);
    ck_assert_uint_eq(reply.session_list.session_count, 1);
    ck_assert_str_eq(reply.session_list.sessions[0].kind, model_kind_name(kind));
    struct wire_session_info first = reply.session_list.sessions[0];
    peer_free(&operator);
    first.session = first.model = first.model_digest = first.identity = first.peer = first.kind = "";
    first.digest = (struct wire_bytes){NULL, 0};
    return first;
}

// The action is that of the expected belief.
static void check_action(struct wire_action told, const float *observation)
{
    float action[16];
    struct action_item item = {.belief = &life.expected, .observation = observation, .action = action};
    agent_act(life.model, life.scratch, &item, 1);
    ck_assert_uint_eq(told.action.count, life.model->action_dim);
    ck_assert_mem_eq(told.action.values, action, told.action.count * sizeof *action);
    ck_assert(told.reward_p == 1 && told.transition_p == 1);
}

START_TEST(every_step_has_the_belief_and_the_action_of_the_agents_own_functions)
{
    begin(_i);
    life_act(&life);
    for (int i = 0; i < 30; i++) {
        struct wire_action told = life_step(&life);
        check_action(told, life.robot.next);
        ck_assert_uint_eq(told.count, i + 1u);
        if (i % 7 == 0)
            life_check(&life, life_step_as(&life, life.seq, WIRE_STATUS_DUPLICATE).digest);
    }
    life_reset(&life);
    live(10);
    end();
}
END_TEST

START_TEST(a_daemon_that_died_knows_what_it_knew_from_states_and_transitions)
{
    begin(_i);
    live(40);
    die_and_come_back();          // from transitions alone
    struct wire_opened opened = life_open(&life);
    ck_assert_uint_eq(opened.count, 40);
    ck_assert_uint_eq(opened.seq, life.seq);
    ck_assert_str_eq(opened.model->kind, model_kind_name(kind));
    life_step(&life);
    struct caller operator = operator_of(&world);
    peer_send(&operator, (struct wire_envelope){.kind = WIRE_SNAPSHOT});
    life_durable(&life);
    peer_free(&operator);
    for (int i = 0; i < 25; i++)
        life_step(&life);
    die_and_come_back();          // from a state and what came after it
    ck_assert_uint_eq(life_open(&life).count, 66);
    life_reset(&life);
    live(5);
    die_and_come_back();          // the task before is not in it
    ck_assert_uint_eq(life_open(&life).count, 5);
    life_step(&life);
    end();
}
END_TEST

START_TEST(what_comes_late_or_from_another_writer_is_logged_and_not_absorbed)
{
    begin(_i);
    int is_set = kind == MODEL_PEARL;
    enum wire_status late = is_set ? WIRE_STATUS_ABSORBED : WIRE_STATUS_OUT_OF_ORDER;
    live(5);                      // an Act, 1, then 2 to 6
    // While it was away it made 9 to 12, but 7 and 8 are on their way still.
    struct wire_envelope reply = life_observe(&life, 0, 9, 12);
    for (uint64_t seq = 9; seq <= 12; seq++) {
        ck_assert_int_eq(reply.observed.status[seq - 9], WIRE_STATUS_ABSORBED);
        life_expect(&life, 0, seq);
    }
    life_check(&life, reply.observed.digest);
    reply = life_observe(&life, 0, 7, 8);
    ck_assert_int_eq(reply.observed.status[0], late);
    ck_assert_int_eq(reply.observed.status[1], late);
    ck_assert_uint_eq(reply.observed.count, is_set ? 11 : 9);
    reply = life_observe(&life, 3, 1, 4);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(reply.observed.status[i], late);
    for (uint64_t seq = 7; is_set && seq <= 8; seq++)
        life_expect(&life, 0, seq);
    for (uint64_t seq = 1; is_set && seq <= 4; seq++)
        life_expect(&life, 3, seq);
    life_check(&life, reply.observed.digest);
    // Sent again they were seen.
    reply = life_observe(&life, 3, 1, 4);
    ck_assert_int_eq(reply.observed.status[3], WIRE_STATUS_DUPLICATE);
    ck_assert_uint_eq(info().refused, is_set ? 0 : 6);
    ck_assert_uint_eq(info().gaps, 0);
    life.seq = 12;
    live(3);
    die_and_come_back();
    ck_assert_uint_eq(life_open(&life).count, is_set ? 18 : 12);
    ck_assert_uint_eq(info().refused, is_set ? 0 : 6);
    live(3);
    end();
}
END_TEST

START_TEST(an_observe_is_taken_by_numbers_whatever_its_order)
{
    begin(_i);
    static const uint64_t order[] = {4, 2, 6, 3, 5};
    static struct robot then[5];
    struct wire_transition transitions[5];
    life_act(&life);
    for (size_t i = 0; i < 5; i++) {
        then[i] = life.robot;
        robot_live(&then[i], order[i]);
        transitions[i] = (struct wire_transition){
            .seq = order[i], .observation = {then[i].observation, life.model->observation_dim},
            .action = {then[i].action, life.model->action_dim}, .reward = then[i].reward,
            .next_observation = {then[i].next, life.model->observation_dim}};
        life_expect(&life, 0, i + 2);
    }
    struct wire_envelope reply = peer_ask(&life.caller, (struct wire_envelope){
        .kind = WIRE_OBSERVE, .observe = {.handle = life.handle, .transitions = transitions, .transition_count = 5}});
    ck_assert_int_eq(reply.kind, WIRE_OBSERVED);
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(reply.observed.status[i], WIRE_STATUS_ABSORBED);
    life_check(&life, reply.observed.digest);
    die_and_come_back();
    life_open(&life);
    end();
}
END_TEST

static struct wire_envelope look(int sums, int weights, int estimate)
{
    return (struct wire_envelope){.kind = WIRE_GET_BELIEF, .get_belief = {
        .handle = life.handle, .sums = sums, .weights = weights, .estimate = estimate}};
}

START_TEST(what_only_a_posterior_can_answer_is_said_to_be_unsupported)
{
    begin(_i);
    live(12);
    struct wire_error error = peer_refused(&life.caller, look(0, 0, 1), WIRE_UNSUPPORTED, "estimate");
    ck_assert_msg(strstr(error.message, "unsupported by this model kind: ") == error.message, "%s", error.message);
    ck_assert_ptr_nonnull(strstr(error.message, model_kind_name(kind)));
    if (kind == MODEL_RL2)
        peer_refused(&life.caller, look(0, 1, 0), WIRE_UNSUPPORTED, "weights");
    size_t L = life.model->encoder.latent;
    struct wire_envelope reply = peer_ask(&life.caller, look(1, L > 0, 0));
    ck_assert_int_eq(reply.kind, WIRE_BELIEF);
    ck_assert_uint_eq(reply.belief.count, 12);
    ck_assert_uint_eq(reply.belief.head_count, 1);
    const struct wire_head *head = &reply.belief.heads[0];
    ck_assert_str_eq(head->name, L ? "latent" : "state");
    ck_assert_uint_eq(head->mean.count, L);
    double mean[FACTORS_LATENT_LIMIT], variance[FACTORS_LATENT_LIMIT];
    ck_assert_int_eq(agent_latent(life.model, life.scratch, &life.expected, mean, variance) == 0, L > 0);
    for (size_t i = 0; i < L; i++) {
        ck_assert_double_eq(head->mean.values[i], mean[i]);
        ck_assert_double_eq(head->variance.values[i], variance[i]);
    }
    void *memory;
    struct agent_belief back = sample_belief(life.model, &memory);
    ck_assert_int_eq(agent_belief_decode(&back, 0, head->sums.bytes, head->sums.size, 12), 0);
    ck_assert(digest_equal(agent_belief_digest(&back), agent_belief_digest(&life.expected)));
    free(memory);
    end();
}
END_TEST

START_TEST(a_saved_session_goes_on_at_another_daemon_and_no_damaged_one_does)
{
    begin(_i);
    live(15);
    struct world there;
    world_init_of(&there, kind);
    world_start(&there);
    struct caller other = peer_connect(there.server);
    struct wire_envelope save = {.kind = WIRE_SAVE, .save.session = "robot"};
    struct wire_session_state state = peer_ask(&life.caller, save).session_state;
    ck_assert_uint_gt(state.sums[0].size, 0);
    ck_assert_uint_eq(state.sums[1].size, 0);
    uint8_t damaged[8192];
    ck_assert_uint_le(state.sums[0].size, sizeof damaged);
    for (size_t at = 4; at < state.sums[0].size; at += 11) {
        memcpy(damaged, state.sums[0].bytes, state.sums[0].size);
        damaged[at] ^= 0x10;
        struct wire_session_state bad = state;
        struct wire_bytes sums[2] = {{damaged, state.sums[0].size}, {NULL, 0}};
        bad.sums = sums;
        peer_refused(&other, (struct wire_envelope){.kind = WIRE_RESTORE, .restore = {&bad}}, WIRE_INVALID,
                     "state.sums");
    }
    struct wire_envelope opened = peer_ask(&other, (struct wire_envelope){.kind = WIRE_RESTORE, .restore = {&state}});
    ck_assert_int_eq(opened.kind, WIRE_OPENED);
    life_check(&life, opened.opened.digest);
    life_leave(&life);
    world_kill(&world);
    life.world = &there;
    life.caller = other;
    life_open(&life);
    life_step(&life);
    life_forget_caller(&life);
    world_restart(&there);        // what was restored is in that one's log
    life_open(&life);
    live(4);
    life_leave(&life);
    life.world = &world;
    world_start(&world);
    world_release(&there);
    end();
}
END_TEST

START_TEST(a_session_that_was_spilled_comes_back)
{
    begin(_i);
    live(20);
    life_durable(&life);
    life_leave(&life);
    world_spill(&world);
    ck_assert_int_eq(life_open(&life).resumed, 1);
    live(5);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("served kinds");
    SUITE_TEST_EACH(suite, every_step_has_the_belief_and_the_action_of_the_agents_own_functions, 3);
    SUITE_TEST_EACH(suite, a_daemon_that_died_knows_what_it_knew_from_states_and_transitions, 3);
    SUITE_TEST_EACH(suite, what_comes_late_or_from_another_writer_is_logged_and_not_absorbed, 3);
    SUITE_TEST_EACH(suite, an_observe_is_taken_by_numbers_whatever_its_order, 3);
    SUITE_TEST_EACH(suite, what_only_a_posterior_can_answer_is_said_to_be_unsupported, 3);
    SUITE_TEST_EACH(suite, a_saved_session_goes_on_at_another_daemon_and_no_damaged_one_does, 3);
    SUITE_TEST_EACH(suite, a_session_that_was_spilled_comes_back, 3);
    return suite_finish(suite);
}
