// What learners and explorers ask: actions as the policy means them, experience in its order, models that change for
// everybody at once, and one learner for each.
#include "crew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/serve/log.h"
#include "tests/support/suite.h"

enum { ALIAS_LIFE = 30 };

static struct crew crew;
static struct house_options options;
static char directory[64], model_path[96];
static const char *model_paths[] = {model_path};
static struct caller *robot_caller, *trainer;

static const struct peer learner = {.text = "trainer", .identity = {.name = "trainer", .role = WIRE_ROLE_LEARNER}};

// Its bounds are narrow, so that its policy means to go beyond them.
static struct model *small(uint64_t seed, uint64_t revision)
{
    struct model *model = sample_model(&sample_small, seed);
    for (size_t i = 0; i < model->action_dim; i++) {
        model->action_low[i] = -0.01f;
        model->action_high[i] = 0.02f;
    }
    model->revision = revision;
    return model;
}

static void set_up(void)
{
    peer_now_us = 1000000;
    log_set_level(LOG_ERROR);
    strcpy(directory, "/tmp/test-learning-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(model_path, sizeof model_path, "%s/small.safetensors", directory);
    struct model *model = small(1, 1);
    ck_assert_int_eq(model_save(model, model_path), 0);
    model_free(model);
    options = crew_options;
    options.durability = WIRE_DURABILITY_INTERVAL;
    options.data_directory = options.model_directory = directory;
    options.model_paths = model_paths;
    options.model_count = 1;
    options.limits.frame_bytes = 1 << 20;  // room for some pages
    crew_start(&crew, 2, &options);
    robot_caller = crew_connect(&crew, 0, NULL);
    trainer = crew_connect(&crew, 1, &learner);
}

static void tear_down(void)
{
    char command[128];
    crew_stop(&crew);
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static struct wire_envelope asking(const char *model, uint64_t after, uint64_t seq)
{
    return (struct wire_envelope){.kind = WIRE_EXPERIENCE, .experience = {
        .model = model, .learner = "trainer", .after = after, .seq = seq, .wait_ms = 10000}};
}

static struct wire_error refused(struct caller *caller, struct wire_envelope request, enum wire_error_code code)
{
    struct wire_envelope reply = crew_ask(&crew, caller, request);
    ck_assert_int_eq(reply.kind, WIRE_ERROR);
    ck_assert_msg(reply.error.code == code, "%s: %s", wire_error_name(reply.error.code), reply.error.message);
    return reply.error;
}

static const struct model *model_now(void)
{
    return serving_named(&crew.servers[0]->serving, "small")->model;
}

// A session that explores: an Act as observation 1, then Steps up to `last`. Each action is told as the policy means it.
static struct robot explore(const char *name, uint64_t seed, uint64_t last, int finish)
{
    struct robot robot = {.model = model_now(), .seed = seed};
    struct wire_envelope reply = crew_ask(&crew, robot_caller, (struct wire_envelope){
        .kind = WIRE_OPEN, .open = {.session = name, .model = "small", .explore = 1}});
    ck_assert_int_eq(reply.kind, WIRE_OPENED);
    uint32_t handle = reply.opened.handle;
    crew_ask(&crew, robot_caller, robot_act(&robot, handle, 1));
    for (uint64_t seq = 2; seq <= last; seq++) {
        struct wire_envelope step = robot_step(&robot, handle, seq);
        step.step.last = seq == last;
        ck_assert_int_eq(crew_ask(&crew, robot_caller, step).action.status, WIRE_STATUS_ABSORBED);
    }
    if (finish)
        ck_assert_int_eq(crew_ask(&crew, robot_caller, (struct wire_envelope){
            .kind = WIRE_CLOSE, .close = {.handle = handle, .finish = 1}}).kind, WIRE_DONE);
    return robot;
}

// One page: transitions first .. of that robot's life.
static void check_page(const struct wire_experienced *page, const char *session, struct robot *robot, uint64_t first)
{
    ck_assert_str_eq(page->session, session);
    size_t obs = robot->model->observation_dim, act = robot->model->action_dim;
    for (size_t i = 0; i < page->transition_count; i++) {
        const struct wire_transition *t = &page->transitions[i];
        robot_live(robot, first + i);
        ck_assert_uint_eq(t->seq, first + i);
        ck_assert_uint_eq(t->action.count, act);
        ck_assert_mem_eq(t->action.values, robot->action, act * sizeof(float));
        ck_assert_mem_eq(t->next_observation.values, robot->next, obs * sizeof(float));
        ck_assert_float_eq(t->reward, robot->reward);
        ck_assert_int_eq(t->status, WIRE_STATUS_ABSORBED);
        ck_assert_int_eq(t->first, first + i == 2);
    }
}

// All pages of the session after that number; its own.
static uint64_t read_session(uint64_t after, const char *session, struct robot *robot, uint64_t last)
{
    uint64_t at = after, seq = 0, next = 2;
    for (;;) {
        struct wire_envelope reply = crew_ask(&crew, trainer, asking("small", at, seq));
        ck_assert_int_eq(reply.kind, WIRE_EXPERIENCED);
        const struct wire_experienced *page = &reply.experienced;
        check_page(page, session, robot, next);
        next += page->transition_count;
        if (!page->more) {
            ck_assert_uint_eq(next, last + 1);
            ck_assert_uint_eq(page->count, last - 1);
            return page->number;
        }
        at = page->number - 1;
        seq = page->transitions[page->transition_count - 1].seq;
    }
}

START_TEST(experience_comes_in_the_order_in_which_it_was_finished_in_pages)
{
    struct robot one = explore("one", 5, 1200, 1), two = explore("two", 6, 20, 1);
    explore("not-over", 7, 20, 0);
    uint64_t number = read_session(0, "one", &one, 1200);
    number = read_session(number, "two", &two, 20);
    // The one whose session is not over does not come; what is newest can be asked.
    struct wire_envelope newest = asking("small", 0, 0);
    newest.experience.newest = 1;
    ck_assert_uint_eq(crew_ask(&crew, trainer, newest).experienced.number, number);
    newest.experience = (struct wire_experience){.model = "small", .learner = "trainer", .after = number};
    struct wire_envelope nothing = crew_ask(&crew, trainer, newest);
    ck_assert_str_eq(nothing.experienced.session, "");
    // Whoever explored is gone from memory, so that sessions do not heap up.
    ck_assert_ptr_null(session_find(&crew.servers[0]->sessions, "one"));
}
END_TEST

START_TEST(credits_sent_ahead_are_answered_as_sessions_are_finished)
{
    struct wire_envelope first = asking("small", 0, 0), next = asking("small", 0, 0);
    next.experience.follow = 1;
    peer_send(trainer, first);
    peer_send(trainer, next);
    peer_send(trainer, next);
    crew_settle(&crew, 20);
    struct wire_envelope reply;
    ck_assert_int_eq(peer_reply(trainer, &reply), 0);
    static const char *const names[] = {"one", "two", "three"};
    for (int i = 0; i < 3; i++) {
        struct robot robot = explore(names[i], 10 + (uint64_t)i, 15, 1);
        reply = crew_reply(&crew, trainer);
        ck_assert_int_eq(reply.kind, WIRE_EXPERIENCED);
        check_page(&reply.experienced, names[i], &robot, 2);
        ck_assert_uint_eq(reply.experienced.transition_count, 14);
        ck_assert_int_eq(peer_reply(trainer, &reply), 0);
    }
}
END_TEST

START_TEST(a_learner_that_waited_in_vain_is_told_so_and_one_that_leaves_is_no_burden)
{
    struct wire_envelope request = asking("small", 0, 0);
    peer_send(trainer, request);
    crew_settle(&crew, 5);
    peer_now_us += 11000000;
    server_tick(trainer->server, peer_now_us);
    struct wire_envelope reply = crew_reply(&crew, trainer);
    ck_assert_int_eq(reply.kind, WIRE_EXPERIENCED);
    ck_assert_str_eq(reply.experienced.session, "");
    for (int i = 0; i < 3; i++)
        peer_send(trainer, request);
    crew_turn(&crew);
    crew_disconnect(&crew, trainer);
    explore("one", 5, 10, 1);  // what it waited for comes to nobody
    crew_settle(&crew, 20);
    trainer = crew_connect(&crew, 1, &learner);
    struct robot again = {.model = model_now(), .seed = 5};
    read_session(0, "one", &again, 10);
}
END_TEST

START_TEST(one_learner_learns_a_model_until_its_connection_ends)
{
    struct caller *second = crew_connect(&crew, 0, &learner);
    struct wire_envelope request = asking("small", 0, 0);
    request.experience.wait_ms = 0;
    ck_assert_int_eq(crew_ask(&crew, trainer, request).kind, WIRE_EXPERIENCED);
    request.experience.learner = "another";
    struct wire_error error = refused(second, request, WIRE_LIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "small is learnt by trainer"));
    request.experience.model = "something else";
    refused(second, request, WIRE_UNKNOWN_MODEL);
    request.experience.model = "small";
    crew_disconnect(&crew, trainer);
    ck_assert_int_eq(crew_ask(&crew, second, request).kind, WIRE_EXPERIENCED);
    request.experience.learner = "";
    refused(second, request, WIRE_INVALID);
    trainer = second;
}
END_TEST

START_TEST(robots_neither_take_experience_nor_publish)
{
    refused(robot_caller, asking("small", 0, 0), WIRE_PERMISSION);
    refused(robot_caller, (struct wire_envelope){.kind = WIRE_PUBLISH_MODEL, .publish_model = {.alias = "a", .learner = "b"}},
            WIRE_PERMISSION);
    struct wire_envelope reply = crew_ask(&crew, robot_caller, (struct wire_envelope){
        .kind = WIRE_GET_MODEL, .get_model = {.model = "small"}});
    ck_assert_int_eq(reply.kind, WIRE_MODEL_LIST);
    ck_assert_uint_eq(reply.model_list.models[0].revision, 1);
}
END_TEST

static struct wire_envelope publishing(const uint8_t *file, size_t size)
{
    return (struct wire_envelope){.kind = WIRE_PUBLISH_MODEL, .publish_model = {
        .file = {file, size}, .alias = "online", .learner = "trainer"}};
}

START_TEST(a_published_model_is_everybodys_at_once_and_who_waited_for_it_is_told)
{
    struct wire_envelope waiting = {.kind = WIRE_GET_MODEL, .get_model = {.model = "online", .wait_ms = 10000}};
    peer_send(robot_caller, waiting);
    crew_turn(&crew);
    for (uint64_t revision = 1; revision <= 3; revision++) {
        struct model *model = small(10 + revision, revision);
        uint8_t *bytes;
        size_t size;
        strcpy(model->name, "learnt");
        ck_assert_int_eq(model_bytes(model, &bytes, &size), 0);
        ck_assert_int_eq(crew_ask(&crew, trainer, publishing(bytes, size)).kind, WIRE_DONE);
        struct wire_envelope reply = crew_reply(&crew, robot_caller);
        ck_assert_int_eq(reply.kind, WIRE_MODEL_LIST);
        ck_assert_str_eq(reply.model_list.models[0].name, "learnt");
        ck_assert_uint_eq(reply.model_list.models[0].revision, revision);
        // Cut anywhere it is refused, and the good one stays.
        refused(trainer, publishing(bytes, size - 1), WIRE_INVALID);
        refused(trainer, publishing(bytes, size / 2), WIRE_INVALID);
        free(bytes);
        model_free(model);
        waiting.get_model.unlike = revision;
        peer_send(robot_caller, waiting);
        crew_turn(&crew);
    }
    peer_now_us += 11000000;
    server_tick(robot_caller->server, peer_now_us);
    struct wire_envelope reply = crew_reply(&crew, robot_caller);
    ck_assert_uint_eq(reply.model_list.models[0].revision, 3);
    refused(trainer, (struct wire_envelope){.kind = WIRE_PUBLISH_MODEL, .publish_model = {
        .alias = "online", .learner = "trainer"}}, WIRE_INVALID);
    // An alias that is a model's name.
    struct model *model = small(20, 1);
    uint8_t *bytes;
    size_t size;
    ck_assert_int_eq(model_bytes(model, &bytes, &size), 0);
    struct wire_envelope request = publishing(bytes, size);
    request.publish_model.alias = "learnt";
    refused(trainer, request, WIRE_INVALID);
    free(bytes);
    model_free(model);
}
END_TEST

START_TEST(explorers_are_told_what_the_policy_means_and_others_what_is_within_the_bounds)
{
    struct robot robot = {.model = model_now(), .seed = 3};
    const struct model *model = robot.model;
    struct caller *plain = crew_connect(&crew, 0, NULL);
    uint32_t handles[2];
    for (int i = 0; i < 2; i++) {
        struct wire_envelope opened = crew_ask(&crew, i ? plain : robot_caller, (struct wire_envelope){
            .kind = WIRE_OPEN, .open = {.session = i ? "plain" : "explorer", .model = "small", .explore = !i}});
        ck_assert_int_eq(opened.kind, WIRE_OPENED);
        handles[i] = opened.opened.handle;
    }
    int beyond = 0;
    for (uint64_t seq = 1; seq <= ALIAS_LIFE; seq++) {
        float meant[16];
        struct wire_envelope reply = crew_ask(&crew, robot_caller, seq == 1 ? robot_act(&robot, handles[0], 1)
                                                                            : robot_step(&robot, handles[0], seq));
        memcpy(meant, reply.action.action.values, model->action_dim * sizeof(float));
        reply = crew_ask(&crew, plain, seq == 1 ? robot_act(&robot, handles[1], 1) : robot_step(&robot, handles[1], seq));
        for (size_t i = 0; i < model->action_dim; i++) {
            float low = model->action_low[i], high = model->action_high[i], within = meant[i];
            within = within < low ? low : within > high ? high : within;
            beyond += within != meant[i];
            ck_assert_float_eq(reply.action.action.values[i], within);
        }
    }
    ck_assert_msg(beyond > 0, "no action was beyond the bounds");
    refused(plain, (struct wire_envelope){.kind = WIRE_CLOSE, .close = {.handle = handles[1], .finish = 1}}, WIRE_INVALID);
}
END_TEST

START_TEST(what_is_needed_no_more_is_forgotten)
{
    struct robot one = explore("one", 5, 10, 1), two = explore("two", 6, 10, 1);
    uint64_t number = read_session(0, "one", &one, 10);
    struct wire_envelope request = asking("small", 0, 0);
    request.experience.forget = number;
    request.experience.newest = 1;
    crew_ask(&crew, trainer, request);
    crew_settle(&crew, 200);
    read_session(0, "two", &two, 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("learning");
    SUITE_TEST_WITH(suite, experience_comes_in_the_order_in_which_it_was_finished_in_pages, set_up, tear_down);
    SUITE_TEST_WITH(suite, credits_sent_ahead_are_answered_as_sessions_are_finished, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_learner_that_waited_in_vain_is_told_so_and_one_that_leaves_is_no_burden, set_up, tear_down);
    SUITE_TEST_WITH(suite, one_learner_learns_a_model_until_its_connection_ends, set_up, tear_down);
    SUITE_TEST_WITH(suite, robots_neither_take_experience_nor_publish, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_published_model_is_everybodys_at_once_and_who_waited_for_it_is_told, set_up, tear_down);
    SUITE_TEST_WITH(suite, explorers_are_told_what_the_policy_means_and_others_what_is_within_the_bounds, set_up, tear_down);
    SUITE_TEST_WITH(suite, what_is_needed_no_more_is_forgotten, set_up, tear_down);
    return suite_finish(suite);
}
