// Servers on threads of their own, as loops are: sessions are opened, observed and forgotten from all of them at once,
// and at the end each belief is the sum of what its clients were told is in it.
#include "crew.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/serve/log.h"
#include "tests/support/suite.h"

enum { THREADS = 4, SESSIONS = 5, CALLERS_EACH = 2, ROUNDS = 150, BATCH = 3 };

static struct crew crew;
static struct model *model;
static char directory[64];
static atomic_int working;

// What one thread was told is in the belief of a session: numbers of its own writer.
struct account {
    uint64_t absorbed[ROUNDS * BATCH];
    size_t count;
};

struct worker {
    pthread_t thread;
    size_t index;
    struct random_stream stream;
    struct caller *callers[CALLERS_EACH];
    struct account accounts[SESSIONS];
    uint64_t next[SESSIONS];  // number of its next transition there
    size_t opened, fenced;
};

static struct worker workers[THREADS];

static uint64_t seed_of(size_t session, size_t thread)
{
    return 1000 + 10 * session + thread;
}

static struct robot life(size_t session, size_t thread, uint64_t number)
{
    struct robot robot = {.model = model, .seed = seed_of(session, thread)};
    robot_live(&robot, number);
    return robot;
}

// One turn of the worker's own server.
static void turn(struct worker *worker)
{
    struct server *server = crew.servers[worker->index];
    server_take_mail(server, peer_now_us);
    peer_turn(server, worker->callers, CALLERS_EACH);
}

static struct wire_envelope ask(struct worker *worker, struct caller *caller, struct wire_envelope request)
{
    struct wire_envelope reply;
    peer_send(caller, request);
    for (int turns = 0; !peer_reply(caller, &reply); turns++) {
        turn(worker);
        if (turns > 20)
            usleep(50);
        ck_assert_int_lt(turns, 1000000);
    }
    return reply;
}

static void observe(struct worker *worker, struct caller *caller, size_t which, const char *name, uint64_t epoch)
{
    struct robot lives[BATCH];
    struct wire_transition transitions[BATCH];
    uint64_t first = worker->next[which] + 1;
    for (size_t i = 0; i < BATCH; i++) {
        lives[i] = life(which, worker->index, first + i);
        transitions[i] = (struct wire_transition){
            .seq = first + i, .observation = {lives[i].observation, model->observation_dim},
            .action = {lives[i].action, model->action_dim}, .reward = lives[i].reward,
            .next_observation = {lives[i].next, model->observation_dim}};
    }
    struct wire_envelope reply = ask(worker, caller, (struct wire_envelope){
        .kind = WIRE_OBSERVE, .observe = {.writer = (uint32_t)worker->index + 1, .transitions = transitions,
                                          .transition_count = BATCH, .session = name, .epoch = epoch}});
    if (reply.kind == WIRE_ERROR) {
        ck_assert_msg(reply.error.code == WIRE_FENCED, "%s", reply.error.message);
        worker->fenced++;
        return;
    }
    ck_assert_int_eq(reply.kind, WIRE_OBSERVED);
    struct account *account = &worker->accounts[which];
    for (size_t i = 0; i < BATCH; i++) {
        ck_assert_int_eq(reply.observed.status[i], WIRE_STATUS_ABSORBED);
        account->absorbed[account->count++] = first + i;
    }
    worker->next[which] += BATCH;
}

static void *work(void *context)
{
    struct worker *worker = context;
    char name[16];
    for (int round = 0; round < ROUNDS; round++) {
        size_t which = random_below(&worker->stream, SESSIONS);
        struct caller *caller = worker->callers[random_below(&worker->stream, CALLERS_EACH)];
        snprintf(name, sizeof name, "s%zu", which);
        struct wire_envelope reply =
            ask(worker, caller, (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = name}});
        ck_assert_msg(reply.kind == WIRE_OPENED, "%s", reply.error.message);
        worker->opened++;
        uint64_t epoch = reply.opened.epoch;
        observe(worker, worker->callers[random_below(&worker->stream, CALLERS_EACH)], which, name, epoch);
    }
    // The others may still ask this server for a session.
    for (atomic_fetch_sub(&working, 1); atomic_load(&working) > 0; usleep(100))
        turn(worker);
    return NULL;
}

static void check_belief(struct agent_scratch *scratch, size_t which)
{
    void *memory;
    struct agent_belief belief = sample_belief(model, &memory);
    char name[16];
    for (size_t t = 0; t < THREADS; t++) {
        const struct account *account = &workers[t].accounts[which];
        for (size_t i = 0; i < account->count; i++) {
            struct robot robot = life(which, t, account->absorbed[i]);
            struct observation_item item = {.belief = &belief, .observation = robot.observation, .action = robot.action,
                                            .next_observation = robot.next, .reward = robot.reward};
            agent_observe(model, scratch, &item, 1);
            ck_assert_int_eq(item.status, OBSERVE_ABSORBED);
        }
    }
    snprintf(name, sizeof name, "s%zu", which);
    struct wire_envelope reply =
        crew_ask(&crew, crew.callers[0], (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = name}});
    ck_assert_int_eq(reply.kind, WIRE_OPENED);
    ck_assert_uint_eq(reply.opened.count, agent_belief_count(&belief));
    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&belief));
    ck_assert_mem_eq(reply.opened.digest.bytes, digest, sizeof digest);
    free(memory);
}

START_TEST(threads_that_open_the_same_sessions_lose_and_double_nothing)
{
    log_set_level(LOG_ERROR);
    struct house_options options = crew_options;
    strcpy(directory, "/tmp/test-loops-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    options.durability = (enum wire_durability)_i;
    options.data_directory = _i == WIRE_DURABILITY_OFF ? NULL : directory;
    crew_start(&crew, THREADS, &options);
    model = sample_model(&sample_small, 1);
    crew_serve(&crew, model);
    memset(workers, 0, sizeof workers);
    for (size_t t = 0; t < THREADS; t++) {
        workers[t].index = t;
        workers[t].stream = random_stream(3, (uint32_t)t, 1, 1);
        for (int c = 0; c < CALLERS_EACH; c++)
            workers[t].callers[c] = crew_connect(&crew, t, NULL);
    }
    atomic_store(&working, THREADS);
    for (size_t t = 0; t < THREADS; t++)
        ck_assert_int_eq(pthread_create(&workers[t].thread, NULL, work, &workers[t]), 0);
    // Meanwhile a model comes and goes.
    for (uint64_t seed = 1; atomic_load(&working) > 0; seed++) {
        struct model_shape shape = sample_small;
        char why[256];
        shape.name = "other";
        ck_assert_int_eq(house_serve(crew.house, sample_model(&shape, seed), NULL, 0, why, sizeof why), 0);
        usleep(5000);
    }
    for (size_t t = 0; t < THREADS; t++)
        pthread_join(workers[t].thread, NULL);
    struct agent_scratch *scratch = agent_scratch_new(model);
    for (size_t s = 0; s < SESSIONS; s++)
        check_belief(scratch, s);
    agent_scratch_free(scratch);
    crew_stop(&crew);
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loops");
    SUITE_TEST_EACH(suite, threads_that_open_the_same_sessions_lose_and_double_nothing, 3);
    return suite_finish(suite);
}
