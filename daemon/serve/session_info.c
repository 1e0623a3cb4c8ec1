// A session for operators, and the list of those of one server; the contract is in session_info.h.
#include "session_info.h"

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
        .loop = (uint32_t)server->index, .kind = model_kind_name(model->kind),
        .told_task = {session->told_task, model_told_dim(model)}};
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
