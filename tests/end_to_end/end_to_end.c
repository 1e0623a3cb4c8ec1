// The daemon and its clients as a user meets them: started, misused, stopped, killed.
//
//     end_to_end BELIEFD BEL_ROLLOUT
//
// A witness is a robot whose every reply is compared with a shadow (shadow.h). Whatever happens to others, the
// witness must not see it.

#include "process.h"

#include "client/bel.h"
#include "client/worlds/world.h"
#include "proto/frame.h"
#include "proto/wire.h"
#include "shadow.h"
#include "tests/agent/sample.h"
#include "tests/support/json_line.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DIM = SHADOW_DIM_LIMIT };

static const char *rollout_path;
static struct daemon daemon_;
static struct model *model;

static void start_with(const char *settings)
{
    const struct world *world = world_find("point");
    struct model_shape shape = sample_small;
    shape.name = "random-point";
    shape.world = world->name;
    shape.observation_dim = world->observation_dim;
    shape.action_dim = world->action_dim;
    shape.task_dim = world->task_dim;
    model = sample_model(&shape, 3);
    daemon_start(&daemon_, &model, 1, settings);
}

static void start(void)
{
    start_with(NULL);
}

static void end(void)
{
    daemon_release(&daemon_);
    model_free(model);
}

// ---- Witness

struct witness {
    struct bel *bel;
    struct bel_session *session;
    struct shadow shadow;
    struct random_stream stream;
    double slowest_us;          // round trip
};

static void witness_open(struct witness *witness, const char *address, const char *id)
{
    char why[200];
    struct bel_options options = {.deadline_ms = 20000};
    *witness = (struct witness){.stream = random_stream(77, 0, 0, 0)};
    shadow_init(&witness->shadow, model, 0);
    int result = bel_connect(&witness->bel, address, &options, why, sizeof why);
    ck_assert_msg(result == 0, "%s: %s", address, why);
    result = bel_open(witness->bel, &(struct bel_open){.id = id}, &witness->session);
    ck_assert_msg(result == 0, "%s", bel_error(witness->bel));
}

static void witness_steps(struct witness *witness, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        float observation[DIM], unused[DIM], next[DIM], action[DIM], reward;
        struct bel_report report, expected;
        sample_transition(model, &witness->stream, observation, unused, next, &reward);
        int stands = witness->shadow.standing;
        int result = stands ? bel_step(witness->session, NULL, reward, next, action, &report)
                            : bel_act(witness->session, observation, action, &report);
        ck_assert_msg(result == 0, "step %u: %s", i, bel_error(witness->bel));
        expected = stands ? shadow_step(&witness->shadow, NULL, reward, next, 0)
                          : shadow_act(&witness->shadow, observation);
        shadow_check(&report, &expected, 0, "witness");
        ck_assert_mem_eq(action, witness->shadow.action, model->action_dim * sizeof *action);
        if (report.round_trip_us > witness->slowest_us)
            witness->slowest_us = report.round_trip_us;
    }
}

static void witness_close(struct witness *witness)
{
    ck_assert_uint_eq(bel_counters(witness->bel).reconnects, 0);
    ck_assert_int_eq(bel_close(witness->session, 1), 0);
    bel_disconnect(witness->bel);
    shadow_release(&witness->shadow);
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void stop_well(void)
{
    int status = daemon_stop(&daemon_);
    ck_assert_msg(status == 0, "beliefd ended with %d; it said:\n%s", status, process_words(&daemon_.process));
}

// ---- Starting and stopping

// Runs a program that must end by itself; returns its exit code.
static int run(struct process *process, const char *const *arguments, double seconds)
{
    process_start(process, daemon_.directory, arguments);
    return process_wait(process, seconds);
}

START_TEST(a_wrong_start_is_one_sentence_and_a_failure)
{
    char good[128], broken[128], missing[128], taken[140];
    snprintf(good, sizeof good, "%s/0.safetensors", daemon_.directory);
    snprintf(broken, sizeof broken, "%s/broken.safetensors", daemon_.directory);
    snprintf(missing, sizeof missing, "%s/missing.safetensors", daemon_.directory);
    snprintf(taken, sizeof taken, "%s", daemon_.unix_address);
    FILE *file = fopen(broken, "w");
    ck_assert(file && fputs("not a model at all", file) >= 0 && fclose(file) == 0);
    const struct {
        const char *arguments[6];
        const char *named;          // must occur in the sentence
    } starts[] = {
        {{beliefd_path, "--listen", taken, "--model", missing}, "missing.safetensors"},
        {{beliefd_path, "--listen", taken, "--model", broken}, "broken.safetensors"},
        {{beliefd_path, "--listen", "carrier-pigeon:7", "--model", good}, "unix:PATH, tcp:HOST:PORT or tls:HOST:PORT"},
        {{beliefd_path, "--listen", "unix:/no/such/folder/socket", "--model", good}, "/no/such/folder/socket"},
        {{beliefd_path, "--listen", taken, "--model", good}, taken + 5},   // another daemon lives there
        {{beliefd_path, "--model", good}, "--listen"},
        {{beliefd_path, "--frobnicate"}, "--frobnicate"},
    };
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        struct process process;
        int status = run(&process, starts[i].arguments, 60);
        // The sentence is the last line; what was logged before it is not counted.
        const char *sentence = strstr(process.output, "beliefd: ");
        ck_assert_msg(status == 1, "start %zu ended with %d: %s", i, status, process_words(&process));
        ck_assert_msg(sentence && strchr(sentence, '\n') == sentence + strlen(sentence) - 1, "start %zu said: %s",
                      i, process_words(&process));
        ck_assert_msg(strstr(sentence, starts[i].named) != NULL, "start %zu does not name %s: %s", i,
                      starts[i].named, sentence);
        process_release(&process);
    }
    // And the one that was there is still there.
    struct witness witness;
    witness_open(&witness, daemon_.unix_address, "witness");
    witness_steps(&witness, 10);
    witness_close(&witness);
    stop_well();
}
END_TEST

START_TEST(stopping_takes_leave_of_everybody_and_ends_with_zero)
{
    struct witness local, remote;
    witness_open(&local, daemon_.unix_address, "local");
    witness_open(&remote, daemon_.tcp_address, "remote");
    witness_steps(&local, 20);
    witness_steps(&remote, 20);
    stop_well();
    ck_assert_int_eq(access(daemon_.unix_address + 5, F_OK), -1);

    float observation[DIM] = {0}, action[DIM];
    bel_set_deadline(local.bel, 200);
    int result = bel_step(local.session, NULL, 0, observation, action, NULL);
    ck_assert_msg(result == BEL_DRAINING || result == BEL_DISCONNECTED, "%s", bel_result_name(result));
    bel_disconnect(local.bel);
    bel_disconnect(remote.bel);
    shadow_release(&local.shadow);
    shadow_release(&remote.shadow);
}
END_TEST

START_TEST(after_a_kill_the_socket_is_taken_over_and_a_lost_belief_is_told)
{
    struct witness witness;
    witness_open(&witness, daemon_.unix_address, "witness");
    witness_steps(&witness, 20);
    process_signal(&daemon_.process, SIGKILL);
    ck_assert_int_eq(process_wait(&daemon_.process, 10), 128 + SIGKILL);
    ck_assert_int_eq(access(daemon_.unix_address + 5, F_OK), 0);
    process_release(&daemon_.process);
    daemon_restart(&daemon_);

    // Never goes on with an empty belief as if nothing had happened.
    float observation[DIM] = {0}, action[DIM];
    int result = bel_step(witness.session, NULL, 0, observation, action, NULL);
    ck_assert_msg(result == BEL_LOST, "%s (%s)", bel_result_name(result), bel_error(witness.bel));
    ck_assert_int_eq(bel_close(witness.session, 0), 0);
    bel_disconnect(witness.bel);
    shadow_release(&witness.shadow);

    struct witness next;
    witness_open(&next, daemon_.unix_address, "witness-2");
    witness_steps(&next, 20);
    witness_close(&next);
    stop_well();
}
END_TEST

// ---- Bad company

// Sends what fits within a second; the peer may close at any time. Then: does it close?
static void send_garbage(const char *address, const uint8_t *bytes, size_t size, int must_close)
{
    int link = connect_to(address);
    struct timeval second = {.tv_sec = 1};
    setsockopt(link, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second);
    for (size_t sent = 0; sent < size;) {
        ssize_t taken = send(link, bytes + sent, size - sent, MSG_NOSIGNAL);
        if (taken <= 0)
            break;
        sent += (size_t)taken;
    }
    if (must_close) {
        uint8_t reply[4096];
        struct pollfd wait = {.fd = link, .events = POLLIN};
        ssize_t size_read = 1;
        while (size_read > 0 && poll(&wait, 1, 20000) == 1)
            size_read = recv(link, reply, sizeof reply, 0);
        ck_assert_msg(size_read <= 0, "%s: the connection was not closed", address);
    }
    close(link);
}

START_TEST(garbage_costs_its_own_connection_and_nobody_elses)
{
    enum { SIZE = 1 << 20 };
    static uint8_t bytes[SIZE];
    struct random_stream stream = random_stream(4, 0, 0, 0);
    struct witness witness;
    witness_open(&witness, daemon_.tcp_address, "witness");
    const char *addresses[] = {daemon_.unix_address, daemon_.tcp_address};
    for (int round = 0; round < 6; round++) {
        const char *address = addresses[round % 2];
        for (size_t i = 0; i < SIZE; i++)
            bytes[i] = (uint8_t)random_bits(&stream);
        bytes[0] |= 0x80;                                   // a length of more than 2 GB
        send_garbage(address, bytes, SIZE, 1);
        witness_steps(&witness, 20);
        // A length that is allowed, and a body that is nothing.
        frame_write_header(bytes, 1000);
        bytes[FRAME_HEADER_SIZE] = 0xff;
        bytes[FRAME_HEADER_SIZE + 1] = 0xff;
        send_garbage(address, bytes, FRAME_HEADER_SIZE + 1000, 1);
        witness_steps(&witness, 20);
        // Gone in the middle of a frame.
        send_garbage(address, bytes, 1 + random_below(&stream, 1000), 0);
        static const char http[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        send_garbage(address, (const uint8_t *)http, sizeof http - 1, 1);
        witness_steps(&witness, 20);
    }
    witness_close(&witness);
    stop_well();
}
END_TEST

START_TEST(who_does_not_read_is_dropped_and_delays_nobody)
{
    struct witness witness;
    witness_open(&witness, daemon_.tcp_address, "witness");
    witness_steps(&witness, 50);

    // Pings without end, and no reply is ever read.
    uint8_t frame[64];
    struct wire_envelope ping = {.request_id = 1, .kind = WIRE_PING};
    long size = wire_encode(frame, sizeof frame, &ping, NULL);
    ck_assert_int_gt(size, 0);
    int link = connect_to(daemon_.unix_address), closed = 0;
    size_t sent = 0;
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        ssize_t taken = send(link, frame + sent % (size_t)size, (size_t)size - sent % (size_t)size,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
        if (taken > 0)
            sent += (size_t)taken;
        else if (errno == EAGAIN)
            witness_steps(&witness, 20);
        else
            closed = 1;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (!closed && now.tv_sec - begin.tv_sec < 60);
    ck_assert_msg(closed, "not dropped within 60 s");
    ck_assert_msg(witness.slowest_us < 1e6, "a witness waited for %g us", witness.slowest_us);
    witness_steps(&witness, 50);
    close(link);
    witness_close(&witness);
    stop_well();
}
END_TEST

// ---- Rollouts

// bel-rollout --json at the address; it runs.
static void rollout_start(struct process *process, const char *address, const char *count, const char *episodes)
{
    const char *arguments[] = {rollout_path, "--world", "point", "--count", count, "--episodes", episodes,
                               "--seed", "5", "--connect", address, "--json", NULL};
    process_start(process, daemon_.directory, arguments);
}

START_TEST(rollouts_over_either_door_agree_and_lose_nothing)
{
    const char *addresses[] = {daemon_.unix_address, daemon_.tcp_address};
    double first[2], second[2];
    for (int i = 0; i < 2; i++) {
        struct process rollout;
        rollout_start(&rollout, addresses[i], "8", "2");
        int status = process_wait(&rollout, 120);
        ck_assert_msg(status == 0, "ended with %d:\n%s", status, process_words(&rollout));
        cJSON *summary = json_last_line(rollout.output);
        ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(summary, "world")), "point");
        ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(summary, "model")), "random-point");
        ck_assert_double_eq(json_number(summary, "tasks"), 8);
        ck_assert_double_eq(json_number(summary, "transitions"), 8 * 2 * 100);
        ck_assert_double_eq(json_number(summary, "lost"), 0);
        ck_assert_double_gt(json_number(summary, "p50_us"), 0);
        first[i] = json_number(summary, "return_first_episode");
        second[i] = json_number(summary, "return_second_episode");
        cJSON_Delete(summary);
        process_release(&rollout);
    }
    ck_assert_double_eq(first[0], first[1]);
    ck_assert_double_eq(second[0], second[1]);
    stop_well();
}
END_TEST

START_TEST(a_killed_rollout_leaves_others_as_they_are)
{
    struct witness witness;
    witness_open(&witness, daemon_.unix_address, "witness");
    for (int round = 0; round < 3; round++) {
        struct process rollout;
        rollout_start(&rollout, round % 2 ? daemon_.tcp_address : daemon_.unix_address, "64", "64");
        for (int i = 0; i < 10; i++) {
            witness_steps(&witness, 20);
            sleep_ms(10);
        }
        ck_assert_msg(process_running(&rollout), "the rollout ended by itself");
        process_signal(&rollout, SIGKILL);
        witness_steps(&witness, 100);
        ck_assert_int_eq(process_wait(&rollout, 10), 128 + SIGKILL);
        process_release(&rollout);
        witness_steps(&witness, 100);
    }
    witness_close(&witness);
    stop_well();
}
END_TEST

START_TEST(a_rollout_that_was_stopped_for_a_while_delays_nobody_and_loses_nothing)
{
    struct witness witness;
    witness_open(&witness, daemon_.unix_address, "witness");
    struct process rollout;
    rollout_start(&rollout, daemon_.tcp_address, "32", "64");
    sleep_ms(100);
    ck_assert_msg(process_running(&rollout), "the rollout ended by itself");
    process_signal(&rollout, SIGSTOP);
    witness.slowest_us = 0;
    for (int i = 0; i < 30; i++) {
        witness_steps(&witness, 20);
        sleep_ms(10);
    }
    ck_assert_msg(witness.slowest_us < 1e6, "a witness waited for %g us", witness.slowest_us);
    process_signal(&rollout, SIGCONT);
    int status = process_wait(&rollout, 200);
    ck_assert_msg(status == 0, "ended with %d:\n%s", status, process_words(&rollout));
    cJSON *summary = json_last_line(rollout.output);
    ck_assert_double_eq(json_number(summary, "transitions"), 32 * 64 * 100);
    ck_assert_double_eq(json_number(summary, "lost"), 0);
    cJSON_Delete(summary);
    process_release(&rollout);
    witness_close(&witness);
    stop_well();
}
END_TEST

START_TEST(a_picture_that_cannot_be_written_is_a_failure_that_names_it)
{
    char missing[128], large[128];
    snprintf(missing, sizeof missing, "%s/no-such-folder/belief.svg", daemon_.directory);
    snprintf(large, sizeof large, "%s/belief.svg", daemon_.directory);
    FILE *file = fopen(large, "w");
    ck_assert(file && fputs("yesterday's", file) >= 0 && fclose(file) == 0);
    // A place that is not there; a folder; a file for which there is no room.
    const char *paths[] = {missing, daemon_.directory, large};
    for (size_t i = 0; i < 3; i++) {
        // No file may grow beyond 4 KB.
        const char *arguments[] = {"/bin/sh", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh", rollout_path,
                                   "--world", "point", "--count", "16", "--episodes", "1", "--connect",
                                   daemon_.unix_address, "--json", "--svg", paths[i], NULL};
        struct process rollout;
        int status = run(&rollout, arguments, 60);
        ck_assert_msg(status == 1, "%s: ended with %d:\n%s", paths[i], status, process_words(&rollout));
        ck_assert_msg(strstr(rollout.output, paths[i]) != NULL, "%s is not named:\n%s", paths[i],
                      process_words(&rollout));
        process_release(&rollout);
    }
    // What stood there stands.
    char before[32] = "";
    file = fopen(large, "r");
    ck_assert(file && fgets(before, sizeof before, file));
    fclose(file);
    ck_assert_str_eq(before, "yesterday's");
    stop_well();
}
END_TEST

START_TEST(a_rollout_whose_daemon_stops_ends_with_a_sentence)
{
    struct process rollout;
    rollout_start(&rollout, daemon_.unix_address, "64", "64");
    sleep_ms(150);
    ck_assert_msg(process_running(&rollout), "the rollout ended by itself");
    stop_well();
    int status = process_wait(&rollout, 60);
    ck_assert_msg(status == 1, "ended with %d:\n%s", status, process_words(&rollout));
    ck_assert_msg(strstr(rollout.output, "bel-rollout: ") != NULL, "no sentence in:\n%s", process_words(&rollout));
    process_release(&rollout);
}
END_TEST

static void start_impatient(void)
{
    start_with("slow_reader_seconds = 1\n");
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "end_to_end BELIEFD BEL_ROLLOUT\n");
        return 2;
    }
    beliefd_path = argv[1];
    rollout_path = argv[2];
    Suite *suite = suite_create("end_to_end");
    SUITE_TEST_WITH(suite, a_wrong_start_is_one_sentence_and_a_failure, start, end);
    SUITE_TEST_WITH(suite, stopping_takes_leave_of_everybody_and_ends_with_zero, start, end);
    SUITE_TEST_WITH(suite, after_a_kill_the_socket_is_taken_over_and_a_lost_belief_is_told, start, end);
    SUITE_TEST_WITH(suite, garbage_costs_its_own_connection_and_nobody_elses, start, end);
    SUITE_TEST_WITH(suite, who_does_not_read_is_dropped_and_delays_nobody, start_impatient, end);
    SUITE_TEST_WITH(suite, rollouts_over_either_door_agree_and_lose_nothing, start, end);
    SUITE_TEST_WITH(suite, a_killed_rollout_leaves_others_as_they_are, start, end);
    SUITE_TEST_WITH(suite, a_rollout_that_was_stopped_for_a_while_delays_nobody_and_loses_nothing, start, end);
    SUITE_TEST_WITH(suite, a_picture_that_cannot_be_written_is_a_failure_that_names_it, start, end);
    SUITE_TEST_WITH(suite, a_rollout_whose_daemon_stops_ends_with_a_sentence, start, end);
    return suite_finish(suite);
}
