// Sessions between servers: opened from everywhere, at any moment, with and without a log, and whatever letters cross,
// a belief is the sum of what was reported, and only who opened last is heard.
#include "crew.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/serve/log.h"
#include "tests/support/suite.h"

enum { SESSIONS = 6, CALLERS = 8, ROUNDS = 250 };

// What must be true of a session.
struct shadow {
    char name[16];
    struct robot robot;
    struct agent_belief belief;
    void *memory;
    int exists, standing;
    int acted;               // it stands by an Act, which no log has
    int unsure;              // it did when all ended: where it is now, the next Opened tells
    uint64_t epoch, seq;
    uint32_t task;
    struct caller *holder;   // who opened it last
    uint32_t handle;         // the holder's
    uint64_t observed;       // of writer 1
};

static struct crew crew;
static struct model *model;
static struct agent_scratch *scratch;
static char directory[64];
static struct shadow shadows[SESSIONS];
static struct house_options options;

static void serve(size_t servers)
{
    crew_start(&crew, servers, &options);
    model = sample_model(&sample_small, 1);
    crew_serve(&crew, model);
    for (int i = 0; i < CALLERS; i++)
        crew_connect(&crew, (size_t)i % servers, NULL);
}

static void begin(size_t servers, enum wire_durability durability)
{
    log_set_level(LOG_ERROR);
    options = crew_options;
    strcpy(directory, "/tmp/test-migration-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    options.durability = durability;
    options.data_directory = durability == WIRE_DURABILITY_OFF ? NULL : directory;
    serve(servers);
    scratch = agent_scratch_new(model);
    for (int i = 0; i < SESSIONS; i++) {
        struct shadow *shadow = &shadows[i];
        *shadow = (struct shadow){.robot = {.model = model, .seed = 100u + (unsigned)i}, .task = 1};
        snprintf(shadow->name, sizeof shadow->name, "robot-%d", i);
        shadow->belief = sample_belief(model, &shadow->memory);
    }
}

static void end(void)
{
    char command[96];
    agent_scratch_free(scratch);
    crew_stop(&crew);
    for (int i = 0; i < SESSIONS; i++)
        free(shadows[i].memory);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

// All servers and clients are new; what there was is in the log.
static void restart(void)
{
    size_t servers = crew.count;
    agent_scratch_free(scratch);
    crew_stop(&crew);
    serve(servers);
    scratch = agent_scratch_new(model);
    for (int i = 0; i < SESSIONS; i++) {
        shadows[i].robot.model = model;
        shadows[i].holder = NULL;
        shadows[i].unsure |= shadows[i].acted;
        shadows[i].standing &= !shadows[i].acted;
        shadows[i].acted = 0;
    }
}

static struct caller *anybody(void)
{
    return crew.callers[crew_pick(&crew, crew.caller_count)];
}

static void check_digest_of(const struct shadow *shadow, struct wire_bytes digest)
{
    uint8_t expected[WIRE_DIGEST_SIZE];
    digest_bytes(expected, agent_belief_digest(&shadow->belief));
    ck_assert_uint_eq(digest.size, sizeof expected);
    ck_assert_mem_eq(digest.bytes, expected, sizeof expected);
}

static void absorb(struct shadow *shadow, const float *observation, const float *action, const float *next, float reward)
{
    struct observation_item item = {.belief = &shadow->belief, .observation = observation, .action = action,
                                    .next_observation = next, .reward = reward};
    agent_observe(model, scratch, &item, 1);
    ck_assert_int_eq(item.status, OBSERVE_ABSORBED);
}

static void check_opened(struct shadow *shadow, struct caller *caller, const struct wire_envelope *reply)
{
    ck_assert_msg(reply->kind == WIRE_OPENED, "%s: %s", shadow->name, reply->error.message);
    const struct wire_opened *opened = &reply->opened;
    ck_assert_int_eq(opened->resumed, shadow->exists);
    ck_assert_uint_gt(opened->epoch, shadow->epoch);
    if (shadow->unsure)
        shadow->seq = opened->seq;
    shadow->unsure = 0;
    ck_assert_uint_eq(opened->seq, shadow->seq);
    ck_assert_uint_eq(opened->task, shadow->task);
    ck_assert_uint_eq(opened->count, agent_belief_count(&shadow->belief));
    check_digest_of(shadow, opened->digest);
    shadow->exists = 1;
    shadow->epoch = opened->epoch;
    shadow->holder = caller;
    shadow->handle = opened->handle;
}

static void open_one(struct shadow *shadow, struct caller *caller)
{
    struct wire_envelope reply =
        crew_ask(&crew, caller, (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = shadow->name}});
    check_opened(shadow, caller, &reply);
}

// Everybody opens it before anybody is answered: one after the other has it, with an epoch of its own.
static void open_from_everywhere(struct shadow *shadow)
{
    const struct wire_envelope open = {.kind = WIRE_OPEN, .open = {.session = shadow->name}};
    uint64_t before = shadow->epoch, largest = 0;
    for (size_t i = 0; i < crew.caller_count; i++)
        peer_send(crew.callers[i], open);
    for (size_t i = 0; i < crew.caller_count; i++) {
        struct wire_envelope reply = crew_reply(&crew, crew.callers[i]);
        ck_assert_int_eq(reply.kind, WIRE_OPENED);
        ck_assert_uint_gt(reply.opened.epoch, before);
        ck_assert_uint_ne(reply.opened.epoch, largest);
        check_digest_of(shadow, reply.opened.digest);
        if (reply.opened.epoch < largest)
            continue;
        largest = reply.opened.epoch;
        shadow->epoch = before;
        shadow->exists = reply.opened.resumed;
        check_opened(shadow, crew.callers[i], &reply);
    }
    shadow->exists = 1;
    ck_assert_uint_eq(shadow->epoch, before + crew.caller_count);
}

// The next Act or Step by whoever holds it, or by name from anywhere.
static void live(struct shadow *shadow, int by_name)
{
    struct caller *caller = by_name ? anybody() : shadow->holder;
    uint32_t handle = by_name ? 0 : shadow->handle;
    uint64_t seq = shadow->seq + 1;
    int acts = !shadow->standing;
    struct wire_envelope request = acts ? robot_act(&shadow->robot, handle, seq) : robot_step(&shadow->robot, handle, seq);
    if (by_name && acts) {
        request.act.session = shadow->name;
        request.act.epoch = shadow->epoch;
    } else if (by_name) {
        request.step.session = shadow->name;
        request.step.epoch = shadow->epoch;
    }
    if (!acts)
        request.step.last = crew_pick(&crew, 8) == 0;
    struct wire_envelope reply = crew_ask(&crew, caller, request);
    ck_assert_msg(reply.kind == WIRE_ACTION, "%s: %s", shadow->name, reply.error.message);
    ck_assert_int_eq(reply.action.status, acts ? WIRE_STATUS_NONE : WIRE_STATUS_ABSORBED);
    if (!acts)
        absorb(shadow, shadow->robot.observation, shadow->robot.action, shadow->robot.next, shadow->robot.reward);
    shadow->seq = seq;
    shadow->standing = acts || !request.step.last;
    shadow->acted = acts;
    shadow->unsure = 0;
    check_digest_of(shadow, reply.action.digest);
    if (acts || crew_pick(&crew, 4) > 0)
        return;
    reply = crew_ask(&crew, caller, request);
    ck_assert_int_eq(reply.kind, WIRE_ACTION);
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_DUPLICATE);
    check_digest_of(shadow, reply.action.digest);
}

static void observe(struct shadow *shadow)
{
    struct robot other = {.model = model, .seed = 1000 + shadow->robot.seed};
    robot_live(&other, ++shadow->observed);
    const struct wire_transition transition = {
        .seq = shadow->observed, .observation = {other.observation, model->observation_dim},
        .action = {other.action, model->action_dim}, .reward = other.reward,
        .next_observation = {other.next, model->observation_dim}};
    struct wire_envelope request = {.kind = WIRE_OBSERVE, .observe = {
        .writer = 1, .transitions = &transition, .transition_count = 1, .session = shadow->name, .epoch = shadow->epoch}};
    for (int again = 0; again < 2; again++) {
        struct wire_envelope reply = crew_ask(&crew, anybody(), request);
        ck_assert_msg(reply.kind == WIRE_OBSERVED, "%s: %s", shadow->name, reply.error.message);
        ck_assert_int_eq(reply.observed.status[0], again ? WIRE_STATUS_DUPLICATE : WIRE_STATUS_ABSORBED);
        if (!again)
            absorb(shadow, other.observation, other.action, other.next, other.reward);
        check_digest_of(shadow, reply.observed.digest);
    }
}

static void reset(struct shadow *shadow)
{
    struct wire_envelope reply = crew_ask(&crew, anybody(), (struct wire_envelope){
        .kind = WIRE_RESET, .reset = {.scope = WIRE_TASK, .task = shadow->task, .session = shadow->name,
                                      .epoch = shadow->epoch}});
    ck_assert_msg(reply.kind == WIRE_DONE, "%s: %s", shadow->name, reply.error.message);
    agent_belief_reset(&shadow->belief);
    shadow->task++;
    shadow->standing = 0;
    ck_assert_uint_eq(reply.done.task, shadow->task);
    check_digest_of(shadow, reply.done.digest);
}

static void forget(struct shadow *shadow)
{
    struct wire_envelope reply = crew_ask(&crew, anybody(), (struct wire_envelope){
        .kind = WIRE_CLOSE, .close = {.forget = 1, .session = shadow->name, .epoch = shadow->epoch}});
    ck_assert_msg(reply.kind == WIRE_DONE, "%s: %s", shadow->name, reply.error.message);
    agent_belief_reset(&shadow->belief);
    *shadow = (struct shadow){.robot = shadow->robot, .belief = shadow->belief, .memory = shadow->memory, .task = 1};
    snprintf(shadow->name, sizeof shadow->name, "robot-%d", (int)(shadow - shadows));
    // Wherever it is asked for next, it is gone.
    reply = crew_ask(&crew, anybody(), (struct wire_envelope){
        .kind = WIRE_OPEN, .open = {.session = shadow->name, .epoch = 1}});
    ck_assert_int_eq(reply.kind, WIRE_ERROR);
    ck_assert_int_eq(reply.error.code, WIRE_UNKNOWN_SESSION);
}

static void stale(const struct shadow *shadow)
{
    if (shadow->epoch < 2)
        return;
    struct robot robot = shadow->robot;
    struct wire_envelope request = robot_act(&robot, 0, shadow->seq + 1);
    request.act.session = shadow->name;
    request.act.epoch = shadow->epoch - 1;
    struct wire_envelope reply = crew_ask(&crew, anybody(), request);
    ck_assert_int_eq(reply.kind, WIRE_ERROR);
    ck_assert_int_eq(reply.error.code, WIRE_FENCED);
}

static void do_something(struct shadow *shadow)
{
    size_t what = crew_pick(&crew, 100);
    if (!shadow->exists || what < 12)
        open_one(shadow, anybody());
    else if (what < 16)
        open_from_everywhere(shadow);
    else if (what < 60)
        live(shadow, shadow->holder == NULL || shadow->handle == 0);
    else if (what < 75)
        live(shadow, 1);
    else if (what < 88)
        observe(shadow);
    else if (what < 92)
        stale(shadow);
    else if (what < 95)
        reset(shadow);
    else if (what < 97)
        forget(shadow);
    else
        open_one(shadow, shadow->holder ? shadow->holder : anybody());
}

static const size_t server_counts[] = {1, 2, 4};

START_TEST(a_belief_is_the_sum_of_what_was_reported_wherever_its_session_is)
{
    begin(server_counts[_i % 3], (enum wire_durability)(_i / 3));
    for (int round = 0; round < ROUNDS; round++) {
        do_something(&shadows[crew_pick(&crew, SESSIONS)]);
        if (options.data_directory && round % 60 == 59)
            restart();
    }
    for (int i = 0; i < SESSIONS; i++)
        if (shadows[i].exists)
            open_one(&shadows[i], anybody());
    end();
}
END_TEST

START_TEST(a_session_that_left_is_found_again_by_its_handle)
{
    begin(2, WIRE_DURABILITY_OFF);
    struct shadow *shadow = &shadows[0];
    open_one(shadow, crew.callers[0]);
    for (int i = 0; i < 6; i++) {
        live(shadow, 0);                  // on server 0, by handle
        struct caller *elsewhere = crew.callers[1];
        struct wire_envelope reply = crew_ask(&crew, elsewhere, (struct wire_envelope){
            .kind = WIRE_GET_BELIEF, .get_belief = {.session = shadow->name, .epoch = shadow->epoch}});
        ck_assert_int_eq(reply.kind, WIRE_BELIEF);
        check_digest_of(shadow, reply.belief.digest);
        ck_assert_ptr_nonnull(session_find(&crew.servers[1]->sessions, shadow->name));
        ck_assert_ptr_null(session_find(&crew.servers[0]->sessions, shadow->name));
    }
    end();
}
END_TEST

START_TEST(a_client_that_ends_while_its_session_comes_leaves_nothing_behind)
{
    begin(2, (enum wire_durability)_i);
    struct shadow *shadow = &shadows[0];
    open_one(shadow, crew.callers[0]);
    live(shadow, 0);
    for (int i = 0; i < 20; i++) {
        struct caller *hasty = crew_connect(&crew, 1, NULL);
        peer_send(hasty, (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = shadow->name}});
        peer_send(hasty, (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = "never-seen"}});
        for (size_t turns = crew_pick(&crew, 3); turns > 0; turns--)
            crew_turn(&crew);
        crew_disconnect(&crew, hasty);
    }
    crew_settle(&crew, 50);
    open_one(shadow, crew.callers[0]);
    live(shadow, 0);
    ck_assert_ptr_null(crew.servers[0]->tickets);
    ck_assert_ptr_null(crew.servers[1]->tickets);
    end();
}
END_TEST

START_TEST(no_more_names_are_taken_than_there_may_be_sessions)
{
    begin(4, WIRE_DURABILITY_OFF);
    char name[32];
    size_t limit = options.limits.sessions;
    for (size_t i = 0; i < limit; i++) {
        snprintf(name, sizeof name, "many-%zu", i);
        struct wire_envelope reply =
            crew_ask(&crew, anybody(), (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = name}});
        ck_assert_int_eq(reply.kind, WIRE_OPENED);
    }
    for (int i = 0; i < CALLERS; i++) {
        struct wire_envelope reply =
            crew_ask(&crew, crew.callers[i], (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = "one-more"}});
        ck_assert_int_eq(reply.kind, WIRE_ERROR);
        ck_assert_int_eq(reply.error.code, WIRE_LIMIT);
        ck_assert_uint_eq(reply.error.limit, limit);
        // Those that are there are still had from everywhere.
        reply = crew_ask(&crew, crew.callers[i], (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = "many-7"}});
        ck_assert_int_eq(reply.kind, WIRE_OPENED);
    }
    end();
}
END_TEST

// Every write to a file fails from now on, or no longer.
static void break_disk(int broken)
{
    struct rlimit size;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &size), 0);
    size.rlim_cur = broken ? 0 : size.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &size), 0);
}

// While the disk takes nothing a session moves all the same, and what is in memory only is not said to be on disk.
START_TEST(what_is_not_on_disk_is_not_so_elsewhere)
{
    begin(2, WIRE_DURABILITY_INTERVAL);
    struct shadow *shadow = &shadows[0];
    open_one(shadow, crew.callers[0]);
    do
        live(shadow, 0);
    while (!shadow->standing || shadow->acted);
    crew_settle(&crew, 100);
    uint64_t durable = shadow->seq;
    break_disk(1);
    live(shadow, 0);                      // into memory; then the disk refuses it
    while (!store_refusing(crew.house->store))
        crew_turn(&crew);
    struct wire_envelope open = {.kind = WIRE_OPEN, .open = {.session = shadow->name, .epoch = shadow->epoch}};
    struct wire_envelope reply = crew_ask(&crew, crew.callers[1], open);
    check_opened(shadow, crew.callers[1], &reply);
    ck_assert_uint_gt(shadow->seq, durable);
    ck_assert_uint_le(reply.opened.durable_seq, durable);
    ck_assert_ptr_nonnull(session_find(&crew.servers[1]->sessions, shadow->name));

    break_disk(0);
    while (store_refusing(crew.house->store))
        crew_turn(&crew);
    live(shadow, 0);
    live(shadow, 0);
    reply = crew_ask(&crew, crew.callers[1], (struct wire_envelope){.kind = WIRE_PING, .ping = {.durable = 1}});
    ck_assert_int_eq(reply.kind, WIRE_DONE);
    restart();
    open_one(shadow, crew.callers[0]);    // all of it
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("migration");
    SUITE_TEST_EACH(suite, a_belief_is_the_sum_of_what_was_reported_wherever_its_session_is, 9);
    SUITE_TEST(suite, a_session_that_left_is_found_again_by_its_handle);
    SUITE_TEST_EACH(suite, a_client_that_ends_while_its_session_comes_leaves_nothing_behind, 2);
    SUITE_TEST(suite, what_is_not_on_disk_is_not_so_elsewhere);
    SUITE_TEST(suite, no_more_names_are_taken_than_there_may_be_sessions);
    return suite_finish(suite);
}
