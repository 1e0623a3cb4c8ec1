// Health, reflection, and who calls: metadata with a token.
#include "grpc_peer.h"

#include "daemon/serve/log.h"
#include "proto/descriptor.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/suite.h"

#define BELIEF "/belief.v1.Belief/"
#define HEALTH "/grpc.health.v1.Health/"

static struct grpc_peer *far;

static void set_up_grpc(void)
{
    set_up();
    restart(&grpc_limits);
    far = grpc_connect(server, 65535);
}

static void tear_down_grpc(void)
{
    grpc_free(far);
    tear_down();
}

// A message of one string field (or none: number 0).
static void say_string(struct grpc_heard *call, unsigned number, const char *text)
{
    uint8_t bytes[128] = {0};
    size_t size = number ? 2 + strlen(text) : 0;
    bytes[4] = (uint8_t)size;
    if (number) {
        bytes[5] = (uint8_t)(number << 3 | 2);
        bytes[6] = (uint8_t)strlen(text);
        memcpy(bytes + 7, text, strlen(text));
    }
    grpc_say(call, bytes, 5 + size);
}

static struct grpc_heard *ask_health(const char *method, const char *service)
{
    struct grpc_heard *call = grpc_begin(far, method, NULL);
    say_string(call, *service ? 1 : 0, service);
    grpc_say_end(call);
    grpc_pump(far);
    return call;
}

// The last message of the call is {status}.
static void check_health(struct grpc_heard *call, uint8_t status)
{
    const uint8_t wanted[] = {0, 0, 0, 0, 2, 8, status};
    ck_assert_uint_ge(call->size, sizeof wanted);
    ck_assert_mem_eq(call->body + call->size - sizeof wanted, wanted, sizeof wanted);
}

START_TEST(health_tells_of_the_daemon_and_of_its_service)
{
    static const char *const known[] = {"", "belief.v1.Belief"};
    for (size_t i = 0; i < 2; i++) {
        struct grpc_heard *call = ask_health(HEALTH "Check", known[i]);
        grpc_answered(call, WIRE_NONE);
        check_health(call, 1);
    }
    grpc_failed(ask_health(HEALTH "Check", "other"), 5, WIRE_UNKNOWN_SESSION, "service");
    server_drain(server);
    check_health(ask_health(HEALTH "Check", ""), 2);
}
END_TEST

START_TEST(who_watches_health_is_told_of_changes_alone)
{
    struct grpc_heard *watch = ask_health(HEALTH "Watch", ""), *other = ask_health(HEALTH "Watch", "other");
    for (int i = 0; i < 5; i++) {
        server_tick(server, peer_now_us += 1000000);
        grpc_pump(far);
    }
    ck_assert_uint_eq(watch->size, 7);
    check_health(watch, 1);
    check_health(other, 3);
    server_drain(server);
    server_tick(server, peer_now_us += 1000000);
    grpc_pump(far);
    ck_assert_uint_eq(watch->size, 14);
    check_health(watch, 2);
    ck_assert_uint_eq(other->size, 7);
    grpc_cancel(watch, NGHTTP2_CANCEL);
    grpc_pump(far);
    ck_assert_int_eq(far->gone, 0);
}
END_TEST

// Does the body hold these bytes?
static int holds(const struct grpc_heard *call, const void *bytes, size_t size)
{
    return memmem(call->body, call->size, bytes, size) != NULL;
}

static struct grpc_heard *reflect(const char *version, unsigned question, const char *text)
{
    char path[96];
    snprintf(path, sizeof path, "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo", version);
    struct grpc_heard *call = grpc_begin(far, path, NULL);
    say_string(call, question, text);
    grpc_pump(far);
    return call;
}

START_TEST(reflection_tells_services_files_and_symbols)
{
    enum { FILE_NAMED = 3, SYMBOL = 4, EXTENSION = 5, EXTENSIONS = 6, LIST = 7 };
    static const char *const versions[] = {"v1", "v1alpha"};
    static const char missing[] = "there is no such thing here";
    struct wire_bytes file;
    ck_assert(descriptor_named("belief/v1/belief.proto", &file));
    for (size_t v = 0; v < 2; v++) {
        struct grpc_heard *call = reflect(versions[v], LIST, "*");
        ck_assert(holds(call, "belief.v1.Belief", 16) && holds(call, "belief.v1.Control", 17) &&
                  holds(call, "grpc.health.v1.Health", 21));
        // The stream goes on with the next question.
        size_t before = call->size;
        say_string(call, SYMBOL, "belief.v1.Belief.Step");
        grpc_pump(far);
        ck_assert_uint_gt(call->size, before + file.size);
        ck_assert(holds(call, file.bytes, file.size));
        grpc_say_end(call);
        grpc_pump(far);
        ck_assert_int_eq(call->grpc_status, 0);
        ck_assert(holds(reflect(versions[v], FILE_NAMED, "belief/v1/belief.proto"), file.bytes, file.size));
        ck_assert(holds(reflect(versions[v], FILE_NAMED, "/etc/passwd"), missing, strlen(missing)));
        ck_assert(holds(reflect(versions[v], SYMBOL, "belief.v1.Nothing"), missing, strlen(missing)));
        ck_assert(holds(reflect(versions[v], EXTENSIONS, "belief.v1.Step"), missing, strlen(missing)));
        call = reflect(versions[v], 0, "");
        ck_assert(holds(call, "a request without a question", 28));
        ck_assert_int_eq(call->closed, 0);
    }
}
END_TEST

// ---- Who calls -------------------------------------------------------------------------------------------------------

static struct server *guarded;
static char identities_path[] = "/tmp/beliefd-identities.XXXXXX";

static void set_up_guarded(void)
{
    static const char *const tokens[] = {"arm-token", "eye-token"};
    static const char *const lines[] = {"arm robot", "eye observer"};
    log_set_level(LOG_ERROR);
    int fd = mkstemp(identities_path);
    ck_assert_int_ge(fd, 0);
    FILE *file = fdopen(fd, "w");
    for (size_t i = 0; i < 2; i++) {
        uint8_t digest[SHA256_DIGEST_LENGTH];
        SHA256((const uint8_t *)tokens[i], strlen(tokens[i]), digest);
        fprintf(file, "%s token:", lines[i]);
        for (size_t k = 0; k < sizeof digest; k++)
            fprintf(file, "%02x", digest[k]);
        fputc('\n', file);
    }
    fclose(file);
    const struct house_options options = {
        .limits = grpc_limits, .servers = 1, .clock_us = peer_clock_us, .identities_path = identities_path};
    struct house *house = NULL;
    char why[256] = "";
    ck_assert_msg(house_new(&house, &options, why, sizeof why) == 0, "%s", why);
    model = sample_model(&sample_small, 1);
    ck_assert_msg(house_serve(house, model, NULL, 0, why, sizeof why) == 0, "%s", why);
    ck_assert_msg(server_new(&guarded, house, 0, why, sizeof why) == 0, "%s", why);
    far = grpc_connect(guarded, 65535);
    // As a tcp: listener has it that has a file of identities.
    server_disconnect(guarded, far->caller.connection, peer_now_us);
    const struct peer stranger = {.text = "stranger", .identity = {.role = WIRE_ROLE_NONE}};
    far->caller.connection = server_connect(guarded, &stranger, peer_now_us);
    robot = robot_of(7);
}

static void tear_down_guarded(void)
{
    grpc_free(far);
    peer_server_free(guarded);
    unlink(identities_path);
    strcpy(strrchr(identities_path, '.'), ".XXXXXX");
}

START_TEST(a_call_is_whose_token_it_brings)
{
    const struct grpc_field arm[] = {{"authorization", "Bearer arm-token"}, {0}},
                            eye[] = {{"authorization", "bearer eye-token"}, {0}},
                            nobody[] = {{"authorization", "Bearer arm-toke"}, {0}},
                            basic[] = {{"authorization", "Basic YXJtLXRva2Vu"}, {0}};
    const struct wire_envelope open = {.kind = WIRE_OPEN, .open = {.session = "arm"}}, hello = {.kind = WIRE_HELLO};
    grpc_failed(grpc_call(far, BELIEF "Open", &open, NULL), 16, WIRE_UNAUTHENTICATED, "");
    grpc_failed(grpc_call(far, BELIEF "Open", &open, nobody), 16, WIRE_UNAUTHENTICATED, "authorization");
    grpc_failed(grpc_call(far, BELIEF "Open", &open, basic), 16, WIRE_UNAUTHENTICATED, "");
    grpc_failed(grpc_call(far, BELIEF "Open", &open, eye), 7, WIRE_PERMISSION, "");
    struct wire_opened opened = grpc_answered(grpc_call(far, BELIEF "Open", &open, arm), WIRE_OPENED).opened;
    struct wire_welcome welcome = grpc_answered(grpc_call(far, BELIEF "Hello", &hello, arm), WIRE_WELCOME).welcome;
    ck_assert_str_eq(welcome.identity, "arm");
    ck_assert_int_eq(welcome.role, WIRE_ROLE_ROBOT);
    // On the same connection: each call is its caller's, and one without a token is nobody's again.
    welcome = grpc_answered(grpc_call(far, BELIEF "Hello", &hello, eye), WIRE_WELCOME).welcome;
    ck_assert_str_eq(welcome.identity, "eye");
    const struct wire_envelope act = grpc_act(&robot, "arm", opened.epoch, 1);
    grpc_failed(grpc_call(far, BELIEF "Act", &act, NULL), 16, WIRE_UNAUTHENTICATED, "");
    grpc_failed(grpc_call(far, BELIEF "Act", &act, eye), 7, WIRE_PERMISSION, "");
    grpc_answered(grpc_call(far, BELIEF "Act", &act, arm), WIRE_ACTION);
    const struct wire_envelope look = {.kind = WIRE_GET_BELIEF, .get_belief = {.session = "arm"}};
    grpc_answered(grpc_call(far, BELIEF "GetBelief", &look, eye), WIRE_BELIEF);
}
END_TEST

START_TEST(probes_need_no_token)
{
    check_health(ask_health(HEALTH "Check", ""), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grpc_services");
    SUITE_TEST_WITH(suite, health_tells_of_the_daemon_and_of_its_service, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, who_watches_health_is_told_of_changes_alone, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, reflection_tells_services_files_and_symbols, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, a_call_is_whose_token_it_brings, set_up_guarded, tear_down_guarded);
    SUITE_TEST_WITH(suite, probes_need_no_token, set_up_guarded, tear_down_guarded);
    return suite_finish(suite);
}
