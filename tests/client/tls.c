// The client and the real daemon over TLS.
//
//     test_client_tls BELIEFD
#include "tests/agent/sample.h"
#include "tests/end_to_end/process.h"
#include "tests/serve/certificates.h"
#include "tests/support/suite.h"

#include "client/bel.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char directory[64], address[64], ca[96], strangers[96], robot_pem[96], robot_key[96];
static struct daemon daemon_under_test;
static struct model *model;

static unsigned free_port(void)
{
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof any;
    ck_assert_int_eq(bind(probe, (struct sockaddr *)&any, size), 0);
    ck_assert_int_eq(getsockname(probe, (struct sockaddr *)&any, &size), 0);
    close(probe);
    return ntohs(any.sin_port);
}

// A daemon with a certificate; mutual: it wants one of the client, too.
static void begin(int mutual)
{
    char certificate[96], key[96], settings[800];
    directory_make(directory, sizeof directory);
    snprintf(ca, sizeof ca, "%s/ca", directory);
    snprintf(strangers, sizeof strangers, "%s/strangers", directory);
    snprintf(robot_pem, sizeof robot_pem, "%s/robot", directory);
    snprintf(robot_key, sizeof robot_key, "%s/robot.key", directory);
    snprintf(certificate, sizeof certificate, "%s/daemon", directory);
    snprintf(key, sizeof key, "%s/daemon.key", directory);
    struct certificate authority = certificate_make(NULL, "authority", NULL, -DAY, DAY);
    struct certificate other = certificate_make(NULL, "somebody else", NULL, -DAY, DAY);
    struct certificate daemon = certificate_make(&authority, "beliefd", "DNS:plant.example,IP:127.0.0.1", -DAY, DAY);
    struct certificate robot = certificate_make(&authority, "robot-7", NULL, -DAY, DAY);
    certificate_write(&authority, ca);
    certificate_write(&other, strangers);
    certificate_write(&daemon, certificate);
    certificate_write_key(&daemon, key);
    certificate_write(&robot, robot_pem);
    certificate_write_key(&robot, robot_key);
    certificate_free(&authority);
    certificate_free(&other);
    certificate_free(&daemon);
    certificate_free(&robot);

    unsigned port = free_port();
    snprintf(address, sizeof address, "tls:127.0.0.1:%u", port);
    snprintf(settings, sizeof settings, "listen = %s\ntls_certificate = %s\ntls_key = %s\n%s%s\n", address,
             certificate, key, mutual ? "tls_client_ca = " : "", mutual ? ca : "");
    struct model_shape shape = sample_small;
    shape.observation_dim = shape.action_dim = 2;
    model = sample_model(&shape, 7);
    daemon_start(&daemon_under_test, &model, 1, settings);
}

static void end(void)
{
    daemon_release(&daemon_under_test);
    directory_remove(directory);
    model_free(model);
}

static char why[512];

static int attempt(const char *to, struct bel_options options)
{
    struct bel *bel;
    options.deadline_ms = 20000;
    int result = bel_connect(&bel, to, &options, why, sizeof why);
    if (!result)
        bel_disconnect(bel);
    return result;
}

#define ck_result(call, wanted) \
    do { \
        int is = (call); \
        ck_assert_msg(is == (wanted), "%s instead of %s: %s", bel_result_name(is), bel_result_name(wanted), why); \
    } while (0)

START_TEST(a_session_steps_over_tls_as_it_does_without)
{
    enum { STEPS = 200, MANY = 900 };
    begin(0);
    struct bel *bels[2];
    struct bel_session *sessions[2];
    struct bel_report reports[2];
    float actions[2][2], observation[2] = {0};
    struct bel_options options = {.ca_file = ca, .deadline_ms = 20000};
    ck_result(bel_connect(&bels[0], address, &options, why, sizeof why), 0);
    ck_result(bel_connect(&bels[1], daemon_under_test.unix_address, NULL, why, sizeof why), 0);
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(bel_open(bels[k], &(struct bel_open){.id = k ? "plain" : "tls"}, &sessions[k]), 0);
        ck_assert_int_eq(bel_act(sessions[k], observation, actions[k], NULL), 0);
    }
    for (int t = 1; t <= STEPS; t++) {
        observation[t % 2] = 0.01f * (float)(t % 17);
        for (int k = 0; k < 2; k++)
            ck_assert_int_eq(bel_step(sessions[k], NULL, (float)(t % 5), observation, actions[k], &reports[k]), 0);
        ck_assert_mem_eq(actions[0], actions[1], sizeof actions[0]);
    }
    // And a message of many TLS records.
    static struct bel_transition list[MANY];
    for (int i = 0; i < MANY; i++)
        list[i] = (struct bel_transition){
            .seq = (uint64_t)i + 1, .observation = observation, .action = actions[0], .reward = (float)(i % 3),
            .next_observation = observation};
    for (int k = 0; k < 2; k++)
        ck_assert_int_eq(bel_observe(sessions[k], 1, list, MANY, NULL, &reports[k]), 0);
    ck_assert_uint_eq(reports[0].count, STEPS + MANY);
    ck_assert_mem_eq(reports[0].digest, reports[1].digest, sizeof reports[0].digest);
    bel_disconnect(bels[0]);
    bel_disconnect(bels[1]);
    end();
}
END_TEST

START_TEST(a_daemon_that_cannot_be_trusted_is_not_talked_to)
{
    begin(0);
    ck_result(attempt(address, (struct bel_options){.ca_file = strangers}), BEL_DENIED);
    ck_assert_msg(strstr(why, "certificate is not accepted") != NULL, "%s", why);
    ck_result(attempt(address, (struct bel_options){.ca_file = ca, .server_name = "bank.example"}), BEL_DENIED);
    ck_assert_msg(strstr(why, "certificate is not accepted") != NULL, "%s", why);
    ck_result(attempt(address, (struct bel_options){.ca_file = ca, .server_name = "plant.example"}), 0);
    end();
}
END_TEST

START_TEST(a_daemon_that_wants_a_certificate_is_shown_one)
{
    begin(1);
    ck_result(attempt(address, (struct bel_options){.ca_file = ca, .certificate = robot_pem, .key = robot_key}), 0);
    ck_result(attempt(address, (struct bel_options){.ca_file = ca}), BEL_DENIED);
    end();
}
END_TEST

START_TEST(files_that_cannot_be_used_are_named)
{
    begin(0);
    const struct { struct bel_options options; const char *word; } bad[] = {
        {{.ca_file = "/nonexistent/ca"}, "(ca_file)"},
        {{.ca_file = ca, .certificate = robot_key, .key = robot_key}, "(certificate)"},
        {{.ca_file = ca, .certificate = robot_pem, .key = robot_pem}, "(key)"},
        {{.ca_file = ca, .certificate = robot_pem}, "(certificate, key)"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_result(attempt(address, bad[i].options), BEL_INVALID);
        ck_assert_msg(strstr(why, bad[i].word) != NULL, "%s: %s", bad[i].word, why);
    }
    end();
}
END_TEST

START_TEST(tls_where_there_is_none_and_none_where_there_is_end_with_a_sentence)
{
    begin(0);
    char wrong[64];
    snprintf(wrong, sizeof wrong, "tls:%s", daemon_under_test.tcp_address + strlen("tcp:"));
    int result = attempt(wrong, (struct bel_options){.ca_file = ca});
    ck_assert_msg(result == BEL_PROTOCOL || result == BEL_DISCONNECTED, "%s: %s", bel_result_name(result), why);
    ck_assert_str_ne(why, "");
    why[0] = 0;
    snprintf(wrong, sizeof wrong, "tcp:%s", address + strlen("tls:"));
    result = attempt(wrong, (struct bel_options){0});
    ck_assert_msg(result == BEL_PROTOCOL || result == BEL_DISCONNECTED, "%s: %s", bel_result_name(result), why);
    ck_assert_str_ne(why, "");
    end();
}
END_TEST

START_TEST(a_handshake_that_does_not_go_on_ends_with_the_deadline)
{
    begin(0);
    struct bel *bel;
    process_signal(&daemon_under_test.process, SIGSTOP);
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    struct bel_options options = {.ca_file = ca, .deadline_ms = 100};
    ck_result(bel_connect(&bel, address, &options, why, sizeof why), BEL_TIMEOUT);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double took = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
    ck_assert_msg(took >= 0.099 && took < 5, "took %g s", took);
    process_signal(&daemon_under_test.process, SIGCONT);
    end();
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    beliefd_path = argv[1];
    Suite *suite = suite_create("client and TLS");
    SUITE_TEST(suite, a_session_steps_over_tls_as_it_does_without);
    SUITE_TEST(suite, a_daemon_that_cannot_be_trusted_is_not_talked_to);
    SUITE_TEST(suite, a_daemon_that_wants_a_certificate_is_shown_one);
    SUITE_TEST(suite, files_that_cannot_be_used_are_named);
    SUITE_TEST(suite, tls_where_there_is_none_and_none_where_there_is_end_with_a_sentence);
    SUITE_TEST(suite, a_handshake_that_does_not_go_on_ends_with_the_deadline);
    return suite_finish(suite);
}
