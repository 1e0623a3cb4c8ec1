// The event loop; the contract is in loop.h. A turn: libuv polls and hands over bytes and connections, then the
// check phase runs the batch and sends each connection's replies in one write.
#include "loop.h"

#include "log.h"
#include "loop_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TICK_MS = 500, BACKLOG = 511 };

uint64_t loop_clock_us(void)
{
    return uv_hrtime() / 1000;
}

uint64_t loop_now_us(struct loop *loop)
{
    if (!loop->turn_us)
        loop->turn_us = loop_clock_us();
    return loop->turn_us;
}

static void send_all(struct loop *loop)
{
    struct connection *connection;
    while ((connection = server_next_output(loop->server)))
        client_flush(connection->owner);
}

static void keep_turning(uv_idle_t *idle)
{
    (void)idle;  // its being active is what keeps the loop from waiting
}

// After the signal: two turns take what had been sent to us already, then everybody is told.
static void drain(struct loop *loop)
{
    if (!loop->said_farewell && ++loop->draining > DRAIN_TURNS && !server_has_backlog(loop->server)) {
        loop->said_farewell = 1;
        server_farewell(loop->server, loop_now_us(loop));
        send_all(loop);
    }
    if (loop->said_farewell && !loop->clients)
        uv_stop(&loop->uv);
}

static void end_turn(uv_check_t *check)
{
    struct loop *loop = check->data;
    if (loop->turn_us || server_has_backlog(loop->server)) {
        server_turn(loop->server, loop_now_us(loop));
        send_all(loop);
    }
    if (loop->draining)
        drain(loop);
    int busy = server_has_backlog(loop->server) || (loop->draining && !loop->said_farewell);
    if (busy != uv_is_active((const uv_handle_t *)&loop->idle)) {
        if (busy)
            uv_idle_start(&loop->idle, keep_turning);
        else
            uv_idle_stop(&loop->idle);
    }
    loop->turn_us = 0;
}

static void tick(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    uint64_t now_us = loop_now_us(loop);
    server_tick(loop->server, now_us);
    send_all(loop);
    for (struct client *client = loop->clients, *next; client; client = next) {
        next = client->next;
        client_check_linger(client, now_us);
    }
    loop->turn_us = 0;  // the poll that follows may wait
}

static void connected(uv_stream_t *stream, int status)
{
    struct listener *listener = stream->data;
    if (status < 0)
        log_event(LOG_WARNING, "accept_failed", LOG_TEXT("why", uv_strerror(status)));
    else
        client_accept(listener->loop, stream, listener->socket.is_unix);
}

static void remove_sockets(const struct loop *loop)
{
    for (size_t i = 0; i < CONFIG_LISTEN_LIMIT; i++)
        if (loop->listeners[i].opened)
            listener_unlink(&loop->listeners[i].socket);
}

static void stop_listening(struct loop *loop)
{
    remove_sockets(loop);
    for (size_t i = 0; i < CONFIG_LISTEN_LIMIT; i++) {
        if (loop->listeners[i].opened)
            uv_close(&loop->listeners[i].uv.handle, NULL);
        loop->listeners[i].opened = 0;
    }
}

static void give_up(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    log_event(LOG_WARNING, "drain_limit", LOG_NUMBER("connections", loop->server->connection_count));
    uv_stop(&loop->uv);
}

static void signalled(uv_signal_t *handle, int number)
{
    struct loop *loop = handle->data;
    if (loop->draining) {
        log_event(LOG_WARNING, "stopped_at_once", LOG_NUMBER("signal", number));
        _exit(1);
    }
    log_event(LOG_INFO, "draining", LOG_NUMBER("signal", number),
              LOG_NUMBER("connections", loop->server->connection_count));
    loop->draining = 1;
    stop_listening(loop);
    server_drain(loop->server);
    uv_timer_start(&loop->drain_limit, give_up, loop->config->drain_us / 1000, 0);
    uv_idle_start(&loop->idle, keep_turning);
}

static int start_listening(struct loop *loop, size_t i, char *why, size_t why_size)
{
    struct listener *listener = &loop->listeners[i];
    const struct address *address = &loop->config->listen[i];
    int error = listener_open(&listener->socket, address, loop->config->socket_mode, why, why_size);
    if (error)
        return error;
    listener->loop = loop;
    if (listener->socket.is_unix)
        uv_pipe_init(&loop->uv, &listener->uv.pipe, 0);
    else
        uv_tcp_init(&loop->uv, &listener->uv.tcp);
    listener->uv.handle.data = listener;
    listener->opened = 1;
    error = listener->socket.is_unix ? uv_pipe_open(&listener->uv.pipe, listener->socket.fd)
                                     : uv_tcp_open(&listener->uv.tcp, listener->socket.fd);
    if (error)
        close(listener->socket.fd);
    else
        error = uv_listen(&listener->uv.stream, BACKLOG, connected);
    if (error) {
        snprintf(why, why_size, "%s: %s", address->text, uv_strerror(error));
        return error;
    }
    log_event(LOG_INFO, "listen", LOG_TEXT("address", address->text), LOG_NUMBER("port", listener->socket.port));
    return 0;
}

static void close_one(uv_handle_t *handle, void *data)
{
    (void)data;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static int start(struct loop *loop, char *why, size_t why_size)
{
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    uv_timer_init(&loop->uv, &loop->tick);
    uv_timer_init(&loop->uv, &loop->drain_limit);
    uv_signal_init(&loop->uv, &loop->terminate);
    uv_signal_init(&loop->uv, &loop->interrupt);
    loop->check.data = loop->idle.data = loop->tick.data = loop->drain_limit.data = loop;
    loop->terminate.data = loop->interrupt.data = loop;
    for (size_t i = 0; i < loop->config->listen_count; i++) {
        int error = start_listening(loop, i, why, why_size);
        if (error)
            return error;
    }
    uv_check_start(&loop->check, end_turn);
    uv_timer_start(&loop->tick, tick, TICK_MS, TICK_MS);
    uv_signal_start(&loop->terminate, signalled, SIGTERM);
    uv_signal_start(&loop->interrupt, signalled, SIGINT);
    return 0;
}

static void say_ready(const struct loop *loop, int ready_fd)
{
    log_event(LOG_INFO, "ready", LOG_TEXT("version", SERVER_NAME), LOG_NUMBER("models", loop->server->serving.catalogue->count),
              LOG_NUMBER("addresses", loop->config->listen_count));
    if (ready_fd < 0)
        return;
    if (write(ready_fd, "READY\n", 6) != 6)
        log_event(LOG_WARNING, "ready_fd", LOG_TEXT("why", strerror(errno)));
    close(ready_fd);
}

int loop_run(struct server *server, const struct config *config, int ready_fd, char *why, size_t why_size)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop || uv_loop_init(&loop->uv)) {
        free(loop);
        snprintf(why, why_size, "no event loop");
        return -ENOMEM;
    }
    loop->server = server;
    loop->config = config;
    int error = start(loop, why, why_size);
    if (!error) {
        say_ready(loop, ready_fd);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
        log_event(LOG_INFO, "stopped", LOG_NUMBER("sessions", server->sessions.count));
    }
    remove_sockets(loop);
    while (loop->clients)
        client_close(loop->clients);
    uv_walk(&loop->uv, close_one, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
    free(loop);
    return error;
}
