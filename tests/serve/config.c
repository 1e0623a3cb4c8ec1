// The config file says what it means or refuses with file, line and key; log lines cannot be forged.

#include "daemon/serve/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/serve/log.h"
#include "tests/support/suite.h"

static struct config config;
static char why[8192];

static int parse(const char *text)
{
    config_release(&config);
    config_init(&config);
    strcpy(why, "");
    return config_parse(&config, "f.conf", text, strlen(text), why, sizeof why);
}

START_TEST(every_key_reaches_its_place)
{
    ck_assert_int_eq(parse("# a comment\n"
                           "\n"
                           "listen = unix:/run/beliefd/a socket # 1\n"
                           "  listen=tcp:127.0.0.1:7447\r\n"
                           "model = /var/lib/beliefd/a.safetensors\n"
                           "model = b.safetensors\n"
                           "socket_mode = 0660\n"
                           "connections = 10\n"
                           "sessions = 20\n"
                           "frame_bytes = 65536\n"
                           "in_flight = 3\n"
                           "gaps = 4\n"
                           "writers = 5\n"
                           "connection_idle_seconds = 6\n"
                           "session_idle_seconds = 7\n"
                           "slow_reader_seconds = 8\n"
                           "drain_seconds = 9\n"
                           "log_level = debug"), 0);
    ck_assert_uint_eq(config.listen_count, 2);
    ck_assert_str_eq(config.listen[0].text, "unix:/run/beliefd/a socket # 1");
    ck_assert_str_eq(config.listen[1].text, "tcp:127.0.0.1:7447");
    ck_assert_uint_eq(config.model_count, 2);
    ck_assert_str_eq(config.models[1], "b.safetensors");
    ck_assert_uint_eq(config.socket_mode, 0660);
    ck_assert_uint_eq(config.limits.connections, 10);
    ck_assert_uint_eq(config.limits.sessions, 20);
    ck_assert_uint_eq(config.limits.frame_bytes, 65536);
    ck_assert_uint_eq(config.limits.in_flight, 3);
    ck_assert_uint_eq(config.limits.gaps, 4);
    ck_assert_uint_eq(config.limits.writers, 5);
    ck_assert_uint_eq(config.limits.connection_idle_us, 6000000);
    ck_assert_uint_eq(config.limits.session_idle_us, 7000000);
    ck_assert_uint_eq(config.limits.slow_reader_us, 8000000);
    ck_assert_uint_eq(config.drain_us, 9000000);
    ck_assert_int_eq(config.log_level, LOG_DEBUG);
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
    static const struct {
        const char *text, *where, *what;
    } cases[] = {
        {"\nconections = 5\n", "f.conf:2: conections:", "unknown key"},
        {"connections = 5\n#\nconnections = 6\n", "f.conf:3: connections:", "twice"},
        {"connections = five\n", "f.conf:1: connections:", "\"five\" is not a whole number from 1 to"},
        {"connections = 0\n", "f.conf:1: connections:", "from 1 to"},
        {"connections = -1\n", "f.conf:1: connections:", "from 1 to"},
        {"connections = 5x\n", "f.conf:1: connections:", "from 1 to"},
        {"connections = 99999999999999999999999\n", "f.conf:1: connections:", "from 1 to"},
        {"connections\n", "f.conf:1: connections:", "key = value"},
        {"connections =\n", "f.conf:1: connections:", "no value"},
        {"= 5\n", "f.conf:1: :", "unknown key"},
        {"log_level = loud\n", "f.conf:1: log_level:", "\"loud\""},
        {"socket_mode = 0999\n", "f.conf:1: socket_mode:", "mode"},
        {"socket_mode = 7777\n", "f.conf:1: socket_mode:", "mode"},
        {"listen = localhost\n", "f.conf:1: listen: \"localhost\":", "unix:PATH or tcp:HOST:PORT"},
        {"listen = unix:\n", "f.conf:1: listen: \"unix:\":", "path"},
        {"listen = tcp:127.0.0.1\n", "f.conf:1: listen: \"tcp:127.0.0.1\":", "HOST:PORT"},
        {"listen = tcp:127.0.0.1:65536\n", "f.conf:1: listen: \"tcp:127.0.0.1:65536\":", "HOST:PORT"},
        {"listen = tcp:robot:1\n", "f.conf:1: listen:", "not an IP address"},
        {"listen = tcp:0.0.0.0:7447\n", "f.conf:1: listen:", "other machines"},
        {"listen = tcp:[::]:7447\n", "f.conf:1: listen:", "other machines"},
        {"listen = tcp:192.168.1.1:7447\n", "f.conf:1: listen:", "other machines"},
        {"listen = unix:a\nlisten = unix:a\n", "f.conf:2: listen:", "twice"},
        {"model = a\nmodel = a\n", "f.conf:2: model:", "twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(parse(cases[i].text), -EINVAL);
        ck_assert_msg(!strncmp(why, cases[i].where, strlen(cases[i].where)), "%s", why);
        ck_assert_msg(strstr(why, cases[i].what) != NULL, "%s", why);
    }
    char text[512] = "listen = unix:";
    memset(text + strlen(text), 'x', 200);
    ck_assert_int_eq(parse(text), -EINVAL);
    ck_assert_int_eq(config_parse(&config, "f.conf", "gaps = 1\0\n", 10, why, sizeof why), -EINVAL);
    ck_assert_int_eq(config_read(&config, "/nonexistent/beliefd.conf", why, sizeof why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "/nonexistent/beliefd.conf"));
}
END_TEST

START_TEST(loopback_has_many_names)
{
    static const char *const good[] = {"tcp:127.0.0.1:0", "tcp:127.1.2.3:80", "tcp:localhost:80", "tcp:[::1]:80",
                                       "tcp:::1:80"};
    struct address address;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(address_parse(&address, good[i], why, sizeof why) == 0, "%s: %s", good[i], why);
}
END_TEST

// The sample is the manual: it must be accepted, and its figures are the defaults.
START_TEST(the_sample_config_states_the_defaults)
{
    struct config defaults;
    config_init(&defaults);
    config_release(&config);
    config_init(&config);
    config.limits = (struct limits){0};
    config.drain_us = config.socket_mode = 0;
    config.log_level = LOG_ERROR;
    ck_assert_msg(config_read(&config, SAMPLE_CONFIG, why, sizeof why) == 0, "%s", why);
    ck_assert_mem_eq(&config.limits, &defaults.limits, sizeof defaults.limits);
    ck_assert_uint_eq(config.drain_us, defaults.drain_us);
    ck_assert_uint_eq(config.socket_mode, defaults.socket_mode);
    ck_assert_int_eq(config.log_level, defaults.log_level);
    ck_assert_uint_eq(config.listen_count, 1);
    ck_assert_uint_eq(config.model_count, 1);
}
END_TEST

START_TEST(log_lines_cannot_be_forged)
{
    char line[2048];
    const struct log_field fields[] = {
        LOG_TEXT("plain", "half-cheetah/1.0"), LOG_NUMBER("n", 18446744073709551615u), LOG_TEXT("empty", ""),
        LOG_TEXT("words", "two words"), LOG_TEXT("evil", "x\" level=error\nevent=fake \\ \x1b[2J\xff")};
    log_format(line, sizeof line, LOG_WARNING, "test", fields, sizeof fields / sizeof *fields);
    ck_assert_str_eq(line, "level=warning event=test plain=half-cheetah/1.0 n=18446744073709551615 empty=\"\" "
                           "words=\"two words\" evil=\"x\\\" level=error\\x0aevent=fake \\\\ \\x1b[2J\\xff\"");
    char small[16];
    ck_assert_uint_eq(log_format(small, sizeof small, LOG_INFO, "a-long-event", fields, 1), sizeof small - 1);
    ck_assert_str_eq(small, "level=info even");
    ck_assert_int_eq(log_level_named("warning"), LOG_WARNING);
    ck_assert_int_eq(log_level_named("Warning"), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    SUITE_TEST(suite, every_key_reaches_its_place);
    SUITE_TEST(suite, what_is_wrong_is_named);
    SUITE_TEST(suite, loopback_has_many_names);
    SUITE_TEST(suite, the_sample_config_states_the_defaults);
    SUITE_TEST(suite, log_lines_cannot_be_forged);
    return suite_finish(suite);
}
