// A daemon by script; the contract is in script.h.
#include "script.h"

#include "proto/frame.h"
#include "tests/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MESSAGE = 1 << 16 };

static int receive(int fd, struct frame_buffer *in, const uint8_t **body, size_t *size)
{
    int whole;
    while ((whole = frame_next(in, MESSAGE, body, size)) == 0) {
        uint8_t *room = frame_buffer_reserve(in, MESSAGE / 2);
        ssize_t got = room ? recv(fd, room, MESSAGE / 2, 0) : -1;
        if (got <= 0)
            return 0;
        frame_buffer_append(in, (size_t)got);
    }
    return whole == 1;
}

static void answer(int fd, uint64_t request_id, const struct wire_envelope *from)
{
    static _Thread_local uint8_t frame[MESSAGE], memory[MESSAGE];
    struct wire_envelope reply = *from;
    struct wire_arena arena;
    wire_arena_init(&arena, memory, sizeof memory);
    reply.request_id = request_id;
    long size = wire_encode(frame, sizeof frame, &reply, &arena);
    if (size < 0 || send(fd, frame, (size_t)size, MSG_NOSIGNAL) != size)
        abort();
}

// One line for one request. 0: the link is over.
static int follow(struct script *script, int fd, const struct wire_envelope *request)
{
    size_t at = script->asked_count;
    if (at >= SCRIPT_LINES)
        return 0;
    script->asked[script->asked_count++] = (struct asked){
        .kind = request->kind,
        .phase = request->kind == WIRE_HAND_OVER ? request->hand_over.phase : WIRE_FREEZE,
        .forget = request->kind == WIRE_CLOSE && request->close.forget,
        .epoch = request->kind == WIRE_CLOSE ? request->close.epoch
                 : request->kind == WIRE_RESTORE && request->restore.state ? request->restore.state->epoch : 0};
    if (at >= script->line_count || script->lines[at].how == HOW_HANG_UP)
        return 0;
    const struct line *line = &script->lines[at];
    if (line->how == HOW_ANSWER)
        answer(fd, request->request_id, &line->reply);
    else
        answer(fd, request->request_id, &(struct wire_envelope){
            .kind = WIRE_ERROR, .error = {.code = line->code, .message = "as the script says"}});
    return 1;
}

static void *run(void *context)
{
    struct script *script = context;
    int fd;
    while ((fd = accept(script->listener, NULL, NULL)) >= 0) {
        struct frame_buffer in;
        const uint8_t *body;
        size_t size;
        int more = frame_buffer_init(&in, MESSAGE, MESSAGE) == 0;
        while (more && receive(fd, &in, &body, &size)) {
            static _Thread_local uint8_t memory[MESSAGE];
            struct wire_arena arena;
            struct wire_envelope request;
            wire_arena_init(&arena, memory, sizeof memory);
            if (wire_decode(&request, body, size, &arena))
                abort();
            if (request.kind == WIRE_HELLO)
                answer(fd, request.request_id,
                       &(struct wire_envelope){.kind = WIRE_WELCOME, .welcome = {.server = "script", .protocol = 1}});
            else
                more = follow(script, fd, &request);
            frame_buffer_consume(&in, FRAME_HEADER_SIZE + size);
        }
        frame_buffer_release(&in);
        close(fd);
    }
    return NULL;
}

void script_start(struct script *script, const struct line *lines, size_t count)
{
    static unsigned number;
    *script = (struct script){.lines = lines, .line_count = count};
    snprintf(script->path, sizeof script->path, "/tmp/ctl-script.%d.%u", (int)getpid(), number++);
    snprintf(script->address, sizeof script->address, "unix:%s", script->path);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, script->path, sizeof to.sun_path);
    unlink(script->path);
    script->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(script->listener, (struct sockaddr *)&to, sizeof to), 0);
    ck_assert_int_eq(listen(script->listener, 8), 0);
    ck_assert_int_eq(pthread_create(&script->thread, NULL, run, script), 0);
}

void script_stop(struct script *script)
{
    shutdown(script->listener, SHUT_RDWR);
    pthread_join(script->thread, NULL);
    close(script->listener);
    unlink(script->path);
    ck_assert_uint_eq(script->asked_count, script->line_count);
}
