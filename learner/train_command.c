// bel-learn train: iterations, their log, checkpoints, and the model at the end.

#include "commands.h"

#include "arguments.h"
#include "events.h"
#include "online/online.h"
#include "train.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// The command that makes this model again: without what only says where things go and how fast.
static void describe_command(char *command, size_t size, int argc, char **argv)
{
    static const char *const with_value[] = {"--out", "--log", "--checkpoint", "--checkpoint-seconds", "--threads",
                                             "--oracle", "--stop-after", "--from", "--alias", "--learner",
                                             "--token-file", "--patience"};
    static const char *const alone[] = {"--json", "--quiet", "--resume", "--forget"};
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
    cJSON_AddStringToObject(json, "algorithm", learn_algorithm_name(train->options.algorithm));
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
        evaluations_add(cJSON_AddObjectToObject(json, "evaluation"), all);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

struct run {
    struct train *train;
    struct events *events;
    struct online *online;         // NULL: experience is simulated
    double bare_rate;              // environment steps per second and core, nothing else done
    double start, cpu_start;       // of this process
    double seconds_before, cpu_before;  // of those it resumes
    uint64_t saved;                // frames that are in the checkpoint; 0: there is none
};

// Why it goes no further, and what is left.
static int give_up(const struct run *run, const char *why)
{
    const struct options *o = &run->train->options;
    unsigned long long frames = train_frames(run->train), seed = o->seed, saved = run->saved;
    if (saved)
        return fail("%s; that was after %llu frames with seed %llu, and %s has the first %llu", why, frames, seed,
                    o->checkpoint, saved);
    return fail("%s; that was after %llu frames with seed %llu", why, frames, seed);
}

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
    struct events_value values[TRAIN_VALUES_LIMIT + 16];
    size_t count = 0;
    double seconds = run_seconds(run), frames = (double)train_frames(train), rate = frames / seconds;
    for (size_t i = 0; i < train->world->episodes && i < 8; i++)
        values[count++] = (struct events_value){returns[i], r->returns[i]};
    for (size_t i = 0; i < r->value_count; i++)
        values[count++] = r->values[i];
    const struct events_value rest[] = {
        {"speed/frames_per_second", rate}, {"speed/share_of_bare", run_share(run)},
        {"speed/cpu_seconds", run_cpu_seconds(run)}, {"rollout/refused", (double)r->refused},
        {"rollout/diverged", (double)r->diverged},
    };
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        values[count++] = rest[i];

    char text[320];
    int used = snprintf(text, sizeof text, "%s %.2fM frames, %.1fk/s (%.2f of bare), return", train->world->name,
                        frames * 1e-6, rate * 1e-3, run_share(run));
    for (size_t i = 0; i < train->world->episodes && i < 4; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%s %.1f", i ? " /" : "", r->returns[i]);
    double left = ((double)train->iterations * (double)train->rows - frames) / rate;
    snprintf(text + used, sizeof text - (size_t)used, "%s, %.0f s left", r->text, left);
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
    if (checkpoint_save(train, train->options.checkpoint, why, sizeof why))
        return give_up(run, why);
    run->saved = train_frames(train);
    online_saved(run->online);
    return 0;
}

// Iterations until the end, or until somebody interrupts.
static int loop(struct run *run)
{
    struct train *train = run->train;
    const struct options *o = &train->options;
    char why[WHY];
    double saved = now_seconds();
    while (!train_done(train) && !interrupted && (!o->stop_after || train_frames(train) < o->stop_after)) {
        int error = train_iterate(train, why, sizeof why);
        if (error == -EINTR)
            break;
        if (error)
            return give_up(run, why);
        if (run->events && (error = write_event(run))) {
            // What was learnt so far need not be lost with it.
            save_checkpoint(run);
            snprintf(why, sizeof why, "cannot write the log in %s: %s", o->log, strerror(-error));
            return give_up(run, why);
        }
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
    int status = all.tasks ? evaluations_make(&all, train->world, model, oracle, train->pool) : 0;
    if (!status) {
        model->provenance = provenance(train, argc, argv, seconds, cpu, &all);
        int error = o->out ? model_save(model, o->out) : 0;
        if (error) {
            snprintf(why, sizeof why, "cannot write %s: %s", o->out, strerror(-error));
            status = give_up(run, why);
        }
    }
    if (!status && o->json) {
        double frames = (double)train_frames(train);
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "world", train->world->name);
        cJSON_AddStringToObject(json, "model", learn_kind_name(o->kind));
        cJSON_AddStringToObject(json, "algorithm", learn_algorithm_name(o->algorithm));
        cJSON_AddNumberToObject(json, "seed", (double)o->seed);
        cJSON_AddNumberToObject(json, "frames", frames);
        cJSON_AddNumberToObject(json, "seconds", seconds);
        cJSON_AddNumberToObject(json, "cpu_seconds", cpu);
        cJSON_AddNumberToObject(json, "threads", pool_threads(train->pool));
        cJSON_AddNumberToObject(json, "frames_per_second", frames / seconds);
        cJSON_AddNumberToObject(json, "bare_frames_per_second", run->bare_rate);
        cJSON_AddNumberToObject(json, "share_of_bare", run_share(run));
        cJSON_AddStringToObject(json, "openblas_core", openblas_get_corename());
        char command[2000];
        describe_command(command, sizeof command, argc, argv);
        cJSON_AddStringToObject(json, "command", command);
        cJSON_AddStringToObject(json, "commit", learner_commit());
        cJSON_AddItemToObject(json, "return", all.tasks ? json_numbers(all.model.mean, all.model.episodes)
                                                        : json_numbers(train->report.returns, train->world->episodes));
        if (all.tasks) {
            cJSON *evaluation = cJSON_AddObjectToObject(json, "evaluation");
            evaluations_add(evaluation, &all);
            evaluations_add_details(evaluation, &all);
        }
        status = print_json(json);
    } else if (!status && all.tasks) {
        evaluations_print(&all, model);
    }
    evaluations_release(&all);
    model_free(model);
    return status;
}

// That there is a place for it is better known before hours of training than after.
static int check_place(const char *path)
{
    char directory[PATH_MAX];
    struct stat about;
    if (!path)
        return 0;
    const char *slash = strrchr(path, '/');
    if (snprintf(directory, sizeof directory, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".")
        >= (int)sizeof directory)
        return fail("%s cannot be written: %s", path, strerror(ENAMETOOLONG));
    if (access(directory, W_OK | X_OK))
        return fail("%s cannot be written, because of its directory: %s", path, strerror(errno));
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return fail("%s cannot be written: it is a directory", path);
    return 0;
}

int train_command(int argc, char **argv)
{
    struct options options;
    char why[WHY];
    for (int i = 2; i < argc; i++)
        if (asks_for_help(argv[i])) {
            train_help(i - 2, argv + 2);
            return 0;
        }
    if (options_parse(&options, argc - 2, argv + 2, why, sizeof why)) {
        fail("%s", why);
        return 2;
    }
    if (check_place(options.out) || check_place(options.checkpoint))
        return 1;
    if (options.checkpoint && !options.resume && access(options.checkpoint, F_OK) == 0)
        return fail("the checkpoint %s is there already: go on from it with --resume, or remove it", options.checkpoint);
    struct model *oracle;
    if (load_oracle(&oracle, options.oracle, options.world))
        return 1;
    struct run run = {0};
    int status = 1;
    if (train_new(&run.train, &options, why, sizeof why)) {
        fail("%s", why);
        goto done;
    }
    int resumed = options.resume && access(options.checkpoint, F_OK) == 0;
    if (resumed) {
        if (checkpoint_load(run.train, options.checkpoint, why, sizeof why)) {
            fail("%s", why);
            goto done;
        }
        run.saved = train_frames(run.train);
        run.seconds_before = run.train->counters[COUNT_SECONDS];
        run.cpu_before = run.train->counters[COUNT_CPU_SECONDS];
    }
    run.bare_rate = rollout_bare_rate(options.world, 0.3);
    if (!(run.bare_rate > 0)) {
        fail("%s cannot be stepped", options.world->name);
        goto done;
    }
    int error = 0;
    if ((options.log || !options.quiet)
        && (error = events_open(&run.events, options.log, train_frames(run.train), options.quiet))) {
        fail("cannot write a log%s%s: %s", options.log ? " in " : "", options.log ? options.log : "", strerror(-error));
        goto done;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (options.from && online_start(&run.online, run.train, resumed, &interrupted, why, sizeof why)) {
        fail("%s", why);
        goto done;
    }
    run.start = now_seconds();
    run.cpu_start = pool_cpu_seconds();
    // A learner that dies before its first checkpoint goes on with what was experienced for it.
    if (run.online && save_checkpoint(&run))
        goto done;

    status = loop(&run);
    if (!status && run.online && train_done(run.train) && online_finish(run.online, why, sizeof why))
        status = fail("%s", why);
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
    online_stop(run.online);
    train_free(run.train);
    model_free(oracle);
    return status;
}
