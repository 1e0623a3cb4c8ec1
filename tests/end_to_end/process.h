#pragma once
// Programs under test: started as a user starts them, watched, stopped, and gone when the test is.
//
// Whatever cannot be (a program that does not start, a daemon that does not become ready) fails the test.

#include "daemon/agent/model.h"

#include <sys/types.h>

struct process {
    pid_t pid;         // 0: not running
    char *output;      // after process_wait: what it said on standard output and error; the process's
    char path[128];    // of the file behind it
};

// arguments end with NULL; [0] is the program. directory: where its output is kept meanwhile.
void process_start(struct process *process, const char *directory, const char *const *arguments);
// Waits. Exit code; 128 + number of the signal that ended it; or, when it takes longer, it is killed and the test
// fails.
int process_wait(struct process *process, double seconds);
const char *process_words(const struct process *process);  // the end of its output, short enough for a message
int process_running(struct process *process);
void process_signal(struct process *process, int number);
void process_release(struct process *process);

// A directory for one test, with everything in it.
void directory_make(char *directory, size_t size);
void directory_remove(const char *directory);

// beliefd with these models, listening at a Unix socket and a TCP port of this machine.
struct daemon {
    struct process process;
    char directory[64];
    char unix_address[128], tcp_address[64];
};

extern const char *beliefd_path;

// settings: lines of a configuration file, or NULL. An @ in them stands for the daemon's directory, which lasts until
// daemon_release.
void daemon_start(struct daemon *daemon, struct model *const *models, size_t count, const char *settings);
void daemon_restart(struct daemon *daemon);    // after it is gone: with the same arguments
int daemon_stop(struct daemon *daemon);        // asks it to stop, as a service manager does; its exit code
void daemon_release(struct daemon *daemon);    // kills it if need be; removes the directory

// A plain connection to an address of above; its descriptor.
int connect_to(const char *address);
