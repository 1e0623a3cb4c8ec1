// Certificates of both ends: who is let in and under which names, and how ours are read and replaced.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/support/suite.h"
#include "tls_pair.h"

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
    tls_open_server();
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
    tls_open_server();
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
    tls_open_server();
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
    tls_open_server();
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
    tls_open_server();
    struct pair pair = pair_open(1 << 20);
    SSL_set1_host(pair.client, "another.plant");
    ck_assert_int_eq(shake_hands(&pair), SSL_ERROR_SSL);
    ck_assert_int_eq(SSL_get_verify_result(pair.client), X509_V_ERR_HOSTNAME_MISMATCH);
    ck_assert_int_eq(pair.result, -EPROTO);
    ck_assert_msg(strstr(tls_why(pair.tls), "alert") != NULL, "%s", tls_why(pair.tls));
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
    tls_open_server();
}
END_TEST

START_TEST(a_reload_is_for_new_connections_and_never_half_done)
{
    tls_open_server();
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
    Suite *suite = suite_create("tls_certificates");
    SUITE_TEST_WITH(suite, clients_show_a_certificate_that_our_authority_signed, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, the_names_are_those_of_the_certificate, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, a_name_with_a_zero_inside_is_no_name, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, who_was_here_may_resume_and_has_the_same_names, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, a_client_that_meant_another_server_leaves, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, files_that_will_not_do_are_named, tls_set_up, tls_tear_down);
    SUITE_TEST_WITH(suite, a_reload_is_for_new_connections_and_never_half_done, tls_set_up, tls_tear_down);
    return suite_finish(suite);
}
