// Which models the house serves, and how that changes: a model is read, checked and made warm by whoever asks (never a
// loop), then every server gets the new list by mail. The contracts are in house.h.
#include "house_internal.h"

#include "aliases.h"
#include "learning.h"
#include "log.h"

#include "daemon/policy/refuse.h"
#include "daemon/policy/safetensors.h"
#include "daemon/policy/whole_file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REASON_SIZE = 4096 };

static const char suffix[] = ".safetensors";

// A new list for one server, with the model made warm.
struct change {
    struct letter letter;
    struct catalogue *catalogue;
    struct served *fresh;
};

static void deliver_change(struct letter *letter, struct server *server, uint64_t now_us)
{
    struct change *change = (struct change *)letter;
    if (!server)
        served_free(change->fresh);
    else if (serving_change(&server->serving, change->catalogue, change->fresh))
        log_event(LOG_ERROR, "models_unchanged", LOG_TEXT("why", "no memory"));
    else
        server_measure(server);
    if (server)
        models_awaited(server, now_us);
    catalogue_unref(change->catalogue);
    free(change);
}

static struct change *change_new(struct catalogue *catalogue, struct served *fresh)
{
    struct change *change = calloc(1, sizeof *change);
    if (change)
        *change = (struct change){{NULL, deliver_change}, catalogue_ref(catalogue), fresh};
    return change;
}

static void changes_free(struct change *const *changes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (changes[i])
            deliver_change(&changes[i]->letter, NULL, 0);
}

// From now on `catalogue` (owned) is what is served; one model in it is new.
static int publish(struct house *house, struct catalogue *catalogue, struct shared_model *added)
{
    struct change *changes[LOOPS_LIMIT] = {0};
    size_t servers = house->options.servers;
    for (size_t i = 0; i < servers; i++) {
        struct served *fresh = added ? served_new(added) : NULL;
        if (fresh)
            served_warm_up(fresh);
        if ((added && !fresh) || !(changes[i] = change_new(catalogue, fresh))) {
            served_free(fresh);
            changes_free(changes, i);
            catalogue_unref(catalogue);
            return -ENOMEM;
        }
    }
    pthread_mutex_lock(&house->lock);
    struct catalogue *before = house->catalogue;
    house->catalogue = catalogue;
    for (size_t i = 0; i < servers; i++) {
        if (!house->servers[i])
            continue;  // it will find the new list when it enters
        mail_post(house, i, &changes[i]->letter);
        changes[i] = NULL;
    }
    pthread_mutex_unlock(&house->lock);
    changes_free(changes, servers);
    catalogue_unref(before);
    return 0;
}

static int check(const struct house *house, const struct model *model, const struct shared_model *shared, char *why,
                 size_t why_size)
{
    if (shared->belief_bound > house->options.limits.frame_bytes)
        return refuse(why, why_size, -EINVAL, "frame_bytes = %zu is too small for %s, which needs %zu",
                      house->options.limits.frame_bytes, model->name, shared->belief_bound);
    struct served *trial = served_new((struct shared_model *)shared);
    int error = trial ? served_warm_up(trial) : -ENOMEM;
    served_free(trial);
    if (error)
        return refuse(why, why_size, error == -EDOM ? -EINVAL : error, "model %s cannot act: %s", model->name,
                      strerror(-error));
    return 0;
}


// ---- Bytes -----------------------------------------------------------------------------------------------------------

// A model that never was a file gets the bytes, and the digest, that it would have as one.
static int make_file(const struct house *house, struct model *model, uint8_t **bytes, size_t *size, char *why,
                     size_t why_size)
{
    char path[PATH_MAX];
    struct model *twin = NULL;
    snprintf(path, sizeof path, "%s/model.%ld", house->options.data_directory, (long)getpid());
    int error = model_save(model, path);
    if (error)
        return refuse(why, why_size, error, "%s: %s", path, strerror(-error));
    error = whole_file_read(bytes, size, path, why, why_size);
    unlink(path);
    if (!error && (error = model_parse(&twin, *bytes, *size, why, why_size)))
        free(*bytes);
    if (!error)
        strcpy(model->digest, twin->digest);
    model_free(twin);
    return error;
}

// The log can be understood only with the models in it.
static int keep_in_log(const struct house *house, struct model *model, const uint8_t *file, size_t file_size,
                       char *why, size_t why_size)
{
    uint8_t *made = NULL;
    int error = 0;
    if (!house->store)
        return 0;
    if (!file) {
        error = make_file(house, model, &made, &file_size, why, why_size);
        file = made;
    }
    if (!error)
        error = store_save_model(house->store, model->digest, model->name, file, file_size, why, why_size);
    free(made);
    return error;
}

// ---- Changes, one after another: house->changing is held --------------------------------------------------------------

static int stands_for(const struct catalogue *catalogue, const char *alias, const char *model)
{
    for (size_t i = 0; i < catalogue->alias_count; i++)
        if (!strcmp(catalogue->aliases[i].alias, alias))
            return !strcmp(catalogue->aliases[i].model, model);
    return 0;
}

// path: where the bytes are to be written first; NULL: nowhere. alias: what stands for it from now on; NULL: nothing new.
static int serve(struct house *house, struct model *model, const uint8_t *file, size_t file_size, const char *path,
                 const char *alias, char *why, size_t why_size)
{
    struct shared_model *shared = shared_model_new(model);
    if (!shared) {
        model_free(model);
        return refuse(why, why_size, -ENOMEM, "no memory");
    }
    struct catalogue *catalogue = catalogue_copy(house->catalogue);
    int error = catalogue ? check(house, model, shared, why, why_size) : refuse(why, why_size, -ENOMEM, "no memory");
    if (!error)
        error = catalogue_put(catalogue, shared, why, why_size);
    int stands = alias && !error && stands_for(catalogue, alias, model->name);
    if (!error && alias && !stands)
        error = catalogue_alias(catalogue, alias, model->name, why, why_size);
    if (!error)
        error = keep_in_log(house, model, file, file_size, why, why_size);
    if (!error && path && (error = whole_file_write(path, file, file_size)))
        refuse(why, why_size, error, "%s cannot be written: %s", path, strerror(-error));
    if (!error && alias && !stands)
        error = aliases_write(house->options.model_directory, catalogue, why, why_size);
    if (error) {
        catalogue_unref(catalogue);
    } else if ((error = publish(house, catalogue, shared))) {
        refuse(why, why_size, error, "no memory");
    } else {
        log_event(LOG_INFO, "model", LOG_TEXT("name", model->name), LOG_TEXT("world", model->world),
                  LOG_TEXT("digest", model->digest));
    }
    shared_model_unref(shared);
    return error;
}

static int serve_bytes(struct house *house, const uint8_t *bytes, size_t size, char *why, size_t why_size)
{
    struct model *model;
    int error = model_parse(&model, bytes, size, why, why_size);
    if (error)
        return error;
    const struct shared_model *served = catalogue_find(house->catalogue, model->name);
    if (served && !strcmp(served->model->digest, model->digest)) {
        model_free(model);
        return 0;  // it is the one that is served
    }
    return serve(house, model, bytes, size, NULL, NULL, why, why_size);
}

// Appends "path: reason" as a line.
static int serve_file(struct house *house, const char *path, char *why, size_t why_size)
{
    char reason[REASON_SIZE];
    uint8_t *bytes;
    size_t size, used = strlen(why);
    int error = whole_file_read(&bytes, &size, path, reason, sizeof reason);
    if (error == 0) {
        error = serve_bytes(house, bytes, size, reason, sizeof reason);
        free(bytes);
    }
    if (error) {
        log_event(LOG_ERROR, "model_refused", LOG_TEXT("file", path), LOG_TEXT("why", reason));
        snprintf(why + used, why_size - used, "%s%s: %s", used ? "\n" : "", path, reason);
    }
    return error;
}

static int is_model_file(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > sizeof suffix - 1 && !strcmp(entry->d_name + length - (sizeof suffix - 1), suffix);
}

// What LoadModel wrote there. One that is broken is named and left out.
static int serve_directory(struct house *house, char *why, size_t why_size)
{
    const char *directory = house->options.model_directory;
    struct dirent **entries;
    int result = 0, count = directory ? scandir(directory, &entries, is_model_file, alphasort) : 0;
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
        if (serve_file(house, path, why, why_size))
            result = -EINVAL;
        free(entries[i]);
    }
    if (directory && count >= 0)
        free(entries);
    return result;
}

// ---- What others call ------------------------------------------------------------------------------------------------

int house_load_all(struct house *house, char *why, size_t why_size)
{
    const struct house_options *options = &house->options;
    char later[REASON_SIZE] = "";
    if (options->model_directory && mkdir(options->model_directory, 0755) && errno != EEXIST)
        return refuse(why, why_size, -errno, "model_directory: %s: %s", options->model_directory, strerror(errno));
    for (size_t i = 0; i < options->model_count; i++) {
        size_t before = house->catalogue->count;
        *why = '\0';
        int error = serve_file(house, options->model_paths[i], why, why_size);
        if (error)
            return error;
        if (house->catalogue->count == before)
            return refuse(why, why_size, -EINVAL, "%s: two models have one name", options->model_paths[i]);
    }
    serve_directory(house, later, sizeof later);  // each refusal was logged
    aliases_read(options->model_directory, house->catalogue);  // no server has it yet
    return 0;
}

int house_serve(struct house *house, struct model *model, const uint8_t *file, size_t file_size, char *why,
                size_t why_size)
{
    pthread_mutex_lock(&house->changing);
    int error = serve(house, model, file, file_size, NULL, NULL, why, why_size);
    pthread_mutex_unlock(&house->changing);
    return error;
}

static int path_of(const struct house *house, const char *name, char path[PATH_MAX])
{
    const char *directory = house->options.model_directory;
    return directory && snprintf(path, PATH_MAX, "%s/%s%s", directory, name, suffix) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int house_publish_model(struct house *house, const uint8_t *file, size_t file_size, const char *alias, char *why,
                        size_t why_size)
{
    char path[PATH_MAX];
    struct model *model;
    if (!house->options.model_directory)
        return refuse(why, why_size, -EPERM, "no model_directory is configured");
    int error = model_parse(&model, file, file_size, why, why_size);
    if (error)
        return error;
    error = path_of(house, model->name, path);
    if (error) {
        model_free(model);
        return refuse(why, why_size, error, "the path is too long");
    }
    pthread_mutex_lock(&house->changing);
    error = serve(house, model, file, file_size, path, alias, why, why_size);
    pthread_mutex_unlock(&house->changing);
    return error;
}

int house_load_model(struct house *house, const uint8_t *file, size_t file_size, char *why, size_t why_size)
{
    return house_publish_model(house, file, file_size, NULL, why, why_size);
}

int house_unload_model(struct house *house, const char *name, char *why, size_t why_size)
{
    char path[PATH_MAX], aside[PATH_MAX + 16];
    pthread_mutex_lock(&house->changing);
    struct catalogue *catalogue = catalogue_copy(house->catalogue);
    int error = catalogue ? catalogue_remove(catalogue, name, why, why_size)
                          : refuse(why, why_size, -ENOMEM, "no memory");
    if (!error)
        error = aliases_write(house->options.model_directory, catalogue, why, why_size);
    if (error)
        catalogue_unref(catalogue);
    else if ((error = publish(house, catalogue, NULL)))
        refuse(why, why_size, error, "no memory");
    if (!error && !path_of(house, name, path)) {
        snprintf(aside, sizeof aside, "%s.unloaded", path);
        rename(path, aside);  // it may never have been there
    }
    pthread_mutex_unlock(&house->changing);
    return error;
}

int house_alias_model(struct house *house, const char *alias, const char *model, char *why, size_t why_size)
{
    pthread_mutex_lock(&house->changing);
    struct catalogue *catalogue = catalogue_copy(house->catalogue);
    int error = catalogue ? catalogue_alias(catalogue, alias, model, why, why_size)
                          : refuse(why, why_size, -ENOMEM, "no memory");
    if (!error)
        error = aliases_write(house->options.model_directory, catalogue, why, why_size);
    if (error)
        catalogue_unref(catalogue);
    else if ((error = publish(house, catalogue, NULL)))
        refuse(why, why_size, error, "no memory");
    pthread_mutex_unlock(&house->changing);
    return error;
}

static int reload_identities(struct house *house, char *why, size_t why_size)
{
    struct identities *identities;
    char reason[REASON_SIZE];
    size_t used = strlen(why);
    if (!house->options.identities_path)
        return 0;
    int error = identities_read(&identities, house->options.identities_path, reason, sizeof reason);
    if (error) {
        log_event(LOG_ERROR, "identities_refused", LOG_TEXT("why", reason));
        snprintf(why + used, why_size - used, "%s%s", used ? "\n" : "", reason);
        return error;
    }
    pthread_mutex_lock(&house->lock);
    struct identities *before = house->identities;
    house->identities = identities;
    pthread_mutex_unlock(&house->lock);
    identities_unref(before);
    return 0;
}

static int reload_certificates(struct house *house, char *why, size_t why_size)
{
    char reason[REASON_SIZE];
    size_t used = strlen(why);
    int error = house->options.tls ? tls_server_reload(house->options.tls, reason, sizeof reason) : 0;
    if (error) {
        log_event(LOG_ERROR, "certificates_refused", LOG_TEXT("why", reason));
        snprintf(why + used, why_size - used, "%s%s", used ? "\n" : "", reason);
    }
    return error;
}

int house_reload(struct house *house, char *why, size_t why_size)
{
    int result = 0;
    *why = '\0';
    pthread_mutex_lock(&house->changing);
    for (size_t i = 0; i < house->options.model_count; i++)
        if (serve_file(house, house->options.model_paths[i], why, why_size))
            result = -EINVAL;
    if (serve_directory(house, why, why_size))
        result = -EINVAL;
    if (reload_identities(house, why, why_size))
        result = -EINVAL;
    if (reload_certificates(house, why, why_size))
        result = -EINVAL;
    pthread_mutex_unlock(&house->changing);
    log_event(LOG_INFO, "reloaded", LOG_TEXT("refused", *why ? why : "nothing"));
    return result;
}
