#pragma once
// Two servers that run all the time and are asked in short turns, so that what else the machine does falls on both.
//
// One client: servers and client on one processor, where waking somebody costs least and varies least; time from the
// write to the whole reply. 64 clients: one epoll loop plays them all, each with one request at a time, on another
// processor if there is one, as clients are that do not stop the server whenever it answers; what counts is the
// processor time that the server used, from the kernel's clock of that process.

#include "asker.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum { DUEL_CLIENTS = 64 };

struct duel_server {
    const char *name;
    int is_grpc;             // asked through that door
    pid_t pid;
    char path[108];          // of its socket
    clockid_t clock;         // processor time of the process
    double *samples;         // round trips of one client, us; ascending after duel_one_client
    size_t sample_count;
    double cpu_seconds;      // used while 64 clients asked
    uint64_t requests;       // that they made
};

// Starts a program on a processor (-1: any) with its output into the file `log`, and waits until it says READY on
// descriptor 3. Ends the program with a sentence when it does not.
void duel_start(struct duel_server *server, int cpu, const char *log, char **argv);

// Memory for its samples.
void duel_init(struct duel_server *server);
void duel_release(struct duel_server *server);

void duel_one_client(struct duel_server servers[2], double seconds);
void duel_many_clients(struct duel_server servers[2], double seconds);

double duel_quantile(const struct duel_server *server, double share);  // us
double duel_cpu_us(const struct duel_server *server);                  // for a request

// For who has clients of its own: DUEL_CLIENTS of them on a server and an epoll descriptor; a time of asking, which
// returns the requests made, all answered.
int duel_join(struct asker *askers, const struct duel_server *server);
uint64_t duel_slice(int poll, struct asker *askers, double seconds);
void duel_leave(int poll, struct asker *askers);
double duel_now(void);                                                 // seconds
