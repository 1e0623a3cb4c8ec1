// The config file says what it means or refuses with file, line and key; log lines cannot be forged.

#include "daemon/serve/config.h"

#include <cjson/cJSON.h>
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
                           "control = unix:/run/beliefd/control\n"
                           "admin = [::1]:9447\n"
                           "insecure = yes\n"
                           "identities = ids\n"
                           "tls_certificate = c.pem\n"
                           "tls_key = k.pem\n"
                           "tls_client_ca = ca.pem\n"
                           "tls_min_version = 1.3\n"
                           "model_directory = models\n"
                           "loops = 10\n"
                           "data_directory = /var/lib/beliefd/log\n"
                           "durability = always\n"
                           "commit_ms = 11\n"
                           "log_size_limit = 12000000000\n"
                           "retention_days = 13\n"
                           "handshake_seconds = 14\n"
                           "session_spill_seconds = 15\n"
                           "deadline_seconds = 16\n"
                           "keepalive_seconds = 17\n"
                           "max_streams = 18\n"
                           "header_bytes = 1900\n"
                           "resets_per_second = 20\n"
                           "pings_per_second = 21\n"
                           "log_format = json\n"
                           "log_level = debug"), 0);
    ck_assert_str_eq(config.control.text, "unix:/run/beliefd/control");
    ck_assert_str_eq(config.admin.text, "tcp:[::1]:9447");
    ck_assert_int_eq(config.insecure, 1);
    ck_assert_str_eq(config.identities, "ids");
    ck_assert_str_eq(config.tls_certificate, "c.pem");
    ck_assert_str_eq(config.tls_key, "k.pem");
    ck_assert_str_eq(config.tls_client_ca, "ca.pem");
    ck_assert_int_eq(config.tls_min_version, 13);
    ck_assert_str_eq(config.model_directory, "models");
    ck_assert_uint_eq(config.loops, 10);
    ck_assert_str_eq(config.data_directory, "/var/lib/beliefd/log");
    ck_assert_int_eq(config.durability, WIRE_DURABILITY_ALWAYS);
    ck_assert_uint_eq(config.commit_ms, 11);
    ck_assert_uint_eq(config.log_size_limit_bytes, 12000000000u);
    ck_assert_uint_eq(config.retention_days, 13);
    ck_assert_uint_eq(config.limits.handshake_us, 14000000);
    ck_assert_uint_eq(config.limits.session_spill_us, 15000000);
    ck_assert_uint_eq(config.limits.deadline_us, 16000000);
    ck_assert_uint_eq(config.limits.keepalive_us, 17000000);
    ck_assert_uint_eq(config.limits.streams, 18);
    ck_assert_uint_eq(config.limits.header_bytes, 1900);
    ck_assert_uint_eq(config.limits.resets_per_second, 20);
    ck_assert_uint_eq(config.limits.pings_per_second, 21);
    ck_assert_int_eq(config.log_json, 1);
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
        {"listen = localhost\n", "f.conf:1: listen: \"localhost\":", "unix:PATH, tcp:HOST:PORT or tls:HOST:PORT"},
        {"listen = unix:\n", "f.conf:1: listen: \"unix:\":", "path"},
        {"listen = tcp:127.0.0.1\n", "f.conf:1: listen: \"tcp:127.0.0.1\":", "HOST:PORT"},
        {"listen = tcp:127.0.0.1:65536\n", "f.conf:1: listen: \"tcp:127.0.0.1:65536\":", "up to 65535"},
        {"listen = tcp:robot:1\n", "f.conf:1: listen:", "not an IP address"},
        {"listen = tls:127.0.0.1\n", "f.conf:1: listen: \"tls:127.0.0.1\":", "tls: needs HOST:PORT"},
        {"control = here\n", "f.conf:1: control: \"here\":", "unix:PATH"},
        {"admin = 9447\n", "f.conf:1: admin: \"9447\" is not", "HOST:PORT"},
        {"insecure = maybe\n", "f.conf:1: insecure:", "\"maybe\" is not no or yes"},
        {"tls_min_version = 1.1\n", "f.conf:1: tls_min_version:", "\"1.1\" is not 1.2 or 1.3"},
        {"durability = sometimes\n", "f.conf:1: durability:", "is not off, interval or always"},
        {"log_format = xml\n", "f.conf:1: log_format:", "is not text or json"},
        {"loops = 65\n", "f.conf:1: loops:", "from 1 to 64"},
        {"header_bytes = 1023\n", "f.conf:1: header_bytes:", "from 1024 to"},
        {"identities = a\nidentities = a\n", "f.conf:2: identities:", "twice"},
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

START_TEST(what_does_not_go_together_is_refused)
{
    static const struct {
        const char *text, *what;
    } cases[] = {
        {"model = m\n", "at least one"},
        {"listen = unix:a\n", "at least one"},
        {"model = m\nlisten = tcp:0.0.0.0:7447\n", "tcp:0.0.0.0:7447 can be reached from other machines"},
        {"model = m\nlisten = tcp:[::]:7447\n", "other machines"},
        {"model = m\nlisten = unix:a\nlisten = tcp:192.168.1.1:7447\n", "insecure = yes"},
        {"model = m\nlisten = unix:a\nadmin = 0.0.0.0:9447\n", "admin: 0.0.0.0:9447 can be reached"},
        {"model = m\nlisten = tls:0.0.0.0:7447\n", "tls_certificate"},
        {"model = m\nlisten = tls:127.0.0.1:7447\ntls_certificate = c\n", "tls_certificate and tls_key"},
        {"model = m\nlisten = unix:a\ntls_key = k\n", "belong together"},
        {"model = m\nlisten = unix:a\ncontrol = tcp:127.0.0.1:1\n", "Unix socket"},
        {"model = m\nlisten = unix:a\ncontrol = unix:a\n", "already listen there"},
        {"model = m\nlisten = unix:a\ndurability = always\n", "data_directory"},
        {"model = m\nlisten = unix:a\ninsecure = yes\nlisten = tcp:0.0.0.0:1\nadmin = 0.0.0.0:2\n", NULL},
        {"model = m\nlisten = tls:0.0.0.0:1\ntls_certificate = c\ntls_key = k\n", NULL},
        {"model = m\nlisten = unix:a\ncontrol = unix:b\nadmin = 127.0.0.1:9447\n", NULL},
        {"model = m\nlisten = unix:a\ndurability = always\ndata_directory = d\n", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(parse(cases[i].text) == 0, "%s", why);
        int error = config_check(&config, why, sizeof why);
        ck_assert_msg(error == (cases[i].what ? -EINVAL : 0), "%s: %s", cases[i].text, why);
        ck_assert_msg(!cases[i].what || strstr(why, cases[i].what), "%s", why);
    }
    ck_assert_int_eq(config.durability, WIRE_DURABILITY_ALWAYS);
    ck_assert_int_eq(parse("model = m\nlisten = unix:a\n"), 0);
    ck_assert_int_eq(config.durability, WIRE_DURABILITY_INTERVAL);
    ck_assert_int_eq(config_check(&config, why, sizeof why), 0);
    ck_assert_int_eq(config.durability, WIRE_DURABILITY_OFF);
}
END_TEST

START_TEST(the_command_line_takes_the_place_of_the_file)
{
    ck_assert_int_eq(parse("identities = a\nadmin = 127.0.0.1:1\nloops = 2\n"), 0);
    ck_assert_int_eq(config_set(&config, "identities", "b", why, sizeof why), 0);
    ck_assert_int_eq(config_set(&config, "admin", "127.0.0.1:2", why, sizeof why), 0);
    ck_assert_int_eq(config_set(&config, "listen", "unix:a", why, sizeof why), 0);
    ck_assert_str_eq(config.identities, "b");
    ck_assert_str_eq(config.admin.text, "tcp:127.0.0.1:2");
    ck_assert_uint_eq(config.loops, 2);
    ck_assert_uint_eq(config.listen_count, 1);
    ck_assert_int_eq(config_set(&config, "admin", "everywhere:2", why, sizeof why), -EINVAL);
    ck_assert_msg(!strncmp(why, "admin: \"everywhere:2\" is not", 28), "%s", why);
    ck_assert_str_eq(config.admin.text, "tcp:127.0.0.1:2");
    ck_assert_int_eq(config_set(&config, "control", "", why, sizeof why), -EINVAL);
    static char path[5000];
    memset(path, 'x', sizeof path - 1);
    ck_assert_int_eq(config_set(&config, "identities", path, why, sizeof why), -EINVAL);
    ck_assert_str_eq(config.identities, "b");
}
END_TEST

START_TEST(loopback_has_many_names)
{
    static const char *const good[] = {"tcp:127.0.0.1:0", "tcp:127.1.2.3:80", "tcp:localhost:80", "tcp:[::1]:80",
                                       "tcp:::1:80"};
    struct address address;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(address_parse(&address, good[i], why, sizeof why) == 0 && address.loopback, "%s: %s", good[i], why);
    static const char *const others[] = {"tcp:0.0.0.0:0", "tls:10.0.0.1:80", "tls:[::]:80", "tcp:[fe80::1]:80"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ck_assert_msg(address_parse(&address, others[i], why, sizeof why) == 0 && !address.loopback, "%s: %s", others[i],
                      why);
    ck_assert_int_eq(address.kind, ADDRESS_TCP);
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
    config.insecure = config.log_json = 1;
    config.loops = config.commit_ms = config.log_size_limit_bytes = config.retention_days = 99;
    config.tls_min_version = 0;
    config.durability = WIRE_DURABILITY_ALWAYS;
    ck_assert_msg(config_read(&config, SAMPLE_CONFIG, why, sizeof why) == 0, "%s", why);
    ck_assert_mem_eq(&config.limits, &defaults.limits, sizeof defaults.limits);
    ck_assert_uint_eq(config.drain_us, defaults.drain_us);
    ck_assert_uint_eq(config.socket_mode, defaults.socket_mode);
    ck_assert_int_eq(config.log_level, defaults.log_level);
    ck_assert_int_eq(config.insecure, defaults.insecure);
    ck_assert_int_eq(config.log_json, defaults.log_json);
    ck_assert_uint_eq(config.loops, defaults.loops);
    ck_assert_uint_eq(config.commit_ms, defaults.commit_ms);
    ck_assert_uint_eq(config.log_size_limit_bytes, defaults.log_size_limit_bytes);
    ck_assert_uint_eq(config.retention_days, defaults.retention_days);
    ck_assert_int_eq(config.tls_min_version, defaults.tls_min_version);
    ck_assert_int_eq(config.durability, defaults.durability);
    ck_assert_uint_eq(config.listen_count, 1);
    ck_assert_uint_eq(config.model_count, 1);
    ck_assert_int_eq(config_check(&config, why, sizeof why), 0);
}
END_TEST

// Every key of the sample, its examples too, is known; and with the lines of every_key_reaches_its_place the other way.
START_TEST(the_sample_config_has_every_key)
{
    FILE *file = fopen(SAMPLE_CONFIG, "r");
    static char text[1 << 16], line[4096];
    size_t used = 0, keys = 0;
    while (fgets(line, sizeof line, file)) {
        const char *at = line[0] == '#' && line[1] >= 'a' && line[1] <= 'z' ? line + 1 : line;
        if (*at >= 'a' && *at <= 'z')
            keys++;
        used += (size_t)sprintf(text + used, "%s", at);
    }
    fclose(file);
    ck_assert_msg(parse(text) == 0, "%s", why);
    ck_assert_int_eq(config_check(&config, why, sizeof why), 0);
    ck_assert_uint_eq(keys, config_key_count());
}
END_TEST

START_TEST(log_lines_cannot_be_forged)
{
    char line[2048];
    const struct log_field fields[] = {
        LOG_TEXT("plain", "half-cheetah/1.0"), LOG_NUMBER("n", 18446744073709551615u), LOG_TEXT("empty", ""),
        LOG_TEXT("words", "two words"), LOG_TEXT("evil", "x\" level=error\nevent=fake \\ \x1b[2J\xff")};
    log_format(line, sizeof line, LOG_AS_TEXT, LOG_WARNING, "test", fields, sizeof fields / sizeof *fields);
    ck_assert_str_eq(line, "level=warning event=test plain=half-cheetah/1.0 n=18446744073709551615 empty=\"\" "
                           "words=\"two words\" evil=\"x\\\" level=error\\x0aevent=fake \\\\ \\x1b[2J\\xff\"");
    char small[16];
    ck_assert_uint_eq(log_format(small, sizeof small, LOG_AS_TEXT, LOG_INFO, "a-long-event", fields, 1), sizeof small - 1);
    ck_assert_str_eq(small, "level=info even");

    log_format(line, sizeof line, LOG_AS_JSON, LOG_WARNING, "test", fields, sizeof fields / sizeof *fields);
    ck_assert_str_eq(line, "{\"level\":\"warning\",\"event\":\"test\",\"plain\":\"half-cheetah/1.0\","
                           "\"n\":18446744073709551615,\"empty\":\"\",\"words\":\"two words\","
                           "\"evil\":\"x\\\" level=error\\\\x0aevent=fake \\\\ \\\\x1b[2J\\\\xff\"}");
    // Cut anywhere, a line is a whole object.
    size_t whole = strlen(line);
    for (size_t size = 40; size <= whole + 1; size++) {
        char cut[2048];
        ck_assert_uint_lt(log_format(cut, size, LOG_AS_JSON, LOG_WARNING, "test", fields, 5), size);
        cJSON *json = cJSON_Parse(cut);
        ck_assert_msg(json != NULL, "%s", cut);
        cJSON_Delete(json);
    }
}
END_TEST

START_TEST(a_trace_is_told_if_it_is_one)
{
    static const char good[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    static const char *const bad[] = {"", "00", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
                                      "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-\"1"};
    char line[256];
    struct log_field field = log_trace(good);
    log_format(line, sizeof line, LOG_AS_TEXT, LOG_INFO, "step", &field, 1);
    ck_assert_str_eq(line, "level=info event=step trace=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
        field = log_trace(i < sizeof bad / sizeof *bad ? bad[i] : NULL);
        log_format(line, sizeof line, LOG_AS_TEXT, LOG_INFO, "step", &field, 1);
        ck_assert_str_eq(line, "level=info event=step");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    SUITE_TEST(suite, every_key_reaches_its_place);
    SUITE_TEST(suite, what_is_wrong_is_named);
    SUITE_TEST(suite, what_does_not_go_together_is_refused);
    SUITE_TEST(suite, the_command_line_takes_the_place_of_the_file);
    SUITE_TEST(suite, loopback_has_many_names);
    SUITE_TEST(suite, the_sample_config_states_the_defaults);
    SUITE_TEST(suite, the_sample_config_has_every_key);
    SUITE_TEST(suite, log_lines_cannot_be_forged);
    SUITE_TEST(suite, a_trace_is_told_if_it_is_one);
    return suite_finish(suite);
}
