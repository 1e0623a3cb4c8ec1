// The client with the real daemon and its log: killed, stopped, its disk full. Whatever happens, the belief is
// the one that the same transitions make in another session.
//
//     test_client_restart BELIEFD
#include "tests/agent/sample.h"
#include "tests/end_to_end/process.h"
#include "tests/support/suite.h"

#include "client/bel.h"
#include "daemon/base/random.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OBS = 2, ACT = 2, MOST = 8000, AT_ONCE = 500 };

static struct daemon daemon_under_test;
static struct model *model;
static struct bel *bel;
static char data[64];
static struct random_stream dice;

// What a robot did, in its own record.
struct record {
    float before[OBS], executed[ACT], reward, after[OBS];
};

struct robot {
    struct bel_session *session;
    float now[OBS], action[ACT];
    struct record record[MOST];
    size_t count;
    struct bel_report report;
};

static struct robot robots[8];

#define ck_ok(call) \
    do { \
        int is = (call); \
        ck_assert_msg(is == 0, "%s is %s: %s", #call, bel_result_name(is), bel_error(bel)); \
    } while (0)

// ---- Set-up ---------------------------------------------------------------------------------------------------

static void configure(const char *settings)
{
    char path[128];
    snprintf(path, sizeof path, "%s/config", daemon_under_test.directory);
    FILE *file = fopen(path, "w");
    ck_assert(file && fprintf(file, "data_directory = %s/log\n%s", data, settings) > 0 && fclose(file) == 0);
}

static void join(void)
{
    char why[256] = "";
    struct bel_options options = {.deadline_ms = 20000};
    int result = bel_connect(&bel, daemon_under_test.unix_address, &options, why, sizeof why);
    ck_assert_msg(result == 0, "%s", why);
}

static void begin(const char *settings)
{
    struct model_shape shape = sample_small;
    char text[256];
    shape.observation_dim = OBS;
    shape.action_dim = ACT;
    model = sample_model(&shape, 7);
    directory_make(data, sizeof data);
    snprintf(text, sizeof text, "data_directory = %s/log\n%s", data, settings);
    daemon_start(&daemon_under_test, &model, 1, text);
    memset(robots, 0, sizeof robots);
    dice = random_stream(11, 0, 0, 0);
    join();
}

static void end(void)
{
    bel_disconnect(bel);
    daemon_release(&daemon_under_test);
    directory_remove(data);
    model_free(model);
}

static void gone(int number)
{
    process_signal(&daemon_under_test.process, number);
    process_wait(&daemon_under_test.process, 60);
    process_release(&daemon_under_test.process);
}

static void kill_and_start(void)
{
    gone(SIGKILL);
    daemon_restart(&daemon_under_test);
}

// ---- Robots ---------------------------------------------------------------------------------------------------

static void walk(struct robot *robot)
{
    for (int i = 0; i < OBS; i++)
        robot->now[i] += (float)(0.3 * random_normal(&dice));
}

static void act(struct robot *robot)
{
    memset(robot->now, 0, sizeof robot->now);
    walk(robot);
    ck_ok(bel_act(robot->session, robot->now, robot->action, &robot->report));
}

static void open_robot(struct robot *robot, const char *id)
{
    ck_ok(bel_open(bel, &(struct bel_open){.id = id}, &robot->session));
    act(robot);
}

// The next step, as it goes into the record.
static struct record *next(struct robot *robot)
{
    ck_assert_uint_lt(robot->count, MOST);
    struct record *r = &robot->record[robot->count++];
    memcpy(r->before, robot->now, sizeof r->before);
    for (int i = 0; i < ACT; i++)
        r->executed[i] = (float)random_between(&dice, -0.4, 0.4);
    r->reward = (float)random_normal(&dice);
    walk(robot);
    memcpy(r->after, robot->now, sizeof r->after);
    return r;
}

static void step(struct robot *robot)
{
    const struct record *r = next(robot);
    if (random_below(&dice, 25) == 0) {
        ck_ok(bel_step_last(robot->session, r->executed, r->reward, r->after, &robot->report));
        act(robot);
    } else {
        ck_ok(bel_step(robot->session, r->executed, r->reward, r->after, robot->action, &robot->report));
    }
}

static void steps(struct robot *robot, int count)
{
    for (int i = 0; i < count; i++)
        step(robot);
}

// All is on disk, and the belief has what the record has: as another session that is told it backwards.
static void record_agrees(const struct robot *robot)
{
    struct bel_belief belief = {0}, shadow = {0};
    static unsigned number;
    char id[32];
    ck_ok(bel_sync(bel));
    ck_assert_uint_eq(bel_counters(bel).kept, 0);
    ck_ok(bel_get_belief(robot->session, &belief));
    ck_assert_uint_eq(belief.count + bel_counters(bel).refused, robot->count);

    struct bel_session *session;
    snprintf(id, sizeof id, "shadow-%u", number++);
    ck_ok(bel_open(bel, &(struct bel_open){.id = id}, &session));
    struct bel_transition list[AT_ONCE];
    for (size_t left = robot->count; left;) {
        size_t count = 0;
        for (; count < AT_ONCE && left; count++, left--) {
            const struct record *r = &robot->record[left - 1];
            list[count] = (struct bel_transition){
                .seq = left, .observation = r->before, .action = r->executed, .reward = r->reward,
                .next_observation = r->after};
        }
        ck_ok(bel_observe(session, 1, list, count, NULL, NULL));
    }
    ck_ok(bel_get_belief(session, &shadow));
    ck_assert_uint_eq(shadow.count, belief.count);
    ck_assert_mem_eq(shadow.digest, belief.digest, sizeof shadow.digest);
    ck_ok(bel_close(session, 1));
}

// ---- Facts ----------------------------------------------------------------------------------------------------

static void killed_at_random_moments(const char *settings)
{
    begin(settings);
    open_robot(&robots[0], "robot");
    for (int life = 0; life < 4; life++) {
        steps(&robots[0], 20 + (int)random_below(&dice, 150));
        kill_and_start();
    }
    steps(&robots[0], 10);
    ck_assert_uint_ge(bel_counters(bel).reconnects, 4);
    record_agrees(&robots[0]);
    kill_and_start();
    record_agrees(&robots[0]);  // and it was on disk
    end();
}

START_TEST(a_robot_does_not_notice_that_its_daemon_was_killed)
{
    killed_at_random_moments("durability = interval\n");
}
END_TEST
START_TEST(nor_when_the_disk_lags_far_behind)
{
    killed_at_random_moments("durability = interval\ncommit_ms = 1000\n");
}
END_TEST
START_TEST(nor_when_replies_wait_for_the_disk)
{
    killed_at_random_moments("durability = always\n");
}
END_TEST
START_TEST(nor_when_there_are_several_loops)
{
    killed_at_random_moments("durability = interval\nloops = 3\n");
}
END_TEST

START_TEST(a_daemon_that_was_stopped_and_started_again_goes_on_as_well)
{
    begin("durability = interval\n");
    open_robot(&robots[0], "robot");
    for (int life = 0; life < 3; life++) {
        steps(&robots[0], 60);
        gone(SIGTERM);
        daemon_restart(&daemon_under_test);
    }
    steps(&robots[0], 10);
    record_agrees(&robots[0]);
    end();
}
END_TEST

START_TEST(many_robots_in_one_call_do_not_notice_it_either)
{
    enum { N = 8 };
    begin("durability = interval\ncommit_ms = 200\n");
    struct bel_step list[N];
    for (int i = 0; i < N; i++) {
        char id[16];
        snprintf(id, sizeof id, "robot-%d", i);
        open_robot(&robots[i], id);
    }
    for (int t = 0; t < 300; t++) {
        if (t % 60 == 59)
            kill_and_start();
        for (int i = 0; i < N; i++) {
            const struct record *r = next(&robots[i]);
            list[i] = (struct bel_step){.session = robots[i].session, .observation = r->after, .executed = r->executed,
                                        .reward = r->reward, .action = robots[i].action};
        }
        ck_ok(bel_step_many(bel, list, N));
    }
    for (int i = 0; i < N; i++)
        record_agrees(&robots[i]);
    end();
}
END_TEST

START_TEST(steps_while_the_daemon_is_gone_arrive_when_it_is_back)
{
    begin("durability = interval\n");
    struct robot *robot = &robots[0];
    open_robot(robot, "robot");
    steps(robot, 50);
    gone(SIGKILL);
    bel_set_deadline(bel, 1);
    for (int i = 0; i < 300; i++) {
        const struct record *r = next(robot);
        ck_assert_int_eq(bel_step(robot->session, r->executed, r->reward, r->after, robot->action, NULL),
                         BEL_DISCONNECTED);
    }
    daemon_restart(&daemon_under_test);
    bel_set_deadline(bel, 20000);
    steps(robot, 1);
    ck_assert_uint_eq(bel_session_count(robot->session), robot->count);
    record_agrees(robot);
    end();
}
END_TEST

START_TEST(a_new_task_stays_new_and_what_others_told_stays)
{
    begin("durability = interval\ncommit_ms = 500\n");
    struct robot *robot = &robots[0];
    open_robot(robot, "robot");
    steps(robot, 40);
    ck_ok(bel_reset_task(robot->session));
    robot->count = 0;
    kill_and_start();
    act(robot);
    steps(robot, 30);
    const struct record *r = next(robot);  // by another writer
    struct bel_transition other = {.seq = 1, .observation = r->before, .action = r->executed, .reward = r->reward,
                                   .next_observation = r->after};
    ck_ok(bel_observe(robot->session, 3, &other, 1, NULL, NULL));
    act(robot);
    kill_and_start();
    steps(robot, 5);
    ck_assert_uint_eq(bel_session_task(robot->session), 2);
    record_agrees(robot);
    end();
}
END_TEST

START_TEST(a_full_log_is_told_and_what_it_refused_arrives_when_there_is_room)
{
    begin("durability = interval\nlog_size_limit = 400000\n");
    struct robot *robot = &robots[0];
    open_robot(robot, "robot");
    int refused = 0;
    while (refused < 100) {
        step(robot);
        refused += robot->report.status == BEL_STATUS_UNDURABLE;
        if (robot->count % 50 == 0)
            usleep(10000);
    }
    ck_assert_uint_gt(bel_counters(bel).kept_undurable, 0);
    ck_assert_int_eq(bel_sync(bel), BEL_UNDURABLE);
    gone(SIGKILL);
    configure("durability = interval\n");
    daemon_restart(&daemon_under_test);
    steps(robot, 20);
    record_agrees(robot);
    end();
}
END_TEST

START_TEST(another_process_goes_on_where_the_first_one_ended)
{
    begin("durability = interval\n");
    struct robot *robot = &robots[0];
    open_robot(robot, "robot");
    steps(robot, 100);
    ck_ok(bel_sync(bel));
    bel_disconnect(bel);
    kill_and_start();
    join();
    ck_ok(bel_open(bel, &(struct bel_open){.id = "robot"}, &robot->session));
    ck_assert_int_eq(bel_session_resumed(robot->session), 1);
    ck_assert_uint_eq(bel_session_count(robot->session), 100);
    act(robot);
    steps(robot, 50);
    record_agrees(robot);
    end();
}
END_TEST

START_TEST(a_session_that_somebody_else_opened_meanwhile_is_fenced_across_a_crash)
{
    begin("durability = interval\n");
    struct robot *robot = &robots[0];
    open_robot(robot, "robot");
    steps(robot, 10);
    struct bel *first = bel;
    join();
    struct bel_session *theirs;
    ck_ok(bel_open(bel, &(struct bel_open){.id = "robot"}, &theirs));
    kill_and_start();
    const struct record *r = next(robot);
    ck_assert_int_eq(bel_step(robot->session, r->executed, r->reward, r->after, robot->action, NULL), BEL_FENCED);
    ck_ok(bel_act(theirs, robot->now, robot->action, NULL));
    bel_disconnect(first);
    end();
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    beliefd_path = argv[1];
    Suite *suite = suite_create("client and restarts");
    SUITE_TEST(suite, a_robot_does_not_notice_that_its_daemon_was_killed);
    SUITE_TEST(suite, nor_when_the_disk_lags_far_behind);
    SUITE_TEST(suite, nor_when_replies_wait_for_the_disk);
    SUITE_TEST(suite, nor_when_there_are_several_loops);
    SUITE_TEST(suite, a_daemon_that_was_stopped_and_started_again_goes_on_as_well);
    SUITE_TEST(suite, many_robots_in_one_call_do_not_notice_it_either);
    SUITE_TEST(suite, steps_while_the_daemon_is_gone_arrive_when_it_is_back);
    SUITE_TEST(suite, a_new_task_stays_new_and_what_others_told_stays);
    SUITE_TEST(suite, a_full_log_is_told_and_what_it_refused_arrives_when_there_is_room);
    SUITE_TEST(suite, another_process_goes_on_where_the_first_one_ended);
    SUITE_TEST(suite, a_session_that_somebody_else_opened_meanwhile_is_fenced_across_a_crash);
    return suite_finish(suite);
}
