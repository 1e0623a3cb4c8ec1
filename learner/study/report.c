// The report's Markdown; the contract is in report.h.

#include "report.h"

#include "report_table.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// What is not finished is told, so that nobody takes a few seeds for all.
static void write_unfinished(FILE *out, const struct results *results, size_t first, size_t end)
{
    size_t count = 0;
    for (size_t i = first; i < end; i++)
        count += !results->cells[i].finished;
    if (!count)
        return;
    fprintf(out, "Not finished:");
    for (size_t i = first, told = 0; i < end; i++) {
        const struct result *cell = &results->cells[i];
        if (cell->finished)
            continue;
        char label[120];
        results_label(results, cell, label, sizeof label);
        fprintf(out, "%s %s seed %llu (", told++ ? "," : "", label, (unsigned long long)cell->seed);
        report_count(out, cell->frames);
        fprintf(out, " frames)");
    }
    fprintf(out, ".\n\n");
}

void report_origin(const struct results *results, size_t first, size_t end, char *text, size_t size)
{
    const char *commits[8], *cores[8];
    size_t commit_count = 0, core_count = 0;
    for (size_t i = first; i < end; i++) {
        const struct result *cell = &results->cells[i];
        size_t k = 0;
        while (k < commit_count && strcmp(commits[k], cell->commit))
            k++;
        if (k == commit_count && k < 8 && cell->commit[0])
            commits[commit_count++] = cell->commit;
        for (k = 0; k < core_count && strcmp(cores[k], cell->core); k++)
            ;
        if (k == core_count && k < 8 && cell->core[0])
            cores[core_count++] = cell->core;
    }
    size_t used = 0;
    if (results->has_file)
        used = (size_t)snprintf(text, size, "bel-learn experiment %s.ini; ", results->name);
    used += (size_t)snprintf(text + used, size - used, commit_count > 1 ? "commits" : "commit");
    for (size_t k = 0; k < commit_count && used < size; k++)
        used += (size_t)snprintf(text + used, size - used, "%s %s", k ? "," : "", commits[k]);
    if (!commit_count && used < size)
        used += (size_t)snprintf(text + used, size - used, " not known");
    for (size_t k = 0; k < core_count && used < size; k++)
        used += (size_t)snprintf(text + used, size - used, "%s %s", k ? "," : "; OpenBLAS kernels for", cores[k]);
}

static void write_commands(FILE *out, const struct table *table)
{
    size_t known = 0;
    for (size_t a = 0; a < table->count; a++)
        known += table->agents[a].count && table->agents[a].runs[0]->command[0];
    if (!known)
        return;
    fprintf(out, "<details><summary>The command of each</summary>\n\n");
    for (size_t a = 0; a < table->count; a++)
        if (table->agents[a].count && table->agents[a].runs[0]->command[0]) {
            fprintf(out, "    %s    # %s", table->agents[a].runs[0]->command, table->agents[a].label);
            if (table->agents[a].count > 1)
                fprintf(out, ", and seed%s", table->agents[a].count > 2 ? "s" : "");
            for (size_t i = 1; i < table->agents[a].count; i++)
                fprintf(out, " %llu", (unsigned long long)table->agents[a].runs[i]->seed);
            fprintf(out, "\n");
        }
    fprintf(out, "\n</details>\n\n");
}

static void write_evaluation(FILE *out, const struct table *table)
{
    for (size_t a = 0; a < table->count; a++)
        if (table->agents[a].count) {
            const struct result *run = table->agents[a].runs[0];
            fprintf(out, "Return of an episode, mean action, %.0f held-out tasks (seed %.0f).", run->tasks,
                    run->evaluation_seed);
            if (table_has_gap(table))
                fprintf(out, " Of the gap: how much of the way from no belief to the oracle.");
            if (table_lacks_gap(table))
                fprintf(out, " Who is told the task returns no more than who has no belief: there is no gap to close.");
            if (table_has_best(table))
                fprintf(out, " In bold: the best that is not told the task, and those whose interval reaches its.");
            fprintf(out, "\n\n");
            return;
        }
}

static int write_world(FILE *out, const struct results *results, size_t first, size_t end, const char *pictures,
                       char *why, size_t why_size)
{
    char base[1300], origin[600];
    const char *world = results->cells[first].world, *folder = strrchr(pictures, '/');
    struct report_pictures made;
    struct table *table = malloc(sizeof *table);
    if (!table)
        return -ENOMEM;
    snprintf(base, sizeof base, "%s/%s.%s", pictures, results->name, world);
    int error = report_draw(&made, results, first, end, base, why, why_size);
    if (error) {
        free(table);
        return error;
    }
    folder = folder ? folder + 1 : pictures;
    report_origin(results, first, end, origin, sizeof origin);
    table_read(table, results, first, end);
    fprintf(out, "### %s\n\n", world);
    error = table_write(out, table);
    write_evaluation(out, table);
    write_unfinished(out, results, first, end);
    if (made.scores)
        fprintf(out, "![Returns on %s](%s/%s.%s.scores.svg)\n\n", world, folder, results->name, world);
    if (made.learning)
        fprintf(out, "![Learning curves of %s](%s/%s.%s.learning.svg)\n\n", world, folder, results->name, world);
    if (made.adaptation)
        fprintf(out, "![Reward by step of %s](%s/%s.%s.adaptation.svg)\n\n", world, folder, results->name, world);
    fprintf(out, "From `%s`.\n\n", origin);
    write_commands(out, table);
    free(table);
    return error;
}

static int write_experiment(FILE *out, const struct results *results, const char *pictures, char *why, size_t why_size)
{
    fprintf(out, "## %s\n\n", results->title[0] ? results->title : results->name);
    if (results->about[0])
        fprintf(out, "%s\n\n", results->about);
    if (results->budget[0])
        fprintf(out, "Budget: %s.\n\n", results->budget);
    int error = 0;
    for (size_t i = 0; i < results->count && !error; i = results_world_end(results, i))
        error = write_world(out, results, i, results_world_end(results, i), pictures, why, why_size);
    return error ? error : table_write_together(out, results);
}

static const char head[] =
    "# Results\n\n"
    "Made by `%s`; change the experiments, not this page.\n\n"
    "A cell of a table is the interquartile mean over seeds (a quarter of the runs, rounded down, left out at each end) "
    "and in brackets the 95 %% interval of a bootstrap that draws seeds again (10,000 draws; stratified by world where "
    "there are several), as in Agarwal et al., *Deep reinforcement learning at the edge of the statistical precipice* "
    "(2021). *X is better* is the probability that a run of X returns more than one of the row's. One seed has no "
    "interval. CPU seconds are those of training, simulation included, without the evaluation.\n\n";

int report_write(const struct results *all, size_t count, const char *path, const char *command, char *why,
                 size_t why_size)
{
    char pictures[1024], part[1040];
    size_t length = strlen(path);
    if (length < 4 || strcmp(path + length - 3, ".md") || length >= sizeof pictures) {
        snprintf(why, why_size, "the report is a Markdown file, with a name that ends with .md, not \"%s\"", path);
        return -EINVAL;
    }
    snprintf(pictures, sizeof pictures, "%.*s", (int)length - 3, path);
    snprintf(part, sizeof part, "%s.part", path);
    why[0] = 0;
    FILE *out = NULL;
    int error = mkdir(pictures, 0777) && errno != EEXIST ? -errno : 0;
    if (!error && !(out = fopen(part, "w")))
        error = -errno;
    if (!error) {
        fprintf(out, head, command);
        for (size_t i = 0; i < count && !error; i++)
            error = write_experiment(out, &all[i], pictures, why, why_size);
    }
    if (out && ferror(out) && !error)
        error = -EIO;
    if (out && fclose(out) && !error)
        error = -errno;
    if (!error && rename(part, path))
        error = -errno;
    if (error && out)
        unlink(part);
    if (error && !why[0])
        snprintf(why, why_size, "%s: %s", path, strerror(-error));
    return error;
}
