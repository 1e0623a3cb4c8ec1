#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/support/suite.h"

struct peer *peer;
struct bel *bel;
struct bel_session *robot;
struct truth truth;

void begin(uint32_t max_in_flight, uint32_t deadline_ms)
{
    begin_with(max_in_flight, &(struct bel_options){.deadline_ms = deadline_ms});
}

void begin_with(uint32_t max_in_flight, const struct bel_options *options)
{
    char why[256] = "";
    peer = peer_start(max_in_flight);
    ck_assert_msg(bel_connect(&bel, peer_address(peer), options, why, sizeof why) == 0, "%s", why);
    ck_assert_msg(bel_open(bel, &(struct bel_open){.id = "robot"}, &robot) == 0, "%s", bel_error(bel));
    memset(&truth, 0, sizeof truth);
}

void finish(void)
{
    bel_disconnect(bel);
    peer_stop(peer);
}

const float *observation(uint64_t seq)
{
    static float values[PEER_OBSERVATION];
    for (int i = 0; i < PEER_OBSERVATION; i++)
        values[i] = (float)seq + 0.25f * (float)i;
    return values;
}

int act(float *action)
{
    truth.seq++;
    int result = bel_act(robot, observation(truth.seq), action, NULL);
    if (result == 0)
        ck_assert_float_eq(action[0], peer_action(truth.seq));
    return result;
}

int step(float *action, struct bel_report *report)
{
    float executed[PEER_ACTION] = {action[0], action[1], (float)truth.seq};
    uint64_t seq = truth.seq + 1;
    float reward = -0.5f * (float)seq;
    int result = bel_step(robot, executed, reward, observation(seq), action, report);
    if (result == 0)
        ck_assert_float_eq(action[0], peer_action(seq));
    if (result == 0 || result == BEL_TIMEOUT || result == BEL_DISCONNECTED || result == BEL_DRAINING ||
        result == BEL_PROTOCOL || result == BEL_DENIED || result == BEL_BUSY || result == BEL_RATE ||
        result == BEL_MOVED) {  // told or kept
        truth.seq = seq;
        truth.count++;
        truth.digest += peer_term(seq, executed, reward, observation(seq));
    }
    return result;
}

void books_agree(void)
{
    struct peer_book book = peer_book(peer, "robot");
    ck_assert_uint_eq(book.count, truth.count);
    ck_assert_uint_eq(book.digest, truth.digest);
    ck_assert_uint_eq(bel_session_count(robot), truth.count);
}

void act_many(struct bel_step *steps, float (*actions)[PEER_ACTION], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "robot-%zu", i);
        steps[i] = (struct bel_step){.observation = observation(1), .action = actions[i]};
        ck_ok(bel_open(bel, &(struct bel_open){.id = id}, &steps[i].session));
    }
    ck_ok(bel_act_many(bel, steps, count));
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
