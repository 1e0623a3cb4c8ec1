// See simulation.h. Version differences are asked of mjVERSION_HEADER, which grows with every release.

#include "simulation.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(mjtNum) == sizeof(double), "the engine must compute in double");

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;  // over all simulation_model and the handlers

// By default the engine appends to a file in the current directory and exits. It does not expect this to return.
static void on_error(const char *message)
{
    fprintf(stderr, "MuJoCo cannot go on: %s\n", message);
    abort();
}

// Warnings of a simulation are counted in its data, where simulation_step looks.
static void on_warning(const char *message)
{
    (void)message;
}

// Those of an embedding program stay.
static void install_handlers(void)
{
    if (!mju_user_error)
        mju_user_error = on_error;
    if (!mju_user_warning)
        mju_user_warning = on_warning;
}

static mjModel *load(const struct simulation_model *source, char *why, size_t why_size)
{
    mjVFS *files = malloc(sizeof *files);  // about 2 MB in older versions, too much for a stack
    if (!files) {
        snprintf(why, why_size, "no memory to load the model %s", source->name);
        return NULL;
    }
    mj_defaultVFS(files);
    char error[256] = "";
#if mjVERSION_HEADER >= 313
    int failed = mj_addBufferVFS(files, source->name, source->xml, (int)*source->xml_size);
#else
    int failed = mj_makeEmptyFileVFS(files, source->name, (int)*source->xml_size);
    if (!failed)
        memcpy(files->filedata[mj_findFileVFS(files, source->name)], source->xml, *source->xml_size);
#endif
    mjModel *model = failed ? NULL : mj_loadXML(source->name, files, error, sizeof error);
    mj_deleteVFS(files);
    free(files);
    if (!model)
        snprintf(why, why_size, "MuJoCo %s does not load %s: %s", mj_versionString(), source->name, error);
    return model;
}

int simulation_open(struct simulation *simulation, struct simulation_model *source, char *why, size_t why_size)
{
    if (mj_version() != mjVERSION_HEADER) {
        snprintf(why, why_size, "built for MuJoCo %d, but running with %d", mjVERSION_HEADER, mj_version());
        return -ENOTSUP;
    }
    pthread_mutex_lock(&mutex);
    install_handlers();
    if (!source->shared)
        source->shared = load(source, why, why_size);
    mjModel *model = source->shared;
    if (model)
        source->users++;
    pthread_mutex_unlock(&mutex);
    if (!model)
        return -EINVAL;
    *simulation = (struct simulation){.model = model, .data = mj_makeData(model), .source = source};
    if (!simulation->data) {
        simulation_close(simulation);
        snprintf(why, why_size, "MuJoCo cannot make a simulation of %s", source->name);
        return -ENOMEM;
    }
    return 0;
}

int simulation_own(struct simulation *simulation, char *why, size_t why_size)
{
    simulation->own = mj_copyModel(NULL, simulation->model);
    if (!simulation->own) {
        snprintf(why, why_size, "MuJoCo cannot copy the model %s", simulation->source->name);
        return -ENOMEM;
    }
    simulation->model = simulation->own;
    return 0;
}

void simulation_close(struct simulation *simulation)
{
    mj_deleteData(simulation->data);
    mj_deleteModel(simulation->own);
    struct simulation_model *source = simulation->source;
    pthread_mutex_lock(&mutex);
    if (--source->users == 0) {
        mj_deleteModel(source->shared);
        source->shared = NULL;
    }
    pthread_mutex_unlock(&mutex);
    *simulation = (struct simulation){0};
}

void simulation_place(struct simulation *simulation, const double *qpos, const double *qvel)
{
    mj_resetData(simulation->model, simulation->data);
    memcpy(simulation->data->qpos, qpos, (size_t)simulation->model->nq * sizeof *qpos);
    memcpy(simulation->data->qvel, qvel, (size_t)simulation->model->nv * sizeof *qvel);
    mj_forward(simulation->model, simulation->data);
}

int simulation_step(struct simulation *simulation, int count)
{
    for (int i = 0; i < count; i++)
        mj_step(simulation->model, simulation->data);
    for (int i = 0; i < mjNWARNING; i++)
        if (simulation->data->warning[i].number)
            return -EIO;
    return 0;
}
