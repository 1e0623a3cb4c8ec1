// TLS moves bytes whole in any cut, and what is not TLS as we want it costs only its own connection.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/random.h"
#include "tests/support/suite.h"
#include "tls_pair.h"

START_TEST(bytes_arrive_whole_in_any_cut)
{
    static const struct { size_t chunk; int version; } cases[] = {
        {1, TLS1_2_VERSION}, {1, TLS1_3_VERSION}, {3, TLS1_3_VERSION}, {7, TLS1_2_VERSION}, {1000, TLS1_3_VERSION},
        {1 << 20, TLS1_2_VERSION}, {1 << 20, TLS1_3_VERSION}};
    tls_open_server();
    struct pair pair = pair_open(cases[_i].chunk);
    SSL_set_max_proto_version(pair.client, cases[_i].version);
    ck_assert_int_eq(tls_write(pair.tls, sent, 1), -EAGAIN);
    ck_assert_int_eq(shake_hands(&pair), 0);
    ck_assert(tls_is_open(pair.tls));
    ck_assert_str_eq(tls_version(pair.tls), cases[_i].version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2");

    size_t half = PLAIN / 3;
    ck_assert_int_eq(SSL_write(pair.client, sent, (int)half), (int)half);
    ck_assert_int_eq(SSL_write(pair.client, sent + half, (int)(PLAIN - half)), (int)(PLAIN - half));
    while (carry_up(&pair))
        ;
    ck_assert_uint_eq(pair.plain_size, PLAIN);
    ck_assert_mem_eq(got, sent, PLAIN);

    memset(got, 0, sizeof got);
    ck_assert_int_eq(tls_write(pair.tls, sent, 1), 0);
    ck_assert_int_eq(tls_write(pair.tls, sent + 1, PLAIN - 1), 0);
    size_t heard = 0;
    while (carry_down(&pair)) {
        int size;
        while (heard < PLAIN && (size = SSL_read(pair.client, got + heard, (int)(PLAIN - heard))) > 0)
            heard += (size_t)size;
    }
    ck_assert_uint_eq(heard, PLAIN);
    ck_assert_mem_eq(got, sent, PLAIN);
    pair_close(&pair);
}
END_TEST

// A connection that takes no more plain bytes leaves them where they are, and nothing is lost.
START_TEST(plain_bytes_wait_until_they_are_wanted)
{
    tls_open_server();
    struct pair pair = pair_open(1 << 20);
    ck_assert_int_eq(shake_hands(&pair), 0);
    ck_assert_int_eq(SSL_write(pair.client, sent, 10000), 10000);
    size_t room, taken = 0;
    uint8_t *memory = tls_input(pair.tls, &room);
    int size = BIO_read(pair.from_client, memory, (int)room);
    tls_received(pair.tls, (size_t)size);
    for (long n; (n = tls_read(pair.tls, got + taken, 3)) > 0; taken += (size_t)n)
        ck_assert_int_le(n, 3);
    ck_assert_uint_eq(taken, 10000);
    ck_assert_mem_eq(got, sent, 10000);
    pair_close(&pair);
}
END_TEST

START_TEST(what_is_to_be_sent_can_be_taken_away)
{
    tls_open_server();
    struct pair pair = pair_open(1 << 20);
    ck_assert_int_eq(shake_hands(&pair), 0);
    ck_assert_int_eq(tls_write(pair.tls, sent, 50000), 0);
    struct frame_buffer held;
    ck_assert_int_eq(tls_take_output(pair.tls, &held), 0);
    ck_assert_uint_gt(frame_buffer_size(&held), 50000);
    ck_assert_uint_eq(frame_buffer_size(tls_output(pair.tls)), 0);
    ck_assert_int_eq(tls_write(pair.tls, sent + 50000, 1000), 0);
    BIO_write(pair.to_client, frame_buffer_data(&held), (int)frame_buffer_size(&held));
    while (carry_down(&pair))
        ;
    int heard = 0, size;
    while ((size = SSL_read(pair.client, got + heard, PLAIN - heard)) > 0)
        heard += size;
    ck_assert_int_eq(heard, 51000);
    ck_assert_mem_eq(got, sent, 51000);
    frame_buffer_release(&held);
    pair_close(&pair);
}
END_TEST

START_TEST(each_end_says_goodbye)
{
    tls_open_server();
    struct pair pair = pair_open(1 << 20);
    tls_end(pair.tls);  // before anything was said: nothing to end
    ck_assert_uint_eq(frame_buffer_size(tls_output(pair.tls)), 0);
    ck_assert_int_eq(shake_hands(&pair), 0);
    tls_end(pair.tls);
    while (carry_down(&pair))
        ;
    ck_assert_int_eq(client_hears(&pair), SSL_ERROR_ZERO_RETURN);
    SSL_shutdown(pair.client);
    while (carry_up(&pair))
        ;
    ck_assert_int_eq(pair.result, -EPIPE);
    ck_assert_int_eq(tls_read(pair.tls, got, 1), -EPIPE);
    pair_close(&pair);
}
END_TEST

START_TEST(protocols_are_ours_or_none)
{
    static const struct { const char *offered, *chosen; } cases[] = {
        {"\x02h2", "h2"}, {"\x06" "belief", "belief"}, {"\x08http/1.1\x02h2", "h2"}, {NULL, ""}, {"\x08http/1.1", NULL}};
    tls_open_server();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pair pair = pair_open(1 << 20);
        if (cases[i].offered)
            SSL_set_alpn_protos(pair.client, (const uint8_t *)cases[i].offered, (unsigned)strlen(cases[i].offered));
        int result = shake_hands(&pair);
        if (cases[i].chosen) {
            const uint8_t *chosen;
            unsigned size;
            ck_assert_int_eq(result, 0);
            SSL_get0_alpn_selected(pair.client, &chosen, &size);
            ck_assert_uint_eq(size, strlen(cases[i].chosen));
            if (size > 0)
                ck_assert_mem_eq(chosen, cases[i].chosen, size);
        } else {
            ck_assert_int_eq(result, SSL_ERROR_SSL);
            ck_assert_int_eq(pair.result, -EPROTO);
            ck_assert_msg(strstr(tls_why(pair.tls), "application protocol") != NULL, "%s", tls_why(pair.tls));
        }
        pair_close(&pair);
    }
}
END_TEST

START_TEST(old_versions_are_not_spoken)
{
    tls_open_server();
    struct pair pair = pair_open(1 << 20);
    SSL_set_min_proto_version(pair.client, TLS1_VERSION);
    SSL_set_max_proto_version(pair.client, TLS1_1_VERSION);
    ck_assert_int_ne(shake_hands(&pair), 0);
    ck_assert_int_eq(pair.result, -EPROTO);
    ck_assert_msg(strstr(tls_why(pair.tls), "protocol") != NULL, "%s", tls_why(pair.tls));
    pair_close(&pair);
    tls_server_free(server);
    options.min_version = 13;
    tls_open_server();
    pair = pair_open(1 << 20);
    SSL_set_max_proto_version(pair.client, TLS1_2_VERSION);
    ck_assert_int_ne(shake_hands(&pair), 0);
    ck_assert_int_eq(pair.result, -EPROTO);
    pair_close(&pair);
}
END_TEST

START_TEST(renegotiation_is_declined)
{
    tls_open_server();
    struct pair pair = pair_open(1 << 20);
    SSL_set_max_proto_version(pair.client, TLS1_2_VERSION);
    ck_assert_int_eq(shake_hands(&pair), 0);
    ck_assert_int_eq(SSL_renegotiate(pair.client), 1);
    ck_assert_int_ne(shake_hands(&pair), 0);
    pair_close(&pair);
}
END_TEST

static long feed(struct tls *tls, const uint8_t *bytes, size_t size)
{
    long result = 0;
    uint8_t plain[64];
    while (size > 0) {
        size_t room;
        uint8_t *memory = tls_input(tls, &room);
        if (!memory)
            break;
        size_t part = size < room ? size : room;
        memcpy(memory, bytes, part);
        tls_received(tls, part);
        bytes += part;
        size -= part;
        while ((result = tls_read(tls, plain, sizeof plain)) > 0)
            ;
        if (result < 0)
            break;
    }
    return result;
}

START_TEST(what_is_not_tls_is_refused_with_a_reason)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: here\r\n\r\n", http2[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const uint8_t ping[] = {0, 0, 0, 4, 8, 7, 0x52, 0};
    static const struct { const void *bytes; size_t size; } cases[] = {
        {http, sizeof http}, {http2, sizeof http2}, {ping, sizeof ping}};
    tls_open_server();
    for (size_t i = 0; i < 3; i++) {
        struct tls *tls = tls_new(server);
        ck_assert_int_eq(feed(tls, cases[i].bytes, cases[i].size), -EPROTO);
        ck_assert_uint_gt(strlen(tls_why(tls)), 5);
        ck_assert_int_eq(tls_write(tls, sent, 1), -EPROTO);
        ck_assert_int_eq(tls_read(tls, got, 1), -EPROTO);
        tls_end(tls);
        tls_free(tls);
    }
    struct random_stream stream = random_stream(5, 6, 7, 8);
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[600];
        size_t size = 1 + random_below(&stream, sizeof bytes);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)random_bits(&stream);
        // Half of them have the beginning of a handshake record, to get further.
        if (round % 2 && size > 9)
            memcpy(bytes, (const uint8_t[]){22, 3, 1, 0, (uint8_t)(size - 5), 1, 0, 0, (uint8_t)(size - 9)}, 9);
        struct tls *tls = tls_new(server);
        ck_assert_int_le(feed(tls, bytes, size), 0);
        ck_assert(!tls_is_open(tls));
        tls_free(tls);
    }
}
END_TEST

// A handshake cut anywhere costs nothing but its own connection; with a byte changed anywhere (but in the header of its
// record, which says nothing) the two do not come together.
START_TEST(half_and_damaged_handshakes_are_let_go_of)
{
    tls_open_server();
    for (size_t cut = 0, whole = 1; cut < whole; cut += 1 + cut / 16) {
        for (int damaged = 0; damaged < 2; damaged++) {
            struct pair pair = pair_open(1 << 20);
            SSL_do_handshake(pair.client);
            uint8_t hello[4096];
            int size = BIO_read(pair.from_client, hello, sizeof hello);
            ck_assert_int_gt(size, 0);
            whole = (size_t)size;
            if (damaged)
                hello[cut] ^= 0x55;
            long result = feed(pair.tls, hello, damaged ? whole : cut);
            if (!damaged) {
                ck_assert_int_eq(result, 0);
            } else {
                if (result == 0)
                    shake_hands(&pair);
                ck_assert(cut < 5 || !tls_is_open(pair.tls) || !SSL_is_init_finished(pair.client));
            }
            pair_close(&pair);
        }
    }
}
END_TEST

START_TEST(a_damaged_record_ends_the_connection)
{
    tls_open_server();
    struct pair pair = pair_open(1 << 20);
    ck_assert_int_eq(shake_hands(&pair), 0);
    uint8_t record[256];
    ck_assert_int_eq(SSL_write(pair.client, sent, 100), 100);
    int size = BIO_read(pair.from_client, record, sizeof record);
    record[size / 2] ^= 1;
    ck_assert_int_eq(feed(pair.tls, record, (size_t)size), -EPROTO);
    ck_assert_msg(strstr(tls_why(pair.tls), "bad record mac") != NULL, "%s", tls_why(pair.tls));
    ck_assert_uint_gt(frame_buffer_size(tls_output(pair.tls)), 0);  // the alert
    pair_close(&pair);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls");
    suite_add(suite, "bytes_arrive_whole_in_any_cut", bytes_arrive_whole_in_any_cut, 7, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, plain_bytes_wait_until_they_are_wanted, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, what_is_to_be_sent_can_be_taken_away, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, each_end_says_goodbye, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, protocols_are_ours_or_none, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, old_versions_are_not_spoken, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, renegotiation_is_declined, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, what_is_not_tls_is_refused_with_a_reason, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, half_and_damaged_handshakes_are_let_go_of, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, a_damaged_record_ends_the_connection, tls_set_up, tls_tear_down);
    return suite_finish(suite);
}
