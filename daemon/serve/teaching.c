// Who learns what; the contract is in teaching.h.
#include "teaching.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void teaching_init(struct teaching *teaching)
{
    *teaching = (struct teaching){0};
    pthread_mutex_init(&teaching->lock, NULL);
}

void teaching_release(struct teaching *teaching)
{
    pthread_mutex_destroy(&teaching->lock);
}

int teaching_take(struct teaching *teaching, const char *model, const char *learner, const void *connection,
                  char holder[MODEL_NAME_LIMIT])
{
    int error = 0;
    pthread_mutex_lock(&teaching->lock);
    size_t i = 0;
    while (i < teaching->count && strcmp(teaching->teachers[i].model, model))
        i++;
    if (i < teaching->count && teaching->teachers[i].connection != connection) {
        memcpy(holder, teaching->teachers[i].learner, MODEL_NAME_LIMIT);
        error = -EBUSY;
    } else if (i == TEACHING_LIMIT) {
        error = -ENOSPC;
    } else if (i == teaching->count) {
        struct teacher *teacher = &teaching->teachers[teaching->count++];
        teacher->connection = connection;
        snprintf(teacher->model, sizeof teacher->model, "%s", model);
        snprintf(teacher->learner, sizeof teacher->learner, "%s", learner);
    }
    pthread_mutex_unlock(&teaching->lock);
    return error;
}

void teaching_leave(struct teaching *teaching, const void *connection)
{
    pthread_mutex_lock(&teaching->lock);
    for (size_t i = teaching->count; i-- > 0;)
        if (teaching->teachers[i].connection == connection)
            teaching->teachers[i] = teaching->teachers[--teaching->count];
    pthread_mutex_unlock(&teaching->lock);
}
