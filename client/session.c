// A session's side of a lost link: what is kept, and what the daemon says it still has. The contract is in call.h.
#include "call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct kept_step *session_kept(struct bel_session *session, size_t i)
{
    return &session->kept[(session->kept_first + i) % BEL_UNANSWERED_LIMIT];
}

void session_drop_kept(struct bel_session *session, uint64_t up_to)
{
    while (session->kept_count && session_kept(session, 0)->seq <= up_to) {
        session->kept_first = (session->kept_first + 1) % BEL_UNANSWERED_LIMIT;
        session->kept_count--;
    }
}

void session_adrift(struct bel_session *session)
{
    session->generation = 0;
    for (size_t i = 0; i < session->kept_count; i++)
        session_kept(session, i)->generation = 0;
}

int session_usable(const struct bel_session *session)
{
    if (session->state == SESSION_LOST)
        return call_fail(session->bel, BEL_LOST,
                         "%s: the daemon no longer has this session's belief; close it and open it anew",
                         session->id);
    if (session->state == SESSION_FENCED)
        return call_fail(session->bel, BEL_FENCED, "%s: somebody else has this session now", session->id);
    return CALL_PENDING;
}

static int lost(struct bel_session *session, uint64_t has)
{
    session->state = SESSION_LOST;
    return call_fail(session->bel, BEL_LOST,
                     "%s: the daemon no longer has this session's belief: it counts %llu transitions instead of "
                     "%llu; close it and open it anew to begin from the prior",
                     session->id, (unsigned long long)has, (unsigned long long)session->count);
}

// The session's model. Only Welcome tells its provenance.
static int learn_model(struct bel_session *session, const struct wire_model *told)
{
    struct wire_model model = *told;
    const struct bel *bel = session->bel;
    for (size_t i = 0; !*model.provenance && i < bel->model_count; i++)
        if (strcmp(bel->models[i].model.digest, model.digest) == 0 &&
            strcmp(bel->models[i].model.name, model.name) == 0)
            model.provenance = bel->models[i].model.provenance;
    return call_model_copy(&session->model, &model);
}

int session_opened(struct bel_session *session, const struct wire_opened *opened, int in_flight)
{
    struct bel *bel = session->bel;
    if (!session->known) {
        int error = learn_model(session, opened->model);
        if (error)
            return call_fail(bel, error == -ENOMEM ? BEL_NO_MEMORY : BEL_PROTOCOL,
                             "%s: the daemon's model cannot be",
                             session->id);
        session->known = 1;
        session->resumed = opened->resumed;
        session->seq = opened->seq;
        session->task = opened->task;
        session->count = opened->count;
    } else {
        const struct bel_model *model = &session->model.model;
        if (opened->model->observation_dim != model->observation_dim ||
            opened->model->action_dim != model->action_dim)
            return call_fail(bel, BEL_PROTOCOL, "%s: the daemon's model %s has other dimensions now",
                             session->id, model->name);
        if (opened->seq > session->seq + (in_flight != 0)) {
            session->state = SESSION_FENCED;
            return call_fail(bel, BEL_FENCED, "%s: somebody else has continued this session", session->id);
        }
        int had = session->count > 0 || session->kept_count > 0;
        int gone = (!opened->resumed && had) || opened->task < session->task ||
                   (opened->task == session->task && opened->count < session->count);
        // An empty one in its place, made by this very Open perhaps, leaves with it.
        if (gone && !(session->state == SESSION_LEAVING && opened->count == 0))
            return lost(session, opened->count);
        session_drop_kept(session, opened->seq);
        // The next step to be sent must follow what the daemon holds.
        uint64_t next = session->kept_count ? session_kept(session, 0)->seq : session->seq + 1;
        if (opened->seq + 1 < next)
            session->following = 0;
        session->task = opened->task;
        session->count = opened->count;
    }
    session->handle = opened->handle;
    session->generation = bel->generation;
    return 0;
}

// ---- Models ---------------------------------------------------------------------------------------------------

enum { DIM_LIMIT = 1 << 16 };  // more is no robot

static const char *place_text(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *placed = memcpy(*at, text, size);
    *at += size;
    return placed;
}

static const float *place_floats(float **at, struct wire_floats floats)
{
    if (!floats.count)
        return NULL;
    float *placed = memcpy(*at, floats.values, floats.count * sizeof(float));
    *at += floats.count;
    return placed;
}

int call_model_copy(struct call_model *to, const struct wire_model *from)
{
    size_t act = from->action_dim;
    if (from->observation_dim < 1 || from->observation_dim > DIM_LIMIT || act < 1 || act > DIM_LIMIT ||
        from->task_dim > DIM_LIMIT || from->action_low.count != act || from->action_high.count != act ||
        (from->action_log_sd.count && from->action_log_sd.count != act))
        return -EPROTO;
    size_t text = strlen(from->name) + strlen(from->world) + strlen(from->digest) + strlen(from->provenance) + 4;
    float *floats = malloc(3 * act * sizeof(float) + text);
    if (!floats)
        return -ENOMEM;
    char *letters = (char *)(floats + 3 * act);
    to->memory = floats;
    to->model = (struct bel_model){
        .name = place_text(&letters, from->name), .world = place_text(&letters, from->world),
        .digest = place_text(&letters, from->digest), .provenance = place_text(&letters, from->provenance),
        .observation_dim = from->observation_dim, .action_dim = from->action_dim, .task_dim = from->task_dim,
        .action_low = place_floats(&floats, from->action_low),
        .action_high = place_floats(&floats, from->action_high),
        .action_log_sd = place_floats(&floats, from->action_log_sd),
        .transition_features = from->transition_features, .reward_features = from->reward_features,
    };
    return 0;
}

void call_model_release(struct call_model *model)
{
    free(model->memory);
    *model = (struct call_model){0};
}
