#pragma once
// What loop.c and client.c share.

#include "address.h"
#include "client.h"
#include "config.h"

enum { LINGER_US = 1000000, DRAIN_TURNS = 2 };

struct listener {
    union socket_handle uv;
    struct loop *loop;
    struct listener_socket socket;
    int opened;                 // the socket and the handle are there
};

struct loop {
    uv_loop_t uv;
    struct server *server;
    const struct config *config;
    struct listener listeners[CONFIG_LISTEN_LIMIT];
    struct client *clients;
    uint64_t turn_us;           // time of this turn; 0: not looked at yet
    uv_check_t check;
    uv_idle_t idle;             // runs while requests are left over: the next turn must not wait
    uv_timer_t tick;
    uv_timer_t drain_limit;
    uv_signal_t terminate, interrupt;
    int draining;               // turns since the signal, from 1
    int said_farewell;
};

// The time, read once in a turn.
uint64_t loop_now_us(struct loop *loop);
