// What the gRPC door allocates: nothing of its own for a call on a connection that had one before (nghttp2 allocates for
// each stream); and any allocation may fail, which costs a call or the connection, and nobody else anything.
#include "grpc_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

#define BELIEF "/belief.v1.Belief/"

static int armed;
static long allocations, fails_at = -1;  // counted while armed; the one that fails

static int may_allocate(void)
{
    return !armed || allocations++ != fails_at;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *memory, size_t size)
{
    return may_allocate() ? __real_realloc(memory, size) : NULL;
}

enum { CALLS = 30, WARM = 10 };
static uint8_t *said;                    // by a client: Open, Act, Steps
static size_t said_until[CALLS + 1];     // its bytes after so many Steps

static void record_life(void)
{
    struct grpc_peer *far = grpc_connect(server, 65535);
    uint64_t epoch = grpc_open(far, "arm");
    struct wire_envelope request = grpc_act(&robot, "arm", epoch, 1);
    grpc_answered(grpc_call(far, BELIEF "Act", &request, NULL), WIRE_ACTION);
    for (uint64_t seq = 2; seq < 2 + CALLS; seq++) {
        said_until[seq - 2] = far->recorded;
        request = grpc_step(&robot, "arm", epoch, seq);
        grpc_answered(grpc_call(far, BELIEF "Step", &request, NULL), WIRE_ACTION);
    }
    said_until[CALLS] = far->recorded;
    said = malloc(far->recorded);
    memcpy(said, far->record, far->recorded);
    grpc_free(far);
    restart(&grpc_limits);
}

static void set_up_record(void)
{
    fails_at = -1;
    set_up();
    restart(&grpc_limits);
    record_life();
}

static void tear_down_record(void)
{
    free(said);
    tear_down();
}

// The server gets these bytes, with allocations counted (check allocates too), and what it says is thrown away.
static void replay(struct caller *to, size_t first, size_t end)
{
    armed = 1;
    while (first < end && connection_wants_input(to->connection)) {
        size_t room;
        uint8_t *bytes = server_input(to->connection, &room);
        if (!bytes) {
            connection_move(to->connection, CONNECTION_DROPPED, peer_now_us);
            break;
        }
        room = room < end - first ? room : end - first;
        memcpy(bytes, said + first, room);
        server_received(server, to->connection, room, peer_now_us);
        first += room;
    }
    do {
        server_turn(server, peer_now_us);
        struct connection *next;
        while ((next = server_next_output(server)))
            server_sent(server, next, frame_buffer_size(&next->out), peer_now_us);
    } while (server_has_backlog(server));
    armed = 0;
}

START_TEST(a_call_on_a_warm_connection_allocates_nothing_of_ours)
{
    struct caller far = peer_connect(server);
    replay(&far, 0, said_until[0]);
    for (size_t i = 0; i < CALLS; i++) {
        allocations = 0;
        replay(&far, said_until[i], said_until[i + 1]);
        if (i >= WARM)
            ck_assert_int_eq(allocations, 0);
    }
    struct session *session = session_find(&server->sessions, "arm");
    ck_assert_ptr_nonnull(session);
    ck_assert_uint_eq(session->seq, 1 + CALLS);
    peer_free(&far);
}
END_TEST

START_TEST(every_allocation_may_fail_once)
{
    long failed = 0;
    for (fails_at = 0; failed == fails_at; fails_at++) {
        restart(&grpc_limits);
        live(2);
        expect_observed(&robot, 2, 2);
        struct caller far = peer_connect(server);
        allocations = 0;
        // With pauses, in which it may be told off.
        for (size_t i = 0; i <= CALLS && far.connection->state == CONNECTION_SERVING; i += 10)
            replay(&far, i ? said_until[i - 10] : 0, said_until[i]);
        failed += allocations > fails_at;
        if (allocations <= fails_at) {
            struct session *session = session_find(&server->sessions, "arm");
            ck_assert_ptr_nonnull(session);
            ck_assert_int_eq(far.connection->state, CONNECTION_SERVING);
        }
        expect_observed(&robot, 3, 3);
        check_digest(ask_step(3, WIRE_STATUS_ABSORBED).digest);
        peer_free(&far);
    }
    ck_assert_int_ge(failed, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grpc_memory");
    SUITE_TEST_WITH(suite, a_call_on_a_warm_connection_allocates_nothing_of_ours, set_up_record, tear_down_record);
    SUITE_TEST_WITH(suite, every_allocation_may_fail_once, set_up_record, tear_down_record);
    return suite_finish(suite);
}
