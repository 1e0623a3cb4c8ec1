// The life of a session: opened, left, taken over, reset, looked into, forgotten.
#include "fixture.h"

#include <math.h>
#include <stdlib.h>

#include "tests/support/suite.h"

START_TEST(a_session_begins_with_the_prior_of_the_first_model)
{
    struct wire_opened opened = peer_open(&peer, "new", "");
    ck_assert_uint_eq(opened.epoch, 1);
    ck_assert_int_eq(opened.resumed, 0);
    ck_assert_uint_eq(opened.task, 1);
    ck_assert_uint_eq(opened.seq, 0);
    ck_assert_uint_eq(opened.count, 0);
    check_digest(opened.digest);
    ck_assert_str_eq(opened.model->name, "small");
}
END_TEST

START_TEST(a_session_waits_for_its_client)
{
    live(5);
    peer_free(&peer);
    peer = peer_connect(server);
    struct wire_opened opened = peer_open(&peer, "robot", "");
    ck_assert_int_eq(opened.resumed, 1);
    ck_assert_uint_eq(opened.epoch, 2);
    ck_assert_uint_eq(opened.seq, 5);
    ck_assert_uint_eq(opened.count, 4);
    expect_observed(&robot, 2, 5);
    check_digest(opened.digest);
    handle = opened.handle;
    // The reply to the last Step was lost, perhaps: it may be asked for again, and life goes on.
    ck_assert_uint_eq(ask_step(5, WIRE_STATUS_DUPLICATE).action.count, model->action_dim);
    for (uint64_t seq = 6; seq < 9; seq++)
        ask_step(seq, WIRE_STATUS_ABSORBED);
    expect_observed(&robot, 6, 9);
    check_digest(ask_step(9, WIRE_STATUS_ABSORBED).digest);
    // Closed and opened again: the same; forgotten: a new one.
    ck_assert_int_eq(peer_ask(&peer, closing(handle, 0)).kind, WIRE_DONE);
    peer_refused(&peer, robot_step(&robot, handle, 10), WIRE_UNKNOWN_SESSION, "handle");
    opened = peer_open(&peer, "robot", "");
    ck_assert_uint_eq(opened.count, 8);
    ck_assert_uint_ne(opened.handle, handle);
    ck_assert_int_eq(peer_ask(&peer, closing(opened.handle, 1)).kind, WIRE_DONE);
    opened = peer_open(&peer, "robot", "other");
    ck_assert_int_eq(opened.resumed, 0);
    ck_assert_uint_eq(opened.count, 0);
}
END_TEST

START_TEST(a_newer_open_fences_the_older_client)
{
    struct caller new = peer_connect(server);
    uint32_t other = peer_open(&peer, "bystander", "").handle;
    live(5);
    // A Step of the old client in the very turn of the Open is still done, and before it.
    peer_send(&peer, robot_step(&robot, handle, 6));
    peer_send(&new, opening("robot", "", 0));
    peer_turn(server, (struct caller *[]){&peer, &new}, 2);
    peer_answer(&peer, WIRE_ACTION);
    struct wire_opened opened = peer_answer(&new, WIRE_OPENED).opened;
    ck_assert_uint_eq(opened.seq, 6);
    ck_assert_uint_eq(opened.epoch, 2);
    peer_refused(&peer, robot_step(&robot, handle, 7), WIRE_FENCED, "handle");
    peer_refused(&peer, robot_act(&robot, handle, 7), WIRE_FENCED, "handle");
    peer_refused(&peer, get_belief(handle), WIRE_FENCED, "handle");
    peer_refused(&peer, reset(handle, WIRE_TASK, 1), WIRE_FENCED, "handle");
    peer_refused(&peer, closing(handle, 1), WIRE_FENCED, "handle");
    ck_assert_int_eq(peer_ask(&peer, robot_act(&robot, other, 1)).kind, WIRE_ACTION);
    struct caller old = peer;
    peer = new;
    handle = opened.handle;
    ask_step(7, WIRE_STATUS_ABSORBED);
    // Its going away takes nothing from the new one. Who holds a session may open it again.
    peer_free(&old);
    ask_step(8, WIRE_STATUS_ABSORBED);
    opened = peer_open(&peer, "robot", "");
    ck_assert_uint_eq(opened.epoch, 3);
    ck_assert_uint_eq(opened.handle, handle);
    ask_step(9, WIRE_STATUS_ABSORBED);
}
END_TEST

START_TEST(what_cannot_be_opened_is_refused)
{
    struct limits limits = peer_limits;
    limits.sessions = 3;
    restart(&limits);
    static const char *const bad_names[] = {
        "", "a b", "a/b", "\xc3\xa9", "0123456789012345678901234567890123456789012345678901234567890123x"};
    for (size_t i = 0; i < sizeof bad_names / sizeof *bad_names; i++)
        peer_refused(&peer, opening(bad_names[i], "", 0), WIRE_INVALID, "session");
    peer_refused(&peer, opening("a", "nothing", 0), WIRE_UNKNOWN_MODEL, "model");
    peer_open(&peer, "0123456789012345678901234567890123456789012345678901234567890123", "other");
    peer_open(&peer, "A.b_c:d-e", "small");
    peer_refused(&peer, opening("A.b_c:d-e", "other", 0), WIRE_INVALID, "model");
    ck_assert_uint_eq(peer_refused(&peer, opening("fourth", "", 0), WIRE_LIMIT, "session").limit, 3);
    static const uint32_t handles[] = {0, 4, 65536 + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++) {
        peer_refused(&peer, robot_step(&robot, handles[i], 1), WIRE_UNKNOWN_SESSION, "handle");
        peer_refused(&peer, get_belief(handles[i]), WIRE_UNKNOWN_SESSION, "handle");
    }
}
END_TEST

START_TEST(tasks_and_episodes_end)
{
    live(5);
    struct wire_envelope reply = peer_ask(&peer, reset(handle, WIRE_EPISODE, 0));
    ck_assert_int_eq(reply.kind, WIRE_DONE);
    ck_assert_uint_eq(reply.done.count, 4);
    expect_observed(&robot, 2, 5);
    check_digest(reply.done.digest);
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
    robot_live(&robot, 1);
    const struct wire_transition old = {
        .seq = 1, .observation = {robot.observation, model->observation_dim},
        .action = {robot.action, model->action_dim}, .reward = robot.reward,
        .next_observation = {robot.next, model->observation_dim}};
    reply = peer_ask(&peer, (struct wire_envelope){
                                .kind = WIRE_OBSERVE,
                                .observe = {.handle = handle, .writer = 1, .task = 1, .transitions = &old,
                                            .transition_count = 1}});
    ck_assert_int_eq(reply.observed.status[0], WIRE_STATUS_OTHER_TASK);
    ck_assert_uint_eq(reply.observed.count, 0);
    struct wire_envelope step = robot_step(&robot, handle, 6);
    step.step.task = 1;
    reply = peer_ask(&peer, step);
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_OTHER_TASK);
    ck_assert_uint_eq(reply.action.count, 0);
    ck_assert_uint_eq(reply.action.action.count, 0);
    // A new life under the old numbers is a duplicate; after them it is new.
    ask_step(4, WIRE_STATUS_DUPLICATE);
    ask_act(6);
    step = robot_step(&robot, handle, 7);
    step.step.task = 2;
    reply = peer_ask(&peer, step);
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_ABSORBED);
    ck_assert_uint_eq(reply.action.task, 2);
    ck_assert_uint_eq(reply.action.count, 1);
}
END_TEST

START_TEST(a_belief_can_be_looked_into)
{
    live(STEPS);
    expect_observed(&robot, 2, STEPS);
    struct wire_envelope reply = peer_ask(&peer, get_belief(handle));
    ck_assert_int_eq(reply.kind, WIRE_BELIEF);
    ck_assert_uint_eq(reply.belief.count, STEPS - 1);
    check_digest(reply.belief.digest);
    ck_assert_uint_eq(reply.belief.head_count, 2);
    for (int h = 0; h < HEAD_COUNT; h++) {
        const struct wire_head *head = &reply.belief.heads[h];
        const struct belief *belief = &expected.heads[h];
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
}
END_TEST

// A damaged belief is not acted upon.
START_TEST(damaged_memory_is_an_internal_error)
{
    live(5);
    struct session *session = session_find(&server->sessions, "robot");
    for (int h = 0; h < HEAD_COUNT; h++)
        session->belief.heads[h].low[0] = (uint64_t)INT64_MIN;
    peer_refused(&peer, robot_step(&robot, handle, 6), WIRE_INTERNAL, "");
    peer_refused(&peer, robot_step(&robot, handle, 6), WIRE_INTERNAL, "");
    peer_refused(&peer, get_belief(handle), WIRE_INTERNAL, "");
    peer_ask(&peer, reset(handle, WIRE_TASK, 1));
    ask_act(7);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sessions");
    SUITE_TEST_WITH(suite, a_session_begins_with_the_prior_of_the_first_model, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_session_waits_for_its_client, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_newer_open_fences_the_older_client, set_up, tear_down);
    SUITE_TEST_WITH(suite, what_cannot_be_opened_is_refused, set_up, tear_down);
    SUITE_TEST_WITH(suite, tasks_and_episodes_end, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_belief_can_be_looked_into, set_up, tear_down);
    SUITE_TEST_WITH(suite, damaged_memory_is_an_internal_error, set_up, tear_down);
    return suite_finish(suite);
}
