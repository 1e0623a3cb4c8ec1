#pragma once
// Who learns which model: one learner for each name that models are published under, as long as its connection lives. A
// second one would undo the first one's work without either of them noticing.

#include "daemon/agent/model.h"

#include <pthread.h>

enum { TEACHING_LIMIT = 64 };

struct teacher {
    char model[MODEL_NAME_LIMIT];      // the name, mostly an alias
    char learner[MODEL_NAME_LIMIT];
    const void *connection;
};

struct teaching {
    pthread_mutex_t lock;
    size_t count;
    struct teacher teachers[TEACHING_LIMIT];
};

void teaching_init(struct teaching *teaching);
void teaching_release(struct teaching *teaching);

// All of them from any thread. 0: it is this connection's from now on, or was. -EBUSY and the name of who has it;
// -ENOSPC: too many.
int teaching_take(struct teaching *teaching, const char *model, const char *learner, const void *connection,
                  char holder[MODEL_NAME_LIMIT]);
// The connection has ended.
void teaching_leave(struct teaching *teaching, const void *connection);
