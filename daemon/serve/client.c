// Connected sockets; the contract is in client.h.
#include "client.h"

#include "log.h"
#include "loop_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    atomic_fetch_sub(&client->loop->client_count, 1);
    frame_buffer_release(&client->sending);
    free(client);
}

void client_close(struct client *client)
{
    if (uv_is_closing(&client->uv.handle))
        return;
    if (client->connection) {
        log_event(LOG_DEBUG, "disconnect", LOG_TEXT("peer", client->connection->peer));
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
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct client *client = handle->data;
    size_t room;
    uint8_t *memory = server_input(client->connection, &room);
    *buffer = uv_buf_init((char *)memory, (unsigned)room);
}

static void update_reading(struct client *client);

static void took_bytes(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    (void)buffer;
    struct client *client = stream->data;
    struct loop *loop = client->loop;
    uint64_t now_us = loop_now_us(loop);
    if (size > 0) {
        server_received(loop->server, client->connection, (size_t)size, now_us);
        update_reading(client);
    } else if (size == UV_EOF) {
        client->ended = 1;
        if (client->linger_until_us)
            client_close(client);
        else
            server_ended(loop->server, client->connection, now_us);
        if (!uv_is_closing(&client->uv.handle))
            update_reading(client);
    } else if (size < 0) {
        log_event(LOG_INFO, "connection_lost", LOG_TEXT("peer", client->connection->peer),
                  LOG_TEXT("why", uv_strerror((int)size)));
        client_close(client);
    }
}

static void update_reading(struct client *client)
{
    int wanted = !client->ended && connection_wants_input(client->connection);
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

// The socket took only a part: the rest goes in the background, and nobody waits for it.
static int send_in_background(struct client *client)
{
    struct loop *loop = client->loop;
    if (server_block(loop->server, client->connection, &client->sending, loop_now_us(loop)))
        return -1;
    client->writing = 1;
    client->write.data = client;
    uv_buf_t rest = uv_buf_init((char *)(client->sending.memory + client->sending.start),
                                (unsigned)frame_buffer_size(&client->sending));
    return uv_write(&client->write, &client->uv.stream, &rest, 1, wrote);
}

void client_flush(struct client *client)
{
    struct loop *loop = client->loop;
    struct connection *connection = client->connection;
    if (connection->state == CONNECTION_DROPPED) {
        client_close(client);
        return;
    }
    if (connection_has_output(connection) && !client->writing) {
        uv_buf_t bytes = uv_buf_init((char *)(connection->out.memory + connection->out.start),
                                     (unsigned)frame_buffer_size(&connection->out));
        int sent = uv_try_write(&client->uv.stream, &bytes, 1);
        if (sent >= 0)
            server_sent(loop->server, connection, (size_t)sent, loop_now_us(loop));
        if ((sent < 0 && sent != UV_EAGAIN) ||
            (connection_has_output(connection) && send_in_background(client))) {
            client_close(client);
            return;
        }
    }
    if (connection->state == CONNECTION_CLOSING && !connection_has_output(connection) && !client->writing)
        end(client);
    if (!uv_is_closing(&client->uv.handle))
        update_reading(client);
}

void client_check_linger(struct client *client, uint64_t now_us)
{
    if (client->linger_until_us && now_us >= client->linger_until_us)
        client_close(client);
}

// Who is it? For the log.
static void name_peer(struct client *client, int is_unix, char *peer, size_t size)
{
    int fd = -1;
    uv_fileno(&client->uv.handle, &fd);
    struct ucred credentials;
    struct sockaddr_storage from;
    socklen_t length = sizeof credentials, from_size = sizeof from;
    char host[INET6_ADDRSTRLEN];
    if (is_unix && !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length)) {
        snprintf(peer, size, "pid:%d,uid:%u,fd:%d", (int)credentials.pid, (unsigned)credentials.uid, fd);
    } else if (!is_unix && !getpeername(fd, (struct sockaddr *)&from, &from_size)) {
        int is_v4 = from.ss_family == AF_INET;
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&from;
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&from;
        inet_ntop(from.ss_family, is_v4 ? (const void *)&v4->sin_addr : (const void *)&v6->sin6_addr, host,
                  sizeof host);
        snprintf(peer, size, is_v4 ? "%s:%u" : "[%s]:%u", host,
                 (unsigned)ntohs(is_v4 ? v4->sin_port : v6->sin6_port));
    } else {
        snprintf(peer, size, "fd:%d", fd);
    }
}

void client_start(struct loop *loop, int fd, const struct listener *listener)
{
    int is_unix = listener->socket.is_unix;
    struct client *client = calloc(1, sizeof *client);
    if (!client) {
        log_event(LOG_ERROR, "accept_failed", LOG_TEXT("why", "no memory"));
        atomic_fetch_sub(&loop->client_count, 1);
        close(fd);
        return;
    }
    client->loop = loop;
    if (is_unix)
        uv_pipe_init(&loop->uv, &client->uv.pipe, 0);
    else
        uv_tcp_init(&loop->uv, &client->uv.tcp);
    client->uv.handle.data = client;
    int error = is_unix ? uv_pipe_open(&client->uv.pipe, fd) : uv_tcp_open(&client->uv.tcp, fd);
    if (error) {
        log_event(LOG_WARNING, "accept_failed", LOG_TEXT("why", uv_strerror(error)));
        close(fd);
        client_close(client);
        return;
    }
    if (!is_unix)
        uv_tcp_nodelay(&client->uv.tcp, 1);
    char peer[64];
    name_peer(client, is_unix, peer, sizeof peer);
    const struct peer who = {.text = peer, .identity = {.role = WIRE_ROLE_ROBOT},
                             .is_control = listener->is_control};
    client->connection = server_connect(loop->server, &who, loop_now_us(loop));
    if (!client->connection) {
        log_event(LOG_WARNING, "accept_failed", LOG_TEXT("peer", peer), LOG_TEXT("why", "no place"));
        client_close(client);
        return;
    }
    client->connection->owner = client;
    client->next = loop->clients;
    if (loop->clients)
        loop->clients->previous = client;
    loop->clients = client;
    log_event(LOG_DEBUG, "connect", LOG_TEXT("peer", peer));
    update_reading(client);
}
