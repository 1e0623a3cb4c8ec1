#pragma once
// Servers side by side under the same load: 64 connections, one request each at a time, and what each server's
// process pays for a request by the kernel's clock of that process.
//
// Servers share one processor and are asked in turns, so that what else the machine does falls on all; the client
// has another processor, if there is one.

#include "proto/frame.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum { LOAD_CONNECTIONS = 64, LOAD_FRAME = 1 << 16, LOAD_OBSERVATION_LIMIT = 64 };

struct load_connection;

// How to talk to a server. Functions end the program with a sentence when the server says something else than it
// should: a figure of a server that refuses would be worth nothing.
struct load_wire {
    const char *name;
    void (*begin)(struct load_connection *connection);  // handshake; then `ask` can be called. NULL: none
    void (*ask)(struct load_connection *connection);    // the next request into `out`
    int (*take)(struct load_connection *connection);    // from `in`: 1 the reply is whole, 0 not yet
    void (*end)(struct load_connection *connection);    // NULL: nothing to free
};

extern const struct load_wire wire_frames, wire_redis, wire_websocket, wire_grpc;

struct load_connection {
    int fd;
    const struct load_wire *wire;
    uint64_t session, seq;      // a name of its own; number of the last request
    struct frame_buffer in, out;
    void *state;                // the wire's
};

struct load_server {
    const char *name;
    const struct load_wire *wire;
    char path[108];             // of its Unix socket
    pid_t pid;
    clockid_t clock;
    double cpu_seconds;         // used during slices
    uint64_t requests;          // answered in them
    int poll;
    struct load_connection connections[LOAD_CONNECTIONS];
};

__attribute__((noreturn, format(printf, 1, 2)))
void load_die(const char *format, ...);

// What every client observes: noise, the same for all. The i-th, of `dim` numbers.
void load_prepare(size_t dim);
const float *load_observation(uint64_t i);
float load_reward(uint64_t i);
size_t load_dim(void);

// Starts a program on a processor (-1: any), its output into the file `log`, and connects once it listens on its
// socket. Ends the program with a sentence when it does not within a minute.
void load_start(struct load_server *server, int cpu, const char *log, char *const *argv);
void load_join(struct load_server *server);              // all connections; handshakes done
void load_slice(struct load_server *server, double seconds, int count);  // count: it is measured
void load_leave(struct load_server *server);             // hangs up
void load_stop(struct load_server *server);              // ends the process

// One connection without its handshake, for who needs other numbers of them.
void load_connect(const struct load_server *server, struct load_connection *connection);
void load_disconnect(struct load_connection *connection);

// A frame into `out`, numbered by the connection's seq; and the wire_frames' take.
struct wire_envelope;
void load_put_frame(struct load_connection *connection, struct wire_envelope *request);
int load_take_frame(struct load_connection *connection);

// For begin: sends what is in `out`, then reads until take says 1.
void load_round_trip(struct load_connection *connection, int (*take)(struct load_connection *connection));

double load_cpu_us(const struct load_server *server);    // for one request
int load_processors(int *other);                         // for servers; *other for the client
void load_run_on(int cpu);
int load_find_daemon(char *out, size_t room);            // beliefd beside this program; 0: none
