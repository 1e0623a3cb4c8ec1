// A session for operators, and the list of those of one server; the contracts are in session_info.h and request.h.
#include "session_info.h"

#include "request.h"
#include "session_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void session_info(struct wire_session_info *info, const struct server *server, struct session *session,
                  uint8_t digest[WIRE_DIGEST_SIZE], uint64_t now_us)
{
    const struct model *model = session->served->model;
    digest_bytes(digest, agent_belief_digest(&session->belief));
    *info = (struct wire_session_info){
        .session = session->name, .model = model->name, .model_digest = model->digest,
        .identity = session->identity, .place = session->owner ? WIRE_LIVE : WIRE_IDLE_PLACE,
        .epoch = session->epoch, .task = session->task, .seq = session->seq,
        .count = agent_belief_count(&session->belief), .digest = {digest, WIRE_DIGEST_SIZE},
        .durable_seq = session_durable_seq(server, session), .duplicates = session->duplicates,
        .gaps = session_gaps(session), .refused = session->refused,
        .silent_ms = now_us > session->heard_us ? (now_us - session->heard_us) / 1000 : 0,
        .peer = session->owner ? session->owner->peer : "",
        .last_reward_p = session->last_step.valid ? session->last_step.reward_p : 1,
        .loop = (uint32_t)server->index};
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct session *const *)a)->name, (*(struct session *const *)b)->name);
}

long sessions_after(const struct server *server, const char *after, const char *only, struct session ***found)
{
    struct session **list = malloc((server->sessions.count + 1) * sizeof(struct session *));
    size_t count = 0;
    if (!list)
        return -ENOMEM;
    for (struct session *session = server->sessions.first; session; session = session->next)
        if (strcmp(session->name, after) > 0 && (!*only || !strcmp(session->name, only)))
            list[count++] = session;
    qsort(list, count, sizeof(struct session *), by_name);
    *found = list;
    return (long)count;
}

enum { INFO_BOUND = 1024 };  // bytes of the largest SessionInfo

void request_take_list_sessions(const struct request *r)
{
    const struct wire_list_sessions *list = &r->message->list_sessions;
    struct server *server = r->server;
    struct session **sessions = NULL;
    long found = sessions_after(server, list->after, list->session, &sessions);
    size_t fit = server->limits.frame_bytes / INFO_BOUND;
    size_t count = found > 0 ? (size_t)found : 0;
    if (list->limit > 0 && list->limit < fit)
        fit = list->limit;
    if (count > fit)
        count = fit;
    struct wire_session_info *infos = calloc(count + 1, sizeof *infos);
    uint8_t (*digests)[WIRE_DIGEST_SIZE] = calloc(count + 1, sizeof *digests);
    if (found < 0 || !infos || !digests) {
        request_refuse(r, WIRE_LIMIT, "", 0, "no memory for the list");
    } else {
        for (size_t i = 0; i < count; i++)
            session_info(&infos[i], server, sessions[i], digests[i], r->now_us);
        struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_SESSION_LIST};
        reply.session_list = (struct wire_session_list){infos, count, (size_t)found > count};
        server_reply(server, r->connection, &reply);
    }
    free(infos);
    free(digests);
    free(sessions);
}
