#pragma once
// A client and a peer to talk to: a connection with the session "robot", and the truth about what that robot did.

#include "client/bel.h"
#include "peer.h"

extern struct peer *peer;
extern struct bel *bel;
extern struct bel_session *robot;

// What the robot did so far, summed as the peer sums it.
struct truth {
    uint64_t seq, count, digest;
};
extern struct truth truth;

void begin(uint32_t max_in_flight, uint32_t deadline_ms);
void begin_with(uint32_t max_in_flight, const struct bel_options *options);
void finish(void);

const float *observation(uint64_t seq);  // (PEER_OBSERVATION)

// The robot's next first observation, and its next step, told in full. An action that comes back must be the one
// for this very observation.
int act(float *action);
int step(float *action, struct bel_report *report);

// The peer's book of the robot, and what the client thinks of it, are the truth.
void books_agree(void);

// Opens "robot-0" .. and acts in all, in one call: what bel_step_many can go on with.
void act_many(struct bel_step *steps, float (*actions)[PEER_ACTION], size_t count);

int64_t now_ms(void);

#define ck_ok(call)                                                                                       \
    do {                                                                                                  \
        int ok_result = (call);                                                                           \
        ck_assert_msg(ok_result == 0, "%s is %s: %s", #call, bel_result_name(ok_result), bel_error(bel)); \
    } while (0)
