#pragma once
// Everything that a client could make grow, and how far. The reason for each default stands in
// deploy/beliefd.conf.

#include <stddef.h>
#include <stdint.h>

struct limits {
    size_t connections;
    size_t sessions;
    size_t frame_bytes;            // body of one frame, either way
    size_t in_flight;              // requests taken from one connection in one turn
    size_t gaps;                   // holes between the numbers of a writer's transitions
    size_t writers;                // per session, writer 0 included
    uint64_t connection_idle_us;
    uint64_t session_idle_us;      // of a session that no connection holds
    uint64_t session_spill_us;     // the same, until it is in the experience log only
    uint64_t slow_reader_us;       // how long replies may wait to be taken
    uint64_t handshake_us;         // from the connection to its first whole request, TLS included
    uint64_t deadline_us;          // longest deadline of a request over gRPC
    uint64_t keepalive_us;         // silence over gRPC, until a PING asks whether somebody is there
    size_t streams;                // gRPC: at once on one connection
    size_t header_bytes;           // gRPC: of one request's metadata
    size_t resets_per_second;      // gRPC: streams that a client opens and cancels
    size_t pings_per_second;       // gRPC
};

enum {
    OBSERVE_LIMIT = 1024,          // transitions in one Observe: bounds how long others wait for it
    EXPERIENCE_BYTES = 256 * 1024, // of a page of experience: many fit into what a connection may have under way
    MODELS_LIMIT = 64,
    LOOPS_LIMIT = 64,
    OUTPUT_BASE = 32 * 1024,       // bytes of replies a connection holds without allocating
    INPUT_BASE = 16 * 1024,        // bytes of requests, the same
    SNAPSHOT_AGE = 4096,           // transitions of a session since its last state in the log: bounds how long it takes
                                   //   to come back
};

#define EPOCH_LIMIT ((uint64_t)1 << 62)  // so that raising one never wraps
#define SEQ_LIMIT ((uint64_t)INT64_MAX)  // numbers of observations: what the log's database can hold
