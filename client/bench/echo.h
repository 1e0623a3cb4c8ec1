#pragma once
// The least that a server of these messages can do: libuv takes the bytes, protobuf-c takes them apart and
// puts a reply of the same size as the daemon's together. What is above its cost is the daemon's work.

// Listens on a Unix socket, writes "READY\n" to descriptor 3 and serves until killed. Returns an exit code.
int bench_echo_server(int argc, char **argv);
