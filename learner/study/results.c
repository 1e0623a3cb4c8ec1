// Reading results back; the contract is in results.h.

#include "results.h"

#include "ini_file.h"
#include "learner/options.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_LIMIT = 256 << 20 };

static double number_of(const cJSON *object, const char *name, double otherwise)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(value) ? value->valuedouble : otherwise;
}

static void text_of(const cJSON *object, const char *name, char *out, size_t size)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    if (text)
        snprintf(out, size, "%s", text);
}

static char *read_text(const char *path)
{
    struct stat info;
    FILE *file = fopen(path, "r");
    char *text = NULL;
    if (file && fstat(fileno(file), &info) == 0 && info.st_size < TEXT_LIMIT
        && (text = malloc((size_t)info.st_size + 1)))
        text[fread(text, 1, (size_t)info.st_size, file)] = 0;
    if (file)
        fclose(file);
    return text;
}

// ---- One cell -------------------------------------------------------------------------------------------------

static void read_description(struct result *cell, char *text)
{
    const struct { const char *key; char *out; size_t size; } keys[] = {
        {"world = ", cell->world, sizeof cell->world},
        {"model = ", cell->model, sizeof cell->model},
        {"algorithm = ", cell->algorithm, sizeof cell->algorithm},
        {"variant = ", cell->variant, sizeof cell->variant},
    };
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            if (!strncmp(line, keys[i].key, strlen(keys[i].key)))
                snprintf(keys[i].out, keys[i].size, "%s", line + strlen(keys[i].key));
        if (!strncmp(line, "seed = ", 7))
            cell->seed = strtoull(line + 7, NULL, 10);
    }
}

static int read_numbers(double **out, size_t *count, const cJSON *array)
{
    size_t size = (size_t)cJSON_GetArraySize(array), i = 0;
    if (size == 0)
        return 0;
    if (!(*out = malloc(size * sizeof **out)))
        return -ENOMEM;
    for (const cJSON *value = array->child; value; value = value->next)
        (*out)[i++] = cJSON_IsNumber(value) ? value->valuedouble : NAN;
    *count = size;
    return 0;
}

static int read_result(struct result *cell, const cJSON *json)
{
    text_of(json, "world", cell->world, sizeof cell->world);
    text_of(json, "model", cell->model, sizeof cell->model);
    text_of(json, "algorithm", cell->algorithm, sizeof cell->algorithm);
    text_of(json, "command", cell->command, sizeof cell->command);
    text_of(json, "commit", cell->commit, sizeof cell->commit);
    text_of(json, "openblas_core", cell->core, sizeof cell->core);
    cell->seed = (uint64_t)number_of(json, "seed", 0);
    cell->frames = number_of(json, "frames", 0);
    cell->seconds = number_of(json, "seconds", 0);
    cell->cpu_seconds = number_of(json, "cpu_seconds", 0);
    const cJSON *evaluation = cJSON_GetObjectItemCaseSensitive(json, "evaluation");
    const cJSON *value, *returns = cJSON_GetObjectItemCaseSensitive(evaluation, "belief");
    cJSON_ArrayForEach(value, returns)
        if (cell->episodes < RESULT_EPISODES && cJSON_IsNumber(value))
            cell->mean_return += cell->returns[cell->episodes++] = value->valuedouble;
    if (cell->episodes)
        cell->mean_return /= (double)cell->episodes;
    cell->tasks = number_of(evaluation, "tasks", 0);
    cell->evaluation_seed = number_of(evaluation, "seed", 0);
    cell->finished = cell->episodes > 0;
    const cJSON *steps = cJSON_GetObjectItemCaseSensitive(evaluation, "step_rewards");
    const cJSON *rewards = cJSON_GetObjectItemCaseSensitive(steps, "belief");
    return rewards ? read_numbers(&cell->rewards, &cell->steps, rewards) : 0;
}

static int add_point(struct result *cell, const cJSON *line)
{
    double sum = 0, count = 0;
    for (const cJSON *value = line->child; value; value = value->next)
        if (!strncmp(value->string, "return/episode_", 15) && cJSON_IsNumber(value)) {
            sum += value->valuedouble;
            count++;
        }
    if (!count)
        return 0;
    if ((cell->point_count & (cell->point_count - 1)) == 0) {  // doubles at powers of two
        size_t room = cell->point_count ? 2 * cell->point_count : 1;
        struct curve_point *grown = realloc(cell->points, room * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        cell->points = grown;
    }
    cell->points[cell->point_count++] = (struct curve_point){
        .frames = number_of(line, "frames", 0), .cpu_seconds = number_of(line, "speed/cpu_seconds", NAN),
        .reward = sum / count};
    return 0;
}

static int read_log(struct result *cell, const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;
    int error = 0;
    while (file && !error && getline(&text, &room, file) > 0) {
        cJSON *line = cJSON_Parse(text);  // the last may be half written
        if (cJSON_IsObject(line))
            error = add_point(cell, line);
        cJSON_Delete(line);
    }
    free(text);
    if (file)
        fclose(file);
    if (cell->point_count && !cell->finished) {
        cell->frames = cell->points[cell->point_count - 1].frames;
        cell->cpu_seconds = cell->points[cell->point_count - 1].cpu_seconds;
    }
    return error;
}

// 1: it is a cell; 0: it is none; or a negative errno with a sentence.
static int read_cell(struct result *cell, const char *directory, const char *name, char *why, size_t why_size)
{
    char path[1400];
    *cell = (struct result){0};
    snprintf(cell->name, sizeof cell->name, "%s", name);
    strcpy(cell->algorithm, "ppo");
    snprintf(path, sizeof path, "%s/%s/description", directory, name);
    char *description = read_text(path);
    snprintf(path, sizeof path, "%s/%s/result.json", directory, name);
    char *text = read_text(path);
    if (!description && !text)
        return 0;
    cJSON *json = text ? cJSON_Parse(text) : NULL;
    int error = 0;
    if (description)
        read_description(cell, description);
    if (json)
        error = read_result(cell, json);
    int understood = cell->world[0] && cell->model[0] && (json || !text);
    cJSON_Delete(json);
    free(text);
    free(description);
    snprintf(path, sizeof path, "%s/%s/train.jsonl", directory, name);
    if (!error && understood)
        error = read_log(cell, path);
    if (error || !understood) {
        free(cell->rewards);
        free(cell->points);
        snprintf(why, why_size, "%s/%s: %s", directory, name,
                 error ? strerror(-error) : "result.json is not what bel-learn train --json prints");
        return error ? error : -EINVAL;
    }
    return 1;
}

// ---- One experiment -------------------------------------------------------------------------------------------

static int kind_rank(const char *model)
{
    for (int kind = 0; kind < LEARN_KINDS; kind++)
        if (!strcmp(model, learn_kind_name((enum learn_kind)kind)))
            return kind;
    return LEARN_KINDS;
}

static int compare_agents(const struct result *x, const struct result *y)
{
    int order = strcmp(x->world, y->world);
    if (!order)
        order = kind_rank(x->model) - kind_rank(y->model);
    if (!order)
        order = strcmp(x->algorithm, y->algorithm);
    return order ? order : strcmp(x->variant, y->variant);
}

static int compare(const void *a, const void *b)
{
    const struct result *x = a, *y = b;
    int order = compare_agents(x, y);
    return order ? order : (x->seed > y->seed) - (x->seed < y->seed);
}

static int read_about(struct results *results, const char *path, char *why, size_t why_size)
{
    struct ini_file *file;
    if (access(path, F_OK))
        return 0;
    int error = ini_read(&file, path, why, why_size);
    if (error)
        return error;
    results->has_file = 1;
    const struct ini_section *section = ini_find_section(file, "experiment");
    const struct { const char *key; char *out; } keys[] = {
        {"title", results->title}, {"about", results->about}, {"budget", results->budget}};
    for (size_t i = 0; section && i < sizeof keys / sizeof *keys; i++) {
        const struct ini_key *key = ini_find_key(section, keys[i].key);
        if (key)
            snprintf(keys[i].out, sizeof results->title, "%s", key->value);
    }
    ini_free(file);
    return 0;
}

static int read_experiment(struct results *results, const char *directory, char *why, size_t why_size)
{
    char path[1200], base[1024];
    *results = (struct results){0};
    snprintf(results->directory, sizeof results->directory, "%s", directory);
    snprintf(base, sizeof base, "%s", directory);
    for (size_t length = strlen(base); length > 1 && base[length - 1] == '/';)
        base[--length] = 0;
    snprintf(results->name, sizeof results->name, "%s", strrchr(base, '/') ? strrchr(base, '/') + 1 : base);
    snprintf(path, sizeof path, "%s/experiment.ini", directory);
    int error = read_about(results, path, why, why_size);
    DIR *entries = error ? NULL : opendir(directory);
    if (!entries) {
        if (!error)
            snprintf(why, why_size, "%s: %s", directory, strerror(errno));
        return error ? error : -errno;
    }
    for (struct dirent *entry; !error && (entry = readdir(entries));) {
        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof results->cells->name)
            continue;
        struct result *grown = realloc(results->cells, (results->count + 1) * sizeof *grown);
        if (!grown) {
            error = -ENOMEM;
            break;
        }
        results->cells = grown;
        int found = read_cell(&grown[results->count], directory, entry->d_name, why, why_size);
        if (found < 0)
            error = found;
        else
            results->count += (size_t)found;
    }
    closedir(entries);
    if (results->count)
        qsort(results->cells, results->count, sizeof *results->cells, compare);
    return error;
}

static void release(struct results *results)
{
    for (size_t i = 0; i < results->count; i++) {
        free(results->cells[i].rewards);
        free(results->cells[i].points);
    }
    free(results->cells);
}

// Adds the experiment if it has cells.
static int append(struct results **all, size_t *count, const char *directory, char *why, size_t why_size)
{
    struct results results;
    int error = read_experiment(&results, directory, why, why_size);
    struct results *grown = NULL;
    if (!error && results.count && !(grown = realloc(*all, (*count + 1) * sizeof *grown)))
        error = -ENOMEM;
    if (error || !results.count) {
        release(&results);
        return error;
    }
    *all = grown;
    grown[(*count)++] = results;
    return 0;
}

int results_read(struct results **all, size_t *count, const char *directory, char *why, size_t why_size)
{
    size_t before = *count;
    int error = append(all, count, directory, why, why_size);
    if (error || *count > before)
        return error;
    struct dirent **entries;
    int found = scandir(directory, &entries, NULL, alphasort);
    if (found < 0) {
        error = -errno;
        snprintf(why, why_size, "%s: %s", directory, strerror(-error));
        return error;
    }
    for (int i = 0; i < found; i++) {
        char path[1024];
        struct stat info;
        if (!error && entries[i]->d_name[0] != '.'
            && (size_t)snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name) < sizeof path
            && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
            error = append(all, count, path, why, why_size);
        free(entries[i]);
    }
    free(entries);
    if (!error && *count == before) {
        snprintf(why, why_size, "%s has no results of bel-learn experiment", directory);
        return -ENOENT;
    }
    return error;
}

void results_free(struct results *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        release(&all[i]);
    free(all);
}

size_t results_agent_end(const struct results *results, size_t first)
{
    size_t end = first + 1;
    while (end < results->count && compare_agents(&results->cells[first], &results->cells[end]) == 0)
        end++;
    return end;
}

size_t results_world_end(const struct results *results, size_t first)
{
    size_t end = first + 1;
    while (end < results->count && !strcmp(results->cells[first].world, results->cells[end].world))
        end++;
    return end;
}

void results_label(const struct results *results, const struct result *cell, char *label, size_t size)
{
    int algorithms = 0, variants = 0;
    for (size_t i = 0; i < results->count; i++) {
        const struct result *other = &results->cells[i];
        int other_algorithm = strcmp(other->algorithm, cell->algorithm) != 0;
        algorithms |= other_algorithm;
        variants |= !other_algorithm && !strcmp(other->world, cell->world) && !strcmp(other->model, cell->model)
                    && strcmp(other->variant, cell->variant);
    }
    snprintf(label, size, "%s%s%s%s%s", cell->model, algorithms ? " " : "", algorithms ? cell->algorithm : "",
             variants && cell->variant[0] ? ", " : "", variants ? cell->variant : "");
}
