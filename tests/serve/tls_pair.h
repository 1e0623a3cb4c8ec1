#pragma once
// TLS without a socket, for tests: OpenSSL's client at one end, ours at the other, bytes in any cut between them.

#include "certificates.h"

#include "daemon/serve/tls.h"

#include <openssl/ssl.h>

enum { PLAIN = 100000 };

// Made anew for each test: files, an authority, a certificate that it signed for "server.plant", random bytes to send.
extern char directory[64], certificate_path[96], key_path[96], ca_path[96];
extern struct certificate authority, server_certificate;
extern struct tls_options options;
extern struct tls_server *server;      // by tls_open_server
extern char why[512];
extern uint8_t sent[PLAIN], got[PLAIN];

void tls_set_up(void);
void tls_tear_down(void);
void tls_open_server(void);

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

struct pair pair_open(size_t chunk);
void pair_close(struct pair *pair);
int carry_up(struct pair *pair);    // a chunk to the daemon; 0: there was nothing
int carry_down(struct pair *pair);  // a chunk to the client
// Until neither has more to say. What the client's handshake came to: 0, or its error.
int shake_hands(struct pair *pair);
int client_hears(struct pair *pair);  // what the client hears when it asks after its fate
