// Publish, gather, and tell a rollout; the contract is in online.h.
#include "online.h"

#include "intake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    DEADLINE_MS = 30000,         // of a call; a daemon that is away for longer is waited for all the same
    WAIT_MS = 500,               // for experience, before it is looked whether to stop
    LEASE_S = 3,                 // in which a daemon notices that a learner before us is gone
    CREDITS = 16,                // pages asked for ahead
    ENOUGH = -ECANCELED,         // the batch is complete: what comes after it stays in the log
};

// Where an environment's steps come from.
struct telling {
    struct told *told;           // the session that is told now; NULL: none yet
    struct told *next;           // after it
    size_t row;                  // next step
    size_t step;                 // of the episode
    char why[300];               // its belief is not what it was
};

struct online {
    struct train *train;
    const volatile sig_atomic_t *stop;
    struct bel *bel;
    const char *alias;
    char learner[64], name[64];  // ours; the model's
    struct bel_cursor cursor;
    uint64_t forget;             // sessions up to this number are needed no more
    struct intake intake;
    struct round **rounds;       // (envs)
    struct telling *tellings;    // (envs)
    struct explore_tasks tasks;
    struct rollout_told told;
    size_t envs, rows;           // of a whole iteration
    uint64_t lost;               // rounds that never came
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// Does it pass by itself? Said once for each time that the daemon is away.
static int passes(const struct online *online, int result)
{
    // The daemon may not have noticed yet that our link before this one is gone.
    int is_ours = result == BEL_LIMIT && strstr(bel_error(online->bel), online->learner);
    return is_ours || result == BEL_TIMEOUT || result == BEL_DISCONNECTED || result == BEL_DRAINING || result == BEL_UNDURABLE ||
           result == BEL_BUSY || result == BEL_RATE;
}

static void complain_once(struct online *online, int *said)
{
    if (!*said)
        fprintf(stderr, "bel-learn: %s; trying again\n", bel_error(online->bel));
    *said = 1;
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
}

// ---- Publishing -----------------------------------------------------------------------------------------------

static int publish(struct online *online, char *why, size_t why_size)
{
    struct train *train = online->train;
    struct model *model = train->model, *twin;
    uint8_t *bytes;
    size_t size;
    int said = 0;
    memcpy(model->name, online->name, sizeof model->name);
    model->revision = train_iteration(train) + 1;
    int error = model_bytes(model, &bytes, &size);
    if (error) {
        snprintf(why, why_size, "the model of iteration %zu cannot be written: %s", train_iteration(train),
                 strerror(-error));
        return error;
    }
    error = model_parse(&twin, bytes, size, why, why_size);
    if (!error) {
        intake_begin(&online->intake, twin->digest);
        model_free(twin);
        double start = seconds();
        while (error = bel_publish(online->bel, online->alias, online->learner, bytes, size),
               (passes(online, error) || (error == BEL_LIMIT && seconds() - start < LEASE_S)) && !*online->stop)
            complain_once(online, &said);
        if (error)
            snprintf(why, why_size, "the model of iteration %zu was not published: %s", train_iteration(train),
                     bel_error(online->bel));
    }
    free(bytes);
    return *online->stop && error ? -EINTR : error;
}

// ---- Gathering ------------------------------------------------------------------------------------------------

static int take(void *context, const struct bel_page *page)
{
    struct online *online = context;
    if (online->intake.complete >= online->envs)
        return ENOUGH;
    return intake_take(&online->intake, page);
}

// Until all robots have made their round, or what is missing does not come.
static int wait_for_rounds(struct online *online, char *why, size_t why_size)
{
    const struct options *o = &online->train->options;
    double heard = seconds();
    int said = 0;
    while (online->intake.complete < online->envs) {
        if (*online->stop)
            return -EINTR;
        struct bel_experience experience = {
            .model = online->alias, .learner = online->learner, .cursor = online->cursor, .wait_ms = WAIT_MS,
            .forget = online->forget, .credits = CREDITS, .take = take, .context = online};
        size_t taken;
        int result = bel_experience(online->bel, &experience, &taken);
        online->cursor = experience.cursor;
        if (taken)
            heard = seconds();
        if (result == 0 || result == ENOUGH) {
            online->forget = 0;
            said = 0;
        } else if (passes(online, result)) {
            complain_once(online, &said);
            heard = seconds();
        } else {
            snprintf(why, why_size, "the daemon tells no experience at iteration %zu: %s",
                     train_iteration(online->train), bel_error(online->bel));
            return result;
        }
        if (o->patience > 0 && seconds() - heard > o->patience && online->intake.complete > 0)
            return 0;
    }
    return 0;
}

static void tell_counts(struct online *online, double waited)
{
    struct train *train = online->train;
    const struct intake_counts *c = &online->intake.counts;
    train_tell(train, "online/stale", (double)c->stale);
    train_tell(train, "online/unused", (double)(c->unnamed + c->broken + c->duplicates + c->foreign));
    train_tell(train, "online/lost", (double)online->lost);
    train_tell(train, "online/waited_seconds", waited);
}

// Before each rollout.
static int gather(struct train *train, char *why, size_t why_size)
{
    struct online *online = train->gathering;
    double start = seconds();
    int error = publish(online, why, why_size);
    if (!error)
        error = wait_for_rounds(online, why, why_size);
    if (error)
        return error;
    size_t count = intake_rounds(&online->intake, online->rounds, online->envs);
    if (count < online->envs)
        fprintf(stderr, "bel-learn: at iteration %zu %zu of %zu rounds did not come; going on without them\n",
                train_iteration(train), online->envs - count, online->envs);
    online->lost += online->envs - count;
    for (size_t e = 0; e < count; e++)
        for (struct told *told = online->rounds[e]->first; told; told = told->next)
            intake_task(&online->intake, told, &online->tasks);
    for (size_t e = 0; e < count; e++)
        online->tellings[e] = (struct telling){.next = online->rounds[e]->first};
    train->rollout.N = count;
    train->rows = count * train->rollout.T;
    // Of a session that has not come whole, all of it is asked again after a restart.
    train->counters[COUNT_EXPERIENCE] = (double)online->cursor.number;
    tell_counts(online, seconds() - start);
    return 0;
}

// ---- Telling the rollout --------------------------------------------------------------------------------------

static void begin_meta(void *context, size_t e, double *task)
{
    struct online *online = context;
    struct telling *telling = &online->tellings[e];
    if (!telling->next)
        return;  // the rollout has all its steps
    telling->told = telling->next;
    telling->next = telling->told->next;
    telling->row = 0;
    memcpy(task, telling->told->hidden, sizeof telling->told->hidden);
}

static void reset(void *context, size_t e, float *observation)
{
    struct online *online = context;
    struct telling *telling = &online->tellings[e];
    const struct told *told = telling->told;
    telling->step = 0;
    if (telling->row < told->rows)
        memcpy(observation, told->observation + telling->row * online->intake.obs,
               online->intake.obs * sizeof *observation);
}

static int step(void *context, size_t e, float *action, float *reward, float *observation)
{
    struct online *online = context;
    struct telling *telling = &online->tellings[e];
    const struct told *told = telling->told;
    size_t row = telling->row++, obs = online->intake.obs, act = online->intake.act;
    memcpy(action, told->action + row * act, act * sizeof *action);
    memcpy(observation, told->next_observation + row * obs, obs * sizeof *observation);
    *reward = told->reward[row];
    telling->step++;
    return told->last[row] && telling->step < online->train->world->horizon;
}

static int check_belief(void *context, size_t e, const struct agent_belief *belief)
{
    struct online *online = context;
    struct telling *telling = &online->tellings[e];
    const struct told *told = telling->told;
    struct digest digest = agent_belief_digest(belief);
    uint8_t bytes[16];
    for (int i = 0; i < 16; i++)
        bytes[i] = (uint8_t)(digest.word[i / 8] >> 8 * (i % 8));
    if (!memcmp(bytes, told->digest, sizeof bytes) && agent_belief_count(belief) == told->count)
        return 0;
    snprintf(telling->why, sizeof telling->why,
             "session %s: after transition %llu its belief of %llu transitions has digest %016llx%016llx here, and %llu "
             "transitions and another digest at the daemon", told->session, (unsigned long long)told->last_seq,
             (unsigned long long)agent_belief_count(belief), (unsigned long long)digest.word[1],
             (unsigned long long)digest.word[0], (unsigned long long)told->count);
    return -EBADMSG;
}

static void explain(void *context, char *why, size_t why_size)
{
    const struct online *online = context;
    snprintf(why, why_size, "a belief that was made again is damaged");
    for (size_t e = 0; e < online->train->rollout.N; e++)
        if (online->tellings[e].why[0]) {
            snprintf(why, why_size, "%s", online->tellings[e].why);
            return;
        }
}

// ---- Life -----------------------------------------------------------------------------------------------------

static int check_options(const struct train *train, char *why, size_t why_size)
{
    const struct options *o = &train->options;
    const char *what = o->algorithm != LEARN_PPO ? "--algorithm ppo"
        : o->kind == LEARN_ORACLE                ? "a --model that need not be told the task"
        : train->world->discrete                 ? "a world whose actions are numbers"
        : !o->clamp_actions                      ? "--clamp-actions 1"
        : o->memory != 0                         ? "--memory 0" : NULL;
    if (what)
        snprintf(why, why_size, "learning through a daemon (--from) needs %s", what);
    return what ? -EINVAL : 0;
}

// The daemon may be on its way: it is tried for as long as it is waited for later.
static int reach(struct online *online, char *why, size_t why_size)
{
    const struct options *o = &online->train->options;
    const struct bel_options options = {.client = "bel-learn", .deadline_ms = DEADLINE_MS, .token_file = o->token_file};
    double start = seconds();
    for (int said = 0;; said = 1) {
        int result = bel_connect(&online->bel, o->from, &options, why, why_size);
        int again = (result == BEL_DISCONNECTED || result == BEL_TIMEOUT) && !*online->stop;
        if (!again || seconds() - start > o->patience)
            return result;
        if (!said)
            fprintf(stderr, "bel-learn: %s; trying again\n", why);
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    }
}

static int init(struct online *online, int resumed, char *why, size_t why_size)
{
    struct train *train = online->train;
    const struct options *o = &train->options;
    online->rounds = calloc(o->envs, sizeof *online->rounds);
    online->tellings = calloc(o->envs, sizeof *online->tellings);
    if (!online->rounds || !online->tellings || explore_tasks_init(&online->tasks, o->envs)) {
        snprintf(why, why_size, "no memory for learning through a daemon");
        return -ENOMEM;
    }
    char host[32] = "";
    gethostname(host, sizeof host - 1);
    if (o->learner)
        snprintf(online->learner, sizeof online->learner, "%s", o->learner);
    else
        snprintf(online->learner, sizeof online->learner, "bel-learn at %s, process %ld", host, (long)getpid());
    snprintf(online->name, sizeof online->name, "%s.%s", train->world->name, online->alias);
    intake_init(&online->intake, train->world, o->envs, train->critic_dim > train->input_dim, &train->replay,
                train->experienced);
    int result = reach(online, why, why_size);
    online->cursor.number = (uint64_t)train->counters[COUNT_EXPERIENCE];
    if (!result && !resumed) {
        int said = 0;
        while (passes(online, result = bel_newest(online->bel, online->alias, online->learner, &online->cursor.number)) &&
               !*online->stop)
            complain_once(online, &said);
        if (result)
            snprintf(why, why_size, "%s", bel_error(online->bel));
        train->counters[COUNT_EXPERIENCE] = (double)online->cursor.number;
    }
    return result;
}

int online_start(struct online **result, struct train *train, int resumed, const volatile sig_atomic_t *stop, char *why,
                 size_t why_size)
{
    int error = check_options(train, why, why_size);
    struct online *online = error ? NULL : calloc(1, sizeof *online);
    if (!online)
        return error ? error : -ENOMEM;
    online->train = train;
    online->stop = stop;
    online->alias = train->options.alias ? train->options.alias : "online";
    online->envs = train->rollout.N;
    online->rows = train->rows;
    error = init(online, resumed, why, why_size);
    if (error) {
        online_stop(online);
        return error;
    }
    online->told = (struct rollout_told){online, begin_meta, reset, step, check_belief, explain};
    train->rollout.told = &online->told;
    train->gather = gather;
    train->gathering = online;
    *result = online;
    return 0;
}

void online_saved(struct online *online)
{
    if (online && online->train->options.forget)
        online->forget = (uint64_t)online->train->counters[COUNT_EXPERIENCE];
}

int online_finish(struct online *online, char *why, size_t why_size)
{
    int error = train_export(online->train, why, why_size);
    return error ? error : publish(online, why, why_size);
}

void online_stop(struct online *online)
{
    if (!online)
        return;
    struct train *train = online->train;
    train->rollout.N = online->envs;
    train->rows = online->rows;
    train->rollout.told = NULL;
    train->gather = NULL;
    intake_release(&online->intake);
    explore_tasks_release(&online->tasks);
    bel_disconnect(online->bel);
    free(online->rounds);
    free(online->tellings);
    free(online);
}
