// Those who run the daemon; the contract is in operations.h.
#include "operations.h"

#include "daemon/policy/refuse.h"
#include "house_internal.h"
#include "log.h"
#include "loop_internal.h"
#include "notify.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 511, STATUS_SIZE = 128 };

int operations_begin(struct loops *loops, char *why, size_t why_size)
{
    int count = notify_listen_fds(loops->passed, PASSED_LIMIT);
    if (count < 0)
        return refuse(why, why_size, -EINVAL, "LISTEN_FDS: the sockets that were passed cannot be used: %s",
                      strerror(-count));
    loops->passed_count = (size_t)count;
    return 0;
}

int operations_listen(struct loops *loops, struct listener_socket *listener, const struct address *address, mode_t mode,
                      char *why, size_t why_size)
{
    if (!listener_inherit(listener, address, loops->passed, loops->passed_count)) {
        int error = listener_open(listener, address, mode, why, why_size);
        if (error)
            return error;
    }
    if (listen(listener->fd, BACKLOG) == 0)
        return 0;
    int error = refuse(why, why_size, -errno, "%s: %s", address->text, strerror(errno));
    listener_unlink(listener);
    close(listener->fd);
    return error;
}

static char *tell_metrics(void *context)
{
    return metrics_render(context);
}

static int is_alive(void *context, char *why, size_t why_size)
{
    return house_alive(context, why, why_size);
}

static int is_ready(void *context, char *why, size_t why_size)
{
    return house_ready(context, why, why_size);
}

static int start_http(struct loops *loops, char *why, size_t why_size)
{
    const struct address *address = &loops->config->admin;
    if (!*address->text)
        return 0;
    struct listener_socket listener;
    int error = operations_listen(loops, &listener, address, 0, why, why_size);
    if (error)
        return error;
    const struct admin_options options = {listener.fd, tell_metrics, is_alive, is_ready, loops->house};
    error = admin_start(&loops->admin, &options, why, why_size);
    if (!error)
        log_event(LOG_INFO, "admin", LOG_TEXT("address", address->text + strlen("tcp:")),
                  LOG_NUMBER("port", listener.port));
    return error;
}

// A loop that hangs keeps its sessions waiting, so better none than that: the manager starts us again.
static void feed_watchdog(uv_timer_t *timer)
{
    struct loops *loops = timer->data;
    char why[STATUS_SIZE];
    if (house_alive(loops->house, why, sizeof why) == 0)
        notify_watchdog();
    else
        log_event(LOG_ERROR, "not_alive", LOG_TEXT("why", why));
}

int operations_start(struct loops *loops, char *why, size_t why_size)
{
    int error = start_http(loops, why, why_size);
    for (size_t i = 0; i < loops->passed_count && !error; i++)
        if (loops->passed[i] >= 0)
            error = refuse(why, why_size, -EINVAL,
                           "socket %zu of those that were passed is at no address of listen, control or admin", i + 1);
    uint64_t interval_us = notify_watchdog_us();
    if (!error && interval_us > 0) {
        uv_timer_init(&loops->loop[0]->uv, &loops->watchdog);
        loops->watchdog.data = loops;
        uv_timer_start(&loops->watchdog, feed_watchdog, 0, interval_us / 3000 + 1);
    }
    return error;
}

static void tell(int error)
{
    if (error)
        log_event(LOG_WARNING, "notify_failed", LOG_TEXT("why", strerror(-error)));
}

void operations_ready(struct loops *loops)
{
    char status[STATUS_SIZE];
    struct catalogue *catalogue = house_catalogue(loops->house);
    snprintf(status, sizeof status, "serving %zu models at %zu addresses with %zu loops", catalogue->count,
             loops->listener_count, loops->count);
    catalogue_unref(catalogue);
    tell(notify_ready(status));
}

void operations_reloading(void)
{
    tell(notify_reloading());
}

void operations_stopping(void)
{
    tell(notify_stopping());
}

void operations_end(struct loops *loops)
{
    admin_stop(loops->admin);
    loops->admin = NULL;
}
