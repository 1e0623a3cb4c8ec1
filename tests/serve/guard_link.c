// Links to the daemon of a test; the contract is in guard.h.
#include "guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/suite.h"

// What the log says the port of an address of the configuration is.
int guard_dial(const char *address)
{
    char text[160];
    snprintf(text, sizeof text, "address=%s port=", address);
    const char *found = strstr(guard_log(), text);
    ck_assert_msg(found != NULL, "no %s in:\n%s", text, guard_log());
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)atoi(found + strlen(text)))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

int guard_dial_unix(const char *name)
{
    struct sockaddr_un to = guard_unix(name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_msg(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "%s", strerror(errno));
    return fd;
}

struct guard_link guard_link(int fd)
{
    struct guard_link link = {.fd = fd, .chunk = 1 << 16};
    ck_assert_int_eq(frame_buffer_init(&link.in, 4096, GUARD_BUFFER), 0);
    wire_arena_init(&link.arena, malloc(GUARD_BUFFER), GUARD_BUFFER);
    return link;
}

void guard_close(struct guard_link *link)
{
    SSL_free(link->ssl);
    SSL_CTX_free(link->context);
    close(link->fd);
    frame_buffer_release(&link->in);
    free(link->arena.memory);
    ERR_clear_error();
}

void guard_send(struct guard_link *link, const uint8_t *bytes, size_t size)
{
    for (size_t part; size > 0; bytes += part, size -= part) {
        part = size < link->chunk ? size : link->chunk;
        if (send(link->fd, bytes, part, MSG_NOSIGNAL) != (ssize_t)part)
            return;  // what the other end said before it closed is heard all the same
    }
}

// Some bytes of the socket; 0: its end.
size_t guard_receive(struct guard_link *link, uint8_t *bytes, size_t room)
{
    struct pollfd wait = {link->fd, POLLIN, 0};
    ck_assert_msg(poll(&wait, 1, GUARD_WAIT_MS) == 1, "no answer; log:\n%s", guard_log());
    ssize_t size = recv(link->fd, bytes, room < link->chunk ? room : link->chunk, 0);
    return size > 0 ? (size_t)size : 0;
}

void guard_flush(struct guard_link *link)
{
    uint8_t bytes[4096];
    int size;
    while ((size = BIO_read(link->outgoing, bytes, sizeof bytes)) > 0)
        guard_send(link, bytes, (size_t)size);
}

static size_t fill(struct guard_link *link)
{
    uint8_t bytes[4096];
    size_t size = guard_receive(link, bytes, sizeof bytes);
    BIO_write(link->incoming, bytes, (int)size);
    return size;
}

// A client that knows our guard_authority and shows a certificate, or none (NULL). 1: both ends agree, as far as it knows.
int guard_secure(struct guard_link *link, const struct certificate *mine, size_t chunk)
{
    link->context = SSL_CTX_new(TLS_client_method());
    ck_assert_int_eq(SSL_CTX_load_verify_locations(link->context, guard_path("ca"), NULL), 1);
    SSL_CTX_set_verify(link->context, SSL_VERIFY_PEER, NULL);
    link->ssl = SSL_new(link->context);
    link->incoming = BIO_new(BIO_s_mem());
    link->outgoing = BIO_new(BIO_s_mem());
    SSL_set_bio(link->ssl, link->incoming, link->outgoing);
    SSL_set1_host(link->ssl, "server.plant");
    if (mine) {
        SSL_use_certificate(link->ssl, mine->x509);
        SSL_use_PrivateKey(link->ssl, mine->key);
    }
    link->chunk = chunk;
    int done;
    while ((done = SSL_connect(link->ssl)) != 1 && SSL_get_error(link->ssl, done) == SSL_ERROR_WANT_READ) {
        guard_flush(link);
        if (fill(link) == 0)
            break;
    }
    guard_flush(link);
    return done == 1;
}

struct guard_link guard_tls(const char *address, const struct certificate *mine)
{
    struct guard_link link = guard_link(guard_dial(address));
    ck_assert_msg(guard_secure(&link, mine, 1 << 16), "log:\n%s", guard_log());
    return link;
}

// Plain bytes; 0: the end.
size_t guard_plain(struct guard_link *link, uint8_t *bytes, size_t room)
{
    if (!link->ssl)
        return guard_receive(link, bytes, room);
    int size;
    while ((size = SSL_read(link->ssl, bytes, (int)room)) <= 0) {
        if (SSL_get_error(link->ssl, size) != SSL_ERROR_WANT_READ || fill(link) == 0)
            return 0;
        guard_flush(link);
    }
    return (size_t)size;
}

static void send_request(struct guard_link *link, struct wire_envelope request)
{
    uint8_t bytes[4096];
    request.request_id = ++link->next_id;
    wire_arena_reset(&link->arena);
    long size = wire_encode(bytes, sizeof bytes, &request, &link->arena);
    ck_assert(size > 0 && size <= (long)sizeof bytes);
    if (link->ssl) {
        SSL_write(link->ssl, bytes, (int)size);
        guard_flush(link);
    } else {
        guard_send(link, bytes, (size_t)size);
    }
}

// Of kind WIRE_NONE at the end of the connection.
struct wire_envelope guard_ask(struct guard_link *link, struct wire_envelope request)
{
    struct wire_envelope reply = {.kind = WIRE_NONE};
    const uint8_t *body;
    size_t size;
    send_request(link, request);
    while (frame_next(&link->in, GUARD_BUFFER, &body, &size) == 0) {
        uint8_t *to = frame_buffer_reserve(&link->in, 4096);
        size_t got = guard_plain(link, to, 4096);
        if (got == 0)
            return reply;
        frame_buffer_append(&link->in, got);
    }
    wire_arena_reset(&link->arena);
    ck_assert_int_eq(wire_decode(&reply, body, size, &link->arena), 0);
    frame_buffer_consume(&link->in, FRAME_HEADER_SIZE + size);
    return reply;
}

struct wire_envelope guard_hello(struct guard_link *link, const char *token)
{
    return guard_ask(link, (struct wire_envelope){.kind = WIRE_HELLO, .hello = {.client = "test", .token = token}});
}

struct wire_envelope guard_open(struct guard_link *link, const char *name)
{
    return guard_ask(link, (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = name, .model = ""}});
}

void must_be_error(struct wire_envelope reply, enum wire_error_code code)
{
    ck_assert_msg(reply.kind == WIRE_ERROR && reply.error.code == code, "kind %d: %s %s", reply.kind,
                  reply.kind == WIRE_ERROR ? wire_error_name(reply.error.code) : "",
                  reply.kind == WIRE_ERROR ? reply.error.message : "");
}

void must_be_welcome(struct wire_envelope reply, const char *name, enum wire_role role)
{
    ck_assert_msg(reply.kind == WIRE_WELCOME, "%s", reply.kind == WIRE_ERROR ? reply.error.message : "no Welcome");
    ck_assert_str_eq(reply.welcome.identity, name);
    ck_assert_int_eq(reply.welcome.role, role);
}

// Opens and lives; the digest afterwards.
void guard_live(struct guard_link *link, const char *name, uint64_t steps, uint8_t digest[WIRE_DIGEST_SIZE])
{
    struct wire_envelope reply = guard_open(link, name);
    ck_assert_msg(reply.kind == WIRE_OPENED, "%s", reply.kind == WIRE_ERROR ? reply.error.message : "");
    uint32_t handle = reply.opened.handle;
    float observation[16], action[4];
    for (uint64_t seq = 1; seq <= steps; seq++) {
        for (int i = 0; i < 16; i++)
            observation[i] = (float)((seq * 7 + (uint64_t)i * 3) % 11) / 11;
        for (int i = 0; i < 4; i++)
            action[i] = (float)((seq + (uint64_t)i) % 5) / 5 - 0.5f;
        const struct wire_floats seen = {observation, guard_model->observation_dim}, done = {action, guard_model->action_dim};
        reply = seq == 1 ? guard_ask(link, (struct wire_envelope){.kind = WIRE_ACT,
                                                            .act = {.handle = handle, .seq = 1, .observation = seen}})
                         : guard_ask(link, (struct wire_envelope){
                                         .kind = WIRE_STEP,
                                         .step = {.handle = handle, .seq = seq, .observation = seen,
                                                  .reward = observation[1], .action = done}});
        ck_assert_msg(reply.kind == WIRE_ACTION, "%s", reply.kind == WIRE_ERROR ? reply.error.message : "no Action");
    }
    memcpy(digest, reply.action.digest.bytes, WIRE_DIGEST_SIZE);
}
