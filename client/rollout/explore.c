// Rounds of exploring; the contract is in explore.h.
#include "explore.h"

#include "client/worlds/explore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MODEL_WAIT_MS = 1000, PAUSE_MS = 500,
    DEADLINE_MS = 20000,             // of a call: as long a daemon may be away, and the round goes on where it was
    FAREWELL_MS = 1000,              // to a daemon that may not be there
    AGAIN_S = 60,                    // without a new model, then the round is played again: its learner may have begun anew
};

struct scout {
    struct world_instance *instance;
    struct bel_session *session;     // NULL: none is open
    struct explorer explorer;
    double task[WORLD_TASK_LIMIT];
    uint32_t meta;                   // number of the meta-episode in this revision
    size_t rows;                     // steps of finished sessions and of this one, in this round
    size_t session_rows;             // of this one
    size_t step, episode;
    int standing;                    // an observation is known, and an action for it
    float *observation;              // (obs)
    float *mean, *action, *met;      // (act)
    float reward;
    int last;
    double returned;
};

struct party {
    struct bel *bel;
    const struct explore_options *options;
    struct explore_summary *summary;
    struct explore_tasks tasks;
    struct scout *scouts;            // (count)
    struct bel_step *steps;          // (count) of the call being made
    struct scout **whose;            // (count) of its entries
    struct bel_session **ending;     // (count)
    struct bel_open *opens;          // (count)
    char (*names)[EXPLORE_NAME_SIZE];  // (count)
    float *log_sd, *low, *high;      // of the model being explored   (act)
    uint64_t revision;
    size_t round_rows;
    double returned;                 // of the round's episodes
    size_t episodes;
    char *why;
    size_t why_size;
};

static int fail(struct party *party, int result, const char *sentence)
{
    snprintf(party->why, party->why_size, "%s", sentence);
    return result;
}

static int fail_call(struct party *party, int result)
{
    return fail(party, result, bel_error(party->bel));
}

// ---- Memory ---------------------------------------------------------------------------------------------------

static int scout_init(struct scout *scout, const struct world *world, char *why, size_t why_size)
{
    size_t obs = world->observation_dim, act = world->action_dim;
    int error = world->open(&scout->instance, why, why_size);
    if (error)
        return error;
    scout->observation = calloc(obs + 3 * act, sizeof(float));
    scout->explorer.explored = calloc(act, sizeof(double));
    if (!scout->observation || !scout->explorer.explored) {
        snprintf(why, why_size, "no memory for a robot");
        return -ENOMEM;
    }
    scout->mean = scout->observation + obs;
    scout->action = scout->mean + act;
    scout->met = scout->action + act;
    return 0;
}

static int party_init(struct party *party)
{
    const struct explore_options *o = party->options;
    size_t count = o->count, act = o->world->action_dim;
    party->scouts = calloc(count, sizeof *party->scouts);
    party->steps = calloc(count, sizeof *party->steps);
    party->whose = calloc(count, sizeof *party->whose);
    party->ending = calloc(count, sizeof *party->ending);
    party->opens = calloc(count, sizeof *party->opens);
    party->names = calloc(count, sizeof *party->names);
    party->log_sd = calloc(3 * act, sizeof(float));
    if (explore_tasks_init(&party->tasks, o->robots) || !party->scouts || !party->steps || !party->whose ||
        !party->ending || !party->opens || !party->names || !party->log_sd)
        return fail(party, -ENOMEM, "no memory for these robots");
    party->low = party->log_sd + act;
    party->high = party->low + act;
    int error = 0;
    for (size_t i = 0; i < count && !error; i++)
        error = scout_init(&party->scouts[i], o->world, party->why, party->why_size);
    return error;
}

static void party_release(struct party *party)
{
    for (size_t i = 0; party->scouts && i < party->options->count; i++) {
        struct scout *scout = &party->scouts[i];
        if (scout->instance)
            party->options->world->close(scout->instance);
        free(scout->observation);
        free(scout->explorer.explored);
    }
    explore_tasks_release(&party->tasks);
    free(party->scouts);
    free(party->steps);
    free(party->whose);
    free(party->ending);
    free(party->opens);
    free(party->names);
    free(party->log_sd);
}

// ---- Sessions -------------------------------------------------------------------------------------------------

static void drop_session(struct party *party, struct scout *scout)
{
    if (!scout->session)
        return;
    bel_close(scout->session, 1);
    scout->session = NULL;
    scout->standing = 0;
    party->summary->dropped++;
}

static void drop_all(struct party *party)
{
    for (size_t i = 0; i < party->options->count; i++)
        drop_session(party, &party->scouts[i]);
}

// One for each robot that needs one. *stale: the alias stands for another revision by now, and nothing was opened.
static int open_sessions(struct party *party, int *stale)
{
    const struct explore_options *o = party->options;
    struct bel_session **sessions = party->ending;
    size_t count = 0;
    for (size_t i = 0; i < o->count; i++) {
        struct scout *scout = &party->scouts[i];
        if (scout->session || scout->rows >= party->round_rows)
            continue;
        const struct explore_name name = {o->seed, party->revision - 1, (uint32_t)o->robots, (uint32_t)(o->first + i),
                                          scout->meta};
        explore_name(party->names[count], &name);
        party->opens[count] = (struct bel_open){.id = party->names[count], .model = o->model, .explore = 1};
        party->whose[count++] = scout;
    }
    if (!count)
        return 0;
    int result = bel_open_many(party->bel, party->opens, sessions, count);
    if (result)
        return fail_call(party, result);
    int again = 0;
    for (size_t i = 0; i < count; i++) {
        *stale |= bel_session_model(sessions[i])->revision != party->revision;
        again |= bel_session_resumed(sessions[i]);
    }
    for (size_t i = 0; i < count; i++) {
        // What an earlier life of this worker began under that name is begun again.
        int keep = !*stale && !again;
        if (keep)
            party->whose[i]->session = sessions[i];
        else if ((result = bel_close(sessions[i], 1)))
            return fail_call(party, result);
    }
    if (again && !*stale)
        return open_sessions(party, stale);
    for (size_t i = 0; i < count && !*stale; i++)
        party->whose[i]->session_rows = party->whose[i]->step = party->whose[i]->episode = 0;
    return 0;
}

// Those whose meta-episode is over.
static int finish_sessions(struct party *party)
{
    const struct explore_options *o = party->options;
    size_t count = 0;
    for (size_t i = 0; i < o->count; i++) {
        struct scout *scout = &party->scouts[i];
        if (!scout->session || (scout->episode < o->world->episodes && scout->rows < party->round_rows))
            continue;
        party->ending[count++] = scout->session;
        scout->session = NULL;
        scout->standing = 0;
        scout->meta++;
        o->world->sample_task(&scout->explorer.tasks, scout->task);
    }
    int result = count ? bel_finish_many(party->bel, party->ending, count) : 0;
    if (result)
        return fail_call(party, result);
    party->summary->sessions += count;
    return 0;
}

// ---- Steps ----------------------------------------------------------------------------------------------------

// First observations, for those without one.
static int begin_episodes(struct party *party)
{
    const struct explore_options *o = party->options;
    size_t count = 0;
    for (size_t i = 0; i < o->count; i++) {
        struct scout *scout = &party->scouts[i];
        if (!scout->session || scout->standing)
            continue;
        o->world->reset(scout->instance, scout->task, &scout->explorer.starts, scout->observation);
        explorer_begin_episode(&scout->explorer, o->world->action_dim);
        scout->step = 0;
        scout->returned = 0;
        party->whose[count] = scout;
        party->steps[count++] = (struct bel_step){
            .session = scout->session, .observation = scout->observation, .action = scout->mean};
    }
    int result = count ? bel_act_many(party->bel, party->steps, count) : 0;
    if (result)
        return fail_call(party, result);
    for (size_t i = 0; i < count; i++)
        party->whose[i]->standing = 1;
    return 0;
}

// What a robot does. A simulation that cannot do it leaves the robot without its session.
static int move(struct party *party, struct scout *scout, struct bel_step *step)
{
    const struct world *world = party->options->world;
    const struct explore_bounds bounds = {party->low, party->high, 1, 0};
    explorer_draw(&scout->explorer, scout->action, scout->met, scout->mean, party->log_sd, world->action_dim, &bounds);
    int ended = world->step(scout->instance, scout->met, &scout->reward, scout->observation);
    if (ended < 0) {
        fprintf(stderr, "bel-rollout: the simulation of %s diverged; its meta-episode is dropped\n", world->name);
        scout->rows -= scout->session_rows;
        drop_session(party, scout);
        scout->meta++;
        world->sample_task(&scout->explorer.tasks, scout->task);
        return 0;
    }
    scout->step++;
    scout->rows++;
    scout->session_rows++;
    scout->returned += (double)scout->reward;
    scout->last = ended || scout->step == world->horizon;
    *step = (struct bel_step){
        .session = scout->session, .observation = scout->observation, .executed = scout->action,
        .reward = scout->reward, .last = scout->last, .action = scout->mean};
    return 1;
}

static int step_all(struct party *party)
{
    size_t count = 0;
    for (size_t i = 0; i < party->options->count; i++) {
        struct scout *scout = &party->scouts[i];
        if (scout->session && move(party, scout, &party->steps[count]))
            party->whose[count++] = scout;
    }
    int result = count ? bel_step_many(party->bel, party->steps, count) : 0;
    if (result)
        return fail_call(party, result);
    party->summary->steps += count;
    for (size_t i = 0; i < count; i++) {
        struct scout *scout = party->whose[i];
        if (!scout->last)
            continue;
        scout->standing = 0;
        scout->episode++;
        party->returned += scout->returned;
        party->episodes++;
    }
    return 0;
}

// ---- Rounds ---------------------------------------------------------------------------------------------------

static int is_done(const struct party *party)
{
    for (size_t i = 0; i < party->options->count; i++)
        if (party->scouts[i].rows < party->round_rows || party->scouts[i].session)
            return 0;
    return 1;
}

static void begin_revision(struct party *party)
{
    const struct explore_options *o = party->options;
    uint64_t iteration = party->revision - 1;
    explore_tasks(&party->tasks, o->world, o->robots, o->seed, iteration);
    for (size_t i = 0; i < o->count; i++) {
        struct scout *scout = &party->scouts[i];
        explorer_begin(&scout->explorer, o->seed, iteration, o->first + i);
        memcpy(scout->task, party->tasks.task + (o->first + i) * WORLD_TASK_LIMIT, sizeof scout->task);
        scout->meta = 0;
    }
}

// Each robot makes as many steps as a meta-episode has. *stale: the model changed before that.
static int play_round(struct party *party, int *stale)
{
    party->returned = 0;
    party->episodes = 0;
    *stale = 0;
    for (size_t i = 0; i < party->options->count; i++)
        party->scouts[i].rows = 0;
    int result = 0;
    while (!result && !*stale && !is_done(party) && !*party->options->stop) {
        result = open_sessions(party, stale);
        if (!result && !*stale)
            result = begin_episodes(party);
        if (!result && !*stale)
            result = step_all(party);
        if (!result)
            result = finish_sessions(party);
    }
    return result;
}

// Which model is explored now. 1: one that has not been; 0: the same as before; or a result.
static int look(struct party *party, int wait)
{
    const struct explore_options *o = party->options;
    const struct bel_model *model;
    int result = bel_get_model(party->bel, o->model, party->revision, wait ? MODEL_WAIT_MS : 0, &model);
    if (result)
        return fail_call(party, result);
    size_t act = o->world->action_dim;
    if (model->observation_dim != o->world->observation_dim || model->action_dim != act || !model->action_log_sd)
        return fail(party, BEL_INVALID, "the model is not for this world");
    if (model->revision == 0)
        return fail(party, BEL_INVALID, "the model tells no revision: no learner published it");
    if (model->revision == party->revision)
        return 0;
    memcpy(party->log_sd, model->action_log_sd, act * sizeof(float));
    memcpy(party->low, model->action_low, act * sizeof(float));
    memcpy(party->high, model->action_high, act * sizeof(float));
    party->revision = model->revision;
    begin_revision(party);
    return 1;
}

// Does it pass by itself?
static int passes(int result)
{
    return result == BEL_TIMEOUT || result == BEL_DISCONNECTED || result == BEL_DRAINING || result == BEL_LOST ||
           result == BEL_UNDURABLE || result == BEL_BUSY || result == BEL_RATE || result == BEL_UNKNOWN_MODEL;
}

static void pause_a_while(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
}

static int run(struct party *party)
{
    const struct explore_options *o = party->options;
    struct explore_summary *summary = party->summary;
    int played = 0, unknown = 0;   // rounds with this revision; a model that is not there yet was told
    time_t since = time(NULL);
    while (!*o->stop && (!o->rounds || summary->rounds < o->rounds)) {
        int stale = 0, result = look(party, o->wait && played);
        if (result == 1)
            played = 0;
        if (result == 0 && played && o->wait) {
            if (time(NULL) - since > AGAIN_S)
                party->revision = 0;
            continue;
        }
        if (result >= 0)
            result = play_round(party, &stale);
        if (result == 0 && !stale && !*o->stop) {
            played = 1;
            unknown = 0;
            since = time(NULL);
            summary->rounds++;
            summary->revision = party->revision;
            summary->returned = party->episodes ? party->returned / (double)party->episodes : 0;
            continue;
        }
        bel_set_deadline(party->bel, FAREWELL_MS);
        drop_all(party);
        bel_set_deadline(party->bel, DEADLINE_MS);
        party->revision = 0;  // whatever it is, it is begun anew
        if (result == 0)
            continue;
        if (!passes(result))
            return result;
        if (result != BEL_UNKNOWN_MODEL || !unknown)
            fprintf(stderr, "bel-rollout: %s; trying again\n", party->why);
        unknown = result == BEL_UNKNOWN_MODEL;
        pause_a_while();
    }
    return 0;
}

int explore(struct bel *bel, const struct explore_options *options, struct explore_summary *summary, char *why,
            size_t why_size)
{
    struct party party = {
        .bel = bel, .options = options, .summary = summary, .why = why, .why_size = why_size,
        .round_rows = options->world->horizon * options->world->episodes};
    *summary = (struct explore_summary){0};
    bel_set_deadline(bel, DEADLINE_MS);
    int result = party_init(&party);
    if (!result)
        result = run(&party);
    bel_set_deadline(bel, FAREWELL_MS);
    if (party.scouts)
        drop_all(&party);
    party_release(&party);
    return result;
}
