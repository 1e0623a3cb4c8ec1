// A cell's directory; the contract is in cell.h.

#include "cell.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAIL = 16 << 10, TEXT_LIMIT = 256 << 20 };

static int path_of(char path[PATH_MAX], const char *directory, const char *name)
{
    return snprintf(path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int exists(const char *directory, const char *name)
{
    char path[PATH_MAX];
    return path_of(path, directory, name) == 0 && access(path, F_OK) == 0;
}

// A whole file as text; NULL with errno.
static char *read_text(const char *directory, const char *name)
{
    char path[PATH_MAX];
    struct stat info;
    errno = ENAMETOOLONG;
    FILE *file = path_of(path, directory, name) ? NULL : fopen(path, "r");
    if (!file)
        return NULL;
    char *text = NULL;
    size_t size = 0;
    if (fstat(fileno(file), &info) == 0 && info.st_size < TEXT_LIMIT && (text = malloc((size_t)info.st_size + 1)))
        size = fread(text, 1, (size_t)info.st_size, file);
    if (text)
        text[size] = 0;
    fclose(file);
    return text;
}

// On disk as a whole, or not at all.
static int write_text(const char *directory, const char *name, const char *text)
{
    char path[PATH_MAX], part[PATH_MAX + 5];
    if (path_of(path, directory, name))
        return -ENAMETOOLONG;
    snprintf(part, sizeof part, "%s.part", path);
    FILE *file = fopen(part, "w");
    if (!file)
        return -errno;
    int error = fputs(text, file) < 0 || fflush(file) || fsync(fileno(file)) ? -errno : 0;
    if (fclose(file) && !error)
        error = -errno;
    if (!error && rename(part, path))
        error = -errno;
    if (error)
        unlink(part);
    return error;
}

// The first line in which they differ, for a sentence.
static void tell_difference(const char *was, const char *is, char *why, size_t why_size)
{
    for (;;) {
        size_t a = strcspn(was, "\n"), b = strcspn(is, "\n");
        if (a != b || memcmp(was, is, a)) {
            snprintf(why, why_size, "it holds another training: \"%.*s\", now \"%.*s\"", (int)a, was, (int)b, is);
            return;
        }
        was += a + (was[a] != 0);
        is += b + (is[b] != 0);
    }
}

static cJSON *read_json(const char *directory, const char *name)
{
    char *text = read_text(directory, name);
    cJSON *json = text ? cJSON_Parse(text) : NULL;
    free(text);
    return json;
}

static int is_result(const cJSON *json)
{
    return cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "world"))
           && cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(json, "frames"))
           && cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(json, "return"));
}

int cell_look(const char *directory, const struct experiment_cell *cell, char *why, size_t why_size)
{
    char *was = read_text(directory, "description");
    if (!was && errno == ENOENT) {
        if (!exists(directory, "train.jsonl") && !exists(directory, "checkpoint") && !exists(directory, "result.json"))
            return CELL_NEW;
        snprintf(why, why_size, "it holds a training without a description");
        return CELL_DIFFERS;
    }
    if (!was) {
        int error = errno ? -errno : -EIO;
        snprintf(why, why_size, "%s/description: %s", directory, strerror(-error));
        return error;
    }
    char *is = cell_describe(cell);
    int same = is && !strcmp(was, is);
    if (is && !same)
        tell_difference(was, is, why, why_size);
    free(was);
    free(is);
    if (!is)
        return -ENOMEM;
    if (!same)
        return CELL_DIFFERS;
    cJSON *result = read_json(directory, "result.json");
    int finished = is_result(result);
    cJSON_Delete(result);
    return finished ? CELL_FINISHED : exists(directory, "checkpoint") ? CELL_BEGUN : CELL_NEW;
}

int cell_make_directories(const char *directory)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s", directory) >= (int)sizeof path)
        return -ENAMETOOLONG;
    for (char *slash = path + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        if (mkdir(path, 0777) && errno != EEXIST)
            return -errno;
    }
    return mkdir(path, 0777) && errno != EEXIST ? -errno : 0;
}

// Removes what another training left there, and nothing that is not ours.
static int clear(const char *directory)
{
    static const char *const ours[] = {"description", "train.jsonl", "checkpoint", "stderr", "model.safetensors",
                                       "result.json", "result.json.part"};
    DIR *entries = opendir(directory);
    if (!entries)
        return -errno;
    int error = 0;
    for (struct dirent *entry; (entry = readdir(entries));) {
        int is_ours = !strncmp(entry->d_name, "events.out.tfevents.", 20);
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
            is_ours |= !strcmp(entry->d_name, ours[i]);
        if (is_ours && unlinkat(dirfd(entries), entry->d_name, 0) && !error)
            error = -errno;
    }
    closedir(entries);
    return error;
}

int cell_begin(const char *directory, const struct experiment_cell *cell, int replace, char *why, size_t why_size)
{
    char path[PATH_MAX];
    int error = cell_make_directories(directory), lock = -1;
    if (!error)
        error = path_of(path, directory, "lock");
    if (!error && (lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666)) < 0)
        error = -errno;
    if (!error && flock(lock, LOCK_EX | LOCK_NB))
        error = errno == EWOULDBLOCK ? -EAGAIN : -errno;
    if (!error && cell_look(directory, cell, why, why_size) == CELL_DIFFERS) {
        if (!replace) {
            close(lock);
            return -EEXIST;
        }
        error = clear(directory);
    }
    if (!error) {
        char *text = cell_describe(cell);
        error = text ? write_text(directory, "description", text) : -ENOMEM;
        free(text);
    }
    if (!error)
        return lock;
    if (lock >= 0)
        close(lock);
    if (error != -EAGAIN)
        snprintf(why, why_size, "cannot write in %s: %s", directory, strerror(-error));
    return error;
}

int cell_finish(const char *directory, char *why, size_t why_size)
{
    char part[PATH_MAX], path[PATH_MAX];
    if (path_of(part, directory, "result.json.part") || path_of(path, directory, "result.json"))
        return -ENAMETOOLONG;
    cJSON *result = read_json(directory, "result.json.part");
    int whole = is_result(result);
    cJSON_Delete(result);
    if (!whole) {
        snprintf(why, why_size, "%s is not a whole result; is the disk full?", part);
        return -EIO;
    }
    int file = open(part, O_RDONLY), error = file < 0 || fsync(file) || rename(part, path) ? -errno : 0;
    if (file >= 0)
        close(file);
    if (error)
        snprintf(why, why_size, "%s: %s", path, strerror(-error));
    return error;
}

static double mean_of(const cJSON *array)
{
    double sum = 0, count = 0;
    for (const cJSON *value = array ? array->child : NULL; value; value = value->next) {
        sum += value->valuedouble;
        count++;
    }
    return count ? sum / count : NAN;
}

static double mean_return(const cJSON *line)
{
    double sum = 0, count = 0;
    for (const cJSON *value = line ? line->child : NULL; value; value = value->next)
        if (!strncmp(value->string, "return/episode_", 15) && cJSON_IsNumber(value)) {
            sum += value->valuedouble;
            count++;
        }
    return count ? sum / count : NAN;
}

static void progress_of_result(const char *directory, struct cell_progress *progress)
{
    cJSON *result = read_json(directory, "result.json");
    const cJSON *frames = cJSON_GetObjectItemCaseSensitive(result, "frames");
    const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(result, "seconds");
    progress->frames = cJSON_IsNumber(frames) ? (uint64_t)frames->valuedouble : 0;
    progress->seconds = cJSON_IsNumber(seconds) ? seconds->valuedouble : 0;
    progress->mean_return = mean_of(cJSON_GetObjectItemCaseSensitive(result, "return"));
    cJSON_Delete(result);
}

static void progress_of_log(FILE *file, struct cell_progress *progress)
{
    static char tail[TAIL + 1];
    if (fseek(file, -TAIL, SEEK_END))
        rewind(file);
    tail[fread(tail, 1, TAIL, file)] = 0;
    // The first line of the tail may be half of one, the last may be being written: both are no JSON.
    double sum = 0, count = 0;
    char *rest;
    for (char *text = strtok_r(tail, "\n", &rest); text; text = strtok_r(NULL, "\n", &rest)) {
        cJSON *line = *text == '{' ? cJSON_Parse(text) : NULL;
        const cJSON *frames = cJSON_GetObjectItemCaseSensitive(line, "frames");
        const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(line, "seconds");
        double value = mean_return(line);
        if (cJSON_IsNumber(frames) && cJSON_IsNumber(seconds)) {
            progress->frames = (uint64_t)frames->valuedouble;
            progress->seconds = seconds->valuedouble;
        }
        if (isfinite(value)) {
            sum += value;
            count++;
        }
        cJSON_Delete(line);
    }
    progress->mean_return = count ? sum / count : NAN;
}

void cell_progress(const char *directory, struct cell_progress *progress)
{
    char path[PATH_MAX];
    *progress = (struct cell_progress){.mean_return = NAN};
    FILE *log = path_of(path, directory, "train.jsonl") ? NULL : fopen(path, "r");
    if (exists(directory, "result.json"))
        progress_of_result(directory, progress);
    else if (log)
        progress_of_log(log, progress);
    if (log)
        fclose(log);
    if (progress->seconds > 0)
        progress->frames_per_second = (double)progress->frames / progress->seconds;
}
