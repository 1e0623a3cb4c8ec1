// Many sessions, random operations, bad links, and at every reply the bits that plain functions give here.
//
//     soak BELIEFD [OPERATIONS [SEED [durable]]]
//
// Sessions use two models and four connections, two of which are cut again and again in the middle of whatever
// they carry. A session steps (alone or with others of its connection), sends transitions late, twice and in any
// order, begins new episodes and tasks, is closed, forgotten, resumed, looked into, taken over by another one.
//
// durable: the daemon has several loops and an experience log, idle sessions are soon in the log only, and now and then it
// is killed between two operations.

#include "process.h"

#include "client/bel.h"
#include "cutter.h"
#include "daemon/base/random.h"
#include "shadow.h"
#include "tests/agent/sample.h"
#include "tests/support/suite.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSIONS = 64, LINKS = 4, CUT_LINKS = 2, WINDOW = 12, OBSERVE_MOST = 20, DIM = SHADOW_DIM_LIMIT };

static unsigned operations = 20000;
static int durable;
static uint64_t seed = 1;

struct robot {
    char id[32];
    struct shadow shadow;
    int known;                      // to the daemon
    struct bel_session *session;    // NULL: not open
    unsigned link;
    uint64_t next_seq[SHADOW_WRITERS];
};

static struct bel *links[LINKS];
static struct robot robots[SESSIONS];
static struct random_stream dice;
static unsigned done[16];           // operations, by kind
static struct daemon beliefd;
static unsigned kills;

enum { KILL_ONE_IN = 400 };
static const char durable_settings[] =
    "data_directory = @/data\nloops = 3\nsession_spill_seconds = 1\nsessions = 100\n";

static int chance(uint32_t one_in)
{
    return random_below(&dice, one_in) == 0;
}

static void random_numbers(float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        numbers[i] = (float)random_normal(&dice);
}

// Mostly ordinary; now and then one that no belief takes.
static float random_reward(void)
{
    return chance(40) ? 1e6f : (float)random_normal(&dice);
}

static void check_result(int result, const struct robot *robot, const char *what)
{
    ck_assert_msg(result == 0, "%s of %s: %s (%s)", what, robot->id, bel_result_name(result),
                  bel_error(links[robot->link]));
}

static void check_action(const struct robot *robot, const float *action, const char *what)
{
    for (size_t i = 0; i < robot->shadow.model->action_dim; i++)
        ck_assert_msg(action[i] == robot->shadow.action[i], "%s of %s: action[%zu] is %.9g, not %.9g", what,
                      robot->id, i, (double)action[i], (double)robot->shadow.action[i]);
}

// When this has changed, the link broke meanwhile, and a request may have been sent twice.
static uint64_t breaks(const struct robot *robot)
{
    return bel_counters(links[robot->link]).reconnects;
}

// ---- Operations

static void open_session(struct robot *robot, unsigned link)
{
    struct shadow *shadow = &robot->shadow;
    struct bel_open open = {.id = robot->id, .model = shadow->model->name, .hold_prior = shadow->hold_prior};
    robot->link = link;
    uint64_t before = breaks(robot);
    check_result(bel_open(links[link], &open, &robot->session), robot, "open");
    // An Open whose answer was lost finds the session that it made itself.
    if (robot->known || breaks(robot) == before)
        ck_assert_int_eq(bel_session_resumed(robot->session), robot->known);
    ck_assert_uint_eq(bel_session_count(robot->session), agent_belief_count(&shadow->belief));
    ck_assert_uint_eq(bel_session_task(robot->session), shadow->task);
    robot->known = 1;
    shadow->standing = 0;
}

static void close_session(struct robot *robot, int forget)
{
    check_result(bel_close(robot->session, forget), robot, "close");
    robot->session = NULL;
    if (!forget)
        return;
    const struct model *model = robot->shadow.model;
    int hold_prior = robot->shadow.hold_prior;
    shadow_release(&robot->shadow);
    shadow_init(&robot->shadow, model, hold_prior);
    memset(robot->next_seq, 0, sizeof robot->next_seq);
    robot->known = 0;
}

// Another connection opens it: it is theirs, with its belief, and the first one is told.
static void take_over(struct robot *robot)
{
    struct bel_session *before = robot->session;
    unsigned before_link = robot->link;
    // What a crash took from the daemon the first one still has, until it is fenced.
    if (durable)
        check_result(bel_sync(links[before_link]), robot, "sync");
    open_session(robot, (before_link + 1 + random_below(&dice, LINKS - 1)) % LINKS);
    // The first one is told, unless its link broke meanwhile: then its reopening would take the session back.
    if (before_link >= CUT_LINKS) {
        float observation[DIM] = {0}, action[DIM];
        ck_assert_int_eq(bel_act(before, observation, action, NULL), BEL_FENCED);
    }
    ck_assert_int_eq(bel_close(before, 0), 0);
}

static void act(struct robot *robot)
{
    float observation[DIM], action[DIM];
    struct bel_report report;
    random_numbers(observation, robot->shadow.model->observation_dim);
    check_result(bel_act(robot->session, observation, action, &report), robot, "act");
    struct bel_report expected = shadow_act(&robot->shadow, observation);
    shadow_check(&report, &expected, 0, robot->id);
    check_action(robot, action, "act");
}

static void step(struct robot *robot)
{
    const struct model *model = robot->shadow.model;
    float observation[DIM], executed[DIM], action[DIM], reward = random_reward();
    int as_told = chance(2), last = chance(20);
    struct bel_report report;
    random_numbers(observation, model->observation_dim);
    random_numbers(executed, model->action_dim);
    const float *did = as_told ? NULL : executed;
    uint64_t before = breaks(robot);
    int result = last ? bel_step_last(robot->session, did, reward, observation, &report)
                      : bel_step(robot->session, did, reward, observation, action, &report);
    check_result(result, robot, "step");
    struct bel_report expected = shadow_step(&robot->shadow, did, reward, observation, last);
    shadow_check(&report, &expected, breaks(robot) != before, robot->id);
    if (!last)
        check_action(robot, action, "step");
}

// All of one connection that can step, in one call.
static void step_many(unsigned link)
{
    static float observations[SESSIONS][DIM], actions[SESSIONS][DIM];
    struct bel_step steps[SESSIONS];
    struct robot *which[SESSIONS];
    size_t count = 0;
    for (size_t i = 0; i < SESSIONS; i++) {
        struct robot *robot = &robots[i];
        if (!robot->session || robot->link != link || !robot->shadow.standing || chance(3))
            continue;
        random_numbers(observations[count], robot->shadow.model->observation_dim);
        steps[count] = (struct bel_step){
            .session = robot->session, .observation = observations[count], .reward = random_reward(),
            .action = actions[count],
        };
        which[count++] = robot;
    }
    if (count == 0)
        return;
    uint64_t before = breaks(which[0]);
    int result = bel_step_many(links[link], steps, count);
    ck_assert_msg(result == 0, "step_many: %s (%s)", bel_result_name(result), bel_error(links[link]));
    for (size_t i = 0; i < count; i++) {
        struct bel_report expected =
            shadow_step(&which[i]->shadow, NULL, steps[i].reward, observations[i], 0);
        shadow_check(&steps[i].report, &expected, breaks(which[0]) != before, which[i]->id);
        check_action(which[i], actions[i], "step_many");
    }
}

// A transition is a pure function of its session, writer and number, so that a repeat is one.
static void transition_of(const struct robot *robot, uint32_t writer, uint64_t seq,
                          struct bel_transition *transition, float *place)
{
    struct random_stream stream = random_stream(seed, 9, (uint32_t)(robot - robots) * 16 + writer, (uint32_t)seq);
    float *observation = place, *action = place + DIM, *next = place + 2 * DIM;
    *transition = (struct bel_transition){
        .seq = seq, .observation = observation, .action = action, .next_observation = next};
    sample_transition(robot->shadow.model, &stream, observation, action, next, &transition->reward);
    switch (random_below(&stream, 25)) {
    case 0:
        transition->reward = -1e6f;
        break;
    case 1:
        next[0] = NAN;
        break;
    }
}

// Late, twice, out of order: any numbers of the last WINDOW and the next ones.
static void observe(struct robot *robot)
{
    static float places[OBSERVE_MOST][3 * DIM];
    struct bel_transition transitions[OBSERVE_MOST];
    enum bel_status status[OBSERVE_MOST], expected_status[OBSERVE_MOST];
    uint32_t writer = 1 + random_below(&dice, SHADOW_WRITERS - 1);
    uint64_t *next = &robot->next_seq[writer];
    size_t count = 1 + random_below(&dice, OBSERVE_MOST);
    if (*next + 2 * WINDOW >= SHADOW_SEQ_LIMIT)
        return;
    for (size_t i = 0; i < count; i++) {
        uint64_t seq = 1 + (*next > WINDOW ? *next - WINDOW : 0) + random_below(&dice, WINDOW);
        transition_of(robot, writer, seq, &transitions[i], places[i]);
    }
    *next += WINDOW / 2;
    struct bel_report report;
    uint64_t before = breaks(robot);
    check_result(bel_observe(robot->session, writer, transitions, count, status, &report), robot, "observe");
    struct bel_report expected = shadow_observe(&robot->shadow, writer, transitions, count, expected_status);
    expected.status = report.status;
    expected.reward_p = report.reward_p;
    expected.transition_p = report.transition_p;
    shadow_check(&report, &expected, 0, robot->id);
    int repeated = breaks(robot) != before;
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(status[i] == expected_status[i] || (repeated && status[i] == BEL_STATUS_DUPLICATE),
                      "%s: transition %zu (writer %u, seq %llu) was %s, not %s", robot->id, i, writer,
                      (unsigned long long)transitions[i].seq, bel_status_name(status[i]),
                      bel_status_name(expected_status[i]));
}

static void look(struct robot *robot)
{
    static uint8_t sums[BEL_HEADS][1 << 16], expected_sums[1 << 16];
    struct bel_belief belief = {0};
    for (int h = 0; h < BEL_HEADS; h++)
        belief.heads[h] = (struct bel_head_belief){.sums = sums[h], .sums_room = sizeof sums[h]};
    check_result(bel_get_belief(robot->session, &belief), robot, "get_belief");
    ck_assert_uint_eq(belief.count, agent_belief_count(&robot->shadow.belief));
    ck_assert_uint_eq(belief.task, robot->shadow.task);
    for (int h = 0; h < BEL_HEADS; h++) {
        const struct belief *head = &robot->shadow.belief.heads[h];
        ck_assert_int_eq(belief.heads[h].present, head->features > 0);
        size_t size = belief_encoded_size(head->features, head->targets);
        ck_assert_uint_le(size, sizeof expected_sums);
        belief_encode(expected_sums, head);
        ck_assert_uint_eq(belief.heads[h].sums_size, size);
        ck_assert_msg(memcmp(sums[h], expected_sums, size) == 0, "%s: other sums", robot->id);
    }
}

// At once, and back. What was answered and not on disk is still with the clients.
static void kill_and_restart(void)
{
    process_signal(&beliefd.process, SIGKILL);
    process_wait(&beliefd.process, 10);
    process_release(&beliefd.process);
    daemon_restart(&beliefd);
    kills++;
}

static void operate(void)
{
    if (durable && chance(KILL_ONE_IN))
        kill_and_restart();
    struct robot *robot = &robots[random_below(&dice, SESSIONS)];
    if (!robot->session) {
        open_session(robot, random_below(&dice, LINKS));
        done[0]++;
        return;
    }
    uint32_t kind = random_below(&dice, 100);
    if (kind < 40) {
        robot->shadow.standing ? step(robot) : act(robot);
        done[1]++;
    } else if (kind < 60) {
        step_many(random_below(&dice, LINKS));
        done[2]++;
    } else if (kind < 85) {
        observe(robot);
        done[3]++;
    } else if (kind < 88) {
        check_result(bel_reset_episode(robot->session), robot, "reset_episode");
        robot->shadow.standing = 0;
        done[4]++;
    } else if (kind < 91) {
        check_result(bel_reset_task(robot->session), robot, "reset_task");
        shadow_new_task(&robot->shadow);
        done[5]++;
    } else if (kind < 94) {
        look(robot);
        done[6]++;
    } else if (kind < 96) {
        close_session(robot, 0);
        done[7]++;
    } else if (kind < 97) {
        close_session(robot, 1);
        done[8]++;
    } else {
        take_over(robot);
        done[9]++;
    }
}

START_TEST(every_reply_has_the_bits_of_a_belief_kept_aside)
{
    struct model_shape other = sample_small;
    other.name = "other";
    other.observation_dim = 3;
    other.action_dim = 1;
    other.heads[HEAD_REWARD].features = 9;
    struct model *models[] = {sample_model(&sample_small, 5), sample_model(&other, 6)};
    daemon_start(&beliefd, models, 2, durable ? durable_settings : NULL);
    char cut_path[128], cut_address[140], why[200];
    snprintf(cut_path, sizeof cut_path, "%s/cut", beliefd.directory);
    snprintf(cut_address, sizeof cut_address, "unix:%s", cut_path);
    struct cutter *cutter = cutter_start(cut_path, beliefd.tcp_address, 20000, seed);
    dice = random_stream(seed, 1, 2, 3);
    struct bel_options options = {.client = "soak", .deadline_ms = 20000};
    for (unsigned i = 0; i < LINKS; i++) {
        const char *address = i < CUT_LINKS ? cut_address : i % 2 ? beliefd.tcp_address : beliefd.unix_address;
        int result = BEL_DISCONNECTED;
        for (int attempt = 0; attempt < 20 && result == BEL_DISCONNECTED; attempt++)  // the cutter cuts Hellos too
            result = bel_connect(&links[i], address, &options, why, sizeof why);
        ck_assert_msg(result == 0, "%s: %s", address, why);
    }
    for (unsigned i = 0; i < SESSIONS; i++) {
        snprintf(robots[i].id, sizeof robots[i].id, "robot-%u", i);
        shadow_init(&robots[i].shadow, models[i % 2], i % 8 == 7);
    }

    for (unsigned i = 0; i < operations; i++)
        operate();

    uint64_t transitions = 0, sent_again = 0;
    for (unsigned i = 0; i < SESSIONS; i++)
        transitions += agent_belief_count(&robots[i].shadow.belief);
    for (unsigned i = 0; i < LINKS; i++)
        sent_again += bel_counters(links[i]).resent;
    unsigned cuts = cutter_cuts(cutter);
    printf("%u opens, %u steps, %u step_many, %u observes, %u + %u resets, %u looks, %u + %u closes, "
           "%u taken over; %u cuts, %u kills, %llu requests sent again, %llu transitions held\n",
           done[0], done[1], done[2], done[3], done[4], done[5], done[6], done[7], done[8], done[9], cuts, kills,
           (unsigned long long)sent_again, (unsigned long long)transitions);
    // A soak in which nothing was cut and nothing sent again would have shown nothing.
    ck_assert_uint_gt(cuts, operations / 1000);
    ck_assert_uint_gt(sent_again, 0);
    ck_assert_int_eq(kills > 0, durable);
    ck_assert_uint_gt(transitions, SESSIONS);
    for (int k = 0; k < 10; k++)
        ck_assert_uint_gt(done[k], 0);

    for (unsigned i = 0; i < SESSIONS; i++) {
        if (robots[i].session)
            close_session(&robots[i], 0);
        shadow_release(&robots[i].shadow);
    }
    for (unsigned i = 0; i < LINKS; i++)
        bel_disconnect(links[i]);
    cutter_stop(cutter);
    int status = daemon_stop(&beliefd);
    ck_assert_msg(status == 0, "beliefd ended with %d; it said:\n%s", status, process_words(&beliefd.process));
    daemon_release(&beliefd);
    model_free(models[0]);
    model_free(models[1]);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "soak BELIEFD [OPERATIONS [SEED [durable]]]\n");
        return 2;
    }
    beliefd_path = argv[1];
    if (argc > 2)
        operations = (unsigned)strtoul(argv[2], NULL, 10);
    if (argc > 3)
        seed = strtoull(argv[3], NULL, 10);
    durable = argc > 4 && !strcmp(argv[4], "durable");
    Suite *suite = suite_create("soak");
    SUITE_TEST(suite, every_reply_has_the_bits_of_a_belief_kept_aside);
    return suite_finish(suite);
}
