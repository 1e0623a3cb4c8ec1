#include "shadow.h"

#include "tests/support/suite.h"

#include <stdlib.h>
#include <string.h>

void shadow_init(struct shadow *shadow, const struct model *model, int hold_prior)
{
    *shadow = (struct shadow){.model = model, .hold_prior = hold_prior, .task = 1};
    ck_assert_uint_le(model->observation_dim, SHADOW_DIM_LIMIT);
    ck_assert_uint_le(model->action_dim, SHADOW_DIM_LIMIT);
    shadow->scratch = agent_scratch_new(model);
    size_t size = (agent_belief_size(model) / KERNEL_ALIGNMENT + 1) * KERNEL_ALIGNMENT;
    shadow->memory = aligned_alloc(KERNEL_ALIGNMENT, size);
    agent_belief_init(&shadow->belief, model, shadow->memory);
}

void shadow_release(struct shadow *shadow)
{
    agent_scratch_free(shadow->scratch);
    free(shadow->memory);
}

void shadow_new_task(struct shadow *shadow)
{
    agent_belief_reset(&shadow->belief);
    shadow->task++;
    shadow->standing = 0;
}

// The report on the belief as it is.
static struct bel_report report_now(const struct shadow *shadow, enum bel_status status)
{
    struct bel_report report = {.status = status, .task = shadow->task,
                                .count = agent_belief_count(&shadow->belief), .reward_p = 1, .transition_p = 1};
    struct digest digest = agent_belief_digest(&shadow->belief);
    for (int i = 0; i < 16; i++)
        report.digest[i] = (uint8_t)(digest.word[i / 8] >> 8 * (i % 8));
    return report;
}

static enum bel_status status_of(enum observe_status status)
{
    return status == OBSERVE_ABSORBED ? BEL_STATUS_ABSORBED
         : status == OBSERVE_OUT_OF_ORDER ? BEL_STATUS_OUT_OF_ORDER
         : status == OBSERVE_NOT_FINITE ? BEL_STATUS_NOT_FINITE : BEL_STATUS_OUT_OF_RANGE;
}

// Stands at the observation and decides; z: of the transition that led here, to be judged, or NULL.
static void decide(struct shadow *shadow, const float *observation, int32_t *const *z, struct bel_report *report)
{
    memcpy(shadow->observation, observation, shadow->model->observation_dim * sizeof *observation);
    struct action_item item = {
        .belief = shadow->hold_prior ? NULL : &shadow->belief, .observation = shadow->observation,
        .task = shadow->told_task, .z = shadow->hold_prior ? NULL : z, .action = shadow->action,
    };
    agent_act(shadow->model, shadow->scratch, &item, 1);
    ck_assert_int_eq(item.error, 0);
    if (item.z) {
        report->reward_p = item.surprise[HEAD_REWARD].p_value;
        report->transition_p = item.surprise[HEAD_TRANSITION].p_value;
    }
}

struct bel_report shadow_act(struct shadow *shadow, const float *observation)
{
    struct bel_report report = report_now(shadow, BEL_STATUS_NONE);
    decide(shadow, observation, NULL, &report);
    shadow->standing = 1;
    return report;
}

struct bel_report shadow_step(struct shadow *shadow, const float *executed, float reward, const float *observation,
                              int last)
{
    struct observation_item item = {
        .belief = &shadow->belief, .observation = shadow->observation,
        .action = executed ? executed : shadow->action, .next_observation = observation, .reward = reward,
        .number = shadow->seq,
    };
    agent_observe(shadow->model, shadow->scratch, &item, 1);
    struct bel_report report = report_now(shadow, status_of(item.status));
    decide(shadow, observation, item.status == OBSERVE_ABSORBED ? item.z : NULL, &report);
    shadow->standing = !last;
    return report;
}

struct bel_report shadow_observe(struct shadow *shadow, uint32_t writer, const struct bel_transition *transitions,
                                 size_t count, enum bel_status *status)
{
    for (size_t i = 0; i < count; i++) {
        const struct bel_transition *t = &transitions[i];
        ck_assert_uint_lt(t->seq, SHADOW_SEQ_LIMIT);
        status[i] = BEL_STATUS_DUPLICATE;
        if (shadow->seen[writer][t->seq])
            continue;
        shadow->seen[writer][t->seq] = 1;
        struct observation_item item = {
            .belief = &shadow->belief, .observation = t->observation, .action = t->action,
            .next_observation = t->next_observation, .reward = t->reward,
        };
        agent_observe(shadow->model, shadow->scratch, &item, 1);
        status[i] = status_of(item.status);
    }
    return report_now(shadow, BEL_STATUS_NONE);
}

void shadow_check(const struct bel_report *report, const struct bel_report *expected, int repeated,
                  const char *what)
{
    ck_assert_msg(report->status == expected->status || (repeated && report->status == BEL_STATUS_DUPLICATE),
                  "%s: status %s, not %s", what, bel_status_name(report->status),
                  bel_status_name(expected->status));
    ck_assert_msg(report->task == expected->task, "%s: task %u, not %u", what, report->task, expected->task);
    ck_assert_msg(report->count == expected->count, "%s: %llu transitions, not %llu", what,
                  (unsigned long long)report->count, (unsigned long long)expected->count);
    ck_assert_msg(memcmp(report->digest, expected->digest, sizeof report->digest) == 0, "%s: another digest",
                  what);
    ck_assert_msg(report->reward_p == expected->reward_p && report->transition_p == expected->transition_p,
                  "%s: p %.17g and %.17g, not %.17g and %.17g", what, report->reward_p, report->transition_p,
                  expected->reward_p, expected->transition_p);
}
