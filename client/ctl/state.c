// beliefctl snapshot and restore: a session's state in a file, which is one SessionState message and nothing else.
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM_FOR_DECODING = 8, PARTS = 1024 };

// Written under another name, brought to disk, then renamed: whoever looks sees the old file or the new one.
static int write_file(const char *path, struct wire_bytes bytes)
{
    char temporary[4096];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= sizeof temporary)
        return -ENAMETOOLONG;
    int file = mkostemp(temporary, O_CLOEXEC), error = 0;
    if (file < 0)
        return -errno;
    for (size_t done = 0; done < bytes.size && !error;) {
        ssize_t wrote = write(file, bytes.bytes + done, bytes.size - done);
        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno != EINTR)
            error = -errno;
    }
    if (!error && fsync(file))
        error = -errno;
    if (close(file) && !error)
        error = -errno;
    if (!error && rename(temporary, path))
        error = -errno;
    if (error)
        unlink(temporary);
    return error;
}

static int save_one(const struct ctl *ctl, struct control *control, const char *session)
{
    struct wire_envelope request = {.kind = WIRE_SAVE, .save.session = session}, reply;
    int error = control_ask(control, &request, WIRE_SESSION_STATE, &reply);
    if (error)
        return ctl_refused(ctl, control, error);
    struct wire_arena arena = {0};
    long size = wire_encode(NULL, 0, &reply, &arena);
    uint8_t *frame = NULL;
    if (size == -ENOMEM) {
        wire_arena_init(&arena, malloc(LINK_FRAME_LIMIT), LINK_FRAME_LIMIT);
        size = arena.memory ? wire_encode(NULL, 0, &reply, &arena) : -ENOMEM;
        wire_arena_reset(&arena);
    }
    if (size > 0 && (frame = malloc((size_t)size)))
        size = wire_encode(frame, (size_t)size, &reply, &arena);
    error = size < 0 || !frame ? -ENOMEM : write_file(ctl->out, wire_body(frame, (size_t)size));
    int code = error ? ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->out, strerror(-error)) : 0;
    const struct wire_session_state *state = &reply.session_state;
    if (!code && ctl->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "session", state->session);
        cJSON_AddStringToObject(object, "file", ctl->out);
        json_add_number(object, "epoch", state->epoch);
        json_add_number(object, "count", state->count);
        json_add_digest(object, "digest", state->digest);
        ctl_print(object);
    } else if (!code) {
        char digest[DIGEST_TEXT];
        printf("%s: %llu transitions, digest %s, in %s\n", state->session, (unsigned long long)state->count,
               digest_text(digest, state->digest), ctl->out);
    }
    free(frame);
    free(arena.memory);
    return code;
}

int snapshot_run(struct ctl *ctl)
{
    if ((ctl->word_count != 0) != (ctl->out != NULL))
        return ctl_fail(ctl, CTL_USAGE, "a SESSION and --out FILE belong together (see --help)");
    struct control control;
    int code = ctl_connect(ctl, &control);
    if (code)
        return code;
    if (ctl->out) {
        code = save_one(ctl, &control, ctl->words[0]);
    } else {
        struct wire_envelope request = {.kind = WIRE_SNAPSHOT}, reply;
        int error = control_ask(&control, &request, WIRE_DONE, &reply);
        if (error)
            code = ctl_refused(ctl, &control, error);
        else if (ctl->json)
            ctl_print(cJSON_CreateObject());
        else
            puts("all sessions in memory are in the log");
    }
    control_close(&control);
    return code;
}

// The whole file, the caller's. NULL: errno tells.
static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "re");
    uint8_t *bytes = file ? malloc(LINK_FRAME_LIMIT + 1) : NULL;
    *size = bytes ? fread(bytes, 1, LINK_FRAME_LIMIT + 1, file) : 0;
    if (bytes && (ferror(file) || *size > LINK_FRAME_LIMIT)) {
        errno = ferror(file) ? EIO : EFBIG;
        free(bytes);
        bytes = NULL;
    }
    if (file)
        fclose(file);
    return bytes;
}

static int restore(const struct ctl *ctl, const struct wire_session_state *state)
{
    struct control control;
    struct wire_envelope request = {.kind = WIRE_RESTORE, .restore.state = state}, reply;
    int code = ctl->to ? ctl_connect_to(ctl, &control) : ctl_connect(ctl, &control);
    if (code)
        return code;
    int error = control_ask(&control, &request, WIRE_OPENED, &reply);
    if (error) {
        code = ctl_refused(ctl, &control, error);
    } else if (ctl->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "session", state->session);
        json_add_number(object, "epoch", reply.opened.epoch);
        json_add_number(object, "count", reply.opened.count);
        json_add_digest(object, "digest", reply.opened.digest);
        ctl_print(object);
    } else {
        char digest[DIGEST_TEXT];
        printf("%s: %llu transitions, digest %s, at %s\n", state->session, (unsigned long long)reply.opened.count,
               digest_text(digest, reply.opened.digest), control.address);
    }
    control_close(&control);
    return code;
}

int restore_run(struct ctl *ctl)
{
    const char *path = ctl->words[0];
    size_t size;
    uint8_t *bytes = read_file(path, &size);
    if (!bytes)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(errno));
    size_t room = ROOM_FOR_DECODING * wire_arena_bound(size, PARTS);
    struct wire_arena arena;
    struct wire_envelope state;
    wire_arena_init(&arena, malloc(room), room);
    int error = arena.memory ? wire_decode_body(&state, WIRE_SESSION_STATE, bytes, size, &arena) : -ENOMEM, code;
    if (error == -ENOMEM)
        code = ctl_fail(ctl, CTL_FAILED, "%s: no memory", path);
    else if (error || !*state.session_state.session)
        code = ctl_fail(ctl, CTL_FAILED, "%s: not the state of a session", path);
    else
        code = restore(ctl, &state.session_state);
    free(arena.memory);
    free(bytes);
    return code;
}
