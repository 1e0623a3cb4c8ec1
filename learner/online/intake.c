// From pages to rounds; the contract is in intake.h.
#include "intake.h"

#include "daemon/agent/model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void intake_init(struct intake *intake, const struct world *world, size_t robots, int tasks_matter,
                 struct replay *replay, uint64_t *used)
{
    *intake = (struct intake){
        .world = world, .robots = robots, .obs = world->observation_dim, .act = world->action_dim,
        .steps = world->horizon * world->episodes, .tasks_matter = tasks_matter, .replay = replay, .used = used,
        .action_low = world->action_low, .action_high = world->action_high};
}

// ---- Memory: sessions and rounds are used again and again -----------------------------------------------------

static struct told *told_new(struct intake *intake)
{
    struct told *told = intake->free_told;
    size_t rows = intake->steps, width = 2 * intake->obs + intake->act + 1;
    if (told) {
        intake->free_told = told->next;
        void *memory = told->memory;
        *told = (struct told){.memory = memory};
    } else {
        told = calloc(1, sizeof *told);
        if (!told || !(told->memory = malloc(rows * width * sizeof(float) + rows))) {
            free(told);
            return NULL;
        }
    }
    told->observation = told->memory;
    told->next_observation = told->observation + rows * intake->obs;
    told->action = told->next_observation + rows * intake->obs;
    told->reward = told->action + rows * intake->act;
    told->last = (uint8_t *)(told->reward + rows);
    return told;
}

static void told_drop(struct intake *intake, struct told *told)
{
    told->next = intake->free_told;
    intake->free_told = told;
}

static struct round *round_new(struct intake *intake, uint32_t robot)
{
    struct round *round = intake->free_rounds;
    if (round)
        intake->free_rounds = round->next;
    else if (!(round = malloc(sizeof *round)))
        return NULL;
    *round = (struct round){.robot = robot};
    if (intake->last_round)
        intake->last_round->next = round;
    else
        intake->rounds = round;
    intake->last_round = round;
    return round;
}

static void free_all(struct told *told)
{
    while (told) {
        struct told *next = told->next;
        free(told->memory);
        free(told);
        told = next;
    }
}

void intake_release(struct intake *intake)
{
    if (intake->taking)
        told_drop(intake, intake->taking);
    for (struct round *lists[] = {intake->rounds, intake->free_rounds}, **list = lists; list < lists + 2; list++)
        while (*list) {
            struct round *round = *list;
            *list = round->next;
            if (list == lists)
                free_all(round->first);
            free(round);
        }
    free_all(intake->free_told);
    *intake = (struct intake){0};
}

// ---- What serves the basis only -------------------------------------------------------------------------------

static void to_basis(struct intake *intake, const struct told *told)
{
    float met[MODEL_ACTION_LIMIT];
    if (!intake->replay->slots || told->broken || told->rows == 0)
        return;
    replay_begin(intake->replay);
    for (size_t row = 0; row < told->rows; row++) {
        const float *action = told->action + row * intake->act;
        for (size_t i = 0; i < intake->act; i++)
            met[i] = fminf(fmaxf(action[i], intake->action_low), intake->action_high);
        replay_add(intake->replay, told->observation + row * intake->obs, met,
                   told->next_observation + row * intake->obs, told->reward[row]);
    }
}

void intake_begin(struct intake *intake, const char *model_digest)
{
    while (intake->rounds) {
        struct round *round = intake->rounds;
        intake->rounds = round->next;
        while (round->first) {
            struct told *told = round->first;
            round->first = told->next;
            told_drop(intake, told);
        }
        round->next = intake->free_rounds;
        intake->free_rounds = round;
    }
    intake->last_round = NULL;
    intake->complete = 0;
    memcpy(intake->model_digest, model_digest, sizeof intake->model_digest);
}

// ---- What serves the policy -----------------------------------------------------------------------------------

static int is_complete(const struct intake *intake, const struct round *round) { return round->rows == intake->steps; }

// A robot's sessions in order: by the iteration whose model they were made with, then by number.
static uint64_t intake_key(const struct explore_name *name) { return (name->iteration << 24 | name->meta) + 1; }

// Is the session there already, or was it used before? (A worker that began anew made it again, with the same bits.)
static int is_double(const struct intake *intake, const struct told *told)
{
    if (told->name.robot < intake->robots && intake_key(&told->name) <= intake->used[told->name.robot])
        return 1;
    for (const struct round *round = intake->rounds; round; round = round->next)
        for (const struct told *t = round->first; t; t = t->next)
            if (t->name.robot == told->name.robot && t->name.meta == told->name.meta && t->name.seed == told->name.seed &&
                t->name.iteration == told->name.iteration)
                return 1;
    return 0;
}

// To the round that its robot has begun, or a new one. A meta-episode is whole, or the round's last.
static int to_round(struct intake *intake, struct told *told)
{
    struct round *round = intake->rounds;
    while (round && (round->robot != told->name.robot || is_complete(intake, round)))
        round = round->next;
    size_t rows = (round ? round->rows : 0) + told->rows;
    int whole = told->rows > 0 && told->last[told->rows - 1] && told->episodes == intake->world->episodes;
    if (rows > intake->steps || (!whole && rows < intake->steps)) {
        intake->counts.broken++;
        to_basis(intake, told);
        told_drop(intake, told);
        return 0;
    }
    if (!round && !(round = round_new(intake, told->name.robot)))
        return -ENOMEM;
    told->next = NULL;
    if (round->final)
        round->final->next = told;
    else
        round->first = told;
    round->final = told;
    round->rows = rows;
    intake->complete += is_complete(intake, round);
    return 0;
}

static int settle(struct intake *intake, struct told *told)
{
    struct intake_counts *counts = &intake->counts;
    counts->sessions++;
    if (told->broken) {
        counts->broken++;
    } else if (told->named && is_double(intake, told)) {
        counts->duplicates++;
    } else if (strcmp(told->model_digest, intake->model_digest)) {
        counts->stale++;
        to_basis(intake, told);
    } else if (intake->tasks_matter && !told->named) {
        counts->unnamed++;
        to_basis(intake, told);
    } else {
        return to_round(intake, told);
    }
    told_drop(intake, told);
    return 0;
}

// ---- Pages ----------------------------------------------------------------------------------------------------

static int all_finite(const float *numbers, size_t count)
{
    int finite = 1;
    for (size_t i = 0; i < count; i++)
        finite &= isfinite(numbers[i]) != 0;
    return finite;
}

static void add_row(struct intake *intake, struct told *told, const struct bel_explored *t)
{
    size_t obs = intake->obs, act = intake->act, row = told->rows;
    int begins = row == 0 || told->last[row - 1];
    int follows = begins ? t->first : !t->first && t->seq == told->last_seq + 1 &&
                                          !memcmp(told->next_observation + (row - 1) * obs, t->observation,
                                                  obs * sizeof(float));
    int finite = all_finite(t->observation, obs) && all_finite(t->action, act) &&
                 all_finite(t->next_observation, obs) && isfinite(t->reward);
    told->broken |= row == intake->steps || !follows || !finite || t->task != (row ? told->task : t->task);
    if (told->broken)
        return;
    memcpy(told->observation + row * obs, t->observation, obs * sizeof(float));
    memcpy(told->action + row * act, t->action, act * sizeof(float));
    memcpy(told->next_observation + row * obs, t->next_observation, obs * sizeof(float));
    told->reward[row] = t->reward;
    told->last[row] = t->last != 0;
    told->episodes += t->last != 0;
    told->task = t->task;
    told->last_seq = t->seq;
    told->rows++;
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t length = strlen(from);
    length = length < size ? length : size - 1;
    memcpy(to, from, length);
    to[length] = '\0';
}

int intake_take(struct intake *intake, const struct bel_page *page)
{
    struct told *told = intake->taking;
    if (told && told->number != page->number) {  // the rest of it was forgotten at the daemon
        intake->counts.broken++;
        told_drop(intake, told);
        told = intake->taking = NULL;
    }
    if (page->transition_count > 0 && (page->observation_dim != intake->obs || page->action_dim != intake->act)) {
        intake->counts.foreign += !page->more;
        return 0;
    }
    if (!told) {
        if (!(told = told_new(intake)))
            return -ENOMEM;
        told->number = page->number;
        copy_text(told->session, sizeof told->session, page->session);
        copy_text(told->model_digest, sizeof told->model_digest, page->model_digest);
        told->named = !explore_name_read(&told->name, page->session) && told->name.robots == intake->robots;
        told->count = page->count;
        memcpy(told->digest, page->digest, sizeof told->digest);
    }
    for (size_t i = 0; i < page->transition_count; i++)
        add_row(intake, told, &page->transitions[i]);
    intake->taking = page->more ? told : NULL;
    return page->more ? 0 : settle(intake, told);
}

static int by_robot(const void *a, const void *b)
{
    const struct round *x = *(struct round *const *)a, *y = *(struct round *const *)b;
    if (x->robot != y->robot)
        return x->robot < y->robot ? -1 : 1;
    return x->first->number < y->first->number ? -1 : 1;
}

size_t intake_rounds(struct intake *intake, struct round **rounds, size_t limit)
{
    size_t count = 0;
    for (struct round *round = intake->rounds; round; round = round->next) {
        if (is_complete(intake, round) && count < limit)
            rounds[count++] = round;
        else
            for (const struct told *told = round->first; told; told = told->next)
                to_basis(intake, told);
    }
    for (size_t i = 0; i < count; i++)
        for (const struct told *told = rounds[i]->first; told; told = told->next)
            if (told->named && told->name.robot < intake->robots) {
                uint64_t *used = &intake->used[told->name.robot], key = intake_key(&told->name);
                *used = key > *used ? key : *used;
            }
    qsort(rounds, count, sizeof *rounds, by_robot);
    return count;
}

void intake_task(const struct intake *intake, struct told *told, struct explore_tasks *tasks)
{
    const struct explore_name *name = &told->name;
    memset(told->hidden, 0, sizeof told->hidden);
    if (!told->named)
        return;
    explore_tasks(tasks, intake->world, name->robots, name->seed, name->iteration);
    memcpy(told->hidden, tasks->task + name->robot * WORLD_TASK_LIMIT, sizeof told->hidden);
    // Later ones are draws of the robot's own stream.
    struct random_stream stream = random_stream(name->seed, EXPLORE_TASK, (uint32_t)name->iteration, name->robot);
    for (uint32_t i = 0; i < name->meta; i++)
        intake->world->sample_task(&stream, told->hidden);
}
