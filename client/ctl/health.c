// beliefctl health: is it serving? metrics: what it counts. rebuild: a session on its model's newest version.
#include "ctl.h"
#include "scrape.h"

#include <stdio.h>
#include <string.h>

struct health {
    char server[64];
    size_t models;
    enum wire_durability durability;
    int refusing, draining;
    const char *not_ready;   // why; NULL: it is ready
};

// Sentences come from what the daemon counts, so that this and its alerts say the same.
static int examine(struct control *control, struct health *health)
{
    struct wire_envelope reply;
    int error = control_ask(control, &(struct wire_envelope){.kind = WIRE_HELLO, .hello.client = "beliefctl"},
                            WIRE_WELCOME, &reply);
    if (error)
        return error;
    snprintf(health->server, sizeof health->server, "%s", reply.welcome.server);
    health->models = reply.welcome.model_count;
    health->durability = reply.welcome.durability;

    error = control_ask(control, &(struct wire_envelope){.kind = WIRE_GET_METRICS}, WIRE_METRICS, &reply);
    struct scrape scrape;
    if (!error)
        error = scrape_parse(&scrape, reply.metrics.text);
    if (error)
        return error;
    health->refusing = scrape_sum(&scrape, "beliefd_log_refusing", NULL, NULL) > 0;
    health->draining = scrape_sum(&scrape, "beliefd_draining", NULL, NULL) > 0;
    health->not_ready = health->draining ? "it is draining"
        : health->models == 0 ? "no model is served"
        : health->refusing ? "its experience log refuses (disk full?)"
        : scrape_has(&scrape, "beliefd_ready") && scrape_sum(&scrape, "beliefd_ready", NULL, NULL) == 0
            ? "it says that it is not (see /readyz)" : NULL;
    scrape_release(&scrape);
    return 0;
}

int health_run(struct ctl *ctl)
{
    struct control control;
    struct health health = {0};
    int code = ctl_connect(ctl, &control);
    if (code)
        return code;
    int error = examine(&control, &health);
    if (error) {
        code = ctl_refused(ctl, &control, error);
    } else if (ctl->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddBoolToObject(object, "ready", !health.not_ready);
        cJSON_AddStringToObject(object, "why", health.not_ready ? health.not_ready : "");
        cJSON_AddStringToObject(object, "server", health.server);
        json_add_number(object, "models", health.models);
        cJSON_AddStringToObject(object, "durability", durability_name(health.durability));
        cJSON_AddBoolToObject(object, "log_refusing", health.refusing);
        ctl_print(object);
    } else {
        printf("%s, %zu model%s, durability %s: %s%s\n", health.server, health.models,
               health.models == 1 ? "" : "s", durability_name(health.durability), health.not_ready ? "not ready, " : "ready",
               health.not_ready ? health.not_ready : "");
    }
    control_close(&control);
    return code ? code : health.not_ready ? CTL_FAILED : CTL_DONE;
}

int metrics_run(struct ctl *ctl)
{
    struct control control;
    struct wire_envelope reply;
    int code = ctl_connect(ctl, &control);
    if (code)
        return code;
    int error = control_ask(&control, &(struct wire_envelope){.kind = WIRE_GET_METRICS}, WIRE_METRICS, &reply);
    if (error) {
        code = ctl_refused(ctl, &control, error);
    } else if (ctl->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "text", reply.metrics.text);
        ctl_print(object);
    } else {
        fputs(reply.metrics.text, stdout);
    }
    control_close(&control);
    return code;
}

int rebuild_run(struct ctl *ctl)
{
    struct control control;
    struct wire_envelope request = {.kind = WIRE_REBUILD, .rebuild.session = ctl->words[0]}, reply;
    int code = ctl_connect(ctl, &control);
    if (code)
        return code;
    int error = control_ask(&control, &request, WIRE_DONE, &reply);
    char digest[DIGEST_TEXT];
    if (error) {
        code = ctl_refused(ctl, &control, error);
    } else if (ctl->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "session", ctl->words[0]);
        json_add_number(object, "task", reply.done.task);
        json_add_number(object, "count", reply.done.count);
        json_add_digest(object, "digest", reply.done.digest);
        ctl_print(object);
    } else {
        printf("%s: made again from %llu transitions, digest %s\n", ctl->words[0],
               (unsigned long long)reply.done.count, digest_text(digest, reply.done.digest));
    }
    control_close(&control);
    return code;
}
