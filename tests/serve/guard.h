#pragma once
// beliefd as it stands on a network, for tests: started with a configuration and a service manager's environment, its
// log read, and links to it, in clear or through TLS. Each test has a directory of its own, with a model, an authority
// and a certificate that it signed for "server.plant".

#include "certificates.h"

#include "daemon/agent/model.h"
#include "proto/frame.h"
#include "proto/wire.h"

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

enum { GUARD_WAIT_MS = 60000, GUARD_BUFFER = 1 << 20, GUARD_TEXT = 8192 };

extern const char *guard_program;      // beliefd
extern char guard_directory[64];
extern struct model *guard_model;      // what it serves
extern pid_t guard_pid;
extern struct certificate guard_authority, guard_certificate;

void guard_set_up(void);
void guard_tear_down(void);
const char *guard_path(const char *name);  // of a file in the directory; eight at a time
__attribute__((format(printf, 2, 3)))
void guard_write(const char *name, const char *format, ...);
const char *guard_sha256(const char *token);

// With the settings and descriptors 3, 4, ... as sockets that were passed.
void guard_launch(const char *settings, const int *passed, int count);
__attribute__((format(printf, 1, 2)))
void guard_start(const char *format, ...);     // and waits until it says that it is ready
void guard_start_tls(const char *format, ...) __attribute__((format(printf, 1, 2)));  // with its certificate
void guard_reload(void);                       // SIGHUP, until everything has been read again
int guard_ends_with(void);                     // its exit code; 1000 + the signal's number
const char *guard_told(void);                  // the next datagram to the service manager
const char *guard_log(void);
void guard_wait_for_log(const char *text);

// A connected socket. address: as the log names it; the log tells the port too.
int guard_dial(const char *address);
int guard_dial_unix(const char *name);
struct sockaddr_un guard_unix(const char *name);

struct guard_link {
    int fd;
    SSL_CTX *context;
    SSL *ssl;                        // NULL: in clear
    BIO *incoming, *outgoing;        // what SSL says and hears
    size_t chunk;                    // bytes that go through the socket at once
    struct frame_buffer in;
    struct wire_arena arena;
    uint64_t next_id;
};

struct guard_link guard_link(int fd);          // frames, in clear
// A client that knows our authority and shows a certificate, or none (NULL). 1: both ends agree, as far as it knows.
int guard_secure(struct guard_link *link, const struct certificate *mine, size_t chunk);
struct guard_link guard_tls(const char *address, const struct certificate *mine);
void guard_close(struct guard_link *link);

void guard_send(struct guard_link *link, const uint8_t *bytes, size_t size);       // through the socket as they are
size_t guard_receive(struct guard_link *link, uint8_t *bytes, size_t room);        // 0: the end
void guard_flush(struct guard_link *link);                                         // what TLS has to say
size_t guard_plain(struct guard_link *link, uint8_t *bytes, size_t room);          // decrypted; 0: the end

struct wire_envelope guard_ask(struct guard_link *link, struct wire_envelope request);  // WIRE_NONE: the end
struct wire_envelope guard_hello(struct guard_link *link, const char *token);
struct wire_envelope guard_open(struct guard_link *link, const char *name);
// Opens a session and lives; the belief's digest afterwards.
void guard_live(struct guard_link *link, const char *name, uint64_t steps, uint8_t digest[WIRE_DIGEST_SIZE]);
void must_be_error(struct wire_envelope reply, enum wire_error_code code);
void must_be_welcome(struct wire_envelope reply, const char *name, enum wire_role role);
