// The daemon as it stands on a network: TLS, identities, the control socket, and those who run it.
//
//     test_guarded PATH-OF-BELIEFD

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "certificates.h"
#include "proto/frame.h"
#include "proto/wire.h"
#include "tests/agent/sample.h"
#include "tests/support/suite.h"

enum { WAIT_MS = 60000, BUFFER = 1 << 20, TEXT = 8192 };

static const char *program;
static char directory[64];
static struct model *model;
static pid_t daemon_pid;
static int manager = -1;          // where the service manager listens
static struct certificate authority, server_certificate;

static const char *in_directory(const char *name)
{
    static char paths[8][128];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

__attribute__((format(printf, 2, 3)))
static void write_file(const char *name, const char *format, ...)
{
    FILE *file = fopen(in_directory(name), "w");
    ck_assert_ptr_nonnull(file);
    fchmod(fileno(file), 0600);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fclose(file);
}

static const char *read_log(void)
{
    static char text[1 << 20];
    FILE *file = fopen(in_directory("log"), "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[size] = '\0';
    if (file)
        fclose(file);
    return text;
}

static const char *sha256(const char *token)
{
    static char text[2 * SHA256_DIGEST_LENGTH + 1];
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256((const uint8_t *)token, strlen(token), hash);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        sprintf(text + 2 * i, "%02x", hash[i]);
    return text;
}

static struct sockaddr_un unix_address(const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%.100s", in_directory(name));
    return at;
}

static void set_up(void)
{
    strcpy(directory, "/tmp/test-guard-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    model = sample_model(&sample_small, 1);
    ck_assert_int_eq(model_save(model, in_directory("model")), 0);
    authority = certificate_make(NULL, "authority", NULL, -DAY, DAY);
    server_certificate = certificate_make(&authority, "server", "DNS:server.plant", -DAY, DAY);
    certificate_write(&authority, in_directory("ca"));
    certificate_write(&server_certificate, in_directory("certificate"));
    certificate_write_key(&server_certificate, in_directory("key"));
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_un at = unix_address("notify");
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&at, sizeof at), 0);
}

static void tear_down(void)
{
    if (daemon_pid) {
        kill(daemon_pid, SIGKILL);
        waitpid(daemon_pid, NULL, 0);
        daemon_pid = 0;
    }
    close(manager);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
    model_free(model);
    certificate_free(&authority);
    certificate_free(&server_certificate);
}

// The next datagram to the service manager.
static const char *told(void)
{
    static char text[1024];
    struct pollfd wait = {manager, POLLIN, 0};
    ck_assert_msg(poll(&wait, 1, WAIT_MS) == 1, "nothing was told; log:\n%s", read_log());
    ssize_t size = recv(manager, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static int ends_with(void)
{
    int status;
    for (int i = 0; waitpid(daemon_pid, &status, WNOHANG) == 0; i++) {
        ck_assert_msg(i < WAIT_MS / 5, "it does not end");
        usleep(5000);
    }
    daemon_pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// beliefd with this configuration, the service manager's environment, and descriptors 3 ... as passed sockets.
static void launch(const char *settings, const int *passed, int count)
{
    write_file("conf", "model = %s/model\n%s", directory, settings);
    daemon_pid = fork();
    ck_assert_int_ge(daemon_pid, 0);
    if (daemon_pid)
        return;
    int log = open(in_directory("log"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(log, 1);
    dup2(log, 2);
    for (int i = 0; i < count; i++)
        dup2(passed[i], 3 + i);
    char pid[16], fds[16];
    snprintf(pid, sizeof pid, "%d", getpid());
    snprintf(fds, sizeof fds, "%d", count);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", fds, 1);
    setenv("NOTIFY_SOCKET", in_directory("notify"), 1);
    execl(program, program, "--config", in_directory("conf"), (char *)NULL);
    _exit(127);
}

static void start(const char *format, ...)
{
    char settings[TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(settings, sizeof settings, format, arguments);
    va_end(arguments);
    launch(settings, NULL, 0);
    ck_assert_msg(!strncmp(told(), "READY=1\n", 8), "not ready; log:\n%s", read_log());
}

static void wait_for_log(const char *text)
{
    for (int i = 0; !strstr(read_log(), text); i++) {
        ck_assert_msg(i < WAIT_MS / 10, "no %s in the log:\n%s", text, read_log());
        usleep(10000);
    }
}

// SIGHUP, until everything has been read again.
static void reload(void)
{
    kill(daemon_pid, SIGHUP);
    ck_assert_msg(!strncmp(told(), "RELOADING=1\nMONOTONIC_USEC=", 27), "reloading");
    ck_assert_msg(!strncmp(told(), "READY=1\n", 8), "ready again");
}

// ---- Links -----------------------------------------------------------------------------------------------------------

// What the log says the port of an address of the configuration is.
static int dial(const char *address)
{
    char text[160];
    snprintf(text, sizeof text, "address=%s port=", address);
    const char *found = strstr(read_log(), text);
    ck_assert_msg(found != NULL, "no %s in:\n%s", text, read_log());
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)atoi(found + strlen(text)))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static int dial_unix(const char *name)
{
    struct sockaddr_un to = unix_address(name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_msg(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "%s", strerror(errno));
    return fd;
}

struct link {
    int fd;
    SSL_CTX *context;
    SSL *ssl;                        // NULL: in clear
    BIO *incoming, *outgoing;        // what SSL says and hears
    size_t chunk;                    // bytes that go through the socket at once
    struct frame_buffer in;
    struct wire_arena arena;
    uint64_t next_id;
};

static struct link link_of(int fd)
{
    struct link link = {.fd = fd, .chunk = 1 << 16};
    ck_assert_int_eq(frame_buffer_init(&link.in, 4096, BUFFER), 0);
    wire_arena_init(&link.arena, malloc(BUFFER), BUFFER);
    return link;
}

static void link_close(struct link *link)
{
    SSL_free(link->ssl);
    SSL_CTX_free(link->context);
    close(link->fd);
    frame_buffer_release(&link->in);
    free(link->arena.memory);
    ERR_clear_error();
}

static void send_raw(struct link *link, const uint8_t *bytes, size_t size)
{
    for (size_t part; size > 0; bytes += part, size -= part) {
        part = size < link->chunk ? size : link->chunk;
        if (send(link->fd, bytes, part, MSG_NOSIGNAL) != (ssize_t)part)
            return;  // what the other end said before it closed is heard all the same
    }
}

// Some bytes of the socket; 0: its end.
static size_t receive_raw(struct link *link, uint8_t *bytes, size_t room)
{
    struct pollfd wait = {link->fd, POLLIN, 0};
    ck_assert_msg(poll(&wait, 1, WAIT_MS) == 1, "no answer; log:\n%s", read_log());
    ssize_t size = recv(link->fd, bytes, room < link->chunk ? room : link->chunk, 0);
    return size > 0 ? (size_t)size : 0;
}

static void flush(struct link *link)
{
    uint8_t bytes[4096];
    int size;
    while ((size = BIO_read(link->outgoing, bytes, sizeof bytes)) > 0)
        send_raw(link, bytes, (size_t)size);
}

static size_t fill(struct link *link)
{
    uint8_t bytes[4096];
    size_t size = receive_raw(link, bytes, sizeof bytes);
    BIO_write(link->incoming, bytes, (int)size);
    return size;
}

// A client that knows our authority and shows a certificate, or none (NULL). 1: both ends agree, as far as it knows.
static int link_secure(struct link *link, const struct certificate *mine, size_t chunk)
{
    link->context = SSL_CTX_new(TLS_client_method());
    ck_assert_int_eq(SSL_CTX_load_verify_locations(link->context, in_directory("ca"), NULL), 1);
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
        flush(link);
        if (fill(link) == 0)
            break;
    }
    flush(link);
    return done == 1;
}

static struct link link_tls(const char *address, const struct certificate *mine)
{
    struct link link = link_of(dial(address));
    ck_assert_msg(link_secure(&link, mine, 1 << 16), "log:\n%s", read_log());
    return link;
}

// Plain bytes; 0: the end.
static size_t receive(struct link *link, uint8_t *bytes, size_t room)
{
    if (!link->ssl)
        return receive_raw(link, bytes, room);
    int size;
    while ((size = SSL_read(link->ssl, bytes, (int)room)) <= 0) {
        if (SSL_get_error(link->ssl, size) != SSL_ERROR_WANT_READ || fill(link) == 0)
            return 0;
        flush(link);
    }
    return (size_t)size;
}

static void send_request(struct link *link, struct wire_envelope request)
{
    uint8_t bytes[4096];
    request.request_id = ++link->next_id;
    wire_arena_reset(&link->arena);
    long size = wire_encode(bytes, sizeof bytes, &request, &link->arena);
    ck_assert(size > 0 && size <= (long)sizeof bytes);
    if (link->ssl) {
        SSL_write(link->ssl, bytes, (int)size);
        flush(link);
    } else {
        send_raw(link, bytes, (size_t)size);
    }
}

// Of kind WIRE_NONE at the end of the connection.
static struct wire_envelope ask(struct link *link, struct wire_envelope request)
{
    struct wire_envelope reply = {.kind = WIRE_NONE};
    const uint8_t *body;
    size_t size;
    send_request(link, request);
    while (frame_next(&link->in, BUFFER, &body, &size) == 0) {
        uint8_t *to = frame_buffer_reserve(&link->in, 4096);
        size_t got = receive(link, to, 4096);
        if (got == 0)
            return reply;
        frame_buffer_append(&link->in, got);
    }
    wire_arena_reset(&link->arena);
    ck_assert_int_eq(wire_decode(&reply, body, size, &link->arena), 0);
    frame_buffer_consume(&link->in, FRAME_HEADER_SIZE + size);
    return reply;
}

static struct wire_envelope say_hello(struct link *link, const char *token)
{
    return ask(link, (struct wire_envelope){.kind = WIRE_HELLO, .hello = {.client = "test", .token = token}});
}

static struct wire_envelope open_session(struct link *link, const char *name)
{
    return ask(link, (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = name, .model = ""}});
}

static void must_be_error(struct wire_envelope reply, enum wire_error_code code)
{
    ck_assert_msg(reply.kind == WIRE_ERROR && reply.error.code == code, "kind %d: %s %s", reply.kind,
                  reply.kind == WIRE_ERROR ? wire_error_name(reply.error.code) : "",
                  reply.kind == WIRE_ERROR ? reply.error.message : "");
}

static void must_be_welcome(struct wire_envelope reply, const char *name, enum wire_role role)
{
    ck_assert_msg(reply.kind == WIRE_WELCOME, "%s", reply.kind == WIRE_ERROR ? reply.error.message : "no Welcome");
    ck_assert_str_eq(reply.welcome.identity, name);
    ck_assert_int_eq(reply.welcome.role, role);
}

// Opens and lives; the digest afterwards.
static void live(struct link *link, const char *name, uint64_t steps, uint8_t digest[WIRE_DIGEST_SIZE])
{
    struct wire_envelope reply = open_session(link, name);
    ck_assert_msg(reply.kind == WIRE_OPENED, "%s", reply.kind == WIRE_ERROR ? reply.error.message : "");
    uint32_t handle = reply.opened.handle;
    float observation[16], action[4];
    for (uint64_t seq = 1; seq <= steps; seq++) {
        for (int i = 0; i < 16; i++)
            observation[i] = (float)((seq * 7 + (uint64_t)i * 3) % 11) / 11;
        for (int i = 0; i < 4; i++)
            action[i] = (float)((seq + (uint64_t)i) % 5) / 5 - 0.5f;
        const struct wire_floats seen = {observation, model->observation_dim}, done = {action, model->action_dim};
        reply = seq == 1 ? ask(link, (struct wire_envelope){.kind = WIRE_ACT,
                                                            .act = {.handle = handle, .seq = 1, .observation = seen}})
                         : ask(link, (struct wire_envelope){
                                         .kind = WIRE_STEP,
                                         .step = {.handle = handle, .seq = seq, .observation = seen,
                                                  .reward = observation[1], .action = done}});
        ck_assert_msg(reply.kind == WIRE_ACTION, "%s", reply.kind == WIRE_ERROR ? reply.error.message : "no Action");
    }
    memcpy(digest, reply.action.digest.bytes, WIRE_DIGEST_SIZE);
}

// ---- Facts -----------------------------------------------------------------------------------------------------------

static const char tls_settings[] = "tls_certificate = %1$s/certificate\ntls_key = %1$s/key\n";

START_TEST(the_same_replies_through_tls_one_byte_at_a_time)
{
    char settings[TEXT];
    snprintf(settings, sizeof settings, tls_settings, directory);
    start("%slisten = unix:%s/socket\nlisten = tls:127.0.0.1:0\nloops = 2\n", settings, directory);
    uint8_t plain[WIRE_DIGEST_SIZE], whole[WIRE_DIGEST_SIZE], dribbled[WIRE_DIGEST_SIZE];
    struct link link = link_of(dial_unix("socket"));
    live(&link, "plain", 60, plain);
    link_close(&link);
    link = link_tls("tls:127.0.0.1:0", NULL);
    live(&link, "whole", 60, whole);
    link_close(&link);
    link = link_of(dial("tls:127.0.0.1:0"));
    ck_assert(link_secure(&link, NULL, 1));
    live(&link, "dribbled", 60, dribbled);
    link_close(&link);
    ck_assert_mem_eq(whole, plain, sizeof plain);
    ck_assert_mem_eq(dribbled, plain, sizeof plain);
    kill(daemon_pid, SIGTERM);
    ck_assert_int_eq(ends_with(), 0);
}
END_TEST

// Many requests in one write, more than a record holds and more than are taken in a turn.
START_TEST(a_flood_through_tls_is_answered_whole)
{
    enum { COUNT = 3000 };
    char settings[TEXT];
    snprintf(settings, sizeof settings, tls_settings, directory);
    start("%slisten = tls:127.0.0.1:0\n", settings);
    struct link link = link_tls("tls:127.0.0.1:0", NULL);
    static uint8_t bytes[COUNT * 64];
    size_t used = 0;
    for (uint64_t id = 1; id <= COUNT; id++) {
        struct wire_envelope ping = {.request_id = id, .kind = WIRE_PING};
        used += (size_t)wire_encode(bytes + used, sizeof bytes - used, &ping, &link.arena);
    }
    ck_assert_int_eq(SSL_write(link.ssl, bytes, (int)used), (int)used);
    flush(&link);
    for (uint64_t id = 1; id <= COUNT; id++) {
        const uint8_t *body;
        size_t size;
        struct wire_envelope reply;
        while (frame_next(&link.in, BUFFER, &body, &size) == 0) {
            uint8_t *to = frame_buffer_reserve(&link.in, 4096);
            size_t got = receive(&link, to, 4096);
            ck_assert_uint_gt(got, 0);
            frame_buffer_append(&link.in, got);
        }
        wire_arena_reset(&link.arena);
        ck_assert_int_eq(wire_decode(&reply, body, size, &link.arena), 0);
        ck_assert_uint_eq(reply.request_id, id);
        ck_assert_int_eq(reply.kind, WIRE_DONE);
        frame_buffer_consume(&link.in, FRAME_HEADER_SIZE + size);
    }
    link_close(&link);
}
END_TEST

START_TEST(tokens_say_who_is_there_and_can_be_replaced)
{
    char settings[TEXT];
    snprintf(settings, sizeof settings, tls_settings, directory);
    write_file("ids", "arm robot token:%s\n", sha256("old secret"));
    start("%sidentities = %s/ids\nlisten = tls:127.0.0.1:0\nlisten = tcp:127.0.0.1:0\n", settings, directory);
    static const char *const addresses[] = {"tls:127.0.0.1:0", "tcp:127.0.0.1:0"};
    for (int i = 0; i < 2; i++) {
        struct link link = i == 0 ? link_tls(addresses[i], NULL) : link_of(dial(addresses[i]));
        must_be_error(open_session(&link, "s"), WIRE_UNAUTHENTICATED);
        must_be_error(say_hello(&link, "wrong secret"), WIRE_UNAUTHENTICATED);
        link_close(&link);
        link = i == 0 ? link_tls(addresses[i], NULL) : link_of(dial(addresses[i]));
        must_be_welcome(say_hello(&link, "old secret"), "arm", WIRE_ROLE_ROBOT);
        ck_assert_int_eq(open_session(&link, "s").kind, WIRE_OPENED);
        must_be_error(ask(&link, (struct wire_envelope){.kind = WIRE_LIST_SESSIONS, .list_sessions.after = ""}),
                      WIRE_PERMISSION);
        link_close(&link);
    }
    char old_hash[65];
    strcpy(old_hash, sha256("old secret"));
    write_file("ids", "arm robot token:%s\narm robot token:%s\n", old_hash, sha256("new secret"));
    reload();
    static const char *const both[] = {"old secret", "new secret"};
    for (int i = 0; i < 2; i++) {
        struct link link = link_tls("tls:127.0.0.1:0", NULL);
        must_be_welcome(say_hello(&link, both[i]), "arm", WIRE_ROLE_ROBOT);
        ck_assert_int_eq(open_session(&link, "s").kind, WIRE_OPENED);  // the same robot's
        link_close(&link);
    }
    // With a mistake in it the file is refused whole; what was in force stays.
    write_file("ids", "arm king token:%s\n", sha256("other secret"));
    reload();
    ck_assert_msg(strstr(read_log(), "is not a role") != NULL, "%s", read_log());
    struct link link = link_tls("tls:127.0.0.1:0", NULL);
    must_be_welcome(say_hello(&link, "new secret"), "arm", WIRE_ROLE_ROBOT);
    link_close(&link);
    write_file("ids", "arm robot token:%s\n", sha256("new secret"));
    reload();
    link = link_tls("tls:127.0.0.1:0", NULL);
    must_be_error(say_hello(&link, "old secret"), WIRE_UNAUTHENTICATED);
    link_close(&link);
    ck_assert_msg(!strstr(read_log(), "secret"), "%s", read_log());
}
END_TEST

START_TEST(certificates_say_who_is_there)
{
    char settings[TEXT];
    snprintf(settings, sizeof settings, tls_settings, directory);
    write_file("ids", "leg robot certificate:leg.plant\neye observer certificate:spiffe://plant/eye\n");
    start("%stls_client_ca = %s/ca\nidentities = %s/ids\nlisten = tls:127.0.0.1:0\n", settings, directory, directory);
    struct certificate leg = certificate_make(&authority, "x", "DNS:leg.plant", -DAY, DAY);
    struct certificate eye = certificate_make(&authority, "x", "URI:spiffe://plant/eye", -DAY, DAY);
    struct certificate unlisted = certificate_make(&authority, "x", "DNS:tail.plant", -DAY, DAY);
    struct certificate expired = certificate_make(&authority, "x", "DNS:leg.plant", -2 * DAY, -DAY);
    struct certificate stranger = certificate_make(NULL, "x", "DNS:leg.plant", -DAY, DAY);

    struct link link = link_tls("tls:127.0.0.1:0", &leg);
    must_be_welcome(say_hello(&link, ""), "leg", WIRE_ROLE_ROBOT);
    ck_assert_int_eq(open_session(&link, "mine").kind, WIRE_OPENED);
    link_close(&link);

    link = link_tls("tls:127.0.0.1:0", &eye);
    must_be_welcome(say_hello(&link, ""), "eye", WIRE_ROLE_OBSERVER);
    must_be_error(open_session(&link, "mine"), WIRE_PERMISSION);
    ck_assert_int_eq(ask(&link, (struct wire_envelope){.kind = WIRE_SAVE, .save.session = "mine"}).kind,
                     WIRE_SESSION_STATE);
    link_close(&link);

    link = link_tls("tls:127.0.0.1:0", &unlisted);
    must_be_error(open_session(&link, "mine"), WIRE_UNAUTHENTICATED);
    link_close(&link);

    // These do not come so far as to be answered; the log says why.
    static const char *const reasons[] = {"expired", "certificate verify failed", "did not return a certificate"};
    const struct certificate *const refused[] = {&expired, &stranger, NULL};
    for (int i = 0; i < 3; i++) {
        link = link_of(dial("tls:127.0.0.1:0"));
        if (link_secure(&link, refused[i], 1 << 16))
            ck_assert_int_eq(say_hello(&link, "").kind, WIRE_NONE);
        link_close(&link);
        wait_for_log(reasons[i]);
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
    char settings[TEXT];
    snprintf(settings, sizeof settings, tls_settings, directory);
    start("%slisten = tls:127.0.0.1:0\nadmin = 127.0.0.1:0\n", settings);
    struct link before = link_tls("tls:127.0.0.1:0", NULL);
    uint8_t digest[WIRE_DIGEST_SIZE];
    live(&before, "before", 10, digest);
    write_file("certificate", "nothing of the kind");
    reload();
    wait_for_log("tls_certificate");
    struct link meanwhile = link_tls("tls:127.0.0.1:0", NULL);
    link_close(&meanwhile);
    struct certificate renewed = certificate_make(&authority, "server", "DNS:server.plant", -DAY, 5 * DAY);
    certificate_write(&renewed, in_directory("certificate"));
    certificate_write_key(&renewed, in_directory("key"));
    reload();
    struct link after = link_tls("tls:127.0.0.1:0", NULL);
    X509 *shown = SSL_get1_peer_certificate(after.ssl);
    ck_assert_int_eq(X509_cmp(shown, renewed.x509), 0);
    X509_free(shown);
    live(&after, "after", 10, digest);
    live(&before, "before-2", 10, digest);
    link_close(&after);
    link_close(&before);
    certificate_free(&renewed);
}
END_TEST

START_TEST(unix_peers_are_known_by_their_uid)
{
    write_file("ids", "eye observer uid:%u\n", (unsigned)getuid());
    start("identities = %s/ids\nlisten = unix:%s/socket\ncontrol = unix:%s/control\n", directory, directory, directory);
    struct link link = link_of(dial_unix("socket"));
    must_be_welcome(say_hello(&link, ""), "eye", WIRE_ROLE_OBSERVER);
    must_be_error(open_session(&link, "s"), WIRE_PERMISSION);
    link_close(&link);
    link = link_of(dial_unix("control"));
    must_be_welcome(say_hello(&link, ""), "", WIRE_ROLE_ADMIN);
    ck_assert_int_eq(open_session(&link, "s").kind, WIRE_OPENED);
    struct wire_envelope list =
        ask(&link, (struct wire_envelope){.kind = WIRE_LIST_SESSIONS, .list_sessions = {.after = "", .session = ""}});
    ck_assert_int_eq(list.kind, WIRE_SESSION_LIST);
    ck_assert_uint_eq(list.session_list.session_count, 1);
    link_close(&link);
    write_file("ids", "eye observer uid:%u\n", (unsigned)getuid() + 1);
    reload();
    link = link_of(dial_unix("socket"));
    must_be_welcome(say_hello(&link, ""), "", WIRE_ROLE_ROBOT);
    link_close(&link);
    struct stat about;
    ck_assert_int_eq(stat(in_directory("control"), &about), 0);
    ck_assert_uint_eq(about.st_mode & 0777, 0600);
}
END_TEST

// Half handshakes, plain bytes, silence: each ends its own connection, soon, and nobody else notices.
START_TEST(who_does_not_speak_in_time_is_let_go_of)
{
    char settings[TEXT];
    snprintf(settings, sizeof settings, tls_settings, directory);
    start("%slisten = tls:127.0.0.1:0\nlisten = tcp:127.0.0.1:0\nhandshake_seconds = 1\n", settings);
    struct link good = link_tls("tls:127.0.0.1:0", NULL);
    ck_assert_int_eq(ask(&good, (struct wire_envelope){.kind = WIRE_PING}).kind, WIRE_DONE);

    static const uint8_t half_hello[] = {22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, half_frame[] = {0, 0, 0, 9, 8};
    struct link slow[] = {link_of(dial("tls:127.0.0.1:0")), link_of(dial("tls:127.0.0.1:0")),
                          link_of(dial("tcp:127.0.0.1:0")), link_of(dial("tcp:127.0.0.1:0")),
                          link_of(dial("tls:127.0.0.1:0"))};
    send_raw(&slow[1], half_hello, sizeof half_hello);
    send_raw(&slow[3], half_frame, sizeof half_frame);
    ck_assert(link_secure(&slow[4], NULL, 1 << 16));  // a handshake, and then nothing
    uint8_t bytes[1024];
    for (int i = 0; i < 5; i++) {
        while (receive_raw(&slow[i], bytes, sizeof bytes) > 0)
            ;  // its end comes, or this test's
        link_close(&slow[i]);
    }
    wait_for_log("event=handshake_late");

    struct link plain = link_of(dial("tls:127.0.0.1:0"));
    send_raw(&plain, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18);
    while (receive_raw(&plain, bytes, sizeof bytes) > 0)
        ;
    link_close(&plain);
    wait_for_log("event=tls_failed");
    ck_assert_int_eq(ask(&good, (struct wire_envelope){.kind = WIRE_PING}).kind, WIRE_DONE);
    link_close(&good);
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
    certificate_write_key(&server_certificate, in_directory("open"));
    chmod(in_directory("open"), 0644);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char settings[TEXT];
        snprintf(settings, sizeof settings, cases[i].settings, directory);
        launch(settings, NULL, 0);
        ck_assert_int_eq(ends_with(), 1);
        ck_assert_msg(strstr(read_log(), cases[i].said) != NULL, "%s: %s", settings, read_log());
        ck_assert_int_eq(access(in_directory("socket"), F_OK), -1);
    }
    start("insecure = yes\nlisten = tcp:0.0.0.0:0\n");
    struct link link = link_of(dial("tcp:0.0.0.0:0"));
    ck_assert_int_eq(open_session(&link, "s").kind, WIRE_OPENED);
    link_close(&link);
}
END_TEST

static int listening(struct sockaddr *at, socklen_t size)
{
    int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, at, size), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ck_assert_int_eq(getsockname(fd, at, &size), 0);
    return fd;
}

// Sockets of the service manager outlive the daemon: who connects between two daemons waits, and is served.
START_TEST(passed_sockets_outlive_the_daemon)
{
    struct sockaddr_un local = unix_address("passed");
    struct sockaddr_in internet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int sockets[] = {listening((struct sockaddr *)&local, sizeof local),
                     listening((struct sockaddr *)&internet, sizeof internet)};
    char settings[TEXT];
    snprintf(settings, sizeof settings, "listen = tcp:127.0.0.1:%u\nlisten = unix:%s/passed\n", ntohs(internet.sin_port),
             directory);
    struct link early = link_of(dial_unix("passed"));
    for (int round = 0; round < 2; round++) {
        launch(settings, sockets, 2);
        ck_assert_msg(!strncmp(told(), "READY=1\n", 8), "not ready; log:\n%s", read_log());
        uint8_t digest[WIRE_DIGEST_SIZE];
        live(&early, "early", 5, digest);
        link_close(&early);
        kill(daemon_pid, SIGTERM);
        ck_assert_msg(!strncmp(told(), "STOPPING=1\n", 11), "stopping");
        ck_assert_int_eq(ends_with(), 0);
        ck_assert_int_eq(access(in_directory("passed"), F_OK), 0);
        early = link_of(dial_unix("passed"));
    }
    link_close(&early);
    // One that nobody asked for.
    snprintf(settings, sizeof settings, "listen = unix:%s/passed\n", directory);
    launch(settings, sockets, 2);
    ck_assert_int_eq(ends_with(), 1);
    ck_assert_msg(strstr(read_log(), "socket 2 of those that were passed") != NULL, "%s", read_log());
    close(sockets[0]);
    close(sockets[1]);
}
END_TEST

// The whole answer to a GET.
static const char *get(const char *address, const char *path)
{
    static char answer[1 << 18];
    char request[128];
    size_t used = 0, got;
    struct link link = link_of(dial(address));
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", path);
    send_raw(&link, (const uint8_t *)request, (size_t)size);
    while ((got = receive_raw(&link, (uint8_t *)answer + used, sizeof answer - 1 - used)) > 0)
        used += got;
    answer[used] = '\0';
    link_close(&link);
    return answer;
}

START_TEST(monitoring_tells_what_happened)
{
    setenv("WATCHDOG_USEC", "300000", 1);
    unsetenv("WATCHDOG_PID");
    start("listen = unix:%s/socket\nadmin = 127.0.0.1:0\nloops = 2\n", directory);
    unsetenv("WATCHDOG_USEC");
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(told(), "WATCHDOG=1");
    uint8_t digest[WIRE_DIGEST_SIZE];
    struct link links[3];
    for (int i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        links[i] = link_of(dial_unix("socket"));
        live(&links[i], name, 11, digest);
    }
    const char *text = get("127.0.0.1:0", "/readyz");
    for (int i = 0; i < 200 && strncmp(text, "HTTP/1.1 200", 12); i++) {
        usleep(20000);  // until each loop has turned once
        text = get("127.0.0.1:0", "/readyz");
    }
    ck_assert_msg(!strncmp(text, "HTTP/1.1 200", 12), "%s", text);
    text = get("127.0.0.1:0", "/healthz");
    ck_assert_msg(!strncmp(text, "HTTP/1.1 200", 12), "%s", text);
    text = get("127.0.0.1:0", "/metrics");
    static const char *const lines[] = {
        "\nbeliefd_requests_total{kind=\"step\"} 30\n", "\nbeliefd_requests_total{kind=\"act\"} 3\n",
        "\nbeliefd_transitions_total{status=\"absorbed\"} 30\n", "\nbeliefd_sessions_opened_total 3\n",
        "\nbeliefd_request_seconds_count 33\n", "\nbeliefd_connections{door=\"frames\"} 3\n",
        "\nbeliefd_loop_beat_age_seconds{loop=\"1\"}", "\nbeliefd_ready 1\n", "\nbeliefd_draining 0\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(text, lines[i]) != NULL, "no %s in %s", lines[i], text);
    for (int i = 0; i < 3; i++)
        link_close(&links[i]);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    program = argv[1];
    Suite *suite = suite_create("guarded");
    SUITE_TEST_WITH(suite, the_same_replies_through_tls_one_byte_at_a_time, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_flood_through_tls_is_answered_whole, set_up, tear_down);
    SUITE_TEST_WITH(suite, tokens_say_who_is_there_and_can_be_replaced, set_up, tear_down);
    SUITE_TEST_WITH(suite, certificates_say_who_is_there, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_renewed_certificate_disturbs_nobody, set_up, tear_down);
    SUITE_TEST_WITH(suite, unix_peers_are_known_by_their_uid, set_up, tear_down);
    SUITE_TEST_WITH(suite, who_does_not_speak_in_time_is_let_go_of, set_up, tear_down);
    SUITE_TEST_WITH(suite, what_is_not_safe_refuses_the_start, set_up, tear_down);
    SUITE_TEST_WITH(suite, passed_sockets_outlive_the_daemon, set_up, tear_down);
    SUITE_TEST_WITH(suite, monitoring_tells_what_happened, set_up, tear_down);
    return suite_finish(suite);
}
