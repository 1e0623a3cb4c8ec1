// From an experiment's file to its cells; the contract is in experiment.h.

#include "experiment.h"

#include "ini_file.h"
#include "learner/nearest.h"
#include "learner/options.h"
#include "client/worlds/world.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 1024, LISTS = 4, NAMES = 256 };

// What a cell is a choice from.
static const char *const lists[LISTS] = {"worlds", "models", "algorithms", "seeds"};
static const char *const about_keys[] = {"title", "about", "budget"};
// Options of a training that are no hyper-parameters.
static const char *const common[] = {"frames", "evaluation-tasks", "evaluation-seed", "checkpoint-seconds"};
// Options that would take the cell out of the experiment's hands.
static const char *const taken[] = {"out", "log", "checkpoint", "resume", "json", "quiet", "threads", "stop-after",
                                    "oracle"};

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct expansion {
    const struct ini_file *file;
    struct experiment *experiment;
    char *why;
    size_t why_size;
};

__attribute__((format(printf, 3, 4)))
static int mistake(const struct expansion *e, unsigned line, const char *format, ...)
{
    va_list arguments;
    int used = snprintf(e->why, e->why_size, "%s:%u: ", e->file->path, line);
    va_start(arguments, format);
    if (used > 0 && (size_t)used < e->why_size)
        vsnprintf(e->why + used, e->why_size - (size_t)used, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static int is_one_of(const char *text, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(text, names[i]))
            return 1;
    return 0;
}

// ---- Names ----------------------------------------------------------------------------------------------------

static int is_cells(const struct ini_section *section)
{
    return !strcmp(section->name, "cells") || !strncmp(section->name, "cells ", 6);
}

static int check_section(const struct expansion *e, const struct ini_section *section)
{
    static const char *const names[] = {"experiment", "every cell", "cells"};
    if (is_cells(section) || is_one_of(section->name, names, COUNT(names)))
        return 0;
    char word[INI_NAME];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(section->name, " "), section->name);
    const char *nearest = nearest_name(section->name, names, COUNT(names));
    if (!nearest && nearest_name(word, &names[2], 1))
        nearest = names[2];
    return mistake(e, section->line, "there is no section [%s]; %s%s%s", section->name,
                   nearest ? "was it to be [" : "there are [experiment], [every cell], [cells] and [cells NAME",
                   nearest ? nearest : "", nearest ? "]?" : "]");
}

// Every name that is a key of [cells].
static size_t cell_keys(const char **names)
{
    size_t count = 0;
    for (size_t i = 0; i < LISTS; i++)
        names[count++] = lists[i];
    for (size_t i = 0; i < COUNT(common); i++)
        names[count++] = common[i];
    for (size_t i = 0; options_row(i) && count < NAMES; i++)
        names[count++] = options_row(i)->name;
    return count;
}

static int check_key(const struct expansion *e, const struct ini_section *section, const struct ini_key *key)
{
    const char *names[NAMES];
    size_t count = COUNT(about_keys);
    int cells = strcmp(section->name, "experiment") != 0;
    if (cells)
        count = cell_keys(names);
    else
        memcpy(names, about_keys, sizeof about_keys);
    if (is_one_of(key->name, names, count))
        return 0;
    if (cells && is_one_of(key->name, taken, COUNT(taken)))
        return mistake(e, key->line, "%s: bel-learn experiment sees to that itself", key->name);
    const char *nearest = nearest_name(key->name, names, count);
    if (nearest)
        return mistake(e, key->line, "%s: there is no such key in [%s]; was it to be %s?", key->name, section->name,
                       nearest);
    return mistake(e, key->line, "%s: there is no such key in [%s]; %s", key->name, section->name,
                   cells ? "there are worlds, models, algorithms, seeds and the options of bel-learn train --help"
                         : "there are title, about and budget");
}

// ---- Values ---------------------------------------------------------------------------------------------------

// Cuts text into words; returns how many.
static size_t words_of(char *text, const char **words)
{
    size_t count = 0;
    for (char *rest, *word = strtok_r(text, " ,\t", &rest); word && count < WORDS; word = strtok_r(NULL, " ,\t", &rest))
        words[count++] = word;
    return count;
}

// As `bel-learn train` would take it: its sentence is the one that is told.
static int check_world(const struct expansion *e, const struct ini_key *key, const char *word)
{
    struct options options;
    char why[1000], *argv[] = {(char *)(uintptr_t)word, NULL};
    if (options_parse(&options, 1, argv, why, sizeof why))
        return mistake(e, key->line, "%s: %s", key->name, why);
    return 0;
}

// A model or an algorithm is known if there is a world where it can be had, with whatever other choice it needs.
static int check_choice(const struct expansion *e, const struct ini_key *key, int model, const char *word)
{
    struct options options;
    char first[600] = "", why[600];
    int others = model ? LEARN_ALGORITHMS : LEARN_KINDS;
    for (size_t w = 0; world_at(w); w++)
        for (int other = 0; other < others; other++) {
            const char *name = model ? learn_algorithm_name((enum learn_algorithm)other)
                                     : learn_kind_name((enum learn_kind)other);
            const char *argv[] = {world_at(w)->name, model ? "--model" : "--algorithm", word,
                                  model ? "--algorithm" : "--model", name, NULL};
            if (!options_parse(&options, 5, (char **)(uintptr_t)argv, why, sizeof why))
                return 0;
            if (!first[0])
                snprintf(first, sizeof first, "%s", why);
        }
    return mistake(e, key->line, "%s: %s", key->name, first);
}

static int check_word(const struct expansion *e, const struct ini_key *key, const char *word)
{
    char *end;
    if (!strcmp(key->name, "worlds"))
        return check_world(e, key, word);
    if (!strcmp(key->name, "models"))
        return check_choice(e, key, 1, word);
    if (!strcmp(key->name, "algorithms"))
        return check_choice(e, key, 0, word);
    (void)strtoul(word, &end, 10);
    if (!isdigit((unsigned char)*word) || *end)
        return mistake(e, key->line, "seeds: whole numbers and stretches such as 1..5, not \"%s\"", word);
    return 0;
}

// "1..3" becomes "1 2 3"; everything else stays.
static int spread_seeds(const struct expansion *e, const struct ini_key *key, const char *word, char *out, size_t room)
{
    const char *dots = strstr(word, "..");
    char *end;
    if (!dots)
        return 0;
    unsigned long first = strtoul(word, &end, 10), last = strtoul(dots + 2, NULL, 10);
    if (end != dots || !isdigit((unsigned char)*word) || !dots[2] || strspn(dots + 2, "0123456789") != strlen(dots + 2)
        || last < first || last - first >= WORDS / 8)
        return mistake(e, key->line, "seeds: \"%s\" is no stretch of at most %d seeds, such as 1..5", word, WORDS / 8);
    size_t used = 0;
    for (unsigned long seed = first; seed <= last && used < room; seed++)
        used += (size_t)snprintf(out + used, room - used, "%lu ", seed);
    return used < room ? 1 : mistake(e, key->line, "seeds: too many");
}

struct list {
    char text[8 * INI_VALUE];
    const char *words[WORDS];
    size_t count;
    const struct ini_key *key;       // NULL: nobody said
};

static int read_list(struct list *list, const struct expansion *e, const struct ini_key *key, const char *otherwise)
{
    char text[INI_VALUE];
    const char *words[WORDS];
    size_t used = 0;
    snprintf(text, sizeof text, "%s", key ? key->value : otherwise);
    size_t count = words_of(text, words);
    list->text[0] = 0;
    list->key = key;
    for (size_t i = 0; i < count; i++) {
        int spread = 0;
        if (key && !strcmp(key->name, "seeds"))
            spread = spread_seeds(e, key, words[i], list->text + used, sizeof list->text - used);
        if (spread < 0 || (!spread && key && check_word(e, key, words[i])))
            return -EINVAL;
        used += spread ? strlen(list->text + used)
                       : (size_t)snprintf(list->text + used, sizeof list->text - used, "%s ", words[i]);
        if (key && used >= sizeof list->text)
            return mistake(e, key->line, "%s: too many", key->name);
    }
    list->count = words_of(list->text, list->words);
    if (key && list->count == WORDS)
        return mistake(e, key->line, "%s: too many", key->name);
    return list->count || !key ? 0 : mistake(e, key->line, "%s: at least one is needed", key->name);
}

// 1e6 and 1000000 are one value.
static void canonical(char *out, size_t room, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (*text && !*end && isfinite(value))
        snprintf(out, room, "%.17g", value);
    else
        snprintf(out, room, "%s", text);
}

// ---- Cells ----------------------------------------------------------------------------------------------------

static int alphabetical(const void *a, const void *b)
{
    return strcmp(((const struct cell_setting *)a)->key, ((const struct cell_setting *)b)->key);
}

// An option that another cell of the section reads is no mistake in one that does not.
static int is_unread(const struct experiment_cell *cell, const char *name)
{
    const struct option_row *row = options_find_row(name);
    int kind = 0, algorithm = 0;
    while (strcmp(cell->model, learn_kind_name((enum learn_kind)kind)))
        kind++;
    while (strcmp(cell->algorithm, learn_algorithm_name((enum learn_algorithm)algorithm)))
        algorithm++;
    return row && !options_read(row, (enum learn_kind)kind, (enum learn_algorithm)algorithm);
}

static int add_settings(struct experiment_cell *cell, const struct expansion *e, const struct ini_section *section,
                        const struct ini_section *shadow)
{
    for (size_t i = 0; section && i < section->count; i++) {
        const struct ini_key *key = &section->keys[i];
        if (is_one_of(key->name, lists, LISTS) || (shadow && ini_find_key(shadow, key->name)))
            continue;
        if (cell->count == CELL_SETTINGS)
            return mistake(e, key->line, "%s: more than %d options", key->name, CELL_SETTINGS);
        struct cell_setting *setting = &cell->settings[cell->count++];
        setting->line = key->line;
        setting->unread = is_unread(cell, key->name);
        snprintf(setting->key, sizeof setting->key, "%s", key->name);
        if (strlen(key->value) >= sizeof setting->value)
            return mistake(e, key->line, "%s: longer than %zu letters", key->name, sizeof setting->value - 1);
        canonical(setting->value, sizeof setting->value, key->value);
    }
    qsort(cell->settings, cell->count, sizeof *cell->settings, alphabetical);
    return 0;
}

static void name_cell(struct experiment_cell *cell)
{
    int used = snprintf(cell->name, sizeof cell->name, "%s.%s.%s%s", cell->world, cell->model, cell->algorithm,
                        cell->variant[0] ? "." : "");
    for (const char *c = cell->variant; *c; c++)
        cell->name[used++] = isalnum((unsigned char)*c) ? *c : '-';
    snprintf(cell->name + used, sizeof cell->name - (size_t)used, ".%s", cell->seed);
}

// A sentence about the whole cell is that of one key if the key alone earns it too.
static unsigned line_to_blame(const struct experiment_cell *cell, const char *sentence, const char **key)
{
    struct options options;
    char option[52], why[600];
    for (size_t i = 0; i < cell->count; i++) {
        const struct cell_setting *setting = &cell->settings[i];
        snprintf(option, sizeof option, "--%s", setting->key);
        const char *argv[] = {cell->world, "--model", cell->model, "--algorithm", cell->algorithm, option,
                              setting->value, NULL};
        if (options_parse(&options, 7, (char **)(uintptr_t)argv, why, sizeof why) && !strcmp(why, sentence)) {
            *key = setting->key;
            return setting->line;
        }
    }
    return 0;
}

static int check_cell(const struct expansion *e, struct experiment_cell *cell)
{
    char option[CELL_SETTINGS][52], why[600];
    const char *argv[CELL_ARGUMENTS], *key;
    struct options options;
    size_t argc = cell_arguments(cell, option, argv);
    if (options_parse(&options, (int)argc, (char **)(uintptr_t)argv, why, sizeof why)) {
        unsigned line = line_to_blame(cell, why, &key);
        return line ? mistake(e, line, "%s: %s", key, why)
                    : mistake(e, cell->line, "the cell %s: %s", cell->name, why);
    }
    cell->frames = options.frames;
    const struct experiment *x = e->experiment;
    for (size_t i = 0; i + 1 < x->count; i++)
        if (!strcmp(x->cells[i].name, cell->name))
            return mistake(e, cell->line, "the cell %s is in the section at line %u too; a variant needs a name, as in "
                           "[cells NAME]", cell->name, x->cells[i].line);
    return 0;
}

static int add_cell(const struct expansion *e, const struct ini_section *section, const struct ini_section *every,
                    const char *const *choice)
{
    struct experiment *x = e->experiment;
    if (x->count == EXPERIMENT_CELLS_LIMIT)
        return mistake(e, section->line, "more than %d cells", EXPERIMENT_CELLS_LIMIT);
    struct experiment_cell *grown = realloc(x->cells, (x->count + 1) * sizeof *x->cells);
    if (!grown) {
        snprintf(e->why, e->why_size, "no memory");
        return -ENOMEM;
    }
    x->cells = grown;
    struct experiment_cell *cell = &x->cells[x->count++];
    *cell = (struct experiment_cell){.line = section->line};
    snprintf(cell->world, sizeof cell->world, "%s", choice[0]);
    snprintf(cell->model, sizeof cell->model, "%s", choice[1]);
    snprintf(cell->algorithm, sizeof cell->algorithm, "%s", choice[2]);
    snprintf(cell->seed, sizeof cell->seed, "%s", choice[3]);
    snprintf(cell->variant, sizeof cell->variant, "%s", section->name[5] ? section->name + 6 : "");
    name_cell(cell);
    int error = add_settings(cell, e, every, section);
    return error || (error = add_settings(cell, e, section, NULL)) ? error : check_cell(e, cell);
}

// A key that stands in some cells' settings and is read by none of them would be believed to do something.
static int check_read(const struct expansion *e, const struct ini_key *key)
{
    const struct experiment_cell *has = NULL;
    for (size_t i = 0; i < e->experiment->count; i++) {
        const struct experiment_cell *cell = &e->experiment->cells[i];
        for (size_t k = 0; k < cell->count; k++)
            if (cell->settings[k].line == key->line) {
                if (!cell->settings[k].unread)
                    return 0;
                has = cell;
            }
    }
    if (!has)
        return 0;
    char readers[200] = "";
    FILE *out = fmemopen(readers, sizeof readers, "w");
    if (!out)
        return -ENOMEM;
    options_tell_readers(out, options_find_row(key->name));
    fclose(out);
    return mistake(e, key->line, "%s: an option%s, and no cell reads it (%s does not)", key->name, readers, has->name);
}

static int expand(const struct expansion *e, const struct ini_section *section, const struct ini_section *every)
{
    static const char *const otherwise[LISTS] = {"", "glibrl", "ppo", "1"};
    struct list *list = calloc(LISTS, sizeof *list);
    int error = list ? 0 : -ENOMEM;
    for (size_t i = 0; i < LISTS && !error; i++) {
        const struct ini_key *key = ini_find_key(section, lists[i]);
        error = read_list(&list[i], e, key ? key : ini_find_key(every, lists[i]), otherwise[i]);
    }
    if (!error && !list[0].count)
        error = mistake(e, section->line, "[%s] needs worlds, or [every cell] does", section->name);
    for (size_t n = 0, all = error ? 0 : list[0].count * list[1].count * list[2].count * list[3].count;
         n < all && !error; n++) {
        const char *choice[LISTS];
        size_t rest = n;
        for (size_t i = LISTS; i-- > 0; rest /= list[i].count)
            choice[i] = list[i].words[rest % list[i].count];
        error = add_cell(e, section, every, choice);
    }
    free(list);
    return error;
}

// Seed by seed; within one as the file has it.
static void sort_by_seed(struct experiment *x)
{
    for (size_t i = 1; i < x->count; i++) {
        struct experiment_cell cell = x->cells[i];
        size_t at = i;
        for (; at && strtoull(x->cells[at - 1].seed, NULL, 10) > strtoull(cell.seed, NULL, 10); at--)
            x->cells[at] = x->cells[at - 1];
        x->cells[at] = cell;
    }
}

static int name_experiment(struct experiment *x, const char *path, char *why, size_t why_size)
{
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t length = strlen(base);
    if (length > 4 && !strcmp(base + length - 4, ".ini"))
        length -= 4;
    if (length == 0 || length >= sizeof x->name || base[0] == '.') {
        snprintf(why, why_size, "%s: the name of the file is the experiment's: 1 to %zu letters, not \"%s\"", path,
                 sizeof x->name - 1, base);
        return -EINVAL;
    }
    memcpy(x->name, base, length);
    snprintf(x->path, sizeof x->path, "%s", path);
    return 0;
}

int experiment_read(struct experiment **result, const char *path, char *why, size_t why_size)
{
    struct ini_file *file;
    int error = ini_read(&file, path, why, why_size);
    if (error)
        return error;
    struct experiment *x = calloc(1, sizeof *x);
    struct expansion e = {.file = file, .experiment = x, .why = why, .why_size = why_size};
    error = x ? name_experiment(x, path, why, why_size) : -ENOMEM;
    for (size_t i = 0; i < file->count && !error; i++) {
        const struct ini_section *section = &file->sections[i];
        error = check_section(&e, section);
        for (size_t k = 0; k < section->count && !error; k++)
            error = check_key(&e, section, &section->keys[k]);
    }
    size_t sections = 0;
    for (size_t i = 0; i < file->count && !error; i++)
        if (is_cells(&file->sections[i])) {
            sections++;
            error = expand(&e, &file->sections[i], ini_find_section(file, "every cell"));
        }
    for (size_t i = 0; i < file->count && !error; i++)
        for (size_t k = 0; k < file->sections[i].count && !error; k++)
            error = check_read(&e, &file->sections[i].keys[k]);
    if (!error && !sections)
        error = mistake(&e, 1, "there is no section [cells], so there is nothing to train");
    ini_free(file);
    if (error) {
        experiment_free(x);
        return error;
    }
    sort_by_seed(x);
    *result = x;
    return 0;
}

void experiment_free(struct experiment *experiment)
{
    if (experiment)
        free(experiment->cells);
    free(experiment);
}

char *cell_describe(const struct experiment_cell *cell)
{
    char option[CELL_SETTINGS][52], why[600], *text = NULL;
    const char *argv[CELL_ARGUMENTS];
    struct options options;
    size_t size = 0, argc = cell_arguments(cell, option, argv);
    if (options_parse(&options, (int)argc, (char **)(uintptr_t)argv, why, sizeof why))
        return NULL;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "world = %s\nmodel = %s\nalgorithm = %s\nseed = %s\nvariant = %s\nframes = %llu\n", cell->world,
            cell->model, cell->algorithm, cell->seed, cell->variant, (unsigned long long)cell->frames);
    for (size_t i = 0; i < cell->count; i++)
        if (!options_find_row(cell->settings[i].key) && strcmp(cell->settings[i].key, "frames"))
            fprintf(out, "%s = %s\n", cell->settings[i].key, cell->settings[i].value);
    for (size_t i = 0; options_row(i); i++) {
        if (!options_read(options_row(i), options.kind, options.algorithm))
            continue;
        fprintf(out, "%s = ", options_row(i)->name);
        options_print(out, &options, options_row(i), 0);
        fprintf(out, "\n");
    }
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

size_t cell_arguments(const struct experiment_cell *cell, char option[CELL_SETTINGS][52], const char **argv)
{
    size_t argc = 0;
    argv[argc++] = cell->world;
    argv[argc++] = "--model";
    argv[argc++] = cell->model;
    argv[argc++] = "--algorithm";
    argv[argc++] = cell->algorithm;
    argv[argc++] = "--seed";
    argv[argc++] = cell->seed;
    for (size_t i = 0; i < cell->count; i++) {
        if (cell->settings[i].unread)
            continue;
        snprintf(option[i], sizeof option[i], "--%s", cell->settings[i].key);
        argv[argc++] = option[i];
        argv[argc++] = cell->settings[i].value;
    }
    return argc;
}
