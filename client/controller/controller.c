// The control loop of a robot: copy this page.
//
//     each tick   read what the robot sensed        robot_read
//                 tell the daemon, get advice       bel_act, bel_step, bel_step_last
//                 command the robot                 robot_command
//
// Three things make it a loop for a real robot:
//   - The tick has a deadline. The advice is here until then, or the declared fallback is done; a reply that comes
//     later is thrown away by the library, never taken for the next one's.
//   - What is told is what the robot did: the command that it executed, with fallbacks and held commands, not the one
//     that was advised. So the belief is about the robot.
//   - Every transition is told, though the daemon may be gone for a while, restarted, killed or moved in the middle of
//     an episode: the library keeps what the daemon has not got on its disk and sends it when it is back.
#include "controller.h"

#include "client/kinds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_US = 100 };              // what a call gets, even if the deadline is over
enum { GOODBYE_MS = 30000 };          // for the end, when nobody waits for advice

struct controller {
    const struct controller_options *options;
    struct outcome *out;
    struct bel *bel;
    struct bel_session *session;
    struct robot *robot;
    struct robot_state state;         // the newest
    float *advice;                    // the last  (act)
    int64_t out_since;                // advice is missing since then; 0: it is not
    uint64_t links;                   // reconnects and moves until then
    uint64_t before;                  // transitions in the belief when it began
    double return_now;                // of the episode so far
    uint64_t durable_seq;
};

static int fail(struct controller *c, int result, const char *sentence)
{
    snprintf(c->out->why, sizeof c->out->why, "%s", sentence);
    return result;
}

// ---- One state of the robot -----------------------------------------------------------------------------------

// Is the transition told, or at least kept by the library, which will tell it?
static int is_kept(int result)
{
    switch (result) {
    case 0: case BEL_TIMEOUT: case BEL_DISCONNECTED: case BEL_DRAINING: case BEL_BUSY: case BEL_RATE:
    case BEL_PROTOCOL:
        return 1;
    default:
        return 0;
    }
}

// Tells the daemon of a state. 0: there is advice; BEL_TIMEOUT and the like: not in time; another one: give up.
static int tell(struct controller *c)
{
    const struct robot_state *s = &c->state;
    struct bel_report report;
    int result;
    if (s->first)
        result = bel_act(c->session, s->observation, c->advice, &report);
    else if (s->last)
        result = bel_step_last(c->session, s->executed, s->reward, s->observation, &report);
    else
        result = bel_step(c->session, s->executed, s->reward, s->observation, c->advice, &report);
    if (result == 0)
        c->durable_seq = report.durable_seq;
    if (!is_kept(result))
        return result;

    if (s->first) {
        c->return_now = 0;
        return result;
    }
    c->out->reported++;
    c->return_now += s->reward;
    if (s->last) {
        c->out->episodes++;
        c->out->return_sum += c->return_now;
    }
    return result;
}

// ---- One tick -------------------------------------------------------------------------------------------------

// An outage is a time without advice in which the link was lost: the daemon was restarted, or the session moved.
static void note_outage(struct controller *c, int64_t due, int advised)
{
    if (!advised && !c->out_since)
        c->out_since = due;
    if (!advised || !c->out_since)
        return;
    struct bel_counters counters = bel_counters(c->bel);
    if (counters.reconnects + counters.moves > c->links) {
        double ms = (double)(due - c->out_since) / 1e6;
        c->out->longest_outage_ms = ms > c->out->longest_outage_ms ? ms : c->out->longest_outage_ms;
        c->out->resumed++;
        c->links = counters.reconnects + counters.moves;
    }
    c->out_since = 0;
}

static void fall_back(struct controller *c)
{
    c->out->fallbacks++;
    if (c->options->fallback == FALLBACK_HOLD)
        return;
    if (c->options->fallback == FALLBACK_ZERO)
        memset(c->advice, 0, bel_session_model(c->session)->action_dim * sizeof *c->advice);
    robot_command(c->robot, c->advice);
}

// Mostly the robot has sensed once since the last tick; after a pause of ours more often, and each of them
// counts.
static int tick(struct controller *c, int64_t due)
{
    int64_t deadline = due + (int64_t)(c->options->deadline_us * 1e3);
    int result = BEL_TIMEOUT, news = 0, more;
    while ((more = robot_read(c->robot, &c->state)) == 1) {
        news = 1;
        c->out->transitions += !c->state.first;
        int64_t left_us = (deadline - ticker_now()) / 1000;
        bel_set_deadline_us(c->bel, left_us > LEAST_US ? (uint32_t)left_us : LEAST_US);
        result = tell(c);
        if (!is_kept(result))
            return fail(c, result, bel_error(c->bel));
    }
    if (more < 0)
        return fail(c, more, more == -ECHILD ? "the robot's process has ended" : "the robot was read too late");
    if (!news)
        return 0;
    int advised = result == 0 && ticker_now() <= deadline;
    note_outage(c, due, advised);
    c->out->missed += !advised;
    if (!advised)
        fall_back(c);
    else if (!c->state.last) {
        robot_command(c->robot, c->advice);
        samples_add(&c->out->reaction, (double)(ticker_now() - c->state.sensed) / 1e3);
    }
    return 0;
}

// ---- The end --------------------------------------------------------------------------------------------------

// What the robot did until it stood still, and what the daemon has of it.
static int settle(struct controller *c)
{
    struct outcome *out = c->out;
    int result = 0, more;
    bel_set_deadline(c->bel, GOODBYE_MS);
    while ((more = robot_read(c->robot, &c->state)) == 1 && is_kept(result)) {
        out->transitions += !c->state.first;
        result = tell(c);
    }
    struct bel_belief belief = {0};
    if (is_kept(result))
        result = bel_sync(c->bel);
    if (!result)
        result = bel_get_belief(c->session, &belief);
    if (result)
        return fail(c, result, bel_error(c->bel));
    note_outage(c, ticker_now(), 1);
    struct bel_counters counters = bel_counters(c->bel);
    out->logged = c->durable_seq > 0;
    out->refused = counters.refused;
    out->absorbed = kind_believes(bel_session_model(c->session))
                        ? belief.count - c->before
                        : out->reported - counters.refused - counters.kept_undurable;  // as it was answered
    out->durable = out->logged ? out->reported - counters.kept : 0;
    out->lost = out->transitions - out->absorbed - out->refused;
    return 0;
}

int controller_run(struct outcome *out, const struct controller_options *options, struct bel *bel,
                   struct bel_session *session, struct robot *robot)
{
    const struct bel_model *model = bel_session_model(session);
    size_t obs = model->observation_dim, act = model->action_dim;
    size_t ticks = (size_t)(options->rate * options->seconds);
    struct controller c = {.options = options, .out = out, .bel = bel, .session = session, .robot = robot,
                           .before = bel_session_count(session)};
    int64_t period = (int64_t)(1e9 / options->rate), begin = ticker_now() + 2 * period;
    *out = (struct outcome){0};
    float *memory = calloc(obs + 2 * act, sizeof *memory);
    if (!memory || ticker_start(&out->ticker, options->rate, ticks, begin + period / 2) ||
        samples_init(&out->reaction, ticks)) {
        free(memory);
        return fail(&c, BEL_NO_MEMORY, "no memory for a controller");
    }
    c.state.observation = memory;
    c.state.executed = memory + obs;
    c.advice = c.state.executed + act;

    robot_begin(robot, begin);
    int result = 0;
    for (; !result && out->ticks < ticks && !*options->stop; out->ticks++)
        result = tick(&c, ticker_wait(&out->ticker));
    robot_halt(robot);
    if (!result)
        result = settle(&c);
    samples_sort(&out->ticker.late);
    samples_sort(&out->reaction);
    free(memory);
    return result;
}

void outcome_release(struct outcome *outcome)
{
    ticker_release(&outcome->ticker);
    samples_release(&outcome->reaction);
}
