// bel-rollout: simulated robots, driven by a daemon that is not told their tasks.
#include "explore.h"
#include "fleet.h"
#include "picture.h"
#include "table.h"

#include "client/kinds.h"

#include <cjson/cJSON.h>
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
    "bel-rollout: drives simulated robots through beliefd; their tasks are hidden from it\n"
    "\n"
    "    bel-rollout --world NAME --connect ADDRESS [OPTION]...\n"
    "\n"
    "  --world NAME       which world (--world list: all of them)\n"
    "  --connect ADDRESS  of the daemon: unix:PATH, tcp:HOST:PORT or tls:HOST:PORT\n"
    "  --count N          robots, all in one round trip (16)\n"
    "  --episodes E       of each robot, with one task (the world's own number)\n"
    "  --seed S           which tasks and starts (1)\n"
    "  --model NAME       of the daemon's models (its first for this world)\n"
    "  --hold-prior       the policy reads the prior for ever\n"
    "  --compare          afterwards the same tasks and starts with the belief held at the prior; prints both\n"
    "  --svg FILE         draws what the beliefs thought and what the robots did\n"
    "  --pace FACTOR      times the world's own clock (as fast as it goes)\n"
    "  --token-file FILE  who we are, for a daemon that asks\n"
    "  --json             prints the summary as one JSON line, last\n"
    "  --help\n"
    "\n"
    "    bel-rollout --explore --world NAME --connect ADDRESS [OPTION]...\n"
    "\n"
    "explores for a learner (bel-learn train --from ADDRESS): draws around the actions and tells what was drawn.\n"
    "\n"
    "  --model NAME       what the learner publishes under (online)\n"
    "  --robots N         of all workers together: the learner's --envs (16)\n"
    "  --first F          number of our first robot, from 0 (0)\n"
    "  --count N          ours (all from the first one)\n"
    "  --seed S           the learner's (1)\n"
    "  --wait             for the next model before another round; else goes on with what there is\n"
    "  --rounds R         then ends (when it is interrupted)\n"
    "\n"
    "Exit codes: 0 all went well, 1 something failed, 2 usage, 3 a belief does not count every transition,\n"
    "130 interrupted (with the summary so far).\n";

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_LOST = 3, EXIT_INTERRUPTED = 130 };

struct options {
    struct fleet_options fleet;
    struct explore_options scouts;
    const char *address, *svg, *token_file;
    int compare, json, explore, counted;
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
    fprintf(stderr, "bel-rollout: %s %s: %s (see --help)\n", option, value, wanted);
    return EXIT_USAGE;
}

static int list_worlds(void)
{
    const struct world *world;
    for (size_t i = 0; (world = world_at(i)); i++)
        printf("%-18s %s\n", world->name, world->summary);
    return 0;
}

static int whole(const char *text, unsigned long long low, unsigned long long high, unsigned long long *value)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno && *value >= low && *value <= high;
}

// What explorers are. -1, or the exit code.
static int read_scouts(struct options *options)
{
    struct explore_options *scouts = &options->scouts;
    const struct fleet_options *fleet = &options->fleet;
    if (fleet->world->discrete)
        return complain("--world", fleet->world->name, "its robots choose, and draws are around numbers");
    if (scouts->first >= scouts->robots)
        return complain("--first", "", "is below --robots");
    scouts->world = fleet->world;
    scouts->seed = fleet->seed;
    scouts->model = fleet->model ? fleet->model : "online";
    scouts->count = options->counted ? fleet->count : scouts->robots - scouts->first;
    if (scouts->count > scouts->robots - scouts->first)
        return complain("--count", "", "goes beyond --robots");
    scouts->stop = &stop;
    return -1;
}

// -1: go on; otherwise the exit code.
static int read_options(struct options *options, int argc, char **argv)
{
    static const struct option long_options[] = {
        {"world", required_argument, NULL, 'w'}, {"connect", required_argument, NULL, 'c'},
        {"count", required_argument, NULL, 'n'}, {"episodes", required_argument, NULL, 'e'},
        {"seed", required_argument, NULL, 's'},  {"model", required_argument, NULL, 'm'},
        {"hold-prior", no_argument, NULL, 'h'},  {"compare", no_argument, NULL, 'p'},
        {"svg", required_argument, NULL, 'g'},   {"pace", required_argument, NULL, 'r'},
        {"explore", no_argument, NULL, 'x'},     {"robots", required_argument, NULL, 'N'},
        {"first", required_argument, NULL, 'F'}, {"wait", no_argument, NULL, 'W'},
        {"rounds", required_argument, NULL, 'R'}, {"token-file", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},        {"help", no_argument, NULL, '?' + 256},
        {0}};
    struct fleet_options *fleet = &options->fleet;
    const char *world = NULL;
    unsigned long long number;
    char *end;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 'w': world = optarg; break;
        case 'c': options->address = optarg; break;
        case 'n':
            if (!whole(optarg, 1, FLEET_COUNT_LIMIT, &number))
                return complain("--count", optarg, "a number from 1 to 1024");
            fleet->count = (size_t)number;
            options->counted = 1;
            break;
        case 'e':
            if (!whole(optarg, 1, FLEET_EPISODES_LIMIT, &number))
                return complain("--episodes", optarg, "a number from 1 to 64");
            fleet->episodes = (size_t)number;
            break;
        case 's':
            if (!whole(optarg, 0, UINT64_MAX, &number))
                return complain("--seed", optarg, "a number");
            fleet->seed = number;
            break;
        case 'm': fleet->model = optarg; break;
        case 'h': fleet->hold_prior = 1; break;
        case 'p': options->compare = 1; break;
        case 'g': options->svg = optarg; break;
        case 'r':
            fleet->pace = strtod(optarg, &end);
            if (*end || end == optarg || !(fleet->pace > 0 && fleet->pace < 1e6))
                return complain("--pace", optarg, "a number above 0");
            break;
        case 'x': options->explore = 1; break;
        case 'N':
            if (!whole(optarg, 1, FLEET_COUNT_LIMIT, &number))
                return complain("--robots", optarg, "a number from 1 to 1024");
            options->scouts.robots = (size_t)number;
            break;
        case 'F':
            if (!whole(optarg, 0, FLEET_COUNT_LIMIT - 1, &number))
                return complain("--first", optarg, "a number from 0 to 1023");
            options->scouts.first = (size_t)number;
            break;
        case 'W': options->scouts.wait = 1; break;
        case 'R':
            if (!whole(optarg, 1, UINT64_MAX, &number))
                return complain("--rounds", optarg, "a number above 0");
            options->scouts.rounds = number;
            break;
        case 't': options->token_file = optarg; break;
        case 'j': options->json = 1; break;
        case '?' + 256: fputs(usage, stdout); return 0;
        default: return complain(argv[optind - 1], "", "unknown, or without its value");
        }
    }
    if (optind < argc)
        return complain(argv[optind], "", "unexpected");
    if (world && strcmp(world, "list") == 0)
        return list_worlds();
    if (!world || !options->address)
        return complain("--world and --connect", "", "both are needed");
    fleet->world = world_find(world);
    if (!fleet->world)
        return complain("--world", world, "unknown; --world list shows them");
    if (options->explore)
        return read_scouts(options);
    if (options->svg && (fleet->world->task_dim < 1 || fleet->world->task_dim > 2))
        return complain("--svg", options->svg, "only tasks of one or two numbers can be drawn");
    if (!fleet->episodes)
        fleet->episodes = fleet->world->episodes;
    return -1;
}

// ---- Running --------------------------------------------------------------------------------------------------

// What is left of a run when its sessions are gone.
struct outcome {
    size_t episodes_done;
    double returns[FLEET_EPISODES_LIMIT];
    double median_us;
    uint64_t transitions, lost;
    const char *words;         // how they acted
};

static double mean_of(const struct outcome *outcome)
{
    double sum = 0;
    for (size_t e = 0; e < outcome->episodes_done; e++)
        sum += outcome->returns[e];
    return outcome->episodes_done ? sum / (double)outcome->episodes_done : NAN;
}

// A fleet that has run; the caller closes it. Negative: said why.
static int run(struct fleet *fleet, struct bel *bel, const struct fleet_options *options, const char *heading,
               struct outcome *outcome)
{
    struct table table;
    table_init(&table, heading);
    int result = fleet_open(fleet, bel, options);
    if (!result)
        result = fleet_run(fleet, table_watch, &table);
    if (result) {
        fprintf(stderr, "bel-rollout: %s\n", fleet->why);
        bel_set_deadline(bel, 50);  // saying goodbye is not worth more
        return result;
    }
    table_end(&table, fleet);
    *outcome = (struct outcome){
        .episodes_done = fleet->episodes_done, .median_us = fleet_median_us(fleet),
        .transitions = fleet->transitions, .lost = fleet->lost,
        .words = kind_is_told(fleet->model) ? "told their task" : !fleet->believes ? "without a belief"
                 : options->hold_prior ? "belief held at the prior" : "with their beliefs"};
    for (size_t e = 0; e < fleet->episodes_done; e++)
        outcome->returns[e] = fleet_return(fleet, e);
    return 0;
}

// Mean return per episode of the oracle: the model's provenance, evaluation.oracle. NaN: not there.
static double oracle_return(const struct bel_model *model, size_t episodes)
{
    cJSON *provenance = cJSON_Parse(model->provenance);
    const cJSON *list = cJSON_GetObjectItem(cJSON_GetObjectItem(provenance, "evaluation"), "oracle"), *value;
    double sum = 0, count = 0;
    cJSON_ArrayForEach(value, list) {
        if (cJSON_IsNumber(value) && count < (double)episodes) {
            sum += value->valuedouble;
            count++;
        }
    }
    cJSON_Delete(provenance);
    return count > 0 ? sum / count : NAN;
}

// ---- Summary --------------------------------------------------------------------------------------------------

static void print_row(const char *name, const double *returns, size_t count, const char *remark)
{
    printf("  %-26s", name);
    for (size_t e = 0; e < count; e++)
        printf(" %10.1f", returns[e]);
    printf("   %s\n", remark);
}

static void print_summary(const struct options *options, const struct outcome *own, const struct outcome *prior,
                          double oracle)
{
    size_t count = own->episodes_done;
    printf("\nMean return of %zu robots in %s\n  %-26s", options->fleet.count, options->fleet.world->name, "");
    for (size_t e = 0; e < count; e++)
        printf("  episode %zu", e + 1);
    printf("\n");
    print_row(own->words, own->returns, count, "");
    if (prior)
        print_row("belief held at the prior", prior->returns, prior->episodes_done, "same tasks, same starts");
    if (!isnan(oracle))
        printf("  %-26s %10.1f   per episode, on the tasks of the model's evaluation\n", "told their task",
               oracle);
    printf("\n%llu transitions, %llu of them missing in the beliefs. ", (unsigned long long)own->transitions,
           (unsigned long long)own->lost);
    if (isnan(own->median_us))
        printf("\n");
    else
        printf("One round trip of all robots took %.0f us (median).\n", own->median_us);
}

static void add_number(cJSON *object, const char *name, double value)
{
    if (isnan(value))
        cJSON_AddNullToObject(object, name);
    else
        cJSON_AddNumberToObject(object, name, value);
}

static int print_json(const struct options *options, const char *model, const struct outcome *own,
                      const struct outcome *prior, double oracle)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "world", options->fleet.world->name);
    cJSON_AddStringToObject(object, "model", model);
    cJSON_AddNumberToObject(object, "tasks", (double)options->fleet.count);
    add_number(object, "return_first_episode", own->episodes_done > 0 ? own->returns[0] : NAN);
    add_number(object, "return_second_episode", own->episodes_done > 1 ? own->returns[1] : NAN);
    add_number(object, "return_prior", prior ? mean_of(prior) : NAN);
    add_number(object, "return_oracle", oracle);
    add_number(object, "p50_us", own->median_us);
    cJSON_AddNumberToObject(object, "transitions", (double)own->transitions);
    cJSON_AddNumberToObject(object, "lost", (double)own->lost);
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    if (!text)
        return EXIT_FAILED;
    puts(text);
    cJSON_free(text);
    return 0;
}

static int draw(const struct options *options, const struct fleet *fleet, double prior, double oracle)
{
    int error = picture_draw(fleet, &(struct picture_returns){prior, oracle}, options->svg);
    if (error)
        fprintf(stderr, "bel-rollout: %s: %s\n", options->svg, strerror(-error));
    return error;
}

static int rollout(const struct options *options, struct bel *bel)
{
    char name[64], other_name[80], model[128];
    struct fleet_options plan = options->fleet;
    snprintf(name, sizeof name, "rollout-%d-%lld", (int)getpid(), (long long)time(NULL));
    snprintf(other_name, sizeof other_name, "%s-p", name);
    plan.name = name;
    plan.stop = &stop;
    plan.trace = options->svg != NULL;

    struct fleet fleet = {0}, other = {0};
    struct outcome own, prior;
    int compare = options->compare, code = EXIT_FAILED;
    double oracle = NAN;
    if (run(&fleet, bel, &plan, plan.hold_prior ? "prior held" : "with beliefs", &own))
        goto done;
    snprintf(model, sizeof model, "%s", fleet.model->name);
    if (compare && !fleet.believes) {
        fprintf(stderr, "bel-rollout: --compare: model %s is of kind %s and has no belief to hold at the prior\n", model,
                fleet.model->kind);
        goto done;
    }
    if (compare)
        oracle = oracle_return(fleet.model, plan.episodes);

    if (compare && !stop) {
        plan.name = other_name;
        plan.hold_prior = 1;
        plan.trace = 0;
        if (run(&other, bel, &plan, "prior held", &prior))
            goto done;
    } else {
        compare = 0;
    }
    code = own.lost ? EXIT_LOST : stop ? EXIT_INTERRUPTED : 0;
    if (options->svg && draw(options, &fleet, compare ? mean_of(&prior) : NAN, oracle))
        code = EXIT_FAILED;
    print_summary(options, &own, compare ? &prior : NULL, oracle);
    if (options->svg && code != EXIT_FAILED)
        printf("%s shows %s.\n", options->svg, fleet.believes ? "how they found out" : "what they did");
    if (options->json && print_json(options, model, &own, compare ? &prior : NULL, oracle))
        code = EXIT_FAILED;

done:
    fleet_close(&other);
    fleet_close(&fleet);
    return code;
}

static int explore_for_learner(const struct options *options, struct bel *bel)
{
    struct explore_summary summary;
    char why[512];
    int result = explore(bel, &options->scouts, &summary, why, sizeof why);
    if (result)
        fprintf(stderr, "bel-rollout: %s\n", why);
    printf("%llu rounds, %llu sessions finished, %llu dropped, %llu steps, last revision %llu, mean return %.1f\n",
           (unsigned long long)summary.rounds, (unsigned long long)summary.sessions,
           (unsigned long long)summary.dropped, (unsigned long long)summary.steps,
           (unsigned long long)summary.revision, summary.returned);
    if (options->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "world", options->scouts.world->name);
        cJSON_AddNumberToObject(object, "rounds", (double)summary.rounds);
        cJSON_AddNumberToObject(object, "sessions", (double)summary.sessions);
        cJSON_AddNumberToObject(object, "dropped", (double)summary.dropped);
        cJSON_AddNumberToObject(object, "steps", (double)summary.steps);
        cJSON_AddNumberToObject(object, "revision", (double)summary.revision);
        cJSON_AddNumberToObject(object, "return", summary.returned);
        char *text = cJSON_PrintUnformatted(object);
        cJSON_Delete(object);
        puts(text ? text : "{}");
        cJSON_free(text);
    }
    return result ? EXIT_FAILED : stop ? EXIT_INTERRUPTED : 0;
}

int main(int argc, char **argv)
{
    struct options options = {.fleet = {.count = 16, .seed = 1}, .scouts = {.robots = 16}};
    int code = read_options(&options, argc, argv);
    if (code >= 0)
        return code;

    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};  // the second one is final
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    char why[512];
    struct bel *bel;
    struct bel_options connection = {.client = "bel-rollout 0.1.0", .deadline_ms = 5000, .token_file = options.token_file};
    if (bel_connect(&bel, options.address, &connection, why, sizeof why)) {
        fprintf(stderr, "bel-rollout: %s\n", why);
        return EXIT_FAILED;
    }
    code = options.explore ? explore_for_learner(&options, bel) : rollout(&options, bel);
    bel_disconnect(bel);
    return code;
}
