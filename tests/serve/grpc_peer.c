#include "grpc_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/suite.h"

const struct limits grpc_limits = {
    .connections = 100, .sessions = 100, .frame_bytes = 1 << 18, .in_flight = 16, .gaps = 8, .writers = 4,
    .connection_idle_us = 60000000, .session_idle_us = 300000000, .slow_reader_us = 10000000,
    .handshake_us = 15000000, .deadline_us = 30000000, .keepalive_us = 20000000, .streams = 100, .header_bytes = 8192,
    .resets_per_second = 10, .pings_per_second = 10};

// ---- What the server says --------------------------------------------------------------------------------------------

static struct grpc_heard *heard_of(struct grpc_peer *by, int32_t stream)
{
    for (size_t i = by->call_count; i-- > 0;)
        if (by->calls[i].stream == stream)
            return &by->calls[i];
    return NULL;
}

static void copy(char *out, size_t room, const uint8_t *value, size_t size)
{
    snprintf(out, room, "%.*s", (int)size, (const char *)value);
}

static int on_header(nghttp2_session *http2, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t size, uint8_t flags, void *context)
{
    (void)http2, (void)flags, (void)name_size;
    struct grpc_heard *call = heard_of(context, frame->hd.stream_id);
    const char *key = (const char *)name;
    if (!strcmp(key, ":status"))
        call->http_status = atoi((const char *)value);
    else if (!strcmp(key, "grpc-status"))
        call->grpc_status = atoi((const char *)value);
    else if (!strcmp(key, "grpc-message"))
        copy(call->message, sizeof call->message, value, size);
    else if (!strcmp(key, "grpc-status-details-bin"))
        copy(call->details, sizeof call->details, value, size);
    else if (!strcmp(key, "content-type"))
        copy(call->type, sizeof call->type, value, size);
    else if (!strcmp(key, "grpc-accept-encoding"))
        copy(call->encodings, sizeof call->encodings, value, size);
    return 0;
}

static int on_data(nghttp2_session *http2, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t size, void *context)
{
    (void)http2, (void)flags;
    struct grpc_heard *call = heard_of(context, stream);
    call->body = realloc(call->body, call->size + size);
    memcpy(call->body + call->size, bytes, size);
    call->size += size;
    return 0;
}

static int on_frame(nghttp2_session *http2, const nghttp2_frame *frame, void *context)
{
    (void)http2;
    struct grpc_peer *by = context;
    struct grpc_heard *call = frame->hd.stream_id ? heard_of(by, frame->hd.stream_id) : NULL;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        by->goaways++;
        by->goaway_code = frame->goaway.error_code;
        copy(by->goaway_message, sizeof by->goaway_message, frame->goaway.opaque_data, frame->goaway.opaque_data_len);
    } else if (frame->hd.type == NGHTTP2_PING && !(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        by->pings++;
    } else if (frame->hd.type == NGHTTP2_PING) {
        by->acknowledged_pings++;
    } else if (frame->hd.type == NGHTTP2_RST_STREAM && call) {
        call->was_reset = 1;
        call->reset = frame->rst_stream.error_code;
    }
    return 0;
}

static int on_close(nghttp2_session *http2, int32_t stream, uint32_t code, void *context)
{
    (void)http2, (void)code;
    struct grpc_heard *call = heard_of(context, stream);
    if (call)
        call->closed = 1;
    return 0;
}

// ---- What is said ----------------------------------------------------------------------------------------------------

static ssize_t read_said(nghttp2_session *http2, int32_t stream, uint8_t *out, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *context)
{
    (void)http2, (void)stream, (void)context;
    struct grpc_heard *call = source->ptr;
    size_t left = call->to_send - call->sent, size = left < room ? left : room;
    if (size)
        memcpy(out, call->sending + call->sent, size);
    call->sent += size;
    if (call->sent == call->to_send && call->ends)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (size == 0)
        return NGHTTP2_ERR_DEFERRED;
    return (ssize_t)size;
}

struct grpc_peer *grpc_connect(struct server *of, uint32_t window)
{
    struct grpc_peer *made = calloc(1, sizeof *made);
    nghttp2_session_callbacks *callbacks;
    made->caller = peer_connect(of);
    made->calls = calloc(GRPC_CALLS, sizeof *made->calls);
    wire_arena_init(&made->arena, malloc(PEER_BUFFER * 4), PEER_BUFFER * 4);
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    ck_assert_int_eq(nghttp2_session_client_new(&made->http2, callbacks, made), 0);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};
    ck_assert_int_eq(nghttp2_submit_settings(made->http2, 0, settings, 2), 0);
    return made;
}

// For the corpus of fuzz_grpc: how to cut (into turns of 1 KB), then what came after the preface.
static void write_record(const struct grpc_peer *of)
{
    const char *directory = getenv("BELIEFD_GRPC_RECORD");
    char path[512];
    if (!directory || of->recorded < 24)
        return;
    snprintf(path, sizeof path, "%s/%d-%zu", directory, (int)getpid(), of->recorded);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fputc(255, file);
    fwrite(of->record + 24, 1, of->recorded - 24, file);
    fclose(file);
}

void grpc_free(struct grpc_peer *away)
{
    write_record(away);
    for (size_t i = 0; i < away->call_count; i++) {
        free(away->calls[i].body);
        free(away->calls[i].sending);
    }
    nghttp2_session_del(away->http2);
    peer_free(&away->caller);
    free(away->calls);
    free(away->record);
    free(away->raw);
    free(away->arena.memory);
    free(away);
}

void grpc_bytes(struct grpc_peer *to, const void *bytes, size_t size)
{
    to->record = realloc(to->record, to->recorded + size + 1);
    memcpy(to->record + to->recorded, bytes, size);
    to->recorded += size;
    for (size_t at = 0; at < size;) {
        size_t now = to->cut && to->cut < size - at ? to->cut : size - at;
        if (!to->gone)
            peer_bytes(&to->caller, (const uint8_t *)bytes + at, now);
        at += now;
    }
}

void grpc_frame(struct grpc_peer *to, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t size)
{
    uint8_t head[9] = {(uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size, type, flags, (uint8_t)(stream >> 24),
                       (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};
    to->is_raw = 1;
    grpc_bytes(to, head, sizeof head);
    if (size)
        grpc_bytes(to, payload, size);
}

// What the server says to who makes frames by hand, whom nghttp2 no longer understands.
static void hear_raw(struct grpc_peer *with, const uint8_t *bytes, size_t size)
{
    with->raw = realloc(with->raw, with->raw_size + size);
    memcpy(with->raw + with->raw_size, bytes, size);
    with->raw_size += size;
    while (with->raw_size >= 9) {
        const uint8_t *frame = with->raw;
        size_t payload = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
        if (with->raw_size < 9 + payload)
            break;
        if (frame[3] == NGHTTP2_GOAWAY) {
            with->goaways++;
            with->goaway_code =
                (uint32_t)frame[13] << 24 | (uint32_t)frame[14] << 16 | (uint32_t)frame[15] << 8 | frame[16];
        } else if (frame[3] == NGHTTP2_RST_STREAM) {
            with->raw_resets++;
        } else if (frame[3] == NGHTTP2_HEADERS) {
            with->raw_headers++;
        }
        with->raw_size -= 9 + payload;
        memmove(with->raw, frame + 9 + payload, with->raw_size);
    }
}

// One turn. 1: something moved.
static int turn(struct grpc_peer *with)
{
    struct connection *connection = with->caller.connection;
    struct server *of = with->caller.server;
    const uint8_t *bytes;
    ssize_t size;
    int moved = 0;
    while (!with->is_raw && connection_wants_input(connection) && (size = nghttp2_session_mem_send(with->http2, &bytes)) > 0) {
        grpc_bytes(with, bytes, (size_t)size);
        moved = 1;
    }
    server_turn(of, peer_now_us);
    while (server_next_output(of))
        ;
    size = (ssize_t)frame_buffer_size(&connection->out);
    ck_assert_uint_le((size_t)size, of->output_limit);
    if (size > 0) {
        if (with->is_raw)
            hear_raw(with, frame_buffer_data(&connection->out), (size_t)size);
        else
            ck_assert_int_eq(nghttp2_session_mem_recv(with->http2, frame_buffer_data(&connection->out), (size_t)size), size);
        server_sent(of, connection, (size_t)size, peer_now_us);
        moved = 1;
    }
    with->gone = connection->state == CONNECTION_DROPPED ||
                 (connection->state == CONNECTION_CLOSING && !connection_has_output(connection) &&
                  !connection->door_holds_output);
    return moved || server_has_backlog(of);
}

void grpc_pump(struct grpc_peer *with)
{
    for (int turns = 0; turn(with); turns++)
        ck_assert_msg(turns < 100000, "it never comes to rest");
}

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

struct grpc_heard *grpc_begin(struct grpc_peer *to, const char *path, const struct grpc_field *more)
{
    static const struct grpc_field usual[] = {{":method", "POST"}, {":scheme", "http"}, {":authority", "localhost"},
                                              {"te", "trailers"}, {"content-type", "application/grpc"}};
    enum { USUAL = sizeof usual / sizeof *usual };
    nghttp2_nv list[32];
    size_t count = 0;
    list[count++] = header(":path", path);
    for (size_t i = 0; i < USUAL; i++) {
        const char *value = usual[i].value;
        for (const struct grpc_field *field = more; field && field->name; field++)
            if (!strcmp(field->name, usual[i].name))
                value = field->value;
        if (*value)
            list[count++] = header(usual[i].name, value);
    }
    for (const struct grpc_field *field = more; field && field->name; field++) {
        int is_usual = 0;
        for (size_t i = 0; i < USUAL; i++)
            is_usual |= !strcmp(field->name, usual[i].name);
        if (!is_usual)
            list[count++] = header(field->name, field->value);
    }
    ck_assert_uint_lt(to->call_count, GRPC_CALLS);
    struct grpc_heard *call = &to->calls[to->call_count++];
    *call = (struct grpc_heard){.http_status = -1, .grpc_status = -1, .peer = to};
    nghttp2_data_provider provider = {{.ptr = call}, read_said};
    call->stream = nghttp2_submit_request(to->http2, NULL, list, count, &provider, NULL);
    ck_assert_int_gt(call->stream, 0);
    return call;
}

void grpc_say(struct grpc_heard *call, const void *bytes, size_t size)
{
    call->sending = realloc(call->sending, call->to_send + size + 1);
    memcpy(call->sending + call->to_send, bytes, size);
    call->to_send += size;
    nghttp2_session_resume_data(call->peer->http2, call->stream);
}

void grpc_say_message(struct grpc_heard *call, const struct wire_envelope *message)
{
    uint8_t *bytes = malloc(PEER_BUFFER);
    struct wire_envelope bare = *message;
    bare.request_id = 0;
    wire_arena_reset(&call->peer->arena);
    long size = wire_encode(bytes, PEER_BUFFER, &bare, &call->peer->arena);
    ck_assert_int_gt(size, 0);
    ck_assert_int_le(size, PEER_BUFFER);
    struct wire_bytes body = wire_body(bytes, (size_t)size);
    uint8_t prefix[5] = {0};
    frame_write_header(prefix + 1, (uint32_t)body.size);
    grpc_say(call, prefix, sizeof prefix);
    grpc_say(call, body.bytes, body.size);
    free(bytes);
}

void grpc_say_end(struct grpc_heard *call)
{
    call->ends = 1;
    nghttp2_session_resume_data(call->peer->http2, call->stream);
}

void grpc_cancel(struct grpc_heard *call, uint32_t code)
{
    nghttp2_submit_rst_stream(call->peer->http2, 0, call->stream, code);
}

struct grpc_heard *grpc_call(struct grpc_peer *to, const char *path, const struct wire_envelope *message,
                             const struct grpc_field *more)
{
    struct grpc_heard *call = grpc_begin(to, path, more);
    grpc_say_message(call, message);
    grpc_say_end(call);
    grpc_pump(to);
    return call;
}

int grpc_answer(struct grpc_heard *call, enum wire_kind kind, struct wire_envelope *answer)
{
    const uint8_t *bytes = call->body + call->read;
    size_t left = call->size - call->read;
    if (left < 5)
        return 0;
    size_t size = (size_t)bytes[1] << 24 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 8 | bytes[4];
    if (left < 5 + size)
        return 0;
    ck_assert_int_eq(bytes[0], 0);
    call->read += 5 + size;
    if (kind == WIRE_NONE)
        return 1;
    wire_arena_reset(&call->peer->arena);
    ck_assert_int_eq(wire_decode_body(answer, kind, bytes + 5, size, &call->peer->arena), 0);
    return 1;
}

struct wire_envelope grpc_answered(struct grpc_heard *call, enum wire_kind kind)
{
    struct wire_envelope answer = {0};
    ck_assert_msg(call->grpc_status == 0, "status %d: %s", call->grpc_status, call->message);
    ck_assert_int_eq(call->http_status, 200);
    ck_assert_str_eq(call->type, "application/grpc");
    ck_assert_int_eq(grpc_answer(call, kind, &answer), 1);
    ck_assert_uint_eq(call->read, call->size);
    ck_assert_int_eq(call->closed, 1);
    return answer;
}

// ---- Rich status -----------------------------------------------------------------------------------------------------

static size_t base64_decode(uint8_t *out, const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    size_t have = 0, size = 0;
    for (; *text; text++) {
        const char *digit = strchr(digits, *text);
        ck_assert_ptr_nonnull(digit);
        bits = bits << 6 | (uint32_t)(digit - digits);
        have += 6;
        if (have >= 8)
            out[size++] = (uint8_t)(bits >> (have -= 8));
    }
    return size;
}

// The length-delimited field of that number; all numbers here are below 16 and all lengths below 16384.
static struct wire_bytes field_of(struct wire_bytes in, unsigned number)
{
    for (size_t at = 0; at < in.size;) {
        uint8_t tag = in.bytes[at++];
        size_t value = in.bytes[at] & 0x7f;
        if (in.bytes[at++] & 0x80)
            value |= (size_t)in.bytes[at++] << 7;
        if ((tag & 7) != 2)
            continue;
        if (tag >> 3 == (int)number)
            return (struct wire_bytes){in.bytes + at, value};
        at += value;
    }
    return (struct wire_bytes){0};
}

struct wire_error grpc_failed(struct grpc_heard *call, int grpc_status, enum wire_error_code code, const char *field)
{
    static const char type[] = "type.googleapis.com/belief.v1.Error";
    uint8_t bytes[sizeof call->details];
    struct wire_envelope error;
    ck_assert_msg(call->grpc_status == grpc_status, "status %d, not %d: %s", call->grpc_status, grpc_status, call->message);
    ck_assert_int_eq(call->http_status, 200);
    ck_assert_str_ne(call->message, "");
    struct wire_bytes status = {bytes, base64_decode(bytes, call->details)}, detail = field_of(status, 3);
    ck_assert_uint_eq(status.bytes[0], 0x08);
    ck_assert_uint_eq(status.bytes[1], (unsigned)grpc_status);
    struct wire_bytes url = field_of(detail, 1), value = field_of(detail, 2);
    ck_assert_uint_eq(url.size, sizeof type - 1);
    ck_assert_mem_eq(url.bytes, type, url.size);
    wire_arena_reset(&call->peer->arena);
    ck_assert_int_eq(wire_decode_body(&error, WIRE_ERROR, value.bytes, value.size, &call->peer->arena), 0);
    ck_assert_msg(error.error.code == code, "%s: %s", wire_error_name(error.error.code), error.error.message);
    ck_assert_str_eq(error.error.field, field);
    return error.error;
}

// ---- A robot ---------------------------------------------------------------------------------------------------------

struct wire_envelope grpc_act(struct robot *whose, const char *session, uint64_t epoch, uint64_t seq)
{
    struct wire_envelope act = robot_act(whose, 0, seq);
    act.act.session = session;
    act.act.epoch = epoch;
    return act;
}

struct wire_envelope grpc_step(struct robot *whose, const char *session, uint64_t epoch, uint64_t seq)
{
    struct wire_envelope step = robot_step(whose, 0, seq);
    step.step.session = session;
    step.step.epoch = epoch;
    return step;
}

uint64_t grpc_open(struct grpc_peer *with, const char *session)
{
    const struct wire_envelope open = {.kind = WIRE_OPEN, .open = {.session = session}};
    struct wire_opened opened = grpc_answered(grpc_call(with, "/belief.v1.Belief/Open", &open, NULL), WIRE_OPENED).opened;
    ck_assert_uint_eq(opened.handle, 0);
    return opened.epoch;
}
