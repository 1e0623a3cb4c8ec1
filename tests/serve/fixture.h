#pragma once
// What the tests of the protocol begin with: a server with two models, and one client that holds the session
// "robot" of the first. Beside it, what the session's belief must be, computed by the agent's own functions.

#include "peer.h"

enum { STEPS = 20 };                   // of a life that is long enough

extern struct model *model, *other_model;  // "small" and "other"
extern struct server *server;
extern struct caller peer;
extern struct robot robot;             // the client's
extern uint32_t handle;                // of its session
extern struct agent_belief expected;   // the prior, until expect_observed

void set_up(void);
void tear_down(void);
void restart(const struct limits *limits);  // all of it anew, under other limits

struct robot robot_of(uint64_t seed);  // another one

// Transitions first .. last of a robot are in the expected belief.
void expect_observed(struct robot *whose, uint64_t first, uint64_t last);
void check_digest(struct wire_bytes bytes);                  // is that of the expected belief
void check_action(struct wire_action told, int from_prior);  // is the policy's for the robot's last observation

// The client's Act, and its Step, which must have that status. What is returned points into the reply: valid until
// the next one.
struct wire_action ask_act(uint64_t seq);
struct wire_action ask_step(uint64_t seq, enum wire_status status);
void live(uint64_t last);              // Act as observation 1, then Steps 2 .. last

// Requests. The belief is asked for with everything.
struct wire_envelope opening(const char *session, const char *name, int hold_prior);
struct wire_envelope closing(uint32_t number, int forget);
struct wire_envelope get_belief(uint32_t number);
struct wire_envelope reset(uint32_t number, enum wire_scope scope, uint32_t task);
extern const struct wire_envelope ping;
