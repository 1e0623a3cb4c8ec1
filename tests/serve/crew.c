// Several servers pumped by hand; the contract is in crew.h.
#include "crew.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/suite.h"

enum { PATIENCE_MS = 60000 };

const struct house_options crew_options = {
    .limits = {.connections = 400, .sessions = 400, .frame_bytes = 1 << 18, .in_flight = 16, .gaps = 64, .writers = 16,
               .connection_idle_us = 600000000, .session_idle_us = 3000000000, .session_spill_us = 3000000000,
               .slow_reader_us = 100000000},
    .commit_ms = 1, .clock_us = peer_clock_us};

void crew_start(struct crew *crew, size_t servers, const struct house_options *options)
{
    struct house_options with = options ? *options : crew_options;
    char why[1024] = "";
    with.servers = servers;
    *crew = (struct crew){.count = servers, .stream = random_stream(7, (uint32_t)servers, 3, 4)};
    ck_assert_msg(house_new(&crew->house, &with, why, sizeof why) == 0, "%s", why);
    for (size_t i = 0; i < servers; i++)
        ck_assert_int_eq(server_new(&crew->servers[i], crew->house, i, why, sizeof why), 0);
}

void crew_serve(struct crew *crew, struct model *model)
{
    char why[1024] = "";
    ck_assert_msg(house_serve(crew->house, model, NULL, 0, why, sizeof why) == 0, "%s", why);
    crew_turn(crew);
}

void crew_stop(struct crew *crew)
{
    while (crew->caller_count > 0)
        crew_disconnect(crew, crew->callers[0]);
    for (size_t i = 0; i < crew->count; i++)
        server_free(crew->servers[i]);
    house_free(crew->house);
}

struct caller *crew_connect(struct crew *crew, size_t server, const struct peer *peer)
{
    struct caller *caller = calloc(1, sizeof *caller);
    *caller = (struct caller){.server = crew->servers[server], .bytes = malloc(PEER_BUFFER)};
    wire_arena_init(&caller->arena, malloc(PEER_BUFFER * 4), PEER_BUFFER * 4);
    caller->connection = server_connect(caller->server, peer ? peer : &peer_robot, peer_now_us);
    ck_assert_ptr_nonnull(caller->connection);
    ck_assert_uint_lt(crew->caller_count, sizeof crew->callers / sizeof *crew->callers);
    crew->callers[crew->caller_count++] = caller;
    return caller;
}

void crew_disconnect(struct crew *crew, struct caller *caller)
{
    size_t i = 0;
    while (crew->callers[i] != caller)
        i++;
    crew->callers[i] = crew->callers[--crew->caller_count];
    peer_free(caller);
    free(caller);
}

size_t crew_pick(struct crew *crew, size_t below)
{
    return (size_t)(random_uniform(&crew->stream) * (double)below);
}

static void turn_one(struct crew *crew, struct server *server)
{
    struct caller *here[64];
    size_t count = 0;
    for (size_t i = 0; i < crew->caller_count; i++)
        if (crew->callers[i]->server == server)
            here[count++] = crew->callers[i];
    server_take_mail(server, peer_now_us);
    peer_turn(server, here, count);
}

void crew_turn(struct crew *crew)
{
    size_t first = crew_pick(crew, crew->count);
    for (size_t i = 0; i < crew->count; i++)
        turn_one(crew, crew->servers[(first + i) % crew->count]);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct wire_envelope crew_reply(struct crew *crew, struct caller *caller)
{
    struct wire_envelope reply;
    int64_t until = now_ms() + PATIENCE_MS;
    for (int turns = 0; !peer_reply(caller, &reply); turns++) {
        ck_assert_msg(now_ms() < until, "no reply");
        turn_one(crew, crew->servers[crew_pick(crew, crew->count)]);
        if (turns > 100)
            usleep(200);  // the log's thread, or the helper, has something to do
    }
    return reply;
}

struct wire_envelope crew_ask(struct crew *crew, struct caller *caller, struct wire_envelope request)
{
    peer_send(caller, request);
    return crew_reply(crew, caller);
}

void crew_settle(struct crew *crew, int milliseconds)
{
    for (int64_t until = now_ms() + milliseconds; now_ms() < until; usleep(200))
        crew_turn(crew);
}
