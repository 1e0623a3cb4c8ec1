// What loops share; the contract is in house.h.
#include "house_internal.h"

#include "log.h"

#include "daemon/policy/refuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { REASON_SIZE = 4096 };

// A model file at start-up.
static int load(struct house *house, const char *path, char *why, size_t why_size)
{
    struct model *model;
    char reason[REASON_SIZE];
    int error = model_load(&model, path, reason, sizeof reason);
    if (!error && catalogue_find(house->catalogue, model->name)) {
        error = refuse(reason, sizeof reason, -EINVAL, "two models have the name %s", model->name);
        model_free(model);
    } else if (!error) {
        error = house_serve(house, model, NULL, 0, reason, sizeof reason);
    }
    return error ? refuse(why, why_size, error, "%s: %s", path, reason) : 0;
}

int house_new(struct house **out, const struct house_options *options, char *why, size_t why_size)
{
    if (options->servers < 1 || options->servers > LOOPS_LIMIT)
        return refuse(why, why_size, -EINVAL, "loops: 1 to %d", LOOPS_LIMIT);
    struct house *house = calloc(1, sizeof *house);
    struct catalogue *catalogue = house ? catalogue_new() : NULL;
    if (!catalogue) {
        free(house);
        return refuse(why, why_size, -ENOMEM, "no memory");
    }
    house->options = *options;
    house->catalogue = catalogue;
    moved_init(&house->moved);
    pthread_mutex_init(&house->lock, NULL);
    for (size_t i = 0; i < options->servers; i++)
        mailbox_init(&house->mailboxes[i]);
    int error = 0;
    if (options->identities_path)
        error = identities_read(&house->identities, options->identities_path, why, why_size);
    for (size_t i = 0; i < options->model_count && !error; i++)
        error = load(house, options->model_paths[i], why, why_size);
    if (error)
        house_free(house);
    else
        *out = house;
    return error;
}

void house_free(struct house *house)
{
    if (!house)
        return;
    for (size_t i = 0; i < house->options.servers; i++)
        mailbox_release(&house->mailboxes[i]);
    catalogue_unref(house->catalogue);
    identities_unref(house->identities);
    moved_release(&house->moved);
    pthread_mutex_destroy(&house->lock);
    free(house);
}

int house_enter(struct house *house, struct server *server, size_t index)
{
    pthread_mutex_lock(&house->lock);
    int error = serving_init(&server->serving, house->catalogue);
    if (!error)
        house->servers[index] = server;
    pthread_mutex_unlock(&house->lock);
    return error;
}

void house_leave(struct house *house, struct server *server)
{
    pthread_mutex_lock(&house->lock);
    if (house->servers[server->index] == server)
        house->servers[server->index] = NULL;
    pthread_mutex_unlock(&house->lock);
    serving_release(&server->serving);
}

const struct house_options *house_options(const struct house *house)
{
    return &house->options;
}

struct store *house_store(const struct house *house)
{
    return house->store;
}

struct identities *house_identities(struct house *house)
{
    pthread_mutex_lock(&house->lock);
    struct identities *identities = house->identities ? identities_ref(house->identities) : NULL;
    pthread_mutex_unlock(&house->lock);
    return identities;
}

struct store_queue *house_queue(const struct house *house, size_t index)
{
    return house->store ? store_queue(house->store, index) : NULL;
}

int house_identify(struct house *house, const char *token, struct identity *identity)
{
    struct identities *identities = house_identities(house);
    if (!identities)
        return 0;
    const struct identity *found = identities_by_token(identities, token);
    if (found)
        *identity = *found;
    identities_unref(identities);
    return found ? 1 : -ENOENT;
}

struct served *house_model(struct server *server, const char *name)
{
    return serving_named(&server->serving, name);
}

struct served *house_model_by_digest(struct server *server, const char *digest)
{
    return serving_with_digest(&server->serving, digest);
}

struct catalogue *house_catalogue(struct house *house)
{
    pthread_mutex_lock(&house->lock);
    struct catalogue *catalogue = catalogue_ref(house->catalogue);
    pthread_mutex_unlock(&house->lock);
    return catalogue;
}

// A new list for one server, with the model made warm.
struct change {
    struct letter letter;
    struct catalogue *catalogue;
    struct served *fresh;
};

static void deliver_change(struct letter *letter, struct server *server, uint64_t now_us)
{
    (void)now_us;
    struct change *change = (struct change *)letter;
    if (!server)
        served_free(change->fresh);
    else if (serving_change(&server->serving, change->catalogue, change->fresh))
        log_event(LOG_ERROR, "models_unchanged", LOG_TEXT("why", "no memory"));
    else
        server_measure(server);
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
    if (model->reads_task)
        return refuse(why, why_size, -EINVAL,
                      "model %s must be told the task, which a daemon is not; it is for evaluation only", model->name);
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

int house_serve(struct house *house, struct model *model, const uint8_t *file, size_t file_size, char *why,
                size_t why_size)
{
    (void)file, (void)file_size;
    struct shared_model *shared = shared_model_new(model);
    if (!shared) {
        model_free(model);
        return refuse(why, why_size, -ENOMEM, "no memory");
    }
    struct catalogue *old = house_catalogue(house), *catalogue = catalogue_copy(old);
    catalogue_unref(old);
    int error = catalogue ? check(house, model, shared, why, why_size) : refuse(why, why_size, -ENOMEM, "no memory");
    if (!error)
        error = catalogue_put(catalogue, shared, why, why_size);
    if (error) {
        catalogue_unref(catalogue);
    } else {
        log_event(LOG_INFO, "model", LOG_TEXT("name", model->name), LOG_TEXT("world", model->world),
                  LOG_TEXT("digest", model->digest));
        if ((error = publish(house, catalogue, shared)))
            refuse(why, why_size, error, "no memory");
    }
    shared_model_unref(shared);
    return error;
}
