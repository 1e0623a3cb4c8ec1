// What learners ask, and those who explore for them: models as they change, and experience; the contract is in bel.h.
#include "single.h"

#include <stdlib.h>
#include <string.h>

// ---- Models --------------------------------------------------------------------------------------------------

static int64_t deadline_after(const struct bel *bel, uint32_t wait_ms)
{
    return link_now() + (int64_t)wait_ms * 1000000 + bel->deadline_ns;
}

static int take_model(struct single *single, const struct call *call, const struct wire_envelope *reply)
{
    struct bel *bel = call->bel;
    (void)single;
    if (reply->kind != WIRE_MODEL_LIST || reply->model_list.model_count != 1)
        return call_unexpected(bel, NULL);
    call_model_release(&bel->wanted);
    int error = call_model_copy(&bel->wanted, &reply->model_list.models[0]);
    if (error)
        return call_fail(bel, error == -ENOMEM ? BEL_NO_MEMORY : BEL_PROTOCOL, "the daemon's model cannot be");
    return 0;
}

int bel_get_model(struct bel *bel, const char *name, uint64_t unlike, uint32_t wait_ms, const struct bel_model **model)
{
    struct single single = {
        .deadline = deadline_after(bel, wait_ms), .take = take_model,
        .request = {.kind = WIRE_GET_MODEL, .get_model = {name, wait_ms, unlike}}};
    int result = single_run(bel, &single, 0);
    *model = result ? NULL : &bel->wanted.model;
    return result;
}

int bel_publish(struct bel *bel, const char *alias, const char *learner, const void *file, size_t size)
{
    struct single single = {
        .take = single_take_done,
        .request = {.kind = WIRE_PUBLISH_MODEL, .publish_model = {{file, size}, alias, learner}}};
    return single_run(bel, &single, 0);
}

// ---- Experience ----------------------------------------------------------------------------------------------

// One call: an entry for each page that may come. Answers come in the order of the requests.
struct pages {
    struct bel_experience *experience;
    int *results;
    size_t answered, told;
    int failed;                        // a result of take; nothing more is taken
    struct bel_explored *transitions;  // of one page  (room)
    size_t room;
};

static struct bel_session *pages_session(struct call *call, size_t i)
{
    (void)call, (void)i;
    return NULL;
}

static int *pages_result(struct call *call, size_t i)
{
    return &((struct pages *)call->context)->results[i];
}

static void ask_page(struct call *call, size_t i, struct wire_envelope *request)
{
    const struct pages *pages = call->context;
    const struct bel_experience *e = pages->experience;
    request->kind = WIRE_EXPERIENCE;
    // The first that has no answer yet says where, on whatever link; the others follow it.
    request->experience = (struct wire_experience){
        .model = e->model, .learner = e->learner, .follow = i > pages->answered, .after = e->cursor.number,
        .seq = e->cursor.seq, .wait_ms = pages->told == 0 && i == 0 ? e->wait_ms : 0, .forget = i == 0 ? e->forget : 0};
}

// An observation that is left out is where the transition before it led.
static int read_transitions(struct pages *pages, struct bel_page *page, const struct wire_experienced *told)
{
    if (told->transition_count > pages->room) {
        struct bel_explored *larger = realloc(pages->transitions, told->transition_count * sizeof *larger);
        if (!larger)
            return BEL_NO_MEMORY;
        pages->transitions = larger;
        pages->room = told->transition_count;
    }
    for (size_t i = 0; i < told->transition_count; i++) {
        const struct wire_transition *t = &told->transitions[i];
        if (i == 0) {
            page->observation_dim = t->next_observation.count;
            page->action_dim = t->action.count;
        }
        int left_out = i > 0 && t->observation.count == 0;
        if (t->next_observation.count != page->observation_dim || t->action.count != page->action_dim ||
            (!left_out && t->observation.count != page->observation_dim))
            return BEL_PROTOCOL;
        pages->transitions[i] = (struct bel_explored){
            .seq = t->seq, .observation = left_out ? pages->transitions[i - 1].next_observation : t->observation.values,
            .action = t->action.values, .next_observation = t->next_observation.values, .reward = t->reward,
            .first = t->first, .last = t->last, .task = t->task, .status = (enum bel_status)t->status};
    }
    page->transitions = pages->transitions;
    page->transition_count = told->transition_count;
    return 0;
}

static int take_page(struct call *call, size_t i, const struct wire_envelope *reply)
{
    struct pages *pages = call->context;
    struct bel_experience *e = pages->experience;
    const struct wire_experienced *told = &reply->experienced;
    (void)i;
    if (reply->kind != WIRE_EXPERIENCED)
        return call_unexpected(call->bel, NULL);
    pages->answered++;
    if (pages->failed || !*told->session)
        return pages->failed;  // or there is nothing yet
    struct bel_page page = {
        .number = told->number, .session = told->session, .model_digest = told->model_digest, .count = told->count,
        .more = told->more};
    call_copy_digest(page.digest, told->digest);
    int result = read_transitions(pages, &page, told);
    if (result) {
        pages->failed = result;
        return call_fail(call->bel, result, result == BEL_PROTOCOL ? "%s: transitions of different dimensions"
                                                                   : "%s: no memory for a page of its transitions",
                         told->session);
    }
    result = e->take(e->context, &page);
    if (result) {
        pages->failed = result;
        return call_fail(call->bel, result, "%s: its experience was not taken", told->session);
    }
    e->cursor = told->more && told->transition_count > 0
                    ? (struct bel_cursor){told->number - 1, told->transitions[told->transition_count - 1].seq}
                    : (struct bel_cursor){told->number, 0};
    pages->told++;
    return 0;
}

int bel_experience(struct bel *bel, struct bel_experience *experience, size_t *taken)
{
    size_t count = experience->credits ? experience->credits : 1;
    struct pages pages = {.experience = experience, .results = calloc(count, sizeof *pages.results)};
    *taken = 0;
    bel->why[0] = 0;
    if (!pages.results)
        return call_fail(bel, BEL_NO_MEMORY, "no memory for %zu pages of experience", count);
    for (size_t i = 0; i < count; i++)
        pages.results[i] = CALL_PENDING;
    struct call call = {
        .bel = bel, .count = count, .context = &pages, .session = pages_session, .result = pages_result,
        .ask = ask_page, .take = take_page, .deadline = deadline_after(bel, experience->wait_ms)};
    int result = call_run(&call, 0);
    *taken = pages.told;
    free(pages.transitions);
    free(pages.results);
    return result;
}

static int take_newest(struct single *single, const struct call *call, const struct wire_envelope *reply)
{
    if (reply->kind != WIRE_EXPERIENCED)
        return call_unexpected(call->bel, NULL);
    *(uint64_t *)single->out = reply->experienced.number;
    return 0;
}

int bel_newest(struct bel *bel, const char *model, const char *learner, uint64_t *number)
{
    struct single single = {
        .take = take_newest, .out = number,
        .request = {.kind = WIRE_EXPERIENCE, .experience = {.model = model, .learner = learner, .newest = 1}}};
    return single_run(bel, &single, 0);
}
