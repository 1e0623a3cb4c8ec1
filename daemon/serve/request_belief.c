// GetBelief: what a belief holds. The contract is in request.h.
#include "request.h"

static int look_into(struct wire_head *out, struct served *served, const struct belief *belief, enum head_kind kind,
                     const struct wire_get_belief *get)
{
    struct inspection *inspection = &served->heads[kind];
    const struct head *head = &served->model->heads[kind];
    struct posterior *posterior = &inspection->posterior;
    unsigned parts = POSTERIOR_SCALE | (get->weights ? POSTERIOR_MEAN | POSTERIOR_VARIANCE : 0);
    int error = posterior_solve(posterior, head->prior, belief, parts, NULL, 0);
    if (error)
        return error;
    size_t D = head->features, d = head->targets;
    *out = (struct wire_head){
        .name = kind == HEAD_TRANSITION ? "transition" : "reward", .features = (uint32_t)D, .targets = (uint32_t)d,
        .log_evidence = posterior_log_evidence(posterior, head->prior)};
    if (get->weights) {
        for (size_t j = 0; j < d; j++)
            inspection->noise[j] = posterior_noise(posterior, j);
        out->mean = (struct wire_doubles){posterior->mean, D * d};
        out->variance = (struct wire_doubles){posterior->variance, D};
        out->noise = (struct wire_doubles){inspection->noise, d};
    }
    if (get->sums) {
        belief_encode(served->sums[kind], belief);
        out->sums = (struct wire_bytes){served->sums[kind], served->sums_size[kind]};
    }
    return 0;
}

// What kinds without heads have: a latent, or only a state.
static int look_into_state(struct wire_head *out, struct served *served, const struct agent_belief *belief,
                           const struct wire_get_belief *get)
{
    const struct model *model = served->model;
    size_t L = model->encoder.latent;
    *out = (struct wire_head){.name = L ? "latent" : "state", .features = (uint32_t)(L ? L : model->encoder.width),
                              .targets = 1};
    if (get->sums) {
        agent_belief_encode(served->sums[0], belief, 0);
        out->sums = (struct wire_bytes){served->sums[0], served->sums_size[0]};
    }
    if (!get->weights || L == 0)
        return 0;
    out->mean = (struct wire_doubles){served->latent_mean, L};
    out->variance = (struct wire_doubles){served->latent_variance, L};
    return agent_latent(model, served->scratch, belief, served->latent_mean, served->latent_variance);
}

// Evidence, weights' noise, an estimate by landmarks: only a posterior has them.
static int can_answer(const struct request *r, const struct model *model, const struct wire_get_belief *get)
{
    int has_heads = model->kind == MODEL_GLIBRL, has_latent = model->encoder.latent > 0;
    const char *field = get->estimate && !has_heads                ? "estimate"
                        : get->weights && !has_heads && !has_latent ? "weights"
                                                                    : NULL;
    if (field)
        request_refuse(r, WIRE_UNSUPPORTED, field, 0, "unsupported by this model kind: %s has no %s",
                       model_kind_name(model->kind), field);
    return !field;
}

enum { ESTIMATE_DRAWS = 128 };

void request_take_get_belief(const struct request *r)
{
    const struct wire_get_belief *get = &r->message->get_belief;
    struct session *session = request_session(r, get->handle, get->session, get->epoch, ACCESS_READ);
    if (!session)
        return;
    struct served *served = session->served;
    const struct model *model = served->model;
    if (!can_answer(r, model, get))
        return;
    struct wire_head heads[HEAD_COUNT];
    size_t head_count = 0;
    int error = 0;
    if (model_is_recurrent(model) || model->kind == MODEL_PEARL)
        error = look_into_state(&heads[head_count++], served, &session->belief, get);
    for (int h = 0; h < HEAD_COUNT && !error; h++)
        if (model->heads[h].present)
            error = look_into(&heads[head_count++], served, &session->belief.heads[h], (enum head_kind)h, get);
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_BELIEF};
    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&session->belief));
    reply.belief = (struct wire_belief){
        .count = agent_belief_count(&session->belief), .digest = {digest, sizeof digest}, .task = session->task,
        .heads = heads, .head_count = head_count};
    if (!error && get->estimate && model->landmark_count > 0) {
        error = agent_estimate(model, served->scratch, &session->belief, ESTIMATE_DRAWS, served->estimate_mean,
                               served->estimate_sd);
        reply.belief.estimate_mean = (struct wire_doubles){served->estimate_mean, model->task_dim};
        reply.belief.estimate_sd = (struct wire_doubles){served->estimate_sd, model->task_dim};
    }
    if (error)
        request_refuse(r, WIRE_INTERNAL, "", 0, "the belief of session %s is damaged", session->name);
    else
        server_reply(r->server, r->connection, &reply);
}
