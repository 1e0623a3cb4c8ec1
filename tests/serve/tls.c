// TLS without a socket: OpenSSL's client at one end, ours at the other, bytes in any cut between them.

#include "daemon/serve/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificates.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

enum { PLAIN = 100000 };

static char directory[64], certificate_path[96], key_path[96], ca_path[96];
static struct certificate authority, server_certificate;
static struct tls_options options;
static struct tls_server *server;
static char why[512];
static uint8_t sent[PLAIN], got[PLAIN];

static void set_up(void)
{
    strcpy(directory, "/tmp/test-tls-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(certificate_path, sizeof certificate_path, "%s/certificate", directory);
    snprintf(key_path, sizeof key_path, "%s/key", directory);
    snprintf(ca_path, sizeof ca_path, "%s/ca", directory);
    authority = certificate_make(NULL, "authority", NULL, -DAY, DAY);
    server_certificate = certificate_make(&authority, "server", "DNS:server.plant", -DAY, DAY);
    certificate_write(&authority, ca_path);
    certificate_write(&server_certificate, certificate_path);
    certificate_write_key(&server_certificate, key_path);
    options = (struct tls_options){certificate_path, key_path, NULL, 12};
    struct random_stream stream = random_stream(1, 2, 3, 4);
    for (size_t i = 0; i < PLAIN; i++)
        sent[i] = (uint8_t)random_bits(&stream);
}

static void tear_down(void)
{
    tls_server_free(server);
    server = NULL;
    certificate_free(&authority);
    certificate_free(&server_certificate);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static void open_server(void)
{
    ck_assert_msg(tls_server_new(&server, &options, why, sizeof why) == 0, "%s", why);
}

// Both ends, and what is on its way.
struct pair {
    SSL_CTX *context;
    SSL *client;
    BIO *to_client, *from_client;
    struct tls *tls;
    size_t chunk;       // bytes that travel at once
    size_t plain_size;  // in got
    long result;        // of the last tls_read
};

static struct pair pair_open(size_t chunk)
{
    struct pair pair = {.context = SSL_CTX_new(TLS_client_method()), .chunk = chunk};
    SSL_CTX_set_security_level(pair.context, 0);
    ck_assert_int_eq(SSL_CTX_load_verify_locations(pair.context, ca_path, NULL), 1);
    SSL_CTX_set_verify(pair.context, SSL_VERIFY_PEER, NULL);
    pair.client = SSL_new(pair.context);
    pair.to_client = BIO_new(BIO_s_mem());
    pair.from_client = BIO_new(BIO_s_mem());
    SSL_set_bio(pair.client, pair.to_client, pair.from_client);
    SSL_set_connect_state(pair.client);
    ck_assert_int_eq(SSL_set1_host(pair.client, "server.plant"), 1);
    pair.tls = tls_new(server);
    ck_assert_ptr_nonnull(pair.tls);
    return pair;
}

static void pair_close(struct pair *pair)
{
    SSL_free(pair->client);
    SSL_CTX_free(pair->context);
    tls_free(pair->tls);
    ERR_clear_error();
}

// A chunk to the daemon. 0: there was nothing.
static int carry_up(struct pair *pair)
{
    size_t room;
    uint8_t *memory = tls_input(pair->tls, &room);
    if (!memory)
        return 0;
    int size = BIO_read(pair->from_client, memory, (int)(pair->chunk < room ? pair->chunk : room));
    if (size <= 0)
        return 0;
    tls_received(pair->tls, (size_t)size);
    while (pair->plain_size < sizeof got &&
           (pair->result = tls_read(pair->tls, got + pair->plain_size, sizeof got - pair->plain_size)) > 0)
        pair->plain_size += (size_t)pair->result;
    return 1;
}

static int carry_down(struct pair *pair)
{
    struct frame_buffer *out = tls_output(pair->tls);
    size_t held = frame_buffer_size(out), size = held < pair->chunk ? held : pair->chunk;
    if (size == 0)
        return 0;
    ck_assert_int_eq(BIO_write(pair->to_client, frame_buffer_data(out), (int)size), (int)size);
    frame_buffer_consume(out, size);
    return 1;
}

// Until neither has more to say. What the client's handshake came to: 0, or its error.
static int shake_hands(struct pair *pair)
{
    int error = SSL_ERROR_WANT_READ, moved = 1;
    while (moved) {
        if (error == SSL_ERROR_WANT_READ) {
            int result = SSL_do_handshake(pair->client);
            error = result == 1 ? 0 : SSL_get_error(pair->client, result);
        }
        moved = carry_up(pair);
        moved |= carry_down(pair);
    }
    return error;
}

// What the client hears when it asks after its fate.
static int client_hears(struct pair *pair)
{
    char byte;
    int result = SSL_read(pair->client, &byte, 1);
    return result > 0 ? 0 : SSL_get_error(pair->client, result);
}

START_TEST(bytes_arrive_whole_in_any_cut)
{
    static const struct { size_t chunk; int version; } cases[] = {
        {1, TLS1_2_VERSION}, {1, TLS1_3_VERSION}, {3, TLS1_3_VERSION}, {7, TLS1_2_VERSION}, {1000, TLS1_3_VERSION},
        {1 << 20, TLS1_2_VERSION}, {1 << 20, TLS1_3_VERSION}};
    open_server();
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
    open_server();
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
    open_server();
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
    open_server();
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
    open_server();
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
    open_server();
    struct pair pair = pair_open(1 << 20);
    SSL_set_min_proto_version(pair.client, TLS1_VERSION);
    SSL_set_max_proto_version(pair.client, TLS1_1_VERSION);
    ck_assert_int_ne(shake_hands(&pair), 0);
    ck_assert_int_eq(pair.result, -EPROTO);
    ck_assert_msg(strstr(tls_why(pair.tls), "protocol") != NULL, "%s", tls_why(pair.tls));
    pair_close(&pair);
    tls_server_free(server);
    options.min_version = 13;
    open_server();
    pair = pair_open(1 << 20);
    SSL_set_max_proto_version(pair.client, TLS1_2_VERSION);
    ck_assert_int_ne(shake_hands(&pair), 0);
    ck_assert_int_eq(pair.result, -EPROTO);
    pair_close(&pair);
}
END_TEST

START_TEST(renegotiation_is_declined)
{
    open_server();
    struct pair pair = pair_open(1 << 20);
    SSL_set_max_proto_version(pair.client, TLS1_2_VERSION);
    ck_assert_int_eq(shake_hands(&pair), 0);
    ck_assert_int_eq(SSL_renegotiate(pair.client), 1);
    ck_assert_int_ne(shake_hands(&pair), 0);
    pair_close(&pair);
}
END_TEST

// Shows the certificate (NULL: none) to a server that asks. 1: taken.
static int show(const struct certificate *certificate, struct pair *pair, int version)
{
    *pair = pair_open(1 << 20);
    SSL_set_max_proto_version(pair->client, version);
    if (certificate) {
        ck_assert_int_eq(SSL_use_certificate(pair->client, certificate->x509), 1);
        ck_assert_int_eq(SSL_use_PrivateKey(pair->client, certificate->key), 1);
    }
    int result = shake_hands(pair) == 0 && tls_is_open(pair->tls) && pair->result == 0;
    // With 1.3 the client thinks that all is well until it hears the alert.
    ck_assert_int_eq(client_hears(pair), result ? SSL_ERROR_WANT_READ : SSL_ERROR_SSL);
    return result;
}

START_TEST(clients_show_a_certificate_that_our_authority_signed)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    options.client_ca = ca_path;
    open_server();
    struct certificate stranger = certificate_make(NULL, "stranger", NULL, -DAY, DAY);
    struct certificate cases[] = {
        certificate_make(&authority, "arm", "DNS:arm.plant", -DAY, DAY),
        certificate_make(&stranger, "arm", "DNS:arm.plant", -DAY, DAY),
        certificate_make(&authority, "arm", "DNS:arm.plant", -2 * DAY, -DAY),
        certificate_make(&authority, "arm", "DNS:arm.plant", DAY, 2 * DAY)};
    static const char *const refused[] = {NULL, "unable to get local issuer", "expired", "not yet valid"};
    struct pair pair;
    for (int v = 0; v < 2; v++) {
        for (size_t i = 0; i < 4; i++) {
            ck_assert_int_eq(show(&cases[i], &pair, versions[v]), refused[i] == NULL);
            if (refused[i])
                ck_assert_msg(strstr(tls_why(pair.tls), refused[i]) != NULL, "%s", tls_why(pair.tls));
            pair_close(&pair);
        }
        ck_assert(!show(NULL, &pair, versions[v]));
        ck_assert_msg(strstr(tls_why(pair.tls), "certificate") != NULL, "%s", tls_why(pair.tls));
        pair_close(&pair);
        ck_assert(!show(&stranger, &pair, versions[v]));
        pair_close(&pair);
    }
    for (size_t i = 0; i < 4; i++)
        certificate_free(&cases[i]);
    certificate_free(&stranger);
}
END_TEST

START_TEST(the_names_are_those_of_the_certificate)
{
    static const struct { const char *common, *alternative; const char *names[3]; size_t count; } cases[] = {
        {"arm", "DNS:arm.plant,URI:spiffe://plant/arm", {"arm.plant", "spiffe://plant/arm"}, 2},
        {"arm", NULL, {"arm"}, 1},
        {"arm", "email:arm@plant", {"arm"}, 1},
        {"arm", "IP:127.0.0.1,DNS:leg.plant", {"leg.plant"}, 1},
    };
    options.client_ca = ca_path;
    open_server();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct certificate made = certificate_make(&authority, cases[i].common, cases[i].alternative, -DAY, DAY);
        struct pair pair;
        ck_assert(show(&made, &pair, TLS1_3_VERSION));
        const char *const *names;
        ck_assert_uint_eq(tls_peer_names(pair.tls, &names), cases[i].count);
        for (size_t n = 0; n < cases[i].count; n++)
            ck_assert_str_eq(names[n], cases[i].names[n]);
        pair_close(&pair);
        certificate_free(&made);
    }
}
END_TEST

// Somebody who has "admin\0.evil.example" signed is not admin.
START_TEST(a_name_with_a_zero_inside_is_no_name)
{
    options.client_ca = ca_path;
    open_server();
    struct certificate made = certificate_make(&authority, "placeholder", NULL, -DAY, DAY);
    X509_NAME *name = X509_NAME_new();
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)"admin\0.evil.example", 19, -1, 0);
    X509_set_subject_name(made.x509, name);
    X509_NAME_free(name);
    ck_assert_int_gt(X509_sign(made.x509, authority.key, EVP_sha256()), 0);
    struct pair pair;
    ck_assert(show(&made, &pair, TLS1_3_VERSION));
    const char *const *names;
    ck_assert_uint_eq(tls_peer_names(pair.tls, &names), 0);
    pair_close(&pair);
    certificate_free(&made);
}
END_TEST

START_TEST(who_was_here_may_resume_and_has_the_same_names)
{
    options.client_ca = ca_path;
    open_server();
    struct certificate made = certificate_make(&authority, "arm", "DNS:arm.plant", -DAY, DAY);
    struct pair pair;
    ck_assert(show(&made, &pair, TLS1_3_VERSION));
    SSL_SESSION *session = SSL_get1_session(pair.client);
    SSL_shutdown(pair.client);
    pair_close(&pair);
    for (int reloaded = 0; reloaded < 2; reloaded++) {
        pair = pair_open(1 << 20);
        SSL_set_session(pair.client, session);
        SSL_use_certificate(pair.client, made.x509);
        SSL_use_PrivateKey(pair.client, made.key);
        ck_assert_int_eq(shake_hands(&pair), 0);
        ck_assert_int_eq(SSL_session_reused(pair.client), !reloaded);
        const char *const *names;
        ck_assert_uint_eq(tls_peer_names(pair.tls, &names), 1);
        ck_assert_str_eq(names[0], "arm.plant");
        pair_close(&pair);
        ck_assert_msg(tls_server_reload(server, why, sizeof why) == 0, "%s", why);
    }
    SSL_SESSION_free(session);
    certificate_free(&made);
}
END_TEST

START_TEST(a_client_that_meant_another_server_leaves)
{
    open_server();
    struct pair pair = pair_open(1 << 20);
    SSL_set1_host(pair.client, "another.plant");
    ck_assert_int_eq(shake_hands(&pair), SSL_ERROR_SSL);
    ck_assert_int_eq(SSL_get_verify_result(pair.client), X509_V_ERR_HOSTNAME_MISMATCH);
    ck_assert_int_eq(pair.result, -EPROTO);
    ck_assert_msg(strstr(tls_why(pair.tls), "alert") != NULL, "%s", tls_why(pair.tls));
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
    open_server();
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
    open_server();
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
    open_server();
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

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

START_TEST(files_that_will_not_do_are_named)
{
    char other_key[96], garbage[96];
    snprintf(other_key, sizeof other_key, "%s/other", directory);
    snprintf(garbage, sizeof garbage, "%s/garbage", directory);
    certificate_write_key(&authority, other_key);
    write_text(garbage, "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n");
    chmod(garbage, 0600);
    static const char missing[] = "/nonexistent/file";
    const struct { struct tls_options options; const char *key, *path; } cases[] = {
        {{missing, key_path, NULL, 12}, "tls_certificate", missing},
        {{garbage, key_path, NULL, 12}, "tls_certificate", garbage},
        {{key_path, key_path, NULL, 12}, "tls_certificate", key_path},
        {{certificate_path, missing, NULL, 12}, "tls_key", missing},
        {{certificate_path, garbage, NULL, 12}, "tls_key", garbage},
        {{certificate_path, other_key, NULL, 12}, "tls_key", "mismatch"},
        {{certificate_path, key_path, missing, 12}, "tls_client_ca", missing},
        {{certificate_path, key_path, garbage, 12}, "tls_client_ca", garbage},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(tls_server_new(&server, &cases[i].options, why, sizeof why), -EINVAL);
        ck_assert_msg(strstr(why, cases[i].key) && strstr(why, cases[i].path), "%s", why);
    }
    static const mode_t modes[] = {0604, 0602, 0620, 0666, 0644};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        chmod(key_path, modes[i]);
        ck_assert_int_eq(tls_server_new(&server, &options, why, sizeof why), -EPERM);
        ck_assert_msg(strstr(why, key_path) && strstr(why, "0640"), "%s", why);
    }
    chmod(key_path, 0640);
    open_server();
}
END_TEST

START_TEST(a_reload_is_for_new_connections_and_never_half_done)
{
    open_server();
    time_t first_expiry = tls_server_expiry(server);
    ck_assert_int_le(labs((long)(first_expiry - time(NULL) - DAY)), 5);
    struct pair before = pair_open(1 << 20);
    ck_assert_int_eq(shake_hands(&before), 0);

    // Broken: what was served goes on.
    write_text(certificate_path, "nothing");
    ck_assert_int_eq(tls_server_reload(server, why, sizeof why), -EINVAL);
    ck_assert_msg(strstr(why, certificate_path) != NULL, "%s", why);
    struct pair meanwhile = pair_open(1 << 20);
    ck_assert_int_eq(shake_hands(&meanwhile), 0);
    pair_close(&meanwhile);

    struct certificate renewed = certificate_make(&authority, "server", "DNS:renewed.plant", -DAY, 9 * DAY);
    certificate_write(&renewed, certificate_path);
    certificate_write_key(&renewed, key_path);
    ck_assert_msg(tls_server_reload(server, why, sizeof why) == 0, "%s", why);
    ck_assert_int_gt(tls_server_expiry(server), first_expiry);
    struct pair after = pair_open(1 << 20);
    SSL_set1_host(after.client, "renewed.plant");
    ck_assert_int_eq(shake_hands(&after), 0);
    pair_close(&after);
    certificate_free(&renewed);

    // The one that stood stands.
    ck_assert_int_eq(SSL_write(before.client, sent, 5000), 5000);
    while (carry_up(&before))
        ;
    ck_assert_uint_eq(before.plain_size, 5000);
    ck_assert_mem_eq(got, sent, 5000);
    pair_close(&before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls");
    suite_add(suite, "bytes_arrive_whole_in_any_cut", bytes_arrive_whole_in_any_cut, 7, set_up, tear_down);
    SUITE_TEST_WITH(suite, plain_bytes_wait_until_they_are_wanted, set_up, tear_down);
    SUITE_TEST_WITH(suite, what_is_to_be_sent_can_be_taken_away, set_up, tear_down);
    SUITE_TEST_WITH(suite, each_end_says_goodbye, set_up, tear_down);
    SUITE_TEST_WITH(suite, protocols_are_ours_or_none, set_up, tear_down);
    SUITE_TEST_WITH(suite, old_versions_are_not_spoken, set_up, tear_down);
    SUITE_TEST_WITH(suite, renegotiation_is_declined, set_up, tear_down);
    SUITE_TEST_WITH(suite, clients_show_a_certificate_that_our_authority_signed, set_up, tear_down);
    SUITE_TEST_WITH(suite, the_names_are_those_of_the_certificate, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_name_with_a_zero_inside_is_no_name, set_up, tear_down);
    SUITE_TEST_WITH(suite, who_was_here_may_resume_and_has_the_same_names, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_client_that_meant_another_server_leaves, set_up, tear_down);
    SUITE_TEST_WITH(suite, what_is_not_tls_is_refused_with_a_reason, set_up, tear_down);
    SUITE_TEST_WITH(suite, half_and_damaged_handshakes_are_let_go_of, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_damaged_record_ends_the_connection, set_up, tear_down);
    SUITE_TEST_WITH(suite, files_that_will_not_do_are_named, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_reload_is_for_new_connections_and_never_half_done, set_up, tear_down);
    return suite_finish(suite);
}
