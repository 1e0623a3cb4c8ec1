// Gathers what the whole daemon counts, for metrics.c to write down.
#include "house_internal.h"

#include <stdlib.h>

// Copies, so that no loop waits for the lock while text is made.
static void copy_counters(struct metrics *copy, const struct metrics *from)
{
    counter *to = (counter *)copy;
    const counter *source = (const counter *)from;
    for (size_t i = 0; i < sizeof *copy / sizeof *to; i++)
        count_set(&to[i], count_of(&source[i]));
}

char *metrics_render(struct house *house)
{
    const struct house_options *options = house_options(house);
    struct store_stats log;
    uint64_t model_sessions[MODELS_LIMIT];
    char why[256];
    const struct metrics *servers[LOOPS_LIMIT] = {0};
    struct metrics *copies = calloc(options->servers, sizeof *copies);
    if (!copies)
        return NULL;
    pthread_mutex_lock(&house->lock);
    for (size_t i = 0; i < options->servers; i++) {
        if (house->servers[i]) {
            copy_counters(&copies[i], &house->servers[i]->metrics);
            servers[i] = &copies[i];
        }
    }
    pthread_mutex_unlock(&house->lock);
    struct catalogue *catalogue = house_catalogue(house);
    for (size_t i = 0; i < catalogue->count; i++)
        model_sessions[i] = atomic_load(&catalogue->models[i]->sessions);
    if (house_store(house))
        store_read_stats(house_store(house), &log);
    char *text = metrics_text(&(struct metrics_view){
        .servers = servers, .server_count = options->servers, .log = house_store(house) ? &log : NULL,
        .models = catalogue->infos, .model_sessions = model_sessions, .model_count = catalogue->count,
        .now_us = options->clock_us(), .ready = house_ready(house, why, sizeof why) == 0,
        .certificate_expiry = options->tls ? tls_server_expiry(options->tls) : 0});
    catalogue_unref(catalogue);
    free(copies);
    return text;
}
