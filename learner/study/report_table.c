// Tables of returns; the contract is in report_table.h.

#include "report_table.h"

#include "statistics.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = REPORT_RUNS, WORLDS = 32, AGENTS = REPORT_AGENTS };
static const uint64_t SEED = 1;

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

void report_count(FILE *out, double value)
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

static double typical_return(const struct finished *agent)
{
    double values[RUNS];
    for (size_t i = 0; i < agent->count; i++)
        values[i] = agent->runs[i]->mean_return;
    return statistics_iqm(values, agent->count);
}

// ---- One world ------------------------------------------------------------------------------------------------

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
            table->none = typical_return(agent);
        if (isnan(table->oracle) && !strcmp(run->model, "oracle"))
            table->oracle = typical_return(agent);
    }
}

void table_read(struct table *table, const struct results *results, size_t first, size_t end)
{
    table->count = 0;
    for (size_t i = first; i < end && table->count < AGENTS; i = results_agent_end(results, i))
        collect(&table->agents[table->count++], results, i);
    find_bounds(table);
}

int table_has_gap(const struct table *table)
{
    return table->oracle > table->none;  // neither is NaN then
}

int table_lacks_gap(const struct table *table)
{
    return table->oracle <= table->none;
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

// Columns of returns: one for each episode, and of several the mean.
static size_t return_columns(const struct table *table)
{
    return table->episodes + (table->episodes > 1);
}

struct entries {
    struct interval of[AGENTS][RESULT_EPISODES + 1];
};

static int is_told(const struct finished *agent)
{
    return !strcmp(agent->runs[0]->model, "oracle");
}

static int find_entries(struct entries *entries, const struct table *table)
{
    int error = 0;
    for (size_t a = 0; a < table->count; a++)
        for (size_t c = 0; table->agents[a].count && c < return_columns(table) && !error; c++)
            error = interval_of(&entries->of[a][c], &table->agents[a], c < table->episodes ? c : RESULT_EPISODES);
    return error;
}

int table_has_best(const struct table *table)
{
    size_t contestants = 0;
    for (size_t a = 0; a < table->count; a++)
        contestants += table->agents[a].count && !is_told(&table->agents[a]);
    return contestants > 1;
}

// The best of a column that is not told the task; or one that may be as good, as its interval reaches the best one's.
static int is_best(const struct table *table, const struct entries *entries, size_t agent, size_t column)
{
    const struct interval *best = NULL, *own = &entries->of[agent][column];
    for (size_t a = 0; a < table->count; a++)
        if (table->agents[a].count && !is_told(&table->agents[a]) && (!best || entries->of[a][column].value > best->value))
            best = &entries->of[a][column];
    return table_has_best(table) && !is_told(&table->agents[agent]) && (own == best || own->high >= best->low);
}

// Of the gap, per cent.
static long percent(const struct table *table, double mean)
{
    return lrint(100 * (mean - table->none) / (table->oracle - table->none));
}

static void write_gap(FILE *out, const struct table *table, const struct interval *whole)
{
    fprintf(out, " %ld %%", percent(table, whole->value));
    if (isfinite(whole->low))
        fprintf(out, " [%ld, %ld]", percent(table, whole->low), percent(table, whole->high));
    fprintf(out, " |");
}

static int write_row(FILE *out, const struct table *table, const struct entries *entries, const struct finished *first,
                     size_t a)
{
    const struct finished *agent = &table->agents[a];
    int error = 0;
    fprintf(out, "| %s | %zu | ", agent->label, agent->count);
    report_count(out, mean_of(agent, frames_of));
    fprintf(out, " |");
    for (size_t c = 0; c < return_columns(table); c++) {
        const char *mark = is_best(table, entries, a, c) ? "**" : "";
        fprintf(out, " %s", mark);
        write_interval(out, &entries->of[a][c]);
        fprintf(out, "%s |", mark);
    }
    if (table_has_gap(table))
        write_gap(out, table, &entries->of[a][return_columns(table) - 1]);
    if (first)
        error = write_improvement(out, first, agent);
    double cpu = mean_of(agent, cpu_of);
    fprintf(out, " %.*f | ", cpu < 10, cpu);
    report_count(out, cpu > 0 ? mean_of(agent, frames_of) / cpu : 0);
    fprintf(out, " |\n");
    return error;
}

int table_write(FILE *out, const struct table *table)
{
    const struct finished *first = NULL;
    int comparisons = 0;
    for (size_t a = 0; a < table->count; a++) {
        if (!first && table->agents[a].count)
            first = &table->agents[a];
        comparisons += first && first != &table->agents[a] && is_compared(first, &table->agents[a]);
    }
    if (!first)
        return 0;
    struct entries *entries = malloc(sizeof *entries);
    int error = entries ? find_entries(entries, table) : -ENOMEM;
    if (error) {
        free(entries);
        return error;
    }
    if (!comparisons)
        first = NULL;
    fprintf(out, "| agent | seeds | frames |");
    for (size_t e = 0; e < table->episodes; e++)
        fprintf(out, " episode %zu |", e + 1);
    fprintf(out, "%s%s", table->episodes > 1 ? " mean of episodes |" : "", table_has_gap(table) ? " of the gap |" : "");
    if (first)
        fprintf(out, " %s is better |", first->label);
    fprintf(out, " CPU s | frames per CPU s |\n|---|--:|--:|");
    size_t columns = return_columns(table) + (size_t)table_has_gap(table) + (first != NULL) + 2;
    for (size_t i = 0; i < columns; i++)
        fprintf(out, "--:|");
    fprintf(out, "\n");
    for (size_t a = 0; a < table->count && !error; a++)
        if (table->agents[a].count)
            error = write_row(out, table, entries, first, a);
    fprintf(out, "\n");
    free(entries);
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

int table_write_together(FILE *out, const struct results *results)
{
    size_t worlds = 0, count = 0;
    struct table *table = malloc(sizeof *table);
    struct together *agents = calloc(AGENTS, sizeof *agents);
    int error = table && agents ? 0 : -ENOMEM;
    for (size_t i = 0; i < results->count && !error; i = results_world_end(results, i)) {
        table_read(table, results, i, results_world_end(results, i));
        if (table_has_gap(table)) {
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
