#pragma once
// TLS without a socket, by OpenSSL: bytes of the peer in, plain bytes out, and back. Versions 1.2 and 1.3, only with
// forward secrecy; no renegotiation, no compression.
//
//     struct tls *tls = tls_new(server);
//     memory = tls_input(tls, &room)  ... bytes of the peer go there ...  tls_received(tls, size)
//     while ((n = tls_read(tls, plain, room)) > 0) ...       the handshake happens in here, too
//     tls_write(tls, plain, size)
//     send what tls_output(tls) holds
//
// One thread for each struct tls; a struct tls_server serves all of them.

#include "proto/frame.h"

#include <stddef.h>
#include <stdint.h>
#include <time.h>

// What this daemon shows, and what it asks of clients.
struct tls_options {
    const char *certificate, *key;  // paths, PEM
    const char *client_ca;          // path; NULL: clients show no certificate. Otherwise they must
    int min_version;                // 12 or 13
};

struct tls_server;

// -EINVAL, -EPERM (others may read the key) with a sentence; -ENOMEM. The strings of options are borrowed.
int tls_server_new(struct tls_server **server, const struct tls_options *options, char *why, size_t why_size);
void tls_server_free(struct tls_server *server);  // NULL is fine
// Reads the files again, for connections from now on. On an error nothing has changed. Any thread.
int tls_server_reload(struct tls_server *server, char *why, size_t why_size);
time_t tls_server_expiry(struct tls_server *server);  // of the certificate. Any thread

struct tls;

enum { TLS_NAMES_LIMIT = 16 };

struct tls *tls_new(struct tls_server *server);  // NULL: no memory
void tls_free(struct tls *tls);                  // NULL is fine

// Where the peer's bytes go, and how many fit; NULL: what came has not been read yet (tls_read until 0).
uint8_t *tls_input(struct tls *tls, size_t *room);
void tls_received(struct tls *tls, size_t size);

// Goes on with the handshake, or decrypts. How many plain bytes it wrote; 0: none until more is received; -EPIPE: the
// peer has said that it sends no more; -EPROTO: that was not TLS as we want it (tls_why), and the connection is over as
// soon as tls_output is sent. size is not 0.
long tls_read(struct tls *tls, uint8_t *out, size_t size);
// Encrypts all of it into tls_output. -EAGAIN before the handshake is done; -EPROTO (or no memory).
int tls_write(struct tls *tls, const uint8_t *bytes, size_t size);
// Says that no more will be sent.
void tls_end(struct tls *tls);

struct frame_buffer *tls_output(struct tls *tls);
// The output, to be sent in the background; the caller releases it. -ENOMEM.
int tls_take_output(struct tls *tls, struct frame_buffer *held);

int tls_has_input(const struct tls *tls);         // tls_read has not said 0 since bytes were received
int tls_is_open(const struct tls *tls);           // the handshake is done
const char *tls_why(const struct tls *tls);       // what went wrong, for the log
const char *tls_version(const struct tls *tls);   // "TLSv1.3"
// Names in the client's certificate: DNS and URI alternative names, or the common name if there are none. They live as
// long as tls. Up to TLS_NAMES_LIMIT; returns how many.
size_t tls_peer_names(const struct tls *tls, const char *const **names);
