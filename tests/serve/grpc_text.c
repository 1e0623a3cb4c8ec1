// How gRPC writes things, which paths there are, and the order of streams: plain functions.
#include "daemon/serve/grpc_method.h"
#include "daemon/serve/grpc_order.h"
#include "daemon/serve/grpc_text.h"
#include "proto/descriptor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/suite.h"

START_TEST(a_timeout_is_digits_and_a_unit)
{
    static const struct { const char *text; uint64_t us; } good[] = {
        {"1H", 3600000000}, {"2M", 120000000}, {"3S", 3000000}, {"250m", 250000}, {"7u", 7}, {"1n", 1}, {"1000n", 1},
        {"1001n", 2}, {"0S", 0}, {"99999999H", 99999999ull * 3600000000}, {"00000001S", 1000000}};
    static const char *const bad[] = {"", "1", "S", "123456789S", "1s", "-1S", " 1S", "1 S", "1.5S", "0x1S", "1SS", "+1S"};
    uint64_t us;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(grpc_timeout_parse(good[i].text, strlen(good[i].text), &us) == 0, "%s", good[i].text);
        ck_assert_uint_eq(us, good[i].us);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(grpc_timeout_parse(bad[i], strlen(bad[i]), &us) == -EINVAL, "\"%s\"", bad[i]);
}
END_TEST

START_TEST(sentences_are_percent_encoded)
{
    char out[32];
    ck_assert_uint_eq(grpc_percent_encode(out, sizeof out, "50% of \xc3\xa9\n~ "), 20);
    ck_assert_str_eq(out, "50%25 of %C3%A9%0A~ ");
    // Cut, but never within an escape.
    ck_assert_uint_eq(grpc_percent_encode(out, 6, "abc%def"), 3);
    ck_assert_str_eq(out, "abc");
    ck_assert_uint_eq(grpc_percent_encode(out, 7, "abc%def"), 6);
    ck_assert_str_eq(out, "abc%25");
}
END_TEST

// RFC 4648, section 10, without the padding.
START_TEST(bytes_are_base64)
{
    static const char *const vectors[][2] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"},
                                             {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
    char out[16];
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        size_t size = strlen(vectors[i][0]);
        ck_assert_uint_eq(grpc_base64_encode(out, sizeof out, (const uint8_t *)vectors[i][0], size), strlen(vectors[i][1]));
        ck_assert_str_eq(out, vectors[i][1]);
        ck_assert_uint_eq(grpc_base64_size(size), strlen(vectors[i][1]));
    }
    ck_assert_uint_eq(grpc_base64_encode(out, 8, (const uint8_t *)"foobar", 6), 0);
}
END_TEST

START_TEST(paths_are_exact)
{
    static const char *const unknown[] = {"", "/", "/belief.v1.Belief/", "/belief.v1.Belief/step", "/belief.v1.Belief/Ste",
                                          "/belief.v1.Belief/Stepss", "belief.v1.Belief/Step", "/belief.v1.Belief/Step/"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        ck_assert_msg(!grpc_method_of(unknown[i], strlen(unknown[i])), "%s", unknown[i]);
    const struct grpc_method *step = grpc_method_of("/belief.v1.Belief/Step", 22);
    ck_assert_ptr_nonnull(step);
    ck_assert_int_eq(step->kind, WIRE_STEP);
    ck_assert_int_eq(step->is_stream, 0);
    ck_assert_int_eq(grpc_method_of("/belief.v1.Belief/Steps", 23)->is_stream, 1);
}
END_TEST

START_TEST(every_method_of_the_proto_file_has_a_path)
{
    // What a symbol look-up finds as a method is what can be called, and the other way round.
    static const char *const methods[] = {
        "Belief.Hello", "Belief.Open", "Belief.Step", "Belief.Steps", "Belief.Act", "Belief.Observe", "Belief.Reset",
        "Belief.GetBelief", "Belief.Close", "Belief.Save", "Belief.Restore", "Belief.Ping", "Control.ListSessions",
        "Control.ListModels", "Control.LoadModel", "Control.UnloadModel", "Control.AliasModel", "Control.Reload",
        "Control.Rebuild", "Control.Snapshot", "Control.HandOver", "Control.Drain", "Control.GetMetrics"};
    struct wire_bytes file;
    char symbol[64], path[72];
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        snprintf(symbol, sizeof symbol, "belief.v1.%s", methods[i]);
        snprintf(path, sizeof path, "/%s", symbol);
        *strrchr(path, '.') = '/';
        ck_assert_msg(descriptor_with_symbol(symbol, &file), "%s", symbol);
        ck_assert_msg(grpc_method_of(path, strlen(path)) != NULL, "%s", path);
    }
    ck_assert(!descriptor_with_symbol("belief.v1.Belief.Nothing", &file));
}
END_TEST

START_TEST(symbols_of_every_sort_are_found_in_their_file)
{
    static const char *const found[][2] = {
        {"belief.v1.Step", "belief/v1/belief.proto"}, {"belief.v1.Step.observation", "belief/v1/belief.proto"},
        {"belief.v1.Error.Code", "belief/v1/belief.proto"}, {"belief.v1.Envelope.body", "belief/v1/belief.proto"},
        {"belief.v1.Status", "belief/v1/belief.proto"}, {"belief.v1.ModelList.Alias.model", "belief/v1/belief.proto"},
        {"grpc.health.v1.Health", "grpc/health/v1/health.proto"},
        {"grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"},
        {"grpc.reflection.v1alpha.ServerReflection", "grpc/reflection/v1alpha/reflection.proto"}};
    static const char *const none[] = {"", ".", "belief", "belief.v1", "belief.v1.", "belief.v1.Ste", "belief.v1.Step.",
                                       "belief.v1.Step.nothing", "belief.v1.Step.observation.x", "v1.Step"};
    struct wire_bytes file, named;
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        ck_assert_msg(descriptor_with_symbol(found[i][0], &file), "%s", found[i][0]);
        ck_assert(descriptor_named(found[i][1], &named));
        ck_assert_ptr_eq(file.bytes, named.bytes);
        ck_assert_uint_eq(file.size, named.size);
    }
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        ck_assert_msg(!descriptor_with_symbol(none[i], &file), "\"%s\"", none[i]);
    ck_assert(!descriptor_named("belief.proto", &file));
}
END_TEST

// Preface, then frames of (type, stream), each with `size` bytes of payload.
static size_t frames(uint8_t *out, const uint8_t (*list)[2], size_t count, size_t size)
{
    size_t at = ORDER_PREFACE;
    memset(out, 'P', at);
    for (size_t i = 0; i < count; i++) {
        const uint8_t head[ORDER_HEAD] = {0, 0, (uint8_t)size, list[i][0], 0, 0, 0, 0, list[i][1]};
        memcpy(out + at, head, sizeof head);
        memset(out + at + sizeof head, 0x55, size);
        at += sizeof head + size;
    }
    return at;
}

// The code of the whole, in cuts of `cut` bytes; *good: bytes before the wrong frame.
static uint32_t ordered(const uint8_t *bytes, size_t size, size_t cut, size_t *good)
{
    struct grpc_order order;
    grpc_order_init(&order);
    *good = 0;
    for (size_t at = 0; at < size; at += cut) {
        size_t now = cut < size - at ? cut : size - at;
        uint32_t error = grpc_order_check(&order, bytes + at, &now);
        *good += now;
        if (error)
            return error;
    }
    return 0;
}

START_TEST(the_order_of_streams_is_watched_in_any_cut)
{
    enum { DATA = 0, HEADERS = 1, RST = 3, PING = 6, CLOSED = 5, PROTOCOL = 1 };
    static const struct { uint8_t list[5][2]; size_t count; uint32_t error; } cases[] = {
        {{{HEADERS, 1}, {DATA, 1}, {HEADERS, 3}, {DATA, 1}, {RST, 1}}, 5, 0},
        {{{HEADERS, 1}, {RST, 1}, {PING, 0}, {DATA, 1}}, 4, CLOSED},
        {{{HEADERS, 1}, {RST, 1}, {HEADERS, 3}, {HEADERS, 1}}, 4, CLOSED},
        {{{HEADERS, 5}, {HEADERS, 3}}, 2, PROTOCOL},
        {{{HEADERS, 5}, {HEADERS, 9}, {HEADERS, 5}}, 3, 0},      // trailers
        {{{HEADERS, 5}, {HEADERS, 9}, {HEADERS, 7}}, 3, PROTOCOL},
        {{{HEADERS, 1}, {HEADERS, 3}, {HEADERS, 1}}, 3, 0}};
    uint8_t bytes[256];
    size_t good;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t cut = 1; cut < 60; cut++) {
            size_t size = frames(bytes, cases[i].list, cases[i].count, 7);
            ck_assert_msg(ordered(bytes, size, cut, &good) == cases[i].error, "case %zu, cut %zu", i, cut);
            if (cases[i].error)
                ck_assert_uint_le(good, ORDER_PREFACE + (cases[i].count - 1) * (ORDER_HEAD + 7) + ORDER_HEAD);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grpc_text");
    SUITE_TEST(suite, a_timeout_is_digits_and_a_unit);
    SUITE_TEST(suite, sentences_are_percent_encoded);
    SUITE_TEST(suite, bytes_are_base64);
    SUITE_TEST(suite, paths_are_exact);
    SUITE_TEST(suite, every_method_of_the_proto_file_has_a_path);
    SUITE_TEST(suite, symbols_of_every_sort_are_found_in_their_file);
    SUITE_TEST(suite, the_order_of_streams_is_watched_in_any_cut);
    return suite_finish(suite);
}
