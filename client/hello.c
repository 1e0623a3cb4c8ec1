// A robot's control loop with beliefd, on one page.
//
//     cc hello.c $(pkg-config --cflags --libs belief) -o hello
//     beliefd --listen unix:/run/beliefd.sock --model half-cheetah-vel.safetensors &
//     ./hello unix:/run/beliefd.sock
//
// Replace the two functions below with your robot. Nobody tells the policy which task this is; it finds out.
#include "bel.h"

#include <stdio.h>

enum { DIM_LIMIT = 1024, STEPS = 200, EPISODES = 2 };

// Your robot's sensors.
static void sense(float *observation, uint32_t dim, int step)
{
    for (uint32_t i = 0; i < dim; i++)
        observation[i] = 0.01f * (float)((step + (int)i) % 7);
}

// Moves your robot for one control period and returns how good that was.
static float move(const float *action, uint32_t dim)
{
    float effort = 0;
    for (uint32_t i = 0; i < dim; i++)
        effort += action[i] * action[i];
    return -0.1f * effort;
}

int main(int argc, char **argv)
{
    char why[256];
    struct bel *bel;
    struct bel_options options = {.client = "hello", .deadline_ms = 20};  // the control period
    if (bel_connect(&bel, argc > 1 ? argv[1] : "unix:/run/beliefd.sock", &options, why, sizeof why)) {
        fprintf(stderr, "hello: %s\n", why);
        return 1;
    }
    struct bel_session *session;
    int result = bel_open(bel, &(struct bel_open){.id = "hello"}, &session);
    const struct bel_model *model = result ? NULL : bel_session_model(session);
    float observation[DIM_LIMIT], action[DIM_LIMIT] = {0};
    struct bel_report report = {0};

    for (int episode = 0; !result && episode < EPISODES && model->observation_dim <= DIM_LIMIT; episode++) {
        sense(observation, model->observation_dim, 0);
        result = bel_act(session, observation, action, &report);
        for (int step = 1; !result && step <= STEPS; step++) {
            float reward = move(action, model->action_dim);
            sense(observation, model->observation_dim, step);
            if (step < STEPS)
                result = bel_step(session, action, reward, observation, action, &report);
            else
                result = bel_step_last(session, action, reward, observation, &report);
            if (result == BEL_TIMEOUT || result == BEL_DISCONNECTED)
                result = 0;  // no advice in time: hold the action; what happened is told with the next step
        }
        printf("episode %d: %llu transitions in the belief, the last reward had p = %.3f, round trip %.0f us\n",
               episode + 1, (unsigned long long)report.count, report.reward_p, report.round_trip_us);
    }
    if (result)
        fprintf(stderr, "hello: %s\n", bel_error(bel));
    bel_disconnect(bel);  // the session stays for the daemon's idle time; bel_open resumes it
    return result != 0;
}
