// Transitions that come beside the steps: late, twice, in any order, from several writers, or not good.
#include "fixture.h"

#include <math.h>
#include <stdio.h>

#include "tests/support/suite.h"

// Transitions of a robot, in the order given, as one Observe.
static struct wire_envelope observing(const struct robot *whose, uint32_t writer, const uint64_t *seqs,
                                      size_t count)
{
    static struct wire_transition transitions[64];
    static struct robot copies[64];
    for (size_t i = 0; i < count; i++) {
        copies[i] = *whose;
        robot_live(&copies[i], seqs[i]);
        transitions[i] = (struct wire_transition){
            .seq = seqs[i], .observation = {copies[i].observation, model->observation_dim},
            .action = {copies[i].action, model->action_dim}, .reward = copies[i].reward,
            .next_observation = {copies[i].next, model->observation_dim}};
    }
    return (struct wire_envelope){
        .kind = WIRE_OBSERVE,
        .observe = {.handle = handle, .writer = writer, .transitions = transitions, .transition_count = count}};
}

START_TEST(any_order_and_any_repetition_give_one_belief)
{
    expect_observed(&robot, 1, 40);
    struct random_stream stream = random_stream(2, 0, 0, 0);
    for (int trial = 0; trial < 5; trial++) {
        char name[8];
        snprintf(name, sizeof name, "t%d", trial);
        handle = peer_open(&peer, name, "").handle;
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
                reply = peer_ask(&peer, observing(&robot, 3, seqs, 8));
                ck_assert_int_eq(reply.kind, WIRE_OBSERVED);
                ck_assert_uint_eq(reply.observed.status_count, 8);
                for (size_t i = 0; i < 8; i++) {
                    ck_assert_int_eq(reply.observed.status[i],
                                     again ? WIRE_STATUS_DUPLICATE : WIRE_STATUS_ABSORBED);
                    absorbed += !again;
                }
            }
        }
        ck_assert_uint_eq(reply.observed.count, absorbed);
        check_digest(reply.observed.digest);
    }
}
END_TEST

START_TEST(writers_are_told_apart_by_their_numbers)
{
    struct robot other = robot_of(11);
    expect_observed(&robot, 1, 3);
    expect_observed(&other, 1, 3);
    const uint64_t seqs[] = {1, 2, 3};
    peer_ask(&peer, observing(&robot, 1, seqs, 3));
    struct wire_envelope reply = peer_ask(&peer, observing(&other, 2, seqs, 3));
    ck_assert_uint_eq(reply.observed.count, 6);
    check_digest(reply.observed.digest);
}
END_TEST

// A robot that was away sends what it saw, then goes on stepping.
START_TEST(transitions_made_while_away_come_before_the_next_act)
{
    live(5);
    const uint64_t seqs[] = {7, 6, 8, 5};
    struct wire_envelope reply = peer_ask(&peer, observing(&robot, 0, seqs, 4));
    ck_assert_int_eq(reply.observed.status[0], WIRE_STATUS_ABSORBED);
    ck_assert_int_eq(reply.observed.status[3], WIRE_STATUS_DUPLICATE);
    // Steps have been overtaken; an Act tells where the robot is now.
    ask_step(6, WIRE_STATUS_DUPLICATE);
    peer_refused(&peer, robot_step(&robot, handle, 9), WIRE_OUT_OF_STEP, "seq");
    peer_refused(&peer, robot_act(&robot, handle, 8), WIRE_OUT_OF_STEP, "seq");
    ask_act(9);
    expect_observed(&robot, 2, 8);
    expect_observed(&robot, 10, 10);
    check_digest(ask_step(10, WIRE_STATUS_ABSORBED).digest);
}
END_TEST

START_TEST(a_target_out_of_range_is_told_and_not_absorbed)
{
    expect_observed(&robot, 3, 3);
    ask_act(1);
    struct wire_envelope step = robot_step(&robot, handle, 2);
    step.step.reward = 1e6f;
    struct wire_envelope reply = peer_ask(&peer, step);
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_OUT_OF_RANGE);
    ck_assert_uint_eq(reply.action.count, 0);
    ck_assert_uint_eq(reply.action.action.count, model->action_dim);
    ck_assert(reply.action.reward_p == 1);
    ask_step(2, WIRE_STATUS_DUPLICATE);
    check_digest(ask_step(3, WIRE_STATUS_ABSORBED).digest);

    const uint64_t seqs[] = {1, 2, 3};
    struct wire_envelope observe = observing(&robot, 1, seqs, 3);
    struct wire_transition *transitions = (struct wire_transition *)observe.observe.transitions;
    transitions[0].reward = -1e6f;
    transitions[1].reward = NAN;
    reply = peer_ask(&peer, observe);
    ck_assert_int_eq(reply.observed.status[0], WIRE_STATUS_OUT_OF_RANGE);
    ck_assert_int_eq(reply.observed.status[1], WIRE_STATUS_NOT_FINITE);
    ck_assert_int_eq(reply.observed.status[2], WIRE_STATUS_ABSORBED);
    expect_observed(&robot, 3, 3);
    check_digest(reply.observed.digest);
}
END_TEST

START_TEST(a_bad_observe_changes_nothing)
{
    struct limits limits = peer_limits;
    limits.writers = 2;
    restart(&limits);
    uint64_t seqs[20] = {1, 2, 3};
    struct wire_envelope observe = observing(&robot, 1, seqs, 3);
    struct wire_transition *transitions = (struct wire_transition *)observe.observe.transitions;
    transitions[2].next_observation.count--;
    peer_refused(&peer, observe, WIRE_INVALID, "transitions[2].next_observation");
    observe = observing(&robot, 1, seqs, 3);
    transitions[1].action.count = 0;
    peer_refused(&peer, observe, WIRE_INVALID, "transitions[1].action");
    observe = observing(&robot, 1, seqs, 3);
    transitions[0].seq = 0;
    peer_refused(&peer, observe, WIRE_INVALID, "transitions[0].seq");
    observe = observing(&robot, 1, seqs, 3);
    observe.observe.task = 2;
    peer_refused(&peer, observe, WIRE_INVALID, "task");
    for (size_t i = 0; i < 20; i++)
        seqs[i] = 2 * i + 1;
    observe = observing(&robot, 1, seqs, peer_limits.gaps + 2);
    ck_assert_uint_eq(peer_refused(&peer, observe, WIRE_LIMIT, "transitions").limit, peer_limits.gaps);
    struct wire_envelope reply = peer_ask(&peer, observing(&robot, 1, seqs, peer_limits.gaps + 1));
    ck_assert_int_eq(reply.kind, WIRE_OBSERVED);
    ck_assert_uint_eq(reply.observed.count, peer_limits.gaps + 1);
    peer_refused(&peer, observing(&robot, 7, seqs, 1), WIRE_LIMIT, "writer");
    static struct wire_transition many[OBSERVE_LIMIT + 1];
    observe.observe = (struct wire_observe){
        .handle = handle, .writer = 1, .transitions = many, .transition_count = OBSERVE_LIMIT + 1};
    peer_refused(&peer, observe, WIRE_LIMIT, "transitions");
    reply = peer_ask(&peer, get_belief(handle));
    ck_assert_uint_eq(reply.belief.count, peer_limits.gaps + 1);
}
END_TEST

// Every episode begins with an Act, whose number no transition has: such numbers must not pile up as gaps.
START_TEST(episodes_without_end_leave_no_gaps)
{
    uint64_t seq = 0;
    for (int episode = 0; episode < 30; episode++) {
        ask_act(++seq);
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
        ask_act(++seq);
        ask_step(++seq, WIRE_STATUS_ABSORBED);
    }
    ck_assert_uint_eq(session->writers[0].seen.count, peer_limits.gaps + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("observe");
    SUITE_TEST_WITH(suite, any_order_and_any_repetition_give_one_belief, set_up, tear_down);
    SUITE_TEST_WITH(suite, writers_are_told_apart_by_their_numbers, set_up, tear_down);
    SUITE_TEST_WITH(suite, transitions_made_while_away_come_before_the_next_act, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_target_out_of_range_is_told_and_not_absorbed, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_bad_observe_changes_nothing, set_up, tear_down);
    SUITE_TEST_WITH(suite, episodes_without_end_leave_no_gaps, set_up, tear_down);
    return suite_finish(suite);
}
