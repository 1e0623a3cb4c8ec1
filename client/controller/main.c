// bel-controller: a robot that does not wait, at a fixed rate, with beliefd.
#include "controller.h"
#include "summary.h"

#include "client/kinds.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "bel-controller: drives a robot at a fixed rate in real time, advised by beliefd\n"
    "\n"
    "    bel-controller --world NAME --connect ADDRESS [OPTION]...\n"
    "\n"
    "  --world NAME          which simulated robot; it lives in a process of its own (--world list: all of them)\n"
    "  --connect ADDRESS     of the daemon: unix:PATH, tcp:HOST:PORT or tls:HOST:PORT\n"
    "  --rate HZ             ticks a second of robot and controller, 1 to 10000 (500)\n"
    "  --seconds S           how long (10)\n"
    "  --deadline US         for the advice, from when the tick was due (0.4 of a period)\n"
    "  --fallback F          without advice in time: hold, zero or last (hold)\n"
    "  --watchdog MS         the robot drops a command that is older (100)\n"
    "  --episode TICKS       then the robot is put back to a start (the world's own number)\n"
    "  --seed S              which task and starts (1)\n"
    "  --model NAME          of the daemon's models (its first for this world)\n"
    "  --session ID          opens this session and leaves it (a new one, forgotten afterwards)\n"
    "  --realtime            SCHED_FIFO and locked memory, where that is allowed\n"
    "  --token-file FILE     who we are; read anew for each link\n"
    "  --ca FILE --certificate FILE --key FILE --server-name NAME    for tls: addresses\n"
    "  --json                prints the summary as one JSON line, last\n"
    "  --help\n"
    "\n"
    "Exit: 0; 1 something failed; 2 usage; 3 a transition was lost; 130 interrupted.\n";

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_LOST = 3, EXIT_INTERRUPTED = 130, CONNECT_MS = 5000 };

struct options {
    const char *address, *model, *session;
    struct bel_options connection;
    struct controller_options controller;
    struct robot_options robot;
    int realtime, json;
};

static atomic_int stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

// ---- Options --------------------------------------------------------------------------------------------------

static int complain(const char *option, const char *value, const char *wanted)
{
    fprintf(stderr, "bel-controller: %s %s: %s (see --help)\n", option, value, wanted);
    return EXIT_USAGE;
}

static int list_worlds(void)
{
    const struct world *world;
    for (size_t i = 0; (world = world_at(i)); i++)
        printf("%-18s %s\n", world->name, world->summary);
    return 0;
}

enum {
    OPTION_WORLD = 256, OPTION_CONNECT, OPTION_RATE, OPTION_SECONDS, OPTION_DEADLINE, OPTION_FALLBACK,
    OPTION_WATCHDOG, OPTION_EPISODE, OPTION_SEED, OPTION_MODEL, OPTION_SESSION, OPTION_REALTIME, OPTION_TOKEN, OPTION_CA,
    OPTION_CERTIFICATE, OPTION_KEY, OPTION_SERVER_NAME, OPTION_JSON, OPTION_HELP,
};

// Numbers, with the range that is let in.
static const struct { int option; const char *name; double low, high; } ranges[] = {
    {OPTION_RATE, "--rate", 1, 10000}, {OPTION_SECONDS, "--seconds", 0.01, 86400},
    {OPTION_DEADLINE, "--deadline", 1, 1e6}, {OPTION_WATCHDOG, "--watchdog", 1, 60000},
    {OPTION_EPISODE, "--episode", 1, 1e9}, {OPTION_SEED, "--seed", 0, 9007199254740992},
};

// 1: a number in its range; 0: said what is wrong; -1: the option takes none.
static int read_number(int option, double *number)
{
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (ranges[i].option != option)
            continue;
        char *end, wanted[80];
        *number = strtod(optarg, &end);
        if (!*end && end != optarg && *number >= ranges[i].low && *number <= ranges[i].high)
            return 1;
        snprintf(wanted, sizeof wanted, "a number from %g to %g", ranges[i].low, ranges[i].high);
        complain(ranges[i].name, optarg, wanted);
        return 0;
    }
    return -1;
}

static int read_fallback(struct options *o)
{
    static const char *const names[] = {"hold", "zero", "last"};
    for (int i = 0; i < 3; i++)
        if (strcmp(optarg, names[i]) == 0) {
            o->controller.fallback = (enum fallback)i;
            return -1;
        }
    return complain("--fallback", optarg, "hold, zero or last");
}

// -1: go on; otherwise the exit code.
static int take_option(struct options *o, const char **world, int option)
{
    double number = 0;
    int numeric = read_number(option, &number);
    if (numeric == 0)
        return EXIT_USAGE;
    switch (option) {
    case OPTION_WORLD: *world = optarg; break;
    case OPTION_CONNECT: o->address = optarg; break;
    case OPTION_RATE: o->controller.rate = o->robot.rate = number; break;
    case OPTION_SECONDS: o->controller.seconds = number; break;
    case OPTION_DEADLINE: o->controller.deadline_us = number; break;
    case OPTION_FALLBACK: return read_fallback(o);
    case OPTION_WATCHDOG: o->robot.watchdog_seconds = number / 1e3; break;
    case OPTION_EPISODE: o->robot.episode_ticks = (uint64_t)number; break;
    case OPTION_SEED: o->robot.seed = (uint64_t)number; break;
    case OPTION_MODEL: o->model = optarg; break;
    case OPTION_SESSION: o->session = optarg; break;
    case OPTION_REALTIME: o->realtime = 1; break;
    case OPTION_TOKEN: o->connection.token_file = optarg; break;
    case OPTION_CA: o->connection.ca_file = optarg; break;
    case OPTION_CERTIFICATE: o->connection.certificate = optarg; break;
    case OPTION_KEY: o->connection.key = optarg; break;
    case OPTION_SERVER_NAME: o->connection.server_name = optarg; break;
    case OPTION_JSON: o->json = 1; break;
    case OPTION_HELP: fputs(usage, stdout); return 0;
    default: return complain("option", "", "unknown, or without its value");
    }
    return -1;
}

static int read_options(struct options *o, int argc, char **argv)
{
    static const struct option long_options[] = {
        {"world", required_argument, NULL, OPTION_WORLD}, {"connect", required_argument, NULL, OPTION_CONNECT},
        {"rate", required_argument, NULL, OPTION_RATE}, {"seconds", required_argument, NULL, OPTION_SECONDS},
        {"deadline", required_argument, NULL, OPTION_DEADLINE},
        {"fallback", required_argument, NULL, OPTION_FALLBACK},
        {"watchdog", required_argument, NULL, OPTION_WATCHDOG},
        {"episode", required_argument, NULL, OPTION_EPISODE},
        {"seed", required_argument, NULL, OPTION_SEED}, {"model", required_argument, NULL, OPTION_MODEL},
        {"session", required_argument, NULL, OPTION_SESSION}, {"realtime", no_argument, NULL, OPTION_REALTIME},
        {"token-file", required_argument, NULL, OPTION_TOKEN}, {"ca", required_argument, NULL, OPTION_CA},
        {"certificate", required_argument, NULL, OPTION_CERTIFICATE}, {"key", required_argument, NULL, OPTION_KEY},
        {"server-name", required_argument, NULL, OPTION_SERVER_NAME}, {"json", no_argument, NULL, OPTION_JSON},
        {"help", no_argument, NULL, OPTION_HELP}, {0}};
    const char *name = NULL;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        int code = option == '?' ? complain(argv[optind - 1], "", "unknown, or without its value") :
                   take_option(o, &name, option);
        if (code >= 0)
            return code;
    }
    if (optind < argc)
        return complain(argv[optind], "", "unexpected");
    if (name && strcmp(name, "list") == 0)
        return list_worlds();
    if (!name || !o->address)
        return complain("--world and --connect", "", "both are needed");
    const struct world *world = o->robot.world = world_find(name);
    if (!world)
        return complain("--world", name, "unknown; --world list shows them");
    if (!o->robot.episode_ticks)
        o->robot.episode_ticks = world->horizon;
    if (o->controller.deadline_us == 0)
        o->controller.deadline_us = 0.4e6 / o->controller.rate;
    return -1;
}

// ---- Running --------------------------------------------------------------------------------------------------

static const struct bel_model *find_model(const struct options *o, const struct bel *bel)
{
    const struct bel_model *model;
    for (size_t i = 0; (model = bel_model_at(bel, i)); i++)
        if (o->model ? strcmp(model->name, o->model) == 0 : strcmp(model->world, o->robot.world->name) == 0)
            return model;
    return NULL;
}

static int open_session(const struct options *o, struct bel *bel, struct bel_session **session)
{
    const struct world *world = o->robot.world;
    const struct bel_model *model = find_model(o, bel);
    char id[64];
    snprintf(id, sizeof id, "controller-%d-%lld", (int)getpid(), (long long)time(NULL));
    if (!model) {
        fprintf(stderr, "bel-controller: the daemon serves no model %s for %s\n", o->model ? o->model : "",
                world->name);
        return EXIT_FAILED;
    }
    if (model->observation_dim != world->observation_dim || model->action_dim != world->action_dim) {
        fprintf(stderr, "bel-controller: %s has other dimensions than %s\n", model->name, world->name);
        return EXIT_FAILED;
    }
    double task[WORLD_TASK_LIMIT];
    float told[WORLD_TASK_LIMIT];
    robot_task(&o->robot, task);
    for (size_t k = 0; k < world->task_dim; k++)
        told[k] = (float)task[k];
    const struct bel_open open = {.id = o->session ? o->session : id, .model = model->name,
                                  .task = kind_is_told(model) ? told : NULL, .task_dim = world->task_dim};
    if (bel_open(bel, &open, session)) {
        fprintf(stderr, "bel-controller: %s\n", bel_error(bel));
        return EXIT_FAILED;
    }
    return 0;
}

static int control(const struct options *o, struct bel *bel, struct robot *robot)
{
    struct bel_session *session;
    int code = open_session(o, bel, &session);
    if (code)
        return code;
    struct run run = {.world = o->robot.world->name, .rate = o->controller.rate, .seed = o->robot.seed};
    char model[128];
    snprintf(model, sizeof model, "%s", bel_session_model(session)->name);
    run.model = model;
    int error = o->realtime ? ticker_realtime() : 0;
    if (error)
        fprintf(stderr, "bel-controller: --realtime: %s; going on without\n", strerror(-error));
    run.realtime = o->realtime && !error;

    struct outcome outcome;
    int result = controller_run(&outcome, &o->controller, bel, session, robot);
    run.counters = bel_counters(bel);
    run.watchdogs = robot_watchdogs(robot);
    if (result) {
        fprintf(stderr, "bel-controller: %s\n", outcome.why);
        code = EXIT_FAILED;
    } else {
        code = outcome.lost ? EXIT_LOST : stop ? EXIT_INTERRUPTED : 0;
    }
    summary_print(&run, &outcome, isatty(STDOUT_FILENO));
    if (o->json && summary_print_json(&run, &outcome))
        code = EXIT_FAILED;
    outcome_release(&outcome);
    bel_set_deadline(bel, CONNECT_MS);
    bel_close(session, !o->session && !result);
    return code;
}

int main(int argc, char **argv)
{
    struct options o = {
        .connection = {.client = "bel-controller 0.1.0", .deadline_ms = CONNECT_MS},
        .controller = {.rate = 500, .seconds = 10, .fallback = FALLBACK_HOLD, .stop = &stop},
        .robot = {.rate = 500, .watchdog_seconds = 0.1, .seed = 1}};
    int code = read_options(&o, argc, argv);
    if (code >= 0)
        return code;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};  // the second one is final
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    char why[512];
    struct robot *robot;
    struct bel *bel;
    if (robot_start(&robot, &o.robot, why, sizeof why)) {
        fprintf(stderr, "bel-controller: %s\n", why);
        return EXIT_FAILED;
    }
    code = EXIT_FAILED;
    if (bel_connect(&bel, o.address, &o.connection, why, sizeof why)) {
        fprintf(stderr, "bel-controller: %s\n", why);
    } else {
        code = control(&o, bel, robot);
        bel_disconnect(bel);
    }
    robot_stop(robot);
    return code;
}
