// bel-learn study: what a model's belief is worth on held-out tasks. What its policy is shown, calibration, prediction,
// the identities between distances and kernels, and a map of tasks; or two models side by side.

#include "compare.h"
#include "distances.h"
#include "learner/arguments.h"
#include "learner/commands.h"
#include "readout.h"
#include "sweep.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// Tasks on which the scale of the predictive is fitted are those of another seed.
#define FIT_SEED(seed) ((seed) + ((uint64_t)1 << 32))

struct study {
    const char *path, *against, *out;
    size_t tasks, pairs, context;
    uint64_t seed;
    unsigned threads;
    int json;
    const struct world *world;
    struct pool *pool;
    cJSON *result;
};

static const char *name_of(enum head_kind kind)
{
    return kind == HEAD_REWARD ? "reward" : "transition";
}

// DIR/WORLD-NAME.svg. 0, or 1 having said why not.
static int draw_path(char path[4096], const struct study *study, const char *name)
{
    int length = snprintf(path, 4096, "%s/%s-%s.svg", study->out, study->world->name, name);
    return length >= 4096 ? fail("the name of %s is too long", study->out) : 0;
}

// ---- Calibration ----------------------------------------------------------------------------------------------

static void print_bin(const struct calibration_bin *bin, const char *name)
{
    printf("  %-10s", name);
    for (size_t level = 0; level < CALIBRATION_LEVELS; level++)
        printf(" %6.1f", 100 * bin->covered[level]);
    printf("   ");
    for (size_t level = 0; level < CALIBRATION_LEVELS; level++)
        printf(" %6.1f", 100 * bin->corrected[level]);
    printf("  %10.3f\n", bin->log_density);
}

static void print_calibration(const struct calibration *c, enum head_kind kind)
{
    printf("\n%s head: %zu transitions, %zu refused. Share within the central interval (%%), and within it times %.3f, "
           "a scale fitted on other tasks\n  %-10s", name_of(kind), c->transitions, c->refused, c->scale, "seen before");
    for (int times = 0; times < 2; times++) {
        for (size_t level = 0; level < CALIBRATION_LEVELS; level++)
            printf(" %5.0f%%", 100 * calibration_levels[level]);
        printf("   ");
    }
    printf(" log density\n");
    for (size_t b = 0; b < c->bins; b++) {
        char name[32];
        snprintf(name, sizeof name, c->bin[b].high > c->bin[b].low + 1 ? "%zu-%zu" : "%zu", c->bin[b].low,
                 c->bin[b].high - 1);
        print_bin(&c->bin[b], name);
    }
    print_bin(&c->whole, "all");
}

static cJSON *bin_json(const struct calibration_bin *bin)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "from", (double)bin->low);
    cJSON_AddNumberToObject(json, "to", (double)bin->high);
    cJSON_AddItemToObject(json, "covered", json_numbers(bin->covered, CALIBRATION_LEVELS));
    cJSON_AddItemToObject(json, "corrected", json_numbers(bin->corrected, CALIBRATION_LEVELS));
    cJSON_AddNumberToObject(json, "log_density", bin->log_density);
    return json;
}

static void calibration_json(cJSON *head, const struct calibration *c)
{
    cJSON *json = cJSON_AddObjectToObject(head, "calibration");
    cJSON_AddItemToObject(json, "levels", json_numbers(calibration_levels, CALIBRATION_LEVELS));
    cJSON_AddNumberToObject(json, "scale", c->scale);
    cJSON_AddNumberToObject(json, "transitions", (double)c->transitions);
    cJSON_AddNumberToObject(json, "refused", (double)c->refused);
    cJSON_AddItemToObject(json, "all", bin_json(&c->whole));
    cJSON *bins = cJSON_AddArrayToObject(json, "by_context");
    for (size_t b = 0; b < c->bins; b++)
        cJSON_AddItemToArray(bins, bin_json(&c->bin[b]));
}

static int study_calibration(const struct study *study, const struct model *model, enum head_kind kind,
                             const struct trajectories *on, const struct trajectories *fit, cJSON *head)
{
    char why[WHY];
    struct judged held = {0}, other = {0};
    struct calibration calibration;
    int error = judge(&held, model, kind, on, study->pool, why, sizeof why);
    if (error == 0)
        error = judge(&other, model, kind, fit, study->pool, why, sizeof why);
    if (error == 0 && (error = calibrate(&calibration, &held, &other)))
        snprintf(why, sizeof why, "no memory to calibrate");
    judged_release(&held);
    judged_release(&other);
    if (error)
        return fail("%s", why);
    if (study->json)
        calibration_json(head, &calibration);
    else
        print_calibration(&calibration, kind);
    return 0;
}

// ---- Distances ------------------------------------------------------------------------------------------------

static int study_distances(const struct study *study, const struct model *model, enum head_kind kind,
                           const struct trajectories *on, cJSON *head)
{
    static const char *const sides[] = {"sums", "squares", "means"};
    char why[WHY];
    struct distances d;
    if (distances_check(&d, model, kind, on, study->pairs, study->context, why, sizeof why))
        return fail("%s", why);
    if (study->json) {
        cJSON *json = cJSON_AddObjectToObject(head, "identities"), *pairs = cJSON_AddArrayToObject(json, "pairs");
        for (size_t p = 0; p < d.pairs; p++) {
            cJSON *pair = cJSON_CreateObject();
            for (size_t i = 0; i < 3; i++)
                cJSON_AddItemToObject(pair, sides[i], json_numbers((double[]){d.of[p][i].left, d.of[p][i].right}, 2));
            cJSON_AddItemToArray(pairs, pair);
        }
        cJSON_AddItemToObject(json, "worst", json_numbers(d.worst, 3));
    } else {
        printf("\n%s head: distances between tasks, of sums and posteriors | of a kernel between samples (%zu of each)\n"
               "  %-9s %27s %29s %29s\n", name_of(kind), study->context, "tasks", "|C1'Y1 - C2'Y2|^2",
               "|C1'C1 - C2'C2|^2", "|M1 - M2|^2");
        for (size_t p = 0; p < d.pairs; p++) {
            printf("  %3zu, %-4zu", 2 * p, 2 * p + 1);
            for (size_t i = 0; i < 3; i++)
                printf(" %14.8g|%-14.8g", d.of[p][i].left, d.of[p][i].right);
            printf("\n");
        }
        printf("  worst relative difference %15.1e %29.1e %29.1e\n", d.worst[0], d.worst[1], d.worst[2]);
    }
    distances_release(&d);
    return 0;
}

static int report_map(const struct study *study, enum head_kind kind, const struct task_map *map,
                      const struct trajectories *on, cJSON *json)
{
    static const char *const metrics[] = {"weights", "predictions"};
    if (study->json) {
        cJSON *one = cJSON_AddObjectToObject(json, metrics[map->metric]);
        cJSON_AddItemToObject(one, "explained", json_numbers(map->explained, 2));
        cJSON_AddNumberToObject(one, "likeness", map->likeness);
        cJSON_AddItemToObject(one, "circle", json_numbers(map->circle, 3));
        cJSON_AddNumberToObject(one, "circle_error", map->circle_error);
    } else {
        printf("  by %-12s %5.1f %% + %4.1f %% in the plane, correlation with true distances %6.3f, nearest circle "
               "missed by %.1f %% of its radius\n", metrics[map->metric], 100 * map->explained[0],
               100 * map->explained[1], map->likeness, 100 * map->circle_error);
    }
    char path[4096], name[64];
    snprintf(name, sizeof name, "%s-map-%s", name_of(kind), metrics[map->metric]);
    if (!study->out)
        return 0;
    if (draw_path(path, study, name))
        return 1;
    int error = task_map_draw(map, on, path);
    return error ? fail("cannot write %s: %s", path, strerror(-error)) : 0;
}

static int study_maps(const struct study *study, const struct model *model, enum head_kind kind,
                      const struct trajectories *on, cJSON *head)
{
    char why[WHY];
    struct task_weights weights;
    if (task_weights_make(&weights, model, kind, on, study->pool, why, sizeof why))
        return fail("%s", why);
    cJSON *json = study->json ? cJSON_AddObjectToObject(head, "map") : NULL;
    if (!study->json)
        printf("\n%s head: tasks in the plane, by the distances between their posterior means\n", name_of(kind));
    int status = 0;
    for (enum map_metric metric = MAP_WEIGHTS; metric <= MAP_PREDICTIONS && !status; metric++) {
        struct task_map map;
        int error = task_map_make(&map, metric, &weights, on);
        status = error ? fail("no map of the tasks: %s", strerror(-error)) : report_map(study, kind, &map, on, json);
        if (!error)
            task_map_release(&map);
    }
    task_weights_release(&weights);
    return status;
}

// ---- What the policy is shown -----------------------------------------------------------------------------------

static void print_readout(const struct readout *r, const struct world *world)
{
    printf("\nwhat the policy is shown: share of each number's variance over tasks that a line reads off it, on other tasks "
           "(R^2)\n  %-30s", "after transitions");
    for (size_t c = 0; c < r->contexts; c++)
        printf(" %6zu", r->after[c]);
    for (size_t line = 0; line < r->lines; line++) {
        size_t like = r->first[line + 1] - r->first[line];
        const char *name = world->task_names[r->first[line]];
        printf("\n  %-30s", name ? name : "");
        for (size_t c = 0; c < r->contexts; c++)
            printf(" %6.2f", r->share[c * r->lines + line]);
        if (like > 1)
            printf("   mean of %zu", like);
    }
    printf("\n");
}

static void readout_json(cJSON *result, const struct readout *r, const struct world *world)
{
    cJSON *json = cJSON_AddObjectToObject(result, "shown"), *after = cJSON_AddArrayToObject(json, "after");
    for (size_t c = 0; c < r->contexts; c++)
        cJSON_AddItemToArray(after, cJSON_CreateNumber((double)r->after[c]));
    cJSON *share = cJSON_AddObjectToObject(json, "r_squared");
    for (size_t line = 0; line < r->lines; line++) {
        double of[READOUT_CONTEXTS];
        for (size_t c = 0; c < r->contexts; c++)
            of[c] = r->share[c * r->lines + line];
        const char *name = world->task_names[r->first[line]];
        cJSON_AddItemToObject(share, name ? name : "task", json_numbers(of, r->contexts));
    }
}

static int study_readout(const struct study *study, const struct model *model, const struct trajectories *on,
                         const struct trajectories *fit)
{
    char why[WHY], path[4096];
    struct readout readout;
    if (readout_make(&readout, model, fit, on, study->pool, why, sizeof why))
        return fail("%s", why);
    if (study->json)
        readout_json(study->result, &readout, study->world);
    else
        print_readout(&readout, study->world);
    int status = 0;
    if (study->out && (status = draw_path(path, study, "shown")) == 0) {
        int error = readout_draw(&readout, study->world, path);
        status = error ? fail("cannot write %s: %s", path, strerror(-error)) : 0;
    }
    readout_release(&readout);
    return status;
}

// ---- One model, and two ---------------------------------------------------------------------------------------

static int play(struct trajectories *trajectories, const struct study *study, const struct model *driver,
                uint64_t seed)
{
    char why[WHY];
    return trajectories_play(trajectories, study->world, driver, study->tasks, seed, study->pool, why, sizeof why)
               ? fail("%s", why) : 0;
}

static int study_one(const struct study *study, const struct model *model)
{
    if (model->kind == MODEL_ORACLE || model->kind == MODEL_NONE)
        return fail("%s is of kind %s and has no belief that could be studied", study->path,
                    model_kind_name(model->kind));
    struct trajectories on = {0}, fit = {0};
    int status = play(&on, study, model, study->seed) || play(&fit, study, model, FIT_SEED(study->seed))
                 || study_readout(study, model, &on, &fit);
    // Only an exact belief has heads, and with them intervals and distances.
    cJSON *heads = status == 0 && study->json ? cJSON_AddObjectToObject(study->result, "heads") : NULL;
    for (enum head_kind kind = 0; kind < HEAD_COUNT && !status; kind++) {
        if (!model->heads[kind].present)
            continue;
        cJSON *head = study->json ? cJSON_AddObjectToObject(heads, name_of(kind)) : NULL;
        status = study_calibration(study, model, kind, &on, &fit, head) || study_distances(study, model, kind, &on, head)
                 || study_maps(study, model, kind, &on, head);
    }
    trajectories_release(&on);
    trajectories_release(&fit);
    return status;
}

static void print_curves(const struct curve curves[2])
{
    printf("  %-10s %22s %22s\n", "seen before", "first model", "second model");
    for (size_t b = 0; b < curves[0].bins; b++) {
        char name[32];
        snprintf(name, sizeof name, curves[0].high[b] > curves[0].low[b] + 1 ? "%zu-%zu" : "%zu", curves[0].low[b],
                 curves[0].high[b] - 1);
        printf("  %-10s", name);
        for (size_t m = 0; m < 2; m++)
            printf("  %11.3f +- %-6.3f", curves[m].mean[b], curves[m].error[b]);
        printf("\n");
    }
    for (size_t m = 0; m < 2; m++)
        if (curves[m].missing)
            printf("  the %s model had no density for %zu of %zu transitions\n", m ? "second" : "first",
                   curves[m].missing, curves[m].missing + curves[m].counted);
}

static void curves_json(cJSON *json, const struct curve curves[2])
{
    static const char *const names[] = {"first", "second"};
    for (size_t m = 0; m < 2; m++) {
        cJSON *one = cJSON_AddObjectToObject(json, names[m]), *from = cJSON_AddArrayToObject(one, "from");
        for (size_t b = 0; b < curves[m].bins; b++)
            cJSON_AddItemToArray(from, cJSON_CreateNumber((double)curves[m].low[b]));
        cJSON_AddItemToObject(one, "log_density", json_numbers(curves[m].mean, curves[m].bins));
        cJSON_AddItemToObject(one, "standard_error", json_numbers(curves[m].error, curves[m].bins));
        cJSON_AddNumberToObject(one, "missing", (double)curves[m].missing);
    }
}

// Both models' predictions of one head on trajectories that one of them drove.
static int compare_on(const struct study *study, const struct model *const models[2], enum head_kind kind,
                      const struct trajectories *on, size_t driver, cJSON *json)
{
    static const char *const drivers[] = {"first", "second"};
    char why[WHY], path[4096], title[200], name[64];
    struct curve curves[2];
    for (size_t m = 0; m < 2; m++)
        if (curve_make(&curves[m], models[m], kind, on, study->pool, why, sizeof why))
            return fail("%s", why);
    if (study->json) {
        curves_json(cJSON_AddObjectToObject(json, drivers[driver]), curves);
    } else {
        printf("\n%s, the %s model drives: log density of the next transition (nats), mean over %zu tasks\n",
               name_of(kind), drivers[driver], on->tasks);
        print_curves(curves);
    }
    if (!study->out)
        return 0;
    snprintf(name, sizeof name, "%s-predictive-driven-by-%s", name_of(kind), drivers[driver]);
    snprintf(title, sizeof title, "%s: what was said of the next %s", study->world->name,
             kind == HEAD_REWARD ? "reward" : "change");
    const char *kinds[] = {model_kind_name(models[0]->kind), model_kind_name(models[1]->kind)};
    int same = models[0]->kind == models[1]->kind;
    struct named_curve named[] = {{same ? "first model" : kinds[0], &curves[0]},
                                  {same ? "second model" : kinds[1], &curves[1]}};
    if (draw_path(path, study, name))
        return 1;
    int error = curves_draw(named, 2, title, path);
    return error ? fail("cannot write %s: %s", path, strerror(-error)) : 0;
}

static int predicts(const struct model *model, enum head_kind kind)
{
    return model->heads[kind].present || model->decoders[kind].present;
}

static int study_two(const struct study *study, const struct model *model, const struct model *other)
{
    if (strcmp(model->world, other->world))
        return fail("%s is of %s and %s of %s", study->path, model->world, study->against, other->world);
    const struct model *const models[] = {model, other};
    cJSON *json = study->json ? cJSON_AddObjectToObject(study->result, "predictive") : NULL;
    int status = 0, found = 0;
    for (size_t driver = 0; driver < 2 && !status; driver++) {
        struct trajectories on = {0};
        status = play(&on, study, models[driver], study->seed);
        for (enum head_kind kind = 0; kind < HEAD_COUNT && !status; kind++) {
            if (!predicts(model, kind) || !predicts(other, kind))
                continue;
            cJSON *head = json ? cJSON_GetObjectItem(json, name_of(kind)) : NULL;
            if (json && !head)
                head = cJSON_AddObjectToObject(json, name_of(kind));
            status = compare_on(study, models, kind, &on, driver, head);
            found = 1;
        }
        trajectories_release(&on);
    }
    return status || found ? status : fail("there is nothing that both models predict");
}

// ---- The command ----------------------------------------------------------------------------------------------

// 0; or -1 with what to exit with in status.
static int parse(struct study *study, int argc, char **argv, int *status)
{
    uint64_t tasks = 64, pairs = 6, context = 100, threads = 0;
    *study = (struct study){.seed = 1};
    const struct argument arguments[] = {
        {"--against", 't', &study->against, 0, 0, "MODEL", "another model of the same world: what both predict of the same"},
        {"--tasks", 'u', &tasks, 4, 4096, "N", "how many (64)"},
        {"--seed", 'u', &study->seed, 0, 0x1p53, "S", "which (1); neither trainings nor evaluations meet them"},
        {"--pairs", 'u', &pairs, 1, 2048, "P", "pairs of tasks whose distance is also told by kernels (6)"},
        {"--context", 'u', &context, 1, 2000, "C", "between their first C transitions (100)"},
        {"--out", 't', &study->out, 0, 0, "DIR", "receives the pictures"},
        {"--threads", 'u', &threads, 0, 256, "T", "0: one for each processor"},
        {"--json", 'f', &study->json, 0, 0, NULL, "one JSON line instead of tables"},
    };
    const struct command_line line = {
        "study", "bel-learn study looks at a model's belief on tasks of its own: what of the task is its policy shown, are its\n"
        "intervals right, how well does it predict, how are tasks apart; or at what two models predict of the same\n"
        "trajectories.\n\n"
        "    bel-learn study MODEL [options]\n"
        "    bel-learn study --sweep WORLD [options]      the price of a belief's size; see bel-learn study --sweep --help",
        "which model?", 1, 1, arguments, sizeof arguments / sizeof *arguments};
    if (arguments_read(&line, argc, argv, status) < 0)
        return -1;
    study->path = argv[2];
    study->tasks = (size_t)tasks;
    study->pairs = (size_t)pairs;
    study->context = (size_t)context;
    study->threads = (unsigned)threads;
    if (2 * study->pairs <= study->tasks)
        return 0;
    fail("%zu pairs need %zu tasks", study->pairs, 2 * study->pairs);
    *status = 2;
    return -1;
}

static int study_models(struct study *study, const struct model *model, const struct model *other)
{
    study->world = world_find(model->world);
    if (!study->world)
        return fail("%s is a model of \"%s\", which is not a world that is known here", study->path, model->world);
    if (study->out && mkdir(study->out, 0777) && errno != EEXIST)
        return fail("cannot make %s: %s", study->out, strerror(errno));
    study->pool = pool_start(study->threads);
    study->result = cJSON_CreateObject();
    if (!study->pool || !study->result)
        return fail("no memory to study a model");
    cJSON_AddStringToObject(study->result, "model", study->path);
    cJSON_AddStringToObject(study->result, "world", study->world->name);
    cJSON_AddNumberToObject(study->result, "tasks", (double)study->tasks);
    cJSON_AddNumberToObject(study->result, "seed", (double)study->seed);
    if (!study->json)
        printf("%s on %zu held-out tasks of %s, seed %llu\n", study->path, study->tasks, study->world->name,
               (unsigned long long)study->seed);
    return other ? study_two(study, model, other) : study_one(study, model);
}

int study_command(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[2], "--sweep"))
        return sweep_command(argc - 1, argv + 1);
    struct study study;
    int status;
    if (parse(&study, argc, argv, &status))
        return status;
    status = 0;
    char why[WHY];
    struct model *model = NULL, *other = NULL;
    if (model_load(&model, study.path, why, sizeof why))
        status = fail("%s: %s", study.path, why);
    else if (study.against && model_load(&other, study.against, why, sizeof why))
        status = fail("%s: %s", study.against, why);
    else
        status = study_models(&study, model, other);
    pool_stop(study.pool);
    model_free(model);
    model_free(other);
    if (status || !study.json)
        cJSON_Delete(study.result);
    else
        status = print_json(study.result);
    return status;
}
