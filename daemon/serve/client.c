// Connected sockets; the contract is in client.h. With TLS the bytes pass through tls.h on their way: what the socket
// brought is decrypted until the connection takes no more, what the connection holds is encrypted as a whole and
// then sent as if it were the connection's own.
#include "client.h"

#include "door.h"
#include "house_internal.h"
#include "log.h"
#include "loop_internal.h"
#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    if (--client->handles > 0)
        return;
    atomic_fetch_sub(&client->loop->client_count, 1);
    frame_buffer_release(&client->sending);
    tls_free(client->tls);
    free(client);
}

void client_close(struct client *client)
{
    if (uv_is_closing(&client->uv.handle))
        return;
    if (client->connection) {
        log_event(LOG_DEBUG, "disconnect", LOG_TEXT("peer", client->connection->peer));
        if (client->counted)
            count_add(client->counted, (uint64_t)-1);
        server_disconnect(client->loop->server, client->connection, loop_now_us(client->loop));
        client->connection = NULL;
        if (client->previous)
            client->previous->next = client->next;
        else
            client->loop->clients = client->next;
        if (client->next)
            client->next->previous = client->previous;
    }
    uv_close(&client->uv.handle, closed);
    if (client->tls)
        uv_close((uv_handle_t *)&client->decrypt_on, closed);
}

static struct metrics *metrics_of(struct client *client)
{
    return &client->loop->server->metrics;
}

// By protocol, once its first bytes have told which.
static void count_door(struct client *client)
{
    const struct door *door = client->connection->door;
    if (client->counted || !door)
        return;
    client->counted = &metrics_of(client)->connections[!strcmp(door->name, "grpc")];
    count_add(client->counted, 1);
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct client *client = handle->data;
    size_t room = 0;
    uint8_t *memory = client->tls ? tls_input(client->tls, &room) : server_input(client->connection, &room);
    *buffer = uv_buf_init((char *)memory, (unsigned)room);
}

static void update_reading(struct client *client);

// The client's certificate says who it is, if somebody in the file of identities has one of its names.
static void look_up(struct client *client)
{
    struct connection *connection = client->connection;
    const char *const *names;
    size_t count = tls_peer_names(client->tls, &names);
    struct identities *identities = house_identities(client->loop->loops->house);
    const struct identity *found = identities ? identities_by_certificate(identities, names, count) : NULL;
    if (found)
        connection->identity = *found;
    identities_unref(identities);
    client->known = 1;
    log_event(LOG_DEBUG, "tls", LOG_TEXT("peer", connection->peer), LOG_TEXT("version", tls_version(client->tls)),
              LOG_TEXT("certificate", count > 0 ? names[0] : ""), LOG_TEXT("identity", connection->identity.name));
}

static void peer_ended(struct client *client)
{
    client->ended = 1;
    if (client->linger_until_us)
        client_close(client);
    else
        server_ended(client->loop->server, client->connection, loop_now_us(client->loop));
}

// Sends what TLS itself has to say: its handshake, and alerts.
static void flush_tls(struct client *client);

// Decrypts what the socket brought, as far as the connection takes it.
static void decrypt(struct client *client)
{
    struct connection *connection = client->connection;
    long size = 0;
    while (!client->ended && connection_wants_input(connection)) {
        size_t room;
        uint8_t *memory = server_input(connection, &room);
        size = memory ? tls_read(client->tls, memory, room) : -ENOMEM;
        if (!client->known && tls_is_open(client->tls))
            look_up(client);
        if (size <= 0)
            break;
        server_received(client->loop->server, connection, (size_t)size, loop_now_us(client->loop));
    }
    flush_tls(client);
    if (!client->connection)
        return;
    if (size == -EPIPE) {
        peer_ended(client);
    } else if (size < 0) {
        log_event(LOG_INFO, "tls_failed", LOG_TEXT("peer", connection->peer),
                  LOG_TEXT("why", size == -EPROTO ? tls_why(client->tls) : "no memory"));
        client_close(client);
    }
}

static void decrypt_on(uv_timer_t *timer)
{
    struct client *client = timer->data;
    if (!client->connection)
        return;
    decrypt(client);
    if (client->connection)
        update_reading(client);
}

static void took_bytes(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    (void)buffer;
    struct client *client = stream->data;
    struct loop *loop = client->loop;
    uint64_t now_us = loop_now_us(loop);
    if (size > 0)
        count_add(&metrics_of(client)->bytes_in, (uint64_t)size);
    if (size > 0 && client->tls) {
        tls_received(client->tls, (size_t)size);
        decrypt(client);
    } else if (size > 0) {
        server_received(loop->server, client->connection, (size_t)size, now_us);
    } else if (size == UV_EOF) {
        peer_ended(client);
    } else if (size < 0) {
        log_event(LOG_INFO, "connection_lost", LOG_TEXT("peer", client->connection->peer),
                  LOG_TEXT("why", uv_strerror((int)size)));
        client_close(client);
    }
    if (client->connection) {
        count_door(client);
        update_reading(client);
    }
}

static void update_reading(struct client *client)
{
    int wanted = !client->ended && connection_wants_input(client->connection);
    // What is here already brings no event of the socket.
    if (wanted && client->tls && tls_has_input(client->tls))
        uv_timer_start(&client->decrypt_on, decrypt_on, 0, 0);
    if (wanted == client->reading)
        return;
    if (wanted)
        uv_read_start(&client->uv.stream, give_room, took_bytes);
    else
        uv_read_stop(&client->uv.stream);
    client->reading = wanted;
}

static void wrote(uv_write_t *request, int status)
{
    struct client *client = request->data;
    client->writing = 0;
    frame_buffer_release(&client->sending);
    if (!client->connection)
        return;
    if (status < 0) {
        client_close(client);
        return;
    }
    server_unblock(client->loop->server, client->connection, loop_now_us(client->loop));
    client_flush(client);
}

static void was_shut_down(uv_shutdown_t *request, int status)
{
    (void)request, (void)status;  // the peer's end of file, or the linger time, closes
}

// All is said. A socket closed with unread bytes in it would take our last words back, so the peer closes first,
// within a limit.
static void end(struct client *client)
{
    if (client->ended) {
        client_close(client);
    } else if (!client->linger_until_us) {
        client->linger_until_us = loop_now_us(client->loop) + LINGER_US;
        uv_shutdown(&client->shutdown, &client->uv.stream, was_shut_down);
    }
}

// `sending` goes in the background, and nobody waits for it.
static int send_in_background(struct client *client)
{
    client->writing = 1;
    client->write.data = client;
    count_add(&metrics_of(client)->bytes_out, frame_buffer_size(&client->sending));
    uv_buf_t rest = uv_buf_init((char *)(client->sending.memory + client->sending.start),
                                (unsigned)frame_buffer_size(&client->sending));
    return uv_write(&client->write, &client->uv.stream, &rest, 1, wrote);
}

static int try_to_send(struct client *client, const struct frame_buffer *out)
{
    uv_buf_t bytes = uv_buf_init((char *)(out->memory + out->start), (unsigned)frame_buffer_size(out));
    int sent = uv_try_write(&client->uv.stream, &bytes, 1);
    count_add(&metrics_of(client)->bytes_out, sent > 0 ? (uint64_t)sent : 0);
    return sent == UV_EAGAIN ? 0 : sent;
}

// 0, or negative: the connection is lost.
static int send_plain(struct client *client)
{
    struct loop *loop = client->loop;
    struct connection *connection = client->connection;
    if (!connection_has_output(connection))
        return 0;
    int sent = try_to_send(client, &connection->out);
    if (sent < 0)
        return sent;
    server_sent(loop->server, connection, (size_t)sent, loop_now_us(loop));
    if (!connection_has_output(connection))
        return 0;
    return server_block(loop->server, connection, &client->sending, loop_now_us(loop)) ? -ENOMEM
                                                                                       : send_in_background(client);
}

static int send_encrypted(struct client *client)
{
    struct loop *loop = client->loop;
    struct connection *connection = client->connection;
    struct frame_buffer *out = tls_output(client->tls);
    size_t size = frame_buffer_size(&connection->out);
    if (size > 0 && tls_is_open(client->tls)) {
        if (tls_write(client->tls, frame_buffer_data(&connection->out), size))
            return -EPROTO;
        server_sent(loop->server, connection, size, loop_now_us(loop));
    }
    if (connection->state == CONNECTION_CLOSING && !connection_has_output(connection) &&
        !connection->door_holds_output)
        tls_end(client->tls);
    if (frame_buffer_size(out) == 0)
        return 0;
    int sent = try_to_send(client, out);
    if (sent < 0)
        return sent;
    frame_buffer_consume(out, (size_t)sent);
    if (frame_buffer_size(out) == 0) {
        frame_buffer_trim(out);
        return 0;
    }
    if (tls_take_output(client->tls, &client->sending))
        return -ENOMEM;
    connection_move(connection, CONNECTION_BLOCKED, loop_now_us(loop));
    return send_in_background(client);
}

static void flush_tls(struct client *client)
{
    if (!client->writing && send_encrypted(client))
        client_close(client);
}

void client_flush(struct client *client)
{
    struct connection *connection = client->connection;
    if (connection->state == CONNECTION_DROPPED) {
        client_close(client);
        return;
    }
    if (!client->writing && (client->tls ? send_encrypted(client) : send_plain(client))) {
        client_close(client);
        return;
    }
    if (connection->state == CONNECTION_CLOSING && !connection_has_output(connection) &&
        !connection->door_holds_output && !client->writing)
        end(client);
    if (!uv_is_closing(&client->uv.handle))
        update_reading(client);
}

// Over frames somebody is known or not; over gRPC each call tells, and probes need not.
static int is_stranger(const struct connection *connection)
{
    return connection->door == &frame_door && connection->identity.role == WIRE_ROLE_NONE;
}

void client_check(struct client *client, uint64_t now_us)
{
    const struct connection *connection = client->connection;
    if (client->linger_until_us && now_us >= client->linger_until_us) {
        client_close(client);
    } else if (client->is_remote && connection->state == CONNECTION_SERVING &&
               (connection->heard_us == client->since_us || is_stranger(connection)) &&
               now_us - client->since_us >= client->loop->server->limits.handshake_us) {
        log_event(LOG_INFO, "handshake_late", LOG_TEXT("peer", connection->peer),
                  LOG_TEXT("tls", !client->tls ? "no" : tls_is_open(client->tls) ? "done" : "unfinished"));
        client_close(client);
    }
}

static void refuse_socket(struct loop *loop, int fd, const char *why)
{
    log_event(LOG_ERROR, "accept_failed", LOG_TEXT("why", why));
    atomic_fetch_sub(&loop->client_count, 1);
    close(fd);
}

void client_start(struct loop *loop, int fd, const struct listener *listener)
{
    enum address_kind kind = listener->address->kind;
    struct client *client = calloc(1, sizeof *client);
    if (!client || (kind == ADDRESS_TLS && !(client->tls = tls_new(house_options(loop->loops->house)->tls)))) {
        free(client);
        refuse_socket(loop, fd, "no memory");
        return;
    }
    client->loop = loop;
    client->handles = 1;
    client->is_remote = kind != ADDRESS_UNIX;
    client->since_us = loop_now_us(loop);
    if (kind == ADDRESS_UNIX)
        uv_pipe_init(&loop->uv, &client->uv.pipe, 0);
    else
        uv_tcp_init(&loop->uv, &client->uv.tcp);
    client->uv.handle.data = client;
    if (client->tls) {
        uv_timer_init(&loop->uv, &client->decrypt_on);
        client->decrypt_on.data = client;
        client->handles++;
    }
    int error = kind == ADDRESS_UNIX ? uv_pipe_open(&client->uv.pipe, fd) : uv_tcp_open(&client->uv.tcp, fd);
    if (error) {
        log_event(LOG_WARNING, "accept_failed", LOG_TEXT("why", uv_strerror(error)));
        close(fd);
        client_close(client);
        return;
    }
    if (kind != ADDRESS_UNIX)
        uv_tcp_nodelay(&client->uv.tcp, 1);
    struct peer peer;
    char text[PEER_TEXT];
    struct identities *identities = house_identities(loop->loops->house);
    peer_of_socket(&peer, text, fd, kind, listener->is_control, identities);
    identities_unref(identities);
    client->connection = server_connect(loop->server, &peer, client->since_us);
    if (!client->connection) {
        log_event(LOG_WARNING, "accept_failed", LOG_TEXT("peer", text), LOG_TEXT("why", "no place"));
        client_close(client);
        return;
    }
    client->connection->owner = client;
    count_add(&loop->server->metrics.connections_total, 1);
    client->next = loop->clients;
    if (loop->clients)
        loop->clients->previous = client;
    loop->clients = client;
    log_event(LOG_DEBUG, "connect", LOG_TEXT("peer", text));
    update_reading(client);
}
