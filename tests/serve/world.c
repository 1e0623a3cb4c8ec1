#include "world.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/serve/log.h"
#include "tests/support/suite.h"

void world_init(struct world *world) { world_init_of(world, MODEL_GLIBRL); }

void world_init_of(struct world *world, enum model_kind kind)
{
    *world = (struct world){.directory = "/tmp/beliefd-world-XXXXXX"};
    peer_now_us = 1000000;
    log_set_level(LOG_ERROR);
    ck_assert_ptr_nonnull(mkdtemp(world->directory));
    for (int i = 0; i < 2; i++) {
        struct model_shape shape = sample_kind(kind);
        shape.name = i ? "other" : "small";
        struct model *model = sample_model(&shape, (uint64_t)i + 1);
        snprintf(world->model_paths[i], sizeof world->model_paths[i], "%s/%d.safetensors", world->directory, i);
        ck_assert_int_eq(model_save(model, world->model_paths[i]), 0);
        model_free(model);
    }
    world->options = (struct house_options){
        .limits = peer_limits, .servers = 1, .durability = WIRE_DURABILITY_INTERVAL, .commit_ms = 1,
        .clock_us = peer_clock_us};
    world->options.limits.session_spill_us = 1000000;
}

static void remove_all(const char *directory)
{
    DIR *entries = opendir(directory);
    char path[512];
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        unlink(path);
    }
    closedir(entries);
    rmdir(directory);
}

void world_release(struct world *world)
{
    if (world->house)
        world_kill(world);
    remove_all(world->directory);
}

void world_start(struct world *world)
{
    const char *paths[] = {world->model_paths[0], world->model_paths[1]};
    char why[512] = "";
    struct house_options options = world->options;
    options.data_directory = world->directory;
    options.model_paths = paths;
    options.model_count = 2;
    ck_assert_msg(house_new(&world->house, &options, why, sizeof why) == 0, "%s", why);
    ck_assert_msg(server_new(&world->server, world->house, 0, why, sizeof why) == 0, "%s", why);
}

void world_kill(struct world *world)
{
    server_free(world->server);
    house_free(world->house);
    world->server = NULL;
    world->house = NULL;
}

void world_restart(struct world *world)
{
    world_kill(world);
    world_start(world);
}

void life_begin(struct life *life, struct world *world, const char *name, uint64_t seed)
{
    *life = (struct life){.world = world, .name = name, .task = 1};
    struct model *model;
    char why[256];
    ck_assert_int_eq(model_load(&model, world->model_paths[0], why, sizeof why), 0);
    life->model = model;
    life->robot = (struct robot){.model = model, .seed = seed};
    life->scratch = agent_scratch_new(model);
    life->expected = sample_belief(model, &life->expected_memory);
}

void life_end(struct life *life)
{
    if (life->world->house)
        life_leave(life);
    else
        life_forget_caller(life);
    agent_scratch_free(life->scratch);
    free(life->expected_memory);
    model_free((struct model *)life->model);
}

void life_leave(struct life *life)
{
    if (life->caller.server)
        peer_free(&life->caller);
}

void life_forget_caller(struct life *life)
{
    if (!life->caller.server)
        return;
    life->caller.connection = NULL;  // went with its server
    peer_free(&life->caller);
}

struct wire_opened life_open(struct life *life)
{
    if (!life->caller.server)
        life->caller = peer_connect(life->world->server);
    struct wire_opened opened = peer_open(&life->caller, life->name, "small");
    life->handle = opened.handle;
    life->epoch = opened.epoch;
    ck_assert_uint_eq(opened.task, life->task);
    life_check(life, opened.digest);
    return opened;
}

void life_act(struct life *life)
{
    life->seq++;
    struct wire_envelope reply = peer_ask(&life->caller, robot_act(&life->robot, life->handle, life->seq));
    ck_assert_int_eq(reply.kind, WIRE_ACTION);
}

// Streams of other writers are those of other robots.
static struct robot stream_of(const struct life *life, uint32_t writer)
{
    struct robot robot = life->robot;
    robot.seed += 1000 * (uint64_t)writer;
    return robot;
}

void life_expect(struct life *life, uint32_t writer, uint64_t seq)
{
    struct robot then = stream_of(life, writer);
    robot_live(&then, seq);
    struct observation_item item = {
        .belief = &life->expected, .observation = then.observation, .action = then.action,
        .next_observation = then.next, .reward = then.reward, .number = seq};
    agent_observe(life->model, life->scratch, &item, 1);
    ck_assert_int_eq(item.status, OBSERVE_ABSORBED);
}

struct wire_action life_step_as(struct life *life, uint64_t seq, enum wire_status status)
{
    struct wire_envelope reply = peer_ask(&life->caller, robot_step(&life->robot, life->handle, seq));
    if (reply.kind == WIRE_ERROR)
        ck_abort_msg("step %llu: %s", (unsigned long long)seq, reply.error.message);
    ck_assert_int_eq(reply.kind, WIRE_ACTION);
    ck_assert_msg(reply.action.status == status, "step %llu: %s, not %s", (unsigned long long)seq,
                  wire_status_name(reply.action.status), wire_status_name(status));
    return reply.action;
}

struct wire_action life_step(struct life *life)
{
    life->seq++;
    life_expect(life, 0, life->seq);
    struct wire_action action = life_step_as(life, life->seq, WIRE_STATUS_ABSORBED);
    life_check(life, action.digest);
    return action;
}

struct wire_envelope life_observe(struct life *life, uint32_t writer, uint64_t first, uint64_t last)
{
    static struct robot then[64];
    static struct wire_transition transitions[64];
    size_t count = last - first + 1;
    ck_assert_uint_le(count, 64);
    for (size_t i = 0; i < count; i++) {
        then[i] = stream_of(life, writer);
        robot_live(&then[i], first + i);
        transitions[i] = (struct wire_transition){
            .seq = first + i, .observation = {then[i].observation, life->model->observation_dim},
            .action = {then[i].action, life->model->action_dim}, .reward = then[i].reward,
            .next_observation = {then[i].next, life->model->observation_dim}};
    }
    return peer_ask(&life->caller, (struct wire_envelope){
                                       .kind = WIRE_OBSERVE,
                                       .observe = {.handle = life->handle, .writer = writer,
                                                   .transitions = transitions, .transition_count = count}});
}

void life_reset(struct life *life)
{
    struct wire_envelope reply = peer_ask(
        &life->caller, (struct wire_envelope){
                           .kind = WIRE_RESET,
                           .reset = {.handle = life->handle, .scope = WIRE_TASK, .task = life->task}});
    ck_assert_int_eq(reply.kind, WIRE_DONE);
    agent_belief_reset(&life->expected);
    life->task++;
    ck_assert_uint_eq(reply.done.task, life->task);
}

void life_check(struct life *life, struct wire_bytes told)
{
    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&life->expected));
    ck_assert_uint_eq(told.size, sizeof digest);
    ck_assert_mem_eq(told.bytes, digest, sizeof digest);
}

void world_spill(struct world *world)
{
    peer_now_us += world->options.limits.session_spill_us;
    for (int i = 0; i < 20000 && world->server->sessions.count > 0; i++) {
        server_tick(world->server, peer_now_us);
        server_take_mail(world->server, peer_now_us);
        struct caller idler = peer_connect(world->server);
        peer_ask(&idler, (struct wire_envelope){.kind = WIRE_PING, .ping = {.durable = 1}});
        peer_free(&idler);
    }
    ck_assert_uint_eq(world->server->sessions.count, 0);
}

void life_durable(struct life *life)
{
    struct wire_envelope reply =
        peer_ask(&life->caller, (struct wire_envelope){.kind = WIRE_PING, .ping = {.durable = 1}});
    ck_assert_int_eq(reply.kind, WIRE_DONE);
}
