// Sessions of an oracle: the client tells the task, the daemon keeps it like everything else, through a crash, a spill and
// a move; and nobody else is told one.
#include "world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

static const float tasks[][2] = {{0.5f, -1.25f}, {-2, 0.75f}, {3, 4}, {1, 1}};

static struct world world;
static struct life life;

static struct wire_floats task(int i) { return (struct wire_floats){tasks[i], 2}; }

static struct wire_envelope opening(const char *name, struct wire_floats told)
{
    return (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = name, .model = "small", .told_task = told}};
}

static struct wire_envelope next_task(struct wire_floats told)
{
    return (struct wire_envelope){.kind = WIRE_RESET, .reset = {
        .handle = life.handle, .scope = WIRE_TASK, .task = life.task, .told_task = told}};
}

static void open_told(struct wire_floats told)
{
    if (!life.caller.server)
        life.caller = peer_connect(world.server);
    struct wire_envelope reply = peer_ask(&life.caller, opening("robot", told));
    ck_assert_int_eq(reply.kind, WIRE_OPENED);
    life.handle = reply.opened.handle;
    life.epoch = reply.opened.epoch;
    ck_assert_uint_eq(reply.opened.task, life.task);
}

static void begin(void)
{
    world_init_of(&world, MODEL_ORACLE);
    world_start(&world);
    life_begin(&life, &world, "robot", 7);
    ck_assert_uint_eq(life.model->task_dim, 2);
    open_told(task(0));
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
    life.caller = peer_connect(world.server);
}

static void check_action(struct wire_action told, const float *observation, const float *of)
{
    float action[16];
    struct action_item item = {.belief = &life.expected, .observation = observation, .task = of, .action = action};
    agent_act(life.model, life.scratch, &item, 1);
    ck_assert_int_eq(item.error, 0);
    ck_assert_uint_eq(told.action.count, life.model->action_dim);
    ck_assert_mem_eq(told.action.values, action, told.action.count * sizeof *action);
}

// An episode, each action that of an oracle which knows task i.
static void live_in(int i, int steps)
{
    struct wire_envelope reply = peer_ask(&life.caller, robot_act(&life.robot, life.handle, ++life.seq));
    ck_assert_int_eq(reply.kind, WIRE_ACTION);
    check_action(reply.action, life.robot.next, tasks[i]);
    for (int step = 0; step < steps; step++)
        check_action(life_step(&life), life.robot.next, tasks[i]);
    check_action(life_step_as(&life, life.seq, WIRE_STATUS_DUPLICATE), life.robot.next, tasks[i]);
}

// What operators are told.
static void check_listed(enum wire_place place, int i)
{
    static const struct peer who = {.text = "operator", .identity = {.role = WIRE_ROLE_ADMIN}, .is_control = 1};
    struct caller operator = peer_connect_as(world.server, &who);
    for (int alone = 0; alone < 2; alone++) {
        struct wire_envelope reply = peer_ask(&operator, (struct wire_envelope){
            .kind = WIRE_LIST_SESSIONS, .list_sessions.session = alone ? "robot" : ""});
        ck_assert_int_eq(reply.kind, WIRE_SESSION_LIST);
        ck_assert_uint_eq(reply.session_list.session_count, 1);
        const struct wire_session_info *info = &reply.session_list.sessions[0];
        ck_assert_int_eq(info->place, place);
        ck_assert_uint_eq(info->told_task.count, 2);
        ck_assert_mem_eq(info->told_task.values, tasks[i], sizeof tasks[i]);
    }
    peer_free(&operator);
}

START_TEST(an_oracle_acts_by_the_task_that_it_was_told_and_by_the_next_one_when_that_begins)
{
    begin();
    live_in(0, 6);
    ck_assert_int_eq(peer_ask(&life.caller, next_task(task(1))).kind, WIRE_DONE);
    // The same again, should its answer have been lost: it is over already, and says nothing of the one that began.
    ck_assert_int_eq(peer_ask(&life.caller, next_task(task(2))).kind, WIRE_DONE);
    life.task++;
    live_in(1, 6);
    open_told((struct wire_floats){NULL, 0});
    live_in(1, 3);
    open_told(task(3));           // the latest Open decides
    live_in(3, 3);
    check_listed(WIRE_LIVE, 3);
    end();
}
END_TEST

START_TEST(robots_in_one_pass_act_each_by_its_own_task)
{
    begin();
    struct robot robots[4];
    uint32_t handles[4];
    for (int i = 0; i < 4; i++) {
        const char *names[] = {"a", "b", "c", "d"};
        robots[i] = (struct robot){.model = life.model, .seed = 30};  // all see the same
        handles[i] = peer_ask(&life.caller, opening(names[i], task(i))).opened.handle;
    }
    for (int i = 0; i < 4; i++)
        peer_send(&life.caller, robot_act(&robots[i], handles[i], 1));
    peer_turn(world.server, (struct caller *[]){&life.caller}, 1);
    for (int i = 0; i < 4; i++)
        check_action(peer_answer(&life.caller, WIRE_ACTION).action, robots[i].next, tasks[i]);
    end();
}
END_TEST

START_TEST(a_task_that_cannot_be_is_refused_and_changes_nothing)
{
    begin();
    const float bad[] = {1, INFINITY, NAN};
    struct wire_floats none = {NULL, 0}, not_finite = {bad, 2}, too_few = {tasks[1], 1}, too_many = {tasks[1], 3};
    live_in(0, 2);
    struct wire_error error = peer_refused(&life.caller, opening("another", none), WIRE_INVALID, "told_task");
    ck_assert_uint_eq(error.limit, 2);
    ck_assert_msg(strstr(error.message, "must be told the task, 2 numbers") != NULL, "%s", error.message);
    struct wire_floats wrong[] = {not_finite, {bad + 1, 2}, too_few, too_many};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        error = peer_refused(&life.caller, opening(i % 2 ? "robot" : "another", wrong[i]), WIRE_INVALID, "told_task");
        ck_assert_uint_eq(error.limit, i < 2 ? 0 : 2);
        peer_refused(&life.caller, next_task(wrong[i]), WIRE_INVALID, "told_task");
    }
    peer_refused(&life.caller, next_task(none), WIRE_INVALID, "told_task");
    struct wire_envelope episode = next_task(task(1));
    episode.reset.scope = WIRE_EPISODE;
    peer_refused(&life.caller, episode, WIRE_INVALID, "told_task");
    ck_assert_uint_eq(world.server->sessions.count, 1);
    struct wire_action told = life_step(&life);  // where it was, in the task that it was in
    ck_assert_uint_eq(told.task, 1);
    check_action(told, life.robot.next, tasks[0]);
    end();
}
END_TEST

START_TEST(a_model_that_reads_no_task_is_told_none)
{
    static const enum model_kind kinds[] = {MODEL_GLIBRL, MODEL_PEARL, MODEL_NONE};
    world_init_of(&world, kinds[_i]);
    world_start(&world);
    life_begin(&life, &world, "robot", 7);
    life.caller = peer_connect(world.server);
    struct wire_error error = peer_refused(&life.caller, opening("robot", task(0)), WIRE_UNSUPPORTED, "told_task");
    ck_assert_msg(strstr(error.message, "unsupported by this model kind: ") == error.message, "%s", error.message);
    ck_assert_ptr_nonnull(strstr(error.message, model_kind_name(kinds[_i])));
    life_open(&life);
    peer_refused(&life.caller, opening("robot", task(0)), WIRE_UNSUPPORTED, "told_task");
    peer_refused(&life.caller, next_task(task(1)), WIRE_UNSUPPORTED, "told_task");
    life_reset(&life);
    end();
}
END_TEST

START_TEST(a_daemon_that_died_knows_the_task)
{
    begin();
    live_in(0, 5);
    die_and_come_back();          // from its row and transitions
    open_told((struct wire_floats){NULL, 0});
    live_in(0, 5);
    ck_assert_int_eq(peer_ask(&life.caller, next_task(task(1))).kind, WIRE_DONE);
    life.task++;
    live_in(1, 5);
    server_snapshot(world.server, 0, 10);
    life_durable(&life);
    ck_assert_int_eq(peer_ask(&life.caller, next_task(task(2))).kind, WIRE_DONE);
    life.task++;
    die_and_come_back();          // from a state that is older than the task
    open_told((struct wire_floats){NULL, 0});
    live_in(2, 5);
    end();
}
END_TEST

START_TEST(a_session_that_was_spilled_comes_back_with_its_task)
{
    begin();
    live_in(0, 5);
    life_durable(&life);
    life_leave(&life);
    world_spill(&world);
    check_listed(WIRE_SPILLED, 0);
    open_told((struct wire_floats){NULL, 0});
    live_in(0, 3);
    end();
}
END_TEST

START_TEST(a_session_takes_its_task_along_to_another_daemon)
{
    begin();
    live_in(0, 5);
    struct world there;
    world_init_of(&there, MODEL_ORACLE);
    world_start(&there);
    struct caller other = peer_connect(there.server);
    struct wire_session_state state =
        peer_ask(&life.caller, (struct wire_envelope){.kind = WIRE_SAVE, .save.session = "robot"}).session_state;
    struct wire_session_state bad = state;
    static const float broken[] = {1, NAN};
    const struct wire_floats wrong[] = {{NULL, 0}, {tasks[0], 1}, {tasks[0], 3}, {broken, 2}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bad.told_task = wrong[i];
        peer_refused(&other, (struct wire_envelope){.kind = WIRE_RESTORE, .restore = {&bad}}, WIRE_INVALID,
                     "state.told_task");
    }
    struct wire_envelope opened = peer_ask(&other, (struct wire_envelope){.kind = WIRE_RESTORE, .restore = {&state}});
    ck_assert_int_eq(opened.kind, WIRE_OPENED);
    life_leave(&life);
    world_kill(&world);
    world_release(&world);
    world = there;                // life.world is this one
    life.caller = other;
    open_told((struct wire_floats){NULL, 0});
    live_in(0, 3);
    die_and_come_back();
    open_told((struct wire_floats){NULL, 0});
    live_in(0, 3);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("served oracle");
    SUITE_TEST(suite, an_oracle_acts_by_the_task_that_it_was_told_and_by_the_next_one_when_that_begins);
    SUITE_TEST(suite, robots_in_one_pass_act_each_by_its_own_task);
    SUITE_TEST(suite, a_task_that_cannot_be_is_refused_and_changes_nothing);
    SUITE_TEST_EACH(suite, a_model_that_reads_no_task_is_told_none, 3);
    SUITE_TEST(suite, a_daemon_that_died_knows_the_task);
    SUITE_TEST(suite, a_session_that_was_spilled_comes_back_with_its_task);
    SUITE_TEST(suite, a_session_takes_its_task_along_to_another_daemon);
    return suite_finish(suite);
}
