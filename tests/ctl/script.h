#pragma once
// A daemon that answers as it is told, line by line, and remembers what it was asked: for what real daemons do too
// seldom to be tested with them. Hello is always welcomed and takes no line.

#include "proto/wire.h"

#include <pthread.h>

enum how {
    HOW_ANSWER,         // with `reply`
    HOW_REFUSE,         // with an Error of `code`
    HOW_HANG_UP,        // having done what was asked, for all that the client knows
};

struct line {
    enum how how;
    struct wire_envelope reply;
    enum wire_error_code code;
};

enum { SCRIPT_LINES = 8 };

struct asked {
    enum wire_kind kind;
    enum wire_phase phase;  // of a HandOver
    int forget;             // of a Close
    uint64_t epoch;         // of a Close or a Restore
};

struct script {
    const struct line *lines;
    size_t line_count;
    char address[128], path[108];
    int listener;
    pthread_t thread;
    struct asked asked[SCRIPT_LINES];  // valid after script_stop
    size_t asked_count;
};

void script_start(struct script *script, const struct line *lines, size_t count);
// Ends it and fails the test unless every line was asked for and nothing else.
void script_stop(struct script *script);
