// Nothing is lost, nothing is doubled: a daemon dies, spills, moves and fills its disk, and every belief is the sum of
// what was absorbed.
#include "world.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/serve/session_log.h"
#include "tests/support/suite.h"

static struct world world;
static struct life life;

static void set_up(void)
{
    world_init(&world);
    world_start(&world);
    life_begin(&life, &world, "robot", 7);
}

static void tear_down(void)
{
    if (!world.house)
        life_forget_caller(&life);
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

START_TEST(a_daemon_that_died_knows_what_it_knew)
{
    life_open(&life);
    live(50);
    uint64_t epoch = life.epoch;
    die_and_come_back();
    ck_assert_uint_eq(world.server->sessions.count, 0);  // nothing is loaded until somebody asks
    struct wire_opened opened = life_open(&life);
    ck_assert_int_eq(opened.resumed, 1);
    ck_assert_uint_eq(opened.epoch, epoch + 1);
    ck_assert_uint_eq(opened.seq, life.seq);
    ck_assert_uint_eq(opened.count, 50);
    ck_assert_uint_eq(opened.durable_seq, life.seq);
    ck_assert_int_eq(opened.durability, WIRE_DURABILITY_INTERVAL);
    // Retries of the last Step and of an older one are harmless; the same life goes on.
    struct wire_action again = life_step_as(&life, life.seq, WIRE_STATUS_DUPLICATE);
    ck_assert_uint_eq(again.action.count, life.model->action_dim);
    life_check(&life, again.digest);
    life_step_as(&life, life.seq - 10, WIRE_STATUS_DUPLICATE);
    for (int i = 0; i < 20; i++)
        life_step(&life);
}
END_TEST

START_TEST(an_answer_made_afresh_has_the_bits_of_the_first)
{
    life_open(&life);
    live(20);
    struct wire_action told = life_step(&life);
    float action[16];
    memcpy(action, told.action.values, told.action.count * sizeof(float));
    die_and_come_back();
    life_open(&life);
    struct wire_action again = life_step_as(&life, life.seq, WIRE_STATUS_DUPLICATE);
    ck_assert_uint_eq(again.action.count, life.model->action_dim);
    ck_assert_mem_eq(again.action.values, action, again.action.count * sizeof(float));
}
END_TEST

START_TEST(what_was_executed_is_never_guessed)
{
    life_open(&life);
    live(10);
    die_and_come_back();
    life_open(&life);
    struct wire_envelope step = robot_step(&life.robot, life.handle, life.seq + 1);
    step.step.action.count = 0;
    peer_refused(&life.caller, step, WIRE_INVALID, "action");
    life_step(&life);
    // Once an action was told again it stands for itself.
    step = robot_step(&life.robot, life.handle, life.seq + 1);
    step.step.action.count = 0;
    ck_assert_int_eq(peer_ask(&life.caller, step).action.status, WIRE_STATUS_ABSORBED);
}
END_TEST

START_TEST(an_episode_that_ended_has_ended_after_a_restart)
{
    life_open(&life);
    live(5);
    struct wire_envelope last = robot_step(&life.robot, life.handle, ++life.seq);
    last.step.last = 1;
    life_expect(&life, 0, life.seq);
    ck_assert_int_eq(peer_ask(&life.caller, last).action.status, WIRE_STATUS_ABSORBED);
    die_and_come_back();
    life_open(&life);
    peer_refused(&life.caller, robot_step(&life.robot, life.handle, life.seq + 1), WIRE_OUT_OF_STEP, "seq");
    ck_assert_uint_eq(life_step_as(&life, life.seq, WIRE_STATUS_DUPLICATE).action.count, 0);
    live(5);
    // The number of the Act is no gap.
    const struct session *session = session_find(&world.server->sessions, "robot");
    ck_assert_uint_eq(session_gaps(session), 0);
    die_and_come_back();
    life_open(&life);
    session = session_find(&world.server->sessions, "robot");
    ck_assert_uint_eq(session_gaps(session), 0);
}
END_TEST

START_TEST(tasks_stay_apart_in_the_log)
{
    life_open(&life);
    live(12);
    life_reset(&life);
    live(7);
    ck_assert_uint_gt(server_snapshot(world.server, 0, 100), 0);
    life_reset(&life);  // the state in the log is of the task before
    live(3);
    die_and_come_back();
    ck_assert_uint_eq(life_open(&life).count, 3);
    // A reset that is repeated after the restart changes nothing.
    struct wire_envelope again = {
        .kind = WIRE_RESET, .reset = {.handle = life.handle, .scope = WIRE_TASK, .task = life.task - 1}};
    struct wire_envelope reply = peer_ask(&life.caller, again);
    ck_assert_int_eq(reply.kind, WIRE_DONE);
    life_check(&life, reply.done.digest);
}
END_TEST

START_TEST(a_session_that_nobody_asks_for_is_on_disk_alone)
{
    life_open(&life);
    live(30);
    life_leave(&life);
    world_spill(&world);
    ck_assert_uint_eq(life_open(&life).count, 30);
    // It stands where it stood, even for who leaves out what was executed.
    struct wire_envelope step = robot_step(&life.robot, life.handle, life.seq + 1);
    step.step.action.count = 0;
    ck_assert_int_eq(peer_ask(&life.caller, step).action.status, WIRE_STATUS_ABSORBED);
}
END_TEST

START_TEST(a_state_and_the_rows_after_it_make_one_belief)
{
    life_open(&life);
    live(20);
    ck_assert_int_eq(life_observe(&life, 3, 5, 30).kind, WIRE_OBSERVED);
    for (uint64_t seq = 5; seq <= 30; seq++)
        life_expect(&life, 3, seq);
    ck_assert_uint_eq(server_snapshot(world.server, 0, 100), 1);
    ck_assert_uint_eq(server_snapshot(world.server, 0, 100), 0);  // nothing new
    for (int i = 0; i < 9; i++)
        life_step(&life);
    // Into the gap before what the state has, and after it.
    ck_assert_int_eq(life_observe(&life, 3, 1, 40).kind, WIRE_OBSERVED);
    for (uint64_t seq = 1; seq <= 40; seq++)
        if (seq < 5 || seq > 30)
            life_expect(&life, 3, seq);
    die_and_come_back();
    ck_assert_uint_eq(life_open(&life).count, 20 + 9 + 40);
    struct wire_envelope reply = life_observe(&life, 3, 1, 40);
    ck_assert_int_eq(reply.kind, WIRE_OBSERVED);
    for (size_t i = 0; i < 40; i++)
        ck_assert_int_eq(reply.observed.status[i], WIRE_STATUS_DUPLICATE);
}
END_TEST

START_TEST(old_states_are_renewed_without_being_asked)
{
    life_open(&life);
    life_act(&life);
    for (int i = 0; i < SNAPSHOT_AGE; i++) {
        life.seq++;
        life_expect(&life, 0, life.seq);
        life_step_as(&life, life.seq, WIRE_STATUS_ABSORBED);
    }
    const struct session *session = session_find(&world.server->sessions, "robot");
    ck_assert_uint_eq(session->state_position, 0);
    server_tick(world.server, peer_now_us);
    ck_assert_uint_ne(session->state_position, 0);
    ck_assert_uint_eq(session->state_age, 0);
}
END_TEST

START_TEST(durable_seq_follows_the_disk)
{
    life_open(&life);
    life_act(&life);
    uint64_t highest = 0;
    for (int i = 0; i < 300; i++) {
        uint64_t durable = life_step(&life).durable_seq;
        ck_assert_uint_ge(durable, highest);
        ck_assert_uint_le(durable, life.seq);
        highest = durable;
        if (i == 150) {
            life_durable(&life);
            highest = life.seq;
            ck_assert_uint_ge(life_step(&life).durable_seq, highest);
        }
    }
    ck_assert_uint_gt(highest, 150);
}
END_TEST

START_TEST(always_means_on_disk_before_the_answer)
{
    life_forget_caller(&life);
    world.options.durability = WIRE_DURABILITY_ALWAYS;
    world_restart(&world);
    life_open(&life);
    life_act(&life);
    for (int i = 0; i < 20; i++) {
        ck_assert_uint_eq(life_step(&life).durable_seq, life.seq);
        const struct session *session = session_find(&world.server->sessions, "robot");
        ck_assert(session_is_durable(world.server, session));
    }
    ck_assert_uint_eq(count_of(&world.server->metrics.transitions[WIRE_STATUS_ABSORBED]), 20);
}
END_TEST

// Every answer waits for the disk, which takes its time.
static void begin_with_always(void)
{
    life_forget_caller(&life);
    world.options.durability = WIRE_DURABILITY_ALWAYS;
    world.options.commit_ms = 50;
    world_restart(&world);
    life_open(&life);
    life_act(&life);
}

START_TEST(a_client_with_many_replies_under_way_waits_for_them)
{
    begin_with_always();
    uint64_t first = life.seq + 1;
    enum { MANY = 100 };
    for (int i = 0; i < MANY; i++) {
        life.seq++;
        life_expect(&life, 0, life.seq);
        peer_send(&life.caller, robot_step(&life.robot, life.handle, life.seq));
    }
    struct wire_envelope reply;
    for (uint64_t seq = first; seq < first + MANY; seq++) {
        while (!peer_reply(&life.caller, &reply)) {
            ck_assert_uint_le(life.caller.connection->deferred, peer_limits.in_flight);
            server_take_mail(world.server, peer_now_us);
            peer_turn(world.server, (struct caller *[]){&life.caller}, 1);
        }
        ck_assert_int_eq(reply.kind, WIRE_ACTION);
        ck_assert_uint_eq(reply.action.seq, seq);
        ck_assert_int_eq(reply.action.status, WIRE_STATUS_ABSORBED);
    }
    life_check(&life, reply.action.digest);
    // One that ends while replies are under way leaves nothing behind.
    for (int i = 0; i < 5; i++) {
        life.seq++;
        life_expect(&life, 0, life.seq);
        peer_send(&life.caller, robot_step(&life.robot, life.handle, life.seq));
    }
    server_turn(world.server, peer_now_us);
    life_leave(&life);
    life_open(&life);
}
END_TEST

START_TEST(a_reply_that_need_not_wait_does_not_overtake_one_that_does)
{
    begin_with_always();
    struct wire_envelope step, reply;
    // The disk may be quicker than the turn, and then nothing had to wait.
    for (int tries = 0; tries < 1000 && life.caller.connection->deferred == 0; tries++) {
        while (peer_reply(&life.caller, &reply))
            ;
        life.seq++;
        life_expect(&life, 0, life.seq);
        step = robot_step(&life.robot, life.handle, life.seq);
        peer_send(&life.caller, step);
        peer_turn(world.server, (struct caller *[]){&life.caller}, 1);
    }
    ck_assert_uint_eq(life.caller.connection->deferred, 1);
    const struct session *session = session_find(&world.server->sessions, "robot");
    for (int i = 0; i < 100000 && !session_is_durable(world.server, session); i++)
        usleep(100);
    ck_assert(session_is_durable(world.server, session));
    ck_assert_uint_eq(life.caller.connection->deferred, 1);  // the disk is there, and nobody has looked since
    peer_send(&life.caller, step);
    peer_turn(world.server, (struct caller *[]){&life.caller}, 1);
    static const enum wire_status in_order[] = {WIRE_STATUS_ABSORBED, WIRE_STATUS_DUPLICATE};
    for (int i = 0; i < 2; i++) {
        ck_assert(peer_reply(&life.caller, &reply));
        ck_assert_int_eq(reply.kind, WIRE_ACTION);
        ck_assert_uint_eq(reply.action.seq, life.seq);
        ck_assert_int_eq(reply.action.status, in_order[i]);
    }
}
END_TEST

START_TEST(a_full_disk_is_told_and_loses_nothing)
{
    life_forget_caller(&life);
    world.options.log_size_limit_bytes = 200000;
    world_restart(&world);
    life_open(&life);
    uint32_t second = peer_open(&life.caller, "second", "").handle;
    life_act(&life);
    uint64_t undurable_first = 0, undurable_last = 0, absorbed = 0;
    for (int i = 0; i < 20000 && undurable_last < undurable_first + 50; i++) {
        life.seq++;
        struct wire_envelope reply = peer_ask(&life.caller, robot_step(&life.robot, life.handle, life.seq));
        ck_assert_int_eq(reply.kind, WIRE_ACTION);
        ck_assert_uint_eq(reply.action.action.count, life.model->action_dim);  // the robot goes on
        if (reply.action.status == WIRE_STATUS_ABSORBED) {
            life_expect(&life, 0, life.seq);
            ck_assert_uint_eq(undurable_first, 0);
            absorbed++;
        } else {
            ck_assert_int_eq(reply.action.status, WIRE_STATUS_UNDURABLE);
            undurable_last = life.seq;
            if (undurable_first == 0)
                undurable_first = life.seq;
            ck_assert_uint_lt(reply.action.durable_seq, undurable_first);
        }
        life_check(&life, reply.action.digest);
        if (i % 50 == 0)
            usleep(1000);
    }
    ck_assert_uint_ge(absorbed, 50);
    ck_assert_uint_ne(undurable_first, 0);
    // What needs the log is refused with its reason; what does not goes on.
    life_step_as(&life, life.seq, WIRE_STATUS_UNDURABLE);
    struct wire_envelope reply = life_observe(&life, 0, undurable_first, undurable_first + 4);
    ck_assert_int_eq(reply.kind, WIRE_OBSERVED);
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(reply.observed.status[i], WIRE_STATUS_UNDURABLE);
    struct wire_envelope reset = {
        .kind = WIRE_RESET, .reset = {.handle = life.handle, .scope = WIRE_TASK, .task = life.task}};
    peer_refused(&life.caller, reset, WIRE_UNDURABLE, "");
    // To forget is how it gets smaller.
    struct wire_envelope forget = {.kind = WIRE_CLOSE, .close = {.handle = second, .forget = 1}};
    ck_assert_int_eq(peer_ask(&life.caller, forget).kind, WIRE_DONE);
    life_leave(&life);
    life_open(&life);

    // There is room again: what the client kept comes, and the belief is whole.
    life_forget_caller(&life);
    world.options.log_size_limit_bytes = 0;
    world_restart(&world);
    ck_assert_uint_eq(life_open(&life).count, absorbed);
    for (uint64_t seq = undurable_first; seq <= undurable_last;) {
        uint64_t last = seq + 19 < undurable_last ? seq + 19 : undurable_last;
        reply = life_observe(&life, 0, seq, last);
        ck_assert_int_eq(reply.kind, WIRE_OBSERVED);
        for (; seq <= last; seq++) {
            ck_assert_int_eq(reply.observed.status[reply.observed.status_count - 1 - (last - seq)],
                             WIRE_STATUS_ABSORBED);
            life_expect(&life, 0, seq);
        }
        life_check(&life, reply.observed.digest);
    }
    die_and_come_back();
    ck_assert_uint_eq(life_open(&life).count, absorbed + undurable_last - undurable_first + 1);
}
END_TEST

// Every write to a file fails from now on, or no longer.
static void break_disk(int broken)
{
    struct rlimit size;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &size), 0);
    size.rlim_cur = broken ? 0 : size.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &size), 0);
}

START_TEST(a_broken_disk_keeps_nobody_waiting)
{
    life_forget_caller(&life);
    world.options.durability = WIRE_DURABILITY_ALWAYS;
    world_restart(&world);
    life_open(&life);
    live(10);
    break_disk(1);
    // Taken, but not on disk: it says so.
    struct wire_action action = life_step(&life);
    ck_assert_uint_lt(action.durable_seq, life.seq);
    uint64_t undurable = life.seq + 1;
    for (int i = 0; i < 5; i++)
        ck_assert_uint_lt(life_step_as(&life, ++life.seq, WIRE_STATUS_UNDURABLE).durable_seq, undurable);
    // What was taken before is not on disk either, so nothing may be said about it.
    struct wire_envelope reply = life_observe(&life, 0, undurable - 1, undurable - 1);
    ck_assert_int_eq(reply.kind, WIRE_ERROR);
    ck_assert_int_eq(reply.error.code, WIRE_UNDURABLE);
    struct wire_envelope durably = {.kind = WIRE_PING, .ping = {.durable = 1}};
    peer_refused(&life.caller, durably, WIRE_UNDURABLE, "");
    life_leave(&life);
    uint64_t epoch = life.epoch;
    ck_assert_uint_eq(life_open(&life).epoch, epoch + 1);

    break_disk(0);
    for (int i = 0; i < 200; i++) {
        reply = life_observe(&life, 0, undurable, life.seq);
        if (reply.kind == WIRE_OBSERVED && reply.observed.status[0] == WIRE_STATUS_ABSORBED)
            break;
        usleep(50000);
    }
    for (uint64_t seq = undurable; seq <= life.seq; seq++)
        life_expect(&life, 0, seq);
    life_check(&life, reply.observed.digest);
    ck_assert_uint_eq(life_step(&life).durable_seq, life.seq);
    die_and_come_back();
    life_open(&life);
}
END_TEST

START_TEST(forgotten_is_forgotten_on_disk_too)
{
    life_open(&life);
    live(5);
    ck_assert_int_eq(
        peer_ask(&life.caller, (struct wire_envelope){.kind = WIRE_CLOSE, .close = {.handle = life.handle, .forget = 1}}).kind,
        WIRE_DONE);
    die_and_come_back();
    struct caller caller = peer_connect(world.server);
    struct wire_opened opened = peer_open(&caller, "robot", "small");
    ck_assert_int_eq(opened.resumed, 0);
    ck_assert_uint_eq(opened.count, 0);
    peer_free(&caller);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("durable");
    SUITE_TEST_WITH(suite, a_daemon_that_died_knows_what_it_knew, set_up, tear_down);
    SUITE_TEST_WITH(suite, an_answer_made_afresh_has_the_bits_of_the_first, set_up, tear_down);
    SUITE_TEST_WITH(suite, what_was_executed_is_never_guessed, set_up, tear_down);
    SUITE_TEST_WITH(suite, an_episode_that_ended_has_ended_after_a_restart, set_up, tear_down);
    SUITE_TEST_WITH(suite, tasks_stay_apart_in_the_log, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_session_that_nobody_asks_for_is_on_disk_alone, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_state_and_the_rows_after_it_make_one_belief, set_up, tear_down);
    SUITE_TEST_WITH(suite, old_states_are_renewed_without_being_asked, set_up, tear_down);
    SUITE_TEST_WITH(suite, durable_seq_follows_the_disk, set_up, tear_down);
    SUITE_TEST_WITH(suite, always_means_on_disk_before_the_answer, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_client_with_many_replies_under_way_waits_for_them, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_reply_that_need_not_wait_does_not_overtake_one_that_does, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_full_disk_is_told_and_loses_nothing, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_broken_disk_keeps_nobody_waiting, set_up, tear_down);
    SUITE_TEST_WITH(suite, forgotten_is_forgotten_on_disk_too, set_up, tear_down);
    return suite_finish(suite);
}
