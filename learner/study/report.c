// The report's Markdown; the contract is in report.h.

#include "report.h"

#include "statistics.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUNS = 64, WORLDS = 32, AGENTS = 64 };
static const uint64_t SEED = 1;

// One agent's finished runs in one world.
struct finished {
    const struct result *runs[RUNS];
    size_t count;
    char label[120];
};

static void collect(struct finished *agent, const struct results *results, size_t first)
{
    agent->count = 0;
    for (size_t i = first, end = results_agent_end(results, first); i < end && agent->count < RUNS; i++)
        if (results->cells[i].finished)
            agent->runs[agent->count++] = &results->cells[i];
    results_label(results, &results->cells[first], agent->label, sizeof agent->label);
}

// Return of an episode, or of all (episode = RESULT_EPISODES).
static double score(const struct result *run, size_t episode)
{
    return episode < RESULT_EPISODES ? run->returns[episode] : run->mean_return;
}

static int interval_of(struct interval *interval, const struct finished *agent, size_t episode)
{
    double values[RUNS];
    for (size_t i = 0; i < agent->count; i++)
        values[i] = score(agent->runs[i], episode);
    struct stratum stratum = {values, agent->count};
    return statistics_iqm_interval(interval, &stratum, 1, STATISTICS_DRAWS, SEED);
}

static int digits_of(double value)
{
    double size = fabs(value);
    return size < 100 ? 2 : size < 1000 ? 1 : 0;
}

static void write_interval(FILE *out, const struct interval *interval)
{
    int digits = digits_of(interval->value);
    fprintf(out, "%.*f", digits, interval->value);
    if (isfinite(interval->low))
        fprintf(out, " [%.*f, %.*f]", digits, interval->low, digits, interval->high);
}

static void write_count(FILE *out, double value)
{
    if (value >= 1e6)
        fprintf(out, "%.3gM", value * 1e-6);
    else if (value >= 1e4)
        fprintf(out, "%.3gk", value * 1e-3);
    else
        fprintf(out, "%.0f", value);
}

static double mean_of(const struct finished *agent, double (*value)(const struct result *run))
{
    double sum = 0;
    for (size_t i = 0; i < agent->count; i++)
        sum += value(agent->runs[i]);
    return sum / (double)agent->count;
}

static double frames_of(const struct result *run) { return run->frames; }
static double cpu_of(const struct result *run) { return run->cpu_seconds; }
static double mean_return_of(const struct result *run) { return run->mean_return; }

// ---- One world ------------------------------------------------------------------------------------------------

struct table {
    struct finished agents[AGENTS];
    size_t count, episodes;
    double none, oracle;         // mean returns; NaN: not there
};

static void find_bounds(struct table *table)
{
    table->none = table->oracle = NAN;
    table->episodes = 0;
    for (size_t a = 0; a < table->count; a++) {
        const struct finished *agent = &table->agents[a];
        if (!agent->count)
            continue;
        const struct result *run = agent->runs[0];
        table->episodes = run->episodes > table->episodes ? run->episodes : table->episodes;
        if (isnan(table->none) && !strcmp(run->model, "none"))
            table->none = mean_of(agent, mean_return_of);
        if (isnan(table->oracle) && !strcmp(run->model, "oracle"))
            table->oracle = mean_of(agent, mean_return_of);
    }
}

static void read_table(struct table *table, const struct results *results, size_t first, size_t end)
{
    table->count = 0;
    for (size_t i = first; i < end && table->count < AGENTS; i = results_agent_end(results, i))
        collect(&table->agents[table->count++], results, i);
    find_bounds(table);
}

static int has_gap(const struct table *table)
{
    return isfinite(table->none) && isfinite(table->oracle) && table->none != table->oracle;
}

// Runs of two agents can be compared if there is more than one of each.
static int is_compared(const struct finished *a, const struct finished *b)
{
    return a->count > 1 && b->count > 1;
}

static int write_improvement(FILE *out, const struct finished *first, const struct finished *other)
{
    double x[RUNS], y[RUNS];
    struct interval p;
    if (!is_compared(first, other) || first == other) {
        fprintf(out, " |");
        return 0;
    }
    for (size_t i = 0; i < first->count; i++)
        x[i] = first->runs[i]->mean_return;
    for (size_t i = 0; i < other->count; i++)
        y[i] = other->runs[i]->mean_return;
    int error = statistics_improvement(&p, &(struct stratum){x, first->count}, &(struct stratum){y, other->count}, 1,
                                       STATISTICS_DRAWS, SEED);
    if (!error)
        fprintf(out, " %.2f [%.2f, %.2f] |", p.value, p.low, p.high);
    return error;
}

static int write_row(FILE *out, const struct table *table, const struct finished *first, const struct finished *agent)
{
    struct interval interval;
    int error = 0;
    fprintf(out, "| %s | %zu | ", agent->label, agent->count);
    write_count(out, mean_of(agent, frames_of));
    fprintf(out, " |");
    for (size_t e = 0; e < table->episodes + (table->episodes > 1) && !error; e++) {
        if (!(error = interval_of(&interval, agent, e < table->episodes ? e : RESULT_EPISODES))) {
            fprintf(out, " ");
            write_interval(out, &interval);
            fprintf(out, " |");
        }
    }
    if (has_gap(table))
        fprintf(out, " %.0f %% |",
                100 * (mean_of(agent, mean_return_of) - table->none) / (table->oracle - table->none));
    if (!error && first)
        error = write_improvement(out, first, agent);
    double cpu = mean_of(agent, cpu_of);
    fprintf(out, " %.0f | %.0f |\n", cpu, cpu > 0 ? mean_of(agent, frames_of) / cpu : 0);
    return error;
}

static int write_table(FILE *out, const struct table *table)
{
    const struct finished *first = NULL;
    int comparisons = 0, error = 0;
    for (size_t a = 0; a < table->count; a++) {
        if (!first && table->agents[a].count)
            first = &table->agents[a];
        comparisons += first && first != &table->agents[a] && is_compared(first, &table->agents[a]);
    }
    if (!first)
        return 0;
    if (!comparisons)
        first = NULL;
    fprintf(out, "| agent | seeds | frames |");
    for (size_t e = 0; e < table->episodes; e++)
        fprintf(out, " episode %zu |", e + 1);
    fprintf(out, "%s%s", table->episodes > 1 ? " mean of episodes |" : "", has_gap(table) ? " of the gap |" : "");
    if (first)
        fprintf(out, " %s is better |", first->label);
    fprintf(out, " CPU s | frames per CPU s |\n|---|--:|--:|");
    size_t columns = table->episodes + (table->episodes > 1) + (size_t)has_gap(table) + (first != NULL) + 2;
    for (size_t i = 0; i < columns; i++)
        fprintf(out, "--:|");
    fprintf(out, "\n");
    for (size_t a = 0; a < table->count && !error; a++)
        if (table->agents[a].count)
            error = write_row(out, table, first, &table->agents[a]);
    fprintf(out, "\n");
    return error;
}

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
        write_count(out, cell->frames);
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
                fprintf(out, ", and seeds");
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
            if (has_gap(table))
                fprintf(out, " Of the gap: how much of the way from no belief to the oracle.");
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
    read_table(table, results, first, end);
    fprintf(out, "### %s\n\n", world);
    error = write_table(out, table);
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

// ---- All worlds of an experiment together ---------------------------------------------------------------------

// Runs of an agent in all worlds, as shares of the way from no belief to the oracle.
struct together {
    char label[120];
    double values[WORLDS][RUNS];
    struct stratum strata[WORLDS];
    size_t count;
};

static void add_together(struct together *agents, size_t *count, const struct table *table)
{
    for (size_t a = 0; a < table->count; a++) {
        const struct finished *agent = &table->agents[a];
        if (!agent->count || !strcmp(agent->runs[0]->model, "none") || !strcmp(agent->runs[0]->model, "oracle"))
            continue;
        size_t k = 0;
        while (k < *count && strcmp(agents[k].label, agent->label))
            k++;
        if (k == AGENTS)
            continue;
        if (k == *count) {
            agents[(*count)++].count = 0;
            memcpy(agents[k].label, agent->label, sizeof agents[k].label);
        }
        if (agents[k].count == WORLDS)
            continue;
        double *values = agents[k].values[agents[k].count];
        for (size_t i = 0; i < agent->count; i++)
            values[i] = (agent->runs[i]->mean_return - table->none) / (table->oracle - table->none);
        agents[k].strata[agents[k].count++] = (struct stratum){values, agent->count};
    }
}

static int write_together(FILE *out, const struct results *results)
{
    size_t worlds = 0, count = 0;
    struct table *table = malloc(sizeof *table);
    struct together *agents = calloc(AGENTS, sizeof *agents);
    int error = table && agents ? 0 : -ENOMEM;
    for (size_t i = 0; i < results->count && !error; i = results_world_end(results, i)) {
        read_table(table, results, i, results_world_end(results, i));
        if (has_gap(table)) {
            worlds++;
            add_together(agents, &count, table);
        }
    }
    if (!error && worlds > 1) {
        fprintf(out, "### All %zu worlds together\n\nInterquartile mean over all runs, each as a share of the way from "
                "no belief (0) to the oracle (1) of its world.\n\n| agent | worlds | of the gap |\n|---|--:|--:|\n",
                worlds);
        for (size_t k = 0; k < count && !error; k++) {
            struct interval interval;
            error = statistics_iqm_interval(&interval, agents[k].strata, agents[k].count, STATISTICS_DRAWS, SEED);
            fprintf(out, "| %s | %zu | ", agents[k].label, agents[k].count);
            write_interval(out, &interval);
            fprintf(out, " |\n");
        }
        fprintf(out, "\n");
    }
    free(table);
    free(agents);
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
    return error ? error : write_together(out, results);
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
