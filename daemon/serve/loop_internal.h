#pragma once
// What loop.c, accept.c and client.c share.

#include "address.h"
#include "admin.h"
#include "client.h"
#include "config.h"
#include "house.h"

#include <stdatomic.h>

enum { LINGER_US = 1000000, DRAIN_TURNS = 2, PASSED_LIMIT = CONFIG_LISTEN_LIMIT + 2 };

struct loops;

struct listener {
    uv_poll_t poll;
    struct loops *loops;
    const struct address *address;
    struct listener_socket socket;
    int is_control;             // its connections are operators'
    int opened;                 // the socket is there
};

struct loop {
    uv_loop_t uv;
    struct loops *loops;
    size_t index;
    struct server *server;
    struct client *clients;
    atomic_size_t client_count; // dealt to this loop and not closed yet; read by the first loop
    uint64_t turn_us;           // time of this turn; 0: not looked at yet
    uv_check_t check;
    uv_idle_t idle;             // runs while requests are left over: the next turn must not wait
    uv_timer_t tick;
    uv_async_t wake;            // mail, answers of the log, news from `loops`
    int draining;               // turns since the signal, from 1
    int said_farewell;
    int finished;               // is counted among those that are
    uv_thread_t thread;         // of all but the first
    int has_thread;
};

struct loops {
    struct house *house;
    const struct config *config;
    size_t count;
    struct loop *loop[LOOPS_LIMIT];
    size_t made;                // loops that exist
    atomic_size_t finished;     // loops that drained and have no client any more
    atomic_int drain;           // they are to drain
    atomic_int give_up;         // they are to stop with clients still there

    // The first loop's.
    struct listener listeners[CONFIG_LISTEN_LIMIT + 1];  // and the control socket
    size_t listener_count;
    uv_timer_t listen_again;    // after a time without descriptors or memory
    uv_timer_t drain_limit;
    uv_signal_t terminate, interrupt, hangup;
    uv_async_t ask_to_drain;
    int passed[PASSED_LIMIT];   // sockets that systemd passed; -1: in use
    size_t passed_count;
    struct admin *admin;        // NULL: no monitoring over HTTP
    uv_timer_t watchdog;
};

// The time, read once in a turn.
uint64_t loop_now_us(struct loop *loop);

// accept.c: listening and dealing out, on the first loop.
int loops_listen(struct loops *loops, char *why, size_t why_size);  // a negative errno with a sentence
void loops_stop_listening(struct loops *loops);
