// What an operator keeps and moves with beliefctl, between real daemons.
//
//     test_moving BELIEFD BELIEFCTL
#include "fixture.h"

#include "client/ctl/move.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MANY = 10, MOVERS = 4, MOVES = 60, LEAST_STEPS = 300 };

START_TEST(a_session_in_a_file_comes_back)
{
    struct daemon daemon;
    char path[128];
    operator_start(&daemon, NULL, 1);
    struct bel *bel = operator_join(&daemon);
    struct robot robot;
    robot_open(&robot, bel, "arm", NULL);
    robot_step(&robot, 30);
    uint8_t digest[16];
    memcpy(digest, robot.report.digest, sizeof digest);
    snprintf(path, sizeof path, "%s/arm.belief", daemon.directory);
    cJSON *object = operator_ask(&daemon, 0, "snapshot", "arm", "--out", path, "--json", NULL);
    ck_assert_str_eq(json_text(object, "digest"), hex(digest));
    cJSON_Delete(object);
    ck_assert_int_eq(bel_close(robot.session, 1), 0);

    object = operator_ask(&daemon, 0, "restore", path, "--json", NULL);
    ck_assert_str_eq(json_text(object, "digest"), hex(digest));
    ck_assert_double_eq(json_number(object, "count"), 30);
    cJSON_Delete(object);
    object = operator_ask(&daemon, 1, "restore", path, "--json", NULL);  // it is there now
    ck_assert_str_eq(error_code(object), "FENCED");
    cJSON_Delete(object);

    struct robot again;
    robot_open(&again, bel, "arm", NULL);
    ck_assert_int_eq(bel_session_resumed(again.session), 1);
    ck_assert_mem_eq(again.report.digest, digest, sizeof digest);
    bel_disconnect(bel);

    FILE *file = fopen(path, "w");
    ck_assert(file && fputs("not the state of a session", file) >= 0 && fclose(file) == 0);
    free(operator_say(&daemon, 1, "restore", path, NULL));
    free(operator_say(&daemon, 0, "snapshot", NULL));
    daemon_release(&daemon);
}
END_TEST

START_TEST(a_session_moves_in_the_middle_of_an_episode)
{
    struct daemon from, to, alone;
    operator_start(&from, NULL, 1);
    operator_start(&to, NULL, 1);
    operator_start(&alone, NULL, 1);
    struct bel *bel = operator_join(&from), *other = operator_join(&alone);
    struct robot robot, shadow;
    robot_open(&robot, bel, "arm", NULL);
    robot_open(&shadow, other, "arm", NULL);
    robot_step(&robot, 20);
    robot_step(&shadow, 20);
    cJSON *object = operator_ask(&from, 0, "move", "arm", "--to", to.unix_address, "--json", NULL);
    ck_assert_str_eq(json_text(object, "digest"), hex(shadow.report.digest));
    ck_assert_double_eq(json_number(object, "count"), 20);
    cJSON_Delete(object);

    // The same robot goes on and does not know; nothing is lost or counted twice.
    robot_step(&robot, 20);
    robot_step(&shadow, 20);
    ck_assert_mem_eq(robot.report.digest, shadow.report.digest, 16);
    ck_assert_uint_eq(robot.report.count, 40);
    object = operator_ask(&to, 0, "show", "arm", "--json", NULL);
    ck_assert_str_eq(json_text(object, "digest"), hex(shadow.report.digest));
    cJSON_Delete(object);
    object = operator_ask(&from, 0, "sessions", "--json", NULL);
    const cJSON *there = find_session(object, "arm");
    ck_assert(there == NULL || strcmp(json_text(there, "place"), "moved") == 0);
    cJSON_Delete(object);

    // And back.
    object = operator_ask(&to, 0, "move", "arm", "--to", from.tcp_address, "--json", NULL);
    cJSON_Delete(object);
    robot_step(&robot, 5);
    robot_step(&shadow, 5);
    ck_assert_mem_eq(robot.report.digest, shadow.report.digest, 16);
    bel_disconnect(bel);
    bel_disconnect(other);
    daemon_release(&from);
    daemon_release(&to);
    daemon_release(&alone);
}
END_TEST

struct wanderer {
    struct robot robot;
    const struct daemon *at_first;
    char name[16];
    atomic_int stop;
    pthread_t thread;
};

static void *wander(void *context)
{
    struct wanderer *wanderer = context;
    struct bel *bel = operator_join(wanderer->at_first);
    robot_open(&wanderer->robot, bel, wanderer->name, NULL);
    while (!atomic_load(&wanderer->stop) || wanderer->robot.steps < LEAST_STEPS)
        robot_step(&wanderer->robot, 1);
    return NULL;
}

// Everybody steps as fast as it goes while an operator sends the sessions to and fro.
START_TEST(sessions_that_move_again_and_again_lose_nothing)
{
    struct daemon daemons[2], alone;
    struct control controls[2], doors[2];
    char addresses[2][128];
    struct control_options options = {.timeout = 20};
    struct wanderer wanderers[MOVERS];
    for (int d = 0; d < 2; d++) {
        operator_start(&daemons[d], NULL, 1);
        snprintf(addresses[d], sizeof addresses[d], "unix:%s/control", daemons[d].directory);
        ck_assert_int_eq(control_open(&controls[d], addresses[d], &options), 0);
        ck_assert_int_eq(control_open(&doors[d], daemons[d].unix_address, &options), 0);
    }
    operator_start(&alone, NULL, 1);
    for (int i = 0; i < MOVERS; i++) {
        wanderers[i] = (struct wanderer){.at_first = &daemons[0]};
        snprintf(wanderers[i].name, sizeof wanderers[i].name, "arm-%d", i);
        ck_assert_int_eq(pthread_create(&wanderers[i].thread, NULL, wander, &wanderers[i]), 0);
    }
    int place[MOVERS] = {0}, moves = 0;
    for (int tries = 0; moves < MOVES && tries < 100 * MOVES; tries++) {
        int i = tries % MOVERS, from = place[i];
        struct mover mover = {&controls[from], &doors[!from], &options, daemons[!from].unix_address};
        struct moved moved;
        char why[512] = "";
        int error = move_session(&mover, wanderers[i].name, &moved, why, sizeof why);
        // Not opened yet, in the beginning.
        ck_assert_msg(error == 0 || (error == -EREMOTEIO && controls[from].code == WIRE_UNKNOWN_SESSION), "%s", why);
        if (error) {
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
            continue;
        }
        place[i] = !from;
        moves++;
    }
    ck_assert_int_eq(moves, MOVES);

    struct bel *bel = operator_join(&alone);
    for (int i = 0; i < MOVERS; i++) {
        struct robot shadow, *robot = &wanderers[i].robot;
        atomic_store(&wanderers[i].stop, 1);
        pthread_join(wanderers[i].thread, NULL);
        robot_open(&shadow, bel, wanderers[i].name, NULL);
        robot_step(&shadow, robot->steps);
        ck_assert_uint_eq(robot->report.count, robot->steps);
        ck_assert_mem_eq(robot->report.digest, shadow.report.digest, sizeof shadow.report.digest);
        bel_disconnect(robot->bel);
    }
    bel_disconnect(bel);
    for (int d = 0; d < 2; d++) {
        control_close(&controls[d]);
        control_close(&doors[d]);
        daemon_release(&daemons[d]);
    }
    daemon_release(&alone);
}
END_TEST

START_TEST(a_session_that_does_not_fit_there_stays)
{
    struct daemon from, to;
    operator_start(&from, NULL, 1);
    operator_start(&to, NULL, 2);  // a model of the same name with other weights
    struct bel *bel = operator_join(&from);
    struct robot robot;
    robot_open(&robot, bel, "arm", NULL);
    robot_step(&robot, 10);
    cJSON *object = operator_ask(&from, 1, "move", "arm", "--to", to.unix_address, "--json", NULL);
    ck_assert_ptr_nonnull(strstr(json_text(cJSON_GetObjectItemCaseSensitive(object, "error"), "message"),
                                 "WRONG_MODEL"));
    cJSON_Delete(object);
    robot_step(&robot, 10);
    ck_assert_uint_eq(robot.report.count, 20);
    object = operator_ask(&to, 0, "sessions", "--json", NULL);
    ck_assert_ptr_null(find_session(object, "arm"));
    cJSON_Delete(object);
    bel_disconnect(bel);
    daemon_release(&from);
    daemon_release(&to);
}
END_TEST

START_TEST(a_drained_daemon_leaves_nothing_behind)
{
    struct daemon from, to;
    operator_start(&from, NULL, 1);
    operator_start(&to, NULL, 1);
    struct bel *bel = operator_join(&from);
    struct robot robots[MANY];
    char names[MANY][16], digests[MANY][HEX_DIGEST];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "arm-%d", i);
        robot_open(&robots[i], bel, names[i], NULL);
        robot_step(&robots[i], 3 + (uint64_t)i);
        snprintf(digests[i], sizeof digests[i], "%s", hex(robots[i].report.digest));
    }
    bel_close(robots[0].session, 0);  // waits for its client
    cJSON *object = operator_ask(&from, 0, "drain", "--to", to.unix_address, "--linger", "0", "--json", NULL);
    ck_assert_double_eq(json_number(object, "moved"), MANY);
    cJSON_Delete(object);
    ck_assert_int_eq(process_wait(&from.process, 60), 0);

    object = operator_ask(&to, 0, "sessions", "--json", NULL);
    for (int i = 0; i < MANY; i++) {
        const cJSON *entry = find_session(object, names[i]);
        ck_assert_msg(entry != NULL, "%s did not arrive", names[i]);
        ck_assert_str_eq(json_text(entry, "digest"), digests[i]);
    }
    cJSON_Delete(object);
    bel_disconnect(bel);
    daemon_release(&from);
    daemon_release(&to);
}
END_TEST

START_TEST(sessions_that_only_the_log_has_move_too)
{
    struct daemon from, to;
    struct model *model = sample_model(&sample_small, 1);
    char spilling[256];
    snprintf(spilling, sizeof spilling, "%ssession_spill_seconds = 1\n", operator_settings);
    daemon_start(&from, &model, 1, spilling);
    daemon_start(&to, &model, 1, operator_settings);
    model_free(model);
    struct bel *bel = operator_join(&from);
    struct robot robots[3];
    char names[3][16], digests[3][HEX_DIGEST];
    for (int i = 0; i < 3; i++) {
        snprintf(names[i], sizeof names[i], "arm-%d", i);
        robot_open(&robots[i], bel, names[i], NULL);
        robot_step(&robots[i], 4);
        snprintf(digests[i], sizeof digests[i], "%s", hex(robots[i].report.digest));
    }
    bel_disconnect(bel);
    int spilled = 0;
    for (int tries = 0; spilled < 3 && tries < 100; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        cJSON *object = operator_ask(&from, 0, "sessions", "--json", NULL);
        const cJSON *entry;
        spilled = 0;
        cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(object, "sessions"))
            spilled += strcmp(json_text(entry, "place"), "spilled") == 0;
        cJSON_Delete(object);
    }
    ck_assert_int_eq(spilled, 3);
    cJSON *object = operator_ask(&from, 0, "drain", "--to", to.unix_address, "--linger", "0", "--json", NULL);
    ck_assert_double_eq(json_number(object, "moved"), 3);
    cJSON_Delete(object);
    object = operator_ask(&to, 0, "sessions", "--json", NULL);
    for (int i = 0; i < 3; i++) {
        const cJSON *entry = find_session(object, names[i]);
        ck_assert_msg(entry != NULL, "%s did not arrive", names[i]);
        ck_assert_str_eq(json_text(entry, "digest"), digests[i]);
    }
    cJSON_Delete(object);
    ck_assert_int_eq(process_wait(&from.process, 60), 0);
    daemon_release(&from);
    daemon_release(&to);
}
END_TEST

START_TEST(a_daemon_that_drains_keeps_its_sessions_for_the_next)
{
    struct daemon daemon;
    operator_start(&daemon, NULL, 1);
    struct bel *bel = operator_join(&daemon);
    struct robot robot;
    robot_open(&robot, bel, "arm", NULL);
    robot_step(&robot, 25);
    free(operator_say(&daemon, 0, "drain", NULL));
    ck_assert_int_eq(process_wait(&daemon.process, 60), 0);
    process_release(&daemon.process);
    daemon_restart(&daemon);
    robot_step(&robot, 5);  // the library connects again and goes on
    ck_assert_uint_eq(robot.report.count, 30);
    bel_disconnect(bel);
    daemon_release(&daemon);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    beliefd_path = argv[1];
    beliefctl_path = argv[2];
    signal(SIGPIPE, SIG_IGN);
    Suite *suite = suite_create("moving");
    SUITE_TEST(suite, a_session_in_a_file_comes_back);
    SUITE_TEST(suite, a_session_moves_in_the_middle_of_an_episode);
    SUITE_TEST(suite, sessions_that_move_again_and_again_lose_nothing);
    SUITE_TEST(suite, a_session_that_does_not_fit_there_stays);
    SUITE_TEST(suite, a_drained_daemon_leaves_nothing_behind);
    SUITE_TEST(suite, sessions_that_only_the_log_has_move_too);
    SUITE_TEST(suite, a_daemon_that_drains_keeps_its_sessions_for_the_next);
    return suite_finish(suite);
}
