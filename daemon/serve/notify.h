#pragma once
// What the service manager is told, and what it hands over: the protocols of sd_notify(3) and sd_listen_fds(3), without
// its library. Where there is no service manager nothing happens.

#include <stddef.h>
#include <stdint.h>

// One datagram to $NOTIFY_SOCKET. 0: sent, or nobody is there to be told; negative errno. Any thread.
int notify_send(const char *text);

int notify_ready(const char *status);      // READY=1: clients are answered
int notify_reloading(void);                // RELOADING=1; when it is done, notify_ready again
int notify_stopping(void);                 // STOPPING=1
__attribute__((format(printf, 1, 2)))
int notify_status(const char *format, ...);  // one line for `systemctl status`
int notify_watchdog(void);                 // WATCHDOG=1: all loops are alive

// How often the watchdog wants to hear from this process, in microseconds; 0: never.
uint64_t notify_watchdog_us(void);

// The listening sockets that were handed over: descriptors, at most `room`. Returns how many there are; negative errno:
// the environment says something that cannot be. They are closed at exec, and the environment forgets them, so it
// answers once.
enum { NOTIFY_FDS_START = 3 };
int notify_listen_fds(int *fds, size_t room);
