#pragma once
// A thread for what takes long and must not stop a loop: reading and warming models, asking the log for a model. Jobs
// are done one after another; a job tells its result by a letter.

#include <pthread.h>

struct house;

struct job {
    struct job *next;
    void (*run)(struct job *job, struct house *house);  // house NULL: the house ends; then it only frees
};

struct helper {
    pthread_mutex_t lock;
    pthread_cond_t more;
    pthread_t thread;
    int running, ending;
    struct job *first, *last;
};

void helper_init(struct helper *helper);
void helper_release(struct helper *helper);  // ends after the job at hand; the others are freed
// Starts the thread with the first job. A negative errno: no thread; then the job is still the caller's. Any thread.
int helper_post(struct helper *helper, struct house *house, struct job *job);
