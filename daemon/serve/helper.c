// The house's helper; the contract is in helper.h.
#include "helper.h"

#include "house.h"

#include <signal.h>

void helper_init(struct helper *helper)
{
    *helper = (struct helper){0};
    pthread_mutex_init(&helper->lock, NULL);
    pthread_cond_init(&helper->more, NULL);
}

static struct job *take(struct helper *helper)
{
    struct job *job = helper->first;
    if (job && !(helper->first = job->next))
        helper->last = NULL;
    return job;
}

static void *work(void *context)
{
    struct house *house = context;
    struct helper *helper = &house->helper;
    pthread_mutex_lock(&helper->lock);
    while (!helper->ending) {
        struct job *job = take(helper);
        if (!job) {
            pthread_cond_wait(&helper->more, &helper->lock);
            continue;
        }
        pthread_mutex_unlock(&helper->lock);
        job->run(job, house);
        pthread_mutex_lock(&helper->lock);
    }
    pthread_mutex_unlock(&helper->lock);
    return NULL;
}

// Signals are the first loop's.
static int start(struct helper *helper, struct house *house)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&helper->thread, NULL, work, house);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    helper->running = !error;
    return -error;
}

int helper_post(struct helper *helper, struct house *house, struct job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&helper->lock);
    int error = helper->running ? 0 : start(helper, house);
    if (!error) {
        if (helper->last)
            helper->last->next = job;
        else
            helper->first = job;
        helper->last = job;
        pthread_cond_signal(&helper->more);
    }
    pthread_mutex_unlock(&helper->lock);
    return error;
}

void helper_release(struct helper *helper)
{
    pthread_mutex_lock(&helper->lock);
    helper->ending = 1;
    pthread_cond_signal(&helper->more);
    pthread_mutex_unlock(&helper->lock);
    if (helper->running)
        pthread_join(helper->thread, NULL);
    for (struct job *job; (job = take(helper));)
        job->run(job, NULL);
    pthread_cond_destroy(&helper->more);
    pthread_mutex_destroy(&helper->lock);
}
