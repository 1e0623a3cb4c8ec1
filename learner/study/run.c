// Cells side by side; the contract is in run.h.

#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STOPPED_BY_SIGNAL = 130 };
static const struct timespec TURN = {.tv_nsec = 500000000};

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int run_new(struct run *run, const struct experiment *experiment, const char *directory, const char *only, char *why,
            size_t why_size)
{
    *run = (struct run){.experiment = experiment, .begun = now_seconds()};
    if (!(run->jobs = calloc(experiment->count + 1, sizeof *run->jobs)))
        return -ENOMEM;
    for (size_t i = 0; i < experiment->count; i++) {
        const struct experiment_cell *cell = &experiment->cells[i];
        if (only && fnmatch(only, cell->name, 0))
            continue;
        struct job *job = &run->jobs[run->count++];
        *job = (struct job){.cell = cell, .lock = -1};
        if (snprintf(job->directory, sizeof job->directory, "%s/%s/%s", directory, experiment->name, cell->name)
            >= (int)sizeof job->directory) {
            snprintf(why, why_size, "the path of the directory is too long");
            return -ENAMETOOLONG;
        }
        int found = cell_look(job->directory, cell, job->why, sizeof job->why);
        job->state = found == CELL_FINISHED ? JOB_FINISHED : found == CELL_DIFFERS || found < 0 ? JOB_FAILED : JOB_WAITING;
        job->was_finished = job->state == JOB_FINISHED;
        if (found == CELL_BEGUN || found == CELL_FINISHED)
            cell_progress(job->directory, &job->progress);
        else
            job->progress.mean_return = NAN;
    }
    if (run->count == 0) {
        snprintf(why, why_size, "no cell of %s matches \"%s\"", experiment->path, only ? only : "*");
        return -ENOENT;
    }
    return 0;
}

void run_release(struct run *run)
{
    free(run->jobs);
    *run = (struct run){0};
}

// In the child: the training, from the same build as this program even if that is being replaced.
static _Noreturn void become_training(const struct job *job, pid_t parent)
{
    char option[CELL_SETTINGS][52], path[4][1100];
    const char *argv[CELL_ARGUMENTS + 20] = {"bel-learn", "train"};
    static const char *const files[] = {"checkpoint", "model.safetensors", "result.json.part", "stderr"};
    for (size_t i = 0; i < 4; i++)
        snprintf(path[i], sizeof path[i], "%s/%s", job->directory, files[i]);
    size_t argc = 2 + cell_arguments(job->cell, option, argv + 2);
    const char *const rest[] = {"--threads", "1", "--log", job->directory, "--checkpoint", path[0], "--resume", "--out",
                                path[1], "--quiet", "--json"};
    memcpy(argv + argc, rest, sizeof rest);
    argv[argc + sizeof rest / sizeof *rest] = NULL;

    int error = open(path[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int output = open(path[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (error < 0 || output < 0)
        _exit(127);
    fcntl(job->lock, F_SETFD, 0);  // the training holds it too, and none of the others
    dup2(output, STDOUT_FILENO);
    dup2(error, STDERR_FILENO);
    // Whatever becomes of the parent, nothing is left running that nobody watches.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(STOPPED_BY_SIGNAL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv("/proc/self/exe", (char **)(uintptr_t)argv);
    fprintf(stderr, "/proc/self/exe: %s\n", strerror(errno));
    _exit(127);
}

static void begin(struct job *job, int replace)
{
    char why[600];
    int lock = cell_begin(job->directory, job->cell, replace, why, sizeof why);
    if (lock == -EAGAIN) {
        job->elsewhere = 1;
        return;
    }
    job->elsewhere = 0;
    if (lock < 0) {
        job->state = JOB_FAILED;
        snprintf(job->why, sizeof job->why, "%s", why);
        return;
    }
    // Somebody else may have finished it since.
    if (cell_look(job->directory, job->cell, why, sizeof why) == CELL_FINISHED) {
        close(lock);
        cell_progress(job->directory, &job->progress);
        job->state = JOB_FINISHED;
        return;
    }
    pid_t parent = getpid();
    job->lock = lock;
    job->child = fork();
    if (job->child == 0)
        become_training(job, parent);
    job->state = job->child < 0 ? JOB_FAILED : JOB_RUNNING;
    if (job->child < 0) {
        snprintf(job->why, sizeof job->why, "cannot start a process: %s", strerror(errno));
        close(lock);
    }
}

// The last line of what a training said, without the program's name.
static void last_words(const char *directory, char *out, size_t room)
{
    char path[1100], line[600];
    snprintf(path, sizeof path, "%s/stderr", directory);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0])
            snprintf(out, room, "%s", strncmp(line, "bel-learn: ", 11) ? line : line + 11);
    }
    if (file)
        fclose(file);
}

static void end(struct job *job, int status)
{
    job->child = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        job->state = cell_finish(job->directory, job->why, sizeof job->why) ? JOB_FAILED : JOB_FINISHED;
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == STOPPED_BY_SIGNAL) {
        job->state = JOB_STOPPED;
    } else {
        job->state = JOB_FAILED;
        job->why[0] = 0;
        if (WIFSIGNALED(status))
            snprintf(job->why, sizeof job->why, "the training was killed: %s", strsignal(WTERMSIG(status)));
        else
            last_words(job->directory, job->why, sizeof job->why);
        if (!job->why[0])
            snprintf(job->why, sizeof job->why, "the training ended with exit status %d and said nothing",
                     WEXITSTATUS(status));
    }
    cell_progress(job->directory, &job->progress);
    close(job->lock);
    job->lock = -1;
}

// Fills the free places, first those that nobody else had. Returns whether anything changed.
static int begin_some(struct run *run, int replace)
{
    int changed = 0;
    for (int elsewhere = 0; elsewhere < 2; elsewhere++)
        for (size_t i = 0; i < run->count && run_count(run, JOB_RUNNING) < run->side_by_side; i++)
            if (run->jobs[i].state == JOB_WAITING && run->jobs[i].elsewhere == elsewhere) {
                begin(&run->jobs[i], replace);
                changed |= run->jobs[i].state != JOB_WAITING;
            }
    return changed;
}

static int end_some(struct run *run)
{
    int changed = 0, status;
    for (size_t i = 0; i < run->count; i++) {
        struct job *job = &run->jobs[i];
        if (job->state == JOB_RUNNING && waitpid(job->child, &status, WNOHANG) == job->child) {
            end(job, status);
            changed = 1;
        }
    }
    return changed;
}

void run_jobs(struct run *run, int replace, void (*watch)(void *context, const struct run *run), void *context)
{
    // Asked for one at a time, signals need no handler.
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &before);
    if (replace)
        for (size_t i = 0; i < run->count; i++)
            if (run->jobs[i].state == JOB_FAILED)
                run->jobs[i].state = JOB_WAITING;
    for (;;) {
        if (!run->interrupted)
            begin_some(run, replace);
        watch(context, run);
        if (run_count(run, JOB_RUNNING) == 0 && (run->interrupted || run_count(run, JOB_WAITING) == 0))
            break;
        int signal = sigtimedwait(&signals, NULL, &TURN);
        if (signal == SIGINT || signal == SIGTERM) {
            run->interrupted = 1;
            for (size_t i = 0; i < run->count; i++)
                if (run->jobs[i].state == JOB_RUNNING)
                    kill(run->jobs[i].child, SIGTERM);
        }
        end_some(run);
        for (size_t i = 0; i < run->count; i++)
            if (run->jobs[i].state == JOB_RUNNING || run->jobs[i].elsewhere)
                cell_progress(run->jobs[i].directory, &run->jobs[i].progress);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
}

size_t run_count(const struct run *run, enum job_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < run->count; i++)
        count += run->jobs[i].state == state;
    return count;
}

const char *job_state_name(const struct job *job)
{
    static const char *const names[JOB_STATES] = {"waiting", "running", "finished", "stopped", "failed"};
    return job->state == JOB_WAITING && job->elsewhere ? "elsewhere" : names[job->state];
}

double job_seconds_left(const struct job *job)
{
    const struct cell_progress *p = &job->progress;
    if (p->frames >= job->cell->frames)
        return 0;
    return p->frames_per_second > 0 ? (double)(job->cell->frames - p->frames) / p->frames_per_second : NAN;
}

double run_seconds_left(const struct run *run)
{
    double rate = 0, rates = 0, seconds = 0, longest = 0;
    for (size_t i = 0; i < run->count; i++)
        if (run->jobs[i].progress.frames_per_second > 0) {
            rate += run->jobs[i].progress.frames_per_second;
            rates++;
        }
    if (!rates)
        return NAN;
    rate /= rates;
    for (size_t i = 0; i < run->count; i++) {
        const struct job *job = &run->jobs[i];
        if (job->state != JOB_WAITING && job->state != JOB_RUNNING)
            continue;
        double left = job_seconds_left(job);
        if (isnan(left))
            left = (double)job->cell->frames / rate;
        seconds += left;
        longest = fmax(longest, left);
    }
    return fmax(longest, seconds / run->side_by_side);
}
