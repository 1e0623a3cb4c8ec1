// The event loops; the contract is in loop.h. A turn: libuv polls and hands over bytes and mail, then the check phase
// runs the batch and sends each connection's replies in one write.
#include "loop.h"

#include "log.h"
#include "loop_internal.h"
#include "operations.h"
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TICK_MS = 500, RELOAD_WHY_SIZE = 8192 };

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

static void wake_all(struct loops *loops)
{
    for (size_t i = 0; i < loops->count; i++)
        loops_wake(loops, i);
}

// After the signal: two turns take what had been sent to us already, then everybody is told.
static void drain(struct loop *loop)
{
    if (!loop->said_farewell && ++loop->draining > DRAIN_TURNS && !server_has_backlog(loop->server)) {
        loop->said_farewell = 1;
        server_farewell(loop->server, loop_now_us(loop));
        send_all(loop);
    }
    if (!loop->said_farewell || loop->clients)
        return;
    // A client of another loop may wait for a session that is here, so all end together.
    struct loops *loops = loop->loops;
    if (!loop->finished) {
        loop->finished = 1;
        if (atomic_fetch_add(&loops->finished, 1) + 1 == loops->count)
            wake_all(loops);
    }
    if (atomic_load(&loops->finished) == loops->count)
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
        client_check(client, now_us);
    }
    loop->turn_us = 0;  // the poll that follows may wait
}

static void begin_to_drain(struct loop *loop)
{
    loop->draining = 1;
    server_drain(loop->server);
    uv_idle_start(&loop->idle, keep_turning);
}

// Mail, or news for all loops.
static void woken(uv_async_t *async)
{
    struct loop *loop = async->data;
    if (!loop->server)
        return;
    server_take_mail(loop->server, loop_now_us(loop));
    if (atomic_load(&loop->loops->drain) && !loop->draining)
        begin_to_drain(loop);
    if (atomic_load(&loop->loops->give_up))
        uv_stop(&loop->uv);
}

static size_t count_clients(const struct loops *loops)
{
    size_t count = 0;
    for (size_t i = 0; i < loops->count; i++)
        count += atomic_load(&loops->loop[i]->client_count);
    return count;
}

static void give_up(uv_timer_t *timer)
{
    struct loops *loops = timer->data;
    log_event(LOG_WARNING, "drain_limit", LOG_NUMBER("connections", count_clients(loops)));
    atomic_store(&loops->give_up, 1);
    wake_all(loops);
}

static void begin_drain(struct loops *loops)
{
    operations_stopping();
    loops_stop_listening(loops);
    uv_timer_start(&loops->drain_limit, give_up, loops->config->drain_us / 1000, 0);
    atomic_store(&loops->drain, 1);
    wake_all(loops);
}

static void signalled(uv_signal_t *handle, int number)
{
    struct loops *loops = handle->data;
    if (atomic_load(&loops->drain)) {
        log_event(LOG_WARNING, "stopped_at_once", LOG_NUMBER("signal", number));
        _exit(1);
    }
    log_event(LOG_INFO, "draining", LOG_NUMBER("signal", number), LOG_NUMBER("connections", count_clients(loops)));
    begin_drain(loops);
}

static void asked_to_drain(uv_async_t *async)
{
    struct loops *loops = async->data;
    if (atomic_load(&loops->drain) || !loops->house)
        return;
    log_event(LOG_INFO, "draining", LOG_TEXT("why", "asked"), LOG_NUMBER("connections", count_clients(loops)));
    begin_drain(loops);
}

struct reload {
    struct job job;
    struct loops *loops;
};

// By the helper, so that nobody waits.
static void reload(struct job *job, struct house *house)
{
    char why[RELOAD_WHY_SIZE];
    struct loops *loops = ((struct reload *)job)->loops;
    if (house) {
        house_reload(house, why, sizeof why);  // what is refused is logged
        operations_ready(loops);
    }
    free(job);
}

static void hung_up(uv_signal_t *handle, int number)
{
    struct loops *loops = handle->data;
    log_event(LOG_INFO, "reloading", LOG_NUMBER("signal", number));
    struct reload *job = calloc(1, sizeof *job);
    if (job)
        *job = (struct reload){.job.run = reload, .loops = loops};
    operations_reloading();
    if (!job || helper_post(&loops->house->helper, loops->house, &job->job)) {
        log_event(LOG_ERROR, "not_reloaded", LOG_TEXT("why", "no memory, or no thread"));
        operations_ready(loops);
        free(job);
    }
}

static void start_signals(struct loops *loops)
{
    uv_loop_t *uv = &loops->loop[0]->uv;
    uv_timer_init(uv, &loops->drain_limit);
    uv_signal_init(uv, &loops->terminate);
    uv_signal_init(uv, &loops->interrupt);
    uv_signal_init(uv, &loops->hangup);
    loops->drain_limit.data = loops->terminate.data = loops->interrupt.data = loops->hangup.data = loops;
    uv_signal_start(&loops->terminate, signalled, SIGTERM);
    uv_signal_start(&loops->interrupt, signalled, SIGINT);
    uv_signal_start(&loops->hangup, hung_up, SIGHUP);
}

static void start(struct loop *loop)
{
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    uv_timer_init(&loop->uv, &loop->tick);
    loop->check.data = loop->idle.data = loop->tick.data = loop;
    uv_check_start(&loop->check, end_turn);
    uv_timer_start(&loop->tick, tick, TICK_MS, TICK_MS);
    loops_wake(loop->loops, loop->index);  // what was posted before
}

static void close_one(uv_handle_t *handle, void *data)
{
    (void)data;
    if (!uv_is_closing(handle) && handle->type != UV_ASYNC)
        uv_close(handle, NULL);
}

static void nothing(uv_handle_t *handle)
{
    (void)handle;
}

// Closes all but the wake, which others may still call.
static void stop(struct loop *loop)
{
    while (loop->clients)
        client_close(loop->clients);
    uv_walk(&loop->uv, close_one, NULL);
    uv_unref((uv_handle_t *)&loop->wake);
    if (loop->index == 0)
        uv_unref((uv_handle_t *)&loop->loops->ask_to_drain);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void run(void *context)
{
    struct loop *loop = context;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    stop(loop);
}

struct loops *loops_new(size_t count)
{
    struct loops *loops = calloc(1, sizeof *loops);
    if (!loops)
        return NULL;
    loops->count = count;
    for (size_t i = 0; i < count; i++) {
        struct loop *loop = calloc(1, sizeof *loop);
        if (!loop || uv_loop_init(&loop->uv)) {
            free(loop);
            loops_free(loops);
            return NULL;
        }
        loop->loops = loops;
        loop->index = i;
        loop->wake.data = loop;
        uv_async_init(&loop->uv, &loop->wake, woken);
        loop->wake.data = loop;
        loops->loop[loops->made++] = loop;
    }
    loops->ask_to_drain.data = loops;
    uv_async_init(&loops->loop[0]->uv, &loops->ask_to_drain, asked_to_drain);
    return loops;
}

void loops_free(struct loops *loops)
{
    if (!loops)
        return;
    for (size_t i = 0; i < loops->made; i++) {
        struct loop *loop = loops->loop[i];
        uv_close((uv_handle_t *)&loop->wake, nothing);
        if (i == 0 && loops->made == loops->count)
            uv_close((uv_handle_t *)&loops->ask_to_drain, nothing);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
        uv_loop_close(&loop->uv);
        free(loop);
    }
    free(loops);
}

void loops_wake(void *context, size_t index)
{
    const struct loops *loops = context;
    uv_async_send(&loops->loop[index]->wake);
}

void loops_drain(void *context)
{
    struct loops *loops = context;
    uv_async_send(&loops->ask_to_drain);
}

static void say_ready(const struct loops *loops, int ready_fd)
{
    struct catalogue *catalogue = house_catalogue(loops->house);
    log_event(LOG_INFO, "ready", LOG_TEXT("version", SERVER_NAME), LOG_NUMBER("models", catalogue->count),
              LOG_NUMBER("addresses", loops->listener_count), LOG_NUMBER("loops", loops->count));
    catalogue_unref(catalogue);
    if (ready_fd < 0)
        return;
    if (write(ready_fd, "READY\n", 6) != 6)
        log_event(LOG_WARNING, "ready_fd", LOG_TEXT("why", strerror(errno)));
    close(ready_fd);
}

// The signals are the first loop's.
static int start_threads(struct loops *loops, char *why, size_t why_size)
{
    int error = 0;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 1; i < loops->count && !error; i++) {
        error = uv_thread_create(&loops->loop[i]->thread, run, loops->loop[i]);
        loops->loop[i]->has_thread = !error;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        snprintf(why, why_size, "no thread for a loop: %s", uv_strerror(error));
    return error;
}

int loops_run(struct loops *loops, struct house *house, const struct config *config, int ready_fd, char *why,
              size_t why_size)
{
    loops->house = house;
    loops->config = config;
    int error = 0;
    for (size_t i = 0; i < loops->count && !error; i++)
        error = server_new(&loops->loop[i]->server, house, i, why, why_size);
    for (size_t i = 0; i < loops->count && !error; i++)
        start(loops->loop[i]);
    if (!error)
        error = loops_listen(loops, why, why_size);
    if (!error)
        error = operations_start(loops, why, why_size);
    if (!error)
        error = start_threads(loops, why, why_size);
    if (!error) {
        start_signals(loops);
        say_ready(loops, ready_fd);
        operations_ready(loops);
        uv_run(&loops->loop[0]->uv, UV_RUN_DEFAULT);
    } else {
        atomic_store(&loops->give_up, 1);
        wake_all(loops);
    }
    operations_end(loops);
    size_t sessions = 0;
    for (size_t i = 0; i < loops->count; i++)
        if (loops->loop[i]->has_thread)
            uv_thread_join(&loops->loop[i]->thread);
    loops_stop_listening(loops);
    for (size_t i = 0; i < loops->count; i++) {
        struct loop *loop = loops->loop[i];
        if (!loop->has_thread)
            stop(loop);
        sessions += loop->server ? loop->server->sessions.count : 0;
        server_free(loop->server);
        loop->server = NULL;
    }
    if (!error)
        log_event(LOG_INFO, "stopped", LOG_NUMBER("sessions", sessions));
    return error;
}
