// bel-learn: trains the models that beliefd serves, and evaluates them.

#include "blas.h"
#include "evaluate.h"
#include "events.h"
#include "train.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WHY = 400 };

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

__attribute__((format(printf, 1, 2))) static int fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bel-learn: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return 1;
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static cJSON *numbers(const double *values, size_t count)
{
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(array, cJSON_CreateNumber(values[i]));
    return array;
}

// Mean returns per episode of one agent on fresh tasks; prints a sentence on failure.
static int evaluate_agent(struct evaluation *result, const struct world *world, const struct model *model,
                          enum evaluate_agent agent, size_t tasks, uint64_t seed, struct pool *pool)
{
    *result = (struct evaluation){.returns = calloc(tasks * world->episodes, sizeof(double))};
    int error = result->returns ? evaluate(result, world, model, agent, tasks, seed, pool) : -ENOMEM;
    free(result->returns);
    result->returns = NULL;
    return error ? fail("the evaluation failed: %s", strerror(-error)) : 0;
}

struct evaluations {
    size_t tasks;
    uint64_t seed;
    int has_prior, has_oracle;
    struct evaluation model, prior, oracle;
};

static int evaluate_all(struct evaluations *all, const struct world *world, const struct model *model,
                        const struct model *oracle, struct pool *pool)
{
    enum evaluate_agent agent = model->reads_task ? EVALUATE_ORACLE : EVALUATE_BELIEF;
    all->has_prior = model->heads[HEAD_REWARD].present || model->heads[HEAD_TRANSITION].present;
    all->has_oracle = oracle != NULL;
    if (evaluate_agent(&all->model, world, model, agent, all->tasks, all->seed, pool))
        return 1;
    if (all->has_prior && evaluate_agent(&all->prior, world, model, EVALUATE_PRIOR, all->tasks, all->seed, pool))
        return 1;
    return oracle && evaluate_agent(&all->oracle, world, oracle, EVALUATE_ORACLE, all->tasks, all->seed, pool);
}

static void add_evaluations(cJSON *json, const struct evaluations *all)
{
    cJSON_AddNumberToObject(json, "tasks", (double)all->tasks);
    cJSON_AddNumberToObject(json, "seed", (double)all->seed);
    cJSON_AddItemToObject(json, "belief", numbers(all->model.mean, all->model.episodes));
    cJSON_AddItemToObject(json, "standard_error", numbers(all->model.standard_error, all->model.episodes));
    cJSON_AddItemToObject(json, "prior",
                          all->has_prior ? numbers(all->prior.mean, all->prior.episodes) : cJSON_CreateNull());
    cJSON_AddItemToObject(json, "oracle",
                          all->has_oracle ? numbers(all->oracle.mean, all->oracle.episodes) : cJSON_CreateNull());
}

static void print_row(const char *name, const struct evaluation *evaluation)
{
    printf("%-22s", name);
    for (size_t i = 0; i < evaluation->episodes; i++)
        printf("  %9.2f +- %-6.2f", evaluation->mean[i], evaluation->standard_error[i]);
    printf("\n");
}

static void print_evaluations(const struct evaluations *all, const struct model *model)
{
    printf("return of each episode on %zu fresh tasks, mean action\n", all->tasks);
    print_row(model->reads_task ? "told the task" : all->has_prior ? "with its belief" : "without a belief",
              &all->model);
    if (all->has_prior)
        print_row("belief held at prior", &all->prior);
    if (all->has_oracle)
        print_row("oracle", &all->oracle);
}

static int load_oracle(struct model **oracle, const char *path, const struct world *world)
{
    char why[WHY];
    *oracle = NULL;
    if (!path)
        return 0;
    if (model_load(oracle, path, why, sizeof why))
        return fail("%s", why);
    if (strcmp((*oracle)->world, world->name) || !(*oracle)->reads_task) {
        model_free(*oracle);
        *oracle = NULL;
        return fail("%s is not an oracle of %s", path, world->name);
    }
    return 0;
}

// The command that makes this model again: without what only says where things go and how fast.
static void describe_command(char *command, size_t size, int argc, char **argv)
{
    static const char *const with_value[] = {"--out", "--log", "--checkpoint", "--checkpoint-seconds", "--threads",
                                             "--oracle", "--stop-after"};
    static const char *const alone[] = {"--json", "--quiet", "--resume"};
    size_t used = (size_t)snprintf(command, size, "bel-learn");
    for (int i = 1; i < argc && used < size; i++) {
        int skip = 0;
        for (size_t k = 0; k < sizeof with_value / sizeof *with_value; k++)
            skip |= 2 * !strcmp(argv[i], with_value[k]);
        for (size_t k = 0; k < sizeof alone / sizeof *alone; k++)
            skip |= !strcmp(argv[i], alone[k]);
        if (!skip)
            used += (size_t)snprintf(command + used, size - used, " %s", argv[i]);
        i += skip == 2;
    }
}

// What made the model, and how good it is.
static char *provenance(const struct train *train, int argc, char **argv, double seconds, double cpu_seconds,
                        const struct evaluations *all)
{
    cJSON *json = cJSON_CreateObject();
    char command[2000];
    describe_command(command, sizeof command, argc, argv);
    cJSON_AddStringToObject(json, "command", command);
    cJSON_AddStringToObject(json, "world", train->world->name);
    cJSON_AddStringToObject(json, "model", learn_kind_name(train->options.kind));
    cJSON_AddNumberToObject(json, "seed", (double)train->options.seed);
    cJSON_AddNumberToObject(json, "frames", (double)train_frames(train));
    cJSON_AddNumberToObject(json, "seconds", round(seconds));
    cJSON_AddNumberToObject(json, "cpu_seconds", round(cpu_seconds));
    cJSON_AddStringToObject(json, "openblas", openblas_get_config());
    cJSON_AddStringToObject(json, "openblas_core", openblas_get_corename());
    cJSON_AddStringToObject(json, "compiler", __VERSION__);
    char *options = options_describe(&train->options);
    cJSON_AddStringToObject(json, "options", options ? options : "");
    free(options);
    if (all->tasks)
        add_evaluations(cJSON_AddObjectToObject(json, "evaluation"), all);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

struct run {
    struct train *train;
    struct events *events;
    double bare_rate;              // environment steps per second and core, nothing else done
    double start, cpu_start;       // of this process
    double seconds_before, cpu_before;  // of those it resumes
};

static double run_seconds(const struct run *run)
{
    return now_seconds() - run->start + run->seconds_before;
}

static double run_cpu_seconds(const struct run *run)
{
    return pool_cpu_seconds() - run->cpu_start + run->cpu_before;
}

// Of one core: frames per CPU second over bare steps per CPU second.
static double run_share(const struct run *run)
{
    double cpu = run_cpu_seconds(run);
    return cpu > 0 ? (double)train_frames(run->train) / cpu / run->bare_rate : 0;
}

static int write_event(const struct run *run)
{
    const struct train *train = run->train;
    const struct train_report *r = &train->report;
    static const char *const returns[] = {"return/episode_1", "return/episode_2", "return/episode_3",
                                          "return/episode_4", "return/episode_5", "return/episode_6",
                                          "return/episode_7", "return/episode_8"};
    struct events_value values[40];
    size_t count = 0;
    double seconds = run_seconds(run), frames = (double)train_frames(train), rate = frames / seconds;
    for (size_t i = 0; i < train->world->episodes && i < 8; i++)
        values[count++] = (struct events_value){returns[i], r->returns[i]};
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (train->basis[kind].features)
            values[count++] = (struct events_value){kind == HEAD_REWARD ? "evidence/reward" : "evidence/transition",
                                                    r->evidence[kind]};
    const struct events_value rest[] = {
        {"policy/divergence", r->ppo.divergence}, {"policy/clipped", r->ppo.clipped},
        {"policy/entropy", r->ppo.entropy}, {"policy/sd", r->sd}, {"policy/loss", r->ppo.actor_loss},
        {"policy/gradient", r->ppo.actor_norm}, {"policy/epochs", (double)r->ppo.epochs},
        {"value/loss", r->ppo.critic_loss}, {"value/gradient", r->ppo.critic_norm},
        {"rate/policy", r->rate}, {"rate/basis", r->basis_rate}, {"speed/frames_per_second", rate},
        {"speed/share_of_bare", run_share(run)}, {"speed/cpu_seconds", run_cpu_seconds(run)},
        {"rollout/refused", (double)r->refused}, {"rollout/diverged", (double)r->diverged},
    };
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        values[count++] = rest[i];

    char text[240];
    int used = snprintf(text, sizeof text, "%s %.2fM frames, %.1fk/s (%.2f of bare), return", train->world->name,
                        frames * 1e-6, rate * 1e-3, run_share(run));
    for (size_t i = 0; i < train->world->episodes && i < 4; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%s %.1f", i ? " /" : "", r->returns[i]);
    if (train->basis[HEAD_REWARD].features)
        used += snprintf(text + used, sizeof text - (size_t)used, ", evidence %.2f", r->evidence[HEAD_REWARD]);
    double left = ((double)train->iterations * (double)train->rows - frames) / rate;
    snprintf(text + used, sizeof text - (size_t)used, ", KL %.3f, sd %.2f, %.0f s left", r->ppo.divergence, r->sd, left);
    return events_write(run->events, train_frames(train), seconds, values, count, text);
}

static int save_checkpoint(struct run *run)
{
    char why[WHY];
    struct train *train = run->train;
    if (!train->options.checkpoint)
        return 0;
    train->counters[COUNT_SECONDS] = run_seconds(run);
    train->counters[COUNT_CPU_SECONDS] = run_cpu_seconds(run);
    return checkpoint_save(train, train->options.checkpoint, why, sizeof why) ? fail("%s", why) : 0;
}

// Iterations until the end, or until somebody interrupts.
static int loop(struct run *run)
{
    struct train *train = run->train;
    const struct options *o = &train->options;
    char why[WHY];
    double saved = now_seconds();
    while (!train_done(train) && !interrupted && (!o->stop_after || train_frames(train) < o->stop_after)) {
        if (train_iterate(train, why, sizeof why))
            return fail("%s", why);
        if (run->events && write_event(run))
            return fail("cannot write the log in %s", o->log ? o->log : "?");
        if (now_seconds() - saved > o->checkpoint_seconds) {
            if (save_checkpoint(run))
                return 1;
            saved = now_seconds();
        }
    }
    return save_checkpoint(run);
}

static int finish(struct run *run, const struct model *oracle, int argc, char **argv)
{
    struct train *train = run->train;
    const struct options *o = &train->options;
    char why[WHY];
    double seconds = run_seconds(run), cpu = run_cpu_seconds(run);
    struct evaluations all = {.tasks = o->evaluation_tasks, .seed = o->evaluation_seed};
    struct model *model;
    if (train_final_model(train, &model, NULL, why, sizeof why))
        return fail("%s", why);
    int status = all.tasks ? evaluate_all(&all, train->world, model, oracle, train->pool) : 0;
    if (!status) {
        model->provenance = provenance(train, argc, argv, seconds, cpu, &all);
        int error = o->out ? model_save(model, o->out) : 0;
        if (error)
            status = fail("cannot write %s: %s", o->out, strerror(-error));
    }
    if (!status && o->json) {
        double frames = (double)train_frames(train);
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "world", train->world->name);
        cJSON_AddStringToObject(json, "model", learn_kind_name(o->kind));
        cJSON_AddNumberToObject(json, "seed", (double)o->seed);
        cJSON_AddNumberToObject(json, "frames", frames);
        cJSON_AddNumberToObject(json, "seconds", seconds);
        cJSON_AddNumberToObject(json, "cpu_seconds", cpu);
        cJSON_AddNumberToObject(json, "threads", pool_threads(train->pool));
        cJSON_AddNumberToObject(json, "frames_per_second", frames / seconds);
        cJSON_AddNumberToObject(json, "bare_frames_per_second", run->bare_rate);
        cJSON_AddNumberToObject(json, "share_of_bare", run_share(run));
        cJSON_AddStringToObject(json, "openblas_core", openblas_get_corename());
        cJSON_AddItemToObject(json, "return", all.tasks ? numbers(all.model.mean, all.model.episodes)
                                                        : numbers(train->report.returns, train->world->episodes));
        if (all.tasks)
            add_evaluations(cJSON_AddObjectToObject(json, "evaluation"), &all);
        char *text = cJSON_PrintUnformatted(json);
        puts(text);
        free(text);
        cJSON_Delete(json);
    } else if (!status && all.tasks) {
        print_evaluations(&all, model);
    }
    model_free(model);
    return status;
}

static int train_command(int argc, char **argv)
{
    struct options options;
    char why[WHY];
    if (options_parse(&options, argc - 2, argv + 2, why, sizeof why)) {
        fail("%s", why);
        return 2;
    }
    struct model *oracle;
    if (load_oracle(&oracle, options.oracle, options.world))
        return 1;
    struct run run = {0};
    int status = 1;
    if (train_new(&run.train, &options, why, sizeof why)) {
        fail("%s", why);
        goto done;
    }
    if (options.resume && access(options.checkpoint, F_OK) == 0) {
        if (checkpoint_load(run.train, options.checkpoint, why, sizeof why)) {
            fail("%s", why);
            goto done;
        }
        run.seconds_before = run.train->counters[COUNT_SECONDS];
        run.cpu_before = run.train->counters[COUNT_CPU_SECONDS];
    }
    run.bare_rate = rollout_bare_rate(options.world, 0.3);
    if (!(run.bare_rate > 0)) {
        fail("%s cannot be stepped", options.world->name);
        goto done;
    }
    if ((options.log || !options.quiet)
        && events_open(&run.events, options.log, train_frames(run.train), options.quiet)) {
        fail("cannot write a log in %s", options.log);
        goto done;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    run.start = now_seconds();
    run.cpu_start = pool_cpu_seconds();

    status = loop(&run);
    events_close(run.events);
    if (!status && !train_done(run.train)) {
        fprintf(stderr, "bel-learn: stopped after %llu frames%s%s\n", (unsigned long long)train_frames(run.train),
                options.checkpoint ? "; go on with --resume --checkpoint " : "",
                options.checkpoint ? options.checkpoint : "");
        status = interrupted ? 130 : 0;
    } else if (!status) {
        status = finish(&run, oracle, argc, argv);
    }
done:
    train_free(run.train);
    model_free(oracle);
    return status;
}

static int evaluate_command(int argc, char **argv)
{
    const char *path = NULL, *oracle_path = NULL;
    struct evaluations all = {.tasks = 256, .seed = 1};
    unsigned threads = 0;
    int json = 0;
    for (int i = 2; i < argc; i++) {
        char *end = NULL;
        if (strncmp(argv[i], "--", 2) && !path) {
            path = argv[i];
            continue;
        }
        if (!strcmp(argv[i], "--json")) {
            json = 1;
            continue;
        }
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--oracle") && *value)
            oracle_path = argv[++i];
        else if (!strcmp(argv[i], "--tasks"))
            all.tasks = strtoull(argv[++i] ? value : "", &end, 10);
        else if (!strcmp(argv[i], "--seed"))
            all.seed = strtoull(argv[++i] ? value : "", &end, 10);
        else if (!strcmp(argv[i], "--threads"))
            threads = (unsigned)strtoul(argv[++i] ? value : "", &end, 10);
        else
            return fail("%s is not an option of evaluate, or lacks its value (see bel-learn --help)", argv[i]), 2;
        if (end && (!*value || *end || *value == '-'))
            return fail("%s takes a whole number, not \"%s\"", argv[i - 1], value), 2;
    }
    if (!path || all.tasks < 1 || all.tasks > 1000000)
        return fail("evaluate which model, on how many tasks? (see bel-learn --help)"), 2;

    char why[WHY];
    struct model *model = NULL, *oracle = NULL;
    struct pool *pool = NULL;
    int status = 1;
    if (model_load(&model, path, why, sizeof why))
        return fail("%s", why);
    const struct world *world = world_find(model->world);
    if (!world) {
        fail("%s is a model of \"%s\", which is not a world that is known here", path, model->world);
        goto done;
    }
    if (load_oracle(&oracle, oracle_path, world))
        goto done;
    if (!(pool = pool_start(threads))) {
        fail("cannot start %u threads", threads);
        goto done;
    }
    if (evaluate_all(&all, world, model, oracle, pool))
        goto done;
    if (json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "world", world->name);
        cJSON_AddStringToObject(object, "model", model->name);
        cJSON_AddStringToObject(object, "digest", model->digest);
        add_evaluations(object, &all);
        char *text = cJSON_PrintUnformatted(object);
        puts(text);
        free(text);
        cJSON_Delete(object);
    } else {
        print_evaluations(&all, model);
    }
    status = 0;
done:
    pool_stop(pool);
    model_free(model);
    model_free(oracle);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        options_help();
        return argc < 2 ? 2 : 0;
    }
    blas_choose(argv);
    if (!strcmp(argv[1], "train"))
        return train_command(argc, argv);
    if (!strcmp(argv[1], "evaluate"))
        return evaluate_command(argc, argv);
    fail("\"%s\" is neither train nor evaluate (see bel-learn --help)", argv[1]);
    return 2;
}
