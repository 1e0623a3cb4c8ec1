// Frames to a daemon and back; the contract is in control.h.
#include "control.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_AT_FIRST = 64 << 10, ARENA_LIMIT = 128 << 20, TOKEN_LIMIT = 4096 };

static int grow_arena(struct wire_arena *arena)
{
    size_t size = arena->size ? 2 * arena->size : ARENA_AT_FIRST;
    if (size > ARENA_LIMIT)
        return -ENOMEM;
    void *memory = malloc(size);
    if (!memory)
        return -ENOMEM;
    free(arena->memory);
    wire_arena_init(arena, memory, size);
    return 0;
}

static int broken(struct control *control, int error)
{
    snprintf(control->why, sizeof control->why, error == -ETIMEDOUT ? "%s does not answer in time"
             : error == -ECONNRESET ? "%s closed the connection" : "%s: the connection broke",
             control->address);
    return error;
}

// The encoder's arena is one of its own: the request may point into the last reply.
static int send_request(struct control *control, const struct wire_envelope *request, int64_t deadline)
{
    struct frame_buffer *out = &control->link.out;
    struct wire_arena arena = {0};
    long size = -ENOMEM;
    while (size == -ENOMEM && grow_arena(&arena) == 0)
        size = wire_encode(NULL, 0, request, &arena);
    if (size > 0) {
        uint8_t *room = frame_buffer_reserve(out, (size_t)size);
        wire_arena_reset(&arena);
        size = room ? wire_encode(room, (size_t)size, request, &arena) : -EMSGSIZE;
    }
    free(arena.memory);
    if (size < 0) {
        snprintf(control->why, sizeof control->why, "the request is too large");
        return (int)size;
    }
    frame_buffer_append(out, (size_t)size);
    int error = link_flush(&control->link, deadline);
    return error ? broken(control, error) : 0;
}

static int take_reply(struct control *control, struct wire_envelope *reply, int64_t deadline)
{
    const uint8_t *body;
    size_t size;
    int error = link_next(&control->link, deadline, &body, &size);
    if (error)
        return broken(control, error);
    do {
        wire_arena_reset(&control->arena);
        error = wire_decode(reply, body, size, &control->arena);
    } while (error == -ENOMEM && grow_arena(&control->arena) == 0);
    if (error)
        snprintf(control->why, sizeof control->why, "%s: what it says is not our protocol", control->address);
    return error;
}

static int refused(struct control *control, const struct wire_error *error)
{
    control->code = error->code;
    snprintf(control->field, sizeof control->field, "%s", error->field);
    snprintf(control->why, sizeof control->why, "%s%s%s: %s", wire_error_name(error->code), *error->field ? " " : "",
             error->field, error->message);
    return -EREMOTEIO;
}

int control_ask(struct control *control, const struct wire_envelope *request, enum wire_kind wanted,
                struct wire_envelope *reply)
{
    struct wire_envelope numbered = *request;
    int64_t deadline = link_now() + (int64_t)(control->timeout * 1e9);
    numbered.request_id = ++control->id;
    control->code = WIRE_UNKNOWN;
    control->field[0] = 0;
    int error = send_request(control, &numbered, deadline);
    // Replies to what was given up earlier are passed over; request 0 is the daemon's last word.
    while (!error) {
        error = take_reply(control, reply, deadline);
        if (!error && (reply->request_id == control->id || reply->request_id == 0))
            break;
    }
    if (error)
        return error;
    if (reply->kind == WIRE_ERROR)
        return refused(control, &reply->error);
    if (reply->kind == wanted)
        return 0;
    snprintf(control->why, sizeof control->why, "%s answers something else than was asked", control->address);
    return -EPROTO;
}

// The file's first line, without white space around it.
static int read_token(const char *path, char *token, size_t size, char *why, size_t why_size)
{
    FILE *file = fopen(path, "re");
    int found = file && fgets(token, (int)size, file), error = found ? -EINVAL : -EIO;
    if (!found)
        snprintf(why, why_size, "%s: %s", path, file && !ferror(file) ? "no token in it" : strerror(errno));
    if (file)
        fclose(file);
    if (!found)
        return error;
    char *start = token, *end = token + strlen(token);
    while (isspace((unsigned char)*start))
        start++;
    while (end > start && isspace((unsigned char)end[-1]))
        end--;
    *end = 0;
    memmove(token, start, (size_t)(end - start) + 1);
    if (*token)
        return 0;
    snprintf(why, why_size, "%s: no token in its first line", path);
    return -EINVAL;
}

int control_open(struct control *control, const char *address, const struct control_options *options)
{
    char token[TOKEN_LIMIT] = "";
    *control = (struct control){.address = address, .timeout = options->timeout, .link.fd = -1};
    int error = options->token_file
                    ? read_token(options->token_file, token, sizeof token, control->why, sizeof control->why) : 0;
    if (error)
        return error;
    error = link_init(&control->link);
    control->link.options = &options->tls;
    if (!error)
        error = grow_arena(&control->arena);
    if (error)
        snprintf(control->why, sizeof control->why, "no memory");
    else
        error = link_dial(&control->link, address, link_now() + (int64_t)(control->timeout * 1e9), control->why,
                          sizeof control->why);
    if (!error) {
        struct wire_envelope hello = {.kind = WIRE_HELLO, .hello = {"beliefctl " BELIEFD_VERSION, token}}, welcome;
        error = control_ask(control, &hello, WIRE_WELCOME, &welcome);
    }
    if (error)
        control_close(control);
    return error;
}

void control_close(struct control *control)
{
    link_release(&control->link);
    free(control->arena.memory);
    control->arena = (struct wire_arena){0};
}
