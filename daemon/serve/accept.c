// Listening, and dealing out who connects: to the loop that has the fewest clients. The first loop listens; a
// descriptor travels to another one by mail.
#include "loop_internal.h"

#include "log.h"
#include "operations.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACCEPT_AT_ONCE = 64, CONTROL_MODE = 0600, LISTEN_AGAIN_MS = 200 };

// A connection on its way to its loop.
struct newcomer {
    struct letter letter;
    const struct listener *listener;
    int fd;
};

static void arrive(struct letter *letter, struct server *server, uint64_t now_us)
{
    (void)now_us;
    struct newcomer *newcomer = (struct newcomer *)letter;
    if (server)
        client_start(newcomer->listener->loops->loop[server->index], newcomer->fd, newcomer->listener);
    else
        close(newcomer->fd);
    free(newcomer);
}

static void deal_out(struct loops *loops, const struct listener *listener, int fd)
{
    struct loop *fewest = loops->loop[0];
    for (size_t i = 1; i < loops->count; i++)
        if (atomic_load(&loops->loop[i]->client_count) < atomic_load(&fewest->client_count))
            fewest = loops->loop[i];
    atomic_fetch_add(&fewest->client_count, 1);
    if (fewest->index == 0) {
        client_start(fewest, fd, listener);
        return;
    }
    struct newcomer *newcomer = malloc(sizeof *newcomer);
    if (!newcomer) {
        log_event(LOG_ERROR, "accept_failed", LOG_TEXT("why", "no memory"));
        atomic_fetch_sub(&fewest->client_count, 1);
        close(fd);
        return;
    }
    *newcomer = (struct newcomer){{NULL, arrive}, listener, fd};
    mail_post(loops->house, fewest->index, &newcomer->letter);
}

static void somebody_waits(uv_poll_t *poll, int status, int events);

static void poll_all(struct loops *loops)
{
    for (size_t i = 0; i < loops->listener_count; i++)
        if (loops->listeners[i].opened)
            uv_poll_start(&loops->listeners[i].poll, UV_READABLE, somebody_waits);
}

static void listen_again(uv_timer_t *timer)
{
    poll_all(timer->data);
}

// No descriptor or memory is left: who waits in the queue is not lost, but asking again at once would only spin.
static void pause_listening(struct loops *loops)
{
    for (size_t i = 0; i < loops->listener_count; i++)
        if (loops->listeners[i].opened)
            uv_poll_stop(&loops->listeners[i].poll);
    uv_timer_start(&loops->listen_again, listen_again, LISTEN_AGAIN_MS, 0);
}

static void somebody_waits(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    struct listener *listener = poll->data;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd = listener_accept(&listener->socket);
        if (fd == -EAGAIN)
            return;
        if (fd >= 0) {
            deal_out(listener->loops, listener, fd);
            continue;
        }
        log_event(LOG_WARNING, "accept_failed", LOG_TEXT("why", strerror(-fd)));
        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM) {
            pause_listening(listener->loops);
            return;
        }
    }
}

static int open_one(struct loops *loops, const struct address *address, int is_control, char *why, size_t why_size)
{
    struct listener *listener = &loops->listeners[loops->listener_count++];
    *listener = (struct listener){.loops = loops, .address = address, .is_control = is_control};
    mode_t mode = is_control ? CONTROL_MODE : loops->config->socket_mode;
    int error = operations_listen(loops, &listener->socket, address, mode, why, why_size);
    if (error)
        return error;
    error = uv_poll_init(&loops->loop[0]->uv, &listener->poll, listener->socket.fd);
    listener->poll.data = listener;
    if (error) {
        snprintf(why, why_size, "%s: %s", address->text, uv_strerror(error));
        listener_unlink(&listener->socket);
        close(listener->socket.fd);
        return error;
    }
    listener->opened = 1;
    log_event(LOG_INFO, "listen", LOG_TEXT("address", address->text), LOG_NUMBER("port", listener->socket.port));
    return 0;
}

int loops_listen(struct loops *loops, char *why, size_t why_size)
{
    const struct config *config = loops->config;
    uv_timer_init(&loops->loop[0]->uv, &loops->listen_again);
    loops->listen_again.data = loops;
    int error = operations_begin(loops, why, why_size);
    for (size_t i = 0; i < config->listen_count && !error; i++)
        error = open_one(loops, &config->listen[i], 0, why, why_size);
    if (error)
        return error;
    error = *config->control.text ? open_one(loops, &config->control, 1, why, why_size) : 0;
    if (!error)
        poll_all(loops);
    return error;
}

static void poll_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    close(listener->socket.fd);
}

void loops_stop_listening(struct loops *loops)
{
    for (size_t i = 0; i < loops->listener_count; i++) {
        struct listener *listener = &loops->listeners[i];
        if (!listener->opened)
            continue;
        listener_unlink(&listener->socket);
        uv_close((uv_handle_t *)&listener->poll, poll_closed);
        listener->opened = 0;
    }
    if (loops->listen_again.data)
        uv_timer_stop(&loops->listen_again);
}
