// beliefctl show: one session, what it believes and how it came there.
#include "ctl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLOT_COLUMNS = 64, GAPS_SHOWN = 8 };

// ---- Text ---------------------------------------------------------------------------------------------------------

// One character for each feature, or for several side by side: the height is the spread of its weight's posterior
// beside the largest, over three decades.
static void plot_spread(struct wire_doubles variance)
{
    static const char *const heights[] = {"_", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double largest = 0, smallest = INFINITY;
    for (size_t i = 0; i < variance.count; i++) {
        largest = fmax(largest, variance.values[i]);
        smallest = fmin(smallest, variance.values[i]);
    }
    if (!(largest > 0))
        return;
    size_t columns = variance.count < PLOT_COLUMNS ? variance.count : PLOT_COLUMNS;
    printf("    spread      ");
    for (size_t c = 0; c < columns; c++) {
        double most = 0;
        for (size_t i = c * variance.count / columns; i < (c + 1) * variance.count / columns; i++)
            most = fmax(most, variance.values[i]);
        double decades = log10(fmax(most / largest, 1e-9)) / 2;  // of the standard deviation
        int height = (int)lround(8 * (1 + decades / 3));
        fputs(heights[height < 0 ? 0 : height > 8 ? 8 : height], stdout);
    }
    printf("  sd %.3g to %.3g\n", sqrt(smallest), sqrt(largest));
}

// A number line from low to high with the estimate and one standard deviation to both sides.
static void plot_number(const char *name, size_t i, double mean, double sd)
{
    enum { WIDTH = 41 };
    char line[WIDTH + 1];
    double reach = fmax(3 * fmax(sd, 1e-12), fabs(mean) * 1.25);
    memset(line, ' ', WIDTH);
    line[WIDTH] = 0;
    for (int at = 0; at < WIDTH; at++) {
        double value = reach * (2.0 * at / (WIDTH - 1) - 1);
        if (fabs(value - mean) <= sd)
            line[at] = '-';
    }
    line[WIDTH / 2] = line[WIDTH / 2] == '-' ? '+' : '|';
    long middle = lround((mean / reach + 1) / 2 * (WIDTH - 1));
    line[middle < 0 ? 0 : middle > WIDTH - 1 ? WIDTH - 1 : middle] = '*';
    printf("  %s[%zu]%*s %10.4g ± %-9.3g %s\n", name, i, (int)(11 - strlen(name)), "", mean, sd, line);
}

static void print_gaps(const struct wire_session_state *state)
{
    for (size_t w = 0; w < state->writer_count; w++) {
        struct wire_seen seen = state->writers[w].seen;
        size_t gaps = seen.count / 2 ? seen.count / 2 - 1 : 0;
        printf("  writer %-3u      ", state->writers[w].writer);
        if (seen.count < 2) {
            puts("nothing seen");
            continue;
        }
        printf("seen %llu to %llu", (unsigned long long)seen.numbers[0],
               (unsigned long long)seen.numbers[seen.count - 1]);
        for (size_t g = 0; g < gaps && g < GAPS_SHOWN; g++)
            printf("%s%llu..%llu", g ? ", " : "; missing ", (unsigned long long)seen.numbers[2 * g + 1] + 1,
                   (unsigned long long)seen.numbers[2 * g + 2] - 1);
        puts(gaps > GAPS_SHOWN ? ", ..." : "");
    }
}

static void print_info(const struct wire_session_info *s)
{
    char digest[DIGEST_TEXT], silent[DURATION_TEXT];
    printf("%s\n", s->session);
    printf("  model           %s %.16s%s%s\n", s->model, s->model_digest, *s->kind ? ", " : "", s->kind);
    printf("  place           %s%s%s, loop %u\n", place_name(s->place), *s->peer ? ", held by " : "", s->peer, s->loop);
    if (*s->identity)
        printf("  identity        %s\n", s->identity);
    printf("  epoch           %llu\n", (unsigned long long)s->epoch);
    printf("  task            %u", s->task);
    for (size_t i = 0; i < s->told_task.count; i++)
        printf("%s%.6g", i ? ", " : ", told: ", (double)s->told_task.values[i]);
    putchar('\n');
    printf("  transitions     %llu in the belief, %llu duplicates, %llu refused, %llu gaps\n",
           (unsigned long long)s->count, (unsigned long long)s->duplicates, (unsigned long long)s->refused,
           (unsigned long long)s->gaps);
    printf("  observation     %llu, durable to %llu\n", (unsigned long long)s->seq,
           (unsigned long long)s->durable_seq);
    printf("  last request    %s ago, p of the last reward %.3g\n",
           duration_text(silent, (double)s->silent_ms / 1000), s->last_reward_p);
    printf("  digest          %s\n", digest_text(digest, s->digest));
}

// Of a model without heads: mean and standard deviation of each number of its latent, if it has one.
static void print_latent(const struct wire_head *head)
{
    printf("  %s, %u numbers\n", head->name, head->features);
    for (size_t i = 0; i < head->mean.count && i < head->variance.count; i++)
        plot_number(head->name, i, head->mean.values[i], sqrt(head->variance.values[i]));
}

static void print_belief(const struct wire_belief *belief)
{
    for (size_t i = 0; i < belief->estimate_mean.count && i < belief->estimate_sd.count; i++)
        plot_number("task", i, belief->estimate_mean.values[i], belief->estimate_sd.values[i]);
    for (size_t h = 0; h < belief->head_count; h++) {
        const struct wire_head *head = &belief->heads[h];
        if (strcmp(head->name, "latent") == 0 || strcmp(head->name, "state") == 0) {
            print_latent(head);
            continue;
        }
        double most = 0, least = INFINITY;
        for (size_t i = 0; i < head->noise.count; i++) {
            most = fmax(most, sqrt(head->noise.values[i]));
            least = fmin(least, sqrt(head->noise.values[i]));
        }
        printf("  %s head, %u features, %u targets\n", head->name, head->features, head->targets);
        printf("    evidence    %.6g nats\n", head->log_evidence);
        if (head->noise.count)
            printf("    noise       sd %.3g to %.3g\n", least, most);
        plot_spread(head->variance);
    }
}

// ---- JSON ---------------------------------------------------------------------------------------------------------

static cJSON *doubles(struct wire_doubles from)
{
    return cJSON_CreateDoubleArray(from.values, (int)from.count);
}

static void add_info(cJSON *object, const struct wire_session_info *s)
{
    cJSON_AddStringToObject(object, "session", s->session);
    cJSON_AddStringToObject(object, "model", s->model);
    cJSON_AddStringToObject(object, "model_digest", s->model_digest);
    cJSON_AddStringToObject(object, "kind", s->kind);
    cJSON_AddStringToObject(object, "identity", s->identity);
    cJSON_AddStringToObject(object, "place", place_name(s->place));
    json_add_number(object, "epoch", s->epoch);
    json_add_number(object, "task", s->task);
    json_add_told_task(object, s->told_task);
    json_add_number(object, "seq", s->seq);
    json_add_number(object, "durable_seq", s->durable_seq);
    json_add_number(object, "duplicates", s->duplicates);
    json_add_number(object, "refused", s->refused);
    json_add_number(object, "silent_ms", s->silent_ms);
    cJSON_AddStringToObject(object, "peer", s->peer);
    cJSON_AddNumberToObject(object, "last_reward_p", s->last_reward_p);
}

static void add_state(cJSON *object, const struct wire_session_state *state)
{
    cJSON *writers = cJSON_AddArrayToObject(object, "writers");
    for (size_t w = 0; w < state->writer_count; w++) {
        cJSON *writer = cJSON_CreateObject(), *seen;
        cJSON_AddItemToArray(writers, writer);
        json_add_number(writer, "writer", state->writers[w].writer);
        seen = cJSON_AddArrayToObject(writer, "seen");
        for (size_t i = 0; i < state->writers[w].seen.count; i++) {
            char text[24];
            snprintf(text, sizeof text, "%llu", (unsigned long long)state->writers[w].seen.numbers[i]);
            cJSON_AddItemToArray(seen, cJSON_CreateRaw(text));
        }
    }
}

static void add_belief(cJSON *object, const struct wire_belief *belief)
{
    json_add_number(object, "count", belief->count);
    json_add_digest(object, "digest", belief->digest);
    cJSON_AddItemToObject(object, "estimate_mean", doubles(belief->estimate_mean));
    cJSON_AddItemToObject(object, "estimate_sd", doubles(belief->estimate_sd));
    cJSON *heads = cJSON_AddArrayToObject(object, "heads");
    for (size_t h = 0; h < belief->head_count; h++) {
        const struct wire_head *from = &belief->heads[h];
        cJSON *head = cJSON_CreateObject();
        cJSON_AddItemToArray(heads, head);
        cJSON_AddStringToObject(head, "name", from->name);
        json_add_number(head, "features", from->features);
        json_add_number(head, "targets", from->targets);
        cJSON_AddNumberToObject(head, "log_evidence", from->log_evidence);
        cJSON_AddItemToObject(head, "mean", doubles(from->mean));
        cJSON_AddItemToObject(head, "variance", doubles(from->variance));
        cJSON_AddItemToObject(head, "noise", doubles(from->noise));
    }
}

// ---- Asking -------------------------------------------------------------------------------------------------------

// The questions that a session's page is made of, each shown before the next is asked.
static int show(const struct ctl *ctl, struct control *control, const char *name, cJSON *object)
{
    struct wire_envelope request = {.kind = WIRE_LIST_SESSIONS, .list_sessions.session = name}, reply;
    int error = control_ask(control, &request, WIRE_SESSION_LIST, &reply);
    if (error)
        return ctl_refused(ctl, control, error);
    if (reply.session_list.session_count == 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: there is no such session", name);
    const struct wire_session_info *info = &reply.session_list.sessions[0];
    uint64_t epoch = info->epoch;
    int moved = info->place == WIRE_MOVED_PLACE;
    if (object)
        add_info(object, info);
    else
        print_info(info);
    if (moved)
        return 0;

    request = (struct wire_envelope){.kind = WIRE_SAVE, .save.session = name};
    if ((error = control_ask(control, &request, WIRE_SESSION_STATE, &reply)))
        return ctl_refused(ctl, control, error);
    if (object)
        add_state(object, &reply.session_state);
    else
        print_gaps(&reply.session_state);

    // What its kind of model can tell. A session that was spilled is in memory now.
    request = (struct wire_envelope){.kind = WIRE_LIST_SESSIONS, .list_sessions.session = name};
    if ((error = control_ask(control, &request, WIRE_SESSION_LIST, &reply)))
        return ctl_refused(ctl, control, error);
    const char *kind = reply.session_list.session_count ? reply.session_list.sessions[0].kind : "";
    int has_posterior = !*kind || strcmp(kind, "glibrl") == 0;
    int has_latent = strcmp(kind, "varibad") == 0 || strcmp(kind, "pearl") == 0;
    request = (struct wire_envelope){
        .kind = WIRE_GET_BELIEF,
        .get_belief = {.weights = has_posterior || has_latent, .estimate = has_posterior, .session = name, .epoch = epoch}};
    if ((error = control_ask(control, &request, WIRE_BELIEF, &reply)))
        return ctl_refused(ctl, control, error);
    if (object)
        add_belief(object, &reply.belief);
    else
        print_belief(&reply.belief);
    return 0;
}

int show_run(struct ctl *ctl)
{
    struct control control;
    int code = ctl_connect(ctl, &control);
    if (code)
        return code;
    cJSON *object = ctl->json ? cJSON_CreateObject() : NULL;
    code = show(ctl, &control, ctl->words[0], object);
    control_close(&control);
    if (object && !code)
        return ctl_print(object);
    cJSON_Delete(object);
    return code;
}
