// A daemon on a broken machine, run by somebody confused: clocks that jump, disks that fill, limits, damaged files,
// signals at the wrong moment, two daemons at once. What comes over the network is attacked in tests/serve
// (grpc_hostile, guarded, tls, admin).
//
//     attacks BELIEFD BELIEFCTL
//
// A robot reports through all of it, with a record of its own (shadow.h). At the end the daemon's belief has the
// record's digest, and so has the one that `beliefctl verify` makes of the log.
#include "process.h"

#include "client/bel.h"
#include "daemon/base/random.h"
#include "shadow.h"
#include "tests/agent/sample.h"
#include "tests/support/suite.h"

#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#elif defined(__has_feature)
enum { SANITIZED = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) };
#else
enum { SANITIZED = 0 };
#endif

enum { DIM = SHADOW_DIM_LIMIT, PAGE = 4096 };

static const char *beliefctl_path;
static struct daemon beliefd;
static struct model *model;

struct robot {
    struct bel *bel;
    struct bel_session *session;
    struct shadow shadow;
    struct random_stream dice;
    unsigned undurable;             // steps that were answered so
};

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

// Good until some more were asked for.
static const char *in_directory(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", beliefd.directory, name);
    return path;
}

// Is that in what the daemon has said so far?
static int has_said(const struct process *process, const char *words)
{
    char line[1024];
    int found = 0;
    FILE *output = fopen(process->path, "r");
    while (output && !found && fgets(line, sizeof line, output))
        found = strstr(line, words) != NULL;
    if (output)
        fclose(output);
    return found;
}

static void begin(const char *settings)
{
    model = sample_model(&sample_small, 5);
    daemon_start(&beliefd, &model, 1, settings);
}

static void verify(void)
{
    struct process process;
    process_start(&process, beliefd.directory,
                  (const char *[]){beliefctl_path, "verify", in_directory("data"), NULL});
    int code = process_wait(&process, 60);
    ck_assert_msg(code == 0, "beliefctl verify ended with %d; it said:\n%s", code, process_words(&process));
    process_release(&process);
}

static void end(void)
{
    ck_assert_int_eq(daemon_stop(&beliefd), 0);
    verify();
    daemon_release(&beliefd);
    model_free(model);
}

static void kill_daemon(void)
{
    process_signal(&beliefd.process, SIGKILL);
    process_wait(&beliefd.process, 10);
    process_release(&beliefd.process);
}

static void robot_open(struct robot *robot, const char *id)
{
    char why[256];
    *robot = (struct robot){.dice = random_stream(9, 8, 7, 6)};
    shadow_init(&robot->shadow, model, 0);
    struct bel_options options = {.client = "attacks", .deadline_ms = 20000};
    ck_assert_msg(bel_connect(&robot->bel, beliefd.unix_address, &options, why, sizeof why) == 0, "%s", why);
    int result = bel_open(robot->bel, &(struct bel_open){.id = id}, &robot->session);
    ck_assert_msg(result == 0, "%s", bel_error(robot->bel));
}

static void random_numbers(struct robot *robot, float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        numbers[i] = (float)random_normal(&robot->dice);
}

static void robot_steps(struct robot *robot, unsigned steps)
{
    float observation[DIM], executed[DIM], action[DIM], reward;
    struct bel_report report;
    for (unsigned i = 0; i < steps; i++) {
        random_numbers(robot, observation, model->observation_dim);
        random_numbers(robot, executed, model->action_dim);
        random_numbers(robot, &reward, 1);
        int result = robot->shadow.standing ? bel_step(robot->session, executed, reward, observation, action, &report)
                                            : bel_act(robot->session, observation, action, &report);
        ck_assert_msg(result == 0, "step %u: %s: %s", i, bel_result_name(result), bel_error(robot->bel));
        robot->undurable += report.status == BEL_STATUS_UNDURABLE;
        if (robot->shadow.standing)
            shadow_step(&robot->shadow, executed, reward, observation, 0);
        else
            shadow_act(&robot->shadow, observation);
    }
}

// All that it reported is on disk, and the belief is its record's.
static void robot_agrees(struct robot *robot)
{
    int result, attempts = 0;
    while ((result = bel_sync(robot->bel)) && attempts++ < 300)
        sleep_ms(20);
    ck_assert_msg(result == 0, "sync: %s: %s", bel_result_name(result), bel_error(robot->bel));
    struct bel_belief belief = {0};
    ck_assert_msg(bel_get_belief(robot->session, &belief) == 0, "%s", bel_error(robot->bel));
    ck_assert_uint_eq(belief.count, agent_belief_count(&robot->shadow.belief));
    struct digest digest = agent_belief_digest(&robot->shadow.belief);
    for (int i = 0; i < 16; i++)
        ck_assert_uint_eq(belief.digest[i], (uint8_t)(digest.word[i / 8] >> 8 * (i % 8)));
}

static void robot_close(struct robot *robot)
{
    robot_agrees(robot);
    ck_assert_int_eq(bel_close(robot->session, 0), 0);
    bel_disconnect(robot->bel);
    shadow_release(&robot->shadow);
}

// ---- Clocks

static void set_clock(const char *to)
{
    FILE *file = fopen(in_directory("clock.new"), "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "%s\n", to);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(rename(in_directory("clock.new"), in_directory("clock")), 0);
}

START_TEST(a_wall_clock_that_jumps_changes_nothing)
{
    glob_t found = {0};
    if (SANITIZED || glob("/usr/lib/*/faketime/libfaketimeMT.so.1", 0, NULL, &found) != 0) {
        printf("no libfaketime, or sanitizers that do not bear it: clocks are not set here\n");
        globfree(&found);
        return;
    }
    static const char *const jumps[] = {"+3650d", "-3650d", "+0", "@1970-01-02 00:00:00", "@2099-12-31 23:59:59"};
    // Whatever counted by the wall clock would let go of the session, or delete it.
    begin("data_directory = @/data\nretention_days = 1\nsession_spill_seconds = 600\nconnection_idle_seconds = 60\n"
          "commit_ms = 5\n");
    kill_daemon();
    set_clock("+0");
    setenv("LD_PRELOAD", found.gl_pathv[0], 1);
    setenv("FAKETIME_TIMESTAMP_FILE", in_directory("clock"), 1);
    setenv("FAKETIME_NO_CACHE", "1", 1);
    setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1", 1);
    daemon_restart(&beliefd);
    struct robot robot;
    int lived_far = 0;  // the clock was set indeed
    robot_open(&robot, "robot");
    for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
        robot_steps(&robot, 20);
        set_clock(jumps[i]);      // while it serves
        robot_steps(&robot, 20);
        robot_agrees(&robot);
        ck_assert_uint_eq(bel_counters(robot.bel).reconnects, i);
        kill_daemon();            // and across a restart
        set_clock(jumps[(i + 1) % (sizeof jumps / sizeof *jumps)]);
        daemon_restart(&beliefd);
        robot_steps(&robot, 20);
        robot_agrees(&robot);
        lived_far |= has_said(&beliefd.process, "time=2099-12-31");
    }
    ck_assert(lived_far);
    ck_assert_uint_eq(robot.undurable, 0);
    robot_close(&robot);
    kill_daemon();
    unsetenv("LD_PRELOAD");
    globfree(&found);
    daemon_restart(&beliefd);
    end();
}
END_TEST

// ---- Disks

START_TEST(on_a_full_disk_a_robot_acts_and_nothing_is_lost)
{
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        printf("no mounts here: the full disk is tested by a limit on file sizes only\n");
        return;
    }
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    begin("data_directory = @/data\ncommit_ms = 5\nloops = 2\n");
    kill_daemon();
    if (mount("tmpfs", in_directory("data"), "tmpfs", 0, "size=2m") != 0) {
        daemon_release(&beliefd);
        model_free(model);
        return;
    }
    daemon_restart(&beliefd);
    struct robot robot;
    robot_open(&robot, "robot");
    for (int i = 0; i < 2000 && robot.undurable < 50; i++) {
        robot_steps(&robot, 20);
        sleep_ms(2);
    }
    ck_assert_uint_ge(robot.undurable, 50);
    ck_assert_int_eq(bel_sync(robot.bel), BEL_UNDURABLE);
    ck_assert_int_eq(mount("tmpfs", in_directory("data"), "tmpfs", MS_REMOUNT, "size=30m"), 0);
    robot_agrees(&robot);
    kill_daemon();
    daemon_restart(&beliefd);
    robot_steps(&robot, 20);
    robot_agrees(&robot);
    robot_close(&robot);
    ck_assert_int_eq(daemon_stop(&beliefd), 0);
    verify();
    ck_assert_int_eq(umount2(in_directory("data"), MNT_DETACH), 0);
    daemon_release(&beliefd);
    model_free(model);
}
END_TEST

START_TEST(a_limit_on_file_sizes_ends_nothing_even_of_its_own_words)
{
    begin("data_directory = @/data\ncommit_ms = 5\nlog_level = debug\n");
    struct robot robot, second;
    robot_open(&robot, "robot");
    robot_steps(&robot, 50);
    robot_agrees(&robot);
    struct rlimit before, small;
    ck_assert_int_eq(prlimit(beliefd.process.pid, RLIMIT_FSIZE, NULL, &before), 0);
    small = (struct rlimit){64, before.rlim_max};
    ck_assert_int_eq(prlimit(beliefd.process.pid, RLIMIT_FSIZE, &small, NULL), 0);
    for (int i = 0; i < 500 && robot.undurable < 20; i++) {
        robot_steps(&robot, 5);
        sleep_ms(2);
    }
    ck_assert_uint_ge(robot.undurable, 20);
    robot_open(&second, "robot-2");  // it wants to say so
    robot_steps(&second, 5);
    ck_assert(process_running(&beliefd.process));
    ck_assert_int_eq(prlimit(beliefd.process.pid, RLIMIT_FSIZE, &before, NULL), 0);
    robot_steps(&robot, 5);
    robot_close(&robot);
    robot_close(&second);
    end();
}
END_TEST

// ---- Files

START_TEST(damaged_pages_are_errors_and_never_another_belief)
{
    enum { ROBOTS = 8 };
    begin("data_directory = @/data\n");
    struct robot robots[ROBOTS];
    char id[16];
    for (int r = 0; r < ROBOTS; r++) {
        snprintf(id, sizeof id, "robot-%d", r);
        robot_open(&robots[r], id);
        robot_steps(&robots[r], 101);
        robot_agrees(&robots[r]);
        bel_disconnect(robots[r].bel);
    }
    ck_assert_int_eq(daemon_stop(&beliefd), 0);
    process_release(&beliefd.process);
    struct stat status;
    ck_assert_int_eq(stat(in_directory("data/experience.db"), &status), 0);
    int file = open(in_directory("data/experience.db"), O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(file, 0);
    struct random_stream dice = random_stream(4, 3, 2, 1);
    static uint8_t sound[PAGE], damaged[PAGE];
    unsigned whole = 0, refused = 0, no_start = 0;
    for (int attempt = 0; attempt < 12; attempt++) {
        off_t place = PAGE * (off_t)random_below(&dice, (uint32_t)(status.st_size / PAGE));
        ck_assert_int_eq(pread(file, sound, PAGE, place), PAGE);
        for (int i = 0; i < PAGE; i++)
            damaged[i] = (uint8_t)random_below(&dice, 256);
        ck_assert_int_eq(pwrite(file, damaged, PAGE, place), PAGE);

        struct process check;
        process_start(&check, beliefd.directory,
                      (const char *[]){beliefd_path, "--listen", beliefd.unix_address, "--model",
                                       in_directory("0.safetensors"), "--data", in_directory("data"), NULL});
        struct bel *bel = NULL;
        for (int i = 0; i < 2000 && process_running(&check); i++) {
            if (bel_connect(&bel, beliefd.unix_address, &(struct bel_options){.deadline_ms = 20000}, NULL, 0) == 0)
                break;
            sleep_ms(5);
        }
        if (!bel) {
            ck_assert_int_eq(process_wait(&check, 10), 1);
            ck_assert_msg(strstr(process_words(&check), "damaged") != NULL, "%s", process_words(&check));
            no_start++;
        }
        for (int r = 0; bel && r < ROBOTS; r++) {
            struct bel_session *session = NULL;
            struct bel_belief belief = {0};
            snprintf(id, sizeof id, "robot-%d", r);
            int result = bel_open(bel, &(struct bel_open){.id = id}, &session);
            if (result) {
                ck_assert_msg(strstr(bel_error(bel), "damaged") != NULL, "%s", bel_error(bel));
                refused++;
                continue;
            }
            // It may not know a session any more; what it knows is right.
            ck_assert_int_eq(bel_get_belief(session, &belief), 0);
            if (bel_session_resumed(session)) {
                struct digest digest = agent_belief_digest(&robots[r].shadow.belief);
                for (int i = 0; i < 16; i++)
                    ck_assert_uint_eq(belief.digest[i], (uint8_t)(digest.word[i / 8] >> 8 * (i % 8)));
                whole++;
            }
            bel_close(session, 0);
        }
        bel_disconnect(bel);
        if (check.pid) {
            process_signal(&check, SIGKILL);
            process_wait(&check, 10);
        }
        process_release(&check);
        // As it was: what the attempt wrote is in the WAL.
        ck_assert_int_eq(pwrite(file, sound, PAGE, place), PAGE);
        unlink(in_directory("data/experience.db-wal"));
        unlink(in_directory("data/experience.db-shm"));
    }
    close(file);
    ck_assert_uint_gt(whole, 0);
    ck_assert_uint_gt(refused + no_start, 0);
    for (int r = 0; r < ROBOTS; r++)
        shadow_release(&robots[r].shadow);
    daemon_restart(&beliefd);
    end();
}
END_TEST

START_TEST(a_second_daemon_leaves_the_first_ones_log_and_socket_alone)
{
    begin("data_directory = @/data\n");
    struct robot robot;
    robot_open(&robot, "robot");
    robot_steps(&robot, 50);
    char socket[140];
    snprintf(socket, sizeof socket, "%s-2", beliefd.unix_address);
    const char *model_path = in_directory("0.safetensors");
    const char *data = in_directory("data"), *other = in_directory("other"), *listen = beliefd.unix_address;
    const char *const attempts[2][8] = {
        {beliefd_path, "--listen", socket, "--model", model_path, "--data", data, NULL},
        {beliefd_path, "--listen", listen, "--model", model_path, "--data", other, NULL}};
    for (int i = 0; i < 2; i++) {
        struct process second;
        process_start(&second, beliefd.directory, attempts[i]);
        ck_assert_int_eq(process_wait(&second, 20), 1);
        ck_assert_msg(strstr(process_words(&second), "another daemon") != NULL, "%s", process_words(&second));
        process_release(&second);
        robot_steps(&robot, 20);
    }
    ck_assert_uint_eq(bel_counters(robot.bel).reconnects, 0);
    robot_close(&robot);
    end();
}
END_TEST

// ---- Signals

START_TEST(signals_at_any_moment_of_a_start_lose_nothing)
{
    static const int signals[] = {SIGHUP, SIGKILL, SIGTERM, SIGHUP};
    begin("data_directory = @/data\ncommit_ms = 5\n");
    struct robot robot;
    robot_open(&robot, "robot");
    robot_steps(&robot, 200);
    kill_daemon();
    struct random_stream dice = random_stream(1, 1, 1, 1);
    for (int i = 0; i < 24; i++) {
        struct process process;
        process_start(&process, beliefd.directory,
                      (const char *[]){beliefd_path, "--listen", beliefd.unix_address, "--model",
                                       in_directory("0.safetensors"), "--config", in_directory("config"), NULL});
        int number = signals[i % 4];
        // Before main a signal is the system's affair: the first words say that it is reached.
        while (number == SIGHUP && !has_said(&process, "time="))
            sleep_ms(1);
        sleep_ms(random_below(&dice, 40));
        process_signal(&process, number);
        if (number == SIGHUP) {
            sleep_ms(20);
            ck_assert(process_running(&process));
            process_signal(&process, SIGTERM);
        }
        int code = process_wait(&process, 20);
        ck_assert_msg(code == 0 || code == 128 + SIGTERM || code == 128 + SIGKILL, "ended with %d; it said:\n%s", code,
                      process_words(&process));
        process_release(&process);
    }
    daemon_restart(&beliefd);
    robot_steps(&robot, 20);
    robot_close(&robot);
    end();
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "attacks: usage: attacks BELIEFD BELIEFCTL\n");
        return 2;
    }
    beliefd_path = argv[1];
    beliefctl_path = argv[2];
    Suite *suite = suite_create("attacks");
    SUITE_TEST(suite, a_wall_clock_that_jumps_changes_nothing);
    SUITE_TEST(suite, on_a_full_disk_a_robot_acts_and_nothing_is_lost);
    SUITE_TEST(suite, a_limit_on_file_sizes_ends_nothing_even_of_its_own_words);
    SUITE_TEST(suite, damaged_pages_are_errors_and_never_another_belief);
    SUITE_TEST(suite, a_second_daemon_leaves_the_first_ones_log_and_socket_alone);
    SUITE_TEST(suite, signals_at_any_moment_of_a_start_lose_nothing);
    return suite_finish(suite);
}
