// The protocol without a socket; the contract is in server.h. Here is the life of connections and of the server;
// what a request means is in request_*.c, the passes are in batch.c.
#include "server.h"

#include "arrival.h"
#include "batch.h"
#include "door.h"
#include "durable.h"
#include "house_internal.h"
#include "learning.h"
#include "log.h"
#include "permission.h"
#include "requests.h"
#include "ticket.h"
#include "session_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ERROR_BOUND = 512,        // field, message and numbers of the longest Error
    OPENED_BASE = 512,        // an Opened without its model's vectors
    WELCOME_BASE = 256,       // a Welcome without its models
    OVER_LIMIT_PLACES = 64,   // connections that may wait to be told that there is no place
    PARTS_OF_ENCODING = 512 * 1024,
    DEFERRED_BASE = 64 * 1024, // bytes of replies that wait for the disk, without allocating
    DEFERRED_LIMIT = 1 << 30,  // connections and in_flight bound them; this keeps sizes in range
    LIVE_US = 60000000,       // heard of so lately a session counts as live though nobody holds it
    STATES_PER_TICK = 64,     // bounds how long others wait for the encoding
};

void server_measure(struct server *server)
{
    const struct catalogue *catalogue = server->serving.catalogue;
    struct wire_envelope welcome = {.request_id = UINT64_MAX, .kind = WIRE_WELCOME};
    welcome.welcome = (struct wire_welcome){
        .server = SERVER_NAME, .protocol = WIRE_PROTOCOL, .models = catalogue->infos,
        .model_count = catalogue->count, .max_frame_bytes = UINT32_MAX, .max_in_flight = UINT32_MAX};
    wire_arena_reset(&server->encode_arena);
    server->welcome_bound = WELCOME_BASE + (size_t)wire_encode(NULL, 0, &welcome, &server->encode_arena);
    server->action_bound = server->opened_bound = server->belief_bound = server->error_bound;
    for (const struct served *served = server->serving.first; served; served = served->next) {
        if (server->belief_bound < served->belief_bound)
            server->belief_bound = served->belief_bound;
        if (server->action_bound < served->action_bound)
            server->action_bound = served->action_bound;
        if (server->opened_bound < OPENED_BASE + 12 * served->model->action_dim)
            server->opened_bound = OPENED_BASE + 12 * served->model->action_dim;
    }
}

static int take_memory(struct wire_arena *arena, size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        return -ENOMEM;
    wire_arena_init(arena, memory, size);
    return 0;
}

int server_new(struct server **out, struct house *house, size_t index, char *why, size_t why_size)
{
    const struct limits *limits = &house_options(house)->limits;
    struct server *server = calloc(1, sizeof *server);
    if (!server)
        goto no_memory;
    server->house = house;
    server->index = index;
    server->limits = *limits;
    server->clock_us = house_options(house)->clock_us;
    server->error_bound = ERROR_BOUND;
    server->output_base = OUTPUT_BASE;
    server->output_limit = OUTPUT_BASE + FRAME_HEADER_SIZE + limits->frame_bytes;
    server->ranges = calloc(limits->gaps + 1 + OBSERVE_LIMIT, sizeof *server->ranges);
    server->statuses = calloc(OBSERVE_LIMIT, sizeof *server->statuses);
    if (!server->ranges || !server->statuses || session_table_init(&server->sessions, limits->sessions) ||
        take_memory(&server->arena, wire_arena_bound(limits->frame_bytes, OBSERVE_LIMIT)) ||
        take_memory(&server->encode_arena, PARTS_OF_ENCODING) ||
        frame_buffer_init(&server->deferred, DEFERRED_BASE, DEFERRED_LIMIT) || house_enter(house, server, index))
        goto no_memory;
    server->queue = house_queue(house, index);
    server->durability = server->queue ? house_options(house)->durability : WIRE_DURABILITY_OFF;
    server_measure(server);
    *out = server;
    return 0;
no_memory:
    server_free(server);
    snprintf(why, why_size, "no memory");
    return -ENOMEM;
}

void server_free(struct server *server)
{
    if (!server)
        return;
    awaited_release(server);
    feeds_release(server);
    while (server->first) {
        struct connection *connection = server->first;
        server->first = connection->next;
        connection_free(connection);
    }
    if (server->sessions.buckets)
        session_table_release(&server->sessions);
    guests_release(server);
    frame_buffer_release(&server->deferred);
    house_leave(server->house, server);
    free(server->ranges);
    free(server->statuses);
    free(server->arena.memory);
    free(server->encode_arena.memory);
    free(server);
}

void server_list_add(struct server *server, enum connection_list_kind kind, struct connection *connection)
{
    if (connection->listed[kind])
        return;
    struct connection_list *list = &server->lists[kind];
    connection->listed[kind] = 1;
    connection->list_next[kind] = NULL;
    if (list->last)
        list->last->list_next[kind] = connection;
    else
        list->first = connection;
    list->last = connection;
}

static struct connection *list_pop(struct server *server, enum connection_list_kind kind)
{
    struct connection_list *list = &server->lists[kind];
    struct connection *connection = list->first;
    if (!connection)
        return NULL;
    list->first = connection->list_next[kind];
    if (!list->first)
        list->last = NULL;
    connection->listed[kind] = 0;
    return connection;
}

static void list_remove(struct server *server, enum connection_list_kind kind, struct connection *connection)
{
    if (!connection->listed[kind])
        return;
    struct connection_list *list = &server->lists[kind];
    struct connection *before = NULL;
    for (struct connection *c = list->first; c != connection; c = c->list_next[kind])
        before = c;
    if (before)
        before->list_next[kind] = connection->list_next[kind];
    else
        list->first = connection->list_next[kind];
    if (list->last == connection)
        list->last = before;
    connection->listed[kind] = 0;
}

int server_may_take(struct server *server, struct connection *connection)
{
    size_t limit = server->limits.in_flight, waits = connection->deferred + connection->parked;
    if (connection->taken >= limit)
        server_list_add(server, LIST_BACKLOG, connection);
    else if (waits > 0 && waits + connection->waiting >= limit)
        connection->held_back = 1;
    else
        return 1;
    return 0;
}

// Nothing of it is under way any more.
static void end(struct server *server, struct connection *connection, uint64_t now_us)
{
    if (connection->ending == CONNECTION_ENDED ||
        !request_farewell(server, connection, WIRE_DRAINING, 0, now_us, "the daemon is stopping"))
        connection_move(connection, CONNECTION_CLOSING, now_us);
    server_list_add(server, LIST_OUTPUT, connection);
}

void server_waited(struct server *server, struct connection *connection, uint64_t now_us)
{
    if (connection->held_back) {
        connection->held_back = 0;
        server_list_add(server, LIST_BACKLOG, connection);
    }
    if (connection->ending && connection->deferred + connection->parked == 0)
        end(server, connection, now_us);
}

// Nothing more is taken from it; what is under way is still answered.
static void begin_end(struct server *server, struct connection *connection, enum connection_ending how,
                      uint64_t now_us)
{
    if (connection->waiting > 0)
        batch_run_all(server);
    connection->ending = how;
    if (connection->deferred + connection->parked == 0)
        end(server, connection, now_us);
}

void server_let_go(struct session *session)
{
    if (!session->owner)
        return;
    struct slot *slot = connection_slot(session->owner, session->handle);
    slot->state = SLOT_AWAY;
    slot->session = NULL;
    slot->epoch = session->epoch;
    strcpy(slot->name, session->name);
    session->owner = NULL;
}

void server_reply(struct server *server, struct connection *connection, const struct wire_envelope *reply)
{
    const struct door *door = connection->door ? connection->door : &frame_door;
    door->reply(server, connection, reply);
}

struct connection *server_connect(struct server *server, const struct peer *peer, uint64_t now_us)
{
    int over_limit = server->connection_count >= server->limits.connections;
    if (over_limit && server->over_limit_count == OVER_LIMIT_PLACES)
        return NULL;
    struct connection *connection =
        connection_new(&server->limits, server->output_base, server->output_limit, peer, now_us);
    if (!connection)
        return NULL;
    connection->next = server->first;
    if (server->first)
        server->first->previous = connection;
    server->first = connection;
    connection->over_limit = over_limit;
    if (over_limit) {
        server->over_limit_count++;
        log_event(LOG_WARNING, "too_many_connections", LOG_TEXT("peer", peer->text),
                  LOG_NUMBER("limit", server->limits.connections));
        request_farewell(server, connection, WIRE_LIMIT, server->limits.connections, now_us,
                         "no more than %zu connections", server->limits.connections);
    } else {
        server->connection_count++;
    }
    return connection;
}

void server_disconnect(struct server *server, struct connection *connection, uint64_t now_us)
{
    if (connection->waiting > 0)
        batch_run_all(server);
    for (size_t i = 0; i < connection->slot_count; i++) {
        if (connection->slots[i].state != SLOT_HELD)
            continue;
        connection->slots[i].session->owner = NULL;
        connection->slots[i].session->heard_us = now_us;
    }
    durable_drop(server, connection);
    teaching_leave(&server->house->teaching, connection);
    feed_drop(server, connection);
    tickets_drop(server, connection);
    list_remove(server, LIST_OUTPUT, connection);
    list_remove(server, LIST_BACKLOG, connection);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->first = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    if (connection->over_limit)
        server->over_limit_count--;
    else
        server->connection_count--;
    connection_free(connection);
}

static void take_requests(struct server *server, struct connection *connection, uint64_t now_us)
{
    if (!connection->door) {
        connection->door = door_of(frame_buffer_data(&connection->in), frame_buffer_size(&connection->in));
        if (!connection->door)
            return;
    }
    if (connection->taken_turn != server->turn) {
        connection->taken_turn = server->turn;
        connection->taken = 0;
    }
    connection->door->take(server, connection, now_us);
    if (frame_buffer_size(&connection->in) == 0)
        frame_buffer_trim(&connection->in);
}

uint8_t *server_input(struct connection *connection, size_t *room)
{
    uint8_t *memory = frame_buffer_reserve(&connection->in, 1);
    *room = memory ? connection->in.capacity - connection->in.end : 0;
    return memory;
}

void server_received(struct server *server, struct connection *connection, size_t size, uint64_t now_us)
{
    frame_buffer_append(&connection->in, size);
    if (connection->state == CONNECTION_CLOSING || connection->state == CONNECTION_DROPPED)
        frame_buffer_consume(&connection->in, frame_buffer_size(&connection->in));
    else
        take_requests(server, connection, now_us);
}

void server_ended(struct server *server, struct connection *connection, uint64_t now_us)
{
    begin_end(server, connection, CONNECTION_ENDED, now_us);
}

void server_turn(struct server *server, uint64_t now_us)
{
    batch_run_all(server);
    durable_release(server, now_us);
    server->turn++;
    // Only those that were left over from before; who is left over again waits for the next turn.
    struct connection *last = server->lists[LIST_BACKLOG].last;
    for (struct connection *connection = NULL; last && connection != last;) {
        connection = list_pop(server, LIST_BACKLOG);
        take_requests(server, connection, now_us);
        server_list_add(server, LIST_OUTPUT, connection);  // it may be read from again, even if it has nothing to say
    }
    batch_run_all(server);
    durable_release(server, now_us);
    count_set(&server->metrics.beat_us, now_us);
}

struct connection *server_next_output(struct server *server)
{
    struct connection *connection = list_pop(server, LIST_OUTPUT);
    if (connection && connection->door && connection->door->flush)
        connection->door->flush(server, connection);
    return connection;
}

void server_sent(struct server *server, struct connection *connection, size_t size, uint64_t now_us)
{
    frame_buffer_consume(&connection->out, size);
    if (connection_has_output(connection))
        return;
    frame_buffer_trim(&connection->out);
    server_unblock(server, connection, now_us);
    if (connection->door_holds_output)
        server_list_add(server, LIST_OUTPUT, connection);
}

int server_block(struct server *server, struct connection *connection, struct frame_buffer *held, uint64_t now_us)
{
    struct frame_buffer fresh;
    if (frame_buffer_init(&fresh, server->output_base, server->output_limit))
        return -ENOMEM;
    *held = connection->out;
    connection->out = fresh;
    connection_move(connection, CONNECTION_BLOCKED, now_us);
    return 0;
}

void server_unblock(struct server *server, struct connection *connection, uint64_t now_us)
{
    if (connection->state != CONNECTION_BLOCKED)
        return;
    connection_move(connection, CONNECTION_SERVING, now_us);
    server_list_add(server, LIST_BACKLOG, connection);
}

static void check_connection(struct server *server, struct connection *connection, uint64_t now_us)
{
    const struct limits *limits = &server->limits;
    uint64_t in_state = now_us - connection->state_since_us;
    switch (connection->state) {
    case CONNECTION_SERVING:
        if (connection->ending || connection->deferred + connection->parked > 0)
            break;
        if (now_us - connection->heard_us >= limits->connection_idle_us) {
            log_event(LOG_INFO, "idle", LOG_TEXT("peer", connection->peer));
            request_farewell(server, connection, WIRE_IDLE, limits->connection_idle_us / 1000000, now_us,
                             "no request for %llu s", (unsigned long long)(limits->connection_idle_us / 1000000));
        }
        break;
    case CONNECTION_BLOCKED:
        if (connection->deferred + connection->parked > 0 && !connection_has_output(connection))
            break;  // it waits for us
        __attribute__((fallthrough));
    case CONNECTION_CLOSING:
        if (in_state >= limits->slow_reader_us) {
            log_event(LOG_WARNING, "slow_reader", LOG_TEXT("peer", connection->peer),
                      LOG_NUMBER("bytes", frame_buffer_size(&connection->out)));
            connection_move(connection, CONNECTION_DROPPED, now_us);
            server_list_add(server, LIST_OUTPUT, connection);
        }
        break;
    case CONNECTION_DROPPED:
        break;
    }
}

size_t server_snapshot(struct server *server, int due, size_t limit)
{
    size_t count = 0;
    for (struct session *session = server->sessions.first; session && count < limit; session = session->next) {
        if (session->leaving)
            continue;  // all it has to say is said
        if (due ? session->state_age < SNAPSHOT_AGE : session->state_position == session->position && session->state_position)
            continue;
        int error = session_log_state(server, session);
        if (error == -EAGAIN)
            break;  // the log cannot take it now
        if (error)
            log_event(LOG_WARNING, "state_not_logged", LOG_TEXT("session", session->name),
                      LOG_TEXT("why", strerror(-error)));
        count += !error;
    }
    return count;
}

// Nobody asked for it for long: it goes to the log, or ends if there is none.
static void retire(struct server *server, struct session *session)
{
    if (server->queue) {
        // What was said since the state is in the log too, but where it stands is quicker found so.
        if (session->state_position == 0 || session->state_position != session->position) {
            session_log_state(server, session);
            return;
        }
        if (!session_is_durable(server, session))
            return;
        store_put_let_go(server->queue, session->id);  // retention may have it now
        count_add(&server->metrics.sessions_spilled, 1);
        log_event(LOG_DEBUG, "session_spilled", LOG_TEXT("session", session->name));
    } else {
        log_event(LOG_INFO, "session_expired", LOG_TEXT("session", session->name),
                  LOG_NUMBER("transitions", agent_belief_count(&session->belief)));
    }
    arrival_left(server, session);
    session_free(&server->sessions, session);
}

static void check_sessions(struct server *server, uint64_t now_us)
{
    uint64_t idle_us = server->queue ? server->limits.session_spill_us : server->limits.session_idle_us;
    uint64_t live = 0, gaps = 0;
    for (struct session *session = server->sessions.first, *next; session; session = next) {
        next = session->next;
        gaps += session_gaps(session);
        live += session->owner != NULL || now_us - session->heard_us < LIVE_US;
        if (!session->owner && !session->leaving && session->frozen_until_us <= now_us &&
            now_us - session->heard_us >= idle_us)
            retire(server, session);
    }
    count_set(&server->metrics.gaps, gaps);
    count_set(&server->metrics.sessions_live, live);
    count_set(&server->metrics.sessions_idle, server->sessions.count > live ? server->sessions.count - live : 0);
}

void server_tick(struct server *server, uint64_t now_us)
{
    batch_run_all(server);
    durable_release(server, now_us);
    for (struct connection *connection = server->first; connection; connection = connection->next) {
        check_connection(server, connection, now_us);
        if (connection->door && connection->door->tick)
            connection->door->tick(server, connection, now_us);
    }
    models_awaited(server, now_us);
    feeds_turn(server, now_us);
    check_sessions(server, now_us);
    server_snapshot(server, 1, STATES_PER_TICK);
    serving_sweep(&server->serving);
    count_set(&server->metrics.beat_us, now_us);
}

void server_drain(struct server *server)
{
    batch_run_all(server);
    server->draining = 1;
    count_set(&server->metrics.draining, 1);
    server_snapshot(server, 0, SIZE_MAX);
}

void server_farewell(struct server *server, uint64_t now_us)
{
    for (struct connection *connection = server->first; connection; connection = connection->next) {
        if (connection->state == CONNECTION_CLOSING || connection->state == CONNECTION_DROPPED)
            continue;
        if (connection->door && connection->door->drain) {
            batch_run_all(server);
            connection->door->drain(server, connection);
        } else {
            begin_end(server, connection, CONNECTION_LEAVING, now_us);
        }
    }
}
