// Decodes each frame of the input, encodes what it understood, and writes that: for foreign_codec.py, which compares
// what went in with what comes out.

#include "proto/frame.h"
#include "proto/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 1 << 20, PARTS = 64 };

static void fail(const char *what, int error)
{
    fprintf(stderr, "recode: %s: %s\n", what, strerror(-error));
    exit(1);
}

int main(void)
{
    uint8_t header[FRAME_HEADER_SIZE];
    while (fread(header, sizeof header, 1, stdin) == 1) {
        size_t size = (size_t)header[0] << 24 | (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];
        size_t bound = wire_arena_bound(size, PARTS);
        uint8_t *body = malloc(size ? size : 1), *out = malloc(LIMIT);
        struct wire_arena in_arena, out_arena;
        struct wire_envelope message;
        wire_arena_init(&in_arena, malloc(bound), bound);
        wire_arena_init(&out_arena, malloc(bound), bound);
        if (size && fread(body, size, 1, stdin) != 1)
            fail("input ends within a frame", 0);
        int error = wire_decode(&message, body, size, &in_arena);
        if (error)
            fail("a frame cannot be decoded", error);
        long written = wire_encode(out, LIMIT, &message, &out_arena);
        if (written < 0 || written > LIMIT)
            fail("a message cannot be encoded", written < 0 ? (int)written : 0);
        fwrite(out, (size_t)written, 1, stdout);
        free(in_arena.memory);
        free(out_arena.memory);
        free(body);
        free(out);
    }
    return 0;
}
