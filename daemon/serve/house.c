// What loops share; the contract is in house.h.
#include "arrival.h"
#include "house_internal.h"

#include "log.h"

#include "daemon/policy/refuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BEAT_LIMIT_US = 5000000 };  // ten ticks

static void log_store(void *context, int level, const char *event, const char *text)
{
    (void)context;
    log_event((enum log_level)level, event, LOG_TEXT("text", text));
}

static int open_store(struct house *house, char *why, size_t why_size)
{
    const struct house_options *options = &house->options;
    if (!options->data_directory || options->durability == WIRE_DURABILITY_OFF)
        return 0;
    return store_open(&house->store, &(struct store_options){
                                         .directory = options->data_directory, .queues = options->servers,
                                         .commit_ms = options->commit_ms, .retention_days = options->retention_days,
                                         .size_limit_bytes = options->log_size_limit_bytes, .wake = options->wake,
                                         .context = options->context, .event = log_store},
                      why, why_size);
}

int house_new(struct house **out, const struct house_options *options, char *why, size_t why_size)
{
    if (options->servers < 1 || options->servers > LOOPS_LIMIT)
        return refuse(why, why_size, -EINVAL, "loops: 1 to %d", LOOPS_LIMIT);
    struct house *house = calloc(1, sizeof *house);
    if (!house)
        return refuse(why, why_size, -ENOMEM, "no memory");
    house->options = *options;
    // Connections are dealt to the loop that has the fewest, so a share of them is enough.
    house->options.limits.connections = (options->limits.connections + options->servers - 1) / options->servers;
    pthread_mutex_init(&house->lock, NULL);
    pthread_mutex_init(&house->changing, NULL);
    moved_init(&house->moved);
    teaching_init(&house->teaching);
    helper_init(&house->helper);
    for (size_t i = 0; i < options->servers; i++)
        mailbox_init(&house->mailboxes[i]);
    house->catalogue = catalogue_new();
    int error = directory_init(&house->directory, options->limits.sessions);
    if (error || !house->catalogue)
        error = refuse(why, why_size, -ENOMEM, "no memory");
    if (!error)
        error = open_store(house, why, why_size);
    if (!error && options->identities_path)
        error = identities_read(&house->identities, options->identities_path, why, why_size);
    if (!error)
        error = house_load_all(house, why, why_size);
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
    helper_release(&house->helper);
    for (size_t i = 0; i < house->options.servers; i++)
        mailbox_release(&house->mailboxes[i]);
    store_close(house->store);
    directory_release(&house->directory);
    catalogue_unref(house->catalogue);
    identities_unref(house->identities);
    moved_release(&house->moved);
    teaching_release(&house->teaching);
    pthread_mutex_destroy(&house->changing);
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
    return error ? error : arrival_start(server);
}

void house_leave(struct house *house, struct server *server)
{
    pthread_mutex_lock(&house->lock);
    if (house->servers[server->index] == server)
        house->servers[server->index] = NULL;
    pthread_mutex_unlock(&house->lock);
    arrival_stop(server);
    directory_drop_all(&house->directory, server->index);
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

int house_alive(struct house *house, char *why, size_t why_size)
{
    int error = 0;
    uint64_t now_us = house->options.clock_us();
    pthread_mutex_lock(&house->lock);
    for (size_t i = 0; i < house->options.servers && !error; i++) {
        const struct server *server = house->servers[i];
        uint64_t beat_us = server ? count_of(&server->metrics.beat_us) : 0;
        if (beat_us && now_us > beat_us && now_us - beat_us > BEAT_LIMIT_US)
            error = refuse(why, why_size, -EAGAIN, "loop %zu does not turn", i);
    }
    pthread_mutex_unlock(&house->lock);
    return error;
}

int house_ready(struct house *house, char *why, size_t why_size)
{
    int error = house_alive(house, why, why_size);
    pthread_mutex_lock(&house->lock);
    if (house->catalogue->count == 0 && !error)
        error = refuse(why, why_size, -EAGAIN, "no model is served");
    for (size_t i = 0; i < house->options.servers && !error; i++) {
        const struct server *server = house->servers[i];
        if (!server || !count_of(&server->metrics.beat_us))
            error = refuse(why, why_size, -EAGAIN, "loop %zu has not begun, or has ended", i);
        else if (count_of(&server->metrics.draining))
            error = refuse(why, why_size, -EAGAIN, "it is draining");
    }
    pthread_mutex_unlock(&house->lock);
    struct store_stats stats;
    if (!error && house->store && store_refusing(house->store)) {
        store_read_stats(house->store, &stats);
        error = refuse(why, why_size, -EAGAIN, "the experience log refuses: %s", stats.why);
    }
    return error;
}
