// The bare client; the contract is in asker.h.
#include "asker.h"

#include "load.h"
#include "shape.h"

#include "proto/frame.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static uint8_t arena_memory[1 << 16];

static struct wire_arena fresh_arena(void)
{
    struct wire_arena arena;
    wire_arena_init(&arena, arena_memory, sizeof arena_memory);
    return arena;
}

static double now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static const char *method_of(enum wire_kind kind)
{
    return kind == WIRE_OPEN ? "Open" : kind == WIRE_ACT ? "Act" : kind == WIRE_PING ? "Ping" : "Step";
}

static enum wire_kind reply_of(enum wire_kind kind)
{
    return kind == WIRE_OPEN ? WIRE_OPENED : kind == WIRE_PING ? WIRE_DONE : WIRE_ACTION;
}

// The next request; its size. Over frames a session is named by its handle.
static size_t next_request(struct asker *asker, enum wire_kind kind, uint8_t *bytes)
{
    static const float executed[SHAPE_ACTION] = {0.1f, -0.2f, 0.3f, -0.4f, 0.5f, -0.6f};
    struct wire_arena arena = fresh_arena();
    struct wire_floats observation = {load_observation(asker->seq), load_dim()};
    struct wire_envelope request = {.request_id = ++asker->id, .kind = kind};
    const char *session = asker->call ? asker->session : NULL;
    uint32_t handle = asker->call ? 0 : 1;
    uint64_t epoch = asker->call ? 1 : 0;
    asker->kind = kind;
    if (kind == WIRE_OPEN) {
        request.open.session = asker->session;
    } else if (kind == WIRE_PING) {
        request.ping.durable = 1;
    } else if (kind == WIRE_ACT) {
        request.act = (struct wire_act){
            .handle = handle, .session = session, .epoch = epoch, .seq = ++asker->seq, .observation = observation};
    } else {
        request.step = (struct wire_step){
            .handle = handle, .session = session, .epoch = epoch, .seq = ++asker->seq, .task = 1,
            .observation = observation, .reward = load_reward(asker->seq), .action = {executed, SHAPE_ACTION}};
    }
    uint8_t frame[ASKER_FRAME];
    long written = wire_encode(asker->call ? frame : bytes, ASKER_FRAME, &request, &arena);
    if (written < 0 || written > ASKER_FRAME)
        load_die("a request does not fit");
    size_t size = (size_t)written;
    if (asker->call)
        size = bench_call_ask(asker->call, method_of(kind), wire_body(frame, size), bytes, ASKER_FRAME);
    if (size == 0)
        load_die("a request does not fit");
    return size;
}

static void check_reply(const struct asker *asker, const struct wire_envelope *reply)
{
    if (reply->kind == WIRE_ERROR)
        load_die("%s says %s (%s): %s", asker->server, wire_error_name(reply->error.code), reply->error.field,
                 reply->error.message);
    if (reply->kind != reply_of(asker->kind))
        load_die("%s does not answer what was asked", asker->server);
    if (reply->kind == WIRE_OPENED && reply->opened.handle != (asker->call ? 0 : 1))
        load_die("%s: a handle of %u", asker->server, reply->opened.handle);
    if (reply->kind == WIRE_ACTION && reply->action.status != WIRE_STATUS_ABSORBED && reply->action.seq > 1)
        load_die("%s: transition %llu was not absorbed: %s", asker->server, (unsigned long long)reply->action.seq,
                 wire_status_name(reply->action.status));
}

static int take_grpc_reply(struct asker *asker)
{
    struct wire_bytes body;
    struct wire_envelope reply;
    int whole = bench_call_take(asker->call, &asker->in, &body);
    if (whole < 0)
        load_die("%s refuses a call: %s", asker->server, bench_call_why(asker->call));
    if (whole == 0)
        return 0;
    struct wire_arena arena = fresh_arena();
    if (wire_decode_body(&reply, reply_of(asker->kind), body.bytes, body.size, &arena))
        load_die("%s does not answer what was asked", asker->server);
    check_reply(asker, &reply);
    return 1;
}

// Checks the reply that the client holds and drops it. 0: it is not whole yet.
static int take_reply(struct asker *asker)
{
    const uint8_t *body;
    size_t size;
    if (asker->call)
        return take_grpc_reply(asker);
    int whole = frame_next(&asker->in, ASKER_FRAME, &body, &size);
    if (whole < 0)
        load_die("%s: a reply that is too long", asker->server);
    if (whole == 0)
        return 0;
    struct wire_arena arena = fresh_arena();
    struct wire_envelope reply;
    if (wire_decode(&reply, body, size, &arena) || reply.request_id != asker->id)
        load_die("%s does not answer what was asked", asker->server);
    check_reply(asker, &reply);
    frame_buffer_consume(&asker->in, FRAME_HEADER_SIZE + size);
    return 1;
}

static void receive(struct asker *asker)
{
    uint8_t *room = frame_buffer_reserve(&asker->in, ASKER_FRAME / 2);
    ssize_t got = recv(asker->fd, room, asker->in.capacity - asker->in.end, 0);
    if (got <= 0)
        load_die("%s hung up", asker->server);
    frame_buffer_append(&asker->in, (size_t)got);
}

static void send_all(struct asker *asker, const uint8_t *bytes, size_t size)
{
    if (send(asker->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
        load_die("%s does not take a request", asker->server);
}

double asker_ask(struct asker *asker, enum wire_kind kind)
{
    uint8_t bytes[ASKER_FRAME];
    const uint8_t *body;
    size_t wanted, size = next_request(asker, kind, bytes);
    double before = now_us(), took;
    send_all(asker, bytes, size);
    if (asker->call) {
        do
            receive(asker);
        while (!take_reply(asker));
        return now_us() - before;
    }
    do
        receive(asker);
    while (frame_next(&asker->in, ASKER_FRAME, &body, &wanted) == 0);
    took = now_us() - before;
    take_reply(asker);
    return took;
}

void asker_send(struct asker *asker, enum wire_kind kind)
{
    uint8_t bytes[ASKER_FRAME];
    size_t size = next_request(asker, kind, bytes);
    send_all(asker, bytes, size);
}

int asker_receive(struct asker *asker)
{
    receive(asker);
    return take_reply(asker);
}

void asker_join(struct asker *asker, const char *server, const char *path, int is_grpc)
{
    static unsigned opened;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    *asker = (struct asker){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .server = server};
    if (asker->fd < 0 || frame_buffer_init(&asker->in, ASKER_FRAME, ASKER_FRAME) ||
        connect(asker->fd, (struct sockaddr *)&to, sizeof to))
        load_die("no connection to %s: %s", server, strerror(errno));
    if (is_grpc && !(asker->call = bench_call_new()))
        load_die("no memory");
    snprintf(asker->session, sizeof asker->session, "bench-%d-%u", (int)getpid(), ++opened);
    asker_ask(asker, WIRE_OPEN);
    asker_ask(asker, WIRE_ACT);
}

void asker_leave(struct asker *asker)
{
    close(asker->fd);
    bench_call_free(asker->call);
    frame_buffer_release(&asker->in);
}
