// What a bad gRPC client can do: each attack has an outcome with a name, and the good client beside it, who steps over
// frames, never notices.
#include "grpc_peer.h"

#include "daemon/serve/grpc.h"
#include "daemon/serve/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

#define BELIEF "/belief.v1.Belief/"

static struct grpc_peer *bad;
static uint64_t lived;   // the good client's last observation

static void set_up_bad(void)
{
    set_up();
    restart(&grpc_limits);
    bad = grpc_connect(server, 65535);
    grpc_pump(bad);
    live(2);
    expect_observed(&robot, 2, 2);
    lived = 2;
}

// The good client steps on, exactly.
static void check_unharmed(void)
{
    lived++;
    struct wire_action told = ask_step(lived, WIRE_STATUS_ABSORBED);
    expect_observed(&robot, lived, lived);
    check_digest(told.digest);
    check_action(told, 0);
}

static void tear_down_bad(void)
{
    check_unharmed();
    grpc_free(bad);
    tear_down();
}

static void check_told_to_calm_down(void)
{
    grpc_pump(bad);
    ck_assert_int_ge(bad->goaways, 1);
    ck_assert_uint_eq(bad->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    ck_assert_int_eq(bad->gone, 1);
}

// A header block of a Ping call, as nghttp2 compresses it for a first request.
static size_t header_block(uint8_t *out, size_t room)
{
    static const char *const fields[][2] = {{":method", "POST"}, {":scheme", "http"}, {":path", BELIEF "Ping"},
                                            {":authority", "x"}, {"content-type", "application/grpc"}};
    nghttp2_hd_deflater *deflater;
    nghttp2_nv list[5];
    for (size_t i = 0; i < 5; i++)
        list[i] = (nghttp2_nv){(uint8_t *)fields[i][0], (uint8_t *)fields[i][1], strlen(fields[i][0]), strlen(fields[i][1]),
                               NGHTTP2_NV_FLAG_NO_INDEX};
    ck_assert_int_eq(nghttp2_hd_deflate_new(&deflater, 0), 0);
    ssize_t size = nghttp2_hd_deflate_hd(deflater, out, room, list, 5);
    ck_assert_int_gt(size, 0);
    nghttp2_hd_deflate_del(deflater);
    return (size_t)size;
}

START_TEST(rapid_reset_ends_the_connection)
{
    uint8_t block[256], cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};
    size_t size = header_block(block, sizeof block);
    uint32_t stream = 1;
    for (; stream < 2000 && !bad->gone; stream += 2) {
        grpc_frame(bad, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, stream, block, size);
        grpc_frame(bad, NGHTTP2_RST_STREAM, 0, stream, cancel, sizeof cancel);
        if (stream % 8 == 7)
            grpc_pump(bad);
    }
    check_told_to_calm_down();
    ck_assert_uint_le(stream, 2 * 11 * grpc_limits.resets_per_second + 20);
}
END_TEST

START_TEST(a_flood_of_continuations_ends_the_connection)
{
    uint8_t block[256];
    size_t size = header_block(block, sizeof block);
    grpc_frame(bad, NGHTTP2_HEADERS, 0, 1, block, size);
    int sent = 0;
    for (; sent < 1000 && !bad->gone; sent++) {
        grpc_frame(bad, NGHTTP2_CONTINUATION, 0, 1, "\x00\x01" "a" "\x01" "b", 5);
        grpc_pump(bad);
    }
    ck_assert_int_eq(bad->gone, 1);
    ck_assert_int_ge(bad->goaways, 1);
    ck_assert_uint_ne(bad->goaway_code, NGHTTP2_NO_ERROR);
    ck_assert_int_lt(sent, 20);
}
END_TEST

START_TEST(floods_of_frames_that_are_no_work_end_the_connection)
{
    static const struct { uint8_t type; uint32_t stream; const char *payload; size_t size; } floods[] = {
        {NGHTTP2_PING, 0, "12345678", 8}, {NGHTTP2_SETTINGS, 0, "", 0}, {NGHTTP2_PRIORITY, 7, "\0\0\0\0\1", 5},
        {NGHTTP2_WINDOW_UPDATE, 0, "\0\0\0\1", 4}};
    for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
        grpc_free(bad);
        bad = grpc_connect(server, 65535);
        grpc_pump(bad);
        int sent = 0;
        for (; sent < 1000 && !bad->gone; sent++) {
            grpc_frame(bad, floods[i].type, 0, floods[i].stream, floods[i].payload, floods[i].size);
            if (sent % 16 == 0)
                grpc_pump(bad);
        }
        check_told_to_calm_down();
        ck_assert_int_ge(sent, 10 * (int)grpc_limits.pings_per_second);
        ck_assert_int_lt(sent, 11 * (int)grpc_limits.pings_per_second + 16);
        check_unharmed();
    }
}
END_TEST

START_TEST(a_flood_of_empty_data_ends_the_connection)
{
    uint8_t block[256];
    size_t size = header_block(block, sizeof block);
    grpc_frame(bad, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, block, size);
    for (int i = 0; i < 1000 && !bad->gone; i++) {
        grpc_frame(bad, NGHTTP2_DATA, 0, 1, "", 0);
        if (i % 16 == 0)
            grpc_pump(bad);
    }
    check_told_to_calm_down();
}
END_TEST

START_TEST(pings_at_an_honest_pace_are_answered_for_ever)
{
    for (int i = 0; i < 500; i++) {
        nghttp2_submit_ping(bad->http2, 0, NULL);
        grpc_pump(bad);
        peer_now_us += 1000000 / grpc_limits.pings_per_second;
    }
    ck_assert_int_eq(bad->acknowledged_pings, 500);
    ck_assert_int_eq(bad->gone, 0);
}
END_TEST

START_TEST(windows_may_be_opened_byte_by_byte_for_what_is_sent)
{
    grpc_free(bad);
    bad = grpc_connect(server, 0);
    const struct wire_envelope look = {
        .kind = WIRE_GET_BELIEF, .get_belief = {.session = "robot", .sums = 1, .weights = 1, .estimate = 1}};
    struct grpc_heard *call = grpc_call(bad, BELIEF "GetBelief", &look, NULL);
    // nghttp2 gives back what it got, three bytes at a time.
    nghttp2_submit_window_update(bad->http2, 0, call->stream, 3);
    grpc_pump(bad);
    ck_assert_uint_gt(call->size, 3 * 20 * grpc_limits.pings_per_second);
    check_digest(grpc_answered(call, WIRE_BELIEF).belief.digest);
}
END_TEST

START_TEST(metadata_has_a_limit)
{
    char large[9000], huge[60000];
    memset(large, 'a', sizeof large - 1);
    large[sizeof large - 1] = 0;
    memset(huge, 'b', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    const struct grpc_field one[] = {{"x-large", large}, {0}}, two[] = {{"x-huge", huge}, {"y-huge", huge}, {0}};
    struct wire_error error = grpc_failed(grpc_call(bad, BELIEF "Ping", &ping, one), 8, WIRE_LIMIT, "metadata");
    ck_assert_uint_eq(error.limit, grpc_limits.header_bytes);
    const struct grpc_field fine[] = {
        {"x-session-id", "arm"}, {"traceparent", "00-4bf9-00f0-01"}, {"user-agent", "x/1"}, {0}};
    grpc_answered(grpc_call(bad, BELIEF "Ping", &ping, fine), WIRE_DONE);
    // So much that it is not read to the end.
    struct grpc_heard *call = grpc_call(bad, BELIEF "Ping", &ping, two);
    ck_assert_int_ne(call->grpc_status, 0);
    ck_assert_int_eq(call->closed || bad->gone, 1);
}
END_TEST

START_TEST(metadata_is_printable_ascii)
{
    static const char *const values[] = {"caf\xc3\xa9", "\xff\xfe", "tab\tbed"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const struct grpc_field more[] = {{"x-name", values[i]}, {0}};
        grpc_failed(grpc_call(bad, BELIEF "Ping", &ping, more), 3, WIRE_INVALID, "metadata");
    }
    char token[GRPC_TOKEN_LIMIT + 20] = "Bearer ";
    memset(token + 7, 'x', sizeof token - 8);
    const struct grpc_field more[] = {{"authorization", token}, {0}};
    grpc_failed(grpc_call(bad, BELIEF "Ping", &ping, more), 3, WIRE_INVALID, "metadata");
}
END_TEST

START_TEST(names_that_are_not_utf8_are_refused_in_words_that_are)
{
    const struct wire_envelope session = {.kind = WIRE_OPEN, .open = {.session = "\xff\xfe"}};
    const struct wire_envelope of_model = {.kind = WIRE_OPEN, .open = {.session = "x", .model = "\xff\xfe"}};
    struct grpc_heard *calls[] = {grpc_call(bad, BELIEF "Open", &session, NULL),
                                  grpc_call(bad, BELIEF "Open", &of_model, NULL)};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_ne(calls[i]->grpc_status, 0);
        ck_assert_str_ne(calls[i]->details, "");
        struct wire_error error = grpc_failed(calls[i], calls[i]->grpc_status, i ? WIRE_UNKNOWN_MODEL : WIRE_INVALID,
                                              i ? "model" : "session");
        for (const char *c = error.message; *c; c++)
            ck_assert_msg((uint8_t)*c < 0x80, "%s", error.message);
    }
}
END_TEST

START_TEST(replies_that_nobody_takes_are_bounded_and_end)
{
    enum { COUNT = 60 };
    struct grpc_heard *calls[COUNT];
    grpc_free(bad);
    bad = grpc_connect(server, 0);  // windows shut
    const struct wire_envelope look = {
        .kind = WIRE_GET_BELIEF, .get_belief = {.session = "robot", .sums = 1, .weights = 1, .estimate = 1}};
    for (int i = 0; i < COUNT; i++) {
        calls[i] = grpc_begin(bad, BELIEF "GetBelief", NULL);
        grpc_say_message(calls[i], &look);
        grpc_say_end(calls[i]);
    }
    grpc_pump(bad);
    const struct grpc *door = bad->caller.connection->door_state;
    ck_assert_uint_gt(door->held, 0);
    ck_assert_uint_le(door->held, server->output_limit);
    ck_assert_int_eq(bad->gone, 0);
    // It may still speak, and others live.
    nghttp2_submit_ping(bad->http2, 0, NULL);
    grpc_pump(bad);
    ck_assert_int_eq(bad->acknowledged_pings, 1);
    check_unharmed();
    for (int i = 0; i < 7; i++) {
        peer_now_us += grpc_limits.slow_reader_us / 2;
        server_tick(server, peer_now_us);
        nghttp2_submit_ping(bad->http2, 0, NULL);
        grpc_pump(bad);
    }
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(calls[i]->closed, 1);
        ck_assert_uint_eq(calls[i]->size, 0);
    }
    ck_assert_uint_eq(door->held, 0);
    ck_assert_uint_eq(door->call_count, 0);
}
END_TEST

START_TEST(a_shut_window_that_opens_gets_everything)
{
    enum { COUNT = 30 };
    struct grpc_heard *calls[COUNT];
    grpc_free(bad);
    bad = grpc_connect(server, 0);
    const struct wire_envelope look = {
        .kind = WIRE_GET_BELIEF, .get_belief = {.session = "robot", .sums = 1, .weights = 1, .estimate = 1}};
    for (int i = 0; i < COUNT; i++) {
        calls[i] = grpc_begin(bad, BELIEF "GetBelief", NULL);
        grpc_say_message(calls[i], &look);
        grpc_say_end(calls[i]);
    }
    grpc_pump(bad);
    const nghttp2_settings_entry open = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 700};
    nghttp2_submit_settings(bad->http2, 0, &open, 1);
    grpc_pump(bad);
    for (int i = 0; i < COUNT; i++)
        check_digest(grpc_answered(calls[i], WIRE_BELIEF).belief.digest);
}
END_TEST

START_TEST(a_stream_whose_answers_are_not_taken_asks_no_more)
{
    grpc_free(bad);
    bad = grpc_connect(server, 0);
    uint64_t epoch = 0;
    const struct wire_envelope open = {.kind = WIRE_OPEN, .open = {.session = "arm"}};
    grpc_call(bad, BELIEF "Open", &open, NULL);
    struct session *session = session_find(&server->sessions, "arm");
    ck_assert_ptr_nonnull(session);
    epoch = session->epoch;
    struct robot other = robot_of(9);
    struct grpc_heard *call = grpc_begin(bad, BELIEF "Steps", NULL);
    const struct wire_envelope first = grpc_act(&other, "arm", epoch, 1);
    grpc_call(bad, BELIEF "Act", &first, NULL);
    for (uint64_t seq = 2; seq < 3000; seq++) {
        const struct wire_envelope request = grpc_step(&other, "arm", epoch, seq);
        grpc_say_message(call, &request);
        if (seq % 50 == 0)
            grpc_pump(bad);
    }
    grpc_pump(bad);
    const struct grpc *door = bad->caller.connection->door_state;
    ck_assert_uint_lt(session->seq, 1000);
    ck_assert_uint_lt(call->sent, call->to_send);
    ck_assert_uint_lt(door->held, 2 * GRPC_REPLIES_AHEAD);
    // When the window opens, all are answered.
    const nghttp2_settings_entry wide = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65535};
    nghttp2_submit_settings(bad->http2, 0, &wide, 1);
    grpc_say_end(call);
    grpc_pump(bad);
    ck_assert_int_eq(call->grpc_status, 0);
    struct wire_envelope answer;
    for (uint64_t seq = 2; seq < 3000; seq++) {
        ck_assert_int_eq(grpc_answer(call, WIRE_ACTION, &answer), 1);
        ck_assert_uint_eq(answer.action.seq, seq);
    }
}
END_TEST

START_TEST(headers_that_never_end_end_the_connection)
{
    uint8_t block[256];
    size_t size = header_block(block, sizeof block);
    grpc_frame(bad, NGHTTP2_HEADERS, 0, 1, block, size);
    peer_now_us += grpc_limits.handshake_us - 1;
    server_tick(server, peer_now_us);
    grpc_pump(bad);
    ck_assert_int_eq(bad->gone, 0);
    peer_now_us += 1;
    server_tick(server, peer_now_us);
    check_told_to_calm_down();
}
END_TEST

START_TEST(a_preface_that_never_ends_ends_the_connection)
{
    struct caller slow = peer_connect(server);
    const char *preface = "PRI * HTTP/2.0\r\n";
    for (size_t i = 0; i < strlen(preface); i++) {
        peer_bytes(&slow, preface + i, 1);
        ck_assert_int_eq(slow.connection->state, CONNECTION_SERVING);
        peer_now_us += grpc_limits.handshake_us / strlen(preface);
        server_tick(server, peer_now_us);
    }
    peer_now_us += 10;
    server_tick(server, peer_now_us);
    ck_assert_int_eq(slow.connection->state, CONNECTION_DROPPED);
    peer_free(&slow);
}
END_TEST

START_TEST(streams_beyond_the_limit_are_refused)
{
    uint8_t block[256];
    size_t size = header_block(block, sizeof block);
    for (uint32_t i = 0; i <= grpc_limits.streams; i++)
        grpc_frame(bad, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * i + 1, block, size);
    const struct grpc *door = bad->caller.connection->door_state;
    ck_assert_uint_eq(door->call_count, grpc_limits.streams);
    grpc_pump(bad);
    // Who has acknowledged the limit and goes beyond it errs.
    ck_assert_int_ge(bad->goaways, 1);
    ck_assert_uint_eq(bad->goaway_code, NGHTTP2_PROTOCOL_ERROR);
}
END_TEST

START_TEST(half_closed_oddities_are_errors_of_their_stream_or_connection)
{
    uint8_t block[256];
    size_t size = header_block(block, sizeof block);
    // Ended with its headers: no message.
    grpc_frame(bad, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, block, size);
    grpc_pump(bad);
    ck_assert_int_eq(bad->raw_headers, 1);
    ck_assert_int_eq(bad->gone, 0);
    // A whole message, and then nothing: a unary call has not ended, and waits until its time is up.
    grpc_frame(bad, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 3, block, size);
    grpc_frame(bad, NGHTTP2_DATA, 0, 3, "\0\0\0\0\0", 5);
    grpc_pump(bad);
    const struct grpc *door = bad->caller.connection->door_state;
    ck_assert_uint_eq(door->call_count, 1);
    peer_now_us += grpc_limits.deadline_us;
    server_tick(server, peer_now_us);
    grpc_pump(bad);
    ck_assert_uint_eq(door->call_count, 0);
    // Data after the end of a stream.
    grpc_frame(bad, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 5, block, size);
    grpc_frame(bad, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 5, "\0\0\0\0\0", 5);
    grpc_frame(bad, NGHTTP2_DATA, 0, 5, "\0\0\0\0\0", 5);
    grpc_pump(bad);
    ck_assert_int_eq(bad->gone, 1);
}
END_TEST

START_TEST(data_after_a_reset_ends_the_connection)
{
    uint8_t block[256];
    size_t size = header_block(block, sizeof block);
    grpc_frame(bad, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, block, size);
    grpc_frame(bad, NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\10", 4);
    grpc_frame(bad, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "\0\0\0\0\0", 5);
    grpc_pump(bad);
    ck_assert_int_eq(bad->gone, 1);
    ck_assert_uint_eq(bad->goaway_code, NGHTTP2_STREAM_CLOSED);
}
END_TEST

START_TEST(other_http_gets_goaway)
{
    static const char *const greetings[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/1.0\r\n\r\nSM\r\n\r\n",
                                            "POST /belief.v1.Belief/Step HTTP/1.1\r\n\r\n"};
    for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++) {
        struct caller other = peer_connect(server);
        peer_bytes(&other, greetings[i], strlen(greetings[i]));
        peer_turn(server, (struct caller *[]){&other}, 1);
        ck_assert_int_eq(other.connection->state, CONNECTION_CLOSING);
        // Its last frame is GOAWAY.
        ck_assert_uint_ge(other.held, 17);
        const uint8_t *last = other.bytes;
        for (size_t at = 0; at < other.held; at += 9 + ((size_t)other.bytes[at + 1] << 8 | other.bytes[at + 2]))
            last = other.bytes + at;
        ck_assert_uint_eq(last[3], NGHTTP2_GOAWAY);
        peer_free(&other);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grpc_hostile");
    SUITE_TEST_WITH(suite, rapid_reset_ends_the_connection, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, a_flood_of_continuations_ends_the_connection, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, floods_of_frames_that_are_no_work_end_the_connection, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, a_flood_of_empty_data_ends_the_connection, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, pings_at_an_honest_pace_are_answered_for_ever, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, windows_may_be_opened_byte_by_byte_for_what_is_sent, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, metadata_has_a_limit, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, metadata_is_printable_ascii, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, names_that_are_not_utf8_are_refused_in_words_that_are, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, replies_that_nobody_takes_are_bounded_and_end, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, a_shut_window_that_opens_gets_everything, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, a_stream_whose_answers_are_not_taken_asks_no_more, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, headers_that_never_end_end_the_connection, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, a_preface_that_never_ends_ends_the_connection, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, streams_beyond_the_limit_are_refused, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, half_closed_oddities_are_errors_of_their_stream_or_connection, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, data_after_a_reset_ends_the_connection, set_up_bad, tear_down_bad);
    SUITE_TEST_WITH(suite, other_http_gets_goaway, set_up_bad, tear_down_bad);
    return suite_finish(suite);
}
