// bel-learn experiment FILE: trains every cell of an experiment that is not trained yet.

#include "learner/commands.h"

#include "learner/arguments.h"
#include "live.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct wishes {
    const char *file, *out, *only;
    uint64_t jobs;
    int list, json, replace;
};

// 0; or -1 with what to exit with in status.
static int parse(struct wishes *wishes, int argc, char **argv, int *status)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *wishes = (struct wishes){.out = "results", .jobs = processors > 0 ? (uint64_t)processors : 1};
    const struct argument arguments[] = {
        {"--out", 't', &wishes->out, 0, 0, "DIR", "cells go to DIR/EXPERIMENT/CELL (results)"},
        {"--jobs", 'u', &wishes->jobs, 1, 1024, "N", "trainings side by side, with one thread each (one for each processor)"},
        {"--only", 't', &wishes->only, 0, 0, "PATTERN", "cells whose name matches, such as '*.varibad.*'"},
        {"--list", 'f', &wishes->list, 0, 0, NULL, "tells what each cell has come to; trains nothing"},
        {"--replace", 'f', &wishes->replace, 0, 0, NULL, "another training in a cell's directory is cleared away first"},
        {"--json", 'f', &wishes->json, 0, 0, NULL, "one JSON line at the end"},
    };
    const struct command_line line = {
        "experiment", "bel-learn experiment trains every cell of an experiment, worlds times models times algorithms times "
        "seeds,\nthat is not trained yet (docs/experiments.md; examples are in learner/experiments).\n\n"
        "    bel-learn experiment FILE [options]", "of which file?", 1, 1, arguments,
        sizeof arguments / sizeof *arguments};
    if (arguments_read(&line, argc, argv, status) < 0)
        return -1;
    wishes->file = argv[2];
    return 0;
}

static cJSON *number_or_null(double value)
{
    return isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull();
}

static int print_cells(const struct run *run)
{
    cJSON *object = cJSON_CreateObject(), *cells = cJSON_AddArrayToObject(object, "cells");
    for (size_t i = 0; i < run->count; i++) {
        const struct job *job = &run->jobs[i];
        cJSON *cell = cJSON_CreateObject();
        cJSON_AddItemToArray(cells, cell);
        cJSON_AddStringToObject(cell, "name", job->cell->name);
        cJSON_AddStringToObject(cell, "directory", job->directory);
        cJSON_AddStringToObject(cell, "state", job_state_name(job));
        cJSON_AddBoolToObject(cell, "was_finished", job->was_finished);
        cJSON_AddNumberToObject(cell, "frames", (double)job->progress.frames);
        cJSON_AddNumberToObject(cell, "of_frames", (double)job->cell->frames);
        cJSON_AddItemToObject(cell, "return", number_or_null(job->progress.mean_return));
        cJSON_AddNumberToObject(cell, "frames_per_second", job->progress.frames_per_second);
        if (job->state == JOB_FAILED)
            cJSON_AddStringToObject(cell, "why", job->why);
    }
    cJSON_AddStringToObject(object, "experiment", run->experiment->name);
    cJSON_AddNumberToObject(object, "finished", (double)run_count(run, JOB_FINISHED));
    cJSON_AddNumberToObject(object, "failed", (double)run_count(run, JOB_FAILED));
    return print_json(object);
}

// The report finds there what the experiment is called. 0 or 1.
static int copy_file(const struct experiment *experiment, const char *out)
{
    char directory[1100], to[1200], part[1210], block[4096];
    snprintf(directory, sizeof directory, "%s/%s", out, experiment->name);
    snprintf(to, sizeof to, "%s/experiment.ini", directory);
    snprintf(part, sizeof part, "%s.part", to);
    int error = cell_make_directories(directory);
    FILE *from = error ? NULL : fopen(experiment->path, "r"), *copy = from ? fopen(part, "w") : NULL;
    if (!error && !copy)
        error = -errno;
    for (size_t size; !error && (size = fread(block, 1, sizeof block, from)) > 0;)
        if (fwrite(block, 1, size, copy) != size)
            error = -errno;
    if (from)
        fclose(from);
    if (copy && fclose(copy) && !error)
        error = -errno;
    if (!error && rename(part, to))
        error = -errno;
    return error ? fail("cannot write %s: %s", to, strerror(-error)) : 0;
}

static int status_of(const struct run *run)
{
    for (size_t i = 0; i < run->count; i++)
        if (run->jobs[i].state == JOB_FAILED)
            fail("%s: %s", run->jobs[i].directory, run->jobs[i].why);
    return run->interrupted ? 130 : run_count(run, JOB_FAILED) ? 1 : 0;
}

int experiment_command(int argc, char **argv)
{
    struct wishes wishes;
    char why[700] = "no memory";
    int status;
    if (parse(&wishes, argc, argv, &status))
        return status;
    struct experiment *experiment;
    if (experiment_read(&experiment, wishes.file, why, sizeof why))
        return fail("%s", why), 2;
    struct run run;
    struct live live = {0};
    status = 1;
    FILE *out = wishes.json ? stderr : stdout;
    if (run_new(&run, experiment, wishes.out, wishes.only, why, sizeof why)) {
        fail("%s", why);
        goto done;
    }
    run.side_by_side = (unsigned)wishes.jobs;
    if (live_init(&live, out, &run)) {
        fail("no memory");
        goto done;
    }
    status = wishes.list ? 0 : copy_file(experiment, wishes.out);
    if (status)
        goto done;
    if (!wishes.list)
        run_jobs(&run, wishes.replace, live_watch, &live);
    if (wishes.json)
        status = print_cells(&run);
    else if (wishes.list || !live.terminal)
        live_list(out, &run);
    if (!status)
        status = status_of(&run);
done:
    live_release(&live);
    run_release(&run);
    experiment_free(experiment);
    return status;
}
