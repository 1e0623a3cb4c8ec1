// Kills the daemon at random moments, under load, and looks whether anything was lost or counted twice.
//
//     chaos BELIEFD BELIEFCTL [--rounds N] [--faults N] [--clients N] [--loops N] [--durability always|interval]
//           [--seed S] [--json]
//
// Clients step robots without pause, each with a model of one of all kinds and with its own record of what it reported: the
// same model and functions as the daemon's, in this process. Every answer is compared with the record, bit for bit. A round lets them work
// for a moment, kills the daemon with SIGKILL and starts it again on the same data directory. With --faults the
// clients' links go through a network that cuts, repeats, reorders and delays messages (faults.h) until it did so N
// times; a recurrent belief, which depends on the order, has no place there. Every 16 rounds and at the end all stand still, wait until everything is durable, and each belief is compared with
// its record. At last `beliefctl verify` makes each belief again from the log.
//
// The last line is {"rounds","transitions","lost","doubled","digest_mismatches",...}; the exit code is 0 if the last
// three of these are 0.
#include "client/bel.h"
#include "daemon/base/random.h"
#include "faults.h"
#include "process.h"
#include "shadow.h"
#include "tests/agent/sample.h"
#include "tests/support/suite.h"

#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLIENTS_LIMIT = 64, SESSIONS = 2, DIM = SHADOW_DIM_LIMIT, ROUNDS_BETWEEN_LOOKS = 16, FAULT_ONE_IN = 20,
       CALL_DEADLINE_MS = 20000, CONNECT_ATTEMPTS = 20, SYNC_ATTEMPTS = 50 };

struct robot {
    char id[32];
    struct shadow shadow;
    struct bel_session *session;
    int must_act;                   // the next call is a bel_act
};

struct client {
    pthread_t thread;
    unsigned number;
    struct bel *bel;
    struct random_stream dice;
    struct robot robots[SESSIONS];
    uint64_t transitions, failures, mismatches;
};

static unsigned rounds = 25, client_count = 8, loops = 1;
static uint64_t wanted_faults, seed = 1;
static const char *durability = "interval";
static const char *beliefctl_path;
static struct model *models[MODEL_KIND_COUNT];  // named after their kinds
static struct daemon beliefd;
static char client_address[160];
static struct client clients[CLIENTS_LIMIT];
static pthread_barrier_t pause_begins, pause_ends;
static atomic_int pausing, stopping;

static void sleep_ms(uint32_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

// ---- Clients

static void complain(struct client *client, const struct robot *robot, const char *what, int result)
{
    client->mismatches++;
    fprintf(stderr, "chaos: %s: %s: %s %s\n", robot->id, what, bel_result_name(result),
            result ? bel_error(client->bel) : "");
}

static const struct model *model_of(const struct client *client, unsigned s)
{
    static const enum model_kind exact[] = {MODEL_GLIBRL, MODEL_PEARL, MODEL_ORACLE, MODEL_NONE};
    unsigned number = SESSIONS * client->number + s;
    return models[wanted_faults ? exact[number % 4] : (enum model_kind)(number % MODEL_KIND_COUNT)];
}

static void draw_task(struct client *client, float *task)
{
    for (size_t i = 0; i < DIM; i++)
        task[i] = (float)random_normal(&client->dice);
}

static void open_robots(struct client *client)
{
    for (unsigned s = 0; s < SESSIONS; s++) {
        struct robot *robot = &client->robots[s];
        snprintf(robot->id, sizeof robot->id, "robot-%u-%u", client->number, s);
        const struct model *model = model_of(client, s);
        shadow_init(&robot->shadow, model, 0);
        draw_task(client, robot->shadow.told_task);
        robot->must_act = 1;
        struct bel_open open = {.id = robot->id, .model = model->name};
        if (model->reads_task)
            open.task = robot->shadow.told_task, open.task_dim = model->task_dim;
        int result;
        do
            result = bel_open(client->bel, &open, &robot->session);
        while (result == BEL_DISCONNECTED || result == BEL_TIMEOUT);
        if (result)
            complain(client, robot, "open", result);
    }
}

// The answer against the record. A link that broke may have made a DUPLICATE of what was absorbed.
static void compare(struct client *client, struct robot *robot, const struct bel_report *report,
                    const struct bel_report *expected, const float *action)
{
    int same = report->count == expected->count && report->task == expected->task &&
               memcmp(report->digest, expected->digest, sizeof report->digest) == 0;
    for (size_t i = 0; action && i < robot->shadow.model->action_dim; i++)
        same &= action[i] == robot->shadow.action[i];
    // A network that lets a step overtake another makes the library bring the late one by itself, a little later.
    if (same || (wanted_faults && report->count < expected->count))
        return;
    fprintf(stderr, "chaos: %s: %llu transitions, not %llu\n", robot->id, (unsigned long long)report->count,
            (unsigned long long)expected->count);
    client->mismatches++;
}

// No answer came in time. What was reported is kept by the library, so it belongs to the record.
static void no_answer(struct client *client, struct robot *robot, const char *what, int result)
{
    client->failures++;
    robot->must_act = !robot->shadow.standing;
    if (result == BEL_OUT_OF_STEP)
        robot->must_act = 1;
    else if (result != BEL_TIMEOUT && result != BEL_DISCONNECTED && result != BEL_DRAINING && result != BEL_PROTOCOL)
        complain(client, robot, what, result);
}

static void act(struct client *client, struct robot *robot, const float *observation)
{
    float action[DIM];
    struct bel_report report;
    robot->shadow.seq++;            // whatever the result
    int result = bel_act(robot->session, observation, action, &report);
    if (result) {
        no_answer(client, robot, "act", result);
        robot->must_act = 1;
        return;
    }
    struct bel_report expected = shadow_act(&robot->shadow, observation);
    compare(client, robot, &report, &expected, action);
    robot->must_act = 0;
}

static void step(struct client *client, struct robot *robot, const float *observation)
{
    float executed[DIM], action[DIM];
    float reward = (float)random_normal(&client->dice);
    int last = random_below(&client->dice, 50) == 0;
    for (size_t i = 0; i < robot->shadow.model->action_dim; i++)
        executed[i] = (float)random_normal(&client->dice);
    struct bel_report report;
    robot->shadow.seq++;
    int result = last ? bel_step_last(robot->session, executed, reward, observation, &report)
                      : bel_step(robot->session, executed, reward, observation, action, &report);
    struct bel_report expected = shadow_step(&robot->shadow, executed, reward, observation, last);
    client->transitions++;
    robot->must_act = last;
    if (result)
        no_answer(client, robot, "step", result);
    else
        compare(client, robot, &report, &expected, last ? NULL : action);
}

static void begin_task(struct client *client, struct robot *robot)
{
    float task[DIM];
    draw_task(client, task);
    int result = robot->shadow.model->reads_task ? bel_reset_task_to(robot->session, task)
                                                 : bel_reset_task(robot->session);
    if (result)
        return;
    shadow_new_task(&robot->shadow);
    memcpy(robot->shadow.told_task, task, sizeof task);
    robot->must_act = 1;
}

static void *work(void *argument)
{
    struct client *client = argument;
    open_robots(client);
    while (!atomic_load(&stopping)) {
        if (atomic_load(&pausing)) {
            pthread_barrier_wait(&pause_begins);
            pthread_barrier_wait(&pause_ends);
            continue;
        }
        struct robot *robot = &client->robots[random_below(&client->dice, SESSIONS)];
        float observation[DIM];
        for (size_t i = 0; i < robot->shadow.model->observation_dim; i++)
            observation[i] = (float)random_normal(&client->dice);
        if (random_below(&client->dice, 400) == 0)
            begin_task(client, robot);
        if (robot->must_act)
            act(client, robot, observation);
        else
            step(client, robot, observation);
    }
    return NULL;
}

// ---- Looking

static struct {
    unsigned rounds;
    uint64_t transitions, lost, doubled, mismatches, failures, reconnects, resent, faults;
} done;

// All clients stand still: what does the daemon hold?
static void look(void)
{
    for (unsigned c = 0; c < client_count; c++) {
        struct client *client = &clients[c];
        int result, attempts = 0;
        while ((result = bel_sync(client->bel)) && attempts++ < SYNC_ATTEMPTS)
            sleep_ms(10);
        for (unsigned s = 0; s < SESSIONS; s++) {
            struct robot *robot = &client->robots[s];
            struct bel_belief belief = {0};
            if (!result)
                result = bel_get_belief(robot->session, &belief);
            if (result) {
                complain(client, robot, "look", result);
                continue;
            }
            uint64_t recorded = agent_belief_count(&robot->shadow.belief);
            done.lost += recorded > belief.count ? recorded - belief.count : 0;
            done.doubled += belief.count > recorded ? belief.count - recorded : 0;
            struct digest digest = agent_belief_digest(&robot->shadow.belief);
            for (int i = 0; i < 16; i++)
                if (belief.digest[i] != (uint8_t)(digest.word[i / 8] >> 8 * (i % 8))) {
                    fprintf(stderr, "chaos: %s: the belief has another digest than its record (%llu and %llu)\n",
                            robot->id, (unsigned long long)belief.count, (unsigned long long)recorded);
                    done.mismatches++;
                    break;
                }
        }
    }
}

static void stand_still_and_look(void)
{
    atomic_store(&pausing, 1);
    pthread_barrier_wait(&pause_begins);
    look();
    atomic_store(&pausing, 0);
    pthread_barrier_wait(&pause_ends);
}

static void add_up(void)
{
    for (unsigned c = 0; c < client_count; c++) {
        struct bel_counters counters = bel_counters(clients[c].bel);
        done.transitions += clients[c].transitions;
        done.failures += clients[c].failures;
        done.mismatches += clients[c].mismatches;
        done.reconnects += counters.reconnects;
        done.resent += counters.resent;
    }
}

// The last word: each belief made again from the log.
static void verify(void)
{
    char data[128];
    snprintf(data, sizeof data, "%s/data", beliefd.directory);
    struct process process;
    process_start(&process, beliefd.directory, (const char *[]){beliefctl_path, "verify", data, "--json", NULL});
    int code = process_wait(&process, 600);
    ck_assert_msg(code == 0, "beliefctl verify ended with %d; it said:\n%s", code, process_words(&process));
    process_release(&process);
}

static void kill_and_restart(void)
{
    process_signal(&beliefd.process, SIGKILL);
    process_wait(&beliefd.process, 10);
    process_release(&beliefd.process);
    daemon_restart(&beliefd);
}

// ---- The plan

static void start_clients(void)
{
    pthread_barrier_init(&pause_begins, NULL, client_count + 1);
    pthread_barrier_init(&pause_ends, NULL, client_count + 1);
    for (unsigned c = 0; c < client_count; c++) {
        struct client *client = &clients[c];
        client->number = c;
        client->dice = random_stream(seed, 1, c, 0);
        char why[256];
        struct bel_options options = {.client = "chaos", .deadline_ms = CALL_DEADLINE_MS};
        for (int attempts = 0; bel_connect(&client->bel, client_address, &options, why, sizeof why); attempts++)
            ck_assert_msg(attempts < CONNECT_ATTEMPTS, "%s", why);  // the first link may be cut at once
        ck_assert_int_eq(pthread_create(&client->thread, NULL, work, client), 0);
    }
}

static uint64_t all_faults(struct faults *faults)
{
    uint64_t sum = 0;
    for (int k = 0; faults && k < FAULT_KINDS; k++)
        sum += faults_count(faults, (enum fault)k);
    return sum;
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"rounds", required_argument, NULL, 'r'}, {"faults", required_argument, NULL, 'f'},
        {"clients", required_argument, NULL, 'c'}, {"seed", required_argument, NULL, 's'},
        {"loops", required_argument, NULL, 'l'}, {"durability", required_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'}, {0},
    };
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        unsigned long long number = optarg ? strtoull(optarg, NULL, 10) : 0;
        switch (option) {
        case 'r': rounds = (unsigned)number; break;
        case 'f': wanted_faults = number; break;
        case 'c': client_count = (unsigned)number; break;
        case 's': seed = number; break;
        case 'l': loops = (unsigned)number; break;
        case 'd': durability = optarg; break;
        case 'j': break;  // the last line is JSON in any case
        default: exit(2);
        }
    }
    if (argc - optind != 2 || client_count < 1 || client_count > CLIENTS_LIMIT) {
        fprintf(stderr, "chaos: usage: chaos BELIEFD BELIEFCTL [--rounds N] [--faults N] [--clients 1..%d] [--loops N] "
                        "[--durability always|interval] [--seed S] [--json]\n", CLIENTS_LIMIT);
        exit(2);
    }
    beliefd_path = argv[optind];
    beliefctl_path = argv[optind + 1];
}

START_TEST(whatever_is_killed_beliefs_stay_the_sums_of_what_was_reported)
{
    for (enum model_kind kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        struct model_shape shape = sample_kind(kind);
        shape.name = model_kind_name(kind);
        models[kind] = sample_model(&shape, 5);
    }
    char settings[128];
    snprintf(settings, sizeof settings, "data_directory = @/data\ndurability = %s\nloops = %u\n", durability, loops);
    daemon_start(&beliefd, models, MODEL_KIND_COUNT, settings);
    struct faults *faults = NULL;
    snprintf(client_address, sizeof client_address, "%s", beliefd.unix_address);
    if (wanted_faults) {
        char path[128];
        snprintf(path, sizeof path, "%s/network", beliefd.directory);
        faults = faults_start(path, beliefd.unix_address + strlen("unix:"), FAULT_ONE_IN, seed);
        snprintf(client_address, sizeof client_address, "unix:%s", path);
    }
    start_clients();

    struct random_stream dice = random_stream(seed, 2, 0, 0);
    for (; done.rounds < rounds || all_faults(faults) < wanted_faults; done.rounds++) {
        sleep_ms(10 + random_below(&dice, 190));
        if (done.rounds < rounds)
            kill_and_restart();
        if (done.rounds % ROUNDS_BETWEEN_LOOKS == ROUNDS_BETWEEN_LOOKS - 1)
            stand_still_and_look();
        if (isatty(2))
            fprintf(stderr, "\rround %u of %u, %llu faults  ", done.rounds + 1, rounds,
                    (unsigned long long)all_faults(faults));
    }
    stand_still_and_look();
    atomic_store(&stopping, 1);
    for (unsigned c = 0; c < client_count; c++)
        pthread_join(clients[c].thread, NULL);
    add_up();
    for (unsigned c = 0; c < client_count; c++) {
        bel_disconnect(clients[c].bel);
        for (unsigned s = 0; s < SESSIONS; s++)
            shadow_release(&clients[c].robots[s].shadow);
    }
    if (faults) {
        done.faults = all_faults(faults);
        faults_stop(faults);
    }
    ck_assert_int_eq(daemon_stop(&beliefd), 0);
    verify();
    daemon_release(&beliefd);
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++)
        model_free(models[kind]);
    ck_assert_msg(!done.lost && !done.doubled && !done.mismatches, "see the lines above");
}
END_TEST

int main(int argc, char **argv)
{
    read_options(argc, argv);
    Suite *suite = suite_create("chaos");
    SUITE_TEST(suite, whatever_is_killed_beliefs_stay_the_sums_of_what_was_reported);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);  // a long run has no time limit, and what it counted is told here
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner) != 0;
    srunner_free(runner);
    printf("{\"rounds\":%u,\"transitions\":%llu,\"lost\":%llu,\"doubled\":%llu,\"digest_mismatches\":%llu,"
           "\"faults\":%llu,\"reconnects\":%llu,\"resent\":%llu,\"calls_without_answer\":%llu,\"clients\":%u,"
           "\"loops\":%u,\"durability\":\"%s\",\"seed\":%llu}\n",
           done.rounds, (unsigned long long)done.transitions, (unsigned long long)done.lost,
           (unsigned long long)done.doubled, (unsigned long long)done.mismatches, (unsigned long long)done.faults,
           (unsigned long long)done.reconnects, (unsigned long long)done.resent,
           (unsigned long long)done.failures, client_count, loops, durability, (unsigned long long)seed);
    return failed;
}
