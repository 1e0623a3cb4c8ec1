// Both ends of TLS in one program; the contract is in tls_pair.h.
#include "tls_pair.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/random.h"
#include "tests/support/suite.h"

char directory[64], certificate_path[96], key_path[96], ca_path[96];
struct certificate authority, server_certificate;
struct tls_options options;
struct tls_server *server;
char why[512];
uint8_t sent[PLAIN], got[PLAIN];

void tls_set_up(void)
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

void tls_tear_down(void)
{
    tls_server_free(server);
    server = NULL;
    certificate_free(&authority);
    certificate_free(&server_certificate);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

void tls_open_server(void)
{
    ck_assert_msg(tls_server_new(&server, &options, why, sizeof why) == 0, "%s", why);
}

struct pair pair_open(size_t chunk)
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

void pair_close(struct pair *pair)
{
    SSL_free(pair->client);
    SSL_CTX_free(pair->context);
    tls_free(pair->tls);
    ERR_clear_error();
}

// A chunk to the daemon. 0: there was nothing.
int carry_up(struct pair *pair)
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

int carry_down(struct pair *pair)
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
int shake_hands(struct pair *pair)
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
int client_hears(struct pair *pair)
{
    char byte;
    int result = SSL_read(pair->client, &byte, 1);
    return result > 0 ? 0 : SSL_get_error(pair->client, result);
}
