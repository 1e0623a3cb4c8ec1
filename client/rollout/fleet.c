// Robots that are driven together; the contract is in fleet.h.
#include "fleet.h"

#include "client/kinds.h"
#include "daemon/base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Streams: what they are for, then robot and episode.
enum { STREAM_TASK = 0x726f6c6c, STREAM_START };

enum { DENSE_ESTIMATES = 16, ESTIMATE_EVERY = 5 };  // a belief moves most in the first steps

static int fail(struct fleet *fleet, int result, const char *sentence)
{
    snprintf(fleet->why, sizeof fleet->why, "%s", sentence);
    return result;
}

static size_t steps_at_most(const struct fleet *fleet)
{
    return fleet->options.world->horizon * fleet->options.episodes;
}

// ---- Opening --------------------------------------------------------------------------------------------------

static const struct bel_model *find_model(struct fleet *fleet)
{
    const struct fleet_options *o = &fleet->options;
    const struct bel_model *model;
    size_t length = 0;
    for (size_t i = 0; (model = bel_model_at(fleet->bel, i)); i++) {
        if (strcmp(model->world, o->world->name) == 0 && (!o->model || strcmp(model->name, o->model) == 0))
            return model;
        if (length < sizeof fleet->why)
            length += (size_t)snprintf(fleet->why + length, sizeof fleet->why - length, "%s%s (for %s)",
                                       i ? ", " : "", model->name, model->world);
    }
    char served[sizeof fleet->why];
    memcpy(served, fleet->why, sizeof served);
    snprintf(fleet->why, sizeof fleet->why, "the daemon serves no model %s%sfor the world %s; it serves %.300s",
             o->model ? o->model : "", o->model ? " " : "", o->world->name, served);
    return NULL;
}

static int open_robot(struct fleet *fleet, size_t i)
{
    const struct fleet_options *o = &fleet->options;
    struct robot *robot = &fleet->robots[i];
    size_t obs = o->world->observation_dim, act = o->world->action_dim, T = steps_at_most(fleet);
    robot->memory = robot->observation = calloc(2 * obs + 2 * act + T * (o->world->task_dim + 2), sizeof(float));
    robot->estimates = calloc(T + 1, sizeof *robot->estimates);
    if (!robot->memory || !robot->estimates)
        return fail(fleet, BEL_NO_MEMORY, "no memory for a robot");
    robot->next = robot->observation + obs;
    robot->action = robot->next + obs;
    robot->next_action = robot->action + act;
    robot->achieved = robot->next_action + act;
    robot->where = robot->achieved + T * o->world->task_dim;

    int error = o->world->open(&robot->instance, fleet->why, sizeof fleet->why);
    if (error)
        return error;
    struct random_stream stream = random_stream(o->seed, STREAM_TASK, (uint32_t)i, 0);
    o->world->sample_task(&stream, robot->task);

    char id[64];
    snprintf(id, sizeof id, "%.40s.%zu", o->name, i + 1);
    float told[WORLD_TASK_LIMIT];
    for (size_t k = 0; k < o->world->task_dim; k++)
        told[k] = (float)robot->task[k];
    const struct bel_open open = {
        .id = id, .model = fleet->model->name, .hold_prior = o->hold_prior,
        .task = kind_is_told(fleet->model) ? told : NULL, .task_dim = o->world->task_dim};
    int result = bel_open(fleet->bel, &open, &robot->session);
    return result ? fail(fleet, result, bel_error(fleet->bel)) : 0;
}

int fleet_open(struct fleet *fleet, struct bel *bel, const struct fleet_options *options)
{
    const struct world *world = options->world;
    *fleet = (struct fleet){.options = *options, .bel = bel, .can_estimate = 1};
    fleet->model = find_model(fleet);
    if (!fleet->model)
        return BEL_UNKNOWN_MODEL;
    if (fleet->model->observation_dim != world->observation_dim || fleet->model->action_dim != world->action_dim ||
        fleet->model->task_dim != world->task_dim)
        return fail(fleet, BEL_INVALID, "the model has other dimensions than the world");
    fleet->believes = kind_believes(fleet->model);
    fleet->robots = calloc(options->count, sizeof *fleet->robots);
    fleet->steps = calloc(options->count, sizeof *fleet->steps);
    fleet->round_trips = calloc(steps_at_most(fleet), sizeof *fleet->round_trips);
    if (!fleet->robots || !fleet->steps || !fleet->round_trips)
        return fail(fleet, BEL_NO_MEMORY, "no memory for so many robots");
    for (size_t i = 0; i < options->count; i++) {
        int result = open_robot(fleet, i);
        if (result)
            return result;
    }
    fleet->model = bel_session_model(fleet->robots[0].session);  // which stays through a reconnect
    return 0;
}

void fleet_close(struct fleet *fleet)
{
    for (size_t i = 0; fleet->robots && i < fleet->options.count; i++) {
        struct robot *robot = &fleet->robots[i];
        bel_close(robot->session, 1);
        if (robot->instance)
            fleet->options.world->close(robot->instance);
        free(robot->memory);
        free(robot->estimates);
    }
    free(fleet->robots);
    free(fleet->steps);
    free(fleet->round_trips);
    *fleet = (struct fleet){0};
}

// ---- Looking at beliefs ---------------------------------------------------------------------------------------

int fleet_estimate(struct fleet *fleet)
{
    if (!fleet->can_estimate)
        return 0;
    for (size_t i = 0; i < fleet->options.count; i++) {
        struct robot *robot = &fleet->robots[i];
        struct bel_belief belief = {.estimate_mean = robot->now.mean, .estimate_sd = robot->now.sd};
        int result = bel_get_belief(robot->session, &belief);
        if (result == BEL_UNSUPPORTED) {
            fleet->can_estimate = 0;
            return 0;
        }
        if (result)
            return fail(fleet, result, bel_error(fleet->bel));
        robot->now.step = fleet->total;
        if (robot->estimate_count && robot->estimates[robot->estimate_count - 1].step == fleet->total)
            robot->estimate_count--;
        robot->estimates[robot->estimate_count++] = robot->now;
    }
    return 0;
}

static int trace(struct fleet *fleet)
{
    int due = fleet->total <= DENSE_ESTIMATES || fleet->total % ESTIMATE_EVERY == 0;
    return fleet->options.trace && due ? fleet_estimate(fleet) : 0;
}

double estimate_error(const struct fleet *fleet, const struct robot *robot, const struct estimate *estimate)
{
    double sum = 0;
    for (size_t k = 0; k < fleet->options.world->task_dim; k++)
        sum += (estimate->mean[k] - robot->task[k]) * (estimate->mean[k] - robot->task[k]);
    return sqrt(sum);
}

double fleet_error(const struct fleet *fleet)
{
    double sum = 0;
    for (size_t i = 0; i < fleet->options.count; i++) {
        const struct robot *robot = &fleet->robots[i];
        sum += robot->estimate_count ? estimate_error(fleet, robot, &robot->now) : NAN;
    }
    return sum / (double)fleet->options.count;
}

double fleet_return(const struct fleet *fleet, size_t episode)
{
    double sum = 0;
    if (episode >= fleet->episodes_done)
        return NAN;
    for (size_t i = 0; i < fleet->options.count; i++)
        sum += fleet->robots[i].returns[episode];
    return sum / (double)fleet->options.count;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double fleet_median_us(const struct fleet *fleet)
{
    if (!fleet->total)
        return NAN;
    double *sorted = malloc(fleet->total * sizeof *sorted), median = NAN;
    if (sorted) {
        memcpy(sorted, fleet->round_trips, fleet->total * sizeof *sorted);
        qsort(sorted, fleet->total, sizeof *sorted, ascending);
        median = sorted[fleet->total / 2];
    }
    free(sorted);
    return median;
}

// ---- Driving --------------------------------------------------------------------------------------------------

static int begin_episode(struct fleet *fleet)
{
    const struct fleet_options *o = &fleet->options;
    for (size_t i = 0; i < o->count; i++) {
        struct robot *robot = &fleet->robots[i];
        struct random_stream stream = random_stream(o->seed, STREAM_START, (uint32_t)i, (uint32_t)fleet->episode);
        o->world->reset(robot->instance, robot->task, &stream, robot->observation);
        for (size_t k = 0; k < 2; k++)
            robot->starts[fleet->episode][k] = o->world->sees_place ? robot->observation[k] : NAN;
        robot->returns[fleet->episode] = 0;
        robot->reward_p = robot->transition_p = 1;
        robot->running = 1;
        fleet->steps[i] = (struct bel_step){
            .session = robot->session, .observation = robot->observation, .action = robot->action};
    }
    int result = bel_act_many(fleet->bel, fleet->steps, o->count);
    return result ? fail(fleet, result, bel_error(fleet->bel)) : 0;
}

// What a transition would have been right for, and where it led.
static void note(struct fleet *fleet, struct robot *robot)
{
    const struct world *world = fleet->options.world;
    size_t d = world->task_dim;
    double ideal[WORLD_TASK_LIMIT];
    int told = world->ideal_task(robot->observation, robot->action, robot->next, ideal);
    for (size_t k = 0; k < d; k++)
        robot->achieved[fleet->total * d + k] = told ? (float)ideal[k] : NAN;
    for (size_t k = 0; k < 2; k++)
        robot->where[fleet->total * 2 + k] = world->sees_place ? robot->next[k] : d == 2 && told ? (float)ideal[k] : NAN;
}

// Moves the world of one robot and prepares what to tell. 0; or the episode is void.
static int move(struct fleet *fleet, struct robot *robot, struct bel_step *step)
{
    const struct world *world = fleet->options.world;
    float reward;
    int ended = world->step(robot->instance, robot->action, &reward, robot->next);
    if (ended < 0) {
        robot->running = 0;
        return fail(fleet, ended, "the simulation diverged");
    }
    note(fleet, robot);
    robot->returns[fleet->episode] += (double)reward;
    *step = (struct bel_step){
        .session = robot->session, .observation = robot->next, .executed = robot->action, .reward = reward,
        .last = ended || fleet->step + 1 == world->horizon, .action = robot->next_action};
    return 0;
}

static void settle(struct robot *robot, const struct bel_step *step)
{
    float *swap = robot->observation;
    robot->observation = robot->next;
    robot->next = swap;
    swap = robot->action;
    robot->action = robot->next_action;
    robot->next_action = swap;
    robot->running = !step->last;
    if (!step->last) {  // the last one of an episode is not judged
        robot->reward_p = step->report.reward_p;
        robot->transition_p = step->report.transition_p;
    }
    robot->sent++;
    enum bel_status status = step->report.status;
    robot->absorbed += status == BEL_STATUS_ABSORBED || status == BEL_STATUS_DUPLICATE;
    robot->refused += status == BEL_STATUS_NOT_FINITE || status == BEL_STATUS_OUT_OF_RANGE;
}

// One step of all robots that are still running. 1: none is.
static int step_all(struct fleet *fleet)
{
    size_t running = 0, which[FLEET_COUNT_LIMIT];
    for (size_t i = 0; i < fleet->options.count; i++) {
        struct robot *robot = &fleet->robots[i];
        if (!robot->running) {
            for (size_t k = 0; k < fleet->options.world->task_dim; k++)
                robot->achieved[fleet->total * fleet->options.world->task_dim + k] = NAN;
            robot->where[fleet->total * 2] = robot->where[fleet->total * 2 + 1] = NAN;
            continue;
        }
        which[running] = i;
        int error = move(fleet, robot, &fleet->steps[running]);
        if (error)
            return error;
        running++;
    }
    if (!running)
        return 1;
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    int result = bel_step_many(fleet->bel, fleet->steps, running);
    clock_gettime(CLOCK_MONOTONIC, &after);
    if (result)
        return fail(fleet, result, bel_error(fleet->bel));
    fleet->round_trips[fleet->total++] =
        (double)(after.tv_sec - before.tv_sec) * 1e6 + (double)(after.tv_nsec - before.tv_nsec) / 1e3;
    for (size_t k = 0; k < running; k++)
        settle(&fleet->robots[which[k]], &fleet->steps[k]);
    return 0;
}

static void keep_pace(const struct fleet *fleet, const struct timespec *started)
{
    double period = fleet->options.world->step_seconds > 0 ? fleet->options.world->step_seconds : 0.05;
    if (fleet->options.pace <= 0)
        return;
    double due = (double)fleet->total * period / fleet->options.pace;
    struct timespec until = {started->tv_sec + (time_t)due,
                             started->tv_nsec + (long)((due - floor(due)) * 1e9)};
    if (until.tv_nsec >= 1000000000)
        until.tv_sec++, until.tv_nsec -= 1000000000;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

// Does each belief count what was told? Where there is none, it counts what was answered for.
static int count_up(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->options.count; i++) {
        struct robot *robot = &fleet->robots[i];
        struct bel_belief belief = {0};
        int result = bel_get_belief(robot->session, &belief);
        if (result)
            return fail(fleet, result, bel_error(fleet->bel));
        robot->counted = fleet->believes ? belief.count : robot->absorbed;
        fleet->transitions += robot->sent;
        fleet->lost += robot->sent - robot->refused - robot->counted;
    }
    return 0;
}

int fleet_run(struct fleet *fleet, fleet_watch *watch, void *context)
{
    const struct fleet_options *o = &fleet->options;
    struct timespec started;
    clock_gettime(CLOCK_MONOTONIC, &started);
    int result = 0;
    for (fleet->episode = 0; fleet->episode < o->episodes && !*o->stop; fleet->episode++) {
        fleet->step = 0;
        result = begin_episode(fleet);
        if (!result)
            result = trace(fleet);
        if (result)
            return result;
        watch(context, fleet);
        while (fleet->step < o->world->horizon && !*o->stop) {
            result = step_all(fleet);
            if (result)
                break;
            fleet->step++;
            result = trace(fleet);
            if (result)
                return result;
            watch(context, fleet);
            keep_pace(fleet, &started);
        }
        if (result < 0)
            return result;
        fleet->episodes_done += fleet->step == o->world->horizon || result == 1;
    }
    return count_up(fleet);
}
