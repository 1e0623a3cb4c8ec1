// What a belief can be asked about: transitions that would have been ideal in a known task, binned by the task.

#include "glibrl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { LANDMARKS = 31 };           // bins along a task of one dimension
enum { LANDMARK_SIDE = 12 };       // and along each of two
enum { TASK_DIMS_LIMIT = 4 };
enum { LANDMARK_LEAST = 20 };      // transitions that make a bin a landmark

static int init(struct landmarks *bins, const struct world *world, size_t D)
{
    *bins = (struct landmarks){.dims = world->task_dim, .bins = 1};
    for (size_t i = 0; i < bins->dims; i++) {
        bins->side[i] = bins->dims == 1 ? LANDMARKS : bins->dims == 2 ? LANDMARK_SIDE : 4;
        bins->bins *= bins->side[i];
    }
    bins->task = calloc(bins->bins * (bins->dims + D + 1), sizeof *bins->task);
    if (!bins->task)
        return -ENOMEM;
    bins->features = bins->task + bins->bins * bins->dims;
    bins->transitions = bins->features + bins->bins * D;
    return 0;
}

static size_t bin_of(const struct landmarks *bins, const struct world *world, const double *task)
{
    size_t bin = 0;
    for (size_t i = 0; i < bins->dims; i++) {
        double share = (task[i] - world->task_low[i]) / (world->task_high[i] - world->task_low[i]);
        double place = floor(share * (double)bins->side[i]);
        size_t index = place < 0 ? 0 : place >= (double)bins->side[i] ? bins->side[i] - 1 : (size_t)place;
        bin = bin * bins->side[i] + index;
    }
    return bin;
}

// Features of each replayed transition that would have been ideal in some task, as if its action had cost nothing.
static void fill_bins(struct train *train, struct landmarks *bins)
{
    struct glibrl *own = train->inferring;
    const struct replay *r = &train->replay;
    const struct world *world = train->world;
    struct basis *basis = &own->basis[HEAD_REWARD];
    size_t obs = r->observation_dim, act = r->action_dim, D = basis->features;
    float *in = basis_work_input(train);
    float rest[MODEL_ACTION_LIMIT] = {0};
    double task[WORLD_TASK_LIMIT], phi[256];
    for (size_t slot = 0; slot < replay_slots(r); slot++)
        for (size_t t = 0; t < r->count[slot]; t++) {
            size_t row = slot * r->steps + t;
            const float *s = r->observation + row * obs, *next = r->next_observation + row * obs;
            if (!world->ideal_task(s, r->action + row * act, next, task))
                continue;
            basis_row(train, HEAD_REWARD, in, s, rest, next);
            basis_features(basis, phi, in, 1, basis_work_scratch(train, HEAD_REWARD));
            size_t bin = bin_of(bins, world, task);
            bins->transitions[bin]++;
            for (size_t i = 0; i < bins->dims; i++)
                bins->task[bin * bins->dims + i] += task[i];
            for (size_t i = 0; i < D; i++)
                bins->features[bin * D + i] += phi[i];
        }
}

int landmarks_gather(struct landmarks *landmarks, struct train *train)
{
    const struct glibrl *own = train->inferring;
    landmarks_release(landmarks);
    // Bins of more than a few dimensions would hold too little to be asked about.
    if (train->world->task_dim > TASK_DIMS_LIMIT)
        return 0;
    if (init(landmarks, train->world, own->basis[HEAD_REWARD].features))
        return -ENOMEM;
    fill_bins(train, landmarks);
    for (size_t b = 0; b < landmarks->bins; b++)
        landmarks->count += landmarks->transitions[b] >= LANDMARK_LEAST;
    return 0;
}

void landmarks_fill(const struct landmarks *landmarks, struct model *model)
{
    size_t dims = landmarks->dims, D = model->heads[HEAD_REWARD].features;
    for (size_t b = 0, l = 0; b < landmarks->bins; b++) {
        double n = landmarks->transitions[b];
        if (n < LANDMARK_LEAST)
            continue;
        for (size_t i = 0; i < dims; i++)
            model->landmark_tasks[l * dims + i] = landmarks->task[b * dims + i] / n;
        for (size_t i = 0; i < D; i++)
            model->landmark_features[l * D + i] = landmarks->features[b * D + i] / n;
        l++;
    }
}

void landmarks_release(struct landmarks *landmarks)
{
    free(landmarks->task);
    *landmarks = (struct landmarks){0};
}
