// beliefctl sessions: a line for each.
#include "ctl.h"

#include <stdio.h>
#include <string.h>

static cJSON *session_json(const struct wire_session_info *s)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "session", s->session);
    cJSON_AddStringToObject(object, "model", s->model);
    cJSON_AddStringToObject(object, "model_digest", s->model_digest);
    cJSON_AddStringToObject(object, "kind", s->kind);
    cJSON_AddStringToObject(object, "identity", s->identity);
    cJSON_AddStringToObject(object, "place", place_name(s->place));
    json_add_number(object, "epoch", s->epoch);
    json_add_number(object, "task", s->task);
    json_add_number(object, "seq", s->seq);
    json_add_number(object, "count", s->count);
    json_add_digest(object, "digest", s->digest);
    json_add_number(object, "durable_seq", s->durable_seq);
    json_add_number(object, "duplicates", s->duplicates);
    json_add_number(object, "gaps", s->gaps);
    json_add_number(object, "refused", s->refused);
    json_add_number(object, "silent_ms", s->silent_ms);
    cJSON_AddStringToObject(object, "peer", s->peer);
    cJSON_AddNumberToObject(object, "last_reward_p", s->last_reward_p);
    json_add_number(object, "loop", s->loop);
    json_add_told_task(object, s->told_task);
    return object;
}

// Columns of the first two words, as wide as the first page needs them.
struct widths {
    int name, model;
};

static void measure(struct widths *widths, const struct wire_session_list *page)
{
    *widths = (struct widths){7, 5};
    for (size_t i = 0; i < page->session_count; i++) {
        int name = (int)strlen(page->sessions[i].session), model = (int)strlen(page->sessions[i].model);
        widths->name = name > widths->name ? name : widths->name;
        widths->model = model > widths->model ? model : widths->model;
    }
}

static void print_heading(const struct widths *widths)
{
    printf("%-*s %-*s %-7s %-8s %5s %10s %10s %6s %5s %7s %8s  %s\n", widths->name, "session", widths->model, "model",
           "kind", "place", "task", "count", "seq", "again", "gaps", "refused", "silent", "peer");
}

static void print_line(const struct wire_session_info *s, const struct widths *widths)
{
    char silent[DURATION_TEXT];
    printf("%-*s %-*s %-7s %-8s %5u %10llu %10llu %6llu %5llu %7llu %8s  %s\n", widths->name, s->session, widths->model, s->model,
           *s->kind ? s->kind : "-", place_name(s->place), s->task, (unsigned long long)s->count, (unsigned long long)s->seq,
           (unsigned long long)s->duplicates, (unsigned long long)s->gaps, (unsigned long long)s->refused,
           s->place == WIRE_SPILLED ? "-" : duration_text(silent, (double)s->silent_ms / 1000), s->peer);
}

int sessions_run(struct ctl *ctl)
{
    struct control control;
    int code = ctl_connect(ctl, &control), more = 1;
    if (code)
        return code;
    struct widths widths = {0};
    cJSON *object = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(object, "sessions");
    char after[WIRE_SESSION_LIMIT + 1] = "";
    while (more && !code) {
        struct wire_envelope request = {.kind = WIRE_LIST_SESSIONS, .list_sessions = {.after = after}}, reply;
        int error = control_ask(&control, &request, WIRE_SESSION_LIST, &reply);
        if (error) {
            code = ctl_refused(ctl, &control, error);
            break;
        }
        const struct wire_session_list *page = &reply.session_list;
        if (!ctl->json && !widths.name) {
            measure(&widths, page);
            print_heading(&widths);
        }
        for (size_t i = 0; i < page->session_count; i++) {
            if (ctl->json)
                cJSON_AddItemToArray(list, session_json(&page->sessions[i]));
            else
                print_line(&page->sessions[i], &widths);
        }
        more = page->more && page->session_count;
        if (page->session_count)
            snprintf(after, sizeof after, "%s", page->sessions[page->session_count - 1].session);
    }
    control_close(&control);
    if (ctl->json && !code)
        return ctl_print(object);
    cJSON_Delete(object);
    return code;
}
