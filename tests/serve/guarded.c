// The daemon as it stands on a network: TLS, tokens, certificates, uids, the control socket, and who speaks too late.
//
//     test_guarded PATH-OF-BELIEFD

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard.h"
#include "tests/support/suite.h"

START_TEST(the_same_replies_through_tls_one_byte_at_a_time)
{
    guard_start_tls("listen = unix:%s/socket\nlisten = tls:127.0.0.1:0\nloops = 2\n", guard_directory);
    uint8_t plain[WIRE_DIGEST_SIZE], whole[WIRE_DIGEST_SIZE], dribbled[WIRE_DIGEST_SIZE];
    struct guard_link link = guard_link(guard_dial_unix("socket"));
    guard_live(&link, "plain", 60, plain);
    guard_close(&link);
    link = guard_tls("tls:127.0.0.1:0", NULL);
    guard_live(&link, "whole", 60, whole);
    guard_close(&link);
    link = guard_link(guard_dial("tls:127.0.0.1:0"));
    ck_assert(guard_secure(&link, NULL, 1));
    guard_live(&link, "dribbled", 60, dribbled);
    guard_close(&link);
    ck_assert_mem_eq(whole, plain, sizeof plain);
    ck_assert_mem_eq(dribbled, plain, sizeof plain);
    kill(guard_pid, SIGTERM);
    ck_assert_int_eq(guard_ends_with(), 0);
}
END_TEST

// Many requests in one write, more than a record holds and more than are taken in a turn.
START_TEST(a_flood_through_tls_is_answered_whole)
{
    enum { COUNT = 3000 };
    guard_start_tls("listen = tls:127.0.0.1:0\n");
    struct guard_link link = guard_tls("tls:127.0.0.1:0", NULL);
    static uint8_t bytes[COUNT * 64];
    size_t used = 0;
    for (uint64_t id = 1; id <= COUNT; id++) {
        struct wire_envelope ping = {.request_id = id, .kind = WIRE_PING};
        used += (size_t)wire_encode(bytes + used, sizeof bytes - used, &ping, &link.arena);
    }
    ck_assert_int_eq(SSL_write(link.ssl, bytes, (int)used), (int)used);
    guard_flush(&link);
    for (uint64_t id = 1; id <= COUNT; id++) {
        const uint8_t *body;
        size_t size;
        struct wire_envelope reply;
        while (frame_next(&link.in, GUARD_BUFFER, &body, &size) == 0) {
            uint8_t *to = frame_buffer_reserve(&link.in, 4096);
            size_t got = guard_plain(&link, to, 4096);
            ck_assert_uint_gt(got, 0);
            frame_buffer_append(&link.in, got);
        }
        wire_arena_reset(&link.arena);
        ck_assert_int_eq(wire_decode(&reply, body, size, &link.arena), 0);
        ck_assert_uint_eq(reply.request_id, id);
        ck_assert_int_eq(reply.kind, WIRE_DONE);
        frame_buffer_consume(&link.in, FRAME_HEADER_SIZE + size);
    }
    guard_close(&link);
}
END_TEST

START_TEST(tokens_say_who_is_there_and_can_be_replaced)
{
    guard_write("ids", "arm robot token:%s\n", guard_sha256("old secret"));
    guard_start_tls("identities = %s/ids\nlisten = tls:127.0.0.1:0\nlisten = tcp:127.0.0.1:0\n", guard_directory);
    static const char *const addresses[] = {"tls:127.0.0.1:0", "tcp:127.0.0.1:0"};
    for (int i = 0; i < 2; i++) {
        struct guard_link link = i == 0 ? guard_tls(addresses[i], NULL) : guard_link(guard_dial(addresses[i]));
        must_be_error(guard_open(&link, "s"), WIRE_UNAUTHENTICATED);
        must_be_error(guard_hello(&link, "wrong secret"), WIRE_UNAUTHENTICATED);
        guard_close(&link);
        link = i == 0 ? guard_tls(addresses[i], NULL) : guard_link(guard_dial(addresses[i]));
        must_be_welcome(guard_hello(&link, "old secret"), "arm", WIRE_ROLE_ROBOT);
        ck_assert_int_eq(guard_open(&link, "s").kind, WIRE_OPENED);
        must_be_error(guard_ask(&link, (struct wire_envelope){.kind = WIRE_LIST_SESSIONS, .list_sessions.after = ""}),
                      WIRE_PERMISSION);
        guard_close(&link);
    }
    char old_hash[65];
    strcpy(old_hash, guard_sha256("old secret"));
    guard_write("ids", "arm robot token:%s\narm robot token:%s\n", old_hash, guard_sha256("new secret"));
    guard_reload();
    static const char *const both[] = {"old secret", "new secret"};
    for (int i = 0; i < 2; i++) {
        struct guard_link link = guard_tls("tls:127.0.0.1:0", NULL);
        must_be_welcome(guard_hello(&link, both[i]), "arm", WIRE_ROLE_ROBOT);
        ck_assert_int_eq(guard_open(&link, "s").kind, WIRE_OPENED);  // the same robot's
        guard_close(&link);
    }
    // With a mistake in it the file is refused whole; what was in force stays.
    guard_write("ids", "arm king token:%s\n", guard_sha256("other secret"));
    guard_reload();
    ck_assert_msg(strstr(guard_log(), "is not a role") != NULL, "%s", guard_log());
    struct guard_link link = guard_tls("tls:127.0.0.1:0", NULL);
    must_be_welcome(guard_hello(&link, "new secret"), "arm", WIRE_ROLE_ROBOT);
    guard_close(&link);
    guard_write("ids", "arm robot token:%s\n", guard_sha256("new secret"));
    guard_reload();
    link = guard_tls("tls:127.0.0.1:0", NULL);
    must_be_error(guard_hello(&link, "old secret"), WIRE_UNAUTHENTICATED);
    guard_close(&link);
    ck_assert_msg(!strstr(guard_log(), "secret"), "%s", guard_log());
}
END_TEST

START_TEST(who_does_not_say_who_it_is_in_time_is_let_go_of)
{
    guard_write("ids", "arm robot token:%s\n", guard_sha256("secret"));
    guard_start_tls("identities = %s/ids\nlisten = tls:127.0.0.1:0\nhandshake_seconds = 1\n", guard_directory);
    struct guard_link stranger = guard_tls("tls:127.0.0.1:0", NULL), arm = guard_tls("tls:127.0.0.1:0", NULL);
    must_be_welcome(guard_hello(&arm, "secret"), "arm", WIRE_ROLE_ROBOT);
    // Whole requests do not help it.
    must_be_error(guard_open(&stranger, "s"), WIRE_UNAUTHENTICATED);
    uint8_t bytes[1024];
    while (guard_receive(&stranger, bytes, sizeof bytes) > 0)
        ;  // its end comes, or this test's
    guard_wait_for_log("event=handshake_late");
    guard_close(&stranger);
    ck_assert_int_eq(guard_open(&arm, "s").kind, WIRE_OPENED);
    guard_close(&arm);
}
END_TEST

START_TEST(certificates_say_who_is_there)
{
    guard_write("ids", "leg robot certificate:leg.plant\neye observer certificate:spiffe://plant/eye\n");
    guard_start_tls("tls_client_ca = %s/ca\nidentities = %s/ids\nlisten = tls:127.0.0.1:0\n", guard_directory,
                    guard_directory);
    struct certificate leg = certificate_make(&guard_authority, "x", "DNS:leg.plant", -DAY, DAY);
    struct certificate eye = certificate_make(&guard_authority, "x", "URI:spiffe://plant/eye", -DAY, DAY);
    struct certificate unlisted = certificate_make(&guard_authority, "x", "DNS:tail.plant", -DAY, DAY);
    struct certificate expired = certificate_make(&guard_authority, "x", "DNS:leg.plant", -2 * DAY, -DAY);
    struct certificate stranger = certificate_make(NULL, "x", "DNS:leg.plant", -DAY, DAY);

    struct guard_link link = guard_tls("tls:127.0.0.1:0", &leg);
    must_be_welcome(guard_hello(&link, ""), "leg", WIRE_ROLE_ROBOT);
    ck_assert_int_eq(guard_open(&link, "mine").kind, WIRE_OPENED);
    guard_close(&link);

    link = guard_tls("tls:127.0.0.1:0", &eye);
    must_be_welcome(guard_hello(&link, ""), "eye", WIRE_ROLE_OBSERVER);
    must_be_error(guard_open(&link, "mine"), WIRE_PERMISSION);
    ck_assert_int_eq(guard_ask(&link, (struct wire_envelope){.kind = WIRE_SAVE, .save.session = "mine"}).kind,
                     WIRE_SESSION_STATE);
    guard_close(&link);

    link = guard_tls("tls:127.0.0.1:0", &unlisted);
    must_be_error(guard_open(&link, "mine"), WIRE_UNAUTHENTICATED);
    guard_close(&link);

    // These do not come so far as to be answered; the log says why.
    static const char *const reasons[] = {"expired", "certificate verify failed", "did not return a certificate"};
    const struct certificate *const refused[] = {&expired, &stranger, NULL};
    for (int i = 0; i < 3; i++) {
        link = guard_link(guard_dial("tls:127.0.0.1:0"));
        if (guard_secure(&link, refused[i], 1 << 16))
            ck_assert_int_eq(guard_hello(&link, "").kind, WIRE_NONE);
        guard_close(&link);
        guard_wait_for_log(reasons[i]);
    }
    certificate_free(&leg);
    certificate_free(&eye);
    certificate_free(&unlisted);
    certificate_free(&expired);
    certificate_free(&stranger);
}
END_TEST

START_TEST(a_renewed_certificate_disturbs_nobody)
{
    guard_start_tls("listen = tls:127.0.0.1:0\nadmin = 127.0.0.1:0\n");
    struct guard_link before = guard_tls("tls:127.0.0.1:0", NULL);
    uint8_t digest[WIRE_DIGEST_SIZE];
    guard_live(&before, "before", 10, digest);
    guard_write("certificate", "nothing of the kind");
    guard_reload();
    guard_wait_for_log("tls_certificate");
    struct guard_link meanwhile = guard_tls("tls:127.0.0.1:0", NULL);
    guard_close(&meanwhile);
    struct certificate renewed = certificate_make(&guard_authority, "server", "DNS:server.plant", -DAY, 5 * DAY);
    certificate_write(&renewed, guard_path("certificate"));
    certificate_write_key(&renewed, guard_path("key"));
    guard_reload();
    struct guard_link after = guard_tls("tls:127.0.0.1:0", NULL);
    X509 *shown = SSL_get1_peer_certificate(after.ssl);
    ck_assert_int_eq(X509_cmp(shown, renewed.x509), 0);
    X509_free(shown);
    guard_live(&after, "after", 10, digest);
    guard_live(&before, "before-2", 10, digest);
    guard_close(&after);
    guard_close(&before);
    certificate_free(&renewed);
}
END_TEST

START_TEST(unix_peers_are_known_by_their_uid)
{
    guard_write("ids", "eye observer uid:%u\n", (unsigned)getuid());
    guard_start("identities = %s/ids\nlisten = unix:%s/socket\ncontrol = unix:%s/control\n", guard_directory,
                guard_directory, guard_directory);
    struct guard_link link = guard_link(guard_dial_unix("socket"));
    must_be_welcome(guard_hello(&link, ""), "eye", WIRE_ROLE_OBSERVER);
    must_be_error(guard_open(&link, "s"), WIRE_PERMISSION);
    guard_close(&link);
    link = guard_link(guard_dial_unix("control"));
    must_be_welcome(guard_hello(&link, ""), "", WIRE_ROLE_ADMIN);
    ck_assert_int_eq(guard_open(&link, "s").kind, WIRE_OPENED);
    struct wire_envelope list =
        guard_ask(&link, (struct wire_envelope){.kind = WIRE_LIST_SESSIONS, .list_sessions = {.after = "", .session = ""}});
    ck_assert_int_eq(list.kind, WIRE_SESSION_LIST);
    ck_assert_uint_eq(list.session_list.session_count, 1);
    guard_close(&link);
    guard_write("ids", "eye observer uid:%u\n", (unsigned)getuid() + 1);
    guard_reload();
    link = guard_link(guard_dial_unix("socket"));
    must_be_welcome(guard_hello(&link, ""), "", WIRE_ROLE_ROBOT);
    guard_close(&link);
    struct stat about;
    ck_assert_int_eq(stat(guard_path("control"), &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0600);
}
END_TEST

// Half handshakes, plain bytes, silence: each ends its own connection, soon, and nobody else notices.
START_TEST(who_does_not_speak_in_time_is_let_go_of)
{
    guard_start_tls("listen = tls:127.0.0.1:0\nlisten = tcp:127.0.0.1:0\nhandshake_seconds = 1\n");
    struct guard_link good = guard_tls("tls:127.0.0.1:0", NULL);
    ck_assert_int_eq(guard_ask(&good, (struct wire_envelope){.kind = WIRE_PING}).kind, WIRE_DONE);

    static const uint8_t half_hello[] = {22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, half_frame[] = {0, 0, 0, 9, 8};
    struct guard_link slow[] = {guard_link(guard_dial("tls:127.0.0.1:0")), guard_link(guard_dial("tls:127.0.0.1:0")),
                          guard_link(guard_dial("tcp:127.0.0.1:0")), guard_link(guard_dial("tcp:127.0.0.1:0")),
                          guard_link(guard_dial("tls:127.0.0.1:0"))};
    guard_send(&slow[1], half_hello, sizeof half_hello);
    guard_send(&slow[3], half_frame, sizeof half_frame);
    ck_assert(guard_secure(&slow[4], NULL, 1 << 16));  // a handshake, and then nothing
    uint8_t bytes[1024];
    for (int i = 0; i < 5; i++) {
        while (guard_receive(&slow[i], bytes, sizeof bytes) > 0)
            ;  // its end comes, or this test's
        guard_close(&slow[i]);
    }
    guard_wait_for_log("event=handshake_late");

    struct guard_link plain = guard_link(guard_dial("tls:127.0.0.1:0"));
    guard_send(&plain, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18);
    while (guard_receive(&plain, bytes, sizeof bytes) > 0)
        ;
    guard_close(&plain);
    guard_wait_for_log("event=tls_failed");
    ck_assert_int_eq(guard_ask(&good, (struct wire_envelope){.kind = WIRE_PING}).kind, WIRE_DONE);
    guard_close(&good);
}
END_TEST

START_TEST(what_is_not_safe_refuses_the_start)
{
    const struct { const char *settings, *said; } cases[] = {
        {"listen = tcp:0.0.0.0:0\n", "can be reached from other machines"},
        {"listen = tls:127.0.0.1:0\n", "needs tls_certificate"},
        {"listen = tls:127.0.0.1:0\ntls_certificate = %1$s/certificate\ntls_key = %1$s/open\n", "tls_key"},
        {"listen = tls:127.0.0.1:0\ntls_certificate = %1$s/none\ntls_key = %1$s/key\n", "tls_certificate"},
        {"listen = unix:%1$s/socket\nidentities = %1$s/none\n", "none"},
        {"listen = unix:%1$s/socket\ncontrol = unix:%1$s/socket\n", "already listen"},
        {"listen = unix:%1$s/socket\nadmin = 0.0.0.0:0\n", "can be reached from other machines"},
    };
    certificate_write_key(&guard_certificate, guard_path("open"));
    chmod(guard_path("open"), 0644);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char settings[GUARD_TEXT];
        snprintf(settings, sizeof settings, cases[i].settings, guard_directory);
        guard_launch(settings, NULL, 0);
        ck_assert_int_eq(guard_ends_with(), 1);
        ck_assert_msg(strstr(guard_log(), cases[i].said) != NULL, "%s: %s", settings, guard_log());
        ck_assert_int_eq(access(guard_path("socket"), F_OK), -1);
    }
    guard_start("insecure = yes\nlisten = tcp:0.0.0.0:0\n");
    struct guard_link link = guard_link(guard_dial("tcp:0.0.0.0:0"));
    ck_assert_int_eq(guard_open(&link, "s").kind, WIRE_OPENED);
    guard_close(&link);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    guard_program = argv[1];
    Suite *suite = suite_create("guarded");
    SUITE_TEST_WITH(suite, the_same_replies_through_tls_one_byte_at_a_time, guard_set_up, guard_tear_down);
    SUITE_TEST_WITH(suite, a_flood_through_tls_is_answered_whole, guard_set_up, guard_tear_down);
    SUITE_TEST_WITH(suite, tokens_say_who_is_there_and_can_be_replaced, guard_set_up, guard_tear_down);
    SUITE_TEST_WITH(suite, who_does_not_say_who_it_is_in_time_is_let_go_of, guard_set_up, guard_tear_down);
    SUITE_TEST_WITH(suite, certificates_say_who_is_there, guard_set_up, guard_tear_down);
    SUITE_TEST_WITH(suite, a_renewed_certificate_disturbs_nobody, guard_set_up, guard_tear_down);
    SUITE_TEST_WITH(suite, unix_peers_are_known_by_their_uid, guard_set_up, guard_tear_down);
    SUITE_TEST_WITH(suite, who_does_not_speak_in_time_is_let_go_of, guard_set_up, guard_tear_down);
    SUITE_TEST_WITH(suite, what_is_not_safe_refuses_the_start, guard_set_up, guard_tear_down);
    return suite_finish(suite);
}
